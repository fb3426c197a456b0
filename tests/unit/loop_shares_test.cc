// The division of loops among workers in virtual time: the code that the team runs, and a clock
// that is counted.
#include "engine/platform/loop_shares.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <queue>

#include <gtest/gtest.h>

namespace midge {
namespace {

// How fast a worker is at a time.
using RateAt = std::function<double(int worker, double time)>;

struct Outcome {
  double makespan = 0;
  std::vector<int> taken;    // by item: how often
  std::vector<double> work;  // by worker: items
};

// One loop as Worker::for_each runs it: a worker that declines waits for as long as one item takes
// it, and then takes what is still there.
Outcome simulate(LoopShares& shares, int64_t loop, int workers, int64_t items, const RateAt& rate) {
  struct Event {
    double time;
    int worker;
    bool helps_anyway;
    bool operator>(const Event& other) const { return time > other.time; }
  };
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  for (int i = 0; i < workers; ++i) events.push({0, i, false});
  Outcome outcome;
  outcome.taken.resize(static_cast<size_t>(items));
  outcome.work.resize(static_cast<size_t>(workers));
  while (!events.empty()) {
    const Event event = events.top();
    events.pop();
    const int64_t item = shares.claim(loop, items, event.worker, event.helps_anyway);
    const double seconds = 1 / rate(event.worker, event.time);
    if (item == LoopShares::kDecline) {
      events.push({event.time + seconds, event.worker, true});
    } else if (item >= 0) {
      ++outcome.taken[static_cast<size_t>(item)];
      ++outcome.work[static_cast<size_t>(event.worker)];
      outcome.makespan = std::max(outcome.makespan, event.time + seconds);
      events.push({event.time + seconds, event.worker, false});
    }
  }
  return outcome;
}

double sum(const std::vector<double>& rates) {
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// 1 : 0.75 : 0.35 on 8 cores, as the clusters of phones are.
const std::vector<std::vector<double>> kPhones = {
    {1, 0.75, 0.75, 0.75, 0.75, 0.75, 0.35, 0.35},
    {1, 0.75, 0.75, 0.75, 0.35, 0.35, 0.35, 0.35},
    {1, 1, 0.75, 0.75, 0.75, 0.75, 0.35, 0.35},
};
// The loops of a layer of Phi-4-mini: tiles of the matrices, and how much work one is.
struct LayerLoop {
  int64_t tiles;
  double work;
};
constexpr LayerLoop kLayer[] = {{160, 3072}, {96, 3072}, {512, 3072}, {96, 8192}};

// The time of a layer over the ideal, with rates that are known.
double over_ideal(const std::vector<double>& rates) {
  LoopShares shares(static_cast<int>(rates.size()));
  shares.start(rates);
  double taken = 0;
  double ideal = 0;
  for (size_t i = 0; i < std::size(kLayer); ++i) {
    const Outcome outcome =
        simulate(shares, static_cast<int64_t>(i), static_cast<int>(rates.size()), kLayer[i].tiles,
                 [&](int worker, double) { return rates[static_cast<size_t>(worker)]; });
    for (const int times : outcome.taken) EXPECT_EQ(times, 1);
    taken += outcome.makespan * kLayer[i].work;
    ideal += static_cast<double>(kLayer[i].tiles) / sum(rates) * kLayer[i].work;
  }
  return taken / ideal;
}

TEST(LoopShares, IsCloseToTheIdeal) {
  for (const std::vector<double>& rates : kPhones) EXPECT_LE(over_ideal(rates), 1.05);
}

TEST(LoopShares, SlowCoresNeverCostMuch) {
  for (const std::vector<double>& rates : kPhones) {
    for (size_t count = 1; count <= rates.size(); ++count) {
      const std::vector<double> fast(rates.begin(),
                                     rates.begin() + static_cast<std::ptrdiff_t>(count));
      const double with = over_ideal(rates) / sum(rates);
      const double without = over_ideal(fast) / sum(fast);
      EXPECT_LE(with, 1.02 * without) << count << " cores";
    }
  }
}

// Not even where it is not known how slow they are.
TEST(LoopShares, SlowCoresThatAreTakenForFastOnes) {
  for (const int64_t items : {int64_t{128}, int64_t{512}}) {
    LoopShares shares(8);
    shares.start(std::vector<double>(8, 1));
    const std::vector<double>& rates = kPhones[0];
    const Outcome outcome = simulate(shares, 0, 8, items, [&](int worker, double) {
      return rates[static_cast<size_t>(worker)];
    });
    // At most one item of the slowest core later than the ideal.
    EXPECT_LE(outcome.makespan, static_cast<double>(items) / sum(rates) + 1 / 0.35) << items;
  }
}

// A core that drops to a third of its rate midway through a pass of 200 loops of half a millisecond
// or so, as the rates are learned between them: what it lost is what all lose.
TEST(LoopShares, ACoreThatSlowsDownCostsItsShare) {
  for (const std::vector<double>& rates : kPhones) {
    for (size_t slow = 0; slow < rates.size(); ++slow) {
      constexpr int kLoops = 200;
      constexpr double kSecondsOfUnit = 10e-9;
      double now = 0;
      double ideal = 0;
      LoopShares shares(8);
      shares.start(rates);
      double learned = 0;
      std::vector<LoopShares::Progress> progress(8);
      for (int loop = 0; loop < kLoops; ++loop) {
        const bool is_slow = loop >= kLoops / 2;
        const LayerLoop& layer_loop = kLayer[static_cast<size_t>(loop) % std::size(kLayer)];
        const int64_t items = layer_loop.tiles;
        const auto rate = [&](int worker, double) {
          const double full = rates[static_cast<size_t>(worker)];
          return is_slow && static_cast<size_t>(worker) == slow ? full / 3 : full;
        };
        const Outcome outcome = simulate(shares, loop, 8, items, rate);
        now += outcome.makespan * layer_loop.work;
        ideal += static_cast<double>(items) * layer_loop.work /
                 (sum(rates) - (is_slow ? rates[slow] * 2 / 3 : 0));
        for (size_t i = 0; i < 8; ++i) {
          const double work = outcome.work[i] * layer_loop.work;
          progress[i].busy += work / rate(static_cast<int>(i), 0) * kSecondsOfUnit;
          progress[i].work += work;
        }
        if ((now - learned) * kSecondsOfUnit < 5e-3) continue;
        shares.learn(progress);
        std::fill(progress.begin(), progress.end(), LoopShares::Progress());
        learned = now;
      }
      EXPECT_LE(now, 1.05 * ideal) << "core " << slow;
    }
  }
}

// A worker that has not come yet: the others do its items too.
TEST(LoopShares, SharesOfAbsentWorkersAreTaken) {
  LoopShares shares(3);
  shares.start(std::vector<double>{1, 1, 1});
  for (int64_t loop = 0; loop < 5000; ++loop) {
    std::vector<int> taken(30);
    const int absent = static_cast<int>(loop % 3);
    for (int round = 0; round < 30; ++round) {
      int worker = round % 3;
      if (worker == absent) worker = (worker + 1) % 3;
      const int64_t item = shares.claim(loop, 30, worker, true);
      ASSERT_GE(item, 0);
      ++taken[static_cast<size_t>(item)];
    }
    for (int worker = 0; worker < 3; ++worker) {
      ASSERT_EQ(shares.claim(loop, 30, worker, true), LoopShares::kNone);
    }
    ASSERT_EQ(std::count(taken.begin(), taken.end(), 1), 30);
  }
}

// Passes without counted work, as sampling, change nothing.
TEST(LoopShares, RatesStayWhereNothingWasMeasured) {
  LoopShares shares(2);
  shares.start(std::vector<double>{100, 25}, true);
  for (int i = 0; i < 500; ++i) shares.learn(std::vector<LoopShares::Progress>(2));
  EXPECT_EQ(shares.rates()[0], 100);
  EXPECT_EQ(shares.rates()[1], 25);
}

// A worker that was once so slow that it gets nothing is tried again.
TEST(LoopShares, NobodyIsLeftWithoutWorkForEver) {
  LoopShares shares(2);
  shares.start(std::vector<double>{1, 1});
  shares.learn(std::vector<LoopShares::Progress>{{1, 100}, {1, 0.1}});
  EXPECT_EQ(shares.share(64, 1).last - shares.share(64, 1).first, 0);
  int intervals = 0;
  while (shares.share(64, 1).last == shares.share(64, 1).first && intervals < 1000) {
    shares.learn(std::vector<LoopShares::Progress>{{0.005, 0.5}, {0, 0}});
    ++intervals;
  }
  EXPECT_LT(intervals, 20);
}

TEST(LoopShares, FewItemsAndOddRates) {
  for (const int64_t items : {0, 1, 2, 3, 7}) {
    for (const std::vector<double>& rates : std::vector<std::vector<double>>{
             {1}, {1, 0}, {0, 0, 0}, {NAN, 1}, {INFINITY, 2, -3}, {1e-300, 1e300}}) {
      LoopShares shares(4);
      shares.start(rates);
      const int workers = static_cast<int>(rates.size());
      int64_t before = 0;
      for (int i = 0; i < workers; ++i) {
        const LoopShares::Share share = shares.share(items, i);
        EXPECT_EQ(share.first, before);
        EXPECT_GE(share.last, share.first);
        before = share.last;
      }
      EXPECT_EQ(before, items);
      const Outcome outcome = simulate(shares, 0, workers, items, [](int, double) { return 1.0; });
      for (const int taken : outcome.taken) EXPECT_EQ(taken, 1);
    }
  }
}

}  // namespace
}  // namespace midge
