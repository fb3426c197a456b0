#include "golden.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <gtest/gtest.h>

#include "engine/core/mapped_file.h"
#include "engine/formats/json.h"
#include "engine/packed/packed_tokenizer.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

const std::string kData = MIDGE_TEST_DATA "/tokenizer";

std::vector<std::string> strings_of(const JsonObject& root, std::string_view key) {
  std::vector<std::string> strings;
  const auto array = root.array(key);
  EXPECT_TRUE(array.ok());
  if (!array.ok()) return strings;
  for (const simdjson::dom::element element : *array) {
    std::string_view text;
    EXPECT_EQ(element.get_string().get(text), simdjson::SUCCESS);
    strings.emplace_back(text);
  }
  return strings;
}

bool is_plain(const Tokenizer& tokenizer, int32_t id) {
  const TokenKind kind = tokenizer.token_kind(id);
  return kind == TokenKind::kNormal || kind == TokenKind::kByte;
}

// The ids of every string against the goldens of `golden`.
void compare_ids(const Tokenizer& tokenizer, const std::string& golden, const std::string& name) {
  const GoldenStrings strings = load_golden_strings();
  const std::vector<Ids> expected = load_golden_ids(golden);
  ASSERT_EQ(expected.size(), strings.plain.size() + 2 * strings.special.size());
  IdComparison comparison;
  size_t next = 0;
  for (const std::string& text : strings.plain) {
    const Ids& ids = expected[next++];
    comparison.expect(text, ids_of(tokenizer, text, SpecialTokens::kParse), ids);
    comparison.expect(text, ids_of(tokenizer, text, SpecialTokens::kAsText), ids);
  }
  for (const SpecialTokens special : {SpecialTokens::kParse, SpecialTokens::kAsText}) {
    for (const std::string& text : strings.special) {
      comparison.expect(text, ids_of(tokenizer, text, special), expected[next++]);
    }
  }
  std::printf("%s: %d of %d comparisons differ\n", name.c_str(), comparison.different,
              comparison.compared);
  EXPECT_EQ(comparison.different, 0);
}

}  // namespace

GoldenStrings load_golden_strings() {
  GoldenStrings strings;
  const auto document = JsonDocument::load(kData + "/strings.json", 1 << 24);
  EXPECT_TRUE(document.ok()) << document.status().message();
  if (!document.ok()) return strings;
  const auto root = document->root();
  strings.plain = strings_of(*root, "plain");
  strings.special = strings_of(*root, "special");
  EXPECT_GE(strings.plain.size(), 5000U);
  return strings;
}

std::vector<Ids> load_golden_ids(const std::string& name) {
  std::vector<Ids> lists;
  const auto data = read_small_file(kData + "/ids_" + name + ".bin", 1 << 24);
  EXPECT_TRUE(data.ok()) << data.status().message();
  if (!data.ok()) return lists;
  size_t position = 0;
  const auto next = [&]() {
    uint32_t value = 0;
    for (uint32_t shift = 0; position < data->size(); shift += 7) {
      const auto byte = static_cast<uint8_t>((*data)[position++]);
      value |= (byte & 0x7FU) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (position < data->size()) {
    lists.emplace_back(next());
    for (int32_t& id : lists.back()) id = static_cast<int32_t>(next());
  }
  return lists;
}

void IdComparison::expect(const std::string& text, const Ids& found, const Ids& expected) {
  ++compared;
  if (found == expected) return;
  if (++different <= 5) {
    ADD_FAILURE() << "'" << printable(text, 300) << "'\n  ids      "
                  << testing::PrintToString(found) << "\n  expected "
                  << testing::PrintToString(expected);
  }
}

Tokenizer from_packed_tables(const Tokenizer& tokenizer) {
  const auto section = write_packed_tokenizer(tokenizer);
  EXPECT_TRUE(section.ok()) << section.status().message();
  // In memory that is aligned as a section is.
  const auto bytes =
      std::make_shared<std::vector<MergeSlot>>(section->size() / sizeof(MergeSlot) + 1);
  std::memcpy(bytes->data(), section->data(), section->size());
  auto packed = read_packed_tokenizer(
      "packed", {reinterpret_cast<const uint8_t*>(bytes->data()), section->size()}, bytes);
  EXPECT_TRUE(packed.ok()) << packed.status().message();
  return *std::move(packed);
}

void compare_with_goldens(const Tokenizer& tokenizer, const std::string& name) {
  compare_ids(tokenizer, name, name);
  compare_ids(from_packed_tables(tokenizer), name, name + ", packed");
}

void expect_no_smuggling(const Tokenizer& tokenizer) {
  std::string all;
  for (const AddedToken& token : tokenizer.added_tokens()) {
    for (const std::string& text :
         {token.content, "a" + token.content + "b", token.content + " "}) {
      for (const int32_t id : ids_of(tokenizer, text, SpecialTokens::kAsText)) {
        ASSERT_TRUE(is_plain(tokenizer, id)) << text;
      }
    }
    all += token.content;
  }
  for (const int32_t id : ids_of(tokenizer, all, SpecialTokens::kAsText)) {
    ASSERT_TRUE(is_plain(tokenizer, id)) << id;
  }
}

void compare_with_llama_cpp(const Tokenizer& tokenizer, const std::string& name) {
  const std::string path = kData + "/ggml-vocab-" + name + ".gguf";
  const auto input = read_small_file(path + ".inp", 1 << 20);
  const auto output = read_small_file(path + ".out", 1 << 20);
  ASSERT_TRUE(input.ok() && output.ok());
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  IdComparison comparison;
  size_t begin = 0;
  const char* ids = output->c_str();
  while (begin < input->size()) {
    const size_t end = std::min(input->find(kSeparator, begin), input->size());
    const std::string text = input->substr(begin, end - begin);
    begin = end + kSeparator.size();
    Ids expected;
    while (*ids != '\n' && *ids != '\0') {
      char* after = nullptr;
      const long id = std::strtol(ids, &after, 10);
      if (after == ids) break;
      expected.push_back(static_cast<int32_t>(id));
      ids = after;
      while (*ids == ' ') ++ids;
    }
    if (*ids == '\n') ++ids;
    comparison.expect(text, ids_of(tokenizer, text), expected);
  }
  EXPECT_GE(comparison.compared, 40);
  EXPECT_EQ(comparison.different, 0);
}

}  // namespace midge
