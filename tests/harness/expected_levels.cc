#include "tests/harness/expected_levels.h"

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>

#include "engine/platform/cpu_features.h"

namespace midge::test {
namespace {

// Names of the bits of AT_HWCAP as in the "Features" line of /proc/cpuinfo, then of AT_HWCAP2
// (Linux, arch/arm64/kernel/cpuinfo.c). Later ones are left out.
constexpr const char* kHwcapNames[] = {
    "fp",      "asimd", "evtstrm", "aes",   "pmull",    "sha1",   "sha2", "crc32",
    "atomics", "fphp",  "asimdhp", "cpuid", "asimdrdm", "jscvt",  "fcma", "lrcpc",
    "dcpop",   "sha3",  "sm3",     "sm4",   "asimddp",  "sha512", "sve",  "asimdfhm",
    "dit",     "uscat", "ilrcpc",  "flagm", "ssbs",     "sb",     "paca", "pacg"};
constexpr const char* kHwcap2Names[] = {
    "dcpodp",    "sve2",      "sveaes",  "svepmull",  "svebitperm", "svesha3",  "svesm4",
    "flagm2",    "frint",     "svei8mm", "svef32mm",  "svef64mm",   "svebf16",  "i8mm",
    "bf16",      "dgh",       "rng",     "bti",       "mte",        "ecv",      "afp",
    "rpres",     "mte3",      "sme",     "smei16i64", "smef64f64",  "smei8i32", "smef16f32",
    "smeb16f32", "smef32f32", "smefa64", "wfxt",      "ebf16",      "sveebf16", "cssc",
    "rprfm",     "sve2p1",    "sme2",    "sme2p1"};

#ifndef MIDGE_EMULATED
// The value of a line "KEY : VALUE" of /proc/cpuinfo; empty without one.
std::string cpuinfo_line(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && line.rfind(key, 0) == 0) return line.substr(colon + 1) + " ";
  }
  return "";
}
#endif

}  // namespace

std::string level_names(CpuFeatures features) {
  std::string text;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    if (!has_level(features, level)) continue;
    if (!text.empty()) text += ' ';
    text += isa_level_name(level);
  }
  return text;
}

Arm64Words arm64_words(const std::string& features) {
  Arm64Words words;
  std::istringstream stream(features);
  std::string feature;
  while (stream >> feature) {
    bool is_known = false;
    for (size_t i = 0; i < std::size(kHwcapNames); ++i) {
      if (feature != kHwcapNames[i]) continue;
      words.hwcap |= uint64_t{1} << i;
      is_known = true;
    }
    for (size_t i = 0; i < std::size(kHwcap2Names); ++i) {
      if (feature != kHwcap2Names[i]) continue;
      words.hwcap2 |= uint64_t{1} << i;
      is_known = true;
    }
    if (!is_known) words.unknown += feature + ' ';
  }
  return words;
}

std::string expected_level_names() {
#ifdef MIDGE_EMULATED
  const char* variable = std::getenv("QEMU_CPU");
  const std::string cpu = variable == nullptr ? "max" : variable;
  if (cpu == "cortex-a53" || cpu == "cortex-a72") return "generic neon";
  if (cpu == "cortex-a76" || cpu == "neoverse-n1") return "generic neon neon_dot";
  if (cpu.rfind("max", 0) == 0) return "generic neon neon_dot neon_i8mm";
  return "unknown QEMU_CPU " + cpu;
#elif defined(__aarch64__)
  const Arm64Words words = arm64_words(cpuinfo_line("Features"));
  return level_names(arm64_features(words.hwcap, words.hwcap2));
#elif defined(__x86_64__)
  const std::string flags = cpuinfo_line("flags");
  const auto has_all = [&](std::initializer_list<const char*> wanted) {
    for (const char* flag : wanted) {
      const std::string word = ' ' + std::string(flag) + ' ';
      if (flags.find(word) == std::string::npos) return false;
    }
    return true;
  };
  // Linux clears the flags of registers that it does not save.
  if (!has_all({"avx2", "fma", "f16c"})) return "generic";
  if (!has_all({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})) {
    return "generic avx2";
  }
  if (!has_all({"amx_tile", "amx_int8"})) return "generic avx2 avx512_vnni";
  return "generic avx2 avx512_vnni amx";
#else
  return "generic";
#endif
}

}  // namespace midge::test
