// Sequences that take their pages from one pool, share them and find each other's beginnings give
// what sequences alone give, bit for bit, and give every page back.
#include <algorithm>
#include <random>

#include "engine/session/prefix_cache.h"
#include "tests/models/readers.h"

namespace midge {
namespace {

using test::expect_same;
using test::golden_model;
using test::packed_setup;
using test::Reader;

constexpr int64_t kPageTokens = 64;

class PagedSequences : public test::ReadersTest {
 protected:
  void open_mimo() { open(packed_setup(golden_model("mimo"), Encoding::kQ4B32)); }

  std::unique_ptr<KvPool> pool_of(int64_t pages, bool with_mtp = false) {
    KvPoolOptions options;
    options.page_tokens = kPageTokens;
    options.pages = pages;
    options.with_mtp = with_mtp;
    auto pool = KvPool::create(run_.model->config(), options);
    EXPECT_TRUE(pool.ok());
    return pool.ok() ? std::move(*pool) : nullptr;
  }

  // A prompt and tokens that follow it one by one.
  void read(Reader& reader, int64_t first, int64_t prompt) {
    if (first < prompt) run_steps({step_of(reader, first, prompt - first, RowRole::kPrompt)});
    const auto count = static_cast<int64_t>(reader.tokens.size());
    for (int64_t i = std::max(first, prompt); i < count; ++i) {
      run_steps({step_of(reader, i, 1, RowRole::kGenerated)});
    }
  }

  // What `tokens` give to a sequence alone.
  std::vector<float> alone(const std::vector<int32_t>& tokens, int64_t prompt) {
    Reader reader = this->reader(0, static_cast<int64_t>(tokens.size()));
    reader.tokens = tokens;
    read(reader, 0, prompt);
    return reader.logits;
  }

  void expect_tail(const Reader& reader, int64_t first, const std::vector<float>& expected) {
    const auto at = static_cast<std::ptrdiff_t>(first * vocab_size_);
    expect_same({reader.logits.begin() + at, reader.logits.end()},
                {expected.begin() + at, expected.end()});
  }
};

std::vector<RowRole> roles_of(int64_t prompt, size_t count) {
  std::vector<RowRole> roles(count, RowRole::kGenerated);
  std::fill_n(roles.begin(), prompt, RowRole::kPrompt);
  return roles;
}

TEST_F(PagedSequences, GrowBesideEachOther) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(7);
  {
    Reader a = reader(1, 140, {}, pool.get());
    Reader b = reader(2, 200, {}, pool.get());
    run_steps({step_of(a, 0, 60, RowRole::kPrompt), step_of(b, 0, 130, RowRole::kPrompt)});
    EXPECT_EQ(pool->free_count(), 7 - 1 - 3);
    for (int64_t i = 0; i < 70; ++i) {
      run_steps({step_of(a, 60 + i, 1, RowRole::kGenerated),
                 step_of(b, 130 + i, 1, RowRole::kGenerated)});
    }
    EXPECT_EQ(pool->free_count(), 7 - 3 - 4);
    EXPECT_EQ(a.sequence->kv_bytes(), 3 * pool->layout().page_bytes());
    a.logits.resize(static_cast<size_t>(130 * vocab_size_));
    a.tokens.resize(130);
    expect_same(a.logits, alone(a.tokens, 60));
    expect_same(b.logits, alone(b.tokens, 130));
    MIDGE_ASSERT_OK(b.sequence->truncate(64));
    EXPECT_EQ(pool->free_count(), 3);
  }
  EXPECT_EQ(pool->free_count(), 7);
}

TEST_F(PagedSequences, CopiesGoOnByThemselves) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(10);
  {
    constexpr int64_t kPrompt = 100;
    Reader first = reader(1, 140, {}, pool.get());
    run_steps({step_of(first, 0, kPrompt, RowRole::kPrompt)});
    std::vector<Reader> copies;
    for (uint64_t i = 0; i < 3; ++i) {
      copies.push_back(reader(2 + i, 140, {}, pool.get()));
      MIDGE_ASSERT_OK(copies.back().sequence->copy_from(*first.sequence));
      std::copy_n(first.tokens.begin(), kPrompt, copies.back().tokens.begin());
    }
    EXPECT_EQ(pool->free_count(), 8);  // nothing is copied before it is written to
    for (int64_t i = kPrompt; i < 140; ++i) {
      std::vector<SequenceStep> steps = {step_of(first, i, 1, RowRole::kGenerated)};
      for (Reader& copy : copies) steps.push_back(step_of(copy, i, 1, RowRole::kGenerated));
      run_steps(steps);
      if (i > kPrompt) continue;
      EXPECT_EQ(pool->free_count(), 5);  // the first page is still shared
    }
    copies.push_back(std::move(first));
    for (const Reader& copy : copies) {
      const std::vector<float> expected = alone(copy.tokens, kPrompt);
      expect_tail(copy, kPrompt, expected);
    }
  }
  EXPECT_EQ(pool->free_count(), 10);
  Reader a = reader(1, 10, {}, pool.get());
  Reader own = reader(1, 10);
  EXPECT_EQ(own.sequence->copy_from(*a.sequence).code(), StatusCode::kInvalidArgument);
  run_steps({step_of(a, 0, 10, RowRole::kPrompt)});
  EXPECT_EQ(a.sequence->copy_from(*a.sequence).code(), StatusCode::kInvalidArgument);
  SequenceOptions small;
  small.context_length = 9;
  Reader b = reader(1, 9, small, pool.get());
  EXPECT_EQ(b.sequence->copy_from(*a.sequence).code(), StatusCode::kContextFull);
  EXPECT_EQ(b.sequence->length(), 0);
}

