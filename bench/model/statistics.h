// What repeated measurements say.
#pragma once

#include <vector>

namespace midge::bench {

/// The value below which a part `q` of the values lies, 0..1, interpolated. values: at least one.
double quantile(std::vector<double> values, double q);
inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

/// Half of the distance between the quartiles, by the median; 0 of fewer than two values.
double relative_spread(const std::vector<double>& values);

/// A ratio of medians of paired measurements, and where the true one lies.
struct Ratio {
  double middle = 1;
  double low = 1;
  double high = 1;
  /// That the true median lies in low..high, whatever the distribution; less than 0.95 with fewer
  /// than 6 pairs, where low..high are the extremes.
  double confidence = 0;
};

/// a[i] / b[i] of the pairs that both have; at least one. The interval is that of the sign test:
/// order statistics of the ratios.
Ratio paired_ratio(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace midge::bench
