// Hostile GGUF files, one test for each item of docs/hostile-input.md.
#include <chrono>
#include <filesystem>

#include <gtest/gtest.h>

#include "engine/chat/chat.h"
#include "engine/core/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "models/registry.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/gguf_writer.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::expect_refused;
using test::GgufWriter;
using test::TempDir;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
constexpr StatusCode kMismatch = StatusCode::kModelMismatch;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;
constexpr uint64_t kHuge = uint64_t{1} << 63;
using Parts = std::initializer_list<std::string_view>;

GgufWriter one_entry() { return GgufWriter().header(3, 0, 1); }

// A file with one tensor 't' and 64 bytes of data.
std::string one_tensor(std::vector<uint64_t> ne, uint32_t type, uint64_t offset) {
  GgufWriter writer;
  writer.header(3, 1, 0).tensor("t", std::move(ne), type, offset).pad(32);
  return writer.raw(std::string(64, 'd')).bytes();
}

void refuse(const std::string& bytes, Parts parts, StatusCode code = kInvalid) {
  const TempDir dir;
  const std::string path = dir.write("x.gguf", bytes);
  expect_refused([&] { return WeightSource::open(path, FileAccess::kMap).status(); }, bytes.size(),
                 code, "x.gguf: ", parts);
}

TEST(HostileGguf, Magic) {
  refuse("", {"no GGUF file and no directory"}, kUnsupported);
  refuse("GGUX" + std::string(100, '\0'), {"no GGUF file and no directory"}, kUnsupported);
}
TEST(HostileGguf, ByteOrder) {
  refuse(GgufWriter().header(0x03000000, 0, 0).bytes(), {"big-endian", "expected little-endian"},
         kUnsupported);
}
TEST(HostileGguf, Version) {
  refuse(GgufWriter().header(1, 0, 0).bytes(), {"version 1", "expected 2 or 3"}, kUnsupported);
  refuse(GgufWriter().header(4, 0, 0).bytes(), {"version 4", "expected 2 or 3"}, kUnsupported);
}
TEST(HostileGguf, Counts) {
  refuse(GgufWriter().header(3, kHuge, 0).bytes(),
         {"9223372036854775808 tensors", "expected at most 65536"});
  refuse(GgufWriter().header(3, 0, kHuge).bytes(),
         {"9223372036854775808 metadata entries", "expected at most 65536"});
  // As many as are allowed, in a file that has none of them.
  refuse(GgufWriter().header(3, 65536, 65536).bytes(), {"offset 24", "needs 8 bytes", "0 left"});
}
TEST(HostileGguf, StringLengthThatWraps) {
  refuse(one_entry().number<uint64_t>(UINT64_MAX - 3).bytes(),
         {"offset 24: metadata key of 18446744073709551612 bytes", "expected at most 0"});
  refuse(one_entry().key("k", GgufType::kString).number<uint64_t>(kHuge).bytes(),
         {"metadata string of 9223372036854775808 bytes", "expected at most 0"});
}
TEST(HostileGguf, ArraySizeThatWraps) {
  refuse(one_entry().array("k", GgufType::kU32, kHuge / 2 + 1).bytes(),
         {"array of 4611686018427387905 elements", "64 bits"});
  refuse(one_entry().array("k", GgufType::kString, kHuge / 4).bytes(),
         {"array of 2305843009213693952 strings", "0 bytes left"});
}
TEST(HostileGguf, NestedArrays) {
  GgufWriter writer = one_entry().array("k", GgufType::kArray, 1);
  for (int i = 0; i < 100'000; ++i) writer.number<uint32_t>(9).number<uint64_t>(1);
  refuse(writer.bytes(), {"offset 37: nested array", "expected an array of scalars or strings"});
}
TEST(HostileGguf, DuplicateKeys) {
  refuse(GgufWriter().header(3, 0, 2).entry("k", 1u).entry("k", 2u).bytes(),
         {"metadata key 'k' is there twice"});
}
TEST(HostileGguf, DuplicateTensorNames) {
  refuse(GgufWriter()
             .header(3, 2, 0)
             .tensor("a", {8}, 0, 0)
             .tensor("a", {8}, 0, 32)
             .pad(32)
             .raw(std::string(64, 'd'))
             .bytes(),
         {"tensor 'a' is there twice"});
}
// 40,000 keys of one hash value, 1.5 MB: minutes of comparisons for the largest allowed file.
constexpr size_t kCollidingCount = 40'000;

TEST(HostileGguf, KeysMadeToCollide) {
  GgufWriter writer;
  writer.header(3, 0, kCollidingCount + 1);
  for (const std::string& key : test::colliding_keys(kCollidingCount)) writer.entry(key, 1u);
  writer.entry(test::colliding_keys(kCollidingCount)[0], 2u);
  refuse(writer.bytes(), {"is there twice"});
}
TEST(HostileGguf, TensorNamesMadeToCollide) {
  GgufWriter writer;
  writer.header(3, kCollidingCount + 1, 0);
  uint64_t offset = 0;
  for (const std::string& key : test::colliding_keys(kCollidingCount)) {
    writer.tensor(key, {8}, 0, offset);
    offset += 32;
  }
  // The last one is good: the names are put into every table there is.
  writer.tensor("last", {8}, 0, offset).pad(32);
  const std::string bytes = writer.raw(std::string(offset + 32, 'd')).bytes();
  const TempDir dir;
  const std::string path = dir.write("x.gguf", bytes);
  expect_refused([&] { return open_model(path).status(); }, bytes.size(), kInvalid,
                 "x.gguf: ", {"'general.architecture' is missing"});
}
TEST(HostileGguf, AlignmentZero) {
  refuse(one_entry().entry("general.alignment", 0u).bytes(),
         {"'general.alignment' is 0", "expected 1..1048576"});
}
TEST(HostileGguf, AlignmentNoPowerOfTwo) {
  refuse(one_entry().entry("general.alignment", 24u).bytes(),
         {"general.alignment is 24", "expected a power of two"});
}
TEST(HostileGguf, AlignmentHuge) {
  refuse(one_entry().entry("general.alignment", 1u << 31).bytes(),
         {"'general.alignment' is 2147483648", "expected 1..1048576"});
}
TEST(HostileGguf, NoDimensions) {
  refuse(one_tensor({}, 0, 0), {"tensor 't' has 0 dimensions", "expected 1..4"});
}
TEST(HostileGguf, TooManyDimensions) {
  refuse(one_tensor({1, 1, 1, 1, 1}, 0, 0), {"tensor 't' has 5 dimensions", "expected 1..4"});
}
TEST(HostileGguf, ProductOfDimensions) {
  refuse(one_tensor({kHuge / 2, 4}, 0, 0), {"tensor 't' dimension 1 is 4", "less than 2^63"});
  refuse(one_tensor({kHuge}, 0, 0), {"tensor 't' dimension 0 is 9223372036854775808", "2^63"});
  refuse(one_tensor({0}, 0, 0), {"tensor 't' dimension 0 is 0", "expected at least 1"});
}
TEST(HostileGguf, RowsThatBlocksDoNotDivide) {
  refuse(one_tensor({33}, 2, 0), {"tensor 't' has rows of 33", "expected a multiple of 32"});
}
TEST(HostileGguf, RemovedOrUnknownType) {
  for (const uint32_t type : {4u, 5u, 31u, 36u, 77u, 0x80000000u}) {
    refuse(one_tensor({32}, type, 0), {"tensor 't' has the unknown type ", std::to_string(type)});
  }
}
// Types that ggml has and midge does not are no damage.
TEST(HostileGguf, TypesThatMidgeDoesNotHaveAreNamed) {
  for (const auto& [type, name] : {std::pair(39u, "MXFP4"), std::pair(40u, "NVFP4"),
                                   std::pair(41u, "Q1_0"), std::pair(42u, "Q2_0")}) {
    const TempDir dir;
    const auto source =
        WeightSource::open(dir.write("x.gguf", one_tensor({32}, type, 0)), FileAccess::kMap);
    ASSERT_TRUE(source.ok()) << source.status().message();
    EXPECT_EQ((*source)->tensors().front().type_name, std::string_view(name));
  }
}
TEST(HostileGguf, OffsetUnaligned) {
  refuse(one_tensor({8}, 0, 4), {"tensor 't' at data offset 4", "expected a multiple of 32"});
}
TEST(HostileGguf, OffsetBeyondTheEnd) {
  refuse(one_tensor({8}, 0, uint64_t{1} << 62),
         {"tensor 't' at data offset 4611686018427387904", "inside of the file of 128 bytes"});
  refuse(one_tensor({8}, 0, UINT64_MAX - 31), {"tensor 't'", "inside of the file of 128 bytes"});
}
TEST(HostileGguf, Overlap) {
  refuse(GgufWriter()
             .header(3, 2, 0)
             .tensor("a", {16}, 0, 0)
             .tensor("b", {16}, 0, 32)
             .pad(32)
             .raw(std::string(128, 'd'))
             .bytes(),
         {"tensors 'a' and 'b' overlap at offset"});
}
TEST(HostileGguf, DataTruncated) {
  refuse(one_tensor({17}, 0, 0),
         {"tensor 't' F32 [17] at offset 64 does not fit in the file of 128 bytes"});
}
TEST(HostileGguf, LongArrays) {
  // Accepted by the parser, refused where they would be read as a whole.
  GgufWriter writer;
  writer.header(3, 0, 3).entry("tokenizer.ggml.model", "gpt2").entry("tokenizer.ggml.pre", "dbrx");
  writer.array("tokenizer.ggml.tokens", GgufType::kString, 4'000'000);
  writer.raw(std::string(32'000'000, '\0'));
  const TempDir dir;
  const std::string path = dir.write("x.gguf", writer.bytes());
  expect_refused(
      [&] {
        const auto file = GgufFile::open(path);
        return file.ok() ? load_tokenizer_gguf(*file).status() : file.status();
      },
      writer.bytes().size(), kInvalid,
      "x.gguf: ", {"'tokenizer.ggml.tokens' has 4000000 elements", "expected at most 524288"});
}

TEST(HostileGguf, MetadataBeyondTheLimit) {
  // An array that nobody reads, of empty strings in a hole of 2 GB: seconds if it were walked.
  GgufWriter writer = one_entry();
  writer.array("a", GgufType::kString, (uint64_t{2} << 30) / 8);
  const TempDir dir;
  const std::string path = dir.write("x.gguf", writer.bytes());
  std::filesystem::resize_file(path, writer.bytes().size() + (uint64_t{2} << 30));
  expect_refused([&] { return GgufFile::open(path).status(); }, std::filesystem::file_size(path),
                 kInvalid, "x.gguf: ", {"metadata", "expected at most 67108864"});
}

// One part of a split file, with as many keys and tensors as are asked for. The type of the tensors
// is one that midge does not compute with, so nobody looks for their data.
std::string split_part(uint16_t number, uint16_t count, int32_t tensor_count, int keys,
                       int tensors) {
  GgufWriter writer;
  writer.header(3, static_cast<uint64_t>(tensors), static_cast<uint64_t>(keys) + 3);
  writer.key("split.no", GgufType::kU16).number(number);
  writer.key("split.count", GgufType::kU16).number(count);
  writer.key("split.tensors.count", GgufType::kI32).number(tensor_count);
  for (int i = 0; i < keys; ++i) writer.key(std::to_string(i), GgufType::kU8).number<uint8_t>(0);
  for (int i = 0; i < tensors; ++i) writer.tensor(std::to_string(i), {1}, 24, 0);
  return writer.raw(std::string(64, '\0')).bytes();
}

void refuse_parts(const std::vector<std::string>& parts, std::string_view file, Parts found) {
  const TempDir dir;
  uint64_t bytes = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    dir.write(format_string("m-%05zu-of-%05zu.gguf", i + 1, parts.size()), parts[i]);
    bytes += parts[i].size();
  }
  const std::string path = dir.file(format_string("m-00001-of-%05zu.gguf", parts.size()));
  expect_refused([&] { return WeightSource::open(path, FileAccess::kMap).status(); }, bytes,
                 kInvalid, file, found);
}

