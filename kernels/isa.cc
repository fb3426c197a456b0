#include "kernels/isa.h"

namespace midge {
namespace {

struct Level {
  const char* name;
  CpuFeatures features;
};

constexpr CpuFeatures kAvx512Vnni = cpu::kAvx2 | cpu::kAvx512 | cpu::kVnni;

constexpr Level kLevels[kIsaLevelCount] = {
    {"generic", cpu::kNone},
    {"neon", cpu::kNeon},
    {"neon_dot", cpu::kNeon | cpu::kDot},
    {"neon_i8mm", cpu::kNeon | cpu::kDot | cpu::kI8mm},
    {"avx2", cpu::kAvx2},
    {"avx512_vnni", kAvx512Vnni},
    {"amx", kAvx512Vnni | cpu::kAmxInt8},
};

}  // namespace

const char* isa_level_name(IsaLevel level) { return kLevels[static_cast<int>(level)].name; }

bool find_isa_level(std::string_view name, IsaLevel* level) {
  for (int i = 0; i < kIsaLevelCount; ++i) {
    if (name == kLevels[i].name) {
      *level = static_cast<IsaLevel>(i);
      return true;
    }
  }
  return false;
}

CpuFeatures level_features(IsaLevel level) { return kLevels[static_cast<int>(level)].features; }

IsaLevel top_level(CpuFeatures features) {
  int level = kIsaLevelCount - 1;
  while (!has_level(features, static_cast<IsaLevel>(level))) --level;
  return static_cast<IsaLevel>(level);
}

}  // namespace midge
