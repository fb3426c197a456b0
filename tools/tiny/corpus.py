"""Training text of the two bundled models, made from the grammars beside this file.

As a module it yields documents for make_tokenizer.py and train.py; as a program it writes the
held-out text that perplexity is measured on, or prints a few documents to look at:

  python tools/tiny/corpus.py --held-out assets/text/held_out.txt
  python tools/tiny/corpus.py --show 5 --family phi
"""

import argparse
import pathlib
import random

from chat import conversation
from facts import arithmetic_line
from stories import story

TRAIN_SEED = 20260
HELD_OUT_SEED = 977
HELD_OUT_BYTES = 24_000
# Share of documents in each phase of training.
CONVERSATION_SHARE = {1: 0.5, 2: 0.6}


def _sums(rng):
    return "\n".join(arithmetic_line(rng) for _ in range(rng.randint(6, 16)))


def plain_document(rng):
    """One document without special tokens: a story, a longer story, sums, or several of these."""
    kind = rng.random()
    if kind < 0.58:
        return story(rng)
    if kind < 0.68:
        return story(rng, episodes=rng.choice([2, 3]))
    if kind < 0.86:
        return _sums(rng)
    parts = [story(rng) if rng.random() < 0.8 else _sums(rng) for _ in range(rng.randint(2, 4))]
    return "\n\n".join(parts)


def documents(seed, family, phase):
    """Endless documents: str for plain text, a list of messages for a conversation.

    `phase` is 1 or 2, the phase of training: the second has more and longer conversations.
    """
    rng = random.Random(seed)
    while True:
        if rng.random() < CONVERSATION_SHARE[phase]:
            yield conversation(rng, family, phase)
        else:
            yield plain_document(rng)


def held_out_text():
    """Stories and sums of a seed that training never sees, separated by blank lines."""
    rng = random.Random(HELD_OUT_SEED)
    parts, size = [], 0
    while size < HELD_OUT_BYTES:
        parts.append(_sums(rng) if len(parts) % 7 == 6 else story(rng))
        size += len(parts[-1]) + 2
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--held-out", type=pathlib.Path, help="write the held-out text to this file"
    )
    parser.add_argument("--show", type=int, default=0, help="print this many training documents")
    parser.add_argument("--family", choices=["phi", "mimo"], default="phi")
    parser.add_argument("--phase", type=int, choices=[1, 2], default=1)
    args = parser.parse_args()
    if args.held_out:
        args.held_out.parent.mkdir(parents=True, exist_ok=True)
        args.held_out.write_text(held_out_text(), encoding="utf-8", newline="\n")
    source = documents(TRAIN_SEED, args.family, args.phase)
    for _ in range(args.show):
        document = next(source)
        if isinstance(document, str):
            print(document)
        else:
            for message in document:
                print(f"<{message['role']}> {message['content']}")
        print("---")


if __name__ == "__main__":
    main()
