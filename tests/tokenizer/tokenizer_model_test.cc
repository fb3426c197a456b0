// tokenizer.model files: what is read, what is refused before the library sees it.
#include "engine/tokenizer_files/tokenizer_model.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/core/mapped_file.h"
#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/tokenizer_files/sentencepiece_model.h"
#include "engine/tokenizer_files/tokenizer_directory.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

const std::string kSmall = MIDGE_TEST_DATA "/tokenizer/sentencepiece";
constexpr const char* kNoLibrary = "this build has no libsentencepiece (MIDGE_WITH_SENTENCEPIECE)";

std::string small_model() {
  const auto model = read_small_file(kSmall + "/tokenizer.model", kTokenizerModelBytesMax);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? *model : std::string();
}

// Fields of a protobuf message; sizes stay below 128.
std::string bytes_field(int number, const std::string& bytes) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  field += static_cast<char>(bytes.size());
  return field + bytes;
}
std::string score_field(float score) {
  std::string field(1, 2 << 3 | 5);
  return field.append(reinterpret_cast<const char*>(&score), sizeof(score));
}
const std::string kBpe = std::string("\x12\x05\x18\x02\x98\x02\x01", 7);  // type 2, byte_fallback

Status refusal(const std::string& model) { return parse_sentencepiece_model("m", model).status(); }

TEST(SentencepieceModel, ReadsPiecesAndSettings) {
  const std::string bytes = small_model();
  const auto model = parse_sentencepiece_model("m", bytes);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->pieces.size(), 1400U);
  EXPECT_EQ(model->pieces[0].text, "<unk>");
  EXPECT_EQ(model->pieces[0].type, PieceType::kUnknown);
  EXPECT_EQ(model->pieces[1].type, PieceType::kControl);
  EXPECT_EQ(model->pieces[3].text, "<0x00>");
  EXPECT_EQ(model->pieces[3].type, PieceType::kByte);
  EXPECT_EQ(model->pieces[259].type, PieceType::kNormal);
  EXPECT_TRUE(model->space_prefix);
  const auto without = parse_sentencepiece_model("m", bytes + std::string("\x1A\x02\x18\0", 4));
  ASSERT_TRUE(without.ok()) << without.status().message();
  EXPECT_FALSE(without->space_prefix);
}

TEST(SentencepieceModel, RefusesByName) {
  struct Case {
    std::string model;
    StatusCode code;
    std::string message;
  };
  const std::string table = bytes_field(2, "table");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Case cases[] = {
      {"", StatusCode::kUnsupported, "m: is of another type, expected byte pair encoding"},
      {std::string("\x12\x02\x18\x01", 4), StatusCode::kUnsupported, "m: is of another type"},
      {std::string("\x12\x02\x18\x02", 4), StatusCode::kUnsupported, "m: has no byte tokens"},
      {kBpe + bytes_field(3, table), StatusCode::kUnsupported, "m: has a normaliser's table"},
      {kBpe + bytes_field(5, table), StatusCode::kUnsupported, "m: has a normaliser's table"},
      {kBpe + bytes_field(3, std::string("\x28\0", 2)), StatusCode::kUnsupported,
       "m: writes spaces as they are"},
      {kBpe + bytes_field(2, "\xC0\x01\x01"), StatusCode::kUnsupported, "m: puts spaces behind"},
      {kBpe + bytes_field(1, bytes_field(1, "<x>") + "\x18\x04"), StatusCode::kUnsupported,
       "m: piece 0 '<x>' is user-defined"},
      {kBpe + bytes_field(1, bytes_field(1, "x") + "\x18\x07"), StatusCode::kInvalidFile,
       "m: piece 0 'x' has type 7, expected 1 .. 6"},
      {kBpe + bytes_field(1, bytes_field(1, "x") + score_field(nan)), StatusCode::kInvalidFile,
       "m: piece 0 'x' has score nan, expected a number"},
      {kBpe + "\x0A\x05x", StatusCode::kInvalidFile, "m: the model is truncated"},
      {kBpe + bytes_field(1, "\x0A\x05x"), StatusCode::kInvalidFile, "m: piece 0 is truncated"},
      {kBpe + "\x0B", StatusCode::kInvalidFile, "m: the model is truncated or not a protobuf"},
      {std::string(11, '\xFF'), StatusCode::kInvalidFile, "m: the model is truncated"},
      {std::string("\0\0", 2), StatusCode::kInvalidFile, "m: the model is truncated"},
  };
  for (const Case& expected : cases) {
    const Status status = refusal(expected.model);
    EXPECT_EQ(status.code(), expected.code) << expected.message;
    EXPECT_EQ(status.message().find(expected.message), 0U) << status.message();
  }
  std::string many = kBpe;
  for (size_t i = 0; i <= kSentencepiecesMax; ++i) many += std::string("\x0A\0", 2);
  EXPECT_EQ(refusal(many).message(), "m: more than 524288 pieces");
}

