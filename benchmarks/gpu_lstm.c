#include "benchmarks/gpu_lstm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/gpu_cudnn.h"
#include "benchmarks/gpu_time.h"
#include "benchmarks/gpu_tune.h"
#include "kernels/base/rng.h"
#include "kernels/lstm.h"

/* Results of rounded operands may differ from those in fp32 by this much, relative L2: 64 steps of
 * fp16 sums are the worst. A wrong order of gates gives about 1. */
#define ERROR_MAX 0.05

enum { BUFFERS_MAX = 20 };

typedef struct shape {
    const char *name;
    int64_t D, H;
    int directions;
} shape;

static const shape layers[] = {
    {"lstm-512", 512, 512, 1}, {"bilstm-128", 512, 128, 2}, {"bilstm-256", 512, 256, 2}};
static const int64_t batches[] = {1, 16, 32, 64, 128, 512, 1024};
static const int64_t single_batches[] = {1, 64, 512, 4096}; /* of one step, as in a roll-out */
enum {
    STEPS = 64,
    LAYERS = sizeof layers / sizeof layers[0],
    BATCHES = sizeof batches / sizeof batches[0],
    SINGLE_BATCHES = sizeof single_batches / sizeof single_batches[0]
};

/* One layer at one batch size: weights shared by all sets, everything else once a set. */
typedef struct bench {
    syn_ctx *ctx;
    const syn_gpu_limits *limits;
    const syn_gpu_lstm_options *options;
    shape layer;
    int64_t T, B;
    int sets;
    bool backward;
    syn_seq seq;
    real *W[2], *R[2], *b[2], *dW[2], *dR[2], *db[2];
    real *x, *h, *c, *v, *dh, *dx; /* (sets, ...); dh (1, ...) */
    real *buffers[BUFFERS_MAX];
    int buffer_count;
    float *reference,
        *other; /* (result_count) on the host: set 0's result in fp32, and by others */
    syn_cudnn *cudnn;
    int rows, wrong; /* measured; of them with another result */
    syn_gpu_tune *tune;
    syn_gpu_tuned tuned; /* the layer's, for the table */
} bench;

/* ---- Buffers ---- */

static int64_t rows_of(const bench *t)
{
    return t->T * t->B;
}

static int64_t out_of(const bench *t)
{
    return rows_of(t) * t->layer.directions * t->layer.H;
}

/* What shows that a pass has computed what the others compute: dx depends on everything. */
static int64_t result_count(const bench *t)
{
    return t->backward ? rows_of(t) * t->layer.D : out_of(t);
}

static real *result(const bench *t)
{
    return t->backward ? t->dx : t->h;
}

static real *take(bench *t, int64_t count)
{
    real *p = syn_device_alloc(t->ctx, sizeof *p * (size_t)count);
    if (p) t->buffers[t->buffer_count++] = p;
    return p;
}

/* Random numbers in +-scale; NULL when out of memory. */
static real *numbers(bench *t, int64_t count, real scale, uint64_t stream)
{
    real *p = take(t, count), *host = malloc(sizeof *host * (size_t)count);
    syn_rng rng = syn_rng_make(stream, SYN_STREAM_SYNTH);
    for (int64_t i = 0; host && i < count; i++) host[i] = scale * (2 * syn_rng_uniform(&rng) - 1);
    const bool good =
        p && host && syn_copy_in(t->ctx, p, host, sizeof *host * (size_t)count) == SYN_OK;
    free(host);
    return good ? p : NULL;
}

static syn_status allocate(bench *t)
{
    const int64_t D = t->layer.D, H = t->layer.H, rows = rows_of(t), both = t->layer.directions;
    const real spread = (real)(1 / sqrt((double)H));
    const double set = (double)sizeof(real) * (double)rows *
                       (double)(2 * D + both * (H + H + 4 * H)); /* x, dx, h, c, v */
    t->sets = t->options->tiny ? 2 : syn_gpu_sets(t->ctx, set);
    t->seq = (syn_seq){t->B, t->T, rows, NULL, NULL};
    bool good = true;
    for (int d = 0; d < both; d++) {
        t->W[d] = numbers(t, 4 * H * D, spread, 10 + (uint64_t)d);
        t->R[d] = numbers(t, 4 * H * H, spread, 20 + (uint64_t)d);
        t->b[d] = numbers(t, 4 * H, spread, 30 + (uint64_t)d);
        t->dW[d] = take(t, 4 * H * D);
        t->dR[d] = take(t, 4 * H * H);
        t->db[d] = take(t, 4 * H);
        good = good && t->W[d] && t->R[d] && t->b[d] && t->dW[d] && t->dR[d] && t->db[d];
    }
    t->x = numbers(t, rows * D * t->sets, 1, 1);
    t->dh = numbers(t, out_of(t), (real)0.01, 2);
    t->h = take(t, out_of(t) * t->sets);
    t->c = take(t, out_of(t) * t->sets);
    t->v = take(t, 4 * out_of(t) * t->sets);
    t->dx = take(t, rows * D * t->sets);
    const int64_t most = out_of(t) > rows * D ? out_of(t) : rows * D;
    t->reference = malloc(sizeof *t->reference * (size_t)most);
    t->other = malloc(sizeof *t->other * (size_t)most);
    if (good && t->x && t->dh && t->h && t->c && t->v && t->dx && t->reference && t->other)
        return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "out of memory for %s at batch %lld", t->layer.name,
                    (long long)t->B);
}

