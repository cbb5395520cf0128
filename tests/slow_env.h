/* The rules of the collaboration, written as plainly as they are said: sets are arrays of booleans,
 * what an agent knows is a list, and nothing is clever. The reference that the environment is held
 * against; it shares no code with it but the names of the actions and the settings. */
#ifndef SYN_TESTS_SLOW_ENV_H
#define SYN_TESTS_SLOW_ENV_H

#include "kernels/env_core.h"
#include "tests/test.h"

enum { SLOW_AGENTS = 10, SLOW_ROWS = 32, SLOW_ACTIONS = 202 };

typedef struct slow_action {
    int kind, from, to;
} slow_action;

typedef struct slow_env {
    int agents, turn, turns_max, goal;
    bool unanswerable, done, success;
    int messages, deliveries;
    double episode_return;
    bool gold[SLOW_ROWS];
    bool owns[SLOW_AGENTS][SLOW_ROWS], knows[SLOW_AGENTS][SLOW_ROWS];
    bool told[SLOW_AGENTS][SLOW_AGENTS][SLOW_ROWS]; /* [from][to] */
    int list[SLOW_AGENTS][SLOW_ROWS], known[SLOW_AGENTS];
    int giver[SLOW_AGENTS][SLOW_ROWS], arrived[SLOW_AGENTS][SLOW_ROWS];
    slow_action last;
    int last_piece;
    int reads_next; /* ALONE reads any unread piece: which one, the side under test has said */
} slow_env;

/* The list of all actions, in the order that the flat index promises. */
static inline void slow_actions(slow_action *list)
{
    int n = 0;
    for (int kind = SYN_SEND; kind <= SYN_REQUEST; kind++)
        for (int i = 0; i < SLOW_AGENTS; i++)
            for (int j = 0; j < SLOW_AGENTS; j++)
                if (i != j) list[n++] = (slow_action){kind, i, j};
    for (int i = 0; i < SLOW_AGENTS; i++) list[n++] = (slow_action){SYN_BROADCAST, i, -1};
    for (int i = 0; i < SLOW_AGENTS; i++) list[n++] = (slow_action){SYN_ALONE, i, -1};
    list[n++] = (slow_action){SYN_ANSWER, -1, -1};
    list[n++] = (slow_action){SYN_ABSTAIN, -1, -1};
    assert_int_equal(n, SLOW_ACTIONS);
}

static inline void slow_learn(slow_env *s, int agent, int row, int giver)
{
    if (s->knows[agent][row]) return;
    s->knows[agent][row] = true;
    s->list[agent][s->known[agent]++] = row;
    s->giver[agent][row] = giver;
    s->arrived[agent][row] = s->turn;
}

/* An opening state: what was dealt is taken over, what was read is the first `read_limit` of it. */
static inline void slow_open(slow_env *s, const syn_env *e, int read_limit)
{
    memset(s, 0, sizeof *s);
    s->agents = e->agents;
    s->turns_max = e->turns_max;
    s->goal = e->goal;
    s->unanswerable = e->stratum == 2;
    s->last = (slow_action){SYN_NO_ACTION, -1, -1};
    s->last_piece = -1;
    for (int p = 0; p < SLOW_ROWS; p++) s->gold[p] = e->gold >> p & 1;
    for (int i = 0; i < s->agents; i++) {
        int dealt = 0;
        for (int p = 0; p < SLOW_ROWS; p++) dealt += s->owns[i][p] = e->own[i] >> p & 1;
        int read = read_limit && dealt > read_limit ? read_limit : dealt;
        assert_int_equal(e->count[i], read);
        for (int k = 0; k < read; k++) {
            assert_true(s->owns[i][e->item[i][k]]);
            slow_learn(s, i, e->item[i][k], i);
        }
    }
}

/* May `from` pass piece p to `to`? It knows it, has not sent it there and did not get it from
 * there. */
static inline bool slow_may_pass(const slow_env *s, int from, int to, int p)
{
    return from != to && s->knows[from][p] && !s->told[from][to][p] && !s->told[to][from][p];
}

/* May action a move or read piece p? */
static inline bool slow_may_carry(const slow_env *s, slow_action a, int p)
{
    if (a.from >= s->agents || a.to >= s->agents) return false;
    if (a.kind == SYN_SEND) return slow_may_pass(s, a.from, a.to, p);
    if (a.kind == SYN_REQUEST) return slow_may_pass(s, a.to, a.from, p) && !s->knows[a.from][p];
    if (a.kind == SYN_ALONE) return s->owns[a.from][p] && !s->knows[a.from][p];
    if (a.kind != SYN_BROADCAST) return false;
    for (int j = 0; j < s->agents; j++)
        if (slow_may_pass(s, a.from, j, p)) return true;
    return false;
}

