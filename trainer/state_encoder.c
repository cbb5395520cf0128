#include "trainer/state_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/graph.h"
#include "kernels/base/progress.h"
#include "kernels/base/staging.h"
#include "kernels/elementwise.h"
#include "kernels/env.h"
#include "kernels/linear.h"
#include "kernels/loss.h"
#include "trainer/transcript.h"

enum { E = 64, T = 8, D = 128, LOSS_BAD = 1, NORM_BAD };

/* Two projections into the space where state and next message are compared; thrown away afterwards.
 */
enum { HEAD_STATE, HEAD_MESSAGE };

/* What a step reads, written by the host, */
typedef struct told {
    uint64_t stream; /* of its transcripts */
    syn_adam_scalars adam;
} told;

/* and what steps leave, which the host reads when it wants to. */
typedef struct outcome {
    real loss, accuracy; /* sums over turns */
    real norm[2];        /* of the gradients: state encoder, heads */
    int32_t bad;         /* a number was not finite: no more steps */
} outcome;

typedef struct run {
    syn_ctx *ctx;
    const syn_perception *perception; /* in the context's memory, as all that follows */
    syn_control *control;
    const syn_tasks *tasks;
    syn_env_source source;
    syn_env_config env;
    syn_env *envs;
    syn_observer observer;
    syn_observation x; /* (T + 1, E) rows */
    syn_params heads;
    uint64_t seed, episode;
    syn_staging staging; /* of told */
    told *told;
    outcome *outcome;
    syn_graph graph;
} run;

/* T + 1 turns of E fresh transcripts into x. */
static syn_status transcripts(run *r)
{
    for (int64_t t = 0; t <= T; t++) {
        const syn_observation now = syn_observation_at(&r->x, t * E);
        SYN_RETURN_IF(
            syn_observe_turn(r->ctx, &r->observer, r->perception, r->tasks, r->envs, &now));
        SYN_RETURN_IF(syn_transcript_step(r->ctx, E, r->envs, &r->env, r->observer.rank, r->seed,
                                          &r->told->stream, (uint64_t)(t * E)));
    }
    return SYN_OK;
}

/* For one turn t of all transcripts: state_t against message_{t+1}, negatives from the other
 * transcripts. */
static syn_status turn_loss(run *r, const real *state, const real *message, real *dstate)
{
    syn_ctx *ctx = r->ctx;
    real *u, *v, *du, *dv;
    SYN_TAKE(ctx, u, real, E * D);
    SYN_TAKE(ctx, v, real, E * D);
    SYN_TAKE(ctx, du, real, E * D);
    SYN_TAKE(ctx, dv, real, E * D);
    const real *ws = syn_value(&r->heads, HEAD_STATE), *wm = syn_value(&r->heads, HEAD_MESSAGE);
    SYN_RETURN_IF(
        syn_linear_forward(ctx, E, SYN_STATE, D, state, SYN_STATE, ws, NULL, SYN_ACT_NONE, u, D));
    SYN_RETURN_IF(
        syn_linear_forward(ctx, E, SYN_DM, D, message, SYN_DM, wm, NULL, SYN_ACT_NONE, v, D));
    SYN_RETURN_IF(syn_infonce_forward_backward(ctx, E, D, u, v, 1, du, dv, &r->outcome->loss,
                                               &r->outcome->accuracy));
    SYN_RETURN_IF(syn_scale(ctx, E * D, (real)1 / T, du));
    SYN_RETURN_IF(syn_scale(ctx, E * D, (real)1 / T, dv));
    SYN_RETURN_IF(syn_linear_backward(ctx, E, SYN_STATE, D, state, SYN_STATE, ws, u, D,
                                      SYN_ACT_NONE, du, D, dstate, SYN_STATE,
                                      syn_grad(&r->heads, HEAD_STATE), NULL));
    return syn_linear_backward(ctx, E, SYN_DM, D, message, SYN_DM, wm, v, D, SYN_ACT_NONE, dv, D,
                               NULL, 0, syn_grad(&r->heads, HEAD_MESSAGE), NULL);
}

