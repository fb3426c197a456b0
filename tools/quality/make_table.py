#!/usr/bin/env python3
"""Prints the table of docs/quality.md: what each recipe costs on a model with trained weights.

    tools/fetch_real_model.sh && tools/quality/fetch_text.sh
    python3 tools/quality/make_original.py
    build/release/midge importance build/models/smollm2-original --text build/text/calibration.txt \\
        -o build/models/smollm2.importance
    python3 tools/quality/make_table.py [--recipe NAME...] [--weights DIRECTORY...] [--json FILE]

Every row is a comparison of predictions with those of the original floats, over the same windows of
512 tokens, by midge eval. --recipe: fast, balanced, int8, half, or an encoding; with `+` behind it,
weighed by the importance file. --weights: a directory of floats that another program has rounded,
run in float arithmetic.
Takes minutes for each row. Needs no Python package.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "build" / "models"
RECIPES = ("fast", "balanced", "int8", "half")
TEXTS = ("prose", "code")


def evaluate(arguments, text, model, options):
    command = [arguments.midge, "eval", model, "--perplexity", ROOT / "build" / "text" / f"{text}.txt",
               "--reference", arguments.original, "--reference-arithmetic", "xnnpack", "--json",
               *options]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                         check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{run.stderr}")
    return json.loads(run.stdout)


def recipe_options(arguments, name):
    options = []
    if name.endswith("+"):
        name = name[:-1]
        options = ["--importance", arguments.importance]
    return options + (["--recipe", name] if name in RECIPES
                      else ["--weights", name, "--tensor", "head=q8b32"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midge", default=ROOT / "build" / "release" / "midge")
    parser.add_argument("--original", default=MODELS / "smollm2-original")
    parser.add_argument("--importance", default=MODELS / "smollm2.importance")
    parser.add_argument("--recipe", nargs="*", default=[])
    parser.add_argument("--weights", nargs="*", default=[])
    parser.add_argument("--role", nargs="*", default=["float", "prompt", "generated"],
                        help="arithmetic: float, or packed as for prompts or generated tokens")
    parser.add_argument("--json", type=pathlib.Path, help="keep all figures in this file")
    arguments = parser.parse_args()
    rows = [(name, arguments.original, recipe_options(arguments, name), role)
            for name in arguments.recipe for role in arguments.role]
    rows += [(pathlib.Path(path).name, path, [], "float") for path in arguments.weights]
    kept = []
    print("| weights | arithmetic | text | perplexity | mean KL | 99 % KL | same first token |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    for name, model, options, role in rows:
        options = options + (["--arithmetic", "xnnpack"] if role == "float" else ["--role", role])
        for text in TEXTS:
            report = evaluate(arguments, text, model, options)
            kept.append({"name": name, "arithmetic": role, "text": text, **report})
            print(f"| {name} | {role} | {text} | {report['perplexity']:.3f} | "
                  f"{report['kl_mean']:.4f} | {report['kl_p99']:.3f} | "
                  f"{100 * report['top1_agreement']:.1f} % |", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
