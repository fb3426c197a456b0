// What a session promises: results that depend on the tokens alone, errors that change nothing.
#include <atomic>

#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::Running;
using test::RunSetup;
using test::step_logits;

std::string golden_model(const char* name) {
  return test::data_path(std::string("golden/models/") + name);
}

TEST(Session, BitsDoNotDependOnPiecesBatchRowsOrThreads) {
  for (const char* name : {"phi4", "mimo", "qwen2"}) {
    std::vector<float> expected;
    std::vector<int32_t> tokens;
    // No more threads than a small board has cores: waiting threads spin.
    for (const int threads : {1, 2}) {
      for (const int64_t batch_rows : {1, 7, 128}) {
        RunSetup setup = {golden_model(name), {}, threads};
        setup.session.batch_rows = batch_rows;
        Running run;
        test::open(setup, &run);
        if (HasFatalFailure()) return;
        tokens = test::random_tokens(45, run.model->config().vocab_size);
        const std::vector<float> whole = step_logits(*run.session, tokens);
        if (expected.empty()) expected = whole;
        EXPECT_EQ(expected, whole) << name << " " << threads << " " << batch_rows;
        for (const size_t piece : {size_t{1}, size_t{8}, size_t{44}}) {
          MIDGE_ASSERT_OK(run.session->truncate(0));
          EXPECT_EQ(expected, test::step_logits_in_pieces(*run.session, tokens, piece))
              << name << " " << piece;
        }
      }
    }
  }
}

