#include "bench/limits/peak_loop.h"

namespace midge::bench {
namespace {

// Sixteen accumulators hide a latency of 4 cycles on four ports. What the registers hold does not
// matter, so nothing sets them.
#define MIDGE_SIXTEEN(op)                                                                        \
  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
      op(15)
#define MIDGE_LOOP(extension, op) \
  __asm__ volatile(extension "1:\n" MIDGE_SIXTEEN(op) "subs %0, %0, #1\n"                         \
                                                      "b.ne 1b\n"                                 \
                   : "+r"(iterations)                                                             \
                   :                                                                              \
                   : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",     \
                     "v11", "v12", "v13", "v14", "v15")

#define MIDGE_SMLAL(i) "smlal v" #i ".8h, v30.8b, v31.8b\n"
#define MIDGE_SDOT(i) "sdot v" #i ".4s, v30.16b, v31.16b\n"
#define MIDGE_SMMLA(i) "smmla v" #i ".4s, v30.16b, v31.16b\n"

void run_neon(int64_t iterations) { MIDGE_LOOP("", MIDGE_SMLAL); }
void run_neon_dot(int64_t iterations) { MIDGE_LOOP(".arch armv8.2-a+dotprod\n", MIDGE_SDOT); }
void run_neon_i8mm(int64_t iterations) { MIDGE_LOOP(".arch armv8.2-a+i8mm\n", MIDGE_SMMLA); }

}  // namespace

PeakLoop peak_loop(IsaLevel level) {
  if (level == IsaLevel::kNeonI8mm) return {run_neon_i8mm, 16 * 32};
  if (level == IsaLevel::kNeonDot) return {run_neon_dot, 16 * 16};
  if (level == IsaLevel::kNeon) return {run_neon, 16 * 8};
  return {nullptr, 0};
}

}  // namespace midge::bench
