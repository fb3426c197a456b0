"""Medians and ranges over rounds, and ratios of what was measured in the same round."""
import dataclasses
import statistics
from typing import Callable, Iterable, Mapping, TypeVar

Measured = TypeVar("Measured")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure over rounds."""
    median: float
    low: float
    high: float
    rounds: int


def figure(values: Iterable[float]) -> Figure | None:
    """Median, smallest and largest; None without values."""
    known = sorted(values)
    if not known:
        return None
    return Figure(statistics.median(known), known[0], known[-1], len(known))


def over_rounds(samples: Mapping[int, Measured],
                value: Callable[[Measured], float]) -> Figure | None:
    """The figure of a value of samples by their round."""
    return figure(value(sample) for sample in samples.values())


def ratio(samples: Mapping[int, Measured], base: Mapping[int, Measured],
          value: Callable[[Measured], float]) -> Figure | None:
    """The figure of the ratios to `base`, of each round that has both: drift leaves them alone."""
    return figure(value(sample) / value(base[number]) for number, sample in samples.items()
                  if number in base)
