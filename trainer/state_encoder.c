#include "trainer/state_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "kernels/env.h"
#include "kernels/linear.h"
#include "kernels/loss.h"

enum { E = 64, T = 8, D = 128, A = SYN_ACTIONS_MAX };

/* Two projections into the space where state and next message are compared; thrown away afterwards.
 */
enum { HEAD_STATE, HEAD_MESSAGE };

typedef struct run {
    syn_ctx *ctx;
    syn_model *model;
    const syn_corpus *corpus;
    syn_env_source source;
    syn_env_config env;
    syn_env *envs;
    syn_observer observer;
    syn_observation x; /* (T + 1, E) rows */
    syn_params heads;
    uint64_t seed, episode;
} run;

/* A team that mostly moves relevant pieces to the asker, and sometimes anything. */
static int scripted_action(const syn_env *e, const float *rank, syn_rng *rng)
{
    uint8_t mask[A];
    int best = -1;
    float worth = -1e30f;
    if (syn_rng_uniform(rng) < 0.5f) {
        for (int i = 1; i < e->agents; i++) {
            int p = syn_env_piece(e, SYN_SEND, i, 0, rank);
            if (p < 0 || rank[i * SYN_ROWS_MAX + p] <= worth) continue;
            worth = rank[i * SYN_ROWS_MAX + p];
            best = syn_action_index(syn_rng_uniform(rng) < 0.3f ? SYN_BROADCAST : SYN_SEND, i, 0);
        }
        if (best >= 0) return best;
    }
    syn_env_legal(e, mask);
    for (int tries = 0; tries < 64; tries++) {
        int a = (int)syn_rng_below(rng, A - 2);
        if (mask[a]) return a;
    }
    return A - 2;
}

/* T + 1 turns of E fresh transcripts into x. */
static syn_status transcripts(run *r, int64_t step)
{
    SYN_RETURN_IF(syn_env_reset_batch(r->ctx, E, r->envs, &r->env, &r->source, r->episode));
    r->episode += E;
    for (int64_t t = 0; t <= T; t++) {
        const syn_observation now = syn_observation_at(&r->x, t * E);
        SYN_RETURN_IF(syn_observe_turn(r->ctx, &r->observer, &r->model->perception,
                                       &r->corpus->tasks, r->envs, &now));
        for (int64_t e = 0; e < E; e++) {
            syn_rng rng = syn_rng_make(r->seed, ((uint64_t)SYN_STREAM_PRETRAIN << 48) +
                                                    ((uint64_t)step << 16) + (uint64_t)(t * E + e));
            const float *rank = r->observer.rank + e * SYN_AGENTS_MAX * SYN_ROWS_MAX;
            const int32_t turns_max = r->envs[e].turns_max;
            r->envs[e].turns_max = INT32_MAX; /* a transcript does not time out */
            (void)syn_env_step(&r->envs[e], &r->env, scripted_action(&r->envs[e], rank, &rng),
                               rank);
            r->envs[e].turns_max = turns_max;
        }
    }
    return SYN_OK;
}

/* For one turn t of all transcripts: state_t against message_{t+1}, negatives from the other
 * transcripts. */
static syn_status turn_loss(run *r, const real *state, const real *message, real *dstate,
                            real *loss, real *accuracy)
{
    syn_ctx *ctx = r->ctx;
    real *u = SYN_SCRATCH(ctx, real, E * D), *v = SYN_SCRATCH(ctx, real, E * D);
    real *du = SYN_SCRATCH(ctx, real, E * D), *dv = SYN_SCRATCH(ctx, real, E * D);
    if (!u || !v || !du || !dv) return SYN_ERR_MEMORY;
    const real *ws = syn_value(&r->heads, HEAD_STATE), *wm = syn_value(&r->heads, HEAD_MESSAGE);
    SYN_RETURN_IF(
        syn_linear_forward(ctx, E, SYN_STATE, D, state, SYN_STATE, ws, NULL, SYN_ACT_NONE, u, D));
    SYN_RETURN_IF(
        syn_linear_forward(ctx, E, SYN_DM, D, message, SYN_DM, wm, NULL, SYN_ACT_NONE, v, D));
    SYN_RETURN_IF(syn_infonce_forward_backward(ctx, E, D, u, v, 1, du, dv, loss, accuracy));
    for (int64_t i = 0; i < E * D; i++) {
        du[i] /= T;
        dv[i] /= T;
    }
    SYN_RETURN_IF(syn_linear_backward(ctx, E, SYN_STATE, D, state, SYN_STATE, ws, u, D,
                                      SYN_ACT_NONE, du, D, dstate, SYN_STATE,
                                      syn_grad(&r->heads, HEAD_STATE), NULL));
    return syn_linear_backward(ctx, E, SYN_DM, D, message, SYN_DM, wm, v, D, SYN_ACT_NONE, dv, D,
                               NULL, 0, syn_grad(&r->heads, HEAD_MESSAGE), NULL);
}

