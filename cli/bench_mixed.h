// midge bench --mixed: what sequences cost each other.
#pragma once

#include <cstdint>

#include "cli/common.h"

namespace midge {

/// Medians of alternating runs, in seconds.
struct MixedReport {
  int64_t prompt_tokens = 256;
  int64_t beside = 3;           ///< sequences with one generated row each
  double prompt_seconds = 0;    ///< a pass over the prompt alone
  double mixed_seconds = 0;     ///< the same pass with the generated rows
  int64_t sampled = 8;          ///< sequences
  double step_seconds = 0;      ///< a step of one generated row of each
  double sampling_seconds = 0;  ///< drawing their tokens at temperature 0.8
};

/// Measures on random tokens. The model must have been opened with room for it: see
/// make_room_for_mixed().
Result<MixedReport> measure_mixed(const LoadedModel& model, KvType kv_type, int64_t rounds);

/// What measure_mixed() needs of the executor.
void make_room_for_mixed(RunOptions* options);

void print_mixed(const MixedReport& report);
void write_mixed(JsonWriter& json, const MixedReport& report);

}  // namespace midge
