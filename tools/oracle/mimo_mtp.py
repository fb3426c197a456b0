"""MiMo's multi-token-prediction layer in plain PyTorch, written from its published description.

Not a script: make_models.py runs it on the tiny MiMo checkpoint. It shares no code with the
engine nor with transformers; verify.py compares its decoder layer with transformers' Qwen2 one.

Slot i takes the target's hidden state h_i (after it has read token i) and token i + 1, sits at
rope position i, attends to slots 0..i of this layer, and predicts token i + 2:
    e = rms_norm(embedding[t_{i+1}]) * token_layernorm
    g = rms_norm(h_i) * hidden_layernorm
    x = input_proj @ [g ; e]                    hidden half first
    x += o_proj @ attention(rms_norm(x) * input_layernorm)
    x += down @ (silu(gate @ y) * (up @ y))     y = rms_norm(x) * post_attention_layernorm
    logits = lm_head @ (rms_norm(x) * final_layernorm)
Embedding and lm_head are the target's own; its final norm is not applied here.
"""
import torch

PREFIX = "model.mtp_layers.0."


def mtp_shapes(config):
    """Name -> shape of the layer's 16 tensors, for a config.json dictionary."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    q_rows = config["num_attention_heads"] * config["head_dim"]
    kv_rows = config["num_key_value_heads"] * config["head_dim"]
    shapes = {
        "token_layernorm.weight": (hidden,),
        "hidden_layernorm.weight": (hidden,),
        "input_proj.weight": (hidden, 2 * hidden),
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (q_rows, hidden),
        "self_attn.q_proj.bias": (q_rows,),
        "self_attn.k_proj.weight": (kv_rows, hidden),
        "self_attn.k_proj.bias": (kv_rows,),
        "self_attn.v_proj.weight": (kv_rows, hidden),
        "self_attn.v_proj.bias": (kv_rows,),
        "self_attn.o_proj.weight": (hidden, q_rows),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
        "final_layernorm.weight": (hidden,),
    }
    return {PREFIX + name: shape for name, shape in shapes.items()}


class MimoMtp:
    """The layer over float32 copies of a checkpoint's tensors."""

    def __init__(self, tensors, config):
        self.weights = {name: value.to(torch.float32) for name, value in tensors.items()}
        self.heads = config["num_attention_heads"]
        self.kv_heads = config["num_key_value_heads"]
        self.head_dim = config["head_dim"]
        self.theta = float(config["rope_theta"])
        self.eps = config["rms_norm_eps"]

    def weight(self, name):
        return self.weights[PREFIX + name]

    def norm(self, x, name):
        scale = torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + self.eps)
        return x * scale * self.weight(name)

    def project(self, x, name, heads):
        """x [n, hidden] -> [heads, n, head_dim], bias included."""
        y = x @ self.weight(name + ".weight").T + self.weight(name + ".bias")
        return y.reshape(len(x), heads, self.head_dim).transpose(0, 1)

    def rotate(self, x):
        """Rotates the pairs (j, j + head_dim / 2) of x [heads, n, head_dim], slot i by angle i."""
        half = self.head_dim // 2
        frequency = self.theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
        cos, sin = angle.cos().float(), angle.sin().float()
        low, high = x[..., :half], x[..., half:]
        return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)

    def attention(self, x):
        """Causal grouped attention over the slots of x [n, hidden]."""
        q = self.rotate(self.project(x, "self_attn.q_proj", self.heads))
        k = self.rotate(self.project(x, "self_attn.k_proj", self.kv_heads))
        v = self.project(x, "self_attn.v_proj", self.kv_heads)
        outputs = []
        for head in range(self.heads):
            group = head * self.kv_heads // self.heads
            scores = q[head] @ k[group].T / self.head_dim**0.5
            future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
            outputs.append(scores.masked_fill(future, float("-inf")).softmax(-1) @ v[group])
        return torch.cat(outputs, dim=-1) @ self.weight("self_attn.o_proj.weight").T

    def decoder_layer(self, x):
        """One ordinary MiMo layer over x [n, hidden]."""
        x = x + self.attention(self.norm(x, "input_layernorm.weight"))
        y = self.norm(x, "post_attention_layernorm.weight")
        gate = y @ self.weight("mlp.gate_proj.weight").T
        up = y @ self.weight("mlp.up_proj.weight").T
        inner = gate * torch.sigmoid(gate) * up
        return x + inner @ self.weight("mlp.down_proj.weight").T

    def layer_input(self, hidden, tokens, mask_first=True):
        """x of slots 0..n-2 [n-1, hidden_size] for hidden [n, hidden_size] and tokens [n].

        mask_first: the slot at position 0 sees a zero embedding, as in the authors' engine.
        """
        embedding = self.weights["model.embed_tokens.weight"][tokens[1:]]
        if mask_first:
            embedding = embedding.clone()
            embedding[0] = 0
        e = self.norm(embedding, "token_layernorm.weight")
        g = self.norm(hidden[:-1], "hidden_layernorm.weight")
        return torch.cat((g, e), dim=-1) @ self.weight("input_proj.weight").T

    def logits(self, hidden, tokens, mask_first=True):
        """[n-1, vocab]: row i predicts token i + 2. Arguments as in layer_input.

        hidden: the target's last hidden states before its final norm; giving those after it
        instead is the other published variant.
        """
        x = self.decoder_layer(self.layer_input(hidden, tokens, mask_first))
        return self.norm(x, "final_layernorm.weight") @ self.weights["lm_head.weight"].T
