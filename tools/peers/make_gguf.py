#!/usr/bin/env python3
"""Writes the GGUF file that midge and llama.cpp read: Q4_0, random weights.

usage: make_gguf.py MODEL LAYERS HEAD OUT.gguf       LAYERS 0: all; HEAD 0 or 1
"""
import os
import sys

from shapes import configuration, synth_gguf

TYPE = "q4_0"


def main() -> None:
    model, layers, head, out = sys.argv[1:]
    config = configuration(model, int(layers), head == "1")
    unfinished = out + ".unfinished"
    synth_gguf.write(unfinished, synth_gguf.metadata(model, config, TYPE),
                     list(synth_gguf.tensors(config, TYPE)))
    os.replace(unfinished, out)


if __name__ == "__main__":
    main()
