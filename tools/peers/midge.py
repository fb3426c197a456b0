"""midge as a row: the only module that knows the JSON of `midge bench` and `midge profile`."""
import json
import pathlib
from typing import Any

import child
import model_files
from places import BUILD
from records import PROMPT_TOKENS, REQUESTS, RequestsSample, Row, Sample, Setup

NAME = "midge"
PRODUCTS = "midge, products alone"
WEIGHTS = "Q4_0, 4.5 bits"
ROWS = (Row(NAME, WEIGHTS, NAME),
        Row(PRODUCTS, WEIGHTS, PRODUCTS,
            ("the matrix products within midge's steps, with norms and making activations int8; "
             "the memory is that of whole midge",)))
REQUESTS_NOTE = "midge: sequences of their own, with the drawing of tokens (`midge bench`)"
DECODE_STEPS = 15


def gguf(setup: Setup) -> pathlib.Path:
    """The GGUF file of the shapes; llama.cpp reads it, too."""
    return model_files.make(setup, ".gguf", "make_gguf.py")


def run(setup: Setup, command: str, *options: object) -> child.Finished:
    """Runs a command of midge on the file. What it keeps (packed weights, rates of kernels) lies in
    build/peers."""
    return child.run([setup.midge, command, gguf(setup), "-t", setup.threads, "--json",
                      "--cache-dir", BUILD / "midge-cache", *options])


def read_figures(text: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The figures of a bench by section and by what they count; their seconds are of a step."""
    report = json.loads(text)
    if (report["schema"], report["version"]) != ("midge.bench", 2):
        raise ValueError(f"schema {report['schema']} {report['version']}")
    subject = report["subjects"][0]
    figures = {(f["section"], f["at"]): f for f in subject["figures"]}
    for figure in figures.values():
        figure["threads"], figure["level"] = subject["threads"], subject["level"]
    return figures


def read_products(text: str) -> dict[str, float]:
    """Seconds of the matrix products of a prompt and of a decode step, by the phase's first word,
    and what makes their activations."""
    report = json.loads(text)
    if (report["schema"], report["version"]) != ("midge.profile", 1):
        raise ValueError(f"schema {report['schema']} {report['version']}")
    return {phase["name"].split()[0]:
            sum(o["seconds"] for o in phase["operations"]
                if o["name"].split()[0] in ("linear", "quantize")) / phase["steps"]
            for phase in report["phases"]}


def version(setup: Setup) -> str:
    """Version and commit, as `midge --version` says them first."""
    return child.run([setup.midge, "--version"]).output.splitlines()[0].removeprefix("midge ")


def prepare(setup: Setup) -> None:
    """Has midge pack the weights and measure its kernels, which it does once."""
    run(setup, "profile", "-n", 1, "--prompt", 0)


def measure(setup: Setup) -> dict[str, Sample]:
    """One round: whole steps, and the products in others."""
    whole = run(setup, "bench", "--rounds", 1, "--only", "prompt,decode", "--prompts",
                PROMPT_TOKENS, "--depths", 0)
    figures = read_figures(whole.output)
    decode, prompt = figures["decode", 0], figures["prompt", PROMPT_TOKENS]
    name = f"{version(setup)}, {decode['level']}"
    parts = run(setup, "profile", "-n", DECODE_STEPS, "--prompt", PROMPT_TOKENS, "--depth", 1)
    products = read_products(parts.output)
    return {NAME: Sample(name, decode["threads"], decode["seconds"], prompt["seconds"],
                         whole.memory_bytes, whole.other_cores),
            PRODUCTS: Sample(name, decode["threads"], products["decode"], products["prompt"],
                             parts.memory_bytes, parts.other_cores)}


def measure_requests(setup: Setup) -> RequestsSample:
    """One round of steps of several sequences."""
    done = run(setup, "bench", "--rounds", 1, "--only", "requests")
    figures = read_figures(done.output)
    return RequestsSample({count: figures["requests", count]["tokens_per_second"]
                           for count in REQUESTS}, done.other_cores)
