// Anonymous memory that is taken once and never grows.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/core/checked_math.h"
#include "engine/core/pages.h"
#include "engine/core/status.h"

namespace midge {

/// Zeroed bytes on page boundaries. Pages become resident when they are first written, so room that
/// is reserved for a long context costs nothing until the context is long. Movable. In builds with
/// AddressSanitizer they come from the heap, and the bytes on both sides are forbidden.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        allocation_(std::exchange(other.allocation_, nullptr)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(allocation_, other.allocation_);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  /// `what` stands in the message. No memory is taken for 0 bytes. Errors: out_of_memory.
  static Result<AlignedBuffer> create(int64_t bytes, const char* what);

  /// Asks the system for large pages; call before the memory is touched. Without effect where there
  /// are none.
  void prefer_huge_pages() const;

  /// Makes it resident as asked for. `what` stands in the message. Not while others write to it.
  /// Errors: those of lock_pages.
  Status settle(Residency residency, const char* what) const;

  /// Gives the whole pages of bytes begin .. end - 1 back to the system, unless they are locked.
  /// What was there is lost; they are resident again when they are written.
  void release(int64_t begin, int64_t end) const;

  uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
  void* allocation_ = nullptr;  // what holds them
};

}  // namespace midge
