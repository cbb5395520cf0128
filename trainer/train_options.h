/* The options of 'syncog train', and what follows from them. Not for other callers. */
#ifndef SYN_TRAINER_TRAIN_OPTIONS_H
#define SYN_TRAINER_TRAIN_OPTIONS_H

#include "checkpoints/checkpoint.h"
#include "trainer/run.h"
#include "trainer/train.h"

typedef struct syn_train_options {
    syn_run_config run; /* first: shared options */
    const char *init, *out, *finetune;
    int64_t env_steps, schedule_steps, num_episodes, batch_size, mini_batch_size, horizon, epochs;
    int64_t checkpoint_interval, auto_save_interval, max_versions, eval_interval, eval_episodes,
        patience, compare_interval;
    double lr_actor, lr_critic, lr_finetune, gamma, gae_lambda, clip_epsilon, entropy_coef,
        entropy_coef_end, value_loss_coef, max_grad_norm, kl_stop, untitled_share;
    bool resume, overwrite, save_best_only, reward_shaping, value_norm, decay_lr, deterministic;
} syn_train_options;

/* *done: --help or --print-config has been answered. SYN_ERR_USAGE also for options that exclude
 * each other. */
SYN_WARN_UNUSED syn_status syn_train_options_parse(syn_train_options *o, int argc, char **argv,
                                                   bool *done);

/* Sizes that were left at 0 become those of the device, and all that training needs is made of the
 * options; c->device and the texts are left to the caller. SYN_ERR_USAGE for shapes that `dist`'s
 * ranks cannot share. */
SYN_WARN_UNUSED syn_status syn_train_options_config(syn_train_options *o, bool cuda, syn_dist *dist,
                                                    syn_train_config *c);

/* ---- What is stored with a run, and asked again when it goes on (train_stored.c) ---- */

/* The config as it is stored; free(). NULL: out of memory. */
char *syn_train_stored_text(const syn_train_options *o, const syn_train_config *c);

/* Whether the run that cp holds goes on with these options and c->provenance_json: SYN_ERR_USAGE
 * where it cannot; what differs and may is logged. */
SYN_WARN_UNUSED syn_status syn_train_stored_check(const syn_checkpoint *cp,
                                                  const syn_train_options *o,
                                                  const syn_train_config *c);

/* A run that goes on began where it began, whatever --init says on the way: puts cp's `init` into
 * *config, which is replaced (NULL on an error). SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_train_stored_init(const syn_checkpoint *cp, char **config);

#endif
