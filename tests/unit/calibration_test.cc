// The choice among kernels by made-up rates.
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "engine/calibration/calibration.h"

namespace midge {
namespace {

const KernelInfo* kernel_named(const std::string& name) {
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.name == name) return &kernel;
  }
  ADD_FAILURE() << name;
  return nullptr;
}

// Two levels of this architecture, and their kernels.
#if defined(__aarch64__)
constexpr IsaLevel kLow = IsaLevel::kNeon;
constexpr IsaLevel kHigh = IsaLevel::kNeonDot;
const KernelInfo* low_gemv() { return kernel_named("gemv_f32_q8b32_q4b32_8x32_neon"); }
const KernelInfo* high_gemv() { return kernel_named("gemv_f32_q8b32_q4b32_8x32_neon_dot"); }
#else
constexpr IsaLevel kLow = IsaLevel::kAvx2;
constexpr IsaLevel kHigh = IsaLevel::kAvx512Vnni;
const KernelInfo* low_gemv() { return kernel_named("gemv_f32_q8b32_q4b32_8x32_avx2"); }
const KernelInfo* high_gemv() { return kernel_named("gemv_f32_q8b32_q4b32_8x32_avx512_vnni"); }
#endif

CpuFeatures two_levels() { return level_features(kHigh); }

std::vector<CoreType> cores(std::vector<int> counts) {
  std::vector<CoreType> types;
  for (const int count : counts) {
    types.push_back({"core", std::vector<int>(static_cast<size_t>(count))});
  }
  return types;
}

using RateOf = std::function<double(const CalibrationCase&, const KernelInfo&, int core_type)>;

Calibration made_up(int core_types, const RateOf& rate_of) {
  Calibration calibration;
  for (const CalibrationCase& c : calibration_cases(two_levels())) {
    for (const KernelInfo* kernel : calibration_candidates(c, two_levels())) {
      for (int i = 0; i < core_types; ++i) {
        calibration.kernels.push_back(
            {c, kernel, i, static_cast<int64_t>(rate_of(c, *kernel, i) * 1e9)});
      }
    }
  }
  return calibration;
}

// What is chosen for q4b32 and `rows`.
std::string chosen_gemv(const Calibration& calibration, const std::vector<CoreType>& types,
                        int rows) {
  const std::vector<TunedKernel> tuned = fastest_kernels(calibration, types, two_levels());
  return select_kernel(Op::kGemv, Encoding::kQ4B32, {two_levels(), "", tuned}, rows)->name;
}

// The kernels that the highest level, and the registry's order, give.
std::string default_gemv(int rows) {
  return select_kernel(Op::kGemv, Encoding::kQ4B32, {two_levels()}, rows)->name;
}

TEST(Calibration, CasesCompareWhatIsMadeToBeFast) {
  for (const CalibrationCase& c : calibration_cases(two_levels())) {
    const auto candidates = calibration_candidates(c, two_levels());
    EXPECT_GE(candidates.size(), 2u);
    for (const KernelInfo* kernel : candidates) {
      EXPECT_NE(kernel->level, IsaLevel::kGeneric);
      EXPECT_EQ(kernel->op, c.op);
    }
  }
  EXPECT_TRUE(calibration_cases({}).empty());
  for (const auto& [rows, min] : {std::pair(1, 1), {4, 2}, {8, 5}}) {
    EXPECT_EQ(gemv_rows_min(rows), min);
  }
}

TEST(Calibration, TheFastestIsChosenForItsRows) {
  const Calibration calibration =
      made_up(1, [](const CalibrationCase& c, const KernelInfo& kernel, int) {
        return (c.rows == 4) == (&kernel == low_gemv()) ? 20 : 10;
      });
  for (int rows = 1; rows <= kGemvRowsMax; ++rows) {
    const bool low = rows >= 2 && rows <= 4;
    EXPECT_EQ(chosen_gemv(calibration, cores({2}), rows),
              low ? low_gemv()->name : default_gemv(rows))
        << rows;
  }
}

