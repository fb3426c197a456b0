#!/usr/bin/env python3
"""Writes a LiteRT model: the matrix products of one step, one behind the other.

usage: litert_graph.py MODEL LAYERS HEAD OUT.tflite       LAYERS 0: all; HEAD 0 or 1
The products are FULLY_CONNECTED: 4 bits, a float16 scale for 32 weights, float inputs, which
XNNPACK makes int8. A product that has more outputs than the next one has inputs is cut. The
weights lie behind the flatbuffer, which alone may not have more than 2 GiB.
"""
import io
import os
import pathlib
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from shapes import (ALIGNMENT, BLOCK, Matrix, RandomWeights, configuration, head_matrix,
                    layer_matrices, pad)

FULLY_CONNECTED, STRIDED_SLICE = 0, 1  # places in the model's operator codes
FULLY_CONNECTED_VERSION = 13
STRIDED_SLICE_VERSION = 1
IDENTIFIER = b"TFL3"


class Graph:
    """Tensors, operators and buffers as they are added; weights go to a file at once."""

    def __init__(self, weights: io.BufferedIOBase) -> None:
        self._file = weights
        self._random = RandomWeights(signed=True)
        self.tensors: list[schema.TensorT] = []
        self.operators: list[schema.OperatorT] = []
        self.buffers = [schema.BufferT()]  # 0: tensors without data
        self.outside: list[schema.BufferT] = []  # whose offsets count from the file of weights

    def tensor(self, name: str, kind: int, shape: list[int], buffer: int = 0,
               signature: list[int] | None = None) -> int:
        """Adds a tensor; returns its number."""
        self.tensors.append(schema.TensorT(
            shape=shape, type=kind, buffer=buffer, name=name, shapeSignature=signature,
            hasRank=True))
        return len(self.tensors) - 1

    def activations(self, name: str, width: int, one_row: bool = False) -> int:
        """Adds [rows, width] floats."""
        return self.tensor(name, schema.TensorType.FLOAT32, [1, width],
                           signature=[1 if one_row else -1, width])

    def numbers(self, name: str, values: list[int]) -> int:
        """Adds a constant."""
        data = np.array(values, "<i4").view(np.uint8)
        self.buffers.append(schema.BufferT(data=data))
        return self.tensor(name, schema.TensorType.INT32, [len(values)], len(self.buffers) - 1)

    def _stored(self, start: int) -> int:
        buffer = schema.BufferT(offset=start, size=self._file.tell() - start)
        self.buffers.append(buffer)
        self.outside.append(buffer)
        return len(self.buffers) - 1

    def multiply(self, name: str, matrix: Matrix, source: int, one_row: bool = False) -> int:
        """Adds a product; returns its output."""
        start = pad(self._file)
        self._random.write_scales(self._file, matrix, "<f2")
        scales = self.tensor(f"{name}.scales", schema.TensorType.FLOAT16,
                             [matrix.n, matrix.k // BLOCK], self._stored(start))
        start = pad(self._file)
        self._random.write_nibbles(self._file, matrix)
        weights = self.tensor(f"{name}.weights", schema.TensorType.INT4, [matrix.n, matrix.k],
                              self._stored(start))
        self.tensors[weights].quantization = schema.QuantizationParametersT(
            detailsType=schema.QuantizationDetails.BlockwiseQuantization,
            details=schema.BlockwiseQuantizationT(scales=scales, zeroPoints=-1, blockSize=BLOCK))
        output = self.activations(name, matrix.n, one_row)
        self.operators.append(schema.OperatorT(
            opcodeIndex=FULLY_CONNECTED, inputs=[source, weights, -1], outputs=[output],
            builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
            builtinOptions=schema.FullyConnectedOptionsT(keepNumDims=True,
                                                         asymmetricQuantizeInputs=True)))
        return output

    def cut(self, name: str, source: int, width: int, last_row: bool = False) -> int:
        """Adds a slice of the first `width` columns; returns its output."""
        begin = self.numbers(f"{name}.begin", [-1 if last_row else 0, 0])
        end = self.numbers(f"{name}.end", [0, width])
        strides = self.numbers(f"{name}.strides", [1, 1])
        output = self.activations(name, width, last_row)
        self.operators.append(schema.OperatorT(
            opcodeIndex=STRIDED_SLICE, inputs=[source, begin, end, strides], outputs=[output],
            builtinOptionsType=schema.BuiltinOptions.StridedSliceOptions,
            builtinOptions=schema.StridedSliceOptionsT(endMask=1)))
        return output


def make_chain(config: dict, head: bool, graph: Graph) -> tuple[int, int]:
    """The chain; x [rows, hidden] -> y [1, vocab], or [rows, hidden] without a head."""
    x = graph.activations("x", config["hidden"])
    value, width = x, config["hidden"]
    for layer in range(config["layers"]):
        for matrix in layer_matrices(config):
            name = f"{layer}.{matrix.name}"
            if matrix.k != width:
                value = graph.cut(f"{name}.in", value, matrix.k)
            value, width = graph.multiply(name, matrix, value), matrix.n
    if head:
        value = graph.cut("last", value, width, last_row=True)
        value = graph.multiply("head", head_matrix(config), value, one_row=True)
    return x, value


def operator_code(code: int, version: int) -> schema.OperatorCodeT:
    return schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=version)


def pack(graph: Graph, x: int, y: int) -> bytes:
    """The flatbuffer."""
    builtin = schema.BuiltinOperator
    model = schema.ModelT(
        version=3, buffers=graph.buffers, description="products",
        operatorCodes=[operator_code(builtin.FULLY_CONNECTED, FULLY_CONNECTED_VERSION),
                       operator_code(builtin.STRIDED_SLICE, STRIDED_SLICE_VERSION)],
        subgraphs=[schema.SubGraphT(tensors=graph.tensors, inputs=[x], outputs=[y],
                                    operators=graph.operators, name="products")])
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def main() -> None:
    model, layers, head, out = sys.argv[1:]
    unfinished = pathlib.Path(out + ".unfinished")
    config = configuration(model, int(layers), head == "1")
    # The flatbuffer goes into a hole at the start, when the places of the weights are known.
    hole = ALIGNMENT * 1024
    with open(unfinished, "wb") as file:
        file.seek(hole)
        graph = Graph(file)
        x, y = make_chain(config, head == "1", graph)
        flatbuffer = pack(graph, x, y)
        if len(flatbuffer) > hole:
            sys.exit(f"the flatbuffer takes {len(flatbuffer)} bytes, more than {hole}")
        file.seek(0)
        file.write(flatbuffer)
    os.replace(unfinished, out)


if __name__ == "__main__":
    main()