TEST(HostileGguf, PartsWithManyTensors) {
  std::vector<std::string> parts;
  for (uint16_t i = 0; i < 16; ++i) parts.push_back(split_part(i, 16, 16 * 65'000, 65'000, 65'000));
  refuse_parts(
      parts, "m-00001-of-00016.gguf: ", {"'split.tensors.count' is 1040000", "expected 0..65536"});
  // A first part that promises less.
  for (uint16_t i = 0; i < 16; ++i) parts[i] = split_part(i, 16, 65'536, 65'000, 65'000);
  refuse_parts(parts, "m-00002-of-00016.gguf: ", {"65000 tensors", "expected at most 536"});
}

TEST(HostileGguf, PartsWithManyKeys) {
  std::vector<std::string> parts;
  for (uint16_t i = 0; i < 32; ++i) parts.push_back(split_part(i, 32, 33, 65'000, 1));
  parts[31] = split_part(30, 32, 33, 65'000, 1);
  refuse_parts(parts, "m-00032-of-00032.gguf: ", {"'split.no' is 30", "expected 31"});
  // The metadata of all parts together is bounded as that of one file is.
  parts.assign(3, split_part(0, 3, 3, 0, 1));
  for (uint16_t i = 0; i < 3; ++i) {
    GgufWriter writer;
    writer.header(3, 0, 4);
    writer.key("split.no", GgufType::kU16).number(i);
    writer.key("split.count", GgufType::kU16).number<uint16_t>(3);
    writer.key("split.tensors.count", GgufType::kI32).number(0);
    parts[i] = writer.entry("x", std::string(30 << 20, '\0')).bytes();
  }
  refuse_parts(parts, "m-00003-of-00003.gguf: ", {"metadata", "expected at most 419"});
}

// Keys and tensors of a small model, to be damaged.
struct SmallModel {
  std::string architecture = "qwen2";
  uint32_t heads = 2;
  uint32_t layers = 1;
  float theta = 10000;
  std::vector<uint64_t> embedding = {8, 4};
  std::string wrong_key;  // written as a string
  int kind_of_integers = 0;

  // Integer keys as u32, u64, i32, u16: all occur.
  void integer(GgufWriter& writer, const std::string& name, uint32_t value) const {
    const std::string key = architecture + "." + name;
    if (name == wrong_key) {
      writer.entry(key, "eight");
    } else if (kind_of_integers == 1) {
      writer.key(key, GgufType::kU64).number<uint64_t>(value);
    } else if (kind_of_integers == 2) {
      writer.key(key, GgufType::kI32).number<int32_t>(static_cast<int32_t>(value));
    } else if (kind_of_integers == 3) {
      writer.key(key, GgufType::kU16).number<uint16_t>(static_cast<uint16_t>(value));
    } else {
      writer.entry(key, value);
    }
  }

  std::string bytes() const {
    struct Tensor {
      const char* name;
      std::vector<uint64_t> ne;
    };
    const std::vector<Tensor> tensors = {
        {"token_embd.weight", embedding},     {"output_norm.weight", {8}},
        {"blk.0.attn_norm.weight", {8}},      {"blk.0.ffn_norm.weight", {8}},
        {"blk.0.attn_q.weight", {8, 8}},      {"blk.0.attn_k.weight", {8, 8}},
        {"blk.0.attn_v.weight", {8, 8}},      {"blk.0.attn_q.bias", {8}},
        {"blk.0.attn_k.bias", {8}},           {"blk.0.attn_v.bias", {8}},
        {"blk.0.attn_output.weight", {8, 8}}, {"blk.0.ffn_gate.weight", {8, 8}},
        {"blk.0.ffn_up.weight", {8, 8}},      {"blk.0.ffn_down.weight", {8, 8}}};
    GgufWriter writer;
    writer.header(3, tensors.size(), 9).entry("general.architecture", architecture);
    integer(writer, "embedding_length", 8);
    integer(writer, "block_count", layers);
    integer(writer, "feed_forward_length", 8);
    integer(writer, "attention.head_count", heads);
    integer(writer, "attention.head_count_kv", heads);
    integer(writer, "context_length", 32);
    writer.entry(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
    writer.entry(architecture + ".rope.freq_base", theta);
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
      writer.tensor(tensor.name, tensor.ne, 0, offset);
      uint64_t count = 1;
      for (const uint64_t dim : tensor.ne) count *= dim;
      offset += (count * 4 + 31) / 32 * 32;
    }
    return writer.pad(32).raw(std::string(offset, '\0')).bytes();
  }
};

void refuse_model(const std::string& bytes, StatusCode code, Parts parts) {
  const TempDir dir;
  const std::string path = dir.write("x.gguf", bytes);
  expect_refused([&] { return open_model(path).status(); }, bytes.size(), code, "x.gguf: ", parts);
}

TEST(HostileGguf, IntegerKeysOfAnyTypeAreAccepted) {
  for (int kind = 0; kind < 4; ++kind) {
    SmallModel model;
    model.kind_of_integers = kind;
    const TempDir dir;
    MIDGE_ASSERT_OK(open_model(dir.write("x.gguf", model.bytes())));
  }
}
TEST(HostileGguf, KeyOfTheWrongType) {
  SmallModel model;
  model.wrong_key = "embedding_length";
  refuse_model(model.bytes(), kInvalid,
               {"'qwen2.embedding_length' is string", "expected an integer"});
}
TEST(HostileGguf, AbsurdArchitectureKeys) {
  SmallModel model;
  model.layers = 4'000'000'000u;
  refuse_model(model.bytes(), kInvalid, {"'qwen2.block_count' is 4000000000", "expected 1..1024"});
  model = SmallModel();
  model.heads = 0;
  refuse_model(model.bytes(), kInvalid, {"'qwen2.attention.head_count' is 0", "expected 1..1024"});
  model = SmallModel();
  model.theta = -1;
  refuse_model(model.bytes(), kMismatch, {"rope theta is -1", "expected at least 1"});
  model = SmallModel();
  model.architecture = "bert";
  refuse_model(model.bytes(), kUnsupported, {"architecture 'bert'", "expected one of: phi3"});
}
TEST(HostileGguf, ShapesAgainstKeys) {
  SmallModel model;
  model.embedding = {16, 4};
  refuse_model(model.bytes(), kMismatch,
               {"'token_embd.weight' is [4, 16]", "expected [4, 8] by the config"});
}
TEST(HostileGguf, RopeFactorsOfTheWrongLength) {
  GgufWriter writer;
  writer.header(3, 3, 9).entry("general.architecture", "phi3");
  writer.entry("phi3.embedding_length", 8u).entry("phi3.block_count", 1u);
  writer.entry("phi3.feed_forward_length", 8u).entry("phi3.attention.head_count", 1u);
  writer.entry("phi3.context_length", 32u).entry("phi3.rope.dimension_count", 8u);
  writer.entry("phi3.attention.layer_norm_rms_epsilon", 1e-5f);
  writer.entry("phi3.rope.scaling.original_context_length", 16u);
  writer.tensor("token_embd.weight", {8, 4}, 0, 0).tensor("rope_factors_long.weight", {3}, 0, 128);
  writer.tensor("rope_factors_short.weight", {4}, 0, 160).pad(32).raw(std::string(192, '\0'));
  refuse_model(writer.bytes(), kMismatch,
               {"'rope_factors_long.weight' is [3]", "expected [4] by the config"});
}

// A vocabulary of the 256 bytes and a few words, to be damaged.
struct SmallVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<std::string> merges = {"h e", "l l"};
  uint32_t eos = 0;
  std::string chat_template = "x";

  SmallVocabulary() {
    for (int byte = 0; byte < 256; ++byte) {
      append_utf8(alphabet_code_point(static_cast<uint8_t>(byte)), &tokens.emplace_back());
    }
    tokens.insert(tokens.end(), {"he", "ll"});
    types.assign(tokens.size(), 1);
  }

  std::string bytes() const {
    GgufWriter writer;
    writer.header(3, 0, 7);
    writer.entry("tokenizer.ggml.model", "gpt2").entry("tokenizer.ggml.pre", "dbrx");
    writer.strings("tokenizer.ggml.tokens", tokens);
    writer.array("tokenizer.ggml.token_type", GgufType::kI32, types.size());
    for (const int32_t type : types) writer.number(type);
    writer.strings("tokenizer.ggml.merges", merges);
    writer.entry("tokenizer.ggml.eos_token_id", eos);
    return writer.entry("tokenizer.chat_template", chat_template).bytes();
  }

  static Result<Tokenizer> open(const std::string& path) {
    const auto file = GgufFile::open(path);
    return file.ok() ? load_tokenizer_gguf(*file) : Result<Tokenizer>(file.status());
  }

  Result<Tokenizer> load() const {
    const TempDir dir;
    return open(dir.write("x.gguf", bytes()));
  }

  void refuse(Parts parts) const {
    const TempDir dir;
    const std::string path = dir.write("x.gguf", bytes());
    expect_refused([&] { return open(path).status(); }, std::filesystem::file_size(path), kInvalid,
                   "x.gguf: ", parts);
  }
};

// A vocabulary whose last entry is a string of 60 MB in a hole.
void refuse_long_string(GgufWriter writer, std::string_view item) {
  constexpr uint64_t kLength = 60'000'000;
  writer.number(kLength);
  const TempDir dir;
  const std::string path = dir.write("x.gguf", writer.bytes());
  std::filesystem::resize_file(path, writer.bytes().size() + kLength);
  expect_refused([&] { return SmallVocabulary::open(path).status(); },
                 writer.bytes().size() + kLength, kInvalid,
                 "x.gguf: ", {item, "60000000 bytes", "expected at most "});
}

TEST(HostileGguf, LongStrings) {
  // Each would be copied twice or three times before another check refuses it.
  const SmallVocabulary small;
  const auto entries = [](const char* model, uint64_t count) {
    GgufWriter writer;
    writer.header(3, 0, count).entry("tokenizer.ggml.model", model);
    return writer.entry("tokenizer.ggml.pre", "dbrx");
  };
  const auto one = [](GgufWriter& writer, const char* key, GgufType type, uint32_t value) {
    writer.array(key, type, 1).number(value);
  };
  GgufWriter writer = entries("gpt2", 6).strings("tokenizer.ggml.tokens", small.tokens);
  writer.strings("tokenizer.ggml.merges", small.merges);
  writer.entry("tokenizer.ggml.eos_token_id", 0u).key("tokenizer.chat_template", GgufType::kString);
  refuse_long_string(writer, "'tokenizer.chat_template'");
  writer = entries("gpt2", 5).strings("tokenizer.ggml.merges", small.merges);
  one(writer, "tokenizer.ggml.token_type", GgufType::kI32, 3);
  refuse_long_string(writer.array("tokenizer.ggml.tokens", GgufType::kString, 1),
                     "'tokenizer.ggml.tokens'");
  writer = entries("llama", 5);
  one(writer, "tokenizer.ggml.token_type", GgufType::kI32, 1);
  one(writer, "tokenizer.ggml.scores", GgufType::kF32, 0);
  refuse_long_string(writer.array("tokenizer.ggml.tokens", GgufType::kString, 1),
                     "'tokenizer.ggml.tokens'");
  writer = entries("gpt2", 4).strings("tokenizer.ggml.tokens", small.tokens);
  refuse_long_string(writer.array("tokenizer.ggml.merges", GgufType::kString, 1),
                     "'tokenizer.ggml.merges'");
  refuse_long_string(one_entry().key("tokenizer.ggml.model", GgufType::kString),
                     "'tokenizer.ggml.model'");
}

TEST(HostileGguf, LongArchitecture) {
  GgufWriter writer = one_entry().key("general.architecture", GgufType::kString);
  writer.number<uint64_t>(60'000'000);
  const TempDir dir;
  const std::string path = dir.write("x.gguf", writer.bytes());
  std::filesystem::resize_file(path, writer.bytes().size() + 60'000'000);
  expect_refused([&] { return open_model(path).status(); }, writer.bytes().size(), kInvalid,
                 "x.gguf: ", {"'general.architecture'", "60000000 bytes", "expected at most 4096"});
}

TEST(HostileGguf, ManyLongTokens) {
  // A letter has no token, which shows when all are there.
  SmallVocabulary vocabulary;
  vocabulary.tokens[0x61] = "xy";
  const auto fill = [&](int count) {
    for (int i = 0; i < count; ++i) {
      vocabulary.tokens.push_back(format_string("%06d", i) + std::string(65'500, 'a'));
    }
    vocabulary.types.assign(vocabulary.tokens.size(), 1);
  };
  fill(500);
  vocabulary.refuse({"has no token"});
  fill(500);
  vocabulary.refuse({"tokens have more than 33554432 bytes together"});
}

TEST(HostileGguf, TypesOfAnotherLengthThanTokens) {
  SmallVocabulary vocabulary;
  vocabulary.types.pop_back();
  vocabulary.refuse({"257 token types", "expected 258"});
}
TEST(HostileGguf, SpecialIdsBeyondTheVocabulary) {
  SmallVocabulary vocabulary;
  vocabulary.eos = 258;
  vocabulary.refuse({"end token id 258", "has no token"});
  vocabulary.eos = 0xFFFFFFFF;
  vocabulary.refuse({"'tokenizer.ggml.eos_token_id' is 4294967295", "expected 0..4194303"});
}
TEST(HostileGguf, MergesOfUnknownTokens) {
  SmallVocabulary vocabulary;
  vocabulary.merges = {"h e", "xy z"};
  vocabulary.refuse({"merge 1 'xy z'", "not in the vocabulary"});
}
TEST(HostileGguf, MergesWithoutASpace) {
  SmallVocabulary vocabulary;
  vocabulary.merges = {"he"};
  vocabulary.refuse({"merge 0 'he' is not two parts"});
}
TEST(HostileGguf, EmptyTokens) {
  SmallVocabulary vocabulary;
  vocabulary.tokens[257].clear();
  vocabulary.refuse({"token id 257 is empty"});
}
TEST(HostileGguf, ManyTokensAndMerges) {
  // As many as the limit allows, and wrong at the very end. Word "w123" is "w12" and "3".
  SmallVocabulary vocabulary;
  for (int i = 0; vocabulary.tokens.size() < kGgufArrayCountMax; ++i) {
    const std::string word = "w" + std::to_string(i);
    const size_t last = word.size() - 1;
    vocabulary.tokens.push_back(word);
    vocabulary.merges.push_back(word.substr(0, last) + " " + word.substr(last));
  }
  vocabulary.types.assign(vocabulary.tokens.size(), 1);
  vocabulary.merges.push_back("w0 ~");
  vocabulary.refuse({"merge 524032 'w0 ~'", "its result is not in the vocabulary"});
}
TEST(HostileGguf, VeryLongPieces) {
  // One piece of a million letters that merge pairwise: a quadratic merger would take hours.
  const auto tokenizer = SmallVocabulary().load();
  MIDGE_ASSERT_OK(tokenizer);
  const std::string text(1'000'000, 'l');
  const auto start = std::chrono::steady_clock::now();
  std::vector<int32_t> ids;
  MIDGE_ASSERT_OK(tokenizer->encode(text, SpecialTokens::kParse, &ids));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(ids.size(), text.size() / 2);
  EXPECT_LT(seconds.count(), 30) << "far above what linear work takes under any emulator";
}
TEST(HostileGguf, TemplatesAreNeverRun) {
  SmallVocabulary vocabulary;
  vocabulary.chat_template =
      "{% for a in range(999999999) %}{% for b in range(999999999) %}"
      "{{ ''.__class__.__mro__ }}{% endfor %}{% endfor %}";
  const auto tokenizer = vocabulary.load();
  MIDGE_ASSERT_OK(tokenizer);
  const Status status = detect_chat_template(tokenizer->chat_template()).status();
  EXPECT_EQ(status.code(), kUnsupported);
  EXPECT_NE(status.message().find("known: "), std::string::npos) << status.message();
}

}  // namespace
}  // namespace midge
