#include "engine/core/aligned_buffer.h"

#include <sys/mman.h>

namespace midge {

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) ::munmap(data_, static_cast<size_t>(bytes_));
}

Result<AlignedBuffer> AlignedBuffer::create(int64_t bytes, const char* what) {
  AlignedBuffer buffer;
  if (bytes <= 0) return buffer;
  void* start = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) {
    return make_status(StatusCode::kOutOfMemory, "no memory for %s of %lld bytes", what,
                       static_cast<long long>(bytes));
  }
  buffer.data_ = start;
  buffer.bytes_ = bytes;
  return buffer;
}

void AlignedBuffer::prefer_huge_pages() const {
#if defined(MADV_HUGEPAGE)
  if (data_ != nullptr) ::madvise(data_, static_cast<size_t>(bytes_), MADV_HUGEPAGE);
#endif
}

}  // namespace midge
