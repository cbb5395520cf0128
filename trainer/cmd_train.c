/* syncog train */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/lstm.h"
#include "trainer/finetune.h"
#include "trainer/place.h"
#include "trainer/ppo_state.h"
#include "trainer/run.h"
#include "trainer/stop.h"
#include "trainer/train.h"

int syn_cmd_train(int argc, char **argv);

typedef struct train_options {
    syn_run_config run; /* first: shared options */
    const char *init, *out, *backend, *rendezvous, *finetune, *precision, *lstm;
    int64_t env_steps, schedule_steps, num_episodes, batch_size, mini_batch_size, horizon, epochs;
    int64_t checkpoint_interval, auto_save_interval, max_versions, eval_interval, eval_episodes,
        patience, compare_interval, rank_timeout;
    double lr_actor, lr_critic, lr_finetune, gamma, gae_lambda, clip_epsilon, entropy_coef,
        entropy_coef_end, value_loss_coef, max_grad_norm, kl_stop, untitled_share;
    bool resume, overwrite, save_best_only, reward_shaping, value_norm, decay_lr, deterministic;
} train_options;

#define FIELD(name) offsetof(train_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    SYN_RUN_ENV_OPTIONS,
    {"init", SYN_OPTION_TEXT, FIELD(init), NULL, 0, 0, "DIR",
     "The checkpoint to begin with, of pretrain or of another run: its weights alone. Adam's "
     "moments, the value's scale and the schedules begin anew.",
     NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "DIR",
     "The store of the run's versions (best, latest); metrics.jsonl and tensorboard/ beside them.",
     NULL},
    {"title-disjoint", SYN_OPTION_BOOL, offsetof(syn_run_config, title_disjoint), NULL, 0, 0, NULL,
     "Leave out training records that share a title with the test fold.", NULL},
    {"env-steps", SYN_OPTION_INT, FIELD(env_steps), "300000", 1, 1e12, "N",
     "Environment steps in all.", NULL},
    {"schedule-steps", SYN_OPTION_INT, FIELD(schedule_steps), "300000", 0, 1e12, "N",
     "Environment steps over which learning rates and entropy bonus fall; 0: --env-steps. It does "
     "not depend on where a run ends, so that a longer one goes on where a shorter one ended.",
     NULL},
    {"num-episodes", SYN_OPTION_INT, FIELD(num_episodes), "0", 0, 1e12, "N",
     "Instead of --env-steps: this many episodes, counted as 4 steps each.", NULL},
    {"resume", SYN_OPTION_BOOL, FIELD(resume), NULL, 0, 0, NULL,
     "Go on from the latest version in OUT.", NULL},
    {"overwrite", SYN_OPTION_BOOL, FIELD(overwrite), NULL, 0, 0, NULL,
     "Begin again where OUT holds a run already: its versions, metrics and event files are removed "
     "once the first version of this one is saved, after the first update.",
     NULL},
    {"lr-actor", SYN_OPTION_REAL, FIELD(lr_actor), "4e-4", 1e-9, 1, "R",
     "Learning rate of state encoder and policy.", NULL},
    {"lr-critic", SYN_OPTION_REAL, FIELD(lr_critic), "1e-3", 1e-9, 1, "R",
     "Learning rate of the critic.", NULL},
    {"finetune", SYN_OPTION_TEXT, FIELD(finetune), NULL, 0, 0, "ckm,gap",
     "Judges that go on learning, ckm, gap or both: from the labels of the states visited, and ckm "
     "from PPO's loss too.",
     NULL},
    {"lr-finetune", SYN_OPTION_REAL, FIELD(lr_finetune), "1e-4", 1e-9, 1, "R",
     "Learning rate of --finetune.", NULL},
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
    {"decay-lr", SYN_OPTION_BOOL, FIELD(decay_lr), "true", 0, 0, NULL,
     "Let the learning rates fall to a tenth.", NULL},
    {"value-norm", SYN_OPTION_BOOL, FIELD(value_norm), "true", 0, 0, NULL,
     "The critic learns returns scaled by their running mean and deviation.", NULL},
    {"batch-size", SYN_OPTION_INT, FIELD(batch_size), "0", 0, 1 << 26, "N",
     "Environment steps of one update, over all ranks; 0: 4096, on CUDA 65536 for each rank (2048 "
     "environments of --horizon 32).",
     "BATCH_SIZE"},
    {"mini-batch-size", SYN_OPTION_INT, FIELD(mini_batch_size), "0", 0, 1 << 24, "N",
     "Environment steps of one optimiser step, over all ranks; 0: 512, on CUDA 16384 for each "
     "rank.",
     NULL},
    {"precision", SYN_OPTION_CHOICE, FIELD(precision), "fp32", 0, 0, "fp32|mixed",
     "How CUDA computes: in float throughout, or with operands rounded to TF32 and bf16 and sums "
     "in float.",
     NULL},
    {"lstm", SYN_OPTION_CHOICE, FIELD(lstm), "auto", 0, 0, "auto|step|block|cluster|grid|cudnn",
     "Which kernel CUDA runs the recurrence with.", "SYNCOG_LSTM"},
    {"horizon", SYN_OPTION_INT, FIELD(horizon), "32", 1, 4096, "T", "Turns of one roll-out.", NULL},
    {"epochs", SYN_OPTION_INT, FIELD(epochs), "5", 1, SYN_PPO_EPOCHS_MAX, "N",
     "Passes over a roll-out.", "NUM_EPOCHS"},
    {"reward-shaping", SYN_OPTION_BOOL, FIELD(reward_shaping), "true", 0, 0, NULL,
     "Add the potential to the reward.", NULL},
    {"untitled-share", SYN_OPTION_REAL, FIELD(untitled_share), "0.3", 0, 1, "P",
     "Episodes whose pieces have no title.", NULL},
    {"checkpoint-interval", SYN_OPTION_INT, FIELD(checkpoint_interval), "20", 0, 1e9, "N",
     "Updates between saves; 0: only the best and the last.", NULL},
    {"auto-save-interval", SYN_OPTION_INT, FIELD(auto_save_interval), "300", 0, 1e7, "SECONDS",
     "Longest time between saves; 0: the clock does not count.", NULL},
    {"max-versions", SYN_OPTION_INT, FIELD(max_versions), "100", 1, 1e6, "N",
     "Versions kept in OUT; the best and the latest always.", NULL},
    {"eval-interval", SYN_OPTION_INT, FIELD(eval_interval), "4", 1, 1e9, "N",
     "Updates between evaluations on held-out records.", NULL},
    {"eval-episodes", SYN_OPTION_INT, FIELD(eval_episodes), "600", 1, 1e7, "N",
     "Episodes of such an evaluation.", NULL},
    {"patience", SYN_OPTION_INT, FIELD(patience), "0", 0, 1e9, "N",
     "End after so many evaluations without a better one; 0: never.", NULL},
    {"save-best-only", SYN_OPTION_BOOL, FIELD(save_best_only), NULL, 0, 0, NULL,
     "Save only when an evaluation was the best so far.", NULL},
    {"deterministic", SYN_OPTION_BOOL, FIELD(deterministic), NULL, 0, 0, NULL,
     "The same bits on 1, 2, 4 or 8 ranks: 8 shards of fixed shape, one thread each rank.", NULL},
    {"dist-backend", SYN_OPTION_CHOICE, FIELD(backend), "auto", 0, 0, "auto|mpi|tcp|nccl",
     "What carries the sums over ranks.", NULL},
    {"rendezvous", SYN_OPTION_TEXT, FIELD(rendezvous), NULL, 0, 0, "tcp://HOST:PORT|file:PATH",
     "Where ranks that MPI did not start meet.", NULL},
    {"rank-timeout", SYN_OPTION_INT, FIELD(rank_timeout), "50", 1, 86400, "SECONDS",
     "A rank that does not answer for so long is given up.", NULL},
    {"compare-interval", SYN_OPTION_INT, FIELD(compare_interval), "100", 0, 1e9, "N",
     "Updates between checks that all ranks hold the same weights; 0: none.", NULL},
};

