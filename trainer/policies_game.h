/* The lockstep play behind syn_play_policy and syn_play_paths: a batch of environments in which one
 * policy plays episodes 0 .. count-1, each slot beginning the next one where the last ended.
 * Private to trainer/policies*.c. */
#ifndef SYN_TRAINER_POLICIES_GAME_H
#define SYN_TRAINER_POLICIES_GAME_H

#include "trainer/policies.h"

enum { SYN_ANSWER_INDEX = SYN_ACTIONS_MAX - 2, SYN_ABSTAIN_INDEX = SYN_ACTIONS_MAX - 1 };

typedef struct syn_game {
    const syn_play *play;
    syn_policy_kind kind;
    bool observed; /* the networks see every turn: logits and the asker's gap are there */
    int64_t E, next, count;
    syn_env *envs;
    int64_t *episode; /* (E): which one plays here, -1 when done */
    int16_t *requests, *moves;
    float *rank; /* (E, N, R): of policies that do not go by the ranker */
    syn_observer observer;
    syn_observation x;
    real *h, *c, *logit, *value, *logp;
    int32_t *action;
    uint64_t *counter;
    syn_play_trace *trace;
} syn_game;

/* The first episodes have begun; count > 0. Errors: SYN_ERR_INVALID (the play lacks what the policy
 * needs), SYN_ERR_MEMORY. syn_game_free in any case. */
SYN_WARN_UNUSED syn_status syn_game_init(syn_game *g, const syn_play *play, syn_policy_kind kind,
                                         bool observed, int64_t count);
void syn_game_free(syn_game *g);

/* Begins the next episode in slot e, or marks it done. */
void syn_game_start(syn_game *g, int64_t e);
bool syn_game_playing(const syn_game *g);

/* What the policy goes by in this turn: ranks, and where it is observed masks and logits. */
SYN_WARN_UNUSED syn_status syn_game_look(syn_game *g);

/* The worth of each piece to each agent in slot e, (N, R); raised (N, R): scratch. */
const float *syn_game_worth(const syn_game *g, int64_t e, float *raised);

/* Takes the turn in slot e. */
void syn_game_step(syn_game *g, int64_t e, int action, const float *worth);

/* A random stream for one turn of slot e. */
syn_rng syn_game_rng(const syn_game *g, int64_t e);

/* ---- Scripted policies (policies_scripted.c) ---- */

static inline bool syn_policy_is_learned(syn_policy_kind k)
{
    return k == SYN_POLICY_LEARNED || k == SYN_POLICY_LEARNED_NO_REQUEST;
}
static inline bool syn_policy_by_ranker(syn_policy_kind k)
{
    return syn_policy_is_learned(k) ||
           (k >= SYN_POLICY_NEVER_RANKER && k <= SYN_POLICY_COSINE_PUSH_RANKER);
}

/* The flat action of an untrained policy. */
int syn_scripted_action(syn_policy_kind kind, const syn_env *e, const float *worth, syn_rng *rng);

/* A random legal move, neither ANSWER nor ABSTAIN; -1 when there is none. */
int syn_scripted_random_move(const syn_env *e, syn_rng *rng);

/* Does this policy hand out certain pieces before all others? Then raised (N, R) is rank with those
 * on top. */
bool syn_scripted_raises(syn_policy_kind k);
void syn_scripted_raise(syn_policy_kind k, const syn_env *e, const float *rank, float *raised);

#endif
