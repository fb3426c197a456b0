#include "bench/limits/peak_loop.h"
#include "kernels/x86_64/amx.h"

namespace midge::bench {
namespace {

// Twelve accumulators hide a latency of 5 cycles on two ports. What the registers hold does not
// matter, so nothing sets them.
#define MIDGE_VNNI(i) "vpdpbusd %%zmm15, %%zmm14, %%zmm" #i "\n"

void run_avx512_vnni(int64_t iterations) {
  __asm__ volatile("1:\n"                                                     //
                   MIDGE_VNNI(0) MIDGE_VNNI(1) MIDGE_VNNI(2) MIDGE_VNNI(3)    //
                   MIDGE_VNNI(4) MIDGE_VNNI(5) MIDGE_VNNI(6) MIDGE_VNNI(7)    //
                   MIDGE_VNNI(8) MIDGE_VNNI(9) MIDGE_VNNI(10) MIDGE_VNNI(11)  //
                   "dec %0\n"
                   "jnz 1b\n"
                   "vzeroupper\n"
                   : "+r"(iterations)
                   :
                   : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                     "xmm9", "xmm10", "xmm11");
}

// Pairs of products (vpmaddubsw), summed as int16: the least that a dot product costs here.
#define MIDGE_MADDUBS(i, sum)             \
  "vpmaddubsw %%ymm15, %%ymm14, %%ymm" #i \
  "\n"                                    \
  "vpaddw %%ymm" #i ", %%ymm" #sum ", %%ymm" #sum "\n"

void run_avx2(int64_t iterations) {
  __asm__ volatile("1:\n"                                                         //
                   MIDGE_MADDUBS(0, 6) MIDGE_MADDUBS(1, 7) MIDGE_MADDUBS(2, 8)    //
                   MIDGE_MADDUBS(3, 9) MIDGE_MADDUBS(4, 10) MIDGE_MADDUBS(5, 11)  //
                   "dec %0\n"
                   "jnz 1b\n"
                   "vzeroupper\n"
                   : "+r"(iterations)
                   :
                   : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                     "xmm9", "xmm10", "xmm11");
}

// A product of whole tiles takes 16 cycles and its sums are there after 52 (Intel's optimization
// manual): four tiles of sums.
void run_amx(int64_t iterations) {
  amx::TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = 16;
  }
  amx::configure(config);
  for (int64_t i = 0; i < iterations; ++i) {
    amx::multiply<0, 4, 6>();
    amx::multiply<1, 4, 7>();
    amx::multiply<2, 5, 6>();
    amx::multiply<3, 5, 7>();
  }
  amx::release();
}

}  // namespace

PeakLoop peak_loop(IsaLevel level) {
  if (level == IsaLevel::kAmx) return {run_amx, 4 * 16 * 16 * 64};
  if (level == IsaLevel::kAvx512Vnni) return {run_avx512_vnni, 12 * 64};
  if (level == IsaLevel::kAvx2) return {run_avx2, 6 * 32};
  return {nullptr, 0};
}

}  // namespace midge::bench
