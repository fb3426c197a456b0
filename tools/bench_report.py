#!/usr/bin/env python3
"""Draws results of `midge bench --json` as one page: tables and plots, no other file, no network.

usage: bench_report.py RESULT.json... --html FILE     (- : standard output)
       bench_report.py RESULT.json... --index FILE    a Markdown table of many devices

Shown are the roofline, decoding by depth, the cost of rows and of requests, latencies, memory and,
where they were measured, the rate over minutes and the cost of a token. Results of other machines
render as well as one's own. Needs matplotlib (python3-matplotlib).
"""
import argparse
import html
import io
import json
import sys
from pathlib import Path

COLORS = ["#1b6ca8", "#d1495b", "#2e8b57", "#8d5fd3", "#c98a1b", "#4d4d4d"]


def fail(message: str) -> None:
    """Ends the program with a message and exit code 1."""
    sys.exit(f"bench_report.py: {message}")


def load(path: str) -> dict:
    """A result, or an error that names the file."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"{path}: {error}")
    if not isinstance(result, dict) or result.get("schema") != "midge.bench":
        fail(f"{path}: not a result of midge bench --json")
    if result.get("version") != 2:
        fail(f"{path}: version {result.get('version')}, expected 2")
    return result


def figures(subject: dict, section: str) -> list[dict]:
    """The lines of a section, in ascending order."""
    return sorted((f for f in subject["figures"] if f["section"] == section), key=lambda f: f["at"])


def median(values: list[float]) -> float:
    """Of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def short(name: str) -> str:
    """A name that fits under a bar."""
    return name if len(name) <= 24 else name[:23] + "\u2026"


class Plots:
    """Pictures as SVG text, in the colours of their subjects."""

    def __init__(self, subjects: list[tuple[str, dict]]):
        import matplotlib

        matplotlib.use("Agg")
        # Letters stay letters; ids do not change from run to run.
        matplotlib.rcParams.update(
            {"svg.fonttype": "none", "svg.hashsalt": "midge", "font.size": 9, "axes.grid": True,
             "axes.axisbelow": True,
             "grid.color": "#e5e5e5", "axes.spines.top": False, "axes.spines.right": False})
        from matplotlib import pyplot

        self.pyplot = pyplot
        self.subjects = subjects

    def draw(self, title: str, x_label: str, y_label: str, paint) -> str:
        """paint(axes, name, subject, color) for every subject; empty if it painted nothing."""
        figure, axes = self.pyplot.subplots(figsize=(5.4, 3.4))
        painted = 0
        for i, (name, subject) in enumerate(self.subjects):
            painted += bool(paint(axes, name, subject, COLORS[i % len(COLORS)]))
        if painted:
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xlabel(x_label)
            axes.set_ylabel(y_label)
            if axes.get_yscale() == "linear":
                axes.set_ylim(0, None)
            axes.legend(fontsize=7, frameon=False)
        text = ""
        if painted:
            out = io.StringIO()
            figure.tight_layout()
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
            text = out.getvalue()
            text = text[text.index("<svg"):]
        self.pyplot.close(figure)
        return text

    def roofline(self) -> str:
        """Multiply-adds per second against multiply-adds per byte, under both limits."""
        def paint(axes, name, subject, color):
            peak = median([r["integer_peak"] for r in subject["rounds"]] or [0])
            bandwidth = median([f["read_bandwidth"] for f in subject["figures"]
                                if f["read_bandwidth"] > 0] or [0])
            points = [f for f in subject["figures"] if f["macs"] > 0 and f["bytes"] > 0]
            if not points or not peak or not bandwidth:
                return False
            xs = [2 ** (i / 4) for i in range(-4, 49)]
            axes.loglog(xs, [min(peak, bandwidth * x) * 1e-9 for x in xs], color=color, lw=1)
            for marker, section in (("o", "decode"), ("s", "prompt")):
                chosen = [p for p in points if p["section"] == section]
                axes.loglog([p["macs"] / p["bytes"] for p in chosen],
                            [p["macs"] / p["seconds"] * 1e-9 for p in chosen], marker, ms=5,
                            color=color, label=f"{name}: {section}")
            return True
        return self.draw("Roofline", "multiply-adds per byte", "GMAC/s", paint)

    def lines(self, title: str, section: str, x_label: str, y_label: str, value) -> str:
        """value(figure, figures of the section) against what the figures count."""
        def paint(axes, name, subject, color):
            points = figures(subject, section)
            if not points:
                return False
            axes.plot([p["at"] for p in points], [value(p, points) for p in points], "o-", ms=4,
                      lw=1.2, color=color, label=name)
            return True
        return self.draw(title, x_label, y_label, paint)

    def latencies(self) -> str:
        """The part of decode steps that took at most so long."""
        def paint(axes, name, subject, color):
            points = figures(subject, "decode")
            if not points:
                return False
            samples = sorted(points[0]["samples"])
            axes.step([s * 1e3 for s in samples],
                      [(i + 1) / len(samples) for i in range(len(samples))], where="post", lw=1.2,
                      color=color, label=f"{name}, {points[0]['label']}")
            return True
        return self.draw("Latency of decode steps", "ms", "part of the steps", paint)

    def memory(self) -> str:
        """Peak, and what is resident with the model open."""
        def paint(axes, name, subject, color):
            memory = subject["memory"]
            at = len(axes.patches) // 3
            for shift, key in ((-0.25, "peak"), (0, "anonymous"), (0.25, "file")):
                axes.bar(at + shift, memory[key] * 1e-9, 0.22, color=color,
                         alpha={"peak": 1, "anonymous": 0.65, "file": 0.35}[key],
                         label=key if at == 0 else None)
            axes.set_xticks(range(at + 1), [short(n) for n, _ in self.subjects[:at + 1]],
                            rotation=20, ha="right", fontsize=7)
            return True
        return self.draw("Memory", "", "GB", paint)

    def sustained(self, reports: list[dict]) -> str:
        """The rate over time."""
        if not reports:
            return ""
        figure, axes = self.pyplot.subplots(figsize=(5.4, 3.4))
        for i, report in enumerate(reports):
            axes.plot([s["start"] for s in report["stretches"]],
                      [s["tokens_per_second"] for s in report["stretches"]], lw=1.2,
                      color=COLORS[i % len(COLORS)], label=report["name"])
        axes.set_ylim(bottom=0)
        axes.set_title("Rate over time", loc="left", fontsize=10)
        axes.set_xlabel("seconds")
        axes.set_ylabel("tok/s")
        axes.legend(fontsize=7, frameon=False)
        out = io.StringIO()
        figure.tight_layout()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        self.pyplot.close(figure)
        return out.getvalue()[out.getvalue().index("<svg"):]


