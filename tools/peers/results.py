"""What was measured, round by round, and what failed."""
import dataclasses
from typing import Any, Callable

from figures import Figure, over_rounds, ratio
from records import PROMPT_TOKENS, RequestsSample, Row, Sample

FIGURES: dict[str, Callable[[Sample], float]] = {
    "decode_milliseconds": lambda sample: sample.decode_seconds * 1e3,
    "decode_tokens_per_second": lambda sample: 1 / sample.decode_seconds,
    "prompt_tokens_per_second": lambda sample: PROMPT_TOKENS / sample.prompt_seconds,
    "memory_bytes": lambda sample: sample.memory_bytes,
}


@dataclasses.dataclass
class Results:
    """What each peer gave."""
    rows: dict[str, tuple[Row, ...]]  # by peer
    rounds: int
    samples: dict[str, dict[int, Sample]] = dataclasses.field(default_factory=dict)
    """By row and round."""
    requests: dict[str, dict[int, RequestsSample]] = dataclasses.field(default_factory=dict)
    """By peer and round."""
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    """Why, by peer."""
    requests_failures: dict[str, str] = dataclasses.field(default_factory=dict)
    """Why concurrent requests failed, by peer."""

    def add(self, number: int, samples: dict[str, Sample]) -> None:
        """What a peer gave in a round, by row."""
        for row, sample in samples.items():
            self.samples.setdefault(row, {})[number] = sample

    def add_requests(self, number: int, peer: str, sample: RequestsSample) -> None:
        """What a peer gave with concurrent requests in a round."""
        self.requests.setdefault(peer, {})[number] = sample

    def of(self, row: Row) -> dict[int, Sample]:
        """The samples of a row by their round."""
        return self.samples.get(row.name, {})

    def figure(self, row: Row, name: str) -> Figure | None:
        """One of FIGURES over the rounds."""
        return over_rounds(self.of(row), FIGURES[name])

    def ratio(self, row: Row, name: str) -> Figure | None:
        """One of FIGURES in relation to midge's; None for midge itself."""
        if row.against == row.name:
            return None
        return ratio(self.of(row), self.samples.get(row.against, {}), FIGURES[name])

    def requests_figure(self, peer: str, count: int) -> Figure | None:
        """Tokens a second of `count` requests together."""
        return over_rounds(self.requests.get(peer, {}),
                           lambda sample: sample.tokens_per_second[count])

    def requests_ratio(self, peer: str, base: str, count: int) -> Figure | None:
        """The same in relation to another peer's."""
        return ratio(self.requests.get(peer, {}), self.requests.get(base, {}),
                     lambda sample: sample.tokens_per_second[count])

    def busiest(self) -> dict[str, float]:
        """The most cores that other programs took during a measurement, by row and requests."""
        measured = self.samples | {f"{peer}, requests together": samples
                                   for peer, samples in self.requests.items()}
        return {name: max(sample.other_cores for sample in samples.values())
                for name, samples in measured.items()}

    def as_json(self) -> dict[str, Any]:
        """Everything, for --json."""
        plain = dataclasses.asdict
        rows = []
        for row in (row for rows_of_peer in self.rows.values() for row in rows_of_peer):
            figures = {name: self.figure(row, name) for name in FIGURES}
            ratios = {name: self.ratio(row, name) for name in FIGURES}
            rows.append({
                **plain(row),
                "figures": {name: plain(value) for name, value in figures.items() if value},
                "ratios": {name: plain(value) for name, value in ratios.items() if value},
                "samples": {number: plain(sample) for number, sample in self.of(row).items()}})
        requests = {peer: {number: plain(sample) for number, sample in measured.items()}
                    for peer, measured in self.requests.items()}
        return {"rounds": self.rounds, "rows": rows, "requests": requests,
                "failures": self.failures, "requests_failures": self.requests_failures,
                "other_cores": self.busiest()}
