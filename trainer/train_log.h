/* What a run leaves to be looked at: OUT/metrics.jsonl, one JSON object per update, and the same as
 * TensorBoard event files in OUT/tensorboard. Rank 0 alone writes. */
#ifndef SYN_TRAINER_TRAIN_LOG_H
#define SYN_TRAINER_TRAIN_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/params.h"
#include "kernels/base/status.h"
#include "trainer/tensorboard.h"

typedef struct syn_train_log {
    char *path, *board_path; /* of metrics.jsonl, of the folder */
    char *config;
    FILE *metrics;
    syn_tb board; /* begun with the first line */
    int64_t done_steps, lines;
} syn_train_log;

/* Opens both in folder `dir`. done_steps > 0: a resumed run; lines of later steps, which an
 * interrupted run wrote after its last save, are cut, for they are written again. 0: the first line
 * replaces what an earlier run has left. config_json (may be NULL) is shown in TensorBoard.
 * SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_train_log_open(syn_train_log *log, const char *dir,
                                              int64_t done_steps, const char *config_json);

/* Before the first line of a run that takes another one's place: empties metrics.jsonl and removes
 * that one's event files, of which some would be shown beside this one's. Only files that are named
 * as ours are. SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_train_log_replace(const syn_train_log *log);

/* Writes one line, and flushes it; `line` has at least "env_steps". SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_train_log_write(syn_train_log *log, const json_t *line);

/* The weights as histograms, one a tensor, into TensorBoard; after the line of the same step. p's
 * values are in host memory. */
void syn_train_log_weights(syn_train_log *log, const syn_params *p, int64_t step);

/* Takes away what is empty; keep false: whatever this log has written into new files too. Zeroed
 * memory is fine. */
void syn_train_log_close(syn_train_log *log, bool keep);

#endif
