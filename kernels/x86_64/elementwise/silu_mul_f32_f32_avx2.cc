// out = gate / (1 + exp(-gate)) * up, eight at a time: the operations of kernels/exp_f32.h in the
// same order, so the bits are too.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/elementwise/silu_mul.h"
#include "kernels/x86_64/vectors_avx2.h"

namespace midge {
namespace {

struct SiluVectors : Avx2Vectors {
  // 2^n in two factors, because n = 128 has no f32 of its own.
  static inline V scale(V x, const vectors::ExpParts<SiluVectors>& parts) {
    const __m256i exponent = _mm256_sub_epi32(_mm256_castps_si256(parts.shifted),
                                              _mm256_castps_si256(broadcast(0x1.8p23f)));
    const __m256i half = _mm256_srai_epi32(exponent, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    const V scale_a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const V scale_b = _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(exponent, half), bias), 23));
    const V result = mul(mul(parts.p, scale_a), scale_b);
    const V is_small = _mm256_cmp_ps(x, broadcast(-87.33654f), _CMP_LT_OQ);
    const V is_large = _mm256_cmp_ps(x, broadcast(88.72283f), _CMP_GT_OQ);
    const V is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const V finite = _mm256_andnot_ps(is_small, result);
    return _mm256_blendv_ps(_mm256_blendv_ps(finite, broadcast(__builtin_inff()), is_large), x,
                            is_nan);
  }
};

}  // namespace

extern "C" void silu_mul_f32_f32_avx2(const SiluMulArgs* args) {
  vectors::silu_mul<SiluVectors>(args);
}

}  // namespace midge
