#include "engine/decoder/limits.h"

#include <algorithm>
#include <cmath>

#include "engine/core/checked_math.h"

namespace midge {
namespace {

constexpr int64_t kTile = 32;  // rows of a tile, and columns of the smallest unit
constexpr int64_t kMemoryBase = int64_t{64} << 20;
constexpr int64_t kMemoryPerFileByte = 4;

struct Shape {
  int64_t n;
  int64_t k;
};

Status check_range(const char* what, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return Status();
  return make_status(StatusCode::kModelMismatch, "%s is %lld, expected %lld..%lld", what,
                     static_cast<long long>(value), static_cast<long long>(min),
                     static_cast<long long>(max));
}

// Elements of queries, and padding. Each number is in its own range.
Status check_products(const ModelConfig& c) {
  const int64_t q = c.head_count * c.head_dim;
  const int64_t kv = c.kv_head_count * c.head_dim;
  if (q > kQuerySizeMax) {
    return make_status(StatusCode::kModelMismatch,
                       "%lld heads of %lld are %lld elements, expected at most %lld",
                       static_cast<long long>(c.head_count), static_cast<long long>(c.head_dim),
                       static_cast<long long>(q), static_cast<long long>(kQuerySizeMax));
  }
  const int64_t h = c.hidden_size;
  const int64_t i = c.intermediate_size;
  // Within 2^37 each, and 1,025 layers: no sum reaches 2^63.
  int64_t weights = c.vocab_size * h;
  int64_t padded = round_up(c.vocab_size, kTile) * round_up(h, kTile);
  const int64_t layers = c.layer_count + c.mtp_layer_count;
  for (const Shape& w : {Shape{q, h}, {kv, h}, {kv, h}, {h, q}, {i, h}, {i, h}, {h, i}}) {
    weights += layers * w.n * w.k;
    padded += layers * round_up(w.n, kTile) * round_up(w.k, kTile);
  }
  if (padded <= kPaddedWeightsMin || padded / kPaddedFactorMax <= weights) return Status();
  return make_status(StatusCode::kModelMismatch,
                     "%lld weights in tiles of 32 rows and columns for %lld, expected at most %lld "
                     "times as many",
                     static_cast<long long>(padded), static_cast<long long>(weights),
                     static_cast<long long>(kPaddedFactorMax));
}

}  // namespace

Status check_config(const ModelConfig& c) {
  MIDGE_RETURN_IF_ERROR(check_range("hidden size", c.hidden_size, 1, kHiddenSizeMax));
  MIDGE_RETURN_IF_ERROR(check_range("layer count", c.layer_count, 1, kLayerCountMax));
  MIDGE_RETURN_IF_ERROR(
      check_range("intermediate size", c.intermediate_size, 1, kIntermediateSizeMax));
  MIDGE_RETURN_IF_ERROR(check_range("head count", c.head_count, 1, kHeadCountMax));
  MIDGE_RETURN_IF_ERROR(check_range("KV head count", c.kv_head_count, 1, c.head_count));
  MIDGE_RETURN_IF_ERROR(check_range("head size", c.head_dim, 2, kHeadDimMax));
  MIDGE_RETURN_IF_ERROR(check_range("vocabulary size", c.vocab_size, 1, kVocabSizeMax));
  MIDGE_RETURN_IF_ERROR(check_range("context length", c.context_length, 1, kContextLengthMax));
  MIDGE_RETURN_IF_ERROR(check_range("sliding window", c.sliding_window, 0, INT64_MAX));
  MIDGE_RETURN_IF_ERROR(check_range("MTP layer count", c.mtp_layer_count, 0, 1));
  MIDGE_RETURN_IF_ERROR(check_range("rotary width", c.rope.width, 2, c.head_dim));
  if (c.head_count % c.kv_head_count != 0) {
    return make_status(
        StatusCode::kModelMismatch, "%lld heads, expected a multiple of the %lld KV heads",
        static_cast<long long>(c.head_count), static_cast<long long>(c.kv_head_count));
  }
  if (c.rope.width % 2 != 0) {
    return make_status(StatusCode::kModelMismatch, "rotary width is %lld, expected even",
                       static_cast<long long>(c.rope.width));
  }
  // 0 would make NaN of a row of zeros.
  if (!(c.rms_epsilon > 0 && c.rms_epsilon < 1)) {
    return make_status(StatusCode::kModelMismatch,
                       "RMS epsilon is %g, expected more than 0 and less than 1",
                       static_cast<double>(c.rms_epsilon));
  }
  if (!(c.rope.theta >= 1) || !std::isfinite(c.rope.theta)) {
    return make_status(StatusCode::kModelMismatch, "rope theta is %g, expected at least 1",
                       static_cast<double>(c.rope.theta));
  }
  if (!(c.rope.attention_factor > 0) || !std::isfinite(c.rope.attention_factor)) {
    return make_status(StatusCode::kModelMismatch,
                       "rope attention factor is %g, expected a positive number",
                       static_cast<double>(c.rope.attention_factor));
  }
  for (const auto* factors : {&c.rope.short_factors, &c.rope.long_factors}) {
    if (!factors->empty() && static_cast<int64_t>(factors->size()) != c.rope.width / 2) {
      return make_status(StatusCode::kModelMismatch,
                         "%zu rope factors, expected %lld (half the rotary width)", factors->size(),
                         static_cast<long long>(c.rope.width / 2));
    }
    for (const float factor : *factors) {
      if (!(factor > 0) || !std::isfinite(factor)) {
        return make_status(StatusCode::kModelMismatch, "rope factor %g, expected positive numbers",
                           static_cast<double>(factor));
      }
    }
  }
  if (c.rope.has_regimes()) {
    MIDGE_RETURN_IF_ERROR(
        check_range("original context length", c.rope.original_context, 1, c.context_length));
  }
  for (const int32_t id : c.eos_ids) {
    MIDGE_RETURN_IF_ERROR(check_range("end-of-sequence id", id, 0, c.vocab_size - 1));
  }
  return check_products(c);
}

int64_t default_memory(uint64_t file_bytes) {
  const auto bytes = static_cast<int64_t>(std::min<uint64_t>(file_bytes, uint64_t{1} << 50));
  return kMemoryBase + kMemoryPerFileByte * bytes;
}

int64_t kv_bytes_per_token(const ModelConfig& c, KvType type, bool with_mtp) {
  const int64_t layers = c.layer_count + (with_mtp ? c.mtp_layer_count : 0);
  return KvLayout{type, kAttnStep, layers, c.kv_head_count, c.head_dim}.page_bytes() / kAttnStep;
}

// What DecoderScratch and LinearScratch take for each row: f32 activations; then of the widest
// operand int8 values, and per 256 columns scale, sum, eight outliers of 8 bytes and their count.
int64_t activation_bytes_per_row(const ModelConfig& c) {
  const int64_t q = c.head_count * c.head_dim;
  const int64_t kv = c.kv_head_count * c.head_dim;
  const int64_t floats =
      3 * c.hidden_size + 2 * q + 2 * kv + 2 * c.intermediate_size + c.rope.width;
  const int64_t columns =
      std::max({c.intermediate_size, c.mtp_layer_count > 0 ? 2 * c.hidden_size : c.hidden_size, q});
  constexpr int64_t kPerSuperBlock = 2 * 256 + 4 + 4 + 8 * 8 + 1;
  return floats * static_cast<int64_t>(sizeof(float)) + ceil_div(columns, 256) * kPerSuperBlock;
}

int64_t context_within(const ModelConfig& config, KvType type, bool with_mtp, int64_t tokens,
                       int64_t bytes) {
  const int64_t fit = bytes / kv_bytes_per_token(config, type, with_mtp);
  // The cache rounds up to steps of 64 tokens.
  return std::min(tokens, std::max<int64_t>(1, fit / kAttnStep * kAttnStep));
}

int64_t batch_rows_within(const ModelConfig& config, int64_t rows, int64_t bytes) {
  return std::min(rows, std::max<int64_t>(1, bytes / activation_bytes_per_row(config)));
}

}  // namespace midge
