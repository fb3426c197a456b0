#include "engine/decoder/rope.h"

#include <cmath>

namespace midge {

std::vector<double> rope_frequencies(const RopeConfig& config, RopeRegime regime) {
  const std::vector<float>& factors =
      regime == RopeRegime::kLong ? config.long_factors : config.short_factors;
  std::vector<double> frequencies;
  const auto width = static_cast<double>(config.width);
  for (int64_t j = 0; j < config.width / 2; ++j) {
    const double factor = factors.empty() ? 1.0 : factors[static_cast<size_t>(j)];
    const double exponent = 2.0 * static_cast<double>(j) / width;
    frequencies.push_back(1.0 / (factor * std::pow(config.theta, exponent)));
  }
  return frequencies;
}

void rope_row(const RopeConfig& config, const std::vector<double>& frequencies, int64_t position,
              float* cos, float* sin) {
  const double factor = config.attention_factor;
  for (size_t j = 0; j < frequencies.size(); ++j) {
    const double angle = static_cast<double>(position) * frequencies[j];
    cos[j] = static_cast<float>(std::cos(angle) * factor);
    sin[j] = static_cast<float>(std::sin(angle) * factor);
  }
}

}  // namespace midge
