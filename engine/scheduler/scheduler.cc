// One state machine: who waits, who runs, what a pass holds, what becomes of it and what is guessed
// next share the lists of jobs, so they stand together, long as that is.
#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/core/check.h"
#include "engine/core/seconds.h"

namespace midge {

/// A request, its sequence and its generation.
struct Scheduler::Job {
  Request request;
  RequestResult result;
  std::unique_ptr<Sequence> sequence;
  std::unique_ptr<Generation> generation;
  std::optional<DraftState> drafting;
  Clock::time_point submitted;
  std::atomic<bool> cancel = false;
  Jobs others;  // further answers, until the prompt is read
  bool started = false;
  Clock::time_point last_token;
  // Of its part of the pass: rows whose logits are wanted, the first ones for scores.
  std::vector<int32_t> rows;
  size_t scored_rows = 0;
  bool at_end = false;    // the last rows are for draws ...
  bool is_fresh = false;  // ... all of them: a token and its drafts
  int64_t first_row = 0;  // of the pass

  uint64_t id() const { return result.id; }
  int32_t priority() const { return request.priority; }
  const std::atomic<bool>* cancel_flag() const {
    return request.cancel != nullptr ? request.cancel : &cancel;
  }
  bool is_cancelled() const { return cancel || *cancel_flag(); }
  // Rows of the prompt in front of score_from's have none, the last one has no token after it.
  int64_t next_score() const {
    return request.score_from - 1 + static_cast<int64_t>(result.prompt_scores.size());
  }
  int64_t end_of_scores() const {
    return request.score_from > 0 ? static_cast<int64_t>(request.prompt.size()) - 1 : 0;
  }
  // What it has not read; empty if it waits for a token of its own.
  Sequence::Run unread() const { return sequence->next_run(sequence->length()); }
  // A token, which the answer goes on with, and its drafts.
  bool goes_on_with(const Sequence::Run& run) const {
    return run.role == RowRole::kGenerated && run.end == sequence->length() &&
           run.rows() == static_cast<int64_t>(generation->unread().size());
  }
};

namespace {

Result<KvPoolOptions> pool_options(const ModelConfig& config, const SchedulerOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const int64_t context,
                         resolve_context_length(config, options.context_length));
  KvPoolOptions pool;
  pool.type = options.kv_type;
  pool.page_tokens = options.page_tokens;
  pool.pages = options.pages;
  if (pool.pages == 0 && pool.page_tokens > 0) pool.pages = ceil_div(context, pool.page_tokens);
  pool.with_mtp = Speculation::uses_mtp(options.drafts, config);
  return pool;
}

Status check_range(const char* what, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return Status();
  return make_status(StatusCode::kInvalidArgument, "%lld %s, expected 1..%lld",
                     static_cast<long long>(value), what, static_cast<long long>(most));
}

}  // namespace

Scheduler::Scheduler(Executor& executor, const Tokenizer& tokenizer,
                     std::span<const uint8_t> allowed, const SchedulerOptions& options)
    : executor_(executor), tokenizer_(tokenizer), allowed_(allowed), options_(options) {
  const auto running = static_cast<size_t>(options.running_max);
  running_.reserve(running);
  parts_.reserve(running);
  job_of_part_.reserve(running);
  draws_.reserve(running);
  job_of_draw_.reserve(running);
  turns_.reserve(2 * running);  // further answers begin beside those that run
}

Scheduler::~Scheduler() = default;

void Scheduler::DropJob::operator()(Job* job) const { delete job; }

