"""Trains a bundled model and writes its Hugging Face directory, where its tokenizer is already.

  python tools/tiny/train.py phi assets/models/tiny-phi --checkpoints run/phi
  python tools/tiny/train.py mimo assets/models/tiny-mimo --checkpoints run/mimo

tiny-mimo's MTP layer is trained afterwards, with the main model frozen. Seeds are fixed; only the
order of float sums (thread count, CPU) can change the result. With --checkpoints the state is kept
in that folder every 100 steps and a restart continues from it.
"""

import argparse
import math
import os
import pathlib
import sys
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from batches import Packer
from corpus import TRAIN_SEED
from families import END_TOKENS, build, config_of, generation_config_of, save
from mtp import MtpLayer, hidden_before_norm


class Stage(NamedTuple):
    """One optimizer run: which mix of documents, how many steps of how many tokens, peak rate."""

    name: str
    corpus_phase: int
    seed: int
    steps: int
    tokens: int
    rate: float


# The smaller batches after the first stage and their mix of documents are for sums and for copying
# names. tiny-phi, deeper and with a tied head, needs more steps for that.
_FIRST = Stage("first", 1, TRAIN_SEED, 800, 4096, 3e-3)
_SECOND = Stage("second", 2, TRAIN_SEED + 2, 1100, 2048, 2e-3)
_THIRD = Stage("third", 2, TRAIN_SEED + 3, 600, 2048, 2e-3)
MAIN_STAGES = {"phi": (_FIRST, _SECOND, _THIRD), "mimo": (_FIRST, _SECOND)}
MTP_STAGE = Stage("mtp", 1, TRAIN_SEED + 1, 200, 4096, 3e-3)
# Sequence lengths, in turn. tiny-phi's go past its original length of 256 in two steps of five, so
# that both of its rope regimes are trained.
LENGTHS = {"phi": (256, 256, 512, 256, 1024), "mimo": (256, 512, 256, 1024)}
WARMUP = 50
CLIP = 1.0


def learning_rate(step, steps, peak):
    """Linear warm-up, then a cosine down to 2 % of the peak."""
    if step < WARMUP:
        return peak * (step + 1) / WARMUP
    return peak * (
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))
    )


def optimizer_for(module, peak):
    """AdamW; matrices decay, norms and biases do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-9)


class Progress:
    """Loss, step and time left: one line redrawn on a terminal, every 50 steps otherwise."""

    def __init__(self, stage, first):
        self._stage, self._first = stage, first
        self._start, self._mean = time.time(), None

    def show(self, step, loss):
        self._mean = loss if self._mean is None else 0.95 * self._mean + 0.05 * loss
        done = step + 1 - self._first
        terminal = sys.stderr.isatty()
        if not terminal and (step + 1) % 50 != 0:
            return
        seconds = time.time() - self._start
        left = seconds / done * (self._stage.steps - step - 1)
        speed = done * self._stage.tokens / seconds
        text = f"{self._stage.name}: step {step + 1}/{self._stage.steps} loss {self._mean:.3f}"
        text += f" {speed:.0f} tok/s {left:.0f} s left"
        print(text, file=sys.stderr, end="\r" if terminal else "\n", flush=True)


def train(stage, module, loss_of, packer, lengths, checkpoint):
    """Runs a stage on `module`, whose loss is loss_of(ids [B, N]).

    A restart draws the batches it had before the checkpoint once more, so that the run is the same.
    """
    optimizer = optimizer_for(module, stage.rate)
    first = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    progress = Progress(stage, first)
    for step in range(stage.steps):
        length = lengths[step % len(lengths)]
        ids = packer.batch(stage.tokens // length, length)
        if step < first:
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage.steps, stage.rate)
        # bfloat16 products halve the time on CPUs that have them; the weights stay float32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        progress.show(step, loss.item())
        if checkpoint is not None and (step + 1) % 100 == 0:
            state = {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
            }
            partial = checkpoint.with_suffix(".part")
            torch.save(state, partial)
            os.replace(partial, checkpoint)


def next_token_loss(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits.float()
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def draft_loss(model, mtp, ids):
    with torch.no_grad():
        _, hidden = hidden_before_norm(model, ids)
    logits = mtp.draft(model, hidden[:, :-2], ids[:, 1:-1]).float()
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 2:].flatten())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("family", choices=["phi", "mimo"])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoints", type=pathlib.Path, help="folder for the training state")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(1234)
    raw_tokenizer = Tokenizer.from_file(str(args.directory / "tokenizer.json"))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.directory)
    config = config_of(args.family, raw_tokenizer)
    end_id = raw_tokenizer.token_to_id(END_TOKENS[args.family][0])
    model = build(config)
    mtp = MtpLayer(model.config) if args.family == "mimo" else None

    if args.checkpoints:
        args.checkpoints.mkdir(parents=True, exist_ok=True)

    def run(stage, module, loss_of):
        packer = Packer(stage.seed, args.family, stage.corpus_phase, tokenizer, end_id)
        checkpoint = args.checkpoints and args.checkpoints / f"{stage.name}.pt"
        train(stage, module, loss_of, packer, LENGTHS[args.family], checkpoint)

    for stage in MAIN_STAGES[args.family]:
        run(stage, model, lambda ids: next_token_loss(model, ids))
    if mtp is not None:
        model.requires_grad_(False)
        run(MTP_STAGE, mtp, lambda ids: draft_loss(model, mtp, ids))
    save(args.directory, config, generation_config_of(args.family, raw_tokenizer), model, mtp)


if __name__ == "__main__":
    main()
