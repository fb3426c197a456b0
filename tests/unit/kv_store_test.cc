// Quantised keys and values: what is stored is close to what was given.
#include "engine/ops/kv_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "engine/ops/hadamard.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

std::vector<float> numbers(int64_t count, uint64_t stream) {
  return test::test_floats(test::DataSort::kNormal, count, stream);
}

TEST(Hadamard, UndoesItself) {
  for (const int64_t count : {1, 2, 33, 64, 80, 96, 128, 256}) {
    const std::vector<float> before = numbers(count, 1);
    std::vector<float> x = before;
    hadamard(x.data(), count);
    double length = 0;
    double turned = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      length += double{before[i]} * before[i];
      turned += double{x[i]} * x[i];
    }
    EXPECT_NEAR(turned, length, 1e-5 * length) << count;
    hadamard(x.data(), count);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], before[i], 1e-5) << count;
  }
}

// By blocks of the largest power of two that divides the length: one number spreads over its own.
TEST(Hadamard, SpreadsWithinItsBlock) {
  std::vector<float> x(96);
  x[70] = 8;
  hadamard(x.data(), 96);
  for (size_t i = 0; i < 96; ++i) {
    EXPECT_NEAR(std::fabs(x[i]), i < 64 ? 0 : 8 / std::sqrt(32.0f), 1e-5) << i;
  }
}

// A page of one head, with one token.
struct Page {
  Page(KvType type, int64_t head_dim) : layout{type, 64, 1, 1, head_dim} {
    bytes.resize(static_cast<size_t>(layout.page_bytes()), 0xFF);
  }
  void store(int64_t token, std::vector<float> key, std::vector<float> value) {
    store_key_value({}, layout, bytes.data(), 0, 0, token, key.data(), value.data());
  }
  float scale(int64_t offset, int64_t token) const {
    return reinterpret_cast<const float*>(bytes.data() + offset)[token];
  }
  float key(int64_t token, int64_t d) const {
    const int64_t at = layout.keys_offset(0, 0) +
                       token / kKeyBlock * layout.key_bytes() * kKeyBlock +
                       (d / kKeyGroup * kKeyBlock + token % kKeyBlock) * kKeyGroup + d % kKeyGroup;
    return scale(layout.key_scales_offset(0, 0), token) *
           static_cast<float>(static_cast<int8_t>(bytes[static_cast<size_t>(at)]));
  }
  float value(int64_t token, int64_t d) const {
    const uint8_t* row = bytes.data() + layout.values_offset(0, 0) + token * layout.value_bytes();
    const int64_t scales = layout.value_scales_offset(0, 0);
    if (layout.type == KvType::kInt8) {
      const uint8_t* pair = row - token % 2 * layout.value_bytes();
      return scale(scales, token) *
             static_cast<float>(static_cast<int8_t>(pair[2 * d + token % 2]));
    }
    const int64_t block = d / kValueBlock;
    const uint8_t pair = row[block * 16 + d % 16];
    const int nibble = d % kValueBlock < 16 ? pair & 15 : pair >> 4;
    return scale(scales + block * layout.scales_stride(), token) * static_cast<float>(nibble - 8);
  }
  KvLayout layout;
  std::vector<uint8_t> bytes;
};

TEST(KvStore, Int8IsWithinHalfAStep) {
  for (const int64_t head_dim : {4, 33, 64, 128, 256}) {
    Page page(KvType::kInt8, head_dim);
    const std::vector<float> key = numbers(head_dim, 1);
    const std::vector<float> value = numbers(head_dim, 2);
    page.store(21, key, value);
    for (const bool is_key : {true, false}) {
      const std::vector<float>& given = is_key ? key : value;
      float largest = 0;
      for (const float x : given) largest = std::max(largest, std::fabs(x));
      for (int64_t d = 0; d < head_dim; ++d) {
        const float found = is_key ? page.key(21, d) : page.value(21, d);
        EXPECT_NEAR(found, given[static_cast<size_t>(d)], 0.5001f * largest / 127) << d;
      }
    }
    // Zeros behind the last dimension, whose products count.
    for (int64_t d = head_dim; d < page.layout.key_bytes(); ++d) EXPECT_EQ(page.key(21, d), 0);
  }
}

TEST(KvStore, K8V4HoldsTurnedRows) {
  for (const int64_t head_dim : {4, 33, 64, 96, 128}) {
    Page page(KvType::kK8V4, head_dim);
    std::vector<float> key = numbers(head_dim, 1);
    std::vector<float> value = numbers(head_dim, 2);
    page.store(63, key, value);
    hadamard(key.data(), head_dim);
    hadamard(value.data(), head_dim);
    for (int64_t first = 0; first < head_dim; first += kValueBlock) {
      const int64_t end = std::min(head_dim, first + kValueBlock);
      float largest = 0;
      for (int64_t d = first; d < end; ++d) {
        largest = std::max(largest, std::fabs(value[static_cast<size_t>(d)]));
      }
      // The largest one is exact; of the other sign there is one step less.
      for (int64_t d = first; d < end; ++d) {
        EXPECT_NEAR(page.value(63, d), value[static_cast<size_t>(d)], 1.001f * largest / 8) << d;
      }
    }
    float largest = 0;
    for (const float x : key) largest = std::max(largest, std::fabs(x));
    for (int64_t d = 0; d < head_dim; ++d) {
      EXPECT_NEAR(page.key(63, d), key[static_cast<size_t>(d)], 0.501f * largest / 127);
    }
  }
}

// What is no number makes the scale none, so that it reaches what sees the token.
TEST(KvStore, WhatIsNoNumberStaysOne) {
  for (const KvType type : {KvType::kInt8, KvType::kK8V4}) {
    Page page(type, 64);
    std::vector<float> key = numbers(64, 1);
    std::vector<float> value = numbers(64, 2);
    key[7] = std::numeric_limits<float>::infinity();
    value[9] = std::numeric_limits<float>::quiet_NaN();
    page.store(0, key, value);
    page.store(1, std::vector<float>(64, 0.0f), std::vector<float>(64, 1e-38f));
    EXPECT_TRUE(std::isnan(page.key(0, 3)));
    EXPECT_TRUE(std::isnan(page.value(0, 3)));
    EXPECT_EQ(page.key(1, 3), 0);
    EXPECT_EQ(page.value(1, 3), 0);
  }
}

TEST(KvStore, QueriesTakeThePlaceOfTheirFloats) {
  for (const int64_t head_dim : {4, 7, 64, 100, 128, 256}) {
    const KvLayout layout = {KvType::kInt8, 64, 1, 1, head_dim};
    const std::vector<float> given = numbers(head_dim, 3);
    std::vector<float> q = given;
    prepare_query(layout, q.data());
    const auto* query = reinterpret_cast<const QuantizedQuery*>(q.data());
    int32_t sum = 0;
    for (int64_t d = 0; d < head_dim; ++d) {
      const float value = static_cast<float>(query_values(query)[d]);
      EXPECT_NEAR(value * query->scale, given[static_cast<size_t>(d)], 0.51f * query->scale) << d;
      sum += query_values(query)[d];
    }
    EXPECT_EQ(query->sum, sum);
  }
}

}  // namespace
}  // namespace midge