Result<std::unique_ptr<Scheduler>> Scheduler::create(Executor& executor, const Tokenizer& tokenizer,
                                                     std::span<const uint8_t> allowed,
                                                     const SchedulerOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 20;
  const int64_t rows = std::min(executor.logit_rows_max(), executor.rows_max());
  MIDGE_RETURN_IF_ERROR(check_range("running requests", options.running_max, rows));
  MIDGE_RETURN_IF_ERROR(check_range("waiting requests", options.waiting_max, kMost));
  MIDGE_RETURN_IF_ERROR(check_range("prompt rows", options.prompt_rows, kMost));
  const ModelConfig& config = executor.model().config();
  MIDGE_ASSIGN_OR_RETURN(const KvPoolOptions pages, pool_options(config, options));
  MIDGE_RETURN_IF_ERROR(check_range("KV pages", pages.pages, kMost));
  std::unique_ptr<Scheduler> scheduler(new Scheduler(executor, tokenizer, allowed, options));
  MIDGE_ASSIGN_OR_RETURN(const int64_t context,
                         resolve_context_length(config, options.context_length));
  if (context > executor.context_max()) {
    return make_status(
        StatusCode::kInvalidArgument, "a context of %lld tokens, the executor's %lld",
        static_cast<long long>(context), static_cast<long long>(executor.context_max()));
  }
  scheduler->options_.context_length = context;
  MIDGE_ASSIGN_OR_RETURN(scheduler->pool_, KvPool::create(config, pages));
  MIDGE_RETURN_IF_ERROR(scheduler->pool_->settle(options.residency));
  scheduler->cache_ = std::make_unique<PrefixCache>(*scheduler->pool_);
  if (options.drafts.drafter != Drafter::kNone) {
    MIDGE_ASSIGN_OR_RETURN(scheduler->speculation_,
                           Speculation::create(executor, options.drafts, 2 * options.running_max));
  }
  return scheduler;
}

Status Scheduler::check(const Request& request) const {
  const ModelConfig& config = executor_.model().config();
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt >= options_.context_length) {
    return make_status(
        StatusCode::kContextFull, "a prompt of %lld tokens, the context holds %lld with the answer",
        static_cast<long long>(prompt), static_cast<long long>(options_.context_length));
  }
  if (!request.roles.empty() && request.roles.size() != request.prompt.size()) {
    return make_status(StatusCode::kInvalidArgument, "%zu roles for a prompt of %zu tokens",
                       request.roles.size(), request.prompt.size());
  }
  const int64_t pages = ceil_div(prompt + 1, options_.page_tokens);
  if (pages > pool_->page_count()) {
    return make_status(StatusCode::kNoPages, "a prompt of %lld KV pages, there are %lld",
                       static_cast<long long>(pages), static_cast<long long>(pool_->page_count()));
  }
  MIDGE_RETURN_IF_ERROR(check_token_ids(config, request.prompt));
  if (request.samples < 1 || request.samples > options_.running_max) {
    return make_status(StatusCode::kOutOfRange, "%d answers, expected 1..%lld", request.samples,
                       static_cast<long long>(options_.running_max));
  }
  if (request.score_from < 0 || request.score_from > prompt) {
    return make_status(StatusCode::kOutOfRange,
                       "logprobs of the prompt from token %lld on, it has %lld",
                       static_cast<long long>(request.score_from), static_cast<long long>(prompt));
  }
  return Status();
}

Result<Scheduler::PreparedRequest> Scheduler::prepare(const Request& request) const {
  MIDGE_RETURN_IF_ERROR(check(request));
  MIDGE_ASSIGN_OR_RETURN(PreparedRequest job, make_job(request, 0));
  if (request.score_from > 0) {
    const auto scores = static_cast<size_t>(job->end_of_scores() - job->next_score());
    job->rows.reserve(static_cast<size_t>(executor_.logit_rows_max()));
    job->result.prompt_scores.reserve(scores);
    job->result.prompt_alternatives.reserve(scores *
                                            static_cast<size_t>(request.generate.sampler.logprobs));
  }
  for (int32_t sample = 1; sample < request.samples; ++sample) {
    MIDGE_ASSIGN_OR_RETURN(PreparedRequest other, make_job(request, sample));
    job->others.push_back(std::move(other));
  }
  return job;
}

uint64_t Scheduler::submit(PreparedRequest job) {
  last_id_ = job->request.id != 0 ? job->request.id : last_id_ + 1;
  job->result.id = last_id_;
  for (const PreparedRequest& other : job->others) other->result.id = last_id_;
  wait(std::move(job));
  return last_id_;
}

