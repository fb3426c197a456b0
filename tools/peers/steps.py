"""What the runtimes that only multiply do in their process: steps of one row and of a prompt."""
import json
import sys
import time
from typing import Callable

import numpy as np

PROMPT_ROWS = 512
DECODE_STEPS = 15
DECODE_WARM_UP = 2
PROMPT_RUNS = 2  # after the one that checks the graph


def seconds_of(step: Callable[[], object], warm_up: int, count: int) -> list[float]:
    """Seconds of each of `count` steps, after `warm_up` others."""
    times = []
    for index in range(warm_up + count):
        start = time.perf_counter()
        step()
        if index >= warm_up:
            times.append(time.perf_counter() - start)
    return times


def input_rows(rows: int, width: int) -> np.ndarray:
    """[rows, width] floats."""
    return np.random.default_rng(1).standard_normal((rows, width), dtype=np.float32)


def check(y: np.ndarray) -> None:
    """SystemExit when the graph gives no usable numbers."""
    if not np.isfinite(y).all() or not y.any():
        sys.exit("the products give no usable numbers")


def print_report(version: str, seconds: dict[str, list[float]]) -> None:
    """One line of JSON: version, and the seconds of each repetition by figure."""
    print(json.dumps({"version": version, **seconds}))
