/* What emulated device code is made of: the running thread, its block, and the ways to wait.
 *
 * Every CUDA thread is a fiber. It runs until it waits (at a barrier, for the lanes of its warp,
 * for a value in memory) or ends; then the next one runs. So a block whose threads never wait costs
 * one switch per thread, and the order in which threads run between two barriers is ours to choose:
 * results that depend on it are races. */
#ifndef CUDA_EMULATOR_H
#define CUDA_EMULATOR_H

#include <cstddef>
#include <cstdint>
#include <functional>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    operator uint3() const { return uint3{x, y, z}; }
};

struct emu_block;
struct emu_fiber;
struct emu_copies;
struct emu_thread;

/* Computes what a function of a warp gives; data[lane] counts for the lanes in mask alone. */
typedef void emu_warp_function(void *const data[32], uint32_t mask);

struct emu_thread {
    uint3 index;
    unsigned linear; /* x fastest */
    emu_block *block;
    emu_fiber *fiber;
    bool waiting, ended;
    bool early_waited; /* has called emu_early_wait */
    /* It goes on when ready(this) is true. */
    bool (*ready)(const emu_thread *);
    const char *what; /* it waits at */
    const volatile void *address;
    uint64_t seen;
    uint64_t polls; /* loads that may belong to a loop which waits */
    bool cluster_arrived;
    uint32_t cluster_seen;
    emu_copies *copies; /* asynchronous ones under way */
};

struct emu_launch {
    const char *name;
    const void *function;
    dim3 grid, block;
    unsigned cluster; /* blocks in x, 1 without clusters */
    bool cooperative;
    bool early; /* it may begin before the kernel before it ends */
    size_t shared_bytes;
    std::function<void()> body;
};

/* The thread that runs now; one thread of the operating system at a time runs kernels. */
extern emu_thread *emu_self;
extern const emu_launch *emu_now;

unsigned char *emu_block_shared();

/* Ends the program with a sentence that names kernel, block and thread. */
[[noreturn]] void emu_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Waiting ---- */

/* Until ready(self); `what` is told when nobody can go on. */
void emu_wait(bool (*ready)(const emu_thread *), const char *what);
/* Lets the others run first. For loads in loops that wait; fails when all threads do nothing else.
 */
void emu_poll();
/* Memory has changed in a way that such a loop may wait for. */
void emu_changed();

/* A barrier of the block; returns the sum of `value` over its threads. */
unsigned emu_block_barrier(const char *what, unsigned value);
/* Barrier `id` of the block for `threads` of it. */
void emu_named_barrier(int id, int threads);
/* The lanes in mask meet; the last to come calls function for all of them. */
void emu_warp(uint32_t mask, const char *what, emu_warp_function *function, void *data);

/* Every thread of a kernel that is launched early has to come here. */
void emu_early_wait();

/* ---- Clusters and asynchronous copies ---- */

unsigned emu_cluster_rank();
unsigned emu_cluster_size();
void emu_cluster_arrive();
void emu_cluster_wait();
/* p, which lies in dynamic shared memory of the block, in block `rank` of the cluster. */
void *emu_cluster_peer(const void *p, unsigned rank);
/* Fails where the pretended device or build is older. */
void emu_need_hopper(const char *what);

/* Does the copy of 16 bytes as late as is allowed; the destination is poisoned until then. from
 * NULL: zeros. */
void emu_copy_async(void *shared, const void *global);
void emu_copy_commit();
void emu_copy_wait(int groups);

/* Stores into a block of the cluster later, then counts the bytes on its barrier. */
void emu_store_async(uintptr_t to, const void *bytes, unsigned count, uintptr_t barrier);
void emu_multicast(void *shared, const void *global, unsigned bytes, uint64_t *barrier,
                   unsigned blocks);

void emu_mbarrier_init(uint64_t *barrier, unsigned count);
void emu_mbarrier_update(uint64_t *barrier, unsigned arrivals, int64_t bytes);
bool emu_mbarrier_ended(const uint64_t *barrier, unsigned parity);
void emu_mbarrier_wait(const uint64_t *barrier, unsigned parity);
void emu_wait_changed(const uint32_t *p, uint32_t old);
void emu_wait_reached(const uint32_t *p, uint32_t value);

#endif
