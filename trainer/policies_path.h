/* Paths: who says what when nobody stops it, and what any rule of stopping would have made of that.
 *
 * Which move a policy would make next does not depend on its wish to stop. So an episode is played
 * once, without ANSWER and ABSTAIN, and every state on the way is kept with all that a rule of
 * stopping may go by. A rule then picks the state at which it would have stopped, and the result is
 * the one that playing with this rule gives. One play serves a whole sweep of rules; and the
 * routing of one policy can be joined with the stopping of another. */
#ifndef SYN_TRAINER_POLICIES_PATH_H
#define SYN_TRAINER_POLICIES_PATH_H

#include "trainer/policies.h"

/* A state before a turn. In the last one of a path there is nothing left to choose but the end. */
typedef struct syn_path_row {
    float episode_return;        /* so far */
    float move, answer, abstain; /* logits of the best legal move, of ANSWER and of ABSTAIN */
    float gap;                   /* calibrated probability that the asker lacks something */
    int16_t messages, deliveries, turn, requests, moves;
    uint8_t reached; /* ANSWER would be right */
} syn_path_row;

typedef struct syn_path {
    int64_t first; /* of its rows */
    int32_t rows, record;
    int16_t agents;
    uint8_t stratum;
} syn_path;

typedef struct syn_paths {
    bool observed; /* the rows hold logits and gaps */
    int64_t count;
    syn_path *path; /* (count), by episode */
    syn_path_row *row;
    int64_t rows, rows_max;
    syn_env_config env;
} syn_paths;

/* Added to the logits of ANSWER and ABSTAIN: below 0 more messages, above 0 fewer. */
typedef struct syn_stop_bias {
    float answer, abstain;
} syn_stop_bias;

enum { SYN_PATH_RULES_MAX = 32 };

/* The moves of `router` in episodes 0 .. count-1, those that syn_play_policy plays; a router's own
 * ANSWER, ABSTAIN or last turn ends the path. A random router draws among moves alone. observed:
 * the networks look at every turn, whoever routes (a learned router's turns always are); needs
 * play->perception and play->control. A learned router goes its way (argmax) until each of `rules`
 * would have stopped, so that syn_stop_biased is exact for these and for what stops earlier; other
 * routers take none. out is initialised here, and empty on an error. Errors: those of
 * syn_play_policy; SYN_ERR_INVALID for more rules than SYN_PATH_RULES_MAX, or none for a learned
 * router. Equal for equal seeds. */
SYN_WARN_UNUSED syn_status syn_play_paths(const syn_play *play, syn_policy_kind router,
                                          bool observed, const syn_stop_bias *rules, int rule_count,
                                          int64_t count, syn_paths *out);
void syn_paths_free(syn_paths *p);

/* Where a path ends, and with what. */
typedef struct syn_path_stop {
    int32_t row;
    bool abstain;
} syn_path_stop;

/* Stops where ANSWER or ABSTAIN, each with its bias, is worth more than every move; at the end of
 * the path with the better of the two: the learned policy with stop_in_time. Needs observed. */
syn_path_stop syn_stop_biased(const syn_paths *p, int64_t episode, syn_stop_bias bias);

/* ANSWER before the move that would make it more than so many messages. */
syn_path_stop syn_stop_after(const syn_paths *p, int64_t episode, int messages);

/* ANSWER as soon as it would be right, at the end of the path anyhow: an oracle's stop. */
syn_path_stop syn_stop_reached(const syn_paths *p, int64_t episode);

/* ANSWER as soon as the gap is below `answer`; at the end of the path ABSTAIN if it is above
 * `abstain`, else ANSWER. Needs observed. */
syn_path_stop syn_stop_gap(const syn_paths *p, int64_t episode, float answer, float abstain);

/* What the episode comes to when it is stopped there. */
syn_episode_result syn_path_result(const syn_paths *p, int64_t episode, syn_path_stop stop);

#endif
