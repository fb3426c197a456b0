#!/usr/bin/env python3
"""Makes models/<case>/: tiny random Hugging Face checkpoints and what transformers computes.

    python3 tools/oracle/make_models.py --out tests/data/golden

The weights are drawn, rounded to the stored type, written, and read back by transformers, so the
expected values belong to the bytes of the file. See README.md in the output folder for the names.
"""
import argparse
import copy
import os

import numpy as np
import torch
from safetensors.torch import save_file as save_torch

import common
from mimo_mtp import MimoMtp, mtp_shapes
from tiny_configs import CASES, active_window

MTP_LENGTH = 100
FORCED = (("long", 40), ("short", 72))


def draw(name, shape, seed):
    """A random tensor whose spread suits its role.

    Queries and keys are drawn wide so that attention is far from uniform; the table that makes
    the logits is drawn so that a row of them spans about 5 to 20.
    """
    if name.endswith("norm.weight"):
        mean, std = 1.0, 0.3
    elif name.endswith("k_proj.bias"):
        mean, std = 0.0, 1.0  # Qwen2-like models have large key biases
    elif name.endswith(".bias"):
        mean, std = 0.0, 0.5
    elif name in ("model.embed_tokens.weight", "lm_head.weight"):
        mean, std = 0.0, 2.0 / shape[1] ** 0.5
    elif any(part in name for part in ("qkv_proj", "q_proj", "k_proj")):
        mean, std = 0.0, 1.6 / shape[1] ** 0.5
    else:
        mean, std = 0.0, 1.2 / shape[1] ** 0.5
    values = common.rng_for(seed, name).standard_normal(shape)
    return torch.from_numpy((mean + std * values).astype(np.float32))


def checkpoint(case):
    """All tensors of a case in the stored type, in the order of transformers' module tree."""
    cls, config = common.model_class(copy.deepcopy(case.config))
    shapes = {name: tuple(value.shape) for name, value in cls(config).state_dict().items()}
    if case.config["tie_word_embeddings"]:
        del shapes["lm_head.weight"]
    if case.config.get("num_nextn_predict_layers"):
        shapes.update(mtp_shapes(case.config))
    dtype = getattr(torch, case.dtype)
    return {name: draw(name, shape, case.seed).to(dtype) for name, shape in shapes.items()}


def write_checkpoint(case, directory):
    """config.json, generation_config.json and one or several safetensors files."""
    os.makedirs(directory, exist_ok=True)
    common.save_json(os.path.join(directory, "config.json"), case.config)
    if case.generation_config:
        path = os.path.join(directory, "generation_config.json")
        common.save_json(path, case.generation_config)
    tensors, metadata = checkpoint(case), {"format": "pt"}
    if case.shard_count == 1:
        save_torch(tensors, os.path.join(directory, "model.safetensors"), metadata)
        return
    weight_map = {}
    for index, names in enumerate(np.array_split(list(tensors), case.shard_count)):
        file_name = f"model-{index + 1:05}-of-{case.shard_count:05}.safetensors"
        shard = {str(name): tensors[name] for name in names}
        save_torch(shard, os.path.join(directory, file_name), metadata)
        weight_map.update({name: file_name for name in shard})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    common.save_json(
        os.path.join(directory, "model.safetensors.index.json"),
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))},
    )


def force_factors(which):
    """Config edit that makes both longrope regimes use one factor list, as a forced regime does."""

    def change(config):
        rope = config.get("rope_scaling") or config["rope_parameters"]
        rope["short_factor"] = rope["long_factor"] = rope[which + "_factor"]

    return change


def greedy(case, model, name, length):
    """First prompt of that length whose continuation is varied and free of near-ties."""
    for attempt in range(300):
        label = f"{name}.{attempt}"
        prompt = common.random_tokens(case.seed, label, length, case.config["vocab_size"])
        tokens, lead = common.greedy_generate(model, prompt)
        if lead >= common.GREEDY_LEAD_MIN and len(set(tokens.tolist())) >= 12:
            break
    else:
        raise AssertionError(f"{case.name}: no prompt without near-ties for {name}")
    assert np.array_equal(tokens, common.greedy_without_cache(model, prompt)), (
        f"{case.name}: {name}: generate with its cache differs from full passes")
    return prompt, tokens, lead


def mtp_expected(case, directory, tokens, hidden, normed):
    """Names and values of the MTP layer's golden tensors."""
    tensors = common.load_tensors(os.path.join(directory, "model.safetensors"))
    mtp = MimoMtp(tensors, case.config)
    states = {"prenorm": torch.from_numpy(hidden), "postnorm": torch.from_numpy(normed)}
    result = {"mtp.tokens": tokens.astype(np.int32)}
    for kind, state in states.items():
        result[f"mtp.hidden_in.{kind}"] = state.numpy()
        for mask in (True, False):
            name = f"mtp.logits.{kind}_{'masked' if mask else 'unmasked'}"
            result[name] = mtp.logits(state, torch.from_numpy(tokens), mask).numpy()
    return result


