// Small random checkpoints as Hugging Face directories, for shapes that no golden file has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/harness/temp_dir.h"

namespace midge::test {

/// Tensors to be written as one safetensors file.
class SafetensorsWriter {
 public:
  void add(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
           const std::string& bytes);
  /// The bytes of a tensor that was added, to be changed in place.
  std::string& bytes_of(const std::string& name);
  /// Header and buffer; `padding` spaces more at the end of the header move the tensors.
  std::string bytes(size_t padding = 0) const;

 private:
  struct Entry {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  std::vector<Entry> entries_;
};

/// Hyperparameters of a random model.
struct CheckpointShape {
  std::string model_type = "phi3";  ///< or "qwen2", "mimo"
  int64_t hidden = 40;
  int64_t layers = 2;
  int64_t intermediate = 56;
  int64_t heads = 5;
  int64_t kv_heads = 1;
  int64_t head_dim = 8;
  int64_t vocab = 50;
  int64_t context = 256;
  bool tied = false;
  int64_t window = 0;
};

/// The text of config.json.
std::string checkpoint_config(const CheckpointShape& shape);
/// All tensors that the config asks for, F32, from a fixed seed.
SafetensorsWriter checkpoint_tensors(const CheckpointShape& shape, uint64_t seed);
/// Writes both into the directory and returns its path.
std::string write_checkpoint(const TempDir& dir, const CheckpointShape& shape, uint64_t seed = 1);

}  // namespace midge::test
