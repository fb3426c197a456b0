// The choice among kernels: by name for recorded CPUs, and what must hold for every CPU.
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/platform/cpu_features.h"
#include "kernels/kernels.h"

namespace midge {
namespace {

std::string selected(Op op, Encoding encoding, const KernelChoice& choice = {}, int rows = 1) {
  const KernelInfo* kernel = select_kernel(op, encoding, choice, rows);
  return kernel == nullptr ? "none" : kernel->name;
}

// CPUs of this build's architecture, see tests/unit/cpu_features_test.cc.
struct Cpu {
  const char* name;
  CpuFeatures features;
};

std::vector<Cpu> cpus() {
#if defined(__aarch64__)
  return {{"nothing", {}},
          {"Cortex-A53", arm64_features(0x887, 0)},
          {"Cortex-A76", arm64_features(0x119FFF, 0)},
          {"Cortex-A510", arm64_features(0x119FFF, 0x2000)},
          {"i8mm without dot", cpu::kNeon | cpu::kI8mm}};
#else
  return {{"nothing", {}},
          {"Haswell", x86_64_features({0x7FFAFBFF, 0x000027AB, 0, 0x07})},
          {"Skylake-X", x86_64_features({0x7FFEFBFF, 0xD39FFFFB, 0x00000008, 0x2FF})},
          {"Zen 4", x86_64_features({0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x2E7})},
          {"Sapphire Rapids",
           x86_64_features({0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x602E7, 0xFFDD4432, true})}};
#endif
}

CpuFeatures all_features() { return {~0u}; }

struct Selection {
  const char* cpu;
  Op op;
  Encoding encoding;
  int rows;
  const char* kernel;
};

constexpr Selection kSelections[] = {
    {"nothing", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_8x32_generic"},
    {"nothing", Op::kGemv, Encoding::kQ4B32, 8, "gemv_f32_q8b32_q4b32_8x32_generic"},
    {"nothing", Op::kGemv, Encoding::kQ4B32, 9, "none"},
    {"nothing", Op::kGemv, Encoding::kBF16, 1, "none"},
    {"nothing", Op::kGemm, Encoding::kQ6B16S256, 1, "gemm_f32_f32_q6b16s256_1x1_generic"},
    {"nothing", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_generic"},
    {"nothing", Op::kAttn, Encoding::kQ8B32, 1, "none"},
#if defined(__aarch64__)
    {"Cortex-A53", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ4B32MS256, 1, "gemv_f32_q8b32_q4b32ms256_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ5B32MS256, 1, "gemv_f32_q8b32_q5b32ms256_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ6B16S256, 8, "gemv_f32_q8b32_q6b16s256_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ4B32M, 1, "gemv_f32_q8b32_q4b32m_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ5B32, 8, "gemv_f32_q8b32_q5b32_8x32_neon"},
    {"Cortex-A53", Op::kUnpack, Encoding::kQ5B32M, 1, "unpack_q8s256_q5b32m_neon"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_1x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 2, "gemv_f32_q8b32_q4b32_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 8, "gemv_f32_q8b32_q4b32_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ5B32MS256, 1, "gemv_f32_q8b32_q5b32ms256_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ6B16S256, 1, "gemv_f32_q8b32_q6b16s256_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32M, 8, "gemv_f32_q8b32_q4b32m_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ5B32, 1, "gemv_f32_q8b32_q5b32_8x32_neon_dot"},
    {"Cortex-A76", Op::kUnpack, Encoding::kQ4B32M, 1, "unpack_q8s256_q4b32m_neon_dot"},
    {"Cortex-A510", Op::kGemv, Encoding::kQ5B32M, 4, "gemv_f32_q8b32_q5b32m_8x32_neon_dot"},
    {"Cortex-A510", Op::kUnpack, Encoding::kQ5B32, 1, "unpack_q8s256_q5b32_neon_i8mm"},
    {"Cortex-A510", Op::kGemv, Encoding::kQ4B32, 4, "gemv_f32_q8b32_q4b32_8x32_neon_i8mm"},
    {"Cortex-A510", Op::kGemv, Encoding::kQ8B32, 4, "gemv_f32_q8b32_q8b32_8x32_neon_dot"},
    {"Cortex-A510", Op::kGemmPanel, Encoding::kF32, 1,
     "gemm_panel_f32_q8s256_q8s256_8x32_neon_i8mm"},
    {"Cortex-A510", Op::kUnpack, Encoding::kQ8B32, 1, "unpack_q8s256_q8b32_neon_i8mm"},
    {"Cortex-A76", Op::kUnpack, Encoding::kQ8B32, 1, "unpack_q8s256_q8b32_neon_dot"},
    // Features, not ranks: what uses sdot beside smmla is out, what does not is in.
    {"i8mm without dot", Op::kGemv, Encoding::kQ4B32, 4, "gemv_f32_q8b32_q4b32_8x32_neon"},
    {"i8mm without dot", Op::kGemmPanel, Encoding::kF32, 1,
     "gemm_panel_f32_q8s256_q8s256_8x32_neon_i8mm"},
    {"i8mm without dot", Op::kQuantizePanel, Encoding::kF32, 1,
     "quantize_panel_q8s256_f32_neon_i8mm"},
#else
    {"Haswell", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_avx2"},
    {"Haswell", Op::kGemv, Encoding::kQ4B32MS256, 1, "gemv_f32_q8b32_q4b32ms256_8x32_avx2"},
    {"Haswell", Op::kGemv, Encoding::kQ5B32MS256, 4, "gemv_f32_q8b32_q5b32ms256_8x32_avx2"},
    {"Haswell", Op::kGemv, Encoding::kQ4B32M, 1, "gemv_f32_q8b32_q4b32m_8x32_avx2"},
    {"Haswell", Op::kUnpack, Encoding::kQ5B32, 1, "unpack_q8s256_q5b32_avx2"},
    {"Skylake-X", Op::kGemv, Encoding::kQ6B16S256, 8, "gemv_f32_q8b32_q6b16s256_8x32_avx2"},
    {"Zen 4", Op::kAttn, Encoding::kF32, 1, "attn_f32_f32_f32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ4B32, 8, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ6B16S256, 3, "gemv_f32_q8b32_q6b16s256_8x32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ5B32, 1, "gemv_f32_q8b32_q5b32_8x32_avx512_vnni"},
    {"Zen 4", Op::kUnpack, Encoding::kQ5B32M, 1, "unpack_q8s256_q5b32m_avx512_vnni"},
    {"Zen 4", Op::kQuantize, Encoding::kF32, 1, "quantize_q8b32_f32_avx2"},
    {"Zen 4", Op::kUnpack, Encoding::kQ8B32, 1, "unpack_q8s256_q8b32_avx512_vnni"},
    {"Zen 4", Op::kGemmPanel, Encoding::kF32, 1, "gemm_panel_f32_q8s256_q8s256_8x32_avx512_vnni"},
    {"Sapphire Rapids", Op::kGemmPanel, Encoding::kF32, 1,
     "gemm_panel_f32_q8s256_q8s256_32x32_amx"},
    {"Sapphire Rapids", Op::kQuantizePanel, Encoding::kF32, 1,
     "quantize_panel_q8s256_f32_avx512_vnni"},
    {"Sapphire Rapids", Op::kUnpack, Encoding::kQ6B16S256, 1, "unpack_q8s256_q6b16s256_amx"},
    {"Sapphire Rapids", Op::kUnpack, Encoding::kQ4B32M, 1, "unpack_q8s256_q4b32m_amx"},
    {"Sapphire Rapids", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Sapphire Rapids", Op::kQuantize, Encoding::kF32, 1, "quantize_q8b32_f32_avx2"},
    {"Sapphire Rapids", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_avx512_vnni"},
    {"Sapphire Rapids", Op::kRmsnorm, Encoding::kF32, 1, "rmsnorm_f32_f32_avx2"},
#endif
};

TEST(Selection, ByName) {
  std::set<std::string> unused;
  for (const Cpu& cpu : cpus()) unused.insert(cpu.name);
  const std::set<std::string> known = unused;
  for (const Selection& s : kSelections) {
    EXPECT_EQ(known.count(s.cpu), 1u) << "no such CPU: " << s.cpu;
    unused.erase(s.cpu);
    for (const Cpu& cpu : cpus()) {
      if (std::string(cpu.name) != s.cpu) continue;
      EXPECT_EQ(selected(s.op, s.encoding, {cpu.features, ""}, s.rows), s.kernel)
          << s.cpu << " rows " << s.rows;
    }
  }
  EXPECT_TRUE(unused.empty()) << "nothing is asked of " << *unused.begin();
}

TEST(Selection, NeverWhatTheCpuLacks) {
  for (const Cpu& cpu : cpus()) {
    for (const KernelInfo& kernel : all_kernels()) {
      for (int rows = 1; rows <= kGemvRowsMax; ++rows) {
        // Even if the user asks for it by name.
        for (const char* prefer : {"", kernel.name}) {
          const KernelInfo* chosen =
              select_kernel(kernel.op, kernel.encoding, {cpu.features, prefer}, rows);
          ASSERT_NE(chosen, nullptr) << kernel.name;
          EXPECT_TRUE(cpu.features.has(chosen->features)) << cpu.name << ' ' << chosen->name;
          EXPECT_TRUE(chosen->rows_max == 0 || chosen->rows_max >= rows) << chosen->name;
        }
      }
    }
  }
}

TEST(Selection, PreferredNamesWin) {
  for (const KernelInfo& kernel : all_kernels()) {
    // A pattern that no kernel of the operation matches changes nothing.
    EXPECT_EQ(selected(kernel.op, kernel.encoding, {all_features(), "nothing_*"}),
              selected(kernel.op, kernel.encoding, {all_features(), ""}));
    const KernelChoice by_name = {all_features(), kernel.name};
    if (kernel.op == Op::kQuantizePanel || kernel.op == Op::kUnpack) {
      // Among those that fit; a name does not make others fit.
      EXPECT_EQ(select_panel_kernel(kernel.op, kernel.encoding, kernel, by_name), &kernel);
      const KernelInfo* gemm = select_kernel(Op::kGemmPanel, Encoding::kF32, by_name);
      const KernelInfo* chosen = select_kernel(kernel.op, kernel.encoding, by_name);
      EXPECT_EQ(chosen, select_panel_kernel(kernel.op, kernel.encoding, *gemm, by_name))
          << kernel.name;
      continue;
    }
    EXPECT_EQ(selected(kernel.op, kernel.encoding, by_name), kernel.name);
    const KernelInfo* generic =
        select_kernel(kernel.op, kernel.encoding, {all_features(), "*_generic"});
    EXPECT_EQ(generic->level, IsaLevel::kGeneric) << generic->name;
  }
}

TEST(Selection, UpTo) {
  const CpuFeatures arm = cpu::kNeon | cpu::kDot | cpu::kI8mm;
  EXPECT_EQ(top_level(arm), IsaLevel::kNeonI8mm);
  EXPECT_EQ(top_level(up_to_level(arm, IsaLevel::kNeonDot)), IsaLevel::kNeonDot);
  EXPECT_TRUE(has_level(up_to_level(arm, IsaLevel::kNeonDot), IsaLevel::kNeon));
  EXPECT_FALSE(has_level(up_to_level(arm, IsaLevel::kNeonDot), IsaLevel::kNeonI8mm));
  EXPECT_EQ(top_level(up_to_level(arm, IsaLevel::kGeneric)), IsaLevel::kGeneric);
  EXPECT_EQ(top_level(up_to_level({}, IsaLevel::kAvx512Vnni)), IsaLevel::kGeneric);
  EXPECT_EQ(top_level(cpu::kNeon | cpu::kI8mm), IsaLevel::kNeon);
  EXPECT_EQ(top_level(up_to_level(all_features(), IsaLevel::kAmx)), IsaLevel::kAmx);
}

TEST(Selection, LevelNames) {
  for (int i = 0; i < kIsaLevelCount; ++i) {
    IsaLevel level = IsaLevel::kGeneric;
    EXPECT_TRUE(find_isa_level(isa_level_name(static_cast<IsaLevel>(i)), &level));
    EXPECT_EQ(static_cast<int>(level), i);
  }
  IsaLevel level = IsaLevel::kNeon;
  EXPECT_FALSE(find_isa_level("neon_", &level));
  EXPECT_EQ(level, IsaLevel::kNeon);
}

TEST(Selection, PanelsGoTogether) {
  for (const Cpu& cpu : cpus()) {
    for (const std::string prefer : {"", "gemm_panel_*_generic", "unpack_*_generic"}) {
      const KernelChoice choice = {cpu.features, prefer};
      const KernelInfo* gemm = select_kernel(Op::kGemmPanel, Encoding::kF32, choice);
      if (prefer.starts_with("gemm_panel")) {
        EXPECT_EQ(gemm->level, IsaLevel::kGeneric);
      }
      const KernelTable table = make_kernel_table(choice);
      EXPECT_EQ(table.lhs_order, gemm->layout.lhs);
      EXPECT_EQ(table.panel, panel_shape(gemm->layout.lhs));
      for (const KernelInfo& kernel : all_kernels()) {
        const auto is = [&](auto function) {
          return kernel.function == reinterpret_cast<void (*)()>(function);
        };
        if (is(table.quantize_panel)) {
          EXPECT_EQ(kernel.layout.lhs, gemm->layout.lhs) << cpu.name << ' ' << kernel.name;
        }
        if (kernel.op == Op::kUnpack && is(table.unpack[static_cast<int>(kernel.encoding)])) {
          EXPECT_EQ(kernel.layout.panel, gemm->layout.panel) << cpu.name << ' ' << kernel.name;
        }
      }
    }
  }
}

TEST(Selection, Globs) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("gemv_*_neon_dot", "gemv_f32_q8b32_q4b32_1x32_neon_dot"));
  EXPECT_TRUE(matches_glob("*q4b32?_*", "unpack_q8s256_q4b32m_neon"));
  EXPECT_TRUE(matches_glob("a*b*c", "abbbabc"));
  EXPECT_FALSE(matches_glob("gemv_*_neon", "gemv_f32_neon_dot"));
  EXPECT_FALSE(matches_glob("gemv", "gemv_f32"));
  EXPECT_FALSE(matches_glob("?", ""));
  EXPECT_FALSE(matches_glob("", "a"));
}

}  // namespace
}  // namespace midge
