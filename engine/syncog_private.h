/* What the files of the public API share, and the one file that opens checkpoints. */
#ifndef SYN_ENGINE_SYNCOG_PRIVATE_H
#define SYN_ENGINE_SYNCOG_PRIVATE_H

#include "engine/model.h"
#include "engine/scorer_team.h"
#include "engine/syncog.h"

struct syn_engine {
    syn_ctx ctx;
    syn_model model; /* zero until it is filled */
    uint64_t seed;
    uint64_t sessions; /* created so far: each draws from its own stream */
    int users;         /* the caller and every session */
};

/* State of the LSTM. */
typedef struct syn_memory {
    real h[SYN_STATE], c[SYN_STATE];
} syn_memory;

struct syn_session {
    syn_engine *engine;
    uint64_t number, draws;
    uint32_t *question; /* tokens, owned */
    int32_t question_count;
    int rows;
    uint32_t claims; /* mask of rows */
    syn_tasks tasks; /* one task */
    syn_observer observer;
    syn_observation x;
    syn_env seen; /* the team of the last look; `known`: the observer holds it */
    bool known;
    syn_memory before, after; /* the last step of the memory, made in turn `decided` (-1: none) */
    int32_t decided;
    real logit[SYN_ACTIONS_MAX], probability[SYN_ACTIONS_MAX];
};

/* An engine with a context and an empty model, for whoever fills the model. */
SYN_WARN_UNUSED syn_status syn_engine_create(const syn_engine_config *config, syn_engine **out);

/* Checks that a filled model can look at teams; `name` stands for it in the sentence. */
SYN_WARN_UNUSED syn_status syn_engine_check(const syn_engine *engine, const char *name);

/* syncog_text.c: a text with its checks; `name` stands for it in errors, max in bytes. */
SYN_WARN_UNUSED syn_status syn_text_check(const char *name, const char *text, size_t max,
                                          size_t *bytes);
/* The tokens of the question, at least one; free(). */
SYN_WARN_UNUSED syn_status syn_question_read(const char *question, uint32_t **tokens,
                                             int32_t *count);
/* Builds the session's task from the pieces; the session is as before on failure. */
SYN_WARN_UNUSED syn_status syn_pieces_read(syn_session *session, const syn_document *pieces,
                                           int count);

/* syncog_team.c: the rows that a move may carry. */
uint32_t syn_team_movable(const syn_env *team, const syn_action *action);

/* Brings the observer and the observation up to this team. */
SYN_WARN_UNUSED syn_status syn_session_look(syn_session *session, const syn_env *team);

#endif
