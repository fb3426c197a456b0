#!/usr/bin/env python3
"""Makes sampling/: what transformers' logits processors do to random logits.

    python3 tools/oracle/make_sampling.py --out tests/data/golden

The processors and their order are those transformers' generate picks for a GenerationConfig.
Choices on a rounding edge are refused here, so an exact set of survivors can be expected.
cases.json: parameters per case; expected.safetensors: logits, processed logits, survivors,
probabilities. Presence and frequency penalties have no counterpart in transformers.
"""
import argparse
import os

import numpy as np
import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.generation.logits_process import (
    MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

import common

SEED = 31
EDGE = 1e-5  # smallest distance of a probability from the border that decides about it
REMOVED = float(np.finfo(np.float32).min)  # stands for minus infinity in the file

BIAS = [[3, 2.5], [7, -4.0], [11, -100.0], [20, 0.75]]

# name, generation parameters, options: vocab (default 64), spread of the logits (default 2),
# ties (the runner-ups around rank top_k share one value), masked (ids that enter as minus infinity)
CASES = [
    ("none", {}, {}),
    ("bias", {"bias": BIAS}, {}),
    ("repetition_up", {"repetition_penalty": 1.3}, {}),
    ("repetition_down", {"repetition_penalty": 0.7}, {"vocab": 51}),
    ("repetition_only_history", {"repetition_penalty": 2.0}, {"history": [5, 5, 5, 9]}),
    ("temperature_low", {"temperature": 0.3}, {}),
    ("temperature_high", {"temperature": 1.7}, {"vocab": 100}),
    ("temperature_tiny", {"temperature": 0.01}, {}),
    ("top_k_1", {"top_k": 1}, {}),
    ("top_k_10", {"top_k": 10}, {}),
    ("top_k_beyond_vocab", {"top_k": 500}, {}),
    ("top_k_ties_kept", {"top_k": 5}, {"ties": True}),
    ("top_p_tiny", {"top_p": 0.01}, {}),
    ("top_p_half", {"top_p": 0.5}, {"vocab": 77}),
    ("top_p_high", {"top_p": 0.95}, {}),
    ("top_p_flat", {"top_p": 0.8}, {"spread": 0.1}),
    ("min_p_low", {"min_p": 0.02}, {}),
    ("min_p_high", {"min_p": 0.5}, {"vocab": 99, "spread": 0.6}),
    ("min_p_one", {"min_p": 1.0}, {}),
    ("masked_rows", {"top_p": 0.9, "repetition_penalty": 1.2}, {"masked": [60, 61, 62, 63]}),
    ("bias_repetition", {"bias": BIAS, "repetition_penalty": 1.5}, {}),
    ("bias_repetition_greedy", {"bias": BIAS, "repetition_penalty": 1.5, "greedy": True}, {}),
    ("temperature_top_k", {"temperature": 0.6, "top_k": 8}, {}),
    ("temperature_top_p", {"temperature": 0.6, "top_p": 0.95}, {}),
    ("temperature_min_p", {"temperature": 1.5, "min_p": 0.1}, {}),
    ("top_k_top_p", {"top_k": 12, "top_p": 0.6}, {}),
    ("top_k_min_p", {"top_k": 12, "min_p": 0.2}, {"spread": 0.6}),
    ("top_p_min_p", {"top_p": 0.9, "min_p": 0.05}, {}),
    ("repetition_temperature", {"repetition_penalty": 1.1, "temperature": 0.8}, {}),
    ("phi4_reasoning", {"temperature": 0.8, "top_k": 50, "top_p": 0.95}, {"vocab": 100}),
    ("all", {"bias": BIAS, "repetition_penalty": 1.2, "temperature": 0.7, "top_k": 20,
             "top_p": 0.9, "min_p": 0.03}, {}),
    ("all_hot", {"bias": BIAS, "repetition_penalty": 0.9, "temperature": 1.4, "top_k": 30,
                 "top_p": 0.85, "min_p": 0.08}, {"vocab": 100}),
]


def processors(parameters, vocab_size, history_length):
    """transformers' list of processors for these parameters, in its own order."""
    fields = {k: v for k, v in parameters.items() if k not in ("bias", "greedy")}
    if "bias" in parameters:
        fields["sequence_bias"] = [[[token], value] for token, value in parameters["bias"]]
    config = GenerationConfig(do_sample=not parameters.get("greedy", False), **fields)
    model = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=vocab_size, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1))
    mask = torch.ones(1, history_length, dtype=torch.int64)
    return model._get_logits_processor(config, input_ids_seq_length=history_length, device="cpu",
                                       model_kwargs={"attention_mask": mask})


