// Measuring: with a clock of the test's own, and on random weights.
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "engine/calibration/calibrate.h"
#include "engine/calibration/calibration_file.h"
#include "engine/calibration/operands.h"
#include "engine/platform/cpu_features.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::TempDir;

TEST(MeasureRates, AreTheMediansOfRuns) {
  const double unit_seconds[] = {2e-6, 1e-6, 1.5e-6};
  int calls = 0;
  const std::vector<MeasuredRate> rates = measure_rates(
      3,
      [&](size_t candidate, int64_t units) {
        // Every seventh run is held up.
        const double factor = ++calls % 7 == 0 ? 100 : 1;
        return unit_seconds[candidate] * static_cast<double>(units) * factor;
      },
      1000, 0.01);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(rates[i].rate, 1 / unit_seconds[i], 1e-3 / unit_seconds[i]);
}

TEST(MeasureRates, TakeTheTimeTheyAreGiven) {
  for (const double unit_seconds : {1e-9, 1e-6, 1e-4, 1.0}) {
    for (const int64_t units_max : {1, 1000}) {
      double spent = 0;
      int64_t longest = 0;
      const std::vector<MeasuredRate> rates = measure_rates(
          2,
          [&](size_t candidate, int64_t units) {
            const double seconds =
                unit_seconds * static_cast<double>(units + static_cast<int64_t>(candidate));
            spent += seconds;
            longest = std::max(longest, units);
            return seconds;
          },
          units_max, 0.01);
      // Three trials and three runs of both at least.
      EXPECT_LE(spent, std::max(0.02, 18.1 * unit_seconds));
      EXPECT_LE(longest, units_max);
      EXPECT_GE(rates[0].rate, rates[1].rate);
    }
  }
}

TEST(MeasureRates, SlowCandidatesAreTriedAndLeft) {
  double spent[2] = {};
  const std::vector<MeasuredRate> rates = measure_rates(
      2,
      [&](size_t candidate, int64_t units) {
        const double seconds = (candidate == 0 ? 1e-3 : 1e-6) * static_cast<double>(units);
        spent[candidate] += seconds;
        return seconds;
      },
      1000, 0.01);
  EXPECT_LE(spent[0], 3e-3);
  EXPECT_NEAR(rates[0].rate, 1e3, 1);
  EXPECT_NEAR(rates[1].rate, 1e6, 1e3);
}

TEST(MeasureRates, SayHowFarTheRunsAreApart) {
  int calls = 0;
  const std::vector<MeasuredRate> rates = measure_rates(
      2,
      [&](size_t candidate, int64_t units) {
        // One goes on as it began, the other takes half as long again every second time.
        const double factor = candidate == 1 && ++calls % 2 == 0 ? 1.5 : 1;
        return 1e-6 * factor * static_cast<double>(units);
      },
      1000, 0.01);
  EXPECT_NEAR(rates[0].spread, 0, 1e-6);
  EXPECT_GT(rates[1].spread, 0.3);
}

TEST(MeasureRates, ClocksThatStandStill) {
  for (const MeasuredRate& rate : measure_rates(2, [](size_t, int64_t) { return 0.0; }, 10, 0.01)) {
    EXPECT_TRUE(std::isfinite(rate.rate) && std::isfinite(rate.spread));
  }
}

class Calibrate : public ::testing::Test {
 protected:
  void SetUp() override {
    auto weights = random_weights(kBytes);
    MIDGE_ASSERT_OK(weights);
    weights_ = std::move(*weights);
    auto team = WorkerTeam::create(2);
    MIDGE_ASSERT_OK(team);
    team_.emplace(std::move(*team));
    options_.features = detect_cpu_features();
    options_.bytes_min = 1;
    options_.seconds = 0.005;
  }

  // The weights as if they were of an encoding.
  WeightTiles sample(Encoding encoding) const {
    const int64_t tiles = kBytes / packed_tile_bytes(encoding, kColumns);
    return {encoding, tiles * kTileRows - 7, kColumns, weights_.data()};
  }
  std::vector<WeightTiles> samples() const {
    std::vector<WeightTiles> result;
    for (int i = 0; i < kEncodingCount; ++i) {
      const auto encoding = static_cast<Encoding>(i);
      if (packed_info(encoding).unit_bytes > 0) result.push_back(sample(encoding));
    }
    return result;
  }

  CalibrationReport run(std::span<const WeightTiles> weights) {
    auto report = calibrate(*team_, weights, options_);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? std::move(*report) : CalibrationReport();
  }
  // Until nothing is left to be measured.
  CalibrationReport run_all(std::span<const WeightTiles> weights) {
    CalibrationReport report = run(weights);
    for (int i = 0; i < 200 && report.seconds > 0; ++i) report = run(weights);
    EXPECT_EQ(report.seconds, 0);
    return report;
  }

  int missing(const CalibrationReport& report) const {
    int count = 0;
    for (const CalibrationCase& c : calibration_cases(options_.features)) {
      count += !is_measured(report.calibration, c, static_cast<int>(report.cores.size()),
                            options_.features);
    }
    return count;
  }

