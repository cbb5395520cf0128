#include "trainer/train.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/crossfit.h"
#include "trainer/stop.h"
#include "trainer/train_private.h"

typedef syn_train_run run;

static bool first_rank(const run *r)
{
    return syn_dist_rank(r->cfg->dist) == 0;
}

/* ---- Metrics ---- */

static json_t *seconds(const run *r, const syn_ppo_times *before, double whole)
{
    const syn_ppo_times *t = &r->ppo.times;
    json_t *j =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "update", whole, "env",
                  t->env - before->env, "observe", t->observe - before->observe, "forward",
                  t->forward - before->forward, "backward", t->backward - before->backward,
                  "reduce", t->reduce - before->reduce, "optimise", t->optimise - before->optimise,
                  "evaluate", r->evaluate_s, "save", r->save_s);
    if (j && t->device > 0) json_object_set_new(j, "device", json_real(t->device - before->device));
    return j;
}

static json_t *actions(const syn_ppo_stats *s)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "send", s->kinds[SYN_SEND], "request",
                     s->kinds[SYN_REQUEST], "broadcast", s->kinds[SYN_BROADCAST], "alone",
                     s->kinds[SYN_ALONE], "answer", s->kinds[SYN_ANSWER], "abstain",
                     s->kinds[SYN_ABSTAIN]);
}

static void add_finetuned(json_t *line, const syn_finetune_stats *s)
{
    json_object_set_new(line, "finetune_gap_loss", json_real(s->gap_loss));
    json_object_set_new(line, "finetune_link_loss", json_real(s->link_loss));
    json_object_set_new(line, "finetune_grad_norm", json_real(s->grad_norm));
    json_object_set_new(line, "lr_finetune", json_real(s->lr));
    json_object_set_new(json_object_get(line, "seconds"), "finetune", json_real(s->seconds));
}

/* whole: seconds since the update began; times at that moment are `before`. */
static syn_status write_metrics(run *r, const syn_ppo_stats *s, const syn_policy_summary *held,
                                const syn_ppo_times *before, double whole)
{
    const double n = s->tally.episodes ? s->tally.episodes : 1;
    json_t *j = json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, "
        "s:f, s:f, s:i, s:b, s:I, s:f, s:o, s:o}",
        "update", (json_int_t)r->ppo.updates, "env_steps", (json_int_t)r->steps, "return",
        s->tally.episode_return / n, "success", (s->tally.success + s->tally.abstained_right) / n,
        "messages", s->tally.messages / n, "abstained", s->tally.abstained / n, "policy_loss",
        s->policy_loss, "value_loss", s->value_loss, "explained_variance", s->explained,
        "value_mean", s->value_mean, "value_std", s->value_std, "entropy_normalised",
        s->entropy_share, "entropy_coef", s->entropy_coef, "kl", s->kl, "clip_fraction",
        s->clip_fraction, "grad_norm", s->grad_norm, "grad_norm_max", s->grad_norm_max, "lr_actor",
        s->lr_actor, "lr_critic", s->lr_critic, "epochs", s->epochs, "kl_stopped", s->kl_stopped,
        "spikes", (json_int_t)r->spikes.count, "env_steps_per_s",
        (double)syn_ppo_steps_per_update(&r->cfg->ppo) / whole, "actions", actions(s), "seconds",
        seconds(r, before, whole));
    if (!j) return syn_fail(SYN_ERR_MEMORY, "out of memory for the metrics");
    if (held) {
        json_object_set_new(j, "held_out_return", json_real(held->episode_return));
        json_object_set_new(j, "held_out_success", json_real(held->success));
        json_object_set_new(j, "held_out_messages", json_real(held->messages));
    }
    if (r->cfg->finetune) add_finetuned(j, &r->finetuned);
    syn_status st = syn_train_log_write(&r->log, j);
    if (st == SYN_OK && held) syn_train_log_weights(&r->log, &r->model->control.params, r->steps);
    json_decref(j);
    return st;
}

/* ---- One update ---- */

/* What the ranks decide together after an update. */
typedef struct decision {
    int signal;
    bool due; /* a save, by the clock of rank 0 */
} decision;

static syn_status decide(const run *r, decision *d)
{
    const double every = r->cfg->auto_save_s;
    double x[2] = {syn_stop_signal(),
                   first_rank(r) && every > 0 && syn_clock_s() - r->saved_s >= every};
    if (syn_dist_size(r->cfg->dist) > 1) SYN_RETURN_IF(syn_dist_max_f64(r->cfg->dist, x, 2));
    *d = (decision){(int)x[0], x[1] > 0};
    return SYN_OK;
}

/* The ranks' weights must be the same. */
static syn_status compare_ranks(run *r)
{
    char what[64];
    const int64_t every = r->cfg->same_interval;
    if (syn_dist_size(r->cfg->dist) == 1 || !every || r->ppo.updates % every) return SYN_OK;
    snprintf(what, sizeof what, "weights at update %lld are", (long long)r->ppo.updates);
    SYN_RETURN_IF(syn_ppo_fetch(&r->ppo));
    if (r->cfg->finetune) SYN_RETURN_IF(syn_finetune_fetch(&r->finetune));
    uint64_t hash = syn_params_hash(&r->model->control.params);
    if (r->cfg->finetune) hash ^= syn_params_hash(&r->model->perception.params);
    return syn_dist_same(r->cfg->dist, hash, what);
}

