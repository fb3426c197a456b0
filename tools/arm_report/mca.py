"""Cycles of loops on cores that are not here, estimated by llvm-mca."""
import dataclasses
import json
import re
import subprocess

CORES = ("cortex-a55", "cortex-a510", "neoverse-n1", "neoverse-n2", "neoverse-v2")
ITERATIONS = 100


@dataclasses.dataclass
class Estimate:
    """One loop on one core."""
    cycles: float  # per iteration
    limit: str     # the busiest unit of the core, or "dispatch": its front end
    busy: float    # the part of the time that it is; the rest waits for results


def parse_region(region, units):
    """The Estimate of one loop in llvm-mca's JSON."""
    summary = region["SummaryView"]
    cycles = summary["TotalCycles"] / summary["Iterations"]
    usage = {"dispatch": summary["TotaluOps"] / summary["Iterations"] / summary["DispatchWidth"]}
    sums = len(region["Instructions"])  # the index behind the last instruction
    for entry in region["ResourcePressureView"]["ResourcePressureInfo"]:
        if entry["InstructionIndex"] == sums:
            unit = units[entry["ResourceIndex"]]
            usage[unit] = max(entry["ResourceUsage"], usage.get(unit, 0.0))
    limit = max(usage, key=usage.get)
    return Estimate(cycles, limit, usage[limit] / cycles)


def parse(output):
    """llvm-mca's JSON for a file of regions."""
    # "CortexA55UnitFPMAC.\x00" is the first of two units FPMAC.
    units = [re.sub(r"^.*?Unit|\..*", "", name, flags=re.S)
             for name in output["TargetInfo"]["Resources"]]
    return [parse_region(region, units) for region in output["CodeRegions"]]


def estimate(loops, core):
    """An Estimate per loop; None if the core lacks one of the instructions."""
    text = "".join("# LLVM-MCA-BEGIN\n" + "\n".join(loop.text) + "\n# LLVM-MCA-END\n"
                   for loop in loops)
    done = subprocess.run(
        ["llvm-mca-19", "-mtriple=aarch64-linux-gnu", f"-mcpu={core}",
         f"-iterations={ITERATIONS}", "-json"],
        input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if "instruction requires" in done.stderr:
            return None
        raise RuntimeError(f"llvm-mca on {core}: {done.stderr}")
    return parse(json.loads(done.stdout))


def cycles_per_unit(counts, loops, estimates):
    """Cycles per 32 elements: those of the loops, and what they leave out at their rate."""
    cycles = sum(loop.iterations * estimate.cycles for loop, estimate in zip(loops, estimates))
    covered = sum(loop.share for loop in loops)
    return cycles / covered * 32 / counts.case.elements
