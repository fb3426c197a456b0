#include "engine/core/temporary_file.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Names that are tried for a file that has none yet.
constexpr int kNameTries = 100;
// Links to links that are followed, as many as Linux does.
constexpr int kLinksMax = 40;

mode_t mode_of(TemporaryFile::Readers readers) {
  return readers == TemporaryFile::Readers::kOwner ? 0600 : 0666;  // the system takes umask away
}

// Makes `make(name)` with names beside `path` until one is free; empty: errno says why not.
template <typename Make>
std::string first_free_name(const std::string& path, int number, const Make& make) {
  for (int i = 0; i < kNameTries; ++i) {
    std::string name = path + "." + std::to_string(::getpid()) + "-" + std::to_string(number + i);
    if (make(name.c_str())) return name;
    if (errno != EEXIST) break;
  }
  return std::string();
}

}  // namespace

// Not realpath, which takes 3 KB of a static program.
std::string behind_links(std::string path) {
  char target[PATH_MAX];
  for (int i = 0; i < kLinksMax; ++i) {
    const ssize_t bytes = ::readlink(path.c_str(), target, sizeof(target));
    if (bytes <= 0 || bytes == static_cast<ssize_t>(sizeof(target))) break;
    const std::string to(target, static_cast<size_t>(bytes));
    path = to.starts_with('/') ? to : join_path(folder_of(path), to);
  }
  return path;
}

TemporaryFile::~TemporaryFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!name_.empty()) ::unlink(name_.c_str());
}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(name_, other.name_);
  std::swap(fd_, other.fd_);
  return *this;
}

Status TemporaryFile::fail(const char* what) const {
  return make_status(StatusCode::kIoError, "%s: cannot %s: %s", shown_path(path_).c_str(), what,
                     std::strerror(errno));
}

Result<TemporaryFile> TemporaryFile::create(const std::string& path, Readers readers) {
  TemporaryFile file;
  file.path_ = readers == Readers::kByUmask ? behind_links(path) : path;
  struct stat old = {};
  const bool is_there = ::lstat(file.path_.c_str(), &old) == 0;
  if (is_there && !S_ISREG(old.st_mode) && !S_ISLNK(old.st_mode)) {
    return make_status(StatusCode::kIoError, "%s: not a regular file, which could be replaced",
                       shown_path(path).c_str());
  }
// Apps of Android may not link files (SELinux).
#if defined(O_TMPFILE) && !defined(__ANDROID__)
  file.fd_ =
      ::open(folder_of(file.path_).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode_of(readers));
#endif
  if (file.fd_ < 0) MIDGE_RETURN_IF_ERROR(file.open_named(mode_of(readers)));
  // Whoever could read the file that is replaced can read the new one, and nobody else.
  if (is_there && readers == Readers::kByUmask) {
    static_cast<void>(::fchmod(file.fd_, old.st_mode & 0777));
  }
  return file;
}

Status TemporaryFile::open_named(mode_t mode) {
  name_ = first_free_name(path_, 0, [&](const char* name) {
    fd_ = ::open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
    return fd_ >= 0;
  });
  return fd_ >= 0 ? Status() : fail("write");
}

// What has no name, as a file that has one.
Status TemporaryFile::copy_to_named() {
  struct stat now = {};
  if (::fstat(fd_, &now) != 0) return fail("name");
  const int from = std::exchange(fd_, -1);
  Status status = open_named(now.st_mode & 0777);
  off_t at = 0;
  while (status.ok() && at < now.st_size) {
    const ssize_t bytes = ::sendfile(fd_, from, &at, static_cast<size_t>(now.st_size - at));
    if (bytes == 0) errno = EIO;  // somebody made it shorter
    if (bytes <= 0 && errno != EINTR) status = fail("write");
  }
  ::close(from);
  return status;
}

Status TemporaryFile::publish(bool durable) {
  if (durable && ::fsync(fd_) != 0) return fail("write");
  if (name_.empty()) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    const auto link_to = [&](const char* name) {
      return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
    };
    // Where no file has the name, at once: nothing can be left over.
    if (link_to(path_.c_str())) return durable ? sync_folder() : Status();
    // Linking puts no file in the place of another one: by way of a name of its own.
    name_ = first_free_name(path_, fd_, link_to);
    if (name_.empty()) {
      // Sandboxes may forbid it, or have no /proc.
      MIDGE_RETURN_IF_ERROR(copy_to_named());
      if (durable && ::fsync(fd_) != 0) return fail("write");
    }
  }
  if (::rename(name_.c_str(), path_.c_str()) != 0) return fail("rename");
  name_.clear();
  return durable ? sync_folder() : Status();
}

Status TemporaryFile::sync_folder() const {
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  return is_synced ? Status() : fail("write the folder of");
}

}  // namespace midge
