#include "engine/formats/safetensors/safetensors.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "engine/core/checked_math.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

constexpr size_t kDimsMax = 8;
constexpr size_t kNameBytesMax = 1024;

// Bits of one element, 0 for an unknown dtype.
uint64_t dtype_bits(std::string_view dtype) {
  struct Row {
    std::string_view name;
    uint64_t bits;
  };
  static constexpr Row kRows[] = {{"BOOL", 8},    {"U8", 8},          {"I8", 8},   {"F8_E5M2", 8},
                                  {"F8_E4M3", 8}, {"F8_E8M0", 8},     {"I16", 16}, {"U16", 16},
                                  {"F16", 16},    {"BF16", 16},       {"I32", 32}, {"U32", 32},
                                  {"F32", 32},    {"C64", 64},        {"F64", 64}, {"I64", 64},
                                  {"U64", 64},    {"F8_E4M3FNUZ", 8}, {"F4", 4},   {"F6_E2M3", 6},
                                  {"F6_E3M2", 6}, {"F8_E5M2FNUZ", 8}};
  for (const Row& row : kRows) {
    if (row.name == dtype) return row.bits;
  }
  return 0;
}

unsigned long long llu(uint64_t value) { return value; }

// Reads an array of unsigned integers without going through double.
Status read_u64_array(const JsonObject& entry, std::string_view key, size_t count_max,
                      const std::string& tensor, std::vector<uint64_t>* out) {
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array array, entry.array(key));
  for (const simdjson::dom::element element : array) {
    uint64_t value = 0;
    if (element.get_uint64().get(value) != simdjson::SUCCESS) {
      return make_status(
          StatusCode::kInvalidFile, "%s: tensor '%s': %s holds %s, expected unsigned integers",
          entry.name().c_str(), tensor.c_str(), std::string(key).c_str(), json_type_name(element));
    }
    if (out->size() == count_max) {
      return make_status(StatusCode::kInvalidFile, "%s: tensor '%s': %s has more than %zu entries",
                         entry.name().c_str(), tensor.c_str(), std::string(key).c_str(), count_max);
    }
    out->push_back(value);
  }
  return Status();
}

Status read_entry(const std::string& path, const JsonObject& entry, uint64_t buffer_start,
                  uint64_t buffer_bytes, SafetensorsTensor* tensor) {
  const std::string name = printable(tensor->name);
  MIDGE_ASSIGN_OR_RETURN(const std::string_view dtype, entry.string("dtype"));
  tensor->dtype = dtype;
  const uint64_t bits = dtype_bits(dtype);
  if (bits == 0) {
    return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' has the unknown dtype '%s'",
                       path.c_str(), name.c_str(), printable(dtype).c_str());
  }
  MIDGE_RETURN_IF_ERROR(read_u64_array(entry, "shape", kDimsMax, name, &tensor->shape));
  std::vector<uint64_t> offsets;
  MIDGE_RETURN_IF_ERROR(read_u64_array(entry, "data_offsets", 2, name, &offsets));
  if (offsets.size() != 2) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s': data_offsets has %zu entries, expected 2", path.c_str(),
                       name.c_str(), offsets.size());
  }
  uint64_t total_bits = bits;
  for (const uint64_t dim : tensor->shape) {
    if (dim > INT64_MAX) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s': dimension %llu, expected at most %lld", path.c_str(),
                         name.c_str(), llu(dim), static_cast<long long>(INT64_MAX));
    }
    if (!checked_mul(total_bits, dim, &total_bits)) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s': the product of its shape does not fit in 64 bits",
                         path.c_str(), name.c_str());
    }
  }
  const uint64_t begin = offsets[0];
  const uint64_t end = offsets[1];
  if (begin > end || end > buffer_bytes) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s': data_offsets %llu..%llu, expected a range inside of the "
                       "buffer of %llu bytes",
                       path.c_str(), name.c_str(), llu(begin), llu(end), llu(buffer_bytes));
  }
  if (total_bits % 8 != 0 || total_bits / 8 != end - begin) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s': %llu bytes in data_offsets, its shape and dtype %s take "
                       "%llu",
                       path.c_str(), name.c_str(), llu(end - begin), tensor->dtype.c_str(),
                       llu(total_bits / 8));
  }
  tensor->offset = buffer_start + begin;
  tensor->bytes = end - begin;
  return Status();
}

