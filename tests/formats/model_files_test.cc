// Whole models: every contradiction between config and tensors is named.
#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

using test::CheckpointShape;
using test::TempDir;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

void expect_error(const std::string& path, StatusCode code, const std::string& part) {
  const Status status = open_model(path).status();
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  EXPECT_EQ(status.message().find('\n'), std::string::npos) << status.message();
}

TEST(ModelFiles, OpensWhatItWrites) {
  for (const char* type : {"phi3", "qwen2", "mimo"}) {
    const TempDir dir;
    CheckpointShape shape;
    shape.model_type = type;
    const auto model = open_model(test::write_checkpoint(dir, shape));
    MIDGE_ASSERT_OK(model);
    EXPECT_EQ((*model)->config().family, type);
    EXPECT_EQ((*model)->config().mtp_layer_count, shape.model_type == "mimo" ? 1 : 0);
  }
}

// A buffer of angles, which transformers stored before 4.32, and nobody reads.
TEST(ModelFiles, StoredAnglesAreLeftOut) {
  const TempDir dir;
  CheckpointShape shape;
  shape.model_type = "qwen2";
  test::SafetensorsWriter tensors = test::checkpoint_tensors(shape, 1);
  for (int layer = 0; layer < shape.layers; ++layer) {
    tensors.add("model.layers." + std::to_string(layer) + ".self_attn.rotary_emb.inv_freq", "F32",
                {shape.head_dim / 2}, std::string(static_cast<size_t>(shape.head_dim) * 2, '\0'));
  }
  dir.write("config.json", test::checkpoint_config(shape));
  dir.write("model.safetensors", tensors.bytes());
  MIDGE_ASSERT_OK(open_model(dir.path()));
}

TEST(ModelFiles, MissingFiles) {
  const TempDir dir;
  expect_error(dir.file("absent"), StatusCode::kNotFound, "absent: cannot open");
  expect_error(dir.path(), StatusCode::kNotFound, "config.json: cannot open");
  dir.write("config.json", test::checkpoint_config({}));
  expect_error(dir.path(), StatusCode::kNotFound, "model.safetensors: cannot open");
  expect_error(dir.write("text", "hello"), StatusCode::kUnsupported, "no GGUF file");
  expect_error(dir.write("empty", ""), StatusCode::kUnsupported, "no GGUF file");
}

TEST(ModelFiles, UnknownFamiliesAreNamed) {
  const TempDir dir;
  const CheckpointShape shape;
  test::write_checkpoint(dir, shape);
  for (const char* type : {"phi4flash", "phi4mm", "mimo_v2", "gpt2"}) {
    dir.write("config.json", replaced(test::checkpoint_config(shape), "\"phi3\"",
                                      std::string("\"") + type + "\""));
    expect_error(dir.path(), StatusCode::kUnsupported,
                 std::string("model_type '") + type + "', expected one of: phi3, mimo, qwen2");
  }
}

TEST(ModelFiles, TensorsMustFitTheConfig) {
  struct Change {
    const char* from;
    const char* to;
    const char* expected;
  };
  const CheckpointShape shape;
  for (const Change& change : {
           Change{"\"hidden_size\":40", "\"hidden_size\":48",
                  "tensor 'model.embed_tokens.weight' is [50, 40], expected [50, 48]"},
           Change{"\"num_hidden_layers\":2", "\"num_hidden_layers\":3",
                  "tensor 'model.layers.2.input_layernorm.weight' is missing"},
           Change{"\"num_hidden_layers\":2", "\"num_hidden_layers\":1",
                  "tensor 'model.layers.1.input_layernorm.weight' [40] does not belong"},
           Change{"\"intermediate_size\":56", "\"intermediate_size\":57",
                  "gate_up_proj.weight' is [112, 40], expected [114, 40]"},
           Change{"\"num_key_value_heads\":1", "\"num_key_value_heads\":5",
                  "qkv_proj.weight' is [56, 40], expected [120, 40]"},
           Change{"\"vocab_size\":50", "\"vocab_size\":51", "expected [51, 40]"},
       }) {
    const TempDir dir;
    test::write_checkpoint(dir, shape);
    dir.write("config.json", replaced(test::checkpoint_config(shape), change.from, change.to));
    expect_error(dir.path(), StatusCode::kModelMismatch, change.expected);
  }
}

