// Requests through the C interface are answered as by a session alone.
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "api/engine.h"
#include "engine/chat/chat.h"
#include "tests/api/api_harness.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::kTinyMimo;
using test::kTinyPhi;
using test::Told;

class ApiRequestsTest : public test::ApiFixture {
 protected:
  // All events of a request that has no callback.
  std::map<int32_t, Told> poll(uint64_t id, int32_t answers = 1) {
    std::map<int32_t, Told> told;
    midge_event event = {};
    event.size = sizeof(event);
    while (answers > 0) {
      const midge_status status = midge_next_event(engine_, id, -1, &event);
      EXPECT_EQ(status, MIDGE_OK) << error_text(engine_);
      if (status != MIDGE_OK) break;
      EXPECT_EQ(event.request, id);
      test::add_event(event, &told[event.sample]);
      if (event.type == MIDGE_EVENT_END) --answers;
    }
    EXPECT_EQ(midge_next_event(engine_, id, 0, &event), MIDGE_NOT_FOUND);
    return told;
  }
};

TEST_F(ApiRequestsTest, CalledBackOrPolledDrivenOrNot) {
  open();
  for (const int32_t caller_driven : {0, 1}) {
    SCOPED_TRACE(caller_driven);
    midge_engine_options options = {};
    options.caller_driven = caller_driven;
    create(options);
    midge_request one = request(1, 30, 20);
    one.samples = 2;
    const uint64_t called = submit(one);
    one.on_event = nullptr;
    std::map<int32_t, Told> polled = poll(submit(one), 2);
    finish(called);
    for (int32_t sample = 0; sample < 2; ++sample) {
      const Told told = listener_.told(called, sample);
      EXPECT_EQ(told.tokens, alone(one, static_cast<uint32_t>(sample)));
      EXPECT_EQ(told.end, MIDGE_END_TOKENS_MAX);
      EXPECT_EQ(told.ends, 1);
      EXPECT_EQ(told.stats.prompt_tokens, 30);
      EXPECT_EQ(told.stats.answer_tokens, 20);
      EXPECT_GT(told.stats.first_token_seconds, 0);
      EXPECT_EQ(polled[sample].tokens, told.tokens);
      EXPECT_EQ(polled[sample].text, told.text);
      EXPECT_EQ(polled[sample].offsets, told.offsets);
      EXPECT_EQ(polled[sample].end, told.end);
    }
    ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  }
}

TEST_F(ApiRequestsTest, TwoModelsShareOneTeam) {
  open(kTinyMimo);
  open(kTinyPhi);
  create();
  std::map<uint64_t, midge_request> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    midge_request one = request(i, 20 + 5 * i, 25);
    one.model = i % 2 == 0 ? 0 : 1;
    requests.emplace(submit(one), one);
  }
  for (const auto& [id, one] : requests) {
    SCOPED_TRACE(id);
    EXPECT_EQ(finish(id).tokens, alone(one, 0, one.model == 0 ? kTinyMimo : kTinyPhi));
  }
  for (size_t model = 0; model < 2; ++model) {
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    ASSERT_EQ(midge_engine_stats_get(engine_, model, &stats), MIDGE_OK);
    EXPECT_EQ(stats.done, 4);
    EXPECT_EQ(stats.tokens_written, 100);
    EXPECT_GT(stats.token_seconds_p99, 0);
    EXPECT_GE(stats.token_seconds_p99, stats.token_seconds_p50);
  }
}

