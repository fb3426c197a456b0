#include "engine/decoder/decoder.h"

#include <algorithm>
#include <cstring>

#include "engine/core/arena.h"
#include "kernels/call.h"

namespace midge {
namespace {

size_t float_bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }

bool all_cancelled(const Batch& batch) {
  return std::all_of(batch.segments.begin(), batch.segments.end(), [](const Segment& segment) {
    return segment.cancel != nullptr && segment.cancel->load(std::memory_order_relaxed);
  });
}

// Columns of the widest matrix.
int64_t widest_input(const ModelConfig& c) {
  return std::max({c.intermediate_size, c.mtp_layer_count > 0 ? 2 * c.hidden_size : c.hidden_size,
                   c.head_count * c.head_dim});
}

}  // namespace

ArenaPlan DecoderScratch::lay_out(const ModelConfig& c, int64_t rows_max) {
  rows_max_ = rows_max;
  const int64_t q_size = c.head_count * c.head_dim;
  const int64_t kv_size = c.kv_head_count * c.head_dim;
  ArenaPlan plan;
  plan.add(&x_, rows_max * c.hidden_size);
  plan.add(&normed_, rows_max * 2 * c.hidden_size);
  plan.add(&q_, rows_max * q_size);
  plan.add(&k_, rows_max * kv_size);
  plan.add(&v_, rows_max * kv_size);
  plan.add(&attn_, rows_max * q_size);
  plan.add(&gate_, rows_max * c.intermediate_size);
  plan.add(&up_, rows_max * c.intermediate_size);
  plan.add(&cos_, rows_max * c.rope.width / 2);
  plan.add(&sin_, rows_max * c.rope.width / 2);
  return plan;
}

Result<DecoderScratch> DecoderScratch::create(const DecoderEngine& engine, int64_t rows_max,
                                              int64_t length_max) {
  const ModelConfig& c = *engine.config;
  const int thread_count = engine.team->thread_count();
  DecoderScratch scratch;
  ArenaPlan plan = scratch.lay_out(c, rows_max);
  MIDGE_ASSIGN_OR_RETURN(scratch.buffer_, plan.create("activations"));
  MIDGE_ASSIGN_OR_RETURN(scratch.linear_, LinearScratch::create(*engine.kernels, rows_max,
                                                                widest_input(c), thread_count));
  MIDGE_ASSIGN_OR_RETURN(scratch.attention_,
                         AttentionScratch::create(c.attention(), length_max, thread_count));
  scratch.logits_rows_.reserve(static_cast<size_t>(rows_max));
  for (const RopeRegime regime : {RopeRegime::kShort, RopeRegime::kLong}) {
    scratch.frequencies_[static_cast<int>(regime)] = rope_frequencies(c.rope, regime);
  }
  return scratch;
}

int64_t DecoderScratch::bytes_for(const DecoderEngine& engine, int64_t rows_max,
                                  int64_t length_max) {
  const ModelConfig& c = *engine.config;
  const int thread_count = engine.team->thread_count();
  DecoderScratch scratch;
  return scratch.lay_out(c, rows_max).bytes() +
         LinearScratch::bytes_for(*engine.kernels, rows_max, widest_input(c), thread_count) +
         AttentionScratch::bytes_for(c.attention(), length_max, thread_count);
}

Status DecoderScratch::settle(Residency residency) const {
  for (const AlignedBuffer* buffer : buffers()) {
    MIDGE_RETURN_IF_ERROR(buffer->settle(residency, "the memory of a pass"));
  }
  return Status();
}

void DecoderScratch::release() const {
  for (const AlignedBuffer* buffer : buffers()) {
    buffer->release(0, buffer->bytes());
  }
}

/// One pass over a batch as seen by one worker: every worker makes the same calls, each operation
/// ends with a barrier.
class DecoderPass {
 public:
  DecoderPass(const DecoderEngine& engine, const Worker& worker, const Batch& batch,
              DecoderScratch& scratch)
      : DecoderPass(engine, worker, batch, scratch, engine.weights->head) {}
  DecoderPass(const DecoderEngine& engine, const Worker& worker, const Batch& batch,
              DecoderScratch& scratch, const PreparedMatrix& head)
      : c_(*engine.config),
        w_(*engine.weights),
        context_{&engine.kernels->of_type(worker.core_type()), &worker, log_of(engine, worker),
                 worker.index() == 0 ? engine.observer : nullptr},
        batch_(batch),
        s_(scratch),
        head_(head),
        rows_(count_rows(batch.segments)),
        m_(rows_.all()) {
    worker.keep_log(context_.log);
  }

  // x = embedding, the layers, then what was asked for. False if cancelled.
  bool forward() const {
    embed(context_, w_.embedding, batch_.tokens, s_.x_);
    prepare_rope();
    for (int64_t i = 0; i < c_.layer_count; ++i) {
      look_for_cancel(i);
      run_layer(w_.layers[static_cast<size_t>(i)], i);
      if (s_.cancelled_[i % 2]) return false;
    }
    finish(w_.final_norm);
    return true;
  }