// No byte of the buffer belongs to two tensors or to none: overlap would let a small file claim
// any amount of weights, holes hide data.
Status check_cover(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                   uint64_t buffer_start, uint64_t file_bytes) {
  uint64_t expected = buffer_start;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.offset != expected) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s' begins at offset %llu, expected %llu (tensors must "
                         "follow each other without holes or overlaps)",
                         path.c_str(), printable(tensor.name).c_str(),
                         llu(tensor.offset - buffer_start), llu(expected - buffer_start));
    }
    expected += tensor.bytes;
  }
  if (expected != file_bytes) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: the tensors end at offset %llu, the file has %llu bytes", path.c_str(),
                       llu(expected), llu(file_bytes));
  }
  return Status();
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path, FileAccess access,
                                              const CopyProgress& on_copy) {
  MIDGE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path, access, on_copy));
  return parse(std::move(file));
}

Result<SafetensorsFile> SafetensorsFile::parse(MappedFile mapped, const SafetensorsLimits& limits) {
  SafetensorsFile result;
  result.file_ = std::move(mapped);
  const std::string path = shown_path(result.file_.path());
  const uint64_t size = result.file_.size();
  uint64_t header_bytes = 0;
  if (size < 8) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: %llu bytes, expected at least the 8 of a safetensors header length",
                       path.c_str(), llu(size));
  }
  std::memcpy(&header_bytes, result.file_.data(), 8);
  if (header_bytes > limits.header_bytes_max || header_bytes > size - 8) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: header of %llu bytes, expected at most %llu (not a safetensors file, "
                       "or a truncated one)",
                       path.c_str(), llu(header_bytes),
                       llu(std::min(limits.header_bytes_max, size - 8)));
  }
  result.header_bytes_ = header_bytes;
  const auto* text = reinterpret_cast<const char*>(result.file_.data() + 8);
  if (header_bytes < 2 || text[0] != '{') {
    return make_status(StatusCode::kInvalidFile, "%s: the header does not start with '{'",
                       path.c_str());
  }
  // Headers have integers only, and a model can have thousands of them.
  JsonLimits json_limits;
  json_limits.long_numbers = 0;
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::parse(path, std::string_view(text, header_bytes),
                                             DuplicateKeys::kRefused, json_limits));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());

  const uint64_t buffer_start = 8 + header_bytes;
  for (const auto member : root.members()) {
    if (member.key.size() > kNameBytesMax) {
      return make_status(StatusCode::kInvalidFile, "%s: tensor name '%s' is longer than %zu bytes",
                         path.c_str(), printable(member.key).c_str(), kNameBytesMax);
    }
    if (member.key == "__metadata__") continue;
    if (result.tensors_.size() == limits.tensors_max) {
      return make_status(
          StatusCode::kInvalidFile, "%s: more than %zu tensors%s", path.c_str(), limits.tensors_max,
          limits.tensors_max == SafetensorsLimits().tensors_max ? ""
                                                                : ", which is what the index says");
    }
    SafetensorsTensor tensor;
    tensor.name = member.key;
    simdjson::dom::object entry;
    if (member.value.get_object().get(entry) != simdjson::SUCCESS) {
      return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' is %s, expected an object",
                         path.c_str(), printable(member.key).c_str(), json_type_name(member.value));
    }
    MIDGE_RETURN_IF_ERROR(read_entry(path, JsonObject(entry, &root.name()), buffer_start,
                                     size - buffer_start, &tensor));
    result.tensors_.push_back(std::move(tensor));
  }
  // Empty tensors share their offset with the next one and come first.
  std::sort(result.tensors_.begin(), result.tensors_.end(),
            [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
              return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
            });
  MIDGE_RETURN_IF_ERROR(check_cover(path, result.tensors_, buffer_start, size));
  return result;
}

const SafetensorsTensor* SafetensorsFile::find(const std::string& name) const {
  for (const SafetensorsTensor& tensor : tensors_) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

}  // namespace midge
