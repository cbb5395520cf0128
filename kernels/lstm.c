#include "kernels/lstm.h"

/* The order of the members of syn_lstm_call is that of the arguments, forward before backward. */

/* Offsets are host memory on the CPU only; on a device they are taken as they are. */
static syn_status check_sequences(const syn_ctx *ctx, const syn_seq *q)
{
    SYN_REQUIRE(q && q->batch >= 0 && q->steps >= 0 && q->rows >= 0, "LSTM: sizes below zero");
    SYN_REQUIRE(q->batch <= INT32_MAX && q->steps < INT32_MAX, "LSTM: more sequences or steps than "
                                                               "an int32 counts");
    SYN_REQUIRE(q->offset || q->rows == q->steps * q->batch,
                "LSTM: %lld rows for %lld steps of %lld sequences", (long long)q->rows,
                (long long)q->steps, (long long)q->batch);
    SYN_REQUIRE(!q->offset || !q->reset, "LSTM: resets belong to the dense layout only");
    if (!q->offset || ctx->device != SYN_DEVICE_CPU) return SYN_OK;
    SYN_REQUIRE(q->offset[0] == 0 && q->offset[q->batch] == q->rows,
                "LSTM: the offsets do not run from 0 to the %lld rows", (long long)q->rows);
    for (int64_t b = 0; b < q->batch; b++) {
        int64_t length = syn_seq_length(q, b);
        SYN_REQUIRE(length >= 0 && length <= q->steps, "LSTM: sequence %lld has %lld of %lld steps",
                    (long long)b, (long long)length, (long long)q->steps);
    }
    return SYN_OK;
}

static syn_status check(const syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check_sequences(ctx, a->seq));
    SYN_REQUIRE(a->D > 0 && a->H > 0 && a->ldh >= a->H, "LSTM: D %lld, H %lld, row stride %lld",
                (long long)a->D, (long long)a->H, (long long)a->ldh);
    SYN_REQUIRE(a->W && a->R, "LSTM: no weights");
    SYN_REQUIRE(a->seq->rows == 0 || (a->x && a->h), "LSTM: x or h is NULL");
    return SYN_OK;
}

static syn_status forward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    for (int d = 0; d < directions; d++) {
        SYN_RETURN_IF(check(ctx, &a[d]));
        SYN_REQUIRE(a[d].b, "LSTM: no bias");
        SYN_REQUIRE(a[d].seq->rows == 0 || !a[d].c == !a[d].v,
                    "LSTM: cells and gates are kept together, or neither is");
    }
    return SYN_DISPATCH(ctx, syn_lstm_forward, a, directions);
}

static syn_status backward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    for (int d = 0; d < directions; d++) {
        SYN_RETURN_IF(check(ctx, &a[d]));
        SYN_REQUIRE(a[d].seq->rows == 0 || (a[d].c && a[d].v && a[d].dh && a[d].lddh >= a[d].H),
                    "LSTM: the cells, the gates or the gradient of h are missing");
    }
    return SYN_DISPATCH(ctx, syn_lstm_backward, a, directions);
}

syn_status syn_lstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, bool reverse,
                            const real *x, const real *W, const real *R, const real *b,
                            const real *h0, const real *c0, real *h, int64_t ldh, real *c, real *v,
                            real *hT, real *cT)
{
    const syn_lstm_call a = {seq,  D,    H,    reverse, x,    W,    R,    b,    h0,
                             c0,   h,    ldh,  c,       v,    hT,   cT,   NULL, 0,
                             NULL, NULL, NULL, NULL,    NULL, NULL, NULL, NULL, false};
    return forward(ctx, &a, 1);
}

syn_status syn_lstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, bool reverse,
                             const real *x, const real *W, const real *R, const real *h0,
                             const real *c0, const real *h, int64_t ldh, const real *c, real *v,
                             const real *dh, int64_t lddh, const real *dhT, const real *dcT,
                             real *dx, real *dW, real *dR, real *db, real *dh0, real *dc0)
{
    const syn_lstm_call a = {seq, D,         H,   reverse,   x,  W,    R,    NULL, h0,
                             c0,  (real *)h, ldh, (real *)c, v,  NULL, NULL, dh,   lddh,
                             dhT, dcT,       dx,  dW,        dR, db,   dh0,  dc0,  false};
    return backward(ctx, &a, 1);
}

/* p + n; buffers without rows may be NULL. */
static real *beyond(const real *p, int64_t n)
{
    return p ? (real *)p + n : NULL;
}

syn_status syn_bilstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, const real *x,
                              const real *Wf, const real *Rf, const real *bf, const real *Wr,
                              const real *Rr, const real *br, real *h, real *c, real *v)
{
    const syn_lstm_call f = {seq,  D,    H,     false, x,    Wf,   Rf,   bf,   NULL,
                             NULL, h,    2 * H, c,     v,    NULL, NULL, NULL, 0,
                             NULL, NULL, NULL,  NULL,  NULL, NULL, NULL, NULL, false};
    syn_lstm_call both[2] = {f, f}, *r = &both[1];
    r->reverse = true;
    r->W = Wr;
    r->R = Rr;
    r->b = br;
    r->h = beyond(h, H);
    r->c = beyond(c, seq->rows * H);
    r->v = beyond(v, seq->rows * 4 * H);
    return forward(ctx, both, 2);
}

syn_status syn_bilstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H,
                               const real *x, const real *Wf, const real *Rf, const real *Wr,
                               const real *Rr, const real *h, const real *c, real *v,
                               const real *dh, real *dx, real *dWf, real *dRf, real *dbf, real *dWr,
                               real *dRr, real *dbr)
{
    const syn_lstm_call f = {seq,  D,         H,     false,     x,   Wf,   Rf,   NULL, NULL,
                             NULL, (real *)h, 2 * H, (real *)c, v,   NULL, NULL, dh,   2 * H,
                             NULL, NULL,      dx,    dWf,       dRf, dbf,  NULL, NULL, false};
    syn_lstm_call both[2] = {f, f}, *r = &both[1];
    r->reverse = true;
    r->W = Wr;
    r->R = Rr;
    r->h = beyond(h, H);
    r->c = beyond(c, seq->rows * H);
    r->v = beyond(v, seq->rows * 4 * H);
    r->dh = beyond(dh, H);
    r->dW = dWr;
    r->dR = dRr;
    r->db = dbr;
    r->dx_accumulate = true;
    return backward(ctx, both, 2);
}
