// Pages: who holds them, and what of them is copied.
#include "engine/session/kv_pool.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"

namespace midge {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.layer_count = 2;
  config.kv_head_count = 2;
  config.head_dim = 16;
  config.mtp_layer_count = 1;
  return config;
}

std::unique_ptr<KvPool> pool_of(int64_t pages) {
  KvPoolOptions options;
  options.pages = pages;
  auto pool = KvPool::create(small_config(), options);
  EXPECT_TRUE(pool.ok());
  return std::move(*pool);
}

TEST(KvPool, PagesAreFreeAgainWithoutHolders) {
  const auto pool = pool_of(3);
  std::set<int32_t> taken;
  for (int i = 0; i < 3; ++i) taken.insert(pool->take());
  EXPECT_EQ(taken, (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(pool->free_count(), 0);
  pool->share(1);
  EXPECT_EQ(pool->holders(1), 2);
  pool->share(1);
  pool->share(2);
  EXPECT_EQ(pool->shared_count(), 2);
  pool->give_back(1);
  EXPECT_EQ(pool->shared_count(), 2);
  pool->give_back(2);
  EXPECT_EQ(pool->shared_count(), 1);
  pool->give_back(1);
  EXPECT_EQ(pool->shared_count(), 0);
  EXPECT_EQ(pool->free_count(), 0);
  pool->give_back(1);
  EXPECT_EQ(pool->free_count(), 1);
  EXPECT_EQ(pool->take(), 1);
  EXPECT_EQ(pool->holders(1), 1);
}

TEST(KvPool, BytesAreThoseOfThePlan) {
  KvPoolOptions options;
  options.pages = 5;
  options.page_tokens = 128;
  for (const bool with_mtp : {false, true}) {
    options.with_mtp = with_mtp;
    const auto bytes = KvPool::bytes_for(small_config(), options);
    MIDGE_ASSERT_OK(bytes);
    const int64_t layers = with_mtp ? 3 : 2;
    EXPECT_EQ(*bytes, 5 * 128 * layers * 2 * 2 * 16 * 2);
    const auto pool = KvPool::create(small_config(), options);
    MIDGE_ASSERT_OK(pool);
    EXPECT_EQ((*pool)->bytes(), *bytes);
  }
  for (const int64_t page_tokens : {-64, 0, 63, 65}) {
    options.page_tokens = page_tokens;
    EXPECT_EQ(KvPool::bytes_for(small_config(), options).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(KvPool::create(small_config(), options).status().code(),
              StatusCode::kInvalidArgument);
  }
}

// Keys lie in blocks of kKeyBlock tokens; nothing else of the page is written to.
TEST(KvPool, WhatTokensHaveIsCopied) {
  const auto pool = pool_of(2);
  const KvLayout& layout = pool->layout();
  const int32_t from = pool->take();
  const int32_t to = pool->take();
  for (const int64_t tokens : {0, 1, 16, 17, 63, 64}) {
    SCOPED_TRACE(tokens);
    std::fill_n(pool->page(from), layout.page_bytes(), uint8_t{1});
    std::fill_n(pool->page(to), layout.page_bytes(), uint8_t{2});
    pool->copy(from, to, tokens);
    const int64_t key_tokens = round_up(tokens, kKeyBlock);
    for (int64_t layer = 0; layer < layout.layers; ++layer) {
      for (int64_t head = 0; head < layout.kv_heads; ++head) {
        const uint8_t* keys = pool->page(to) + layout.keys_offset(layer, head);
        const uint8_t* values = pool->page(to) + layout.values_offset(layer, head);
        EXPECT_EQ(std::count(keys, keys + layout.page_tokens * layout.key_bytes(), 1),
                  key_tokens * layout.key_bytes());
        EXPECT_EQ(std::count(keys, keys + key_tokens * layout.key_bytes(), 2), 0);
        EXPECT_EQ(std::count(values, values + layout.page_tokens * layout.value_bytes(), 1),
                  tokens * layout.value_bytes());
        EXPECT_EQ(std::count(values, values + tokens * layout.value_bytes(), 2), 0);
      }
    }
  }
}

}  // namespace
}  // namespace midge
