#include "engine/core/aligned_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/core/poison.h"

namespace midge {
namespace {

void* map_pages(int64_t bytes) {
  void* start = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return start == MAP_FAILED ? nullptr : start;
}

void unmap_pages(void* start, int64_t bytes) { ::munmap(start, static_cast<size_t>(bytes)); }

}  // namespace

AlignedBuffer::~AlignedBuffer() {
  if (data_ == nullptr) return;
  if constexpr (kPoisons) {
    std::free(allocation_);
  } else {
    unmap_pages(allocation_, bytes_);
  }
}

Result<AlignedBuffer> AlignedBuffer::create(int64_t bytes, const char* what) {
  AlignedBuffer buffer;
  if (bytes <= 0) return buffer;
  void* pages = map_pages(bytes);
  if (pages == nullptr) {
    return make_status(StatusCode::kOutOfMemory, "no memory for %s of %lld bytes", what,
                       static_cast<long long>(bytes));
  }
  buffer.allocation_ = pages;
  buffer.data_ = static_cast<uint8_t*>(pages);
  buffer.bytes_ = bytes;
  if constexpr (kPoisons) {
    // The system could say no, which AddressSanitizer's allocator never does: it ends the program.
    // The memory itself comes from the heap, where a use after free and a leak are seen, with
    // poisoned bytes on both sides, a page of them at least: mapped pages would hide what runs over
    // the end within the last page. Large pieces of calloc are fresh pages, resident when written.
    unmap_pages(pages, bytes);
    constexpr int64_t kPage = 4096;
    buffer.allocation_ = std::calloc(static_cast<size_t>(bytes + 3 * kPage), 1);
    auto* first = static_cast<uint8_t*>(buffer.allocation_);
    const auto to_page = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(first) & (kPage - 1));
    buffer.data_ = first + kPage + to_page;
    poison(first, kPage + to_page);
    poison(buffer.data_ + bytes, 2 * kPage - to_page);
  }
  return buffer;
}

Status AlignedBuffer::settle(Residency residency, const char* what) const {
  if (residency == Residency::kLazy) return Status();
  if (residency == Residency::kLocked) {
    return lock_pages(data_, static_cast<uint64_t>(bytes_), what);
  }
  if constexpr (kPoisons) return Status();  // parts of it are forbidden
  const auto page = static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
  for (int64_t i = 0; i < bytes_; i += page) {
    volatile uint8_t* byte = data_ + i;
    *byte = *byte;
  }
  return Status();
}

void AlignedBuffer::release(int64_t begin, int64_t end) const {
  if constexpr (kPoisons) return;  // the heap's
  release_pages(data_ + begin, static_cast<uint64_t>(end - begin));
}

void AlignedBuffer::prefer_huge_pages() const {
#if defined(MADV_HUGEPAGE)
  if (data_ != nullptr) ::madvise(data_, static_cast<size_t>(bytes_), MADV_HUGEPAGE);
#endif
}

}  // namespace midge