static const syn_command command = {
    "train",
    "trains the policy: who says what to whom, and when to stop (phase 2, PPO)",
    NULL,
    "The judges of phase 1 stay as they are, but for --finetune (which takes a checkpoint "
    "pre-trained with --cross-fit 0); state encoder, policy and critic learn. Which weights "
    "are best is decided by the mean return on held-out records. metrics.jsonl gets one JSON "
    "object "
    "per update.\n\n"
    "A run that was stopped (SIGINT and SIGTERM save first) goes on with --resume, to the bit. "
    "Numbers that are not finite end it before they reach a weight or a file. Where OUT holds a "
    "run "
    "already, a run without --resume is refused unless --overwrite is given.\n\n"
    "Examples:\n"
    "  syncog train --data train.h5 --init runs/pre --out runs/first\n"
    "  syncog train --data train.h5 --init runs/pre --out runs/k28 --pieces 28 --env-steps 500000\n"
    "  syncog train --data train.h5 --out runs/first --env-steps 1000000 --resume\n"
    "  syncog train --data large.h5 --data small.h5@8 --init runs/mixed --out runs/mix\n"
    "  mpirun -np 4 syncog train --data train.h5 --init runs/pre --out runs/four --threads 1",
    options,
    sizeof options / sizeof *options,
};

