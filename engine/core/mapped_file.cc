#include "engine/core/mapped_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/core/visible.h"

namespace midge {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status open_error(const std::string& path) {
  const int error = errno;
  const StatusCode code =
      error == ENOENT || error == ENOTDIR ? StatusCode::kNotFound : StatusCode::kIoError;
  return make_status(code, "%s: cannot open: %s", shown_path(path).c_str(), std::strerror(error));
}

// Bytes of one read: a few milliseconds between two reports.
constexpr uint64_t kReadBytes = uint64_t{16} << 20;

Status read_all(int fd, const std::string& path, const CopyProgress& on_copy, uint8_t* out,
                uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, out + done, std::min(kReadBytes, size - done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return make_status(StatusCode::kIoError, "%s: read failed at offset %llu: %s",
                         shown_path(path).c_str(), static_cast<unsigned long long>(done),
                         std::strerror(errno));
    }
    if (got == 0) {
      return make_status(StatusCode::kIoError, "%s: file ended at offset %llu, expected %llu bytes",
                         shown_path(path).c_str(), static_cast<unsigned long long>(done),
                         static_cast<unsigned long long>(size));
    }
    done += static_cast<uint64_t>(got);
    if (on_copy) on_copy(path, done, size);
  }
  return Status();
}

// Before the pages are touched: weights are read through, and large pages cost fewer misses.
void prefer_huge_pages(void* start, uint64_t bytes) {
#if defined(MADV_HUGEPAGE)
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t first = (address + page - 1) / page * page;
  const uintptr_t last = (address + bytes) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace

MappedFile::~MappedFile() { close(); }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owner_(other.owner_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    close();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    owner_ = other.owner_;
  }
  return *this;
}

void MappedFile::close() {
  if (data_ == nullptr) return;
  void* start = const_cast<uint8_t*>(data_);
  switch (owner_) {
    case Owner::kMapping: ::munmap(start, size_); break;
    case Owner::kHeap: std::free(start); break;
    case Owner::kCaller: break;
  }
  data_ = nullptr;
  size_ = 0;
}

Result<MappedFile> MappedFile::open(const std::string& path, FileAccess access,
                                    const CopyProgress& on_copy) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return open_error(path);
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return open_error(path);
  if (!S_ISREG(info.st_mode)) {
    return make_status(StatusCode::kIoError, "%s: not a regular file", shown_path(path).c_str());
  }
  MappedFile file;
  file.path_ = path;
  file.owner_ = access == FileAccess::kMap ? Owner::kMapping : Owner::kHeap;
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size == 0) return file;
  if (access == FileAccess::kMap) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (start == MAP_FAILED) {
      return make_status(StatusCode::kIoError, "%s: cannot map %llu bytes: %s",
                         shown_path(path).c_str(), static_cast<unsigned long long>(size),
                         std::strerror(errno));
    }
    file.data_ = static_cast<const uint8_t*>(start);
    file.size_ = size;
    return file;
  }
  // 64: a cache line, so that a copied file is at least as aligned as any tensor in it asks for.
  // No byte more than the file has: a read past its end is one that tools can see.
  void* start = nullptr;
  if (::posix_memalign(&start, 64, size) != 0) {
    return make_status(StatusCode::kOutOfMemory, "%s: no memory for a copy of %llu bytes",
                       shown_path(path).c_str(), static_cast<unsigned long long>(size));
  }
  file.data_ = static_cast<const uint8_t*>(start);
  file.size_ = size;
  prefer_huge_pages(start, size);
  MIDGE_RETURN_IF_ERROR(read_all(fd.get(), path, on_copy, static_cast<uint8_t*>(start), size));
  return file;
}

MappedFile MappedFile::borrow(const std::string& path, std::span<const uint8_t> bytes) {
  MappedFile file;
  file.path_ = path;
  file.data_ = bytes.data();
  file.size_ = bytes.size();
  file.owner_ = Owner::kCaller;
  return file;
}

Result<std::string> read_small_file(const std::string& path, uint64_t bytes_max) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return open_error(path);
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return open_error(path);
  if (!S_ISREG(info.st_mode)) {
    return make_status(StatusCode::kIoError, "%s: not a regular file", shown_path(path).c_str());
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > bytes_max) {
    return make_status(StatusCode::kInvalidFile, "%s: %llu bytes, expected at most %llu",
                       shown_path(path).c_str(), static_cast<unsigned long long>(size),
                       static_cast<unsigned long long>(bytes_max));
  }
  std::string text(size, '\0');
  MIDGE_RETURN_IF_ERROR(
      read_all(fd.get(), path, nullptr, reinterpret_cast<uint8_t*>(text.data()), size));
  return text;
}

bool is_regular_file(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool is_directory(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

FileId file_id(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)};
}

std::string folder_of(const std::string& path) {
  size_t end = path.find_last_of('/');
  if (end == std::string::npos) return ".";
  while (end > 0 && path[end - 1] == '/') --end;
  return path.substr(0, std::max<size_t>(end, 1));
}

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty() || directory.back() == '/') return directory + name;
  return directory + "/" + name;
}

}  // namespace midge
