/* Threads, warps and barriers of the blocks that run at the same time. */
#include "tests/emulator/threads.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "tests/emulator/fiber.h"

emu_thread *emu_self;
const emu_launch *emu_now;
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
emu_group emu_running;
bool emu_haste;

static const uint64_t POLLS_MAX = 1000 * 1000, POLLS_OF_A_THREAD = 64;
static uint64_t polls;  /* since anything else happened */
static uint64_t events; /* barriers passed, threads ended, words changed */

static void print_place(const emu_thread *t)
{
    const emu_block *b = t->block;
    fprintf(stderr, "block (%u,%u,%u), thread (%u,%u,%u)", b->index.x, b->index.y, b->index.z,
            t->index.x, t->index.y, t->index.z);
}

[[noreturn]] void emu_fail(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "\nCUDA emulator: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (emu_now) fprintf(stderr, " (kernel %s", emu_now->name);
    if (emu_now && emu_self) {
        fprintf(stderr, ", ");
        print_place(emu_self);
    }
    fprintf(stderr, "%s\n", emu_now ? ")" : "");
    abort();
}

unsigned char *emu_block_shared()
{
    return emu_self->block->shared;
}

/* ---- Waiting ---- */

void emu_wait(bool (*ready)(const emu_thread *), const char *what)
{
    emu_thread *t = emu_self;
    t->what = what;
    t->ready = ready;
    t->waiting = true;
    while (!ready(t)) emu_fiber_leave(t->fiber);
    t->waiting = false;
    events++;
}

static bool ready_at_once(const emu_thread *t)
{
    (void)t;
    return true;
}

void emu_poll()
{
    emu_thread *t = emu_self;
    polls++;
    t->ready = ready_at_once;
    t->what = "a load or an atomic operation in a loop";
    emu_fiber_leave(t->fiber);
}

void emu_changed()
{
    events++;
}

static bool generation_passed(const emu_thread *t)
{
    return *(const volatile uint32_t *)t->address != (uint32_t)t->seen;
}

static void wait_generation(const uint32_t *generation, uint32_t seen, const char *what)
{
    emu_self->address = generation;
    emu_self->seen = seen;
    emu_wait(generation_passed, what);
}

static bool word_changed(const emu_thread *t)
{
    return *(const volatile uint32_t *)t->address != (uint32_t)t->seen;
}

static bool word_reached(const emu_thread *t)
{
    return (int32_t)(*(const volatile uint32_t *)t->address - (uint32_t)t->seen) >= 0;
}

void emu_wait_changed(const uint32_t *p, uint32_t old)
{
    emu_self->address = p;
    emu_self->seen = old;
    emu_wait(word_changed, "a word in memory that another thread is to change");
}

void emu_wait_reached(const uint32_t *p, uint32_t value)
{
    emu_self->address = p;
    emu_self->seen = value;
    emu_wait(word_reached, "a counter in memory that other threads are to raise");
}

void emu_early_wait()
{
    emu_self->early_waited = true;
}

/* ---- Barriers of a block ---- */

static unsigned barrier_arrive(emu_barrier *r, const char *what, unsigned threads, unsigned value)
{
    emu_block *b = emu_self->block;
    if (b->ended && threads == b->threads)
        emu_fail("%s, but %u threads of the block have ended", what, b->ended);
    if (r->arrived && (r->what != what || r->expected != threads))
        emu_fail("%s, while others of the block wait at %s: threads take different barriers", what,
                 r->what);
    r->what = what;
    r->expected = threads;
    r->sum += value;
    const uint32_t seen = r->generation;
    if (++r->arrived < threads) {
        wait_generation(&r->generation, seen, what);
    } else {
        r->result[seen & 1] = r->sum;
        r->arrived = r->sum = 0;
        r->generation++;
        events++;
    }
    return r->result[seen & 1];
}

unsigned emu_block_barrier(const char *what, unsigned value)
{
    emu_block *b = emu_self->block;
    return barrier_arrive(&b->barrier[0], what, b->threads, value);
}

void emu_named_barrier(int id, int threads)
{
    const unsigned whole = (emu_self->block->threads + 31) / 32 * 32;
    if (id < 1 || id > 15 || threads <= 0 || threads % 32 || (unsigned)threads > whole)
        emu_fail("barrier %d of %d threads: barriers are 1 to 15, threads whole warps", id,
                 threads);
    (void)barrier_arrive(&emu_self->block->barrier[id], "a named barrier", (unsigned)threads, 0);
}

/* ---- Warps ---- */

static emu_meeting *find_meeting(emu_warp_state *w, uint32_t mask)
{
    emu_meeting *unused = nullptr;
    for (emu_meeting &m : w->meeting) {
        if (m.arrived && m.mask == mask) return &m;
        if (!m.arrived && !unused) unused = &m;
    }
    return unused;
}

void emu_warp(uint32_t mask, const char *what, emu_warp_function *function, void *data)
{
    const unsigned lane = emu_self->linear % 32;
    emu_warp_state *w = &emu_self->block->warps[emu_self->linear / 32];
    if (!(mask >> lane & 1)) emu_fail("%s: lane %u is not in its own mask %08x", what, lane, mask);
    if (mask & ~w->exist)
        emu_fail("%s: mask %08x names lanes that the block does not have", what, mask);
    if (mask & w->ended)
        emu_fail("%s: mask %08x names lanes that have ended (%08x)", what, mask, w->ended);
    emu_meeting *m = find_meeting(w, mask);
    if (m->arrived && (m->function != function || m->what != what))
        emu_fail("%s, while other lanes wait at %s: lanes of a warp diverge", what, m->what);
    m->mask = mask;
    m->function = function;
    m->what = what;
    w->data[lane] = data;
    m->arrived |= 1u << lane;
    const uint32_t seen = m->generation;
    if (m->arrived != mask) {
        wait_generation(&m->generation, seen, what);
        return;
    }
    function(w->data, mask);
    m->arrived = 0;
    m->generation++;
    events++;
}

/* ---- Clusters ---- */

unsigned emu_cluster_rank()
{
    return emu_self->block->rank;
}

unsigned emu_cluster_size()
{
    return emu_now->cluster;
}

static void cluster_pass(emu_cluster *c)
{
    if (c->arrived + c->ended < c->threads) return;
    c->arrived = 0;
    c->generation++;
    events++;
}

void emu_cluster_arrive()
{
    emu_cluster *c = emu_self->block->cluster;
    if (emu_self->cluster_arrived)
        emu_fail("arrives twice at the barrier of the cluster without a wait between");
    emu_self->cluster_arrived = true;
    emu_self->cluster_seen = c->generation;
    c->arrived++;
    cluster_pass(c);
}

void emu_cluster_wait()
{
    if (!emu_self->cluster_arrived) emu_fail("waits at the barrier of the cluster, never arrived");
    emu_self->cluster_arrived = false;
    wait_generation(&emu_self->block->cluster->generation, emu_self->cluster_seen,
                    "the barrier of the cluster");
}

/* ---- Running ---- */

static void thread_end()
{
    emu_thread *t = emu_self;
    emu_block *b = t->block;
    emu_warp_state *w = &b->warps[t->linear / 32];
    emu_copies_end(t);
    if (emu_now->early && !t->early_waited)
        emu_fail("is launched early and ends without having waited for the kernel before it");
    if (b->barrier[0].arrived)
        emu_fail("ends while others of the block wait at %s", b->barrier[0].what);
    for (const emu_meeting &m : w->meeting)
        if (m.arrived && (m.mask >> t->linear % 32 & 1))
            emu_fail("ends while other lanes wait for it at %s", m.what);
    w->ended |= 1u << t->linear % 32;
    t->ended = true;
    b->ended++;
    b->cluster->ended++;
    if (b->cluster->arrived) cluster_pass(b->cluster);
    events++;
}

static void fiber_main()
{
    for (;;) {
        emu_now->body();
        thread_end();
        emu_fiber_leave(emu_self->fiber);
    }
}

static bool can_go_on(const emu_thread *t)
{
    return !t->ended && (!t->waiting || t->ready(t));
}

/* Until it waits or ends; -> how many threads ended. */
static size_t resume(emu_thread *t)
{
    if (!t->fiber) t->fiber = emu_fiber_take(fiber_main);
    emu_self = t;
    threadIdx = t->index;
    blockIdx = t->block->index;
    emu_fiber_resume(t->fiber);
    if (emu_fiber_overflowed(t->fiber, t->ended))
        emu_fail("needs more than %zu bytes of stack", emu_fiber_stack_bytes());
    emu_self = nullptr;
    if (!t->ended) return 0;
    emu_fiber_give(t->fiber);
    t->fiber = nullptr;
    return 1;
}

/* The thread's warp, for as long as anything happens in it. */
static size_t resume_warp(const emu_thread *t)
{
    emu_thread *const first = t->block->first + t->linear / 32 * 32;
    emu_thread *const end = t->block->first + t->block->threads;
    size_t ended = 0;
    for (uint64_t before = events - 1; events != before;) {
        before = events;
        for (emu_thread *lane = first; lane < first + 32 && lane < end; lane++)
            if (can_go_on(lane)) ended += resume(lane);
    }
    return ended;
}

[[noreturn]] static void deadlock()
{
    unsigned told = 0;
    const char *before = nullptr;
    fprintf(stderr, "\nCUDA emulator: who waits for what:\n");
    for (const emu_thread &t : emu_running.threads) {
        if (t.ended || (t.what == before && told)) continue;
        before = t.what;
        if (told++ == 16) break;
        print_place(&t);
        fprintf(stderr, " waits at %s\n", t.what ? t.what : "nothing");
        if (!emu_self) emu_self = const_cast<emu_thread *>(&t);
    }
    emu_fail("deadlock: no thread can go on; the first waits at %s", emu_self->what);
}

void emu_group_run()
{
    size_t left = emu_running.threads.size();
    const uint64_t polls_max = POLLS_MAX + POLLS_OF_A_THREAD * left;
    polls = events = 0;
    while (left) {
        const uint64_t events_before = events;
        bool ran = false;
        for (unsigned i : emu_running.order) {
            emu_thread *t = &emu_running.threads[i];
            if (!can_go_on(t)) continue;
            left -= emu_haste ? resume_warp(t) : resume(t);
            ran = true;
        }
        if (emu_deliver()) {
            ran = true;
            events++;
        }
        if (events != events_before) polls = 0;
        if (!ran || polls > polls_max) deadlock();
    }
}
