/* Phase 2 from a pre-trained model: PPO updates, evaluation on held-out records, checkpoints,
 * metrics. */
#ifndef SYN_TRAINER_TRAIN_H
#define SYN_TRAINER_TRAIN_H

#include "checkpoints/model_file.h"
#include "trainer/ppo.h"

typedef struct syn_train_config {
    syn_ppo_config ppo;
    syn_env_config env;
    int64_t env_steps;      /* in all */
    int64_t schedule_steps; /* over which learning rates and entropy bonus fall */
    int64_t eval_interval;  /* updates between evaluations on held-out records */
    int64_t eval_episodes;
    int64_t patience;            /* evaluations without a better one that end the run; 0: never */
    int64_t checkpoint_interval; /* updates between saves; 0: none but the best and the last */
    double auto_save_s;          /* seconds between saves; 0: none by the clock */
    bool save_best_only;
    int max_versions;      /* kept in the store */
    int64_t same_interval; /* updates between comparisons of the ranks' weights; 0: none */
    unsigned finetune;     /* judges that learn too, trainer/finetune.h; 0: none */
    double lr_finetune;
    float untitled_share;
    const char *out; /* the store; metrics.jsonl and tensorboard/ lie beside its versions */
    bool overwrite;  /* what `out` holds gives way once this run's first version is saved */
    const char *config_json, *provenance_json;
    const syn_checkpoint *resume; /* what model was read from, to go on from it; NULL: begin */
    syn_dist *dist;               /* borrowed; NULL: one rank */
    syn_ctx *device;              /* borrowed; where PPO computes; NULL: where the rest does */
} syn_train_config;

typedef struct syn_train_result {
    int64_t env_steps, updates, best_steps; /* the first two: of this process */
    double seconds, rollout_seconds, update_seconds, best_return, kl_stop_share;
    int64_t spikes; /* of the whole run */
    bool stopped_early;
    int signal; /* that ended it, on whatever rank it was seen; 0: none */
} syn_train_result;

/* Trains model->control in place, and the judges that are to be finetuned; the weights of the best
 * evaluation are in it at the end.
 * Collective; rank 0 alone writes: one line of metrics per update, and versions with everything
 * that a run goes on from. Saving changes nothing: a run that is resumed with the same options ends
 * in the same bits as one that was never interrupted, whenever it was saved.
 * ctx is a CPU context: data, model and evaluations are there. On a CUDA device, PPO works on
 * copies of its own, and the weights come back whenever they are judged or saved; a run goes on to
 * the bit on the device that it was saved on, and on the other one from where it stood. Judges
 * learn on the CPU alone (SYN_ERR_UNSUPPORTED). SYN_ERR_INTERRUPTED after a signal
 * (trainer/stop.h): saved, and the sentence says how to go on. SYN_ERR_NUMERIC for numbers that are
 * not finite, SYN_ERR_IO for what cannot be saved; what was saved before stays. */
SYN_WARN_UNUSED syn_status syn_train(syn_ctx *ctx, const syn_train_config *cfg,
                                     const syn_dataset *ds, const syn_corpus *corpus,
                                     syn_model *model, syn_train_result *result);

#endif
