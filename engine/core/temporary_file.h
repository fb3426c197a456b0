// A file that gets its name only when it is whole.
#pragma once

#include <string>
#include <utility>

#include <sys/types.h>

#include "engine/core/status.h"

namespace midge {

/// A new file in the folder of the path that it shall have. Where the system allows it the file has
/// no name at first, so that nothing is left of it if the process is killed; else it is
/// `path`.PROCESS-NUMBER. It vanishes with this object unless it was published.
class TemporaryFile {
 public:
  /// Who may read it in the end. kByUmask: where a file has the name already, who may read that
  /// one; and a link that leads to a file stays, the file is replaced. kOwner: a link is replaced,
  /// wherever it leads.
  enum class Readers { kOwner, kByUmask };

  TemporaryFile() = default;
  ~TemporaryFile();
  TemporaryFile(TemporaryFile&& other) noexcept { *this = std::move(other); }
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// Errors: io_error, naming `path`, also where that is a device, a pipe or a folder.
  static Result<TemporaryFile> create(const std::string& path, Readers readers);

  int fd() const { return fd_; }
  /// Gives it its name, in place of a file that had it; `durable`: what was written is on the disk
  /// before. Errors: io_error.
  Status publish(bool durable);

 private:
  Status fail(const char* what) const;
  Status open_named(mode_t mode);
  Status copy_to_named();
  Status sync_folder() const;

  std::string path_;
  std::string name_;  // of the file for now; empty: none
  int fd_ = -1;
};

/// Where a link leads, else the path itself.
std::string behind_links(std::string path);

}  // namespace midge
