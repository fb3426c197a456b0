#include "engine/core/temporary_file.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
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

// Whoever could read the file that is replaced can read the new one, and nobody else. mkstemp's
// files are the owner's alone, whatever the umask says.
void open_to_readers(int fd, const std::string& path, bool by_umask) {
  struct stat old = {};
  if (::stat(path.c_str(), &old) == 0) {
    static_cast<void>(::fchmod(fd, old.st_mode & 0777));
  } else if (!by_umask) {
    static_cast<void>(::fchmod(fd, 0644));
  }
}

// Where a link leads, else the path itself. Not realpath, which takes 3 KB of a static program.
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

}  // namespace

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
  const bool by_umask = readers == Readers::kByUmask;
  TemporaryFile file;
  file.path_ = by_umask ? behind_links(path) : path;
#ifdef O_TMPFILE
  file.fd_ =
      ::open(folder_of(file.path_).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode_of(readers));
  if (file.fd_ >= 0) {
    if (by_umask) open_to_readers(file.fd_, file.path_, true);
    return file;
  }
#endif
  std::string name = file.path_ + ".XXXXXX";
  file.fd_ = ::mkstemp(name.data());
  if (file.fd_ < 0) return file.fail("write");
  file.name_ = name;
  if (by_umask) open_to_readers(file.fd_, file.path_, false);
  return file;
}

Status TemporaryFile::publish(bool durable) {
  if (durable && ::fsync(fd_) != 0) return fail("write");
  if (name_.empty()) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    // Where no file has the name, at once: nothing can be left over.
    const bool is_new =
        ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0;
    if (is_new) return durable ? sync_folder() : Status();
    // Linking puts no file in the place of another one: by way of a name of its own.
    for (int i = 0; name_.empty(); ++i) {
      const std::string name =
          path_ + "." + std::to_string(::getpid()) + "-" + std::to_string(fd_ + i);
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        name_ = name;
      } else if (errno != EEXIST || i == kNameTries) {
        return fail("name");
      }
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
