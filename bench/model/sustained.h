// The rate over minutes: what a fast first second does not tell.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/loaded_model.h"

namespace midge::bench {

/// A stretch of a long run.
struct Stretch {
  double start = 0;              ///< seconds since the run began
  double end = 0;                ///< likewise
  double tokens_per_second = 0;  ///< mean of the stretch
  double clock = 0;              ///< cycles per second at its end
  double temperature = 0;        ///< of the hottest sensor at its end; 0: not known
};

struct SustainedReport {
  std::string name;  ///< of the subject
  std::vector<Stretch> stretches;
  double first_minute = 0;  ///< tokens per second; of the first third, if the run is shorter
  double last_minute = 0;
  double clock_drift = 0;  ///< of the lowest clock from the highest, from before the run on, as a
                           ///< part of that
  /// The mean of all. Nothing: the clock moved by more than 5 %, so there is no single rate.
  std::optional<double> mean;
};

/// Fills in what follows from the stretches, of which there is one at least. clock: before the run.
void summarize(double clock, SustainedReport* report);

/// Decodes for so long, one token at a time. Errors: those of steps.
Result<SustainedReport> measure_sustained(const std::string& name, const LoadedModel& model,
                                          KvType kv_type, double minutes,
                                          const std::function<void(double part)>& on_progress,
                                          const std::atomic<bool>* cancel);

}  // namespace midge::bench
