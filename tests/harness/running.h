// A model, executor and session in one, and comparisons of what they compute.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/session/session.h"
#include "tests/harness/golden.h"

namespace midge::test {

struct RunSetup {
  std::string path;
  SequenceOptions session = {};
  int threads = 2;
  Arithmetic arithmetic = Arithmetic::kFloat;
  std::optional<Encoding> weights = std::nullopt;
  std::optional<WeightRecipe> recipe = std::nullopt;  ///< instead of `weights`
  const Importance* importance = nullptr;             ///< for these
  std::optional<CpuFeatures> isa = std::nullopt;      ///< nothing: those of this machine
  bool calibrate = false;                             ///< models of any size
  std::string cache_dir = {};
  std::shared_ptr<const WorkerTeam> team = nullptr;  ///< instead of `threads`
  std::vector<CpuFeatures> isa_of_types = {};
};

struct Running {
  std::unique_ptr<Model> model;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<Session> session;
};

/// Opens everything; a failure is a fatal test failure.
void open(const RunSetup& setup, Running* out);

/// Options with a type of KV cache and rope mode.
SequenceOptions with(KvType kv_type, RopeMode rope = RopeMode::kAuto);

/// 0, 1, ... count - 1.
std::vector<int32_t> all_rows(size_t count);

/// Token ids below vocab_size from a fixed seed.
std::vector<int32_t> random_tokens(size_t count, int64_t vocab_size, uint64_t seed = 1);

/// Feeds `tokens` in one step; returns the logits of every row, [tokens, vocab_size].
std::vector<float> step_logits(Session& session, std::span<const int32_t> tokens,
                               RowRole role = RowRole::kPrompt);

/// The same in steps of at most `piece` tokens.
std::vector<float> step_logits_in_pieces(Session& session, std::span<const int32_t> tokens,
                                         size_t piece, RowRole role = RowRole::kPrompt);

/// The `count` tokens that follow `prompt` when the greatest logit is taken each time, one token a
/// step.
std::vector<int32_t> greedy_tokens(Session& session, std::span<const int32_t> prompt, size_t count);

/// Largest difference as a fraction of the range of `expected`; NaN if one is NaN or the
/// sizes differ.
float relative_error(std::span<const float> expected, std::span<const float> found);

}  // namespace midge::test
