#include "tests/harness/guarded_memory.h"

#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace midge::test {

GuardedMemory::~GuardedMemory() { release(); }

GuardedMemory::GuardedMemory(GuardedMemory&& other) noexcept
    : begin_(std::exchange(other.begin_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

bool GuardedMemory::reserve(size_t bytes) {
  if (begin_ != nullptr && bytes <= bytes_) return true;
  release();
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t inner = (bytes / page + 1) * page;
  void* all = ::mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return false;
  begin_ = static_cast<uint8_t*>(all) + page;
  bytes_ = inner;
  return ::mprotect(begin_, bytes_, PROT_READ | PROT_WRITE) == 0;
}

void GuardedMemory::release() {
  if (begin_ == nullptr) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  ::munmap(begin_ - page, bytes_ + 2 * page);
  begin_ = nullptr;
  bytes_ = 0;
}

}  // namespace midge::test
