#include "benchmarks/gpu_tune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/lstm_choose.h"

struct syn_gpu_tune {
    FILE *file;
    char *path, *staged;
};

static void tune_free(syn_gpu_tune *t)
{
    free(t->path);
    free(t->staged);
    free(t);
}

syn_status syn_gpu_tune_open(const char *path, const char *device, syn_gpu_tune **tune)
{
    const size_t size = strlen(path) + sizeof ".new";
    syn_gpu_tune *t = calloc(1, sizeof *t);
    *tune = NULL;
    if (t) {
        t->path = strdup(path);
        t->staged = malloc(size);
    }
    if (!t || !t->path || !t->staged) {
        if (t) tune_free(t);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a table");
    }
    snprintf(t->staged, size, "%s.new", path);
    t->file = fopen(t->staged, "w");
    if (!t->file) {
        const int error = errno;
        tune_free(t);
        return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(error));
    }
    syn_lstm_table_write_head(t->file, device);
    *tune = t;
    return SYN_OK;
}

/* The backward pass by itself; cuDNN and AUTO are no candidates, nor is there a backward pass of
 * `wide`. 0: not measured. */
static double time_of(const syn_gpu_tuned *l, bool backward, bool mixed, int variant)
{
    if (variant == SYN_LSTM_AUTO || variant == SYN_LSTM_CUDNN) return 0;
    const double forward = l->forward_us[mixed][variant], both = l->both_us[mixed][variant];
    if (!backward) return forward;
    if (variant == SYN_LSTM_WIDE || forward <= 0 || both <= 0) return 0;
    return both > forward ? both - forward : 1e-3;
}

/* The variants that were measured, the fastest first; -> how many. */
static int sort(const syn_gpu_tuned *l, bool backward, bool mixed, syn_lstm_rule *rule)
{
    int count = 0;
    for (int v = 0; v < SYN_LSTM_VARIANTS; v++) {
        const double us = time_of(l, backward, mixed, v);
        if (us <= 0 || count == SYN_LSTM_ORDER_MAX) continue;
        int at = count++;
        for (; at > 0 && time_of(l, backward, mixed, (int)rule->order[at - 1]) > us; at--)
            rule->order[at] = rule->order[at - 1];
        rule->order[at] = (syn_lstm_variant)v;
    }
    return count;
}

void syn_gpu_tune_add(syn_gpu_tune *tune, const syn_gpu_tuned *l)
{
    for (int i = 0; i < 4; i++) {
        const bool backward = i & 1, mixed = i & 2;
        syn_lstm_rule rule = {.H = l->H,
                              .directions = l->directions,
                              .steps_max = l->steps == 1 ? 1 : 0,
                              .batch_max = l->last ? 0 : l->batch,
                              .forward = !backward,
                              .backward = backward,
                              .fp32 = !mixed,
                              .mixed = mixed};
        if (sort(l, backward, mixed, &rule)) syn_lstm_table_write(tune->file, &rule);
    }
}

syn_status syn_gpu_tune_close(syn_gpu_tune *t, bool good)
{
    if (!t) return SYN_OK;
    bool whole = fflush(t->file) == 0 && fsync(fileno(t->file)) == 0;
    whole = fclose(t->file) == 0 && whole;
    if (good && whole) whole = rename(t->staged, t->path) == 0;
    const int error = errno;
    if (!good || !whole) (void)unlink(t->staged);
    const syn_status st =
        good && !whole ? syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(error)) : SYN_OK;
    tune_free(t);
    return st;
}
