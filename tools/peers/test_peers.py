#!/usr/bin/env python3
"""Tests of parsing, statistics and the table, on captured output. No peer and no network."""
import argparse
import contextlib
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

import child
import compare
import figures
import install
import llama_cpp
import machine
import midge
import model_files
import runtimes
import table
from places import PeerError
from records import RequestsSample, Row, Sample, Setup
from results import Results

MIDGE_BENCH = json.dumps({
    "schema": "midge.bench", "version": 2, "subjects": [
        {"threads": 2, "level": "avx2", "figures": [
            {"section": "prompt", "at": 512, "seconds": 2.008405577, "tokens_per_second": 254.9},
            {"section": "decode", "at": 0, "seconds": 0.020146151, "tokens_per_second": 49.6},
            {"section": "requests", "at": 4, "seconds": 0.03, "tokens_per_second": 133.3}]}]})
MIDGE_PROFILE = json.dumps({
    "schema": "midge.profile", "version": 1, "phases": [
        {"name": "prompt of 512 tokens", "steps": 2, "operations": [
            {"name": "linear gate_up", "seconds": 3.0}, {"name": "quantize down", "seconds": 0.5},
            {"name": "attention", "seconds": 0.2}]},
        {"name": "decode of 1 rows behind 1 tokens", "steps": 15, "operations": [
            {"name": "linear head", "seconds": 0.30}, {"name": "rope", "seconds": 0.01}]}]})
LLAMA_BENCH = """[
  {"build_commit": "de3ff81", "n_threads": 2, "n_prompt": 512, "n_gen": 0,
   "avg_ns": 2228658716, "samples_ns": [ 2237105997, 2220211435 ]},
  {"build_commit": "de3ff81", "n_threads": 2, "n_prompt": 0, "n_gen": 32,
   "avg_ns": 1141817068, "samples_ns": [ 1245072812, 1038561325 ]}
]
"""
BATCHED_BENCH = """
{"n_kv_max": 2048, "pp": 16, "tg": 16, "pl": 2, "t_tg": 2.888011, "speed_tg": 11.080290}
{"n_kv_max": 2048, "pp": 16, "tg": 16, "pl": 4, "t_tg": 2.389644, "speed_tg": 26.782232}

"""
STAT = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 50 10 15 2000 250 3 3 4 0 0\n"


def sample(decode: float, prompt: float = 4.0, others: float = 0.0) -> Sample:
    return Sample("1.0", 2, decode, prompt, 3 << 30, others)


def setup(**changes: object) -> Setup:
    values = {"model": "phi4-mini", "layers": 0, "head": True, "threads": 2,
              "midge": pathlib.Path("midge"), **changes}
    return Setup(**values)  # type: ignore[arg-type]


class ReportsTest(unittest.TestCase):
    def test_midge(self) -> None:
        figures = midge.read_figures(MIDGE_BENCH)
        self.assertEqual((figures["decode", 0]["threads"], figures["decode", 0]["level"]),
                         (2, "avx2"))
        self.assertAlmostEqual(figures["prompt", 512]["seconds"], 2.008405577)
        self.assertAlmostEqual(figures["requests", 4]["tokens_per_second"], 133.3)
        with self.assertRaisesRegex(ValueError, "midge.bench 3"):
            midge.read_figures(json.dumps(json.loads(MIDGE_BENCH) | {"version": 3}))

    def test_midge_products(self) -> None:
        products = midge.read_products(MIDGE_PROFILE)
        self.assertAlmostEqual(products["prompt"], 1.75)
        self.assertAlmostEqual(products["decode"], 0.02)
        with self.assertRaisesRegex(ValueError, "midge.bench 1"):
            midge.read_products(json.dumps({"schema": "midge.bench", "version": 1}))

    def test_llama_bench(self) -> None:
        decode, prompt = llama_cpp.read_report(LLAMA_BENCH)
        self.assertAlmostEqual(decode, 1.1418170685 / 32)
        self.assertAlmostEqual(prompt, 2.228658716)
        with self.assertRaises(PeerError):
            llama_cpp.read_report(json.dumps(json.loads(LLAMA_BENCH)[:1]))

    def test_batched_bench(self) -> None:
        self.assertEqual(llama_cpp.read_requests(BATCHED_BENCH), {2: 11.08029, 4: 26.782232})

    def test_runtime(self) -> None:
        report = runtimes.read_report('{"version": "1.32.0", "decode_seconds": [0.3, 0.1, 0.2]}\n')
        self.assertEqual(report, {"version": "1.32.0", "decode_seconds": 0.2})


