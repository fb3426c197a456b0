// The list of kernels, and the choice among them.
#include <set>

#include <regex.h>

#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace midge {
namespace {

std::string longest_op_of(const std::string& name) {
  std::string longest;
  for (int i = 0; i <= static_cast<int>(Op::kAdd); ++i) {
    const std::string op = op_name(static_cast<Op>(i));
    if (name.starts_with(op + '_') && op.size() > longest.size()) longest = op;
  }
  return longest;
}

std::string longest_level_of(const std::string& name) {
  std::string longest;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const std::string level = isa_level_name(static_cast<IsaLevel>(i));
    if (name.ends_with('_' + level) && level.size() > longest.size()) longest = level;
  }
  return longest;
}

TEST(Registry, NamesFollowTheGrammarAndAreUnique) {
  // docs/architecture.md, "Kernel names".
  const std::string type =
      "(f32|f16|bf16|q4b32m?|q5b32m?|q8b32|q[45]b32ms256|q4b32s256|q6b16s256|q8s256)";
  const std::string op =
      "(gemm|dequantize|quantize|gemv|lookup|quantize_panel|unpack|gemm_panel|attn|convert|rmsnorm|"
      "rope|"
      "silu_mul|add)";
  const std::string grammar = "^" + op + "(_" + type +
                              "){1,3}(_[0-9]+x[0-9]+)?_(generic|neon|neon_dot|neon_i8mm|avx2|"
                              "avx512_vnni)$";
  regex_t compiled;
  ASSERT_EQ(::regcomp(&compiled, grammar.c_str(), REG_EXTENDED | REG_NOSUB), 0);
  EXPECT_NE(::regexec(&compiled, "gemm_f32_f32_q5_1x1_generic", 0, nullptr, 0), 0);
  std::set<std::string> names;
  for (const KernelInfo& kernel : all_kernels()) {
    EXPECT_EQ(::regexec(&compiled, kernel.name, 0, nullptr, 0), 0) << kernel.name;
    EXPECT_TRUE(names.insert(kernel.name).second) << kernel.name;
    // The longest token of each kind counts: gemm_panel is not gemm, neon_dot not neon.
    const std::string name = kernel.name;
    EXPECT_EQ(longest_op_of(name), op_name(kernel.op)) << name;
    EXPECT_EQ(longest_level_of(name), isa_level_name(kernel.level)) << name;
  }
  ::regfree(&compiled);
}

TEST(Registry, SelectsByName) {
  const auto selected = [](Op op, Encoding encoding) {
    const KernelInfo* kernel = select_kernel(op, encoding);
    return std::string(kernel == nullptr ? "none" : kernel->name);
  };
  EXPECT_EQ(selected(Op::kGemm, Encoding::kQ4B32), "gemm_f32_f32_q4b32_1x1_generic");
  EXPECT_EQ(selected(Op::kAttn, Encoding::kF16), "attn_f32_f32_f16_generic");
  EXPECT_EQ(selected(Op::kAttn, Encoding::kQ8B32), "none");
  // Every operation has a portable kernel for everything the loader accepts.
  for (int i = 0; i < kEncodingCount; ++i) {
    EXPECT_NE(selected(Op::kGemm, static_cast<Encoding>(i)), "none");
    EXPECT_NE(selected(Op::kDequantize, static_cast<Encoding>(i)), "none");
  }
}

}  // namespace
}  // namespace midge
