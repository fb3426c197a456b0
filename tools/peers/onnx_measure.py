#!/usr/bin/env python3
"""Runs a model of onnx_graph.py and prints the seconds of its steps as JSON.

usage: onnx_measure.py MODEL.onnx THREADS
"""
import sys

import onnxruntime

import steps


def main() -> None:
    model, threads = sys.argv[1], int(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    width = session.get_inputs()[0].shape[1]
    x = steps.input_rows(steps.PROMPT_ROWS, width)
    row = x[:1].copy()
    steps.check(session.run(None, {"x": x})[0])
    steps.print_report(onnxruntime.__version__, {
        "decode_seconds": steps.seconds_of(lambda: session.run(None, {"x": row}),
                                           steps.DECODE_WARM_UP, steps.DECODE_STEPS),
        "prompt_seconds": steps.seconds_of(lambda: session.run(None, {"x": x}),
                                           0, steps.PROMPT_RUNS)})


if __name__ == "__main__":
    main()
