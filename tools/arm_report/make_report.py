#!/usr/bin/env python3
"""Makes docs/arm-kernels.md: what every arm64 kernel of kernels/kernels.def costs.

usage: tools/arm_report/make_report.py                  builds, counts, estimates, writes the report
       tools/arm_report/make_report.py --check          counts alone, compared with the report
       tools/arm_report/make_report.py --json FILE ...  the numbers too, "-" for standard output
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import counting
import mca
import render
from comments import comments_of
from loops import Loop, disassemble, find_loops, stack_accesses, vector_registers

REPORT = counting.ROOT / "docs" / "arm-kernels.md"
SKIPPED = 77  # the exit code that tells ctest so


@dataclasses.dataclass
class Measured:
    """Everything about one case."""
    counts: counting.Counts
    loops: list[Loop]
    registers: int
    stack_accesses: int
    estimates: dict[str, list[mca.Estimate] | None]


def show_progress(what):
    """A function (done, of) that keeps a line of a terminal up to date."""
    def show(done, of):
        if sys.stderr.isatty():
            print(f"\r{what}: {done} of {of} ", end="\n" if done == of else "", file=sys.stderr,
                  flush=True)
    return show


def build(folder):
    """Configures and builds the program that calls the kernels."""
    if folder == counting.ROOT / "build" / "arm64-emu":
        subprocess.run(["cmake", "--preset", "arm64-emu"], cwd=counting.ROOT, check=True,
                       stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", "midge_count_kernel"], check=True,
                   stdout=sys.stderr)


def check(counted):
    """Compares with the committed report; returns the exit code."""
    rows = {}
    for line in REPORT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) > 2:
            rows.setdefault(tuple(cells[:2]), cells)  # the first table has the counts
    wrong = 0
    for counts in counted:
        expected = render.count_row(counts)
        found = rows.get(tuple(expected[:2]))
        if found != expected:
            wrong += 1
            print(f"{counts.case.kernel} {counts.case.name}: counted {expected[2:]}, "
                  f"{REPORT.name} has {found[2:] if found else 'nothing'}")
    print(f"{len(counted)} cases counted, {wrong} differ from {REPORT.name}")
    if wrong:
        print("if that is meant: run tools/arm_report/make_report.py")
    return 1 if wrong else 0


def measure(program, counted):
    """Adds loops and estimates to the counts."""
    code = disassemble(program)
    measured = []
    show = show_progress("cycles")
    for counts in counted:
        loops = find_loops(code, counts)
        estimates = {core: mca.estimate(loops, core) for core in mca.CORES}
        measured.append(Measured(counts, loops, vector_registers(loops[0]),
                                 stack_accesses(loops[0]), estimates))
        show(len(measured), len(counted))
    return measured


def as_json(counted, measured, compiler):
    """The numbers of the report; without cycles if nothing was estimated."""
    cases = []
    for i, counts in enumerate(counted):
        entry = {**dataclasses.asdict(counts.case), "instructions": counts.kinds}
        if measured:
            entry["loops"] = [{"share": loop.share, "iterations": loop.iterations,
                               "instructions": len(loop.text)} for loop in measured[i].loops]
            entry["cycles_per_unit"] = {
                core: mca.cycles_per_unit(counts, measured[i].loops, estimates)
                for core, estimates in measured[i].estimates.items() if estimates}
            entry["hottest_loop"] = {
                core: dataclasses.asdict(estimates[0])
                for core, estimates in measured[i].estimates.items() if estimates}
        cases.append(entry)
    return json.dumps({"schema": "midge.arm-kernels", "version": 1, "compiler": compiler,
                       "cases": cases}, indent=1) + "\n"


def comments_of_all(counted):
    """Comments by kernel; says which kernels state no limit."""
    found = {counts.case.kernel: comments_of(counts.case.kernel) for counts in counted}
    silent = [kernel for kernel, comments in found.items() if not comments.limits]
    if silent:
        print("no head comment says what these are bound by: " + ", ".join(silent),
              file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="count and compare, write nothing")
    parser.add_argument("--kernels", nargs="+", default=["*"], metavar="GLOB",
                        help="only these, with --check or --json")
    parser.add_argument("--json", metavar="FILE", help="the numbers; - is standard output")
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER",
                        default=counting.ROOT / "build" / "arm64-emu")
    parser.add_argument("--no-build", action="store_true", help="the program is up to date")
    options = parser.parse_args()
    if options.kernels != ["*"] and not (options.check or options.json):
        parser.error("--kernels wants --check or --json: the report has all kernels")

    missing = counting.missing_tool()
    if missing:
        print(f"skipped: needs {missing}")
        return SKIPPED
    if not options.check and shutil.which("llvm-mca-19") is None:
        sys.exit("needs the package llvm-19; --check does without")
    folder = options.build.resolve()
    if not options.no_build:
        build(folder)
    program = folder / "tests" / "counts" / "midge_count_kernel"
    compiler, cases = counting.list_cases(program, options.kernels)
    if options.check and f"Compiler: {compiler}\n" not in REPORT.read_text():
        print(f"skipped: {REPORT.name} was not made with {compiler}")
        return SKIPPED
    if not cases:
        sys.exit(f"no arm64 kernel matches {' '.join(options.kernels)}")
    counted = counting.count_all(program, cases, show_progress("instructions"))
    measured = [] if options.check else measure(program, counted)
    if options.json == "-":
        sys.stdout.write(as_json(counted, measured, compiler))
    elif options.json:
        pathlib.Path(options.json).write_text(as_json(counted, measured, compiler))
    if options.check:
        return check(counted)
    if options.kernels == ["*"]:
        REPORT.write_text(render.render(measured, comments_of_all(counted), compiler))
    return 0


if __name__ == "__main__":
    sys.exit(main())
