#include "benchmarks/bench_kernels.h"

#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/bench_decision.h"
#include "benchmarks/timing.h"
#include "kernels/base/ctx.h"
#include "kernels/base/rng.h"
#include "kernels/gemm.h"
#include "kernels/lstm.h"

enum {
    BUFFERS_MAX = 24,
    RUNS_MIN = 20,
    GEMM_SIZE = 2048,
    LSTM_WIDTH = 512,
    LSTM_STEPS = 16,
    LSTM_BATCH = 64,
    BILSTM_IN = 256,
    BILSTM_HIDDEN = 128,
    BILSTM_BATCH = 64,
    BILSTM_STEPS = 24
};

/* One case: a function over buffers that live for the case. */
typedef struct bench {
    syn_ctx *ctx;
    syn_seq seq;
    int64_t D, H;
    bool bidirectional, backward;
    int32_t offset[BILSTM_BATCH + 1];
    real *x, *W[2], *R[2], *b[2], *h, *c, *v, *dh, *dx, *dW[2], *dR[2], *db[2];
    real *buffers[BUFFERS_MAX];
    int buffer_count;
} bench;

/* Small random numbers, so that nothing saturates; NULL and a sentence when out of memory. */
static real *numbers(bench *t, int64_t count)
{
    real *p = syn_device_alloc(t->ctx, sizeof *p * (size_t)count);
    if (!p) return NULL;
    syn_rng rng = syn_rng_make(1, SYN_STREAM_SYNTH);
    for (int64_t i = 0; i < count; i++) p[i] = (real)0.1 * (syn_rng_uniform(&rng) - (real)0.5);
    t->buffers[t->buffer_count++] = p;
    return p;
}

static void bench_free(bench *t)
{
    for (int i = 0; i < t->buffer_count; i++) syn_device_free(t->ctx, t->buffers[i]);
}

static syn_status run_gemm(void *user)
{
    bench *t = user;
    const int64_t n = GEMM_SIZE;
    return syn_gemm(t->ctx, false, false, n, n, n, 1, t->x, n, t->W[0], n, 0, t->h, n);
}

static syn_status run_lstm(void *user)
{
    bench *t = user;
    const int64_t D = t->D, H = t->H;
    SYN_RETURN_IF(syn_lstm_forward(t->ctx, &t->seq, D, H, false, t->x, t->W[0], t->R[0], t->b[0],
                                   NULL, NULL, t->h, H, t->c, t->v, NULL, NULL));
    if (!t->backward) return SYN_OK;
    return syn_lstm_backward(t->ctx, &t->seq, D, H, false, t->x, t->W[0], t->R[0], NULL, NULL, t->h,
                             H, t->c, t->v, t->dh, H, NULL, NULL, t->dx, t->dW[0], t->dR[0],
                             t->db[0], NULL, NULL);
}

static syn_status run_bilstm(void *user)
{
    bench *t = user;
    const int64_t D = t->D, H = t->H;
    SYN_RETURN_IF(syn_bilstm_forward(t->ctx, &t->seq, D, H, t->x, t->W[0], t->R[0], t->b[0],
                                     t->W[1], t->R[1], t->b[1], t->h, t->c, t->v));
    if (!t->backward) return SYN_OK;
    return syn_bilstm_backward(t->ctx, &t->seq, D, H, t->x, t->W[0], t->R[0], t->W[1], t->R[1],
                               t->h, t->c, t->v, t->dh, t->dx, t->dW[0], t->dR[0], t->db[0],
                               t->dW[1], t->dR[1], t->db[1]);
}

static syn_status measure(bench *t, syn_status (*run)(void *), syn_bench_row *out)
{
    return syn_bench_measure(run, t, RUNS_MIN, out);
}

static syn_status bench_gemm(syn_ctx *ctx, syn_bench_row *out)
{
    const int64_t n = GEMM_SIZE;
    bench t = {.ctx = ctx};
    t.x = numbers(&t, n * n);
    t.W[0] = numbers(&t, n * n);
    t.h = numbers(&t, n * n);
    out->flops = 2.0 * (double)n * (double)n * (double)n;
    syn_status st = t.x && t.W[0] && t.h ? measure(&t, run_gemm, out) : SYN_ERR_MEMORY;
    bench_free(&t);
    return st;
}