TEST_F(ApiRequestsTest, LogprobsAndAlternatives) {
  open();
  create();
  midge_request one = request(1, 40, 10);
  one.logprobs = 2;
  one.prompt_logprobs_from = 30;
  one.temperature = 0;
  one.on_event = nullptr;
  midge_event event = {};
  event.size = sizeof(event);
  const uint64_t id = submit(one);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(midge_next_event(engine_, id, -1, &event), MIDGE_OK);
    ASSERT_EQ(event.alternative_count, 2u);
    EXPECT_LE(event.logprob, 0);
    EXPECT_GE(event.alternatives[0].logprob, event.alternatives[1].logprob);
    EXPECT_LE(event.logprob, event.alternatives[0].logprob);
  }
  ASSERT_EQ(midge_next_event(engine_, id, -1, &event), MIDGE_OK);
  ASSERT_EQ(event.type, MIDGE_EVENT_END);
  ASSERT_EQ(event.prompt_logprob_count, 10u);
  ASSERT_EQ(event.alternatives_per_token, 2u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(event.prompt_logprobs[i].token, one.tokens[30 + i]);
    EXPECT_LE(event.prompt_logprobs[i].logprob, event.prompt_alternatives[2 * i].logprob);
    EXPECT_GE(event.prompt_alternatives[2 * i].logprob,
              event.prompt_alternatives[2 * i + 1].logprob);
  }
}

// Even tokens alone; counts what it is told.
struct EvenTokens {
  std::map<int32_t, std::vector<int32_t>> accepted;
  bool throws = false;

  static void restrict_tokens(void* user, int32_t, uint8_t* allowed, size_t vocab_size) {
    if (static_cast<EvenTokens*>(user)->throws) throw 1;
    for (size_t id = 1; id < vocab_size; id += 2) allowed[id] = 0;
  }
  static void accept(void* user, int32_t sample, int32_t token) {
    static_cast<EvenTokens*>(user)->accepted[sample].push_back(token);
  }
};

TEST_F(ApiRequestsTest, MasksOfTheCaller) {
  open();
  create();
  EvenTokens even;
  const midge_token_mask mask = {&EvenTokens::restrict_tokens, &EvenTokens::accept, nullptr, &even};
  midge_request one = request(1, 20, 15);
  one.samples = 2;
  one.mask = &mask;
  const uint64_t id = submit(one);
  finish(id);
  for (int32_t sample = 0; sample < 2; ++sample) {
    const Told told = listener_.told(id, sample);
    EXPECT_EQ(told.tokens.size(), 15u);
    EXPECT_EQ(told.tokens, even.accepted[sample]);
    for (const int32_t token : told.tokens) EXPECT_EQ(token % 2, 0);
  }
  even.throws = true;
  one.samples = 1;
  const Told failed = finish(submit(one));
  EXPECT_EQ(failed.end, MIDGE_END_FAILED);
  EXPECT_EQ(failed.status, MIDGE_CALLBACK_FAILED);
}

// A conversation goes on where it ended: nothing is read twice, and the answer is that of the whole
// conversation given as tokens with their roles.
TEST_F(ApiRequestsTest, ConversationsGoOn) {
  open(kTinyPhi);
  create();
  const midge_chat_message hello = {"user", "Tell me of the sea."};
  const midge_chat_message more = {"user", "And of the hills?"};
  midge_request turn = {};
  turn.size = sizeof(turn);
  turn.messages = &hello;
  turn.message_count = 1;
  turn.tokens_max = 12;
  turn.keep = 1;
  turn.on_event = &test::Listener::listen;
  turn.user = &listener_;
  const uint64_t first = submit(turn);
  const Told answer = finish(first);
  ASSERT_FALSE(answer.tokens.empty());
  turn.messages = &more;
  turn.continues = first;
  const Told second = finish(submit(turn));
  EXPECT_EQ(second.stats.cached_tokens,
            answer.stats.prompt_tokens + static_cast<int64_t>(answer.tokens.size()) - 1);
  EXPECT_EQ(midge_submit(engine_, &turn, nullptr), MIDGE_NOT_FOUND) << "it was continued";

  // The same by hand.
  std::unique_ptr<LoadedModel> loaded = std::move(*LoadedModel::open(kTinyPhi, {}));
  const ChatTemplate chat = *detect_chat_template(loaded->tokenizer().chat_template());
  std::vector<int32_t> tokens;
  MIDGE_ASSERT_OK(loaded->tokenizer().encode_parts(
      *render_chat(chat, std::vector<ChatMessage>{{ChatRole::kUser, hello.content}},
                   GenerationPrompt::kAssistant),
      &tokens, kAnyTokenCount));
  std::vector<uint8_t> roles(tokens.size(), MIDGE_ROLE_PROMPT);
  std::vector<int32_t> written = answer.tokens;
  if (answer.end == MIDGE_END_STOP_TOKEN) written.pop_back();
  tokens.insert(tokens.end(), written.begin(), written.end());
  roles.resize(tokens.size(), MIDGE_ROLE_GENERATED);
  MIDGE_ASSERT_OK(loaded->tokenizer().encode_parts(
      *render_chat_continuation(chat, TurnEnd::kMissing,
                                std::vector<ChatMessage>{{ChatRole::kUser, more.content}}),
      &tokens, kAnyTokenCount));
  roles.resize(tokens.size(), MIDGE_ROLE_PROMPT);
  turn.continues = 0;
  turn.messages = nullptr;
  turn.tokens = tokens.data();
  turn.token_count = tokens.size();
  turn.token_roles = roles.data();
  turn.special_text = 1;
  EXPECT_EQ(finish(submit(turn)).tokens, second.tokens);
}

