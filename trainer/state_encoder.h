/* Pre-training of the state encoder: which of B messages comes next (InfoNCE, in-batch negatives),
 * on transcripts of scripted teams. */
#ifndef SYN_TRAINER_STATE_ENCODER_H
#define SYN_TRAINER_STATE_ENCODER_H

#include "engine/model.h"
#include "trainer/corpus.h"

typedef struct syn_state_result {
    double loss, accuracy, chance; /* of the last tenth of the steps; chance = 1 / batch */
} syn_state_result;

/* Trains the state encoder's part of model->control, which is initialised from seed where it is not
 * there yet; model->perception must be trained. records: indices into the corpus. Moments are zero
 * afterwards. Equal seeds, records and threads give equal bits. Errors: SYN_ERR_MEMORY,
 * SYN_ERR_NUMERIC. */
SYN_WARN_UNUSED syn_status syn_pretrain_state(syn_ctx *ctx, syn_model *model,
                                              const syn_corpus *corpus, const int32_t *records,
                                              int64_t record_count, int64_t steps, uint64_t seed,
                                              syn_state_result *result);

#endif
