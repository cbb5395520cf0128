/* Speed of the kernels on this machine. */
#ifndef SYN_BENCHMARKS_BENCH_KERNELS_H
#define SYN_BENCHMARKS_BENCH_KERNELS_H

#include <stdbool.h>

#include "kernels/base/status.h"

/* Times the matrix product, LSTM-512 (one and 64 sequences of 16 steps, forward and backward), a
 * bidirectional LSTM-128 over sequences of unequal length and the whole decision
 * (benchmarks/bench_decision.h), on the CPU with `threads` threads (0: one per core), and prints a
 * table, or one JSON object, to stdout: median and 99th percentile of many runs after warm-up,
 * rate, and the share of the matrix product's rate measured in the same run. Errors:
 * SYN_ERR_INVALID, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_bench_kernels(bool json, int threads);

#endif
