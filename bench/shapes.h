// The shapes of the three models that the benchmarks run (docs/models/).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace midge::bench {

struct ModelShape {
  const char* name;
  int64_t hidden;
  int64_t intermediate;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t rope_width;
  int64_t vocabulary;
};

inline constexpr ModelShape kModels[] = {
    {"phi4_mini", 3072, 8192, 24, 8, 128, 96, 200064},
    {"mimo", 4096, 11008, 32, 8, 128, 128, 151680},
    {"phi4", 5120, 17920, 40, 10, 128, 128, 100352},
};

/// A weight matrix [n, k]; name: "phi4_mini.qkv".
struct MatrixShape {
  std::string name;
  int64_t n;
  int64_t k;
};

/// The matrices of a model. `up` has the shape of `gate`.
inline std::vector<MatrixShape> matrices(const ModelShape& model) {
  const std::string prefix = std::string(model.name) + '.';
  const int64_t q = model.heads * model.head_dim;
  return {
      {prefix + "qkv", q + 2 * model.kv_heads * model.head_dim, model.hidden},
      {prefix + "o", model.hidden, q},
      {prefix + "gate", model.intermediate, model.hidden},
      {prefix + "down", model.hidden, model.intermediate},
      {prefix + "head", model.vocabulary, model.hidden},
  };
}

/// A vector of activations; name: "phi4_mini.hidden".
struct RowShape {
  std::string name;
  int64_t k;
};

inline std::vector<RowShape> rows(const ModelShape& model) {
  const std::string prefix = std::string(model.name) + '.';
  return {{prefix + "hidden", model.hidden}, {prefix + "intermediate", model.intermediate}};
}

}  // namespace midge::bench