class FiguresTest(unittest.TestCase):
    def test_median_and_range(self) -> None:
        self.assertEqual(figures.figure([3.0, 1.0, 2.0]), figures.Figure(2.0, 1.0, 3.0, 3))
        self.assertIsNone(figures.figure([]))

    def test_ratio_is_taken_within_rounds(self) -> None:
        # The machine became twice as slow; the ratio did not change.
        peer, base = {1: 10.0, 2: 20.0, 3: 40.0}, {1: 5.0, 2: 10.0}
        self.assertEqual(figures.ratio(peer, base, lambda value: value),
                         figures.Figure(2.0, 2.0, 2.0, 2))


class TableTest(unittest.TestCase):
    OTHER = Row("other", "int4", "midge, products alone", ("only | products",))

    def results(self) -> Results:
        results = Results({"midge": midge.ROWS, "other": (self.OTHER,)}, 2)
        for number, slower in ((1, 1.0), (2, 2.0)):
            results.add(number, {midge.NAME: sample(0.05 * slower),
                                 midge.PRODUCTS: sample(0.04 * slower)})
            results.add(number, {"other": sample(0.08 * slower, others=0.5 * number - 0.5)})
        return results

    def test_rows(self) -> None:
        lines = table.table(self.results()).splitlines()
        self.assertEqual(len({line.count(" | ") for line in lines[:5]}), 1)
        self.assertIn("| midge | 1.0 | 2 | Q4_0, 4.5 bits | 75.0 (50.0 to 100) | "
                      "15.0 (10.0 to 20.0) | 128 (128 to 128) | - | - | 3.00 GiB |", lines[2])
        self.assertIn("| 0.50 (0.50 to 0.50) | 1.00 (1.00 to 1.00) |", lines[4])

    def test_notes_are_numbered_once(self) -> None:
        text = table.table(self.results())
        self.assertTrue(text.endswith("2. only | products\n"))
        self.assertIn("| 3.00 GiB | 2 |", text)

    def test_failure_is_a_row(self) -> None:
        results = Results({"midge": midge.ROWS, "other": (self.OTHER,)}, 1)
        results.failures["other"] = "prepare: not | there"
        row = table.table(results).splitlines()[4]
        self.assertTrue(row.startswith("| other | - |"))
        self.assertIn("failed: prepare: not \\| there, 2 |", row)

    def test_failure_keeps_what_was_measured(self) -> None:
        results = self.results()
        results.failures["other"] = "round 3 of 3: killed"
        row = table.table(results).splitlines()[4]
        self.assertIn("0.50 (0.50 to 0.50)", row)
        self.assertIn("failed: round 3 of 3: killed", row)

    def test_others_are_named(self) -> None:
        said = [line for line in table.remarks(self.results()) if "other programs" in line]
        self.assertEqual(said, ["other: other programs took up to 0.5 cores during a measurement: "
                                "its figures are too low, and its ratios say little."])

    def test_requests(self) -> None:
        results = self.results()
        results.add_requests(1, "midge", RequestsSample({2: 20, 4: 40, 8: 80}, 0))
        results.add_requests(1, "other", RequestsSample({2: 10, 4: 10, 8: 20}, 0))
        results.requests_failures["third"] = "round 1: exit code 1"
        lines = table.requests_table(results, "midge").splitlines()
        self.assertEqual(lines[2:], ["| midge | 20.0 | 40.0 | 80.0 |",
                                     "| other | 10.0 | 10.0 | 20.0 |",
                                     "| other to midge | 0.50 | 0.25 | 0.25 |",
                                     "| third failed: round 1: exit code 1 | - | - | - |"])

    def test_json(self) -> None:
        rows = json.loads(json.dumps(self.results().as_json()))["rows"]
        self.assertEqual([row["name"] for row in rows], [midge.NAME, midge.PRODUCTS, "other"])
        self.assertEqual(rows[2]["ratios"]["decode_tokens_per_second"]["median"], 0.5)
        self.assertEqual(rows[0]["ratios"], {})


