// Part numbers: Linux, arch/arm64/include/asm/cputype.h. Products per cycle: Arm's Software
// Optimization Guides of the designs ("ASIMD dot product", or "ASIMD multiply long" where there is
// none); of designs without a public guide, the number of 128-bit vector pipes.
#include "engine/platform/topology.h"

namespace midge {
namespace {

constexpr uint32_t kArm = 0x41;
constexpr uint32_t kQualcomm = 0x51;
constexpr uint32_t kAmpere = 0xc0;

struct KnownDesign {
  uint32_t implementer;
  uint32_t part;
  CoreDesign design;
};

constexpr KnownDesign kDesigns[] = {
    {kArm, 0xd03, {"Cortex-A53", 0.5}},       {kArm, 0xd04, {"Cortex-A35", 0.5}},
    {kArm, 0xd05, {"Cortex-A55", 1}},         {kArm, 0xd07, {"Cortex-A57", 1}},
    {kArm, 0xd08, {"Cortex-A72", 1}},         {kArm, 0xd09, {"Cortex-A73", 1}},
    {kArm, 0xd0a, {"Cortex-A75", 2}},         {kArm, 0xd0b, {"Cortex-A76", 2}},
    {kArm, 0xd0c, {"Neoverse-N1", 2}},        {kArm, 0xd0d, {"Cortex-A77", 2}},
    {kArm, 0xd40, {"Neoverse-V1", 4, true}},  {kArm, 0xd41, {"Cortex-A78", 2}},
    {kArm, 0xd44, {"Cortex-X1", 4}},          {kArm, 0xd46, {"Cortex-A510", 1, true}},
    {kArm, 0xd47, {"Cortex-A710", 2, true}},  {kArm, 0xd48, {"Cortex-X2", 4, true}},
    {kArm, 0xd49, {"Neoverse-N2", 2, true}},  {kArm, 0xd4b, {"Cortex-A78C", 2}},
    {kArm, 0xd4c, {"Cortex-X1C", 4}},         {kArm, 0xd4d, {"Cortex-A715", 2, true}},
    {kArm, 0xd4e, {"Cortex-X3", 4, true}},    {kArm, 0xd4f, {"Neoverse-V2", 4, true}},
    {kArm, 0xd80, {"Cortex-A520", 1, true}},  {kArm, 0xd81, {"Cortex-A720", 2, true}},
    {kArm, 0xd82, {"Cortex-X4", 4, true}},    {kArm, 0xd83, {"Neoverse-V3AE", 4, true}},
    {kArm, 0xd84, {"Neoverse-V3", 4, true}},  {kArm, 0xd85, {"Cortex-X925", 6, true}},
    {kArm, 0xd87, {"Cortex-A725", 2, true}},  {kArm, 0xd8a, {"C1-Nano", 1, true}},
    {kArm, 0xd8b, {"C1-Pro", 2, true}},       {kArm, 0xd8c, {"C1-Ultra", 6, true}},
    {kArm, 0xd8e, {"Neoverse-N3", 2, true}},  {kArm, 0xd90, {"C1-Premium", 6, true}},
    {kQualcomm, 0x001, {"Oryon", 4, true}},   {kQualcomm, 0x800, {"Kryo 2xx Gold", 1}},
    {kQualcomm, 0x802, {"Kryo 3xx Gold", 2}}, {kQualcomm, 0x803, {"Kryo 3xx Silver", 1}},
    {kQualcomm, 0x804, {"Kryo 4xx Gold", 2}}, {kQualcomm, 0x805, {"Kryo 4xx Silver", 1}},
    {kAmpere, 0xac3, {"Ampere-1", 2, true}},  {kAmpere, 0xac4, {"Ampere-1a", 2, true}},
};

}  // namespace

const CoreDesign* find_core_design(uint32_t midr) {
  const uint32_t implementer = midr >> 24 & 0xff;
  const uint32_t part = midr >> 4 & 0xfff;
  for (const KnownDesign& known : kDesigns) {
    if (known.implementer == implementer && known.part == part) return &known.design;
  }
  return nullptr;
}

const CoreDesign* find_core_design(std::string_view name) {
  for (const KnownDesign& known : kDesigns) {
    if (known.design.name == name) return &known.design;
  }
  return nullptr;
}

}  // namespace midge