  static constexpr int64_t kBytes = 256 << 10;
  static constexpr int64_t kColumns = 512;
  AlignedBuffer weights_;
  std::optional<WorkerTeam> team_;
  CalibrateOptions options_;
};

TEST_F(Calibrate, OnceForAll) {
  const TempDir dir;
  options_.cache_dir = dir.path();
  const CalibrationReport first = run(samples());
  EXPECT_GT(first.seconds, 0);
  EXPECT_EQ(first.loaded.code(), StatusCode::kNotFound);
  EXPECT_TRUE(first.saved.ok()) << first.saved.message();
  const CalibrationReport report = run_all(samples());
  EXPECT_TRUE(report.loaded.ok()) << report.loaded.message();
  EXPECT_EQ(missing(report), 0);
  for (const int threads : {1, 2}) EXPECT_NE(report.calibration.find_read(threads), nullptr);
  // Whoever comes later has the same rates, and so the same kernels.
  const CalibrationReport later = run(samples());
  EXPECT_EQ(later.seconds, 0);
  EXPECT_EQ(fastest_kernels(later.calibration, later.cores, options_.features),
            fastest_kernels(report.calibration, report.cores, options_.features));
  options_.again = true;
  EXPECT_GT(run(samples()).seconds, 0);
}

TEST_F(Calibrate, OnlyWhatTheWeightsNeed) {
  const TempDir dir;
  options_.cache_dir = dir.path();
  const std::vector<WeightTiles> some = {sample(Encoding::kQ4B32)};
  const CalibrationReport report = run_all(some);
  for (const KernelRate& rate : report.calibration.kernels) {
    EXPECT_TRUE(rate.at.encoding == Encoding::kQ4B32 || rate.at.op == Op::kAttn);
  }
  // The rest comes with other weights; what was there stays.
  const CalibrationReport all = run_all(samples());
  EXPECT_EQ(missing(all), 0);
  for (const KernelRate& rate : report.calibration.kernels) {
    const KernelRate* kept = all.calibration.find(rate.at, rate.kernel, rate.core_type);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->rate, rate.rate);
  }
}

TEST_F(Calibrate, SmallModelsAreNotWorthIt) {
  options_.bytes_min = kBytes * 100;
  const CalibrationReport report = run(samples());
  EXPECT_EQ(report.seconds, 0);
  EXPECT_TRUE(report.calibration.kernels.empty());
  options_.bytes_min = 1;
  EXPECT_EQ(run({}).seconds, 0);
}

TEST_F(Calibrate, WithoutAFolderThatWorks) {
  const TempDir dir;
  for (const std::string& folder : {std::string(), dir.write("file", "x")}) {
    options_.cache_dir = folder;
    const CalibrationReport report = run(samples());
    EXPECT_GT(report.seconds, 0);
    EXPECT_FALSE(report.calibration.reads.empty());
    EXPECT_EQ(report.saved.ok(), folder.empty());
  }
}

TEST_F(Calibrate, GarbageIsReplaced) {
  const TempDir dir;
  options_.cache_dir = dir.path();
  const CalibrationReport report = run_all(samples());
  for (const char* garbage : {"", "midge kernel rates 2\nend ",
                              "\x7f"
                              "ELF"}) {
    dir.write(report.path.substr(dir.path().size() + 1), garbage);
    const CalibrationReport after = run(samples());
    EXPECT_EQ(after.loaded.code(), StatusCode::kInvalidFile);
    EXPECT_GT(after.seconds, 0);
    EXPECT_TRUE(load_calibration(report.path, calibration_key(report.cores)).ok());
  }
}

// A type of cores that cannot be had: its rates would be those of another.
TEST_F(Calibrate, MeasuresNoCoreThatItCannotHave) {
  if (calibration_cases(options_.features).empty()) GTEST_SKIP() << "no candidates on this CPU";
  TeamOptions options;
  options.topology = detect_topology();
  CpuCore gone = options.topology->cores.back();
  gone.number = 900;
  gone.type = static_cast<int>(options.topology->types.size());
  options.topology->cores.push_back(gone);
  CoreType type = options.topology->types.back();
  type.cores = {900};
  options.topology->types.push_back(type);
  options.pins = false;
  options.request.threads = 1;
  auto team = WorkerTeam::create(options);
  MIDGE_ASSERT_OK(team);
  team_.emplace(std::move(*team));
  options_.again = true;
  const CalibrationReport report = run(samples());
  EXPECT_FALSE(report.calibration.kernels.empty());
  for (const KernelRate& rate : report.calibration.kernels) EXPECT_LT(rate.core_type, gone.type);
}

// What some cores read says nothing of the best ones, and is kept for all.
TEST_F(Calibrate, ReadsOfRequestedCoresAreNotKept) {
  TeamOptions options;
  options.request.cores = std::to_string(allowed_core_numbers().front());
  auto team = WorkerTeam::create(options);
  MIDGE_ASSERT_OK(team);
  team_.emplace(std::move(*team));
  EXPECT_TRUE(run(samples()).calibration.reads.empty());
}

}  // namespace
}  // namespace midge