TEST_F(ApiRequestsTest, TextsStopStringsAndOffsets) {
  open(kTinyPhi);
  create();
  midge_request one = {};
  one.size = sizeof(one);
  one.text = "Once upon a time";
  one.tokens_max = 40;
  one.on_event = &test::Listener::listen;
  one.user = &listener_;
  const Told whole = finish(submit(one));
  ASSERT_GT(whole.text.size(), 20u);
  const std::string stop = whole.text.substr(12, 4);
  const char* stops[] = {"not there", stop.c_str()};
  one.stop_strings = stops;
  one.stop_string_count = 2;
  const Told cut = finish(submit(one));
  EXPECT_EQ(cut.end, MIDGE_END_STOP_STRING);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_TRUE(std::is_sorted(whole.offsets.begin(), whole.offsets.end()));
  EXPECT_EQ(whole.offsets[0], 0u);
  EXPECT_LE(whole.offsets.back(), whole.text.size());
}

// A saved beginning is found again by another engine, which goes on with the same tokens.
TEST_F(ApiRequestsTest, PrefixesAreSavedAndRestored) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/prefix.midge-kv";
  open();
  create();
  midge_request one = request(1, 200, 30);
  const Told cold = finish(submit(one));
  EXPECT_EQ(cold.stats.cached_tokens, 0);
  size_t saved = 0;
  ASSERT_EQ(midge_prefix_save(engine_, 0, one.tokens, nullptr, 200, path.c_str(), &saved), MIDGE_OK)
      << error_text(engine_);
  EXPECT_EQ(saved, 200u);
  // The answer too, with its roles.
  std::vector<int32_t> tokens(one.tokens, one.tokens + 200);
  std::vector<uint8_t> roles(200, MIDGE_ROLE_PROMPT);
  tokens.insert(tokens.end(), cold.tokens.begin(), cold.tokens.end());
  roles.resize(tokens.size(), MIDGE_ROLE_GENERATED);
  const std::string session = dir.path() + "/session.midge-kv";
  ASSERT_EQ(midge_prefix_save(engine_, 0, tokens.data(), roles.data(), tokens.size(),
                              session.c_str(), &saved),
            MIDGE_OK);
  EXPECT_EQ(saved, 229u);
  const int32_t unknown = 499;
  EXPECT_EQ(midge_prefix_save(engine_, 0, &unknown, nullptr, 1, path.c_str(), &saved),
            MIDGE_NOT_FOUND);
  EXPECT_EQ(midge_prefix_save(engine_, 0, one.tokens, nullptr, 200, "/nowhere/x", &saved),
            MIDGE_IO_ERROR);
  ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);

  create();
  size_t loaded = 0;
  ASSERT_EQ(midge_prefix_load(engine_, 0, path.c_str(), &loaded), MIDGE_OK) << error_text(engine_);
  EXPECT_EQ(loaded, 200u);
  const Told warm = finish(submit(one));
  EXPECT_EQ(warm.stats.cached_tokens, 199);
  EXPECT_EQ(warm.tokens, cold.tokens);
  ASSERT_EQ(midge_engine_trim(engine_), MIDGE_OK);
  EXPECT_EQ(finish(submit(one)).stats.cached_tokens, 0) << "trimmed";
  ASSERT_EQ(midge_prefix_load(engine_, 0, session.c_str(), &loaded), MIDGE_OK);
  EXPECT_EQ(loaded, 229u);

  // Another model, another kind of page, another recipe: refused.
  for (const int which : {0, 1, 2}) {
    ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
    midge_model_options options = {};
    options.size = sizeof(options);
    options.context_length = 512;
    options.recipe = which == 2 ? "int8" : "fast";
    options.kv_type = which == 1 ? "f32" : nullptr;
    midge_model* other = nullptr;
    ASSERT_EQ(midge_model_open(which == 0 ? kTinyPhi : kTinyMimo, &options, &other, nullptr),
              MIDGE_OK);
    ASSERT_EQ(midge_engine_create(&other, 1, nullptr, &engine_, nullptr), MIDGE_OK);
    models_.push_back(other);
    EXPECT_EQ(midge_prefix_load(engine_, 0, path.c_str(), &loaded), MIDGE_MODEL_MISMATCH) << which;
    EXPECT_NE(error_text(engine_).find("prefix.midge-kv"), std::string::npos);
  }
}

