#!/usr/bin/env python3
"""Makes the float weights that quality is measured against: SmolLM2-135M-Instruct in float32.

    tools/fetch_real_model.sh
    python3 tools/quality/make_original.py [--plain] [--out build/models/smollm2-original]

The fetched file holds Q4_1 and Q8_0 weights, not the floats that were published. On that grid any
form with a minimum per block looks perfect. So each weight of a matrix gets uniform noise of plus
or minus half its block's step, from a fixed seed: what comes out lies on no grid. --plain leaves
the noise out.

Writes a Hugging Face directory: config.json, model.safetensors, tokenizer.json and
tokenizer_config.json. Needs the Python packages numpy, gguf and safetensors.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "vocab"))
import fetch_vocabularies  # noqa: E402

MODEL = ROOT / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
    "max_position_embeddings": 8192, "rope_theta": 100000.0, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True, "hidden_act": "silu",
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}
LAYER_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm"}
HEADS = {"attn_q": 9, "attn_k": 3}
BLOCK_BYTES = {"Q4_1": 20, "Q8_0": 34}
SEED = 7


def hugging_face_name(name):
    """The checkpoint's name of a GGUF tensor."""
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, suffix = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.{suffix}"


def halves_apart(name, rows):
    """Undoes the order of arch llama, where the two halves of a head alternate row by row."""
    for part, heads in HEADS.items():
        if part + "." in name:
            n, k = rows.shape
            return rows.reshape(heads, n // heads // 2, 2, k).swapaxes(1, 2).reshape(n, k)
    return rows


def half_steps(tensor, shape):
    """Half the step of each weight's block: both types begin a block of 32 with it as f16."""
    blocks = np.asarray(tensor.data).reshape(-1, BLOCK_BYTES[tensor.tensor_type.name])
    steps = np.abs(blocks[:, :2].copy().view(np.float16).astype(np.float32).reshape(-1))
    return np.repeat(steps / 2, 32).reshape(shape)


def read_weights(path, dither):
    """(name, float32 array) of every tensor, under the names and in the order of rows of the
    checkpoint."""
    for tensor in GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        name = hugging_face_name(tensor.name)
        if dither and tensor.tensor_type.name in BLOCK_BYTES:
            generator = np.random.default_rng([SEED, *name.encode()])
            noise = generator.random(shape, dtype=np.float32) * 2 - 1
            values = values + noise * half_steps(tensor, shape)
        yield name, halves_apart(tensor.name, values).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=MODEL)
    parser.add_argument("--plain", action="store_true", help="the file's weights without noise")
    parser.add_argument("--out", type=pathlib.Path, help="default: build/models/smollm2-original, "
                        "or with --plain build/models/smollm2-plain")
    arguments = parser.parse_args()
    name = "smollm2-plain" if arguments.plain else "smollm2-original"
    out = arguments.out or ROOT / "build" / "models" / name
    tokenizer = fetch_vocabularies.make_smollm2(arguments.model)
    if tokenizer is None:
        return 1
    fetch_vocabularies.write(out, tokenizer, fetch_vocabularies.SMOLLM2_CONFIG)
    weights = {key: np.ascontiguousarray(value)
               for key, value in read_weights(arguments.model, not arguments.plain)}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    print(f"{out}: {sum(v.size for v in weights.values())} weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
