"""The plain records that pass between the driver, the peers and the table."""
import dataclasses
import pathlib

from places import MODELS

PROMPT_TOKENS = 512
REQUESTS = (2, 4, 8)


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is measured: the same for every framework."""
    model: str
    layers: int  # 0: all
    head: bool
    threads: int
    midge: pathlib.Path

    @property
    def name(self) -> str:
        """The model with its cuts."""
        return (self.model + (f"-{self.layers}L" if self.layers else "")
                + ("" if self.head else "-nohead"))

    def file(self, suffix: str) -> pathlib.Path:
        """The model's file in a framework's format."""
        return MODELS / (self.name + suffix)

    @property
    def graph_arguments(self) -> tuple[str, str, str]:
        """MODEL LAYERS HEAD, as the programs that write models want them."""
        return self.model, str(self.layers), "1" if self.head else "0"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table."""
    name: str
    weights: str
    against: str  # the row of midge that it is compared with; its own name: none
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one round gave for a row."""
    version: str
    threads: int
    decode_seconds: float  # for one token
    prompt_seconds: float  # for PROMPT_TOKENS tokens
    memory_bytes: int  # largest resident size of the process
    other_cores: float  # cores that other programs took meanwhile; below 0: not known


@dataclasses.dataclass(frozen=True)
class RequestsSample:
    """What one round gave for concurrent requests: tokens a second of all, by their number."""
    tokens_per_second: dict[int, float]
    other_cores: float