// What a save holds is given back also while another thread steps.
TEST_F(ApiRequestsTest, PrefixesAreSavedWhileAnotherThreadSteps) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/prefix.midge-kv";
  open();
  midge_engine_options options = {};
  options.caller_driven = 1;
  create(options);
  const midge_request one = request(1, 200, 2);
  finish(submit(one));
  std::atomic<bool> ends = false;
  std::thread steps([&] {
    int32_t more = 0;
    while (!ends) {
      midge_engine_step(engine_, &more);
      std::this_thread::sleep_for(std::chrono::microseconds(20));  // others come in between
    }
  });
  int saves = 0;
  for (int i = 0; i < 200; ++i) {
    size_t saved = 0;
    const midge_status status =
        midge_prefix_save(engine_, 0, one.tokens, nullptr, 200, path.c_str(), &saved);
    EXPECT_TRUE(status == MIDGE_OK || status == MIDGE_BUSY) << error_text(engine_);
    saves += status == MIDGE_OK ? 1 : 0;
  }
  ends = true;
  steps.join();
  EXPECT_GT(saves, 0);
  int32_t more = 0;
  ASSERT_EQ(midge_engine_step(engine_, &more), MIDGE_OK);
  ASSERT_EQ(midge_engine_trim(engine_), MIDGE_OK);
  midge_engine_stats stats = {};
  stats.size = sizeof(stats);
  ASSERT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
  EXPECT_EQ(stats.pages_free, stats.pages);
}

// The last event of a request stays as it was handed out, whatever else is asked for.
TEST_F(ApiRequestsTest, LastEventsStay) {
  open();
  midge_engine_options options = {};
  options.requests_max = 1;
  create(options);
  midge_request one = request(1, 30, 7);
  one.on_event = nullptr;
  const uint64_t first = submit(one);
  midge_event last = {};
  last.size = sizeof(last);
  do {
    ASSERT_EQ(midge_next_event(engine_, first, -1, &last), MIDGE_OK);
  } while (last.type != MIDGE_EVENT_END);
  ASSERT_EQ(midge_wait(engine_, first, -1), MIDGE_OK);
  for (uint64_t other = 2; other < 5; ++other) {
    midge_request next = request(other, 20, 3);
    next.on_event = nullptr;
    const uint64_t id = submit(next);
    poll(id);
    ASSERT_EQ(midge_wait(engine_, id, -1), MIDGE_OK);
  }
  EXPECT_EQ(last.stats->prompt_tokens, 30);
  EXPECT_EQ(last.stats->answer_tokens, 7);
  EXPECT_EQ(midge_next_event(engine_, first, 0, &last), MIDGE_NOT_FOUND);
}