def seconds_text(seconds: float) -> str:
    """With the unit that reads best."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"


def table_of(subject: dict) -> str:
    """The figures of a subject."""
    rows = []
    for f in subject["figures"]:
        mark = " ~" if f["disturbed"] else ""
        cells = [f["section"], f["label"] + mark, seconds_text(f["seconds"]),
                 f"{f['tokens_per_second']:.2f}" if f["tokens"] else "",
                 seconds_text(f["p95"]), seconds_text(f["p99"]), f"{100 * f['spread']:.1f} %",
                 f"{f['bytes_per_second'] * 1e-9:.1f}" if f["bytes"] else "",
                 f"{f['read_bandwidth_fraction']:.2f}" if f["read_bandwidth_fraction"] else "",
                 f"{f['integer_peak_fraction']:.2f}" if f["integer_peak_fraction"] else ""]
        rows.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in ("", "", "median", "tok/s", "p95", "p99", "spread",
                                             "GB/s", "of read", "of peak"))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def cost_text(cost: dict) -> str:
    """One paragraph about what a token costs."""
    text = f"{cost['name']}: {cost['tokens_per_second']:.2f} tok/s, "
    if cost["method"] == "not measured":
        return text + "energy not measured"
    text += f"{cost['joules_per_token']:.3f} J a token at {cost['watts']:.2f} W ({cost['method']})"
    if cost["price_per_million"] > 0:
        text += f"; electricity for a million tokens {cost['price_per_million']:.4f}"
        for price in cost["list_prices"]:
            text += f"; {price['name']} {price['price']:.4f}"
    return text


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
       color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #eee }
td:first-child, td:nth-child(2) { text-align: left }
.plots { display: flex; flex-wrap: wrap; gap: 1rem } .plots svg { max-width: 100%; height: auto }
.note { color: #555; font-size: 13px }
"""


