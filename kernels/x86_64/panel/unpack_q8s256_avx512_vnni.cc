// unpack_q8s256_<encoding>_avx512_vnni: packed units as panels of PanelOrder::kGroups4Up.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/panel/unpack_avx512.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

namespace midge {

constexpr int kOffset = avx512::kVnniOffset;

extern "C" void unpack_q8s256_q4b32_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_q4b32<kOffset>(args);
}
extern "C" void unpack_q8s256_q4b32m_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, 0, 15, UnitQ4B32M>(args);
}
extern "C" void unpack_q8s256_q5b32_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, -16, 15, UnitQ5B32>(args);
}
extern "C" void unpack_q8s256_q5b32m_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ranges<kOffset, 0, 31, UnitQ5B32M>(args);
}
extern "C" void unpack_q8s256_q8b32_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_q8b32<kOffset>(args);
}
extern "C" void unpack_q8s256_q4b32ms256_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ms256<kOffset, 15, UnitQ4B32MS256>(args);
}
extern "C" void unpack_q8s256_q5b32ms256_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ms256<kOffset, 31, UnitQ5B32MS256>(args);
}
extern "C" void unpack_q8s256_q6b16s256_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_q6b16s256<kOffset>(args);
}

}  // namespace midge