TEST(Calibration, NoisyCasesAreNotKept) {
  Calibration calibration = made_up(2, [](const auto&, const auto&, int) { return 1.0; });
  ASSERT_EQ(without_noise(calibration).kernels.size(), calibration.kernels.size());
  KernelRate& noisy = calibration.kernels.front();
  noisy.spread = kSpreadMax + 1;
  const Calibration kept = without_noise(calibration);
  // All candidates of the case on this type of core: half of a comparison is none.
  for (const KernelRate& rate : kept.kernels) {
    EXPECT_FALSE(rate.at == noisy.at && rate.core_type == noisy.core_type);
  }
  EXPECT_FALSE(is_measured(kept, noisy.at, 2, two_levels()));
  EXPECT_TRUE(is_measured(kept, calibration.kernels.back().at, 2, two_levels()));
}

TEST(Calibration, TheHighestLevelIsChosenWithinNoise) {
  for (const auto& [low_rate, low] : {std::pair(10.25, false), {10.4, true}, {9.9, false}}) {
    const Calibration calibration =
        made_up(1, [rate = low_rate](const CalibrationCase&, const KernelInfo& kernel, int) {
          return &kernel == low_gemv() ? rate : 10;
        });
    EXPECT_EQ(chosen_gemv(calibration, cores({2}), 8), low ? low_gemv()->name : default_gemv(8))
        << low_rate;
  }
}

TEST(Calibration, CoresCountByTheirNumber) {
  // The low level is better on little cores, the high one on big cores, by the same amount.
  const Calibration calibration =
      made_up(2, [](const CalibrationCase&, const KernelInfo& kernel, int core_type) {
        return (core_type == 0) == (&kernel == low_gemv()) ? 12 : 8;
      });
  EXPECT_EQ(chosen_gemv(calibration, cores({6, 2}), 8), low_gemv()->name);
  EXPECT_EQ(chosen_gemv(calibration, cores({2, 6}), 8), high_gemv()->name);
}

// A table per type of core: each takes what is best on it.
TEST(Calibration, TypesOfCoresHaveTheirOwnKernels) {
  const Calibration calibration =
      made_up(2, [](const CalibrationCase& c, const KernelInfo& kernel, int core_type) {
        const bool low_wins = core_type == 0;
        const bool is_low = c.op == Op::kGemv ? &kernel == low_gemv() : kernel.level == kLow;
        return is_low == low_wins ? 12 : 8;
      });
  std::vector<KernelTable> of_types;
  for (const int type : {0, 1}) {
    const std::vector<TunedKernel> tuned =
        fastest_kernels(calibration, cores({4, 4}), two_levels(), type);
    const KernelChoice choice = {two_levels(), "", tuned};
    EXPECT_EQ(select_kernel(Op::kGemv, Encoding::kQ4B32, choice, 8)->level,
              type == 0 ? kLow : kHigh);
    of_types.push_back(make_kernel_table(choice));
  }
  const KernelTables tables(of_types);
  EXPECT_EQ(tables.tables().size(), 2u);
  EXPECT_EQ(&tables.of_type(0), &tables.tables()[0]);
  EXPECT_EQ(&tables.of_type(1), &tables.tables()[1]);
  // No such type.
  EXPECT_EQ(&tables.of_type(7), &tables.tables()[0]);
  // Every order in use is written by a table that knows it.
  const bool same_order = of_types[0].lhs_order == of_types[1].lhs_order;
  ASSERT_EQ(tables.orders().size(), same_order ? 1u : 2u);
  for (const KernelTable& table : tables.tables()) {
    const int index = tables.order_index(table);
    EXPECT_EQ(tables.orders()[static_cast<size_t>(index)], table.lhs_order);
    EXPECT_EQ(tables.table_of_order(index).lhs_order, table.lhs_order);
  }
}

TEST(Calibration, OneTableForAll) {
  const KernelTable table = make_kernel_table({two_levels()});
  const KernelTables tables(table);
  EXPECT_EQ(tables.tables().size(), 1u);
  ASSERT_EQ(tables.orders().size(), 1u);
  EXPECT_EQ(tables.orders()[0], table.lhs_order);
  EXPECT_EQ(&tables.of_type(0), &tables.of_type(255));
}

TEST(Calibration, NothingIsChosenByHalfACase) {
  const auto low_wins = [](const CalibrationCase&, const KernelInfo& kernel, int) {
    return kernel.level == kLow ? 20 : 10;
  };
  EXPECT_TRUE(fastest_kernels({}, cores({2}), two_levels()).empty());
  // Rates of one of two types of cores.
  EXPECT_TRUE(fastest_kernels(made_up(1, low_wins), cores({2, 2}), two_levels()).empty());
  // The same without one kernel.
  Calibration calibration = made_up(1, low_wins);
  EXPECT_EQ(chosen_gemv(calibration, cores({2}), 8), low_gemv()->name);
  std::erase_if(calibration.kernels,
                [](const KernelRate& rate) { return rate.kernel == high_gemv(); });
  EXPECT_EQ(chosen_gemv(calibration, cores({2}), 8), default_gemv(8));
}

