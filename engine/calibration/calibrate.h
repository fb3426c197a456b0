// Measuring for calibration.h: kernels on the packed weights of a model, one thread on a core of
// each type; reading of memory by the threads of a team.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/calibration/calibration.h"
#include "engine/core/aligned_buffer.h"
#include "engine/core/status.h"
#include "engine/platform/worker_team.h"
#include "engine/weights/matrix.h"

namespace midge {

struct CalibrateOptions {
  CpuFeatures features;  ///< of the cores
  /// Folder that keeps the rates from one process to the next, made if need be; empty: none does.
  std::string cache_dir;
  /// Measure even what the folder has.
  bool again = false;
  /// About how long to measure per type of core. What finds no time is left for the next time.
  double seconds = 0.05;
  /// Encodings with less bytes are not measured: in the caches, kernels would race for another
  /// prize, and a model that small is not worth the time.
  int64_t bytes_min = 32 << 20;
};

struct CalibrationReport {
  std::vector<CoreType> cores;
  Calibration calibration;  ///< also of encodings that the weights do not have
  double seconds = 0;       ///< spent on measuring; 0: nothing was
  std::string path;         ///< of the file; empty without cache_dir
  Status loaded;            ///< why the file was of no use
  Status saved;             ///< why it could not be written
  size_t noisy = 0;         ///< rates that were measured and not kept (without_noise)
};

/// Rates of this machine: those of the file, if there is one, and measured ones for what the
/// weights need beyond. A file that cannot be read or written costs time, nothing else.
/// Errors: out_of_memory.
Result<CalibrationReport> calibrate(const WorkerTeam& team, std::span<const WeightTiles> weights,
                                    const CalibrateOptions& options);

/// Does `units` equal amounts of work with a candidate; returns the seconds it took.
using TimedRun = std::function<double(size_t candidate, int64_t units)>;

/// How fast a candidate is.
struct MeasuredRate {
  double rate = 0;    ///< units per second
  double spread = 0;  ///< between the quartiles of the runs, by their median; 0 of one that was out
};

/// Of `count` candidates, taking about budget_seconds: those that are less than half as fast as
/// another in a short trial are out after it, the others take turns at runs of at most units_max,
/// and the median of its runs counts for each.
std::vector<MeasuredRate> measure_rates(size_t count, const TimedRun& run, int64_t units_max,
                                        double budget_seconds);

}  // namespace midge
