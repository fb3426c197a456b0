// Faults that C++ cannot have, see broken_kernels.h.

.macro fault name
        .globl  broken_add_\name
        .type   broken_add_\name, @function
        .balign 16
broken_add_\name:
.endm

        .text
        fault   rbx
        incq    %rbx
        jmp     add_f32_f32_generic
        fault   rbp
        xorl    %ebp, %ebp
        jmp     add_f32_f32_generic
        fault   r12
        movq    $1, %r12
        jmp     add_f32_f32_generic
        fault   r15
        incq    %r15
        jmp     add_f32_f32_generic
        fault   mxcsr
        stmxcsr -8(%rsp)
        xorl    $0x8000, -8(%rsp)       // flush to zero
        ldmxcsr -8(%rsp)
        jmp     add_f32_f32_generic
        fault   illegal
        ud2

        .section .note.GNU-stack, "", @progbits
