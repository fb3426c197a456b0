// The tensors of a checkpoint with some numbers changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace midge::test {

/// The tensors of a safetensors file of BF16 or F32, to be scaled in place. Factors are powers of
/// two, so that nothing is rounded, which is checked.
class EditedTensors {
 public:
  explicit EditedTensors(const std::string& path);

  bool has(const std::string& name) const;
  /// Scales one column of a matrix, or one element of a vector.
  void scale_column(const std::string& name, int64_t column, float factor);
  void scale_row(const std::string& name, int64_t row, float factor);
  void rename(const std::string& name, const std::string& to) { at(name).name = to; }
  /// Leaves out the tensors whose names do not begin with `prefix`, or those that do.
  void keep(const std::string& prefix, bool with_prefix = true);

  /// Of a safetensors file.
  std::string bytes() const;

 private:
  struct Tensor {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;

    int64_t element_bytes() const { return dtype == "F32" ? 4 : 2; }
    int64_t count() const { return static_cast<int64_t>(bytes.size()) / element_bytes(); }
  };

  Tensor& at(const std::string& name);
  static void scale(Tensor& tensor, int64_t index, float factor);

  std::vector<Tensor> tensors_;
};

}  // namespace midge::test
