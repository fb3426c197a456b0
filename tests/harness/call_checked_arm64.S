// uint64_t midge_call_checked(void (*function)(const void*), const void* args, int64_t vector_bytes)
//
// Calls function(args) by AAPCS64 with known values in the registers that it must preserve and junk
// in those that it may use, and returns what it failed to preserve, one bit each:
//   0-9 x19-x28   10 x29   11-18 d8-d15   19 sp   20 fpcr
// Not reentrant: sp is kept in memory, the only place that the function cannot have overwritten by
// mistake.

#define FRAME 176

.macro check_bits found, expected, bit
        cmp     \found, \expected
        cset    x12, ne
        orr     x0, x0, x12, lsl #\bit
.endm

.macro check_x register, offset, bit
        ldr     x11, [x17, #\offset]
        check_bits \register, x11, \bit
.endm

.macro check_d register, offset, bit
        fmov    x13, \register
        check_x x13, \offset, \bit
.endm

        .text
        .globl  midge_call_checked
        .type   midge_call_checked, %function
        .balign 16
midge_call_checked:
        stp     x29, x30, [sp, #-FRAME]!
        mov     x29, sp
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x2, fpcr
        str     x2, [sp, #160]
        adrp    x3, saved_sp
        mov     x2, sp
        str     x2, [x3, :lo12:saved_sp]

        mov     x16, x0                 // the function: x16 is the call's own scratch register
        mov     x0, x1
        adrp    x17, known
        add     x17, x17, :lo12:known
        ldp     x19, x20, [x17]
        ldp     x21, x22, [x17, #16]
        ldp     x23, x24, [x17, #32]
        ldp     x25, x26, [x17, #48]
        ldp     x27, x28, [x17, #64]
        ldp     d8, d9, [x17, #80]
        ldp     d10, d11, [x17, #96]
        ldp     d12, d13, [x17, #112]
        ldp     d14, d15, [x17, #128]
        ldr     x1, [x17, #144]
        .irp    n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,17
        mov     x\n, x1
        .endr
        .irp    n, 0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        movi    v\n\().16b, #0xff       // NaN
        .endr
        blr     x16

        mov     x9, sp
        adrp    x10, saved_sp
        ldr     x10, [x10, :lo12:saved_sp]
        mov     sp, x10
        adrp    x17, known
        add     x17, x17, :lo12:known
        mov     x0, #0
        check_bits x9, x10, 19
        check_x x19, 0, 0
        check_x x20, 8, 1
        check_x x21, 16, 2
        check_x x22, 24, 3
        check_x x23, 32, 4
        check_x x24, 40, 5
        check_x x25, 48, 6
        check_x x26, 56, 7
        check_x x27, 64, 8
        check_x x28, 72, 9
        check_bits x29, x10, 10
        check_d d8, 80, 11
        check_d d9, 88, 12
        check_d d10, 96, 13
        check_d d11, 104, 14
        check_d d12, 112, 15
        check_d d13, 120, 16
        check_d d14, 128, 17
        check_d d15, 136, 18
        ldr     x11, [sp, #160]
        mrs     x13, fpcr
        check_bits x13, x11, 20
        msr     fpcr, x11

        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #FRAME
        ret
        .size   midge_call_checked, . - midge_call_checked

        .section .rodata
        .balign 16
known:
        .quad   0x1919191919191919, 0x2020202020202020, 0x2121212121212121, 0x2222222222222222
        .quad   0x2323232323232323, 0x2424242424242424, 0x2525252525252525, 0x2626262626262626
        .quad   0x2727272727272727, 0x2828282828282828
        .quad   0xd808080808080808, 0xd909090909090909, 0xda0a0a0a0a0a0a0a, 0xdb0b0b0b0b0b0b0b
        .quad   0xdc0c0c0c0c0c0c0c, 0xdd0d0d0d0d0d0d0d, 0xde0e0e0e0e0e0e0e, 0xdf0f0f0f0f0f0f0f
        .quad   0xbadc0de5badc0de5      // junk: no address

        .bss
        .balign 8
saved_sp:
        .skip   8

        .section .note.GNU-stack, "", %progbits
