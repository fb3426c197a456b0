#!/usr/bin/env python3
"""Reads the golden data back and checks it against itself and a second implementation.

    python3 tools/oracle/verify.py --out tests/data/golden

Checked: every expected value is reproduced from the stored files; the GGUF F32 files hold the
checkpoints' weights and give the same logits; transformers' GGUF loader takes the llama files' row
order back; the sliding window cuts where facts.json says; llama.cpp's mixes hold the types they are
there for; the MTP module's decoder layer equals
transformers' Qwen2 one; block values, sampling results and the total size are consistent.
"""
import argparse
import json
import os

import numpy as np
import torch
from gguf import GGUFReader
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2RotaryEmbedding

import common
import make_gguf
import make_llama_cpp
import make_models
from mimo_mtp import PREFIX, MimoMtp
from tiny_configs import CASES, PHI3_4K_CASE, active_window

SIZE_MAX = 12_500_000
# Share of the logit range by which another processor's or library's sums may differ.
TOLERANCE = 1e-5


def check_close(name, actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (name, actual.shape, expected.shape)
    share = np.abs(actual - expected).max() / np.ptp(expected)
    assert share <= TOLERANCE, (name, share)


def check_case(out, case):
    """Logits, hidden states and continuations follow from the stored weights."""
    directory = os.path.join(out, "models", case.name)
    expected = {name: value.numpy() for name, value in
                common.load_tensors(os.path.join(directory, "expected.safetensors")).items()}
    model = common.load_model(directory)
    for length in case.lengths:
        tokens = expected[f"tokens.{length}"]
        assert tokens.shape == (length,) and tokens.max() < case.config["vocab_size"]
        logits, hidden, normed = common.forward(model, tokens)
        check_close(f"{case.name} logits.{length}", logits, expected[f"logits.{length}"])
        check_close(f"{case.name} hidden.{length}", hidden, expected[f"hidden.{length}"])
        if length in case.normed_lengths:
            check_close(f"{case.name} normed", normed, expected[f"hidden_normed.{length}"])
    for name in case.prompts:
        tokens, _ = common.greedy_generate(model, expected[f"{name}.prompt"])
        assert np.array_equal(tokens, expected[f"{name}.tokens"]), (case.name, name)
    window = active_window(case.config)
    with open(os.path.join(directory, "facts.json"), encoding="utf-8") as file:
        assert json.load(file).get("sliding_window", 0) == window, case.name
    if window:
        make_models.check_window(directory, expected, case.lengths, window)


def check_mtp(out):
    """The plain module against its stored logits and against transformers' decoder layer."""
    case = next(c for c in CASES if c.name == "mimo")
    directory = os.path.join(out, "models", case.name)
    tensors = common.load_tensors(os.path.join(directory, "model.safetensors"))
    expected = common.load_tensors(os.path.join(directory, "expected.safetensors"))
    mtp, tokens = MimoMtp(tensors, case.config), expected["mtp.tokens"].long()
    for kind in ("prenorm", "postnorm"):
        hidden = expected[f"mtp.hidden_in.{kind}"]
        for mask in ("masked", "unmasked"):
            name = f"mtp.logits.{kind}_{mask}"
            check_close(name, mtp.logits(hidden, tokens, mask == "masked"), expected[name])
    model = common.load_model(directory)
    layer = Qwen2DecoderLayer(model.config, layer_idx=0)
    layer.load_state_dict({name: mtp.weight(name) for name in layer.state_dict()})
    x = mtp.layer_input(expected["mtp.hidden_in.prenorm"], tokens)[None]
    positions = torch.arange(x.shape[1])[None]
    causal = torch.full((x.shape[1],) * 2, float("-inf")).triu(1)[None, None]
    rotary = Qwen2RotaryEmbedding(model.config)(x, positions)
    reference = layer(x, attention_mask=causal, position_embeddings=rotary)
    reference = reference[0] if isinstance(reference, tuple) else reference
    check_close("MTP decoder layer", mtp.decoder_layer(x[0]), reference.reshape(x[0].shape))
    assert sum(name.startswith(PREFIX) for name in tensors) == 16


def in_checkpoint_order(config, name, stored):
    """A GGUF tensor with its rows as in the checkpoint; transformers undoes arch llama's order."""
    if config["model_type"] != "llama":
        return stored[name]
    return LlamaTensorProcessor(config).process(stored[name], name).weights


def check_keys(folder):
    """The keys that tell the llama and the sliding-window files from the others."""
    llama = GGUFReader(os.path.join(folder, "llama-f32.gguf")).fields
    assert llama["general.architecture"].contents() == "llama"
    assert llama["llama.rope.dimension_count"].contents() == 8
    assert llama["llama.rope.freq_base"].contents() == 250000
    window = GGUFReader(os.path.join(folder, "phi3-window-f32.gguf")).fields
    assert window["general.architecture"].contents() == "phi3"
    assert window["phi3.attention.sliding_window"].contents() == 20
    old = GGUFReader(os.path.join(folder, "phi3-4k-no-window.gguf")).fields
    assert old["phi3.block_count"].contents() == 32
    assert old["phi3.context_length"].contents() == 4096
    assert not any("sliding_window" in key for key in old)


def check_gguf(out):
    folder = os.path.join(out, "gguf")
    check_keys(folder)
    expected = common.load_tensors(os.path.join(folder, "expected.safetensors"))
    for case in make_gguf.F32_CASES:
        path = os.path.join(folder, f"{case}-f32.gguf")
        stored, (config, tensors) = make_gguf.read_gguf(path), make_gguf.read_case(out, case)
        for name, value in tensors.items():
            kept = in_checkpoint_order(config, make_gguf.gguf_name(name), stored)
            assert np.array_equal(kept, value), (case, name)
        source = common.load_tensors(os.path.join(out, "models", case, "expected.safetensors"))
        model = make_gguf.model_of_gguf(config, path)
        same = common.load_model(os.path.join(out, "models", case))
        length = max(next(c for c in CASES if c.name == case).lengths)
        tokens = source[f"tokens.{length}"].numpy()
        logits = common.forward(model, tokens)[0]
        assert np.array_equal(logits, common.forward(same, tokens)[0]), case
        check_close(f"{case}-f32", logits, source[f"logits.{length}"])
    for name, (case, _, length) in make_gguf.QUANTISED.items():
        config = make_gguf.read_case(out, case)[0]
        model = make_gguf.model_of_gguf(config, os.path.join(folder, name + ".gguf"))
        logits = common.forward(model, expected[f"{name}.tokens.{length}"])[0]
        check_close(name, logits, expected[f"{name}.logits.{length}"])
    name, config = "phi3-4k-no-window", PHI3_4K_CASE.config
    model = make_gguf.model_of_gguf(config, os.path.join(folder, name + ".gguf"))
    logits = common.forward(model, expected[f"{name}.tokens"])[0]
    check_close(name, logits[config["sliding_window"]:], expected[f"{name}.logits"])
    older = GGUFReader(os.path.join(folder, "phi4-mini-q4_0-v2.gguf"))
    newer = GGUFReader(os.path.join(folder, "phi4-mini-q4_0.gguf"))
    assert older.fields["GGUF.version"].contents() == 2
    for a, b in zip(older.tensors, newer.tensors, strict=True):
        assert a.name == b.name and np.array_equal(a.data, b.data)


def check_llama_cpp(out):
    folder = os.path.join(out, "llama_cpp")
    stored = common.load_tensors(os.path.join(folder, "expected.safetensors"))
    types = {}
    for name in make_llama_cpp.FILES:
        tokens, logits = make_llama_cpp.expected_of(folder, name)
        assert np.array_equal(tokens, stored[f"{name}.tokens"]), name
        check_close(name, logits, stored[f"{name}.logits"])
        tensors = GGUFReader(os.path.join(folder, name + ".gguf")).tensors
        types[name] = {tensor.tensor_type for tensor in tensors}
    assert types["phi4-mini-q4_k_m"] == {Type.F32, Type.Q4_K, Type.Q6_K}
    assert types["phi4-mini-q5_k_m"] == {Type.F32, Type.Q5_K, Type.Q6_K}
    assert types["phi4-mini-q4_0"] == {Type.F32, Type.Q4_0, Type.Q6_K}


def check_blocks(out):
    folder = os.path.join(out, "blocks")
    for file_name in sorted(os.listdir(folder)):
        stored = common.load_tensors(os.path.join(folder, file_name))
        values = dequantize(stored["bytes"].numpy(), Type[file_name.split(".")[0].upper()])
        want = stored["values"].numpy()
        assert np.array_equal(values.reshape(want.shape).view(np.uint32), want.view(np.uint32))


def check_sampling(out):
    folder = os.path.join(out, "sampling")
    with open(os.path.join(folder, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    stored = common.load_tensors(os.path.join(folder, "expected.safetensors"))
    for case in cases:
        name = case["name"]
        kept = stored[name + ".kept"].bool()
        assert len(kept) == case["vocab_size"] and kept.sum() == case["kept_count"]
        processed = stored[name + ".processed"].masked_fill(~kept, float("-inf"))
        probabilities = stored[name + ".probabilities"]
        assert torch.equal(processed.softmax(-1), probabilities), name
        assert abs(float(probabilities.double().sum()) - 1) < 1e-5, name


def check_size(out):
    paths = [os.path.join(top, name) for top, _, names in os.walk(out) for name in names]
    total = sum(os.path.getsize(path) for path in paths)
    assert total <= SIZE_MAX, total
    print(f"{len(paths)} files, {total} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    for case in CASES:
        check_case(out, case)
    for check in (check_mtp, check_gguf, check_llama_cpp, check_blocks, check_sampling, check_size):
        check(out)
    print("golden data verified")


if __name__ == "__main__":
    main()