TEST(Session, TruncationForgets) {
  Running run;
  test::open({golden_model("phi4-mini")}, &run);
  if (HasFatalFailure()) return;
  const int64_t vocab_size = run.model->config().vocab_size;
  const std::vector<int32_t> tokens = test::random_tokens(30, vocab_size, 1);
  const std::vector<int32_t> others = test::random_tokens(30, vocab_size, 2);
  step_logits(*run.session, std::span(tokens).first(20));
  const std::vector<float> expected = step_logits(*run.session, std::span(tokens).subspan(20));
  MIDGE_ASSERT_OK(run.session->truncate(20));
  step_logits(*run.session, others);
  MIDGE_ASSERT_OK(run.session->truncate(20));
  EXPECT_EQ(run.session->length(), 20);
  EXPECT_EQ(step_logits(*run.session, std::span(tokens).subspan(20)), expected);
  EXPECT_EQ(run.session->truncate(51).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(run.session->truncate(-1).code(), StatusCode::kOutOfRange);
}

// A row of the MTP layer knows the token after its own: what truncation drops takes it along.
TEST(Session, TruncationForgetsInTheMtpLayer) {
  RunSetup setup = {golden_model("mimo")};
  setup.session.mtp = true;
  std::vector<std::vector<float>> results;
  for (const bool detour : {false, true}) {
    Running run;
    test::open(setup, &run);
    if (HasFatalFailure()) return;
    Session& session = *run.session;
    const int64_t vocab_size = run.model->config().vocab_size;
    const auto hidden_size = static_cast<size_t>(run.model->config().hidden_size);
    const std::vector<int32_t> tokens = test::random_tokens(12, vocab_size, 1);
    const std::vector<int32_t> others = test::random_tokens(12, vocab_size, 2);
    std::vector<float> hidden(12 * hidden_size);
    // Reads tokens from the session's length on, and all MTP positions they allow.
    const auto advance = [&](std::span<const int32_t> text) {
      const auto from = static_cast<size_t>(session.length());
      RowOutputs outputs;
      outputs.hidden = hidden.data() + from * hidden_size;
      EXPECT_TRUE(session.step(text.subspan(from), outputs).ok());
      const auto first = static_cast<size_t>(session.mtp_length());
      std::vector<float> logits(static_cast<size_t>(vocab_size));
      const auto last = static_cast<int32_t>(text.size() - first) - 2;
      outputs = {};
      outputs.logits_rows = {&last, 1};
      outputs.logits = logits.data();
      EXPECT_TRUE(
          session
              .mtp_step(text.subspan(first + 1), hidden.data() + first * hidden_size, true, outputs)
              .ok());
      return logits;
    };
    if (detour) {
      std::vector<int32_t> wrong(tokens.begin(), tokens.begin() + 5);
      wrong.insert(wrong.end(), others.begin(), others.begin() + 5);
      advance(wrong);
      MIDGE_ASSERT_OK(session.truncate(5));
      EXPECT_EQ(session.mtp_length(), 4);
    }
    results.push_back(advance(tokens));
  }
  EXPECT_EQ(results[0], results[1]);
}

// The original context of this model is 64 tokens.
TEST(Session, LongropeIsAFunctionOfTheTokens) {
  Running run;
  test::open({golden_model("phi4-mini")}, &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = test::random_tokens(80, run.model->config().vocab_size);
  const std::span<const int32_t> all(tokens);
  const std::vector<float> short_logits = step_logits(*run.session, all.first(60));
  // Across the border token by token, then back to below it and once more.
  for (size_t i = 60; i < 70; ++i) step_logits(*run.session, all.subspan(i, 1));
  const std::vector<float> crossed = step_logits(*run.session, all.subspan(70, 10));
  MIDGE_ASSERT_OK(run.session->truncate(0));
  EXPECT_EQ(step_logits(*run.session, all.first(60)), short_logits);
  MIDGE_ASSERT_OK(run.session->truncate(50));
  const std::vector<float> long_logits = step_logits(*run.session, all.subspan(50, 30));
  EXPECT_TRUE(std::equal(crossed.begin(), crossed.end(), long_logits.end() - crossed.size()));
  // The same sequence at once.
  MIDGE_ASSERT_OK(run.session->truncate(0));
  const std::vector<float> whole = step_logits(*run.session, all);
  EXPECT_TRUE(std::equal(crossed.begin(), crossed.end(), whole.end() - crossed.size()));
}

TEST(Session, ErrorsChangeNothing) {
  RunSetup setup = {golden_model("phi4")};
  setup.session.context_length = 20;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const int64_t vocab_size = run.model->config().vocab_size;
  const std::vector<int32_t> tokens = test::random_tokens(21, vocab_size);
  const std::span<const int32_t> all(tokens);
  step_logits(*run.session, all.first(10));
  const std::vector<float> expected = step_logits(*run.session, all.subspan(10, 2));
  MIDGE_ASSERT_OK(run.session->truncate(10));

  EXPECT_EQ(run.session->step(all.first(11), {}).code(), StatusCode::kContextFull);
  EXPECT_EQ(run.session->step({}, {}).code(), StatusCode::kOutOfRange);
  for (const int32_t bad : {-1, static_cast<int32_t>(vocab_size), INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(run.session->step({&bad, 1}, {}).code(), StatusCode::kOutOfRange);
  }
  std::vector<float> logits(static_cast<size_t>(2 * vocab_size));
  const std::vector<std::vector<int32_t>> bad_rows = {{2}, {-1}, {1, 0}, {0, 0}};
  for (const std::vector<int32_t>& rows : bad_rows) {
    RowOutputs outputs;
    outputs.logits_rows = rows;
    outputs.logits = logits.data();
    EXPECT_EQ(run.session->step(all.first(2), outputs).code(), StatusCode::kOutOfRange);
  }
  std::atomic<bool> cancel{true};
  run.session->set_cancel_flag(&cancel);
  EXPECT_EQ(run.session->step(all.first(2), {}).code(), StatusCode::kCancelled);
  run.session->set_cancel_flag(nullptr);
  EXPECT_EQ(run.session->mtp_step(all.first(1), logits.data(), true, {}).code(),
            StatusCode::kUnsupported);

  EXPECT_EQ(run.session->length(), 10);
  EXPECT_EQ(step_logits(*run.session, all.subspan(10, 2)), expected);
}

TEST(Session, CreationRefusesImpossibleOptions) {
  auto model = open_model(golden_model("phi4"));
  MIDGE_ASSERT_OK(model);
  auto executor = Executor::create(**model, {});
  MIDGE_ASSERT_OK(executor);
  const auto code = [&](auto change) {
    SequenceOptions options;
    change(options);
    return Session::create(**executor, options).status().code();
  };
  const int64_t context = (*model)->config().context_length;
  EXPECT_EQ(code([](SequenceOptions&) {}), StatusCode::kOk);
  EXPECT_EQ(code([&](SequenceOptions& o) { o.context_length = context + 1; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SequenceOptions& o) { o.context_length = -1; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SequenceOptions& o) { o.batch_rows = 0; }), StatusCode::kInvalidArgument);
  for (const int64_t page_tokens : {-64, 1, 100}) {
    EXPECT_EQ(code([=](SequenceOptions& o) { o.kv_page_tokens = page_tokens; }),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(code([](SequenceOptions& o) { o.mtp = true; }), StatusCode::kUnsupported);
  ExecutorOptions too_many;
  too_many.threads = 1000;
  EXPECT_EQ(Executor::create(**model, too_many).status().code(), StatusCode::kInvalidArgument);
  for (int64_t ExecutorOptions::* limit :
       {&ExecutorOptions::rows_max, &ExecutorOptions::logit_rows_max}) {
    for (const int64_t value : {0, 5000}) {
      ExecutorOptions options;
      options.*limit = value;
      EXPECT_EQ(Executor::create(**model, options).status().code(), StatusCode::kInvalidArgument);
    }
  }
  ExecutorOptions short_context;
  short_context.context_max = 8;
  auto small = Executor::create(**model, short_context);
  MIDGE_ASSERT_OK(small);
  SequenceOptions longer;
  longer.context_length = 9;
  EXPECT_EQ(Session::create(**small, longer).status().code(), StatusCode::kInvalidArgument);
  const auto shortened = Session::create(**small, {});
  MIDGE_ASSERT_OK(shortened);
  EXPECT_EQ((*shortened)->context_length(), 8);
}

TEST(Session, OnlyTheRowsAskedFor) {
  RunSetup setup = {golden_model("mimo")};
  setup.session.batch_rows = 8;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const auto vocab = static_cast<size_t>(run.model->config().vocab_size);
  const auto hidden_size = static_cast<size_t>(run.model->config().hidden_size);
  const std::vector<int32_t> tokens = test::random_tokens(30, run.model->config().vocab_size);
  const std::vector<float> all = step_logits(*run.session, tokens);
  MIDGE_ASSERT_OK(run.session->truncate(0));
  const std::vector<int32_t> rows = {0, 7, 8, 9, 23, 29};
  std::vector<float> logits(rows.size() * vocab);
  std::vector<float> normed(tokens.size() * hidden_size);
  RowOutputs outputs;
  outputs.logits_rows = rows;
  outputs.logits = logits.data();
  outputs.hidden_normed = normed.data();
  MIDGE_ASSERT_OK(run.session->step(tokens, outputs));
  std::vector<float> projected(vocab);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    const auto expected = std::span(all).subspan(row * vocab, vocab);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), logits.begin() + i * vocab)) << row;
    MIDGE_ASSERT_OK(run.session->project(normed.data() + row * hidden_size, 1, projected.data()));
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), projected.begin())) << row;
  }
}

