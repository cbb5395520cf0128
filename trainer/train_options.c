#include "trainer/train_options.h"

#include <stddef.h>

#include "trainer/finetune.h"

#define FIELD(name) offsetof(syn_train_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    SYN_RUN_ENV_OPTIONS,
    SYN_RUN_TRAIN_OPTIONS,
    {"init", SYN_OPTION_TEXT, FIELD(init), NULL, 0, 0, "DIR",
     "The checkpoint to begin with, of pretrain or of another run: its weights alone. Adam's "
     "moments, the value's scale and the schedules begin anew.",
     NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "DIR",
     "The store of the run's versions (best, latest); metrics.jsonl and tensorboard/ beside them.",
     NULL},
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
     "environments of --horizon 32), with --deterministic for all of them.",
     "BATCH_SIZE"},
    {"mini-batch-size", SYN_OPTION_INT, FIELD(mini_batch_size), "0", 0, 1 << 24, "N",
     "Environment steps of one optimiser step, over all ranks; 0: 512, on CUDA 16384 for each "
     "rank, or for all of them likewise.",
     NULL},
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

/* ---- Their meaning ---- */

syn_status syn_train_options_parse(syn_train_options *o, int argc, char **argv, bool *done)
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

/* What 0 stands for. Small updates learn most from a step; a GPU needs large ones to be busy. */
static syn_status batch_sizes(syn_train_options *o, bool cuda, int ranks)
{
    const int64_t devices = o->deterministic ? 1 : ranks; /* bits may not depend on the ranks */
    if (!o->batch_size) o->batch_size = cuda ? 65536 * devices : 4096;
    if (!o->mini_batch_size) o->mini_batch_size = cuda ? 16384 * devices : 512;
    if (o->batch_size >= 64 && o->mini_batch_size >= 32) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE,
                    "--batch-size %lld and --mini-batch-size %lld: at least 64 and 32 are needed",
                    (long long)o->batch_size, (long long)o->mini_batch_size);
}

/* Cuts --batch-size and --mini-batch-size, which count all ranks, into shards. */
static syn_status shard_shapes(const syn_train_options *o, int ranks, syn_ppo_config *ppo)
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

syn_status syn_train_options_config(syn_train_options *o, bool cuda, syn_dist *dist,
                                    syn_train_config *c)
{
    syn_env_config env;
    unsigned finetune;
    SYN_RETURN_IF(batch_sizes(o, cuda, syn_dist_size(dist)));
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