  // x = input_proj * [norm(hidden); norm(embedding of the next token)], then one layer.
  bool forward_mtp(const MtpInput& input) const {
    const MtpWeights<PreparedMatrix>& mtp = w_.mtp.front();
    const int64_t h = c_.hidden_size;
    float* embedded = s_.x_;  // [m, hidden]
    embed(context_, w_.embedding, batch_.tokens, embedded);
    context_.worker->single([&] {
      for (const Segment& segment : batch_.segments) {
        if (input.mask_first && segment.position == 0) {
          std::fill_n(embedded + segment.first_row * h, h, 0.0f);
        }
      }
    });
    float* joined = s_.normed_;  // [m, 2 * hidden]
    rmsnorm(context_, input.hidden, h, mtp.hidden_norm.data(), c_.rms_epsilon, m_, h, joined,
            2 * h);
    rmsnorm(context_, embedded, h, mtp.token_norm.data(), c_.rms_epsilon, m_, h, joined + h, 2 * h);
    const LinearJob job = {&mtp.input_proj, s_.x_};
    linear(context_, {joined}, rows_, {&job, 1}, s_.linear_);
    prepare_rope();
    look_for_cancel(0);
    run_layer(mtp.layer, c_.layer_count);
    if (s_.cancelled_[0]) return false;
    finish(mtp.final_norm);
    return true;
  }

  // logits[rows] = head * normed[rows], always in the decode arithmetic: the logits of a prompt's
  // last token draw the first one that is generated.
  void project(const float* normed, int64_t rows, float* logits) const {
    const LinearJob job = {&head_, logits};
    linear(context_, {normed}, {.generated = rows}, {&job, 1}, s_.linear_);
  }

 private:
  static EventLog* log_of(const DecoderEngine& engine, const Worker& worker) {
    return engine.profile == nullptr ? nullptr : engine.profile->log(worker.index());
  }

  // cos and sin of every row.
  void prepare_rope() const {
    const OpScope scope(context_.log, OpKind::kRope, m_);
    const int64_t half = c_.rope.width / 2;
    for (const Segment& segment : batch_.segments) {
      const std::vector<double>& frequencies = s_.frequencies_[static_cast<int>(segment.regime)];
      context_.worker->for_each(segment.rows, [&](int64_t i) {
        const int64_t row = segment.first_row + i;
        rope_row(c_.rope, frequencies, segment.position + i, s_.cos_ + row * half,
                 s_.sin_ + row * half);
      });
    }
  }

  // x += Wo * attention(norm(x)); x += Wdown * (silu(Wgate * norm(x)) * (Wup * norm(x)))
  void run_layer(const LayerWeights<PreparedMatrix>& layer, int64_t layer_index) const {
    const LinearJob qkv[] = {{&layer.q, s_.q_, bias(layer.q_bias)},
                             {&layer.k, s_.k_, bias(layer.k_bias)},
                             {&layer.v, s_.v_, bias(layer.v_bias)}};
    linear(context_, normed(layer.attn_norm), rows_, qkv, s_.linear_);
    const AttentionShape shape = c_.attention();
    const RopeRows rope = {c_.rope.width, c_.rope.interleaved, s_.cos_, s_.sin_};
    rope_and_store(context_, shape, batch_.segments, layer_index, rope, s_.q_, s_.k_, s_.v_);
    attention(context_, shape, batch_.segments, layer_index, s_.q_, s_.attention_, s_.attn_);
    add_product(layer.o, {s_.attn_});

    const LinearJob gate_up[] = {{&layer.gate, s_.gate_}, {&layer.up, s_.up_}};
    linear(context_, normed(layer.mlp_norm), rows_, gate_up, s_.linear_);
    add_product(layer.down, {.x = s_.gate_, .up = s_.up_, .rows = s_.gate_});
  }

  // norm(x)
  LinearInput normed(std::span<const float> norm) const {
    return {.x = s_.x_, .norm = norm.data(), .epsilon = c_.rms_epsilon, .rows = s_.normed_};
  }

  // x[m, hidden] += in * w^T
  void add_product(const PreparedMatrix& w, const LinearInput& in) const {
    const bool in_place = w.form != PreparedMatrix::Form::kDense;  // XNNPACK overwrites its output
    const LinearJob job = {&w, in_place ? s_.x_ : s_.normed_, in_place ? s_.x_ : nullptr, w.n()};
    linear(context_, in, rows_, {&job, 1}, s_.linear_);
    if (!in_place) add_to(context_, s_.x_, s_.normed_, m_ * w.n());
  }

