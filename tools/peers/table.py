"""Writes results as Markdown."""
from typing import Sequence

from child import BUSY_CORES
from figures import Figure
from records import PROMPT_TOKENS, REQUESTS, Row
from results import Results

NOTHING = "-"
HEADINGS = ("framework", "version", "threads", "weights", "decode, ms/token", "decode, tok/s",
            f"prompt of {PROMPT_TOKENS}, tok/s", "decode to midge", "prompt to midge",
            "memory peak", "notes")
RATIOS_NOTE = ("A ratio is of tok/s, by midge's in the same round: below 1, midge is faster. Rows "
               "with matrix products only are compared with midge's products alone.")
MEMORY_NOTE = ("The memory peak is the largest resident size of the process. It includes the "
               "pages of mapped files.")


def number(value: float) -> str:
    """Three digits or more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(figure: Figure | None) -> str:
    """The median, and the range when there were more rounds."""
    if figure is None:
        return NOTHING
    if figure.rounds == 1:
        return number(figure.median)
    return f"{number(figure.median)} ({number(figure.low)} to {number(figure.high)})"


def memory(figure: Figure | None) -> str:
    """The largest of all rounds."""
    return NOTHING if figure is None else f"{figure.high / 2**30:.2f} GiB"


def line(cells: Sequence[str]) -> str:
    """A line of a table; what would end a cell is escaped."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


class Notes:
    """Footnotes, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> str:
        """The footnote's number."""
        if text not in self.texts:
            self.texts.append(text)
        return str(self.texts.index(text) + 1)


def row_line(results: Results, row: Row, reason: str | None, notes: Notes) -> str:
    """The line of a row, with the reason why its peer failed."""
    samples = list(results.of(row).values())
    remarks = [f"failed: {reason}"] if reason else []
    remarks += [notes.number(text) for text in row.notes]
    if not samples:
        return line([row.name, *[NOTHING] * (len(HEADINGS) - 2), ", ".join(remarks)])
    return line([
        row.name, samples[-1].version, str(samples[-1].threads), row.weights,
        cell(results.figure(row, "decode_milliseconds")),
        cell(results.figure(row, "decode_tokens_per_second")),
        cell(results.figure(row, "prompt_tokens_per_second")),
        cell(results.ratio(row, "decode_tokens_per_second")),
        cell(results.ratio(row, "prompt_tokens_per_second")),
        memory(results.figure(row, "memory_bytes")), ", ".join(remarks)])


def table(results: Results) -> str:
    """The table and its notes."""
    notes = Notes()
    lines = [line(HEADINGS), line(["---"] * len(HEADINGS))]
    lines += [row_line(results, row, results.failures.get(peer), notes)
              for peer, rows in results.rows.items() for row in rows]
    lines += [""] + [f"{place}. {text}" for place, text in enumerate(notes.texts, 1)]
    return "\n".join(lines) + "\n"


def requests_table(results: Results, base: str) -> str:
    """Generated tokens a second of concurrent requests, the ratio to `base`, and failures."""
    headings = ["requests together, tok/s of all"] + [str(count) for count in REQUESTS]
    lines = [line(headings), line(["---"] * len(headings))]
    for peer in results.requests:
        lines.append(line([peer] + [cell(results.requests_figure(peer, n)) for n in REQUESTS]))
        if peer != base:
            lines.append(line([f"{peer} to {base}"]
                              + [cell(results.requests_ratio(peer, base, n)) for n in REQUESTS]))
    for peer, reason in results.requests_failures.items():
        lines.append(line([f"{peer} failed: {reason}"] + [NOTHING] * len(REQUESTS)))
    return "\n".join(lines) + "\n"


def remarks(results: Results) -> list[str]:
    """What holds for every row."""
    rounds = (f"Median of {results.rounds} rounds (smallest to largest). The frameworks ran one "
              "after the other in each round." if results.rounds > 1 else "One round.")
    said = [rounds, RATIOS_NOTE, MEMORY_NOTE]
    for name, cores in results.busiest().items():
        if cores >= BUSY_CORES:
            said.append(f"{name}: other programs took up to {cores:.1f} cores during a "
                        "measurement: its figures are too low, and its ratios say little.")
    return said