/* What 0 stands for. Small updates learn most from a step; a GPU needs large ones to be busy. */
static syn_status batch_sizes(train_options *o, bool cuda, int ranks)
{
    if (!o->batch_size) o->batch_size = cuda ? 65536 * (int64_t)ranks : 4096;
    if (!o->mini_batch_size) o->mini_batch_size = cuda ? 16384 * (int64_t)ranks : 512;
    if (o->batch_size >= 64 && o->mini_batch_size >= 32) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE,
                    "--batch-size %lld and --mini-batch-size %lld: at least 64 and 32 are needed",
                    (long long)o->batch_size, (long long)o->mini_batch_size);
}

/* Cuts --batch-size and --mini-batch-size, which count all ranks, into shards. */
static syn_status shard_shapes(const train_options *o, int ranks, syn_ppo_config *ppo)
{
    const int64_t sequences = o->mini_batch_size / o->horizon;
    ppo->horizon = o->horizon;
    ppo->shards = o->deterministic ? SYN_PPO_DETERMINISTIC_SHARDS : ranks;
    ppo->minibatches = sequences ? o->batch_size / (sequences * o->horizon) : 0;
    if (sequences < 1 || ppo->minibatches < 1 || ppo->minibatches > SYN_PPO_MINIBATCHES_MAX) {
        return syn_fail(
            SYN_ERR_USAGE,
            "--batch-size %lld and --mini-batch-size %lld do not give 1 to %d minibatches of "
            "whole sequences of --horizon %lld",
            (long long)o->batch_size, (long long)o->mini_batch_size, SYN_PPO_MINIBATCHES_MAX,
            (long long)o->horizon);
    }
    if (o->deterministic && SYN_PPO_DETERMINISTIC_SHARDS % ranks) {
        return syn_fail(SYN_ERR_USAGE, "--deterministic runs on 1, 2, 4 or 8 ranks, not on %d",
                        ranks);
    }
    ppo->shard_envs = sequences / ppo->shards;
    if (ppo->shard_envs * ppo->shards == sequences) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE,
                    "--mini-batch-size %lld holds %lld sequences of --horizon %lld, which cannot "
                    "be cut into %lld equal shards (%s)",
                    (long long)o->mini_batch_size, (long long)sequences, (long long)o->horizon,
                    (long long)ppo->shards,
                    o->deterministic ? "--deterministic" : "one for a rank");
}

