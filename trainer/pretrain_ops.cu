#include "trainer/pretrain_ops.h"

#include "kernels/base/launch.cuh"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, THREADS = 256 };

typedef struct judged {
    int64_t envs;
    const syn_env *env;
    const float *quest, *own, *all, *again;
    const float *scale;
    bool refiner;
    syn_columns of_own, of_all;
    float *x, *target, *weight;
} judged;

static_assert(THREADS % SYN_DX == 0, "whole rows in a block");

/* A thread takes a column of a row. */
static __global__ void __launch_bounds__(THREADS) judge_kernel(judged j, int64_t rows)
{
    const int c = (int)threadIdx.x % SYN_DX;
    const int64_t row = (int64_t)blockIdx.x * (THREADS / SYN_DX) + threadIdx.x / SYN_DX;
    if (row >= rows) return;
    const bool all = j.refiner || row >= j.envs * R;
    const int64_t e = row / R % j.envs, p = row % R;
    const syn_env *env = &j.env[e];
    const bool there = env->present >> p & 1;
    const float *view =
        all ? j.all + (e * R + p) * SYN_DV : j.own + ((e * N + e % env->agents) * R + p) * SYN_DV;
    const float *second = j.refiner ? j.again + (e * R + p) * SYN_DV : all ? view : NULL;
    const bool falls = syn_column_falls(all ? &j.of_all : &j.of_own, c);
    float x = 0;
    if (there && !falls && c < SYN_DQ)
        x = j.quest[(int64_t)env->task * SYN_TASK_QUEST + p * SYN_DQ + c];
    else if (there && !falls && c < SYN_DQ + SYN_DV)
        x = view[c - SYN_DQ];
    else if (there && !falls && second)
        x = second[c - SYN_DQ - SYN_DV];
    j.x[row * SYN_DX + c] = x;
    if (c > 0) return;
    j.target[row] = there && env->gold >> p & 1 ? 1 : 0;
    j.weight[row] = there ? *j.scale : 0;
}

extern "C" syn_status syn_judge_rows_cuda(syn_ctx *ctx, const syn_observer *o,
                                          const syn_tasks *tasks, const syn_env *envs, bool refiner,
                                          const real *scale, real *x, real *target, real *weight)
{
    const int64_t rows = o->envs * R * (o->central && !refiner ? 2 : 1);
    const judged j = {
        o->envs,
        envs,
        tasks->quest,
        o->own,
        o->all,
        o->again,
        scale,
        refiner,
        syn_without_columns(o->without, SYN_INPUT_RANKER),
        syn_without_columns(o->without, refiner ? SYN_INPUT_REFINER : SYN_INPUT_RANKER_ALL),
        x,
        target,
        weight};
    SYN_LAUNCH(ctx, judge_kernel, (unsigned)((rows * SYN_DX + THREADS - 1) / THREADS), THREADS, 0,
               j, rows);
    SYN_LAUNCH_CHECK(ctx, "pieces to learn from");
    return SYN_OK;
}

static __global__ void standardise_kernel(int64_t n, const float *mean, const float *scale,
                                          float *items)
{
    SYN_EACH(i, n * SYN_DI)
    {
        const int d = (int)(i % SYN_DI);
        items[i] = (items[i] - mean[d]) * scale[d];
    }
}

extern "C" syn_status syn_items_standardise_cuda(syn_ctx *ctx, int64_t n, const real *mean,
                                                 const real *scale, real *items)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, standardise_kernel, syn_each_blocks(n * SYN_DI), SYN_EACH_THREADS, 0, n, mean,
               scale, items);
    SYN_LAUNCH_CHECK(ctx, "standardising items");
    return SYN_OK;
}
