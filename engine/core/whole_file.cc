#include "engine/core/whole_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/mapped_file.h"
#include "engine/core/temporary_file.h"
#include "engine/core/visible.h"

namespace midge {

namespace {

Status cannot_write(const std::string& path) {
  return make_status(StatusCode::kIoError, "%s: cannot write: %s", shown_path(path).c_str(),
                     std::strerror(errno));
}

Status write_all(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return cannot_write(path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return Status();
}

// A device or a pipe.
Status write_into(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return cannot_write(path);
  const Status status = write_all(fd, path, bytes);
  return ::close(fd) == 0 || !status.ok() ? status : cannot_write(path);
}

}  // namespace

Status write_whole_file(const std::string& path, std::string_view bytes) {
  MIDGE_ASSIGN_OR_RETURN(TemporaryFile file,
                         TemporaryFile::create(path, TemporaryFile::Readers::kOwner));
  MIDGE_RETURN_IF_ERROR(write_all(file.fd(), path, bytes));
  return file.publish(false);
}

Status write_users_file(const std::string& path, std::string_view bytes) {
  struct stat now = {};
  if (::stat(path.c_str(), &now) == 0 && !S_ISREG(now.st_mode)) return write_into(path, bytes);
  MIDGE_ASSIGN_OR_RETURN(TemporaryFile file,
                         TemporaryFile::create(behind_links(path), TemporaryFile::Readers::kOwner));
  MIDGE_RETURN_IF_ERROR(write_all(file.fd(), path, bytes));
  return file.publish(true);
}

void make_private_folders(const std::string& folder) {
  if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) return;
  // "." may be out of sight, and is its own folder.
  const std::string above = folder_of(folder);
  if (above != folder) make_private_folders(above);
  ::mkdir(folder.c_str(), 0700);
}

}  // namespace midge
