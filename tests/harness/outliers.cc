#include "tests/harness/outliers.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "kernels/half.h"
#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/golden.h"
#include "tests/harness/test_data.h"

namespace midge::test {
namespace {

/// The tensors of a file, to be scaled in place.
class EditedTensors {
 public:
  explicit EditedTensors(const std::string& path) {
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

  bool has(const std::string& name) const {
    for (const Tensor& tensor : tensors_) {
      if (tensor.name == name) return true;
    }
    return false;
  }

  // Scales one column of a matrix, or one element of a vector.
  void scale_column(const std::string& name, int64_t column, float factor) {
    Tensor& tensor = at(name);
    const int64_t columns = tensor.shape.back();
    for (int64_t i = column; i < tensor.count(); i += columns) scale(tensor, i, factor);
  }

  void scale_row(const std::string& name, int64_t row, float factor) {
    Tensor& tensor = at(name);
    const int64_t columns = tensor.count() / tensor.shape.front();
    for (int64_t i = 0; i < columns; ++i) scale(tensor, row * columns + i, factor);
  }

  std::string bytes() const {
    SafetensorsWriter writer;
    for (const Tensor& tensor : tensors_) {
      writer.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    }
    return writer.bytes();
  }

 private:
  struct Tensor {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;

    int64_t element_bytes() const { return dtype == "F32" ? 4 : 2; }
    int64_t count() const { return static_cast<int64_t>(bytes.size()) / element_bytes(); }
  };

  Tensor& at(const std::string& name) {
    for (Tensor& tensor : tensors_) {
      if (tensor.name == name) return tensor;
    }
    ADD_FAILURE() << "no tensor " << name;
    return tensors_.front();
  }

  // Exact, which is checked; BF16 is the upper half of an F32.
  static void scale(Tensor& tensor, int64_t index, float factor) {
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

  std::vector<Tensor> tensors_;
};

/// Chooses the channels and folds the factor, layer by layer.
class Outliers {
 public:
  Outliers(const ModelConfig& config, EditedTensors& tensors) : c_(config), t_(tensors) {}

  void add() {
    for (int64_t i = 0; i < c_.layer_count; ++i) {
      const std::string prefix = "model.layers." + std::to_string(i) + ".";
      add_to_attention(prefix);
      add_to_mlp(prefix);
    }
    if (c_.tied_head) return;
    for (const int64_t channel : choose(c_.hidden_size)) {
      t_.scale_column("model.norm.weight", channel, kOutlierFactor);
      if (c_.mtp_layer_count > 0) {
        t_.scale_column("model.mtp_layers.0.final_layernorm.weight", channel, kOutlierFactor);
      }
      t_.scale_column("lm_head.weight", channel, 1 / kOutlierFactor);
    }
  }

 private:
  void add_to_attention(const std::string& prefix) {
    const std::string p = prefix + "self_attn.";
    const bool fused = t_.has(p + "qkv_proj.weight");
    for (const int64_t channel : choose(c_.hidden_size)) {
      t_.scale_column(prefix + "input_layernorm.weight", channel, kOutlierFactor);
      if (fused) {
        t_.scale_column(p + "qkv_proj.weight", channel, 1 / kOutlierFactor);
        continue;
      }
      for (const char* name : {"q_proj.weight", "k_proj.weight", "v_proj.weight"}) {
        t_.scale_column(p + name, channel, 1 / kOutlierFactor);
      }
    }
    const int64_t d = c_.head_dim;
    const int64_t group = c_.head_count / c_.kv_head_count;
    for (const int64_t channel : choose(c_.kv_head_count * d)) {
      if (fused) {
        const int64_t first = (c_.head_count + c_.kv_head_count) * d;
        t_.scale_row(p + "qkv_proj.weight", first + channel, kOutlierFactor);
      } else {
        t_.scale_row(p + "v_proj.weight", channel, kOutlierFactor);
        t_.scale_row(p + "v_proj.bias", channel, kOutlierFactor);
      }
      for (int64_t i = 0; i < group; ++i) {
        const int64_t head = channel / d * group + i;
        t_.scale_column(p + "o_proj.weight", head * d + channel % d, 1 / kOutlierFactor);
      }
    }
  }

  void add_to_mlp(const std::string& prefix) {
    const std::string p = prefix + "mlp.";
    const bool fused = t_.has(p + "gate_up_proj.weight");
    for (const int64_t channel : choose(c_.hidden_size)) {
      t_.scale_column(prefix + "post_attention_layernorm.weight", channel, kOutlierFactor);
      if (fused) {
        t_.scale_column(p + "gate_up_proj.weight", channel, 1 / kOutlierFactor);
      } else {
        t_.scale_column(p + "gate_proj.weight", channel, 1 / kOutlierFactor);
        t_.scale_column(p + "up_proj.weight", channel, 1 / kOutlierFactor);
      }
    }
    for (const int64_t channel : choose(c_.intermediate_size)) {
      if (fused) {
        t_.scale_row(p + "gate_up_proj.weight", c_.intermediate_size + channel, kOutlierFactor);
      } else {
        t_.scale_row(p + "up_proj.weight", channel, kOutlierFactor);
      }
      t_.scale_column(p + "down_proj.weight", channel, 1 / kOutlierFactor);
    }
  }

  // Different ones of 0..count - 1, one in kOutlierPeriod, at least one.
  std::vector<int64_t> choose(int64_t count) {
    const int64_t wanted = std::max<int64_t>(1, (count + kOutlierPeriod / 2) / kOutlierPeriod);
    std::vector<int64_t> chosen;
    while (static_cast<int64_t>(chosen.size()) < wanted) {
      const int64_t channel = random_.below(static_cast<uint32_t>(count));
      if (std::find(chosen.begin(), chosen.end(), channel) == chosen.end()) {
        chosen.push_back(channel);
      }
    }
    return chosen;
  }

  const ModelConfig& c_;
  EditedTensors& t_;
  TestRandom random_{0x6f75746c};
};

}  // namespace

void write_with_outliers(const std::string& model, const TempDir& dir) {
  const auto opened = open_model(model);
  MIDGE_ASSERT_OK(opened);
  EditedTensors tensors(model + "/model.safetensors");
  Outliers((*opened)->config(), tensors).add();
  dir.write("config.json", read_bytes(model + "/config.json"));
  dir.write("model.safetensors", tensors.bytes());
}

}  // namespace midge::test
