// What a model may take beside its file: bounds on products of hyperparameters, which each alone
// may be large, and the memory that a session gets when nobody says how much.
#pragma once

#include <cstdint>

#include "engine/core/status.h"
#include "engine/decoder/model.h"

namespace midge {

// Limits on hyperparameters: far above every model here, low enough that products of three of them
// fit in 63 bits and no file can ask for absurd tables.
inline constexpr int64_t kHiddenSizeMax = 1 << 16;
inline constexpr int64_t kIntermediateSizeMax = 1 << 20;
inline constexpr int64_t kLayerCountMax = 1024;
inline constexpr int64_t kHeadCountMax = 1024;
inline constexpr int64_t kHeadDimMax = 1024;
inline constexpr int64_t kVocabSizeMax = 1 << 22;
inline constexpr int64_t kContextLengthMax = 1 << 24;

/// Most of heads times head size; the largest models have 24,576.
inline constexpr int64_t kQuerySizeMax = 1 << 16;
/// Packed weights have whole tiles of 32 rows and 32 columns. Most that may be of padding: 3
/// weights for each real one, and these, which small models need.
inline constexpr int64_t kPaddedFactorMax = 4;
inline constexpr int64_t kPaddedWeightsMin = 1 << 24;

/// Checks that each number is in its range and that they fit one another, products included.
/// Errors (model_mismatch, without the file's name): the first contradiction.
Status check_config(const ModelConfig& config);

/// Memory that a KV cache, and the activations of a batch, may each take where the caller leaves
/// their size open: in proportion to the files, so that a small one cannot take a large machine.
int64_t default_memory(uint64_t file_bytes);

/// Bytes of one token in a KV cache of `type`.
int64_t kv_bytes_per_token(const ModelConfig& config, KvType type, bool with_mtp);
/// Bytes of one row of a batch: activations, and their quantised forms.
int64_t activation_bytes_per_row(const ModelConfig& config);

/// The largest context, of at most `tokens`, whose KV cache takes at most `bytes`; at least 1.
int64_t context_within(const ModelConfig& config, KvType type, bool with_mtp, int64_t tokens,
                       int64_t bytes);
/// The most rows of a batch, of at most `rows`, whose activations take at most `bytes`; at least 1.
/// Results do not depend on it.
int64_t batch_rows_within(const ModelConfig& config, int64_t rows, int64_t bytes);

}  // namespace midge
