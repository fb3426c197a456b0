// Calls one kernel once, for tools/arm_report to count its instructions.
// usage: midge_count_kernel              lists kernel, operation, level, case, elements, bytes
// after
//                                        a line with the compiler
//        midge_count_kernel KERNEL CASE  calls
#include <cstdio>
#include <string_view>

#include "tests/counts/counted_cases.h"

namespace {

#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

int list() {
  std::printf("%s\n", kCompiler);
  for (const midge::KernelInfo& kernel : midge::all_kernels()) {
    for (const midge::test::CountedCase& c : midge::test::counted_cases(kernel)) {
      std::printf("%s %s %s %s %lld %lld\n", kernel.name, midge::op_name(kernel.op),
                  midge::isa_level_name(kernel.level), c.name.c_str(),
                  static_cast<long long>(c.elements), static_cast<long long>(c.bytes));
    }
  }
  return 0;
}

int call(std::string_view kernel_name, std::string_view case_name) {
  for (const midge::KernelInfo& kernel : midge::all_kernels()) {
    if (kernel.name != kernel_name) continue;
    for (const midge::test::CountedCase& c : midge::test::counted_cases(kernel)) {
      if (c.name != case_name) continue;
      c.prepare()();
      return 0;
    }
  }
  std::fprintf(stderr, "midge_count_kernel: no such kernel or case\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return list();
  if (argc == 3) return call(argv[1], argv[2]);
  std::fprintf(stderr, "usage: midge_count_kernel [KERNEL CASE]\n");
  return 2;
}
