// Decode with drafts beside decode without, in turns, on the same tokens.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/loaded_model.h"
#include "bench/model/statistics.h"
#include "engine/speculation/speculation.h"

namespace midge::bench {

struct SpeculativeOptions {
  int64_t rounds = 5;
  int64_t tokens = 64;               ///< of each answer
  int64_t requests = 1;              ///< answers at a time
  std::optional<double> acceptance;  ///< fakes it, see FakedDrafts; nothing: as it comes
  DraftOptions drafts;
  KvType kv_type = KvType::kF16;
  /// Texts that are continued, one after the other; for a model without a tokenizer random tokens.
  std::vector<std::string> prompts;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(double part)> on_progress;  ///< may be empty
};

struct SpeculativeReport {
  int64_t requests = 1;
  std::optional<double> acceptance;
  int64_t tokens = 0;        ///< that a round measured, all but the first of each answer
  double plain_seconds = 0;  ///< median of the rounds
  double drafted_seconds = 0;
  Ratio speed;  ///< plain by drafted seconds of the same round
  /// The MTP layer's part of the time in which prompts were read.
  double prompt_share = 0;
  DraftTotals totals;  ///< of all rounds, not of the run before them
  int64_t steps = 0;
  double tokens_per_step = 0;               ///< of a request
  std::array<double, 9> step_seconds = {};  ///< by rows, as the scheduler measured; 0: not
  double draft_seconds = 0;                 ///< of a pass that makes drafts; 0: there was none
  /// (1 + acceptance) * T(requests) / (T(2 * requests) + draft): what one draft allows at the faked
  /// acceptance; 0 without, or if a part was not measured.
  double allowed = 0;
};

/// Writes the answers without and with drafts, in turns. Greedy. Errors: internal (the tokens
/// differ), cancelled, those of Scheduler::create and step.
Result<SpeculativeReport> measure_drafts(const LoadedModel& model,
                                         const SpeculativeOptions& options);

/// Short beginnings of stories; and texts that ask for what stands in them already.
std::vector<std::string> free_prompts();
std::vector<std::string> repetitive_prompts();

}  // namespace midge::bench
