"""The small text grammar that the training text is written in.

A rule is ordinary English with two extra marks:
  [a|b|c]  one of the alternatives, chosen at random; brackets nest, an alternative may be empty
  {slot}   the value chosen for this slot of the document
Everything is drawn from one `random.Random`, so a seed fixes the text.
"""

import re

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!uni|one\b|eu)")
_SPACES = re.compile(r" {2,}")
_SENTENCE_START = re.compile(r"([.!?] )([a-z])")


def expand(rng, rule, slots):
    """One random reading of `rule`, with the right "a" or "an" and capital letters."""
    while "[" in rule:
        rule = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), rule)
    # A slot's value may itself name slots ("{friend} the {friend_kind}").
    while "{" in rule:
        rule = _SLOT.sub(lambda m: slots[m.group(1)], rule)
    rule = _SPACES.sub(" ", rule).strip()
    rule = _ARTICLE.sub(r"\1n ", rule)
    rule = _SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), rule)
    return capitalised(rule)


def capitalised(text):
    """`text` with its first letter in upper case, also behind an opening quotation mark."""
    for i, c in enumerate(text):
        if c.isalpha():
            return text[:i] + c.upper() + text[i + 1 :]
        if c != '"':
            break
    return text


def pick(rng, alternatives):
    """One of the alternatives of a string such as "red|green|blue"."""
    return rng.choice(alternatives.split("|"))
