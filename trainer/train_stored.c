/* What is stored with a run, and asked again when it goes on. */
#include <jansson.h>
#include <stdlib.h>

#include "checkpoints/model_file.h"
#include "kernels/base/log.h"
#include "trainer/finetune.h"
#include "trainer/train_options.h"

static json_t *config_json(const syn_train_options *o, const syn_train_config *c)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:f, s:b, s:I, s:I, s:I, s:I, s:I, s:f, "
        "s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:b, s:I, s:s, s:f, s:s, s:s}",
        "phase", "train", "init", o->init ? o->init : "", "goal", o->run.goal, "num_agents_range",
        o->run.num_agents_range, "seed", (json_int_t)o->run.seed, "pieces",
        (json_int_t)o->run.pieces, "max_rounds", (json_int_t)o->run.max_rounds, "read_limit",
        (json_int_t)o->run.read_limit, "reward_shaping", o->reward_shaping, "untitled_share",
        o->untitled_share, "deterministic", o->deterministic, "ranks",
        (json_int_t)syn_dist_size(c->dist), "batch_size", (json_int_t)o->batch_size,
        "mini_batch_size", (json_int_t)o->mini_batch_size, "horizon", (json_int_t)o->horizon,
        "epochs", (json_int_t)o->epochs, "lr_actor", o->lr_actor, "lr_critic", o->lr_critic,
        "gamma", o->gamma, "gae_lambda", o->gae_lambda, "clip_epsilon", o->clip_epsilon,
        "entropy_coef", o->entropy_coef, "entropy_coef_end", o->entropy_coef_end, "value_loss_coef",
        o->value_loss_coef, "max_grad_norm", o->max_grad_norm, "kl_stop", o->kl_stop, "decay_lr",
        o->decay_lr, "value_norm", o->value_norm, "env_steps", (json_int_t)c->env_steps,
        "schedule_steps", (json_int_t)c->schedule_steps, "threads", (json_int_t)o->run.threads,
        "eval_interval", (json_int_t)o->eval_interval, "eval_episodes",
        (json_int_t)o->eval_episodes, "patience", (json_int_t)o->patience, "checkpoint_interval",
        (json_int_t)o->checkpoint_interval, "save_best_only", o->save_best_only, "compare_interval",
        (json_int_t)o->compare_interval, "finetune", syn_finetune_text(c->finetune), "lr_finetune",
        o->lr_finetune, "device", c->device ? "cuda" : "cpu", "precision",
        c->device ? o->run.precision : "fp32");
}

/* The game must be the same, or the moments and the value's scale say nothing. */
static syn_status same_game(const json_t *was, const json_t *is, const char *out)
{
    static const char *const keys[] = {
        "goal",       "pieces",         "seed",           "num_agents_range", "max_rounds",
        "read_limit", "reward_shaping", "untitled_share", "finetune"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const json_t *before = json_object_get(was, keys[k]);
        if (!before || json_equal(before, json_object_get(is, keys[k]))) continue;
        return syn_fail(SYN_ERR_USAGE,
                        "--resume: %s was trained with another %s; give the same, or another --out",
                        out, keys[k]);
    }
    return SYN_OK;
}

/* Other options may change on the way; then the run is not what it would have been. */
static void tell_changes(const json_t *was, const json_t *is, const char *out)
{
    static const char *const keys[] = {
        "deterministic", "batch_size",  "mini_batch_size", "horizon",       "epochs",
        "lr_actor",      "lr_critic",   "gamma",           "gae_lambda",    "clip_epsilon",
        "entropy_coef",  "kl_stop",     "value_loss_coef", "max_grad_norm", "entropy_coef_end",
        "decay_lr",      "value_norm",  "schedule_steps",  "threads",       "eval_interval",
        "eval_episodes", "lr_finetune", "device",          "precision"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        json_t *before = json_object_get(was, keys[k]), *now = json_object_get(is, keys[k]);
        if (!before || json_equal(before, now)) continue;
        char *a = json_dumps(before, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        char *b = json_dumps(now, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        syn_log(SYN_LOG_WARN, "--resume: %s was trained with %s %s and goes on with %s", out,
                keys[k], a ? a : "", b ? b : "");
        free(a);
        free(b);
    }
}

syn_status syn_train_stored_check(const syn_checkpoint *cp, const syn_train_options *o,
                                  const syn_train_config *c)
{
    char *text = syn_model_config(cp);
    json_t *was = text ? json_loads(text, 0, NULL) : NULL, *is = config_json(o, c);
    json_t *data = json_loads(syn_checkpoint_provenance(cp), 0, NULL);
    json_t *here = json_loads(c->provenance_json, 0, NULL);
    syn_status st = same_game(was, is, o->out);
    if (st == SYN_OK && json_object_size(data) && !json_equal(data, here)) {
        st = syn_fail(SYN_ERR_USAGE,
                      "--resume: %s was trained on other data, with other weights of them or on "
                      "another fold; give the same, or another --out",
                      o->out);
    }
    if (st == SYN_OK && syn_dist_rank(c->dist) == 0) tell_changes(was, is, o->out);
    json_decref(was);
    json_decref(is);
    json_decref(data);
    json_decref(here);
    free(text);
    return st;
}

char *syn_train_stored_text(const syn_train_options *o, const syn_train_config *c)
{
    json_t *config = config_json(o, c);
    char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    return text;
}

syn_status syn_train_stored_init(const syn_checkpoint *cp, char **config)
{
    char *text = syn_model_config(cp);
    json_t *was = text ? json_loads(text, 0, NULL) : NULL, *is = json_loads(*config, 0, NULL);
    json_t *init = json_object_get(was, "init");
    if (init && json_object_set(is, "init", init) == 0) {
        free(*config);
        *config = json_dumps(is, JSON_COMPACT);
    }
    json_decref(was);
    json_decref(is);
    free(text);
    return *config ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the options");
}
