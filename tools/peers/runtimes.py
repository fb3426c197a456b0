"""ONNX Runtime and LiteRT as rows: generated graphs of matrix products, run by Python."""
import json
import statistics
from typing import Any

import child
import midge
import model_files
from places import HERE, PYTHON, PeerError
from records import PROMPT_TOKENS, Row, Sample, Setup

ONLY_PRODUCTS = "matrix products only: no attention, norms, activations or sampling"
FUSED = "q, k and v are one product, gate and up as well; slices between products are counted"


def read_report(text: str) -> dict[str, Any]:
    """Version, and medians of the seconds that were measured."""
    report = json.loads(text.splitlines()[-1])
    return {key: statistics.median(value) if isinstance(value, list) else value
            for key, value in report.items()}


class Runtime:
    """A runtime: a program that writes its graph, and one that measures it."""

    def __init__(self, row: Row, suffix: str, graph: str, program: str,
                 runs: tuple[tuple[object, ...], ...]) -> None:
        self.NAME = row.name
        self.ROWS = (row,)
        self._suffix = suffix
        self._graph = graph
        self._program = program
        self._runs = runs  # more arguments of the measuring program, one process each

    def prepare(self, setup: Setup) -> None:
        """Writes the graph when it is not there."""
        if not PYTHON.exists():
            raise PeerError("not installed: tools/peers/install.py python")
        model_files.make(setup, self._suffix, self._graph)

    def measure(self, setup: Setup) -> dict[str, Sample]:
        """One round."""
        finished = [child.run([PYTHON, HERE / self._program, setup.file(self._suffix),
                               setup.threads, *arguments]) for arguments in self._runs]
        report: dict[str, Any] = {}
        for run in finished:
            report |= read_report(run.output)
        return {self.NAME: Sample(report["version"], setup.threads, report["decode_seconds"],
                                  report["prompt_seconds"],
                                  max(run.memory_bytes for run in finished),
                                  max(run.other_cores for run in finished))}


ONNX_RUNTIME = Runtime(
    Row("ONNX Runtime", "int4, f32 scale for 32, 5 bits", midge.PRODUCTS,
        (ONLY_PRODUCTS, FUSED, "MatMulNBits with int8 activations (`accuracy_level` 4)")),
    ".onnx", "onnx_graph.py", "onnx_measure.py", ((),))
LITERT = Runtime(
    Row("LiteRT", "int4, f16 scale for 32, 4.5 bits", midge.PRODUCTS,
        (ONLY_PRODUCTS, FUSED, "FULLY_CONNECTED by XNNPACK with int8 activations",
         "decoding and prompt in two processes; the memory is that of the larger one")),
    ".tflite", "litert_graph.py", "litert_measure.py", ((1,), (PROMPT_TOKENS,)))
