"""Shapes of the two bundled models and their Hugging Face directories: build, save, load.

tiny-phi has Phi-4-mini's architecture and tiny-mimo MiMo-7B's; both are built from transformers'
own classes (Phi3ForCausalLM, Qwen2ForCausalLM), so the architecture is right by construction.
"""

import copy
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from make_tokenizer import ROWS
from mtp import PREFIX as MTP_PREFIX
from mtp import MtpLayer

PHI_ORIGINAL_LENGTH = 256
_PHI_MAX_LENGTH = 2048
_ROTARY_PAIRS = 12  # 0.75 * head_dim 32, halved


def _long_factors():
    """Geometric from 1 to max / original length, as the first 32 of Phi-4-mini's."""
    ratio = _PHI_MAX_LENGTH / PHI_ORIGINAL_LENGTH
    return [round(ratio ** (j / (_ROTARY_PAIRS - 1)), 6) for j in range(_ROTARY_PAIRS)]


# The keys are those of the published config.json files (the old rope keys, not `rope_parameters`).
PHI_CONFIG = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "embd_pdrop": 0.0,
    "full_attn_mod": 1,
    "hidden_act": "silu",
    "hidden_size": 192,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "interpolate_factor": 1,
    "lm_head_bias": False,
    "max_position_embeddings": _PHI_MAX_LENGTH,
    "mlp_bias": False,
    "model_type": "phi3",
    "num_attention_heads": 6,
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "original_max_position_embeddings": PHI_ORIGINAL_LENGTH,
    "partial_rotary_factor": 0.75,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "long_factor": _long_factors(),
        "short_factor": [1.0] * _ROTARY_PAIRS,
        "type": "longrope",
    },
    "rope_theta": 10000.0,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": ROWS,
}

MIMO_CONFIG = {
    "architectures": ["MiMoForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 192,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "max_position_embeddings": 1024,
    "max_window_layers": 4,
    "model_type": "mimo",
    "num_attention_heads": 6,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "num_nextn_predict_layers": 1,
    "rms_norm_eps": 1e-05,
    "rope_theta": 640000,
    "sliding_window": 1024,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": ROWS,
}

# Where a text ends, and where an answer ends.
END_TOKENS = {"phi": ("<|endoftext|>", "<|end|>"), "mimo": ("<|endoftext|>", "<|im_end|>")}


def config_of(family, tokenizer):
    """config.json with the special ids of `tokenizer` filled in, in the published models' style."""
    text_end, turn_end = (tokenizer.token_to_id(token) for token in END_TOKENS[family])
    if family == "phi":
        ids = {"bos_token_id": text_end, "eos_token_id": text_end, "pad_token_id": text_end}
        return dict(sorted({**PHI_CONFIG, **ids}.items()))
    return dict(sorted({**MIMO_CONFIG, "bos_token_id": text_end, "eos_token_id": turn_end}.items()))


def generation_config_of(family, tokenizer):
    text_end, turn_end = (tokenizer.token_to_id(token) for token in END_TOKENS[family])
    eos = [turn_end, text_end]
    return {"bos_token_id": text_end, "eos_token_id": eos, "pad_token_id": text_end}


def build(config):
    """A new transformers model for the content of a config.json, with random weights."""
    # transformers writes its own keys into the rope_scaling it is given: it gets copies.
    keys = {
        key: copy.deepcopy(value)
        for key, value in config.items()
        if key not in ("architectures", "model_type", "torch_dtype")
    }
    if config["model_type"] == "phi3":
        return Phi3ForCausalLM(Phi3Config(**keys))
    # A MiMo model without its MTP layer is a Qwen2 model.
    return Qwen2ForCausalLM(Qwen2Config(**keys))


def save(directory, config, generation_config, model, mtp=None):
    """Writes config.json, generation_config.json and model.safetensors (BF16) to `directory`."""
    for name, content in (("config.json", config), ("generation_config.json", generation_config)):
        text = json.dumps(content, indent=2)
        (directory / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    tensors = dict(model.state_dict())
    if config["tie_word_embeddings"]:
        del tensors["lm_head.weight"]
    if mtp is not None:
        tensors.update({MTP_PREFIX + name: tensor for name, tensor in mtp.state_dict().items()})
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def load(directory):
    """(model, mtp) of a directory in float32; mtp is None for a model without an MTP layer."""
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    tensors = {
        name: tensor.float() for name, tensor in load_file(directory / "model.safetensors").items()
    }
    model = build(config)
    mtp = None
    if config.get("num_nextn_predict_layers"):
        mtp = MtpLayer(model.config)
        names = [name for name in tensors if name.startswith(MTP_PREFIX)]
        mtp.load_state_dict({name.removeprefix(MTP_PREFIX): tensors.pop(name) for name in names})
        mtp.eval()
    if config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model.load_state_dict(tensors)
    return model.eval(), mtp