static void release(bench *t)
{
    for (int i = 0; i < t->buffer_count; i++) syn_device_free(t->ctx, t->buffers[i]);
    t->buffer_count = 0;
    free(t->reference);
    free(t->other);
    t->reference = t->other = NULL;
}

/* ---- Work ---- */

static syn_status ours(void *user, int set)
{
    bench *t = user;
    const int64_t D = t->layer.D, H = t->layer.H, s = set, out = out_of(t);
    const real *x = t->x + s * rows_of(t) * D;
    real *h = t->h + s * out, *dx = t->dx + s * rows_of(t) * D;
    real *c = t->backward ? t->c + s * out : NULL, *v = t->backward ? t->v + 4 * s * out : NULL;
    if (t->layer.directions == 1) {
        SYN_RETURN_IF(syn_lstm_forward(t->ctx, &t->seq, D, H, false, x, t->W[0], t->R[0], t->b[0],
                                       NULL, NULL, h, H, c, v, NULL, NULL));
        if (!t->backward) return SYN_OK;
        return syn_lstm_backward(t->ctx, &t->seq, D, H, false, x, t->W[0], t->R[0], NULL, NULL, h,
                                 H, c, v, t->dh, H, NULL, NULL, dx, t->dW[0], t->dR[0], t->db[0],
                                 NULL, NULL);
    }
    SYN_RETURN_IF(syn_bilstm_forward(t->ctx, &t->seq, D, H, x, t->W[0], t->R[0], t->b[0], t->W[1],
                                     t->R[1], t->b[1], h, c, v));
    if (!t->backward) return SYN_OK;
    return syn_bilstm_backward(t->ctx, &t->seq, D, H, x, t->W[0], t->R[0], t->W[1], t->R[1], h, c,
                               v, t->dh, dx, t->dW[0], t->dR[0], t->db[0], t->dW[1], t->dR[1],
                               t->db[1]);
}

static syn_status theirs(void *user, int set)
{
    bench *t = user;
    return syn_cudnn_run(t->ctx, t->cudnn, set, t->backward);
}

/* Bytes of device memory that the pass moves at least, as its contract has it: floats, saved gates
 * and cells written by the forward and read by the backward pass, gradients of weights added to. */
static syn_gpu_demand demand_of(const bench *t)
{
    const double both = t->layer.directions, H = (double)t->layer.H, D = (double)t->layer.D;
    const double rows = (double)rows_of(t), weights = both * 4 * H * (D + H);
    const double forward = rows * (D + 2 * both * H) + weights;
    const double backward = rows * (2 * D + both * H * (1 + 2 + 1 + 3 * 4)) + 3 * weights;
    const double flops = rows * 2 * weights;
    return (syn_gpu_demand){t->backward ? 3 * flops : flops,
                            sizeof(real) * (t->backward ? forward + backward : forward),
                            t->backward ? 2.0 * (double)t->T : (double)t->T};
}

/* ---- Rows ---- */

static void print_head(const bench *t, const char *who, const char *math, const char *how)
{
    const char *pass = t->backward ? "forward + backward" : "forward";
    printf("{\"bench\": \"lstm\", \"row\": \"%s B %lld %s%s\", \"layer\": \"%s\", \"batch\": "
           "%lld, \"steps\": %lld, \"pass\": \"%s\", \"who\": \"%s\", \"math\": \"%s\", \"how\": "
           "\"%s\"",
           t->layer.name, (long long)t->B, t->T == 1 ? "T 1 " : "", pass, t->layer.name,
           (long long)t->B, (long long)t->T, pass, who, math, how);
}

