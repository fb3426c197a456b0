#!/usr/bin/env python3
"""Makes llama_cpp/: a random model quantised by llama.cpp; the gguf package cannot write K-quants.

    npm install --prefix build/llama_cpp @node-llama-cpp/linux-x64@3.22.1
    python3 tools/oracle/make_llama_cpp.py --out tests/data/golden \\
        --library build/llama_cpp/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64

The package holds the prebuilt library (llama.cpp v0.5.0) of node-llama-cpp; it is called through
ctypes. llama.cpp chooses the type of each tensor by its own rules for a mix. The expected logits
come from transformers on the weights as the gguf package decodes them, in float32.
"""
import argparse
import ctypes
import os
import tempfile

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, LlamaFileType

import common
import make_gguf
import make_models
from tiny_configs import PHI4_MINI_256_CASE as CASE

FILES = {
    "phi4-mini-q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
    "phi4-mini-q5_k_m": LlamaFileType.MOSTLY_Q5_K_M,
    "phi4-mini-q4_0": LlamaFileType.MOSTLY_Q4_0,
}


class QuantizeParams(ctypes.Structure):
    """llama_model_quantize_params of llama.h; the 56 bytes after ftype keep their defaults."""

    _fields_ = [
        ("nthread", ctypes.c_int32), ("ftype", ctypes.c_int32), ("rest", ctypes.c_uint64 * 7)]


def load_library(folder):
    """libllama of the npm package, and the ggml libraries that it needs, in this order."""
    names = os.listdir(folder)
    for prefix in ("libggml-base.", "libggml.", "libllama."):
        path = next(name for name in names if name.startswith(prefix))
        library = ctypes.CDLL(os.path.join(folder, path), mode=ctypes.RTLD_GLOBAL)
    library.llama_model_quantize_default_params.restype = QuantizeParams
    library.llama_model_quantize.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(QuantizeParams)]
    library.llama_model_quantize.restype = ctypes.c_uint32
    return library


def expected_of(folder, name):
    """(tokens, logits) of one of the FILES."""
    tokens = common.random_tokens(CASE.seed, "tokens", CASE.lengths[0], CASE.config["vocab_size"])
    model = make_gguf.model_of_gguf(CASE.config, os.path.join(folder, name + ".gguf"))
    return tokens.astype(np.int32), common.forward(model, tokens)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    parser.add_argument("--library", required=True, help="folder that holds libllama")
    arguments = parser.parse_args()
    folder = os.path.join(arguments.out, "llama_cpp")
    os.makedirs(folder, exist_ok=True)
    library = load_library(arguments.library)
    library.llama_backend_init()
    tensors = {name: value.numpy() for name, value in make_models.checkpoint(CASE).items()}
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "f32.gguf")
        make_gguf.write_gguf(source, CASE.config, tensors, Type.F32)
        for name, file_type in FILES.items():
            params = library.llama_model_quantize_default_params()
            params.nthread, params.ftype = 1, file_type
            path = os.path.join(folder, name + ".gguf")
            code = library.llama_model_quantize(
                source.encode(), path.encode(), ctypes.byref(params))
            assert code == 0, (name, code)
            expected[f"{name}.tokens"], expected[f"{name}.logits"] = expected_of(folder, name)
            for tensor in GGUFReader(path).tensors:
                print(f"{name}: {tensor.name} {tensor.tensor_type.name}")
    common.save_expected(os.path.join(folder, "expected.safetensors"), expected)


if __name__ == "__main__":
    main()
