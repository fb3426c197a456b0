#include "engine/core/aligned_buffer.h"

#include <cstring>

namespace midge {

Result<AlignedBuffer> AlignedBuffer::create(int64_t bytes, const char* what) {
  AlignedBuffer buffer;
  if (bytes <= 0) return buffer;
  buffer.data_ = std::aligned_alloc(kAlignment, static_cast<size_t>(round_up(bytes, kAlignment)));
  if (buffer.data_ == nullptr) {
    return make_status(StatusCode::kOutOfMemory, "no memory for %s of %lld bytes", what,
                       static_cast<long long>(bytes));
  }
  std::memset(buffer.data_, 0, static_cast<size_t>(bytes));
  buffer.bytes_ = bytes;
  return buffer;
}

}  // namespace midge
