// The whole forward pass in plain float loops. Read this first: everything the engine does faster
// must give these numbers.
//
// It shares with the engine the ModelConfig and the decoded weights, and not a line of its
// arithmetic: no kernels, no caches, no batches. A sequence is computed as one block of rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/decoder/model.h"

namespace midge::reference {

/// Row-major floats.
struct Rows {
  int64_t columns = 0;
  std::vector<float> values;

  Rows(int64_t rows, int64_t columns_) : columns(columns_), values(rows * columns_) {}
  int64_t count() const { return static_cast<int64_t>(values.size()) / columns; }
  float* row(int64_t i) { return values.data() + i * columns; }
  const float* row(int64_t i) const { return values.data() + i * columns; }
};

struct Options {
  bool long_rope = false;        ///< which factors of a longrope model
  bool round_kv_to_f16 = false;  ///< keys and values as an f16 cache keeps them
};

struct Output {
  Rows hidden;         // [tokens, hidden_size] before the final norm
  Rows hidden_normed;  // [tokens, hidden_size] after it
  Rows logits;         // [tokens, vocab_size]
};

/// All rows of a sequence that starts at position 0.
Output forward(const Model& model, std::span<const int32_t> tokens, const Options& options);

/// The MTP layer over rows 0..n-1: hidden[i] with next_tokens[i]. Returns its logits.
Rows mtp_logits(const Model& model, const Rows& hidden, std::span<const int32_t> next_tokens,
                bool mask_first, const Options& options);

}  // namespace midge::reference
