"""Files with models of a framework's own format: made once, anew when their program changed."""
import pathlib
import sys

import child
from places import HERE, PYTHON, ROOT
from records import Setup

SOURCES = (HERE / "shapes.py", ROOT / "tools" / "synth_gguf.py")


def is_current(path: pathlib.Path, sources: tuple[pathlib.Path, ...]) -> bool:
    """Whether the file is there and newer than all sources."""
    if not path.exists():
        return False
    return all(path.stat().st_mtime >= source.stat().st_mtime for source in sources)


def make(setup: Setup, suffix: str, program: str) -> pathlib.Path:
    """The model's file, written by a program of this folder when it is not there."""
    path = setup.file(suffix)
    if not is_current(path, (HERE / program, *SOURCES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        python = PYTHON if PYTHON.exists() else sys.executable
        child.run([python, HERE / program, *setup.graph_arguments, path])
    return path
