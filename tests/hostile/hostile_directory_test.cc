// Hostile Hugging Face directories: index and config, one test for each item of
// docs/hostile-input.md.
#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "engine/core/visible.h"
#include "engine/tokenizer_files/tokenizer_directory.h"
#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"

namespace midge {
namespace {

using test::expect_refused;
using test::SafetensorsWriter;
using test::TempDir;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
constexpr StatusCode kMismatch = StatusCode::kModelMismatch;
using Parts = std::initializer_list<std::string_view>;

// A directory with shards a (tensors one, two) and b (three), and an index to come.
class HostileIndex : public testing::Test {
 protected:
  HostileIndex() {
    dir_.write("config.json", test::checkpoint_config({}));
    SafetensorsWriter a;
    a.add("one", "F32", {1}, "1234");
    a.add("two", "F32", {1}, "1234");
    dir_.write("a.safetensors", a.bytes());
    SafetensorsWriter b;
    b.add("three", "F32", {1}, "1234");
    dir_.write("b.safetensors", b.bytes());
  }

  void refuse(const std::string& map, StatusCode code, std::string_view file, Parts parts) {
    const std::string index = "{\"weight_map\":{" + map + "}}";
    dir_.write("model.safetensors.index.json", index);
    expect_refused([&] { return WeightSource::open(dir_.path(), FileAccess::kMap).status(); },
                   index.size() + (1 << 16), code, file, parts);
  }

  void refuse_name(const std::string& json, std::string_view printed) {
    refuse("\"one\":\"" + json + "\"", kInvalid, "model.safetensors.index.json: ",
           {"entry 'one'", printed, "expected a plain file name"});
  }

