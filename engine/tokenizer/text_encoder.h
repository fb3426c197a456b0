// What a tokenizer uses in place of its own byte pair encoding: a library.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// Turns text without added tokens into tokens. Immutable, shareable between threads.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;

  /// Appends the tokens of `text`. Errors (nothing appended): internal.
  virtual Status encode(std::string_view text, std::vector<int32_t>* tokens) const = 0;
};

}  // namespace midge
