// unpack_q8s256_<encoding>_neon: packed units as panels of PanelOrder::kQuads16.
#include "kernels/arm64/panel/unpack.h"
#include "kernels/arm64/panel/unpack_s256.h"
#include "kernels/kernel_types.h"

namespace midge {

using Order = arm64::SmullOrder;

extern "C" void unpack_q8s256_q4b32_neon(const UnpackArgs* args) {
  arm64::unpack_q4b32<Order>(args);
}
extern "C" void unpack_q8s256_q4b32m_neon(const UnpackArgs* args) {
  arm64::unpack_ranges<Order, 0, 15, UnitQ4B32M>(args);
}
extern "C" void unpack_q8s256_q5b32_neon(const UnpackArgs* args) {
  arm64::unpack_ranges<Order, -16, 15, UnitQ5B32>(args);
}
extern "C" void unpack_q8s256_q5b32m_neon(const UnpackArgs* args) {
  arm64::unpack_ranges<Order, 0, 31, UnitQ5B32M>(args);
}
extern "C" void unpack_q8s256_q8b32_neon(const UnpackArgs* args) {
  arm64::unpack_q8b32<Order>(args);
}
extern "C" void unpack_q8s256_q4b32ms256_neon(const UnpackArgs* args) {
  arm64::unpack_q4b32ms256<Order>(args);
}
extern "C" void unpack_q8s256_q5b32ms256_neon(const UnpackArgs* args) {
  arm64::unpack_q5b32ms256<Order>(args);
}
extern "C" void unpack_q8s256_q6b16s256_neon(const UnpackArgs* args) {
  arm64::unpack_q6b16s256<Order>(args);
}

}  // namespace midge
