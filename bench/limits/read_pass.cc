#include "bench/limits/read_pass.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "bench/limits/peak_loop.h"
#include "engine/core/seconds.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What a worker takes at a time: long enough that streams do not break, short enough that workers
// end together.
constexpr int64_t kPieceBytes = int64_t{256} << 10;
constexpr int64_t kAheadBytes = 4096;
constexpr int64_t kLineBytes = 64;
// Cores differ: each loops for as long, and looks at the clock so seldom that it takes nothing.
constexpr double kPeakSeconds = 20e-3;
constexpr int64_t kPeakIterations = 10000;
constexpr int64_t kWords = 16;  // sums of their own, so that the compiler makes vectors of them

template <bool kAheadOf>
uint64_t sum_words(const uint8_t* at, int64_t bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(at);
  uint64_t sums[kWords] = {};
  for (int64_t i = 0; i + kWords <= bytes / 8; i += kWords) {
    if constexpr (kAheadOf) {
      const uint8_t* line = at + i * 8 + kAheadBytes;
      __builtin_prefetch(line, 0, 0);
      __builtin_prefetch(line + kLineBytes, 0, 0);
    }
    for (int64_t j = 0; j < kWords; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace

ReadPass::ReadPass(const Executor& executor) : executor_(executor) {
  bool has_copies = false;
  visit_linear_matrices(*executor.engine().weights,
                        [&](const std::string& name, const PreparedMatrix& w) {
                          if (is_of_mtp(name)) return;
                          has_copies |= w.form == PreparedMatrix::Form::kDense;
                          w.visit_memory([&](const uint8_t* start, int64_t bytes) {
                            bytes_ += bytes;
                            for (int64_t at = 0; at < bytes; at += kPieceBytes) {
                              pieces_.push_back({start + at, std::min(kPieceBytes, bytes - at)});
                            }
                          });
                        });
  if (!has_copies) return;
  pieces_.clear();
  bytes_ = 0;
}

template <bool kAhead>
double ReadPass::seconds(PassClass c) {
  std::atomic<uint64_t> total = 0;
  const Clock::time_point start = Clock::now();
  executor_.team().run(c, [&](const Worker& worker) {
    uint64_t sum = 0;
    worker.for_each(static_cast<int64_t>(pieces_.size()), [&](int64_t i) {
      const Piece& piece = pieces_[static_cast<size_t>(i)];
      sum += sum_words<kAhead>(piece.at, piece.bytes);
    });
    total += sum;
  });
  const double elapsed = seconds_between(start, Clock::now());
  checksum_ += total;
  return elapsed;
}

double ReadPass::measure(PassClass c) {
  if (bytes_ == 0) return 0;
  const double plain = seconds<false>(c);
  const double ahead = seconds<true>(c);
  return static_cast<double>(bytes_) / std::min(plain, ahead);
}

double measure_integer_peak(const WorkerTeam& team, CpuFeatures features, PassClass c) {
  PeakLoop loop = {};
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    if (!has_level(features, level)) continue;
    if (level == IsaLevel::kAmx && c != PassClass::kPanel) continue;
    if (const PeakLoop of_level = peak_loop(level); of_level.run != nullptr) loop = of_level;
  }
  if (loop.run == nullptr) return 0;
  std::vector<double> rates(static_cast<size_t>(team.thread_count()));  // iterations per second
  team.run(c, [&](const Worker& worker) {
    const Clock::time_point start = Clock::now();
    double iterations = 0;
    double seconds = 0;
    while (seconds < kPeakSeconds) {
      loop.run(kPeakIterations);
      iterations += static_cast<double>(kPeakIterations);
      seconds = seconds_between(start, Clock::now());
    }
    rates[static_cast<size_t>(worker.index())] = iterations / seconds;
  });
  return loop.macs * std::accumulate(rates.begin(), rates.end(), 0.0);
}

double measure_clock() {
  constexpr int64_t kAdditions = 16;
  constexpr int64_t kIterations = 20000;
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    uint64_t value = 1;
    const uint64_t step = 3;
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < kIterations; ++i) {
#if defined(__x86_64__)
#define MIDGE_ADD "add %1, %0\n"
#else
#define MIDGE_ADD "add %0, %0, %1\n"
#endif
#define MIDGE_ADD4 MIDGE_ADD MIDGE_ADD MIDGE_ADD MIDGE_ADD
      __asm__ volatile(MIDGE_ADD4 MIDGE_ADD4 MIDGE_ADD4 MIDGE_ADD4 : "+r"(value) : "r"(step));
    }
    const double elapsed = seconds_between(start, Clock::now());
    best = std::max(best, static_cast<double>(kAdditions * kIterations) / elapsed);
  }
  return best;
}

}  // namespace midge::bench
