/* One shard: its buffers, its roll-out and its part of a gradient. */
#include <math.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "kernels/sample.h"
#include "trainer/ppo_private.h"

enum { A = SYN_ACTIONS_MAX, N = SYN_AGENTS_MAX };

syn_status syn_ppo_shard_init(syn_ppo *p, syn_ppo_shard *h, int64_t first, bool central,
                              const syn_ppo_source *src, float untitled)
{
    syn_ctx *ctx = p->ctx;
    const size_t E = (size_t)p->cfg.shard_envs, rows = E * (size_t)p->cfg.horizon;
    h->perception = src->perception;
    h->source =
        (syn_env_source){p->corpus->tasks.info, src->record, src->records, untitled, p->cfg.seed};
    h->first = first;
    h->envs = syn_device_alloc(ctx, sizeof *h->envs * E);
    h->next = syn_device_alloc(ctx, sizeof *h->next * E);
    h->tally = syn_device_alloc(ctx, sizeof *h->tally * E);
    h->counter = syn_device_alloc(ctx, sizeof *h->counter * E);
    h->action = syn_device_alloc(ctx, sizeof *h->action * rows);
    h->done = syn_device_alloc(ctx, rows);
    real **state[] = {&h->h, &h->c, &h->h0, &h->c0};
    for (size_t i = 0; i < 4; i++) *state[i] = syn_device_alloc(ctx, sizeof(real) * E * SYN_STATE);
    real **row[] = {&h->logp, &h->reward, &h->advantage, &h->ret, &h->dvalue};
    for (size_t i = 0; i < 5; i++) *row[i] = syn_device_alloc(ctx, sizeof(real) * rows);
    h->value = syn_device_alloc(ctx, sizeof(real) * (rows + E));
    h->logit = syn_device_alloc(ctx, sizeof(real) * rows * A);
    if (!h->envs || !h->next || !h->tally || !h->counter || !h->action || !h->done || !h->h ||
        !h->c || !h->h0 || !h->c0 || !h->logp || !h->reward || !h->advantage || !h->ret ||
        !h->dvalue || !h->value || !h->logit) {
        return SYN_ERR_MEMORY;
    }
    SYN_RETURN_IF(syn_observer_init(ctx, &h->observer, (int64_t)E, central));
    return syn_observation_alloc(ctx, &h->x, (int64_t)(rows + E));
}

void syn_ppo_shard_free(syn_ctx *ctx, syn_ppo_shard *h)
{
    void *all[] = {h->envs,      h->next, h->tally,  h->counter, h->action, h->done,
                   h->h,         h->c,    h->h0,     h->c0,      h->logp,   h->reward,
                   h->advantage, h->ret,  h->dvalue, h->value,   h->logit};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) syn_device_free(ctx, all[i]);
    syn_observer_free(ctx, &h->observer);
    syn_observation_free(ctx, &h->x);
}

int64_t syn_ppo_env_bytes(const syn_ppo_config *c)
{
    const int64_t observed =
        (int64_t)sizeof(real) *
            (SYN_DM + N * SYN_CKM + 2 * N * N * SYN_PAIR_X + N * SYN_AGENT_X + SYN_SUMMARY) +
        A + (int64_t)sizeof(int32_t) + 1;
    const int64_t cached =
        (int64_t)sizeof(real) * (N * SYN_ROWS_MAX * (SYN_DV + 1) + SYN_ROWS_MAX * (2 * SYN_DV + 2) +
                                 N * (SYN_CKM + 3 * SYN_GAP_HIDDEN + N + 2));
    const int64_t turn = (int64_t)sizeof(real) * (A + 6) + (int64_t)sizeof(int32_t) + 1;
    const int64_t state = (int64_t)(sizeof(syn_env) + sizeof(syn_env_tally) + 2 * sizeof(uint64_t) +
                                    sizeof(real) * (4 * SYN_STATE + 1));
    return state + cached + (c->horizon + 1) * observed + c->horizon * turn;
}

/* No more episodes than steps can have been begun before. */
syn_status syn_ppo_shard_restart(syn_ppo *p, syn_ppo_shard *h)
{
    const uint64_t E = (uint64_t)p->cfg.shard_envs, all = (uint64_t)syn_ppo_envs(&p->cfg);
    const uint64_t turns = (uint64_t)(p->updates * p->cfg.horizon), first = (uint64_t)h->first;
    for (uint64_t e = 0; e < E; e++) {
        h->next[e] = turns * all + first + e + all;
        h->counter[e] = ((first + e) << 32) + turns;
    }
    memset(h->h, 0, sizeof(real) * E * SYN_STATE);
    memset(h->c, 0, sizeof(real) * E * SYN_STATE);
    return syn_env_reset_batch(p->ctx, (int64_t)E, h->envs, &p->env, &h->source,
                               turns * all + first);
}

/* Of all agents, whatever has changed: what the caches hold afterwards follows from the
 * environments alone. */
