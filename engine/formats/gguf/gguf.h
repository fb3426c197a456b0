// GGUF v2 and v3 files: metadata and tensor directory. See docs/formats/gguf.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/seeded_hash.h"
#include "engine/core/status.h"

namespace midge {

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// Most elements of an array that is read as a whole; the longest lists of merges in use have
/// 515,000. A string takes 8 bytes of the file at least and more in memory: this bounds the excess.
inline constexpr uint64_t kGgufArrayCountMax = uint64_t{1} << 19;

/// Most bytes of the metadata of a file, of a split one all parts together. Half a million tokens
/// and merges take 15 MB.
inline constexpr uint64_t kGgufMetadataBytesMax = uint64_t{64} << 20;
/// Most tensors of a file, of a split one all parts together.
inline constexpr uint64_t kGgufTensorCountMax = uint64_t{1} << 16;
/// Most bytes of a string that names something: an architecture, a kind of tokenizer.
inline constexpr uint64_t kGgufNameBytesMax = 4096;

/// What a file may have, less than the limits where it is one of several, and what is kept of it.
struct GgufLimits {
  uint64_t tensors_max = kGgufTensorCountMax;
  uint64_t metadata_bytes_max = kGgufMetadataBytesMax;
  bool split_keys_only = false;  ///< keeps no metadata but "split.…" and "general.alignment"
};

/// One metadata value, pointing into the file.
struct GgufValue {
  GgufType type = GgufType::kU8;          ///< kArray: see element_type
  GgufType element_type = GgufType::kU8;  ///< of an array
  uint64_t count = 1;                     ///< elements of an array
  const uint8_t* data = nullptr;          ///< first byte of the value or of the first element
  uint64_t bytes = 0;                     ///< bytes of all elements, already checked
};

/// One tensor of the directory.
struct GgufTensor {
  std::string_view name;
  uint32_t type = 0;              ///< ggml type id
  uint32_t dims = 0;              ///< 1..4
  uint64_t ne[4] = {1, 1, 1, 1};  ///< ne[0] is contiguous
  uint64_t offset = 0;            ///< from the start of the file
};

/// A parsed GGUF file. Immutable after open; views point into the file it owns.
class GgufFile {
 public:
  /// Parses and checks header, metadata and directory: every count, length and offset is inside of
  /// the file. Tensor bytes are checked by who knows their type. Errors: not_found, io_error,
  /// invalid_file, unsupported (version, byte order).
  static Result<GgufFile> open(const std::string& path, FileAccess access = FileAccess::kMap,
                               const CopyProgress& on_copy = nullptr,
                               const GgufLimits& limits = {});
  /// The same for a file already in memory.
  static Result<GgufFile> parse(MappedFile file, const GgufLimits& limits = {});

  const std::string& path() const { return file_.path(); }
  const MappedFile& file() const { return file_; }
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// Length of the metadata, also of what was not kept.
  uint64_t metadata_bytes() const { return metadata_bytes_; }
  /// Metadata in file order.
  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }

  bool has(std::string_view key) const { return index_.count(key) != 0; }

  /// Value of `key`. Integer keys may be stored in any integer type, floats as f32 or f64.
  /// Errors (invalid_file): absent, of another type, outside of [min, max], longer than `bytes_max`
  /// (of an array: one of its strings).
  Result<int64_t> integer(std::string_view key, int64_t min, int64_t max) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key, uint64_t bytes_max) const;
  /// Arrays, of at most kGgufArrayCountMax elements.
  Result<std::vector<std::string_view>> string_array(std::string_view key,
                                                     uint64_t bytes_max) const;
  Result<std::vector<int32_t>> i32_array(std::string_view key) const;
  Result<std::vector<float>> f32_array(std::string_view key) const;

  /// The same, with a value for the case that `key` is absent.
  Result<int64_t> integer_or(std::string_view key, int64_t min, int64_t max, int64_t other) const;
  Result<double> number_or(std::string_view key, double other) const;
  Result<bool> boolean_or(std::string_view key, bool other) const;
  Result<std::string_view> string_or(std::string_view key, uint64_t bytes_max,
                                     std::string_view other) const;

 private:
  const GgufValue* find(std::string_view key) const;
  Status wrong(std::string_view key, const char* expected) const;
  Status too_long(std::string_view key, const std::string& element, uint64_t bytes,
                  uint64_t bytes_max) const;
  Result<const GgufValue*> find_array(std::string_view key, const char* expected) const;

  MappedFile file_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  uint64_t metadata_bytes_ = 0;
  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::unordered_map<std::string_view, size_t, SeededHash> index_;
  std::vector<GgufTensor> tensors_;
};

/// "u32", "string" ... for messages and `midge inspect`.
const char* gguf_type_name(GgufType type);

}  // namespace midge