def on_edge(processor, scores, ties_allowed):
    """True if what this processor removes from scores [1, vocab] hangs on the last bits."""
    finite = scores[0][torch.isfinite(scores[0])].double()
    probs = torch.sort(finite.softmax(-1)).values
    if isinstance(processor, TopPLogitsWarper):
        distance = (probs.cumsum(-1) - (1 - processor.top_p)).abs().min()
        return bool(distance <= EDGE or probs.diff().abs().min() == 0)
    if isinstance(processor, MinPLogitsWarper) and processor.min_p < 1:
        return bool((probs / probs[-1] - processor.min_p).abs().min() <= EDGE)
    if isinstance(processor, TopKLogitsWarper) and not ties_allowed:
        ranked = torch.sort(finite, descending=True).values
        k = processor.top_k
        return k < len(ranked) and bool(ranked[k - 1] - ranked[k] <= EDGE)
    return False


def make_logits(name, options, parameters, attempt):
    """(logits [vocab] float32, history) of a case."""
    vocab_size = options.get("vocab", 64)
    rng = common.rng_for(SEED, f"{name}.{attempt}")
    logits = (options.get("spread", 2.0) * rng.standard_normal(vocab_size)).astype(np.float32)
    history = options.get("history", rng.integers(0, vocab_size, size=24).tolist())
    logits[history[0]] = 0.0  # neither branch of the repetition penalty may move a zero
    if options.get("ties"):
        ranked = np.argsort(-logits)
        k = parameters["top_k"]
        logits[ranked[k - 2:k + 2]] = logits[ranked[k - 1]]
    logits[options.get("masked", [])] = -np.inf
    return logits, history


def run_case(name, parameters, options):
    """First draw without a rounding edge: (description, tensors)."""
    for attempt in range(100):
        logits, history = make_logits(name, options, parameters, attempt)
        chain = processors(parameters, len(logits), len(history))
        ids, scores = torch.tensor([history]), torch.from_numpy(logits)[None]
        edges = []
        for processor in chain:
            edges.append(on_edge(processor, scores, options.get("ties", False)))
            scores = processor(ids, scores)
        if not any(edges):
            break
    else:
        raise AssertionError(f"{name}: every draw has a rounding edge")
    kept = torch.isfinite(scores[0]).numpy()
    lowest = np.float32(REMOVED)
    description = {
        "name": name,
        "vocab_size": len(logits),
        "history": history,
        "masked": options.get("masked", []),
        "parameters": parameters,
        "order": [type(processor).__name__ for processor in chain],
        "kept_count": int(kept.sum()),
    }
    tensors = {
        f"{name}.logits": np.where(np.isfinite(logits), logits, lowest),
        f"{name}.processed": np.where(kept, scores[0].numpy(), lowest),
        f"{name}.kept": kept.astype(np.uint8),
        f"{name}.probabilities": scores[0].softmax(-1).numpy(),
    }
    return description, tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    cases, tensors = [], {}
    for case in CASES:
        description, values = run_case(*case)
        cases.append(description)
        tensors.update(values)
    longest = max((case["order"] for case in cases), key=len)
    common.save_json(os.path.join(out, "sampling", "cases.json"), {
        "order": longest,
        "removed_value": REMOVED,
        "meaning": {
            "bias": "list of [token, amount added to its logit]",
            "history": "token ids seen so far; the repetition penalty applies once per id",
            "masked": "ids whose logit is minus infinity on input",
            "greedy": "no sampling: transformers leaves out temperature, top_k, top_p, min_p",
            "kept": "1 where the processed logit is finite; elsewhere the file holds removed_value",
        },
        "cases": cases,
    })
    common.save_expected(os.path.join(out, "sampling", "expected.safetensors"), tensors)
    print(f"{len(cases)} cases; order: {', '.join(longest)}")


if __name__ == "__main__":
    main()