Result<uint64_t> Scheduler::submit(const Request& request) {
  if (waiting_count() >= options_.waiting_max) {
    return make_status(StatusCode::kBusy, "%lld requests wait already",
                       static_cast<long long>(waiting_count()));
  }
  MIDGE_ASSIGN_OR_RETURN(PreparedRequest job, prepare(request));
  return submit(std::move(job));
}

Result<Scheduler::PreparedRequest> Scheduler::make_job(const Request& request,
                                                       int32_t sample) const {
  PreparedRequest job(new Job());
  job->request = request;
  job->request.generate.sampler.sample += static_cast<uint32_t>(sample);
  if (sample > 0) job->request.score_from = 0;  // scores are the first one's
  job->submitted = Clock::now();
  job->result.sample = sample;
  job->rows.reserve(1 + kDraftsMax);
  if (speculation_ != nullptr && !request.no_drafts) {
    MIDGE_ASSIGN_OR_RETURN(job->drafting,
                           DraftState::create(options_.drafts, options_.context_length));
    if (sample == 0) job->drafting->set_faked(request.faked);
  }
  SequenceOptions sequence;
  sequence.context_length = options_.context_length;
  sequence.batch_rows = executor_.rows_max();
  MIDGE_ASSIGN_OR_RETURN(job->sequence,
                         Sequence::create(executor_.model().config(), sequence, *pool_));
  std::unique_ptr<TokenMask> mask;
  if (request.make_mask != nullptr) mask = request.make_mask(sample);
  MIDGE_ASSIGN_OR_RETURN(job->generation,
                         Generation::create(*job->sequence, tokenizer_, allowed_, request.prompt,
                                            job->request.generate, nullptr, std::move(mask)));
  return job;
}

void Scheduler::count_end(RequestEnd how) {
  switch (how) {
    case RequestEnd::kDone: ++statistics_.done; break;
    case RequestEnd::kCancelled: ++statistics_.cancelled; break;
    case RequestEnd::kDeadline: ++statistics_.deadline; break;
    case RequestEnd::kFailed: ++statistics_.failed; break;
  }
}

void Scheduler::count_pass() {
  ++statistics_.passes;
  for (const PassPart& part : parts_) statistics_.rows += part.run.rows();
  ++statistics_.passes_by_sequences[std::min(parts_.size(), SchedulerStatistics::kAnswersMax)];
  const int64_t used = pool_->page_count() - pool_->free_count();
  statistics_.pages_used_max = std::max(statistics_.pages_used_max, used);
}

SchedulerStatistics Scheduler::statistics() const {
  SchedulerStatistics now = statistics_;
  if (speculation_ != nullptr) {
    const DraftTotals& drafts = speculation_->totals();
    now.drafts_read = drafts.lookup_drafts + drafts.mtp_drafts;
    now.drafts_drawn = drafts.lookup_drawn + drafts.mtp_drawn;
    for (int rows = 1; rows < static_cast<int>(now.step_seconds.size()); ++rows) {
      if (speculation_->times().count(rows) == 0) continue;
      now.step_seconds[static_cast<size_t>(rows)] = speculation_->times().seconds(rows);
    }
  }
  now.pages = pool_->page_count();
  now.pages_free = pool_->free_count();
  now.pages_cached = cache_->page_count();
  now.pages_evicted = cache_->evicted_count();
  now.pages_shared = pool_->shared_count();
  return now;
}

void Scheduler::wait(PreparedRequest job) {
  const auto comes_later = [](const PreparedRequest& a, const PreparedRequest& b) {
    return std::pair(-int64_t{a->priority()}, a->id()) <
           std::pair(-int64_t{b->priority()}, b->id());
  };
  const auto place = std::upper_bound(waiting_.begin(), waiting_.end(), job, comes_later);
  waiting_.insert(place, std::move(job));
}

bool Scheduler::cancel(uint64_t id) {
  bool found = false;
  for (const Jobs* jobs : {&waiting_, &running_, &split_}) {
    for (const PreparedRequest& job : *jobs) {
      if (job->id() != id) continue;
      job->cancel = true;
      found = true;
    }
  }
  return found;
}