static syn_status look_at_all(syn_ppo *p, syn_ppo_shard *h, const syn_observation *out)
{
    const int64_t E = p->cfg.shard_envs;
    syn_scratch_mark mark = syn_scratch_push(p->ctx);
    uint32_t *changed = SYN_SCRATCH(p->ctx, uint32_t, E);
    syn_status st = changed ? SYN_OK : SYN_ERR_MEMORY;
    if (st == SYN_OK) {
        for (int64_t e = 0; e < E; e++) {
            changed[e] = h->envs[e].changed;
            h->envs[e].changed = (1u << h->envs[e].agents) - 1;
        }
        st = syn_observe_turn(p->ctx, &h->observer, h->perception, &p->corpus->tasks, h->envs, out);
        for (int64_t e = 0; e < E; e++) h->envs[e].changed = changed[e];
    }
    syn_scratch_pop(p->ctx, mark);
    return st;
}

syn_status syn_ppo_shard_look(syn_ppo *p, syn_ppo_shard *h)
{
    return look_at_all(p, h, &h->x);
}

/* ---- Roll-out ---- */

/* The observation after the last turn becomes the first of the next roll-out. */
static void carry_over(const syn_ppo *p, syn_ppo_shard *h)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const syn_observation from = syn_observation_at(&h->x, T * E);
#define CARRY(field, width)                                                                        \
    memcpy(h->x.field, from.field, sizeof *from.field *(size_t)(E * (width)))
    CARRY(message, SYN_DM);
    CARRY(ckm, N * SYN_CKM);
    CARRY(pair_x, 2 * N * N * SYN_PAIR_X);
    CARRY(agent_x, N * SYN_AGENT_X);
    CARRY(summary, SYN_SUMMARY);
    CARRY(mask, A);
    CARRY(count, 1);
    CARRY(reset, 1);
#undef CARRY
}

/* Adds the time since *mark to *part, and moves the mark. */
static void spend(double *mark, double *part)
{
    const double now = syn_clock_s();
    *part += now - *mark;
    *mark = now;
}

static syn_status turn(syn_ppo *p, syn_ppo_shard *h, int64_t t)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs;
    const syn_observation now = syn_observation_at(&h->x, t * E),
                          then = syn_observation_at(&h->x, (t + 1) * E);
    if (p->watch.turn) p->watch.turn(p->watch.user, h - p->shard, t, h->envs);
    double mark = syn_clock_s();
    SYN_RETURN_IF(syn_control_forward(ctx, p->control, 1, E, &now, h->h, h->c, NULL, h->logit,
                                      h->value + t * E, h->h, h->c));
    SYN_RETURN_IF(syn_policy_sample(ctx, E, A, h->logit, now.mask, false, p->cfg.seed, h->counter,
                                    h->action + t * E, h->logp + t * E, NULL, NULL));
    for (int64_t e = 0; e < E; e++) h->counter[e]++;
    spend(&mark, &p->times.forward);
    SYN_RETURN_IF(syn_env_step_batch(ctx, E, h->envs, &p->env, &h->source, h->action + t * E,
                                     h->observer.rank, h->reward + t * E, h->done + t * E, h->tally,
                                     h->next, (uint64_t)syn_ppo_envs(&p->cfg)));
    spend(&mark, &p->times.env);
    SYN_RETURN_IF(t + 1 == p->cfg.horizon ? look_at_all(p, h, &then)
                                          : syn_observe_turn(ctx, &h->observer, h->perception,
                                                             &p->corpus->tasks, h->envs, &then));
    spend(&mark, &p->times.observe);
    return SYN_OK;
}

/* The value after the last turn; the states stay as they are, the next roll-out begins with them.
 */
static syn_status last_value(syn_ppo *p, syn_ppo_shard *h)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const syn_observation last = syn_observation_at(&h->x, T * E);
    double mark = syn_clock_s();
    syn_scratch_mark scratch = syn_scratch_push(ctx);
    real *hT = SYN_SCRATCH(ctx, real, E * SYN_STATE), *cT = SYN_SCRATCH(ctx, real, E * SYN_STATE);
    syn_status st = hT && cT ? SYN_OK : SYN_ERR_MEMORY;
    if (st == SYN_OK) {
        st = syn_control_forward(ctx, p->control, 1, E, &last, h->h, h->c, NULL, h->logit,
                                 h->value + T * E, hT, cT);
    }
    syn_scratch_pop(ctx, scratch);
    spend(&mark, &p->times.forward);
    return st;
}

/* x (rows, E). */
static syn_status check(const syn_ppo *p, const syn_ppo_shard *h, const char *what, const real *x,
                        int64_t rows)
{
    const int64_t E = p->cfg.shard_envs;
    for (int64_t i = 0; i < rows * E; i++) {
        if (isfinite(x[i])) continue;
        return syn_fail(SYN_ERR_NUMERIC,
                        "update %lld: the %s of environment %lld at turn %lld of the roll-out is "
                        "not finite; nothing was updated",
                        (long long)p->updates + 1, what, (long long)(h->first + i % E),
                        (long long)(i / E));
    }
    return SYN_OK;
}