/* What auto is for this pass. */
static syn_status print_taken(const bench *t)
{
    syn_lstm_layer layer = {t->layer.H, t->layer.directions, t->B, t->T, false, false, false};
    syn_lstm_variant first, then;
    SYN_RETURN_IF(syn_lstm_variant_taken(t->ctx, &layer, &first));
    layer.backward = true;
    SYN_RETURN_IF(syn_lstm_variant_taken(t->ctx, &layer, &then));
    printf(", \"takes\": \"%s%s%s\"", syn_lstm_variant_name(first), t->backward ? " + " : "",
           t->backward ? syn_lstm_variant_name(then) : "");
    return SYN_OK;
}

/* What stands in a JSON text: our sentences have neither quotes nor control characters but these.
 */
static void print_reason(const char *text)
{
    printf(", \"not_run\": \"");
    for (; *text; text++)
        if (*text != '"' && *text != '\\' && (unsigned char)*text >= ' ') putchar(*text);
    printf("\"}\n");
    fflush(stdout);
}

/* The limit of fp32 is that of its own units, not of the tensor cores. */
static void print_times(bench *t, const char *math, const syn_gpu_timed *timed, double error)
{
    const syn_gpu_demand demand = demand_of(t);
    syn_gpu_limits limits = *t->limits;
    const char *binds;
    if (strcmp(math, "fp32") == 0) limits.bf16_tflops = limits.fp32_tflops;
    const double least = syn_gpu_least_us(&limits, &demand, &binds);
    printf(", \"us\": %.3f, \"p99_us\": %.3f, \"us_per_step\": %.4f, \"least_us\": %.3f, "
           "\"binds\": \"%s\", \"error\": %.3g, \"sets\": %d, \"replays\": %d, \"graph\": %s}\n",
           timed->us, timed->p99_us, timed->us / (double)t->T, least, binds, error, t->sets,
           timed->replays, timed->graph ? "true" : "false");
    fflush(stdout);
    t->rows++;
}

/* Nothing of what was computed before stands there. */
static syn_status clear(bench *t)
{
    return syn_zero(t->ctx, result(t), sizeof(real) * (size_t)result_count(t));
}