// Takes a job out of the scheduler; what it has read may serve others.
void Scheduler::end(PreparedRequest job, RequestEnd how) {
  if (options_.keeps_prefixes) cache_->keep(*job->sequence);
  if (!job->generation->done()) {
    job->generation->cancel();
    job->result.last_text = job->generation->shown();
  }
  if (speculation_ != nullptr) speculation_->remember(*job->sequence);
  job->sequence->forget();
  job->result.end = how;
  count_end(how);
  job->result.generated = job->generation->take_result();
  Jobs others = std::exchange(job->others, {});
  const Status status = job->result.status;
  ended_.push_back(std::move(job));
  for (PreparedRequest& other : others) {  // that wait for the same prompt
    other->result.status = status;
    end(std::move(other), how);
  }
}

void Scheduler::end_overdue(Jobs& jobs, Clock::time_point now) {
  for (size_t i = 0; i < jobs.size();) {
    Job& job = *jobs[i];
    const bool is_late = job.request.deadline.has_value() && *job.request.deadline <= now;
    const bool is_cancelled = job.is_cancelled();
    if (!is_cancelled && !is_late) {
      ++i;
      continue;
    }
    PreparedRequest ending = std::move(jobs[i]);
    jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(i));
    end(std::move(ending), is_cancelled ? RequestEnd::kCancelled : RequestEnd::kDeadline);
  }
}

void Scheduler::end_overdue() {
  const Clock::time_point now = Clock::now();
  end_overdue(waiting_, now);
  end_overdue(running_, now);
}

void Scheduler::tell_ended() {
  // A callback may end others by what it submits.
  while (!ended_.empty()) {
    const Jobs ended = std::exchange(ended_, {});
    for (const PreparedRequest& job : ended) {
      if (job->request.on_end != nullptr) job->request.on_end(job->result);
    }
  }
}

// Of all its tokens and the next one.
int64_t Scheduler::pages_of(const Job& job) const {
  const int64_t tokens =
      std::max<int64_t>(job.sequence->length(), static_cast<int64_t>(job.request.prompt.size()));
  return ceil_div(tokens + 1, options_.page_tokens);
}

// Alone a job always runs: as long as all pages together allow.
bool Scheduler::has_room_for(const Job& job) const {
  if (running_.empty()) return true;
  int64_t pages = pool_->free_count() + cache_->evictable_count();
  // Those that run take theirs as they read.
  for (const PreparedRequest& other : running_) {
    const auto held = static_cast<int64_t>(other->sequence->page_ids().size());
    pages -= std::max<int64_t>(0, pages_of(*other) - held);
  }
  return running_count() < options_.running_max && pages >= pages_of(job);
}

// The running request that gives way first: of the lowest priority, the one that came last.
Scheduler::Job* Scheduler::weakest() {
  Job* found = nullptr;
  for (const PreparedRequest& job : running_) {
    if (found == nullptr ||
        std::pair(job->priority(), found->id()) < std::pair(found->priority(), job->id())) {
      found = job.get();
    }
  }
  return found;
}

void Scheduler::preempt(const Job* job) {
  const auto place = std::find_if(running_.begin(), running_.end(),
                                  [&](const PreparedRequest& j) { return j.get() == job; });
  PreparedRequest waiting = std::move(*place);
  running_.erase(place);
  waiting->generation->drop_drafts();
  waiting->sequence->forget();
  ++waiting->result.preemptions;
  ++statistics_.preemptions;
  wait(std::move(waiting));
}

void Scheduler::admit() {
  while (!waiting_.empty()) {
    const Job& next = *waiting_.front();
    while (!has_room_for(next)) {
      const Job* job = weakest();
      if (job == nullptr || job->priority() >= next.priority()) return;
      preempt(job);  // goes behind the one that it makes room for
    }
    PreparedRequest job = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    start(std::move(job));
  }
}

