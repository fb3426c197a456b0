#include "engine/weights/bit_allocation.h"

#include <algorithm>
#include <cmath>

namespace midge {
namespace {

// Of the fewest bytes, and of those the one that costs least.
size_t smallest(const std::vector<EncodingCost>& costs) {
  size_t best = 0;
  for (size_t i = 1; i < costs.size(); ++i) {
    const EncodingCost& cost = costs[i];
    const EncodingCost& found = costs[best];
    if (cost.bytes < found.bytes ||
        (cost.bytes == found.bytes && cost.divergence < found.divergence)) {
      best = i;
    }
  }
  return best;
}

// From one encoding of a matrix to another of more bytes.
struct Upgrade {
  size_t matrix = 0;
  size_t to = 0;
  int64_t bytes = 0;
  double gain = 0;  // divergence per byte; 0: there is none
};

Upgrade best_upgrade(std::span<const MatrixCosts> matrices, std::span<const size_t> chosen,
                     int64_t bytes_left) {
  Upgrade best;
  for (size_t m = 0; m < matrices.size(); ++m) {
    const std::vector<EncodingCost>& costs = matrices[m].costs;
    const EncodingCost& now = costs[chosen[m]];
    for (size_t i = 0; i < costs.size(); ++i) {
      const int64_t bytes = costs[i].bytes - now.bytes;
      if (bytes <= 0 || bytes > bytes_left) continue;
      const double gain = (now.divergence - costs[i].divergence) / static_cast<double>(bytes);
      if (gain > best.gain) best = {m, i, bytes, gain};
    }
  }
  return best;
}

}  // namespace

Result<std::vector<size_t>> allocate_bits(std::span<const MatrixCosts> matrices,
                                          double bits_per_weight) {
  std::vector<size_t> chosen;
  int64_t weights = 0;
  int64_t bytes = 0;
  for (const MatrixCosts& matrix : matrices) {
    chosen.push_back(smallest(matrix.costs));
    bytes += matrix.costs[chosen.back()].bytes;
    weights += matrix.weights;
  }
  const double bytes_max = bits_per_weight / 8 * static_cast<double>(weights);
  if (!(static_cast<double>(bytes) <= bytes_max)) {
    // Rounded up: what is said can be asked for.
    const double least = 8 * static_cast<double>(bytes) / static_cast<double>(weights);
    return make_status(StatusCode::kInvalidArgument, "%g bits per weight, expected at least %.3f",
                       bits_per_weight, std::ceil(least * 1000) / 1000);
  }
  for (;;) {
    const double left = std::min(bytes_max - static_cast<double>(bytes), 0x1p62);
    const Upgrade upgrade = best_upgrade(matrices, chosen, static_cast<int64_t>(left));
    if (!(upgrade.gain > 0)) return chosen;
    chosen[upgrade.matrix] = upgrade.to;
    bytes += upgrade.bytes;
  }
}

}  // namespace midge
