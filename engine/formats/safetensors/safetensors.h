// safetensors files: one header of JSON, one buffer of tensors. See docs/formats/safetensors.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/status.h"

namespace midge {

/// What a file may have, less than the limits where it is one of several.
struct SafetensorsLimits {
  /// The reference reader allows headers of 100,000,000 bytes; the largest models have a few
  /// hundred thousand, of all shards together, and parsed headers take several times their length.
  uint64_t header_bytes_max = uint64_t{16} << 20;
  size_t tensors_max = size_t{1} << 16;
};

/// One tensor of the header.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;            ///< as written: "F32", "BF16", ...
  std::vector<uint64_t> shape;  ///< row-major; empty for a scalar
  uint64_t offset = 0;          ///< from the start of the file
  uint64_t bytes = 0;
};

/// A parsed safetensors file. Immutable after open; owns the mapping that tensors point into.
class SafetensorsFile {
 public:
  /// Parses and checks the header: the tensors cover the buffer exactly once, sizes agree with
  /// dtype and shape. Errors: not_found, io_error, invalid_file.
  static Result<SafetensorsFile> open(const std::string& path, FileAccess access = FileAccess::kMap,
                                      const CopyProgress& on_copy = nullptr);
  /// The same for a file already in memory.
  static Result<SafetensorsFile> parse(MappedFile file, const SafetensorsLimits& limits = {});

  const std::string& path() const { return file_.path(); }
  const MappedFile& file() const { return file_; }
  uint64_t header_bytes() const { return header_bytes_; }
  /// Sorted by offset.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  /// The tensor called `name`, or null. Linear; loaders build their own index.
  const SafetensorsTensor* find(const std::string& name) const;
  const uint8_t* data(const SafetensorsTensor& tensor) const {
    return file_.data() + tensor.offset;
  }

 private:
  MappedFile file_;
  uint64_t header_bytes_ = 0;
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace midge
