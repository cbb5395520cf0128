/* Shared memory of peers, barriers in shared memory, and what is copied asynchronously. */
#include "tests/emulator/threads.h"

#include <cstring>

#include "tests/emulator/device.h"

/* ---- Peers ---- */

void emu_need_hopper(const char *what)
{
    if (emu_device_now().built < 90) emu_fail("%s needs sm_90", what);
}

static bool in_shared(const emu_block *b, const void *p, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)p;
    return at >= b->shared && at + bytes <= b->shared + emu_now->shared_bytes;
}

void *emu_cluster_peer(const void *p, unsigned rank)
{
    const emu_block *own = emu_self->block;
    emu_need_hopper("a pointer to the shared memory of a peer");
    if (rank >= emu_now->cluster)
        emu_fail("block %u of a cluster of %u does not exist", rank, emu_now->cluster);
    if (!in_shared(own, p, 1)) emu_fail("%p is not in the dynamic shared memory of the block", p);
    return own->cluster_first[rank].shared + ((const unsigned char *)p - own->shared);
}

/* The block of the running thread's cluster that holds these bytes. */
static emu_block *holder(uintptr_t address, size_t bytes, const char *what)
{
    emu_block *first = emu_self->block->cluster_first;
    for (unsigned i = 0; i < emu_now->cluster; i++)
        if (in_shared(&first[i], (const void *)address, bytes)) return &first[i];
    emu_fail("%s: %zu bytes at %p are in no block of the cluster", what, bytes, (void *)address);
}

/* ---- Barriers in shared memory ----
 *
 * From the lowest bit: phase 1, pending arrivals 20, arrivals of a phase 20, bytes to come 22
 * (signed), and 1 that is set in poisoned memory. */

struct mbarrier {
    unsigned phase, pending, count;
    int64_t bytes;
};

static const int64_t COUNT_MAX = (1 << 20) - 1;

static mbarrier unpack(const uint64_t *p)
{
    if ((uintptr_t)p % 8) emu_fail("a barrier at %p is not 8-byte aligned", (const void *)p);
    const uint64_t x = *(const volatile uint64_t *)p;
    mbarrier b = {(unsigned)(x & 1), (unsigned)(x >> 1 & COUNT_MAX),
                  (unsigned)(x >> 21 & COUNT_MAX), (int64_t)(x << 1) >> 42};
    if (x >> 63 || !b.count) emu_fail("a barrier at %p was not initialised", (const void *)p);
    return b;
}

static void pack(uint64_t *p, mbarrier b)
{
    *(volatile uint64_t *)p = b.phase | (uint64_t)b.pending << 1 | (uint64_t)b.count << 21 |
                              ((uint64_t)b.bytes & 0x3fffff) << 41;
}

void emu_mbarrier_init(uint64_t *barrier, unsigned count)
{
    emu_need_hopper("a barrier in shared memory");
    if (count < 1 || count > COUNT_MAX) emu_fail("a barrier of %u arrivals", count);
    if ((uintptr_t)barrier % 8) emu_fail("a barrier at %p is not 8-byte aligned", (void *)barrier);
    pack(barrier, mbarrier{0, count, count, 0});
}

void emu_mbarrier_update(uint64_t *barrier, unsigned arrivals, int64_t bytes)
{
    mbarrier b = unpack(barrier);
    if (arrivals > b.pending)
        emu_fail("arrives at a barrier whose %u arrivals of this phase have all come", b.count);
    b.bytes += bytes;
    if (b.bytes > COUNT_MAX || b.bytes < -COUNT_MAX)
        emu_fail("a barrier that expects %lld bytes: at most %lld", (long long)b.bytes,
                 (long long)COUNT_MAX);
    b.pending -= arrivals;
    if (!b.pending && !b.bytes) {
        b.phase ^= 1;
        b.pending = b.count;
    }
    pack(barrier, b);
}

bool emu_mbarrier_ended(const uint64_t *barrier, unsigned parity)
{
    return unpack(barrier).phase != (parity & 1);
}

static bool phase_ended(const emu_thread *t)
{
    return (*(const volatile uint64_t *)t->address & 1) != (t->seen & 1);
}