/* Relative L2 difference of the result of set 0 to that in fp32. NaN is beyond any bound. */
static syn_status compare(bench *t, double *error)
{
    const int64_t n = result_count(t);
    double difference = 0, norm = 0;
    SYN_RETURN_IF(syn_copy_out(t->ctx, t->other, result(t), sizeof *t->other * (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)t->other[i] - (double)t->reference[i];
        difference += d * d;
        norm += (double)t->reference[i] * (double)t->reference[i];
    }
    *error = sqrt(difference / norm);
    if (*error <= ERROR_MAX) return SYN_OK;
    return syn_fail(SYN_ERR_NUMERIC, "the result differs by %.3g", *error);
}

static syn_status row_ours(bench *t, syn_math math, syn_lstm_variant variant)
{
    const char *name = math == SYN_MATH_MIXED ? "mixed" : "fp32";
    const char *how = syn_lstm_variant_name(variant);
    syn_gpu_timed timed;
    double error = 0;
    t->ctx->math = math;
    SYN_RETURN_IF(syn_lstm_variant_set(how));
    SYN_RETURN_IF(clear(t));
    syn_status st =
        syn_gpu_time(t->ctx, ours, t, t->sets, t->options->tiny ? 0 : t->options->seconds, &timed);
    if (st == SYN_OK) st = compare(t, &error);
    print_head(t, "ours", name, how);
    if (variant == SYN_LSTM_AUTO) SYN_RETURN_IF(print_taken(t));
    if (st == SYN_OK)
        print_times(t, name, &timed, error);
    else
        print_reason(syn_error_text());
    double *const us =
        (t->backward ? t->tuned.both_us : t->tuned.forward_us)[math == SYN_MATH_MIXED];
    us[variant] = st == SYN_OK ? timed.us : 0;
    t->wrong += st == SYN_ERR_NUMERIC;
    return st == SYN_ERR_UNSUPPORTED || st == SYN_ERR_NUMERIC ? SYN_OK : st;
}

static syn_status row_cudnn(bench *t, syn_cudnn_type type, syn_cudnn_way way)
{
    const syn_cudnn_layer layer = {
        t->T,        t->B, t->layer.D, t->layer.H,         t->layer.directions, t->sets,
        t->backward, t->x, t->dh,      {t->W[0], t->W[1]}, {t->R[0], t->R[1]},  {t->b[0], t->b[1]}};
    syn_gpu_timed timed;
    double error = 0;
    syn_status st = syn_cudnn_open(t->ctx, &layer, type, way, &t->cudnn);
    if (st == SYN_OK)
        st = syn_gpu_time(t->ctx, theirs, t, t->sets, t->options->tiny ? 0 : t->options->seconds,
                          &timed);
    if (st == SYN_OK) st = clear(t);
    if (st == SYN_OK) st = syn_cudnn_output(t->ctx, t->cudnn, t->h, t->backward ? t->dx : NULL);
    if (st == SYN_OK) st = compare(t, &error);
    print_head(t, "cudnn", syn_cudnn_type_name(type), syn_cudnn_way_name(way));
    if (st == SYN_OK)
        print_times(t, syn_cudnn_type_name(type), &timed, error);
    else
        print_reason(syn_error_text());
    syn_cudnn_close(t->cudnn);
    t->cudnn = NULL;
    return SYN_OK; /* a peer that fails is told and does not end the measurement */
}

/* In fp32, one product a step: what all others are compared with. */
static syn_status make_reference(bench *t)
{
    t->ctx->math = SYN_MATH_FP32;
    SYN_RETURN_IF(syn_lstm_variant_set("step"));
    SYN_RETURN_IF(ours(t, 0));
    return syn_copy_out(t->ctx, t->reference, result(t),
                        sizeof *t->reference * (size_t)result_count(t));
}

static syn_status measure_pass(bench *t)
{
    SYN_RETURN_IF(make_reference(t));
    for (int v = 0; v < SYN_LSTM_VARIANTS; v++) {
        if (v == SYN_LSTM_CUDNN) continue; /* timed by itself below */
        SYN_RETURN_IF(row_ours(t, SYN_MATH_MIXED, (syn_lstm_variant)v));
        SYN_RETURN_IF(row_ours(t, SYN_MATH_FP32, (syn_lstm_variant)v));
    }
    if (t->options->without_cudnn || syn_cudnn_version() == 0 || t->T == 1) return SYN_OK;
    for (int type = 0; type < SYN_CUDNN_TYPES; type++)
        for (int way = 0; way < (type == SYN_CUDNN_FP32 ? 1 : SYN_CUDNN_WAYS); way++)
            SYN_RETURN_IF(row_cudnn(t, (syn_cudnn_type)type, (syn_cudnn_way)way));
    return SYN_OK;
}

static syn_status measure_layer(bench *t, const shape *layer, int64_t batch, int64_t steps,
                                bool last)
{
    t->layer = *layer;
    t->B = batch;
    t->T = steps;
    if (t->options->tiny) t->layer.D = 32;
    t->tuned = (syn_gpu_tuned){layer->H, steps, batch, layer->directions, last, {{0}}, {{0}}};
    syn_status st = allocate(t);
    for (int pass = 0; st == SYN_OK && pass < 2; pass++) {
        t->backward = pass == 1;
        st = measure_pass(t);
    }
    release(t);
    if (st == SYN_OK && t->tune) syn_gpu_tune_add(t->tune, &t->tuned);
    return st;
}

static syn_status measure_layers(bench *t)
{
    const syn_gpu_lstm_options *o = t->options;
    const int singles = !t->tune ? 0 : o->tiny ? 1 : SINGLE_BATCHES, many = o->tiny ? 1 : BATCHES;
    for (int k = 0; k < LAYERS; k++) {
        if (o->only && strcmp(o->only, layers[k].name) != 0) continue;
        for (int b = 0; b < singles; b++)
            SYN_RETURN_IF(measure_layer(t, &layers[k], single_batches[b], 1, b + 1 == singles));
        for (int b = 0; b < many; b++)
            SYN_RETURN_IF(
                measure_layer(t, &layers[k], batches[b], o->tiny ? 2 : STEPS, b + 1 == many));
    }
    return SYN_OK;
}

syn_status syn_gpu_lstm(syn_ctx *ctx, const syn_gpu_limits *limits,
                        const syn_gpu_lstm_options *options, int *rows)
{
    const syn_math math = ctx->math;
    bench t = {.ctx = ctx, .limits = limits, .options = options};
    *rows = 0;
    if (options->tune) {
        syn_gpu_facts facts;
        SYN_RETURN_IF(syn_gpu_describe(&facts));
        SYN_RETURN_IF(syn_gpu_tune_open(options->tune, facts.name, &t.tune));
    }
    syn_status st = measure_layers(&t);
    ctx->math = math;
    if (st == SYN_OK) st = syn_lstm_variant_set("auto");
    *rows = t.rows;
    if (st == SYN_OK && t.wrong)
        st = syn_fail(SYN_ERR_NUMERIC,
                      "%d rows have another result than fp32 by one product a step", t.wrong);
    const syn_status closed = syn_gpu_tune_close(t.tune, st == SYN_OK);
    return st == SYN_OK ? closed : st;
}
