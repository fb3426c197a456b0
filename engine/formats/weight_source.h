// One view of the two kinds of weight files: a list of named tensors, in place.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/pages.h"
#include "engine/core/seeded_hash.h"
#include "engine/core/status.h"
#include "engine/formats/gguf/gguf.h"
#include "engine/formats/safetensors/safetensors.h"
#include "engine/weights/weight_storage.h"
#include "kernels/encoding.h"

namespace midge {

class JsonDocument;  // engine/formats/json.h, whose library takes long to compile

/// One tensor of a weight file.
struct SourceTensor {
  std::string name;
  std::string type_name;             ///< as the file calls it: "BF16", "Q4_0"
  std::optional<Encoding> encoding;  ///< absent for types that midge does not compute with
  std::vector<int64_t> shape;        ///< row-major: [rows, columns] for matrices
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
  const std::string* path = nullptr;  ///< file it lies in
  uint64_t offset = 0;                ///< from the start of that file
};

/// "[3072, 8192]"
std::string shape_to_string(const std::vector<int64_t>& shape);

enum class SourceKind { kHuggingFace, kGguf };

/// One of the files that hold the tensors.
struct SourceFile {
  std::string path;
  uint64_t bytes = 0;
};

/// The files of one model. Immutable after open; owns what its tensors point into.
class WeightSource : public WeightStorage {
 public:
  /// Opens a Hugging Face directory or a GGUF file, by what `path` is; of a split GGUF file its
  /// first part. Errors: not_found, io_error, invalid_file, unsupported (neither of the two).
  static Result<std::unique_ptr<WeightSource>> open(const std::string& path, FileAccess access,
                                                    const CopyProgress& on_copy = nullptr);

  /// Puts the tensors of a safetensors file in the place of those of the same names, or beside the
  /// others. Each name begins with `prefix`. Right after open(). Errors: unsupported (a GGUF file:
  /// its tensors have other names), invalid_file (another name; no tensor), those of open().
  Status lay_over(const std::string& path, std::string_view prefix,
                  const CopyProgress& on_copy = nullptr);

  SourceKind kind() const { return kind_; }
  const std::string& path() const override { return path_; }
  const std::vector<SourceTensor>& tensors() const { return tensors_; }
  const SourceTensor* find(std::string_view name) const;
  /// The files that hold tensors: shards by name, parts in order.
  const std::vector<SourceFile>& files() const { return files_; }
  uint64_t file_bytes() const override;
  /// Of its files alone: copies of tensors lie elsewhere, and would be lost.
  void release_pages(const void* start, int64_t bytes) const override;

  /// Of a GGUF file the part with the metadata; null otherwise.
  const GgufFile* gguf() const { return gguf_parts_.empty() ? nullptr : &gguf_parts_[0]; }
  /// config.json and generation_config.json of a directory; null where absent.
  const JsonDocument* config() const { return config_.get(); }
  const JsonDocument* generation_config() const { return generation_config_.get(); }

  ~WeightSource() override;

 private:
  WeightSource();
  Status open_gguf();
  Status open_directory();
  Status add_shard(const std::string& path, const SafetensorsLimits& limits = {});
  Status open_sharded(const std::string& index_path);
  Status index_tensors();

  SourceKind kind_ = SourceKind::kHuggingFace;
  std::string path_;
  FileAccess access_ = FileAccess::kMap;
  CopyProgress on_copy_;  // empty after open
  std::vector<SourceFile> files_;
  std::vector<GgufFile> gguf_parts_;  // never changed once tensors point into it
  std::unique_ptr<const JsonDocument> config_;
  std::unique_ptr<const JsonDocument> generation_config_;
  // On the heap each: tensors point to their paths.
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::map<FileId, size_t> shard_of_id_;
  std::vector<SourceTensor> tensors_;
  std::unordered_map<std::string_view, size_t, SeededHash> index_;
};

}  // namespace midge
