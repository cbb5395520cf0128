/* The recurrent layers on a CUDA device, every way of computing them forced, beside cuDNN's. */
#ifndef SYN_BENCHMARKS_GPU_LSTM_H
#define SYN_BENCHMARKS_GPU_LSTM_H

#include "benchmarks/gpu_limits.h"

typedef struct syn_gpu_lstm_options {
    bool tiny;        /* small shapes: tries the program, its times say nothing */
    double seconds;   /* for one row */
    const char *only; /* of the layers lstm-512, bilstm-128 and bilstm-256; NULL: all */
    bool without_cudnn;
    const char *tune; /* where the table of the fastest variants is written, or NULL */
} syn_gpu_lstm_options;

/* Prints one JSON object a line: what was measured, or who does not take the shape and why. Fields:
 * bench, row ("lstm-512 B 64 forward"), layer, batch, steps, pass, who (ours or cudnn), math, how,
 * us, us_per_step, least_us, binds, replays, graph, error (relative L2 of the result, h or dx,
 * against ours in fp32); where how is auto, takes: the variants it is ("cluster", with a backward
 * pass "wide + cluster"). With `tune`, single steps are measured too ("lstm-512 B 64 T 1 forward").
 * *rows: how many were measured. Errors: SYN_ERR_DEVICE, SYN_ERR_MEMORY, SYN_ERR_IO (of the table),
 * and SYN_ERR_NUMERIC when a way computes something else than the others. */
SYN_WARN_UNUSED syn_status syn_gpu_lstm(syn_ctx *ctx, const syn_gpu_limits *limits,
                                        const syn_gpu_lstm_options *options, int *rows);

#endif
