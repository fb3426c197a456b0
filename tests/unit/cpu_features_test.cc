// The features and levels of recorded CPUs, and of this one.
#include <gtest/gtest.h>

#include "engine/platform/cpu_features.h"
#include "tests/harness/expected_levels.h"

namespace midge {
namespace {

using test::arm64_words;
using test::Arm64Words;
using test::expected_level_names;
using test::level_names;

struct Arm64Case {
  const char* cpu;
  const char* features;  // of /proc/cpuinfo
  const char* levels;
};

constexpr Arm64Case kArm64Cases[] = {
    {"no Advanced SIMD", "cpuid", "generic"},
    {"Cortex-A53 (Raspberry Pi 3)", "fp asimd evtstrm crc32 cpuid", "generic neon"},
    {"Cortex-A72 (Graviton 1)", "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid", "generic neon"},
    {"Cortex-A76 (Raspberry Pi 5)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
     "asimddp",
     "generic neon neon_dot"},
    {"Cortex-A55 (RK3568)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
     "asimddp",
     "generic neon neon_dot"},
    {"Cortex-X1 (Tensor G1)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
     "asimddp",
     "generic neon neon_dot"},
    {"Neoverse N1 (Graviton 2)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
     "asimddp ssbs",
     "generic neon neon_dot"},
    {"Cortex-A510 (Snapdragon 8 Gen 1, SVE hidden by the system)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
     "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg "
     "dcpodp flagm2 frint i8mm bf16 bti",
     "generic neon neon_dot neon_i8mm"},
    {"Neoverse V1 (Graviton 3)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
     "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs paca pacg "
     "dcpodp svei8mm svebf16 i8mm bf16 dgh rng",
     "generic neon neon_dot neon_i8mm"},
    {"Neoverse N2 (Cobalt 100)",
     "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
     "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm uscat ilrcpc flagm ssbs sb dcpodp sve2 "
     "sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svebf16 i8mm bf16",
     "generic neon neon_dot neon_i8mm"},
};

TEST(CpuFeatures, RecordedArm64) {
  for (const Arm64Case& c : kArm64Cases) {
    const Arm64Words words = arm64_words(c.features);
    EXPECT_EQ(level_names(arm64_features(words.hwcap, words.hwcap2)), c.levels) << c.cpu;
    EXPECT_EQ(words.unknown, "") << c.cpu;
  }
  // The words themselves, so that the table of names above is not its own witness.
  EXPECT_EQ(level_names(arm64_features(0x887, 0)), "generic neon");              // Raspberry Pi 3
  EXPECT_EQ(level_names(arm64_features(0x119FFF, 0)), "generic neon neon_dot");  // Graviton 2
  EXPECT_EQ(arm64_words(kArm64Cases[3].features).hwcap, 0x119FFFu);
  EXPECT_EQ(level_names(arm64_features(0x119FFF, 0x2000)), "generic neon neon_dot neon_i8mm");
  // i8mm without the dot product, which no core has, is not the level, but it is a feature.
  EXPECT_EQ(level_names(arm64_features(0x887, 0x2000)), "generic neon");
  EXPECT_EQ(arm64_features(0x887, 0x2000), cpu::kNeon | cpu::kI8mm);
  EXPECT_EQ(arm64_words("fp asimdd asimd").unknown, "asimdd ");
}

// Features without a rank: what has one need not have the others.
TEST(CpuFeatures, ScalableVectorsOfArm64) {
  const auto features = [](const char* words) {
    const Arm64Words w = arm64_words(words);
    EXPECT_EQ(w.unknown, "");
    return arm64_features(w.hwcap, w.hwcap2);
  };
  EXPECT_EQ(features("asimd asimddp sve"), cpu::kNeon | cpu::kDot | cpu::kSve);  // A64FX with dot
  EXPECT_EQ(features("asimd asimddp sve sve2"),
            cpu::kNeon | cpu::kDot | cpu::kSve | cpu::kSve2);  // SVE2 without i8mm
  EXPECT_EQ(features("asimd asimddp sve sve2 svei8mm i8mm"),
            cpu::kNeon | cpu::kDot | cpu::kSve | cpu::kSve2 | cpu::kSveI8mm | cpu::kI8mm);
  EXPECT_EQ(features("asimd asimddp i8mm sme smei8i32"),
            cpu::kNeon | cpu::kDot | cpu::kI8mm | cpu::kSme | cpu::kSmeI8I32);  // SME without SME2
  EXPECT_EQ(features("asimd sme sme2"), cpu::kNeon | cpu::kSme | cpu::kSme2);
  // The bits of Linux's hwcap.h, so that the table of names is not its own witness.
  EXPECT_EQ(arm64_words("sve").hwcap, uint64_t{1} << 22);
  EXPECT_EQ(arm64_words("sve2 svei8mm sme smei8i32 sme2").hwcap2,
            uint64_t{1} << 1 | uint64_t{1} << 9 | uint64_t{1} << 23 | uint64_t{1} << 26 |
                uint64_t{1} << 37);
}

struct X86Case {
  const char* cpu;
  X86Words words;
  const char* levels;
};

constexpr X86Case kX86Cases[] = {
    {"Nehalem", {0x0098E3BD, 0, 0, 0}, "generic"},
    {"Ivy Bridge: AVX and F16C, no AVX2", {0x7FBAE3FF, 0x00000281, 0, 0x07}, "generic"},
    {"Haswell", {0x7FFAFBFF, 0x000027AB, 0, 0x07}, "generic avx2"},
    {"Zen 2", {0x7ED8320B, 0x219C91A9, 0x00400004, 0x207}, "generic avx2"},
    {"Alder Lake: AVX-VNNI, no AVX-512",
     {0x7FFAFBFF, 0x239CA7EB, 0x98C027AC, 0x207},
     "generic avx2"},
    {"Skylake-X: AVX-512 without VNNI",
     {0x7FFEFBFF, 0xD39FFFFB, 0x00000008, 0x2FF},
     "generic avx2"},
    {"Cascade Lake", {0x7FFEFBFF, 0xD39FFFFB, 0x00000808, 0x2FF}, "generic avx2 avx512_vnni"},
    {"Zen 4", {0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x2E7}, "generic avx2 avx512_vnni"},
    {"Sapphire Rapids",
     {0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x602E7, 0xFFDD4432, true},
     "generic avx2 avx512_vnni amx"},
    {"Sapphire Rapids, the system refuses the permission",
     {0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x602E7, 0xFFDD4432, false},
     "generic avx2 avx512_vnni"},
    {"Sapphire Rapids, the system saves no data of tiles",
     {0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x202E7, 0xFFDD4432, true},
     "generic avx2 avx512_vnni"},
    {"Sapphire Rapids, tiles without int8",
     {0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x602E7, 0xFDDD4432, true},
     "generic avx2 avx512_vnni"},
    {"Sapphire Rapids, the system saves tiles but no zmm",
     {0x7FFEFBFF, 0xF3BFB7EF, 0xFB417FFE, 0x60207, 0xFFDD4432, true},
     "generic avx2"},
    {"Zen 4, the system saves no zmm", {0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x07}, "generic avx2"},
    {"Zen 4, the system saves mask registers and lower zmm only",
     {0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x67},
     "generic avx2"},
    {"Zen 4, the system saves no ymm", {0x7ED8320B, 0xF1BF97A9, 0x00405FCE, 0x03}, "generic"},
    {"Zen 4, no OSXSAVE", {0x76D8320B, 0xF1BF97A9, 0x00405FCE, 0}, "generic"},
};

TEST(CpuFeatures, RecordedX86) {
  for (const X86Case& c : kX86Cases) {
    EXPECT_EQ(level_names(x86_64_features(c.words)), c.levels) << c.cpu;
  }
}

TEST(CpuFeatures, SetsOfFeatures) {
  const CpuFeatures some = cpu::kNeon | cpu::kDot;
  EXPECT_TRUE(some.has(cpu::kNone));
  EXPECT_TRUE(some.has(cpu::kDot));
  EXPECT_TRUE(some.has(some));
  EXPECT_FALSE(some.has(cpu::kDot | cpu::kI8mm));
  // Flags of their own.
  CpuFeatures all;
  for (const CpuFeatures feature :
       {cpu::kNeon, cpu::kDot, cpu::kI8mm, cpu::kSve, cpu::kSve2, cpu::kSveI8mm, cpu::kSme,
        cpu::kSmeI8I32, cpu::kSme2, cpu::kAvx2, cpu::kAvx512, cpu::kVnni, cpu::kAmxInt8}) {
    EXPECT_EQ(all & feature, cpu::kNone);
    EXPECT_NE(feature, cpu::kNone);
    all |= feature;
  }
}

TEST(CpuFeatures, ThisMachine) {
  EXPECT_EQ(level_names(detect_cpu_features()), expected_level_names());
}

}  // namespace
}  // namespace midge
