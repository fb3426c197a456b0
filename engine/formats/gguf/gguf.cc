// Every count, length and offset below comes from a file nobody has vetted: it is compared with
// what is left of the file before it is used, in arithmetic that cannot wrap.
#include "engine/formats/gguf/gguf.h"

#include <cmath>
#include <cstring>

#include "engine/core/checked_math.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Limits far above any real file; they bound the memory that a hostile one can ask for.
constexpr uint64_t kMetadataCountMax = 1u << 16;
constexpr uint64_t kKeyBytesMax = 65535;      // ggml docs/gguf.md
constexpr uint64_t kTensorNameBytesMax = 63;  // ggml: GGML_MAX_NAME with its terminator
constexpr uint64_t kAlignmentMax = 1u << 20;
constexpr uint64_t kAlignmentDefault = 32;

// Bytes of one element; 0 for strings and arrays.
uint64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool: return 1;
    case GgufType::kU16:
    case GgufType::kI16: return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32: return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return 0;
}

template <typename T>
T load(const uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// Reads forward through the header; after an error it stays where it is.
class Cursor {
 public:
  Cursor(const MappedFile& file) : file_(file) {}

  uint64_t offset() const { return offset_; }
  uint64_t left() const { return file_.size() - offset_; }
  const uint8_t* here() const { return file_.data() + offset_; }

  template <typename T>
  Status read(T* out, const char* what) {
    MIDGE_RETURN_IF_ERROR(need(sizeof(T), what));
    *out = load<T>(here());
    offset_ += sizeof(T);
    return Status();
  }

  Status read_string(std::string_view* out, uint64_t bytes_max, const char* what) {
    const uint64_t start = offset_;
    uint64_t length = 0;
    MIDGE_RETURN_IF_ERROR(read(&length, what));
    if (length > bytes_max || length > left()) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: offset %llu: %s of %llu bytes, expected at most %llu",
                         shown_path(file_.path()).c_str(), static_cast<unsigned long long>(start),
                         what, static_cast<unsigned long long>(length),
                         static_cast<unsigned long long>(bytes_max < left() ? bytes_max : left()));
    }
    *out = std::string_view(reinterpret_cast<const char*>(here()), length);
    offset_ += length;
    return Status();
  }

  Status skip(uint64_t bytes, const char* what) {
    MIDGE_RETURN_IF_ERROR(need(bytes, what));
    offset_ += bytes;
    return Status();
  }

 private:
  Status need(uint64_t bytes, const char* what) const {
    if (bytes <= left()) return Status();
    return make_status(
        StatusCode::kInvalidFile, "%s: offset %llu: %s needs %llu bytes, the file has %llu left",
        shown_path(file_.path()).c_str(), static_cast<unsigned long long>(offset_), what,
        static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(left()));
  }

  const MappedFile& file_;
  uint64_t offset_ = 0;
};

Status read_type(Cursor& cursor, const std::string& path, GgufType* out, const char* what) {
  const uint64_t start = cursor.offset();
  uint32_t id = 0;
  MIDGE_RETURN_IF_ERROR(cursor.read(&id, what));
  if (id > static_cast<uint32_t>(GgufType::kF64)) {
    return make_status(StatusCode::kInvalidFile, "%s: offset %llu: %s %u, expected 0..12",
                       path.c_str(), static_cast<unsigned long long>(start), what, id);
  }
  *out = static_cast<GgufType>(id);
  return Status();
}

// Each string is a step to another page of the file: what nobody asks for is bounded too.
Status check_metadata_bytes(const Cursor& cursor, const std::string& path, uint64_t bytes_max) {
  if (cursor.offset() <= bytes_max) return Status();
  return make_status(StatusCode::kInvalidFile,
                     "%s: header and metadata of at least %llu bytes, expected at most %llu",
                     path.c_str(), static_cast<unsigned long long>(cursor.offset()),
                     static_cast<unsigned long long>(bytes_max));
}

// Moves over `count` elements of `type` and notes where they are.
Status read_elements(Cursor& cursor, const std::string& path, GgufType type, uint64_t count,
                     uint64_t metadata_bytes_max, GgufValue* value) {
  value->data = cursor.here();
  const uint64_t start = cursor.offset();
  if (type == GgufType::kString) {
    // 8 bytes of length at least: bounds the loop by the size of the file.
    if (count > cursor.left() / 8) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: offset %llu: array of %llu strings, the file has %llu bytes left",
                         path.c_str(), static_cast<unsigned long long>(start),
                         static_cast<unsigned long long>(count),
                         static_cast<unsigned long long>(cursor.left()));
    }
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view ignored;
      MIDGE_RETURN_IF_ERROR(cursor.read_string(&ignored, UINT64_MAX, "metadata string"));
      MIDGE_RETURN_IF_ERROR(check_metadata_bytes(cursor, path, metadata_bytes_max));
    }
  } else {
    uint64_t bytes = 0;
    if (!checked_mul(count, scalar_bytes(type), &bytes)) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: offset %llu: array of %llu elements does not fit in 64 bits",
                         path.c_str(), static_cast<unsigned long long>(start),
                         static_cast<unsigned long long>(count));
    }
    MIDGE_RETURN_IF_ERROR(cursor.skip(bytes, "metadata value"));
    MIDGE_RETURN_IF_ERROR(check_metadata_bytes(cursor, path, metadata_bytes_max));
  }
  value->count = count;
  value->bytes = cursor.offset() - start;
  return Status();
}

