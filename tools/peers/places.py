"""Where things lie, and how the tools here speak."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tools" / "peers"
BUILD = ROOT / "build" / "peers"
MODELS = BUILD / "models"
PYTHON = BUILD / "venv" / "bin" / "python"
LLAMA_BIN = BUILD / "llama.cpp" / "build" / "bin"


class PeerError(Exception):
    """A peer cannot be measured; the text says why, in one line."""


def say(line: str) -> None:
    """Progress, for a person at a terminal."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
