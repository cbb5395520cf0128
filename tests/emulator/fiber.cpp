#include "tests/emulator/fiber.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#    include <sanitizer/common_interface_defs.h>
static const size_t STACK_BYTES = 256 << 10;
#else
static const size_t STACK_BYTES = 64 << 10;
#endif

static const size_t CANARY_BYTES = 64, SLAB_STACKS = 64;

/* emu_switch(save, load): pushes what the callee must keep, stores the stack pointer, goes on where
 * `load` was stored. */
extern "C" void emu_switch(void **save, void *load);

#if defined(__x86_64__)
asm(".text\n.globl emu_switch\n.type emu_switch,@function\nemu_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
    "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n"
    "    popq %r12\n    popq %rbx\n    popq %rbp\n    ret\n"
    ".size emu_switch,.-emu_switch\n");
static const size_t FRAME_WORDS = 7, RETURN_WORD = 6;
#elif defined(__aarch64__)
asm(".text\n.globl emu_switch\n.type emu_switch,%function\nemu_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp, #0]\n    stp x21, x22, [sp, #16]\n"
    "    stp x23, x24, [sp, #32]\n    stp x25, x26, [sp, #48]\n"
    "    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
    "    ldp x19, x20, [sp, #0]\n    ldp x21, x22, [sp, #16]\n"
    "    ldp x23, x24, [sp, #32]\n    ldp x25, x26, [sp, #48]\n"
    "    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n    ret\n"
    ".size emu_switch,.-emu_switch\n");
static const size_t FRAME_WORDS = 20, RETURN_WORD = 11;
#else
#    error "the CUDA emulator switches fibers on x86-64 and aarch64 only"
#endif

static emu_fiber *pool;
static void *scheduler_sp;
static void (*fiber_entry)();
#ifdef __SANITIZE_ADDRESS__
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#endif

size_t emu_fiber_stack_bytes()
{
    return STACK_BYTES;
}

static void enter()
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
    fiber_entry();
    abort();
}

/* A stack whose first resumption calls enter(). */
static void prepare(emu_fiber *f)
{
    memset(f->stack, 0xa5, CANARY_BYTES);
    uintptr_t top = (uintptr_t)f->stack + STACK_BYTES - 64;
    top = top / 16 * 16;
#if defined(__x86_64__)
    top -= 8; /* as after a call */
#endif
    void **frame = (void **)top - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[RETURN_WORD] = (void *)&enter;
    f->sp = frame;
}

/* Below the lowest stack of a slab lies room for what overflows it. */
static void grow_pool()
{
    void *slab = mmap(nullptr, STACK_BYTES * (SLAB_STACKS + 1), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    emu_fiber *fibers = (emu_fiber *)calloc(SLAB_STACKS, sizeof *fibers);
    if (slab == MAP_FAILED || !fibers) {
        fprintf(stderr, "CUDA emulator: no memory for the stacks of more threads\n");
        abort();
    }
    for (size_t i = 0; i < SLAB_STACKS; i++) {
        fibers[i].stack = (unsigned char *)slab + (i + 1) * STACK_BYTES;
        fibers[i].next = pool;
        pool = &fibers[i];
    }
}

emu_fiber *emu_fiber_take(void (*entry)())
{
    fiber_entry = entry;
    if (!pool) grow_pool();
    emu_fiber *f = pool;
    pool = f->next;
    if (!f->sp) prepare(f);
    return f;
}

void emu_fiber_give(emu_fiber *fiber)
{
    fiber->next = pool;
    pool = fiber;
}

void emu_fiber_resume(emu_fiber *fiber)
{
#ifdef __SANITIZE_ADDRESS__
    void *own = nullptr;
    __sanitizer_start_switch_fiber(&own, fiber->stack, STACK_BYTES);
#endif
    emu_switch(&scheduler_sp, fiber->sp);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

void emu_fiber_leave(emu_fiber *fiber)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&fiber->asan_stack, scheduler_stack, scheduler_stack_bytes);
#endif
    emu_switch(&fiber->sp, scheduler_sp);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fiber->asan_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

bool emu_fiber_overflowed(const emu_fiber *fiber, bool ended)
{
    if ((unsigned char *)fiber->sp < fiber->stack + CANARY_BYTES) return true;
    uint64_t wrong = 0;
    const uint64_t *word = (const uint64_t *)fiber->stack;
    for (size_t i = 0; ended && i < CANARY_BYTES / 8; i++) wrong |= word[i] ^ 0xa5a5a5a5a5a5a5a5u;
    return wrong != 0;
}
