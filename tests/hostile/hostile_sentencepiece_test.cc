// Hostile tokenizer.model files, one test for each item of docs/hostile-input.md.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <unordered_set>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/tokenizer_files/sentencepiece_model.h"
#include "engine/tokenizer_files/tokenizer_model.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::expect_refused;
using test::TempDir;

using Parts = std::initializer_list<std::string_view>;

const std::string kSmall = MIDGE_TEST_DATA "/tokenizer/sentencepiece";

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

// A field of bytes of a protobuf message.
std::string field(uint64_t number, std::string_view bytes) {
  std::string message = varint(number << 3 | 2) + varint(bytes.size());
  return message.append(bytes);
}

std::string piece(std::string_view text) { return field(1, field(1, text)); }

std::string small_model() { return test::read_bytes(kSmall + "/tokenizer.model"); }

// "p0", "p1" …
std::string numbered_pieces(size_t count) {
  std::string pieces;
  for (size_t i = 0; i < count; ++i) pieces += piece(std::string("p").append(std::to_string(i)));
  return pieces;
}

size_t normal_pieces_of_the_small_model() {
  const std::string bytes = small_model();
  const auto model = parse_sentencepiece_model("tokenizer.model", bytes);
  EXPECT_TRUE(model.ok());
  return static_cast<size_t>(
      std::count_if(model->pieces.begin(), model->pieces.end(), [](const auto& entry) {
        return entry.type == PieceType::kNormal || entry.type == PieceType::kUnused;
      }));
}

