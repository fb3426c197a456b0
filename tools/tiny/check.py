"""Looks at a trained bundled model: reload, samples, arithmetic, questions, draft acceptance.

  python tools/tiny/check.py assets/models/tiny-phi
  python tools/tiny/check.py assets/models/tiny-mimo

Prints greedy and sampled stories, a dialogue, the share of right sums (all that the training text
can ask for), facts and reading questions, and for tiny-mimo the MTP acceptance. An answer that does
not end with the turn's end token counts as wrong.
"""

import argparse
import json
import pathlib
import random

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from corpus import held_out_text
from facts import LARGEST_ADDEND, fact_question, reading_question
from families import END_TOKENS, load
from mtp import acceptance

FACTS = 60
ACCEPTANCE_WINDOW = 256
SAMPLE_SEED = 7


class Checker:
    def __init__(self, directory):
        self.model, self.mtp = load(directory)
        self.raw = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.chat = PreTrainedTokenizerFast.from_pretrained(directory)
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        self.family = "phi" if config["model_type"] == "phi3" else "mimo"
        self.ends = [self.raw.token_to_id(token) for token in END_TOKENS[self.family]]

    def generate(self, ids, limit, temperature=0.0):
        """New ids after `ids`, with the end token that stopped it, if one did."""
        keys = (
            {"do_sample": True, "temperature": temperature, "top_k": 0}
            if temperature
            else {"do_sample": False}
        )
        with torch.no_grad():
            out = self.model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=limit,
                eos_token_id=self.ends,
                pad_token_id=self.ends[0],
                **keys,
            )
        return out[0, len(ids) :].tolist()

    def story(self, prompt, temperature):
        ids = self.generate(self.raw.encode(prompt).ids, 500, temperature)
        end = self.raw.id_to_token(ids[-1]) if ids[-1] in self.ends else "(limit)"
        return prompt + self.raw.decode(ids), end, len(ids)

    def answer(self, *turns):
        """The answer after alternating user and assistant texts; None if it does not end."""
        messages = [
            {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)
        ]
        if self.family == "mimo":
            messages.insert(0, {"role": "system", "content": ""})
        text = self.chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = self.generate(self.chat.encode(text, add_special_tokens=False), 400)
        return self.raw.decode(ids) if ids[-1] == self.ends[1] else None


def reload_difference(directory, model):
    """Largest difference of the logits between `model` and what transformers' own loader makes.

    transformers does not know model_type "mimo"; it reads such a directory as Qwen2 without the MTP
    layer.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] == "mimo":
        config["model_type"] = "qwen2"
        again = Qwen2ForCausalLM.from_pretrained(
            directory, config=Qwen2Config.from_dict(config), dtype=torch.float32
        )
    else:
        again = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    ids = torch.arange(600)[None] * 7 % config["vocab_size"]
    with torch.no_grad():
        pairs = [(model(ids[:, :n]).logits, again(ids[:, :n]).logits) for n in (200, 600)]
    return max((ours - theirs).abs().max().item() for ours, theirs in pairs)


def sums():
    """Every question whose numbers the training text has, with its answer."""
    span = range(LARGEST_ADDEND + 1)
    for a in span:
        for b in span:
            yield f"What is {a} + {b}?", f"{a} + {b} = {a + b}."
            yield f"What is {a + b} - {b}?", f"{a + b} - {b} = {a}."


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="stories and a few questions only")
    args = parser.parse_args()
    torch.manual_seed(SAMPLE_SEED)
    checker = Checker(args.model)
    difference = reload_difference(args.model, checker.model)
    print(f"largest logit difference after loading with transformers: {difference}\n")
    prompts = ["Once upon a time", "One day, a little girl", "Once upon a time, there was a fox"]
    # A whole story in front moves the next one across tiny-phi's original length of 256 tokens.
    first_story = held_out_text().split("\n\n")[0]
    prompts.append(first_story + "\n\nOnce upon a time")
    for prompt, temperature in [(p, 0.0) for p in prompts] + [(prompts[0], 0.8)] * 3:
        text, end, count = checker.story(prompt, temperature)
        print(f"[temperature {temperature}, {count} tokens] {text} {end}\n")
    dialogue = [
        "Hello!",
        "Tell me a short story about a cat.",
        "What is seven plus eight?",
        "Thank you!",
    ]
    turns = []
    for question in dialogue:
        turns.append(question)
        reply = checker.answer(*turns)
        print(f"> {question}\n{reply}")
        turns.append(reply or "")
    if not args.quick:
        pairs = list(sums())
        right = [checker.answer(question) == answer for question, answer in pairs]
        print(f"sums right: {sum(right)} of {len(right)}")
        rng = random.Random(5)
        for make in (fact_question, reading_question):
            pairs = [make(rng) for _ in range(FACTS)]
            replies = [checker.answer(question) for question, _ in pairs]
            right = sum(reply == answer for reply, (_, answer) in zip(replies, pairs, strict=True))
            print(f"{make.__name__}: {right} of {len(pairs)} right")
    if checker.mtp is not None:
        ids = checker.raw.encode(held_out_text()).ids
        share = acceptance(checker.model, checker.mtp, ids, ACCEPTANCE_WINDOW)
        print(f"MTP acceptance on the held-out text: {share:.3f}")


if __name__ == "__main__":
    main()
