/* Speed of the environment by itself, and with the features that its policy would read. */
#ifndef SYN_BENCHMARKS_BENCH_ENV_H
#define SYN_BENCHMARKS_BENCH_ENV_H

#include "benchmarks/timing.h"
#include "engine/perception.h"
#include "trainer/corpus.h"

/* Fills two rows: environment steps with random legal actions, masks included; and the same with
 * the views, features and judgements of every turn (syn_observe_views), by which pieces are sent.
 * envs: environments side by side. corpus and judge are host memory; ctx's device has copies for as
 * long as this takes. On CUDA the turns are replayed as a graph; tiny: once. Errors:
 * SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_bench_env(syn_ctx *ctx, int64_t envs, bool tiny,
                                         const syn_corpus *corpus, const syn_perception *judge,
                                         syn_bench_row rows[2]);

#endif