/* A run's last evaluation comes whether it is due or not; patience counts those that are, and only
 * they calibrate, which changes what follows. */
static syn_status judge(run *r, bool due, bool *better)
{
    const syn_params *p = &r->model->control.params;
    const double before = syn_clock_s();
    SYN_RETURN_IF(syn_ppo_fetch(&r->ppo));
    if (r->cfg->finetune) SYN_RETURN_IF(syn_finetune_fetch(&r->finetune));
    if (due && r->cfg->finetune)
        SYN_RETURN_IF(syn_finetune_calibrate(&r->finetune, r->record + r->held_first, r->held));
    SYN_RETURN_IF(syn_train_evaluate(r, &r->judged));
    r->evaluate_s = syn_clock_s() - before;
    *better = r->judged.episode_return > r->result->best_return;
    r->since_best = *better ? 0 : r->since_best + due;
    if (!*better) return SYN_OK;
    r->result->best_return = r->judged.episode_return;
    r->result->best_steps = r->steps;
    memcpy(r->best, p->value, sizeof(real) * (size_t)p->total);
    if (r->cfg->finetune) syn_finetune_keep(&r->finetune, &r->model->perception);
    return SYN_OK;
}

static void look_for_spikes(run *r, const syn_ppo_stats *s)
{
    if (!syn_spikes_add(&r->spikes, s->grad_norm_max) || !first_rank(r)) return;
    syn_log(SYN_LOG_WARN,
            "update %lld: the gradient's norm of %.3g is more than ten times that of the last %d "
            "updates; it was clipped",
            (long long)r->ppo.updates, s->grad_norm_max, SYN_SPIKES_WINDOW);
}

static bool stopped_early(const run *r)
{
    return r->cfg->patience && r->since_best >= r->cfg->patience;
}

static bool finished(const run *r)
{
    return r->steps >= r->cfg->env_steps || stopped_early(r);
}

static void show(const run *r, syn_progress *bar, const syn_ppo_stats *s)
{
    const double n = s->tally.episodes ? s->tally.episodes : 1;
    if (!first_rank(r)) return;
    syn_progress_update(
        bar, r->steps,
        "return %.2f success %.3f messages %.2f KL %.3f entropy %.2f best held-out %.2f",
        s->tally.episode_return / n, (s->tally.success + s->tally.abstained_right) / n,
        s->tally.messages / n, s->kl, s->entropy_share, r->result->best_return);
}

static syn_status learn(run *r, syn_ppo_stats *stats)
{
    const double begun = syn_clock_s();
    if (r->cfg->finetune) SYN_RETURN_IF(syn_ppo_look(&r->ppo));
    SYN_RETURN_IF(syn_ppo_rollout(&r->ppo));
    const double rolled = syn_clock_s();
    const double progress = fmin((double)r->steps / (double)r->cfg->schedule_steps, 1);
    SYN_RETURN_IF(syn_ppo_update(&r->ppo, progress, stats));
    if (r->cfg->finetune)
        SYN_RETURN_IF(syn_finetune_update(&r->finetune, syn_ppo_lr_scale(&r->ppo.cfg, progress),
                                          &r->finetuned));
    r->result->rollout_seconds += rolled - begun;
    r->result->update_seconds += syn_clock_s() - rolled;
    r->steps += syn_ppo_steps_per_update(&r->cfg->ppo);
    r->kl_stops += stats->kl_stopped;
    r->train_return =
        stats->tally.episodes ? (double)stats->tally.episode_return / stats->tally.episodes : 0;
    return SYN_OK;
}

static syn_status interrupted(const run *r, int number)
{
    r->result->signal = number;
    return syn_fail(SYN_ERR_INTERRUPTED,
                    "stopped by %s after %lld of %lld env-steps; %s is saved: the same command "
                    "with --resume goes on",
                    number == SIGINT ? "SIGINT" : "SIGTERM", (long long)r->steps,
                    (long long)r->cfg->env_steps, r->cfg->out);
}

