/* One thread an element; consecutive threads read and write consecutive addresses. */
#include "engine/control_pack.h"
#include "kernels/base/launch.cuh"

enum { N = SYN_AGENTS_MAX, AGENT = 2 * N, A = SYN_ACTIONS_MAX };

static __global__ void agent_kernel(int64_t agents, const float *ckm, const float *agent_x,
                                    float *in, int32_t *env, int32_t *row)
{
    SYN_EACH(i, agents * SYN_AGENT_IN)
    {
        const int64_t r = i / SYN_AGENT_IN;
        const int j = (int)(i - r * SYN_AGENT_IN);
        in[i] = j < SYN_CKM ? ckm[r * SYN_CKM + j] : agent_x[r * SYN_AGENT_X + j - SYN_CKM];
        if (j) continue;
        env[r] = (int32_t)(r / N);
        row[r] = (int32_t)r;
    }
}

extern "C" syn_status syn_agent_pack_cuda(syn_ctx *ctx, int64_t rows, const float *ckm,
                                          const float *agent_x, float *in, int32_t *env,
                                          int32_t *row)
{
    if (!rows) return SYN_OK;
    SYN_LAUNCH(ctx, agent_kernel, syn_each_blocks(rows * N * SYN_AGENT_IN), SYN_EACH_THREADS, 0,
               rows * N, ckm, agent_x, in, env, row);
    SYN_LAUNCH_CHECK(ctx, "rows of the agents' head");
    return SYN_OK;
}

static __global__ void global_kernel(int64_t rows, const float *state, const float *ckm,
                                     const int32_t *count, const float *summary, float *in)
{
    SYN_EACH(i, rows * SYN_GLOBAL_X)
    {
        const int64_t r = i / SYN_GLOBAL_X;
        int j = (int)(i - r * SYN_GLOBAL_X);
        if (j < SYN_STATE) {
            in[i] = state[r * SYN_STATE + j];
        } else if ((j -= SYN_STATE) < SYN_CKM) {
            in[i] = ckm[r * N * SYN_CKM + j];
        } else if ((j -= SYN_CKM) < SYN_CKM) {
            const float agents = (float)count[r];
            float mean = 0;
            for (int a = 0; a < count[r]; a++) mean += ckm[(r * N + a) * SYN_CKM + j] / agents;
            in[i] = mean;
        } else {
            in[i] = summary[r * SYN_SUMMARY + j - SYN_CKM];
        }
    }
}

extern "C" syn_status syn_global_pack_cuda(syn_ctx *ctx, int64_t rows, const float *state,
                                           const float *ckm, const int32_t *count,
                                           const float *summary, float *in)
{
    if (!rows) return SYN_OK;
    SYN_LAUNCH(ctx, global_kernel, syn_each_blocks(rows * SYN_GLOBAL_X), SYN_EACH_THREADS, 0, rows,
               state, ckm, count, summary, in);
    SYN_LAUNCH_CHECK(ctx, "rows of the global head");
    return SYN_OK;
}

static __global__ void global_backward_kernel(int64_t rows, const int32_t *count, const float *din,
                                              float *dckm)
{
    SYN_EACH(i, rows * N * SYN_CKM)
    {
        const int64_t r = i / (N * SYN_CKM);
        const int agent = (int)(i / SYN_CKM % N), d = (int)(i % SYN_CKM);
        const float *asker = din + r * SYN_GLOBAL_X + SYN_STATE, *mean = asker + SYN_CKM;
        if (agent == 0) dckm[i] += asker[d];
        if (agent < count[r]) dckm[i] += mean[d] / (float)count[r];
    }
}

extern "C" syn_status syn_global_pack_backward_cuda(syn_ctx *ctx, int64_t rows,
                                                    const int32_t *count, const float *din,
                                                    float *dckm)
{
    if (!rows) return SYN_OK;
    SYN_LAUNCH(ctx, global_backward_kernel, syn_each_blocks(rows * N * SYN_CKM), SYN_EACH_THREADS,
               0, rows, count, din, dckm);
    SYN_LAUNCH_CHECK(ctx, "gradient of the team's vectors");
    return SYN_OK;
}

static __global__ void pack_kernel(int64_t rows, const int32_t *count, const float *pair,
                                   const float *agent, const float *global, float *flat)
{
    SYN_EACH(i, rows * A)
    {
        const int64_t r = i / A;
        const int at = syn_logit_place((int)(i - r * A));
        if (at < SYN_PAIR_CELLS)
            flat[i] = pair[r * SYN_PAIR_CELLS + at];
        else if (at < SYN_PAIR_CELLS + AGENT)
            flat[i] = syn_logit_there(at, count[r]) ? agent[r * AGENT + at - SYN_PAIR_CELLS] : 0;
        else
            flat[i] = global[r * 2 + at - SYN_PAIR_CELLS - AGENT];
    }
}

extern "C" syn_status syn_logits_pack_cuda(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                           const float *pair, const float *agent,
                                           const float *global, float *flat)
{
    if (!rows) return SYN_OK;
    SYN_LAUNCH(ctx, pack_kernel, syn_each_blocks(rows * A), SYN_EACH_THREADS, 0, rows, count, pair,
               agent, global, flat);
    SYN_LAUNCH_CHECK(ctx, "flat logits");
    return SYN_OK;
}

/* A row's first threads also write the cells of pair that have no action (from = to). */
static __global__ void unpack_kernel(int64_t rows, const int32_t *count, const float *flat,
                                     float *pair, float *agent, float *global)
{
    SYN_EACH(i, rows * A)
    {
        const int64_t r = i / A;
        const int a = (int)(i - r * A), at = syn_logit_place(a);
        if (at < SYN_PAIR_CELLS)
            pair[r * SYN_PAIR_CELLS + at] = flat[i];
        else if (at < SYN_PAIR_CELLS + AGENT)
            agent[r * AGENT + at - SYN_PAIR_CELLS] = syn_logit_there(at, count[r]) ? flat[i] : 0;
        else
            global[r * 2 + at - SYN_PAIR_CELLS - AGENT] = flat[i];
        if (a < SYN_PAIR_KINDS * N) { /* [kind][agent] with itself */
            const int kind = a / N, own = a % N;
            pair[r * SYN_PAIR_CELLS + (kind * N + own) * N + own] = 0;
        }
    }
}

extern "C" syn_status syn_logits_unpack_cuda(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                             const float *flat, float *pair, float *agent,
                                             float *global)
{
    if (!rows) return SYN_OK;
    SYN_LAUNCH(ctx, unpack_kernel, syn_each_blocks(rows * A), SYN_EACH_THREADS, 0, rows, count,
               flat, pair, agent, global);
    SYN_LAUNCH_CHECK(ctx, "logits of the heads");
    return SYN_OK;
}
