#include "models/decoder.h"

#include <algorithm>
#include <cstring>

namespace midge {
namespace {

size_t float_bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }

}  // namespace

Result<DecoderScratch> DecoderScratch::create(const Model& model, int64_t rows_max,
                                              int64_t length_max, int thread_count) {
  const ModelConfig& c = model.config();
  DecoderScratch scratch;
  scratch.rows_max_ = rows_max;
  scratch.scores_stride_ = round_up(length_max, 16);
  struct Part {
    float** place;
    int64_t count;
  };
  const int64_t q_size = c.head_count * c.head_dim;
  const int64_t kv_size = c.kv_head_count * c.head_dim;
  const Part parts[] = {
      {&scratch.x_, rows_max * c.hidden_size},
      {&scratch.normed_, rows_max * 2 * c.hidden_size},
      {&scratch.q_, rows_max * q_size},
      {&scratch.k_, rows_max * kv_size},
      {&scratch.v_, rows_max * kv_size},
      {&scratch.attn_, rows_max * q_size},
      {&scratch.gate_, rows_max * c.intermediate_size},
      {&scratch.up_, rows_max * c.intermediate_size},
      {&scratch.cos_, rows_max * c.rope.width / 2},
      {&scratch.sin_, rows_max * c.rope.width / 2},
      {&scratch.scores_, thread_count * scratch.scores_stride_},
  };
  int64_t total = 0;
  for (const Part& part : parts) total += round_up(part.count, 16);
  MIDGE_ASSIGN_OR_RETURN(
      scratch.buffer_,
      AlignedBuffer::create(static_cast<int64_t>(float_bytes(total)), "activations"));
  auto* at = reinterpret_cast<float*>(scratch.buffer_.data());
  for (const Part& part : parts) {
    *part.place = at;
    at += round_up(part.count, 16);
  }
  for (const RopeRegime regime : {RopeRegime::kShort, RopeRegime::kLong}) {
    scratch.frequencies_[static_cast<int>(regime)] = rope_frequencies(c.rope, regime);
  }
  return scratch;
}

/// One pass over a batch; names what the two forward functions share.
class DecoderPass {
 public:
  DecoderPass(const Model& model, const OpContext& context, const Batch& batch,
              DecoderScratch& scratch)
      : c_(model.config()),
        w_(model.weights()),
        context_(context),
        batch_(batch),
        s_(scratch),
        m_(static_cast<int64_t>(batch.tokens.size())) {}

  void embed_tokens(float* out) const { embed(context_, w_.embedding, batch_.tokens, out); }

  // cos and sin of every row: a few thousandths of a pass, so not worth waking anybody.
  void prepare_rope() const {
    const std::vector<double>& frequencies = s_.frequencies_[static_cast<int>(batch_.regime)];
    const int64_t half = c_.rope.width / 2;
    for (const Segment& segment : batch_.segments) {
      for (int64_t i = 0; i < segment.rows; ++i) {
        const int64_t row = segment.first_row + i;
        rope_row(c_.rope, frequencies, segment.position + i, s_.cos_ + row * half,
                 s_.sin_ + row * half);
      }
    }
  }

  // x += Wo * attention(norm(x)); x += Wdown * (silu(Wgate * norm(x)) * (Wup * norm(x)))
  void run_layer(const LayerWeights& layer, int64_t layer_index) const {
    const int64_t h = c_.hidden_size;
    float* x = s_.x_;
    float* normed = s_.normed_;  // [m, hidden]

    rmsnorm(context_, x, layer.attn_norm.data(), c_.rms_epsilon, m_, h, normed);
    linear(context_, layer.q, bias(layer.q_bias), normed, m_, s_.q_);
    linear(context_, layer.k, bias(layer.k_bias), normed, m_, s_.k_);
    linear(context_, layer.v, bias(layer.v_bias), normed, m_, s_.v_);
    const AttentionShape shape = c_.attention();
    const RopeRows rope = {c_.rope.width, c_.rope.interleaved, s_.cos_, s_.sin_};
    rope_and_store(context_, shape, batch_.segments, layer_index, rope, s_.q_, s_.k_, s_.v_);
    attention(context_, shape, batch_.segments, layer_index, s_.q_, s_.scores_, s_.scores_stride_,
              s_.attn_);
    linear(context_, layer.o, nullptr, s_.attn_, m_, normed);
    add_to(context_, x, normed, m_ * h);

    rmsnorm(context_, x, layer.mlp_norm.data(), c_.rms_epsilon, m_, h, normed);
    linear(context_, layer.gate, nullptr, normed, m_, s_.gate_);
    linear(context_, layer.up, nullptr, normed, m_, s_.up_);
    silu_mul(context_, s_.gate_, s_.up_, m_ * c_.intermediate_size, s_.gate_);
    linear(context_, layer.down, nullptr, s_.gate_, m_, normed);
    add_to(context_, x, normed, m_ * h);
  }

