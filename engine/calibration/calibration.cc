#include "engine/calibration/calibration.h"

#include <algorithm>
#include <limits>

namespace midge {
namespace {

// The most rows of each range that a decode kernel is chosen for.
constexpr int kGemvRows[] = {1, 4, kGemvRowsMax};
// Rows of a prompt: enough for the work on weights, per tile, to be a small part. A multiple of
// every PanelShape::tokens.
constexpr int kPanelRows = 96;
// Heads that share a KV head.
constexpr int kAttnRows = 4;

bool has_prefill(Encoding encoding) { return select_kernel(Op::kUnpack, encoding) != nullptr; }

// The sum of a kernel's rates over the cores, of one type if it is not -1.
double rate_of_cores(const Calibration& calibration, const CalibrationCase& c,
                     const KernelInfo* kernel, std::span<const CoreType> cores, int core_type) {
  double sum = 0;
  for (size_t i = 0; i < cores.size(); ++i) {
    if (core_type >= 0 && i != static_cast<size_t>(core_type)) continue;
    const KernelRate* rate = calibration.find(c, kernel, static_cast<int>(i));
    sum += static_cast<double>(rate->rate) * static_cast<double>(cores[i].cores.size());
  }
  return sum;
}

struct Candidate {
  const KernelInfo* kernel;
  double rate;
};

const KernelInfo* fastest(std::span<const Candidate> candidates) {
  double best = 0;
  for (const Candidate& c : candidates) best = std::max(best, c.rate);
  const KernelInfo* chosen = nullptr;
  for (const Candidate& c : candidates) {
    if (c.rate < best * (1 - kRateNoise)) continue;
    // As select_kernel does.
    if (chosen == nullptr || c.kernel->priority > chosen->priority) chosen = c.kernel;
  }
  return chosen;
}

}  // namespace

int gemv_rows_min(int rows) {
  int min = 1;
  for (const int rows_max : kGemvRows) {
    if (rows_max < rows) min = rows_max + 1;
  }
  return min;
}

std::vector<const KernelInfo*> calibration_candidates(const CalibrationCase& c,
                                                      CpuFeatures features) {
  std::vector<const KernelInfo*> candidates;
  for (const KernelInfo& kernel : all_kernels()) {
    const bool fits = c.op == Op::kGemmPanel || kernel.encoding == c.encoding;
    const bool takes_rows = kernel.rows_max == 0 || c.rows <= kernel.rows_max;
    if (kernel.op == c.op && fits && takes_rows && kernel.features != cpu::kNone &&
        features.has(kernel.features) && kernel.exactness == Exactness::kSameBits) {
      candidates.push_back(&kernel);
    }
  }
  return candidates;
}

std::vector<CalibrationCase> calibration_cases(CpuFeatures features) {
  std::vector<CalibrationCase> cases;
  const auto add = [&](const CalibrationCase& c) {
    if (calibration_candidates(c, features).size() > 1) cases.push_back(c);
  };
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    for (const int rows : kGemvRows) add({Op::kGemv, encoding, rows});
    if (has_prefill(encoding)) add({Op::kGemmPanel, encoding, kPanelRows});
    add({Op::kAttn, encoding, kAttnRows});
  }
  return cases;
}

const KernelRate* Calibration::find(const CalibrationCase& c, const KernelInfo* kernel,
                                    int core_type) const {
  const auto at = std::find_if(kernels.begin(), kernels.end(), [&](const KernelRate& rate) {
    return rate.at == c && rate.kernel == kernel && rate.core_type == core_type;
  });
  return at == kernels.end() ? nullptr : &*at;
}

const ReadRate* Calibration::find_read(int threads) const {
  const auto at = std::find_if(reads.begin(), reads.end(),
                               [&](const ReadRate& rate) { return rate.threads == threads; });
  return at == reads.end() ? nullptr : &*at;
}

void Calibration::add_missing(const Calibration& other) {
  for (const KernelRate& rate : other.kernels) {
    if (find(rate.at, rate.kernel, rate.core_type) == nullptr) kernels.push_back(rate);
  }
  for (const ReadRate& rate : other.reads) {
    if (find_read(rate.threads) == nullptr) reads.push_back(rate);
  }
}

