// Events of workers become a table that accounts for the time, and a trace.
#include <gtest/gtest.h>

#include "bench/model/model_runner.h"
#include "bench/model/op_summary.h"
#include "engine/formats/json.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

// A profile of decode steps, with what belongs to it.
struct Profiled {
  std::unique_ptr<LoadedModel> model = open_packed_model(2);
  Profile profile{2, 20000};
  SummaryInput input;

  explicit Profiled(int steps) {
    RunnerOptions options;
    options.depth_max = 64;
    options.requests_max = 0;
    auto runner = ModelRunner::create(*model, options);
    EXPECT_TRUE(runner.ok());
    model->executor().set_profile(&profile);
    for (int i = 0; i < steps; ++i) input.wall += *(*runner)->at_depth(64, 1);
    model->executor().set_profile(nullptr);
    const KvLayout& kv = (*runner)->pool().layout();
    input.profile = &profile;
    input.executor = &model->executor();
    input.kv_token_bytes = static_cast<double>(kv.token_bytes() * kv.kv_heads);
    input.first_position = 64;
  }
};

const OpLine* find(const OpSummary& summary, const char* name) {
  for (const OpLine& line : summary.lines) {
    if (line.name == name) return &line;
  }
  return nullptr;
}

TEST(OpSummary, CountsEveryOperationOfAStep) {
  const Profiled profiled(3);
  const OpSummary summary = summarize_ops(profiled.input);
  const ModelConfig& config = profiled.model->model().config();
  for (const char* name :
       {"linear qkv", "linear o", "linear gate_up", "linear down", "attention"}) {
    const OpLine* line = find(summary, name);
    ASSERT_NE(line, nullptr) << name;
    EXPECT_EQ(line->calls, 3 * config.layer_count) << name;
    EXPECT_EQ(line->busy.size(), 2u);
    EXPECT_FALSE(line->kernels.empty()) << name;
  }
  ASSERT_NE(find(summary, "linear head"), nullptr);
  EXPECT_EQ(find(summary, "linear head")->calls, 3);
  EXPECT_EQ(summary.dropped, 0);
}

// What the lines say of matrices adds up to what a token reads and multiplies.
TEST(OpSummary, BytesAndMultiplyAddsAreThoseOfAToken) {
  const Profiled profiled(2);
  double bytes = 0;
  double macs = 0;
  for (const OpLine& line : summarize_ops(profiled.input).lines) {
    if (!line.name.starts_with("linear ")) continue;
    bytes += line.bytes;
    macs += line.macs;
  }
  EXPECT_DOUBLE_EQ(bytes, 2 * static_cast<double>(profiled.model->model().token_bytes()));
  double weights = 0;
  visit_linear_matrices(profiled.model->model().weights(),
                        [&](const std::string& name, const PreparedMatrix& w) {
                          if (is_of_mtp(name)) return;
                          weights += static_cast<double>(w.n()) * static_cast<double>(w.k());
                        });
  EXPECT_DOUBLE_EQ(macs, 2 * weights);
}

// A step of several passes reads what the ones before it have stored, layer by layer.
TEST(OpSummary, AttentionReadsWhatIsInFrontOfEachPass) {
  const Profiled profiled(1);
  Profile profile(1, 16);
  SummaryInput input = profiled.input;
  input.profile = &profile;
  input.first_position = 100;
  input.step_rows = 12;
  const auto pass = [&](int64_t rows) {
    for (int layer = 0; layer < 2; ++layer) {
      profile.log(0)->add({0, 1, nullptr, rows, layer, static_cast<uint8_t>(OpKind::kAttention)});
    }
  };
  for (int step = 0; step < 2; ++step) {
    pass(8);
    pass(4);
  }
  EXPECT_DOUBLE_EQ(find(summarize_ops(input), "attention")->bytes,
                   2 * 2 * (108 + 112) * input.kv_token_bytes);
  input.window = 20;
  EXPECT_DOUBLE_EQ(find(summarize_ops(input), "attention")->bytes,
                   2 * 2 * (27 + 23) * input.kv_token_bytes);
}

TEST(OpSummary, TimesFitInTheWallTime) {
  const Profiled profiled(4);
  const OpSummary summary = summarize_ops(profiled.input);
  EXPECT_LE(summary.accounted(), 1.0);
  EXPECT_GT(summary.accounted(), 0.0);
  for (const OpLine& line : summary.lines) {
    EXPECT_GE(line.imbalance(), 1.0) << line.name;
    EXPECT_LE(line.imbalance(), 2.0) << line.name;
    // A worker works and waits for as long as the operation takes.
    EXPECT_NEAR(line.busy[0] + line.waits[0], line.seconds, 1e-9) << line.name;
  }
}

TEST(OpSummary, FullLogsDropAndSay) {
  EventLog log(2);
  for (int i = 0; i < 5; ++i) log.add(Event());
  EXPECT_EQ(log.events().size(), 2u);
  EXPECT_EQ(log.dropped(), 3);
}

TEST(OpSummary, NothingIsLoggedWithoutAProfile) {
  Profiled profiled(1);
  const size_t before = profiled.profile.logs()[0].events().size();
  RunnerOptions options;
  options.requests_max = 0;
  auto runner = ModelRunner::create(*profiled.model, options);
  ASSERT_TRUE((*runner)->at_depth(0, 1).ok());
  EXPECT_EQ(profiled.profile.logs()[0].events().size(), before);
}

// What Perfetto asks of the format: complete events with times that are numbers, of one process, on
// named tracks, and slices of a track that nest.
TEST(OpSummary, TraceIsOfTheFormat) {
  const Profiled profiled(2);
  const std::string text = trace_json(profiled.input);
  const Result<JsonDocument> document = JsonDocument::parse(
      "trace", text, DuplicateKeys::kRefused, {.parsed_bytes = 1 << 30, .long_numbers = 1 << 20});
  ASSERT_TRUE(document.ok()) << document.status().message();
  const JsonObject root = *document->root();
  const simdjson::dom::array events = *root.array("traceEvents");
  const std::string name = "event";
  std::vector<std::pair<double, double>> open[2];
  size_t tracks = 0;
  size_t barriers = 0;
  for (const simdjson::dom::element element : events) {
    const JsonObject event(simdjson::dom::object(element), &name);
    const std::string_view phase = *event.string("ph");
    if (phase == "M") {
      tracks += *event.string("name") == "thread_name";
      continue;
    }
    ASSERT_EQ(phase, "X");
    EXPECT_GE(*event.number("dur"), 0);
    EXPECT_GE(*event.number("ts"), 0);
    barriers += *event.string("name") == "barrier";
    open[*event.integer("tid", 0, 1)].emplace_back(*event.number("ts"),
                                                   *event.number("ts") + *event.number("dur"));
  }
  EXPECT_EQ(tracks, 2u);
  EXPECT_GT(barriers, 0u);
  for (auto& slices : open) {
    std::sort(slices.begin(), slices.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second > b.second;
    });
    std::vector<double> ends;
    constexpr double kRounding = 0.002;
    for (const auto& [start, end] : slices) {
      while (!ends.empty() && ends.back() <= start + kRounding) ends.pop_back();
      if (!ends.empty()) {
        EXPECT_LE(end, ends.back() + kRounding);
      }
      ends.push_back(end);
    }
  }
}

}  // namespace
}  // namespace midge::bench
