/* LSTM problems over every layout, for the tests that compare two ways to compute the same. */
#ifndef SYN_TESTS_LSTM_PROBLEM_H
#define SYN_TESTS_LSTM_PROBLEM_H

#include "kernels/base/rng.h"
#include "kernels/lstm.h"
#include "tests/test.h"

typedef struct shape {
    int64_t batch, steps, D, H;
    bool packed, resets, reverse, from_zero;
} shape;

typedef struct problem {
    syn_ctx ctx;
    shape z;
    syn_seq seq;
    int32_t *offset;
    uint8_t *reset;
    real *x, *W, *R, *b, *h0, *c0, *h, *c, *v, *hT, *cT;
    real *dh, *dhT, *dcT, *dx, *dW, *dR, *db, *dh0, *dc0;
} problem;

static inline real *numbers(int64_t count, double scale, syn_rng *rng)
{
    real *p = malloc(sizeof *p * (size_t)(count + 1));
    assert_non_null(p);
    for (int64_t i = 0; i < count; i++) p[i] = (real)(scale * (2.0 * syn_rng_uniform(rng) - 1));
    return p;
}

/* Lengths 0, 1 and the largest are always among the packed ones, where there is room. */
static inline void layout(problem *p, syn_rng *rng)
{
    const shape *z = &p->z;
    p->offset = calloc((size_t)z->batch + 1, sizeof *p->offset);
    p->reset = calloc((size_t)(z->batch * z->steps + 1), 1);
    assert_non_null(p->offset);
    assert_non_null(p->reset);
    for (int64_t b = 0; b < z->batch; b++) {
        int32_t length = (int32_t)syn_rng_below(rng, (uint32_t)z->steps + 1);
        if (b < 3) length = b == 0 ? (int32_t)z->steps : b == 1 ? 0 : 1;
        p->offset[b + 1] = p->offset[b] + length;
    }
    for (int64_t i = 0; i < z->batch * z->steps; i++) p->reset[i] = syn_rng_below(rng, 4) == 0;
    p->seq = (syn_seq){z->batch, z->steps, z->batch * z->steps, NULL, z->resets ? p->reset : NULL};
    if (z->packed) {
        p->seq.rows = p->offset[z->batch];
        p->seq.offset = p->offset;
    }
}

/* Of the CPU; outputs hold NaN, gradients that are added to hold zero. */
static inline problem problem_create(shape z, int threads)
{
    problem p = {.z = z};
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, threads));
    syn_rng rng = syn_rng_make(11, SYN_STREAM_TEST);
    layout(&p, &rng);
    int64_t rows = p.seq.rows, D = z.D, H = z.H, B = z.batch;
    double scale = 1 / sqrt((double)H);
    p.x = numbers(rows * D, 1, &rng);
    p.W = numbers(4 * H * D, scale, &rng);
    p.R = numbers(4 * H * H, scale, &rng);
    p.b = numbers(4 * H, scale, &rng);
    p.h0 = numbers(B * H, 1, &rng);
    p.c0 = numbers(B * H, 1, &rng);
    p.dh = numbers(rows * H, 1, &rng);
    p.dhT = numbers(B * H, 1, &rng);
    p.dcT = numbers(B * H, 1, &rng);
    p.h = numbers(rows * H, NAN, &rng);
    p.c = numbers(rows * H, NAN, &rng);
    p.v = numbers(rows * 4 * H, NAN, &rng);
    p.hT = numbers(B * H, NAN, &rng);
    p.cT = numbers(B * H, NAN, &rng);
    p.dx = numbers(rows * D, NAN, &rng);
    p.dh0 = numbers(B * H, NAN, &rng);
    p.dc0 = numbers(B * H, NAN, &rng);
    p.dW = numbers(4 * H * D, 0, &rng);
    p.dR = numbers(4 * H * H, 0, &rng);
    p.db = numbers(4 * H, 0, &rng);
    return p;
}

/* The inputs come first. */
enum { PROBLEM_BUFFERS = 20, PROBLEM_INPUTS = 9 };

typedef struct problem_buffer {
    const char *name;
    real **data;
    int64_t count;
} problem_buffer;

static inline void problem_list(problem *p, problem_buffer list[PROBLEM_BUFFERS])
{
    int64_t rows = p->seq.rows, D = p->z.D, H = p->z.H, state = p->z.batch * H;
    const problem_buffer all[PROBLEM_BUFFERS] = {
        {"x", &p->x, rows * D},    {"W", &p->W, 4 * H * D},   {"R", &p->R, 4 * H * H},
        {"b", &p->b, 4 * H},       {"h0", &p->h0, state},     {"c0", &p->c0, state},
        {"dh", &p->dh, rows * H},  {"dhT", &p->dhT, state},   {"dcT", &p->dcT, state},
        {"h", &p->h, rows * H},    {"c", &p->c, rows * H},    {"v", &p->v, rows * 4 * H},
        {"hT", &p->hT, state},     {"cT", &p->cT, state},     {"dx", &p->dx, rows * D},
        {"dW", &p->dW, 4 * H * D}, {"dR", &p->dR, 4 * H * H}, {"db", &p->db, 4 * H},
        {"dh0", &p->dh0, state},   {"dc0", &p->dc0, state}};
    memcpy(list, all, sizeof all);
}

static inline void problem_free(problem *p)
{
    problem_buffer list[PROBLEM_BUFFERS];
    problem_list(p, list);
    for (int i = 0; i < PROBLEM_BUFFERS; i++) free(*list[i].data);
    free(p->offset);
    free(p->reset);
    syn_ctx_free(&p->ctx);
}

static inline void forward(problem *p)
{
    const shape *z = &p->z;
    assert_ok(syn_lstm_forward(&p->ctx, &p->seq, z->D, z->H, z->reverse, p->x, p->W, p->R, p->b,
                               z->from_zero ? NULL : p->h0, z->from_zero ? NULL : p->c0, p->h, z->H,
                               p->c, p->v, p->hT, p->cT));
}

static inline void backward(problem *p)
{
    const shape *z = &p->z;
    assert_ok(syn_lstm_backward(&p->ctx, &p->seq, z->D, z->H, z->reverse, p->x, p->W, p->R,
                                z->from_zero ? NULL : p->h0, z->from_zero ? NULL : p->c0, p->h,
                                z->H, p->c, p->v, p->dh, z->H, p->dhT, p->dcT, p->dx, p->dW, p->dR,
                                p->db, p->dh0, p->dc0));
}

/* Shapes on every path: R in place or packed, work shared by units or by sequences. */
static const shape SHAPES[] = {
    {1, 1, 3, 33, false, false, false, false},   {1, 1, 1, 1, false, false, false, true},
    {1, 9, 40, 160, false, false, false, false}, {3, 7, 5, 33, true, false, true, false},
    {2, 5, 6, 7, false, true, true, false},      {9, 12, 20, 100, false, true, false, false},
    {14, 8, 10, 96, true, false, false, true},   {61, 6, 10, 65, true, false, true, false},
    {64, 4, 16, 48, false, true, true, false},   {40, 5, 8, 64, false, false, false, true},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

#endif
