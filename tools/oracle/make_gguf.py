#!/usr/bin/env python3
"""Makes gguf/: GGUF versions of the tiny checkpoints, written by the gguf package.

    python3 tools/oracle/make_gguf.py --out tests/data/golden

Needs models/ in the output folder (make_models.py). The F32 files hold the checkpoints' weights
unchanged (llama: q and k rows reordered), so models/<case>/expected.safetensors applies. The other
types lose precision: their expected logits come from transformers running on the weights as the
gguf package decodes them. phi3-4k-no-window.gguf lacks the key of the window, as the files of old
converters do.
"""
import argparse
import json
import math
import os
import struct

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

import common
import make_models
from tiny_configs import PHI3_4K_CASE

# output name -> (checkpoint, type of the matrices, length whose logits are kept)
QUANTISED = {
    "phi4-mini-q8_0": ("phi4-mini", Type.Q8_0, 65),
    "phi4-mini-q4_0": ("phi4-mini", Type.Q4_0, 65),
    "phi4-f16": ("phi4", Type.F16, 100),
    "phi4-bf16": ("phi4", Type.BF16, 100),
    "llama-q4_0": ("llama", Type.Q4_0, 100),
}
F32_CASES = ("phi4-mini", "phi4", "mimo", "llama", "phi3-window")
ARCHITECTURES = {"phi3": "phi3", "llama": "llama", "mimo": "qwen2"}  # by model_type
FILE_TYPES = {
    Type.F32: LlamaFileType.ALL_F32,
    Type.F16: LlamaFileType.MOSTLY_F16,
    Type.BF16: LlamaFileType.MOSTLY_BF16,
    Type.Q4_0: LlamaFileType.MOSTLY_Q4_0,
    Type.Q8_0: LlamaFileType.MOSTLY_Q8_0,
}
# Hugging Face name -> GGUF name; layer tensors without their "model.layers.N." / "blk.N." prefix.
GLOBAL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",  # both halves in one tensor, gate rows first
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    """GGUF name of a Hugging Face tensor."""
    if name in GLOBAL_NAMES:
        return GLOBAL_NAMES[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[module]}.{kind}"


def rotary_order(config, name):
    """Row order of a tensor in the GGUF file, or None where it is the checkpoint's.

    Arch llama rotates neighbouring rows, not the halves of a head: within a head of q and k, new
    row 2j + b is old row b * head_dim / 2 + j. The other architectures keep the halves.
    """
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    module = name.split(".")[-2]
    if config["model_type"] != "llama" or module not in heads:
        return None
    rows = np.arange(heads[module] * config["head_dim"])
    return rows.reshape(heads[module], 2, -1).transpose(0, 2, 1).ravel()


def read_case(out, case):
    """(config dictionary, tensors in float32 without the MTP layer) of a checkpoint."""
    directory = os.path.join(out, "models", case)
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tensors = common.load_tensors(os.path.join(directory, "model.safetensors"))
    return config, {name: value.to(torch.float32).numpy() for name, value in tensors.items()
                    if ".mtp_layers." not in name}


def add_keys(writer, config, matrix_type):
    """The metadata a converter of the real models writes, without a vocabulary."""
    writer.add_name("tiny random " + config["architectures"][0])
    writer.add_file_type(FILE_TYPES[matrix_type])
    writer.add_quantization_version(2)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(config["rope_theta"]))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if config["model_type"] == "llama":
        writer.add_rope_dimension_count(config["head_dim"])
    if config["model_type"] != "phi3":
        return
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    original = config["original_max_position_embeddings"]
    writer.add_rope_dimension_count(int(head_dim * config.get("partial_rotary_factor", 1.0)))
    writer.add_rope_scaling_orig_ctx_len(original)
    if "sliding_window" in config:  # old converters wrote no such key
        writer.add_sliding_window(config["sliding_window"] or 0)
    if config["rope_scaling"]:
        ratio = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(ratio) / math.log(original)))


