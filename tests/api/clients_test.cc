// Fifty clients that ask again as soon as they are answered: nothing grows, nobody starves.
// MIDGE_CLIENTS_SECONDS says for how long; without it a few seconds.
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "tests/api/api_harness.h"

namespace midge {
namespace {

class ApiClientsTest : public test::ApiFixture {};

int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t all = 0;
  int64_t resident = 0;
  in >> all >> resident;
  return resident * 4096;
}

// What is known of the requests that wait for their first token, in the order of their ids.
class Overtaking {
 public:
  // Before the request can have a token; in the order of ids.
  void submitted(uint64_t id) {
    const std::lock_guard lock(mutex_);
    waiting_[id] = 0;
  }
  void first_token(uint64_t id) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(id);
    for (auto& [earlier, count] : waiting_) {
      if (earlier > id) break;
      ++count;
      most_ = std::max(most_, count);
    }
  }
  int most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::mutex mutex_;
  std::map<uint64_t, int> waiting_;
  int most_ = 0;
};

struct Asked {
  Overtaking* overtaking;
  int tokens = 0;  // of the driver, until the request has ended
  int32_t end = 0;

  static int32_t listen(void* user, const midge_event* event) {
    auto* self = static_cast<Asked*>(user);
    if (event->type == MIDGE_EVENT_END) {
      self->end = event->end;
    } else if (self->tokens++ == 0) {
      self->overtaking->first_token(event->request);
    }
    return 0;
  }
};

TEST_F(ApiClientsTest, FiftyClients) {
  const char* given = std::getenv("MIDGE_CLIENTS_SECONDS");
  const double seconds = given == nullptr ? 4 : std::atof(given);
  midge_model_options model = {};
  model.kv_tokens = 64 * 40;
  open(test::kTinyMimo, model);
  create();
  constexpr int kClients = 50;
  Overtaking overtaking;
  std::mutex order;  // of submissions
  uint64_t last_id = 0;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> answers = 0;
  std::atomic<int64_t> wrong = 0;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(static_cast<uint32_t>(client));
      while (!stop) {
        const std::vector<int32_t> prompt = test::random_tokens(1 + random() % 100, 500, random());
        midge_request request = {};
        request.size = sizeof(request);
        request.tokens = prompt.data();
        request.token_count = prompt.size();
        request.tokens_max = 1 + random() % 30;
        request.ignore_stop_tokens = 1;
        request.temperature = 0.8f;
        request.on_event = &Asked::listen;
        Asked asked{&overtaking};
        request.user = &asked;
        uint64_t id = 0;
        {
          const std::lock_guard lock(order);
          overtaking.submitted(++last_id);
          if (midge_submit(engine_, &request, &id) != MIDGE_OK || id != last_id) ++wrong;
        }
        if (midge_wait(engine_, id, -1) != MIDGE_OK) ++wrong;
        if (asked.end != MIDGE_END_TOKENS_MAX || asked.tokens != request.tokens_max) ++wrong;
        ++answers;
      }
    });
  }
  const auto sleep_for = [&](double share) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * share));
  };
  sleep_for(0.3);
  const int64_t before = resident_bytes();
  sleep_for(0.7);
  const int64_t after = resident_bytes();
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answers, 2 * kClients);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(after - before, 2 << 20) << "bytes grown";
#endif
  // Whoever is served first among equals came first; beside it run others whose prompts are
  // shorter. More than one for each client would mean that one of them was served twice meanwhile.
  EXPECT_LE(overtaking.most(), kClients);
  midge_engine_stats stats = {};
  stats.size = sizeof(stats);
  ASSERT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages);
  std::printf(
      "%lld answers in %.0f s, overtaken %d times at most, %.2f MB grown, first token after "
      "%.1f ms (p99 %.1f)\n",
      static_cast<long long>(answers.load()), seconds, overtaking.most(),
      static_cast<double>(after - before) * 1e-6, stats.first_token_seconds_p50 * 1e3,
      stats.first_token_seconds_p99 * 1e3);
}

}  // namespace
}  // namespace midge
