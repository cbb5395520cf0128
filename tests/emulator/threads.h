/* What the parts of the emulator share about a running kernel. */
#ifndef EMU_THREADS_H
#define EMU_THREADS_H

#include <cuda_emulator.h>

#include <vector>

/* Lanes of a warp that wait for each other. */
struct emu_meeting {
    uint32_t mask, arrived;
    emu_warp_function *function;
    const char *what;
    uint32_t generation;
};

struct emu_warp_state {
    uint32_t exist, ended;
    emu_meeting meeting[32]; /* arrived is 0 in those that are free */
    void *data[32];
};

struct emu_barrier {
    const char *what;
    unsigned arrived, expected;
    uint32_t generation;
    unsigned sum, result[2]; /* of the generation, by parity */
};

struct emu_cluster {
    unsigned threads, ended, arrived;
    uint32_t generation;
};

struct emu_block {
    uint3 index;
    unsigned linear, threads, ended;
    unsigned char *shared, *shared_base;
    unsigned rank; /* in its cluster */
    emu_cluster *cluster;
    emu_block *cluster_first;
    emu_barrier barrier[16];
    emu_thread *first;
    emu_warp_state *warps;
};

/* Blocks that run at the same time: one, a cluster, or a whole cooperative grid. */
struct emu_group {
    std::vector<emu_block> blocks;
    std::vector<emu_cluster> clusters;
    std::vector<emu_thread> threads;
    std::vector<emu_warp_state> warps;
    std::vector<unsigned> order;
};

extern emu_group emu_running;
/* SYN_EMULATOR_HASTE=1: see README. */
extern bool emu_haste;

/* Runs all threads of the group to their end. */
void emu_group_run();
/* Stores that were sent and have not come yet; true when there were any. */
bool emu_deliver();
/* Nothing may be left under way when a thread ends. */
void emu_copies_end(emu_thread *t);

/* Runs a kernel whose launch has been checked. */
void emu_run(const emu_launch &launch);

#endif
