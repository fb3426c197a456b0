// GGUF files without tensors, for tests of vocabularies.
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/formats/gguf/gguf.h"

namespace midge {

/// Metadata of a GGUF file, written key by key.
class GgufWriter {
 public:
  void string(const std::string& key, const std::string& value) {
    begin(key, GgufType::kString);
    text(value);
  }
  void u32(const std::string& key, uint32_t value) {
    begin(key, GgufType::kU32);
    number(value);
  }
  void boolean(const std::string& key, bool value) {
    begin(key, GgufType::kBool);
    number(static_cast<uint8_t>(value));
  }
  void strings(const std::string& key, const std::vector<std::string>& values) {
    begin_array(key, GgufType::kString, values.size());
    for (const std::string& value : values) text(value);
  }
  void f32s(const std::string& key, const std::vector<float>& values) {
    begin_array(key, GgufType::kF32, values.size());
    for (const float value : values) number(value);
  }
  void i32s(const std::string& key, const std::vector<int32_t>& values) {
    begin_array(key, GgufType::kI32, values.size());
    for (const int32_t value : values) number(value);
  }

  Result<GgufFile> open() const {
    const std::string path =
        testing::TempDir() + "/tokenizer_gguf_test_" + std::to_string(::getpid()) + ".gguf";
    std::string file = "GGUF";
    const auto put = [&file](auto value) {
      file.append(reinterpret_cast<const char*>(&value), sizeof(value));
    };
    put(uint32_t{3});
    put(uint64_t{0});
    put(count_);
    file += bytes_;
    std::ofstream(path, std::ios::binary) << file;
    auto opened = GgufFile::open(path, FileAccess::kCopy);
    std::remove(path.c_str());
    return opened;
  }

 private:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(const std::string& value) {
    number(uint64_t{value.size()});
    bytes_ += value;
  }
  void begin(const std::string& key, GgufType type) {
    ++count_;
    text(key);
    number(static_cast<uint32_t>(type));
  }
  void begin_array(const std::string& key, GgufType type, size_t size) {
    begin(key, GgufType::kArray);
    number(static_cast<uint32_t>(type));
    number(uint64_t{size});
  }

  std::string bytes_;
  uint64_t count_ = 0;
};

}  // namespace midge