Status read_value(Cursor& cursor, const std::string& path, uint64_t metadata_bytes_max,
                  GgufValue* value) {
  MIDGE_RETURN_IF_ERROR(read_type(cursor, path, &value->type, "metadata type"));
  if (value->type != GgufType::kArray) {
    return read_elements(cursor, path, value->type, 1, metadata_bytes_max, value);
  }
  const uint64_t start = cursor.offset();
  MIDGE_RETURN_IF_ERROR(read_type(cursor, path, &value->element_type, "array element type"));
  if (value->element_type == GgufType::kArray) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: offset %llu: nested array, expected an array of scalars or strings",
                       path.c_str(), static_cast<unsigned long long>(start));
  }
  uint64_t count = 0;
  MIDGE_RETURN_IF_ERROR(cursor.read(&count, "array count"));
  return read_elements(cursor, path, value->element_type, count, metadata_bytes_max, value);
}

Status read_tensor(Cursor& cursor, const std::string& path, GgufTensor* tensor) {
  MIDGE_RETURN_IF_ERROR(cursor.read_string(&tensor->name, kTensorNameBytesMax, "tensor name"));
  const std::string name = printable(tensor->name);
  MIDGE_RETURN_IF_ERROR(cursor.read(&tensor->dims, "number of dimensions"));
  if (tensor->dims < 1 || tensor->dims > 4) {
    return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' has %u dimensions, expected 1..4",
                       path.c_str(), name.c_str(), tensor->dims);
  }
  uint64_t elements = 1;
  for (uint32_t d = 0; d < tensor->dims; ++d) {
    MIDGE_RETURN_IF_ERROR(cursor.read(&tensor->ne[d], "dimension"));
    if (tensor->ne[d] == 0 || !checked_mul(elements, tensor->ne[d], &elements) ||
        elements > INT64_MAX) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s' dimension %u is %llu, expected at least 1 and less than "
                         "2^63 elements in all",
                         path.c_str(), name.c_str(), d,
                         static_cast<unsigned long long>(tensor->ne[d]));
    }
  }
  MIDGE_RETURN_IF_ERROR(cursor.read(&tensor->type, "tensor type"));
  return cursor.read(&tensor->offset, "tensor offset");
}

bool is_split_key(std::string_view key) {
  return key.starts_with("split.") || key == "general.alignment";
}

bool as_integer(const GgufValue& value, int64_t* out) {
  switch (value.type) {
    case GgufType::kU8: *out = load<uint8_t>(value.data); return true;
    case GgufType::kI8: *out = load<int8_t>(value.data); return true;
    case GgufType::kU16: *out = load<uint16_t>(value.data); return true;
    case GgufType::kI16: *out = load<int16_t>(value.data); return true;
    case GgufType::kU32: *out = load<uint32_t>(value.data); return true;
    case GgufType::kI32: *out = load<int32_t>(value.data); return true;
    case GgufType::kI64: *out = load<int64_t>(value.data); return true;
    case GgufType::kU64: {
      const auto wide = load<uint64_t>(value.data);
      *out = wide > INT64_MAX ? INT64_MAX : static_cast<int64_t>(wide);
      return true;
    }
    default: return false;
  }
}

}  // namespace

const char* gguf_type_name(GgufType type) {
  static constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<uint32_t>(type)];
}

Result<GgufFile> GgufFile::open(const std::string& path, FileAccess access,
                                const CopyProgress& on_copy, const GgufLimits& limits) {
  MIDGE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path, access, on_copy));
  return parse(std::move(file), limits);
}