static syn_status update(run *r, syn_progress *bar)
{
    syn_ppo_stats stats;
    decision d;
    bool better = false;
    const double begun = syn_clock_s();
    const syn_ppo_times before = r->ppo.times;
    SYN_RETURN_IF(learn(r, &stats));
    const double learnt = syn_clock_s() - begun;
    look_for_spikes(r, &stats);
    const bool due = r->ppo.updates % r->cfg->eval_interval == 0;
    const bool check = due || r->steps >= r->cfg->env_steps;
    if (check) SYN_RETURN_IF(judge(r, due, &better));
    SYN_RETURN_IF(compare_ranks(r));
    SYN_RETURN_IF(decide(r, &d));
    show(r, bar, &stats);
    const bool replace = r->cfg->overwrite && !r->saved;
    if (replace) SYN_RETURN_IF(syn_train_replace(r, better));
    if (first_rank(r))
        SYN_RETURN_IF(write_metrics(r, &stats, check ? &r->judged : NULL, &before, learnt));
    r->evaluate_s = r->save_s = 0;
    const int64_t every = r->cfg->checkpoint_interval;
    const bool regular = finished(r) || d.due || (every && r->ppo.updates % every == 0);
    if (!replace && (better || d.signal || (regular && !r->cfg->save_best_only)))
        SYN_RETURN_IF(syn_train_save(r, better));
    return d.signal && !finished(r) ? interrupted(r, d.signal) : SYN_OK;
}

/* ---- The run ---- */

static syn_status prepare(run *r, syn_ppo_source *sources, int *source_count)
{
    const size_t ranks = (size_t)syn_dist_size(r->cfg->dist);
    const size_t episodes = (size_t)r->cfg->eval_episodes, slot = episodes / ranks + 1;
    r->record = malloc(sizeof *r->record * (size_t)(2 * r->corpus->records + 1));
    r->episodes = calloc(episodes + (ranks + 1) * slot, sizeof *r->episodes);
    r->best = syn_device_alloc(r->ctx, sizeof(real) * (size_t)r->model->control.params.total);
    if (!r->record || !r->episodes || !r->best)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for training");
    *source_count = syn_crossfit_sources(r->model, r->ds, r->corpus, r->record, sources);
    r->held_first = r->corpus->records;
    for (int64_t k = 0; k < r->corpus->records; k++) {
        if (syn_record_held_out(&r->ds->records[r->corpus->record[k]])) {
            r->record[r->held_first + r->held++] = (int32_t)k;
        }
    }
    if (*source_count && r->held) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT,
                    "%lld records are too few to train on some and choose by others",
                    (long long)r->corpus->records);
}

static syn_status open_log(run *r)
{
    if (!first_rank(r)) return SYN_OK;
    if (mkdir(r->cfg->out, 0777) != 0 && errno != EEXIST) {
        return syn_fail(SYN_ERR_IO, "%s: cannot be made: %s", r->cfg->out, strerror(errno));
    }
    return syn_train_log_open(&r->log, r->cfg->out, r->steps, r->cfg->config_json);
}

static syn_status updates(run *r)
{
    syn_progress bar;
    syn_status st = SYN_OK;
    r->saved_s = syn_clock_s();
    if (first_rank(r)) {
        syn_progress_begin(&bar, "train", "env-steps", r->cfg->env_steps);
        bar.before = r->steps;
    }
    while (!finished(r) && st == SYN_OK) st = update(r, &bar);
    if (first_rank(r)) syn_progress_end(&bar);
    return st;
}

syn_status syn_train(syn_ctx *ctx, const syn_train_config *cfg, const syn_dataset *ds,
                     const syn_corpus *corpus, syn_model *model, syn_train_result *result)
{
    syn_status st;
    run r = {.ctx = ctx, .cfg = cfg, .ds = ds, .corpus = corpus, .model = model, .result = result};
    syn_ppo_source sources[SYN_MODEL_PARTS_MAX];
    int source_count = 0;
    syn_ctx *device = cfg->device ? cfg->device : ctx;
    const double started = syn_clock_s();
    *result = (syn_train_result){.best_return = -INFINITY};
    SYN_TRY(prepare(&r, sources, &source_count));
    SYN_TRY(syn_ppo_init(device, &r.ppo, &cfg->ppo, &cfg->env, corpus, model->central, sources,
                         source_count, cfg->untitled_share, &model->control, cfg->dist));
    if (cfg->finetune)
        SYN_TRY(syn_finetune_init(&r.finetune, cfg->finetune, cfg->lr_finetune, &r.ppo, model));
    SYN_TRY(syn_train_restore(&r));
    SYN_TRY(open_log(&r));
    const int64_t before = r.steps, updates_before = r.ppo.updates;
    SYN_TRY(updates(&r));
    memcpy(model->control.params.value, r.best, sizeof(real) * (size_t)model->control.params.total);
    if (cfg->finetune) syn_finetune_take(&r.finetune);
    result->env_steps = r.steps - before;
    result->updates = r.ppo.updates - updates_before;
    result->seconds = syn_clock_s() - started;
    result->kl_stop_share = result->updates ? (double)r.kl_stops / (double)result->updates : 0;
    result->spikes = r.spikes.count;
    result->stopped_early = r.steps < cfg->env_steps;
done:
    /* Of a run that fails before it has anything to show, nothing is left. */
    syn_train_log_close(&r.log, st == SYN_OK || r.saved || r.log.lines > 1);
    syn_finetune_free(&r.finetune);
    if (r.ppo.ctx) syn_ppo_free(&r.ppo);
    syn_device_free(ctx, r.best);
    free(r.record);
    free(r.episodes);
    return st;
}