static syn_status step(run *r, int64_t number, real *loss, real *accuracy)
{
    syn_ctx *ctx = r->ctx;
    syn_params *p = &r->model->control.params;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_control_cache *cache;
    syn_status st = SYN_ERR_MEMORY;
    real *state, *dstate = SYN_SCRATCH(ctx, real, T * E * SYN_STATE);
    if (!dstate) goto done;
    SYN_TRY(transcripts(r, number));
    const syn_seq seq = {E, T, T * E, NULL, r->x.reset};
    SYN_TRY(syn_params_zero_grad(ctx, p));
    SYN_TRY(syn_params_zero_grad(ctx, &r->heads));
    SYN_TRY(syn_state_forward(ctx, &r->model->control, &seq, r->x.message, NULL, NULL, &cache,
                              &state, NULL, NULL));
    for (int64_t t = 0; t < T; t++) {
        SYN_TRY(turn_loss(r, state + t * E * SYN_STATE, r->x.message + (t + 1) * E * SYN_DM,
                          dstate + t * E * SYN_STATE, loss, accuracy));
    }
    SYN_TRY(
        syn_state_backward(ctx, &r->model->control, &seq, r->x.message, NULL, NULL, cache, dstate));
    const syn_adam adam = {(real)5e-4, (real)0.9, (real)0.99, (real)1e-8, (real)0.01, 1};
    real norm;
    SYN_TRY(syn_params_step(ctx, p, SYN_C_IN_W, SYN_C_B, &adam, &norm));
    SYN_TRY(syn_params_step(ctx, &r->heads, HEAD_STATE, HEAD_MESSAGE, &adam, &norm));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_pretrain_state(syn_ctx *ctx, syn_model *model, const syn_corpus *corpus,
                              const int32_t *records, int64_t record_count, int64_t steps,
                              uint64_t seed, syn_state_result *result)
{
    syn_status st;
    run r = {
        .ctx = ctx, .model = model, .corpus = corpus, .env = SYN_ENV_CONFIG_DEFAULT, .seed = seed};
    syn_progress bar;
    memset(result, 0, sizeof *result);
    r.source = (syn_env_source){corpus->tasks.info,
                                records,
                                record_count,
                                0.3f,
                                seed,
                                syn_corpus_draw(corpus, records, record_count)};
    if (!model->has_control) SYN_RETURN_IF(syn_control_init(ctx, &model->control, seed));
    model->has_control = true;
    SYN_TRY(syn_params_trainable(ctx, &model->control.params));
    syn_params_add(&r.heads, "state", D, SYN_STATE, 1, SYN_STATE);
    syn_params_add(&r.heads, "message", D, SYN_DM, 1, SYN_DM);
    SYN_TRY(syn_params_commit(ctx, &r.heads, seed + 1));
    SYN_TRY(syn_params_trainable(ctx, &r.heads));
    r.envs = calloc(E, sizeof *r.envs);
    if (!r.envs) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for transcripts");
        goto done;
    }
    SYN_TRY(syn_observer_init(ctx, &r.observer, E, model->central));
    SYN_TRY(syn_observation_alloc(ctx, &r.x, (T + 1) * E));
    syn_progress_begin(&bar, "state encoder", "steps", steps);
    real loss = 0, accuracy = 0;
    for (int64_t s = 0; s < steps; s++) {
        if (s == steps - steps / 10) loss = accuracy = 0;
        SYN_TRY(step(&r, s, &loss, &accuracy));
        syn_progress_update(&bar, s + 1, NULL);
    }
    syn_progress_end(&bar);
    const double counted = (double)((steps / 10 ? steps / 10 : steps) * T);
    *result = (syn_state_result){(double)loss / counted, (double)accuracy / counted, 1.0 / E};
    /* PPO begins with moments of its own. */
    memset(model->control.params.m, 0, sizeof(real) * (size_t)model->control.params.total);
    memset(model->control.params.v, 0, sizeof(real) * (size_t)model->control.params.total);
    model->control.params.step = 0;
done:
    syn_observation_free(ctx, &r.x);
    syn_observer_free(ctx, &r.observer);
    syn_params_free(ctx, &r.heads);
    free(r.envs);
    return st;
}
