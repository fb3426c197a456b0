// Finds what came after the same tokens before.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/aligned_buffer.h"

namespace midge {

/// A text of tokens that grows at its end, and the places of its n-grams. Remembers the last
/// `capacity` tokens. A token costs a constant number of operations, a search too: it looks at the
/// latest kPlacesMax places of the last n-gram and compares at most kLengthMax tokens at each. All
/// memory is taken at creation, 12 to 20 bytes for each token of the capacity, and is resident as
/// far as it was used. Not for several threads.
class TokenIndex {
 public:
  static constexpr int kPlacesMax = 16;
  static constexpr int kLengthMax = 64;

  /// length_min: tokens of an n-gram, 1..kLengthMax: shorter matches are not found. Errors:
  /// out_of_memory.
  static Result<TokenIndex> create(int64_t capacity, int length_min);
  /// What it takes.
  static int64_t bytes_for(int64_t capacity);

  int64_t size() const { return size_; }
  void append(std::span<const int32_t> tokens);

  struct Match {
    int length = 0;  ///< tokens that are alike; 0: there is none
    int count = 0;   ///< tokens of *continuation that were filled
  };
  /// The place whose last tokens are most like those of `tokens`, the latest of several; fills
  /// `continuation` with what follows there. If `tokens` end with the text itself, a repetition
  /// that reaches the end goes on.
  Match find(std::span<const int32_t> tokens, std::span<int32_t> continuation) const;

 private:
  TokenIndex(int64_t capacity, int length_min);

  int32_t text(int64_t position) const { return text_[static_cast<size_t>(position) & mask_]; }
  // The newest position whose last digits these are.
  int64_t position_of(uint32_t place) const {
    return size_ - static_cast<uint32_t>(static_cast<uint32_t>(size_) - place);
  }
  uint32_t head_of(uint64_t hash) const { return static_cast<uint32_t>(hash >> head_shift_); }
  int length_at(int64_t position, std::span<const int32_t> tokens) const;

  size_t mask_;
  int head_shift_;
  int length_min_;
  uint64_t oldest_weight_ = 1;  // of the n-gram's first token in its hash
  uint64_t hash_ = 0;           // of the last length_min tokens
  int64_t size_ = 0;
  AlignedBuffer buffer_;  // of these, mask_ + 1 each
  int32_t* text_ = nullptr;
  uint32_t* heads_ = nullptr;     // by hash: the position behind the latest such n-gram, 0: none
  uint32_t* previous_ = nullptr;  // of each position: the one before with the same head
};

}  // namespace midge
