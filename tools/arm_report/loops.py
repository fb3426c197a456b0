"""Finds the loops that a call spent its instructions in, from counts per address."""
import dataclasses
import re
import subprocess

# Loops with less of a call's instructions than this are left out.
SHARE_MIN = 0.02
INSTRUCTION = re.compile(r"\s*([0-9a-f]+):\s+(\S.*)")
BRANCH = re.compile(r"(b|b\.\w+|cbn?z|tbn?z)\s.*?0x([0-9a-f]+) <")


@dataclasses.dataclass
class Program:
    """A disassembled program."""
    text: dict[int, str]       # address -> instruction
    function: dict[int, str]   # address -> symbol


@dataclasses.dataclass
class Loop:
    """Instructions that are executed equally often, but for rare ones."""
    share: float       # of the instructions of the call
    iterations: int
    text: list[str]


def disassemble(path):
    """The code of a program by llvm-objdump."""
    listing = subprocess.run(["llvm-objdump-19", "-d", "--no-show-raw-insn", path], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    program, symbol = Program({}, {}), ""
    for line in listing.splitlines():
        if line.endswith(">:"):
            symbol = line[line.index("<") + 1:-2]
            continue
        instruction = INSTRUCTION.fullmatch(line)
        if instruction:
            address = int(instruction[1], 16)
            program.text[address] = " ".join(instruction[2].split())
            program.function[address] = symbol
    return program


def back_edges(program, executed):
    """(first address, last address) of every loop that was executed."""
    ends = {}
    for address in executed:
        branch = BRANCH.match(program.text[address])
        target = int(branch[2], 16) if branch else address + 4
        if target > address or target not in executed:
            continue
        if program.function[target] == program.function[address]:
            ends[target] = max(address, ends.get(target, 0))
    return sorted(ends.items(), key=lambda edge: edge[1] - edge[0])


def straight(text):
    """A loop's instructions as llvm-mca reads them: branches lead nowhere."""
    return [re.sub(r"0x[0-9a-f]+ <[^>]*>", ".", line) for line in text]


def find_loops(program, counts):
    """The loops of a call, that with most instructions first.

    An instruction belongs to the smallest loop around it; those outside of any are taken
    together, for each function. Instructions executed in less than half of the iterations are left
    out."""
    executed = counts.executed
    edges = back_edges(program, executed)
    groups = {}
    for address in sorted(executed):
        loop = next((edge for edge in edges if edge[0] <= address <= edge[1]), None)
        groups.setdefault(loop or program.function[address], []).append(address)
    total = counts.kinds["insns"]
    loops = []
    for addresses in groups.values():
        iterations = executed[addresses[0]]
        body = [address for address in addresses if 2 * executed[address] >= iterations]
        share = sum(executed[address] for address in body) / total
        if share >= SHARE_MIN:
            loops.append(Loop(share, iterations, straight(program.text[at] for at in body)))
    return sorted(loops, key=lambda loop: -loop.share)


def vector_registers(loop):
    """How many SIMD registers a loop names."""
    text = " ".join(loop.text)
    registers = set(map(int, re.findall(r"\b[vqdsh](\d+)\b", text)))
    for first, last in re.findall(r"v(\d+)\.\w+ ?- ?v(\d+)\.", text):
        registers.update(range(int(first), int(last) + 1))
    return len(registers)


def stack_accesses(loop):
    """How many instructions of a loop access the stack."""
    return sum("[sp" in line or "[x29" in line for line in loop.text)
