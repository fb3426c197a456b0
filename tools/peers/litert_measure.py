#!/usr/bin/env python3
"""Runs a model of litert_graph.py and prints the seconds of its steps as JSON.

usage: litert_measure.py MODEL.tflite THREADS ROWS
ROWS 1 measures decoding, more a prompt of as many tokens: LiteRT prepares a graph for one shape.
"""
import importlib.metadata
import sys

from ai_edge_litert.interpreter import Interpreter

import steps


def main() -> None:
    model, threads, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    interpreter = Interpreter(model_path=model, num_threads=threads)
    x = interpreter.get_input_details()[0]
    width = x["shape"][1]
    interpreter.resize_tensor_input(x["index"], [rows, width])
    interpreter.allocate_tensors()
    interpreter.set_tensor(x["index"], steps.input_rows(rows, width))
    interpreter.invoke()
    steps.check(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    figure, warm_up, count = (("decode_seconds", steps.DECODE_WARM_UP, steps.DECODE_STEPS)
                              if rows == 1 else ("prompt_seconds", 0, steps.PROMPT_RUNS))
    steps.print_report(importlib.metadata.version("ai-edge-litert"),
                       {figure: steps.seconds_of(interpreter.invoke, warm_up, count)})


if __name__ == "__main__":
    main()
