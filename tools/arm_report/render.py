"""The report as Markdown."""
import mca

# What the columns of counts are made of.
LOADS = ("load", "simd_load")
PRODUCTS = ("simd_dot", "simd_mmla")
MULTIPLY_ADDS = ("simd_fma",)

# Per operation of kernel_types.h: heading, and what there are 32 of in a unit.
OPERATIONS = {
    "gemv": ("Decode", "weights, for all m rows"),
    "gemm": ("Float arithmetic", "weights"),
    "quantize": ("Activations, decode", "activations"),
    "quantize_panel": ("Activations, prefill", "activations"),
    "unpack": ("Weights to panels, prefill", "weights"),
    "gemm_panel": ("Panels, prefill", "multiply-adds (a weight x 32 rows)"),
    "attn": ("Attention", "query x key x head_dim, two multiply-adds each"),
    "lookup": ("Embedding table", "weights"),
    "dequantize": ("Rows of files", "weights"),
}


def heading(op):
    """(heading, unit) of an operation; element-wise ones are named as they are."""
    return OPERATIONS.get(op, (op, "numbers"))


def table(columns, rows):
    """A Markdown table; all columns but the first two are numbers."""
    rule = ["---" if i < 2 else "---:" for i in range(len(columns))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, rule, *rows])


def count_row(counts):
    """The row of a case, which --check looks for in the committed report."""
    case = counts.case
    return [f"`{case.kernel}`", case.name, str(counts.kinds["insns"]),
            f"{counts.per_unit():.3f}", f"{counts.per_unit(LOADS):.3f}",
            f"{counts.per_unit(PRODUCTS):.3f}", f"{counts.per_unit(MULTIPLY_ADDS):.3f}",
            f"{case.bytes * 32 / case.elements:.2f}"]


def cycle_cell(measured, core):
    """Cycles per unit, bytes per cycle and the limit on a core."""
    estimates = measured.estimates[core]
    if estimates is None:
        return "-"
    cycles = mca.cycles_per_unit(measured.counts, measured.loops, estimates)
    case = measured.counts.case
    return (f"{cycles:.2f} / {case.bytes * 32 / case.elements / cycles:.2f}, "
            f"{estimates[0].limit} {100 * estimates[0].busy:.0f} %")


def cycle_row(measured):
    """The row of a case in the table of cycles."""
    case, loops = measured.counts.case, measured.loops
    return [f"`{case.kernel}`", case.name, f"{len(loops[0].text)}",
            f"{100 * loops[0].share:.0f} %", f"{measured.registers}",
            f"{measured.stack_accesses}", *(cycle_cell(measured, core) for core in mca.CORES)]


def kernel_section(kernel, comments):
    """What the sources say about a kernel."""
    links = ", ".join(f"[{name.rsplit('/', 1)[1]}](../{name})" for name in comments.files)
    limit = " ".join(comments.limits) or "not stated."
    lines = [f"### {kernel}", "", links, "", "Limit: " + limit]
    for paragraph in comments.registers:
        lines += ["", "```text", paragraph, "```"]
    return "\n".join(lines)


INTRODUCTION = """# Arm kernels: what they cost

Made by `tools/arm_report/make_report.py`;
[tools/arm_report/README.md](../tools/arm_report/README.md) has the method. Nothing here is timed.

Compiler: {compiler}

## Instructions

What one call executes, prologue and tails included, counted under the emulator. A unit is 32 of
what the heading of a table names. "Loads" to "fma" are parts of "per unit". "Bytes" per unit are
those of the weights; of attention, those of keys and values; of operations without either, those
of all operands. Sizes: k = 3072, 64 output rows of `gemv`, 48 rows of a prompt, 1024 keys and
head_dim 128, n = 3072 numbers.
"""

CYCLES = """## Cycles

llvm-mca's estimate with all data in the first cache. A cell has cycles per unit / bytes per cycle,
and the busiest resource of the hottest loop with the part of the time that it is busy: a unit of
the core or `dispatch`, the front end. Far below 100 % an iteration waits for results. `-`: the
core lacks the instructions. "Loop" is the number of instructions of the hottest loop, "share" its
part of the call, "v" the SIMD registers that it names, "stack" its accesses to the stack.
"""

SOURCES = """## Kernels

Limit and registers as the comments of the sources state them. Where there are no registers, the
compiler allocates them.
"""


def by_op(measured):
    """op -> cases, in registry order."""
    groups = {}
    for entry in measured:
        groups.setdefault(entry.counts.case.op, []).append(entry)
    return groups


def render(measured, comments, compiler):
    """The whole report."""
    parts = [INTRODUCTION.format(compiler=compiler)]
    for op, entries in by_op(measured).items():
        title, unit = heading(op)
        parts.append(f"### {title}: 32 {unit}\n")
        parts.append(table(["kernel", "case", "instructions", "per unit", "loads", "dot, mmla",
                            "fma", "bytes"], [count_row(entry.counts) for entry in entries]))
        parts.append("")
    parts.append(CYCLES)
    for op, entries in by_op(measured).items():
        title, unit = heading(op)
        parts.append(f"### {title}: cycles per 32 {unit}\n")
        parts.append(table(["kernel", "case", "loop", "share", "v", "stack", *mca.CORES],
                           [cycle_row(entry) for entry in entries]))
        parts.append("")
    parts.append(SOURCES)
    parts += [kernel_section(kernel, found) + "\n" for kernel, found in comments.items()]
    return "\n".join(parts)
