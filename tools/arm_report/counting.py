"""Counts the instructions of kernel calls under qemu-aarch64, exactly."""
import concurrent.futures
import dataclasses
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The counts do not depend on the CPU; this one runs every kernel.
EMULATOR = ["qemu-aarch64", "-cpu", "max", "-L", "/usr/aarch64-linux-gnu"]


@dataclasses.dataclass
class Case:
    """One call of a kernel, as midge_count_kernel lists it."""
    kernel: str
    op: str
    level: str
    name: str
    elements: int  # what the cost is divided by, in 32s
    bytes: int


@dataclasses.dataclass
class Counts:
    """What a call executed."""
    case: Case
    kinds: dict[str, int]      # instructions by kind; "insns" is their sum
    executed: dict[int, int]   # address in the program -> times; not what libraries executed

    def per_unit(self, kinds=("insns",)):
        """Instructions of these kinds per 32 elements."""
        return sum(self.kinds.get(kind, 0) for kind in kinds) * 32 / self.case.elements


def missing_tool():
    """The first program that counting needs and that is not installed; None if all are."""
    return next((tool for tool in ("gcc", EMULATOR[0]) if shutil.which(tool) is None), None)


def build_plugin():
    """Builds the counting plugin; returns its path."""
    path = ROOT / "build" / "qemu-insn" / "insn_count.so"
    subprocess.run([ROOT / "tools" / "qemu-insn" / "build.sh", path], check=True)
    return path


def environment():
    """That of the emulator: nothing that changes its CPU or the operands."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("QEMU_", "MIDGE_"))}


def list_cases(program, patterns):
    """The compiler, and the cases of every arm64 kernel whose name matches a glob."""
    text = subprocess.run(EMULATOR + [program], check=True, env=environment(),
                          stdout=subprocess.PIPE, text=True).stdout
    compiler, *lines = text.splitlines()
    cases = []
    for line in lines:
        kernel, op, level, name, elements, size = line.split()
        wanted = any(fnmatch.fnmatchcase(kernel, pattern) for pattern in patterns)
        if wanted and level != "generic":
            cases.append(Case(kernel, op, level, name, int(elements), int(size)))
    return compiler, cases


def parse(case, text):
    """The plugin's output for one call."""
    kinds, executed, elsewhere = {}, {}, 0
    for line in text.splitlines():
        words = line.split()
        if line.startswith("region 1 entries 1 own"):
            kinds = {name: int(value) for name, value in zip(words[5::2], words[6::2])}
        elif words[0] == "block":
            insns, times = int(words[3]), int(words[5])
            if words[1] == "?":
                elsewhere += insns * times
                continue
            for i in range(insns):
                address = int(words[1], 16) + 4 * i
                executed[address] = executed.get(address, 0) + times
    if sum(executed.values()) + elsewhere != kinds.get("insns"):
        sys.exit(f"{case.kernel} {case.name}: the blocks do not add up to the instructions")
    return Counts(case, kinds, executed)


def count(program, plugin, case):
    """Runs one case."""
    with tempfile.NamedTemporaryFile("r", suffix=".counts") as out:
        command = EMULATOR + ["-plugin", f"{plugin},blocks=on,out={out.name}",
                              program, case.kernel, case.name]
        subprocess.run(command, check=True, env=environment())
        return parse(case, out.read())


def count_all(program, cases, progress):
    """Counts of the cases, in their order; progress(done, of) after each."""
    plugin = build_plugin()
    counts = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(lambda case: count(program, plugin, case), cases):
            counts.append(result)
            progress(len(counts), len(cases))
    return counts
