// Which of several kernels with the same results is the fastest on the cores of this machine:
// measured rates as data, and the choice that follows from them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/platform/core_choice.h"
#include "engine/platform/topology.h"
#include "kernels/kernels.h"

namespace midge {

/// What kernels are compared at. Of kGemv, the rows stand for a range of them (gemv_rows_min); of
/// kGemmPanel, the encoding is that of the weights, and `unpack` is part of the work.
struct CalibrationCase {
  Op op;
  Encoding encoding;
  int rows;

  bool operator==(const CalibrationCase&) const = default;
};

/// The fewest rows that the case of a kGemv with `rows` rows decides for: 1, 2..4, 5..8.
int gemv_rows_min(int rows);

/// Kernels that a case compares: those that the cores can run, the portable ones left out, which
/// are specifications and not made to be fast. All of them give the same bits. In registry order.
std::vector<const KernelInfo*> calibration_candidates(const CalibrationCase& c,
                                                      CpuFeatures features);

/// Every case that has something to choose: decode and prefill products of each packed encoding,
/// attention. What is left out takes the greatest priority.
std::vector<CalibrationCase> calibration_cases(CpuFeatures features);

/// A kernel at work.
struct KernelRate {
  CalibrationCase at;
  const KernelInfo* kernel;
  int core_type;   ///< index
  int64_t rate;    ///< per second: multiply-adds of kGemmPanel, bytes of weights or of K and V else
  int spread = 0;  ///< between the quartiles of the runs, in thousandths of their median
  int64_t measured = 0;  ///< seconds since 1970
};

/// Reading of memory.
struct ReadRate {
  int threads;
  int64_t rate;          ///< bytes per second
  int64_t measured = 0;  ///< seconds since 1970
};

/// What was measured. Data only: a table from anywhere can make the program slower, not wrong.
struct Calibration {
  std::vector<KernelRate> kernels;
  std::vector<ReadRate> reads;

  /// Null if it was not measured.
  const KernelRate* find(const CalibrationCase& c, const KernelInfo* kernel, int core_type) const;
  const ReadRate* find_read(int threads) const;
  /// Takes what `other` has and this one lacks.
  void add_missing(const Calibration& other);
};

/// Greatest spread of a rate that is worth keeping. Beyond, the machine was busy.
inline constexpr int kSpreadMax = 100;

/// Without the cases in which a rate's spread is greater: what is not there is measured again.
Calibration without_noise(const Calibration& calibration);

/// True if every candidate of the case was measured on every type of core.
bool is_measured(const Calibration& calibration, const CalibrationCase& c, int core_types,
                 CpuFeatures features);

/// Rates closer than this are the same: what select_kernel takes without rates is taken then, so
/// that noise does not make one choice today and another tomorrow.
inline constexpr double kRateNoise = 0.03;

/// The kernels with the greatest rates, summed over the cores, of the cases that were measured. The
/// prefill kernels that fit each other are taken together, for all encodings that were measured.
/// core_type: of one type of core alone, by index; -1: of all. Pure.
std::vector<TunedKernel> fastest_kernels(const Calibration& calibration,
                                         std::span<const CoreType> cores, CpuFeatures features,
                                         int core_type = -1);

/// Rates of the cores of a topology (whose types are the calibration's) with packed weights of an
/// encoding, and of reading memory. What was not measured on every type is left out, and `compute`
/// is estimated then. Pure.
CoreRates core_rates(const Calibration& calibration, const Topology& topology, CpuFeatures features,
                     Encoding encoding);

}  // namespace midge
