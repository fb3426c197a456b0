// One test per registered kernel, Kernels.<name>:
//   kernels_test --gtest_filter='Kernels.gemv_*_neon_dot'
#include <cinttypes>
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/harness/amx_emulation.h"
#include "tests/kernels/kernel_checks.h"

namespace midge::test {
namespace {

class KernelTest : public ::testing::Test {
 public:
  explicit KernelTest(const KernelInfo& kernel) : kernel_(kernel) {}

  void TestBody() override {
    if (!can_run(kernel_)) {
      GTEST_SKIP() << "this machine lacks " << isa_level_name(kernel_.level);
    }
    const int64_t emulated_before = emulated_instructions();
    Failures failures;
    check_kernel(kernel_, &failures);
    EXPECT_TRUE(failures.none()) << failures.text();
    const int64_t emulated = emulated_instructions() - emulated_before;
    if (emulated > 0) {
      std::printf("[ emulated ] %" PRId64 " instructions on tiles, which this machine lacks\n",
                  emulated);
    }
  }

 private:
  const KernelInfo& kernel_;
};

}  // namespace
}  // namespace midge::test

int main(int argc, char** argv) {
  for (const midge::KernelInfo& kernel : midge::all_kernels()) {
    ::testing::RegisterTest(
        "Kernels", kernel.name, nullptr, nullptr, __FILE__, __LINE__,
        [&kernel]() -> ::testing::Test* { return new midge::test::KernelTest(kernel); });
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
