// Turns tokens into text as they are generated, never showing half of a character.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Decodes one token at a time. The outputs of all `push` calls and of `flush`, one after another,
/// are what Tokenizer::decode gives for all tokens, or with `continues_text` the part of it behind
/// text that was shown before; bytes that are not valid UTF-8 come through
/// unchanged, as soon as no further byte can complete them. One thread at a time.
class StreamDecoder {
 public:
  /// Tokens of fewer bytes take no memory.
  static constexpr size_t kPieceBytes = 256;

  /// tokenizer: outlives the decoder. skip_special: special tokens give no bytes.
  /// continues_text: the tokens go on with a text, whose first space is therefore not dropped.
  explicit StreamDecoder(const Tokenizer* tokenizer, bool skip_special = true,
                         bool continues_text = false)
      : tokenizer_(tokenizer),
        skip_special_(skip_special),
        at_start_(tokenizer->space_prefix() && !continues_text) {
    held_.reserve(kPieceBytes);
  }

  /// Appends to *text the bytes that `token` completes; at most three are held back.
  /// Errors (nothing changes): out_of_range (an id without a token).
  Status push(int32_t token, std::string* text);

  /// Appends the bytes held back, an incomplete character, to *text.
  void flush(std::string* text);

  /// Bytes that are held back.
  size_t held_bytes() const { return held_.size(); }

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  bool at_start_;  // of a text from which a space is dropped
  std::string held_;
};

}  // namespace midge
