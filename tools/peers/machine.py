"""What machine this is, for the table."""
import os
import pathlib
import platform

CPUS = pathlib.Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Cores that this process may run on; threads of one core count once."""
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        path = CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        cores.add(path.read_text(encoding="ascii") if path.exists() else str(cpu))
    return len(cores)


def value_of(text: str, key: str) -> str | None:
    """The first value of a key in a file of lines "key : value"."""
    for entry in text.splitlines():
        name, _, value = entry.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def describe() -> dict[str, str | int]:
    """Name of the processor, architecture, cores, bytes of memory."""
    cpu_info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return {"processor": value_of(cpu_info, "model name") or "unknown",
            "family": value_of(cpu_info, "cpu family") or "unknown",
            "model": value_of(cpu_info, "model") or "unknown",
            "architecture": platform.machine(), "cores": physical_cores(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}


def one_line(facts: dict[str, str | int]) -> str:
    """The same, for a person."""
    return (f"{facts['processor']} (family {facts['family']}, model {facts['model']}), "
            f"{facts['architecture']}, {facts['cores']} cores, "
            f"{int(facts['memory_bytes']) / 2**30:.0f} GiB of memory")
