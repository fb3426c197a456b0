#include "engine/speculation/token_index.h"

#include <algorithm>
#include <bit>

#include "engine/core/arena.h"
#include "engine/core/check.h"

namespace midge {
namespace {

// Odd, so that no token's digits are lost.
constexpr uint64_t kBase = 0x9E3779B97F4A7C15;

// A search looks back behind a place, which must not have been overwritten.
size_t ring_size(int64_t capacity) {
  return std::bit_ceil(static_cast<size_t>(capacity) + TokenIndex::kLengthMax);
}

uint64_t digit(int32_t token) { return static_cast<uint64_t>(token) + 2; }

}  // namespace

TokenIndex::TokenIndex(int64_t capacity, int length_min)
    : mask_(ring_size(capacity) - 1),
      head_shift_(64 - std::countr_zero(mask_ + 1)),
      length_min_(length_min) {
  MIDGE_DCHECK(length_min >= 1 && length_min <= kLengthMax, "n-grams of %d", length_min);
  for (int i = 1; i < length_min; ++i) oldest_weight_ *= kBase;
}

Result<TokenIndex> TokenIndex::create(int64_t capacity, int length_min) {
  TokenIndex index(capacity, length_min);
  const auto count = static_cast<int64_t>(index.mask_ + 1);
  ArenaPlan plan;
  plan.add(&index.text_, count);
  plan.add(&index.heads_, count);
  plan.add(&index.previous_, count);
  MIDGE_ASSIGN_OR_RETURN(index.buffer_, plan.create("an index of tokens"));
  return index;
}

int64_t TokenIndex::bytes_for(int64_t capacity) {
  return static_cast<int64_t>(ring_size(capacity) * (sizeof(int32_t) + 2 * sizeof(uint32_t)));
}

void TokenIndex::append(std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) {
    if (size_ >= length_min_) {
      // The n-gram before this token is known with what follows it.
      uint32_t& head = heads_[head_of(hash_ * kBase)];
      previous_[static_cast<size_t>(size_) & mask_] = head;
      head = static_cast<uint32_t>(size_);
      hash_ -= digit(text(size_ - length_min_)) * oldest_weight_;
    }
    hash_ = hash_ * kBase + digit(token);
    text_[static_cast<size_t>(size_) & mask_] = token;
    ++size_;
  }
}

int TokenIndex::length_at(int64_t position, std::span<const int32_t> tokens) const {
  const int64_t known =
      std::min({position, static_cast<int64_t>(tokens.size()), static_cast<int64_t>(kLengthMax)});
  int64_t length = 0;
  while (length < known &&
         text(position - 1 - length) == tokens[tokens.size() - 1 - static_cast<size_t>(length)]) {
    ++length;
  }
  return static_cast<int>(length);
}

TokenIndex::Match TokenIndex::find(std::span<const int32_t> tokens,
                                   std::span<int32_t> continuation) const {
  Match best;
  if (static_cast<int>(tokens.size()) < length_min_) return best;
  uint64_t hash = 0;
  for (const int32_t token : tokens.last(static_cast<size_t>(length_min_))) {
    hash = hash * kBase + digit(token);
  }
  const auto ring = static_cast<int64_t>(mask_ + 1);
  int64_t best_position = 0;
  int64_t last = size_ + 1;
  uint32_t place = heads_[head_of(hash * kBase)];
  for (int i = 0; i < kPlacesMax && place != 0; ++i) {
    const int64_t position = position_of(place);
    // Older than what is remembered, or a link that was overwritten.
    if (position >= last || position < 1 || size_ - position > ring - kLengthMax) break;
    last = position;
    const int length = length_at(position, tokens);
    if (length >= length_min_ && length > best.length) {
      best.length = length;
      best_position = position;
      if (length == kLengthMax) break;
    }
    place = previous_[static_cast<size_t>(position) & mask_];
  }
  if (best.length == 0) return best;
  const bool is_end = size_ >= length_min_ && length_at(size_, tokens) >= length_min_;
  for (int32_t& token : continuation) {
    const int64_t position = best_position + best.count;
    if (position >= size_ && !is_end) break;
    token = position < size_ ? text(position) : continuation[static_cast<size_t>(position - size_)];
    if (token < 0) break;  // the end of another text
    ++best.count;
  }
  return best;
}

}  // namespace midge
