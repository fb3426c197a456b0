// One test per registered kernel, Kernels.<name>:
//   kernels_test --gtest_filter='Kernels.gemv_*_neon_dot'
#include <gtest/gtest.h>

#include "tests/kernels/kernel_bodies.h"

namespace midge::test {
namespace {

class KernelTest : public ::testing::Test {
 public:
  explicit KernelTest(const KernelInfo& kernel) : kernel_(kernel) {}

  void TestBody() override {
    if (!can_run(kernel_)) {
      GTEST_SKIP() << "this machine lacks " << isa_level_name(kernel_.level);
    }
    Failures failures;
    check_kernel(kernel_, &failures);
    EXPECT_TRUE(failures.none()) << failures.text();
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
