#include "engine/platform/loop_shares.h"

#include <algorithm>
#include <cmath>

#include "engine/core/check.h"

namespace midge {
namespace {

// [loop: 12][end: 26][next: 26]. Loop 0 is none; a range of another loop is one that its worker has
// not come to yet.
constexpr int kItemBits = 26;
constexpr uint64_t kItemMask = (uint64_t{1} << kItemBits) - 1;
constexpr int64_t kTags = (int64_t{1} << (64 - 2 * kItemBits)) - 1;

// Rates follow within about this.
constexpr double kRateSeconds = 0.15;
// What differs by more is no noise, but another frequency: then they follow at once.
constexpr double kJump = 0.2;
// By so much of the difference a worker without work nears the fastest one, each time.
constexpr double kDoubt = 0.02;
// Shares of whole items are exact for so many workers; more are alike in practice.
constexpr int kExactWorkersMax = 16;

uint64_t tag_of(int64_t loop) { return static_cast<uint64_t>(loop % kTags) + 1; }
uint64_t tag(uint64_t word) { return word >> (2 * kItemBits); }
int64_t next(uint64_t word) { return static_cast<int64_t>(word & kItemMask); }
int64_t end(uint64_t word) { return static_cast<int64_t>(word >> kItemBits & kItemMask); }

uint64_t make_word(uint64_t tag, int64_t next, int64_t end) {
  return tag << (2 * kItemBits) | static_cast<uint64_t>(end) << kItemBits |
         static_cast<uint64_t>(next);
}

}  // namespace

LoopShares::LoopShares(int workers_max)
    : ranges_(std::make_unique<Range[]>(static_cast<size_t>(workers_max))),
      known_(static_cast<size_t>(workers_max), 1),
      rates_(static_cast<size_t>(workers_max)),
      sums_(static_cast<size_t>(workers_max) + 1) {
  divide();
}

void LoopShares::start(std::span<const double> rates, bool are_measured) {
  MIDGE_DCHECK(!rates.empty() && rates.size() <= rates_.size(), "%zu rates", rates.size());
  count_ = static_cast<int>(rates.size());
  are_measured_ = are_measured;
  std::copy(rates.begin(), rates.end(), known_.begin());
  for (int i = 0; i < count_; ++i) {
    ranges_[static_cast<size_t>(i)].word.store(0, std::memory_order_relaxed);
  }
  divide();
}

void LoopShares::learn(std::span<const Progress> progress) {
  const auto is_known = [](const Progress& p) { return p.busy > 0 && p.work > 0; };
  // Before all were measured, what is known of them is of another unit.
  if (!are_measured_ && !std::all_of(progress.begin(), progress.end(), is_known)) return;
  // Loops whose work does not count say nothing.
  if (std::none_of(progress.begin(), progress.end(), is_known)) return;
  const double fastest = *std::max_element(known_.begin(), known_.begin() + count_);
  for (size_t i = 0; i < progress.size(); ++i) {
    if (!is_known(progress[i])) {
      // A worker that is taken for too slow to have a share would stay so for ever.
      if (are_measured_) known_[i] += kDoubt * (fastest - known_[i]);
      continue;
    }
    const double rate = progress[i].work / progress[i].busy;
    double weight = are_measured_ ? 1 - std::exp(-progress[i].busy / kRateSeconds) : 1;
    if (std::abs(rate - known_[i]) > kJump * known_[i]) weight = std::max(weight, 0.5);
    known_[i] += weight * (rate - known_[i]);
  }
  are_measured_ = true;
  divide();
}

// Relative rates from the known ones.
void LoopShares::divide() {
  const auto is_good = [](double rate) { return std::isfinite(rate) && rate > 0; };
  double most = 0;
  for (int i = 0; i < count_; ++i) {
    if (is_good(known_[static_cast<size_t>(i)])) {
      most = std::max(most, known_[static_cast<size_t>(i)]);
    }
  }
  double sum = 0;
  int good = 0;
  are_alike_ = true;
  for (int i = 0; i < count_; ++i) {
    const auto at = static_cast<size_t>(i);
    rates_[at] = is_good(known_[at]) ? known_[at] / most : 0;
    sum += rates_[at];
    good += rates_[at] > 0;
  }
  const double mean = good > 0 ? sum / good : 1;
  sum += mean * (count_ - good);
  double before = 0;
  for (int i = 0; i < count_; ++i) {
    const auto at = static_cast<size_t>(i);
    rates_[at] = (rates_[at] > 0 ? rates_[at] : mean) / sum;
    are_alike_ = are_alike_ && rates_[at] == rates_[0];
    sums_[at] = before;
    before += rates_[at];
  }
  sums_[static_cast<size_t>(count_)] = 1;
}

LoopShares::Share LoopShares::share(int64_t items, int worker) const {
  if (are_alike_ || count_ > kExactWorkersMax) {
    const auto bound = [&](int i) {
      if (i == count_) return items;
      return static_cast<int64_t>(
          std::lround(static_cast<double>(items) * sums_[static_cast<size_t>(i)]));
    };
    return {bound(worker), bound(worker + 1)};
  }
  // Whole items, and each of those that are left to whom it takes the least time: a slow worker
  // with one item too many would keep all others waiting.
  int64_t whole[kExactWorkersMax];
  int64_t left = items;
  for (int i = 0; i < count_; ++i) {
    whole[i] = static_cast<int64_t>(static_cast<double>(items) * rates_[static_cast<size_t>(i)]);
    left -= whole[i];
  }
  for (; left > 0; --left) {
    int soonest = 0;
    double least = INFINITY;
    for (int i = 0; i < count_; ++i) {
      const double end = static_cast<double>(whole[i] + 1) / rates_[static_cast<size_t>(i)];
      if (end >= least) continue;
      least = end;
      soonest = i;
    }
    ++whole[soonest];
  }
  Share share = {0, 0};
  for (int i = 0; i <= worker; ++i) share = {share.last, share.last + whole[i]};
  return share;
}

int64_t LoopShares::claim(int64_t loop, int64_t items, int worker, bool helps_anyway) {
  MIDGE_DCHECK(items <= kItemsMax, "%lld items", static_cast<long long>(items));
  const uint64_t mine = tag_of(loop);
  std::atomic<uint64_t>& range = ranges_[static_cast<size_t>(worker)].word;
  uint64_t word = range.load(std::memory_order_relaxed);
  for (;;) {
    uint64_t current = word;
    if (tag(word) != mine) {
      const Share own = share(items, worker);
      current = make_word(mine, own.first, own.last);
    } else if (next(word) >= end(word)) {
      break;
    }
    const int64_t item = next(current);
    const bool is_empty = item >= end(current);
    const uint64_t taken = is_empty ? current : make_word(mine, item + 1, end(current));
    // Relaxed: what items read and write is ordered by the barriers around the loop.
    if (!range.compare_exchange_weak(word, taken, std::memory_order_relaxed)) continue;
    if (is_empty) break;
    return item;
  }
  return help(mine, items, worker, helps_anyway);
}

// From the worker that would take the longest for what it has left.
int64_t LoopShares::help(uint64_t mine, int64_t items, int worker, bool helps_anyway) {
  const double own_seconds = 1 / rates_[static_cast<size_t>(worker)];  // for one item
  for (;;) {
    int victim = -1;
    uint64_t victim_word = 0;
    double longest = 0;
    for (int i = 0; i < count_; ++i) {
      if (i == worker) continue;
      const auto at = static_cast<size_t>(i);
      const uint64_t word = ranges_[at].word.load(std::memory_order_relaxed);
      const Share untouched = tag(word) == mine ? Share{next(word), end(word)} : share(items, i);
      const int64_t left = untouched.last - untouched.first;
      if (left <= 0) continue;
      // Besides these it has, at the mean, half of the item that it works on.
      const double seconds = (static_cast<double>(left) + 0.5) / rates_[at];
      if (seconds <= longest) continue;
      longest = seconds;
      victim = i;
      victim_word = word;
    }
    if (victim < 0) return kNone;
    // Who has not begun is probably about to.
    const bool has_begun = tag(victim_word) == mine;
    if ((own_seconds > longest || !has_begun) && !helps_anyway) return kDecline;
    const Share left =
        has_begun ? Share{next(victim_word), end(victim_word)} : share(items, victim);
    const uint64_t taken = make_word(mine, left.first, left.last - 1);
    if (ranges_[static_cast<size_t>(victim)].word.compare_exchange_strong(
            victim_word, taken, std::memory_order_relaxed)) {
      return left.last - 1;
    }
  }
}

}  // namespace midge
