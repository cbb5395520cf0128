#include "trainer/train.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/model_file.h"
#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/crossfit.h"
#include "trainer/policies.h"

enum { PATH_MAX_BYTES = 4096 };

typedef struct run {
    syn_ctx *ctx;
    const syn_train_config *cfg;
    const syn_dataset *ds;
    const syn_corpus *corpus;
    syn_model *model;
    syn_train_result *result;
    syn_ppo ppo;
    int32_t *record; /* sources' records, then the held-out ones */
    int64_t held_first, held;
    real *best; /* weights of the best evaluation */
    syn_episode_result *episodes;
    FILE *metrics;
    int64_t kl_stops;
} run;

/* What an interrupted run wrote after its last save, the resumed one writes again. */
static void cut_metrics(const char *path, int64_t done_steps)
{
    FILE *f = fopen(path, "r+");
    char *line = NULL;
    size_t room = 0;
    off_t keep = 0;
    while (f && getline(&line, &room, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const json_int_t steps = json_integer_value(json_object_get(j, "env_steps"));
        json_decref(j);
        if (steps <= 0 || steps > done_steps) break;
        keep = ftello(f);
    }
    free(line);
    if (!f) return;
    if (ftruncate(fileno(f), keep) != 0)
        syn_log(SYN_LOG_WARN, "%s: cannot be cut: %s", path, strerror(errno));
    fclose(f);
}

static syn_status open_metrics(run *r)
{
    char path[PATH_MAX_BYTES];
    if (snprintf(path, sizeof path, "%s/metrics.jsonl", r->cfg->out) >= (int)sizeof path) {
        return syn_fail(SYN_ERR_INVALID, "the output folder's name is too long");
    }
    if (r->cfg->done_steps) cut_metrics(path, r->cfg->done_steps);
    r->metrics = fopen(path, r->cfg->done_steps ? "a" : "w");
    return r->metrics ? SYN_OK
                      : syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

/* A run that fails before its first update leaves no empty file. */
static void close_metrics(run *r)
{
    struct stat status;
    if (!r->metrics) return;
    const bool empty = fstat(fileno(r->metrics), &status) == 0 && status.st_size == 0;
    fclose(r->metrics);
    if (!empty) return;
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s/metrics.jsonl", r->cfg->out);
    unlink(path);
}

static syn_status write_metrics(run *r, int64_t steps, const syn_ppo_stats *s,
                                const syn_policy_summary *held)
{
    const double n = s->tally.episodes ? s->tally.episodes : 1;
    json_t *j = json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b}",
                          "update", (json_int_t)r->ppo.updates, "env_steps", (json_int_t)steps,
                          "return", s->tally.episode_return / n, "success",
                          (s->tally.success + s->tally.abstained_right) / n, "messages",
                          s->tally.messages / n, "abstained", s->tally.abstained / n, "policy_loss",
                          s->policy_loss, "value_loss", s->value_loss, "entropy_normalised",
                          s->entropy_share, "kl", s->kl, "clip_fraction", s->clip_fraction,
                          "grad_norm", s->grad_norm, "kl_stopped", s->kl_stopped);
    if (j && held) {
        json_object_set_new(j, "held_out_return", json_real(held->episode_return));
        json_object_set_new(j, "held_out_success", json_real(held->success));
        json_object_set_new(j, "held_out_messages", json_real(held->messages));
    }
    char *line = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    bool written = line && fprintf(r->metrics, "%s\n", line) > 0 && fflush(r->metrics) == 0;
    free(line);
    json_decref(j);
    return written ? SYN_OK
                   : syn_fail(SYN_ERR_IO, "%s/metrics.jsonl: cannot be written: %s", r->cfg->out,
                              strerror(errno));
}

static syn_status save(run *r, const char *dir, bool moments, int64_t steps)
{
    json_t *config = r->cfg->config_json ? json_loads(r->cfg->config_json, 0, NULL) : NULL;
    if (!config) config = json_object();
    json_object_set_new(config, "env_steps_done", json_integer((json_int_t)steps));
    json_object_set_new(config, "best_return", json_real(r->result->best_return));
    char *text = json_dumps(config, JSON_COMPACT);
    json_decref(config);
    syn_status st = text ? syn_model_save(dir, r->model, moments, text, r->cfg->provenance_json)
                         : syn_fail(SYN_ERR_MEMORY, "out of memory while a checkpoint was written");
    free(text);
    return st;
}

static syn_status evaluate(run *r, int64_t steps, syn_policy_summary *held)
{
    const syn_params *p = &r->model->control.params;
    const syn_play play = {.ctx = r->ctx,
                           .corpus = r->corpus,
                           .env = r->cfg->env,
                           .record = r->record + r->held_first,
                           .records = r->held,
                           .seed = r->cfg->ppo.seed + 1000003,
                           .central = r->model->central,
                           .perception = &r->model->perception,
                           .control = &r->model->control};
    SYN_RETURN_IF(
        syn_play_policy(&play, SYN_POLICY_LEARNED, r->cfg->eval_episodes, r->episodes, NULL));
    *held = syn_policy_summarise(r->episodes, r->cfg->eval_episodes);
    if (held->episode_return <= r->result->best_return) return SYN_OK;
    r->result->best_return = held->episode_return;
    r->result->best_steps = steps;
    memcpy(r->best, p->value, sizeof(real) * (size_t)p->total);
    r->model->has_policy = true;
    const int parts = r->model->parts; /* a deployed model has no parts */
    r->model->parts = 0;
    syn_status st = save(r, r->cfg->out, false, steps);
    r->model->parts = parts;
    return st;
}

