// Faults that C++ cannot have, see broken_kernels.h.

.macro fault name
        .globl  broken_add_\name
        .type   broken_add_\name, %function
        .balign 16
broken_add_\name:
        hint    #34                     // bti c
.endm

        .text
        fault   x19
        mov     x19, #1
        b       add_f32_f32_generic
        fault   x28
        add     x28, x28, #1
        b       add_f32_f32_generic
        fault   x29
        mov     x29, #0
        b       add_f32_f32_generic
        fault   d8
        fmov    d8, #1.0
        b       add_f32_f32_generic
        fault   d15
        movi    v15.16b, #0
        b       add_f32_f32_generic
        fault   fpcr
        mrs     x9, fpcr
        eor     x9, x9, #(1 << 24)      // flush to zero
        msr     fpcr, x9
        b       add_f32_f32_generic
        fault   illegal
        .inst   0

        .section .note.GNU-stack, "", %progbits
