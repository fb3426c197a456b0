// Models of random weights have the published shapes, and run.
#include <gtest/gtest.h>

#include "bench/model/gate.h"
#include "models/synthetic.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

int64_t layer_parameters(const ModelConfig& c) {
  const int64_t q = c.head_count * c.head_dim;
  const int64_t kv = c.kv_head_count * c.head_dim;
  return 2 * c.hidden_size + 2 * q * c.hidden_size + 2 * kv * c.hidden_size +
         (c.qkv_bias ? q + 2 * kv : 0) + 3 * c.hidden_size * c.intermediate_size;
}

int64_t parameters(const ModelConfig& c) {
  return c.vocab_size * c.hidden_size * (c.tied_head ? 1 : 2) +
         c.layer_count * layer_parameters(c) + c.hidden_size;
}

// Of the published weight files.
TEST(Synthetic, ShapesAreThePublishedOnes) {
  EXPECT_EQ(parameters(*synthetic_config("phi4-mini")), 3'836'021'760);
  EXPECT_EQ(parameters(*synthetic_config("phi4")), 14'659'507'200);
  const ModelConfig mimo = *synthetic_config("mimo-7b");
  EXPECT_EQ(parameters(mimo), 7'622'619'136);
  EXPECT_EQ(2 * mimo.hidden_size * mimo.hidden_size + 3 * mimo.hidden_size + layer_parameters(mimo),
            210'790'400);
}

// 4.5 bits a weight.
TEST(Synthetic, BytesOfATokenArePublishedOnes) {
  const Result<SyntheticBytes> bytes =
      synthetic_bytes(*synthetic_config("phi4-mini"), Encoding::kQ4B32);
  ASSERT_TRUE(bytes.ok());
  EXPECT_NEAR(static_cast<double>(bytes->token), 2.158e9, 1e6);
  EXPECT_EQ(bytes->all, bytes->token);  // a tied head
}

TEST(Synthetic, NamesWithFewerLayers) {
  EXPECT_EQ(synthetic_config("phi4-mini-3L")->layer_count, 3);
  EXPECT_EQ(synthetic_config("phi4-40L")->layer_count, 40);
  for (const char* name : {"phi4-41L", "phi4-0L", "phi4-L", "phi5", "", "phi4-mini-3l", "-3L"}) {
    EXPECT_EQ(synthetic_config(name).status().code(), StatusCode::kNotFound) << name;
  }
}

#if !defined(MIDGE_EMULATED)  // 350 MB of head
TEST(Synthetic, RunsAndIsTheSameEachTime) {
  uint64_t fingerprints[2] = {};
  for (uint64_t& fingerprint : fingerprints) {
    const Result<WorkerTeam> team = WorkerTeam::create(2);
    ASSERT_TRUE(team.ok());
    auto model = synthetic_model("phi4-mini-1L", Encoding::kQ4B32, *team);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->parameter_count(), parameters(*synthetic_config("phi4-mini-1L")));
    LoadOptions options;
    options.executor.threads = 2;
    options.executor.context_max = 128;
    const auto loaded = LoadedModel::adopt("synthetic", std::move(*model), options);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    const Result<GateReport> report = check_output(**loaded, KvType::kF16);
    ASSERT_TRUE(report.ok()) << report.status().message();
    fingerprint = report->fingerprint;
  }
  EXPECT_EQ(fingerprints[0], fingerprints[1]);
}
#endif

TEST(Synthetic, RefusesEncodingsThatAreNotPacked) {
  const Result<WorkerTeam> team = WorkerTeam::create(1);
  EXPECT_EQ(synthetic_model("phi4", Encoding::kBF16, *team).status().code(),
            StatusCode::kUnsupported);
}

}  // namespace
}  // namespace midge::bench
