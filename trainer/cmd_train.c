/* syncog train */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/model_file.h"
#include "trainer/run.h"
#include "trainer/train.h"

int syn_cmd_train(int argc, char **argv);

typedef struct train_options {
    syn_run_config run; /* first: shared options */
    const char *init, *out;
    int64_t env_steps, num_episodes, batch_size, mini_batch_size, horizon, epochs, shards;
    int64_t checkpoint_interval, eval_interval, eval_episodes;
    double lr_actor, lr_critic, gamma, gae_lambda, clip_epsilon, entropy_coef, entropy_coef_end,
        value_loss_coef, max_grad_norm, kl_stop, untitled_share;
    bool resume, save_best_only, reward_shaping;
} train_options;

#define FIELD(name) offsetof(train_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    SYN_RUN_ENV_OPTIONS,
    {"init", SYN_OPTION_TEXT, FIELD(init), NULL, 0, 0, "DIR",
     "The pre-trained checkpoint to begin with.", NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "DIR",
     "Where the best checkpoint, metrics.jsonl and latest/ are written.", NULL},
    {"title-disjoint", SYN_OPTION_BOOL, offsetof(syn_run_config, title_disjoint), NULL, 0, 0, NULL,
     "Leave out training records that share a title with the test fold.", NULL},
    {"env-steps", SYN_OPTION_INT, FIELD(env_steps), "300000", 1, 1e12, "N",
     "Environment steps in all.", NULL},
    {"num-episodes", SYN_OPTION_INT, FIELD(num_episodes), "0", 0, 1e12, "N",
     "Instead of --env-steps: this many episodes, counted as 4 steps each.", NULL},
    {"resume", SYN_OPTION_BOOL, FIELD(resume), NULL, 0, 0, NULL, "Go on from OUT/latest.", NULL},
    {"lr-actor", SYN_OPTION_REAL, FIELD(lr_actor), "7e-4", 1e-9, 1, "R",
     "Learning rate of state encoder and policy.", NULL},
    {"lr-critic", SYN_OPTION_REAL, FIELD(lr_critic), "1e-3", 1e-9, 1, "R",
     "Learning rate of the critic.", NULL},
    {"gamma", SYN_OPTION_REAL, FIELD(gamma), "0.99", 0, 1, "G", "Discount.", NULL},
    {"gae-lambda", SYN_OPTION_REAL, FIELD(gae_lambda), "0.95", 0, 1, "L",
     "Of generalised advantage estimation.", NULL},
    {"clip-epsilon", SYN_OPTION_REAL, FIELD(clip_epsilon), "0.2", 1e-3, 10, "E",
     "PPO's clip range.", NULL},
    {"entropy-coef", SYN_OPTION_REAL, FIELD(entropy_coef), "0.005", 0, 10, "C",
     "Entropy bonus at the start.", NULL},
    {"entropy-coef-end", SYN_OPTION_REAL, FIELD(entropy_coef_end), "0.001", 0, 10, "C",
     "And at the end.", NULL},
    {"value-loss-coef", SYN_OPTION_REAL, FIELD(value_loss_coef), "0.5", 0, 100, "C",
     "Weight of the value loss.", NULL},
    {"max-grad-norm", SYN_OPTION_REAL, FIELD(max_grad_norm), "0.5", 0, 1e6, "N",
     "Gradient clipping; 0: none.", NULL},
    {"kl-stop", SYN_OPTION_REAL, FIELD(kl_stop), "0.02", 0, 100, "K",
     "Ends an update's epochs above this mean KL.", NULL},
    {"batch-size", SYN_OPTION_INT, FIELD(batch_size), "4096", 64, 1 << 26, "N",
     "Environment steps of one update, over all shards.", "BATCH_SIZE"},
    {"mini-batch-size", SYN_OPTION_INT, FIELD(mini_batch_size), "512", 32, 1 << 24, "N",
     "Environment steps of one shard: one optimiser step.", NULL},
    {"horizon", SYN_OPTION_INT, FIELD(horizon), "32", 1, 4096, "T", "Turns of one roll-out.", NULL},
    {"epochs", SYN_OPTION_INT, FIELD(epochs), "5", 1, 100, "N", "Passes over a roll-out.",
     "NUM_EPOCHS"},
    {"reward-shaping", SYN_OPTION_BOOL, FIELD(reward_shaping), "true", 0, 0, NULL,
     "Add the potential to the reward.", NULL},
    {"untitled-share", SYN_OPTION_REAL, FIELD(untitled_share), "0.3", 0, 1, "P",
     "Episodes whose pieces have no title.", NULL},
    {"checkpoint-interval", SYN_OPTION_INT, FIELD(checkpoint_interval), "20", 0, 1e9, "N",
     "Updates between saves of OUT/latest.", NULL},
    {"eval-interval", SYN_OPTION_INT, FIELD(eval_interval), "4", 1, 1e9, "N",
     "Updates between evaluations on held-out records.", NULL},
    {"eval-episodes", SYN_OPTION_INT, FIELD(eval_episodes), "600", 1, 1e7, "N",
     "Episodes of such an evaluation.", NULL},
    {"save-best-only", SYN_OPTION_BOOL, FIELD(save_best_only), NULL, 0, 0, NULL,
     "Do not keep OUT/latest.", NULL},
};

