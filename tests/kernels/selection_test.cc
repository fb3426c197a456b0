// The choice among kernels: by name for recorded CPUs, and what must hold for every CPU.
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
  IsaLevels levels;
};

std::vector<Cpu> cpus() {
#if defined(__aarch64__)
  return {{"nothing", {}},
          {"Cortex-A53", arm64_isa_levels(0x887, 0)},
          {"Cortex-A76", arm64_isa_levels(0x119FFF, 0)},
          {"Cortex-A510", arm64_isa_levels(0x119FFF, 0x2000)}};
#else
  return {{"nothing", {}},
          {"Haswell", x86_64_isa_levels({0x7FFAFBFF, 0x000027AB, 0, 0x07})},
          {"Skylake-X", x86_64_isa_levels({0x7FFEFBFF, 0xD39FFFFB, 0x00000008, 0x2FF})},
          {"Zen 4", x86_64_isa_levels({0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x2E7})},
          {"Sapphire Rapids",
           x86_64_isa_levels({0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x602E7, 0xFFDD4432, true})}};
#endif
}

IsaLevels all_levels() { return {(1u << kIsaLevelCount) - 1}; }

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
    {"nothing", Op::kGemv, Encoding::kQ5B32, 1, "none"},
    {"nothing", Op::kGemm, Encoding::kQ6B16S256, 1, "gemm_f32_f32_q6b16s256_1x1_generic"},
    {"nothing", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_generic"},
    {"nothing", Op::kAttn, Encoding::kQ8B32, 1, "none"},
#if defined(__aarch64__)
    {"Cortex-A53", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ4B32MS256, 1, "gemv_f32_q8b32_q4b32ms256_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ5B32MS256, 1, "gemv_f32_q8b32_q5b32ms256_8x32_neon"},
    {"Cortex-A53", Op::kGemv, Encoding::kQ6B16S256, 8, "gemv_f32_q8b32_q6b16s256_8x32_neon"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_1x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 2, "gemv_f32_q8b32_q4b32_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ4B32, 8, "gemv_f32_q8b32_q4b32_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ5B32MS256, 1, "gemv_f32_q8b32_q5b32ms256_8x32_neon_dot"},
    {"Cortex-A76", Op::kGemv, Encoding::kQ6B16S256, 1, "gemv_f32_q8b32_q6b16s256_8x32_neon_dot"},
    {"Cortex-A510", Op::kGemv, Encoding::kQ4B32, 4, "gemv_f32_q8b32_q4b32_8x32_neon_i8mm"},
    {"Cortex-A510", Op::kGemv, Encoding::kQ8B32, 4, "gemv_f32_q8b32_q8b32_8x32_neon_dot"},
#else
    {"Haswell", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_avx2"},
    {"Haswell", Op::kGemv, Encoding::kQ4B32MS256, 1, "gemv_f32_q8b32_q4b32ms256_8x32_avx2"},
    {"Haswell", Op::kGemv, Encoding::kQ5B32MS256, 4, "gemv_f32_q8b32_q5b32ms256_8x32_avx2"},
    {"Skylake-X", Op::kGemv, Encoding::kQ6B16S256, 8, "gemv_f32_q8b32_q6b16s256_8x32_avx2"},
    {"Zen 4", Op::kAttn, Encoding::kF32, 1, "attn_f32_f32_f32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ4B32, 8, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Zen 4", Op::kGemv, Encoding::kQ6B16S256, 3, "gemv_f32_q8b32_q6b16s256_8x32_avx512_vnni"},
    {"Zen 4", Op::kQuantize, Encoding::kF32, 1, "quantize_q8b32_f32_avx2"},
    {"Zen 4", Op::kUnpack, Encoding::kQ8B32, 1, "unpack_q8s256_q8b32_avx512_vnni"},
    {"Zen 4", Op::kGemmPanel, Encoding::kF32, 1, "gemm_panel_f32_q8s256_q8s256_8x32_avx512_vnni"},
    {"Sapphire Rapids", Op::kGemmPanel, Encoding::kF32, 1,
     "gemm_panel_f32_q8s256_q8s256_32x32_amx"},
    {"Sapphire Rapids", Op::kQuantizePanel, Encoding::kF32, 1, "quantize_panel_q8s256_f32_amx"},
    {"Sapphire Rapids", Op::kUnpack, Encoding::kQ6B16S256, 1, "unpack_q8s256_q6b16s256_amx"},
    {"Sapphire Rapids", Op::kGemv, Encoding::kQ4B32, 1, "gemv_f32_q8b32_q4b32_8x32_avx512_vnni"},
    {"Sapphire Rapids", Op::kQuantize, Encoding::kF32, 1, "quantize_q8b32_f32_avx2"},
    {"Sapphire Rapids", Op::kAttn, Encoding::kF16, 1, "attn_f32_f32_f16_avx512_vnni"},
    {"Sapphire Rapids", Op::kRmsnorm, Encoding::kF32, 1, "rmsnorm_f32_f32_avx2"},
#endif
};

TEST(Selection, ByName) {
  for (const Selection& s : kSelections) {
    for (const Cpu& cpu : cpus()) {
      if (std::string(cpu.name) != s.cpu) continue;
      EXPECT_EQ(selected(s.op, s.encoding, {cpu.levels, ""}, s.rows), s.kernel)
          << s.cpu << " rows " << s.rows;
    }
  }
}

TEST(Selection, NeverWhatTheCpuLacks) {
  for (const Cpu& cpu : cpus()) {
    for (const KernelInfo& kernel : all_kernels()) {
      for (int rows = 1; rows <= kGemvRowsMax; ++rows) {
        // Even if the user asks for it by name.
        for (const char* prefer : {"", kernel.name}) {
          const KernelInfo* chosen =
              select_kernel(kernel.op, kernel.encoding, {cpu.levels, prefer}, rows);
          ASSERT_NE(chosen, nullptr) << kernel.name;
          EXPECT_TRUE(cpu.levels.has(chosen->level)) << cpu.name << ' ' << chosen->name;
          EXPECT_TRUE(chosen->rows_max == 0 || chosen->rows_max >= rows) << chosen->name;
        }
      }
      EXPECT_TRUE(cpu.levels.has(panel_level({cpu.levels, kernel.name})));
    }
  }
}

TEST(Selection, PreferredNamesWin) {
  for (const KernelInfo& kernel : all_kernels()) {
    EXPECT_EQ(selected(kernel.op, kernel.encoding, {all_levels(), kernel.name}), kernel.name);
    // A pattern that no kernel of the operation matches changes nothing.
    EXPECT_EQ(selected(kernel.op, kernel.encoding, {all_levels(), "nothing_*"}),
              selected(kernel.op, kernel.encoding, {all_levels(), ""}));
    const KernelInfo* generic =
        select_kernel(kernel.op, kernel.encoding, {all_levels(), "*_generic"});
    EXPECT_EQ(generic->level, IsaLevel::kGeneric) << generic->name;
  }
}

TEST(Selection, UpTo) {
  IsaLevels arm;
  for (const IsaLevel level : {IsaLevel::kNeon, IsaLevel::kNeonDot, IsaLevel::kNeonI8mm}) {
    arm.add(level);
  }
  EXPECT_EQ(arm.top(), IsaLevel::kNeonI8mm);
  EXPECT_EQ(arm.up_to(IsaLevel::kNeonDot).top(), IsaLevel::kNeonDot);
  EXPECT_TRUE(arm.up_to(IsaLevel::kNeonDot).has(IsaLevel::kNeon));
  EXPECT_FALSE(arm.up_to(IsaLevel::kNeonDot).has(IsaLevel::kNeonI8mm));
  EXPECT_EQ(arm.up_to(IsaLevel::kGeneric).top(), IsaLevel::kGeneric);
  EXPECT_EQ(IsaLevels{}.up_to(IsaLevel::kAvx512Vnni).top(), IsaLevel::kGeneric);
  EXPECT_EQ(all_levels().up_to(IsaLevel::kAmx).bits, all_levels().bits);
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
      const KernelChoice choice = {cpu.levels, prefer};
      const IsaLevel level = panel_level(choice);
      const KernelTable table = make_kernel_table(choice);
      EXPECT_EQ(table.panel.tokens, panel_shape(level).tokens);
      EXPECT_EQ(table.panel.group, panel_shape(level).group);
      EXPECT_EQ(table.panel.step, panel_shape(level).step);
      EXPECT_EQ(table.panel.tokens % table.panel.step, 0);
      if (prefer.starts_with("gemm_panel")) {
        EXPECT_EQ(level, IsaLevel::kGeneric);
      }
      for (const KernelInfo& kernel : all_kernels()) {
        const auto is = [&](auto function) {
          return kernel.function == reinterpret_cast<void (*)()>(function);
        };
        if (is(table.gemm_panel) || is(table.quantize_panel)) {
          EXPECT_EQ(kernel.level, level) << cpu.name << ' ' << kernel.name;
        }
        if (kernel.op == Op::kUnpack && is(table.unpack[static_cast<int>(kernel.encoding)])) {
          EXPECT_EQ(kernel.level, level) << cpu.name << ' ' << kernel.name;
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
