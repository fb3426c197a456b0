// Saved prefixes for tests: small ones, and damaged ones with right checksums.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/scheduler/prefix_file.h"
#include "tests/harness/test_data.h"

namespace midge::test {

/// Pages of a small model with random bytes in them.
struct PrefixExample {
  static constexpr int32_t kVocabSize = 50;

  static ModelConfig config() {
    ModelConfig config;
    config.layer_count = 2;
    config.kv_head_count = 1;
    config.head_dim = 36;
    config.vocab_size = kVocabSize;
    config.mtp_layer_count = 1;
    return config;
  }

  PrefixExample(KvType type, int64_t count, bool with_mtp = false) {
    KvPoolOptions options;
    options.with_mtp = with_mtp;
    options.type = type;
    options.pages = 4;
    pool = std::move(*KvPool::create(config(), options));
    TestRandom random(static_cast<uint64_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(i * 7 % kVocabSize));
      roles.push_back(i % 5 == 0 ? RowRole::kGenerated : RowRole::kPrompt);
    }
    for (int64_t first = 0; first < count; first += options.page_tokens) {
      pages.push_back(pool->take());
      uint8_t* page = pool->page(pages.back());
      for (int64_t i = 0; i < pool->layout().page_bytes(); ++i) {
        page[i] = static_cast<uint8_t>(random.bits()) & 0x7F;  // scales are not negative
      }
    }
  }
  Status save(const std::string& path) const {
    return save_prefix_file(path, {model, RopeRegime::kLong, tokens, roles, mtp}, *pool, pages);
  }

  ContentHash model = {1, 2};
  std::unique_ptr<KvPool> pool;
  std::vector<int32_t> tokens;
  std::vector<RowRole> roles;
  std::vector<int32_t> pages;
  MtpPositions mtp;
};

/// The bytes with the checksum and the length that their header should have.
inline std::string with_right_prefix_hash(std::string bytes) {
  constexpr size_t kHeader = 64;
  constexpr size_t kLengthAt = 16;
  constexpr size_t kHashAt = 32;
  if (bytes.size() < kHeader) return bytes;
  const uint64_t length = bytes.size();
  std::memcpy(bytes.data() + kLengthAt, &length, sizeof(length));
  std::memset(bytes.data() + kHashAt, 0, sizeof(ContentHash));
  const ContentHash hash =
      hash_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  std::memcpy(bytes.data() + kHashAt, hash.data(), sizeof(hash));
  return bytes;
}

}  // namespace midge::test
