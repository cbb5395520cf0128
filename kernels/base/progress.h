/* Progress of long work: a bar with rate and ETA on a terminal (stderr), a line every 10 s
 * elsewhere, nothing for work under 2 s or with SYNCOG_QUIET=1. Not thread-safe. */
#ifndef SYN_BASE_PROGRESS_H
#define SYN_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct syn_progress {
    const char *label; /* "train" */
    const char *unit;  /* "env-steps" */
    int64_t total;     /* 0: unknown */
    int64_t before;    /* done by an earlier process: no part of the rate; set it after begin */
    double started_s, shown_s;
    bool terminal, quiet, shown;
} syn_progress;

void syn_progress_begin(syn_progress *p, const char *label, const char *unit, int64_t total);
/* `note` is printf-style, shown behind the bar ("return 12.1 success .91"); NULL for none. */
void syn_progress_update(syn_progress *p, int64_t done, const char *note, ...) SYN_PRINTF(3, 4);
void syn_progress_end(syn_progress *p);

/* Monotonic seconds. */
double syn_clock_s(void);

#ifdef __cplusplus
}
#endif
#endif
