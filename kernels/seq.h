/* Which rows of a (rows, D) buffer belong to which sequence and step.
 *
 * Dense (offset NULL): row = t*batch + b, every sequence has `steps` steps, rows = steps*batch.
 * Packed: row = offset[b] + t, sequence b has offset[b+1] - offset[b] steps (0 allowed),
 * offset[0] = 0, rows = offset[batch], steps = the largest length.
 * reset (steps, batch), dense only, or NULL: nonzero = the state is zero before that step.
 * offset and reset live on the context's device. */
#ifndef SYN_SEQ_H
#define SYN_SEQ_H

#include <stdint.h>

typedef struct syn_seq {
    int64_t batch, steps, rows;
    const int32_t *offset; /* (batch + 1) or NULL */
    const uint8_t *reset;  /* (steps, batch) or NULL */
} syn_seq;

/* For host code: these read `offset`, which must be host memory. */
static inline int64_t syn_seq_length(const syn_seq *q, int64_t b)
{
    return q->offset ? (int64_t)q->offset[b + 1] - q->offset[b] : q->steps;
}

static inline int64_t syn_seq_row(const syn_seq *q, int64_t b, int64_t t)
{
    return q->offset ? q->offset[b] + t : t * q->batch + b;
}

#endif
