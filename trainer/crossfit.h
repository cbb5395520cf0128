/* Cross-fitted perceptions: what phase 1 fitted on a record is overconfident there, so the policy
 * trains on records that the perception serving them has not seen. One more perception is fitted on
 * all: the one that a checkpoint keeps. */
#ifndef SYN_TRAINER_CROSSFIT_H
#define SYN_TRAINER_CROSSFIT_H

#include "engine/model.h"
#include "trainer/ppo.h"
#include "trainer/pretrain.h"

/* The fold of a record within a cross-fit; independent of syn_record_fold. */
int syn_crossfit_fold(const syn_record *r, int folds);

/* Fits model->perception, `folds` parts (0, or 2 to SYN_MODEL_PARTS_MAX) and, when asked for, the
 * one on shuffled labels, on ctx's device, which has the corpus; as many at a time as ctx has
 * threads, each on one. With several ranks (cfg->dist) the fits follow one another, each shared by
 * all ranks: collective. Bit-equal for equal seeds, records, folds, ranks and devices, whatever the
 * number of threads of a single rank. result: of the fit on all. */
SYN_WARN_UNUSED syn_status syn_crossfit_run(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                            const syn_dataset *ds, const syn_corpus *corpus,
                                            int folds, bool shuffled, syn_model *model,
                                            syn_pretrain_result *result);

/* The sources of PPO: per part its perception and the records it serves; without parts, one.
 * Records kept out for the choice of the best checkpoint (syn_record_held_out) are in none. record
 * (corpus->records): scratch of the caller that must outlive the sources. Returns how many sources
 * there are. */
int syn_crossfit_sources(const syn_model *model, const syn_dataset *ds, const syn_corpus *corpus,
                         int32_t *record, syn_ppo_source sources[SYN_MODEL_PARTS_MAX]);

#endif
