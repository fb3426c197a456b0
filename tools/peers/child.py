"""Runs a program in a process of its own, and says what it took."""
import dataclasses
import os
import subprocess
import tempfile
import threading
import time
from typing import Callable, Sequence, TypeVar

from places import PeerError

SECONDS_MAX = 3600
# Of other programs, from which on figures are too low to be compared.
BUSY_CORES = 0.1
IDLE_SECONDS = 2  # that have to be idle
REASON_CHARACTERS_MAX = 200

Measured = TypeVar("Measured")


@dataclasses.dataclass(frozen=True)
class Finished:
    """A program that ended well."""
    output: str
    memory_bytes: int  # largest resident size
    other_cores: float  # cores that other programs took meanwhile; below 0: not known


@dataclasses.dataclass(frozen=True)
class Busy:
    """CPU seconds that all programs took since the start."""
    whole: float
    nice: float  # of those with a lower priority, which give way to a measurement


def parse_busy(stat: str) -> Busy:
    """From the text of /proc/stat."""
    _, *ticks = stat.split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, *rest = (int(tick) for tick in ticks[:8])
    second = os.sysconf("SC_CLK_TCK")
    return Busy((user + nice + system + sum(rest)) / second, nice / second)


def read_busy() -> Busy | None:
    """Of this machine; None where it is not known."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            return parse_busy(file.read())
    except OSError:
        return None


def cores_of_others(before: Busy | None, own: float, elapsed: float) -> float:
    """Cores that others took in `elapsed` seconds beside `own` CPU seconds; below 0: not known."""
    after = read_busy()
    if before is None or after is None:
        return -1.0
    return max(0.0, after.whole - before.whole - own) / elapsed


def wait_until_idle(end: float) -> None:
    """Waits until others leave the cores alone, at most until time.monotonic() is `end`."""
    while time.monotonic() < end:
        before, start = read_busy(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        after = read_busy()
        if before is None or after is None:
            return
        taken = (after.whole - after.nice) - (before.whole - before.nice)
        if taken < BUSY_CORES * (time.monotonic() - start):
            return


def undisturbed(measure: Callable[[], Measured], others: Callable[[Measured], float],
                seconds: float) -> Measured:
    """Measures again, for `seconds`, what other programs disturbed; the least disturbed one.

    others: cores that other programs took during a measurement.
    """
    end = time.monotonic() + seconds
    best = None
    while best is None or (others(best) >= BUSY_CORES and time.monotonic() < end):
        wait_until_idle(end)
        measured = measure()
        if best is None or others(measured) < others(best):
            best = measured
    return best


def reason_of(name: str, code: int, errors: str) -> str:
    """One line that says why a program failed: its last words."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    end = f"signal {-code}" if code < 0 else f"exit code {code}"
    said = f": {lines[-1]}" if lines else ""
    return f"{name}: {end}{said}"[:REASON_CHARACTERS_MAX]


def run(command: Sequence[object]) -> Finished:
    """Runs the command to its end. Errors: PeerError when it cannot start, fails or hangs."""
    parts = [str(part) for part in command]
    name = os.path.basename(parts[0])
    if name.startswith("python") and len(parts) > 1:
        name = os.path.basename(parts[1])
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        before, start = read_busy(), time.monotonic()
        try:
            process = subprocess.Popen(parts, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=errors)
        except OSError as error:
            raise PeerError(f"{name}: {error.strerror}") from error
        timer = threading.Timer(SECONDS_MAX, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        others = cores_of_others(before, usage.ru_utime + usage.ru_stime,
                                 time.monotonic() - start)
        if process.returncode != 0:
            errors.seek(0)
            raise PeerError(reason_of(name, process.returncode, errors.read()))
        output.seek(0)
        return Finished(output.read(), usage.ru_maxrss * 1024, others)
