#include "trainer/finetune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "kernels/tree_sum.h"
#include "trainer/finetune_private.h"
#include "trainer/gap_batch.h"
#include "trainer/ppo_private.h"
#include "trainer/pretrain.h"

enum { CHUNK = 64, CALIBRATION_STATES = 2048, N = SYN_AGENTS_MAX };

enum { DCKM_NONE, DCKM_WANTED, DCKM_THERE };

static const char *const names[] = {"ckm", "gap"};

syn_status syn_finetune_parse(const char *list, unsigned *what)
{
    *what = 0;
    for (const char *at = list ? list : ""; *at;) {
        const size_t length = strcspn(at, ",");
        int k = 0;
        while (k < 2 && (strlen(names[k]) != length || strncmp(at, names[k], length) != 0)) k++;
        if (k == 2) {
            return syn_fail(SYN_ERR_USAGE, "--finetune knows no '%.*s'; it knows ckm and gap",
                            (int)(length < 31 ? length : 31), at);
        }
        *what |= 1u << k;
        at += length;
        if (*at == ',') at++;
    }
    return SYN_OK;
}

const char *syn_finetune_text(unsigned what)
{
    static const char *const text[] = {"", "ckm", "gap", "ckm,gap"};
    return text[what & 3];
}

/* ---- States ---- */

static syn_env *seen_of(const syn_finetune *f, int64_t shard)
{
    return syn_finetune_seen(f, shard);
}

static void begin(void *user)
{
    syn_finetune *f = user;
    f->update = f->ppo->updates;
    for (int64_t k = 0; k < syn_finetune_shards(f); k++)
        f->dckm_state[k] = f->dckm ? DCKM_WANTED : DCKM_NONE;
}

/* The first turn's vectors are those of all agents, whatever has changed. */
static syn_status see(void *user, int64_t shard, int64_t turn, const syn_env *envs)
{
    syn_finetune *f = user;
    syn_ctx *ctx = f->ppo->ctx;
    const int64_t E = f->ppo->cfg.shard_envs;
    syn_env *to = seen_of(f, shard) + turn * E;
    SYN_RETURN_IF(syn_copy(ctx, to, envs, sizeof *to * (size_t)E));
    if (turn > 0) return SYN_OK;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    uint32_t *changed = SYN_SCRATCH(ctx, uint32_t, E);
    const syn_status st = changed ? syn_ppo_mark_all(ctx, E, to, changed) : SYN_ERR_MEMORY;
    syn_scratch_pop(ctx, mark);
    return st;
}

static real *dckm_of(const syn_finetune *f, int64_t shard)
{
    return syn_finetune_dckm(f, shard);
}

/* The first pass after a roll-out fills it. */
static real *want_dckm(void *user, int64_t shard)
{
    const syn_finetune *f = user;
    if (f->dckm_state[shard] != DCKM_WANTED) return NULL;
    f->dckm_state[shard] = DCKM_THERE;
    return dckm_of(f, shard);
}

/* ---- Beginning and end ---- */

static int64_t span(const syn_finetune *f)
{
    const syn_params *t = &f->perception->params;
    return t->item[f->last].offset + t->item[f->last].count - t->item[f->first].offset;
}

static real *range(const syn_finetune *f, real *buffer)
{
    return buffer + f->perception->params.item[f->first].offset;
}

