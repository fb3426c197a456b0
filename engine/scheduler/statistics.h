// What a scheduler counts while it works.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace midge {

/// How long something took, many times: counts by length, each class a twelfth of an octave wide,
/// so that quantiles are right to 6 %. Takes no memory of its own. Not for several threads.
class LatencyHistogram {
 public:
  void add(double seconds);
  int64_t count() const { return count_; }
  /// What a part `share` (0..1) of them did not exceed, in seconds; 0 if there are none.
  double quantile(double share) const;

 private:
  static constexpr int kPerOctave = 12;
  static constexpr int kOctaves = 32;  // from a microsecond to more than an hour
  std::array<uint32_t, kPerOctave * kOctaves> counts_ = {};
  int64_t count_ = 0;
};

/// Since the scheduler was created.
struct SchedulerStatistics {
  static constexpr size_t kAnswersMax = 64;

  // Answers by their ends.
  int64_t done = 0;
  int64_t cancelled = 0;
  int64_t deadline = 0;
  int64_t failed = 0;

  int64_t preemptions = 0;
  int64_t passes = 0;
  int64_t rows = 0;            ///< of all passes
  int64_t tokens_written = 0;  ///< of answers
  int64_t prompt_tokens = 0;   ///< of prompts that were begun ...
  int64_t cached_tokens = 0;   ///< ... and of these, found and not read
  /// Passes by how many sequences took part; the last one: as many or more.
  std::array<int64_t, kAnswersMax + 1> passes_by_sequences = {};
  LatencyHistogram queue;          ///< from submission until it was first run
  LatencyHistogram first_token;    ///< from submission until the first token
  LatencyHistogram token_latency;  ///< from token to token of an answer

  int64_t steps = 0;  ///< of all answers: one for each answer in a pass that goes on with it
  // Of drafts, see DraftTotals.
  int64_t drafts_read = 0;
  int64_t drafts_drawn = 0;
  /// [rows]: seconds of a pass over so many generated tokens, as measured; 0: none was.
  std::array<double, 9> step_seconds = {};

  // Of the pool now.
  int64_t pages = 0;
  int64_t pages_free = 0;
  int64_t pages_cached = 0;  ///< that hold beginnings for later requests
  int64_t pages_shared = 0;  ///< with more than one holder
  // Since the scheduler was created.
  int64_t pages_evicted = 0;
  int64_t pages_used_max = 0;  ///< that were not free
};

}  // namespace midge
