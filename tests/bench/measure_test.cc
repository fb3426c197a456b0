// Rounds on a small model: every section, both of two subjects, refusals.
#include <algorithm>

#include <gtest/gtest.h>

#include "bench/limits/read_pass.h"
#include "bench/model/measure.h"
#include "bench/model/model_runner.h"
#include "engine/ops/profile.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

BenchOptions small_options() {
  BenchOptions options;
  options.rounds = 2;
  options.prompts = {16};
  options.depths = {0, 192};
  options.rows = {1, 4};
  options.requests = {1, 2};
  return options;
}

Subject small_subject(const char* name) {
  Subject subject;
  subject.name = name;
  subject.path = MIDGE_TEST_DATA "/packed/tiny-phi.midge";
  subject.context_length = 512;
  subject.open = []() -> Result<std::unique_ptr<LoadedModel>> { return open_packed_model(2); };
  return subject;
}

TEST(Measure, FillsEverySection) {
  const auto reports = run_bench({small_subject("a"), small_subject("b")}, small_options());
  ASSERT_TRUE(reports.ok()) << reports.status().message();
  ASSERT_EQ(reports->size(), 2u);
  for (const SubjectReport& report : *reports) {
    EXPECT_EQ(report.rounds.size(), 2u);
    EXPECT_GT(report.gate.seconds, 0);
    for (const auto& [section, at] : {std::pair("prompt", 16), std::pair("decode", 192),
                                      std::pair("rows", 4), std::pair("requests", 2)}) {
      const Figure* figure = report.find(section, at);
      ASSERT_NE(figure, nullptr) << section;
      EXPECT_EQ(figure->rounds.size(), 2u) << section;
      EXPECT_GE(figure->samples().size(), 2u) << section;
      for (const double seconds : figure->samples()) EXPECT_GT(seconds, 0);
    }
    const Figure* warm = report.find("open", 1);
    ASSERT_NE(warm, nullptr);
    // Deeper steps read more.
    EXPECT_GT(report.find("decode", 192)->bytes, report.find("decode", 0)->bytes);
    // Each request reads keys and values of its own.
    EXPECT_GT(report.find("requests", 2)->bytes, report.find("requests", 1)->bytes);
  }
}

TEST(Measure, LeavesOutWhatTheContextDoesNotHold) {
  BenchOptions options = small_options();
  options.opens = false;
  options.depths = {0, 4096};
  const auto reports = run_bench({small_subject("a")}, options);
  ASSERT_TRUE(reports.ok()) << reports.status().message();
  EXPECT_EQ(reports->front().find("decode", 4096), nullptr);
  ASSERT_EQ(reports->front().notes.size(), 1u);
  EXPECT_NE(reports->front().notes.front().find("4096"), std::string::npos);
}

TEST(Measure, RefusesAWrongKernel) {
  BenchOptions options = small_options();
  options.wrong_kernel = true;
  EXPECT_EQ(run_bench({small_subject("a")}, options).status().code(), StatusCode::kInternal);
}

TEST(Measure, IsCancelled) {
  const std::atomic<bool> cancel = true;
  BenchOptions options = small_options();
  options.cancel = &cancel;
  EXPECT_EQ(run_bench({small_subject("a")}, options).status().code(), StatusCode::kCancelled);
}

TEST(Measure, DisturbedRoundsCountForNothingUnlessMostAre) {
  Figure figure;
  figure.rounds = {{.seconds = 1, .samples = {1, 1}},
                   {.seconds = 2, .samples = {2}},
                   {.seconds = 9, .disturbed = true, .samples = {9, 9, 9}}};
  EXPECT_FALSE(figure.is_disturbed());
  EXPECT_EQ(figure.of_rounds(&Round::seconds), (std::vector<double>{1, 2}));
  EXPECT_EQ(figure.samples(), (std::vector<double>{1, 1, 2}));
  figure.rounds[0].disturbed = true;
  EXPECT_TRUE(figure.is_disturbed());
  EXPECT_EQ(figure.of_rounds(&Round::seconds).size(), 3u);
  EXPECT_EQ(figure.samples().size(), 6u);
}

// The head is a matrix of its own, which a step without logits does not read.
TEST(Measure, OpeningGoesAsFarAsTheFirstToken) {
  BenchOptions options = small_options();
  options.rounds = 1;
  Subject subject = small_subject("a");
  Profile profile(1, 4096);
  const void* head = nullptr;
  subject.open = [&]() -> Result<std::unique_ptr<LoadedModel>> {
    std::unique_ptr<LoadedModel> model = open_packed_model(1);
    if (head == nullptr) {  // the first one is opened to be timed
      head = &model->executor().engine().weights->head;
      model->executor().set_profile(&profile);
    }
    return model;
  };
  ASSERT_TRUE(run_bench({subject}, options).ok());
  const std::vector<Event>& events = profile.logs().front().events();
  const auto heads = std::count_if(events.begin(), events.end(), [&](const Event& event) {
    return event.kind == static_cast<uint8_t>(OpKind::kLinear) && event.subject == head;
  });
  EXPECT_EQ(heads, kHasProfiler ? 1 : 0);
}

TEST(ReadPass, ReadsWhatATokenReads) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(2);
  ReadPass read(model->executor());
  EXPECT_EQ(read.bytes(), model->model().token_bytes());
  EXPECT_GT(read.measure(PassClass::kRow), 0);
  const uint64_t once = read.checksum();
  EXPECT_GT(read.measure(PassClass::kRow), 0);
  // Both passes of both calls read the same bytes.
  EXPECT_EQ(read.checksum(), 2 * once);
}

// A deep sequence is made of pages that are copies: what is read behind it is what a real prompt of
// these tokens would be read behind, as far as pages go.
TEST(ModelRunner, StepsAtEveryDepth) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(1);
  RunnerOptions options;
  options.depth_max = 320;
  options.depth_count = 7;
  options.requests_max = 3;
  const auto runner = ModelRunner::create(*model, options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  for (const int64_t depth : {0, 1, 63, 64, 65, 300, 320}) {
    for (int rows = 1; rows <= 4; ++rows) {
      EXPECT_TRUE((*runner)->at_depth(depth, rows).ok()) << depth;
    }
  }
  // As often as one likes: it begins anew where its room ends.
  for (int i = 0; i < 70; ++i) EXPECT_TRUE((*runner)->at_depth(0, 4).ok()) << i;
  EXPECT_TRUE((*runner)->requests(3).ok());
  EXPECT_TRUE((*runner)->requests(2).ok());
}

TEST(ModelRunner, TheLeastRoomIsEnough) {
  RunnerOptions options;
  options.depth_max = 0;
  options.requests_max = 0;
  const std::unique_ptr<LoadedModel> model =
      open_packed_model(1, ModelRunner::context_for(options));
  const auto runner = ModelRunner::create(*model, options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  for (int i = 0; i < 70; ++i) EXPECT_TRUE((*runner)->at_depth(0, 4).ok()) << i;
}

}  // namespace
}  // namespace midge::bench
