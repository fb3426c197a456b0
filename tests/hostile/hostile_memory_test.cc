// Models that are accepted: what they take beside their file. docs/hostile-input.md.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/refusal.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::TempDir;

constexpr int64_t kMemoryBase = int64_t{64} << 20;  // the promise: that, and 4 times the file

// A model with wide heads on a narrow hidden state: much memory per token for few weights.
test::CheckpointShape wide_heads() {
  test::CheckpointShape shape;
  shape.hidden = 8;
  shape.layers = 2;
  shape.intermediate = 8;
  shape.heads = 256;
  shape.kv_heads = 256;
  shape.head_dim = 64;
  shape.context = 1 << 20;
  return shape;
}

TEST(HostileMemory, ContextAndBatchRowsAreCutToTheFile) {
  const TempDir dir;
  test::write_checkpoint(dir, wide_heads());
  test::Running run;
  test::open({dir.path()}, &run);
  if (HasFatalFailure()) return;
  const int64_t budget = kMemoryBase + 4 * static_cast<int64_t>(run.model->storage().file_bytes());
  std::printf("[ memory   ] file %.1f MB: KV %.1f MB, scratch %.1f MB\n",
              static_cast<double>(run.model->storage().file_bytes()) * 1e-6,
              static_cast<double>(run.session->kv_bytes()) * 1e-6,
              static_cast<double>(run.executor->scratch_bytes()) * 1e-6);
  EXPECT_LE(run.session->kv_bytes(), budget);
  EXPECT_LE(run.executor->scratch_bytes(), budget + (int64_t{8} << 20));  // and what threads have
  // It is of use all the same.
  EXPECT_GE(run.session->context_length(), 64);
  EXPECT_EQ(test::step_logits(*run.session, test::random_tokens(40, 50)).size(), 40U * 50U);
}

// A model whose matrices are all on odd addresses, 239 MB in a hole.
class OddModel {
 public:
  explicit OddModel(bool has_other) {
    test::CheckpointShape shape;
    shape.hidden = 2048;
    shape.layers = 1;
    shape.intermediate = 16384;
    shape.heads = 16;
    shape.kv_heads = 16;
    shape.head_dim = 128;
    shape.vocab = 1000;
    shape.tied = true;
    dir_.write("config.json", test::checkpoint_config(shape));
    const std::string layer = "model.layers.0.";
    add("model.embed_tokens.weight", 1000, 2048);
    add("model.norm.weight", 2048);
    add(layer + "input_layernorm.weight", 2048);
    add(layer + "post_attention_layernorm.weight", 2048);
    add(layer + "self_attn.qkv_proj.weight", 3 * 2048, 2048);
    add(layer + "self_attn.o_proj.weight", 2048, 2048);
    add(layer + "mlp.gate_up_proj.weight", 2 * 16384, 2048);
    add(layer + "mlp.down_proj.weight", 2048, 16384);
    if (has_other) add("other", 1);
    header_ += header_.size() % 2 == 0 ? "}" : "} ";
    const uint64_t length = header_.size();
    const std::string prefix(reinterpret_cast<const char*>(&length), 8);
    const std::string path = dir_.write("model.safetensors", prefix + header_);
    bytes_ += 8 + length;
    std::filesystem::resize_file(path, bytes_);
  }

  const std::string& path() const { return dir_.path(); }
  uint64_t bytes() const { return bytes_; }

 private:
  void add(const std::string& name, uint64_t rows, uint64_t columns = 0) {
    header_ += header_.empty() ? "{" : ",";
    header_ += "\"" + name + "\":{\"dtype\":\"F16\",\"shape\":[" + std::to_string(rows);
    if (columns > 0) header_ += "," + std::to_string(columns);
    header_ += "],\"data_offsets\":[" + std::to_string(bytes_) + ",";
    bytes_ += 2 * rows * std::max<uint64_t>(columns, 1);
    header_ += std::to_string(bytes_) + "]}";
  }

  const TempDir dir_;
  std::string header_;
  uint64_t bytes_ = 0;
};

TEST(HostileMemory, MatricesOnOddAddresses) {
  // They are copied, when nothing can refuse the model any more.
  const OddModel other(true);
  test::expect_refused([&] { return open_model(other.path()).status(); }, other.bytes(),
                       StatusCode::kModelMismatch,
                       "model.safetensors: ", {"tensor 'other' [1] does not belong"});
  const OddModel mute(false);
  test::expect_refused([&] { return LoadedModel::open(mute.path(), {}).status(); }, mute.bytes(),
                       StatusCode::kNotFound, mute.path(), {"neither tokenizer.json nor"});
}

TEST(HostileMemory, AContextThatIsAskedForIsGiven) {
  const TempDir dir;
  test::write_checkpoint(dir, wide_heads());
  test::RunSetup setup = {dir.path()};
  setup.session.context_length = 4096;
  test::Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  EXPECT_EQ(run.session->context_length(), 4096);
}

}  // namespace
}  // namespace midge
