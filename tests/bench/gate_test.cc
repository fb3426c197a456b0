// No speed without the right numbers.
#include <gtest/gtest.h>

#include "bench/model/gate.h"
#include "bench/model/sustained.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

GemvFunction right_gemv = nullptr;
void wrong_in_last_row(const GemvArgs* args) {
  right_gemv(args);
  auto* const last = reinterpret_cast<uint8_t*>(args->out) + (args->m - 1) * args->out_stride;
  *reinterpret_cast<float*>(last) += 1;
}

TEST(BenchGate, AcceptsEveryTypeOfCache) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(2);
  uint64_t f16 = 0;
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
    const Result<GateReport> report = check_output(*model, type);
    ASSERT_TRUE(report.ok()) << kv_type_name(type) << ": " << report.status().message();
    EXPECT_TRUE(report->has_generic);
    if (type == KvType::kF16) f16 = report->fingerprint;
    // What the cache holds decides the numbers.
    if (type != KvType::kF16) {
      EXPECT_NE(report->fingerprint, f16) << kv_type_name(type);
    }
  }
}

TEST(BenchGate, FingerprintDoesNotDependOnThreads) {
  const std::unique_ptr<LoadedModel> one = open_packed_model(1);
  const std::unique_ptr<LoadedModel> two = open_packed_model(2);
  const Result<GateReport> a = check_output(*one, KvType::kF16);
  const Result<GateReport> b = check_output(*two, KvType::kF16);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->fingerprint, b->fingerprint);
  EXPECT_EQ(a->content_id, b->content_id);
}

TEST(BenchGate, KnowsTheModelOnRecord) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(1);
  const Result<GateReport> report = check_output(*model, KvType::kF16);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(report->is_known) << report->content_id << " " << std::hex << report->fingerprint;
}

TEST(BenchGate, FindsAWrongKernel) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(2);
  Status found;
  const Status ran = with_wrong_kernel(*model, [&] {
    found = check_output(*model, KvType::kF16).status();
    return Status();
  });
  ASSERT_TRUE(ran.ok()) << ran.message();
  EXPECT_EQ(found.code(), StatusCode::kInternal);
  EXPECT_NE(found.message().find("No speed is printed"), std::string::npos) << found.message();
  // The right kernels are back.
  EXPECT_TRUE(check_output(*model, KvType::kF16).ok());
}

// Kernels of each number of rows are their own: a wrong one is found in any row.
TEST(BenchGate, FindsAWrongKernelOfAnyNumberOfRows) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(1);
  for (int64_t rows = 2; rows <= kGemvRowsMax; ++rows) {
    std::vector<KernelTable> tables(model->executor().engine().kernels->tables().begin(),
                                    model->executor().engine().kernels->tables().end());
    const auto encoding =
        static_cast<size_t>(model->executor().engine().weights->head.tiles.encoding);
    for (KernelTable& table : tables) {
      right_gemv = table.gemv[encoding][rows];
      table.gemv[encoding][rows] = wrong_in_last_row;
    }
    Status found;
    const Status ran =
        model->executor().with_kernels(KernelTables(std::move(tables)), 64, [&]() -> Status {
          found = check_output(*model, KvType::kF16).status();
          return Status();
        });
    ASSERT_TRUE(ran.ok()) << ran.message();
    EXPECT_EQ(found.code(), StatusCode::kInternal) << rows;
  }
}

TEST(Sustained, NoMeanWhereTheClockFalls) {
  SustainedReport report;
  for (int i = 0; i < 10; ++i) report.stretches.push_back({5.0 * i, 5.0 * (i + 1), 10, 2.4e9, 0});
  summarize(2.4e9, &report);
  EXPECT_TRUE(report.mean.has_value());
  // 4.6 % from the median, 8.3 % from the first.
  for (size_t i = 0; i < 10; ++i) report.stretches[i].clock -= 2e7 * static_cast<double>(i + 1);
  report.mean.reset();
  summarize(2.4e9, &report);
  EXPECT_FALSE(report.mean.has_value());
  EXPECT_NEAR(report.clock_drift, 0.0833, 1e-3);
}

TEST(Sustained, StretchesMayBeLongerThanTheParts) {
  SustainedReport report;
  report.stretches = {{0, 3.8, 0.5, 2e9, 0}, {3.8, 7.6, 0.4, 2e9, 0}};
  summarize(2e9, &report);
  EXPECT_DOUBLE_EQ(report.first_minute, 0.5);
  EXPECT_DOUBLE_EQ(report.last_minute, 0.4);
}

}  // namespace
}  // namespace midge::bench
