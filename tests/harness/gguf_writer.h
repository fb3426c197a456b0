// GGUF files written field by field, right or wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/gguf/gguf.h"

namespace midge::test {

/// Little-endian bytes of GGUF files, written field by field.
class GgufWriter {
 public:
  template <typename T>
  GgufWriter& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  GgufWriter& text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  GgufWriter& header(uint32_t version, uint64_t tensors, uint64_t entries) {
    bytes_ += "GGUF";
    return number(version).number(tensors).number(entries);
  }
  GgufWriter& key(std::string_view name, GgufType type) {
    return text(name).number(static_cast<uint32_t>(type));
  }
  GgufWriter& tensor(std::string_view name, std::vector<uint64_t> ne, uint32_t type,
                     uint64_t offset) {
    text(name).number(static_cast<uint32_t>(ne.size()));
    for (const uint64_t dim : ne) number(dim);
    return number(type).number(offset);
  }
  GgufWriter& pad(size_t multiple) {
    while (bytes_.size() % multiple != 0) bytes_ += '\0';
    return *this;
  }
  GgufWriter& raw(std::string_view data) {
    bytes_ += data;
    return *this;
  }
  GgufWriter& entry(std::string_view name, std::string_view value) {
    return key(name, GgufType::kString).text(value);
  }
  GgufWriter& entry(std::string_view name, uint32_t value) {
    return key(name, GgufType::kU32).number(value);
  }
  GgufWriter& entry(std::string_view name, float value) {
    return key(name, GgufType::kF32).number(value);
  }
  /// Key, element type and count of an array; the elements follow.
  GgufWriter& array(std::string_view name, GgufType type, uint64_t count) {
    return key(name, GgufType::kArray).number(static_cast<uint32_t>(type)).number(count);
  }
  GgufWriter& strings(std::string_view name, const std::vector<std::string>& values) {
    array(name, GgufType::kString, values.size());
    for (const std::string& value : values) text(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace midge::test
