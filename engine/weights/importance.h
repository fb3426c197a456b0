// What an error in each input channel of a matrix is worth: the mean of the squares of what it is
// multiplied with. docs/formats/importance.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// Mean squares of activations by matrix input. Matrices that read the same rows share one: q, k
/// and v of a layer, gate and up.
class Importance {
 public:
  /// The input of a matrix by its name (visit_linear_matrices): "layers.0.qkv" for "layers.0.k".
  static std::string input_of(std::string_view matrix);

  /// Adds rows x[rows, k] that the input of `matrix` had. k is the same each time.
  void add(std::string_view matrix, const float* x, int64_t rows, int64_t k);

  /// Mean squares [k] of what `matrix` is multiplied with, by that of the mean channel, and a
  /// thousandth more, so that no channel counts for nothing. Empty if nothing is known of its
  /// input.
  std::vector<float> of(std::string_view matrix) const;

  /// The same for a matrix of k columns. Errors: model_mismatch (the file has another number).
  Result<std::vector<float>> of_matrix(std::string_view matrix, int64_t k) const;

  /// Errors: model_mismatch (an input that a model of these matrices does not have, except those of
  /// an MTP layer: that may be left out).
  Status check_inputs(std::span<const std::string> matrices) const;

  /// Adds how often each of the tokens comes. Ids are below vocab_size, the same each time.
  void count_tokens(std::span<const int32_t> tokens, int64_t vocab_size);
  /// [vocab_size]; empty if they were not counted.
  std::vector<uint32_t> token_counts() const;

  int64_t tokens() const { return tokens_; }
  void set_tokens(int64_t tokens) { tokens_ = tokens; }
  size_t input_count() const { return inputs_.size(); }

  /// The file's bytes; and what is read from them. Errors of parse (without the file's name):
  /// invalid_file (not such a file, another version, cut off, damaged, numbers that are negative,
  /// infinite or none).
  std::string text() const;
  static Result<Importance> parse(std::string_view bytes);
  /// Errors: also io_error, not_found; each names the file.
  static Result<Importance> load(const std::string& path);
  Status save(const std::string& path) const;

 private:
  struct Input {
    int64_t rows = 0;
    std::vector<double> squares;  // [k], sums
  };
  std::map<std::string, Input, std::less<>> inputs_;
  int64_t tokens_ = 0;
};

}  // namespace midge