Calibration without_noise(const Calibration& calibration) {
  const auto is_noisy = [&](const KernelRate& rate) {
    return std::any_of(calibration.kernels.begin(), calibration.kernels.end(),
                       [&](const KernelRate& other) {
                         return other.at == rate.at && other.core_type == rate.core_type &&
                                other.spread > kSpreadMax;
                       });
  };
  Calibration quiet = calibration;
  std::erase_if(quiet.kernels, is_noisy);
  return quiet;
}

bool is_measured(const Calibration& calibration, const CalibrationCase& c, int core_types,
                 CpuFeatures features) {
  for (const KernelInfo* kernel : calibration_candidates(c, features)) {
    for (int i = 0; i < core_types; ++i) {
      if (calibration.find(c, kernel, i) == nullptr) return false;
    }
  }
  return true;
}

std::vector<TunedKernel> fastest_kernels(const Calibration& calibration,
                                         std::span<const CoreType> cores, CpuFeatures features,
                                         int core_type) {
  std::vector<TunedKernel> tuned;
  // Seconds of a multiply-add of each level's prefill kernels, over the encodings.
  std::vector<Candidate> panels;
  for (const CalibrationCase& c : calibration_cases(features)) {
    if (!is_measured(calibration, c, static_cast<int>(cores.size()), features)) continue;
    std::vector<Candidate> candidates;
    for (const KernelInfo* kernel : calibration_candidates(c, features)) {
      candidates.push_back({kernel, rate_of_cores(calibration, c, kernel, cores, core_type)});
    }
    if (c.op == Op::kGemmPanel) {
      panels.resize(candidates.size());
      for (size_t i = 0; i < panels.size(); ++i) {
        panels[i].kernel = candidates[i].kernel;
        panels[i].rate += 1 / candidates[i].rate;
      }
    } else if (c.op == Op::kGemv) {
      tuned.push_back({fastest(candidates), gemv_rows_min(c.rows), c.rows});
    } else {
      tuned.push_back({fastest(candidates), 1, std::numeric_limits<int>::max()});
    }
  }
  if (!panels.empty()) {
    for (Candidate& panel : panels) panel.rate = 1 / panel.rate;
    tuned.push_back({fastest(panels), 1, std::numeric_limits<int>::max()});
  }
  return tuned;
}

CoreRates core_rates(const Calibration& calibration, const Topology& topology, CpuFeatures features,
                     Encoding encoding) {
  CoreRates rates = estimate_rates(topology);
  // Per core, by the best kernel on its type; empty where a type was not measured.
  const auto measured = [&](const CalibrationCase& c) {
    std::vector<double> best(topology.types.size());
    for (const KernelInfo* kernel : calibration_candidates(c, features)) {
      for (size_t type = 0; type < best.size(); ++type) {
        const KernelRate* rate = calibration.find(c, kernel, static_cast<int>(type));
        if (rate != nullptr) best[type] = std::max(best[type], static_cast<double>(rate->rate));
      }
    }
    std::vector<double> of_cores;
    if (std::count(best.begin(), best.end(), 0.0) > 0) return of_cores;
    // Cores of one type may differ in frequency.
    std::vector<int64_t> fastest(topology.types.size());
    for (const CpuCore& core : topology.cores) {
      int64_t& frequency = fastest[static_cast<size_t>(core.type)];
      frequency = std::max(frequency, core.frequency);
    }
    for (const CpuCore& core : topology.cores) {
      const auto type = static_cast<size_t>(core.type);
      const double share = core.frequency > 0 ? static_cast<double>(core.frequency) /
                                                    static_cast<double>(fastest[type])
                                              : 1;
      of_cores.push_back(best[type] * share);
    }
    return of_cores;
  };
  std::vector<double> compute = measured({Op::kGemmPanel, encoding, kPanelRows});
  if (!compute.empty()) rates.compute = std::move(compute);
  for (size_t i = 0; i < std::size(kGemvRows); ++i) {
    rates.weights[i] = measured({Op::kGemv, encoding, kGemvRows[i]});
  }
  for (const ReadRate& read : calibration.reads) {
    rates.reads.push_back({read.threads, static_cast<double>(read.rate)});
  }
  return rates;
}

}  // namespace midge
