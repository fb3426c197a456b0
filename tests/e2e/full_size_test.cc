// A 3.8 B model in full size: opens, decodes, keeps its memory promise.
//
// Needs a Phi-4-mini-shaped Q4_0 file with random weights (2.2 GB), which a script writes:
//   tools/synth_gguf.py phi4-mini q4_0 build/phi4-mini-q4_0.gguf
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/harness/running.h"

namespace midge {
namespace {

// A field of /proc/self/status in bytes.
int64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(field + ":", 0) == 0) return std::stoll(line.substr(field.size() + 1)) * 1024;
  }
  ADD_FAILURE() << "no " << field;
  return 0;
}

TEST(FullSize, DecodesWithinItsMemory) {
  const char* given = std::getenv("MIDGE_FULL_SIZE_MODEL");
  const std::string path =
      given != nullptr ? given : std::string(MIDGE_SOURCE_DIR) + "/build/phi4-mini-q4_0.gguf";
  if (!is_regular_file(path)) {
    GTEST_SKIP() << path << " is absent; write it with tools/synth_gguf.py phi4-mini q4_0";
  }
  test::RunSetup setup = {path};
  setup.session.context_length = 512;
  test::Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  EXPECT_EQ(run.model->parameter_count(), 3836021760);
  std::vector<float> logits(static_cast<size_t>(run.model->config().vocab_size));
  const int32_t row = 0;
  RowOutputs outputs;
  outputs.logits_rows = {&row, 1};
  outputs.logits = logits.data();
  for (const int32_t token : {1, 17, 4000, 99999, 150000, 200063, 3, 42}) {
    MIDGE_ASSERT_OK(run.session->step({&token, 1}, outputs));
    for (const float logit : logits) ASSERT_TRUE(std::isfinite(logit));
  }
  const int64_t resident = status_bytes("VmHWM");
  const auto file = static_cast<int64_t>(run.model->storage().file_bytes());
  const int64_t allowed = file + run.session->kv_bytes() + 200'000'000;
  std::printf("[ memory   ] peak resident %.1f MB, file %.1f MB, KV %.1f MB, allowed %.1f MB\n",
              static_cast<double>(resident) * 1e-6, static_cast<double>(file) * 1e-6,
              static_cast<double>(run.session->kv_bytes()) * 1e-6,
              static_cast<double>(allowed) * 1e-6);
  EXPECT_LE(resident, allowed);
}

}  // namespace
}  // namespace midge
