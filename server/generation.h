// Requests to the engine as the server's thread sees them.
//
// The engine calls back on its driver thread, which must not wait: events are copied into a queue,
// and the server's thread is woken once for all that are in it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/status.h"
#include "midge/midge.h"
#include "server/schema/grammar.h"

namespace midge {

/// A midge_event with everything it points to.
struct GenerationEvent {
  bool is_end = false;
  int32_t sample = 0;
  std::string text;
  int32_t token = -1;
  float logprob = 0;
  std::vector<midge_logprob> alternatives;
  int32_t end = 0;
  midge_status status = MIDGE_OK;
  std::string error_text;
  midge_request_stats stats = {};
  std::vector<midge_logprob> prompt_logprobs;
  std::vector<midge_logprob> prompt_alternatives;
  size_t alternatives_per_token = 0;
};

/// Told of the events of one request, on the server's thread.
using EventListener = std::function<void(GenerationEvent event)>;

/// The requests that have not ended. Everything but the engine's callbacks is called on the
/// server's thread.
class Generations {
 public:
  /// wake: called on the engine's thread when events wait for deliver(), under a lock: it only
  /// posts. The engine outlives this.
  Generations(midge_engine* engine, std::function<void()> wake)
      : engine_(engine), wake_(std::move(wake)) {}
  Generations(const Generations&) = delete;
  Generations& operator=(const Generations&) = delete;

  /// Submits; its events go to `listener` until the last answer has ended. grammars: one for each
  /// answer, or none. Errors: those of midge_submit.
  Result<uint64_t> submit(midge_request request, EventListener listener,
                          std::vector<std::unique_ptr<GrammarState>> grammars = {});
  /// Ends it; its last events still come.
  void cancel(uint64_t id);
  void cancel_all();
  /// Hands the waiting events out.
  void deliver();
  size_t count() const { return running_.size(); }

 private:
  struct Running {
    Generations* owner = nullptr;
    uint64_t key = 0;
    uint64_t id = 0;
    int32_t ends_left = 1;
    EventListener listener;
    std::vector<std::unique_ptr<GrammarState>> grammars;
  };
  struct Waiting {
    uint64_t key;
    GenerationEvent event;
  };

  static int32_t on_event(void* user, const midge_event* event);
  static void restrict_tokens(void* user, int32_t sample, uint8_t* allowed, size_t vocab_size);
  static void accept(void* user, int32_t sample, int32_t token);

  midge_engine* engine_;
  std::function<void()> wake_;
  uint64_t next_key_ = 1;
  std::unordered_map<uint64_t, std::unique_ptr<Running>> running_;  // by key
  std::mutex mutex_;
  std::vector<Waiting> waiting_;  // under mutex_
  std::vector<Waiting> taken_;
};

}  // namespace midge
