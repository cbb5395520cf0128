/* Speed of the scorer: one decision, and many sessions' in one batch. */
#ifndef SYN_BENCHMARKS_BENCH_SCORE_H
#define SYN_BENCHMARKS_BENCH_SCORE_H

#include <stdbool.h>

#include "kernels/base/status.h"

typedef struct syn_bench_score_options {
    bool json, cuda, mixed, tiny;
    int threads; /* of the CPU; 0: one per core */
} syn_bench_score_options;

/* Rows: one_by_one, the steps of syn_session_decide on the CPU, one thread, one team after the
 * other; batch_N, N sessions' decisions in one call, and turn_N, the same after a turn that has
 * touched two of four agents; queue_1, one decision through the queue and back to the thread that
 * asked; deal_1, a smaller team; gaps_1 and gaps_64, pairs by the gap detector alone. Unless said
 * otherwise: four agents that hold 16 items each, all looked at afresh: message encoded, knowledge
 * of all agents, gap matrix, greedy action. ratio: decisions per second to one_by_one's. Random
 * weights and features. */
SYN_WARN_UNUSED syn_status syn_bench_score(const syn_bench_score_options *options);

#endif