static const syn_command command = {
    "train",
    "trains the policy: who says what to whom, and when to stop (phase 2, PPO)",
    NULL,
    "The judges of phase 1 stay as they are; state encoder, policy and critic learn. Which weights "
    "are best is "
    "decided by the mean return on held-out records. metrics.jsonl gets one JSON object per "
    "update.\n\n"
    "Examples:\n"
    "  syncog train --data train.h5 --init runs/pre --out runs/first\n"
    "  syncog train --data train.h5 --init runs/pre --out runs/k28 --pieces 28 --env-steps 500000\n"
    "  syncog train --data train.h5 --init runs/pre --out runs/first --env-steps 1000000 --resume",
    options,
    sizeof options / sizeof *options,
};

static syn_status train_config(const train_options *o, syn_train_config *c)
{
    syn_env_config env;
    SYN_RETURN_IF(syn_run_env(&o->run, &env));
    env.gamma = o->reward_shaping ? (float)o->gamma : 0;
    syn_ppo_config ppo = SYN_PPO_DEFAULT;
    ppo.horizon = o->horizon;
    ppo.shard_envs = o->mini_batch_size / o->horizon;
    ppo.shards = ppo.shard_envs ? o->batch_size / (ppo.shard_envs * o->horizon) : 0;
    if (ppo.shard_envs < 1 || ppo.shards < 1 || ppo.shards > SYN_PPO_SHARDS_MAX) {
        return syn_fail(
            SYN_ERR_USAGE,
            "--batch-size %lld and --mini-batch-size %lld do not give 1 to 256 shards of "
            "whole sequences of --horizon %lld",
            (long long)o->batch_size, (long long)o->mini_batch_size, (long long)o->horizon);
    }
    ppo.epochs = (int)o->epochs;
    ppo.lr_actor = o->lr_actor;
    ppo.lr_critic = o->lr_critic;
    ppo.gamma = o->gamma;
    ppo.gae_lambda = o->gae_lambda;
    ppo.clip_epsilon = o->clip_epsilon;
    ppo.entropy_coef = o->entropy_coef;
    ppo.entropy_coef_end = o->entropy_coef_end;
    ppo.value_loss_coef = o->value_loss_coef;
    ppo.max_grad_norm = o->max_grad_norm;
    ppo.kl_stop = o->kl_stop;
    ppo.seed = (uint64_t)o->run.seed;
    *c = (syn_train_config){.ppo = ppo,
                            .env = env,
                            .env_steps = o->num_episodes ? 4 * o->num_episodes : o->env_steps,
                            .eval_interval = o->eval_interval,
                            .eval_episodes = o->eval_episodes,
                            .checkpoint_interval = o->checkpoint_interval,
                            .save_best_only = o->save_best_only,
                            .untitled_share = (float)o->untitled_share,
                            .out = o->out,
                            .best_return = -INFINITY};
    return SYN_OK;
}

static char *config_text(const train_options *o)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "phase", "train",
        "init", o->init ? o->init : "", "goal", o->run.goal, "seed", (json_int_t)o->run.seed,
        "pieces", (json_int_t)o->run.pieces, "max_rounds", (json_int_t)o->run.max_rounds,
        "read_limit", (json_int_t)o->run.read_limit, "num_agents_range", o->run.num_agents_range,
        "lr_actor", o->lr_actor, "lr_critic", o->lr_critic, "gamma", o->gamma, "gae_lambda",
        o->gae_lambda, "clip_epsilon", o->clip_epsilon, "entropy_coef", o->entropy_coef);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