static syn_status gradient(run *r)
{
    syn_ctx *ctx = r->ctx;
    syn_control_cache *cache;
    real *state, *dstate;
    SYN_TAKE(ctx, dstate, real, T * E * SYN_STATE);
    SYN_RETURN_IF(transcripts(r));
    const syn_seq seq = {E, T, T * E, NULL, r->x.reset};
    SYN_RETURN_IF(syn_params_zero_grad(ctx, &r->control->params));
    SYN_RETURN_IF(syn_params_zero_grad(ctx, &r->heads));
    SYN_RETURN_IF(syn_state_forward(ctx, r->control, &seq, r->x.message, NULL, NULL, &cache, &state,
                                    NULL, NULL));
    for (int64_t t = 0; t < T; t++) {
        SYN_RETURN_IF(turn_loss(r, state + t * E * SYN_STATE, r->x.message + (t + 1) * E * SYN_DM,
                                dstate + t * E * SYN_STATE));
    }
    return syn_state_backward(ctx, r->control, &seq, r->x.message, NULL, NULL, cache, dstate);
}

static syn_status apply(run *r)
{
    syn_ctx *ctx = r->ctx;
    outcome *o = r->outcome;
    syn_params *p = &r->control->params, *h = &r->heads;
    const syn_adam_scalars *adam = &r->told->adam;
    SYN_RETURN_IF(syn_flag_not_finite(ctx, 1, &o->loss, LOSS_BAD, &o->bad));
    SYN_RETURN_IF(syn_params_norm(ctx, p, SYN_C_IN_W, SYN_C_B, &o->norm[0]));
    SYN_RETURN_IF(syn_params_norm(ctx, h, HEAD_STATE, HEAD_MESSAGE, &o->norm[1]));
    SYN_RETURN_IF(syn_flag_not_finite(ctx, 2, o->norm, NORM_BAD, &o->bad));
    SYN_RETURN_IF(syn_params_apply_device(ctx, p, SYN_C_IN_W, SYN_C_B, adam, &o->norm[0], &o->bad));
    return syn_params_apply_device(ctx, h, HEAD_STATE, HEAD_MESSAGE, adam, &o->norm[1], &o->bad);
}

static syn_status learn(void *user)
{
    run *r = user;
    syn_scratch_mark mark = syn_scratch_push(r->ctx);
    syn_status st = gradient(r);
    if (st == SYN_OK) st = apply(r);
    syn_scratch_pop(r->ctx, mark);
    return st;
}

static syn_status step(run *r, int64_t number)
{
    void *host;
    told next = {.stream = ((uint64_t)SYN_STREAM_PRETRAIN << 48) + ((uint64_t)number << 16)};
    SYN_RETURN_IF(syn_adam_scalars_init(&next.adam, (real)5e-4, (real)0.9, (real)0.99, (real)1e-8,
                                        (real)0.01, number + 1, 1));
    SYN_RETURN_IF(syn_staging_next(r->ctx, &r->staging, &host));
    memcpy(host, &next, sizeof next);
    SYN_RETURN_IF(syn_staging_send(r->ctx, &r->staging, r->told, sizeof next));
    SYN_RETURN_IF(syn_env_reset_batch(r->ctx, E, r->envs, &r->env, &r->source, r->episode));
    r->episode += E;
    return syn_graph_run(r->ctx, &r->graph, learn, r);
}

/* What the steps since the last call have left. */
static syn_status read_outcome(run *r, outcome *o)
{
    SYN_RETURN_IF(syn_copy_out(r->ctx, o, r->outcome, sizeof *o));
    if (o->bad == LOSS_BAD)
        return syn_fail(SYN_ERR_NUMERIC, "state encoder: the loss is not finite");
    if (o->bad) {
        SYN_RETURN_IF(syn_params_blame(r->ctx, &r->control->params, SYN_C_IN_W, SYN_C_B));
    }
    return syn_zero(r->ctx, r->outcome, sizeof *o);
}

static syn_status prepare(run *r, bool central)
{
    syn_ctx *ctx = r->ctx;
    SYN_RETURN_IF(syn_params_trainable(ctx, &r->control->params));
    syn_params_add(&r->heads, "state", D, SYN_STATE, 1, SYN_STATE);
    syn_params_add(&r->heads, "message", D, SYN_DM, 1, SYN_DM);
    SYN_RETURN_IF(syn_params_commit(ctx, &r->heads, r->seed + 1));
    SYN_RETURN_IF(syn_params_trainable(ctx, &r->heads));
    SYN_RETURN_IF(syn_staging_init(ctx, &r->staging, sizeof *r->told));
    r->envs = syn_device_alloc(ctx, sizeof *r->envs * E);
    r->told = syn_device_alloc(ctx, sizeof *r->told);
    r->outcome = syn_device_alloc(ctx, sizeof *r->outcome);
    if (!r->envs || !r->told || !r->outcome) return SYN_ERR_MEMORY;
    SYN_RETURN_IF(syn_observer_init(ctx, &r->observer, E, central));
    return syn_observation_alloc(ctx, &r->x, (T + 1) * E);
}