// Several threads may take the events of a request; all hear that there are no more.
TEST_F(ApiRequestsTest, EventsAreTakenByTwoThreads) {
  open();
  for (const int32_t caller_driven : {0, 1}) {
    SCOPED_TRACE(caller_driven);
    midge_engine_options options = {};
    options.caller_driven = caller_driven;
    create(options);
    midge_request one = request(1, 30, 40);
    one.on_event = nullptr;
    const uint64_t id = submit(one);
    std::atomic<int> taken = 0;
    std::atomic<int> unknown = 0;
    const auto take = [&] {
      midge_event event = {};
      event.size = sizeof(event);
      midge_status status = MIDGE_OK;
      do {
        status = midge_next_event(engine_, id, -1, &event);
        if (status == MIDGE_OK) ++taken;
      } while (status == MIDGE_OK || status == MIDGE_BUSY);  // busy: the other one steps
      if (status == MIDGE_NOT_FOUND) ++unknown;
    };
    std::thread other(take);
    take();
    other.join();
    EXPECT_EQ(taken, 41);
    EXPECT_EQ(unknown, 2);
    ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  }
}

// A file that has no room changes nothing of what is known.
TEST_F(ApiRequestsTest, PrefixesThatDoNotFitChangeNothing) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/prefix.midge-kv";
  open();
  create();
  const midge_request one = request(1, 200, 3);
  finish(submit(one));
  size_t length = 0;
  ASSERT_EQ(midge_prefix_save(engine_, 0, one.tokens, nullptr, 200, path.c_str(), &length),
            MIDGE_OK);
  ASSERT_EQ(midge_engine_close(&engine_, MIDGE_FINISH), MIDGE_OK);
  midge_model_close(&models_[0]);
  models_.clear();
  midge_model_options options = {};
  options.kv_tokens = 192;
  open(kTinyMimo, options);
  create();
  const midge_request known = request(2, 100, 3);
  finish(submit(known));
  EXPECT_EQ(midge_prefix_load(engine_, 0, path.c_str(), &length), MIDGE_NO_PAGES);
  EXPECT_EQ(finish(submit(known)).stats.cached_tokens, 99);
}

// A request that fails while it is made leaves nothing to wait for.
TEST_F(ApiRequestsTest, ARequestThatThrowsIsForgotten) {
  LoadOptions load;
  load.makes_executor = false;
  const auto loaded = LoadedModel::open(kTinyMimo, load);
  MIDGE_ASSERT_OK(loaded);
  ServedModel served;
  served.model = loaded->get();
  served.scheduling.context_length = 512;
  EngineOptions options;
  options.threads = 1;
  options.requests_max = 1;
  const auto engine = Engine::create({&served, 1}, options);
  MIDGE_ASSERT_OK(engine);
  Request bad;
  bad.prompt = {1, 2, 3};
  bad.make_mask = [](int32_t) -> std::unique_ptr<TokenMask> { throw std::bad_alloc(); };
  EXPECT_THROW((void)(*engine)->submit(0, bad), std::bad_alloc);
  Request good = bad;
  good.make_mask = nullptr;
  good.generate.tokens_max = 2;
  const auto id = (*engine)->submit(0, good);
  MIDGE_ASSERT_OK(id);
  MIDGE_ASSERT_OK((*engine)->close(Engine::Closing::kFinish));
}

