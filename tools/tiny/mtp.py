"""MiMo's multi-token prediction layer, as it is trained here.

Slot i takes the main model's hidden state h_i (before its final norm) and the next token t_{i+1}
and predicts t_{i+2} through the main model's embedding table and head. The decoder layer in it is
transformers' Qwen2DecoderLayer, whose parameter names are already those of the checkpoint.
"""

import torch
from torch import nn
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2RMSNorm

PREFIX = "model.mtp_layers.0."


class MtpLayer(Qwen2DecoderLayer):
    """A Qwen2 decoder layer with the joining projection in front and a norm of its own behind."""

    def __init__(self, config):
        super().__init__(config, layer_idx=0)
        hidden, eps = config.hidden_size, config.rms_norm_eps
        self.token_layernorm = Qwen2RMSNorm(hidden, eps=eps)
        self.hidden_layernorm = Qwen2RMSNorm(hidden, eps=eps)
        self.input_proj = nn.Linear(2 * hidden, hidden, bias=False)
        self.final_layernorm = Qwen2RMSNorm(hidden, eps=eps)

    def draft(self, model, hidden, next_ids):
        """Logits [B, N, V] for t_{i+2} of slots 0..N-1.

        hidden [B, N, H]: h_i of the main model; next_ids [B, N]: t_{i+1}. Slot i is at position i.
        """
        embedded = model.model.embed_tokens(next_ids)
        # The slot at position 0 sees no token, only the hidden state.
        embedded = torch.cat([torch.zeros_like(embedded[:, :1]), embedded[:, 1:]], dim=1)
        joined = torch.cat([self.hidden_layernorm(hidden), self.token_layernorm(embedded)], dim=-1)
        x = self.input_proj(joined)
        positions = torch.arange(x.shape[1], device=x.device)[None]
        rotary = model.model.rotary_emb(x, position_ids=positions)
        x = super().forward(
            x, attention_mask=None, position_ids=positions, position_embeddings=rotary
        )
        return model.lm_head(self.final_layernorm(x))


def hidden_before_norm(model, ids):
    """(logits [B, N, V], hidden [B, N, H]) of a forward pass; hidden enters the final norm."""
    kept = []
    handle = model.model.norm.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    try:
        logits = model(input_ids=ids, use_cache=False).logits
    finally:
        handle.remove()
    return logits, kept[0]


def acceptance(model, mtp, ids, window):
    """Share of slots whose draft for t_{i+2} is the main model's own greedy choice there.

    Teacher-forced over `ids` (a list) in windows of `window` tokens.
    """
    agreed = total = 0
    with torch.no_grad():
        for start in range(0, len(ids) - window + 1, window):
            piece = torch.tensor([ids[start : start + window]])
            logits, hidden = hidden_before_norm(model, piece)
            drafts = mtp.draft(model, hidden[:, :-1], piece[:, 1:]).argmax(-1)
            agreed += (drafts == logits[:, 1:].argmax(-1)).sum().item()
            total += drafts.numel()
    return agreed / total
