/* Inside the CPU side of the LSTM: who walks which sequences, units and steps. Not for other
 * callers.
 *
 * The products with x are one product over all rows. The rest walks the steps; at each step every
 * live sequence is a row given by a pointer to its previous h (forward) or to the gate gradients of
 * its following step (backward), so nothing is gathered, padded or copied, and the gates' pointwise
 * part is done on a block of units as soon as its product is there.
 *
 * Two ways to share the work in one parallel region: by sequences (nothing to wait for), when there
 * are enough of them; else by units, with a barrier after each step. */
#ifndef SYN_LSTM_WALK_H
#define SYN_LSTM_WALK_H

#include <stdatomic.h>

#include "kernels/lstm.h"
#include "kernels/tile.h"

enum { SYN_LSTM_GATES = 4 };

typedef struct syn_lstm_barrier {
    atomic_int arrived, round;
} syn_lstm_barrier;

typedef struct syn_lstm_plan {
    const syn_lstm_call *a;
    const int32_t *order; /* (batch) sequences, longest first; NULL: as they are, equally long */
    const real *zeros;    /* (4H) */
    real *panels;         /* R in panels, or NULL: R stays in place */
    real *dc;             /* (batch,H) backward: gradient of c on its way to the step before */
    int64_t steps, blocks;
    int threads;
    bool by_units;
    syn_lstm_barrier *barrier;
} syn_lstm_plan;

/* One live sequence at one step. */
typedef struct syn_lstm_lane {
    const real *h;  /* (H) previous h, or zeros */
    const real *dv; /* (4H) backward: gate gradients of the following step, or zeros */
    const real *c;  /* (H) previous c, or zeros */
    int64_t b, row; /* sequence; row in the buffers */
    bool last;      /* the last step walked: dhT enters here */
    bool reset;     /* no gradient leaves this step towards the one before */
} syn_lstm_lane;

/* The part of the work of one thread. */
typedef struct syn_lstm_share {
    const syn_lstm_plan *p;
    int64_t first, stride; /* its sequences: order[first], order[first + stride], ... */
    int64_t begin, end;    /* its blocks of units */
    syn_lstm_lane *lanes;  /* (batch) */
} syn_lstm_share;

/* Everything but panels, dc and blocks. Takes scratch, which lives until the caller pops. */
SYN_WARN_UNUSED syn_status syn_lstm_plan_init(syn_ctx *ctx, const syn_lstm_call *a,
                                              syn_lstm_plan *p);

/* In one parallel region: pack(p, block) for every block when there are panels (pack NULL: they are
 * filled), then body(share) on every thread. Takes scratch. */
SYN_WARN_UNUSED syn_status syn_lstm_walk(syn_ctx *ctx, const syn_lstm_plan *p,
                                         void (*pack)(const syn_lstm_plan *, int64_t),
                                         void (*body)(const syn_lstm_share *));

/* Fills the lanes of the share's sequences that have a step s; returns how many. */
int64_t syn_lstm_live(const syn_lstm_share *w, int64_t s);

/* Ends a step: where the team shares units, all threads arrive before any goes on. */
void syn_lstm_step_end(const syn_lstm_share *w);

/* The state before step s of sequence l->b: that of the step before, the initial one, or zero. */
void syn_lstm_previous(const syn_lstm_plan *p, syn_lstm_lane *l, int64_t s);

/* Step s of the walk, which runs backwards in time when the call is reverse: its row, and whether
 * the state is zero before it. */
int64_t syn_lstm_row(const syn_lstm_call *a, int64_t b, int64_t s);
bool syn_lstm_reset(const syn_lstm_call *a, int64_t b, int64_t s);

static inline int64_t syn_lstm_sequence(const syn_lstm_plan *p, int64_t i)
{
    return p->order ? p->order[i] : i;
}

#endif
