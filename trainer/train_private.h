/* A run under way: what train.c, train_eval.c and train_save.c share. */
#ifndef SYN_TRAINER_TRAIN_PRIVATE_H
#define SYN_TRAINER_TRAIN_PRIVATE_H

#include "trainer/finetune.h"
#include "trainer/policies.h"
#include "trainer/spikes.h"
#include "trainer/train.h"
#include "trainer/train_log.h"

typedef struct syn_train_run {
    syn_ctx *ctx;
    const syn_train_config *cfg;
    const syn_dataset *ds;
    const syn_corpus *corpus;
    syn_model *model;
    syn_train_result *result;
    syn_ppo ppo;
    syn_finetune finetune;        /* where cfg->finetune says so */
    syn_finetune_stats finetuned; /* in the last update */
    int32_t *record;              /* sources' records, then the held-out ones */
    int64_t held_first, held;
    real *best; /* weights of the best evaluation */
    syn_episode_result *episodes;
    syn_train_log log; /* rank 0 */
    syn_spikes spikes;
    int64_t steps;             /* taken, of all ranks and processes */
    int64_t since_best;        /* evaluations */
    int64_t kl_stops;          /* of this process */
    syn_policy_summary judged; /* the last evaluation; no episodes: none */
    double train_return;       /* of the last update */
    double saved_s;            /* when this process saved last, or began */
    bool saved;                /* this process has saved */
    double evaluate_s, save_s;
} syn_train_run;

/* Plays the held-out episodes, shared out among the ranks: the same episodes on any number of them.
 * Collective; *held is the same on every rank. */
SYN_WARN_UNUSED syn_status syn_train_evaluate(syn_train_run *r, syn_policy_summary *held);

/* Saves a version, marked as the best or not. Collective. */
SYN_WARN_UNUSED syn_status syn_train_save(syn_train_run *r, bool best);

/* Saves the run's first version, and then removes what an earlier run has left in its place.
 * Collective. */
SYN_WARN_UNUSED syn_status syn_train_replace(syn_train_run *r, bool best);

/* Takes up what cfg->resume holds beside the model, and the best weights so far. */
SYN_WARN_UNUSED syn_status syn_train_restore(syn_train_run *r);

#endif
