// The C interface: what is refused, and that nothing a caller does ends the program.
#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <stdexcept>
#include <thread>

#include <sys/resource.h>

#include "tests/api/api_harness.h"

extern "C" int midge_c_sizes(size_t* out);

namespace midge {
namespace {

using test::kTinyMimo;
using test::kTinyPhi;
using test::Told;

class ApiTest : public test::ApiFixture {};

TEST_F(ApiTest, StructsHaveOneSizeInBothLanguages) {
  size_t sizes[5] = {};
  ASSERT_EQ(midge_c_sizes(sizes), 5);
  EXPECT_EQ(sizes[0], sizeof(midge_model_options));
  EXPECT_EQ(sizes[1], sizeof(midge_engine_options));
  EXPECT_EQ(sizes[2], sizeof(midge_request));
  EXPECT_EQ(sizes[3], sizeof(midge_event));
  EXPECT_EQ(sizes[4], sizeof(midge_engine_stats));
}

TEST_F(ApiTest, StatusesAreThoseOfTheLibrary) {
  for (int code = 0; code <= MIDGE_CALLBACK_FAILED; ++code) {
    EXPECT_STREQ(midge_status_name(code), status_code_name(static_cast<StatusCode>(code)));
  }
  EXPECT_STREQ(midge_status_name(-1), "unknown");
  EXPECT_STREQ(midge_status_name(17), "unknown");
  EXPECT_EQ(int{MIDGE_TIMEOUT}, static_cast<int>(StatusCode::kTimeout));
}

TEST_F(ApiTest, NullPointersAreRefused) {
  open();
  create();
  midge_error error;
  midge_model* model = nullptr;
  midge_engine* engine = nullptr;
  size_t count = 0;
  int32_t token = 1;
  char text[8];
  EXPECT_EQ(midge_model_open(nullptr, nullptr, &model, &error), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_model_open(kTinyPhi, nullptr, nullptr, &error), MIDGE_INVALID_ARGUMENT);
  EXPECT_STREQ(error.text, "model is null");
  EXPECT_EQ(midge_model_open("/nowhere", nullptr, &model, nullptr), MIDGE_NOT_FOUND);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(midge_model_info_get(nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_model_info_get(models_[0], nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_model_close(nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_model_close(&model), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_tokenize(nullptr, "a", 1, 0, nullptr, &count), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_tokenize(models_[0], nullptr, 1, 0, nullptr, &count), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_tokenize(models_[0], "a", 1, 0, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_tokenize(models_[0], "a", 1, 8, nullptr, &count), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_detokenize(models_[0], nullptr, 1, 0, text, &count), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_detokenize(models_[0], &token, 1, 0, text, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_plan(nullptr, nullptr, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_plan(models_[0], nullptr, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_create(nullptr, 1, nullptr, &engine, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_create(models_.data(), 0, nullptr, &engine, nullptr),
            MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_create(models_.data(), 1, nullptr, nullptr, nullptr),
            MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_create(&model, 1, nullptr, &engine, &error), MIDGE_INVALID_ARGUMENT);
  EXPECT_STREQ(error.text, "models[0] is not an open model");
  EXPECT_EQ(midge_engine_step(nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_trim(nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_close(nullptr, MIDGE_CANCEL), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_close(&engine, MIDGE_CANCEL), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_close(&engine_, 7), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_submit(nullptr, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_submit(engine_, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_cancel(nullptr, 1), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_wait(nullptr, 1, 0), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_next_event(engine_, 1, 0, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_stats_get(engine_, 0, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_prefix_save(engine_, 0, nullptr, nullptr, 1, "a", nullptr),
            MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_prefix_load(engine_, 0, nullptr, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_error_text(nullptr, text, 8), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_error_text(engine_, nullptr, 8), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_error_text(engine_, text, 5), MIDGE_OK);
  EXPECT_STREQ(text, "path");
}

// Handles of the other type, requests that have ended, sizes of no version.
TEST_F(ApiTest, WhatIsNotKnownIsRefused) {
  open();
  create();
  auto* no_model = reinterpret_cast<midge_model*>(engine_);
  auto* no_engine = reinterpret_cast<midge_engine*>(models_[0]);
  midge_model_info info = {};
  info.size = sizeof(info);
  EXPECT_EQ(midge_model_info_get(no_model, &info), MIDGE_INVALID_ARGUMENT);
  EXPECT_EQ(midge_engine_step(no_engine, nullptr), MIDGE_INVALID_ARGUMENT);

  midge_request one = request(1, 10, 3);
  const uint64_t id = submit(one);
  finish(id);
  EXPECT_EQ(midge_cancel(engine_, id), MIDGE_NOT_FOUND);
  EXPECT_EQ(midge_cancel(engine_, 12345), MIDGE_NOT_FOUND);
  EXPECT_EQ(midge_wait(engine_, id, 0), MIDGE_OK);
  midge_event event = {};
  event.size = sizeof(event);
  EXPECT_EQ(midge_next_event(engine_, id, 0, &event), MIDGE_NOT_FOUND);
  one.continues = id;
  EXPECT_EQ(midge_submit(engine_, &one, nullptr), MIDGE_NOT_FOUND) << "it was not kept";
  one.continues = 0;

  for (const size_t size : {size_t{0}, size_t{3}, sizeof(midge_request) - 1, size_t{1} << 40}) {
    one.size = size;
    EXPECT_EQ(midge_submit(engine_, &one, nullptr), MIDGE_INVALID_ARGUMENT) << size;
  }
  EXPECT_NE(error_text(engine_).find("midge_request has size"), std::string::npos);
  info.size = 8;
  EXPECT_EQ(midge_model_info_get(models_[0], &info), MIDGE_INVALID_ARGUMENT);
  // A newer program: what this version does not know is zero, or refused.
  struct Newer {
    midge_request request;
    uint64_t field = 0;
  } newer = {request(1, 10, 3)};
  newer.request.size = sizeof(newer);
  EXPECT_EQ(midge_submit(engine_, &newer.request, nullptr), MIDGE_OK);
  newer.field = 1;
  EXPECT_EQ(midge_submit(engine_, &newer.request, nullptr), MIDGE_INVALID_ARGUMENT);
  EXPECT_NE(error_text(engine_).find("does not know"), std::string::npos);
  EXPECT_EQ(midge_model_close(models_.data()), MIDGE_BUSY) << "its engine is open";
}

TEST_F(ApiTest, OptionsOutOfTheirRangesAreRefused) {
  open();
  create();
  const auto refused = [&](midge_status status, const auto& change) {
    midge_request bad = request(1, 10, 3);
    change(bad);
    EXPECT_EQ(midge_submit(engine_, &bad, nullptr), status) << error_text(engine_);
  };
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.model = 1; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.text = "too"; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.tokens = nullptr; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.token_count = 0; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.tokens_max = -1; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.samples = 100; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.samples = -1; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.temperature = -1; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.top_p = 2; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.logprobs = 33; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.prompt_logprobs_from = 11; });
  refused(MIDGE_OUT_OF_RANGE, [](midge_request& r) { r.deadline_seconds = -1; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.stop_string_count = 1; });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.logit_bias_count = 1; });
  const int32_t foreign = 1 << 30;
  refused(MIDGE_OUT_OF_RANGE, [&](midge_request& r) {
    r.tokens = &foreign;
    r.token_count = 1;
  });
  refused(MIDGE_UNSUPPORTED, [](midge_request& r) {
    r.tokens = nullptr;
    r.messages_json = R"([{"role": "user", "content": "a"}])";
    r.chat_template = "nobody's";
  });
  refused(MIDGE_INVALID_FILE, [](midge_request& r) {
    r.tokens = nullptr;
    r.messages_json = "{";
  });
  refused(MIDGE_INVALID_ARGUMENT, [](midge_request& r) { r.tools_json = "[]"; });
  midge_token_mask mask = {};
  refused(MIDGE_INVALID_ARGUMENT, [&](midge_request& r) { r.mask = &mask; });
  EXPECT_EQ(listener_.count(), 0u) << "nothing was told of what was refused";

  midge_error error;
  midge_model* model = nullptr;
  for (const auto& change : std::vector<void (*)(midge_model_options&)>{
           [](midge_model_options& o) { o.recipe = "tasty"; },
           [](midge_model_options& o) { o.arithmetic = "mental"; },
           [](midge_model_options& o) { o.isa = "z80"; },
           [](midge_model_options& o) { o.kv_type = "i1"; },
           [](midge_model_options& o) { o.kv_tokens = -1; },
           [](midge_model_options& o) { o.kv_tokens = INT64_MAX; },
           [](midge_model_options& o) { o.running_max = 65; },
           [](midge_model_options& o) { o.context_length = 1 << 30; }}) {
    midge_model_options options = {};
    options.size = sizeof(options);
    change(options);
    EXPECT_EQ(midge_model_open(kTinyPhi, &options, &model, &error), MIDGE_INVALID_ARGUMENT);
    EXPECT_NE(error.text[0], '\0');
  }
}

// Each running answer has a row of a pass at least: fewer rows than answers run by default.
TEST_F(ApiTest, FewRowsOfAPass) {
  midge_model_options model = {};
  model.batch_rows = 4;
  open(kTinyMimo, model);
  create();
  const midge_request one = request(1, 10, 5);
  EXPECT_EQ(finish(submit(one)).tokens, alone(one));
}

TEST_F(ApiTest, TokensAndTexts) {
  open(kTinyPhi);
  const std::string text = "A small house by the sea.";
  int32_t tokens[64];
  size_t count = 2;
  EXPECT_EQ(midge_tokenize(models_[0], text.data(), text.size(), 0, tokens, &count),
            MIDGE_TOO_SMALL);
  ASSERT_LE(count, 64u);
  EXPECT_EQ(midge_tokenize(models_[0], text.data(), text.size(), 0, tokens, &count), MIDGE_OK);
  std::string back(64, '\0');
  size_t bytes = 3;
  EXPECT_EQ(midge_detokenize(models_[0], tokens, count, 0, back.data(), &bytes), MIDGE_TOO_SMALL);
  EXPECT_EQ(midge_detokenize(models_[0], tokens, count, 0, back.data(), &bytes), MIDGE_OK);
  EXPECT_EQ(back.substr(0, bytes), text);
  const int32_t wrong = 1 << 30;
  EXPECT_EQ(midge_detokenize(models_[0], &wrong, 1, 0, back.data(), &bytes), MIDGE_OUT_OF_RANGE);
  midge_model_info info = {};
  info.size = sizeof(info);
  EXPECT_EQ(midge_model_info_get(models_[0], &info), MIDGE_OK);
  EXPECT_EQ(info.has_chat, 1);
  EXPECT_GT(info.vocab_size, 100);
}

// A budget is kept or refused, and the refusal says what would fit.
TEST_F(ApiTest, PlanAndBudget) {
  midge_model_options options = {};
  options.kv_tokens = 64 * 8;
  open(kTinyMimo, options);
  midge_memory plan = {};
  plan.size = sizeof(plan);
  midge_engine_options two = {};
  two.size = sizeof(two);
  two.threads = 2;
  ASSERT_EQ(midge_plan(models_[0], &two, &plan, nullptr), MIDGE_OK);
  EXPECT_GT(plan.kv_pages, 0);
  create();
  midge_engine_stats stats = {};
  stats.size = sizeof(stats);
  ASSERT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
  EXPECT_EQ(stats.memory, plan.kv_pages + plan.scratch + plan.drafts + plan.weights_anonymous);
  EXPECT_EQ(stats.pages, 8);

  const int64_t rest = plan.scratch + plan.drafts + plan.weights_anonymous + plan.weights_mapped;
  options.memory_budget = rest + plan.kv_pages / 2;
  open(kTinyMimo, options);
  midge_error error;
  midge_engine* engine = nullptr;
  EXPECT_EQ(midge_engine_create(&models_[1], 1, &two, &engine, &error), MIDGE_OUT_OF_MEMORY);
  EXPECT_NE(std::string(error.text).find("with kv_tokens 256 it would fit"), std::string::npos)
      << error.text;
}

// What callbacks do: throw, stop, submit, cancel, and call what must not be called there.
struct Meddler {
  midge_engine* engine = nullptr;
  midge_request next = {};
  uint64_t next_id = 0;
  std::vector<midge_status> found;
  int tokens = 0;

  static int32_t meddle(void* user, const midge_event* event) {
    auto* self = static_cast<Meddler*>(user);
    if (event->type != MIDGE_EVENT_TOKEN || self->tokens++ > 0) return 0;
    midge_event other = {};
    other.size = sizeof(other);
    midge_engine* engine = self->engine;
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    self->found = {midge_wait(engine, event->request, 1),
                   midge_next_event(engine, event->request, 1, &other),
                   midge_engine_step(engine, nullptr),
                   midge_engine_close(&engine, MIDGE_FINISH),
                   midge_engine_stats_get(engine, 0, &stats),
                   midge_submit(engine, &self->next, &self->next_id),
                   midge_cancel(engine, event->request)};
    return 0;
  }
};

TEST_F(ApiTest, CallbacksMayMeddle) {
  open();
  for (const int32_t caller_driven : {0, 1}) {
    SCOPED_TRACE(caller_driven);
    midge_engine_options options = {};
    options.caller_driven = caller_driven;
    create(options);
    Meddler meddler;
    meddler.engine = engine_;
    meddler.next = request(2, 10, 5);
    midge_request one = request(1, 20, 200);
    one.on_event = &Meddler::meddle;
    one.user = &meddler;
    const uint64_t id = submit(one);
    ASSERT_EQ(midge_wait(engine_, id, -1), MIDGE_OK);
    EXPECT_EQ(meddler.found, (std::vector<midge_status>{MIDGE_BUSY, MIDGE_BUSY, MIDGE_BUSY,
                                                        MIDGE_BUSY, MIDGE_OK, MIDGE_OK, MIDGE_OK}));
    EXPECT_LE(meddler.tokens, 3);
    EXPECT_EQ(finish(meddler.next_id).tokens, alone(meddler.next));
    ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  }
}

// Holds a pass up until another thread has got the statistics.
struct Asker {
  midge_engine* engine = nullptr;
  midge_engine_stats stats = {};
  std::future<midge_status> found;
  bool waited_in_vain = false;

  static int32_t ask(void* user, const midge_event* event) {
    auto* self = static_cast<Asker*>(user);
    if (event->type != MIDGE_EVENT_TOKEN || self->found.valid()) return 0;
    self->stats.size = sizeof(self->stats);
    self->found = std::async(std::launch::async, [self] {
      return midge_engine_stats_get(self->engine, 0, &self->stats);
    });
    self->waited_in_vain =
        self->found.wait_for(std::chrono::seconds(20)) != std::future_status::ready;
    return 0;
  }
};

TEST_F(ApiTest, StatisticsDoNotWaitForAPass) {
  open();
  for (const int32_t caller_driven : {0, 1}) {
    SCOPED_TRACE(caller_driven);
    midge_engine_options options = {};
    options.caller_driven = caller_driven;
    create(options);
    Asker asker;
    asker.engine = engine_;
    midge_request one = request(1, 20, 5);
    one.on_event = &Asker::ask;
    one.user = &asker;
    const uint64_t id = submit(one);
    ASSERT_EQ(midge_wait(engine_, id, -1), MIDGE_OK);
    EXPECT_FALSE(asker.waited_in_vain);
    EXPECT_EQ(asker.found.get(), MIDGE_OK);
    EXPECT_EQ(asker.stats.passes, 0) << "those from before the pass";
    asker.stats = {};
    asker.stats.size = sizeof(asker.stats);
    ASSERT_EQ(midge_engine_stats_get(engine_, 0, &asker.stats), MIDGE_OK);
    EXPECT_EQ(asker.stats.done, 1);
    EXPECT_EQ(asker.stats.tokens_written, 5);
    ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  }
}

int32_t throw_at_once(void*, const midge_event*) { throw std::runtime_error("mine"); }

struct LastEvent {
  Told told;
  static int32_t stop_after_three(void* user, const midge_event* event) {
    auto* self = static_cast<LastEvent*>(user);
    test::add_event(*event, &self->told);
    return self->told.tokens.size() == 3 ? 1 : 0;
  }
  static int32_t throw_at_the_third(void* user, const midge_event* event) {
    if (stop_after_three(user, event) != 0 && event->type == MIDGE_EVENT_TOKEN) throw 3;
    return 0;
  }
};

TEST_F(ApiTest, CallbacksThatStopOrThrowEndTheirRequestAlone) {
  open();
  create();
  const midge_request beside = request(1, 20, 60);
  const uint64_t stays = submit(beside);
  midge_request throws = request(2, 20, 60);
  throws.on_event = &throw_at_once;
  const uint64_t first = submit(throws);
  LastEvent stopped;
  midge_request stops = request(3, 20, 60);
  stops.on_event = &LastEvent::stop_after_three;
  stops.user = &stopped;
  const uint64_t second = submit(stops);
  LastEvent thrown;
  midge_request third = request(4, 20, 60);
  third.on_event = &LastEvent::throw_at_the_third;
  third.user = &thrown;
  const uint64_t third_id = submit(third);
  for (const uint64_t id : {first, second, third_id}) {
    EXPECT_EQ(midge_wait(engine_, id, -1), MIDGE_OK);
  }
  EXPECT_EQ(stopped.told.end, MIDGE_END_CANCELLED);
  EXPECT_EQ(stopped.told.tokens.size(), 3u);
  EXPECT_EQ(thrown.told.end, MIDGE_END_FAILED);
  EXPECT_EQ(thrown.told.status, MIDGE_CALLBACK_FAILED);
  EXPECT_EQ(thrown.told.ends, 1);
  EXPECT_EQ(finish(stays).tokens, alone(beside));
}

// From several threads at once, while others come and go.
TEST_F(ApiTest, CallsFromManyThreads) {
  open();
  create();
  std::vector<midge_request> requests;
  for (uint64_t i = 0; i < 8; ++i) requests.push_back(request(i, 10 + i, 20));
  std::vector<uint64_t> ids(requests.size());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < requests.size(); i += 4) {
        EXPECT_EQ(midge_submit(engine_, &requests[i], &ids[i]), MIDGE_OK);
        midge_engine_stats stats = {};
        stats.size = sizeof(stats);
        EXPECT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
        midge_request cancelled = requests[i];
        uint64_t id = 0;
        EXPECT_EQ(midge_submit(engine_, &cancelled, &id), MIDGE_OK);
        const midge_status status = midge_cancel(engine_, id);
        EXPECT_TRUE(status == MIDGE_OK || status == MIDGE_NOT_FOUND);
        EXPECT_EQ(midge_wait(engine_, ids[i], -1), MIDGE_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(listener_.told(ids[i]).tokens, alone(requests[i]));
  }
}

TEST_F(ApiTest, WaitsEndInTime) {
  open();
  create();
  midge_request endless = request(1, 20, 400);
  const uint64_t id = submit(endless);
  EXPECT_EQ(midge_wait(engine_, id, 0), MIDGE_TIMEOUT);
  EXPECT_NE(error_text(engine_).find("has not ended"), std::string::npos);
  EXPECT_EQ(midge_cancel(engine_, id), MIDGE_OK);
  EXPECT_EQ(finish(id).end, MIDGE_END_CANCELLED);
  endless.deadline_seconds = 0.001;
  EXPECT_EQ(finish(submit(endless)).end, MIDGE_END_DEADLINE);
  endless.deadline_seconds = 0;
  submit(endless);
  ASSERT_EQ(midge_engine_close(&engine_, MIDGE_CANCEL), MIDGE_OK);
  EXPECT_EQ(engine_, nullptr);
  EXPECT_EQ(listener_.count(), 3u) << "each was told its end";
}

TEST_F(ApiTest, SecondsAreNumbers) {
  open();
  create();
  midge_request one = request(1, 20, 5);
  one.on_event = nullptr;
  const uint64_t id = submit(one);
  const double wrong = std::numeric_limits<double>::quiet_NaN();
  midge_event event = {};
  event.size = sizeof(event);
  EXPECT_EQ(midge_wait(engine_, id, wrong), MIDGE_OUT_OF_RANGE);
  EXPECT_EQ(midge_next_event(engine_, id, wrong, &event), MIDGE_OUT_OF_RANGE);
}

// Who hears of the last end finds the place free.
TEST_F(ApiTest, ARequestMayFollowInThePlaceOfTheLast) {
  open();
  midge_engine_options options = {};
  options.requests_max = 1;
  create(options);
  struct Chain {
    midge_engine* engine;
    midge_request next;
    std::atomic<int> left = 5;
    std::atomic<int> refused = 0;
    static int32_t go_on(void* user, const midge_event* event) {
      auto* chain = static_cast<Chain*>(user);
      if (event->type != MIDGE_EVENT_END || --chain->left <= 0) return 0;
      if (midge_submit(chain->engine, &chain->next, nullptr) != MIDGE_OK) ++chain->refused;
      return 0;
    }
  };
  Chain chain = {engine_, request(1, 10, 3)};
  chain.next.on_event = &Chain::go_on;
  chain.next.user = &chain;
  submit(chain.next);
  const auto begin = std::chrono::steady_clock::now();
  while (chain.left > 0 && chain.refused == 0) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(chain.refused, 0);
  ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
}

TEST_F(ApiTest, ClosingMayFinish) {
  open();
  create();
  midge_request one = request(1, 20, 30);
  const uint64_t id = submit(one);
  ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  EXPECT_EQ(listener_.told(id).tokens, alone(one));
}

TEST_F(ApiTest, ATooLongQueueIsRefused) {
  open();
  midge_engine_options options = {};
  options.requests_max = 3;
  options.caller_driven = 1;
  create(options);
  for (uint64_t i = 0; i < 3; ++i) submit(request(i, 10, 5));
  const midge_request fourth = request(4, 10, 5);
  EXPECT_EQ(midge_submit(engine_, &fourth, nullptr), MIDGE_BUSY);
  int32_t more = 1;
  while (more != 0) ASSERT_EQ(midge_engine_step(engine_, &more), MIDGE_OK);
  EXPECT_EQ(finish(submit(fourth)).tokens, alone(fourth));
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// An engine with nothing to do sleeps: no time of any CPU, which load on the machine cannot change.
TEST_F(ApiTest, IdleEnginesUseNoCpu) {
  open();
  create();
  finish(submit(request(1, 20, 5)));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_LT(cpu_seconds() - before, 0.002);
}

}  // namespace
}  // namespace midge
