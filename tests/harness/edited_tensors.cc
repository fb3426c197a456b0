#include "tests/harness/edited_tensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <gtest/gtest.h>

#include "engine/formats/safetensors/safetensors.h"
#include "tests/harness/checkpoint.h"

namespace midge::test {

EditedTensors::EditedTensors(const std::string& path) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  EXPECT_TRUE(file.ok()) << file.status().message();
  if (!file.ok()) return;
  for (const SafetensorsTensor& tensor : file->tensors()) {
    tensors_.push_back({tensor.name, tensor.dtype,
                        std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end()),
                        std::string(reinterpret_cast<const char*>(file->data(tensor)),
                                    static_cast<size_t>(tensor.bytes))});
  }
}

bool EditedTensors::has(const std::string& name) const {
  return std::any_of(tensors_.begin(), tensors_.end(),
                     [&](const Tensor& tensor) { return tensor.name == name; });
}

void EditedTensors::scale_column(const std::string& name, int64_t column, float factor) {
  Tensor& tensor = at(name);
  const int64_t columns = tensor.shape.back();
  for (int64_t i = column; i < tensor.count(); i += columns) scale(tensor, i, factor);
}

void EditedTensors::scale_row(const std::string& name, int64_t row, float factor) {
  Tensor& tensor = at(name);
  const int64_t columns = tensor.count() / tensor.shape.front();
  for (int64_t i = 0; i < columns; ++i) scale(tensor, row * columns + i, factor);
}

void EditedTensors::keep(const std::string& prefix, bool with_prefix) {
  std::erase_if(tensors_, [&](const Tensor& tensor) {
    return tensor.name.starts_with(prefix) != with_prefix;
  });
}

std::string EditedTensors::bytes() const {
  SafetensorsWriter writer;
  for (const Tensor& tensor : tensors_) {
    writer.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  }
  return writer.bytes();
}

EditedTensors::Tensor& EditedTensors::at(const std::string& name) {
  for (Tensor& tensor : tensors_) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return tensors_.front();
}

// BF16 is the upper half of an F32.
void EditedTensors::scale(Tensor& tensor, int64_t index, float factor) {
  const auto size = static_cast<size_t>(tensor.element_bytes());
  char* element = tensor.bytes.data() + index * tensor.element_bytes();
  uint32_t bits = 0;
  char* word = reinterpret_cast<char*>(&bits) + sizeof(bits) - size;
  std::memcpy(word, element, size);
  const float value = std::bit_cast<float>(bits);
  bits = std::bit_cast<uint32_t>(value * factor);
  EXPECT_EQ(std::bit_cast<float>(bits) / factor, value) << tensor.name;
  std::memcpy(element, word, size);
}

}  // namespace midge::test
