// Decisions between passes, in virtual time: a machine whose cores are busy or slow when the test
// says so.
#include "engine/platform/core_watch.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "engine/platform/loop_shares.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

Topology machine(int cores) {
  std::string text = "sys/devices/system/cpu/online: 0-" + std::to_string(cores - 1) + "\n";
  const Result<SystemFiles> files = SystemFiles::parse(text, "machine");
  EXPECT_TRUE(files.ok());
  return read_topology(*files, {}, CpuFeatures());
}

/// Runs passes of a fixed amount of work on cores that other programs may want too.
class Simulation {
 public:
  Simulation(int cores, PassClass c, CoreRequest request = {})
      : Simulation(machine(cores), c, request) {}
  Simulation(const Topology& topology, PassClass c, CoreRequest request = {})
      : class_(c),
        busy_(topology.cores.size()),
        rate_(topology.cores.size(), 1),
        watch_(topology, estimate_rates(topology),
               *choose_cores(topology, estimate_rates(topology), request), true) {}

  /// share: of core `core`'s time that something else takes from now on.
  void set_busy(int core, double share) { busy_[static_cast<size_t>(core)] = share; }
  void set_rate(int core, double rate) { rate_[static_cast<size_t>(core)] = rate; }
  /// How fast n workers are together, where memory limits them; without: as fast as their rates.
  void set_limit(double limit) { limit_ = limit; }

  /// Passes until `seconds` have gone by; the work done per second.
  double run(double seconds) {
    const double end = now_ + seconds;
    double work = 0;
    const double start = now_;
    while (now_ < end) work += pass();
    return work / (now_ - start);
  }

  double now() const { return now_; }
  std::vector<int> cores() {
    std::vector<int> numbers;
    for (const int place : watch_.active(class_).cores) {
      numbers.push_back(watch_.cores()[static_cast<size_t>(place)]);
    }
    return numbers;
  }
  CoreWatch& watch() { return watch_; }

 private:
  // All workers wait while one is away.
  double pass() {
    constexpr double kWork = 0.033;
    const ActiveCores active = watch_.active(class_);
    double speed = 0;
    double here = 1;
    std::vector<WorkerReading> readings(active.cores.size());
    for (const int place : active.cores) {
      const auto core = static_cast<size_t>(watch_.cores()[static_cast<size_t>(place)]);
      speed += rate_[core];
      if (active.is_pinned) here -= busy_[core];
    }
    speed = std::min(speed, limit_);
    const double seconds = kWork / (speed * std::max(here, 0.05));
    now_ += seconds;
    for (size_t i = 0; i < readings.size(); ++i) {
      const auto core = static_cast<size_t>(watch_.cores()[static_cast<size_t>(active.cores[i])]);
      const double share = rate_[core] / speed;
      readings[i] = {seconds, share * kWork, busy_[core] * seconds, 0};
    }
    shares_.start(active.rates, active.are_measured);
    std::vector<LoopShares::Progress> progress;
    for (const WorkerReading& r : readings) progress.push_back({r.busy, r.work});
    shares_.learn(progress);
    for (size_t i = 0; i < readings.size(); ++i) readings[i].rate = shares_.rates()[i];
    if (active.is_pinned) watch_.note_pass(class_, readings, seconds, now_);
    if (const int place = watch_.take_probe(now_); place >= 0) {
      const int core = watch_.cores()[static_cast<size_t>(place)];
      watch_.note_probe(place, busy_[static_cast<size_t>(core)] > 0.02);
    }
    return kWork;
  }

  PassClass class_;
  std::vector<double> busy_;
  std::vector<double> rate_;
  double limit_ = 1e9;
  double now_ = 100;
  LoopShares shares_{64};
  CoreWatch watch_;
};

TEST(CoreWatch, ABusyCoreIsLeftOutWithinASecondAndComesBackWithinTwo) {
  Simulation machine(2, PassClass::kRow);
  machine.set_limit(1.4);  // two cores read 1.4 times as much as one
  EXPECT_NEAR(machine.run(2), 1.4, 0.01);
  machine.set_busy(1, 0.5);
  machine.run(1);
  EXPECT_EQ(machine.cores(), (std::vector<int>{0}));
  EXPECT_NEAR(machine.run(3), 1, 0.01);
  machine.set_busy(1, 0);
  machine.run(2);
  EXPECT_EQ(machine.cores(), (std::vector<int>{0, 1}));
  EXPECT_NEAR(machine.run(2), 1.4, 0.01);
}

