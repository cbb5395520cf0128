/* What a run leaves to go on from, and takes up again. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/ppo_state.h"
#include "trainer/train_private.h"

enum { SPIKES_SEEN, SPIKES_COUNT, SPIKES };

static syn_tensor spikes_tensor(int64_t spikes[SPIKES])
{
    return (syn_tensor){.name = SYN_RESUME_PREFIX "spikes",
                        .rank = 1,
                        .shape = {SPIKES},
                        .type = SYN_TENSOR_I64,
                        .data = spikes};
}

static syn_tensor norms_tensor(syn_spikes *s)
{
    return (syn_tensor){.name = SYN_RESUME_PREFIX "grad_norms",
                        .rank = 1,
                        .shape = {SYN_SPIKES_WINDOW},
                        .type = SYN_TENSOR_F64,
                        .data = s->norm};
}

/* ---- Saving ---- */

/* How far the run has come stands in the config, not among the tensors: when it was judged is no
 * part of what their hash tells. */
static char *config_text(const syn_train_run *r)
{
    json_t *config = r->cfg->config_json ? json_loads(r->cfg->config_json, 0, NULL) : NULL;
    if (!config) config = json_object();
    json_object_set_new(config, "env_steps_done", json_integer((json_int_t)r->steps));
    json_object_set_new(config, "evaluations_since_best", json_integer((json_int_t)r->since_best));
    if (isfinite(r->result->best_return)) {
        json_object_set_new(config, "best_return", json_real(r->result->best_return));
        json_object_set_new(config, "best_steps", json_integer((json_int_t)r->result->best_steps));
    }
    char *text = json_dumps(config, JSON_COMPACT);
    json_decref(config);
    return text;
}