  // Hands out what was asked for.
  void finish(std::span<const float> norm) const {
    const int64_t h = c_.hidden_size;
    for (size_t i = 0; i < batch_.outputs.size(); ++i) {
      const Segment& segment = batch_.segments[i];
      const RowOutputs& outputs = batch_.outputs[i];
      const float* rows = s_.x_ + segment.first_row * h;
      if (outputs.hidden != nullptr) {
        const OpScope scope(context_.log, OpKind::kNorm, segment.rows);
        context_.worker->single(
            [&] { std::memcpy(outputs.hidden, rows, float_bytes(segment.rows * h)); });
      }
      if (outputs.hidden_normed != nullptr) {
        rmsnorm(context_, rows, h, norm.data(), c_.rms_epsilon, segment.rows, h,
                outputs.hidden_normed, h);
      }
    }
    finish_logits(norm);
  }

  // The logits asked for, those that lie beside each other in memory by one product.
  void finish_logits(std::span<const float> norm) const {
    const int64_t h = c_.hidden_size;
    const auto count = static_cast<int64_t>(s_.logits_rows_.size());
    if (count == 0) return;
    const auto* rows = s_.logits_rows_.data();
    normalise_logits_rows(norm, count);
    for (int64_t first = 0, end = 0; first < count; first = end) {
      do {
        ++end;
      } while (end < count && rows[end].logits == rows[end - 1].logits + head_.n());
      project(s_.normed_ + first * h, end - first, rows[first].logits);
    }
  }

  void normalise_logits_rows(std::span<const float> norm, int64_t count) const {
    const OpScope scope(context_.log, OpKind::kNorm, count);
    const int64_t h = c_.hidden_size;
    const auto* rows = s_.logits_rows_.data();
    context_.worker->for_each(count, [&](int64_t i) {
      const RmsnormArgs args = {.m = 1,
                                .n = h,
                                .in = s_.x_ + rows[i].row * h,
                                .in_stride = 0,
                                .weight = norm.data(),
                                .epsilon = c_.rms_epsilon,
                                .out = s_.normed_ + i * h,
                                .out_stride = 0};
      call_kernel(context_.kernels->rmsnorm, args);
    });
  }

  // Worker 0 reads the flags for all before a layer, whose barriers carry it to the others; they
  // look at it after the layer. Two places, so that it is not overwritten before the last has.
  void look_for_cancel(int64_t layer_index) const {
    if (context_.worker->index() != 0) return;
    s_.cancelled_[layer_index % 2] = all_cancelled(batch_);
  }

  static const float* bias(std::span<const float> values) {
    return values.empty() ? nullptr : values.data();
  }

  const ModelConfig& c_;
  const PreparedWeights& w_;
  const OpContext context_;
  const Batch& batch_;
  DecoderScratch& s_;
  const PreparedMatrix& head_;
  const RoleRows rows_;
  const int64_t m_;  // of both roles
};

bool DecoderScratch::begin(const Batch& batch, int64_t vocab_size) {
  if (all_cancelled(batch)) return false;
  logits_rows_.clear();
  for (size_t i = 0; i < batch.outputs.size(); ++i) {
    const RowOutputs& outputs = batch.outputs[i];
    float* logits = outputs.logits;
    for (const int32_t row : outputs.logits_rows) {
      logits_rows_.push_back({batch.segments[i].first_row + row - outputs.first_row, logits});
      logits += vocab_size;
    }
  }
  std::sort(logits_rows_.begin(), logits_rows_.end(),
            [](const LogitsRow& a, const LogitsRow& b) { return a.logits < b.logits; });
  return true;
}

namespace {

PassClass class_of(const Batch& batch) {
  const RoleRows rows = count_rows(batch.segments);
  return pass_class(rows.generated, rows.prompt);
}

}  // namespace

bool decoder_forward(const DecoderEngine& engine, const Batch& batch, DecoderScratch& scratch) {
  if (!scratch.begin(batch, engine.config->vocab_size)) return false;
  bool done = false;
  engine.team->run(class_of(batch), [&](const Worker& worker) {
    const bool mine = DecoderPass(engine, worker, batch, scratch).forward();
    if (worker.index() == 0) done = mine;
  });
  return done;
}

bool mtp_forward(const DecoderEngine& engine, const Batch& batch, const MtpInput& input,
                 DecoderScratch& scratch) {
  const PreparedMatrix& head = input.head != nullptr ? *input.head : engine.weights->head;
  if (!scratch.begin(batch, head.n())) return false;
  bool done = false;
  engine.team->run(class_of(batch), [&](const Worker& worker) {
    const bool mine = DecoderPass(engine, worker, batch, scratch, head).forward_mtp(input);
    if (worker.index() == 0) done = mine;
  });
  return done;
}

void project_to_logits(const DecoderEngine& engine, const float* normed, int64_t rows,
                       float* logits, DecoderScratch& scratch) {
  engine.team->run(pass_class(rows, 0), [&](const Worker& worker) {
    const DecoderPass pass(engine, worker, Batch(), scratch);
    for (int64_t row = 0; row < rows; row += scratch.rows_max()) {
      pass.project(normed + row * engine.config->hidden_size,
                   std::min(scratch.rows_max(), rows - row),
                   logits + row * engine.config->vocab_size);
    }
  });
}

}  // namespace midge