/* The buffers of one or two directions over t->seq.rows rows. */
static syn_status bench_buffers(bench *t)
{
    const int64_t D = t->D, H = t->H, rows = t->seq.rows, ways = t->bidirectional ? 2 : 1;
    t->x = numbers(t, rows * D);
    t->h = numbers(t, rows * H * ways);
    t->c = numbers(t, rows * H * ways);
    t->v = numbers(t, rows * 4 * H * ways);
    t->dh = numbers(t, rows * H * ways);
    t->dx = numbers(t, rows * D);
    bool enough = t->x && t->h && t->c && t->v && t->dh && t->dx;
    for (int i = 0; i < ways; i++) {
        t->W[i] = numbers(t, 4 * H * D);
        t->R[i] = numbers(t, 4 * H * H);
        t->b[i] = numbers(t, 4 * H);
        t->dW[i] = numbers(t, 4 * H * D);
        t->dR[i] = numbers(t, 4 * H * H);
        t->db[i] = numbers(t, 4 * H);
        enough = enough && t->W[i] && t->R[i] && t->b[i] && t->dW[i] && t->dR[i] && t->db[i];
    }
    return enough ? SYN_OK : SYN_ERR_MEMORY;
}

static syn_status bench_recurrent(bench *t, syn_bench_row *out)
{
    int64_t ways = t->bidirectional ? 2 : 1, passes = t->backward ? 3 : 1;
    out->flops =
        2.0 * (double)(t->seq.rows * ways * passes) * 4 * (double)t->H * (double)(t->D + t->H);
    syn_status st = bench_buffers(t);
    if (st == SYN_OK) st = measure(t, t->bidirectional ? run_bilstm : run_lstm, out);
    bench_free(t);
    return st;
}

static syn_status bench_lstm(syn_ctx *ctx, int64_t batch, bool backward, syn_bench_row *out)
{
    bench t = {.ctx = ctx, .D = LSTM_WIDTH, .H = LSTM_WIDTH, .backward = backward};
    t.seq = (syn_seq){batch, LSTM_STEPS, batch * LSTM_STEPS, NULL, NULL};
    return bench_recurrent(&t, out);
}

/* Lengths 1 to BILSTM_STEPS in turn. */
static syn_status bench_bilstm(syn_ctx *ctx, bool backward, syn_bench_row *out)
{
    bench t = {.ctx = ctx,
               .D = BILSTM_IN,
               .H = BILSTM_HIDDEN,
               .bidirectional = true,
               .backward = backward};
    for (int b = 0; b < BILSTM_BATCH; b++) t.offset[b + 1] = t.offset[b] + 1 + b * 7 % BILSTM_STEPS;
    t.seq = (syn_seq){BILSTM_BATCH, BILSTM_STEPS, t.offset[BILSTM_BATCH], t.offset, NULL};
    return bench_recurrent(&t, out);
}

syn_status syn_bench_kernels(bool json, int threads)
{
    syn_bench_row rows[] = {
        {.name = "gemm 2048 x 2048 x 2048"},
        {.name = "lstm-512 forward, B 1, T 16"},
        {.name = "lstm-512 forward, B 64, T 16"},
        {.name = "lstm-512 forward + backward, B 64, T 16"},
        {.name = "bilstm-128 forward, 64 packed"},
        {.name = "bilstm-128 forward + backward, 64 packed"},
        {.name = "decision_n4"},
    };
    syn_ctx ctx;
    SYN_RETURN_IF(syn_ctx_init(&ctx, SYN_DEVICE_CPU, threads));
    syn_status st = SYN_OK;
    SYN_TRY(bench_gemm(&ctx, &rows[0]));
    SYN_TRY(bench_lstm(&ctx, 1, false, &rows[1]));
    SYN_TRY(bench_lstm(&ctx, LSTM_BATCH, false, &rows[2]));
    SYN_TRY(bench_lstm(&ctx, LSTM_BATCH, true, &rows[3]));
    SYN_TRY(bench_bilstm(&ctx, false, &rows[4]));
    SYN_TRY(bench_bilstm(&ctx, true, &rows[5]));
    SYN_TRY(syn_bench_decision(&ctx, &rows[6]));
    syn_bench_print("kernels", rows, (int)(sizeof rows / sizeof *rows), ctx.threads,
                    rows[0].flops / rows[0].p50_s, json);
done:
    syn_ctx_free(&ctx);
    return st;
}