TEST(Calibration, PrefillKernelsAreChosenTogether) {
  // The low level wins for one encoding and loses more for all others.
  for (const bool only_q4b32 : {true, false}) {
    const Calibration calibration =
        made_up(1, [=](const CalibrationCase& c, const KernelInfo& kernel, int) {
          const bool low_wins = !only_q4b32 || c.encoding == Encoding::kQ4B32;
          return (kernel.level == kLow) == low_wins ? 30 : 10;
        });
    const std::vector<TunedKernel> tuned = fastest_kernels(calibration, cores({2}), two_levels());
    const KernelChoice choice = {two_levels(), "", tuned};
    const KernelInfo* gemm = select_kernel(Op::kGemmPanel, Encoding::kF32, choice);
    EXPECT_EQ(gemm->level, only_q4b32 ? kHigh : kLow);
    const KernelTable table = make_kernel_table(choice);
    EXPECT_EQ(table.lhs_order, gemm->layout.lhs);
    for (const KernelInfo& kernel : all_kernels()) {
      if (kernel.function == reinterpret_cast<void (*)()>(table.quantize_panel)) {
        EXPECT_EQ(kernel.layout.lhs, gemm->layout.lhs) << kernel.name;
      }
      if (kernel.function ==
          reinterpret_cast<void (*)()>(table.unpack[static_cast<int>(kernel.encoding)])) {
        EXPECT_EQ(kernel.layout.panel, gemm->layout.panel) << kernel.name;
      }
    }
  }
}

// Whatever a table says, of the kernels that the cores can run.
TEST(Calibration, OnlyAvailableKernels) {
  Calibration calibration = made_up(1, [](const CalibrationCase&, const KernelInfo& kernel, int) {
    return kernel.level == kHigh ? 100 : 1;
  });
  for (const KernelInfo& kernel : all_kernels()) {
    calibration.kernels.push_back({{kernel.op, kernel.encoding, 1}, &kernel, 0, int64_t{1} << 60});
  }
  const CpuFeatures low = level_features(kLow);
  for (const TunedKernel& tuned : fastest_kernels(calibration, cores({2}), low)) {
    EXPECT_TRUE(low.has(tuned.kernel->features)) << tuned.kernel->name;
  }
  const TunedKernel forced = {high_gemv(), 1, 8};
  EXPECT_EQ(select_kernel(Op::kGemv, Encoding::kQ4B32, {low, "", {&forced, 1}}, 8)->level, kLow);
}

TEST(Calibration, PreferredNamesWinOverRates) {
  const TunedKernel low = {low_gemv(), 1, 8};
  const KernelChoice choice = {two_levels(), high_gemv()->name, {&low, 1}};
  EXPECT_EQ(select_kernel(Op::kGemv, Encoding::kQ4B32, choice, 8), high_gemv());
}

TEST(Calibration, AddMissing) {
  const CalibrationCase one = {Op::kGemv, Encoding::kQ4B32, 1};
  const CalibrationCase four = {Op::kGemv, Encoding::kQ4B32, 4};
  Calibration calibration;
  calibration.kernels = {{one, low_gemv(), 0, 10}};
  calibration.reads = {{1, 10}};
  Calibration other;
  other.kernels = {{one, low_gemv(), 0, 20}, {four, low_gemv(), 0, 30}, {one, low_gemv(), 1, 40}};
  other.reads = {{1, 20}, {2, 30}};
  calibration.add_missing(other);
  EXPECT_EQ(calibration.kernels.size(), 3u);
  EXPECT_EQ(calibration.find(one, low_gemv(), 0)->rate, 10);
  EXPECT_EQ(calibration.find(four, low_gemv(), 0)->rate, 30);
  EXPECT_EQ(calibration.find(one, low_gemv(), 1)->rate, 40);
  EXPECT_EQ(calibration.find(one, high_gemv(), 0), nullptr);
  EXPECT_EQ(calibration.find_read(1)->rate, 10);
  EXPECT_EQ(calibration.find_read(2)->rate, 30);
}

}  // namespace
}  // namespace midge
