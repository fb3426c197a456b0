#!/usr/bin/env python3
"""Makes the seeds of the fuzz target `packed`, tests/fuzz/corpus/packed/: small models packed by
midge, as their sections alone. Run it when the format changes.

    python3 tools/make_packed_corpus.py build/dev/midge
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests/fuzz/corpus"
NAMES = ["config", "tensors", "vectors", "tokenizer", "weights", "mtp"]
# Name of the seed, model, options.
SEEDS = [
    ("llama", CORPUS / "run/gguf-llama", []),
    ("phi3", CORPUS / "run/gguf-phi3", []),
    ("longrope", CORPUS / "run/gguf-longrope", []),
    ("q4_k", CORPUS / "run/gguf-q4_k", []),
    ("q5_k", CORPUS / "run/gguf-q5_k", []),
    ("q6_k", CORPUS / "run/gguf-q6_k", []),
    ("mimo", ROOT / "tests/data/golden/models/mimo", ["--recipe", "fast"]),
    ("vocabulary", ROOT / "assets/models/tiny-phi", None),
]


def sections(data):
    """Content by name; the layout is that of docs/formats/midge-files.md."""
    count = struct.unpack_from("<I", data, 12)[0]
    found = {}
    for i in range(count):
        name, _, _, offset, size = struct.unpack_from("<16sIIQQ", data, 64 + 64 * i)
        found[name.rstrip(b"\0").decode()] = data[offset:offset + size]
    return found


def main():
    midge = sys.argv[1]
    out = CORPUS / "packed"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.midge"
        for name, model, options in SEEDS:
            subprocess.run([midge, "pack", model, path, *(options or [])], check=True,
                           capture_output=True)
            data = path.read_bytes()
            found = sections(data)
            if options is None:  # the tokenizer alone
                found = {"tokenizer": found["tokenizer"]}
            compact = b"".join(struct.pack("<I", len(found.get(key, b""))) + found.get(key, b"")
                               for key in NAMES)
            (out / name).write_bytes(compact)
            if name == "llama":
                (out / "whole").write_bytes(data)
    for seed in sorted(out.iterdir()):
        print(f"{seed.stat().st_size:8d} {seed.name}")


if __name__ == "__main__":
    main()
