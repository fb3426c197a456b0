// A model and what a bench makes it do: prompts, steps at a depth, steps of several sequences.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "api/loaded_model.h"
#include "engine/session/kv_pool.h"

namespace midge::bench {

struct RunnerOptions {
  KvType kv_type = KvType::kF16;
  int64_t depth_max = 1;                      ///< of at_depth(); negative: it is not called
  int64_t depth_count = 2;                    ///< different ones of at_depth()
  int64_t prompt_max = 1;                     ///< of prompt()
  int64_t requests_max = 1;                   ///< of requests()
  const std::atomic<bool>* cancel = nullptr;  ///< ends steps while set; may be null
};

/// Runs steps on random tokens and times them. Sequences share pages of one pool. One caller.
class ModelRunner {
 public:
  /// model outlives it; its executor has a context of context_for(options), and a row of logits for
  /// each of requests_max and of kGemvRowsMax. Errors: out_of_memory, and those of a step.
  static Result<std::unique_ptr<ModelRunner>> create(const LoadedModel& model,
                                                     const RunnerOptions& options);
  static int64_t context_for(const RunnerOptions& options);

  ModelRunner(const ModelRunner&) = delete;
  ModelRunner& operator=(const ModelRunner&) = delete;

  Executor& executor() const { return model_.executor(); }
  const ModelConfig& config() const { return model_.model().config(); }
  const KvPool& pool() const { return *pool_; }

  /// Seconds from an empty sequence to the first token behind a prompt of `length` tokens, the
  /// drawing of it included unless it is left out.
  Result<double> prompt(int64_t length, bool draws = true);

  /// Seconds of a step of `rows` generated tokens behind `depth` others, at least one. What lies in
  /// the cache is a prompt of up to 512 tokens, repeated: the time does not depend on it.
  /// stays: behind exactly so many each time, else behind up to 128 more, of steps before.
  Result<double> at_depth(int64_t depth, int64_t rows, bool stays = false);

  /// Seconds of a step of one generated token of each of `count` sequences, and of drawing the next
  /// token for each.
  Result<double> requests(int64_t count);

  /// Bytes of keys and values that a step of one row reads behind `depth` tokens.
  int64_t kv_bytes(int64_t depth) const;
  /// Those that a step of requests() reads at least.
  int64_t request_kv_bytes(int64_t count) const;
  /// Multiply-adds of a prompt's matrices, with one row of logits.
  double prompt_macs(int64_t length) const;

 private:
  ModelRunner(const LoadedModel& model, const RunnerOptions& options)
      : model_(model), options_(options) {}

  Result<std::unique_ptr<Sequence>> new_sequence();
  Status fill(Sequence& sequence, int64_t depth);
  std::span<const int32_t> next_tokens(int64_t count);
  Status run(std::span<SequenceStep> steps);
  void draw(int64_t count);

  const LoadedModel& model_;
  const RunnerOptions options_;
  std::unique_ptr<KvPool> pool_;
  std::vector<uint8_t> allowed_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Sequence> base_;    // of depth_max tokens
  std::unique_ptr<Sequence> prompt_;  // empty between prompts
  std::map<int64_t, std::unique_ptr<Sequence>> at_depths_;
  std::vector<std::unique_ptr<Sequence>> requests_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> rows_;  // 0, 1, ...
  std::vector<SequenceStep> steps_;
  uint64_t drawn_ = 0;
};

}  // namespace midge::bench
