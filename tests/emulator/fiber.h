/* Fibers: stacks that run a function until it hands control back. The only part of the emulator
 * that knows processors and sanitizers. One thread of the operating system at a time uses them. */
#ifndef EMU_FIBER_H
#define EMU_FIBER_H

#include <cstddef>

struct emu_fiber {
    void *sp; /* where it goes on */
    unsigned char *stack;
    void *asan_stack; /* what the address sanitizer keeps for it */
    emu_fiber *next;  /* in the pool */
};

/* A fiber that calls entry() when it is first resumed; entry never returns. Reused from a pool. */
emu_fiber *emu_fiber_take(void (*entry)());
/* Only a fiber that has handed control back from the outermost level of its entry. */
void emu_fiber_give(emu_fiber *fiber);

/* Runs `fiber` until it calls emu_fiber_leave. */
void emu_fiber_resume(emu_fiber *fiber);
void emu_fiber_leave(emu_fiber *fiber);

/* Whether the fiber, which has handed control back, needs more stack than it has; only when it has
 * ended is that known of all the functions it has called. */
bool emu_fiber_overflowed(const emu_fiber *fiber, bool ended);

size_t emu_fiber_stack_bytes();

#endif