TEST_F(PagedSequences, WithoutPagesNothingChanges) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(3);
  Reader a = reader(1, 150, {}, pool.get());
  Reader b = reader(2, 100, {}, pool.get());
  run_steps({step_of(a, 0, 120, RowRole::kPrompt), step_of(b, 0, 60, RowRole::kPrompt)});
  std::vector<SequenceStep> steps = {step_of(b, 60, 20, RowRole::kPrompt),
                                     step_of(a, 120, 8, RowRole::kPrompt)};
  run_step(*run_.executor, steps);
  EXPECT_EQ(steps[0].status.code(), StatusCode::kNoPages);
  EXPECT_EQ(steps[0].status.message(), "1 more KV pages, 0 of 3 are free");
  MIDGE_ASSERT_OK(steps[1].status);
  EXPECT_EQ(b.sequence->length(), 60);
  // A copy shares what it cannot write to.
  Reader copy = reader(3, 1, {}, pool.get());
  MIDGE_ASSERT_OK(copy.sequence->copy_from(*b.sequence));
  steps = {step_of(b, 60, 1, RowRole::kPrompt)};
  run_step(*run_.executor, steps);
  EXPECT_EQ(steps[0].status.code(), StatusCode::kNoPages);
  copy.sequence.reset();
  run_steps({step_of(b, 60, 4, RowRole::kPrompt)});
  MIDGE_ASSERT_OK(a.sequence->truncate(0));
  run_steps({step_of(b, 64, 36, RowRole::kPrompt)});
  expect_same(b.logits, alone(b.tokens, 100));
}

// A copy that grows past the original context reads everything again with the long factors, and
// leaves the pages of the other one as they are.
TEST_F(PagedSequences, CopiesOfTwoRegimes) {
  open(packed_setup(golden_model("phi4-mini"), Encoding::kQ8B32));
  if (HasFatalFailure()) return;
  const int64_t border = run_.model->config().rope.original_context;
  const auto pool = pool_of(4 * (border / kPageTokens + 2));
  Reader shorter = reader(1, border, {}, pool.get());
  run_steps({step_of(shorter, 0, border - 2, RowRole::kPrompt)});
  Reader longer = reader(2, border + 3, {}, pool.get());
  MIDGE_ASSERT_OK(longer.sequence->copy_from(*shorter.sequence));
  std::copy_n(shorter.tokens.begin(), border - 2, longer.tokens.begin());
  for (int64_t i = border - 2; i < border + 3; ++i) {
    run_steps({step_of(longer, i, 1, RowRole::kGenerated)});
    if (i < border) run_steps({step_of(shorter, i, 1, RowRole::kGenerated)});
  }
  expect_tail(shorter, border - 2, alone(shorter.tokens, border - 2));
  expect_tail(longer, border - 2, alone(longer.tokens, border - 2));
}

