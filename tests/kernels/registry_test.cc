// The list of kernels: names, files, completeness.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

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

TEST(Registry, NamesFollowTheGrammarAndAreUnique) {
  // docs/architecture.md, "Kernel names".
  std::string type = "(f64|q8s256|q8r|k8v4";
  for (int i = 0; i < kEncodingCount; ++i) {
    type.append("|").append(encoding_info(static_cast<Encoding>(i)).name);
  }
  type += ")";
  const std::string op =
      "(gemm|dequantize|quantize|gemv|lookup|quantize_panel|unpack|gemm_panel|take_outliers|add_"
      "outliers|attn|"
      "convert|rmsnorm|"
      "rope|"
      "silu_mul|exp_sum|add)";
  const std::string grammar = "^" + op + "(_" + type +
                              "){1,3}(_[0-9]+x[0-9]+)?_(generic|neon|neon_dot|neon_i8mm|avx2|"
                              "avx512_vnni|amx)(_[a-z0-9]+)?$";
  regex_t compiled;
  ASSERT_EQ(::regcomp(&compiled, grammar.c_str(), REG_EXTENDED | REG_NOSUB), 0);
  EXPECT_NE(::regexec(&compiled, "gemm_f32_f32_q5_1x1_generic", 0, nullptr, 0), 0);
  std::set<std::string> names;
  for (const KernelInfo& kernel : all_kernels()) {
    EXPECT_EQ(::regexec(&compiled, kernel.name, 0, nullptr, 0), 0) << kernel.name;
    EXPECT_TRUE(names.insert(kernel.name).second) << kernel.name;
    // The longest one counts: gemm_panel is not gemm.
    EXPECT_EQ(longest_op_of(kernel.name), op_name(kernel.op)) << kernel.name;
  }
  ::regfree(&compiled);
}

TEST(Registry, TheLongestIsaTokenCounts) {
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_generic"), IsaLevel::kGeneric);
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_neon"), IsaLevel::kNeon);
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_neon_inorder"), IsaLevel::kNeon);
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_neon_dot"), IsaLevel::kNeonDot);
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_neon_dot_inorder"), IsaLevel::kNeonDot);
  EXPECT_EQ(level_of_kernel("gemv_f32_q8b32_q4b32_8x32_avx512_vnni_pf2"), IsaLevel::kAvx512Vnni);
}

// A tuning variant is a drop-in replacement of the kernel whose name lacks the tuning token. That
// there must be one also finds an ISA token with a typing error.
TEST(Registry, TuningVariantsStandBesideTheirKernel) {
  const auto kernels = all_kernels();
  for (const KernelInfo& kernel : kernels) {
    const std::string name = kernel.name;
    if (name.ends_with(isa_level_name(kernel.level))) continue;
    const std::string untuned = name.substr(0, name.rfind('_'));
    const auto base = std::find_if(kernels.begin(), kernels.end(),
                                   [&](const KernelInfo& other) { return other.name == untuned; });
    ASSERT_NE(base, kernels.end()) << "there is no " << untuned;
    EXPECT_EQ(base->op, kernel.op) << name;
    EXPECT_EQ(base->encoding, kernel.encoding) << name;
    EXPECT_EQ(base->features, kernel.features) << name;
    EXPECT_EQ(base->rows_max, kernel.rows_max) << name;
    EXPECT_LT(kernel.priority, base->priority) << name;
    EXPECT_EQ(base->layout, kernel.layout) << name;
    EXPECT_EQ(base->exactness, kernel.exactness) << name;
  }
}

// The source files of kernels: stem -> folder.
std::multimap<std::string, std::string> kernel_files() {
  std::multimap<std::string, std::string> files;
  const std::filesystem::path root = std::filesystem::path(MIDGE_SOURCE_DIR) / "kernels";
  for (const char* arch : {"generic", "arm64", "x86_64"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / arch)) {
      if (entry.path().extension() == ".cc") files.emplace(entry.path().stem(), arch);
    }
  }
  return files;
}

// The file of a kernel, or of its family: without the name of the weights' encoding.
std::string file_of(const KernelInfo& kernel,
                    const std::multimap<std::string, std::string>& files) {
  const std::string name = kernel.name;
  if (files.count(name) != 0) return name;
  const std::string token = std::string("_") + encoding_info(kernel.encoding).name + '_';
  const size_t at = name.rfind(token);
  return at == std::string::npos ? name : name.substr(0, at) + name.substr(at + token.size() - 1);
}

