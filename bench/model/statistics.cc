#include "bench/model/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace midge::bench {

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  const double part = place - static_cast<double>(below);
  return values[below] + part * (values[above] - values[below]);
}

double relative_spread(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double middle = median(values);
  if (middle == 0) return 0;
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / middle;
}

namespace {

// That at most `count` of n fair coins fall on one side.
double binomial_tail(size_t n, size_t count) {
  double sum = 0;
  // As a logarithm: 0.5^n is zero in a double from n = 1075 on.
  double term = static_cast<double>(n) * std::log(0.5);
  for (size_t i = 0; i <= count; ++i) {
    sum += std::exp(term);
    term += std::log(static_cast<double>(n - i) / static_cast<double>(i + 1));
  }
  return sum;
}

}  // namespace

Ratio paired_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(a[i] / b[i]);
  std::sort(ratios.begin(), ratios.end());
  const size_t n = ratios.size();
  // The innermost pair of order statistics that holds the median with 95 %.
  size_t inner = 0;
  while (2 * (inner + 1) < n && 1 - 2 * binomial_tail(n, inner + 1) >= 0.95) ++inner;
  Ratio ratio;
  ratio.middle = median(ratios);
  ratio.low = ratios[inner];
  ratio.high = ratios[n - 1 - inner];
  ratio.confidence = n < 2 ? 0 : 1 - 2 * binomial_tail(n, inner);
  return ratio;
}

}  // namespace midge::bench