  const TempDir dir_;
};

constexpr const char* kGoodMap =
    R"("one":"a.safetensors","two":"a.safetensors","three":"b.safetensors")";

// "x":[0,0,...], which takes `bytes` when it is parsed: 28 for each value.
std::string zeros(size_t bytes) {
  std::string list = "\"x\":[0";
  for (size_t i = 0; i < bytes / 28 - 100; ++i) list += ",0";
  return list + "]";
}

// Every document as large as it may be. What is wrong is found last.
TEST_F(HostileIndex, DocumentsAreNotKept) {
  std::string config = test::checkpoint_config({});
  config.insert(1, zeros(4 << 20) + ",");
  dir_.write("config.json", config);
  dir_.write("generation_config.json", "{" + zeros(4 << 20) + "}");
  const std::string header = "{\"__metadata__\":{" + zeros(56 << 20) + "},\"one\":1}";
  std::string shard(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(shard.data(), &length, 8);
  shard += header;
  dir_.write("a.safetensors", shard);
  const std::string index =
      std::string("{\"weight_map\":{") + kGoodMap + "}," + zeros(56 << 20) + "}";
  dir_.write("model.safetensors.index.json", index);
  expect_refused([&] { return WeightSource::open(dir_.path(), FileAccess::kMap).status(); },
                 2 * config.size() + shard.size() + index.size(), kInvalid,
                 "a.safetensors: ", {"tensor 'one' is an integer, expected an object"});
}

TEST_F(HostileIndex, AGoodOneOpens) {
  dir_.write("model.safetensors.index.json", std::string("{\"weight_map\":{") + kGoodMap + "}}");
  MIDGE_ASSERT_OK(WeightSource::open(dir_.path(), FileAccess::kMap));
}

TEST_F(HostileIndex, NameWithSlash) { refuse_name("sub/a.safetensors", "'sub/a.safetensors'"); }
TEST_F(HostileIndex, NameWithBackslash) { refuse_name("sub\\\\a", "'sub\\x5ca'"); }
TEST_F(HostileIndex, NameAboveTheDirectory) {
  refuse_name("..", "'..'");
  refuse_name("../a.safetensors", "'../a.safetensors'");
}
TEST_F(HostileIndex, AbsoluteName) { refuse_name("/etc/passwd", "'/etc/passwd'"); }
TEST_F(HostileIndex, NameWithNul) { refuse_name("a\\u0000b", "'a\\x00b'"); }

TEST_F(HostileIndex, NameWithControlCharacters) {
  // Such a file can exist; its name would reach the terminal with every message about it.
  for (const char* name : {"a\x1B]0;title\x07.safetensors", "a\x7F",
                           "a\xC2\x9B"
                           "2J",
                           "a\xE2\x80\xAEsafetensors.b", "a\nmidge: all is well"}) {
    std::filesystem::copy_file(dir_.file("a.safetensors"), dir_.file(name));
    std::string json;
    for (const char c : std::string(name)) {
      json +=
          static_cast<unsigned char>(c) < 0x20 ? format_string("\\u%04x", c) : std::string(1, c);
    }
    refuse_name(json, printable(name));
  }
}

TEST_F(HostileIndex, LinksAreTheUsersOwn) {
  // The cache of Hugging Face's tools is made of links out of the directory. A link cannot come
  // with an index: who can make one in the directory can read the file behind it anyway.
  const TempDir elsewhere;
  std::filesystem::rename(dir_.file("b.safetensors"), elsewhere.file("blob"));
  std::filesystem::create_symlink(elsewhere.file("blob"), dir_.file("b.safetensors"));
  dir_.write("model.safetensors.index.json", std::string("{\"weight_map\":{") + kGoodMap + "}}");
  MIDGE_ASSERT_OK(WeightSource::open(dir_.path(), FileAccess::kMap));
}

TEST_F(HostileIndex, MissingShard) {
  refuse("\"one\":\"gone.safetensors\"", StatusCode::kNotFound,
         "gone.safetensors: ", {"cannot open"});
}

TEST_F(HostileIndex, TensorThatItsShardLacks) {
  refuse(std::string(kGoodMap) + ",\"four\":\"b.safetensors\"", kInvalid,
         "model.safetensors.index.json: ", {"tensor 'four'", "not in its shard b.safetensors"});
}

TEST_F(HostileIndex, TensorInTwoShards) {
  SafetensorsWriter b;
  b.add("one", "F32", {1}, "1234");
  dir_.write("b.safetensors", b.bytes());
  refuse(kGoodMap, kInvalid, "b.safetensors",
         {"tensor 'one' is in ", "a.safetensors and again in "});
}

TEST_F(HostileIndex, MillionsOfEntries) {
  std::string many = kGoodMap;
  for (int i = 0; i < 200'000; ++i) many += ",\"" + std::to_string(i) + "\":\"a.safetensors\"";
  refuse(many, kInvalid, "model.safetensors.index.json: ", {"more than 65536 entries"});
  for (int i = 0; i < 1'000'000; ++i) many += ",\"" + std::to_string(i) + "\":\"a.safetensors\"";
  refuse(many, kInvalid, "model.safetensors.index.json: ", {"bytes", "expected at most 16777216"});
}

TEST_F(HostileIndex, KeysMadeToCollide) {
  std::string many = kGoodMap;
  for (const std::string& key : test::colliding_keys(40'000)) {
    many += ",\"" + key + "\":\"a.safetensors\"";
  }
  refuse(many, kInvalid, "model.safetensors.index.json: ", {"is not in its shard a.safetensors"});
}

TEST_F(HostileIndex, ThousandsOfShards) {
  std::string many = kGoodMap;
  for (int i = 0; i < 5000; ++i) many += format_string(",\"t%d\":\"%d.safetensors\"", i, i);
  refuse(many, kInvalid, "model.safetensors.index.json: ", {"5002 shards", "expected 1..4096"});
}

// A shard of `count` tensors without data, named t0, t1 …
std::string empty_tensors(int count) {
  SafetensorsWriter writer;
  for (int i = 0; i < count; ++i) writer.add("t" + std::to_string(i), "U8", {0}, "");
  return writer.bytes();
}

TEST_F(HostileIndex, ShardsWithMoreTensorsThanTheIndexSays) {
  // The refusal comes with the first of them: all together would take hundreds of MB.
  const std::string shard = empty_tensors(65'536);
  std::string map = kGoodMap;
  for (int i = 0; i < 8; ++i) {
    dir_.write(format_string("s%d", i), shard);
    map += format_string(",\"s%d\":\"s%d\"", i, i);
  }
  refuse(map, kInvalid, "s0: ", {"more than 1 tensors", "what the index says"});
}

TEST_F(HostileIndex, OneFileAsManyShards) {
  // Read 4,096 times, a file of 3.6 MB would take minutes and 92 GB.
  dir_.write("s0", empty_tensors(65'000));
  std::string map;
  for (int i = 0; i < 65'000; ++i) map += format_string("\"t%d\":\"s0\",", i);
  for (int i = 1; i < 64; ++i) {
    std::filesystem::create_symlink("s0", dir_.file(format_string("s%d", i)));
    map += format_string("\"s%d\":\"s%d\",", i, i);
  }
  map.pop_back();
  refuse(map, kInvalid, "s1: ", {"is the same file as", "s0"});
  std::filesystem::remove(dir_.file("s1"));
  std::filesystem::create_hard_link(dir_.file("s0"), dir_.file("s1"));
  refuse(map, kInvalid, "s1: ", {"is the same file as", "s0"});
}

TEST_F(HostileIndex, IndexAndShardOfManyValues) {
  // Each as large as the parser allows, which are never in memory together.
  std::string values = "[1";
  for (int i = 0; i < 2'000'000; ++i) values += ",1";
  values += "]";
  std::string header = "{\"__metadata__\":" + values +
                       ",\"one\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
  const uint64_t length = header.size();
  header.insert(0, reinterpret_cast<const char*>(&length), 8);
  dir_.write("s", header);
  const std::string index =
      "{\"metadata\":" + values + ",\"weight_map\":{\"one\":\"s\",\"two\":\"s\"}}";
  dir_.write("model.safetensors.index.json", index);
  expect_refused([&] { return WeightSource::open(dir_.path(), FileAccess::kMap).status(); },
                 index.size() + header.size(), kInvalid,
                 "model.safetensors.index.json: ", {"tensor 'two'", "not in its shard s"});
}

TEST_F(HostileIndex, LongHeadersOfManyShards) {
  SafetensorsWriter writer;
  writer.add("two", "F32", {1}, "1234");
  const std::string shard = writer.bytes(5 << 20);
  std::string map;
  for (int i = 0; i < 5; ++i) {
    dir_.write(format_string("s%d", i), shard);
    map += format_string("%s\"%d\":\"s%d\"", i == 0 ? "" : ",", i, i);
  }
  refuse(map, kInvalid, "s3: ", {"header of 5242", "expected at most 1048"});
}

// Opens a checkpoint whose config has `from` replaced.
void refuse_config(const std::string& from, const std::string& to, StatusCode code, Parts parts) {
  const TempDir dir;
  const test::CheckpointShape shape;
  test::write_checkpoint(dir, shape);
  std::string config = test::checkpoint_config(shape);
  const size_t at = config.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  config.replace(at, from.size(), to);
  dir.write("config.json", config);
  expect_refused([&] { return open_model(dir.path()).status(); }, 1 << 20, code, dir.path(), parts);
}

std::string with_factors(const std::string& short_factors, const std::string& long_factors) {
  return "\"original_max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\","
         "\"short_factor\":[" +
         short_factors + "],\"long_factor\":[" + long_factors + "]}";
}

constexpr const char* kHeads = "\"num_attention_heads\":5";
constexpr const char* kKvHeads = "\"num_key_value_heads\":1";
constexpr const char* kTheta = "\"rope_theta\":10000.0";
constexpr const char* kEos = "\"eos_token_id\":1";

TEST(HostileConfig, MillionsOfValues) {
  std::string values = "\"x\":[0";
  while (values.size() < 1'000'000) values += ",0";
  refuse_config(kEos, values + "]", kInvalid,
                {"config.json: JSON that takes up to", "expected at most 4194304"});
}
TEST(HostileConfig, NoHeads) {
  refuse_config(kHeads, "\"num_attention_heads\":0", kInvalid,
                {"config.json", "'num_attention_heads' is 0", "expected 1..1024"});
}
TEST(HostileConfig, NoKvHeads) {
  refuse_config(kKvHeads, "\"num_key_value_heads\":0", kInvalid,
                {"config.json", "'num_key_value_heads' is 0", "expected 1..1024"});
}
TEST(HostileConfig, HeadsThatKvHeadsDoNotDivide) {
  refuse_config(kKvHeads, "\"num_key_value_heads\":2", kMismatch,
                {"5 heads", "expected a multiple of the 2 KV heads"});
}
TEST(HostileConfig, NegativeValues) {
  refuse_config("\"hidden_size\":40", "\"hidden_size\":-40", kInvalid,
                {"config.json", "'hidden_size' is -40", "expected 1..65536"});
}
TEST(HostileConfig, ValuesBeyond31Bits) {
  refuse_config("\"intermediate_size\":56", "\"intermediate_size\":2147483648", kInvalid,
                {"'intermediate_size' is 2147483648", "expected 1..1048576"});
  refuse_config("\"intermediate_size\":56", "\"intermediate_size\":18446744073709551615", kInvalid,
                {"'intermediate_size' is 18446744073709551615", "expected 1..1048576"});
  refuse_config("\"intermediate_size\":56", "\"intermediate_size\":9223372036854775808", kInvalid,
                {"'intermediate_size' is 9223372036854775808", "expected 1..1048576"});
}
TEST(HostileConfig, HiddenSizeThatHeadsDoNotDivide) {
  refuse_config("\"num_attention_heads\":5,\"num_key_value_heads\":1,\"head_dim\":8",
                "\"num_attention_heads\":3", kInvalid,
                {"hidden_size 40", "expected a multiple of the 3 heads"});
}
TEST(HostileConfig, VocabularyTimesHidden) {
  refuse_config("\"vocab_size\":50", "\"vocab_size\":4611686018427387904", kInvalid,
                {"'vocab_size' is 4611686018427387904", "expected 1..4194304"});
  refuse_config("\"vocab_size\":50", "\"vocab_size\":4194304", kMismatch,
                {"embed_tokens.weight' is [50, 40]", "expected [4194304, 40]"});
}
TEST(HostileConfig, HugeLayerCount) {
  refuse_config("\"num_hidden_layers\":2", "\"num_hidden_layers\":1000000000", kInvalid,
                {"'num_hidden_layers' is 1000000000", "expected 1..1024"});
  refuse_config("\"num_hidden_layers\":2", "\"num_hidden_layers\":1024", kMismatch,
                {"tensor 'model.layers.2.", "is missing", "expected [40]"});
}
TEST(HostileConfig, EpsilonThatIsNoNumber) {
  refuse_config("\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":NaN", kInvalid,
                {"config.json", "not valid JSON"});
  refuse_config("\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":\"nan\"", kInvalid,
                {"'rms_norm_eps' is a string", "expected"});
  refuse_config("\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":-1e-5", kMismatch,
                {"RMS epsilon is -1e-05", "expected more than 0 and less than 1"});
}
TEST(HostileConfig, EpsilonOfZero) {
  // A row of zeros would become one of NaN. Also what f32 makes of smaller numbers.
  for (const char* epsilon : {"0", "0.0", "1e-60"}) {
    refuse_config("\"rms_norm_eps\":1e-5", std::string("\"rms_norm_eps\":") + epsilon, kMismatch,
                  {"RMS epsilon is 0", "expected more than 0 and less than 1"});
  }
}
TEST(HostileConfig, DuplicateKeys) {
  // One reader would take the first, another one the last.
  refuse_config(kHeads, "\"num_attention_heads\":5,\"num_attention_heads\":10", kInvalid,
                {"config.json: key 'num_attention_heads' is there twice"});
  refuse_config(kTheta, "\"rope_parameters\":{\"rope_theta\":1e4,\"a\":[{}],\"rope_theta\":1e6}",
                kInvalid, {"config.json: key 'rope_theta' is there twice in 'rope_parameters'"});
  std::string many;
  for (int i = 0; i < 50; ++i) many += format_string("\"k%d\":1,", i % 49);
  refuse_config(kTheta, many + "\"x\":1", kInvalid, {"config.json: key 'k0' is there twice"});
}
TEST(HostileConfig, HeadsTimesHeadSize) {
  refuse_config("\"num_attention_heads\":5,\"num_key_value_heads\":1,\"head_dim\":8",
                "\"num_attention_heads\":1024,\"num_key_value_heads\":1,\"head_dim\":1024",
                kMismatch, {"1024 heads of 1024", "expected at most 65536"});
}
TEST(HostileConfig, MatricesOfFewRows) {
  // Kernels read tiles of 32 rows: these would take ten times their file.
  const TempDir dir;
  test::CheckpointShape shape;
  shape.hidden = 65536;
  shape.layers = 64;
  shape.intermediate = 1;
  shape.heads = 1;
  shape.head_dim = 2;
  test::write_checkpoint(dir, {});
  dir.write("config.json", test::checkpoint_config(shape));
  expect_refused([&] { return open_model(dir.path()).status(); }, 1 << 20, kMismatch, dir.path(),
                 {"weights in tiles of 32 rows and columns", "for 4", "expected at most"});
}
TEST(HostileConfig, FactorArraysOfTheWrongLength) {
  refuse_config(kTheta, with_factors("1,1", "1,2"), kMismatch,
                {"2 rope factors", "expected 4 (half the rotary width)"});
  std::string many = "1";
  for (int i = 0; i < 50'000; ++i) many += ",1";
  refuse_config(kTheta, with_factors(many, many), kInvalid,
                {"'short_factor'", "expected at most 512 numbers"});
  refuse_config(kTheta, with_factors("", "1"), kInvalid, {"'short_factor' is empty"});
}
TEST(HostileConfig, FactorsThatAreNotPositive) {
  for (const char* factor : {"0", "-1"}) {
    refuse_config(kTheta, with_factors("1,1,1,1", std::string("1,1,1,") + factor), kMismatch,
                  {"rope factor", factor, "expected positive numbers"});
  }
  refuse_config(kTheta, with_factors("1,1,1,1", "1,1,1,1e39"), kMismatch,
                {"rope factor inf", "expected positive numbers"});
  refuse_config(kTheta, with_factors("1,1,1,1", "1,1,1,NaN"), kInvalid, {"not valid JSON"});
}
TEST(HostileConfig, ThetaThatIsNotPositive) {
  for (const char* theta : {"0", "-10000"}) {
    refuse_config(kTheta, std::string("\"rope_theta\":") + theta, kMismatch,
                  {"rope theta is", theta, "expected at least 1"});
  }
}
TEST(HostileConfig, OddRotaryWidth) {
  refuse_config("\"head_dim\":8", "\"head_dim\":7", kMismatch,
                {"rotary width is 7", "expected even"});
}
TEST(HostileConfig, RotaryWidthBeyondTheHead) {
  refuse_config(kTheta, "\"partial_rotary_factor\":1.5", kInvalid,
                {"partial_rotary_factor is 1.5", "expected 0..1"});
}
TEST(HostileConfig, AbsurdContext) {
  refuse_config("\"max_position_embeddings\":256",
                "\"max_position_embeddings\":4611686018427387904", kInvalid,
                {"'max_position_embeddings' is 4611686018427387904", "expected 1..16777216"});
}
TEST(HostileConfig, EndIdsOfOddTypes) {
  refuse_config(kEos, "\"eos_token_id\":{\"a\":1}", kInvalid,
                {"'eos_token_id' is an object", "expected an integer"});
  refuse_config(kEos, "\"eos_token_id\":[1,\"x\"]", kInvalid,
                {"'eos_token_id' holds a string", "expected up to 64 token ids"});
  refuse_config(kEos, "\"eos_token_id\":4000000000", kInvalid,
                {"'eos_token_id' is 4000000000", "expected 0..4194303"});
  std::string many = "\"eos_token_id\":[0";
  for (int i = 1; i < 100; ++i) many += format_string(",%d", i);
  refuse_config(kEos, many + "]", kInvalid, {"'eos_token_id'", "up to 64"});
}

// Messages show the end of a path, where the name is.
TEST(HostilePaths, LongPathsAreCut) {
  const TempDir dir;
  std::string path = dir.path();
  for (int i = 0; i < 12; ++i) path += "/" + std::string(200, static_cast<char>('a' + i));
  std::filesystem::create_directories(path);
  const std::string end = std::string(100, 'l');
  const auto write = [&](const char* name, std::string_view text) {
    std::ofstream(path + "/" + name, std::ios::binary) << text;
  };
  const auto refuse = [&](const std::string& opened, StatusCode code, std::string_view file) {
    const auto open = [&] { return open_model(opened).status(); };
    expect_refused(open, 1 << 20, code, file, {"..."});
    const std::string message = open().message();
    EXPECT_LT(message.size(), 500u) << message;
  };
  refuse(path + "/absent.gguf", StatusCode::kNotFound, end + "/absent.gguf: cannot open");
  write("x.gguf", "GGUF");
  refuse(path + "/x.gguf", kInvalid, end + "/x.gguf: offset 4");
  write("config.json", "{");
  refuse(path, kInvalid, end + "/config.json: not valid JSON");
  write("config.json", R"({"model_type":"phi3"})");
  write("model.safetensors", "12345");
  refuse(path, kInvalid, end + "/model.safetensors: 5 bytes");
  write("model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  refuse(path, kInvalid, end + "/config.json: 'hidden_size' is missing");
  write("config.json", test::checkpoint_config({}));
  refuse(path, kMismatch, end + ": tensor 'model.embed_tokens.weight' is missing");
  write("tokenizer.json", "[]");
  EXPECT_LT(load_tokenizer_directory(path).status().message().size(), 400u);
}

}  // namespace
}  // namespace midge