TEST(TokenizerModel, WithoutTheLibraryTheErrorSaysWhatToDo) {
  const auto tokenizer = load_tokenizer_model(kSmall);
  EXPECT_EQ(tokenizer.ok(), has_sentencepiece_library()) << tokenizer.status().message();
  if (tokenizer.ok()) return;
  EXPECT_EQ(tokenizer.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(tokenizer.status().message().find("install libsentencepiece-dev and configure with "
                                              "MIDGE_WITH_SENTENCEPIECE=ON"),
            std::string::npos);
}

TEST(TokenizerModel, AddedTokensWithoutAConfiguration) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  const std::string model = small_model();
  TokenizerModelFiles files;
  files.name = "m";
  files.model = model;
  files.added_name = "a.json";
  files.added = R"({"<|end|>":1400,"</s>":2})";
  files.chat_template = "template";
  const auto tokenizer = parse_tokenizer_model(files);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "<|end|></s>"), (Ids{1400, 2}));
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_TRUE(tokenizer->add_bos());
  EXPECT_EQ(tokenizer->chat_template(), "template");

  const auto refused = [&files](const char* added) {
    files.added = added;
    return parse_tokenizer_model(files).status().message();
  };
  EXPECT_EQ(refused(R"({"<|end|>":-1})"),
            "a.json: the id of token '<|end|>' is not an integer in 0..4194303");
  EXPECT_EQ(refused(R"({"<|end|>":"x"})"),
            "a.json: the id of token '<|end|>' is not an integer in 0..4194303");
  EXPECT_EQ(refused(R"({"<|end|>":2})"), "m: token id 2 is both '</s>' and '<|end|>'");
  EXPECT_EQ(refused(R"({"":1400})"), "a.json: added token 1400 is empty");
}

// What a packed file has is the tokenizer with a hash of its own: without the library.
TEST(TokenizerModel, RemovesExtraSpacesWithAndWithoutTheLibrary) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  const std::string model = small_model();
  for (const char removes : {'\0', '\1'}) {
    // Field 4 of a normaliser, which counts beside the one that is there.
    const std::string changed = model + std::string("\x1A\x02\x20", 3) + removes;
    TokenizerModelFiles files;
    files.name = "m";
    files.model = changed;
    const auto tokenizer = parse_tokenizer_model(files);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    const auto packed = tokenizer->with_hash(SeededHash());
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    for (const char* text : {"  the   the  end ", "the the", " ", "", "end  "}) {
      EXPECT_EQ(ids_of(*packed, text), ids_of(*tokenizer, text)) << '"' << text << '"';
    }
    EXPECT_EQ(ids_of(*tokenizer, "the  the").size() == ids_of(*tokenizer, "the the").size(),
              removes != '\0');
  }
}

// Pieces that the library takes apart again: merges cannot.
TEST(TokenizerModel, UnusedPiecesHaveNoPlaceInAPackedFile) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  const std::string model = small_model() + bytes_field(1, bytes_field(1, "zzz") + "\x18\x05");
  TokenizerModelFiles files;
  files.name = "m";
  files.model = model;
  const auto tokenizer = parse_tokenizer_model(files);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const Status status = tokenizer->with_hash(SeededHash()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported) << status.message();
}

TEST(TokenizerModel, BosAndEosThatAreNotThereAreRefused) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  const std::string model = small_model();
  TokenizerModelFiles files;
  files.name = "m";
  files.model = model;
  files.config_name = "c.json";
  for (const char* key : {"bos_token", "eos_token"}) {
    const std::string config = std::string("{\"") + key + "\":\"<nope>\"}";
    files.config = config;
    EXPECT_EQ(parse_tokenizer_model(files).status().message(),
              std::string("c.json: '") + key + "' is '<nope>', which is not in the vocabulary");
  }
}

TEST(TokenizerModel, ADirectoryWithBothPrefersTokenizerJson) {
  const std::string directory =
      testing::TempDir() + "/tokenizer_model_test_" + std::to_string(::getpid());
  std::filesystem::create_directories(directory);
  EXPECT_EQ(load_tokenizer_directory(directory).status().message(),
            directory + ": has neither tokenizer.json nor tokenizer.model");
  std::filesystem::copy(kSmall + "/tokenizer.model", directory);
  EXPECT_EQ(load_tokenizer_directory(directory).ok(), has_sentencepiece_library());
  std::ofstream(directory + "/tokenizer.json") << "{}";
  const Status status = load_tokenizer_directory(directory).status();
  EXPECT_NE(status.message().find("tokenizer.json"), std::string::npos) << status.message();
  std::filesystem::remove_all(directory);
}

// Every truncation and many random changes: an error or a tokenizer, never a crash.
TEST(TokenizerModel, DamagedModels) {
  constexpr uint64_t kSeed = 11;
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  std::mt19937_64 random(kSeed);
  const std::string model = small_model();
  TokenizerModelFiles files;
  files.name = "m";
  int accepted = 0;
  const auto load = [&](const std::string& damaged) {
    files.model = damaged;
    const auto tokenizer = parse_tokenizer_model(files);
    if (!tokenizer.ok()) return;
    ++accepted;
    for (const int32_t id : ids_of(*tokenizer, "The snake_case is on the table. \xFF")) {
      EXPECT_TRUE(tokenizer->has_token(id));
    }
  };
  for (size_t size = 0; size < model.size(); size += 97) load(model.substr(0, size));
  EXPECT_EQ(accepted, 0);  // the settings come last
  for (int round = 0; round < 300; ++round) {
    std::string damaged = model;
    for (uint64_t i = 0; i <= random() % 4; ++i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    load(damaged);
  }
  std::printf("%d of 300 changed models were accepted\n", accepted);
}

}  // namespace
}  // namespace midge