static syn_status advantages(syn_ppo *p, syn_ppo_shard *h)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const real mean = (real)syn_value_norm_mean(&p->norm), std = (real)syn_value_norm_std(&p->norm);
    SYN_RETURN_IF(check(p, h, "reward", h->reward, T));
    SYN_RETURN_IF(check(p, h, "value", h->value, T + 1));
    SYN_RETURN_IF(check(p, h, "log probability", h->logp, T));
    for (int64_t i = 0; i < T * E; i++) h->reward[i] *= (real)p->cfg.reward_scale;
    for (int64_t i = 0; i < (T + 1) * E; i++) h->value[i] = h->value[i] * std + mean;
    SYN_RETURN_IF(syn_gae(p->ctx, T, E, h->reward, h->value, h->done, (real)p->cfg.gamma,
                          (real)p->cfg.gae_lambda, h->advantage, h->ret));
    return check(p, h, "advantage", h->advantage, T);
}

static void add_up(const syn_ppo *p, const syn_ppo_shard *h, double *sums)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    memset(sums, 0, sizeof *sums * SYN_ROLLOUT_SUMS);
    for (int64_t i = 0; i < T * E; i++) {
        const double a = (double)h->advantage[i], r = (double)h->ret[i];
        const double error = r - (double)h->value[i];
        sums[SYN_SUM_ADVANTAGE] += a;
        sums[SYN_SUM_ADVANTAGE2] += a * a;
        sums[SYN_SUM_RETURN] += r;
        sums[SYN_SUM_RETURN2] += r * r;
        sums[SYN_SUM_ERROR] += error;
        sums[SYN_SUM_ERROR2] += error * error;
        const int kind = syn_action_of(h->action[i]).kind;
        if (kind < SYN_ACTION_KINDS) sums[SYN_SUM_KINDS + kind]++;
    }
    for (int64_t e = 0; e < E; e++) {
        const syn_env_tally *t = &h->tally[e];
        const double each[] = {t->episodes,        t->success,      t->answerable,    t->abstained,
                               t->abstained_right, t->unanswerable, t->ended,         t->messages,
                               t->deliveries,      t->turns,        t->episode_return};
        for (int k = 0; k < SYN_ROLLOUT_SUMS - SYN_SUM_TALLY; k++)
            sums[SYN_SUM_TALLY + k] += each[k];
    }
}

syn_status syn_ppo_shard_rollout(syn_ppo *p, syn_ppo_shard *h, double *sums)
{
    const size_t state = sizeof(real) * (size_t)(p->cfg.shard_envs * SYN_STATE);
    if (!p->fresh) carry_over(p, h);
    memset(h->tally, 0, sizeof *h->tally * (size_t)p->cfg.shard_envs);
    memcpy(h->h0, h->h, state);
    memcpy(h->c0, h->c, state);
    for (int64_t t = 0; t < p->cfg.horizon; t++) SYN_RETURN_IF(turn(p, h, t));
    SYN_RETURN_IF(last_value(p, h));
    SYN_RETURN_IF(advantages(p, h));
    add_up(p, h, sums);
    return SYN_OK;
}

/* ---- Gradient ---- */

syn_status syn_ppo_shard_gradient(syn_ppo *p, syn_ppo_shard *h, const syn_ppo_coef *coef,
                                  real *stats, const syn_control_ready *ready)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon, rows = T * E;
    real *dckm = p->watch.dckm ? p->watch.dckm(p->watch.user, h - p->shard) : NULL;
    const double reduced = p->times.reduce;
    double mark = syn_clock_s();
    syn_scratch_mark scratch = syn_scratch_push(ctx);
    syn_control_cache *cache;
    syn_status st = SYN_ERR_MEMORY;
    real *value = SYN_SCRATCH(ctx, real, rows), *dlogit = SYN_SCRATCH(ctx, real, rows * A);
    real *hT = SYN_SCRATCH(ctx, real, E * SYN_STATE), *cT = SYN_SCRATCH(ctx, real, E * SYN_STATE);
    if (!value || !dlogit || !hT || !cT) goto done;
    SYN_TRY(syn_control_forward(ctx, p->control, T, E, &h->x, h->h0, h->c0, &cache, h->logit, value,
                                hT, cT));
    SYN_TRY(syn_ppo_loss(ctx, rows, A, h->logit, h->x.mask, h->action, h->logp, h->advantage, value,
                         NULL, h->ret, NULL, coef, (real)1 / (real)(rows * p->cfg.shards), dlogit,
                         h->dvalue, stats));
    spend(&mark, &p->times.forward);
    SYN_TRY(syn_control_backward(ctx, p->control, T, E, &h->x, h->h0, h->c0, cache, dlogit,
                                 h->dvalue, dckm, ready));
    spend(&mark, &p->times.backward);
    p->times.backward -= p->times.reduce - reduced; /* what `ready` has taken of it */
done:
    syn_scratch_pop(ctx, scratch);
    return st;
}
