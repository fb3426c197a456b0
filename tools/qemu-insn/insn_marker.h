/*
 * Region markers for the insn_count QEMU plugin (AArch64 only, else nothing).
 *
 * A marker is `orr xzr, xzr, xzr, lsl #n`: it writes the zero register, so on
 * real hardware it is one no-op, and no compiler emits it with n != 0.
 *   n = id       opens region id, id = 1..31
 *   n = id + 32  closes it
 */
#ifndef INSN_MARKER_H
#define INSN_MARKER_H

#if defined(__aarch64__)
#define INSN_REGION_BEGIN(id) __asm__ volatile("orr xzr, xzr, xzr, lsl %0" ::"i"(id) : "memory")
#define INSN_REGION_END(id) \
  __asm__ volatile("orr xzr, xzr, xzr, lsl %0" ::"i"((id) + 32) : "memory")
#else
#define INSN_REGION_BEGIN(id) ((void)0)
#define INSN_REGION_END(id) ((void)0)
#endif

#endif
