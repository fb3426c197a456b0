// unpack_q8s256_<encoding>_amx: packed units as panels of PanelOrder::kGroups4.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/panel/unpack_avx512.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

namespace midge {

constexpr int kOffset = avx512::kAmxOffset;

extern "C" void unpack_q8s256_q4b32_amx(const UnpackArgs* args) {
  avx512::unpack_q4b32<kOffset>(args);
}
extern "C" void unpack_q8s256_q4b32m_amx(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, 0, 15, UnitQ4B32M>(args);
}
extern "C" void unpack_q8s256_q5b32_amx(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, -16, 15, UnitQ5B32>(args);
}
extern "C" void unpack_q8s256_q5b32m_amx(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, 0, 31, UnitQ5B32M>(args);
}
extern "C" void unpack_q8s256_q8b32_amx(const UnpackArgs* args) {
  avx512::unpack_q8b32<kOffset>(args);
}
extern "C" void unpack_q8s256_q4b32ms256_amx(const UnpackArgs* args) {
  avx512::unpack_ms256<kOffset, 15, UnitQ4B32MS256>(args);
}
extern "C" void unpack_q8s256_q5b32ms256_amx(const UnpackArgs* args) {
  avx512::unpack_ms256<kOffset, 31, UnitQ5B32MS256>(args);
}
extern "C" void unpack_q8s256_q6b16s256_amx(const UnpackArgs* args) {
  avx512::unpack_q6b16s256<kOffset>(args);
}

}  // namespace midge
