// Parts of one piece of memory: scratch, operands and the like, carved in one place.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/core/check.h"

namespace midge {

/// Parts start on multiples of this unless told otherwise: a cache line, and the widest vector.
inline constexpr int64_t kArenaAlignment = 64;

/// Hands out the parts of a buffer from its start to its end, and takes none back. In builds with
/// AddressSanitizer the bytes between two parts are poisoned, so that running over the end of one
/// is reported like running over the end of an allocation. The buffer must outlive the use of the
/// parts; the arena itself may go. One thread at a time.
class Arena {
 public:
  explicit Arena(const AlignedBuffer& buffer);

  /// Room that a part takes at most, whatever was taken before it: the sum over the parts is what a
  /// buffer must hold. INT64_MAX where that does not fit in 64 bits.
  static int64_t room(int64_t bytes, int64_t alignment = kArenaAlignment);

  /// The next `count` objects, zeroed if nobody wrote to the buffer; null for 0. Checked: count >=
  /// 0, the alignment is a power of two of at most a page and suits T, the part fits into the
  /// buffer.
  template <typename T>
  T* take(int64_t count, int64_t alignment = kArenaAlignment) {
    MIDGE_DCHECK(alignment >= static_cast<int64_t>(alignof(T)));
    return reinterpret_cast<T*>(take_bytes(count, sizeof(T), alignment));
  }

  /// Bytes behind the last part.
  int64_t left() const { return end_ - at_; }

 private:
  uint8_t* take_bytes(int64_t count, int64_t size, int64_t alignment);

  uint8_t* at_ = nullptr;   // what follows the last part and its gap
  uint8_t* end_ = nullptr;  // of the buffer
};

/// A list of parts that becomes one buffer. Sizes are named once, so they cannot differ between the
/// sum and the carving:
///
///   ArenaPlan plan;
///   plan.add(&scratch.x_, rows_max * hidden_size);
///   plan.add(&scratch.sums_, rows_max);
///   MIDGE_ASSIGN_OR_RETURN(scratch.buffer_, plan.create("activations"));
class ArenaPlan {
 public:
  /// create() points *part at `count` objects, or makes it null for 0. `part` stays valid until
  /// then.
  template <typename T>
  void add(T** part, int64_t count, int64_t alignment = kArenaAlignment) {
    MIDGE_DCHECK(count >= 0, "%lld", static_cast<long long>(count));
    *part = nullptr;
    parts_.push_back({part, count, alignment, [](void* where, Arena& arena, const Part& p) {
                        *static_cast<T**>(where) = arena.take<T>(p.count, p.alignment);
                      }});
    grow(count, sizeof(T), alignment);
  }

  /// What create() takes, gaps included.
  int64_t bytes() const { return bytes_; }

  /// Takes the memory, zeroed, and sets every pointer. `what` stands in the message. Errors:
  /// out_of_memory, also where the sizes do not fit in 64 bits; the pointers are null then.
  Result<AlignedBuffer> create(const char* what);

 private:
  struct Part {
    void* where;  // a T**
    int64_t count;
    int64_t alignment;
    void (*point)(void* where, Arena& arena, const Part& part);
  };

  void grow(int64_t count, int64_t size, int64_t alignment);

  std::vector<Part> parts_;
  int64_t bytes_ = 0;
};

}  // namespace midge
