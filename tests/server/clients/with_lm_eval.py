"""lm-evaluation-harness against the server, compared with `midge eval`.

Its tasks are made here from tests/data/tasks, whose answers are written as indices and as letters.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from clients.harness import MODEL, expect, expect_equal, run_midge

QUESTIONS = Path(__file__).resolve().parents[2] / "data" / "tasks" / "questions.jsonl"
# The server sends the score of each token in f32.
LARGEST_DIFFERENCE = 1e-6
F32_ROUNDING = 2.0 ** -24
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


def run_eval(context, role):
    return json.loads(run_midge(context.program, "eval", MODEL, "--tasks", QUESTIONS, "--json",
                                "--role", role))


def shown(report):
    return f"{report['acc']:.4f} ± {report['acc_stderr']:.4f}"


def largest_difference(samples, report):
    """Of a likelihood, beyond the rounding of scores; the greedy choices must be the same."""
    expect_equal(len(samples), len(report["items"]), "questions")
    largest = 0
    for sample, item in zip(samples, report["items"]):
        answers = [(float(score), str(greedy) == "True")
                   for (score, greedy), in sample["resps"]]
        expect_equal([greedy for _, greedy in answers], item["is_greedy"],
                     f"is_greedy of line {item['line']}")
        expect_equal(len(answers), len(item["loglikelihoods"]), f"choices of line {item['line']}")
        for (score, _), wanted in zip(answers, item["loglikelihoods"]):
            largest = max(largest, abs(score - wanted) - F32_ROUNDING * abs(wanted))
    return largest


def compare_choices(context, name, *options, **model_arguments):
    results, samples = run_lm_eval(
        context, name, "midge_choices", "local-completions", *options, model=MODEL,
        base_url=context.server.base_url + "/completions", tokenizer_backend="remote",
        **model_arguments)
    wanted = run_eval(context, "prompt")
    generated = run_eval(context, "generated")
    largest = largest_difference(samples, wanted)
    figures = (f"largest difference {largest:.1e}, acc {results['acc,none']:.4f} ± "
               f"{results['acc_stderr,none']:.4f}, midge eval {shown(wanted)}, "
               f"its --role generated {shown(generated)}")
    expect(largest <= LARGEST_DIFFERENCE, figures)
    for metric in "acc", "acc_stderr", "acc_norm", "acc_norm_stderr":
        found = results[metric.replace("_stderr", "") + ("_stderr" if "stderr" in metric else "")
                        + ",none"]
        expect(abs(found - wanted[metric]) < 1e-9, f"{metric} {found}, midge eval {wanted[metric]}")
    return figures


def check_one_by_one(context):
    """local-completions, likelihoods of choices as `midge eval`"""
    return compare_choices(context, "one-by-one")


def check_side_by_side(context):
    """local-completions, 8 prompts in a request and 4 requests at a time"""
    return compare_choices(context, "side-by-side", "--batch_size", 8, num_concurrent=4)


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


CHECKS = [check_one_by_one, check_side_by_side, check_answers]
