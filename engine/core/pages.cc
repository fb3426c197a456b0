#include "engine/core/pages.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace midge {
namespace {

std::string lock_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "none";
  return std::to_string(limit.rlim_cur) + " bytes";
}

}  // namespace

void release_pages(const void* start, uint64_t bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t first = (address + page - 1) / page * page;
  const uintptr_t last = (address + bytes) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void populate_pages(const void* start, uint64_t bytes) {
#if defined(MADV_POPULATE_READ)
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t first = address / page * page;
  ::madvise(reinterpret_cast<void*>(first), address + bytes - first, MADV_POPULATE_READ);
#else
  static_cast<void>(start);
  static_cast<void>(bytes);
#endif
}

Status lock_pages(const void* start, uint64_t bytes, const char* what) {
  if (bytes == 0 || ::mlock(start, bytes) == 0) return Status();
  return make_status(StatusCode::kOutOfMemory,
                     "%s of %llu bytes cannot be locked in memory: %s (limit of this process: %s, "
                     "see 'ulimit -l')",
                     what, static_cast<unsigned long long>(bytes), std::strerror(errno),
                     lock_limit().c_str());
}

}  // namespace midge