Result<GgufFile> GgufFile::parse(MappedFile mapped, const GgufLimits& limits) {
  GgufFile gguf;
  gguf.file_ = std::move(mapped);
  const std::string path = shown_path(gguf.file_.path());
  Cursor cursor(gguf.file_);

  uint32_t magic = 0;
  MIDGE_RETURN_IF_ERROR(cursor.read(&magic, "GGUF magic"));
  if (std::memcmp(&magic, "GGUF", 4) != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: starts with %08x, expected the GGUF magic 46554747", path.c_str(),
                       magic);
  }
  MIDGE_RETURN_IF_ERROR(cursor.read(&gguf.version_, "GGUF version"));
  if ((gguf.version_ & 0xFFFF) == 0) {
    return make_status(StatusCode::kUnsupported, "%s: big-endian GGUF file, expected little-endian",
                       path.c_str());
  }
  if (gguf.version_ != 2 && gguf.version_ != 3) {
    return make_status(StatusCode::kUnsupported, "%s: GGUF version %u, expected 2 or 3",
                       path.c_str(), gguf.version_);
  }
  uint64_t tensor_count = 0;
  uint64_t metadata_count = 0;
  MIDGE_RETURN_IF_ERROR(cursor.read(&tensor_count, "tensor count"));
  MIDGE_RETURN_IF_ERROR(cursor.read(&metadata_count, "metadata count"));
  if (tensor_count > limits.tensors_max || metadata_count > kMetadataCountMax) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: %llu tensors and %llu metadata entries, expected at most %llu and %llu",
                       path.c_str(), static_cast<unsigned long long>(tensor_count),
                       static_cast<unsigned long long>(metadata_count),
                       static_cast<unsigned long long>(limits.tensors_max),
                       static_cast<unsigned long long>(kMetadataCountMax));
  }

  for (uint64_t i = 0; i < metadata_count; ++i) {
    std::string_view key;
    GgufValue value;
    MIDGE_RETURN_IF_ERROR(cursor.read_string(&key, kKeyBytesMax, "metadata key"));
    MIDGE_RETURN_IF_ERROR(read_value(cursor, path, limits.metadata_bytes_max, &value));
    if (limits.split_keys_only && !is_split_key(key)) continue;
    if (!gguf.index_.emplace(key, gguf.metadata_.size()).second) {
      return make_status(StatusCode::kInvalidFile, "%s: metadata key '%s' is there twice",
                         path.c_str(), printable(key).c_str());
    }
    gguf.metadata_.emplace_back(key, value);
  }

  MIDGE_RETURN_IF_ERROR(check_metadata_bytes(cursor, path, limits.metadata_bytes_max));
  gguf.metadata_bytes_ = cursor.offset();

  std::unordered_map<std::string_view, size_t, SeededHash> names;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    GgufTensor tensor;
    MIDGE_RETURN_IF_ERROR(read_tensor(cursor, path, &tensor));
    if (!names.emplace(tensor.name, i).second) {
      return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' is there twice", path.c_str(),
                         printable(tensor.name).c_str());
    }
    gguf.tensors_.push_back(tensor);
  }

  MIDGE_ASSIGN_OR_RETURN(const int64_t alignment,
                         gguf.integer_or("general.alignment", 1, kAlignmentMax, kAlignmentDefault));
  if ((alignment & (alignment - 1)) != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: general.alignment is %lld, expected a power of two", path.c_str(),
                       static_cast<long long>(alignment));
  }
  gguf.alignment_ = static_cast<uint64_t>(alignment);
  const uint64_t data_start = (cursor.offset() + gguf.alignment_ - 1) & ~(gguf.alignment_ - 1);
  for (GgufTensor& tensor : gguf.tensors_) {
    uint64_t offset = 0;
    if (tensor.offset % gguf.alignment_ != 0 || !checked_add(data_start, tensor.offset, &offset) ||
        offset > gguf.file_.size()) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s' at data offset %llu, expected a multiple of %llu inside "
                         "of the file of %llu bytes",
                         path.c_str(), printable(tensor.name).c_str(),
                         static_cast<unsigned long long>(tensor.offset),
                         static_cast<unsigned long long>(gguf.alignment_),
                         static_cast<unsigned long long>(gguf.file_.size()));
    }
    tensor.offset = offset;
  }
  return gguf;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &metadata_[found->second].second;
}

Status GgufFile::wrong(std::string_view key, const char* expected) const {
  const GgufValue* value = find(key);
  if (value == nullptr) {
    return make_status(StatusCode::kInvalidFile, "%s: metadata '%s' is missing, expected %s",
                       shown_path(path()).c_str(), printable(key).c_str(), expected);
  }
  return make_status(StatusCode::kInvalidFile, "%s: metadata '%s' is %s, expected %s",
                     shown_path(path()).c_str(), printable(key).c_str(),
                     gguf_type_name(value->type), expected);
}

Result<int64_t> GgufFile::integer(std::string_view key, int64_t min, int64_t max) const {
  const GgufValue* value = find(key);
  int64_t number = 0;
  if (value == nullptr || !as_integer(*value, &number)) return wrong(key, "an integer");
  if (number < min || number > max) {
    return make_status(StatusCode::kInvalidFile, "%s: metadata '%s' is %lld, expected %lld..%lld",
                       shown_path(path()).c_str(), printable(key).c_str(),
                       static_cast<long long>(number), static_cast<long long>(min),
                       static_cast<long long>(max));
  }
  return number;
}

