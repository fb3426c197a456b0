// A value that one thread renews and others read, neither of which waits for the other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

namespace midge {

/// Holds the value that was put last. put() is for one thread at a time; it takes no lock and never
/// waits. get() may be called from any thread; readers wait for each other alone.
template <typename T>
class Latest {
 public:
  void put(const T& value) {
    slots_[writing_] = value;
    writing_ = newest_.exchange(writing_ | kUnread, std::memory_order_acq_rel) & ~kUnread;
  }

  T get() const {
    const std::lock_guard lock(readers_);
    if ((newest_.load(std::memory_order_relaxed) & kUnread) != 0) {
      reading_ = newest_.exchange(reading_, std::memory_order_acq_rel) & ~kUnread;
    }
    return slots_[reading_];
  }

 private:
  static constexpr uint32_t kUnread = 4;

  // Three places: of the writer, of the readers, and the one that they exchange.
  std::array<T, 3> slots_ = {};
  uint32_t writing_ = 0;
  mutable std::atomic<uint32_t> newest_ = 1;
  mutable uint32_t reading_ = 2;
  mutable std::mutex readers_;
};

}  // namespace midge