/* What a resumed run has done so far, from its stored config; it must play the same game. */
static syn_status resume_from(const char *config, const train_options *o, syn_train_config *c)
{
    static const char *const same[] = {"goal",       "pieces",    "seed", "num_agents_range",
                                       "max_rounds", "read_limit"};
    char *text = config_text(o);
    json_t *was = config ? json_loads(config, 0, NULL) : NULL,
           *is = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *best = json_object_get(was, "best_return");
    syn_status st = SYN_OK;
    c->done_steps = json_integer_value(json_object_get(was, "env_steps_done"));
    if (json_is_number(best)) c->best_return = json_number_value(best);
    for (size_t k = 0; k < sizeof same / sizeof *same && st == SYN_OK; k++) {
        if (json_equal(json_object_get(was, same[k]), json_object_get(is, same[k]))) continue;
        st = syn_fail(
            SYN_ERR_USAGE,
            "--resume: %s/latest was trained with another %s; give the same, or another --out",
            o->out, same[k]);
    }
    json_decref(was);
    json_decref(is);
    free(text);
    return st;
}

static syn_status load_model(syn_run *s, const train_options *o, syn_train_config *c, syn_model *m)
{
    char latest[4096], *config = NULL, *provenance = NULL;
    snprintf(latest, sizeof latest, "%s/latest", o->out);
    SYN_RETURN_IF(syn_model_load(&s->ctx, o->resume ? latest : o->init, m, &config, &provenance));
    syn_run_check_folds(&o->run, o->resume ? latest : o->init, provenance);
    syn_status st = o->resume ? resume_from(config, o, c) : SYN_OK;
    free(config);
    free(provenance);
    if (st != SYN_OK) return st;
    if (!m->has_perception) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: holds no ckm and gap detector; run 'syncog pretrain' first",
                        o->resume ? latest : o->init);
    }
    if (!m->has_control)
        SYN_RETURN_IF(syn_control_init(&s->ctx, &m->control, (uint64_t)o->run.seed));
    m->has_control = true;
    return SYN_OK;
}

static syn_status run(int argc, char **argv)
{
    train_options o;
    syn_run s = {0};
    syn_corpus corpus = {0};
    syn_model m = {0};
    syn_train_config c;
    syn_train_result r;
    char *config = NULL, *provenance = NULL;
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, NULL, &done);
    if (st != SYN_OK || done) return st;
    if (!o.out) return syn_fail(SYN_ERR_USAGE, "train: --out is missing");
    if (!o.init && !o.resume) {
        return syn_fail(SYN_ERR_USAGE,
                        "train: --init is missing: give the folder that 'syncog pretrain' wrote");
    }
    SYN_RETURN_IF(train_config(&o, &c));
    SYN_TRY(syn_run_open(&s, &o.run, true));
    SYN_TRY(load_model(&s, &o, &c, &m));
    SYN_TRY(syn_run_out(&s, o.out));
    st =
        syn_corpus_build(&s.ctx, &corpus, &s.data, s.use, s.use, m.idf, m.table, (int)o.run.pieces);
    SYN_TRY(syn_run_about_data(st, &o.run));
    c.config_json = config = config_text(&o);
    c.provenance_json = provenance = syn_run_provenance(&s, &o.run);
    SYN_TRY(syn_run_about_data(syn_train(&s.ctx, &c, &s.data, &corpus, &m, &r), &o.run));
    const double busy = r.rollout_seconds + r.update_seconds;
    printf("trained %lld env-steps in %.1f s (%.0f a second: roll-out %.1f s, update %.1f s); best "
           "held-out return "
           "%.2f at %lld; KL stop in %.0f %% of updates\nsaved %s\n",
           (long long)r.env_steps, r.seconds, busy > 0 ? (double)r.env_steps / busy : 0,
           r.rollout_seconds, r.update_seconds, r.best_return, (long long)r.best_steps,
           100 * r.kl_stop_share, o.out);
done:
    free(config);
    free(provenance);
    syn_model_free(&s.ctx, &m);
    syn_corpus_free(&s.ctx, &corpus);
    syn_run_close(&s);
    return st;
}

int syn_cmd_train(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
