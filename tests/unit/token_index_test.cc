// The search for what came after the same tokens, against one that looks everywhere.
#include "engine/speculation/token_index.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace midge {
namespace {

using Tokens = std::vector<int32_t>;

Tokens continuation(const TokenIndex& index, const Tokens& tokens, size_t most, int* length) {
  Tokens found(most);
  const TokenIndex::Match match = index.find(tokens, found);
  *length = match.length;
  found.resize(static_cast<size_t>(match.count));
  return found;
}

TEST(TokenIndex, FindsWhatCameAfter) {
  TokenIndex index = std::move(*TokenIndex::create(100, 3));
  const Tokens tokens = {1, 2, 3, 4, 5, 9, 1, 2, 3};
  index.append(tokens);
  int length = 0;
  EXPECT_EQ(continuation(index, tokens, 3, &length), (Tokens{4, 5, 9}));
  EXPECT_EQ(length, 3);
}

TEST(TokenIndex, NothingBelowTheLeastLength) {
  TokenIndex index = std::move(*TokenIndex::create(100, 4));
  const Tokens tokens = {1, 2, 3, 4, 5, 9, 1, 2, 3};
  index.append(tokens);
  int length = 0;
  EXPECT_EQ(continuation(index, tokens, 3, &length), Tokens());
}

TEST(TokenIndex, LongestPlaceWins) {
  TokenIndex index = std::move(*TokenIndex::create(100, 2));
  const Tokens tokens = {7, 1, 2, 3, 8, 1, 2, 5, 7, 1, 2};
  index.append(tokens);
  int length = 0;
  EXPECT_EQ(continuation(index, tokens, 1, &length), (Tokens{3}));
  EXPECT_EQ(length, 3);
}

TEST(TokenIndex, RepetitionGoesOn) {
  TokenIndex index = std::move(*TokenIndex::create(100, 2));
  const Tokens tokens = {4, 5, 6, 4, 5, 6, 4};
  index.append(tokens);
  int length = 0;
  EXPECT_EQ(continuation(index, tokens, 7, &length), (Tokens{5, 6, 4, 5, 6, 4, 5}));
}

TEST(TokenIndex, EndsWhereAnotherTextBegins) {
  TokenIndex index = std::move(*TokenIndex::create(100, 2));
  index.append(Tokens{1, 2, 3, -1, 5, 6});
  int length = 0;
  EXPECT_EQ(continuation(index, {1, 2}, 5, &length), (Tokens{3}));
}

// Of few different tokens, so that there are many places; beyond the capacity, so that the oldest
// are forgotten.
TEST(TokenIndex, AsASearchEverywhere) {
  std::mt19937 random(3);
  int64_t found_count = 0;
  for (const int64_t capacity : {int64_t{60}, int64_t{500}, int64_t{4000}}) {
    TokenIndex index = std::move(*TokenIndex::create(capacity, 3));
    Tokens text;
    for (int i = 0; i < 3000; ++i) {
      const int32_t token = static_cast<int32_t>(random() % 6);
      text.push_back(token);
      index.append({&token, 1});
      if (i % 7 != 0) continue;
      int length = 0;
      const Tokens found = continuation(index, text, 4, &length);
      if (found.empty()) continue;
      ++found_count;
      // It is there, as long as it says, followed by what it says.
      bool is_there = false;
      for (size_t p = static_cast<size_t>(length); p < text.size() && !is_there; ++p) {
        const bool alike = std::equal(text.end() - length, text.end(),
                                      text.begin() + static_cast<ptrdiff_t>(p) - length);
        const size_t known = std::min(found.size(), text.size() - p);
        is_there = alike && std::equal(found.begin(), found.begin() + static_cast<ptrdiff_t>(known),
                                       text.begin() + static_cast<ptrdiff_t>(p));
      }
      EXPECT_TRUE(is_there) << i;
    }
  }
  EXPECT_GT(found_count, 600);
}

// With different tokens there is one place, which is always found.
TEST(TokenIndex, FindsEveryPlaceThatIsAlone) {
  std::mt19937 random(4);
  TokenIndex index = std::move(*TokenIndex::create(2000, 8));
  Tokens text;
  for (int i = 0; i < 1900; ++i) text.push_back(static_cast<int32_t>(random() % 100000));
  index.append(text);
  for (size_t p = 8; p + 4 < text.size(); ++p) {
    const Tokens query(text.begin() + static_cast<ptrdiff_t>(p) - 8,
                       text.begin() + static_cast<ptrdiff_t>(p));
    int length = 0;
    const Tokens found = continuation(index, query, 4, &length);
    ASSERT_EQ(found, Tokens(text.begin() + static_cast<ptrdiff_t>(p),
                            text.begin() + static_cast<ptrdiff_t>(p) + 4))
        << p;
  }
}

}  // namespace
}  // namespace midge