// Worker 0's own core may be the busy one.
TEST(CoreWatch, TheFirstCoreIsNoException) {
  Simulation machine(2, PassClass::kRow);
  machine.run(1);
  machine.set_busy(0, 0.5);
  machine.run(1);
  EXPECT_EQ(machine.cores(), (std::vector<int>{1}));
}

// A core that is hardly disturbed is worth more than it costs.
TEST(CoreWatch, ALittleDisturbanceIsLivedWith) {
  Simulation machine(2, PassClass::kPanel);
  machine.run(1);
  machine.set_busy(1, 0.08);
  machine.run(5);
  EXPECT_EQ(machine.cores(), (std::vector<int>{0, 1}));
}

// Leaving a core out that is missed is taken back, and not tried again and again.
TEST(CoreWatch, MistakesAreTakenBack) {
  Simulation machine(2, PassClass::kPanel);
  machine.run(1);
  machine.set_busy(1, 0.43);
  const double speed = machine.run(20);
  EXPECT_GE(speed, 0.95 * 2 * (1 - 0.43));
}

TEST(CoreWatch, AnIdleCoreOfTheSameKindStandsIn) {
  Simulation machine(4, PassClass::kRow, {2, ""});
  machine.run(1);
  EXPECT_EQ(machine.cores(), (std::vector<int>{0, 1}));
  machine.set_busy(0, 0.5);
  machine.run(1);
  EXPECT_EQ(machine.cores(), (std::vector<int>{1, 2}));
  EXPECT_NEAR(machine.run(1), 2, 0.01);
}

TEST(CoreWatch, WhenAllCoresAreBusyTheSystemPlacesOneWorker) {
  Simulation machine(2, PassClass::kRow);
  machine.run(1);
  machine.set_busy(0, 0.5);
  machine.set_busy(1, 0.5);
  machine.run(2);
  EXPECT_EQ(machine.cores().size(), 1u);
  EXPECT_FALSE(machine.watch().active(PassClass::kRow).is_pinned);
  machine.set_busy(0, 0);
  machine.set_busy(1, 0);
  machine.run(2);
  EXPECT_EQ(machine.cores().size(), 2u);
}

// A core gets hot: the split follows within a second.
TEST(CoreWatch, RatesFollowACoreThatIsThrottled) {
  Simulation machine(4, PassClass::kPanel);
  machine.run(1);
  machine.set_rate(2, 0.4);
  machine.run(1);
  const auto rate = [&](int core) { return machine.watch().rate(PassClass::kPanel, core); };
  EXPECT_NEAR(rate(2) / rate(0), 0.4, 0.02);
  machine.set_rate(2, 1);
  machine.run(1);
  EXPECT_NEAR(rate(2) / rate(0), 1, 0.05);
  EXPECT_EQ(machine.cores().size(), 4u);
}

// What was not measured yet is no reason to divide unequally for ever: the first pass that tells of
// all workers replaces all estimates.
TEST(CoreWatch, EstimatesGiveWayToMeasurements) {
  Result<Topology> phone =
      replay_topology(std::string(MIDGE_TEST_DATA) + "/topologies/snapdragon-8-gen-3.txt");
  MIDGE_ASSERT_OK(phone);
  Simulation machine(*phone, PassClass::kPanel);
  for (int core = 0; core < 8; ++core) machine.set_rate(core, core < 2 ? 5 : 20);
  machine.run(1);
  const auto rate = [&](int place) { return machine.watch().rate(PassClass::kPanel, place); };
  EXPECT_NEAR(rate(7) / rate(0), 0.25, 0.01);
  EXPECT_NEAR(rate(3) / rate(0), 1, 0.01);
}

TEST(CoreWatch, WithoutAdaptingNothingIsLeftOut) {
  const Topology topology = machine(2);
  const CoreRates rates = estimate_rates(topology);
  CoreWatch watch(topology, rates, *choose_cores(topology, rates, {}), false);
  for (int i = 0; i < 100; ++i) {
    const std::vector<WorkerReading> readings = {{0.03, 1, 0, 33}, {0.03, 1, 0.02, 33}};
    ASSERT_EQ(watch.active(PassClass::kRow).cores.size(), 2u);
    watch.note_pass(PassClass::kRow, readings, 0.03, i * 0.03);
    EXPECT_EQ(watch.take_probe(i * 0.03), -1);
  }
}

}  // namespace
}  // namespace midge
