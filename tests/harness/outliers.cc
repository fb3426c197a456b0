#include "tests/harness/outliers.h"

#include <algorithm>
#include <vector>

#include "models/registry.h"
#include "tests/harness/edited_tensors.h"
#include "tests/harness/golden.h"
#include "tests/harness/test_data.h"

namespace midge::test {
namespace {

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
