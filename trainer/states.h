/* States of the environment as arrays, with their labels and what the networks read of them: for
 * models that are made elsewhere and judged on the same features.
 *
 * In the file (HDF5), S states with n_s agents each:
 *   states/record     i64 (S)       key of the question's id
 *   states/fold       i32 (S)       of syn_record_fold; 0 without folds
 *   states/agents     i32 (S)
 *   states/goal       u8  (S)       0 asker, 1 consensus
 *   states/titled     u8  (S)
 *   states/moves      i32 (S)       turns played before the state was taken; 0: the opening
 *   states/label      u8  (S, 10)   agent i lacks something it needs; agent 0 is the asker
 *   states/gap        f32 (S, 2)    the checkpoint's own detector on the asker: logit, probability
 *   states/summary    f32 (S, SYN_SUMMARY)   columns 0-3 and 22 come from that detector
 *   states/items      i64 (S)       rows in items/ ; they follow each other without gaps
 *   items/agent       u8  (I)       who holds it
 *   items/row         u8  (I)       which piece of the task: equal rows are the same piece
 *   items/x           f32 (I, SYN_DI)        the CKM's item vector (engine/observe.h): interaction
 *                     64, relevance logit over 4, meta 15
 *   items/text        f32 (I, 2 SYN_DE)      the piece's text embedding, and its product with the
 *                     question's
 *   items/asker       f32 (I, SYN_DV + 1)    the piece against what the asker holds, and the
 *                     ranker's logit by that view: as the asker would judge it
 *   items/again       f32 (I, SYN_DV + 1)    the refiner's second look among all pieces, and the
 *                     ranker's logit before it; zeros where the policy is not central
 *
 * Which pieces are gold is not in it. An agent's items stand in the order in which it got them. */
#ifndef SYN_TRAINER_STATES_H
#define SYN_TRAINER_STATES_H

#include "engine/model.h"
#include "trainer/episodes.h"

typedef enum syn_records_part {
    SYN_RECORDS_TRAIN,
    SYN_RECORDS_VALIDATION,
    SYN_RECORDS_TEST
} syn_records_part;

typedef struct syn_states_config {
    syn_episode_config episodes;
    syn_records_part part; /* train and validation: by syn_record_held_out; test: all given */
    bool cross_fitted;     /* each record is judged by the part that has not seen it */
    int folds;             /* for states/fold */
    int64_t count;
    uint64_t seed;
} syn_states_config;

/* Draws `count` states over the corpus's records of this part and writes them to `path`, which
 * appears whole or not at all. Not cross-fitted, state number k is the one that syn_measure scores
 * for the same seed, records and episode config. about: the file's attribute "about". Errors:
 * SYN_ERR_FORMAT (no such record; no parts), SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_states_write(syn_ctx *ctx, const syn_states_config *cfg,
                                            const syn_dataset *ds, const syn_corpus *corpus,
                                            const syn_model *model, const char *path,
                                            const char *about);

#endif
