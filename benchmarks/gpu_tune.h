/* Writes the table of the fastest LSTM variants (kernels/lstm_choose.h) from measured times. */
#ifndef SYN_BENCHMARKS_GPU_TUNE_H
#define SYN_BENCHMARKS_GPU_TUNE_H

#include "kernels/lstm.h"

typedef struct syn_gpu_tune syn_gpu_tune;

/* One layer at one batch size: us of the forward pass, and of both, by variant and whether in
 * MIXED; 0: not measured. */
typedef struct syn_gpu_tuned {
    int64_t H, steps, batch;
    int directions;
    bool last; /* of its batch sizes, which come in rising order: larger ones are taken for it */
    double forward_us[2][SYN_LSTM_VARIANTS], both_us[2][SYN_LSTM_VARIANTS];
} syn_gpu_tuned;

/* The table of `device` at path, which holds what it held until syn_gpu_tune_close. Layers of one
 * step come before longer ones of the same shape. Errors: SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gpu_tune_open(const char *path, const char *device,
                                             syn_gpu_tune **tune);
void syn_gpu_tune_add(syn_gpu_tune *tune, const syn_gpu_tuned *layer);
/* good: the table is whole and takes the place of the file; else nothing is left of it. tune may be
 * NULL. Errors: SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_gpu_tune_close(syn_gpu_tune *tune, bool good);

#endif