static syn_status train_config(const train_options *o, syn_dist *dist, syn_train_config *c)
{
    syn_env_config env;
    unsigned finetune;
    SYN_RETURN_IF(syn_finetune_parse(o->finetune, &finetune));
    SYN_RETURN_IF(syn_run_env(&o->run, &env));
    env.gamma = o->reward_shaping ? (float)o->gamma : 0;
    syn_ppo_config ppo = SYN_PPO_DEFAULT;
    SYN_RETURN_IF(shard_shapes(o, syn_dist_size(dist), &ppo));
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
    ppo.decay_lr = o->decay_lr;
    ppo.value_norm = o->value_norm;
    ppo.seed = (uint64_t)o->run.seed;
    const int64_t env_steps = o->num_episodes ? 4 * o->num_episodes : o->env_steps;
    *c = (syn_train_config){.ppo = ppo,
                            .env = env,
                            .env_steps = env_steps,
                            .schedule_steps = o->schedule_steps ? o->schedule_steps : env_steps,
                            .eval_interval = o->eval_interval,
                            .eval_episodes = o->eval_episodes,
                            .patience = o->patience,
                            .checkpoint_interval = o->checkpoint_interval,
                            .auto_save_s = (double)o->auto_save_interval,
                            .save_best_only = o->save_best_only,
                            .max_versions = (int)o->max_versions,
                            .same_interval = o->compare_interval,
                            .finetune = finetune,
                            .lr_finetune = o->lr_finetune,
                            .untitled_share = (float)o->untitled_share,
                            .out = o->out,
                            .overwrite = o->overwrite,
                            .dist = dist};
    return SYN_OK;
}

/* ---- What is stored with a run, and asked again when it goes on ---- */

static json_t *config_json(const train_options *o, const syn_train_config *c)
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
        c->device ? o->precision : "fp32");
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

static syn_status resume_from(const syn_checkpoint *cp, const train_options *o,
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

/* ---- The command ---- */

typedef struct command_state {
    train_options o;
    syn_ctx gpu; /* where on_gpu says so */
    bool on_gpu;
    syn_dist *dist;
    syn_run s;
    syn_corpus corpus;
    syn_model m;
    syn_checkpoint *cp;
    char *config, *provenance;
    syn_train_result result;
} command_state;

/* A run that goes on began where it began, whatever --init says on the way. */
static syn_status keep_init(command_state *k, syn_train_config *c)
{
    char *text = syn_model_config(k->cp);
    json_t *was = text ? json_loads(text, 0, NULL) : NULL, *is = json_loads(k->config, 0, NULL);
    json_t *init = json_object_get(was, "init");
    if (init && json_object_set(is, "init", init) == 0) {
        free(k->config);
        c->config_json = k->config = json_dumps(is, JSON_COMPACT);
    }
    json_decref(was);
    json_decref(is);
    free(text);
    return k->config ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the options");
}

static syn_status load_model(command_state *k, syn_train_config *c)
{
    const train_options *o = &k->o;
    SYN_RETURN_IF(syn_model_read(&k->s.ctx, k->cp, &k->m));
    syn_run_check_folds(&o->run, o->resume ? o->out : o->init, syn_checkpoint_provenance(k->cp));
    if (!k->m.has_perception) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: holds no ckm and gap detector; run 'syncog pretrain' first",
                        o->resume ? o->out : o->init);
    }
    if (c->finetune && k->m.parts) {
        return syn_fail(SYN_ERR_USAGE,
                        "--finetune: %s holds cross-fitted judges, of which none is deployed; it "
                        "takes a checkpoint pre-trained with --cross-fit 0",
                        o->resume ? o->out : o->init);
    }
    if (o->resume && !k->m.has_policy) {
        return syn_fail(SYN_ERR_FORMAT,
                        "--resume: %s: holds no run to go on with, but a checkpoint without a "
                        "policy; give it as --init, and another --out",
                        o->out);
    }
    if (o->resume) {
        SYN_RETURN_IF(resume_from(k->cp, o, c));
        SYN_RETURN_IF(keep_init(k, c));
        c->resume = k->cp;
    }
    if (!k->m.has_control)
        SYN_RETURN_IF(syn_control_init(&k->s.ctx, &k->m.control, (uint64_t)o->run.seed));
    else if (!o->resume)
        SYN_RETURN_IF(syn_ppo_state_weights_only(&k->m.control, k->cp));
    k->m.has_control = true;
    return SYN_OK;
}