// Gives the sequence its prompt, but for what is known of it.
void Scheduler::read_prompt(Job& job) {
  const std::span<const int32_t> prompt = job.request.prompt;
  std::vector<RowRole> roles = job.request.roles;
  roles.resize(prompt.size(), RowRole::kPrompt);
  size_t first = 0;
  if (options_.keeps_prefixes) {
    cache_->evict(1);  // for a page that is known in part
    const int64_t most = job.request.score_from > 0 ? job.next_score() : INT64_MAX;
    first = static_cast<size_t>(cache_->adopt(*job.sequence, prompt, roles, most));
  } else {
    job.sequence->expect_length(static_cast<int64_t>(prompt.size()));
  }
  job.result.cached_tokens = static_cast<int64_t>(first);
  statistics_.prompt_tokens += static_cast<int64_t>(prompt.size());
  statistics_.cached_tokens += static_cast<int64_t>(first);
  while (first < prompt.size()) {
    const auto begin = roles.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = std::find_if(begin, roles.end(), [&](RowRole role) { return role != *begin; });
    const auto count = static_cast<size_t>(end - begin);
    const Status given = job.sequence->give(prompt.subspan(first, count), *begin);
    MIDGE_DCHECK(given.ok(), "a prompt that was checked");
    first += count;
  }
}

void Scheduler::start(PreparedRequest job) {
  if (!job->started) {
    job->started = true;
    job->result.queue_seconds = seconds_between(job->submitted, Clock::now());
    statistics_.queue.add(job->result.queue_seconds);
    read_prompt(*job);
  }
  running_.push_back(std::move(job));
}

// Of all running jobs, with their pages. False if there are none.
bool Scheduler::drop_drafts() {
  bool any = false;
  for (const PreparedRequest& job : running_) {
    any = any || !job->generation->drafts().empty();
    job->generation->drop_drafts();
  }
  return any;
}

// Holds the pages that running jobs need for what they read next; some give theirs back for it.
void Scheduler::make_room() {
  for (size_t i = 0; i < running_.size();) {
    Job& job = *running_[i];
    const Sequence::Run run = job.unread();
    Sequence::Run sure = run;  // guesses take no page from others
    sure.end -= static_cast<int64_t>(job.generation->drafts().size());
    cache_->evict(job.sequence->missing_pages(sure));
    if (job.sequence->missing_pages(run) <= pool_->free_count()) {
      const Status held = job.sequence->hold(run);
      MIDGE_DCHECK(held.ok(), "%s", held.message().c_str());
      ++i;
      continue;
    }
    if (drop_drafts()) {
      i = 0;
      continue;
    }
    if (running_.size() == 1) {  // as long as all pages together allow
      job.generation->stepped(Status(StatusCode::kContextFull, job.sequence->hold(run).message()));
      job.result.last_text = job.generation->shown();
      return;
    }
    preempt(weakest());
    i = 0;
  }
}

// A part has no more rows of logits than there is room for.
void Scheduler::cut_to_logits(const Job& job, Sequence::Run* run) {
  const int64_t first = std::max(run->begin, job.next_score());
  const int64_t wanted = std::min(run->end, job.end_of_scores()) - first;
  if (wanted <= 0) return;
  run->end = std::min(run->end, first + spare_rows_ + 1);
  spare_rows_ -= std::min(wanted, spare_rows_);
}

void Scheduler::add_part(Job& job, const Sequence::Run& run, bool fresh) {
  PassPart part;
  part.sequence = job.sequence.get();
  part.run = run;
  part.cancel = job.cancel_flag();
  job.rows.clear();
  for (int64_t row = std::max(run.begin, job.next_score());
       row < std::min(run.end, job.end_of_scores()); ++row) {
    job.rows.push_back(static_cast<int32_t>(row - run.begin));
  }
  job.scored_rows = job.rows.size();
  job.at_end = run.end == job.sequence->length();
  MIDGE_DCHECK(fresh || job.generation->drafts().empty(), "drafts behind what is read again");
  job.is_fresh = fresh;
  const int64_t draws = fresh ? run.rows() : job.at_end ? 1 : 0;
  for (int64_t row = run.rows() - draws; row < run.rows(); ++row) {
    job.rows.push_back(static_cast<int32_t>(row));
  }
  if (!job.rows.empty()) {
    part.outputs.logits_rows = job.rows;
    part.outputs.logits = executor_.logits(logit_rows_);
    logit_rows_ += static_cast<int64_t>(job.rows.size());
  }
  job.first_row = rows_;
  rows_ += run.rows();
  if (job.drafting.has_value()) {
    speculation_->ask_for_hidden(*job.drafting, job.first_row, &part.outputs);
  }
  parts_.push_back(part);
  job_of_part_.push_back(&job);
}

