#include "bench/model/model_runner.h"

#include <algorithm>
#include <numeric>

#include "engine/core/checked_math.h"
#include "engine/core/seconds.h"
#include "engine/session/random.h"
#include "engine/session/step.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kTokenSeed = 20261128;
constexpr int64_t kPageTokens = 64;
constexpr int64_t kRealTokens = 512;    // of a deep sequence, that the model reads
constexpr int64_t kRequestTokens = 64;  // that a sequence of requests() has read before it goes on
constexpr int64_t kRequestTokensMax = 2 * kRequestTokens;  // it begins anew then
constexpr int64_t kStepsAhead = 2 * kPageTokens;
constexpr int64_t kBranchPages = 4;  // of a sequence that shares the others with base_

}  // namespace

int64_t ModelRunner::context_for(const RunnerOptions& options) {
  return std::max({std::max<int64_t>(1, options.depth_max) + kStepsAhead, options.prompt_max + 1,
                   options.requests_max > 0 ? kRequestTokensMax + 1 : 0});
}

Result<std::unique_ptr<ModelRunner>> ModelRunner::create(const LoadedModel& model,
                                                         const RunnerOptions& options) {
  std::unique_ptr<ModelRunner> runner(new ModelRunner(model, options));
  KvPoolOptions pool;
  pool.type = options.kv_type;
  pool.page_tokens = kPageTokens;
  const int64_t context = std::min(context_for(options), runner->config().context_length);
  pool.pages = ceil_div(context, kPageTokens) + ceil_div(options.prompt_max + 1, kPageTokens) +
               options.depth_count * kBranchPages +
               options.requests_max * ceil_div(kRequestTokensMax + 1, kPageTokens);
  MIDGE_ASSIGN_OR_RETURN(runner->pool_, KvPool::create(runner->config(), pool));
  const auto vocab_size = static_cast<size_t>(runner->config().vocab_size);
  runner->allowed_.assign(vocab_size, 1);
  MIDGE_ASSIGN_OR_RETURN(Sampler sampler, Sampler::create(SamplerOptions(), runner->allowed_, 1));
  runner->sampler_ = std::make_unique<Sampler>(std::move(sampler));
  runner->rows_.resize(static_cast<size_t>(std::max<int64_t>(kGemvRowsMax, options.requests_max)));
  std::iota(runner->rows_.begin(), runner->rows_.end(), 0);
  MIDGE_ASSIGN_OR_RETURN(runner->base_, runner->new_sequence());
  MIDGE_ASSIGN_OR_RETURN(runner->prompt_, runner->new_sequence());
  if (options.depth_max >= 0) {
    MIDGE_RETURN_IF_ERROR(runner->fill(*runner->base_, std::max<int64_t>(1, options.depth_max)));
  }
  return runner;
}

Result<std::unique_ptr<Sequence>> ModelRunner::new_sequence() {
  SequenceOptions options;
  options.context_length = std::min(context_for(options_), config().context_length);
  options.batch_rows = executor().rows_max();
  options.kv_type = options_.kv_type;
  // Deep sequences would be read again where longrope changes its factors.
  options.rope = RopeMode::kShort;
  return Sequence::create(config(), options, *pool_);
}

std::span<const int32_t> ModelRunner::next_tokens(int64_t count) {
  const size_t first = tokens_.size();
  for (int64_t i = 0; i < count; ++i) {
    tokens_.push_back(static_cast<int32_t>(uniform_at(kTokenSeed, drawn_++) *
                                           static_cast<double>(config().vocab_size)));
  }
  return std::span(tokens_).subspan(first);
}

Status ModelRunner::run(std::span<SequenceStep> steps) {
  for (SequenceStep& step : steps) step.cancel = options_.cancel;
  run_step(executor(), steps);
  for (const SequenceStep& step : steps) MIDGE_RETURN_IF_ERROR(step.status);
  return Status();
}

void ModelRunner::draw(int64_t count) {
  executor().team().run(pass_class(count, 0), [&](const Worker& worker) {
    worker.for_each(count, [&](int64_t row) {
      sampler_->sample(executor().logits(row), 0, executor().sampler_workspace(worker.index()));
    });
  });
}

