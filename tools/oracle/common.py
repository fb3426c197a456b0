"""Helpers shared by the golden-data scripts of this folder; nothing to run.

Everything is computed in float32, on one thread, with eager attention, from fixed seeds.
"""
import copy
import json
import os
import zlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, GenerationConfig
from transformers.utils import logging

torch.set_num_threads(1)
torch.set_grad_enabled(False)
logging.set_verbosity_error()
logging.disable_progress_bar()

# A greedy choice is kept only if its lead over the runner-up is this share of the logit range.
# The engine may be off by 1e-3 of the range per logit, so a lead above 2e-3 can never flip.
GREEDY_LEAD_MIN = 2.5e-3
GREEDY_TOKEN_COUNT = 64


def rng_for(seed, name):
    """Generator that depends on the seed and the name only, not on the order of creation."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def random_tokens(seed, name, count, vocab_size):
    """[count] int64 token ids below vocab_size."""
    return rng_for(seed, name).integers(0, vocab_size, size=count)


def save_expected(path, tensors):
    """Writes a dict of numpy arrays as a safetensors file; makes the folder."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_numpy({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path)


def load_tensors(path):
    """Reads a safetensors file as a dict of torch tensors."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def save_json(path, value):
    """Writes JSON the way Hugging Face does: two spaces, one final newline."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def model_class(config_dict):
    """(model class, config object) of transformers for a config.json; mimo is computed as qwen2."""
    fields = copy.deepcopy(config_dict)
    # transformers renames this type itself, but too late for its own check of the other keys.
    if (fields.get("rope_scaling") or {}).get("type") == "su":
        fields["rope_scaling"]["type"] = "longrope"
    kind = fields.pop("model_type")
    del fields["architectures"]
    config = CONFIG_MAPPING["qwen2" if kind == "mimo" else kind].from_dict(fields)
    return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], config


def load_model(directory, config_changes=None):
    """The transformers model of a Hugging Face directory, in float32.

    config_changes: function that edits the config dictionary before the model is made.
    """
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        config_dict = json.load(file)
    if config_changes:
        config_changes(config_dict)
    cls, config = model_class(config_dict)
    model = cls.from_pretrained(
        directory, config=config, dtype=torch.float32, attn_implementation="eager"
    )
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    return model.eval()


def new_model(config_dict):
    """The transformers model of a config.json in float32; its weights are for the caller to set."""
    cls, config = model_class(config_dict)
    config._attn_implementation = "eager"
    return cls(config).to(torch.float32).eval()


def forward(model, tokens):
    """One pass without cache over tokens [n].

    Returns (logits [n, vocab], last hidden state before the final norm [n, hidden],
    the same after the final norm), as numpy float32.
    """
    seen = {}

    def keep(_module, inputs, output):
        seen["before"], seen["after"] = inputs[0], output

    hook = model.model.norm.register_forward_hook(keep)
    try:
        ids = torch.as_tensor(np.asarray(tokens), dtype=torch.int64)[None]
        logits = model(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
    return logits[0].numpy(), seen["before"][0].numpy(), seen["after"][0].numpy()


def greedy_generate(model, prompt, count=GREEDY_TOKEN_COUNT):
    """transformers' own generate: greedy, with its cache, never stopping at an end token.

    Returns (tokens [count] int64, smallest lead of a choice over the runner-up as a share of
    that step's logit range).
    """
    model.generation_config = GenerationConfig(eos_token_id=None, pad_token_id=0)
    ids = torch.as_tensor(np.asarray(prompt), dtype=torch.int64)[None]
    result = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count,
        do_sample=False, num_beams=1, use_cache=True, output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = result.sequences[0, ids.shape[1]:].numpy()
    assert len(tokens) == count
    logits = torch.stack(result.logits)[:, 0]
    best = logits.topk(2, dim=-1).values
    lead = (best[:, 0] - best[:, 1]) / (logits.amax(-1) - logits.amin(-1))
    return tokens, float(lead.min())


def greedy_without_cache(model, prompt, count=GREEDY_TOKEN_COUNT):
    """The same continuation by one full pass per token: the plain meaning of the cached one."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(forward(model, tokens)[0][-1].argmax()))
    return np.asarray(tokens[len(prompt):])
