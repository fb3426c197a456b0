// uint64_t midge_call_checked(void (*function)(const void*), const void* args, int64_t vector_bytes)
//
// Calls function(args) by the System V ABI with known values in the registers that it must preserve
// and junk in those that it may use (vector registers of vector_bytes: 16, 32 or 64), and returns
// what it failed to preserve, one bit each:
//   0 rbx   1 rbp   2-5 r12-r15   6 rsp   7 mxcsr control bits   8 x87 control word   9 direction
// Not reentrant: rsp is kept in memory, the only place that the function cannot have overwritten by
// mistake.

// The frame: 6 pushed registers and these.
#define MXCSR_BEFORE    0(%rsp)
#define X87_BEFORE      4(%rsp)
#define VECTOR_BYTES    8(%rsp)
#define SCRATCH        16(%rsp)
#define FRAME          24
#define MXCSR_STATUS   0x3f

.macro note_difference bit
        setne   %cl
        movzbl  %cl, %ecx
        shll    $\bit, %ecx
        orl     %ecx, %eax
.endm

.macro check register, known, bit
        cmpq    \known(%rip), \register
        note_difference \bit
.endm

        .text
        .globl  midge_call_checked
        .type   midge_call_checked, @function
        .balign 16
midge_call_checked:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $FRAME, %rsp
        stmxcsr MXCSR_BEFORE
        fnstcw  X87_BEFORE
        movq    %rdx, VECTOR_BYTES
        movq    %rsp, saved_rsp(%rip)

        movq    %rdi, %r11              // the function
        movq    %rsi, %rdi
        // All bits set are NaN.
        cmpq    $64, %rdx
        je      fill_zmm
        cmpq    $32, %rdx
        je      fill_ymm
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        pcmpeqd %xmm\n, %xmm\n
        .endr
        jmp     fill_integers
fill_ymm:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vpcmpeqd %ymm\n, %ymm\n, %ymm\n
        .endr
        jmp     fill_integers
fill_zmm:
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vpternlogd $0xff, %zmm\n, %zmm\n, %zmm\n
        .endr
        movl    $0x5a5a5a5a, %eax
        .irp    n, 1,2,3,4,5,6,7
        kmovd   %eax, %k\n
        .endr
fill_integers:
        movq    known_rbx(%rip), %rbx
        movq    known_rbp(%rip), %rbp
        movq    known_r12(%rip), %r12
        movq    known_r13(%rip), %r13
        movq    known_r14(%rip), %r14
        movq    known_r15(%rip), %r15
        movabsq $0xbadc0de5badc0de5, %rax       // no address
        movq    %rax, %rcx
        movq    %rax, %rdx
        movq    %rax, %rsi
        movq    %rax, %r8
        movq    %rax, %r9
        movq    %rax, %r10
        call    *%r11

        movq    %rsp, %rdx
        movq    saved_rsp(%rip), %rsp
        xorl    %eax, %eax
        check   %rbx, known_rbx, 0
        check   %rbp, known_rbp, 1
        check   %r12, known_r12, 2
        check   %r13, known_r13, 3
        check   %r14, known_r14, 4
        check   %r15, known_r15, 5
        cmpq    %rsp, %rdx
        note_difference 6
        stmxcsr SCRATCH
        movl    SCRATCH, %edx
        xorl    MXCSR_BEFORE, %edx
        testl   $~MXCSR_STATUS, %edx
        note_difference 7
        fnstcw  SCRATCH
        movzwl  SCRATCH, %edx
        cmpw    X87_BEFORE, %dx
        note_difference 8
        pushfq
        popq    %rdx
        testl   $0x400, %edx
        note_difference 9
        cld
        ldmxcsr MXCSR_BEFORE
        fldcw   X87_BEFORE
        cmpq    $16, VECTOR_BYTES
        je      restore
        vzeroupper
restore:
        addq    $FRAME, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .size   midge_call_checked, . - midge_call_checked

        .section .rodata
        .balign 8
known_rbx:      .quad   0xbbbbbbbbbbbbbbbb
known_rbp:      .quad   0xb5b5b5b5b5b5b5b5
known_r12:      .quad   0x1212121212121212
known_r13:      .quad   0x1313131313131313
known_r14:      .quad   0x1414141414141414
known_r15:      .quad   0x1515151515151515

        .bss
        .balign 8
saved_rsp:
        .skip   8

        .section .note.GNU-stack, "", @progbits