Result<double> GgufFile::number(std::string_view key) const {
  const GgufValue* value = find(key);
  double number = NAN;
  if (value != nullptr && value->type == GgufType::kF32) number = load<float>(value->data);
  if (value != nullptr && value->type == GgufType::kF64) number = load<double>(value->data);
  if (!std::isfinite(number)) return wrong(key, "a finite f32 or f64");
  return number;
}

Result<bool> GgufFile::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || value->type != GgufType::kBool || *value->data > 1) {
    return wrong(key, "a bool of 0 or 1");
  }
  return *value->data == 1;
}

Status GgufFile::too_long(std::string_view key, const std::string& element, uint64_t bytes,
                          uint64_t bytes_max) const {
  return make_status(
      StatusCode::kInvalidFile, "%s: metadata '%s'%s has %llu bytes, expected at most %llu",
      shown_path(path()).c_str(), printable(key).c_str(), element.c_str(),
      static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(bytes_max));
}

Result<std::string_view> GgufFile::string(std::string_view key, uint64_t bytes_max) const {
  const GgufValue* value = find(key);
  if (value == nullptr || value->type != GgufType::kString) return wrong(key, "a string");
  if (value->bytes - 8 > bytes_max) return too_long(key, "", value->bytes - 8, bytes_max);
  return std::string_view(reinterpret_cast<const char*>(value->data) + 8, value->bytes - 8);
}

Result<const GgufValue*> GgufFile::find_array(std::string_view key, const char* expected) const {
  const GgufValue* value = find(key);
  if (value == nullptr || value->type != GgufType::kArray) return wrong(key, expected);
  if (value->count > kGgufArrayCountMax) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: metadata '%s' has %llu elements, expected at most %llu",
                       shown_path(path()).c_str(), printable(key).c_str(),
                       static_cast<unsigned long long>(value->count),
                       static_cast<unsigned long long>(kGgufArrayCountMax));
  }
  return value;
}

Result<std::vector<std::string_view>> GgufFile::string_array(std::string_view key,
                                                             uint64_t bytes_max) const {
  MIDGE_ASSIGN_OR_RETURN(const GgufValue* value, find_array(key, "an array of strings"));
  if (value->element_type != GgufType::kString) return wrong(key, "an array of strings");
  std::vector<std::string_view> strings;
  strings.reserve(value->count);
  const uint8_t* at = value->data;
  uint64_t left = value->bytes;
  for (uint64_t i = 0; i < value->count; ++i) {
    const uint64_t length = left < 8 ? 0 : load<uint64_t>(at);
    // Checked when the file was opened, but a mapped file can be written to since.
    if (left < 8 || length > left - 8) {
      return make_status(StatusCode::kInvalidFile, "%s: metadata '%s' changed while in use",
                         shown_path(path()).c_str(), printable(key).c_str());
    }
    if (length > bytes_max) {
      return too_long(key, " element " + std::to_string(i), length, bytes_max);
    }
    strings.emplace_back(reinterpret_cast<const char*>(at) + 8, length);
    at += 8 + length;
    left -= 8 + length;
  }
  return strings;
}

Result<std::vector<int32_t>> GgufFile::i32_array(std::string_view key) const {
  MIDGE_ASSIGN_OR_RETURN(const GgufValue* value, find_array(key, "an array of i32"));
  if (value->element_type != GgufType::kI32 && value->element_type != GgufType::kU32) {
    return wrong(key, "an array of i32");
  }
  std::vector<int32_t> numbers(value->count);
  if (value->bytes != 0) std::memcpy(numbers.data(), value->data, value->bytes);
  return numbers;
}

Result<std::vector<float>> GgufFile::f32_array(std::string_view key) const {
  MIDGE_ASSIGN_OR_RETURN(const GgufValue* value, find_array(key, "an array of f32"));
  if (value->element_type != GgufType::kF32) return wrong(key, "an array of f32");
  std::vector<float> numbers(value->count);
  if (value->bytes != 0) std::memcpy(numbers.data(), value->data, value->bytes);
  return numbers;
}

Result<int64_t> GgufFile::integer_or(std::string_view key, int64_t min, int64_t max,
                                     int64_t other) const {
  if (!has(key)) return other;
  return integer(key, min, max);
}

Result<double> GgufFile::number_or(std::string_view key, double other) const {
  if (!has(key)) return other;
  return number(key);
}

Result<bool> GgufFile::boolean_or(std::string_view key, bool other) const {
  if (!has(key)) return other;
  return boolean(key);
}

Result<std::string_view> GgufFile::string_or(std::string_view key, uint64_t bytes_max,
                                             std::string_view other) const {
  if (!has(key)) return other;
  return string(key, bytes_max);
}

}  // namespace midge
