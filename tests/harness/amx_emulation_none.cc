// Where no kernel uses tiles.
#include "engine/platform/cpu_features.h"
#include "tests/harness/amx_emulation.h"

namespace midge::test {

CpuFeatures features_with_emulation() { return detect_cpu_features(); }
bool emulates_amx() { return false; }
void reinstall_amx_emulation() {}
int64_t emulated_instructions() { return 0; }
bool release_tiles() { return false; }

}  // namespace midge::test
