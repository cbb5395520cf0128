/* The whole decision: one message encoded, CKM of four agents, gap matrix, action. */
#ifndef SYN_BENCHMARKS_BENCH_DECISION_H
#define SYN_BENCHMARKS_BENCH_DECISION_H

#include "benchmarks/timing.h"
#include "kernels/base/ctx.h"

/* Four agents of five items each, random weights: everything recomputed from the team's state,
 * features and ranker included, as if all memories had changed. */
SYN_WARN_UNUSED syn_status syn_bench_decision(syn_ctx *ctx, syn_bench_row *row);

#endif