TEST(ModelFiles, AbsurdConfigsAreRefused) {
  struct Change {
    const char* from;
    const char* to;
    const char* expected;
  };
  const CheckpointShape shape;
  for (const Change& change : {
           Change{"\"num_attention_heads\":5", "\"num_attention_heads\":0", "is 0, expected 1.."},
           Change{"\"num_attention_heads\":5", "\"num_attention_heads\":-5", "is -5, expected"},
           Change{"\"num_attention_heads\":5", "\"num_attention_heads\":\"5\"", "is a string"},
           Change{"\"num_key_value_heads\":1", "\"num_key_value_heads\":2",
                  "5 heads, expected a multiple of the 2 KV heads"},
           Change{"\"num_hidden_layers\":2", "\"num_hidden_layers\":99999999", "expected 1.."},
           Change{"\"vocab_size\":50", "\"vocab_size\":4294967296000", "expected 1.."},
           Change{"\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":-1", "RMS epsilon"},
           Change{"\"rope_theta\":10000.0", "\"rope_theta\":0", "rope theta"},
           Change{"\"head_dim\":8", "\"head_dim\":7", "rotary width is 7, expected even"},
           Change{"\"eos_token_id\":1", "\"eos_token_id\":50", "end-of-sequence id is 50"},
           Change{"\"eos_token_id\":1", "\"eos_token_id\":\"x\"", "'eos_token_id' is a string"},
           Change{"\"max_position_embeddings\":256", "\"max_position_embeddings\":1e30",
                  "is a fraction"},
           Change{"\"rope_theta\":10000.0", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}",
                  "rope scaling"},
           Change{"\"rope_theta\":10000.0",
                  "\"original_max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\","
                  "\"short_factor\":[1,1],\"long_factor\":[1,2]}",
                  "2 rope factors, expected 4"},
           Change{"\"rope_theta\":10000.0",
                  "\"original_max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\","
                  "\"short_factor\":[1,1,1,0],\"long_factor\":[1,2,3,4]}",
                  "rope factor 0"},
       }) {
    const TempDir dir;
    test::write_checkpoint(dir, shape);
    dir.write("config.json", replaced(test::checkpoint_config(shape), change.from, change.to));
    const Status status = open_model(dir.path()).status();
    EXPECT_FALSE(status.ok()) << change.to;
    EXPECT_NE(status.message().find(change.expected), std::string::npos) << status.message();
  }
}

TEST(ModelFiles, ShardsAndIndexMustAgree) {
  const TempDir dir;
  const CheckpointShape shape;
  dir.write("config.json", test::checkpoint_config(shape));
  dir.write("one.safetensors", test::checkpoint_tensors(shape, 1).bytes());
  test::SafetensorsWriter other;
  other.add("other", "F32", {1}, "1234");
  dir.write("two.safetensors", other.bytes());
  const auto with_index = [&](const std::string& map) {
    dir.write("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
    return dir.path();
  };
  expect_error(with_index("\"other\":\"two.safetensors\""), StatusCode::kModelMismatch,
               "'model.embed_tokens.weight' is missing");
  expect_error(with_index("\"other\":\"one.safetensors\""), StatusCode::kInvalidFile,
               "more than 1 tensors, which is what the index says");
  expect_error(with_index("\"another\":\"two.safetensors\""), StatusCode::kInvalidFile,
               "but the index says nothing of it");
  expect_error(with_index("\"gone\":\"two.safetensors\",\"other\":\"two.safetensors\""),
               StatusCode::kInvalidFile, "'gone' is not in its shard");
  expect_error(with_index("\"other\":\"three.safetensors\""), StatusCode::kNotFound,
               "three.safetensors: cannot open");
  for (const char* name : {"../two.safetensors", "/etc/passwd", "..", "a\\\\b", ""}) {
    expect_error(with_index(std::string("\"other\":\"") + name + "\""), StatusCode::kInvalidFile,
                 "expected a plain file name");
  }
  expect_error(with_index("\"other\":7"), StatusCode::kInvalidFile, "expected a plain file name");
}

// As transformers reads such a folder: an index may be left over from before.
TEST(ModelFiles, AWholeFileCountsBeforeAnIndex) {
  const TempDir dir;
  const CheckpointShape shape;
  dir.write("config.json", test::checkpoint_config(shape));
  dir.write("model.safetensors.index.json", "{\"weight_map\":{\"other\":\"gone.safetensors\"}}");
  expect_error(dir.path(), StatusCode::kNotFound, "gone.safetensors: cannot open");
  dir.write("model.safetensors", test::checkpoint_tensors(shape, 1).bytes());
  const Status whole = open_model(dir.path()).status();
  EXPECT_TRUE(whole.ok()) << whole.message();
}

TEST(ModelFiles, ATiedModelMayCarryItsHead) {
  const TempDir dir;
  CheckpointShape shape;
  shape.tied = true;
  dir.write("config.json", test::checkpoint_config(shape));
  shape.tied = false;
  dir.write("model.safetensors", test::checkpoint_tensors(shape, 1).bytes());
  const auto model = open_model(dir.path());
  MIDGE_ASSERT_OK(model);
  EXPECT_EQ((*model)->weights().head.rows.data, (*model)->weights().embedding.rows.data);
  ASSERT_EQ((*model)->warnings().size(), 1u);
  EXPECT_NE((*model)->warnings()[0].find("'lm_head.weight' differs"), std::string::npos);
}

TEST(ModelFiles, MimoWithoutItsMtpTensors) {
  const TempDir dir;
  CheckpointShape shape;
  shape.model_type = "mimo";
  dir.write("config.json", test::checkpoint_config(shape));
  shape.model_type = "qwen2";
  dir.write("model.safetensors", test::checkpoint_tensors(shape, 1).bytes());
  const auto model = open_model(dir.path());
  MIDGE_ASSERT_OK(model);
  EXPECT_EQ((*model)->config().mtp_layer_count, 0);
  EXPECT_EQ((*model)->warnings().size(), 1u);
}

TEST(ModelFiles, UnsupportedTensorTypesAreNamed) {
  const TempDir dir;
  const CheckpointShape shape;
  dir.write("config.json", test::checkpoint_config(shape));
  test::SafetensorsWriter writer;
  writer.add("model.embed_tokens.weight", "I8", {50, 40}, std::string(2000, 'x'));
  dir.write("model.safetensors", writer.bytes());
  expect_error(dir.path(), StatusCode::kUnsupported,
               "tensor 'model.embed_tokens.weight' has type I8");
}

}  // namespace
}  // namespace midge
