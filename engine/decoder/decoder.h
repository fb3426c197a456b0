// The forward pass of every family: a batch of rows through all layers.
#pragma once

#include <array>
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
  const PreparedWeights* weights = nullptr;  ///< prepared for the kernels
  const KernelTables* kernels = nullptr;
  const WorkerTeam* team = nullptr;
  Profile* profile = nullptr;         ///< null: none is kept
  InputObserver* observer = nullptr;  ///< null: nobody watches
};

/// What a segment's rows are asked for beside filling the cache.
struct RowOutputs {
  std::span<const int32_t>
      logits_rows;  ///< ascending; row r is that of the segment's r - first_row
  int64_t first_row = 0;
  float* logits = nullptr;         ///< [logits_rows, vocab_size]
  float* hidden = nullptr;         ///< [rows, hidden_size] before the final norm, or null
  float* hidden_normed = nullptr;  ///< [rows, hidden_size] after the final norm, or null
};

/// Tokens to run, as segments of sequences. Row r of the batch is token r.
struct Batch {
  std::span<const int32_t> tokens;      // [m], ids below vocab_size
  std::span<const Segment> segments;    // of different sequences
  std::span<const RowOutputs> outputs;  // of each segment
};

/// What the MTP layer predicts from.
struct MtpInput {
  /// The model's hidden states [m, hidden_size] at the positions of the batch; before the final
  /// norm unless the caller decides otherwise.
  const float* hidden = nullptr;
  bool mask_first = true;  ///< the embedding counts as zero at position 0, as in vLLM
  /// Gives logits [rows, head->n()] in place of the model's head; null: that one.
  const PreparedMatrix* head = nullptr;
};

/// Memory of a forward pass, taken once for batches of at most `rows_max` rows and sequences of at
/// most `length_max` tokens. One pass at a time.
class DecoderScratch {
 public:
  /// Errors: out_of_memory.
  static Result<DecoderScratch> create(const DecoderEngine& engine, int64_t rows_max,
                                       int64_t length_max);
  /// What create() takes; of the engine it looks at config, kernels and team.
  static int64_t bytes_for(const DecoderEngine& engine, int64_t rows_max, int64_t length_max);

  int64_t rows_max() const { return rows_max_; }
  int64_t bytes() const { return buffer_.bytes() + linear_.bytes() + attention_.bytes(); }
  /// Errors: those of AlignedBuffer::settle.
  Status settle(Residency residency) const;
  /// Gives its memory back to the system until the next pass. Not during one.
  void release() const;

 private:
  friend class DecoderPass;

  ArenaPlan lay_out(const ModelConfig& c, int64_t rows_max);
  std::array<const AlignedBuffer*, 3> buffers() const {
    return {&buffer_, &linear_.buffer(), &attention_.buffer()};
  }

  AlignedBuffer buffer_;
  LinearScratch linear_;
  AttentionScratch attention_;
  // A row whose logits are asked for, and where they go.
  struct LogitsRow {
    int64_t row;
    float* logits;
  };

  // Collects the logits asked for; false if every segment is cancelled already.
  bool begin(const Batch& batch, int64_t vocab_size);
  friend bool decoder_forward(const DecoderEngine&, const Batch&, DecoderScratch&);
  friend bool mtp_forward(const DecoderEngine&, const Batch&, const MtpInput&, DecoderScratch&);

  bool cancelled_[2] = {};  // by parity of the layer, see DecoderPass::forward
  int64_t rows_max_ = 0;
  std::vector<LogitsRow> logits_rows_;  // of the batch, by where they go; room for rows_max
  std::vector<double> frequencies_[kRopeRegimeCount];
  float* x_ = nullptr;       // [rows, hidden]
  float* normed_ = nullptr;  // [rows, 2 * hidden]
  float* q_ = nullptr;       // [rows, heads * head_dim]
  float* k_ = nullptr;       // [rows, kv_heads * head_dim]
  float* v_ = nullptr;       // [rows, kv_heads * head_dim]
  float* attn_ = nullptr;    // [rows, heads * head_dim]
  float* gate_ = nullptr;    // [rows, intermediate]
  float* up_ = nullptr;      // [rows, intermediate]
  float* cos_ = nullptr;     // [rows, rope.width / 2]
  float* sin_ = nullptr;     // [rows, rope.width / 2]
};

/// Runs the batch: x = embedding; per layer x += attention(norm(x)), x += mlp(norm(x)); then final
/// norm and head for the rows asked for. Stores keys and values of every row. The head is read once
/// for logits that lie beside each other. Allocates nothing.
/// The caller has checked ids, rows and pages, and that the segments are of different sequences.
/// Returns false, with the outputs and the batch's part of the caches undefined, if it stopped
/// early: every segment was cancelled. One that is cancelled beside others runs on.
[[nodiscard]] bool decoder_forward(const DecoderEngine& engine, const Batch& batch,
                                   DecoderScratch& scratch);

/// Runs the model's MTP layer. Row i belongs to the sequence token at its position: input.hidden
/// has the model's hidden state there, batch.tokens[i] is the token after it. Keys and values go to
/// the layer after the last of the model. Outputs are those of the MTP layer: `hidden` before its
/// final norm.
[[nodiscard]] bool mtp_forward(const DecoderEngine& engine, const Batch& batch,
                               const MtpInput& input, DecoderScratch& scratch);

/// logits[rows, vocab_size] = head * normed[rows, hidden_size], in the decode arithmetic.
void project_to_logits(const DecoderEngine& engine, const float* normed, int64_t rows,
                       float* logits, DecoderScratch& scratch);

}  // namespace midge