class DriverTest(unittest.TestCase):
    def run_peers(self, *peers: object) -> Results:
        results = Results({}, 2)
        arguments = argparse.Namespace(rounds=2, concurrent=False, wait_idle=0)
        compare.measure_all(results, list(peers), setup(), arguments)  # type: ignore[arg-type]
        return results

    def test_frameworks_alternate(self) -> None:
        order: list[str] = []
        peers = []
        for name in ("a", "b"):
            peer = mock.Mock(NAME=name)
            peer.measure.side_effect = lambda _, name=name: order.append(name) or {
                name: sample(1.0)}
            peers.append(peer)
        self.run_peers(*peers)
        self.assertEqual(order, ["a", "b", "a", "b"])

    def test_failed_peer_is_not_run_again(self) -> None:
        peer = mock.Mock(NAME="a")
        peer.measure.side_effect = PeerError("no")
        self.assertEqual(self.run_peers(peer).failures, {"a": "round 1 of 2: no"})
        self.assertEqual(peer.measure.call_count, 1)

    def test_options(self) -> None:
        self.assertEqual(compare.parse(["--layers", "8"]).layers, 8)
        for words in (["--peers", "x"], ["--rounds", "0"], ["--model", "x"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                compare.parse(words)


class ChildTest(unittest.TestCase):
    def test_busy_seconds(self) -> None:
        with mock.patch("os.sysconf", return_value=100):
            self.assertEqual(child.parse_busy(STAT), child.Busy(1.71, 0.2))

    def test_disturbed_is_measured_again(self) -> None:
        for given, tries, kept in (([0.5, 0.0], 2, 0.0), ([0.0], 1, 0.0), ([0.5], 1, 0.5)):
            seconds, cores = (0 if kept else 60), iter(given)
            measure = mock.Mock(side_effect=lambda cores=cores: next(cores))
            with mock.patch("child.wait_until_idle"):
                self.assertEqual(child.undisturbed(measure, lambda value: value, seconds), kept)
            self.assertEqual(measure.call_count, tries)

    def test_output_and_memory(self) -> None:
        run = child.run(["sh", "-c", "echo hello"])
        self.assertEqual(run.output, "hello\n")
        self.assertGreater(run.memory_bytes, 1 << 17)

    def test_reasons(self) -> None:
        with self.assertRaisesRegex(PeerError, "^sh: exit code 3: no model$"):
            child.run(["sh", "-c", "echo no model >&2; exit 3"])
        with self.assertRaisesRegex(PeerError, "^sh: signal 9$"):
            child.run(["sh", "-c", "kill -9 $$"])
        with self.assertRaisesRegex(PeerError, "^nowhere: No such file"):
            child.run(["/no/such/nowhere"])


class FilesTest(unittest.TestCase):
    def test_names(self) -> None:
        self.assertEqual(setup().name, "phi4-mini")
        self.assertEqual(setup(layers=8, head=False).name, "phi4-mini-8L-nohead")
        self.assertEqual(setup(layers=8).graph_arguments, ("phi4-mini", "8", "1"))

    def test_stamp_and_age(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "stamp"
            self.assertFalse(install.is_current(path, "wanted"))
            self.assertFalse(model_files.is_current(path, ()))
            path.write_text("wanted", encoding="utf-8")
            self.assertTrue(install.is_current(path, "wanted"))
            self.assertTrue(model_files.is_current(path, (install.HERE / "install.py",)))

    def test_machine(self) -> None:
        self.assertGreaterEqual(machine.physical_cores(), 1)
        self.assertEqual(machine.value_of("model\t\t: 1\nmodel name\t: X: y\n", "model name"),
                         "X: y")


class ShapesTest(unittest.TestCase):
    def test_products_have_the_weights_of_the_file(self) -> None:
        try:
            import shapes
        except ModuleNotFoundError as error:
            self.skipTest(f"no {error.name}")
        for model in compare.SHAPES:
            config = shapes.configuration(model, 2, True)
            matrices = [shape for name, shape, _ in shapes.synth_gguf.tensors(config, "q4_0")
                        if len(shape) == 2 and name.startswith("blk.")]
            self.assertEqual(sum(k * n for k, n in matrices),
                             sum(m.k * m.n for m in shapes.layer_matrices(config)) * 2)


if __name__ == "__main__":
    unittest.main()
