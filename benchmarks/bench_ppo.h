/* Speed of the environment and of the PPO trainer on this machine. */
#ifndef SYN_BENCHMARKS_BENCH_PPO_H
#define SYN_BENCHMARKS_BENCH_PPO_H

#include <stdbool.h>

#include "kernels/base/status.h"

typedef struct syn_bench_ppo_options {
    bool json;
    int threads;
    bool cuda;  /* all of it on the device */
    bool mixed; /* there: syn_math */
    bool tiny;  /* few environments and one run: tries the program, its times say nothing */
    int envs;   /* of the roll-out, a multiple of 4 (SYN_ERR_INVALID); 0: 128, on CUDA 4096 */
} syn_bench_ppo_options;

/* Rows: env (random legal actions, masks included), env_features (the same with the features and
 * judgements of every turn), rollout and update (`envs` environments x 32 turns on each rank, four
 * epochs of four minibatches), end_to_end, and what that is made of: *_part, with their shares.
 * Drawn tasks, random weights. Started by mpirun, rank 0 prints; rows but env, env_features and
 * *_part count the steps of all ranks. On CUDA the share of the peak is that of a large product in
 * the same precision. */
SYN_WARN_UNUSED syn_status syn_bench_ppo(const syn_bench_ppo_options *options);

#endif
