#include "engine/control_pack.h"

#include <string.h>

enum { N = SYN_AGENTS_MAX, X = SYN_AGENT_X, AGENT = 2 * N, A = SYN_ACTIONS_MAX };

syn_status syn_agent_pack_cpu(syn_ctx *ctx, int64_t rows, const real *ckm, const real *agent_x,
                              real *in, int32_t *env, int32_t *row)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t r = 0; r < rows * N; r++) {
        memcpy(in + r * SYN_AGENT_IN, ckm + r * SYN_CKM, sizeof(real) * SYN_CKM);
        memcpy(in + r * SYN_AGENT_IN + SYN_CKM, agent_x + r * X, sizeof(real) * X);
        env[r] = (int32_t)(r / N);
        row[r] = (int32_t)r;
    }
    return SYN_OK;
}

syn_status syn_agent_pack(syn_ctx *ctx, int64_t rows, const real *ckm, const real *agent_x,
                          real *in, int32_t *env, int32_t *row)
{
    return SYN_DISPATCH(ctx, syn_agent_pack, rows, ckm, agent_x, in, env, row);
}

syn_status syn_global_pack_cpu(syn_ctx *ctx, int64_t rows, const real *state, const real *ckm,
                               const int32_t *count, const real *summary, real *in)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t r = 0; r < rows; r++) {
        real *g = in + r * SYN_GLOBAL_X, *mean = g + SYN_STATE + SYN_CKM;
        const real *team = ckm + r * N * SYN_CKM;
        memcpy(g, state + r * SYN_STATE, sizeof(real) * SYN_STATE);
        memcpy(g + SYN_STATE, team, sizeof(real) * SYN_CKM);
        memset(mean, 0, sizeof(real) * SYN_CKM);
        for (int i = 0; i < count[r]; i++) {
            for (int d = 0; d < SYN_CKM; d++) mean[d] += team[i * SYN_CKM + d] / (real)count[r];
        }
        memcpy(mean + SYN_CKM, summary + r * SYN_SUMMARY, sizeof(real) * SYN_SUMMARY);
    }
    return SYN_OK;
}

syn_status syn_global_pack(syn_ctx *ctx, int64_t rows, const real *state, const real *ckm,
                           const int32_t *count, const real *summary, real *in)
{
    return SYN_DISPATCH(ctx, syn_global_pack, rows, state, ckm, count, summary, in);
}

syn_status syn_global_pack_backward_cpu(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                        const real *din, real *dckm)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t r = 0; r < rows; r++) {
        const real *asker = din + r * SYN_GLOBAL_X + SYN_STATE, *mean = asker + SYN_CKM;
        real *to = dckm + r * N * SYN_CKM;
        for (int d = 0; d < SYN_CKM; d++) to[d] += asker[d];
        for (int i = 0; i < count[r]; i++) {
            for (int d = 0; d < SYN_CKM; d++) to[i * SYN_CKM + d] += mean[d] / (real)count[r];
        }
    }
    return SYN_OK;
}

syn_status syn_global_pack_backward(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                    const real *din, real *dckm)
{
    return SYN_DISPATCH(ctx, syn_global_pack_backward, rows, count, din, dckm);
}

/* The three buffers of a row's logits, taken as one. */
static real *place(real *pair, real *agent, real *global, int64_t r, int a)
{
    const int at = syn_logit_place(a);
    if (at < SYN_PAIR_CELLS) return pair + r * SYN_PAIR_CELLS + at;
    if (at < SYN_PAIR_CELLS + AGENT) return agent + r * AGENT + at - SYN_PAIR_CELLS;
    return global + r * 2 + at - SYN_PAIR_CELLS - AGENT;
}

syn_status syn_logits_pack_cpu(syn_ctx *ctx, int64_t rows, const int32_t *count, const real *pair,
                               const real *agent, const real *global, real *flat)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t r = 0; r < rows; r++) {
        for (int a = 0; a < A; a++) {
            const real *from = place((real *)pair, (real *)agent, (real *)global, r, a);
            flat[r * A + a] = syn_logit_there(syn_logit_place(a), count[r]) ? *from : 0;
        }
    }
    return SYN_OK;
}

syn_status syn_logits_pack(syn_ctx *ctx, int64_t rows, const int32_t *count, const real *pair,
                           const real *agent, const real *global, real *flat)
{
    return SYN_DISPATCH(ctx, syn_logits_pack, rows, count, pair, agent, global, flat);
}

syn_status syn_logits_unpack_cpu(syn_ctx *ctx, int64_t rows, const int32_t *count, const real *flat,
                                 real *pair, real *agent, real *global)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t r = 0; r < rows; r++) {
        memset(pair + r * SYN_PAIR_CELLS, 0, sizeof(real) * SYN_PAIR_CELLS);
        for (int a = 0; a < A; a++) {
            const bool there = syn_logit_there(syn_logit_place(a), count[r]);
            *place(pair, agent, global, r, a) = there ? flat[r * A + a] : 0;
        }
    }
    return SYN_OK;
}

syn_status syn_logits_unpack(syn_ctx *ctx, int64_t rows, const int32_t *count, const real *flat,
                             real *pair, real *agent, real *global)
{
    return SYN_DISPATCH(ctx, syn_logits_unpack, rows, count, flat, pair, agent, global);
}
