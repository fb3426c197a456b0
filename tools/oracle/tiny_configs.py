"""The tiny random checkpoints of the golden data: configurations, lengths, seeds; nothing to run.

Every shape follows the real model's (group sizes, fused matrices, biases, partial rotary), only
smaller. `CASES` lists them; make_models.py turns each into a Hugging Face directory.
"""
from dataclasses import dataclass, field


@dataclass
class Case:
    """One checkpoint and what is computed from it."""

    name: str
    config: dict  # config.json as written
    dtype: str  # type of the stored weights: bfloat16, float16 or float32
    seed: int
    lengths: list  # prompt lengths whose logits are kept
    prompts: dict  # greedy continuations: name -> prompt length
    normed_lengths: list  # lengths whose hidden state after the final norm is kept too
    shard_count: int = 1
    generation_config: dict = field(default_factory=dict)


# Ratio 2048 / 64 = 32 like the real model's 131072 / 4096. The short factors are not ones, so a
# loader that ignores them is noticed.
PHI4_MINI = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 284,
    "embd_pdrop": 0.0,
    "eos_token_id": 284,
    "full_attn_mod": 1,
    "hidden_act": "silu",
    "hidden_size": 96,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "interpolate_factor": 1,
    "lm_head_bias": False,
    "max_position_embeddings": 2048,
    "mlp_bias": False,
    "model_type": "phi3",
    "num_attention_heads": 6,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "original_max_position_embeddings": 64,
    "pad_token_id": 284,
    "partial_rotary_factor": 0.75,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "long_factor": [1.0, 1.7, 4.1, 9.35, 21.6, 47.77],
        "short_factor": [1.0, 1.05, 1.1, 1.3, 1.25, 1.4],
        "type": "longrope",
    },
    "rope_theta": 10000.0,
    "sliding_window": 262144,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0",
    "use_cache": True,
    "vocab_size": 288,
}

PHI4 = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 250,
    "embd_pdrop": 0.0,
    "eos_token_id": 250,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "model_type": "phi3",
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "original_max_position_embeddings": 512,
    "pad_token_id": 250,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 250000,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0",
    "use_cache": True,
    "vocab_size": 256,
}

# Newer transformers gathers everything about rope in one object.
PHI4_MINI_F16 = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 298,
    "dtype": "float16",
    "embd_pdrop": 0.0,
    "eos_token_id": 298,
    "hidden_act": "silu",
    "hidden_size": 48,
    "initializer_range": 0.02,
    "intermediate_size": 80,
    "max_position_embeddings": 1024,
    "model_type": "phi3",
    "num_attention_heads": 3,
    "num_hidden_layers": 3,
    "num_key_value_heads": 1,
    "original_max_position_embeddings": 64,
    "pad_token_id": 298,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_parameters": {
        "long_factor": [1.1, 2.3, 3.9, 8.5, 19.0, 32.13],
        "original_max_position_embeddings": 64,
        "partial_rotary_factor": 0.75,
        "rope_theta": 10000.0,
        "rope_type": "longrope",
        "short_factor": [1.0, 1.0, 1.02, 1.1, 1.2, 1.5],
    },
    "sliding_window": None,
    "tie_word_embeddings": True,
    "transformers_version": "5.23.0",
    "use_cache": True,
    "vocab_size": 300,
}

# head_dim 12 differs from hidden_size / num_attention_heads = 8: it must be read, not derived.
# sliding_window is set but switched off, as in the real config.
MIMO = {
    "architectures": ["MiMoForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "bos_token_id": 246,
    "eos_token_id": 248,
    "head_dim": 12,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 1024,
    "max_window_layers": 2,
    "model_type": "mimo",
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "num_nextn_predict_layers": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 640000,
    "sliding_window": 16,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 256,
}

QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 290,
    "eos_token_id": 292,
    "hidden_act": "silu",
    "hidden_size": 48,
    "initializer_range": 0.02,
    "intermediate_size": 80,
    "max_position_embeddings": 1024,
    "max_window_layers": 3,
    "model_type": "qwen2",
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 16,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.1",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 300,
}

# Phi-4 as it is re-uploaded under Llama's names: q/k/v and gate/up apart, the window key gone.
# Every width is a multiple of 32, so that Q4_0 blocks fit.
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 250,
    "eos_token_id": 252,
    "head_dim": 8,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "original_max_position_embeddings": 512,
    "pad_token_id": 255,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 250000,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.47.1",
    "use_cache": True,
    "vocab_size": 256,
}

# Mistral-7B-v0.1: groups of four, no biases, a window inside of the context, no head_dim.
MISTRAL = {
    "architectures": ["MistralForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "model_type": "mistral",
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "sliding_window": 24,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.34.0.dev0",
    "use_cache": True,
    "vocab_size": 128,
}

# Mistral-Nemo: no window, another theta, and heads that together are narrower than the hidden size.
MISTRAL_NEMO = MISTRAL | {
    "head_dim": 8,
    "hidden_size": 80,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "transformers_version": "4.43.0.dev0",
}

# Phi-3-mini-4k's structure. The window is shorter than the context, so it is active.
PHI3_WINDOW = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "embd_pdrop": 0.0,
    "eos_token_id": 250,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "model_type": "phi3",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "original_max_position_embeddings": 512,
    "pad_token_id": 250,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": 20,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.2",
    "use_cache": True,
    "vocab_size": 256,
}

