/* Which CUDA variant of the LSTM is the fastest for a call: a table of rules, of which the first
 * that matches counts. Rules that were measured on a device come from a file; behind them stand
 * those of lstm_choose.c, which are derived.
 *
 * The file has one JSON object a line, as 'syncog bench kernels --tune' writes it: the device, then
 * rules. It is that of SYNCOG_LSTM_TABLE, or without it $XDG_CACHE_HOME/syncog/lstm_table.json
 * (~/.cache for the folder), which need not be there. One of another device is left alone. */
#ifndef SYN_LSTM_CHOOSE_H
#define SYN_LSTM_CHOOSE_H

#include <stdio.h>

#include "kernels/lstm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_LSTM_ORDER_MAX = 5, SYN_LSTM_RULES_MAX = 1024 };

/* A zero matches anything. cuDNN is in no rule: it keeps nothing for another's backward pass. */
typedef struct syn_lstm_rule {
    int64_t H;
    int directions;
    int64_t steps_max, batch_max;
    bool forward, backward;                     /* neither: both passes */
    bool fp32, mixed;                           /* neither: both precisions */
    syn_lstm_variant order[SYN_LSTM_ORDER_MAX]; /* the fastest first, then AUTO */
} syn_lstm_rule;

/* The rule for a call; what no rule of the file is for has one of the derived ones. */
const syn_lstm_rule *syn_lstm_rule_for(const syn_lstm_layer *layer, syn_math math);

/* Reads the file in the place of any read before; NULL: none. device: the name that the file must
 * give, or NULL for any. Errors: SYN_ERR_IO, SYN_ERR_FORMAT, SYN_ERR_LIMIT (SYN_LSTM_RULES_MAX).
 * *used: whether it was for the device. Not while other threads compute. */
SYN_WARN_UNUSED syn_status syn_lstm_table_read(const char *path, const char *device, bool *used);

/* Reads the file named above at the first call in the process; later ones answer the same. device
 * gives the name. A file that SYNCOG_LSTM_TABLE names and that cannot be read is an error, the
 * other one is told in the log. Thread-safe. */
SYN_WARN_UNUSED syn_status syn_lstm_table_open(const char *(*device)(void));

/* The lines of a file. Names with quotes, backslashes or control characters lose these. */
void syn_lstm_table_write_head(FILE *to, const char *device);
void syn_lstm_table_write(FILE *to, const syn_lstm_rule *rule);

#ifdef __cplusplus
}
#endif
#endif
