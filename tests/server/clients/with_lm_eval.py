"""lm-evaluation-harness against the server, compared with `midge eval`.

Its tasks are made here from tests/data/tasks, whose answers are written as indices and as letters.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from clients.harness import MODEL, Server, expect, expect_equal, run_midge

QUESTIONS = Path(__file__).resolve().parents[2] / "data" / "tasks" / "questions.jsonl"
LARGEST_DIFFERENCE = 1e-6
GENERATED = 10  # questions of the task that generates

CHOICE_TASK = """\
task: midge_choices
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
"""

ANSWER_TASK = """\
task: midge_answers
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs:
  until: ["\\n", "!"]
  max_gen_toks: 24
  temperature: 0
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


def missing():
    for module in "lm_eval", "tenacity", "aiohttp":
        if importlib.util.find_spec(module) is None:
            return f"no Python package {module} (lm_eval[api])"
    return None


def write_tasks(folder):
    questions = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    for question in questions:
        if isinstance(question["answer"], str):
            question["answer"] = "ABCD".index(question["answer"])
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(question) + "\n" for question in questions))
    tasks = folder / "tasks"
    tasks.mkdir(exist_ok=True)
    for name, text in ("midge_choices", CHOICE_TASK), ("midge_answers", ANSWER_TASK):
        (tasks / f"{name}.yaml").write_text(text.format(file=file))
    return tasks


def run_lm_eval(context, name, task, kind, *options, **model_arguments):
    """(results, samples in the order of the questions) of a task."""
    tasks = write_tasks(context.folder)
    output = context.folder / name
    arguments = ",".join(f"{key}={value}" for key, value in model_arguments.items())
    command = [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", arguments,
               "--tasks", task, "--include_path", tasks, "--output_path", output, "--log_samples",
               *options]
    # Nothing is looked for elsewhere, and nothing is left in the user's folders.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
                   "HF_HOME": str(context.folder / "huggingface"), "OPENAI_API_KEY": "none"}
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env=environment, timeout=1200)
    expect(done.returncode == 0, f"lm_eval ended with code {done.returncode}:\n{done.stderr[-4000:]}")
    expect("Retrying" not in done.stderr, f"a request was refused:\n{done.stderr[-4000:]}")
    results = json.loads(next(output.rglob("results_*.json")).read_text())["results"][task]
    samples = [json.loads(line) for line in next(output.rglob("samples_*.jsonl")).open()]
    return results, sorted(samples, key=lambda sample: sample["doc_id"])


def run_eval(context, role, *options):
    return json.loads(run_midge(context.program, "eval", MODEL, "--tasks", QUESTIONS, "--json",
                                "--role", role, *options))


def shown(report):
    return f"{report['acc']:.4f} ± {report['acc_stderr']:.4f}"


def differences(samples, report):
    """Of each likelihood, and the value of midge eval; the greedy choices must be the same."""
    expect_equal(len(samples), len(report["items"]), "questions")
    found = []
    for sample, item in zip(samples, report["items"]):
        answers = [(float(score), str(greedy) == "True") for (score, greedy), in sample["resps"]]
        expect_equal([greedy for _, greedy in answers], item["is_greedy"],
                     f"is_greedy of line {item['line']}")
        expect_equal(len(answers), len(item["loglikelihoods"]), f"choices of line {item['line']}")
        found += [(abs(score - wanted), wanted)
                  for (score, _), wanted in zip(answers, item["loglikelihoods"])]
    return found


def compare_choices(context, server, weights, name, *options, **model_arguments):
    """weights: options of midge, which the server was started with."""
    results, samples = run_lm_eval(
        context, name, "midge_choices", "local-completions", *options, model=MODEL,
        base_url=server.base_url + "/completions", tokenizer_backend="remote", **model_arguments)
    wanted = run_eval(context, "prompt", *weights)
    found = differences(samples, wanted)
    figures = (f"{len(found)} likelihoods, largest difference {max(found)[0]:.1e}, "
               f"acc {results['acc,none']:.4f} ± {results['acc_stderr,none']:.4f}; midge eval "
               f"{shown(wanted)}, with --role generated "
               f"{shown(run_eval(context, 'generated', *weights))}")
    expect(all(difference <= LARGEST_DIFFERENCE for difference, _ in found), figures)
    for metric in "acc", "acc_stderr", "acc_norm", "acc_norm_stderr":
        found = results[metric + ",none"]
        expect(abs(found - wanted[metric]) < 1e-9, f"{metric} {found}, midge eval {wanted[metric]}")
    return figures


def check_one_by_one(context):
    """local-completions, likelihoods of choices as `midge eval`"""
    return compare_choices(context, context.server, [], "one-by-one")


def check_packed(context):
    """the same with packed weights, 8 prompts in a request and 4 requests at a time"""
    # Only with packed weights do prompts and answers have different arithmetic.
    weights = ["--recipe", "fast"]
    server = Server(context.program, *weights)
    try:
        return compare_choices(context, server, weights, "packed", "--batch_size", 8,
                               num_concurrent=4)
    finally:
        server.stop()


def check_answers(context):
    """local-chat-completions, a task that generates, as `midge run`"""
    results, samples = run_lm_eval(
        context, "answers", "midge_answers", "local-chat-completions", "--apply_chat_template",
        "--limit", GENERATED, model=MODEL, base_url=context.server.base_url + "/chat/completions")
    expect_equal(len(samples), GENERATED, "questions")
    for sample in samples[:3]:
        question = sample["doc"]["question"]
        answer = context.answer_of_run(question, "-n", 24, "--stop", "\n", "--stop", "!")
        expect_equal(sample["resps"], [[answer]], question)
    return f"exact_match {results['exact_match,none']:.4f}"


CHECKS = [check_one_by_one, check_packed, check_answers]