# Phi-3-mini-4k: one KV head per query head, heads of three quarters of a power of two (96), an odd
# window well inside of the context.
PHI3_MINI = PHI3_WINDOW | {
    "hidden_size": 96,
    "intermediate_size": 64,
    "max_position_embeddings": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "original_max_position_embeddings": 96,
    "sliding_window": 31,
    "eos_token_id": 220,
    "pad_token_id": 220,
    "vocab_size": 224,
}

# Phi-3.5-mini: longrope over the whole head, one factor per pair; a window beyond the context.
PHI3_5_MINI = PHI3_MINI | {
    "max_position_embeddings": 2048,
    "original_max_position_embeddings": 64,
    "rope_scaling": {
        "long_factor": [1.08, 1.11, 1.2, 1.95, 3.8, 9.1, 18.9, 31.2, 44.6, 57.7, 62.3, 64.8],
        "short_factor": [1.0, 1.02, 1.03, 1.1, 1.22, 1.5, 1.75, 2.0, 2.27, 2.6, 2.75, 2.84],
        "type": "longrope",
    },
    "sliding_window": 262144,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.38.1",
}

# Phi-3-medium-128k: groups of four, KV heads that are no power of two (40 on 10), longrope under
# its first name.
PHI3_MEDIUM = PHI3_5_MINI | {
    "num_attention_heads": 12,
    "num_hidden_layers": 3,
    "num_key_value_heads": 3,
    "rope_scaling": {
        "long_factor": [1.0, 1.25, 9.5, 50.0],
        "short_factor": [1.0, 1.01, 1.08, 1.3],
        "type": "su",
    },
    "sliding_window": 2048,
    "transformers_version": "4.39.3",
}

# Layers, context and window of the real Phi-3-mini-4k: by the first two a loader recognises it in a
# GGUF file without a window. All other sizes are as small as can be.
PHI3_4K = PHI3_WINDOW | {
    "hidden_size": 8,
    "intermediate_size": 8,
    "max_position_embeddings": 4096,
    "num_attention_heads": 1,
    "num_hidden_layers": 32,
    "num_key_value_heads": 1,
    "original_max_position_embeddings": 4096,
    "sliding_window": 2047,
    "vocab_size": 256,
}

# Phi-4-mini with every width a multiple of 256, as K-quants need: tied, longrope, partial rotary.
PHI4_MINI_256 = PHI4_MINI | {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "rope_scaling": PHI3_5_MINI["rope_scaling"] | {"type": "longrope"},
}


def active_window(config):
    """Length of the sliding window that cuts attention off in a config.json, 0 if none does.

    mimo and qwen2 carry a length that use_sliding_window switches off; phi4-mini's is longer
    than its context.
    """
    window = config.get("sliding_window") or 0
    active = config.get("use_sliding_window", True) and window < config["max_position_embeddings"]
    return window if active else 0


# With an original length of 64, a continuation of 64 tokens stays short only from one token on:
# its last pass then sees 64 tokens. From 70 on it is long throughout; from 40 on it crosses.
CASES = [
    Case("phi4-mini", PHI4_MINI, "bfloat16", 11, [63, 64, 65, 100, 192],
         {"greedy": 70, "greedy_short": 1, "greedy_cross": 40}, [65],
         generation_config={"bos_token_id": 284, "eos_token_id": [285, 284], "pad_token_id": 284}),
    Case("phi4", PHI4, "float32", 12, [1, 2, 100], {"greedy": 10}, [100],
         generation_config={"bos_token_id": 250, "eos_token_id": 252, "pad_token_id": 255}),
    Case("phi4-mini-f16", PHI4_MINI_F16, "float16", 13, [63, 65], {"greedy_cross": 40}, [65],
         shard_count=3),
    Case("mimo", MIMO, "bfloat16", 14, [1, 100, 192], {"greedy": 10}, [100],
         generation_config={"bos_token_id": 246, "eos_token_id": 246, "max_new_tokens": 2048}),
    Case("qwen2", QWEN2, "bfloat16", 15, [100], {"greedy": 10}, [100]),
    Case("llama", LLAMA, "bfloat16", 16, [1, 100], {"greedy": 10}, [100],
         generation_config={"bos_token_id": 250, "eos_token_id": 252, "pad_token_id": 255}),
    Case("mistral", MISTRAL, "bfloat16", 26, [24, 25, 60], {"greedy": 10}, [60]),
    Case("mistral-nemo", MISTRAL_NEMO, "bfloat16", 25, [1, 60], {"greedy": 10}, [60]),
    Case("phi3-window", PHI3_WINDOW, "bfloat16", 17, [19, 20, 21, 60], {"greedy": 10}, [60],
         generation_config={"bos_token_id": 1, "eos_token_id": [250, 251], "pad_token_id": 250}),
    Case("phi3-mini", PHI3_MINI, "bfloat16", 19, [31, 32, 90], {"greedy": 10}, [90]),
    Case("phi3.5-mini", PHI3_5_MINI, "bfloat16", 18, [64, 65], {"greedy_cross": 40}, [65]),
    Case("phi3-medium", PHI3_MEDIUM, "bfloat16", 20, [64, 65], {"greedy_cross": 40}, [65]),
]
# These exist as GGUF files only.
PHI3_4K_CASE = Case("phi3-4k", PHI3_4K, "float32", 23, [2060], {}, [])
PHI4_MINI_256_CASE = Case("phi4-mini-256", PHI4_MINI_256, "float32", 22, [65], {}, [])
