// The forward pass of every family: a batch of rows through all layers.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/decoder/model.h"
#include "engine/decoder/rope.h"
#include "engine/ops/ops.h"

namespace midge {

/// What runs a model.
struct DecoderEngine {
  const ModelConfig* config = nullptr;
  const ModelWeights* weights = nullptr;  ///< prepared for the kernels
  const KernelTables* kernels = nullptr;
  const WorkerTeam* team = nullptr;
  OpProfile* profile = nullptr;  ///< null: none is kept
};

/// Tokens to run, as segments of sequences. Row r of the batch is token r.
struct Batch {
  std::span<const int32_t> tokens;    // [m], ids below vocab_size
  std::span<const Segment> segments;  // cover the rows in order
  RopeRegime regime = RopeRegime::kShort;
  RowRole role = RowRole::kPrompt;            ///< of every row
  const std::atomic<bool>* cancel = nullptr;  ///< looked at before every layer; may be null
};

/// What a pass is asked for beside filling the caches.
struct DecoderOutputs {
  std::span<const int32_t> logits_rows;  ///< rows of the batch, in any order
  float* logits = nullptr;               ///< [logits_rows, vocab_size]
  float* hidden = nullptr;               ///< [m, hidden_size] before the final norm, or null
  float* hidden_normed = nullptr;        ///< [m, hidden_size] after the final norm, or null
};

/// Memory of a forward pass, taken once for at most `rows_max` rows and `length_max` cached tokens.
/// One pass at a time.
class DecoderScratch {
 public:
  /// Errors: out_of_memory.
  static Result<DecoderScratch> create(const DecoderEngine& engine, int64_t rows_max,
                                       int64_t length_max);

  int64_t rows_max() const { return rows_max_; }
  int64_t bytes() const { return buffer_.bytes() + linear_.bytes() + attention_.bytes(); }

 private:
  friend class DecoderPass;

  AlignedBuffer buffer_;
  LinearScratch linear_;
  AttentionScratch attention_;
  bool cancelled_[2] = {};  // by parity of the layer, see DecoderPass::forward
  int64_t rows_max_ = 0;
  std::vector<double> frequencies_[2];  // by regime
  float* x_ = nullptr;                  // [rows, hidden]
  float* normed_ = nullptr;             // [rows, 2 * hidden]
  float* q_ = nullptr;                  // [rows, heads * head_dim]
  float* k_ = nullptr;                  // [rows, kv_heads * head_dim]
  float* v_ = nullptr;                  // [rows, kv_heads * head_dim]
  float* attn_ = nullptr;               // [rows, heads * head_dim]
  float* gate_ = nullptr;               // [rows, intermediate]
  float* up_ = nullptr;                 // [rows, intermediate]
  float* cos_ = nullptr;                // [rows, rope.width / 2]
  float* sin_ = nullptr;                // [rows, rope.width / 2]
};

/// Runs the batch: x = embedding; per layer x += attention(norm(x)), x += mlp(norm(x)); then final
/// norm and head for the rows asked for. Stores keys and values of every row. The caller has
/// checked ids, rows and room in the caches. Allocates nothing.
/// Returns false, with the outputs and the batch's part of the caches undefined, if it was
/// cancelled.
[[nodiscard]] bool decoder_forward(const DecoderEngine& engine, const Batch& batch,
                                   const DecoderOutputs& outputs, DecoderScratch& scratch);

/// Runs the model's MTP layer. Row i belongs to the sequence token at its position: hidden[i] is
/// the model's hidden state there ([m, hidden_size], before the final norm unless the caller
/// decides otherwise), batch.tokens[i] the token after it. Keys and values go to the layer after
/// the last of the caches. Outputs are those of the MTP layer: `hidden` before its final norm.
/// mask_first: the embedding counts as zero at position 0, as in vLLM's implementation.
[[nodiscard]] bool mtp_forward(const DecoderEngine& engine, const Batch& batch, const float* hidden,
                               bool mask_first, const DecoderOutputs& outputs,
                               DecoderScratch& scratch);

/// logits[rows, vocab_size] = head * normed[rows, hidden_size], in the decode arithmetic.
/// rows: at most the scratch's rows_max.
void project_to_logits(const DecoderEngine& engine, const float* normed, int64_t rows,
                       float* logits, DecoderScratch& scratch);

}  // namespace midge
