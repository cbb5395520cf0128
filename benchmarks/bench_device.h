/* 'syncog bench device' and 'bench kernels' on a CUDA device. */
#ifndef SYN_BENCHMARKS_BENCH_DEVICE_H
#define SYN_BENCHMARKS_BENCH_DEVICE_H

#include "benchmarks/gpu_lstm.h"

/* Prints two JSON objects, a line each: what the device is (bench device), and what it can do at
 * most (bench limits; benchmarks/gpu_limits.h). Errors: SYN_ERR_DEVICE, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_bench_device(syn_ctx *ctx, bool tiny, syn_gpu_limits *limits);

/* The same, then a line for every way of computing every recurrent layer (benchmarks/gpu_lstm.h).
 */
SYN_WARN_UNUSED syn_status syn_bench_kernels_cuda(syn_ctx *ctx,
                                                  const syn_gpu_lstm_options *options);

#endif
