// out = gate / (1 + exp(-gate)) * up, sixteen at a time: the operations of kernels/exp_f32.h in the
// same order, so the bits are too. What is left out changes none: numbers below the range of exp,
// and their limit 0, vanish beside the 1; vscalefps rounds 2^n * p once, as two factors do, and
// overflows to infinity where the limit is (tests/kernels/exp_test.cc tries every number there); a
// NaN passes through. Bound by the vector ports: about 30 operations and a division per 16 numbers.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/elementwise/silu_mul.h"
#include "kernels/x86_64/vectors_avx512.h"

namespace midge {
namespace {

struct SiluVectors : Avx512Vectors {
  static inline V scale(V, const vectors::ExpParts<SiluVectors>& parts) {
    return _mm512_scalef_ps(parts.p, parts.n);
  }
};

}  // namespace

extern "C" void silu_mul_f32_f32_avx512_vnni(const SiluMulArgs* args) {
  vectors::silu_mul<SiluVectors>(args);
}

}  // namespace midge
