/* What an AArch64 instruction does, as far as a cost report wants to know. */
#ifndef INSN_KINDS_H
#define INSN_KINDS_H

#include <stdint.h>

enum kind {
  K_BRANCH,
  K_LOAD,
  K_STORE,
  K_ATOMIC,
  K_PREFETCH,
  K_INT,
  K_SYSTEM,
  K_FP_SCALAR,
  K_VLOAD,
  K_VSTORE,
  K_VDOT,
  K_VMMLA,
  K_VBF16,
  K_VFMA,
  K_VOTHER,
  K_SVE_LOAD,
  K_SVE_STORE,
  K_SVE_DOT,
  K_SVE_MMLA,
  K_SVE_FMA,
  K_SVE_OTHER,
  K_SME,
  K_UNKNOWN,
  KINDS
};

/* "branch", "simd_dot" ... */
extern const char* const kind_names[KINDS];

enum kind classify(uint32_t word);

#endif
