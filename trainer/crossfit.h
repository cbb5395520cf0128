/* Cross-fitted perceptions: what phase 1 fitted on a record is overconfident there, so the policy trains on
 * records that the perception serving them has not seen. One more perception is fitted on all: the one
 * that a checkpoint keeps. */
#ifndef SYN_TRAINER_CROSSFIT_H
#define SYN_TRAINER_CROSSFIT_H

#include "trainer/ppo.h"
#include "trainer/pretrain.h"

enum { SYN_CROSSFIT_MAX = 8 };

typedef struct syn_crossfit {
    int folds; /* 0: only `all` */
    syn_perception all, shuffled; /* shuffled: the leak test's, when asked for */
    syn_perception part[SYN_CROSSFIT_MAX];
    syn_pretrain_result result, part_result[SYN_CROSSFIT_MAX];
    bool has_shuffled;
} syn_crossfit;

/* The fold of a record within a cross-fit; independent of syn_record_fold. */
int syn_crossfit_fold(const syn_record *r, int folds);

/* Fits folds + 1 perceptions (and the shuffled one), as many at a time as ctx has threads. Bit-equal for
 * equal seeds, records and folds, whatever the number of threads. */
SYN_WARN_UNUSED syn_status syn_crossfit_run(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                            const syn_dataset *ds, const syn_corpus *corpus, int folds,
                                            bool shuffled, syn_crossfit *out);
void syn_crossfit_free(syn_ctx *ctx, syn_crossfit *x);

/* The sources of PPO: per fold its perception and the records it serves (all, when folds is 0). record
 * (corpus->records): scratch owned by the caller that must outlive the sources. Returns how many. */
int syn_crossfit_sources(const syn_crossfit *x, const syn_dataset *ds, const syn_corpus *corpus,
                         int32_t *record, syn_ppo_source sources[SYN_CROSSFIT_MAX]);

#endif
