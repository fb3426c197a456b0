#include "kinds.h"

#include <stdbool.h>
#include <stddef.h>

const char* const kind_names[KINDS] = {
    "branch",    "load",      "store",      "atomic",     "prefetch",  "int",
    "system",    "fp_scalar", "simd_load",  "simd_store", "simd_dot",  "simd_mmla",
    "simd_bf16", "simd_fma",  "simd_other", "sve_load",   "sve_store", "sve_dot",
    "sve_mmla",  "sve_fma",   "sve_other",  "sme",        "unknown",
};

struct pattern {
  uint32_t mask, value;
  uint8_t kind;
};

/* First match wins. Source of the encodings: the A64 instruction index of the Arm architecture
 * reference manual. */
static const struct pattern simd_patterns[] = {
    {0xffe0fc00, 0x4e80a400, K_VMMLA}, /* smmla */
    {0xffe0fc00, 0x6e80a400, K_VMMLA}, /* ummla */
    {0xffe0fc00, 0x4e80ac00, K_VMMLA}, /* usmmla */
    {0x9fe0fc00, 0x0e809400, K_VDOT},  /* sdot, udot */
    {0xbfe0fc00, 0x0e809c00, K_VDOT},  /* usdot */
    {0x9fc0f400, 0x0f80e000, K_VDOT},  /* sdot, udot by element */
    {0xbfc0f400, 0x0f80f000, K_VDOT},  /* usdot by element */
    {0xbfc0f400, 0x0f00f000, K_VDOT},  /* sudot by element */
    {0xffe0fc00, 0x6e40ec00, K_VBF16}, /* bfmmla */
    {0xbfe0fc00, 0x2e40fc00, K_VBF16}, /* bfdot */
    {0xbfe0fc00, 0x2ec0fc00, K_VBF16}, /* bfmlalb/t */
    {0xbfc0f400, 0x0f40f000, K_VBF16}, /* bfdot by element */
    {0xbfc0f400, 0x0fc0f000, K_VBF16}, /* bfmlalb/t by element */
    {0xbf20fc00, 0x0e20cc00, K_VFMA},  /* fmla, fmls (single, double) */
    {0xbf60fc00, 0x0e400c00, K_VFMA},  /* fmla, fmls (half) */
    {0xbf80b400, 0x0f801000, K_VFMA},  /* fmla, fmls by element */
    {0xbfc0b400, 0x0f001000, K_VFMA},  /* the same, half */
    {0xbf60fc00, 0x0e20ec00, K_VFMA},  /* fmlal, fmlsl */
    {0xbf60fc00, 0x2e20cc00, K_VFMA},  /* fmlal2, fmlsl2 */
    {0xbfc0b400, 0x0f800000, K_VFMA},  /* fmlal, fmlsl by element */
    {0xbfc0b400, 0x2f808000, K_VFMA},  /* fmlal2, fmlsl2 by element */
    {0x5f000000, 0x1e000000, K_FP_SCALAR},
    {0x5f000000, 0x1f000000, K_FP_SCALAR}, /* fmadd and kin */
};
static const struct pattern sve_patterns[] = {
    {0xff80f800, 0x44800000, K_SVE_DOT},  /* sdot, udot, vector and indexed */
    {0xffe0fc00, 0x44807800, K_SVE_DOT},  /* usdot */
    {0xffe0f800, 0x44a01800, K_SVE_DOT},  /* usdot, sudot indexed */
    {0xffe0fc00, 0x45009800, K_SVE_MMLA}, /* smmla */
    {0xffe0fc00, 0x45809800, K_SVE_MMLA}, /* usmmla */
    {0xffe0fc00, 0x45c09800, K_SVE_MMLA}, /* ummla */
    {0xffe0fc00, 0x6460e400, K_SVE_MMLA}, /* bfmmla */
    {0xffa0fc00, 0x64a0e400, K_SVE_MMLA}, /* fmmla */
    {0xffe0fc00, 0x64608000, K_SVE_DOT},  /* bfdot */
    {0xff200000, 0x65200000, K_SVE_FMA},  /* fmla, fmls, fmad, ... predicated */
    {0xff20f800, 0x64200000, K_SVE_FMA},  /* fmla, fmls indexed */
    {0xe0000000, 0xe0000000, K_SVE_STORE}, {0x80000000, 0x80000000, K_SVE_LOAD},
};

static enum kind match(uint32_t w, const struct pattern* p, size_t n, enum kind otherwise) {
  for (; n--; p++)
    if ((w & p->mask) == p->value) return p->kind;
  return otherwise;
}

static enum kind classify_memory(uint32_t w) {
  bool vec = w >> 26 & 1, load = w >> 22 & 1;
  unsigned size = w >> 30, opc = w >> 22 & 3;

  if ((w & 0x3f000000) == 0x08000000) /* exclusive, ordered, cas */
    return (w & 0x00a00000) == 0x00800000 ? (load ? K_LOAD : K_STORE) : K_ATOMIC;
  if ((w & 0xbe000000) == 0x0c000000) /* ld1..ld4, st1..st4 */
    return load ? K_VLOAD : K_VSTORE;
  if ((w & 0x3b000000) == 0x18000000) /* literal */
    return vec ? K_VLOAD : size == 3 ? K_PREFETCH : K_LOAD;
  if ((w & 0x3a000000) == 0x28000000) /* pair */
    return vec ? (load ? K_VLOAD : K_VSTORE) : (load ? K_LOAD : K_STORE);
  if ((w & 0x3f000000) == 0x19000000) /* ldapur, stlur; tags, copies */
    return (w & 0xff000000) == 0xd9000000 && !(w >> 21 & 1) ? (opc ? K_LOAD : K_STORE)
           : opc                                            ? K_LOAD
                                                            : K_STORE;
  if ((w & 0x3a000000) == 0x38000000) { /* single register */
    if (vec) return load ? K_VLOAD : K_VSTORE;
    if (!(w >> 24 & 1) && (w >> 21 & 1) && !(w >> 10 & 3))
      return K_ATOMIC; /* ldadd, swp, ... ; ldapr */
    if (size == 3 && opc == 2) return K_PREFETCH;
    return opc ? K_LOAD : K_STORE;
  }
  return K_UNKNOWN;
}

enum kind classify(uint32_t w) {
  switch (w >> 25 & 15) {
    case 0: return w >> 31 ? K_SME : K_UNKNOWN;
    case 2: return match(w, sve_patterns, sizeof sve_patterns / sizeof *sve_patterns, K_SVE_OTHER);
    case 8:
    case 9:
    case 5:
    case 13: return K_INT;
    case 10:
    case 11:
      return (w & 0xff000000) == 0xd4000000 || (w & 0xffc00000) == 0xd5000000 ? K_SYSTEM : K_BRANCH;
    case 4:
    case 6:
    case 12:
    case 14: return classify_memory(w);
    case 7:
    case 15: return match(w, simd_patterns, sizeof simd_patterns / sizeof *simd_patterns, K_VOTHER);
  }
  return K_UNKNOWN;
}