// As many requests as come, at random, with an arena of half of what they need: each ends once, in
// one of four ways, and the tokens of those that are done are those of a session alone.
TEST_F(ApiRequestsTest, RandomRequests) {
#if defined(MIDGE_EMULATED)
  constexpr int kRequests = 24;
#else
  constexpr int kRequests = 1000;
#endif
  midge_model_options model = {};
  model.kv_tokens = 64 * 12;
  model.running_max = 6;
  model.prompt_rows = 40;
  open(kTinyMimo, model);
  midge_engine_options options = {};
  options.requests_max = 40;
  create(options);
  std::mt19937 random(7);
  const auto below = [&](uint64_t n) { return random() % n; };
  std::map<uint64_t, midge_request> requests;
  std::vector<uint64_t> ids;
  int refused = 0;
  std::vector<const midge_request*> made;
  std::deque<midge_request> all;
  for (int i = 0; i < kRequests; ++i) {
    // The first ones come at once and need more pages than there are.
    const bool is_burst = i < 12;
    midge_request one =
        is_burst ? request(static_cast<uint64_t>(i), 120, 24)
                 : request(below(40), 1 + below(120), 1 + static_cast<int64_t>(below(24)));
    if (!is_burst && below(2) == 0) {
      const midge_request& other = all[below(all.size())];
      std::copy_n(other.tokens, std::min(other.token_count, one.token_count),
                  prompts_.back().begin());
    }
    one.priority = static_cast<int32_t>(below(3));
    if (!is_burst && below(8) == 0)
      one.deadline_seconds = 1e-4 * static_cast<double>(1 + below(300));
    all.push_back(one);
    uint64_t id = 0;
    midge_status status = midge_submit(engine_, &one, &id);
    if (status == MIDGE_BUSY) {  // refused; the next one waits for the oldest
      ++refused;
      ASSERT_EQ(midge_wait(engine_, ids[ids.size() - 30], -1), MIDGE_OK);
      continue;
    }
    ASSERT_EQ(status, MIDGE_OK) << error_text(engine_);
    requests.emplace(id, one);
    ids.push_back(id);
    if (is_burst) continue;
    if (below(6) == 0)
      midge_cancel(engine_, ids[ids.size() - 1 - below(std::min<size_t>(ids.size(), 20))]);
    if (below(4) == 0) std::this_thread::sleep_for(std::chrono::microseconds(below(3000)));
  }
  std::map<int32_t, int> ends;
  std::map<std::pair<std::vector<int32_t>, std::pair<int64_t, uint64_t>>, std::vector<int32_t>>
      known;
  for (const auto& [id, one] : requests) {
    SCOPED_TRACE(id);
    const Told told = finish(id);
    ASSERT_EQ(told.ends, 1);
    ++ends[told.end];
    const std::vector<int32_t> prompt(one.tokens, one.tokens + one.token_count);
    auto& expected = known[{prompt, {one.tokens_max, one.seed}}];
    if (expected.empty()) expected = alone(one);
    if (told.end == MIDGE_END_TOKENS_MAX) {
      EXPECT_EQ(told.tokens, expected);
    } else {
      EXPECT_TRUE(told.end == MIDGE_END_CANCELLED || told.end == MIDGE_END_DEADLINE) << told.end;
      ASSERT_LE(told.tokens.size(), expected.size());
      EXPECT_TRUE(std::equal(told.tokens.begin(), told.tokens.end(), expected.begin()));
    }
  }
  EXPECT_EQ(static_cast<int>(requests.size()) + refused, kRequests);
  midge_engine_stats stats = {};
  stats.size = sizeof(stats);
  ASSERT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages);
  EXPECT_EQ(stats.pages_shared, 0);
  EXPECT_EQ(stats.done + stats.cancelled + stats.deadline, static_cast<int64_t>(requests.size()));
#if !defined(MIDGE_EMULATED)
  EXPECT_GT(ends[MIDGE_END_CANCELLED], 0);
  EXPECT_GT(stats.preemptions, 0);
  EXPECT_GT(stats.cached_tokens, 0);
#endif
}

}  // namespace
}  // namespace midge
