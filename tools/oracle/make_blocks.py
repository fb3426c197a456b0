#!/usr/bin/env python3
"""Makes blocks/<type>.safetensors: encoded weight blocks and the values the gguf package reads.

    python3 tools/oracle/make_blocks.py --out tests/data/golden

bytes: U8 [blocks, bytes per block]; values: F32 [blocks, elements per block]. 64 random blocks
come first, then the extremes of scales and payload. Scales are finite. For F16 and BF16 a block
is one element: 4096 bit patterns, NaN left out, infinities included.
"""
import argparse
import os

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize

import common

SEED = 21
RANDOM_BLOCKS = 64
# Byte offsets of the f16 scale and, where there is one, of the f16 offset in a block.
SCALE_OFFSETS = {
    Type.Q4_0: (0,),
    Type.Q4_1: (0, 2),
    Type.Q5_0: (0,),
    Type.Q5_1: (0, 2),
    Type.Q8_0: (0,),
    Type.Q4_K: (0, 2),
    Type.Q5_K: (0, 2),
    Type.Q6_K: (208,),
}
# f16 patterns: zeros, smallest and largest subnormals, smallest normal, one, largest, both signs.
SCALES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00,
                   0x7BFF, 0xFBFF], dtype=np.uint16)


def put_scale(blocks, offset, patterns):
    """Writes one little-endian f16 pattern per block."""
    blocks[:, offset:offset + 2] = patterns.astype("<u2").view(np.uint8).reshape(-1, 2)


def quantised_blocks(block_type):
    """[blocks, bytes] uint8: random ones, every scale of SCALES, all bits clear, all bits set."""
    rng = common.rng_for(SEED, block_type.name)
    size = GGML_QUANT_SIZES[block_type][1]
    offsets = SCALE_OFFSETS[block_type]
    usual = rng.integers(0, 256, size=(RANDOM_BLOCKS, size), dtype=np.uint8)
    special = rng.integers(0, 256, size=(len(SCALES), size), dtype=np.uint8)
    for index, offset in enumerate(offsets):
        scales = (0.02 * rng.standard_normal(RANDOM_BLOCKS)).astype(np.float16)
        put_scale(usual, offset, scales.view(np.uint16))
        put_scale(special, offset, np.roll(SCALES, 3 * index))
    flat = np.zeros((4, size), dtype=np.uint8)
    flat[1:] = 0xFF
    for offset in offsets:  # all ones would be a NaN scale
        put_scale(flat, offset, np.array([0x0000, 0x3C00, 0x7BFF, 0xFBFF], dtype=np.uint16))
    return np.concatenate([usual, special, flat])


def float_patterns(block_type):
    """4096 distinct 16-bit patterns without NaN: all edges of every exponent, then random ones."""
    bits = 10 if block_type == Type.F16 else 7
    edges = {0, 1, 2, (1 << bits) // 2 - 1, (1 << bits) // 2, (1 << bits) - 2, (1 << bits) - 1}
    exponents = np.arange(1 << (15 - bits))
    patterns = {int(sign << 15 | exponent << bits | mantissa)
                for sign in (0, 1) for exponent in exponents for mantissa in edges}
    largest = (len(exponents) - 1) << bits  # infinity; everything above it is NaN
    if block_type == Type.F16:
        patterns |= {1 << bit for bit in range(bits)}
    rest = common.rng_for(SEED, block_type.name).permutation(1 << 16)
    patterns = [p for p in sorted(patterns) if p & 0x7FFF <= largest]
    taken = set(patterns)
    patterns += [int(p) for p in rest if p & 0x7FFF <= largest and int(p) not in taken]
    return np.array(patterns[:4096], dtype="<u2").view(np.uint8).reshape(-1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    for block_type in (Type.F16, Type.BF16, *SCALE_OFFSETS):
        floating = block_type in (Type.F16, Type.BF16)
        blocks = float_patterns(block_type) if floating else quantised_blocks(block_type)
        elements, size = GGML_QUANT_SIZES[block_type]
        values = dequantize(blocks, block_type).reshape(-1, elements)
        assert blocks.shape == (len(values), size) and not np.isnan(values).any()
        assert floating or np.isfinite(values).all()
        path = os.path.join(out, "blocks", block_type.name.lower() + ".safetensors")
        common.save_expected(path, {"bytes": blocks, "values": values})
        print(f"{block_type.name}: {len(blocks)} blocks")


if __name__ == "__main__":
    main()