def make_case(case, out):
    directory = os.path.join(out, "models", case.name)
    write_checkpoint(case, directory)
    model = common.load_model(directory)
    vocab_size = case.config["vocab_size"]
    expected, ranges = {}, []
    for length in case.lengths:
        tokens = common.random_tokens(case.seed, f"tokens.{length}", length, vocab_size)
        logits, hidden, normed = common.forward(model, tokens)
        expected[f"tokens.{length}"] = tokens.astype(np.int32)
        expected[f"logits.{length}"] = logits
        expected[f"hidden.{length}"] = hidden
        if length in case.normed_lengths:
            expected[f"hidden_normed.{length}"] = normed
        ranges.append(logits.max() - logits.min())
        if case.config.get("num_nextn_predict_layers") and length == MTP_LENGTH:
            expected.update(mtp_expected(case, directory, tokens, hidden, normed))
    assert all(5 <= r <= 25 for r in ranges), (case.name, ranges)

    leads = {}
    for name, length in case.prompts.items():
        prompt, tokens, leads[name] = greedy(case, model, name, length)
        expected[f"{name}.prompt"] = prompt.astype(np.int32)
        expected[f"{name}.tokens"] = tokens.astype(np.int32)

    if case.name == "phi4-mini":
        # 40 tokens would use the short factors and 72 the long ones, were they not forced.
        for which, length in FORCED:
            forced = common.load_model(directory, force_factors(which))
            tokens = common.random_tokens(case.seed, f"forced.{length}", length, vocab_size)
            expected[f"forced_{which}.tokens.{length}"] = tokens.astype(np.int32)
            expected[f"forced_{which}.logits.{length}"] = common.forward(forced, tokens)[0]
        check_regimes(model, directory, expected)

    facts = {
        "case": case.name,
        "lengths": case.lengths,
        "logits_range": {str(n): round(float(r), 4) for n, r in zip(case.lengths, ranges)},
        "greedy": {name: {"prompt_tokens": case.prompts[name], "new_tokens":
                          common.GREEDY_TOKEN_COUNT, "lead_min": round(leads[name], 5)}
                   for name in case.prompts},
    }
    window = active_window(case.config)
    if window:
        check_window(directory, expected, case.lengths, window)
        facts["sliding_window"] = window
        facts["visibility"] = "query i sees key j when 0 <= i - j < sliding_window"
    common.save_expected(os.path.join(directory, "expected.safetensors"), expected)
    common.save_json(os.path.join(directory, "facts.json"), facts)
    print(f"{case.name}: logit range {min(ranges):.1f}..{max(ranges):.1f}, smallest greedy lead "
          + ", ".join(f"{n} {v:.4f}" for n, v in leads.items()))


def check_regimes(model, directory, expected):
    """The goldens must tell the two factor sets, and a wrong crossing, apart."""
    scale = np.ptp(expected["logits.100"])
    for which, length in FORCED:
        auto = common.forward(model, expected[f"forced_{which}.tokens.{length}"])[0]
        assert np.abs(auto - expected[f"forced_{which}.logits.{length}"]).max() > 0.05 * scale
    prompt = expected["greedy_cross.prompt"]
    for which in ("long", "short"):
        forced = common.load_model(directory, force_factors(which))
        tokens = common.greedy_generate(forced, prompt)[0]
        assert not np.array_equal(tokens, expected["greedy_cross.tokens"]), which
    # Keys made with short factors and kept across the border, as a careless cache would do.
    kept = common.load_model(directory)
    del kept.config.original_max_position_embeddings
    tokens = common.greedy_generate(kept, prompt)[0]
    assert not np.array_equal(tokens, expected["greedy_cross.tokens"]), "mixed cache"


def check_window(directory, expected, lengths, window):
    """The goldens must show that the window is applied and where exactly it cuts.

    Without it, the first `window` rows must stay the same (query window - 1 still sees key 0)
    and every later one must differ (query window no longer does).
    """

    def remove(config):
        config["sliding_window"] = None

    full = common.load_model(directory, remove)
    for length in lengths:
        logits = expected[f"logits.{length}"]
        share = np.abs(common.forward(full, expected[f"tokens.{length}"])[0] - logits).max(-1)
        share /= np.ptp(logits)
        assert (share[:window] <= 1e-6).all(), (length, share)
        assert (share[window:] > 0.01).all(), (length, share)
    tokens = common.greedy_generate(full, expected["greedy.prompt"])[0]
    crossing = window - len(expected["greedy.prompt"])
    assert 0 < crossing and np.array_equal(tokens[:crossing], expected["greedy.tokens"][:crossing])
    assert not np.array_equal(tokens, expected["greedy.tokens"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    for case in CASES:
        make_case(case, out)


if __name__ == "__main__":
    main()
