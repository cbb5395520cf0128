/* Policies side by side: untrained baselines, the oracle, and the learned one, on the same
 * episodes.
 *
 * Every policy plays episodes 0 .. count-1 of one seed, so results are paired; the record of an
 * episode follows from its number alone. */
#ifndef SYN_TRAINER_POLICIES_H
#define SYN_TRAINER_POLICIES_H

#include "engine/control.h"
#include "kernels/env.h"
#include "trainer/corpus.h"

/* never: ANSWER at once. random: any legal action. broadcast: all send all to all. round_robin: the
 * others send the asker (goal consensus: everybody) their best piece in turn. cosine_push: the best
 * piece by worth while it is above a threshold. _ranker: worth is the trained ranker's, else the
 * cosine. */
#define SYN_POLICY_MAP(X)                                                                          \
    X(NEVER, "never")                                                                              \
    X(RANDOM, "random")                                                                            \
    X(BROADCAST, "broadcast")                                                                      \
    X(ROUND_ROBIN, "round_robin")                                                                  \
    X(COSINE_PUSH, "cosine_push")                                                                  \
    X(NEVER_RANKER, "never+ranker")                                                                \
    X(RANDOM_RANKER, "random+ranker")                                                              \
    X(BROADCAST_RANKER, "broadcast+ranker")                                                        \
    X(ROUND_ROBIN_RANKER, "round_robin+ranker")                                                    \
    X(COSINE_PUSH_RANKER, "cosine_push+ranker")                                                    \
    X(ORACLE, "oracle")                                                                            \
    X(LEARNED, "learned")                                                                          \
    X(LEARNED_NO_REQUEST, "learned_no_request")                                                    \
    X(ROUND_ROBIN_AUTO_END, "round_robin_auto_end")

typedef enum syn_policy_kind {
#define SYN_POLICY_ENUM(name, text) SYN_POLICY_##name,
    SYN_POLICY_MAP(SYN_POLICY_ENUM)
#undef SYN_POLICY_ENUM
        SYN_POLICY_COUNT
} syn_policy_kind;

const char *syn_policy_name(syn_policy_kind k);

typedef struct syn_episode_result {
    int32_t record; /* of the corpus: the question */
    float episode_return;
    int16_t messages, deliveries, turns, agents;
    int16_t requests, moves; /* REQUESTs, and all communication actions */
    uint8_t success, answerable, abstained, ended, stratum;
} syn_episode_result;

typedef struct syn_play {
    syn_ctx *ctx;
    const syn_corpus *corpus;
    syn_env_config env;
    const int32_t *record; /* indices into the corpus */
    int64_t records;
    syn_draw draw; /* over them; all zero: evenly */
    float untitled_share;
    uint64_t seed;
    int64_t first;                 /* the number of the first episode: a part of a larger play */
    bool central, sample;          /* sample: actions are drawn, not argmax */
    float stop_bias, abstain_bias; /* added to the learned policy's logits of ANSWER, of ABSTAIN */
    bool stop_in_time; /* the learned policy's last turn is ANSWER or ABSTAIN, whichever is worth
                          more; else it can time out */
    const syn_perception *perception;
    const syn_control *control; /* NULL unless a learned policy plays */
} syn_play;

/* States met on the way, for the gap detector under the policy's own distribution. */
typedef struct syn_play_trace {
    struct syn_scored *gap; /* (max) */
    int64_t count, max;
} syn_play_trace;

/* Plays `count` episodes; result (count) is overwritten. trace may be NULL. */
SYN_WARN_UNUSED syn_status syn_play_policy(const syn_play *play, syn_policy_kind kind,
                                           int64_t count, syn_episode_result *result,
                                           syn_play_trace *trace);

typedef struct syn_policy_summary {
    double episode_return, success, success_answerable, abstain_precision, abstain_recall;
    double messages, deliveries, ended, turns, request_share;
    int64_t episodes;
} syn_policy_summary;

syn_policy_summary syn_policy_summarise(const syn_episode_result *r, int64_t count);

#endif
