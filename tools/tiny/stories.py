"""Stories of 100 to 250 words, and longer ones of several episodes with the same hero."""

from grammar import expand
from people import cast
from plots import BRIDGES, ENDINGS, OPENINGS, PLOTS


def _lines(block):
    return [line.strip() for line in block.strip().splitlines()]


_PLOTS = [(name, slots, _lines(body)) for name, slots, body in PLOTS]
_OPENINGS, _ENDINGS, _BRIDGES = _lines(OPENINGS), _lines(ENDINGS), _lines(BRIDGES)


def _paragraphs(rng, sentences):
    """Joins sentences; a story is one paragraph or, one time in four, breaks once in the middle."""
    if len(sentences) > 8 and rng.random() < 0.25:
        cut = len(sentences) // 2
        return " ".join(sentences[:cut]) + "\n" + " ".join(sentences[cut:])
    return " ".join(sentences)


def _episode(rng, plot, slots):
    _, choices, body = plot
    for slot, alternatives in choices.items():
        slots[slot] = rng.choice(alternatives.split("|"))
    if "thing" in choices:
        # "a red wagon" at first mention, "the red wagon" later.
        slots["thing_the"] = "the " + slots["thing"].split(" ", 1)[-1]
    out = []
    for line in body:
        if line.startswith("?"):
            if rng.random() < 0.5:
                continue
            line = line[1:]
        out.append(expand(rng, line, slots))
    return out


def _derived(slots):
    slots["intro"] = f"a {slots['adj']} {slots['kind']}"
    slots["adv_pkind"] = f"a {slots['padj']} {slots['pkind']}"
    return slots


def story(rng, episodes=1, hero_kind=None, hero_animal=None):
    """One story. `hero_kind` asks for an animal, `hero_animal=False` for a child as its hero."""
    slots = _derived(cast(rng, hero_animal=hero_animal, hero_kind=hero_kind))
    opening = [expand(rng, rng.choice(_OPENINGS), slots)]
    if rng.random() < 0.7:
        opening.append(expand(rng, slots["trait"], slots))
    parts = []
    for i, plot in enumerate(rng.sample(_PLOTS, episodes)):
        sentences = opening if i == 0 else [expand(rng, rng.choice(_BRIDGES), slots)]
        sentences = sentences + _episode(rng, plot, slots)
        if i == episodes - 1 and rng.random() < 0.6:
            sentences.append(expand(rng, rng.choice(_ENDINGS), slots))
        parts.append(_paragraphs(rng, sentences))
    return "\n\n".join(parts)
