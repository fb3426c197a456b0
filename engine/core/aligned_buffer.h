// Anonymous memory that is taken once and never grows.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "engine/core/checked_math.h"
#include "engine/core/status.h"

namespace midge {

/// Zeroed bytes, aligned to a cache line. Movable, freed on destruction.
class AlignedBuffer {
 public:
  static constexpr int64_t kAlignment = 64;

  AlignedBuffer() = default;
  ~AlignedBuffer() { std::free(data_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  /// `what` stands in the message. Errors: out_of_memory.
  static Result<AlignedBuffer> create(int64_t bytes, const char* what);

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace midge