// Adds the rows of one role: those of answers that go on (fresh), or what is left to read.
void Scheduler::collect(RowRole role, bool fresh, int64_t* rows_left) {
  for (const PreparedRequest& job : running_) {
    Sequence::Run run = job->unread();
    if (run.empty() || run.role != role || *rows_left == 0) continue;
    if (job->goes_on_with(run) != fresh) continue;
    run.end = std::min(run.end, run.begin + *rows_left);
    cut_to_logits(*job, &run);
    *rows_left -= run.rows();
    add_part(*job, run, fresh);
  }
}

void Scheduler::collect_pass() {
  parts_.clear();
  job_of_part_.clear();
  rows_ = 0;
  logit_rows_ = 0;
  spare_rows_ = executor_.logit_rows_max() - options_.running_max;
  for (const PreparedRequest& job : running_) {
    spare_rows_ -= static_cast<int64_t>(job->generation->drafts().size());
  }
  int64_t rows = executor_.rows_max();
  collect(RowRole::kGenerated, true, &rows);
  int64_t others = parts_.empty() ? rows : std::min(rows, options_.prompt_rows);
  collect(RowRole::kGenerated, false, &others);
  collect(RowRole::kPrompt, false, &others);
}

// The further answers of a job whose prompt has been read: they draw from the same logits.
Status Scheduler::start_others(Job& job, size_t part, const float* logits) {
  const Sequence::Run& run = parts_[part].run;
  if (job.drafting.has_value()) {  // what they share is read once
    const Speculation::Turn turn = {job.sequence.get(), &*job.drafting, nullptr, job.first_row,
                                    run.begin,          run.end - 1,    run.role};
    MIDGE_RETURN_IF_ERROR(speculation_->follow({&turn, 1}, 0));
  }
  for (PreparedRequest& other : job.others) {
    const Status copied = other->sequence->copy_from(*job.sequence);
    MIDGE_DCHECK(copied.ok(), "a copy of a prompt");
    other->started = true;
    other->at_end = true;
    if (job.drafting.has_value() && split_.size() < turns_.capacity()) {
      other->first_row = speculation_->keep_row(job.first_row + run.rows() - 1, split_.size());
    }
    other->result.queue_seconds = job.result.queue_seconds;
    other->result.cached_tokens = job.result.cached_tokens;
    other->generation->stepped(Status());
    if (!other->generation->done()) {
      draws_.push_back({other->generation.get(), logits});
      job_of_draw_.push_back(other.get());
    }
    split_.push_back(std::move(other));
  }
  job.others.clear();
  return Status();
}

// Those that find no place among the running ones wait, and read the prompt again. What ended with
// its first token needs none.
void Scheduler::split_off() {
  for (PreparedRequest& job : split_) {
    const bool ends = job->generation->done() || !job->result.status.ok();
    if (ends || running_count() < options_.running_max) {
      running_.push_back(std::move(job));
    } else {
      job->generation->drop_drafts();
      job->sequence->forget();
      wait(std::move(job));
    }
  }
  split_.clear();
}

// The first draws that the pass was for.
Status Scheduler::collect_draws() {
  draws_.clear();
  job_of_draw_.clear();
  for (size_t i = 0; i < parts_.size(); ++i) {
    const float* logits = parts_[i].outputs.logits;
    // A part that was cancelled has no logits; its job ends with the next step.
    if (logits == nullptr || !parts_[i].done) continue;
    Job& job = *job_of_part_[i];
    take_scores(job, logits);
    if (!job.at_end) continue;
    logits += static_cast<int64_t>(job.scored_rows) * executor_.model().config().vocab_size;
    const int64_t steps = job.generation->result().drafts.steps;
    job.generation->stepped(Status());
    statistics_.steps += job.generation->result().drafts.steps - steps;
    if (!job.generation->done()) {
      draws_.push_back({job.generation.get(), logits});
      job_of_draw_.push_back(&job);
    }
    if (!job.others.empty()) MIDGE_RETURN_IF_ERROR(start_others(job, i, logits));
  }
  return Status();
}

