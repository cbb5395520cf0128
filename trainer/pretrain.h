/* Phase 1, supervised: ranker, refiner, then CKM and gap detector, then calibration.
 *
 * The records given are split by id: a share is kept for early stopping and calibration.
 * On CUDA the networks, their batches and their gradients stay on the device (pretrain_device.c);
 * its dropout falls elsewhere than the CPU's, all else is the same but for rounding.
 *
 * Deterministic: equal seeds, records, threads, ranks and devices give equal bits. */
#ifndef SYN_TRAINER_PRETRAIN_H
#define SYN_TRAINER_PRETRAIN_H

#include "trainer/dist.h"
#include "trainer/episodes.h"
#include "trainer/metrics.h"

typedef struct syn_pretrain_config {
    uint64_t seed;
    int64_t ranker_steps, gap_steps; /* optimiser steps at most */
    int64_t batch;                   /* episodes a step */
    int64_t check_episodes; /* held-out states of a check; of the calibration: four times as many */
    double ranker_lr, gap_lr, weight_decay, dropout;
    bool shuffled_labels; /* the leak test: labels belong to other episodes */
    bool central, quiet;
    uint32_t without; /* ablations, engine/without.h; titles are the corpus's */
    syn_dist *dist;   /* the ranks that share each batch; NULL: one alone */
} syn_pretrain_config;

#define SYN_PRETRAIN_DEFAULT                                                                       \
    {                                                                                              \
        1, 900, 1350, 64, 1024, 2e-3, 7e-4, 0.02, 0.2, false, true, false, 0, NULL                 \
    }

typedef struct syn_pretrain_result {
    double ranker_auroc, gap_auroc, gap_balanced_accuracy, gap_ece,
        link_auroc;    /* on held-out records */
    int64_t gap_steps; /* where early stopping took the weights from */
    double seconds;
} syn_pretrain_result;

/* Indices into a corpus: what is learnt from, and what is kept for early stopping and calibration.
 */
typedef struct syn_pretrain_split {
    int32_t *train, *held;
    int64_t train_count, held_count; /* above 0 */
} syn_pretrain_split;

/* Fits p on such a split; all else as below. */
SYN_WARN_UNUSED syn_status syn_pretrain_fit(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                            const syn_corpus *corpus,
                                            const syn_pretrain_split *split, syn_perception *p,
                                            syn_pretrain_result *result);

/* records: indices into the corpus, which a CUDA context needs uploaded. p is initialised here, in
 * host memory, and freed by the caller, on an error too. With several ranks collective: each learns
 * from its part of every batch, all end with the same weights. Errors: SYN_ERR_FORMAT (too few
 * records to keep some out), SYN_ERR_USAGE (a batch that the ranks cannot share), SYN_ERR_MEMORY,
 * SYN_ERR_NUMERIC (a gradient), SYN_ERR_DIST. */
SYN_WARN_UNUSED syn_status syn_pretrain_perception(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                                   const syn_dataset *ds, const syn_corpus *corpus,
                                                   const int32_t *records, int64_t record_count,
                                                   syn_perception *p, syn_pretrain_result *result);

/* What `count` states say: gap of the asker (logits, (gaps)), its links (calibrated probabilities,
 * (links)), relevance of all pieces present (logits, (ranks)). The group is the record's index in
 * the corpus. */
typedef struct syn_measured {
    syn_scored *gap, *link;
    syn_scored *ranker,
        *first; /* relevance as it stands; the ranker's, before the refiner's second look */
    int64_t gaps, links, ranks;
} syn_measured;

/* Draws and scores the states of episodes 0..count-1. out is overwritten: syn_measured_free; empty
 * on an error. A pure function of (networks, records, seed). Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_measure(syn_ctx *ctx, const syn_perception *p, bool central,
                                       const syn_corpus *corpus, const syn_episode_config *episodes,
                                       const int32_t *records, int64_t record_count, int64_t count,
                                       uint64_t seed, syn_measured *out);
void syn_measured_free(syn_measured *m);

/* Fits p->calibrated anew to `count` states of the records: openings, and states after deliveries.
 * *link_auroc, where not NULL, is the links' on them. A pure function of (weights, records, count,
 * seed); what p->calibrated held before says nothing. SYN_ERR_MEMORY: it is left uncalibrated. */
SYN_WARN_UNUSED syn_status syn_calibrate_perception(syn_ctx *ctx, syn_perception *p, bool central,
                                                    const syn_corpus *corpus,
                                                    const int32_t *records, int64_t record_count,
                                                    int64_t count, uint64_t seed,
                                                    double *link_auroc);

#endif
