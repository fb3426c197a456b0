// Sequences of one executor that read their tokens step by step, with the logits that they get.
#pragma once

#include <cstring>

#include <gtest/gtest.h>

#include "engine/session/step.h"
#include "tests/harness/running.h"

namespace midge::test {

// A sequence on its way: what it reads next, and all logits that it got.
struct Reader {
  std::unique_ptr<Sequence> sequence;
  std::vector<int32_t> tokens;
  std::vector<float> logits;  // [tokens, vocab_size]
};

inline void expect_same(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
}

class ReadersTest : public ::testing::Test {
 protected:
  void open(const RunSetup& setup) {
    test::open(setup, &run_);
    if (HasFatalFailure()) return;
    vocab_size_ = run_.model->config().vocab_size;
  }

  // With pages of `pool`, or with its own.
  Reader reader(uint64_t seed, int64_t count, const SequenceOptions& options = {},
                KvPool* pool = nullptr) {
    Reader reader;
    const ModelConfig& config = run_.model->config();
    auto sequence = pool == nullptr ? Sequence::create(config, options)
                                    : Sequence::create(config, options, *pool);
    EXPECT_TRUE(sequence.ok()) << sequence.status().message();
    if (sequence.ok()) reader.sequence = std::move(*sequence);
    reader.tokens = random_tokens(static_cast<size_t>(count), vocab_size_, seed);
    reader.logits.resize(static_cast<size_t>(count * vocab_size_));
    return reader;
  }

  // The step that reads `count` tokens of a reader from `first` on, with the logits of all.
  SequenceStep step_of(Reader& reader, int64_t first, int64_t count, RowRole role) {
    SequenceStep step;
    step.sequence = reader.sequence.get();
    step.tokens = std::span(reader.tokens).subspan(size_t(first), size_t(count));
    step.role = role;
    step.outputs.logits_rows = std::span(rows_).first(size_t(count));
    step.outputs.logits = reader.logits.data() + first * vocab_size_;
    return step;
  }

  void run_steps(std::vector<SequenceStep> steps) {
    run_step(*run_.executor, steps);
    for (const SequenceStep& step : steps) MIDGE_ASSERT_OK(step.status);
  }

  Running run_;
  int64_t vocab_size_ = 0;
  std::vector<int32_t> rows_ = all_rows(512);
};

inline RunSetup packed_setup(const std::string& path, Encoding weights) {
  RunSetup setup = {path};
  setup.arithmetic = Arithmetic::kPacked;
  setup.weights = weights;
  return setup;
}

inline std::string golden_model(const char* name) {
  return data_path(std::string("golden/models/") + name);
}

}  // namespace midge::test
