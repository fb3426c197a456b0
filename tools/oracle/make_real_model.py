#!/usr/bin/env python3
"""Makes real_model/smollm2.safetensors: what transformers computes for SmolLM2-135M-Instruct.

    tools/fetch_real_model.sh
    python3 tools/oracle/make_real_model.py --out tests/data/golden

The weights are those of the GGUF file as the gguf package decodes them, in float32. See README.md
in the output folder for the names.
"""
import argparse
import os
import sys

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import common

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "quality"))
from make_original import CONFIG, MODEL, read_weights  # noqa: E402

# Logits are kept for these many tokens of the vocabulary, drawn once.
KEPT_LOGITS = 512
LENGTHS = {"short": (64, 64), "long": (700, 32)}  # tokens, of which the last so many rows are kept
PROMPTS = {"story": "Once upon a time, in a small village by the sea, there lived",
           "science": "The water cycle describes how water moves from the ocean to the sky.",
           "code": "Here is a Python function that adds two numbers:\n"}
GREEDY_LEAD_MIN = 1e-4  # of the logit range, ten times what float32 sums in other orders may differ


def load_real_model(path):
    fields = {key: value for key, value in CONFIG.items() if key != "architectures"}
    config = LlamaConfig(**fields, attn_implementation="eager")
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    state = {name: torch.from_numpy(values) for name, values in read_weights(path, dither=False)}
    missing = model.load_state_dict(state, strict=False)
    assert missing.missing_keys == ["lm_head.weight"] and not missing.unexpected_keys, missing
    model.tie_weights()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--model", default=MODEL)
    arguments = parser.parse_args()
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(
        os.path.join(ROOT, "build", "vocabularies", "smollm2", "tokenizer.json"))
    torch.set_num_threads(2)
    model = load_real_model(arguments.model)
    with open(os.path.join(ROOT, "LICENSE"), encoding="utf-8") as file:
        text = tokenizer.encode(file.read()).ids
    kept = np.sort(common.rng_for(1, "logits").permutation(CONFIG["vocab_size"])[:KEPT_LOGITS])
    expected = {"kept": kept.astype(np.int32)}
    for name, (length, rows) in LENGTHS.items():
        logits = common.forward(model, text[:length])[0][-rows:]
        expected[f"{name}.tokens"] = np.asarray(text[:length], np.int32)
        expected[f"{name}.logits"] = logits[:, kept]
        expected[f"{name}.range"] = np.asarray([np.ptp(logits)], np.float32)
        expected[f"{name}.best"] = logits.argmax(-1).astype(np.int32)
    for name, prompt in PROMPTS.items():
        ids = tokenizer.encode(prompt).ids
        tokens, lead = common.greedy_generate(model, ids)
        assert lead >= GREEDY_LEAD_MIN, (name, lead)
        print(f"{name}: smallest lead {lead:.2e} of the range\n{tokenizer.decode(tokens)}\n")
        expected[f"{name}.prompt"] = np.asarray(ids, np.int32)
        expected[f"{name}.greedy"] = tokens.astype(np.int32)
    common.save_expected(os.path.join(arguments.out, "real_model", "smollm2.safetensors"), expected)


if __name__ == "__main__":
    main()
