// No speed without the right numbers.
#include <gtest/gtest.h>

#include "bench/model/gate.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

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

}  // namespace
}  // namespace midge::bench