TEST_F(PagedSequences, TheMtpLayerOfACopy) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(4, true);
  constexpr int64_t kCount = 30;
  Reader first = reader(1, kCount, {}, pool.get());
  const int64_t hidden_size = run_.model->config().hidden_size;
  std::vector<float> hidden(static_cast<size_t>(kCount * hidden_size));
  std::vector<SequenceStep> steps = {step_of(first, 0, kCount, RowRole::kPrompt)};
  steps[0].outputs.hidden = hidden.data();
  run_steps(steps);
  Reader copy = reader(2, 1, {}, pool.get());
  MIDGE_ASSERT_OK(copy.sequence->copy_from(*first.sequence));
  std::vector<float> found[2];
  int i = 0;
  for (Sequence* sequence : {copy.sequence.get(), first.sequence.get()}) {
    found[i].resize(static_cast<size_t>(2 * vocab_size_));
    const std::vector<int32_t> rows = {3, 28};
    RowOutputs outputs;
    outputs.logits_rows = rows;
    outputs.logits = found[i].data();
    MIDGE_ASSERT_OK(run_mtp_step(*run_.executor, *sequence, std::span(first.tokens).subspan(1),
                                 hidden.data(), true, outputs, nullptr));
    EXPECT_EQ(sequence->mtp().length, kCount - 1);
    EXPECT_EQ(pool->free_count(), 2);  // the first to write has copied the page
    ++i;
  }
  expect_same(found[1], found[0]);
}

TEST_F(PagedSequences, BeginningsAreFoundAgain) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(16);
  PrefixCache cache(*pool);
  constexpr int64_t kPrompt = 150;
  Reader first = reader(1, 170, {}, pool.get());
  read(first, 0, kPrompt);
  cache.keep(*first.sequence);
  first.sequence.reset();
  EXPECT_EQ(cache.page_count(), 3);
  EXPECT_EQ(pool->free_count(), 13);

  struct Case {
    const char* what;
    int64_t alike;   // tokens of the first sequence
    int64_t prompt;  // of the new one
    int64_t count;
    int64_t adopted;
  };
  const Case cases[] = {
      {"the same prompt, but for the last token, which is read", 150, 150, 150, 149},
      {"the whole conversation", 170, 150, 180, 170},
      {"its first page", 70, 100, 110, 70},
      {"less than a page", 20, 100, 110, 20},
      {"nothing", 0, 100, 110, 0},
      {"the answer as a prompt: other roles", 170, 180, 190, 150},
      {"a whole number of pages", 128, 140, 150, 128},
      {"a prompt of two pages", 140, 128, 140, 128},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Reader next = reader(7, c.count, {}, pool.get());
    std::copy_n(first.tokens.begin(), c.alike, next.tokens.begin());
    const int64_t adopted =
        cache.adopt(*next.sequence, next.tokens, roles_of(c.prompt, next.tokens.size()));
    EXPECT_EQ(adopted, c.adopted);
    EXPECT_EQ(next.sequence->length(), adopted);
    read(next, adopted, c.prompt);
    expect_tail(next, adopted, alone(next.tokens, c.prompt));
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(pool->free_count(), 13);
}

// Factors of longrope are part of what a page is.
TEST_F(PagedSequences, BeginningsOfTwoRegimesAreKeptApart) {
  open(packed_setup(golden_model("phi4-mini"), Encoding::kQ8B32));
  if (HasFatalFailure()) return;
  const int64_t border = run_.model->config().rope.original_context;
  const auto pool = pool_of(5 * (border / kPageTokens + 2));
  PrefixCache cache(*pool);
  const auto count = static_cast<size_t>(border + 8);
  const std::vector<RowRole> roles(count, RowRole::kPrompt);
  for (const int64_t length : {border, border + 8}) {
    Reader reader = this->reader(1, length, {}, pool.get());
    EXPECT_EQ(
        cache.adopt(*reader.sequence, reader.tokens, std::span(roles).first(reader.tokens.size())),
        0)
        << "of the other factors";
    read(reader, 0, length);
    cache.keep(*reader.sequence);
  }
  for (const int64_t length : {border, border + 8}) {
    SCOPED_TRACE(length);
    Reader reader = this->reader(1, length, {}, pool.get());
    const int64_t adopted =
        cache.adopt(*reader.sequence, reader.tokens, std::span(roles).first(reader.tokens.size()));
    EXPECT_EQ(adopted, length - 1);
    read(reader, adopted, length);
    expect_tail(reader, adopted, alone(reader.tokens, length));
  }
}

