/* What pretrain, train and eval begin with: device, data, the records in use, and where they came from. */
#ifndef SYN_TRAINER_SESSION_H
#define SYN_TRAINER_SESSION_H

#include "datasets/dataset.h"
#include "engine/model.h"
#include "kernels/base/options.h"
#include "trainer/corpus.h"

/* The options that the three commands share; their config structs begin with it. */
typedef struct syn_session_config {
    syn_text_list data;
    const char *device, *split, *goal;
    int64_t seed, threads, folds, fold, pieces;
    bool title_disjoint;
} syn_session_config;

#define SYN_SESSION_OPTIONS                                                                        \
    {"data", SYN_OPTION_LIST, offsetof(syn_session_config, data), NULL, 0, 0, "FILE.h5",           \
     "A cache made by 'data prepare'; may be given several times.", NULL},                         \
    {"seed", SYN_OPTION_INT, offsetof(syn_session_config, seed), "1", 0, 1e15, "S",                \
     "Everything random follows from it.", NULL},                                                  \
    {"device", SYN_OPTION_CHOICE, offsetof(syn_session_config, device), "auto", 0, 0,              \
     "auto|cpu|cuda", "Where the networks run.", "DEVICE"},                                        \
    {"threads", SYN_OPTION_INT, offsetof(syn_session_config, threads), "0", 0, 1024, "N",          \
     "CPU threads; 0: one per core.", NULL},                                                       \
    {"folds", SYN_OPTION_INT, offsetof(syn_session_config, folds), "0", 0, 1000, "F",              \
     "Cut the records into F folds by a hash of their id; 0: no folds.", NULL},                    \
    {"fold", SYN_OPTION_INT, offsetof(syn_session_config, fold), "0", 0, 999, "K",                 \
     "The fold that is kept for testing.", NULL},                                                  \
    {"pieces", SYN_OPTION_INT, offsetof(syn_session_config, pieces), "0", 0, SYN_PIECES_OWN_MAX,   \
     "K", "Fill each record to K pieces with hard distractors; 0: as it is.", NULL},               \
    {"goal", SYN_OPTION_CHOICE, offsetof(syn_session_config, goal), "asker", 0, 0,                 \
     "asker|consensus", "Who must hold the evidence: the asker, or more than half of the team.", NULL}

/* Context, data and marks. train: the records outside of the test fold (and, if asked, without its
 * titles); else those within; without folds all. */
typedef struct syn_session {
    syn_ctx ctx;
    syn_dataset data;
    uint8_t *use; /* (data.record_count) */
    int64_t used;
    bool ready;
} syn_session;

SYN_WARN_UNUSED syn_status syn_session_open(syn_session *s, const syn_session_config *cfg, bool train);
void syn_session_close(syn_session *s);

/* {"sources":[{name, licence, sha256, records}...], "records":N, "fold":.., "folds":..}; free(). */
char *syn_session_provenance(const syn_session *s, const syn_session_config *cfg);

static inline syn_goal syn_goal_of(const char *name)
{
    return name && name[0] == 'c' ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
}

#endif
