// Memory that is given back, and memory that stays.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "api/loaded_model.h"
#include "api/packing.h"
#include "engine/core/poison.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

constexpr int64_t kContext = 1024;

// A line of /proc/self/status, in bytes; -1 if there is none.
int64_t status_bytes(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return 1024 * std::stoll(line.substr(name.size() + 1));
  }
  return -1;
}

// A model whose weights are mapped, and a session of it.
class ResidencyTest : public ::testing::Test {
 protected:
  void open(Residency residency) {
    Status tokenizer;
    MIDGE_ASSERT_OK(pack_file(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", dir_.file("x.midge"),
                              PackingOptions(), &tokenizer));
    LoadOptions options;
    options.executor.threads = 2;
    options.executor.context_max = kContext;
    options.executor.residency = residency;
    auto loaded = LoadedModel::open(dir_.file("x.midge"), options);
    status_ = loaded.status();
    if (!status_.ok()) return;
    loaded_ = std::move(*loaded);
    session_ = new_session(residency, 0);
  }

  std::unique_ptr<Session> new_session(Residency residency, int64_t page_tokens) {
    SequenceOptions options;
    options.context_length = kContext;
    options.kv_page_tokens = page_tokens;
    options.residency = residency;
    auto session = loaded_->new_session(options);
    status_ = session.status();
    return session.ok() ? std::move(*session) : nullptr;
  }

  // Logits of the last of these tokens.
  std::vector<float> logits_after(Session& session, std::span<const int32_t> tokens) {
    std::vector<float> logits(static_cast<size_t>(loaded_->model().config().vocab_size));
    const auto last = static_cast<int32_t>(tokens.size() - 1);
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = logits.data();
    const Status status = session.step(tokens, outputs);
    EXPECT_TRUE(status.ok()) << status.message();
    return logits;
  }

  const test::TempDir dir_;
  Status status_;
  std::unique_ptr<LoadedModel> loaded_;
  std::unique_ptr<Session> session_;
};

std::vector<int32_t> some_tokens(int count) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(300 + i * 7 % 200);
  return tokens;
}

TEST_F(ResidencyTest, TrimGivesMemoryBack) {
  open(Residency::kResident);
  MIDGE_ASSERT_OK(status_);
  logits_after(*session_, some_tokens(100));
  const int64_t before = status_bytes("RssAnon");
  if (before < 0) GTEST_SKIP() << "no RssAnon in /proc/self/status";
  session_->trim();
  MIDGE_ASSERT_OK(loaded_->trim());
  const int64_t given_back = before - status_bytes("RssAnon");
  if constexpr (kPoisons) return;  // there it is the heap's
  // All of a pass, and what the cache holds of tokens that are not there; in whole pages.
  const int64_t free_kv = session_->kv_bytes() * (kContext - 100) / kContext;
  EXPECT_GT(given_back, (loaded_->executor().scratch_bytes() + free_kv) * 9 / 10);
}

TEST_F(ResidencyTest, ResidentWeightsAreReadAtOnce) {
  // Not on arm64: the emulator accepts the advice and does nothing.
#if defined(MADV_POPULATE_READ) && defined(__x86_64__)
  if (kPoisons || MIDGE_SANITIZED) GTEST_SKIP() << "sanitizers have memory of their own";
  std::vector<uint8_t> probe(3 * 4096);
  const auto page = (reinterpret_cast<uintptr_t>(probe.data()) + 4095) / 4096 * 4096;
  if (::madvise(reinterpret_cast<void*>(page), 4096, MADV_POPULATE_READ) != 0) {
    GTEST_SKIP() << "this system maps pages when they are touched";
  }
  open(Residency::kLazy);
  MIDGE_ASSERT_OK(status_);
  const auto weights = static_cast<int64_t>(loaded_->model().storage().file_bytes()) * 8 / 10;
  session_.reset();
  loaded_.reset();
  const int64_t before = status_bytes("RssFile");
  open(Residency::kLazy);
  MIDGE_ASSERT_OK(status_);
  EXPECT_LT(status_bytes("RssFile") - before, weights);
  session_.reset();
  loaded_.reset();
  open(Residency::kResident);
  MIDGE_ASSERT_OK(status_);
  EXPECT_GE(status_bytes("RssFile") - before, weights);
#else
  GTEST_SKIP() << "this system maps pages when they are touched";
#endif
}

TEST_F(ResidencyTest, TrimChangesNoResult) {
  open(Residency::kResident);
  MIDGE_ASSERT_OK(status_);
  for (const int64_t page_tokens : {0, 64}) {
    // Tokens within a page, up to the end of one, and none.
    for (const int count : {1, 64, 100, 128}) {
      SCOPED_TRACE(std::to_string(page_tokens) + " " + std::to_string(count));
      const auto plain = new_session(Residency::kLazy, page_tokens);
      const auto trimmed = new_session(Residency::kResident, page_tokens);
      trimmed->trim();
      EXPECT_EQ(logits_after(*plain, some_tokens(count)),
                logits_after(*trimmed, some_tokens(count)));
      trimmed->trim();
      MIDGE_ASSERT_OK(loaded_->trim());
      EXPECT_EQ(logits_after(*plain, some_tokens(70)), logits_after(*trimmed, some_tokens(70)));
    }
  }
}

TEST_F(ResidencyTest, TrimIsRefusedDuringAPass) {
  open(Residency::kLazy);
  MIDGE_ASSERT_OK(status_);
  {
    const ExecutorUse pass(loaded_->executor());
    EXPECT_EQ(loaded_->trim().code(), StatusCode::kBusy);
  }
  MIDGE_ASSERT_OK(loaded_->trim());
}

TEST_F(ResidencyTest, LockedMemoryStays) {
  if (MIDGE_SANITIZED) GTEST_SKIP() << "sanitizers lock nothing";
  const int64_t before = status_bytes("VmLck");
  open(Residency::kLocked);
  if (!status_.ok()) {  // the system's limit
    EXPECT_EQ(status_.code(), StatusCode::kOutOfMemory);
    EXPECT_NE(status_.message().find("ulimit -l"), std::string::npos) << status_.message();
    return;
  }
  int64_t weights = 0;
  visit_matrices(loaded_->model().weights(), loaded_->model().config().tied_head,
                 [&](const std::string&, const auto& w) { weights += w.bytes(); });
  const auto locked = [&] { return status_bytes("VmLck") - before; };
  const int64_t expected = weights + loaded_->executor().scratch_bytes() + session_->kv_bytes();
  EXPECT_GE(locked(), expected);
  // Nothing of it is given back.
  session_->trim();
  MIDGE_ASSERT_OK(loaded_->trim());
  EXPECT_GE(locked(), expected);
  session_.reset();
  loaded_.reset();
  EXPECT_LT(locked(), expected / 10);
}

TEST(Pages, WhatCannotBeLockedIsRefused) {
  if (MIDGE_SANITIZED) GTEST_SKIP() << "sanitizers lock nothing";
  // No memory is mapped there.
  const Status status = lock_pages(reinterpret_cast<const void*>(4096), 4096, "a test");
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_NE(status.message().find("a test of 4096 bytes cannot be locked in memory"),
            std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace midge
