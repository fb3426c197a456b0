"""Golden perplexity of a bundled model through transformers, in float32.

  python tools/tiny/perplexity.py assets/models/tiny-phi assets/text/held_out.txt \\
      tests/data/perplexity/tiny-phi.json

Definition: the whole file is encoded as plain text without special tokens; its ids are cut in
consecutive windows of W tokens (the last one is shorter, and dropped if it has fewer than 2); each
window is run alone from position 0 and scores its tokens 1..W-1. The perplexity is exp(sum of the
negative log likelihoods / number of scored tokens). Padding rows of the vocabulary take part in the
softmax. The output is a list of {"window", "tokens", "scored", "nll_sum", "perplexity",
"window_nll"}, one entry per window size; window_nll is nll_sum taken apart by window.
"""

import argparse
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from families import load

WINDOWS = (256, 512)


def perplexity(model, ids, window):
    """One entry of the output for a list of ids."""
    window_nll, scored = [], 0
    with torch.no_grad():
        for start in range(0, len(ids), window):
            piece = torch.tensor(ids[start : start + window])
            if len(piece) < 2:
                break
            logits = model(input_ids=piece[None], use_cache=False).logits[0, :-1].double()
            window_nll.append(F.cross_entropy(logits, piece[1:], reduction="sum").item())
            scored += len(piece) - 1
    nll_sum = sum(window_nll)
    return {
        "window": window,
        "tokens": len(ids),
        "scored": scored,
        "nll_sum": round(nll_sum, 6),
        "perplexity": round(math.exp(nll_sum / scored), 6),
        "window_nll": [round(nll, 6) for nll in window_nll],
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    args = parser.parse_args()
    model, _ = load(args.model)
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    ids = tokenizer.encode(args.text.read_text(encoding="utf-8"), add_special_tokens=False).ids
    results = [perplexity(model, ids, window) for window in WINDOWS]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8", newline="\n")
    for result in results:
        print(
            f"{args.model.name}: window {result['window']}: perplexity {result['perplexity']:.4f}"
        )


if __name__ == "__main__":
    main()
