// Golden tensors: safetensors files written by the scripts in tools/oracle.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/formats/safetensors/safetensors.h"

namespace midge::test {

/// Path of a file below tests/data.
inline std::string data_path(const std::string& name) {
  return std::string(MIDGE_TEST_DATA) + "/" + name;
}

/// A golden file; any missing or mistyped tensor fails the test and gives an empty vector.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name) {
    Result<SafetensorsFile> file = SafetensorsFile::open(data_path(name));
    EXPECT_TRUE(file.ok()) << file.status().message();
    if (file.ok()) file_ = std::move(*file);
  }

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  std::vector<int32_t> i32(const std::string& name) const { return read<int32_t>(name, "I32"); }
  std::vector<float> f32(const std::string& name) const { return read<float>(name, "F32"); }
  std::vector<uint8_t> u8(const std::string& name) const { return read<uint8_t>(name, "U8"); }
  std::vector<uint64_t> shape(const std::string& name) const {
    const SafetensorsTensor* tensor = file_.find(name);
    EXPECT_NE(tensor, nullptr) << name;
    return tensor == nullptr ? std::vector<uint64_t>() : tensor->shape;
  }

 private:
  template <typename T>
  std::vector<T> read(const std::string& name, const char* dtype) const {
    const SafetensorsTensor* tensor = file_.find(name);
    EXPECT_NE(tensor, nullptr) << file_.path() << ": no tensor " << name;
    if (tensor == nullptr) return {};
    EXPECT_EQ(tensor->dtype, dtype) << name;
    std::vector<T> values(tensor->bytes / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), file_.data(*tensor), tensor->bytes);
    return values;
  }

  SafetensorsFile file_;
};

}  // namespace midge::test

/// Fails the test, with the message, unless a Status or Result is ok.
#define MIDGE_ASSERT_OK(expression)                                              \
  do {                                                                           \
    const auto& midge_checked = (expression);                                    \
    ASSERT_TRUE(midge_checked.ok()) << ::midge::test::message_of(midge_checked); \
  } while (0)

namespace midge::test {
inline const std::string& message_of(const Status& status) { return status.message(); }
template <typename T>
const std::string& message_of(const Result<T>& result) {
  return result.status().message();
}
}  // namespace midge::test