static uint64_t text_hash(const char *text)
{
    return syn_dataset_key(text, strlen(text));
}

/* All ranks must have been told, and have read, the same. */
static syn_status compare_start(const command_state *k)
{
    SYN_RETURN_IF(syn_dist_same(k->dist, text_hash(k->config), "options are"));
    SYN_RETURN_IF(syn_dist_same(k->dist, text_hash(k->provenance), "data are"));
    return syn_dist_same(k->dist, text_hash(syn_checkpoint_content_sha256(k->cp)), "checkpoint is");
}

/* What the folders are wrong for is told before anything is read. */
static syn_status open_places(command_state *k)
{
    const train_options *o = &k->o;
    bool replaces;
    if (o->resume) return syn_place_open_run(o->out, &k->cp);
    if (syn_dist_rank(k->dist) == 0)
        SYN_RETURN_IF(syn_place_begin(o->out, o->init, o->overwrite, true, &replaces));
    return syn_place_open_init(o->init, &k->cp);
}

/* Whether --device auto is a GPU: where each rank of this machine has one of its own. */
static bool gpu_for_each(void)
{
    const int ranks = syn_dist_local_size();
    return ranks > 0 && ranks <= syn_device_count();
}

/* This rank's GPU, where it is to have one: before the ranks meet, who sum on it. */
static syn_status open_device(command_state *k)
{
    const train_options *o = &k->o;
    const bool wanted = strcmp(o->run.device, "cuda") == 0, tunes = o->finetune && *o->finetune;
    if (wanted && tunes) {
        return syn_fail(SYN_ERR_USAGE,
                        "--finetune: judges learn on the CPU alone; give --device cpu");
    }
    if (!wanted && (strcmp(o->run.device, "cpu") == 0 || tunes || !gpu_for_each())) return SYN_OK;
    SYN_RETURN_IF(syn_lstm_variant_set(o->lstm));
    syn_device_select(syn_dist_local_rank());
    SYN_RETURN_IF(syn_ctx_init(&k->gpu, SYN_DEVICE_CUDA, (int)o->run.threads));
    k->on_gpu = true;
    if (strcmp(o->precision, "mixed") == 0) k->gpu.math = SYN_MATH_MIXED;
    return SYN_OK;
}

static syn_status train(command_state *k)
{
    train_options *o = &k->o;
    syn_train_config c;
    SYN_RETURN_IF(batch_sizes(o, k->on_gpu, syn_dist_size(k->dist)));
    SYN_RETURN_IF(train_config(o, k->dist, &c));
    if (k->on_gpu) c.device = &k->gpu;
    SYN_RETURN_IF(open_places(k));
    SYN_RETURN_IF(syn_run_open(&k->s, &o->run, true));
    c.provenance_json = k->provenance = syn_run_provenance(&k->s, &o->run);
    json_t *config = config_json(o, &c);
    c.config_json = k->config = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    if (!k->provenance || !k->config)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the options");
    SYN_RETURN_IF(load_model(k, &c));
    SYN_RETURN_IF(compare_start(k));
    if (syn_dist_rank(k->dist) == 0) SYN_RETURN_IF(syn_run_out(&k->s, o->out));
    syn_status st = syn_corpus_build(&k->s.ctx, &k->corpus, &k->s.data, k->s.use, k->s.use,
                                     k->m.idf, k->m.table, (int)o->run.pieces);
    SYN_RETURN_IF(syn_run_about_data(st, &o->run));
    SYN_RETURN_IF(syn_corpus_weigh(&k->corpus, &k->s.data, k->s.weight));
    if (k->m.perception.without & SYN_WITHOUT_TITLES) syn_corpus_without_titles(&k->corpus);
    st = syn_train(&k->s.ctx, &c, &k->s.data, &k->corpus, &k->m, &k->result);
    SYN_RETURN_IF(syn_run_about_data(st, &o->run));
    if (syn_dist_rank(k->dist) != 0) return SYN_OK;
    const syn_train_result *r = &k->result;
    const double busy = r->rollout_seconds + r->update_seconds;
    printf("trained %lld env-steps in %.1f s (%.0f a second: roll-out %.1f s, update %.1f s); best "
           "held-out return %.2f at %lld; KL stop in %.0f %% of updates%s\nsaved %s\n",
           (long long)r->env_steps, r->seconds, busy > 0 ? (double)r->env_steps / busy : 0,
           r->rollout_seconds, r->update_seconds, r->best_return, (long long)r->best_steps,
           100 * r->kl_stop_share, r->stopped_early ? "; stopped early" : "", o->out);
    return SYN_OK;
}

