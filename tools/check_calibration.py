#!/usr/bin/env python3
"""Compares what calibration chooses on this machine with the micro-benchmarks: for every case that
`midge cpu --calibrate` measures, the chosen kernel's rate in midge_bench_kernels against the best
candidate's. Exit code 1 if a choice is slower than --tolerance allows. The machine should be idle.

    tools/check_calibration.py build/release
"""

import argparse
import json
import pathlib
import subprocess
import sys

MATRIX = "phi4_mini.gate"
ATTENTION = "phi4_mini.head/length:1024"


def run_json(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def benchmark_name(rate):
    """The benchmark that comes nearest to a case; the unpack kernel stands for a level's prefill."""
    kernel = rate["kernel"]
    if rate["operation"] == "gemv":
        return f"gemv/{kernel}/{MATRIX}/m:{rate['rows']}/cold"
    if rate["operation"] == "attn":
        return f"attn/{kernel}/{ATTENTION}"
    level = kernel.split("x32_", 1)[1]
    return f"prefill/unpack_q8s256_{rate['encoding']}_{level}/{MATRIX}/m:64/cold"


def benchmark_rates(program, names, repetitions):
    pattern = "^(" + "|".join(sorted(names)) + ")$"
    report = run_json([program, f"--benchmark_filter={pattern}", "--benchmark_format=json",
                       f"--benchmark_repetitions={repetitions}",
                       "--benchmark_enable_random_interleaving=true"])
    return {entry["run_name"]: entry["GB/s"] for entry in report["benchmarks"]
            if entry.get("aggregate_name") == "median"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=pathlib.Path, help="folder of the release build")
    parser.add_argument("--tolerance", type=float, default=0.03)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()

    report = run_json([options.build / "midge", "cpu", "--calibrate", "--json", "--cache-dir", ""])
    rates = [rate for rate in report["calibration"]["rates"] if rate["core_type"] == 0]
    measured = benchmark_rates(options.build / "midge_bench_kernels",
                               {benchmark_name(rate) for rate in rates}, options.repetitions)
    cases = {}
    for rate in rates:
        cases.setdefault((rate["operation"], rate["encoding"], rate["rows"]), []).append(rate)

    def seconds(case, kernel):
        return 1 / measured[benchmark_name(next(r for r in case if r["kernel"] == kernel))]

    wrong = 0

    def judge(what, times, chosen):
        nonlocal wrong
        share = min(times.values()) / times[chosen]
        verdict = "" if share >= 1 - options.tolerance else "  WRONG"
        wrong += verdict != ""
        print(f"{what:32} {share:6.3f} of the best  {chosen}{verdict}")

    panels = {}
    panel = None
    for (operation, encoding, rows), case in cases.items():
        chosen = next(r["kernel"] for r in case if r["chosen"])
        times = {r["kernel"]: seconds(case, r["kernel"]) for r in case}
        if operation == "gemm_panel":  # one level for all encodings
            panel = chosen
            for kernel, time in times.items():
                panels[kernel] = panels.get(kernel, 0) + time
        else:
            judge(f"{operation} {encoding} rows {rows}", times, chosen)
    if panel is not None:
        judge("prefill, all encodings", panels, panel)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
