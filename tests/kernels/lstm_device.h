/* A problem of lstm_problem.h with all its buffers on the device. */
#ifndef SYN_TESTS_LSTM_DEVICE_H
#define SYN_TESTS_LSTM_DEVICE_H

#include "tests/cuda.h"
#include "tests/kernels/lstm_problem.h"

static inline void skip_without_device(void)
{
    syn_ctx ctx;
    if (syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1) != SYN_OK) {
        print_message("%s\n", syn_error_text());
        skip();
    }
    syn_ctx_free(&ctx);
}

static inline problem device_problem(const problem *cpu, syn_math math)
{
    problem gpu = *cpu;
    memset(&gpu.ctx, 0, sizeof gpu.ctx);
    assert_ok(syn_ctx_init(&gpu.ctx, SYN_DEVICE_CUDA, 1));
    gpu.ctx.math = math;
    problem_buffer list[PROBLEM_BUFFERS];
    problem_list(&gpu, list);
    for (int i = 0; i < PROBLEM_BUFFERS; i++)
        *list[i].data = to_device(&gpu.ctx, *list[i].data, sizeof(real) * (size_t)list[i].count);
    const shape *z = &gpu.z;
    gpu.offset = to_device(&gpu.ctx, cpu->offset, sizeof *gpu.offset * (size_t)(z->batch + 1));
    gpu.reset = to_device(&gpu.ctx, cpu->reset, (size_t)(z->batch * z->steps));
    if (gpu.seq.offset) gpu.seq.offset = gpu.offset;
    if (gpu.seq.reset) gpu.seq.reset = gpu.reset;
    return gpu;
}

static inline void device_problem_free(problem *gpu)
{
    problem_buffer list[PROBLEM_BUFFERS];
    problem_list(gpu, list);
    for (int i = 0; i < PROBLEM_BUFFERS; i++) syn_device_free(&gpu->ctx, *list[i].data);
    free_device(&gpu->ctx, gpu->offset, gpu->reset);
    syn_ctx_free(&gpu->ctx);
}

/* Every output of both passes within these relative L2 distances. */
typedef struct bounds {
    double forward, backward;
} bounds;

static inline void expect_problem(const bounds *most, problem *want, problem *gpu, const char *name)
{
    problem_buffer list[PROBLEM_BUFFERS], got[PROBLEM_BUFFERS];
    problem_list(want, list);
    problem_list(gpu, got);
    for (int i = PROBLEM_INPUTS; i < PROBLEM_BUFFERS; i++) {
        const bool first = strchr("hc", list[i].name[0]) != NULL;
        const shape *z = &want->z;
        expect_close_device(&gpu->ctx, first ? most->forward : most->backward, list[i].count,
                            *list[i].data, *got[i].data, "%s, B %lld, T %lld, D %lld, H %lld: %s",
                            name, (long long)z->batch, (long long)z->steps, (long long)z->D,
                            (long long)z->H, list[i].name);
    }
}

/* Bit for bit, all outputs of two runs of one problem. */
static inline void expect_same_bits(problem *a, problem *b, const char *name)
{
    problem_buffer one[PROBLEM_BUFFERS], two[PROBLEM_BUFFERS];
    problem_list(a, one);
    problem_list(b, two);
    for (int i = PROBLEM_INPUTS; i < PROBLEM_BUFFERS; i++) {
        real *host = from_device(&a->ctx, *one[i].data, sizeof *host * (size_t)one[i].count);
        expect_equal_device(&b->ctx, one[i].count, host, *two[i].data, "%s: %s", name, one[i].name);
        free(host);
    }
}

#endif
