"""The matrices of a model, and random weights for them. Runs in the virtual environment."""
import dataclasses
import sys
from typing import BinaryIO

import numpy as np

from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import synth_gguf  # noqa: E402  (the table of models is there)

BLOCK = 32  # weights that share a scale
ALIGNMENT = 4096
VOCAB_WITHOUT_HEAD = 256  # a GGUF file cannot do without a head: one that costs nothing
POOL_BYTES = 1 << 22
# Standard deviation of whole numbers from -7 to 7.
NIBBLE_DEVIATION = 4.32


@dataclasses.dataclass(frozen=True)
class Matrix:
    """One product: k inputs, n outputs."""
    name: str
    k: int
    n: int

    @property
    def blocks(self) -> int:
        return self.n * self.k // BLOCK


def configuration(model: str, layers: int, head: bool) -> dict:
    """Sizes of a model, as synth_gguf has them. layers 0: all."""
    config = dict(synth_gguf.MODELS[model])
    if layers:
        config["layers"] = layers
    if not head:
        config["vocab"] = VOCAB_WITHOUT_HEAD
    return config


def layer_matrices(config: dict) -> list[Matrix]:
    """The products of one layer; those that share their input are one product."""
    hidden, inner = config["hidden"], config["inner"]
    kv = config["kv"] * hidden // config["heads"]
    return [Matrix("qkv", hidden, hidden + 2 * kv), Matrix("output", hidden, hidden),
            Matrix("gate_up", hidden, 2 * inner), Matrix("down", inner, hidden)]


def head_matrix(config: dict) -> Matrix:
    """The product with the vocabulary."""
    return Matrix("head", config["hidden"], config["vocab"])


class RandomWeights:
    """Writes weights of 4 bits with scales. Each matrix has its own: runtimes share equal ones."""

    def __init__(self, signed: bool) -> None:
        self._rng = np.random.default_rng(7)
        # -7 to 7, so that the mean is 0 and values neither grow nor vanish along the chain.
        values = self._rng.integers(-7, 8, size=(POOL_BYTES, 2))
        nibbles = (values & 15 if signed else values + 8).astype(np.uint8)
        self._pool = (nibbles[:, 0] | nibbles[:, 1] << 4).tobytes()

    def write_nibbles(self, file: BinaryIO, matrix: Matrix) -> None:
        """n * k / 2 bytes, from a random place of the pool on."""
        left = matrix.n * matrix.k // 2
        start = int(self._rng.integers(0, POOL_BYTES))
        while left:
            piece = self._pool[start:start + left]
            file.write(piece)
            left -= len(piece)
            start = 0

    def write_scales(self, file: BinaryIO, matrix: Matrix, dtype: str) -> None:
        """A scale for each block; the outputs are as large as the inputs."""
        scales = 0.75 + 0.5 * self._rng.random(matrix.blocks, dtype=np.float32)
        scales /= NIBBLE_DEVIATION * np.sqrt(matrix.k)
        file.write(scales.astype(dtype).tobytes())


def pad(file: BinaryIO) -> int:
    """Zeros up to the alignment; returns the place in the file."""
    file.write(b"\0" * (-file.tell() % ALIGNMENT))
    return file.tell()
