/* CKM and gap detector that go on learning in phase 2 (train --finetune).
 *
 * After PPO's epochs they take one pass over the roll-out, one optimiser step per minibatch. What
 * reaches them:
 *   both  0.5 * (binary cross-entropy of the gaps + that of the links) on the states visited, whose
 *         labels the simulator knows; weights as in phase 1. One turn in SYN_FINETUNE_EVERY is
 *         taken, another one from update to update: neighbouring turns are almost the same state.
 *   CKM   the gradient of PPO's loss (policy, value and entropy) with respect to the CKM vectors of
 *         the roll-out, as the first epoch has it, carried on through the encoder that made them.
 * Gaps and links, which the policy reads as well, are inputs: through them nothing flows. Ranker
 * and refiner stay as they are.
 *
 * On CUDA all of it happens on the device but for the calibration; the model's perception gets the
 * weights by syn_finetune_fetch.
 *
 * The perception that learns is the one that plays and is deployed. Cross-fitted parts would each
 * have to be kept from the records that they serve: a model that has any is refused.
 *
 * With the weights, what the networks cached of every environment is out of date: syn_ppo_look
 * before the next roll-out. Calibration is fitted again, on held-out records, when
 * syn_finetune_calibrate says so; it is state like the weights. */
#ifndef SYN_TRAINER_FINETUNE_H
#define SYN_TRAINER_FINETUNE_H

#include "checkpoints/checkpoint.h"
#include "engine/model.h"
#include "trainer/ppo.h"

enum { SYN_FINETUNE_EVERY = 4 }; /* turns, or the horizon where that is shorter */

/* Masks, to be combined. */
enum { SYN_FINETUNE_CKM = 1, SYN_FINETUNE_GAP = 2 };

/* "ckm", "gap" or both, separated by a comma -> mask; NULL and "": 0. SYN_ERR_USAGE names a word
 * that is neither. */
SYN_WARN_UNUSED syn_status syn_finetune_parse(const char *names, unsigned *what);
const char *syn_finetune_text(unsigned what); /* the reverse */

/* Means over all ranks; the same bits on each. */
typedef struct syn_finetune_stats {
    double gap_loss, link_loss; /* binary cross-entropies, with dropout, before the steps */
    double grad_norm, lr;       /* before clipping, over the steps */
    double seconds;             /* of this rank */
} syn_finetune_stats;

typedef struct syn_finetune {
    syn_ppo *ppo;               /* borrowed */
    syn_perception *perception; /* borrowed: what learns, in the context's memory */
    syn_perception *host;       /* borrowed: the model's; the same on the CPU */
    bool central;
    int first, last; /* tensors that learn */
    double lr;
    int64_t every;
    int64_t update;        /* that the last roll-out is of */
    syn_env *seen;         /* (shards of this rank, horizon, shard_envs): before every turn */
    real *dckm;            /* (shards, horizon, shard_envs, SYN_AGENTS_MAX, SYN_CKM); CKM only */
    uint8_t *dckm_state;   /* (shards), in host memory: whether it is wanted, or there */
    syn_observer observer; /* of some of the states */
    real *sums;            /* (local shards, gradient of first..last and the losses) */
    struct syn_finetune_device *device; /* owned; on CUDA */
    real *best; /* the weights first..last that syn_finetune_keep has kept */
    syn_calibration best_calibrated[SYN_GAP_OUT];
    int64_t step; /* of the moments, as a tensor */
} syn_finetune;

/* what: a mask, not 0. The perception's gradients are allocated here, its moments are zero; the
 * states of p's roll-outs are watched from here on. ppo and model must outlive f. Errors:
 * SYN_ERR_INVALID (a model without perception, or with cross-fitted parts), SYN_ERR_MEMORY. f is to
 * be freed on an error too; zeroed memory may be. */
SYN_WARN_UNUSED syn_status syn_finetune_init(syn_finetune *f, unsigned what, double lr, syn_ppo *p,
                                             syn_model *model);
void syn_finetune_free(syn_finetune *f);

/* The pass over the last roll-out, after syn_ppo_update; lr_scale as the schedule has it. PPO's
 * gradient flows where an epoch has run since the roll-out. Collective. SYN_ERR_NUMERIC for numbers
 * that are not finite, before the step that would spread them. */
SYN_WARN_UNUSED syn_status syn_finetune_update(syn_finetune *f, double lr_scale,
                                               syn_finetune_stats *out);

/* Fits the calibration to states of the records; rank 0's holds for all. Collective. */
SYN_WARN_UNUSED syn_status syn_finetune_calibrate(syn_finetune *f, const int32_t *records,
                                                  int64_t record_count);

/* Brings weights and moments from the device to the model, where the others look for them. */
SYN_WARN_UNUSED syn_status syn_finetune_fetch(syn_finetune *f);

/* Keeps weights and calibration of `from` (the model's perception, fetched, or one of its shape) as
 * the best; take: puts them into the model. */
void syn_finetune_keep(syn_finetune *f, const syn_perception *from);
void syn_finetune_take(syn_finetune *f);

/* Moments and step as tensors under SYN_RESUME_PREFIX, which point into f and the model, which is
 * to be fetched before. */
enum { SYN_FINETUNE_TENSORS = 3 };
void syn_finetune_tensors(syn_finetune *f, syn_tensor tensor[SYN_FINETUNE_TENSORS]);

/* Reads them. SYN_ERR_FORMAT where the checkpoint has none. */
SYN_WARN_UNUSED syn_status syn_finetune_restore(syn_finetune *f, const syn_checkpoint *cp);

#endif