// The first tokens are read; their pages are repeated then.
Status ModelRunner::fill(Sequence& sequence, int64_t depth) {
  const int64_t real = std::min(depth, kRealTokens);
  tokens_.clear();
  SequenceStep step;
  step.sequence = &sequence;
  step.tokens = next_tokens(real);
  MIDGE_RETURN_IF_ERROR(run({&step, 1}));
  if (real == depth) return Status();
  const std::vector<int32_t> pages(sequence.page_ids().begin(), sequence.page_ids().end());
  const std::vector<RowRole> roles(kPageTokens, RowRole::kPrompt);
  for (size_t i = 0; sequence.length() + kPageTokens <= depth; ++i) {
    const int32_t page = pool_->take();
    pool_->copy(pages[i % pages.size()], page, kPageTokens);
    const size_t from = i % pages.size() * kPageTokens;
    sequence.take_over(page, std::span(tokens_).subspan(from, kPageTokens), roles);
  }
  const int64_t rest = depth - sequence.length();
  if (rest == 0) return Status();
  SequenceStep last;
  last.sequence = &sequence;
  last.tokens = next_tokens(rest);
  return run({&last, 1});
}

Result<double> ModelRunner::prompt(int64_t length, bool draws) {
  MIDGE_RETURN_IF_ERROR(prompt_->truncate(0));
  tokens_.clear();
  SequenceStep step;
  step.sequence = prompt_.get();
  step.tokens = next_tokens(length);
  const auto last = static_cast<int32_t>(length - 1);
  step.outputs.logits_rows = {&last, 1};
  step.outputs.logits = executor().logits(0);
  const Clock::time_point start = Clock::now();
  MIDGE_RETURN_IF_ERROR(run({&step, 1}));
  if (draws) draw(1);
  return seconds_between(start, Clock::now());
}

Result<double> ModelRunner::at_depth(int64_t depth, int64_t rows, bool stays) {
  depth = std::max<int64_t>(1, depth);
  std::unique_ptr<Sequence>& sequence = at_depths_[depth];
  if (sequence == nullptr) {
    MIDGE_ASSIGN_OR_RETURN(sequence, new_sequence());
    MIDGE_RETURN_IF_ERROR(sequence->copy_from(*base_));
    MIDGE_RETURN_IF_ERROR(sequence->truncate(depth));
  }
  if (stays || sequence->length() + rows > depth + kStepsAhead) {
    MIDGE_RETURN_IF_ERROR(sequence->truncate(depth));
  }
  tokens_.clear();
  SequenceStep step;
  step.sequence = sequence.get();
  step.tokens = next_tokens(rows);
  step.role = RowRole::kGenerated;
  step.outputs.logits_rows = std::span(rows_).first(static_cast<size_t>(rows));
  step.outputs.logits = executor().logits(0);
  const Clock::time_point start = Clock::now();
  MIDGE_RETURN_IF_ERROR(run({&step, 1}));
  return seconds_between(start, Clock::now());
}

Result<double> ModelRunner::requests(int64_t count) {
  while (static_cast<int64_t>(requests_.size()) < count) {
    MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Sequence> sequence, new_sequence());
    requests_.push_back(std::move(sequence));
  }
  for (int64_t i = 0; i < count; ++i) {
    Sequence& sequence = *requests_[static_cast<size_t>(i)];
    if (sequence.length() > 0 && sequence.length() < kRequestTokensMax) continue;
    MIDGE_RETURN_IF_ERROR(sequence.truncate(0));
    MIDGE_RETURN_IF_ERROR(fill(sequence, kRequestTokens));
  }
  tokens_.clear();
  tokens_.reserve(static_cast<size_t>(count));
  steps_.assign(static_cast<size_t>(count), SequenceStep());
  for (int64_t i = 0; i < count; ++i) {
    SequenceStep& step = steps_[static_cast<size_t>(i)];
    step.sequence = requests_[static_cast<size_t>(i)].get();
    step.tokens = next_tokens(1);
    step.role = RowRole::kGenerated;
    step.outputs.logits_rows = std::span(rows_).first(1);
    step.outputs.logits = executor().logits(i);
  }
  const Clock::time_point start = Clock::now();
  MIDGE_RETURN_IF_ERROR(run(steps_));
  draw(count);
  return seconds_between(start, Clock::now());
}

int64_t ModelRunner::kv_bytes(int64_t depth) const {
  const KvLayout& kv = pool_->layout();
  const int64_t window = config().sliding_window;
  const int64_t seen = window > 0 ? std::min(depth + 1, window) : depth + 1;
  return seen * kv.token_bytes() * kv.kv_heads * config().layer_count;
}

int64_t ModelRunner::request_kv_bytes(int64_t count) const {
  return count * kv_bytes(kRequestTokens);
}

double ModelRunner::prompt_macs(int64_t length) const {
  double matrices = 0;
  visit_linear_matrices(
      *executor().engine().weights, [&](const std::string& name, const PreparedMatrix& w) {
        if (is_of_mtp(name)) return;
        const double rows = name == "head" ? 1 : static_cast<double>(length);
        matrices += rows * static_cast<double>(w.n()) * static_cast<double>(w.k());
      });
  return matrices;
}

}  // namespace midge::bench