def write_gguf(path, config, tensors, matrix_type):
    """One file: matrices in matrix_type, norms, biases and rope factors in F32."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    writer = GGUFWriter(path, ARCHITECTURES[config["model_type"]])
    add_keys(writer, config, matrix_type)
    for which in ("long", "short") if config["rope_scaling"] else ():
        factors = np.asarray(config["rope_scaling"][which + "_factor"], dtype=np.float32)
        writer.add_tensor(f"rope_factors_{which}.weight", factors)
    for name, value in tensors.items():
        order = rotary_order(config, name)
        value = value if order is None else value[order]
        if value.ndim == 1 or matrix_type == Type.F32:
            writer.add_tensor(gguf_name(name), value)
        else:
            packed = quantize(value, matrix_type)
            writer.add_tensor(gguf_name(name), packed, raw_dtype=matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path):
    """GGUF name -> float32 array in its original shape, decoded by the gguf package."""
    result = {}
    for tensor in GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        result[tensor.name] = dequantize(tensor.data, tensor.tensor_type).reshape(shape)
    return result


def model_of_gguf(config, path):
    """transformers' float32 model of a config.json with the weights of a GGUF file."""
    model = common.new_model(config)
    stored, used = read_gguf(path), set()
    for name, parameter in model.named_parameters():  # a tied head is listed once
        used.add(gguf_name(name))
        value, order = stored[gguf_name(name)].copy(), rotary_order(config, name)
        if order is not None:
            value[order] = stored[gguf_name(name)]
        parameter.copy_(torch.from_numpy(value))
    left = {name for name in stored if name not in used and not name.startswith("rope_factors")}
    assert not left, left
    return model


def make_no_window(folder, expected):
    """A file that only its layers and context tell to be Phi-3-mini-4k: the window is 2047."""
    case, name = PHI3_4K_CASE, "phi3-4k-no-window"
    tensors = {n: value.numpy() for n, value in make_models.checkpoint(case).items()}
    path = os.path.join(folder, name + ".gguf")
    config = {key: value for key, value in case.config.items() if key != "sliding_window"}
    write_gguf(path, config, tensors, Type.F32)
    tokens = common.random_tokens(case.seed, "tokens", case.lengths[0], case.config["vocab_size"])
    logits = common.forward(model_of_gguf(case.config, path), tokens)[0]
    full = common.forward(model_of_gguf(case.config | {"sliding_window": None}, path), tokens)[0]
    window = case.config["sliding_window"]
    share = np.abs(full - logits).max(-1) / np.ptp(logits)
    assert (share[:window] <= 1e-6).all() and (share[window:] > 1e-3).all(), share[window:]
    expected[f"{name}.tokens"] = tokens.astype(np.int32)
    expected[f"{name}.logits"] = logits[window:]


def write_version_2(source, target):
    """The same file with version 2 in its header; versions 2 and 3 share the layout."""
    with open(source, "rb") as file:
        data = bytearray(file.read())
    assert struct.unpack_from("<I", data, 4)[0] == 3
    struct.pack_into("<I", data, 4, 2)
    with open(target, "wb") as file:
        file.write(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    folder = os.path.join(out, "gguf")

    for case in F32_CASES:
        config, tensors = read_case(out, case)
        write_gguf(os.path.join(folder, f"{case}-f32.gguf"), config, tensors, Type.F32)

    expected = {}
    for name, (case, matrix_type, length) in QUANTISED.items():
        config, tensors = read_case(out, case)
        path = os.path.join(folder, name + ".gguf")
        write_gguf(path, config, tensors, matrix_type)
        model = model_of_gguf(config, path)
        source = common.load_tensors(os.path.join(out, "models", case, "expected.safetensors"))
        tokens = source[f"tokens.{length}"].numpy()
        logits = common.forward(model, tokens)[0]
        expected[f"{name}.tokens.{length}"] = tokens
        expected[f"{name}.logits.{length}"] = logits
        original = source[f"logits.{length}"].numpy()
        shift = np.abs(logits - original).max() / np.ptp(original)
        print(f"{name}: logits differ from the unrounded model's by {shift:.2e} of their range")
    make_no_window(folder, expected)
    common.save_expected(os.path.join(folder, "expected.safetensors"), expected)
    write_version_2(os.path.join(folder, "phi4-mini-q4_0.gguf"),
                    os.path.join(folder, "phi4-mini-q4_0-v2.gguf"))


if __name__ == "__main__":
    main()