TEST_F(PagedSequences, WhatWasUsedLongestAgoGoesFirst) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(8);
  PrefixCache cache(*pool);
  std::vector<Reader> readers;
  for (uint64_t i = 0; i < 3; ++i) {
    readers.push_back(reader(1 + i, 100, {}, pool.get()));
    read(readers.back(), 0, 100);
    cache.keep(*readers.back().sequence);
    readers.back().sequence.reset();
  }
  EXPECT_EQ(pool->free_count(), 2);
  const std::vector<RowRole> roles(100, RowRole::kPrompt);
  const auto known = [&](const Reader& of) {
    auto sequence = Sequence::create(run_.model->config(), {}, *pool);
    return cache.adopt(**sequence, of.tokens, roles);
  };
  EXPECT_EQ(known(readers[0]), 99);  // used again
  cache.evict(3);
  EXPECT_EQ(pool->free_count(), 3);
  EXPECT_EQ(known(readers[1]), 64);  // its last page is gone
  cache.evict(4);
  EXPECT_EQ(known(readers[2]), 64);
  EXPECT_EQ(known(readers[0]), 99);
  // What a sequence holds is no use to give back.
  auto sequence = Sequence::create(run_.model->config(), {}, *pool);
  EXPECT_EQ(cache.adopt(**sequence, readers[0].tokens, roles), 99);
  cache.evict(8);
  EXPECT_EQ(cache.page_count(), 1);
  EXPECT_EQ(pool->free_count(), 8 - 2);  // one shared, one its own copy
}

// Sequences come and go, begin alike and differ, in a pool that is too small for what is kept.
// A page that only the cache holds stays while one behind it is held by a sequence, which may have
// a page of its own for the same tokens before that.
TEST_F(PagedSequences, EvictableIsWhatEvictingMakesFree) {
  open_mimo();
  if (HasFatalFailure()) return;
  const auto pool = pool_of(16);
  PrefixCache cache(*pool);
  Reader first = reader(1, 130, {}, pool.get());
  Reader second = reader(2, 140, {}, pool.get());
  std::copy_n(first.tokens.begin(), kPageTokens, second.tokens.begin());
  read(first, 0, 130);
  read(second, 0, 140);
  auto copy = Sequence::create(run_.model->config(), {}, *pool);
  MIDGE_ASSERT_OK(copy);
  MIDGE_ASSERT_OK((*copy)->copy_from(*second.sequence));
  for (Reader* reader : {&first, &second}) {
    cache.keep(*reader->sequence);
    reader->sequence.reset();
  }
  EXPECT_EQ(cache.page_count(), 5);  // the first page once
  const int64_t evictable = cache.evictable_count();
  const int64_t free = pool->free_count();
  cache.evict(pool->page_count());
  EXPECT_EQ(pool->free_count() - free, evictable);
  EXPECT_EQ(evictable, 2);
  copy->reset();
  EXPECT_EQ(cache.evictable_count(), cache.page_count());
  cache.evict(pool->page_count());
  EXPECT_EQ(pool->free_count(), pool->page_count());
}

TEST_F(PagedSequences, AnyOrderOfEventsGivesTheSameBits) {
  open_mimo();
  if (HasFatalFailure()) return;
#ifdef MIDGE_EMULATED
  constexpr int kRounds = 10;
#else
  constexpr int kRounds = 40;
#endif
  const auto pool = pool_of(9);
  std::mt19937 random(5);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % uint64_t(n)); };
  {
    PrefixCache cache(*pool);
    std::vector<std::vector<int32_t>> known = {test::random_tokens(40, vocab_size_, 3)};
    for (int round = 0; round < kRounds; ++round) {
      const std::vector<int32_t>& beginning =
          known[static_cast<size_t>(below(int64_t(known.size())))];
      const int64_t alike = below(static_cast<int64_t>(beginning.size()) + 1);
      const int64_t count = std::min<int64_t>(alike + 2 + below(90), 250);
      const int64_t prompt = 1 + below(count);
      Reader next = reader(100 + static_cast<uint64_t>(round), count, {}, pool.get());
      std::copy_n(beginning.begin(), std::min(alike, count), next.tokens.begin());
      cache.evict(ceil_div(count, kPageTokens));
      const int64_t adopted =
          cache.adopt(*next.sequence, next.tokens, roles_of(prompt, next.tokens.size()));
      read(next, adopted, prompt);
      if (HasFatalFailure()) return;
      expect_tail(next, adopted, alone(next.tokens, prompt));
      if (HasFatalFailure()) return;
      cache.keep(*next.sequence);
      known.push_back(next.tokens);
    }
  }
  EXPECT_EQ(pool->free_count(), 9);
}

}  // namespace
}  // namespace midge