TEST(Session, TensorsOnOddAddressesAreRead) {
  // One more space in the header moves every tensor by one byte.
  test::CheckpointShape shape;
  std::vector<std::vector<float>> logits;
  for (const size_t padding : {size_t{0}, size_t{1}}) {
    const test::TempDir dir;
    dir.write("config.json", test::checkpoint_config(shape));
    dir.write("model.safetensors", test::checkpoint_tensors(shape, 3).bytes(padding));
    Running run;
    test::open({dir.path()}, &run);
    if (HasFatalFailure()) return;
    logits.push_back(step_logits(*run.session, test::random_tokens(9, shape.vocab)));
  }
  EXPECT_EQ(logits[0], logits[1]);
}

// They are copied into memory, whose pages no file could give back.
TEST(Session, TensorsOnOddAddressesSurviveTrimming) {
  test::CheckpointShape shape;
  shape.hidden = 128;  // matrices of several pages
  shape.intermediate = 256;
  shape.heads = 4;
  shape.head_dim = 32;
  shape.vocab = 300;
  const test::TempDir dir;
  dir.write("config.json", test::checkpoint_config(shape));
  dir.write("model.safetensors", test::checkpoint_tensors(shape, 3).bytes(1));
  const std::vector<int32_t> tokens = test::random_tokens(9, static_cast<int32_t>(shape.vocab));
  for (const Arithmetic arithmetic : {Arithmetic::kFloat, Arithmetic::kPacked}) {
    SCOPED_TRACE(static_cast<int>(arithmetic));
    test::RunSetup setup = {dir.path()};
    setup.arithmetic = arithmetic;
    if (arithmetic == Arithmetic::kPacked) setup.weights = Encoding::kQ8B32;
    Running run;
    test::open(setup, &run);
    if (HasFatalFailure()) return;
    const std::vector<float> before = step_logits(*run.session, tokens);
    MIDGE_ASSERT_OK(run.executor->trim());
    MIDGE_ASSERT_OK(run.session->truncate(0));
    EXPECT_EQ(step_logits(*run.session, tokens), before);
    // Another executor prepares the weights once more.
    ExecutorOptions again;
    again.threads = 1;
    again.arithmetic = arithmetic;
    if (setup.weights.has_value()) again.weights = WeightRecipe(*setup.weights);
    const auto executor = Executor::create(*run.model, again);
    MIDGE_ASSERT_OK(executor);
    const auto session = Session::create(**executor, {});
    MIDGE_ASSERT_OK(session);
    EXPECT_EQ(step_logits(**session, tokens), before);
  }
}

}  // namespace
}  // namespace midge