/* The piece that a carries, -1 for none: the one worth most to the judge, the first of equals.
 * Reading alone takes the piece announced. The judge is always a.from: on SEND and BROADCAST it
 * sends, on REQUEST it is the one who asks, by whose knowledge the replier chooses. */
static inline int slow_piece(const slow_env *s, slow_action a, const float *rank)
{
    int best = -1;
    for (int p = 0; p < SLOW_ROWS; p++) {
        if (!slow_may_carry(s, a, p)) continue;
        if (best < 0) best = p;
        if (a.kind == SYN_ALONE && s->reads_next >= 0 && slow_may_carry(s, a, s->reads_next))
            return s->reads_next;
        if (rank[a.from * SLOW_ROWS + p] > rank[a.from * SLOW_ROWS + best]) best = p;
    }
    return best;
}

static inline bool slow_legal(const slow_env *s, slow_action a)
{
    if (a.kind == SYN_ANSWER || a.kind == SYN_ABSTAIN) return true;
    for (int p = 0; p < SLOW_ROWS; p++)
        if (slow_may_carry(s, a, p)) return true;
    return false;
}

static inline int slow_gold_count(const slow_env *s)
{
    int n = 0;
    for (int p = 0; p < SLOW_ROWS; p++) n += s->gold[p];
    return n;
}

static inline int slow_gold_held(const slow_env *s, int agent)
{
    int n = 0;
    for (int p = 0; p < SLOW_ROWS; p++) n += s->gold[p] && s->knows[agent][p];
    return n;
}

static inline bool slow_goal_reached(const slow_env *s)
{
    int holders = 0;
    if (s->goal == SYN_GOAL_ASKER) return slow_gold_held(s, 0) == slow_gold_count(s);
    for (int i = 0; i < s->agents; i++) holders += slow_gold_held(s, i) == slow_gold_count(s);
    return holders > s->agents / 2.0;
}

/* phi, without its factor: how much of S the asker holds, or the best majority on average. */
static inline double slow_progress(const slow_env *s)
{
    double total = slow_gold_count(s), sum = 0;
    if (s->goal == SYN_GOAL_ASKER) return slow_gold_held(s, 0) / total;
    int held[SLOW_AGENTS], majority = s->agents / 2 + 1;
    for (int i = 0; i < s->agents; i++) held[i] = slow_gold_held(s, i);
    for (int i = 0; i < s->agents; i++) /* largest first */
        for (int j = i + 1; j < s->agents; j++)
            if (held[j] > held[i]) {
                int t = held[i];
                held[i] = held[j];
                held[j] = t;
            }
    for (int i = 0; i < majority; i++) sum += held[i] / total;
    return sum / majority;
}

static inline void slow_deliver(slow_env *s, int from, int to, int p)
{
    slow_learn(s, to, p, from);
    s->told[from][to][p] = true;
    s->deliveries++;
}

static inline void slow_move(slow_env *s, slow_action a, int p)
{
    if (a.kind == SYN_ALONE) slow_learn(s, a.from, p, a.from);
    if (a.kind == SYN_SEND) {
        s->messages += 1;
        slow_deliver(s, a.from, a.to, p);
    }
    if (a.kind == SYN_REQUEST) {
        s->messages += 2;
        slow_deliver(s, a.to, a.from, p);
    }
    if (a.kind == SYN_BROADCAST) {
        s->messages += 1;
        for (int j = 0; j < s->agents; j++)
            if (j != a.from) slow_deliver(s, a.from, j, p);
    }
}

/* One turn; an illegal action loses it. Returns the reward, with the potential if gamma is not 0.
 */
static inline double slow_step(slow_env *s, const syn_env_config *cfg, slow_action a,
                               const float *rank)
{
    const double before = cfg->potential * slow_progress(s);
    const int messages = s->messages, deliveries = s->deliveries;
    const int p = slow_piece(s, a, rank);
    bool lost = p < 0 && a.kind != SYN_ANSWER && a.kind != SYN_ABSTAIN;
    s->turn++;
    if (p >= 0) slow_move(s, a, p);
    double r = -cfg->turn_cost - cfg->message_cost * (s->messages - messages) -
               cfg->delivery_cost * (s->deliveries - deliveries);
    if (a.kind == SYN_ANSWER) {
        s->done = true;
        s->success = slow_goal_reached(s);
        r += s->success ? cfg->reward_success : cfg->reward_failure;
    } else if (a.kind == SYN_ABSTAIN) {
        s->done = true;
        r += s->unanswerable ? cfg->reward_abstain : cfg->reward_failure;
    } else if (s->turn == s->turns_max) {
        s->done = true;
        r += cfg->reward_failure;
    }
    s->last = a;
    if (lost) s->last.kind = SYN_NO_ACTION;
    s->last_piece = p;
    s->episode_return += r;
    if (cfg->gamma == 0) return r;
    double after = s->done ? 0 : cfg->potential * slow_progress(s);
    return r + cfg->gamma * after - before;
}

#endif
