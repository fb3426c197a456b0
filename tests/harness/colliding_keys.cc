#include "tests/harness/colliding_keys.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

#include <gtest/gtest.h>

namespace midge::test {
namespace {

// std::_Hash_bytes of libstdc++ on 64-bit machines: MurmurHash64A. Per 8 bytes k of the key:
// hash = (hash ^ shift_mix(k * kFactor) * kFactor) * kFactor.
constexpr uint64_t kFactor = 0xc6a4a7935bd1e995;
constexpr uint64_t kSeed = 0xc70f6907;

uint64_t shift_mix(uint64_t x) { return x ^ (x >> 47); }  // its own inverse

// 1 / kFactor modulo 2^64, by Newton's iteration.
constexpr uint64_t inverse_factor() {
  uint64_t inverse = kFactor;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kFactor * inverse;
  return inverse;
}

// The lower eight digits of 4 bits, one in each byte.
uint64_t spread(uint64_t x) {
  x = (x | x << 16) & 0x0000FFFF0000FFFF;
  x = (x | x << 8) & 0x00FF00FF00FF00FF;
  return (x | x << 4) & 0x0F0F0F0F0F0F0F0F;
}

bool is_plain(uint64_t word) {
  for (int i = 0; i < 8; ++i, word >>= 8) {
    const auto byte = static_cast<uint8_t>(word);
    if (byte < 0x20 || byte > 0x7E || byte == '"' || byte == '\\') return false;
  }
  return true;
}

std::vector<std::string> make_keys(size_t count) {
  const uint64_t start = kSeed ^ (16 * kFactor);
  std::vector<std::string> keys;
  for (uint64_t i = 0; keys.size() < count; ++i) {
    // Any first half; the second one takes the hash to 0.
    uint64_t words[2] = {spread(i & 0xFFFFFFFF) + 0x3030303030303030, 0};
    const uint64_t hash = (start ^ shift_mix(words[0] * kFactor) * kFactor) * kFactor;
    words[1] = shift_mix(hash * inverse_factor()) * inverse_factor();
    if (!is_plain(words[1])) continue;
    keys.emplace_back(reinterpret_cast<const char*>(words), sizeof(words));
  }
  return keys;
}

}  // namespace

const std::vector<std::string>& colliding_keys(size_t count) {
  static std::vector<std::string> keys;
  if (keys.size() != count) keys = make_keys(count);
  // The attack works, or the tests that use it show nothing.
  const std::hash<std::string_view> hash;
  EXPECT_EQ(hash(keys.front()), hash(keys.back()));
  return keys;
}

std::vector<std::string> keys_of_one_bucket(size_t count, uint64_t bucket_count) {
  std::vector<std::string> keys;
  const std::hash<std::string_view> hash;
  for (uint64_t i = 0; keys.size() < count; ++i) {
    // Spread over the smaller tables by an odd factor; undone step by step.
    uint64_t word = (i * kFactor % (UINT64_MAX / bucket_count)) * bucket_count + 1;
    word = shift_mix(shift_mix(word) * inverse_factor()) * inverse_factor();
    word = shift_mix((word ^ kSeed ^ (8 * kFactor)) * inverse_factor()) * inverse_factor();
    const std::string key(reinterpret_cast<const char*>(&word), sizeof(word));
    if (key.find(' ') != std::string::npos || key.find('\0') != std::string::npos) continue;
    keys.push_back(key);
  }
  EXPECT_EQ(hash(keys.front()) % bucket_count, 1U);
  EXPECT_EQ(hash(keys.back()) % bucket_count, 1U);
  return keys;
}

}  // namespace midge::test
