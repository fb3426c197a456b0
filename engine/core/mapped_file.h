// A read-only file in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "engine/core/status.h"

namespace midge {

enum class FileAccess {
  kMap,   ///< mapped: pages come from the page cache and can be dropped by the system
  kCopy,  ///< read into anonymous memory: immune to later changes of the file
};

/// Told while a file is copied (kCopy): its path, the bytes read so far, and the bytes of the file.
using CopyProgress = std::function<void(const std::string& path, uint64_t done, uint64_t total)>;

/// The bytes of one regular file, or of memory that stands for one. Immutable after open, shareable
/// between threads, movable.
///
/// With kMap, a file that another process truncates while it is mapped raises SIGBUS on access.
/// The library installs no signal handler for this: a program may (cli/bus_error.h is one that
/// reports the file and exits), or use kCopy where files are not trusted to stay. A file that is
/// written to while it is mapped changes the numbers that are computed, but reaches no memory that
/// is not its own: sizes are read once, when the file is opened.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Opens `path`. Errors: not_found, io_error (no permission, a directory, map or read failed),
  /// out_of_memory (kCopy). An empty file opens with size 0.
  static Result<MappedFile> open(const std::string& path, FileAccess access = FileAccess::kMap,
                                 const CopyProgress& on_copy = nullptr);

  /// Memory of the caller's, which outlives it, as a file of the name `path`.
  static MappedFile borrow(const std::string& path, std::span<const uint8_t> bytes);

  const std::string& path() const { return path_; }
  const uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  /// Whether its pages come from the page cache.
  bool is_mapped() const { return owner_ == Owner::kMapping; }

 private:
  enum class Owner : uint8_t { kMapping, kHeap, kCaller };

  void close();

  std::string path_;
  const uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  Owner owner_ = Owner::kMapping;
};

/// Reads a whole small text file, refusing more than `bytes_max` bytes (invalid_file).
Result<std::string> read_small_file(const std::string& path, uint64_t bytes_max);

/// True if `path` names an existing regular file / directory (links are followed).
bool is_regular_file(const std::string& path);
bool is_directory(const std::string& path);

/// Device and number of the file that `path` names, the same for all its names; zeros if there is
/// none.
using FileId = std::pair<uint64_t, uint64_t>;
FileId file_id(const std::string& path);

/// The folder that `path` is in: what stands before its last separator, "/" for a file in it, "."
/// if there is no separator.
std::string folder_of(const std::string& path);

/// `directory`/`name` with one separator between them.
std::string join_path(const std::string& directory, const std::string& name);

}  // namespace midge