static syn_status parse(train_options *o, int argc, char **argv, bool *done)
{
    syn_status st = syn_options_parse(&command, o, argc, argv, NULL, done);
    if (st != SYN_OK || *done) return st;
    if (!o->out) return syn_fail(SYN_ERR_USAGE, "train: --out is missing");
    if (o->resume && o->overwrite) {
        return syn_fail(SYN_ERR_USAGE, "--resume goes on with the run in OUT, --overwrite replaces "
                                       "it: give one of the two");
    }
    o->run.weighted = true;
    o->run.own_device = true;
    if (!o->init && !o->resume) {
        return syn_fail(SYN_ERR_USAGE,
                        "train: --init is missing: give the folder that 'syncog pretrain' wrote");
    }
    if (o->deterministic && o->run.threads > 1) {
        return syn_fail(SYN_ERR_USAGE,
                        "--deterministic computes with one thread, not --threads %lld",
                        (long long)o->run.threads);
    }
    if (o->deterministic) o->run.threads = 1;
    return SYN_OK;
}

/* What every rank is told by itself (a wrong option, a signal), the first rank says. */
static int exit_code(const command_state *k, syn_status st)
{
    const bool ours = st != SYN_ERR_USAGE && st != SYN_ERR_INTERRUPTED;
    int code = st == SYN_OK ? 0 : st == SYN_ERR_USAGE ? 2 : 1;
    if (syn_dist_rank(k->dist) == 0 || ours) code = syn_exit_code(st);
    return st == SYN_ERR_INTERRUPTED ? 128 + k->result.signal : code;
}

int syn_cmd_train(int argc, char **argv)
{
    command_state *k = calloc(1, sizeof *k);
    bool done = false;
    if (!k) return syn_exit_code(syn_fail(SYN_ERR_MEMORY, "out of memory"));
    syn_status st = parse(&k->o, argc, argv, &done);
    if (st == SYN_OK && !done) {
        st = open_device(k);
        const syn_dist_config ranks = {.backend = k->o.backend,
                                       .rendezvous = k->o.rendezvous,
                                       .timeout_s = (int)k->o.rank_timeout,
                                       .ctx = k->on_gpu ? &k->gpu : NULL};
        syn_stop_watch();
        if (st == SYN_OK) st = syn_dist_open(&ranks, &k->dist);
        if (st == SYN_OK) st = train(k);
        if (st != SYN_OK && st != SYN_ERR_INTERRUPTED) syn_dist_abort(k->dist, syn_error_text());
    }
    const int code = exit_code(k, st);
    syn_dist_close(k->dist);
    free(k->config);
    free(k->provenance);
    syn_checkpoint_close(k->cp);
    if (k->s.ready) {
        syn_model_free(&k->s.ctx, &k->m);
        syn_corpus_free(&k->s.ctx, &k->corpus);
    }
    syn_run_close(&k->s);
    if (k->on_gpu) syn_ctx_free(&k->gpu);
    free(k);
    return code;
}
