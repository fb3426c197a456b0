#include "engine/tokenizer/bpe.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

// The definition, word for word: the pair of lowest rank, the leftmost of these, until none is
// left. Quadratic.
Ids merge_by_definition(const std::vector<Merge>& merges, Ids ids) {
  std::map<std::pair<int32_t, int32_t>, const Merge*> by_pair;
  for (const Merge& merge : merges) by_pair[{merge.left, merge.right}] = &merge;
  while (true) {
    const Merge* best = nullptr;
    size_t position = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = by_pair.find({ids[i], ids[i + 1]});
      if (found != by_pair.end() && (best == nullptr || found->second->rank < best->rank)) {
        best = found->second;
        position = i;
      }
    }
    if (best == nullptr) return ids;
    ids[position] = best->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(position) + 1);
  }
}

Ids merge(const MergeTable& table, Ids ids, size_t begin = 0) {
  table.apply(&ids, begin);
  return ids;
}

TEST(Bpe, MergesInOrderOfRank) {
  const auto table = MergeTable::build({{1, 2, 10, 0}, {10, 3, 11, 1}, {2, 3, 12, 2}});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->size(), 3U);
  EXPECT_EQ(merge(*table, {1, 2, 3}), (Ids{11}));
  EXPECT_EQ(merge(*table, {2, 3}), (Ids{12}));
  EXPECT_EQ(merge(*table, {1, 1, 2, 3, 3}), (Ids{1, 11, 3}));
  EXPECT_EQ(merge(*table, {}), Ids{});
  EXPECT_EQ(merge(*table, {7}), Ids{7});
}

TEST(Bpe, LeavesWhatIsBeforeThePiece) {
  const auto table = MergeTable::build({{1, 2, 10, 0}});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(merge(*table, {1, 2, 1, 2}, 2), (Ids{1, 2, 10}));
  EXPECT_EQ(merge(*table, {1, 2, 1, 2}, 1), (Ids{1, 2, 10}));
}

TEST(Bpe, LeftmostFirstOnRepeats) {
  const auto table = MergeTable::build({{1, 1, 2, 0}, {2, 2, 3, 1}});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(merge(*table, Ids(5, 1)), (Ids{3, 1}));
  EXPECT_EQ(merge(*table, Ids(7, 1)), (Ids{3, 2, 1}));
  EXPECT_EQ(merge(*table, Ids(1001, 1)).size(), 251U);
}

TEST(Bpe, WithoutMerges) {
  const auto table = MergeTable::build({});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(merge(*table, {1, 2}), (Ids{1, 2}));
  EXPECT_EQ(merge(MergeTable(), {1, 2}), (Ids{1, 2}));
}

TEST(Bpe, RefusesTheSamePairTwice) {
  const auto table = MergeTable::build({{1, 2, 10, 0}, {2, 1, 11, 1}, {1, 2, 12, 2}});
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.status().message(), "merges 0 and 2 are the same pair");
}

// Short pieces are scanned, long ones use a heap; both must follow the definition for any list of
// merges, also for those whose ranks no training would give.
TEST(Bpe, EqualsTheDefinitionOnRandomMerges) {
  constexpr uint64_t kSeed = 7;
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  std::mt19937_64 random(kSeed);
  const auto below = [&random](int32_t limit) {
    return static_cast<int32_t>(random() % static_cast<uint64_t>(limit));
  };
  for (int round = 0; round < 300; ++round) {
    const int32_t letters = 1 + below(4);
    std::vector<Merge> merges;
    std::map<std::pair<int32_t, int32_t>, int32_t> made;
    for (int32_t next = letters; next < letters + 1 + below(25); ++next) {
      const Merge candidate = {below(next), below(next), next, 0};
      if (made.emplace(std::pair(candidate.left, candidate.right), next).second) {
        merges.push_back(candidate);
      }
    }
    std::shuffle(merges.begin(), merges.end(), random);
    // In some rounds neighbours share a rank, as tokens of one score do.
    const auto sharing = static_cast<size_t>(1 + below(3));
    for (size_t i = 0; i < merges.size(); ++i) {
      merges[i].rank = static_cast<uint32_t>(i / sharing);
    }
    const auto table = MergeTable::build(merges);
    ASSERT_TRUE(table.ok());
    for (const int32_t length : {2, 5, 20, 47, 48, 49, 50, 120, 300}) {
      Ids ids(static_cast<size_t>(length));
      for (int32_t& id : ids) id = below(letters);
      ASSERT_EQ(merge(*table, ids), merge_by_definition(merges, ids)) << "round " << round;
    }
  }
}

TEST(MergeTable, PairsMadeToCollideAreOrdinaryMerges) {
  // 2,000 pairs that a table of 2^12 slots by MurmurHash3's finalizer would all put into one.
  std::vector<Merge> merges;
  for (int32_t left = 0; merges.size() < 2000; ++left) {
    for (int32_t right = 0; right < 4096 && merges.size() < 2000; ++right) {
      uint64_t x = (static_cast<uint64_t>(left) << 32) | static_cast<uint64_t>(right);
      x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
      x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
      if ((x ^ x >> 33) % 4096 != 0) continue;
      merges.push_back({left, right, 100'000, static_cast<uint32_t>(merges.size())});
    }
  }
  const auto table = MergeTable::build(merges);
  ASSERT_TRUE(table.ok()) << table.status().message();
  for (const Merge& one : merges) EXPECT_EQ(merge(*table, {one.left, one.right}), Ids{100'000});
}

}  // namespace
}  // namespace midge
