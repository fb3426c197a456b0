// attention() and rope_and_store(): against f64 arithmetic, and the same bits for any number of
// workers, any cut of a prompt and whatever lies in the cache beyond it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "engine/core/checked_math.h"
#include "engine/ops/ops.h"
#include "engine/platform/cpu_features.h"
#include "tests/harness/test_data.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

// Three splits of 512 keys, the last of them partly filled.
constexpr int64_t kLength = 1100;
constexpr int64_t kHeads = 6;
constexpr int64_t kKvHeads = 2;
constexpr int64_t kHeadDim = 12;
constexpr int64_t kRow = kHeads * kHeadDim;
constexpr int64_t kKvRow = kKvHeads * kHeadDim;

std::vector<float> random_floats(int64_t count, uint64_t stream) {
  test::TestRandom random(stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = 2 * random.uniform();
  return values;
}

// Runs the last `rows` of kLength tokens after the others, in steps of `step` rows; returns their
// attention.
std::vector<float> run(KvType type, int64_t window, int threads, int64_t rows, int64_t step,
                       int64_t page_tokens = round_up(kLength, kAttnStep)) {
  const AttentionShape shape = {kHeads, kKvHeads, kHeadDim, window};
  std::vector<float> q = random_floats(kLength * kRow, 1);
  std::vector<float> k = random_floats(kLength * kKvRow, 2);
  std::vector<float> v = random_floats(kLength * kKvRow, 3);
  const std::vector<float> cos(static_cast<size_t>(kLength), 1.0f);
  const std::vector<float> sin(static_cast<size_t>(kLength), 0.0f);

  const KvLayout layout = {type, page_tokens, 2, kKvHeads, kHeadDim};
  const int64_t page_count = ceil_div(kLength, page_tokens);
  auto cache = AlignedBuffer::create(page_count * layout.page_bytes(), "the test's cache");
  if (!cache.ok()) return {};
  std::memset(cache->data(), 0xFF, static_cast<size_t>(cache->bytes()));  // NaN
  // In no order.
  std::vector<uint8_t*> pages;
  for (int64_t i = 0; i < page_count; ++i) {
    pages.push_back(cache->data() + (i * 7 + 3) % page_count * layout.page_bytes());
  }
  const KvTable kv = {&layout, pages.data(), page_count};

  const KernelTable kernels = make_kernel_table({detect_cpu_features(), ""});
  auto team = WorkerTeam::create(threads);
  auto scratch = AttentionScratch::create(shape, kLength, threads);
  if (!team.ok() || !scratch.ok()) return {};
  std::vector<float> out(static_cast<size_t>(kLength * kRow));
  const auto run_rows = [&](int64_t first, int64_t count) {
    const Segment segment = {0, count, first, kv};
    const RopeRows rope = {2, false, cos.data(), sin.data()};
    team->run([&](const Worker& worker) {
      const OpContext context = {&kernels, &worker};
      rope_and_store(context, shape, {&segment, 1}, 1, rope, q.data() + first * kRow,
                     k.data() + first * kKvRow, v.data() + first * kKvRow);
      attention(context, shape, {&segment, 1}, 1, q.data() + first * kRow, *scratch,
                out.data() + first * kRow);
    });
  };
  run_rows(0, kLength - rows);
  for (int64_t row = kLength - rows; row < kLength; row += step) {
    run_rows(row, std::min(step, kLength - row));
  }
  out.erase(out.begin(), out.end() - rows * kRow);
  return out;
}

// Row kLength - 1 - `back` in f64.
std::vector<double> expected_row(int64_t window, int64_t back) {
  const std::vector<float> q = random_floats(kLength * kRow, 1);
  const std::vector<float> k = random_floats(kLength * kKvRow, 2);
  const std::vector<float> v = random_floats(kLength * kKvRow, 3);
  const int64_t row = kLength - 1 - back;
  const int64_t begin = window > 0 ? std::max<int64_t>(row + 1 - window, 0) : 0;
  std::vector<double> out(static_cast<size_t>(kRow));
  for (int64_t head = 0; head < kHeads; ++head) {
    const float* query = q.data() + row * kRow + head * kHeadDim;
    const int64_t offset = head / (kHeads / kKvHeads) * kHeadDim;
    double total = 0;
    for (int64_t t = begin; t <= row; ++t) {
      double score = 0;
      for (int64_t d = 0; d < kHeadDim; ++d) {
        score += double{query[d]} * k[static_cast<size_t>(t * kKvRow + offset + d)];
      }
      const double weight = std::exp(score / std::sqrt(double{kHeadDim}));
      total += weight;
      for (int64_t d = 0; d < kHeadDim; ++d) {
        out[static_cast<size_t>(head * kHeadDim + d)] +=
            weight * v[static_cast<size_t>(t * kKvRow + offset + d)];
      }
    }
    for (int64_t d = 0; d < kHeadDim; ++d) out[static_cast<size_t>(head * kHeadDim + d)] /= total;
  }
  return out;
}

TEST(Attention, FollowsTheDefinition) {
  double worst = 0;
  for (const int64_t window : {0, 100, 700}) {
    for (const int64_t rows : {1, 40}) {
      const std::vector<float> found = run(KvType::kF32, window, 2, rows, rows);
      ASSERT_EQ(found.size(), static_cast<size_t>(rows * kRow));
      for (int64_t back = 0; back < rows; back += 13) {
        const std::vector<double> expected = expected_row(window, back);
        for (size_t i = 0; i < expected.size(); ++i) {
          const double value = found[static_cast<size_t>((rows - 1 - back) * kRow) + i];
          ASSERT_FALSE(std::isnan(value));
          worst = std::max(worst, std::fabs(value - expected[i]));
        }
      }
    }
  }
  // Averages of values in -2..2 whose weights carry some epsilons: measured at 1.9e-7.
  test::expect_within(worst, 7e-7, "attention, any element");
}

// Scales of rows and 4-bit values cost as much as they must: bounds are three times what was
// measured, 0.0031 and 0.0166.
TEST(Attention, QuantisedCachesAreClose) {
  for (const auto& [type, bound] :
       {std::pair(KvType::kInt8, 1e-2), std::pair(KvType::kK8V4, 5e-2)}) {
    const std::vector<float> found = run(type, 0, 2, 40, 40);
    double worst = 0;
    for (int64_t back = 0; back < 40; back += 13) {
      const std::vector<double> expected = expected_row(0, back);
      for (size_t i = 0; i < expected.size(); ++i) {
        worst = std::max(
            worst, std::fabs(found[static_cast<size_t>((39 - back) * kRow) + i] - expected[i]));
      }
    }
    EXPECT_LE(worst, bound) << kv_type_name(type);
    EXPECT_GT(worst, bound / 10) << kv_type_name(type);
  }
}

// More than processors makes threads wait for those that sleep, which an emulator cannot afford.
// All of these took it five minutes; with --long it does them all the same.
#ifdef MIDGE_EMULATED
constexpr int kTeams[] = {2};
constexpr int64_t kSteps[] = {7};
constexpr int64_t kPages[] = {192};
#else
constexpr int kTeams[] = {1, 4};
constexpr int64_t kSteps[] = {1, 7, 40};
constexpr int64_t kPages[] = {64, 192};
#endif

TEST(Attention, DependsOnNeitherThreadsNorSteps) {
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
    for (const int64_t window : {0, 700}) {
      const std::vector<float> one = run(type, window, 1, 40, 40);
      ASSERT_EQ(one.size(), static_cast<size_t>(40 * kRow));
      for (const int threads : kTeams) {
        for (const int64_t step : kSteps) {
          const std::vector<float> found = run(type, window, threads, 40, step);
          ASSERT_EQ(found.size(), one.size());
          EXPECT_EQ(std::memcmp(found.data(), one.data(), one.size() * sizeof(float)), 0)
              << "window " << window << " threads " << threads << " step " << step;
        }
        for (const int64_t page_tokens : kPages) {
          const std::vector<float> found = run(type, window, threads, 40, 40, page_tokens);
          ASSERT_EQ(found.size(), one.size());
          EXPECT_EQ(std::memcmp(found.data(), one.data(), one.size() * sizeof(float)), 0)
              << "window " << window << " threads " << threads << " pages of " << page_tokens;
        }
      }
    }
  }
}

}  // namespace
}  // namespace midge