  // Hands out what was asked for, and the logits of the rows asked for.
  void finish(std::span<const float> norm, const DecoderOutputs& outputs) const {
    const int64_t h = c_.hidden_size;
    if (outputs.hidden != nullptr) std::memcpy(outputs.hidden, s_.x_, float_bytes(m_ * h));
    if (outputs.hidden_normed != nullptr) {
      rmsnorm(context_, s_.x_, norm.data(), c_.rms_epsilon, m_, h, outputs.hidden_normed);
    }
    const auto rows = static_cast<int64_t>(outputs.logits_rows.size());
    if (rows == 0) return;
    for (int64_t i = 0; i < rows; ++i) {
      rmsnorm(context_, s_.x_ + outputs.logits_rows[static_cast<size_t>(i)] * h, norm.data(),
              c_.rms_epsilon, 1, h, s_.normed_ + i * h);
    }
    linear(context_, w_.head, nullptr, s_.normed_, rows, outputs.logits);
  }

  bool forward(const DecoderOutputs& outputs) const {
    embed_tokens(s_.x_);
    prepare_rope();
    for (int64_t i = 0; i < c_.layer_count; ++i) {
      if (cancelled()) return false;
      run_layer(w_.layers[static_cast<size_t>(i)], i);
    }
    finish(w_.final_norm, outputs);
    return true;
  }

  // x = input_proj * [norm(hidden); norm(embedding of the next token)], then one layer.
  bool forward_mtp(const float* hidden, bool mask_first, const DecoderOutputs& outputs) const {
    if (cancelled()) return false;
    const MtpWeights& mtp = w_.mtp.front();
    const int64_t h = c_.hidden_size;
    float* embedded = s_.x_;  // [m, hidden]
    embed_tokens(embedded);
    for (const Segment& segment : batch_.segments) {
      if (mask_first && segment.position == 0) {
        std::fill_n(embedded + segment.first_row * h, h, 0.0f);
      }
    }
    float* joined = s_.normed_;  // [m, 2 * hidden]
    for (int64_t i = 0; i < m_; ++i) {
      rmsnorm(context_, hidden + i * h, mtp.hidden_norm.data(), c_.rms_epsilon, 1, h,
              joined + i * 2 * h);
      rmsnorm(context_, embedded + i * h, mtp.token_norm.data(), c_.rms_epsilon, 1, h,
              joined + i * 2 * h + h);
    }
    linear(context_, mtp.input_proj, nullptr, joined, m_, s_.x_);
    prepare_rope();
    run_layer(mtp.layer, c_.layer_count);
    finish(mtp.final_norm, outputs);
    return true;
  }

 private:
  bool cancelled() const {
    return batch_.cancel != nullptr && batch_.cancel->load(std::memory_order_relaxed);
  }
  static const float* bias(std::span<const float> values) {
    return values.empty() ? nullptr : values.data();
  }

  const ModelConfig& c_;
  const ModelWeights& w_;
  const OpContext& context_;
  const Batch& batch_;
  DecoderScratch& s_;
  const int64_t m_;  // rows
};

bool decoder_forward(const Model& model, const OpContext& context, const Batch& batch,
                     const DecoderOutputs& outputs, DecoderScratch& scratch) {
  return DecoderPass(model, context, batch, scratch).forward(outputs);
}

bool mtp_forward(const Model& model, const OpContext& context, const Batch& batch,
                 const float* hidden, bool mask_first, const DecoderOutputs& outputs,
                 DecoderScratch& scratch) {
  return DecoderPass(model, context, batch, scratch).forward_mtp(hidden, mask_first, outputs);
}

}  // namespace midge
