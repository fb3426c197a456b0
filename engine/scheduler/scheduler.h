// Requests that share the passes of one executor: continuous batching.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/scheduler/statistics.h"
#include "engine/session/executor.h"
#include "engine/session/generator.h"
#include "engine/session/prefix_cache.h"
#include "engine/session/step.h"
#include "engine/speculation/speculation.h"

namespace midge {

struct SchedulerOptions {
  int64_t context_length = 0;  ///< of each request, prompt and answer; 0: as in SequenceOptions
  KvType kv_type = KvType::kF16;
  int64_t page_tokens = 64;  ///< a multiple of 64
  int64_t pages = 0;         ///< of all requests; 0: those of one context
  Residency residency = Residency::kLazy;
  int64_t running_max = 16;    ///< requests that share passes, 1..executor.logit_rows_max()
  int64_t waiting_max = 1024;  ///< requests that wait; at least 1
  /// Most rows that a pass reads of prompts, and of what is read again, while answers wait for the
  /// same pass: how much a prompt may delay their next token.
  int64_t prompt_rows = 128;
  bool keeps_prefixes = true;  ///< find beginnings again that earlier requests had
  DraftOptions drafts;         ///< of all requests but those without (Request::no_drafts)
};

enum class RequestEnd {
  kDone,       ///< by its own options: see the generation's reason
  kCancelled,  ///< cancel(), or its on_text
  kDeadline,
  kFailed,  ///< see its status
};

/// What became of a request.
struct RequestResult {
  uint64_t id = 0;
  int32_t sample = 0;  ///< which of its answers
  RequestEnd end = RequestEnd::kDone;
  Status status;             ///< of kFailed
  GenerateResult generated;  ///< what there was until then
  std::string last_text;     ///< of the answer, that no token came with
  /// Of the prompt's tokens from Request::score_from on, and their alternatives; sample 0 has them.
  std::vector<GeneratedToken> prompt_scores;
  std::vector<TokenLogprob> prompt_alternatives;
  double queue_seconds = 0;        ///< until it was first run
  double first_token_seconds = 0;  ///< from its submission; 0: there was none
  LatencyHistogram token_latency;  ///< from token to token
  int64_t cached_tokens = 0;       ///< of its prompt, that were found and not read
  int64_t preemptions = 0;         ///< times that it gave its pages back and was read again
};

/// A token of an answer, when it is written. Valid during the call that tells of it.
struct TokenOutput {
  uint64_t id = 0;
  int32_t sample = 0;
  const GeneratedToken* token = nullptr;
  std::span<const TokenLogprob> alternatives;
  std::string_view text;  ///< whole characters that can be shown now, see StopMatcher; may be empty
};

struct Request {
  uint64_t id = 0;              ///< later ones have greater ids; 0: the scheduler gives one
  std::vector<int32_t> prompt;  ///< at least 1 token
  /// Of the prompt's tokens: kGenerated for those that the model wrote in earlier answers, so that
  /// a conversation goes on as if it had never stopped. Empty: all are read.
  std::vector<RowRole> roles;
  GenerateOptions generate;
  int32_t priority = 0;  ///< higher ones are run first
  std::optional<std::chrono::steady_clock::time_point> deadline;
  int32_t samples = 1;  ///< answers, which share the prompt; each draws other numbers
  /// Logprobs of the prompt's tokens from this one on, 1..; 0: none. Its rows are read even if they
  /// are known.
  int64_t score_from = 0;
  /// What may come in each answer; empty: every token.
  std::function<std::unique_ptr<TokenMask>(int32_t sample)> make_mask;
  /// Ends it while set: before the next layer of a pass of its own, behind one that others take
  /// part in; from any thread. Outlives the request. May be null.
  const std::atomic<bool>* cancel = nullptr;
  bool no_drafts = false;  ///< the tokens are the same with and without
  /// Replaces the drafts of its first answer, for measurements. Outlives the request. May be null.
  const FakedDrafts* faked = nullptr;
  /// Told of each token; returning false cancels the answer. May be empty.
  std::function<bool(const TokenOutput&)> on_token;
  std::function<void(const RequestResult&)> on_end;  ///< told once for each answer; may be empty
};

/// A state machine that step() advances by one pass. Each pass takes the next token of every answer
/// that is being written, and rows of the prompts that are being read. The tokens of a request do
/// not depend on the others, on when it came or on whether it was read again.
///
/// Requests of one priority are run in the order they came. When pages run out, the one of the
/// lowest priority that came last gives its own back, waits, and is read again later. So does one
/// that holds up a request of higher priority.
///
/// Callbacks run inside of step(), submit and cancel others as they like, and must not block, or
/// call step(). One caller at a time. While answers are written and nobody comes or goes, step()
/// allocates nothing.
class Scheduler {
 public:
  /// executor, tokenizer and allowed (see Sampler::create) outlive it. Errors: invalid_argument,
  /// out_of_memory.
  static Result<std::unique_ptr<Scheduler>> create(Executor& executor, const Tokenizer& tokenizer,
                                                   std::span<const uint8_t> allowed,
                                                   const SchedulerOptions& options);

