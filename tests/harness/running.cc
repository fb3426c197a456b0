#include "tests/harness/running.h"

#include <algorithm>
#include <cmath>

#include "engine/packed/packed_model.h"
#include "engine/platform/cpu_features.h"
#include "engine/session/random.h"
#include "models/registry.h"

namespace midge::test {

void open(const RunSetup& setup, Running* out) {
  if (is_packed_file(setup.path)) {
    auto file = PackedFile::open(setup.path);
    MIDGE_ASSERT_OK(file);
    auto model = open_packed_model(*file);
    MIDGE_ASSERT_OK(model);
    out->model = std::move(*model);
  } else {
    auto model = open_model(setup.path);
    MIDGE_ASSERT_OK(model);
    out->model = std::move(*model);
  }
  ExecutorOptions options;
  options.threads = setup.threads;
  options.arithmetic = setup.arithmetic;
  options.weights = setup.recipe.value_or(WeightRecipe(setup.weights));
  options.importance = setup.importance;
  options.isa = setup.isa.value_or(detect_cpu_features());
  options.calibrate = setup.calibrate;
  options.cache_dir = setup.cache_dir;
  options.team = setup.team;
  options.isa_of_types = setup.isa_of_types;
  options.calibrate_bytes_min = 0;
  options.rows_max = setup.session.batch_rows;
  options.context_max = setup.session.context_length;
  auto executor = Executor::create(*out->model, options);
  MIDGE_ASSERT_OK(executor);
  out->executor = std::move(*executor);
  auto session = Session::create(*out->executor, setup.session);
  MIDGE_ASSERT_OK(session);
  out->session = std::move(*session);
}

SequenceOptions with(KvType kv_type, RopeMode rope) {
  SequenceOptions options;
  options.kv_type = kv_type;
  options.rope = rope;
  return options;
}

std::vector<int32_t> all_rows(size_t count) {
  std::vector<int32_t> rows(count);
  for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(i);
  return rows;
}

std::vector<int32_t> random_tokens(size_t count, int64_t vocab_size, uint64_t seed) {
  std::vector<int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<int32_t>(uniform_at(seed, i) * static_cast<double>(vocab_size));
  }
  return tokens;
}

std::vector<float> step_logits(Session& session, std::span<const int32_t> tokens, RowRole role) {
  std::vector<float> logits(tokens.size() *
                            static_cast<size_t>(session.model().config().vocab_size));
  const std::vector<int32_t> rows = all_rows(tokens.size());
  RowOutputs outputs;
  outputs.logits_rows = rows;
  outputs.logits = logits.data();
  const Status status = session.step(tokens, outputs, role);
  EXPECT_TRUE(status.ok()) << status.message();
  return logits;
}

std::vector<float> step_logits_in_pieces(Session& session, std::span<const int32_t> tokens,
                                         size_t piece, RowRole role) {
  std::vector<float> all;
  for (size_t start = 0; start < tokens.size(); start += piece) {
    const std::vector<float> some =
        step_logits(session, tokens.subspan(start, std::min(piece, tokens.size() - start)), role);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::vector<int32_t> greedy_tokens(Session& session, std::span<const int32_t> prompt,
                                   size_t count) {
  std::vector<int32_t> next(prompt.begin(), prompt.end());
  std::vector<int32_t> found;
  std::vector<float> logits(static_cast<size_t>(session.model().config().vocab_size));
  while (found.size() < count) {
    const int32_t last = static_cast<int32_t>(next.size()) - 1;
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = logits.data();
    const Status status = session.step(next, outputs);
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok()) break;
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    found.push_back(static_cast<int32_t>(best));
    next = {found.back()};
  }
  return found;
}

float relative_error(std::span<const float> expected, std::span<const float> found) {
  EXPECT_EQ(expected.size(), found.size());
  if (expected.size() != found.size()) return NAN;
  const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
  float worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float difference = std::fabs(expected[i] - found[i]);
    if (std::isnan(difference)) return NAN;
    worst = std::max(worst, difference);
  }
  return worst / (*high - *low);
}

}  // namespace midge::test
