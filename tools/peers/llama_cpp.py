"""llama.cpp as a row, by its own benchmarks."""
import json
import statistics

import child
import install
import midge
from places import LLAMA_BIN, PeerError
from records import PROMPT_TOKENS, REQUESTS, RequestsSample, Row, Sample, Setup

NAME = "llama.cpp"
ROWS = (Row(NAME, "Q4_0, 4.5 bits", midge.NAME),)
REQUESTS_NOTE = "llama.cpp: sequences of their own, by `llama-batched-bench`"
DECODE_TOKENS = 32
REPEATS = 2
REQUEST_TOKENS = 16  # of the prompt, and of the answer


def read_report(text: str) -> tuple[float, float]:
    """Seconds for a token and for a prompt, medians of llama-bench's repetitions."""
    decode = prompt = None
    for test in json.loads(text):
        seconds = statistics.median(test["samples_ns"]) * 1e-9
        if test["n_gen"] == DECODE_TOKENS and test["n_prompt"] == 0:
            decode = seconds / DECODE_TOKENS
        elif test["n_prompt"] == PROMPT_TOKENS and test["n_gen"] == 0:
            prompt = seconds
    if decode is None or prompt is None:
        raise PeerError("llama-bench reported other tests than asked for")
    return decode, prompt


def read_requests(text: str) -> dict[int, float]:
    """Generated tokens a second of all requests, by their number, from llama-batched-bench."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {line["pl"]: line["speed_tg"] for line in lines}


def prepare(setup: Setup) -> None:
    """Checks that it is built."""
    if not install.has_llama_cpp():
        raise PeerError("not installed: tools/peers/install.py llama.cpp")
    midge.gguf(setup)


def measure(setup: Setup) -> dict[str, Sample]:
    """One round."""
    run = child.run([LLAMA_BIN / "llama-bench", "-m", midge.gguf(setup), "-t", setup.threads,
                     "-p", PROMPT_TOKENS, "-n", DECODE_TOKENS, "-r", REPEATS, "-o", "json"])
    decode, prompt = read_report(run.output)
    return {NAME: Sample(install.LLAMA_CPP_VERSION, setup.threads, decode, prompt,
                         run.memory_bytes, run.other_cores)}


def measure_requests(setup: Setup) -> RequestsSample:
    """One round of concurrent requests with short prompts."""
    context = 2 * REQUEST_TOKENS * max(REQUESTS)
    run = child.run([LLAMA_BIN / "llama-batched-bench", "-m", midge.gguf(setup),
                     "-t", setup.threads, "-c", context, "-npp", REQUEST_TOKENS,
                     "-ntg", REQUEST_TOKENS, "-npl", ",".join(map(str, REQUESTS)),
                     "--output-format", "jsonl"])
    return RequestsSample(read_requests(run.output), run.other_cores)
