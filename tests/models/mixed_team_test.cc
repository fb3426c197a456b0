// A team whose workers run different kernels, as on cores of different types: the same bits as a
// team of one kind, for prompts, for generated tokens, and for both in turn.
#include <algorithm>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "engine/platform/cpu_features.h"
#include "kernels/kernels.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::Running;

// The levels of this machine, weakest first: generic, neon, neon_dot, neon_i8mm ...
std::vector<CpuFeatures> levels_of_machine() {
  std::vector<CpuFeatures> levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const CpuFeatures features = level_features(static_cast<IsaLevel>(i));
    const bool has_kernels = std::any_of(
        all_kernels().begin(), all_kernels().end(),
        [&](const KernelInfo& kernel) { return kernel.level == static_cast<IsaLevel>(i); });
    if (has_kernels && detect_cpu_features().has(features)) levels.push_back(features);
  }
  return levels;
}

// A machine with a core of its own type for each of `types`. It may have more cores than this one:
// then pinning is refused, and the workers run all the same.
std::shared_ptr<const WorkerTeam> team_of(size_t types) {
  TeamOptions options;
  Topology topology;
  for (size_t i = 0; i < types; ++i) {
    CpuCore core;
    core.number = core.type = core.cluster = static_cast<int>(i);
    topology.cores.push_back(core);
    const std::string name = "type " + std::to_string(i);
    topology.types.push_back({name, {core.number}});
    topology.clusters.push_back({name, {core.number}, 0});
  }
  topology.features = detect_cpu_features();
  options.topology = topology;
  Result<WorkerTeam> team = WorkerTeam::create(options);
  EXPECT_TRUE(team.ok()) << team.status().message();
  if (!team.ok()) return nullptr;
  return std::make_shared<const WorkerTeam>(std::move(*team));
}

std::vector<float> logits_of(const test::RunSetup& setup) {
  Running running;
  test::open(setup, &running);
  if (testing::Test::HasFatalFailure()) return {};
  const int64_t vocab = running.model->config().vocab_size;
  const std::vector<int32_t> tokens = test::random_tokens(40, vocab);
  const std::span<const int32_t> all(tokens);
  std::vector<float> logits;
  const auto add = [&](const std::vector<float>& more) {
    logits.insert(logits.end(), more.begin(), more.end());
  };
  add(test::step_logits(*running.session, all.first(24)));
  add(test::step_logits_in_pieces(*running.session, all.subspan(24, 4), 1, RowRole::kGenerated));
  add(test::step_logits(*running.session, all.subspan(28, 8), RowRole::kGenerated));
  add(test::step_logits(*running.session, all.subspan(36)));
  return logits;
}

class MixedTeam : public testing::TestWithParam<Encoding> {};

TEST_P(MixedTeam, GivesTheSameBits) {
  const std::vector<CpuFeatures> levels = levels_of_machine();
  if (levels.size() < 2) GTEST_SKIP() << "this machine has one level";
  test::RunSetup setup = {.path = test::data_path("golden/models/phi4-mini"),
                          .threads = 1,
                          .arithmetic = Arithmetic::kPacked,
                          .weights = GetParam()};
  const std::vector<float> alone = logits_of(setup);
  ASSERT_FALSE(alone.empty());
  setup.team = team_of(levels.size());
  ASSERT_NE(setup.team, nullptr);
  setup.isa_of_types = levels;
  EXPECT_EQ(logits_of(setup), alone);
  // Each worker took part with its own kernels.
  for (const CoreWork& work : setup.team->work()) {
    if (work.pass_class == PassClass::kPanel) {
      EXPECT_GT(work.passes, 0) << work.core;
    }
  }
  // The other way round: worker 0 has the strongest kernels.
  std::reverse(setup.isa_of_types.begin(), setup.isa_of_types.end());
  EXPECT_EQ(logits_of(setup), alone);
}

INSTANTIATE_TEST_SUITE_P(Encodings, MixedTeam, testing::Values(Encoding::kQ4B32, Encoding::kQ8B32),
                         [](const auto& encoding) {
                           return std::string(encoding_info(encoding.param).name);
                         });

}  // namespace
}  // namespace midge
