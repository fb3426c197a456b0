#!/usr/bin/env python3
"""Runs midge and other frameworks on the same shapes, in turns, and writes one table.

usage: tools/peers/compare.py [--model phi4-mini] [--layers N] [--no-head] [--threads N]
                              [--peers NAME,...] [--rounds N] [--concurrent] [--json FILE]
Markdown goes to standard output. Before: tools/peers/install.py, and a release build of midge.
The exit code is 1 when midge failed; a peer that failed is a row that says why.
"""
import argparse
import json
import pathlib
import shlex
import sys
import time
from typing import Any, Callable, Protocol

import child
import llama_cpp
import machine
import midge
import runtimes
import table
from places import MODELS, ROOT, PeerError, say
from records import RequestsSample, Row, Sample, Setup
from results import Results


class Peer(Protocol):
    """What a framework's module has."""
    NAME: str
    ROWS: tuple[Row, ...]
    prepare: Callable[[Setup], None]
    measure: Callable[[Setup], dict[str, Sample]]


PEERS: dict[str, Any] = {"llama.cpp": llama_cpp, "onnxruntime": runtimes.ONNX_RUNTIME,
                         "litert": runtimes.LITERT}
WITH_REQUESTS: dict[str, Callable[[Setup], RequestsSample]] = {
    midge.NAME: midge.measure_requests, llama_cpp.NAME: llama_cpp.measure_requests}
SHAPES = ("phi4-mini", "mimo-7b", "phi4")


def attempt(failures: dict[str, str], peer: Peer, what: str, work: Callable[[], None]) -> None:
    """Does work for a peer that is not in `failures`, and puts it there when it fails."""
    if peer.NAME in failures:
        return
    start = time.monotonic()
    say(f"{what}: {peer.NAME}")
    try:
        work()
    except (PeerError, KeyError, ValueError) as error:
        reason = str(error) if isinstance(error, PeerError) else f"unknown report: {error!r}"
        failures[peer.NAME] = f"{what}: {reason}"
        say(f"{what}: {peer.NAME} failed: {reason}")
    else:
        say(f"{what}: {peer.NAME}, {time.monotonic() - start:.0f} s")


def measure_all(results: Results, peers: list[Peer], setup: Setup,
                arguments: argparse.Namespace) -> None:
    """Every peer once a round, one after the other."""
    for peer in peers:
        attempt(results.failures, peer, "prepare", lambda: peer.prepare(setup))
    # Who cannot be prepared has one reason, in its row.
    together = [peer for peer in peers if arguments.concurrent and peer.NAME in WITH_REQUESTS
                and peer.NAME not in results.failures]
    for number in range(1, arguments.rounds + 1):
        what = f"round {number} of {arguments.rounds}"
        for peer in peers:
            attempt(results.failures, peer, what, lambda: results.add(number, child.undisturbed(
                lambda: peer.measure(setup),
                lambda samples: max(sample.other_cores for sample in samples.values()),
                arguments.wait_idle)))
        for peer in together:
            attempt(results.requests_failures, peer, f"{what}, requests together",
                    lambda: results.add_requests(number, peer.NAME, child.undisturbed(
                        lambda: WITH_REQUESTS[peer.NAME](setup),
                        lambda sample: sample.other_cores, arguments.wait_idle)))


def shape_line(setup: Setup) -> str:
    """What was cut from the model."""
    layers = f"the first {setup.layers} layers" if setup.layers else "all layers"
    head = "with the head" if setup.head else "without the head (vocabulary)"
    return f"{setup.model}, {layers}, {head}, random weights, every framework the same."


def render(results: Results, setup: Setup, command: str) -> str:
    """The whole Markdown text."""
    said = [shape_line(setup), machine.one_line(machine.describe()) + ".",
            *table.remarks(results), f"Command: `{command}`."]
    text = table.table(results) + "\n" + "\n".join(f"- {line}" for line in said) + "\n"
    if results.requests or results.requests_failures:
        text += "\n" + table.requests_table(results, midge.NAME)
        text += f"\n- {midge.REQUESTS_NOTE}.\n- {llama_cpp.REQUESTS_NOTE}.\n"
    return text


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default=SHAPES[0])
    parser.add_argument("--layers", type=int, default=0, help="keep so many (default: all)")
    parser.add_argument("--no-head", action="store_true", help="leave out the vocabulary's product")
    parser.add_argument("--threads", type=int, default=machine.physical_cores(),
                        help="default: physical cores (%(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--concurrent", action="store_true",
                        help="also 2, 4 and 8 requests together, where a framework can")
    parser.add_argument("--midge", type=pathlib.Path, default=ROOT / "build" / "release" / "midge")
    parser.add_argument("--wait-idle", type=float, default=0, metavar="SECONDS",
                        help="take so long to wait for other programs, and to measure again what "
                        "they disturbed; for each measurement (default: 0)")
    parser.add_argument("--json", type=pathlib.Path, help="keep all figures in this file")
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.peers.split(",") if name and name not in PEERS]
    if unknown:
        parser.error(f"--peers {unknown[0]}, expected some of {', '.join(PEERS)}")
    if min(arguments.threads, arguments.rounds) < 1 or arguments.layers < 0:
        parser.error("--threads and --rounds want 1 or more, --layers 0 or more")
    return arguments


def main() -> int:
    arguments = parse(sys.argv[1:])
    command = shlex.join(["tools/peers/compare.py", *sys.argv[1:]])
    MODELS.mkdir(parents=True, exist_ok=True)
    setup = Setup(arguments.model, arguments.layers, not arguments.no_head, arguments.threads,
                  arguments.midge)
    peers = [midge, *(PEERS[name] for name in arguments.peers.split(",") if name)]
    results = Results({peer.NAME: peer.ROWS for peer in peers}, arguments.rounds)
    measure_all(results, peers, setup, arguments)
    print(render(results, setup, command), end="")
    if arguments.json:
        arguments.json.write_text(json.dumps({
            "schema": "midge.peers", "version": 1, "command": command,
            "machine": machine.describe(), "model": setup.name, "threads": setup.threads,
            **results.as_json()}, indent=1) + "\n", encoding="utf-8")
    return int(midge.NAME in results.failures or midge.NAME in results.requests_failures)


if __name__ == "__main__":
    sys.exit(main())