void emu_mbarrier_wait(const uint64_t *barrier, unsigned parity)
{
    (void)unpack(barrier);
    emu_self->address = barrier;
    emu_self->seen = parity;
    emu_wait(phase_ended, "a barrier in shared memory");
}

/* ---- Asynchronous stores ---- */

struct store {
    emu_thread *sender;
    emu_block *holder;
    uintptr_t to, barrier;
    unsigned count;
    unsigned char bytes[16];
    const void *from; /* of a multicast, which reads when it comes; else NULL */
};

static std::vector<store> stores;

static void land(const store &s)
{
    if (s.holder->ended == s.holder->threads)
        emu_fail("an asynchronous store comes to a block that has ended");
    memcpy((void *)s.to, s.from ? s.from : s.bytes, s.count);
    emu_mbarrier_update((uint64_t *)s.barrier, 0, -(int64_t)s.count);
}

static void send(const store &s)
{
    if (emu_haste)
        land(s);
    else
        stores.push_back(s);
}

void emu_store_async(uintptr_t to, const void *bytes, unsigned count, uintptr_t barrier)
{
    store s = {emu_self, holder(to, count, "an asynchronous store"), to, barrier, count, {0},
               nullptr};
    if (to % count) emu_fail("an asynchronous store of %u bytes to %p", count, (void *)to);
    if (holder(barrier, 8, "the barrier of an asynchronous store") != s.holder)
        emu_fail("an asynchronous store and its barrier are in different blocks");
    memcpy(s.bytes, bytes, count);
    send(s);
}

void emu_multicast(void *shared, const void *global, unsigned bytes, uint64_t *barrier,
                   unsigned blocks)
{
    emu_need_hopper("a multicast");
    if (bytes % 16 || (uintptr_t)shared % 16 || (uintptr_t)global % 16)
        emu_fail("a multicast of %u bytes from %p to %p: not all multiples of 16", bytes, global,
                 shared);
    if (!blocks || blocks >> emu_now->cluster)
        emu_fail("a multicast to blocks %#x of a cluster of %u", blocks, emu_now->cluster);
    for (unsigned rank = 0; rank < emu_now->cluster; rank++) {
        if (!(blocks >> rank & 1)) continue;
        const uintptr_t to = (uintptr_t)emu_cluster_peer(shared, rank);
        const uintptr_t end = (uintptr_t)emu_cluster_peer(barrier, rank);
        send(store{emu_self, holder(to, bytes, "a multicast"), to, end, bytes, {0}, global});
    }
}

/* The latest first: nothing may depend on their order. */
bool emu_deliver()
{
    if (stores.empty()) return false;
    emu_thread *self = emu_self;
    while (!stores.empty()) {
        const store s = stores.back();
        stores.pop_back();
        emu_self = s.sender;
        land(s);
    }
    emu_self = self;
    return true;
}

/* ---- Asynchronous copies ---- */

struct copy {
    void *to;
    const void *from;
    unsigned group;
};

struct emu_copies {
    std::vector<copy> pending;
    unsigned group; /* that is open */
};

void emu_copy_async(void *shared, const void *global)
{
    if ((uintptr_t)shared % 16 || (uintptr_t)global % 16)
        emu_fail("an asynchronous copy of 16 bytes from %p to %p: not 16-byte aligned", global,
                 shared);
    emu_copies *&c = emu_self->copies;
    if (!c) c = new emu_copies();
    memset(shared, 0xff, 16);
    c->pending.push_back(copy{shared, global, c->group});
}

void emu_copy_commit()
{
    if (emu_self->copies)
        emu_self->copies->group++;
    else
        (emu_self->copies = new emu_copies())->group = 1;
}

void emu_copy_wait(int groups)
{
    emu_copies *c = emu_self->copies;
    if (!c) return;
    size_t kept = 0;
    for (const copy &p : c->pending) {
        if (p.group + (unsigned)groups >= c->group) {
            c->pending[kept++] = p;
        } else if (p.from) {
            memcpy(p.to, p.from, 16);
        } else {
            memset(p.to, 0, 16);
        }
    }
    c->pending.resize(kept);
}

void emu_copies_end(emu_thread *t)
{
    if (!t->copies) return;
    if (!t->copies->pending.empty())
        emu_fail("ends with %zu asynchronous copies under way", t->copies->pending.size());
    delete t->copies;
    t->copies = nullptr;
}
