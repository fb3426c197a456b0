#include "engine/weights/recipe.h"

#include <algorithm>

#include "engine/weights/encode.h"
#include "kernels/kernels.h"

namespace midge {
namespace {

struct NamedRecipe {
  std::string_view name;
  Encoding layers;
  Encoding head;
};

// The head, or a table that is head as well, keeps 8 bits: its errors go to the logits directly.
constexpr NamedRecipe kRecipes[] = {
    {"fast", Encoding::kQ4B32MS256, Encoding::kQ8B32},
    {"balanced", Encoding::kQ5B32MS256, Encoding::kQ8B32},
    {"int8", Encoding::kQ8B32, Encoding::kQ8B32},
    {"half", Encoding::kF16, Encoding::kF16},
};

Status check_encoding(std::optional<Encoding> encoding) {
  if (!encoding.has_value() || can_encode(*encoding)) return Status();
  std::string known;
  for (int i = 0; i < kEncodingCount; ++i) {
    if (!can_encode(static_cast<Encoding>(i))) continue;
    known.append(known.empty() ? "" : ", ").append(encoding_info(static_cast<Encoding>(i)).name);
  }
  if (known.empty()) {
    return make_status(StatusCode::kUnsupported, "weights as %s: this build encodes none",
                       encoding_info(*encoding).name);
  }
  return make_status(StatusCode::kInvalidArgument, "weights as %s, expected one of %s",
                     encoding_info(*encoding).name, known.c_str());
}

}  // namespace

std::optional<Encoding> WeightRecipe::encoding_of(std::string_view matrix) const {
  std::optional<Encoding> encoding = matrix == "head"        ? head
                                     : matrix == "embedding" ? embedding
                                                             : layers;
  for (const auto& [pattern, other] : overrides) {
    if (matches_glob(pattern, matrix)) encoding = other;
  }
  return encoding;
}

Status WeightRecipe::check() const {
  MIDGE_RETURN_IF_ERROR(check_encoding(layers));
  MIDGE_RETURN_IF_ERROR(check_encoding(head));
  MIDGE_RETURN_IF_ERROR(check_encoding(embedding));
  for (const auto& [pattern, encoding] : overrides) {
    MIDGE_RETURN_IF_ERROR(check_encoding(encoding));
  }
  return Status();
}

Status WeightRecipe::check_names(std::span<const std::string> matrices) const {
  for (const auto& [pattern, encoding] : overrides) {
    const bool matches = std::any_of(
        matrices.begin(), matrices.end(),
        [&, &glob = pattern](const std::string& name) { return matches_glob(glob, name); });
    if (matches) continue;
    return make_status(StatusCode::kInvalidArgument,
                       "no matrix is called '%s'; matrices are layers.N.q, k, v, o, gate, up and "
                       "down, head, embedding, and those of an MTP layer as mtp.q",
                       printable(pattern).c_str());
  }
  return Status();
}

Result<WeightRecipe> recipe_from_name(std::string_view name) {
  std::string known;
  for (const NamedRecipe& named : kRecipes) {
    if (named.name == name) {
      WeightRecipe recipe;
      recipe.layers = named.layers;
      recipe.head = named.head;
      recipe.embedding = named.head;
      return recipe;
    }
    known.append(known.empty() ? "" : ", ").append(named.name);
  }
  return make_status(StatusCode::kInvalidArgument, "recipe '%s', expected one of %s",
                     printable(name).c_str(), known.c_str());
}

}  // namespace midge
