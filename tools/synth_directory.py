#!/usr/bin/env python3
"""Writes a full-size Hugging Face directory with random bf16 weights, for measurements of speed and
memory.

usage: synth_directory.py MODEL OUT [--vocabulary DIRECTORY] [--sparse]
  MODEL         phi4-mini, phi4, mimo-7b (with its MTP layer); a suffix such as -4L keeps 4 layers
  --sparse      no weights, a hole of their size: for midge plan, which does not read them
  --vocabulary  a folder whose tokenizer.json and tokenizer_config.json are copied

The values are random; speed and memory do not depend on them. Needs numpy.
"""
import argparse
import json
import os
import re
import shutil
import struct

import numpy as np

MODELS = {
    "phi4-mini": dict(
        model_type="phi3", num_hidden_layers=32, hidden_size=3072, intermediate_size=8192,
        num_attention_heads=24, num_key_value_heads=8, vocab_size=200064,
        max_position_embeddings=131072, original_max_position_embeddings=4096, rope_theta=10000.0,
        partial_rotary_factor=0.75, rms_norm_eps=1e-5, tie_word_embeddings=True,
        eos_token_id=199999, sliding_window=262144, rope_scaling=dict(
            type="longrope", short_factor=[1.0] * 48,
            long_factor=[round(1 + i * 31 / 47, 6) for i in range(48)])),
    "phi4": dict(
        model_type="phi3", num_hidden_layers=40, hidden_size=5120, intermediate_size=17920,
        num_attention_heads=40, num_key_value_heads=10, vocab_size=100352,
        max_position_embeddings=16384, original_max_position_embeddings=16384, rope_theta=250000.0,
        partial_rotary_factor=1.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
        eos_token_id=100265, sliding_window=None, rope_scaling=None),
    "mimo-7b": dict(
        model_type="mimo", num_hidden_layers=36, hidden_size=4096, intermediate_size=11008,
        num_attention_heads=32, num_key_value_heads=8, vocab_size=151680,
        max_position_embeddings=32768, rope_theta=640000.0, rms_norm_eps=1e-5,
        tie_word_embeddings=False, attention_bias=True, num_nextn_predict_layers=1,
        use_sliding_window=False, eos_token_id=151645),
}
POOL = 1 << 22

rng = np.random.default_rng(7)


def bf16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def layer_tensors(prefix, c, fused):
    h, inner = c["hidden_size"], c["intermediate_size"]
    head = h // c["num_attention_heads"]
    kv = c["num_key_value_heads"] * head
    tensors = {"input_layernorm": (h,), "post_attention_layernorm": (h,),
               "self_attn.o_proj": (h, h), "mlp.down_proj": (h, inner)}
    if fused:
        tensors["self_attn.qkv_proj"] = (h + 2 * kv, h)
        tensors["mlp.gate_up_proj"] = (2 * inner, h)
    else:
        tensors |= {"self_attn.q_proj": (h, h), "self_attn.k_proj": (kv, h),
                    "self_attn.v_proj": (kv, h), "mlp.gate_proj": (inner, h),
                    "mlp.up_proj": (inner, h)}
    result = {f"{prefix}{name}.weight": shape for name, shape in tensors.items()}
    if c.get("attention_bias"):
        result |= {f"{prefix}self_attn.{x}_proj.bias": (rows,)
                   for x, rows in (("q", h), ("k", kv), ("v", kv))}
    return result


def all_tensors(c):
    h, fused = c["hidden_size"], c["model_type"] == "phi3"
    tensors = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    for i in range(c["num_hidden_layers"]):
        tensors |= layer_tensors(f"model.layers.{i}.", c, fused)
    if not c["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (c["vocab_size"], h)
    if c.get("num_nextn_predict_layers"):
        prefix = "model.mtp_layers.0."
        tensors |= layer_tensors(prefix, c, fused)
        tensors |= {prefix + "token_layernorm.weight": (h,), prefix + "hidden_layernorm.weight": (h,),
                    prefix + "final_layernorm.weight": (h,), prefix + "input_proj.weight": (h, 2 * h)}
    return tensors


def write_weights(path, tensors, sparse):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pool = bf16(0.02 * rng.standard_normal(POOL, dtype=np.float32))
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if sparse:
            file.truncate(8 + len(text) + at)
            return
        for shape in tensors.values():
            left = int(np.prod(shape))
            if len(shape) == 1:
                file.write(bf16(1 + 0.01 * rng.standard_normal(left)).tobytes())
                continue
            while left > 0:  # another part of the pool each time: rows differ
                start = int(rng.integers(0, POOL // 2))
                piece = pool[start:start + left]
                file.write(piece.tobytes())
                left -= len(piece)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--vocabulary")
    parser.add_argument("--sparse", action="store_true")
    arguments = parser.parse_args()
    name, layers = re.fullmatch(r"(.*?)(?:-(\d+)L)?", arguments.model).groups()
    config = dict(MODELS[name])
    if layers:
        config["num_hidden_layers"] = int(layers)
    os.makedirs(arguments.out, exist_ok=True)
    with open(os.path.join(arguments.out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    if arguments.vocabulary:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(os.path.join(arguments.vocabulary, file), arguments.out)
    write_weights(os.path.join(arguments.out, "model.safetensors"), all_tensors(config),
                  arguments.sparse)


if __name__ == "__main__":
    main()
