// How the items of a loop are divided among workers of different speeds: each gets a run of
// neighbouring items in proportion to its rate, takes them one by one from the front, and then
// helps others from the back of theirs, unless they would be done with them sooner themselves.
//
// Which worker takes an item never changes a result. So rates may be wrong and change at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace midge {

/// Shared by the workers of a loop. Loops follow each other with a barrier between.
class LoopShares {
 public:
  /// Most items of a loop.
  static constexpr int64_t kItemsMax = (int64_t{1} << 26) - 1;

  /// For up to workers_max workers.
  explicit LoopShares(int workers_max);

  /// The workers of the loops that follow, by their rates, in any unit: one that is not positive or
  /// no number counts as the mean of the others. are_measured: by learn(); else they are as good as
  /// none once there are measured ones. Not while a loop runs.
  void start(std::span<const double> rates, bool are_measured = false);

  /// What a worker did since it was last asked.
  struct Progress {
    double busy = 0;  ///< seconds
    double work = 0;  ///< in a unit that is the same for all workers
  };
  /// Takes in how fast the workers are. Rates follow within about 0.15 s of work. Not while a loop
  /// runs.
  void learn(std::span<const Progress> progress);
  /// Of the workers, as the next loop is divided by; work per second if are_measured().
  std::span<const double> rates() const { return {known_.data(), static_cast<size_t>(count_)}; }
  bool are_measured() const { return are_measured_; }

  /// What claim() answers.
  static constexpr int64_t kNone = -1;  ///< every item is taken
  static constexpr int64_t kDecline =
      -2;  ///< what is left, others are sooner done with, or have not begun with

  /// Takes an item for a worker. loop: numbers the loops since start(), from 0 on. helps_anyway:
  /// takes what is left, however slow the worker is.
  int64_t claim(int64_t loop, int64_t items, int worker, bool helps_anyway);

  /// The items [first, last) that a worker begins with. Pure.
  struct Share {
    int64_t first;
    int64_t last;
  };
  Share share(int64_t items, int worker) const;

 private:
  // A worker's items that nobody has taken: the loop they belong to, the end, the next one. On a
  // cache line of its own.
  struct alignas(64) Range {
    std::atomic<uint64_t> word = 0;
  };

  void divide();
  int64_t help(uint64_t tag, int64_t items, int worker, bool helps_anyway);

  std::unique_ptr<Range[]> ranges_;
  std::vector<double> known_;  // rates as they were told or learned
  std::vector<double> rates_;  // relative, their sum is 1
  std::vector<double> sums_;   // of the rates before each
  int count_ = 1;
  bool are_measured_ = false;
  bool are_alike_ = true;
};

}  // namespace midge
