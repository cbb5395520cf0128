/* Speed of the environment and of the PPO trainer on this machine. */
#ifndef SYN_BENCHMARKS_BENCH_PPO_H
#define SYN_BENCHMARKS_BENCH_PPO_H

#include <stdbool.h>

#include "kernels/base/status.h"

/* Rows: env (random legal actions, masks included), rollout and update (128 environments x 32
 * turns on each rank, four epochs of four minibatches), end_to_end, and what that is made of:
 * *_part, with their shares. Synthetic tasks, random weights. Started by mpirun, rank 0 prints;
 * rows but env and *_part count the steps of all ranks. */
SYN_WARN_UNUSED syn_status syn_bench_ppo(bool json, int threads);

#endif
