// The container of packed files (.midge): a header, a directory, and sections that are used in
// place. What the sections hold: packed_model.h, packed_tokenizer.h. Pictures and all fields:
// docs/formats/midge-files.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/status.h"
#include "engine/weights/weight_storage.h"

namespace midge {

/// A file that starts otherwise is none of ours. The bytes after the name tell a transfer that
/// changed line ends.
inline constexpr std::string_view kPackedMagic = "\x89MIDGE\r\n";
inline constexpr uint32_t kPackedVersion = 1;
/// Sections begin on pages of 16 KiB, the largest that Arm systems use for programs.
inline constexpr uint64_t kPackedSectionAlignment = 16384;
/// What kernels ask of weights in place: a cache line.
inline constexpr uint64_t kPackedMemoryAlignment = 64;
inline constexpr uint32_t kPackedSectionsMax = 64;

/// 128 bits of XXH3.
using ContentHash = std::array<uint64_t, 2>;
/// 32 hexadecimal digits.
std::string to_hex(const ContentHash& hash);

/// What is true of a section.
enum PackedSectionFlag : uint32_t {
  kPackedRequired = 1,  ///< who does not know its name or its version must refuse the file
  kPackedIdentity = 2,  ///< part of the content id
  kPackedBulk = 4,      ///< weights: their checksum is not looked at when the file is opened
};

/// The first 64 bytes.
struct PackedHeader {
  char magic[8] = {};
  uint32_t version = kPackedVersion;
  uint32_t section_count = 0;
  uint64_t required_features = 0;  ///< bits; who does not know one must refuse the file
  uint64_t optional_features = 0;
  ContentHash content_id = {};
  uint64_t file_bytes = 0;
  uint64_t checksum = 0;  ///< XXH3 of header and directory, this field being zero
};
static_assert(sizeof(PackedHeader) == 64);

/// An entry of the directory, which follows the header.
struct PackedSection {
  char name[16] = {};  ///< zeros behind it
  uint32_t version = 1;
  uint32_t flags = 0;  ///< PackedSectionFlag
  uint64_t offset = 0;
  uint64_t bytes = 0;
  ContentHash hash = {};  ///< of its bytes
  uint64_t reserved = 0;

  std::string_view name_view() const;
};
static_assert(sizeof(PackedSection) == 64);

/// The id of a file with these sections: it changes with every byte of those that are part of the
/// identity, and with nothing else.
ContentHash packed_content_id(std::span<const PackedSection> sections);
/// PackedHeader::checksum.
uint64_t packed_header_checksum(PackedHeader header, std::span<const PackedSection> sections);
ContentHash hash_bytes(std::span<const uint8_t> bytes);
/// Of a tensor, see packed_model.h.
uint64_t short_hash(std::span<const uint8_t> bytes);

/// An open packed file. Immutable, shareable between threads.
class PackedFile : public WeightStorage {
 public:
  /// Checks the header, the directory and every section that is not of weights. Errors: those of
  /// MappedFile::open; invalid_file (not a packed file, truncated, damaged: the section is named);
  /// unsupported (a version, feature bit or required section that this version does not know).
  static Result<std::shared_ptr<const PackedFile>> open(const std::string& path,
                                                        FileAccess access = FileAccess::kMap,
                                                        const CopyProgress& on_copy = nullptr);
  /// The same for a file that is open. Errors: also invalid_argument (its bytes begin elsewhere
  /// than at a multiple of kPackedMemoryAlignment).
  static Result<std::shared_ptr<const PackedFile>> open(MappedFile bytes);

  const std::string& path() const override { return file_.path(); }
  uint64_t file_bytes() const override { return file_.size(); }
  bool is_used_in_place() const override { return true; }
  void release_pages(const void* start, int64_t bytes) const override;

  const ContentHash& content_id() const { return header_.content_id; }
  std::span<const PackedSection> sections() const { return sections_; }
  /// Null if there is none of this name, in the version that is read here.
  const PackedSection* find(std::string_view name) const;
  /// Bytes of a section in place, at a multiple of kPackedSectionAlignment of the file.
  std::span<const uint8_t> bytes(const PackedSection& section) const {
    return {file_.data() + section.offset, static_cast<size_t>(section.bytes)};
  }
  /// Of the section of this name; empty if there is none.
  std::span<const uint8_t> bytes(std::string_view name) const;

  /// Checks every byte: all sections, and that nothing lies between them. Errors: invalid_file,
  /// naming the section. on_progress(done, total), if given, is told bytes.
  Status verify(const std::function<void(int64_t, int64_t)>& on_progress = nullptr) const;

 private:
  Status read_header();
  Status check_sections() const;
  Status check_section(const PackedSection& section,
                       const std::function<void(int64_t)>& on_bytes) const;
  Status check_padding() const;
  Status damaged(const PackedSection& section) const;

  MappedFile file_;
  PackedHeader header_;
  std::vector<PackedSection> sections_;
};

/// True if `path` is a file that begins with kPackedMagic, or is called .midge: then it should.
bool is_packed_file(const std::string& path);

}  // namespace midge
