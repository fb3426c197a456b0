// The list of kernels: names, files, completeness.
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
                              "avx512_vnni|amx)$";
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

// The source files below kernels/ that are kernels: in generic/, arm64/ or x86_64/ and named by a
// level. Stem -> folder.
std::multimap<std::string, std::string> kernel_files() {
  std::multimap<std::string, std::string> files;
  const std::filesystem::path root = std::filesystem::path(MIDGE_SOURCE_DIR) / "kernels";
  for (const char* arch : {"generic", "arm64", "x86_64"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / arch)) {
      const std::filesystem::path& path = entry.path();
      if (path.extension() == ".cc" && !longest_level_of(path.stem()).empty()) {
        files.emplace(path.stem(), arch);
      }
    }
  }
  return files;
}

TEST(Registry, EveryKernelHasItsFile) {
  const std::multimap<std::string, std::string> files = kernel_files();
  for (const KernelInfo& kernel : all_kernels()) {
    ASSERT_EQ(files.count(kernel.name), 1u) << kernel.name;
#if defined(__aarch64__)
    const std::string arch = kernel.level == IsaLevel::kGeneric ? "generic" : "arm64";
#else
    const std::string arch = kernel.level == IsaLevel::kGeneric ? "generic" : "x86_64";
#endif
    EXPECT_EQ(files.find(kernel.name)->second, arch) << kernel.name;
  }
}

TEST(Registry, EveryFileIsAKernel) {
  std::ifstream file(std::string(MIDGE_SOURCE_DIR) + "/kernels/kernels.def");
  const std::string list((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const auto& [name, arch] : kernel_files()) {
    const size_t at = list.find(' ' + name + ',');
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_EQ(list.find(' ' + name + ',', at + 1), std::string::npos) << name;
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

TEST(Registry, ALevelHasAllPrefillKernelsOrNone) {
  std::set<std::pair<Op, Encoding>> wanted;
  std::map<IsaLevel, std::set<std::pair<Op, Encoding>>> found;
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.op != Op::kQuantizePanel && kernel.op != Op::kUnpack &&
        kernel.op != Op::kGemmPanel) {
      continue;
    }
    found[kernel.level].emplace(kernel.op, kernel.encoding);
    wanted.emplace(kernel.op, kernel.encoding);
  }
  for (const auto& [level, kernels] : found) EXPECT_EQ(kernels, wanted) << isa_level_name(level);
}

}  // namespace
}  // namespace midge