def page(results: list[tuple[str, dict]]) -> str:
    """The whole page."""
    subjects = []
    for path, result in results:
        for subject in result["subjects"]:
            name = subject["name"] if len(results) == 1 else f"{subject['name']} ({Path(path).stem})"
            subjects.append((name, subject))
    plots = Plots(subjects)
    pictures = [
        plots.roofline(),
        plots.lines("Decoding by depth", "decode", "tokens in the cache", "tok/s",
                    lambda p, _: p["tokens_per_second"]),
        plots.lines("Prompts", "prompt", "tokens", "tok/s", lambda p, _: p["tokens_per_second"]),
        plots.lines("Time to the first token", "prompt", "tokens of the prompt", "s",
                    lambda p, _: p["seconds"]),
        plots.lines("A step of several rows", "rows", "rows", "time of one row",
                    lambda p, all_: p["seconds"] / all_[0]["seconds"]),
        plots.lines("Requests at a time", "requests", "requests", "tok/s of all",
                    lambda p, _: p["tokens_per_second"]),
        plots.latencies(),
        plots.memory(),
        plots.sustained([r for _, result in results for r in result.get("sustained", [])]),
    ]
    parts = ["<!doctype html><html lang='en'><meta charset='utf-8'><title>midge bench</title>"
             "<link rel='icon' href='data:,'>"
             "<meta name='viewport' content='width=device-width'>", f"<style>{STYLE}</style>",
             "<h1>midge bench</h1>"]
    for path, result in results:
        machine = result["machine"]
        parts.append(f"<p>{html.escape(Path(path).name)}: {html.escape(machine['cores'])}, "
                     f"{machine['memory_bytes'] * 1e-9:.1f} GB, {html.escape(machine['system'])}; "
                     f"midge {html.escape(result['midge'])}, {html.escape(result['date'])}</p>")
    parts.append("<div class='plots'>" + "".join(p for p in pictures if p) + "</div>")
    for name, subject in subjects:
        parts.append(f"<h2>{html.escape(name)}</h2><p>{html.escape(str(subject['threads']))} threads, level "
                     f"{html.escape(subject['level'])}, KV {html.escape(subject['kv_type'])}; "
                     f"output checked ({html.escape(subject['check']['content_id'])})</p>")
        parts.append(table_of(subject))
        reasons = [r["disturbance"] for r in subject["rounds"] if r["disturbance"]]
        if reasons:
            parts.append(f"<p class='note'>{len(reasons)} of {len(subject['rounds'])} rounds were "
                         f"disturbed: {html.escape(reasons[0])}. ~ marks lines most of whose "
                         "rounds were.</p>")
    for _, result in results:
        parts += [f"<p>{html.escape(cost_text(c))}</p>" for c in result.get("costs", [])]
    parts.append("<p class='note'>of read: bytes moved by the bandwidth that passes over the same "
                 "weights reached beside it. of peak: multiply-adds by what the cores do on "
                 "registers alone.</p></html>")
    return "\n".join(parts) + "\n"


def cell(text: object) -> str:
    """For a table of Markdown."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def marked(figure: dict, text: str) -> str:
    """With a mark, if most rounds were disturbed."""
    return text + " ~" if figure["disturbed"] else text


def index(results: list[tuple[str, dict]]) -> str:
    """A row for each subject of each result."""
    lines = ["| device | cores | model | threads | level | decode tok/s | of read | prompt tok/s | "
             "first token | memory GB | midge | result |",
             "|---|---|---|--:|---|--:|--:|--:|--:|--:|---|---|"]
    for path, result in sorted(results, key=lambda r: r[0]):
        for subject in result["subjects"]:
            decode = (figures(subject, "decode") or [None])[0]
            prompts = figures(subject, "prompt")
            prompt = next((p for p in prompts if p["at"] == 128), prompts[-1] if prompts else None)
            lines.append("| " + " | ".join(cell(c) for c in (
                Path(path).stem, result["machine"]["cores"], subject["name"], subject["threads"],
                subject["level"], marked(decode, f"{decode['tokens_per_second']:.2f}") if decode else "",
                f"{decode['read_bandwidth_fraction']:.2f}" if decode else "",
                marked(prompt, f"{prompt['tokens_per_second']:.1f}") if prompt else "",
                seconds_text(prompt["seconds"]) if prompt else "",
                f"{subject['memory']['peak'] * 1e-9:.2f}", result["midge"],
                f"[{Path(path).name}]({Path(path).name})")) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", metavar="RESULT.json")
    parser.add_argument("--html", metavar="FILE", help="write the page there")
    parser.add_argument("--index", metavar="FILE",
                        help="write a Markdown table there, behind what stands above the line "
                        "'<!-- results -->'")
    options = parser.parse_args()
    if not options.html and not options.index:
        parser.error("--html or --index is needed")
    results = [(path, load(path)) for path in options.results]
    if options.html == "-":
        sys.stdout.write(page(results))
    elif options.html:
        Path(options.html).write_text(page(results), encoding="utf-8")
    if options.index:
        target = Path(options.index)
        mark = "<!-- results -->"
        above = target.read_text(encoding="utf-8").split(mark)[0] if target.exists() else ""
        target.write_text(above + mark + "\n\n" + index(results), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(str(error))
