// What changed between two results of `midge bench --json`.
#pragma once

#include <string>
#include <vector>

#include "engine/core/status.h"

namespace midge::bench {

/// A figure that both results have.
struct Change {
  std::string subject;
  std::string figure;      ///< "decode 1024 deep"
  double old_seconds = 0;  ///< medians
  double new_seconds = 0;
  double ratio = 1;  ///< new time by old time
  double noise = 0;  ///< of that ratio, as a part: spreads of both, and the drift of the limit
  bool is_disturbed = false;  ///< most rounds of one of them were
  /// The ratio is further from 1 than the noise.
  bool is_change() const { return ratio > 1 + noise || ratio < 1 / (1 + noise); }
};

struct Comparison {
  std::vector<Change> changes;     ///< in the order of the new result
  std::vector<std::string> notes;  ///< what cannot be compared, and why: a sentence each
};

/// Subjects and figures are paired by their names. Errors: those of JsonDocument::load;
/// invalid_file (not a result of midge bench).
Result<Comparison> compare_results(const std::string& old_path, const std::string& new_path);

}  // namespace midge::bench
