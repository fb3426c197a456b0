#!/usr/bin/env python3
"""Writes an ONNX model: the matrix products of one step, one behind the other.

usage: onnx_graph.py MODEL LAYERS HEAD OUT.onnx       LAYERS 0: all; HEAD 0 or 1
The products are MatMulNBits: 4 bits, a float32 scale for 32 weights, int8 activations. A product
that has more outputs than the next one has inputs is cut. The weights lie in OUT.onnx.data.
"""
import os
import pathlib
import sys
from typing import BinaryIO

from onnx import ModelProto, NodeProto, TensorProto, helper

from shapes import (BLOCK, Matrix, RandomWeights, configuration, head_matrix, layer_matrices, pad)

INT8_ACTIVATIONS = 4  # MatMulNBits' accuracy_level
LAST = 2**31 - 1


class Graph:
    """Nodes and weights as they are added; the weights go to a file at once."""

    def __init__(self, weights: BinaryIO, weights_name: str) -> None:
        self._file = weights
        self._file_name = weights_name
        self._random = RandomWeights(signed=False)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def _external(self, name: str, kind: int, shape: list[int], start: int) -> str:
        tensor = TensorProto(name=name, data_type=kind, dims=shape,
                             data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self._file_name), ("offset", start),
                           ("length", self._file.tell() - start)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name

    def multiply(self, name: str, matrix: Matrix, source: str) -> str:
        """Adds a product; returns its output."""
        start = pad(self._file)
        self._random.write_nibbles(self._file, matrix)
        weights = self._external(f"{name}.weights", TensorProto.UINT8,
                                 [matrix.n, matrix.k // BLOCK, BLOCK // 2], start)
        start = pad(self._file)
        self._random.write_scales(self._file, matrix, "<f4")
        scales = self._external(f"{name}.scales", TensorProto.FLOAT, [matrix.blocks], start)
        self.nodes.append(helper.make_node(
            "MatMulNBits", [source, weights, scales], [name], domain="com.microsoft",
            K=matrix.k, N=matrix.n, bits=4, block_size=BLOCK, accuracy_level=INT8_ACTIVATIONS))
        return name

    def cut(self, name: str, source: str, axis: int, start: int, end: int) -> str:
        """Adds a slice; returns its output."""
        inputs = [source]
        for what, value in (("start", start), ("end", end), ("axis", axis)):
            inputs.append(f"{name}.{what}")
            self.initializers.append(
                helper.make_tensor(inputs[-1], TensorProto.INT64, [1], [value]))
        self.nodes.append(helper.make_node("Slice", inputs, [name]))
        return name


def make_model(config: dict, head: bool, graph: Graph) -> ModelProto:
    """The chain; x [rows, hidden] -> y [1, vocab], or [rows, hidden] without a head."""
    value, width = "x", config["hidden"]
    for layer in range(config["layers"]):
        for matrix in layer_matrices(config):
            name = f"{layer}.{matrix.name}"
            if matrix.k != width:
                value = graph.cut(f"{name}.in", value, 1, 0, matrix.k)
            value, width = graph.multiply(name, matrix, value), matrix.n
    if head:
        value = graph.cut("last", value, 0, -1, LAST)
        value, width = graph.multiply("head", head_matrix(config), value), config["vocab"]
    graph.nodes.append(helper.make_node("Identity", [value], ["y"]))
    made = helper.make_graph(
        graph.nodes, "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", config["hidden"]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, width])],
        graph.initializers)
    return helper.make_model(made, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])


def main() -> None:
    model, layers, head, out = sys.argv[1:]
    weights = pathlib.Path(out + ".data")
    with open(weights, "wb") as file:
        made = make_model(configuration(model, int(layers), head == "1"), head == "1",
                          Graph(file, weights.name))
    unfinished = out + ".unfinished"
    pathlib.Path(unfinished).write_bytes(made.SerializeToString())
    os.replace(unfinished, out)


if __name__ == "__main__":
    main()
