// out = in as f16, rounded to nearest even: what vcvtps2ph does. NaN keeps the upper bits of its
// payload where the generic kernel drops them.
#include <immintrin.h>

#include "kernels/kernel_types.h"

namespace midge {

extern "C" void convert_f16_f32_avx2(const ConvertArgs* args) {
  auto* out = static_cast<uint16_t*>(args->out);
  int64_t i = 0;
  for (; i + 8 <= args->n; i += 8) {
    const __m128i halves =
        _mm256_cvtps_ph(_mm256_loadu_ps(args->in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), halves);
  }
  for (; i < args->n; ++i) {
    const __m128i half = _mm_cvtps_ph(_mm_load_ss(args->in + i), _MM_FROUND_TO_NEAREST_INT);
    out[i] = static_cast<uint16_t>(_mm_extract_epi16(half, 0));
  }
}

}  // namespace midge
