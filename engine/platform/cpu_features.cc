#include "engine/platform/cpu_features.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace midge {
namespace {

constexpr bool bit(uint64_t word, int index) { return (word >> index & 1) != 0; }

// Linux, arch/arm64/include/uapi/asm/hwcap.h. Spelt out, because the C library's header does not
// know the later ones everywhere.
constexpr int kHwcapAsimd = 1;
constexpr int kHwcapAsimdDp = 20;
constexpr int kHwcapSve = 22;
constexpr int kHwcap2Sve2 = 1;
constexpr int kHwcap2SveI8mm = 9;
constexpr int kHwcap2I8mm = 13;
constexpr int kHwcap2Sme = 23;
constexpr int kHwcap2SmeI8I32 = 26;
constexpr int kHwcap2Sme2 = 37;

// Intel's manual, volume 2A, CPUID.
constexpr int kLeaf1EcxFma = 12;
[[maybe_unused]] constexpr int kLeaf1EcxOsxsave = 27;  // where the words are read
constexpr int kLeaf1EcxF16c = 29;
constexpr int kLeaf7EbxAvx2 = 5;
constexpr int kLeaf7EbxAvx512F = 16;
constexpr int kLeaf7EbxAvx512Dq = 17;
constexpr int kLeaf7EbxAvx512Bw = 30;
constexpr int kLeaf7EbxAvx512Vl = 31;
constexpr int kLeaf7EcxAvx512Vnni = 11;
constexpr int kLeaf7EdxAmxTile = 24;
constexpr int kLeaf7EdxAmxInt8 = 25;
// XCR0: xmm and ymm; mask registers, upper halves of zmm0-15, zmm16-31; shapes and data of tiles.
constexpr uint64_t kXcr0Avx = 0x06;
constexpr uint64_t kXcr0Avx512 = 0xE6;
constexpr uint64_t kXcr0Amx = 0x60000;

// The instructions, and registers that the system can save.
bool has_amx(const X86Words& words) {
  return bit(words.leaf7_edx, kLeaf7EdxAmxTile) && bit(words.leaf7_edx, kLeaf7EdxAmxInt8) &&
         (words.xcr0 & kXcr0Amx) == kXcr0Amx;
}

#if defined(__x86_64__)
bool request_tile_permission() {
#if defined(__linux__)
  // Linux, Documentation/arch/x86/xstate.rst. Spelt out, because older headers lack them.
  constexpr int kArchReqXcompPerm = 0x1023;
  constexpr int kXfeatureXtiledata = 18;
  return ::syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
#else
  return false;
#endif
}

X86Words read_x86_words() {
  X86Words words = {};
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) words.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    words.leaf7_ebx = ebx;
    words.leaf7_ecx = ecx;
    words.leaf7_edx = edx;
  }
  if (bit(words.leaf1_ecx, kLeaf1EcxOsxsave)) {
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    words.xcr0 = uint64_t{edx} << 32 | eax;
  }
  words.tile_permission = has_amx(words) && request_tile_permission();
  return words;
}
#endif

}  // namespace

CpuFeatures arm64_features(uint64_t hwcap, uint64_t hwcap2) {
  CpuFeatures features;
  const auto add = [&](uint64_t word, int index, CpuFeatures feature) {
    if (bit(word, index)) features |= feature;
  };
  add(hwcap, kHwcapAsimd, cpu::kNeon);
  add(hwcap, kHwcapAsimdDp, cpu::kDot);
  add(hwcap, kHwcapSve, cpu::kSve);
  add(hwcap2, kHwcap2Sve2, cpu::kSve2);
  add(hwcap2, kHwcap2SveI8mm, cpu::kSveI8mm);
  add(hwcap2, kHwcap2I8mm, cpu::kI8mm);
  add(hwcap2, kHwcap2Sme, cpu::kSme);
  add(hwcap2, kHwcap2SmeI8I32, cpu::kSmeI8I32);
  add(hwcap2, kHwcap2Sme2, cpu::kSme2);
  return features;
}

CpuFeatures x86_64_features(const X86Words& words) {
  const auto saves = [&](uint64_t registers) { return (words.xcr0 & registers) == registers; };
  CpuFeatures features;
  if (saves(kXcr0Avx) && bit(words.leaf1_ecx, kLeaf1EcxFma) &&
      bit(words.leaf1_ecx, kLeaf1EcxF16c) && bit(words.leaf7_ebx, kLeaf7EbxAvx2)) {
    features |= cpu::kAvx2;
  }
  if (saves(kXcr0Avx512) && bit(words.leaf7_ebx, kLeaf7EbxAvx512F) &&
      bit(words.leaf7_ebx, kLeaf7EbxAvx512Dq) && bit(words.leaf7_ebx, kLeaf7EbxAvx512Bw) &&
      bit(words.leaf7_ebx, kLeaf7EbxAvx512Vl)) {
    features |= cpu::kAvx512;
    if (bit(words.leaf7_ecx, kLeaf7EcxAvx512Vnni)) features |= cpu::kVnni;
  }
  if (has_amx(words) && words.tile_permission) features |= cpu::kAmxInt8;
  return features;
}

CpuFeatures detect_cpu_features() {
#if defined(__aarch64__) && defined(__linux__)
  return arm64_features(::getauxval(AT_HWCAP), ::getauxval(AT_HWCAP2));
#elif defined(__x86_64__)
  return x86_64_features(read_x86_words());
#else
  return {};
#endif
}

}  // namespace midge
