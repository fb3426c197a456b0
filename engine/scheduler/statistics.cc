#include "engine/scheduler/statistics.h"

#include <algorithm>
#include <cmath>

namespace midge {
namespace {

constexpr double kShortest = 1e-6;

}  // namespace

void LatencyHistogram::add(double seconds) {
  const double octaves = std::log2(std::max(seconds, kShortest) / kShortest);
  const auto place = static_cast<size_t>(octaves * kPerOctave);
  ++counts_[std::min(place, counts_.size() - 1)];
  ++count_;
}

double LatencyHistogram::quantile(double share) const {
  if (count_ == 0) return 0;
  const auto wanted =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(share * static_cast<double>(count_))));
  int64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen < wanted) continue;
    // The middle of the class.
    return kShortest * std::exp2((static_cast<double>(i) + 0.5) / kPerOctave);
  }
  return kShortest * std::exp2(kOctaves);
}

}  // namespace midge