// What fd 2 is given meanwhile.
std::string errors_of(const std::function<void()>& run) {
  std::FILE* file = std::tmpfile();
  std::fflush(stderr);
  const int kept = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  run();
  std::fflush(stderr);
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

// Refuses the config beside the model, and so shows what loading the model costs by then.
void refuse_config_of(const std::string& model) {
  if (!has_sentencepiece_library()) return;  // which is said first
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  files.config_name = "tokenizer_config.json";
  files.config = R"({"added_tokens_decoder":{"x":{}}})";
  expect_refused([&] { return parse_tokenizer_model(files).status(); }, model.size(),
                 StatusCode::kInvalidFile,
                 "tokenizer_config.json: ", {"added_tokens_decoder x is not an id"});
}

// Whatever comes of it, in a second.
Status load_in_a_second(const std::string& model) {
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  const std::clock_t start = std::clock();
  const Status status = parse_tokenizer_model(files).status();
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("[ load     ] %.0f ms: %s\n", seconds * 1e3, status.message().c_str());
  EXPECT_LE(seconds, test::judges_cost() ? test::kRefusalSecondsMax : 100.0);
  return status;
}

TEST(HostileSentencepiece, SelfTestsAreNotRun) {
  // Samples that the library would encode when it loads the model, each with a wrong result that it
  // would print: 14 MB.
  std::string samples;
  const std::string sample =
      field(1, field(1, std::string(60'000, 'a')) + field(2, "\x1B]0;title\x07"));
  while (samples.size() < (14 << 20)) samples += sample;
  const std::string model = small_model() + field(4, samples);
  refuse_config_of(model);
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  EXPECT_TRUE(load_in_a_second(model).ok());
  // Nor do they change what is loaded, and nothing is logged.
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  const std::string one = small_model() + field(4, sample);
  files.model = one;
  EXPECT_EQ(errors_of([&] {
              const auto tokenizer = parse_tokenizer_model(files);
              MIDGE_ASSERT_OK(tokenizer);
              std::vector<int32_t> ids;
              EXPECT_TRUE(tokenizer->encode("some text", SpecialTokens::kAsText, &ids).ok());
              EXPECT_FALSE(ids.empty());
            }),
            "");
}

TEST(HostileSentencepiece, RefusalsByTheLibraryAreNotLogged) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  const std::string model = small_model() + piece("\x1B]0;title\x07") + piece("\x1B]0;title\x07");
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  EXPECT_EQ(errors_of([&] { EXPECT_FALSE(parse_tokenizer_model(files).ok()); }), "");
}

TEST(HostileSentencepiece, ControlPieceThatTextBecomes) {
  // The library makes it of a letter that has no other piece, and then fails for every such text.
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  for (const std::string_view letter : {"\x01", "\xE1\x9A\xA0", "\xE1\x9A\xA0\xE1\x9A\xA0"}) {
    std::string model = small_model();
    model += field(1, field(1, letter) + "\x18\x03");
    TokenizerModelFiles files;
    files.name = "tokenizer.model";
    files.model = model;
    const auto tokenizer = parse_tokenizer_model(files);
    if (letter.size() <= 3) {
      EXPECT_EQ(tokenizer.status().code(), StatusCode::kInvalidFile) << letter;
      EXPECT_NE(tokenizer.status().message().find("is one character"), std::string::npos)
          << tokenizer.status().message();
    } else {
      EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    }
  }
}

TEST(HostileSentencepiece, PiecesMadeToCollide) {
  // The library's tables use the standard library's hash.
  std::string model = small_model();
  for (const std::string& key : test::colliding_keys(40'000)) {
    if (key.find(' ') == std::string::npos) model += piece(key);
  }
  refuse_config_of(model);
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  expect_refused([&] { return parse_tokenizer_model(files).status(); }, model.size(),
                 StatusCode::kInvalidFile, "tokenizer.model: ", {"pieces", "made to collide"});
}

// Pieces of one bucket of a table of `bucket_count`, and of many of any smaller table.
std::string pieces_of_one_bucket(size_t count, uint64_t bucket_count) {
  std::string pieces;
  for (const std::string& key : test::keys_of_one_bucket(count, bucket_count)) pieces += piece(key);
  return pieces;
}

void refuse_flooding(const std::string& model) {
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  expect_refused([&] { return parse_tokenizer_model(files).status(); }, model.size(),
                 StatusCode::kInvalidFile, "tokenizer.model: ", {"pieces", "made to collide"});
}

TEST(HostileSentencepiece, PiecesThatCollideInTheLastTable) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  // Tables of the standard library grow from 172,933 buckets to 351,061. A bucket that is filled
  // by this is never inserted into again.
  const size_t count = 172'933;
  refuse_flooding(pieces_of_one_bucket(count - 20, 351'061) + small_model());
  // Newer libraries ask for as many buckets as there are pieces.
  std::unordered_set<int> reserved;
  reserved.reserve(count);
  refuse_flooding(small_model() + pieces_of_one_bucket(20'000, reserved.bucket_count()) +
                  numbered_pieces(count - 20'000 - normal_pieces_of_the_small_model()));
}

TEST(HostileSentencepiece, UnusedPiecesThatCollide) {
  // The library collects the unused pieces of a text in a table of their own.
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  // Far more pieces hide that from the table of all.
  std::string model = small_model() + numbered_pieces(15'000);
  for (const std::string& key : test::keys_of_one_bucket(4000, 5087)) {
    model += field(1, field(1, key) + varint(3 << 3) + varint(5));
  }
  refuse_flooding(model);
}

TEST(HostileSentencepiece, LongPieces) {
  // "a", "aa", "aaa" …: each step of a text of "a" would hash the whole piece again.
  std::string model = small_model();
  for (size_t i = 2; i <= 513; ++i) model += piece(std::string(i, 'a'));
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  expect_refused([&] { return parse_tokenizer_model(files).status(); }, model.size(),
                 StatusCode::kInvalidFile,
                 "tokenizer.model: ", {"piece ", "has 513 bytes", "the limit is 512"});
}

TEST(HostileSentencepiece, AsManyPiecesAsAreAllowed) {
  std::string model = small_model();
  model += numbered_pieces(500'000);
  refuse_config_of(model);
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = model;
  MIDGE_ASSERT_OK(parse_tokenizer_model(files));
}

}  // namespace
}  // namespace midge
