// safetensors files: one header of JSON, one buffer of tensors. See docs/formats/safetensors.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/status.h"

namespace midge {

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
  static Result<SafetensorsFile> parse(MappedFile file);

  const std::string& path() const { return file_.path(); }
  const MappedFile& file() const { return file_; }
  /// Sorted by offset.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  /// The tensor called `name`, or null. Linear; loaders build their own index.
  const SafetensorsTensor* find(const std::string& name) const;
  const uint8_t* data(const SafetensorsTensor& tensor) const {
    return file_.data() + tensor.offset;
  }

 private:
  MappedFile file_;
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace midge