  /// Requests that are left are dropped; their on_end is not called.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// A request that was looked at, with the memory that it takes.
  struct Job;
  struct DropJob {
    void operator()(Job* job) const;
  };
  using PreparedRequest = std::unique_ptr<Job, DropJob>;

  /// Looks at a request and takes memory for it. From any thread, also while others step. Errors:
  /// context_full (the prompt leaves no room for an answer), no_pages (all pages together do not
  /// hold it), out_of_range (ids), invalid_argument (roles), those of Generation::create.
  Result<PreparedRequest> prepare(const Request& request) const;
  /// Lets a request wait for its turn. Returns its id, never 0.
  uint64_t submit(PreparedRequest request);
  /// Both. Errors: those of prepare; busy (waiting_max requests wait).
  Result<uint64_t> submit(const Request& request);

  /// Ends all answers of a request: at the next step if it waits, as Request::cancel if it runs.
  /// False if there is none of this id.
  bool cancel(uint64_t id);

  /// One pass. False if there is nothing to do. Errors: those of run_pass.
  Result<bool> step();

  /// Ends everything with kFailed and this status.
  void fail(const Status& status);

  /// Steps until there is nothing to do. Errors: those of step.
  Status run();

  int64_t waiting_count() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running_count() const { return static_cast<int64_t>(running_.size()); }
  const KvPool& pool() const { return *pool_; }
  /// Null if its options have no drafter.
  const Speculation* speculation() const { return speculation_.get(); }
  /// Pages that hold beginnings for later requests.
  int64_t cached_pages() const { return cache_->page_count(); }
  PrefixCache& cache() { return *cache_; }
  KvPool& pool() { return *pool_; }
  int64_t context_length() const { return options_.context_length; }
  SchedulerStatistics statistics() const;

 private:
  using Jobs = std::vector<PreparedRequest>;
  using Clock = std::chrono::steady_clock;

  Scheduler(Executor& executor, const Tokenizer& tokenizer, std::span<const uint8_t> allowed,
            const SchedulerOptions& options);

  Status check(const Request& request) const;
  void wait(PreparedRequest job);
  void end(PreparedRequest job, RequestEnd how);
  void end_overdue();
  void end_overdue(Jobs& jobs, Clock::time_point now);
  void tell_ended();
  void admit();
  bool has_room_for(const Job& job) const;
  void start(PreparedRequest job);
  void read_prompt(Job& job);
  int64_t pages_of(const Job& job) const;
  Job* weakest();
  void preempt(const Job* job);
  bool drop_drafts();
  void make_room();
  void collect_pass();
  void count_end(RequestEnd how);
  void count_pass();
  void collect(RowRole role, bool fresh, int64_t* rows_left);
  void add_part(Job& job, const Sequence::Run& run, bool fresh);
  int64_t draft_rows_max() const;
  void cut_to_logits(const Job& job, Sequence::Run* run);
  void take_scores(Job& job, const float* logits);
  Status run_pass_of_parts();
  Status collect_draws();
  Status write_tokens();
  Status draft();
  void note_token(Job& job);
  void go_on(Job& job);
  Result<PreparedRequest> make_job(const Request& request, int32_t sample) const;
  Status start_others(Job& job, size_t part, const float* logits);
  void split_off();
  void remove_ended();

  Executor& executor_;
  const Tokenizer& tokenizer_;
  std::span<const uint8_t> allowed_;
  SchedulerOptions options_;
  std::unique_ptr<KvPool> pool_;
  std::unique_ptr<PrefixCache> cache_;
  std::unique_ptr<Speculation> speculation_;  // null without drafts
  uint64_t last_id_ = 0;
  Jobs waiting_;  // by priority, then by id
  Jobs running_;  // in the order they were admitted
  Jobs ended_;    // to be told
  std::vector<PassPart> parts_;
  std::vector<Job*> job_of_part_;
  std::vector<Draw> draws_;
  std::vector<Job*> job_of_draw_;
  std::vector<Speculation::Turn> turns_;
  Jobs split_;              // answers whose prompt the pass has read
  int64_t rows_ = 0;        // of the pass
  int64_t logit_rows_ = 0;  // of these, with logits
  int64_t spare_rows_ = 0;  // of logits, beyond one for each running request
  SchedulerStatistics statistics_;
};

}  // namespace midge