static char *metrics_text(const syn_train_run *r)
{
    json_t *j = json_pack("{s:I, s:I, s:f}", "env_steps", (json_int_t)r->steps, "update",
                          (json_int_t)r->ppo.updates, "train_return", r->train_return);
    if (j && r->judged.episodes) {
        json_object_set_new(j, "return", json_real(r->judged.episode_return));
        json_object_set_new(j, "success", json_real(r->judged.success));
        json_object_set_new(j, "messages", json_real(r->judged.messages));
    }
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

static syn_status write_version(syn_train_run *r, const syn_ppo_state *state, bool best)
{
    int64_t spikes[SPIKES] = {r->spikes.seen, r->spikes.count};
    syn_tensor tensors[SYN_PPO_STATE_TENSORS + 2 + SYN_FINETUNE_TENSORS];
    int count = state->count + 2;
    char *config = config_text(r), *metrics = metrics_text(r);
    const syn_save_facts facts = {.config_json = config,
                                  .provenance_json = r->cfg->provenance_json,
                                  .metrics_json = metrics,
                                  .best = best,
                                  .max_versions = r->cfg->max_versions};
    syn_status st = syn_fail(SYN_ERR_MEMORY, "out of memory while a checkpoint was written");
    if (config && metrics) {
        memcpy(tensors, state->tensor, sizeof state->tensor);
        tensors[state->count] = spikes_tensor(spikes);
        tensors[state->count + 1] = norms_tensor(&r->spikes);
        if (r->cfg->finetune) {
            syn_finetune_tensors(&r->finetune, tensors + count);
            count += SYN_FINETUNE_TENSORS;
        }
        r->model->has_policy = true;
        st = syn_model_save(r->cfg->out, r->model, true, &facts, &(syn_tensors){tensors, count});
    }
    free(config);
    free(metrics);
    return st;
}

syn_status syn_train_save(syn_train_run *r, bool best)
{
    syn_ppo_state state;
    const double before = syn_clock_s();
    SYN_RETURN_IF(syn_ppo_fetch(&r->ppo));
    if (r->cfg->finetune) SYN_RETURN_IF(syn_finetune_fetch(&r->finetune));
    SYN_RETURN_IF(syn_ppo_state_gather(&r->ppo, &state));
    syn_status st = SYN_OK;
    if (syn_dist_rank(r->cfg->dist) == 0) st = write_version(r, &state, best);
    syn_ppo_state_free(&state);
    r->saved = r->saved || st == SYN_OK;
    r->saved_s = syn_clock_s();
    r->save_s += r->saved_s - before;
    return st;
}

syn_status syn_train_replace(syn_train_run *r, bool best)
{
    SYN_RETURN_IF(syn_train_save(r, best));
    if (syn_dist_rank(r->cfg->dist) != 0) return SYN_OK;
    SYN_RETURN_IF(syn_train_log_replace(&r->log));
    return syn_checkpoint_keep_latest(r->cfg->out);
}

/* ---- Going on ---- */

static syn_status restore_spikes(syn_train_run *r)
{
    int64_t spikes[SPIKES];
    const syn_tensor t = spikes_tensor(spikes), norms = norms_tensor(&r->spikes);
    if (!syn_checkpoint_find(r->cfg->resume, t.name)) return SYN_OK;
    SYN_RETURN_IF(syn_checkpoint_read(r->cfg->resume, &t));
    SYN_RETURN_IF(syn_checkpoint_read(r->cfg->resume, &norms));
    if (spikes[SPIKES_SEEN] < 0 || spikes[SPIKES_COUNT] < 0) {
        return syn_fail(SYN_ERR_FORMAT, "%s: %s holds %lld and %lld",
                        syn_checkpoint_dir(r->cfg->resume), t.name, (long long)spikes[SPIKES_SEEN],
                        (long long)spikes[SPIKES_COUNT]);
    }
    r->spikes.seen = spikes[SPIKES_SEEN];
    r->spikes.count = spikes[SPIKES_COUNT];
    return SYN_OK;
}

static int64_t count_of(const json_t *config, const char *key)
{
    const json_int_t x = json_integer_value(json_object_get(config, key));
    return x > 0 ? x : 0;
}

static void restore_progress(syn_train_run *r)
{
    char *text = syn_model_config(r->cfg->resume);
    json_t *config = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *best = json_object_get(config, "best_return");
    r->steps = count_of(config, "env_steps_done");
    r->since_best = count_of(config, "evaluations_since_best");
    r->result->best_steps = count_of(config, "best_steps");
    if (json_is_number(best)) r->result->best_return = json_number_value(best);
    json_decref(config);
    free(text);
}

static syn_status restore_best(syn_train_run *r)
{
    const syn_params *p = &r->model->control.params;
    syn_checkpoint *cp = NULL;
    syn_model best = {0};
    if (!isfinite(r->result->best_return) || !syn_checkpoint_exists(r->cfg->out)) return SYN_OK;
    SYN_RETURN_IF(syn_checkpoint_open(r->cfg->out, &cp));
    syn_status st = syn_model_read(r->ctx, cp, &best);
    if (st == SYN_OK && best.has_control)
        memcpy(r->best, best.control.params.value, sizeof(real) * (size_t)p->total);
    if (st == SYN_OK && best.has_perception && r->cfg->finetune)
        syn_finetune_keep(&r->finetune, &best.perception);
    syn_model_free(r->ctx, &best);
    syn_checkpoint_close(cp);
    return st;
}

static void say_how(const syn_train_run *r, syn_ppo_restored how)
{
    const char *dir = syn_checkpoint_dir(r->cfg->resume);
    if (syn_dist_rank(r->cfg->dist) != 0) return;
    if (how == SYN_RESTORED_ANEW) {
        syn_log(SYN_LOG_WARN,
                "%s: holds no environments of this number and kind; weights, moments and schedule "
                "go on, the episodes begin anew",
                dir);
    } else if (how == SYN_RESTORED_RESHAPED) {
        syn_log(SYN_LOG_WARN,
                "%s: from another number of ranks; the run goes on, but not to the bit (only with "
                "--deterministic)",
                dir);
    }
}

syn_status syn_train_restore(syn_train_run *r)
{
    const syn_params *p = &r->model->control.params;
    syn_ppo_restored how;
    memcpy(r->best, p->value, sizeof(real) * (size_t)p->total);
    if (!r->cfg->resume) return SYN_OK;
    restore_progress(r);
    SYN_RETURN_IF(restore_spikes(r));
    SYN_RETURN_IF(restore_best(r));
    if (r->cfg->finetune) SYN_RETURN_IF(syn_finetune_restore(&r->finetune, r->cfg->resume));
    r->ppo.updates = r->steps / syn_ppo_steps_per_update(&r->ppo.cfg);
    SYN_RETURN_IF(syn_ppo_state_restore(&r->ppo, r->cfg->resume, &how));
    say_how(r, how);
    return SYN_OK;
}