// Draws the tokens that the pass was for, and gives them to their sequences. Those whose token was
// their draft draw the next one too.
Status Scheduler::write_tokens() {
  MIDGE_RETURN_IF_ERROR(collect_draws());
  while (!draws_.empty()) {
    MIDGE_RETURN_IF_ERROR(sample_together(executor_, draws_));
    size_t kept = 0;
    for (size_t i = 0; i < draws_.size(); ++i) {
      Job& job = *job_of_draw_[i];
      go_on(job);
      if (!job.generation->goes_on()) continue;
      draws_[kept] = {job.generation.get(),
                      draws_[i].logits + executor_.model().config().vocab_size};
      job_of_draw_[kept++] = &job;
    }
    draws_.resize(kept);
    job_of_draw_.resize(kept);
  }
  if (speculation_ != nullptr) MIDGE_RETURN_IF_ERROR(draft());
  split_off();
  return Status();
}

// Rows of drafts that a pass has room for, beside a token of each request, and rows of prompts that
// get scores.
int64_t Scheduler::draft_rows_max() const {
  int64_t rows =
      (std::min(executor_.rows_max(), executor_.logit_rows_max()) - options_.running_max + 1) / 2;
  for (const PreparedRequest& job : running_) {
    rows -= static_cast<int64_t>(job->generation->drafts().size());
  }
  return rows;
}

// Lets those that took part in the pass guess on.
Status Scheduler::draft() {
  turns_.clear();
  const auto add_turn = [this](Job& job, Speculation::Turn turn) {
    if (!job.drafting.has_value() || !job.result.status.ok()) return;
    if (job.at_end && job.is_fresh) speculation_->note(*job.drafting, *job.generation);
    if (job.generation->done()) return;
    turn.sequence = job.sequence.get();
    turn.state = &*job.drafting;
    if (job.at_end) {  // behind what stays there is the token that was drawn
      turn.generation = job.generation.get();
      turn.end = job.sequence->length() - 1;
    }
    turns_.push_back(turn);
  };
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].done) continue;
    Job& job = *job_of_part_[i];
    const Sequence::Run& run = parts_[i].run;
    Speculation::Turn turn;
    turn.first_row = job.first_row;
    turn.begin = run.begin;
    turn.end = run.end;
    turn.role = run.role;
    add_turn(job, turn);
  }
  // As many as there are kept rows and as a pass holds; the others' drafts begin later.
  const auto kept = std::min<size_t>(turns_.capacity() - turns_.size(),
                                     static_cast<size_t>(executor_.rows_max() - rows_));
  for (size_t i = 0; i < std::min(split_.size(), kept); ++i) {
    const PreparedRequest& other = split_[i];
    Speculation::Turn turn;
    turn.first_row = other->first_row;
    turn.begin = other->sequence->length() - 2;  // the last token of the prompt
    turn.role = RowRole::kPrompt;
    add_turn(*other, turn);
  }
  MIDGE_RETURN_IF_ERROR(speculation_->follow(turns_, draft_rows_max()));
  for (const Speculation::Turn& turn : turns_) {
    if (turn.generation == nullptr) continue;
    const Status given = turn.sequence->give(turn.generation->drafts(), RowRole::kGenerated);
    MIDGE_DCHECK(given.ok(), "drafts beyond the context");
  }
  return Status();
}

Status Scheduler::run_pass_of_parts() {
  const Clock::time_point start = Clock::now();
  MIDGE_RETURN_IF_ERROR(run_pass(executor_, parts_));
  const bool is_step = std::all_of(job_of_part_.begin(), job_of_part_.end(),
                                   [](const Job* job) { return job->is_fresh; });
  const bool is_done =
      std::all_of(parts_.begin(), parts_.end(), [](const PassPart& part) { return part.done; });
  if (speculation_ != nullptr && is_step && is_done) {
    speculation_->note_step(rows_, seconds_between(start, Clock::now()));
  }
  count_pass();
  return Status();
}

