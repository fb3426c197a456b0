#include "engine/formats/gguf/split.h"

#include <set>

#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr const char* kNumberKey = "split.no";
constexpr const char* kCountKey = "split.count";
constexpr const char* kTensorsKey = "split.tensors.count";

// "-00002-of-00003.gguf" of part `index`.
std::string part_suffix(int64_t index, int64_t count) {
  return format_string("-%05lld-of-%05lld.gguf", static_cast<long long>(index + 1),
                       static_cast<long long>(count));
}

Status wrong_key(const GgufFile& part, const char* key, int64_t found, int64_t expected,
                 const GgufFile& first) {
  return make_status(StatusCode::kInvalidFile,
                     "%s: metadata '%s' is %lld, expected %lld as %s says",
                     shown_path(part.path()).c_str(), key, static_cast<long long>(found),
                     static_cast<long long>(expected), shown_path(first.path()).c_str());
}

// A part must repeat the first one's numbers.
Status check_part(const GgufFile& first, const GgufFile& part, int64_t index, int64_t count,
                  int64_t tensor_count) {
  MIDGE_ASSIGN_OR_RETURN(const int64_t number, part.integer(kNumberKey, 0, kSplitCountMax - 1));
  if (number != index) return wrong_key(part, kNumberKey, number, index, first);
  MIDGE_ASSIGN_OR_RETURN(const int64_t its_count, part.integer(kCountKey, 0, INT64_MAX));
  if (its_count != count) return wrong_key(part, kCountKey, its_count, count, first);
  MIDGE_ASSIGN_OR_RETURN(const int64_t its_tensors, part.integer(kTensorsKey, 0, INT64_MAX));
  if (its_tensors != tensor_count) {
    return wrong_key(part, kTensorsKey, its_tensors, tensor_count, first);
  }
  return Status();
}

}  // namespace

Result<std::vector<GgufFile>> open_gguf_parts(GgufFile first, FileAccess access,
                                              const CopyProgress& on_copy) {
  std::vector<GgufFile> parts;
  parts.push_back(std::move(first));
  MIDGE_ASSIGN_OR_RETURN(const int64_t count, parts[0].integer_or(kCountKey, 0, kSplitCountMax, 0));
  // gguf-split also writes a file of one part, under any name.
  if (count <= 1) return parts;
  const std::string path = parts[0].path();
  MIDGE_ASSIGN_OR_RETURN(const int64_t number, parts[0].integer(kNumberKey, 0, count - 1));
  MIDGE_ASSIGN_OR_RETURN(const int64_t tensor_count,
                         parts[0].integer(kTensorsKey, 0, kGgufTensorCountMax));
  const std::string suffix = part_suffix(number, count);
  if (path.size() < suffix.size() ||
      path.compare(path.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: is part %lld of %lld of a split file, expected a name ending in %s",
                       shown_path(path).c_str(), static_cast<long long>(number + 1),
                       static_cast<long long>(count), suffix.c_str());
  }
  const std::string prefix = path.substr(0, path.size() - suffix.size());
  if (number != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: is part %lld of %lld of a split file, expected the first part: %s",
                       shown_path(path).c_str(), static_cast<long long>(number + 1),
                       static_cast<long long>(count),
                       shown_path(prefix + part_suffix(0, count)).c_str());
  }
  auto found = static_cast<int64_t>(parts[0].tensors().size());
  GgufLimits left;
  left.split_keys_only = true;
  left.metadata_bytes_max -= parts[0].metadata_bytes();
  std::set<FileId> files = {file_id(path)};
  for (int64_t i = 1; i < count && found <= tensor_count; ++i) {
    const std::string part_path = prefix + part_suffix(i, count);
    // Before it is read: a copy of one file for each of its names would be out of proportion.
    if (!files.insert(file_id(part_path)).second) {
      return make_status(StatusCode::kInvalidFile, "%s: is the same file as another part",
                         shown_path(part_path).c_str());
    }
    left.tensors_max = static_cast<uint64_t>(tensor_count - found);
    MIDGE_ASSIGN_OR_RETURN(GgufFile part, GgufFile::open(part_path, access, on_copy, left));
    MIDGE_RETURN_IF_ERROR(check_part(parts[0], part, i, count, tensor_count));
    found += static_cast<int64_t>(part.tensors().size());
    left.metadata_bytes_max -= part.metadata_bytes();
    parts.push_back(std::move(part));
  }
  if (found != tensor_count) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: its %lld parts have %lld tensors, expected %lld as '%s' says",
                       shown_path(path).c_str(), static_cast<long long>(count),
                       static_cast<long long>(found), static_cast<long long>(tensor_count),
                       kTensorsKey);
  }
  return parts;
}

}  // namespace midge
