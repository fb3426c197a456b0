// Splits text into the pieces that byte pair encoding works on.
//
// Tokenizer files describe the split by a regular expression, GGUF files by a name. Foreign
// expressions are never executed: known ones are recognised by exact comparison and matched by
// hand-written code whose time is linear in the text; others are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"

namespace midge {

enum class PretokenizerPattern : uint8_t {
  kCl100k,  ///< Phi-4: numbers in groups of up to three, contractions as pieces of their own
  kO200k,   ///< Phi-4-mini: marks belong to words, words split at lower-upper, contractions joined
  kQwen2,   ///< MiMo: like kCl100k with every digit on its own
  kSmollm,  ///< SmolLM2: every digit on its own, then GPT-2's pattern on what lies between them
};

struct Pretokenizer {
  PretokenizerPattern pattern = PretokenizerPattern::kCl100k;
  /// U+017F (long s) counts as the s of the contraction 's. True for patterns that write
  /// contractions as (?i:...), false for those that spell out ASCII cases. Not used by kSmollm.
  bool long_s = true;

  bool operator==(const Pretokenizer& other) const {
    return pattern == other.pattern && long_s == other.long_s;
  }
};

/// Recognises the expression of a tokenizer.json. Errors: unsupported, naming the expression.
Result<Pretokenizer> pretokenizer_from_regex(std::string_view regex);

/// Recognises `tokenizer.ggml.pre`. Errors: unsupported, naming it and the known names.
Result<Pretokenizer> pretokenizer_from_gguf_name(std::string_view name);

/// End of the piece that starts at byte `begin` < text.size(); always > begin. The pieces of a text
/// follow one another without gaps. Invalid bytes count as in unicode.h.
size_t pretoken_end(Pretokenizer pretokenizer, std::string_view text, size_t begin);

}  // namespace midge
