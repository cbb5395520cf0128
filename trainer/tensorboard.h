/* TensorBoard event files: scalars, histograms and text that TensorBoard (and W&B) show while a run
 * goes on. They say again what metrics.jsonl says; nothing of the program reads them back.
 *
 * A writer never fails its caller: figures are not worth a run. What cannot be written (a full
 * disk, a folder without the right to write) is said once as a warning; the file is cut after its
 * last whole record, and every later call does nothing.
 *
 * The file is DIR/events.out.tfevents.<stamp>.syncog: TFRecord frames with masked CRC-32C (RFC
 * 3720) around protocol buffers (tensorboard/compat/proto: event, summary, histogram, tensor). The
 * stamp is the second of opening, or above those that stand in DIR, so that readers, who take files
 * by name, meet a resumed run last. One thread per writer, rank 0 only. */
#ifndef SYN_TRAINER_TENSORBOARD_H
#define SYN_TRAINER_TENSORBOARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/real.h"

enum {
    SYN_TB_TAG_MAX = 255,       /* bytes; a longer tag is cut */
    SYN_TB_TEXT_MAX = 1 << 20,  /* bytes; a longer text is cut */
    SYN_TB_COUNTS_MAX = 64,     /* categories of syn_tb_counts */
    SYN_TB_BUFFER_MAX = 1 << 18 /* bytes that wait before they are written unasked */
};

typedef struct syn_tb {
    int fd; /* -1: closed, or given up */
    char *path;
    unsigned char *buffer; /* whole records that are not yet written */
    size_t used, room;
    int64_t written; /* bytes of the file; whole records */
} syn_tb;

/* Makes DIR where it is missing (its parent exists) and begins a file. first_step is the step that
 * the first event will have: 1 for a run from the start, the one after the saved step for a resumed
 * run. TensorBoard drops what older files of DIR hold from that step on. */
void syn_tb_open(syn_tb *w, const char *dir, int64_t first_step);

/* Whether a file of this name is one that syn_tb_open makes. */
bool syn_tb_is_file(const char *name);

/* One point of the curve `tag` ("train/return"; the part before the slash groups the panels). What
 * is not finite is written as it is: TensorBoard marks it. */
void syn_tb_scalar(syn_tb *w, const char *tag, int64_t step, double value);

/* x (n), host memory, in: counted in TensorFlow's default buckets (0 and +-1e-12 * 1.1^k, below
 * 1e20). Values that are not finite are left out; nothing is written when none is left. */
void syn_tb_histogram(syn_tb *w, const char *tag, int64_t step, const real *x, int64_t n);

/* How often each of n categories came (n <= SYN_TB_COUNTS_MAX, counts >= 0), as a histogram with
 * one bucket of width 1 around each index. */
void syn_tb_counts(syn_tb *w, const char *tag, int64_t step, const double *count, int n);

/* Markdown; written for the config at the start. */
void syn_tb_text(syn_tb *w, const char *tag, int64_t step, const char *text);

/* One line of metrics.jsonl: every number (a bool is 0 or 1) as a scalar, a list of numbers as
 * counts, an object's numbers as scalars named KEY.MEMBER. A tag is GROUP/KEY
 * ("held_out/held_out_return"), the step is the line's env_steps. */
void syn_tb_metrics(syn_tb *w, const json_t *line);

/* Writes what waits: call it once per update, so that readers see it. */
void syn_tb_flush(syn_tb *w);

/* Flushes and closes. Safe on a closed writer and on one that is {.fd = -1}, not on zeroed memory.
 */
void syn_tb_close(syn_tb *w);

/* CRC-32C (Castagnoli) of n bytes. */
uint32_t syn_crc32c(const void *bytes, size_t n);

#endif
