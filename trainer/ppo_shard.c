/* One shard: its buffers, its roll-out and its part of a gradient. */

#include "kernels/base/progress.h"
#include "kernels/sample.h"
#include "trainer/ppo_private.h"

enum { A = SYN_ACTIONS_MAX, N = SYN_AGENTS_MAX };

syn_status syn_ppo_shard_init(syn_ppo *p, syn_ppo_shard *h, int64_t first, bool central,
                              const syn_ppo_source *src, int number, float untitled)
{
    syn_ctx *ctx = p->ctx;
    const bool copied = ctx->device != SYN_DEVICE_CPU;
    const size_t E = (size_t)p->cfg.shard_envs, rows = E * (size_t)p->cfg.horizon;
    h->perception = copied ? &p->device->perception[number] : src->perception;
    h->source =
        (syn_env_source){p->tasks->info, copied ? p->device->record[number] : src->record,
                         src->records,   untitled,
                         p->cfg.seed,    syn_corpus_draw(p->corpus, src->record, src->records)};
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

/* No more episodes than steps can have been begun before. */
syn_status syn_ppo_shard_restart(syn_ppo *p, syn_ppo_shard *h)
{
    syn_ctx *ctx = p->ctx;
    const uint64_t E = (uint64_t)p->cfg.shard_envs, all = (uint64_t)syn_ppo_envs(&p->cfg);
    const uint64_t turns = (uint64_t)(p->updates * p->cfg.horizon), first = (uint64_t)h->first;
    const size_t state = sizeof(real) * E * SYN_STATE, bytes = sizeof(uint64_t) * E;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    uint64_t *next = SYN_HOST_SCRATCH(ctx, uint64_t, E);
    uint64_t *counter = SYN_HOST_SCRATCH(ctx, uint64_t, E);
    if (!next || !counter) goto done;
    for (uint64_t e = 0; e < E; e++) {
        next[e] = turns * all + first + e + all;
        counter[e] = ((first + e) << 32) + turns;
    }
    SYN_TRY(syn_copy_in(ctx, h->next, next, bytes));
    SYN_TRY(syn_copy_in(ctx, h->counter, counter, bytes));
    SYN_TRY(syn_zero(ctx, h->h, state));
    SYN_TRY(syn_zero(ctx, h->c, state));
    SYN_TRY(
        syn_env_reset_batch(ctx, (int64_t)E, h->envs, &p->env, &h->source, turns * all + first));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* Of all agents, whatever has changed: what the caches hold afterwards follows from the
 * environments alone. */
static syn_status look_at_all(syn_ppo *p, syn_ppo_shard *h, const syn_observation *out)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    uint32_t *changed = SYN_SCRATCH(ctx, uint32_t, E);
    if (!changed) goto done;
    SYN_TRY(syn_ppo_mark_all(ctx, E, h->envs, changed));
    SYN_TRY(syn_observe_turn(ctx, &h->observer, h->perception, p->tasks, h->envs, out));
    SYN_TRY(syn_ppo_mark_back(ctx, E, h->envs, changed));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_ppo_shard_look(syn_ppo *p, syn_ppo_shard *h)
{
    return look_at_all(p, h, &h->x);
}

/* ---- Roll-out ---- */

syn_status syn_ppo_shard_carry(syn_ppo *p, syn_ppo_shard *h)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const syn_observation from = syn_observation_at(&h->x, T * E);
#define CARRY(field, width)                                                                        \
    SYN_RETURN_IF(                                                                                 \
        syn_copy(p->ctx, h->x.field, from.field, sizeof *from.field *(size_t)(E * (width))))
    CARRY(message, SYN_DM);
    CARRY(ckm, N * SYN_CKM);
    CARRY(pair_x, 2 * N * N * SYN_PAIR_X);
    CARRY(agent_x, N * SYN_AGENT_X);
    CARRY(summary, SYN_SUMMARY);
    CARRY(mask, A);
    CARRY(count, 1);
    CARRY(reset, 1);
#undef CARRY
    return SYN_OK;
}

void syn_ppo_spend(const syn_ppo *p, double *mark, double *part)
{
    const double now = syn_clock_s();
    if (p->ctx->device == SYN_DEVICE_CPU) *part += now - *mark;
    *mark = now;
}

static syn_status turn(syn_ppo *p, syn_ppo_shard *h, int64_t t)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs;
    const syn_observation now = syn_observation_at(&h->x, t * E),
                          then = syn_observation_at(&h->x, (t + 1) * E);
    if (p->watch.turn) SYN_RETURN_IF(p->watch.turn(p->watch.user, h - p->shard, t, h->envs));
    double mark = syn_clock_s();
    SYN_RETURN_IF(syn_control_forward(ctx, p->control, 1, E, &now, h->h, h->c, NULL, h->logit,
                                      h->value + t * E, h->h, h->c));
    SYN_RETURN_IF(syn_policy_sample(ctx, E, A, h->logit, now.mask, false, p->cfg.seed, h->counter,
                                    h->action + t * E, h->logp + t * E, NULL, NULL));
    SYN_RETURN_IF(syn_ppo_count(ctx, E, h->counter));
    syn_ppo_spend(p, &mark, &p->times.forward);
    SYN_RETURN_IF(syn_env_step_batch(ctx, E, h->envs, &p->env, &h->source, h->action + t * E,
                                     h->observer.rank, h->reward + t * E, h->done + t * E, h->tally,
                                     h->next, (uint64_t)syn_ppo_envs(&p->cfg)));
    syn_ppo_spend(p, &mark, &p->times.env);
    SYN_RETURN_IF(t + 1 == p->cfg.horizon ? look_at_all(p, h, &then)
                                          : syn_observe_turn(ctx, &h->observer, h->perception,
                                                             p->tasks, h->envs, &then));
    syn_ppo_spend(p, &mark, &p->times.observe);
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
    syn_ppo_spend(p, &mark, &p->times.forward);
    return st;
}

