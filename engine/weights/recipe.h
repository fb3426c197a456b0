// Which encoding each matrix of a model gets.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/status.h"
#include "kernels/encoding.h"

namespace midge {

/// Encodings by the names of matrices (visit_linear_matrices). A table that is also the head goes
/// by "head", one of its own by "embedding".
struct WeightRecipe {
  std::optional<Encoding> layers;     ///< nothing: as in the files
  std::optional<Encoding> head;       ///< nothing: as in the files
  std::optional<Encoding> embedding;  ///< nothing: as in the files
  /// Glob of matrix names and the encoding of those that match; the last match counts.
  std::vector<std::pair<std::string, Encoding>> overrides;

  WeightRecipe() = default;
  /// Every matrix that is multiplied with.
  WeightRecipe(std::optional<Encoding> all) : layers(all), head(all) {}  // NOLINT
  WeightRecipe(Encoding all) : layers(all), head(all) {}                 // NOLINT

  /// Every matrix stays as in the files.
  bool is_empty() const { return !layers && !head && !embedding && overrides.empty(); }
  /// What a matrix becomes; nothing: as in the file.
  std::optional<Encoding> encoding_of(std::string_view matrix) const;
  /// Errors: invalid_argument (an encoding that encode_row does not write).
  Status check() const;
  /// Errors: invalid_argument (an override that matches none of these matrices).
  Status check_names(std::span<const std::string> matrices) const;
};

/// "fast", "balanced", "int8", "half": what they are for is in docs/quality.md.
/// Errors: invalid_argument, listing the names.
Result<WeightRecipe> recipe_from_name(std::string_view name);

}  // namespace midge
