// Memory between pages that may not be touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace midge::test {

/// A run of pages with an inaccessible page on either side. Grows on demand, is kept for the next
/// use.
class GuardedMemory {
 public:
  GuardedMemory() = default;
  ~GuardedMemory();
  GuardedMemory(GuardedMemory&& other) noexcept;
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  /// Makes room for `bytes`; what was there is lost. False: the system has none.
  bool reserve(size_t bytes);

  /// The accessible pages.
  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + bytes_; }

 private:
  void release();

  uint8_t* begin_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace midge::test