/* The best weights so far: those of OUT when a run is resumed, else what it begins with. */
static syn_status first_best(run *r)
{
    const syn_params *p = &r->model->control.params;
    syn_model best = {0};
    memcpy(r->best, p->value, sizeof(real) * (size_t)p->total);
    if (!r->cfg->done_steps || !syn_checkpoint_exists(r->cfg->out)) return SYN_OK;
    SYN_RETURN_IF(syn_model_load(r->ctx, r->cfg->out, &best, NULL, NULL));
    if (best.has_control)
        memcpy(r->best, best.control.params.value, sizeof(real) * (size_t)p->total);
    syn_model_free(r->ctx, &best);
    return SYN_OK;
}

static syn_status prepare(run *r, syn_ppo_source *sources, int *source_count)
{
    r->record = malloc(sizeof *r->record * (size_t)(2 * r->corpus->records + 1));
    r->episodes = malloc(sizeof *r->episodes * (size_t)r->cfg->eval_episodes);
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
    if (!*source_count || !r->held) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%lld records are too few to train on some and choose by others",
                        (long long)r->corpus->records);
    }
    SYN_RETURN_IF(first_best(r));
    if (mkdir(r->cfg->out, 0777) != 0 && errno != EEXIST) {
        return syn_fail(SYN_ERR_IO, "%s: cannot be made: %s", r->cfg->out, strerror(errno));
    }
    return open_metrics(r);
}

static syn_status update(run *r, syn_progress *bar, int64_t total, int64_t *steps)
{
    const int64_t per_update = syn_ppo_steps_per_update(&r->cfg->ppo);
    syn_ppo_stats stats;
    syn_policy_summary held;
    const double begun = syn_clock_s();
    SYN_RETURN_IF(syn_ppo_rollout(&r->ppo));
    const double rolled = syn_clock_s();
    SYN_RETURN_IF(syn_ppo_update(&r->ppo, (double)*steps / (double)total, &stats));
    r->result->rollout_seconds += rolled - begun;
    r->result->update_seconds += syn_clock_s() - rolled;
    r->kl_stops += stats.kl_stopped;
    *steps += per_update;
    const bool last = *steps >= total;
    const bool check = last || r->ppo.updates % r->cfg->eval_interval == 0;
    if (check) SYN_RETURN_IF(evaluate(r, *steps, &held));
    const double n = stats.tally.episodes ? stats.tally.episodes : 1;
    syn_progress_update(
        bar, *steps,
        "return %.2f success %.3f messages %.2f KL %.3f entropy %.2f best held-out %.2f",
        stats.tally.episode_return / n, (stats.tally.success + stats.tally.abstained_right) / n,
        stats.tally.messages / n, stats.kl, stats.entropy_share, r->result->best_return);
    SYN_RETURN_IF(write_metrics(r, *steps, &stats, check ? &held : NULL));
    const int64_t every = r->cfg->checkpoint_interval;
    if (r->cfg->save_best_only || !every || (r->ppo.updates % every && !last)) return SYN_OK;
    char latest[PATH_MAX_BYTES];
    snprintf(latest, sizeof latest, "%s/latest", r->cfg->out);
    SYN_RETURN_IF(save(r, latest, true, *steps));
    return last ? SYN_OK : syn_ppo_restart(&r->ppo);
}

syn_status syn_train(syn_ctx *ctx, const syn_train_config *cfg, const syn_dataset *ds,
                     const syn_corpus *corpus, syn_model *model, syn_train_result *result)
{
    syn_status st;
    run r = {.ctx = ctx, .cfg = cfg, .ds = ds, .corpus = corpus, .model = model, .result = result};
    syn_ppo_source sources[SYN_MODEL_PARTS_MAX];
    int source_count = 0;
    syn_progress bar;
    int64_t steps = cfg->done_steps;
    const double started = syn_clock_s();
    *result = (syn_train_result){.best_return = cfg->best_return};
    SYN_TRY(prepare(&r, sources, &source_count));
    SYN_TRY(syn_ppo_init(ctx, &r.ppo, &cfg->ppo, &cfg->env, corpus, model->central, sources,
                         source_count, cfg->untitled_share, &model->control));
    const int64_t before = cfg->done_steps / syn_ppo_steps_per_update(&cfg->ppo);
    r.ppo.updates = before;
    if (before) SYN_TRY(syn_ppo_restart(&r.ppo));
    syn_progress_begin(&bar, "train", "env-steps", cfg->env_steps);
    while (steps < cfg->env_steps) SYN_TRY(update(&r, &bar, cfg->env_steps, &steps));
    syn_progress_end(&bar);
    memcpy(model->control.params.value, r.best, sizeof(real) * (size_t)model->control.params.total);
    result->env_steps = steps - cfg->done_steps;
    result->updates = r.ppo.updates - before;
    result->seconds = syn_clock_s() - started;
    result->kl_stop_share = result->updates ? (double)r.kl_stops / (double)result->updates : 0;
done:
    close_metrics(&r);
    if (r.ppo.ctx) syn_ppo_free(&r.ppo);
    syn_device_free(ctx, r.best);
    free(r.record);
    free(r.episodes);
    return st;
}