syn_status syn_finetune_init(syn_finetune *f, unsigned what, double lr, syn_ppo *p,
                             syn_model *model)
{
    memset(f, 0, sizeof *f);
    SYN_REQUIRE(what && !(what & ~(unsigned)(SYN_FINETUNE_CKM | SYN_FINETUNE_GAP)),
                "there is nothing to finetune");
    SYN_REQUIRE(model->has_perception && !model->parts,
                "finetuning takes a model whose one perception plays, without cross-fitted parts");
    syn_ctx *ctx = p->ctx, host = {.device = SYN_DEVICE_CPU, .threads = 1};
    const bool copied = ctx->device != SYN_DEVICE_CPU;
    const int64_t T = p->cfg.horizon, E = p->cfg.shard_envs;
    f->every = T < SYN_FINETUNE_EVERY ? T : SYN_FINETUNE_EVERY;
    f->host = &model->perception;
    f->perception = copied ? &p->device->perception[0] : f->host;
    f->central = model->central;
    f->lr = lr;
    f->first = what & SYN_FINETUNE_CKM ? SYN_P_IN_W : SYN_P_GAP_W1;
    f->last = what & SYN_FINETUNE_GAP ? SYN_P_GAP_B5 : SYN_P_EMPTY;
    f->ppo = p;
    SYN_RETURN_IF(syn_params_trainable(&host, &f->host->params));
    SYN_RETURN_IF(syn_params_trainable(ctx, &f->perception->params));
    SYN_RETURN_IF(
        syn_observer_init(ctx, &f->observer, copied || E > CHUNK ? E : CHUNK, f->central));
    if (copied) SYN_RETURN_IF(syn_finetune_device_init(f));
    const size_t states = (size_t)(syn_finetune_shards(f) * T * E);
    f->seen = syn_device_alloc(ctx, sizeof *f->seen * states);
    f->dckm_state = calloc((size_t)syn_finetune_shards(f), 1);
    if (what & SYN_FINETUNE_CKM)
        f->dckm = syn_device_alloc(ctx, sizeof *f->dckm * states * N * SYN_CKM);
    f->sums = syn_device_alloc(ctx, sizeof *f->sums * (size_t)(p->local * (span(f) + SYN_GAP_OUT)));
    f->best = malloc(sizeof *f->best * (size_t)span(f));
    if (!f->seen || !f->dckm_state || (what & SYN_FINETUNE_CKM && !f->dckm) || !f->sums ||
        !f->best) {
        syn_finetune_free(f);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for finetuning");
    }
    syn_finetune_keep(f, f->host);
    p->watch = (syn_ppo_watch){begin, see, want_dckm, f};
    return SYN_OK;
}

void syn_finetune_free(syn_finetune *f)
{
    if (f->ppo) {
        syn_ctx *ctx = f->ppo->ctx;
        f->ppo->watch = (syn_ppo_watch){0};
        syn_finetune_device_free(f);
        syn_observer_free(ctx, &f->observer);
        syn_device_free(ctx, f->seen);
        syn_device_free(ctx, f->dckm);
        syn_device_free(ctx, f->sums);
    }
    free(f->dckm_state);
    free(f->best);
    memset(f, 0, sizeof *f);
}

/* ---- Gaps and links ---- */

static int64_t first_turn(const syn_finetune *f)
{
    return syn_finetune_first_turn(f);
}

static int64_t turns_taken(const syn_finetune *f)
{
    return (f->ppo->cfg.horizon - first_turn(f) + f->every - 1) / f->every;
}

static const syn_env *state_taken(const syn_finetune *f, int64_t shard, int64_t k)
{
    const int64_t E = f->ppo->cfg.shard_envs;
    return seen_of(f, shard) + (first_turn(f) + k / E * f->every) * E + k % E;
}

/* Adds gradient and losses of the shard's states first..first + count - 1; each is looked at as
 * phase 1 does, every agent afresh. */