TEST(Registry, EveryKernelHasItsFile) {
  const std::multimap<std::string, std::string> files = kernel_files();
  for (const KernelInfo& kernel : all_kernels()) {
    const std::string file = file_of(kernel, files);
    ASSERT_EQ(files.count(file), 1u) << kernel.name;
#if defined(__aarch64__)
    const std::string arch = kernel.level == IsaLevel::kGeneric ? "generic" : "arm64";
#else
    const std::string arch = kernel.level == IsaLevel::kGeneric ? "generic" : "x86_64";
#endif
    EXPECT_EQ(files.find(file)->second, arch) << kernel.name;
  }
}

// What the compiler may use in a file, by the ISA token of its name (kernels/CMakeLists.txt).
CpuFeatures compiled_for(IsaLevel level) {
  return level == IsaLevel::kNeonI8mm ? cpu::kNeon | cpu::kI8mm : level_features(level);
}

TEST(Registry, FeaturesFitTheNames) {
  for (const KernelInfo& kernel : all_kernels()) {
    EXPECT_TRUE(kernel.features.has(compiled_for(kernel.level))) << kernel.name;
    EXPECT_TRUE(has_level(kernel.features | level_features(kernel.level), kernel.level));
    EXPECT_TRUE(level_features(kernel.level).has(kernel.features)) << kernel.name;
  }
}

TEST(Registry, PrioritiesDecide) {
  for (const KernelInfo& a : all_kernels()) {
    EXPECT_EQ(a.priority == 0, a.features == cpu::kNone) << a.name;
    for (const KernelInfo& b : all_kernels()) {
      if (&a != &b && a.op == b.op && a.encoding == b.encoding) {
        EXPECT_NE(a.priority, b.priority) << a.name << ' ' << b.name;
      }
    }
  }
}

TEST(Registry, TilesHoldTheRows) {
  for (const KernelInfo& kernel : all_kernels()) {
    const std::string tile = '_' + std::to_string(kernel.rows_max) + "x32_";
    if (kernel.op == Op::kGemv) {
      EXPECT_NE(std::string(kernel.name).find(tile), std::string::npos) << kernel.name;
    } else {
      EXPECT_EQ(kernel.rows_max, 0) << kernel.name;
    }
  }
}

TEST(Registry, EveryKernelHasASpecification) {
  for (const KernelInfo& kernel : all_kernels()) {
    EXPECT_NE(select_kernel(kernel.op, kernel.encoding), nullptr) << kernel.name;
  }
  // Every operation has a portable kernel for everything the loader accepts.
  for (int i = 0; i < kEncodingCount; ++i) {
    EXPECT_NE(select_kernel(Op::kGemm, static_cast<Encoding>(i)), nullptr);
    EXPECT_NE(select_kernel(Op::kDequantize, static_cast<Encoding>(i)), nullptr);
  }
}

TEST(Registry, PrefillKernelsHaveOrders) {
  for (const KernelInfo& kernel : all_kernels()) {
    const bool reads_lhs = kernel.op == Op::kQuantizePanel || kernel.op == Op::kGemmPanel;
    const bool has_panel = kernel.op == Op::kUnpack || kernel.op == Op::kGemmPanel;
    EXPECT_EQ(kernel.layout.lhs != LhsOrder::kNone, reads_lhs) << kernel.name;
    EXPECT_EQ(kernel.layout.panel != PanelOrder::kNone, has_panel) << kernel.name;
    if (reads_lhs) {
      const PanelShape shape = panel_shape(kernel.layout.lhs);
      EXPECT_EQ(shape.tokens % shape.step, 0) << kernel.name;
      EXPECT_EQ(kPanelColumns % shape.group, 0) << kernel.name;
    }
  }
}

// On a core that has what a gemm_panel needs and nothing else.
TEST(Registry, EveryGemmPanelHasItsPartners) {
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.op != Op::kGemmPanel) continue;
    for (const KernelInfo& other : all_kernels()) {
      if (other.op != Op::kQuantizePanel && other.op != Op::kUnpack) continue;
      EXPECT_NE(select_panel_kernel(other.op, other.encoding, kernel, {kernel.features}), nullptr)
          << kernel.name << ' ' << other.name;
    }
  }
}

}  // namespace
}  // namespace midge