static void run_free(run *r)
{
    syn_graph_free(r->ctx, &r->graph);
    syn_staging_free(r->ctx, &r->staging);
    syn_observation_free(r->ctx, &r->x);
    syn_observer_free(r->ctx, &r->observer);
    syn_params_free(r->ctx, &r->heads);
    syn_device_free(r->ctx, r->envs);
    syn_device_free(r->ctx, r->told);
    syn_device_free(r->ctx, r->outcome);
}

static syn_status fit(run *r, int64_t steps, syn_state_result *result)
{
    enum { LOOK = 25 }; /* steps between two looks at what they have left */
    const int64_t last = steps - steps / 10;
    syn_progress bar;
    outcome o;
    syn_progress_begin(&bar, "state encoder", "steps", steps);
    for (int64_t s = 0; s < steps; s++) {
        if (s == last || (s < last && s % LOOK == 0)) SYN_RETURN_IF(read_outcome(r, &o));
        SYN_RETURN_IF(step(r, s));
        syn_progress_update(&bar, s + 1, NULL);
    }
    SYN_RETURN_IF(read_outcome(r, &o));
    syn_progress_end(&bar);
    const double counted = (double)((steps / 10 ? steps / 10 : steps) * T);
    *result = (syn_state_result){(double)o.loss / counted, (double)o.accuracy / counted, 1.0 / E};
    return SYN_OK;
}

/* Copies of a model's networks, and of a list of records, on a device. */
typedef struct copies {
    syn_perception perception;
    syn_control control;
    int32_t *record;
} copies;

static syn_status copy_all(syn_ctx *ctx, copies *c, const syn_model *m, const int32_t *records,
                           int64_t count)
{
    const size_t bytes = sizeof *records * (size_t)count;
    c->perception = m->perception;
    SYN_RETURN_IF(syn_params_clone(ctx, &c->perception.params, &m->perception.params));
    c->control = m->control;
    SYN_RETURN_IF(syn_params_clone(ctx, &c->control.params, &m->control.params));
    c->record = syn_device_alloc(ctx, bytes);
    return c->record ? syn_copy_in(ctx, c->record, records, bytes) : SYN_ERR_MEMORY;
}

/* PPO begins with moments of its own. */
static void forget_moments(syn_params *p)
{
    memset(p->m, 0, sizeof(real) * (size_t)p->total);
    memset(p->v, 0, sizeof(real) * (size_t)p->total);
    p->step = 0;
}

syn_status syn_pretrain_state(syn_ctx *ctx, syn_model *model, const syn_corpus *corpus,
                              const int32_t *records, int64_t record_count, int64_t steps,
                              uint64_t seed, syn_state_result *result)
{
    syn_status st;
    syn_ctx host = {.device = SYN_DEVICE_CPU, .threads = 1};
    const bool copied = ctx->device != SYN_DEVICE_CPU;
    copies c = {0};
    run r = {.ctx = ctx,
             .perception = copied ? &c.perception : &model->perception,
             .control = copied ? &c.control : &model->control,
             .tasks = syn_corpus_tasks(ctx, corpus),
             .env = SYN_ENV_CONFIG_DEFAULT,
             .seed = seed};
    memset(result, 0, sizeof *result);
    if (!model->has_control) SYN_TRY(syn_control_init(&host, &model->control, seed));
    model->has_control = true;
    SYN_TRY(syn_params_trainable(&host, &model->control.params));
    if (copied) SYN_TRY(copy_all(ctx, &c, model, records, record_count));
    r.source = (syn_env_source){r.tasks->info, copied ? c.record : records,
                                record_count,  0.3f,
                                seed,          syn_corpus_draw(corpus, records, record_count)};
    SYN_TRY(prepare(&r, model->central));
    SYN_TRY(fit(&r, steps, result));
    if (copied) SYN_TRY(syn_params_fetch(ctx, &c.control.params, &model->control.params));
    forget_moments(&model->control.params);
done:
    run_free(&r);
    if (copied) {
        syn_perception_free(ctx, &c.perception);
        syn_control_free(ctx, &c.control);
        syn_device_free(ctx, c.record);
    }
    return st;
}
