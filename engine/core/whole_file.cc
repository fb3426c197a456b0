#include "engine/core/whole_file.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/mapped_file.h"
#include "engine/core/temporary_file.h"
#include "engine/core/visible.h"

namespace midge {

Status write_whole_file(const std::string& path, std::string_view bytes) {
  MIDGE_ASSIGN_OR_RETURN(TemporaryFile file,
                         TemporaryFile::create(path, TemporaryFile::Readers::kOwner));
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.fd(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return make_status(StatusCode::kIoError, "%s: cannot write: %s", shown_path(path).c_str(),
                         std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return file.publish(false);
}

void make_private_folders(const std::string& folder) {
  if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) return;
  make_private_folders(folder_of(folder));
  ::mkdir(folder.c_str(), 0700);
}

}  // namespace midge