void Scheduler::take_scores(Job& job, const float* logits) {
  for (size_t i = 0; i < job.scored_rows; ++i) {
    const auto next = static_cast<size_t>(job.next_score()) + 1;
    job.result.prompt_scores.push_back(job.generation->score(
        logits + static_cast<int64_t>(i) * executor_.model().config().vocab_size,
        job.request.prompt[next], &job.result.prompt_alternatives, executor_.sampler_workspace(0)));
  }
}

void Scheduler::note_token(Job& job) {
  const Clock::time_point now = Clock::now();
  ++statistics_.tokens_written;
  if (job.generation->result().tokens.size() == 1) {
    job.result.first_token_seconds = seconds_between(job.submitted, now);
    statistics_.first_token.add(job.result.first_token_seconds);
  } else {
    job.result.token_latency.add(seconds_between(job.last_token, now));
    statistics_.token_latency.add(seconds_between(job.last_token, now));
  }
  job.last_token = now;
}

void Scheduler::go_on(Job& job) {
  Generation& generation = *job.generation;
  job.result.status = generation.accept();
  if (!job.result.status.ok()) return;
  note_token(job);
  bool keep_on = true;
  if (job.request.on_token != nullptr) {
    const GenerateResult& so_far = generation.result();
    const GeneratedToken& token = so_far.tokens.back();
    keep_on = job.request.on_token(
        {job.id(), job.result.sample, &token, so_far.alternatives_of(token), generation.shown()});
  }
  // Further tokens of this pass are not drawn for one that was cancelled meanwhile.
  keep_on = keep_on && !(generation.goes_on() && job.is_cancelled());
  if (!keep_on && !generation.done()) {
    generation.cancel();
    job.result.last_text = generation.shown();
  }
  if (generation.done() || generation.goes_on()) return;
  const SequenceStep next = generation.next_step(nullptr);
  const Status given = job.sequence->give(next.tokens, next.role);
  if (given.ok()) return;
  generation.stepped(given);
  job.result.last_text = generation.shown();
}

void Scheduler::remove_ended() {
  for (size_t i = 0; i < running_.size();) {
    Job& job = *running_[i];
    const bool failed = !job.result.status.ok() || !job.generation->status().ok();
    if (!failed && !job.generation->done()) {
      ++i;
      continue;
    }
    if (failed && job.result.status.ok()) job.result.status = job.generation->status();
    const bool cancelled = job.generation->result().reason == FinishReason::kCancelled;
    PreparedRequest ending = std::move(running_[i]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    end(std::move(ending), failed      ? RequestEnd::kFailed
                           : cancelled ? RequestEnd::kCancelled
                                       : RequestEnd::kDone);
  }
}

Result<bool> Scheduler::step() {
  end_overdue();
  admit();
  if (running_.empty()) {
    tell_ended();
    return !waiting_.empty();  // what callbacks have submitted
  }
  make_room();
  remove_ended();
  collect_pass();
  if (!parts_.empty()) {
    MIDGE_RETURN_IF_ERROR(run_pass_of_parts());
    MIDGE_RETURN_IF_ERROR(write_tokens());
    remove_ended();
  }
  tell_ended();
  return true;
}

void Scheduler::fail(const Status& status) {
  for (Jobs* jobs : {&waiting_, &running_, &split_}) {
    Jobs failing = std::exchange(*jobs, {});
    for (PreparedRequest& job : failing) {
      job->result.status = status;
      end(std::move(job), RequestEnd::kFailed);
    }
  }
  running_.reserve(static_cast<size_t>(options_.running_max));
  tell_ended();
}

Status Scheduler::run() {
  for (;;) {
    MIDGE_ASSIGN_OR_RETURN(const bool more, step());
    if (!more) return Status();
  }
}

}  // namespace midge
