#include "engine/core/seeded_hash.h"

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/harness/colliding_keys.h"

namespace midge {
namespace {

SeededHash::Parameters parameters_of(uint64_t seed) {
  std::mt19937_64 random(seed);
  SeededHash::Parameters parameters;
  parameters.base = random() >> 4;
  parameters.factor = static_cast<SeededHash::Wide>(random()) << 64 | random();
  parameters.summand = static_cast<SeededHash::Wide>(random()) << 64 | random();
  return parameters;
}

// Pairs of keys in one of as many slots as there are keys, by the low bits: what a table pays.
size_t pairs_in_one_slot(const std::vector<uint64_t>& values) {
  std::vector<size_t> counts(values.size());
  for (const uint64_t value : values) ++counts[value & (values.size() - 1)];
  size_t pairs = 0;
  for (const size_t count : counts) pairs += count * (count - 1) / 2;
  return pairs;
}

TEST(SeededHash, SpreadsWhateverTheKeysAre) {
  std::vector<std::vector<std::string>> sets;
  sets.push_back(test::colliding_keys(4096));
  std::vector<std::string> zeros, numbers, tails;
  for (size_t i = 0; i < 4096; ++i) {
    zeros.emplace_back(i, '\0');  // differ in length alone
    numbers.push_back("blk." + std::to_string(i) + ".attn_q.weight");
    tails.push_back(std::string(100, 'x') + static_cast<char>(i & 255) + static_cast<char>(i >> 8));
  }
  sets.push_back(zeros);
  sets.push_back(numbers);
  sets.push_back(tails);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SeededHash::Parameters parameters = parameters_of(seed);
    const SeededHash hash(parameters);
    for (const auto& keys : sets) {
      std::vector<uint64_t> values;
      for (const std::string& key : keys) values.push_back(hash.of_bytes(key));
      // Pairwise independence: each of the n * (n - 1) / 2 pairs meets with 1 / n, so n / 2 do. All
      // in one slot would be 8 million.
      EXPECT_LE(pairs_in_one_slot(values), 2 * keys.size()) << "seed " << seed << ", " << keys[1];
      std::sort(values.begin(), values.end());
      EXPECT_EQ(std::adjacent_find(values.begin(), values.end()), values.end());
    }
    std::vector<uint64_t> pairs;
    for (uint64_t i = 0; i < 4096; ++i) pairs.push_back(hash.of_number(i << 32 | (i * i & 4095)));
    EXPECT_LE(pairs_in_one_slot(pairs), 2 * pairs.size()) << "seed " << seed;
  }
}

TEST(SeededHash, ParametersDecideAndAreDrawnOnce) {
  const SeededHash::Parameters one = parameters_of(1);
  const SeededHash::Parameters other = parameters_of(2);
  EXPECT_NE(SeededHash(one).of_bytes("key"), SeededHash(other).of_bytes("key"));
  EXPECT_NE(SeededHash(one).of_number(7), SeededHash(other).of_number(7));
  EXPECT_EQ(SeededHash().of_bytes("key"), SeededHash().of_bytes("key"));
  // Nobody knows them: not zeros, nor those of the tests.
  EXPECT_NE(SeededHash().of_bytes("key"), SeededHash(SeededHash::Parameters()).of_bytes("key"));
  EXPECT_NE(SeededHash().of_bytes("key"), SeededHash(one).of_bytes("key"));
}

TEST(SeededHash, TheLastBytesCount) {
  const SeededHash hash;
  std::string text;
  std::vector<uint64_t> values;
  for (int i = 0; i < 64; ++i) {
    values.push_back(hash.of_bytes(text));
    text += '\0';
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = '\1';
    values.push_back(hash.of_bytes(changed));
  }
  std::sort(values.begin(), values.end());
  EXPECT_EQ(std::adjacent_find(values.begin(), values.end()), values.end());
}

}  // namespace
}  // namespace midge