static syn_status advantages(syn_ppo *p, syn_ppo_shard *h, int64_t *bad)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    SYN_RETURN_IF(syn_ppo_find_bad(ctx, T * E, h->reward, bad + SYN_CHECKED_REWARD));
    SYN_RETURN_IF(syn_ppo_find_bad(ctx, (T + 1) * E, h->value, bad + SYN_CHECKED_VALUE));
    SYN_RETURN_IF(syn_ppo_find_bad(ctx, T * E, h->logp, bad + SYN_CHECKED_LOGP));
    SYN_RETURN_IF(syn_ppo_rescale(ctx, T, E, &p->device->scalars->scales, h->reward, h->value));
    SYN_RETURN_IF(syn_gae(ctx, T, E, h->reward, h->value, h->done, (real)p->cfg.gamma,
                          (real)p->cfg.gae_lambda, h->advantage, h->ret));
    return syn_ppo_find_bad(ctx, T * E, h->advantage, bad + SYN_CHECKED_ADVANTAGE);
}

syn_status syn_ppo_shard_check(const syn_ppo *p, const syn_ppo_shard *h, const int64_t *bad)
{
    static const char *const what[SYN_CHECKED] = {"reward", "value", "log probability",
                                                  "advantage"};
    const int64_t E = p->cfg.shard_envs;
    for (int k = 0; k < SYN_CHECKED; k++) {
        if (bad[k] < 0) continue;
        return syn_fail(SYN_ERR_NUMERIC,
                        "update %lld: the %s of environment %lld at turn %lld of the roll-out is "
                        "not finite; nothing was updated",
                        (long long)p->updates + 1, what[k], (long long)(h->first + bad[k] % E),
                        (long long)(bad[k] / E));
    }
    return SYN_OK;
}

syn_status syn_ppo_shard_rollout(syn_ppo *p, syn_ppo_shard *h, double *sums, int64_t *bad)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const size_t state = sizeof(real) * (size_t)(E * SYN_STATE);
    SYN_RETURN_IF(syn_zero(ctx, h->tally, sizeof *h->tally * (size_t)E));
    SYN_RETURN_IF(syn_copy(ctx, h->h0, h->h, state));
    SYN_RETURN_IF(syn_copy(ctx, h->c0, h->c, state));
    for (int64_t t = 0; t < T; t++) SYN_RETURN_IF(turn(p, h, t));
    SYN_RETURN_IF(last_value(p, h));
    SYN_RETURN_IF(advantages(p, h, bad));
    return syn_ppo_sums(ctx, T, E, h->advantage, h->ret, h->value, h->action, h->tally, sums);
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
    syn_ppo_spend(p, &mark, &p->times.forward);
    SYN_TRY(syn_control_backward(ctx, p->control, T, E, &h->x, h->h0, h->c0, cache, dlogit,
                                 h->dvalue, dckm, ready));
    syn_ppo_spend(p, &mark, &p->times.backward);
    p->times.backward -= p->times.reduce - reduced; /* what `ready` has taken of it */
done:
    syn_scratch_pop(ctx, scratch);
    return st;
}
