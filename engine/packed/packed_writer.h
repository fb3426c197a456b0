// Writes the container of a packed file: sections first, header and directory last.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/core/temporary_file.h"
#include "engine/packed/packed_file.h"

namespace midge {

/// A section of a file that is to be written.
struct PlannedSection {
  std::string_view name;  ///< at most 16 bytes
  uint32_t flags = 0;
  uint64_t bytes = 0;
  uint32_t version = 1;
};

/// A packed file on its way. It has its path only after publish(): whoever looks before finds the
/// old file or none.
class PackedWriter {
 public:
  PackedWriter() = default;
  ~PackedWriter();
  PackedWriter(PackedWriter&& other) noexcept { *this = std::move(other); }
  PackedWriter& operator=(PackedWriter&& other) noexcept;
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;

  /// Takes the whole room on the disk, so that a full one is known before anything is computed.
  /// Errors: io_error.
  static Result<PackedWriter> create(const std::string& path,
                                     std::span<const PlannedSection> sections,
                                     TemporaryFile::Readers readers);

  /// The file's bytes in memory, zeros where nothing was written. They are the page cache's: they
  /// take no memory of the process.
  uint8_t* data() const { return data_; }
  std::span<uint8_t> bytes(size_t section) const;
  uint64_t offset(size_t section) const { return sections_[section].offset; }
  uint64_t file_bytes() const { return size_; }

  /// The system may begin to write these bytes, and drop them from memory.
  void written(uint64_t offset, uint64_t bytes) const;
  /// Instead of publish() hashing the section.
  void set_hash(size_t section, const ContentHash& hash);

  /// Writes directory and header: from then on data() is a whole file. Returns its content id. A
  /// section that was changed afterwards needs another call.
  ContentHash complete();
  /// The same, and gives the file its name when all is on the disk. Errors: io_error.
  Result<ContentHash> publish();

 private:
  TemporaryFile file_;
  std::string path_;
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  std::vector<PackedSection> sections_;
  std::vector<bool> is_hashed_;
};

}  // namespace midge
