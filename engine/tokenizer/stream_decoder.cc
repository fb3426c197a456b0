#include "engine/tokenizer/stream_decoder.h"

#include "engine/tokenizer/unicode.h"

namespace midge {

Status StreamDecoder::push(int32_t token, std::string* text) {
  const TokenKind kind = tokenizer_->token_kind(token);
  if (kind == TokenKind::kNone) {
    return make_status(StatusCode::kOutOfRange, "token id %d has no token (ids are below %d)",
                       token, tokenizer_->vocab_size());
  }
  if (kind == TokenKind::kSpecial && skip_special_) return Status();
  std::string_view bytes = tokenizer_->token_bytes(token);
  if (at_start_ && bytes[0] == ' ') bytes.remove_prefix(1);
  at_start_ = false;
  held_ += bytes;
  const size_t complete = complete_utf8_length(held_);
  text->append(held_, 0, complete);
  held_.erase(0, complete);
  return Status();
}

void StreamDecoder::flush(std::string* text) {
  *text += held_;
  held_.clear();
}

}  // namespace midge