static syn_status learn_chunk(syn_finetune *f, int64_t shard, int64_t first, int64_t count,
                              const real scale[SYN_GAP_OUT], uint64_t counter,
                              real loss[SYN_GAP_OUT])
{
    syn_ctx *ctx = f->ppo->ctx;
    const syn_tasks *tasks = &f->ppo->corpus->tasks;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    syn_gap_batch b;
    syn_env *envs = SYN_SCRATCH(ctx, syn_env, count);
    if (!envs) goto done;
    for (int64_t k = 0; k < count; k++) {
        envs[k] = *state_taken(f, shard, first + k);
        envs[k].changed = (1u << envs[k].agents) - 1;
    }
    f->observer.envs = count;
    SYN_TRY(syn_observe_views(ctx, &f->observer, f->perception, tasks, envs));
    SYN_TRY(syn_gap_batch_make(ctx, &f->observer, tasks, envs, NULL, count, &b));
    SYN_TRY(syn_gap_batch_learn(ctx, f->perception, &b, scale, f->ppo->cfg.seed, counter, loss));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* Means over the shard's states, divided by the shards of the minibatch, so that their sum over
 * those is the mean. number: of the shard, among all that were ever learnt from. */
static syn_status learn_states(syn_finetune *f, int64_t shard, int64_t number, real *loss)
{
    const syn_ppo_config *c = &f->ppo->cfg;
    const int64_t n = turns_taken(f) * c->shard_envs;
    const int64_t chunks = (c->horizon * c->shard_envs + CHUNK - 1) / CHUNK;
    int64_t links = 0;
    if (f->device) return syn_finetune_device_states(f, shard, number, loss);
    for (int64_t k = 0; k < n; k++) {
        const int agents = state_taken(f, shard, k)->agents;
        links += agents * (agents - 1);
    }
    const real scale[SYN_GAP_OUT] = {
        [SYN_GAP] = (real)(syn_finetune_share / (double)(3 * n * c->shards)),
        [SYN_LINK] = (real)(syn_finetune_share / (double)(links * c->shards)),
    };
    memset(loss, 0, sizeof *loss * SYN_GAP_OUT);
    for (int64_t at = 0; at < n; at += CHUNK) {
        SYN_RETURN_IF(learn_chunk(f, shard, at, n - at < CHUNK ? n - at : CHUNK, scale,
                                  (uint64_t)(number * chunks + at / CHUNK), loss));
    }
    return SYN_OK;
}

/* ---- PPO's gradient of the CKM vectors ---- */

/* A vector is read from the turn in which it is made until its agent changes, as all do when an
 * episode begins: its gradient is the sum over these turns, and comes to stand in the first. */
static void sum_over_turns(const syn_finetune *f, int64_t shard)
{
    const int64_t E = f->ppo->cfg.shard_envs, width = (int64_t)N * SYN_CKM;
    const syn_env *seen = seen_of(f, shard);
    real *dckm = dckm_of(f, shard);
    for (int64_t k = (f->ppo->cfg.horizon - 1) * E - 1; k >= 0; k--) {
        const syn_env *next = &seen[k + E];
        for (int i = 0; i < next->agents; i++) {
            if (next->changed >> i & 1) continue;
            real *to = dckm + k * width + i * SYN_CKM;
            const real *from = dckm + (k + E) * width + i * SYN_CKM;
            for (int d = 0; d < SYN_CKM; d++) to[d] += from[d];
        }
    }
}

/* Through the encoder, for the vectors made in one turn: envs (E), dckm (E, N, SYN_CKM). The
 * observer has followed the turns before. */
static syn_status flow_turn(syn_finetune *f, const syn_env *envs, const real *dckm)
{
    syn_ctx *ctx = f->ppo->ctx;
    const syn_tasks *tasks = &f->ppo->corpus->tasks;
    const int64_t E = f->ppo->cfg.shard_envs;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int64_t n = 0;
    int32_t *agent = SYN_SCRATCH(ctx, int32_t, E * N),
            *offset = SYN_SCRATCH(ctx, int32_t, E * N + 1);
    if (!agent || !offset) goto done;
    SYN_TRY(syn_observe_views(ctx, &f->observer, f->perception, tasks, envs));
    for (int64_t e = 0; e < E; e++) {
        for (uint32_t left = envs[e].changed; left; left &= left - 1)
            agent[n++] = (int32_t)(e * N + syn_lowest(left));
    }
    const int64_t items = syn_observe_item_count(envs, n, agent);
    real *x = SYN_SCRATCH(ctx, real, items * SYN_DI), *bias = SYN_SCRATCH(ctx, real, items);
    real *d = SYN_SCRATCH(ctx, real, n * SYN_CKM);
    if (!x || !bias || !d) {
        st = SYN_ERR_MEMORY;
        goto done;
    }
    const int64_t longest =
        syn_observe_items(ctx, &f->observer, tasks, envs, n, agent, offset, x, bias);
    for (int64_t k = 0; k < n; k++)
        memcpy(d + k * SYN_CKM, dckm + (int64_t)agent[k] * SYN_CKM, sizeof *d * SYN_CKM);
    SYN_TRY(syn_ckm_backward(ctx, f->perception, &(syn_seq){n, longest, items, offset, NULL}, x,
                             bias, d));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status flow(syn_finetune *f, int64_t shard)
{
    const int64_t E = f->ppo->cfg.shard_envs;
    f->dckm_state[shard] = DCKM_NONE;
    if (f->device) return syn_finetune_device_flow(f, shard);
    f->observer.envs = E;
    sum_over_turns(f, shard);
    for (int64_t t = 0; t < f->ppo->cfg.horizon; t++) {
        SYN_RETURN_IF(
            flow_turn(f, seen_of(f, shard) + t * E, dckm_of(f, shard) + t * E * N * SYN_CKM));
    }
    return SYN_OK;
}

/* ---- One pass ---- */

/* Gradient and losses of one shard into its row of sums. */
static syn_status learn_shard(syn_finetune *f, int64_t m, int64_t l)
{
    const syn_ppo *p = f->ppo;
    const int64_t shard = m * p->local + l;
    const int64_t number =
        (f->update * p->cfg.minibatches + m) * p->cfg.shards + p->local_first + l;
    real *row = f->sums + l * (span(f) + SYN_GAP_OUT);
    SYN_RETURN_IF(syn_params_zero_grad(p->ctx, &f->perception->params));
    SYN_RETURN_IF(learn_states(f, shard, number, row + span(f)));
    if (f->dckm_state[shard] == DCKM_THERE) SYN_RETURN_IF(flow(f, shard));
    return syn_copy(p->ctx, row, range(f, f->perception->params.grad),
                    sizeof *row * (size_t)span(f));
}

/* Sum over the shards of the minibatch on all ranks: the gradient in its place, the losses in
 * loss, in host memory. */
static syn_status learn_minibatch(syn_finetune *f, int64_t m, real loss[SYN_GAP_OUT])
{
    syn_ppo *p = f->ppo;
    const int64_t n = span(f), width = n + SYN_GAP_OUT;
    for (int64_t l = 0; l < p->local; l++) SYN_RETURN_IF(learn_shard(f, m, l));
    SYN_RETURN_IF(syn_tree_sum(p->ctx, f->sums, p->local, width));
    if (syn_dist_size(p->dist) > 1) {
        SYN_RETURN_IF(syn_dist_sum_begin(p->dist, f->sums, width));
        SYN_RETURN_IF(syn_dist_sum_wait(p->dist));
    }
    SYN_RETURN_IF(
        syn_copy(p->ctx, range(f, f->perception->params.grad), f->sums, sizeof(real) * (size_t)n));
    return syn_copy_out(p->ctx, loss, f->sums + n, sizeof *loss * SYN_GAP_OUT);
}

static syn_status step(syn_finetune *f, int64_t m, double lr, syn_finetune_stats *out)
{
    const syn_ppo *p = f->ppo;
    const double n = (double)p->cfg.minibatches;
    const syn_adam adam = {.lr = (real)lr,
                           .beta1 = (real)0.9,
                           .beta2 = (real)0.999,
                           .eps = (real)1e-8,
                           .max_grad_norm = (real)p->cfg.max_grad_norm};
    real norm, loss[SYN_GAP_OUT];
    SYN_RETURN_IF(learn_minibatch(f, m, loss));
    if (!isfinite(loss[SYN_GAP]) || !isfinite(loss[SYN_LINK]))
        return syn_fail(SYN_ERR_NUMERIC, "the loss of gaps and links is not finite");
    SYN_RETURN_IF(syn_params_step(p->ctx, &f->perception->params, f->first, f->last, &adam, &norm));
    out->gap_loss += (double)loss[SYN_GAP] / (syn_finetune_share * n);
    out->link_loss += (double)loss[SYN_LINK] / (syn_finetune_share * n);
    out->grad_norm += (double)norm / n;
    return SYN_OK;
}

syn_status syn_finetune_update(syn_finetune *f, double lr_scale, syn_finetune_stats *out)
{
    const double before = syn_clock_s();
    const long long number = (long long)f->update + 1;
    *out = (syn_finetune_stats){.lr = f->lr * lr_scale};
    if (f->device) SYN_RETURN_IF(syn_finetune_device_begin(f));
    for (int64_t m = 0; m < f->ppo->cfg.minibatches; m++) {
        const syn_status st = step(f, m, out->lr, out);
        if (st == SYN_ERR_NUMERIC) {
            return syn_fail(st,
                            "update %lld, finetuning, minibatch %lld: %s; the step was not "
                            "taken",
                            number, (long long)m + 1, syn_error_text());
        }
        if (st != SYN_OK) return st;
    }
    out->seconds = syn_clock_s() - before;
    const syn_status st = syn_params_check(f->ppo->ctx, &f->perception->params);
    return st == SYN_OK ? st : syn_fail_within(st, "update %lld, finetuning", number);
}

/* In host memory. */
static syn_status calibrate(syn_finetune *f, const int32_t *records, int64_t record_count)
{
    const syn_ppo *p = f->ppo;
    syn_ctx host;
    SYN_RETURN_IF(syn_ctx_init(&host, SYN_DEVICE_CPU, p->ctx->threads));
    const syn_status st =
        syn_calibrate_perception(&host, f->host, f->central, p->corpus, records, record_count,
                                 CALIBRATION_STATES, p->cfg.seed + 78, NULL);
    syn_ctx_free(&host);
    return st;
}

syn_status syn_finetune_calibrate(syn_finetune *f, const int32_t *records, int64_t record_count)
{
    syn_ppo *p = f->ppo;
    SYN_RETURN_IF(syn_finetune_fetch(f));
    SYN_RETURN_IF(calibrate(f, records, record_count));
    if (syn_dist_size(p->dist) > 1)
        SYN_RETURN_IF(
            syn_dist_broadcast(p->dist, f->host->calibrated, (int64_t)sizeof f->host->calibrated));
    if (!f->device) return SYN_OK;
    /* What is recorded has the calibration that it was recorded with. */
    memcpy(f->perception->calibrated, f->host->calibrated, sizeof f->host->calibrated);
    syn_graph_free(p->ctx, &p->device->rollout);
    return SYN_OK;
}

/* ---- The best, and what a run goes on from ---- */

syn_status syn_finetune_fetch(syn_finetune *f)
{
    if (!f->device) return SYN_OK;
    return syn_params_fetch(f->ppo->ctx, &f->perception->params, &f->host->params);
}

void syn_finetune_keep(syn_finetune *f, const syn_perception *from)
{
    memcpy(f->best, range(f, from->params.value), sizeof *f->best * (size_t)span(f));
    memcpy(f->best_calibrated, from->calibrated, sizeof f->best_calibrated);
}

void syn_finetune_take(syn_finetune *f)
{
    memcpy(range(f, f->host->params.value), f->best, sizeof *f->best * (size_t)span(f));
    memcpy(f->host->calibrated, f->best_calibrated, sizeof f->best_calibrated);
}

void syn_finetune_tensors(syn_finetune *f, syn_tensor tensor[SYN_FINETUNE_TENSORS])
{
    syn_params *t = &f->host->params;
    f->step = t->step;
    const syn_tensor moment = {.rank = 1, .shape = {span(f)}, .type = SYN_TENSOR_F32};
    tensor[0] = tensor[1] = moment;
    tensor[0].name = SYN_RESUME_PREFIX "finetune_moment1";
    tensor[0].data = range(f, t->m);
    tensor[1].name = SYN_RESUME_PREFIX "finetune_moment2";
    tensor[1].data = range(f, t->v);
    tensor[2] = (syn_tensor){.name = SYN_RESUME_PREFIX "finetune_step",
                             .rank = 1,
                             .shape = {1},
                             .type = SYN_TENSOR_I64,
                             .data = &f->step};
}

syn_status syn_finetune_restore(syn_finetune *f, const syn_checkpoint *cp)
{
    syn_tensor tensor[SYN_FINETUNE_TENSORS];
    syn_finetune_tensors(f, tensor);
    for (int k = 0; k < SYN_FINETUNE_TENSORS; k++) {
        if (!syn_checkpoint_find(cp, tensor[k].name)) {
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: holds no %s: it was not trained with --finetune; begin another "
                            "run with --init",
                            syn_checkpoint_dir(cp), tensor[k].name);
        }
        SYN_RETURN_IF(syn_checkpoint_read(cp, &tensor[k]));
    }
    if (f->step < 0) {
        return syn_fail(SYN_ERR_FORMAT, "%s: %s holds %lld", syn_checkpoint_dir(cp), tensor[2].name,
                        (long long)f->step);
    }
    f->host->params.step = f->step;
    if (!f->device) return SYN_OK;
    const syn_params *from = &f->host->params;
    syn_params *to = &f->perception->params;
    const size_t bytes = sizeof(real) * (size_t)from->total;
    to->step = from->step;
    SYN_RETURN_IF(syn_copy_in(f->ppo->ctx, to->m, from->m, bytes));
    return syn_copy_in(f->ppo->ctx, to->v, from->v, bytes);
}
