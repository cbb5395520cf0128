/* How one environment becomes numbers: pure functions of its state and of what the networks said of
 * it, called by the CPU and inside CUDA kernels alike. Large parts that are copied from elsewhere
 * (features of a piece) are left to the caller, which copies them as its device likes to. */
#ifndef SYN_ENGINE_OBSERVE_CORE_H
#define SYN_ENGINE_OBSERVE_CORE_H

#include <string.h>

#include "engine/observe.h"

/* At a reset every agent has changed. Where a turn touches all of them too, the view of all pieces
 * is made again: it comes out the same. */
SYN_HD bool syn_env_fresh(const syn_env *e)
{
    return e->changed == (1u << e->agents) - 1;
}

/* ---- Items ---- */

/* What stands with piece `row` in agent i's memory beside its features and its logit: meta
 * (SYN_ITEM_META), overwritten. */
SYN_HD void syn_item_meta(const syn_env *env, bool central, int i, int row, real *meta)
{
    const int giver = env->giver[i][row];
    int holders = 0;
    for (int j = 0; j < env->agents; j++) holders += env->memory[j] >> row & 1;
    meta[0] = giver == i;
    meta[1] = giver != i;
    meta[2] = giver != i && giver == 0;
    meta[3] = i == 0;
    meta[4] = (real)(env->claims >> row & 1);
    meta[5] = (real)(env->turn - env->arrived[i][row]) / (real)env->turns_max;
    meta[6] = env->arrived[i][row] == 0;
    meta[7] = (real)env->count[i] / 10;
    meta[8] = (real)env->agents / SYN_AGENTS_MAX;
    meta[9] = env->goal == SYN_GOAL_CONSENSUS;
    meta[10] = (real)((env->sent[i][0] | env->sent[0][i]) >> row & 1);
    meta[11] = central ? (real)(env->memory[0] >> row & 1) : 0;
    meta[12] = central ? (real)holders / (real)env->agents : 0;
    meta[13] = (real)env->turn / (real)env->turns_max;
    meta[14] = 1;
}

/* ---- The turn ---- */

/* One environment with everything known of it. */
typedef struct syn_team {
    const syn_env *env;
    const real *own, *all, *rel, *link, *gap; /* of this environment, as in the observer */
    const float *rank;
    bool central;
    real relevant[SYN_ROWS_MAX]; /* probability that a piece is supporting; 0 where it may not be
                                    seen */
    real held[SYN_AGENTS_MAX], present; /* sums of it: by agent, over all pieces */
    real gap_others;                    /* mean gap of all but the asker */
    real gap_max;
} syn_team;

/* The places of environment e in the observer; the sums are left to the three functions below. */
SYN_HD void syn_team_place(syn_team *t, const syn_observer *o, const syn_env *env, int64_t e)
{
    const int64_t N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX;
    t->env = env;
    t->own = o->own + e * N * R * SYN_DV;
    t->all = o->all + e * R * SYN_DV;
    t->rel = o->rel + e * R;
    t->link = o->link + e * N * N;
    t->gap = o->gap + e * N;
    t->rank = o->rank + e * N * R;
    t->central = o->central;
}

/* t->relevant of row p. */
SYN_HD void syn_team_relevance(syn_team *t, int p)
{
    t->relevant[p] = t->central && t->env->present >> p & 1 ? syn_sigmoid(t->rel[p]) : 0;
}

/* t->held of agent i after all of t->relevant; i = SYN_AGENTS_MAX: t->present. */
SYN_HD void syn_team_held(syn_team *t, int i)
{
    const bool team = i < SYN_AGENTS_MAX;
    real sum = 0;
    uint32_t rows = t->central ? t->env->present : 0;
    if (team) rows &= i < t->env->agents ? t->env->memory[i] : 0;
    for (; rows; rows &= rows - 1) sum += t->relevant[syn_lowest(rows)];
    if (team)
        t->held[i] = sum;
    else
        t->present = sum;
}

SYN_HD void syn_team_gaps(syn_team *t)
{
    t->gap_others = t->gap_max = 0;
    for (int i = 1; i < t->env->agents; i++) {
        t->gap_others += t->gap[i] / (real)(t->env->agents - 1);
        t->gap_max = t->gap[i] > t->gap_max ? t->gap[i] : t->gap_max;
    }
}

SYN_HD real syn_squash(real logit)
{
    return logit > 8 ? 2 : logit < -8 ? -2 : logit / 4;
}

/* The k-th largest relevance logit (k = 0: the largest) among the rows, squashed; -2 where none is.
 */
SYN_HD real syn_team_kth(const syn_team *t, uint32_t rows, int k)
{
    for (; rows && t->central; k--) {
        int at = -1;
        for (uint32_t left = rows; left; left &= left - 1) {
            int p = syn_lowest(left);
            if (at < 0 || t->rel[p] > t->rel[at]) at = p;
        }
        rows &= ~(1u << at);
        if (k == 0) return syn_squash(t->rel[at]);
    }
    return -2;
}

SYN_HD real syn_team_sum(const syn_team *t, uint32_t rows)
{
    real sum = 0;
    for (; rows; rows &= rows - 1) sum += t->relevant[syn_lowest(rows)];
    return sum;
}

/* The message vector x (SYN_DM) but for the features of the piece that moved, which are left zero:
 * returns its row, or -1, and in *reader the agent by whose view it is described. */
SYN_HD int syn_message_head(const syn_team *t, real *x, int *reader_out)
{
    const syn_env *env = t->env;
    const syn_action *a = &env->last;
    const bool asked = a->kind == SYN_REQUEST;
    const int from = asked ? a->to : a->from, to = asked ? a->from : a->to; /* of the delivery */
    const int reader = to >= 0 ? to : from >= 0 ? from : 0, p = a->piece;
    memset(x, 0, sizeof(real) * SYN_DM);
    real *meta = x + SYN_DX + 1;
    if (p >= 0) {
        x[SYN_DX] = syn_squash(t->central ? t->rel[p] : (real)t->rank[reader * SYN_ROWS_MAX + p]);
        meta[10] = env->giver[from][p] != from;
        meta[11] = env->giver[from][p] == from;
        meta[22] = env->arrived[reader][p] == env->turn;
        meta[23] = (real)(env->claims >> p & 1);
        meta[24] = syn_squash((real)t->rank[from * SYN_ROWS_MAX + p]);
    }
    meta[a->kind < SYN_NO_ACTION ? a->kind : 6] = 1;
    meta[7] = from == 0;
    meta[8] = to == 0;
    meta[9] = a->kind == SYN_BROADCAST;
    meta[12] = (real)env->turn / (real)env->turns_max;
    meta[13] = (real)env->messages / 10;
    meta[14] = (real)env->deliveries / 20;
    meta[15] = (real)env->agents / SYN_AGENTS_MAX;
    meta[16] = env->goal == SYN_GOAL_CONSENSUS;
    meta[17] = t->gap[0];
    meta[18] = t->gap_others;
    meta[19] = t->gap_max;
    meta[20] = (real)env->count[0] / 10;
    meta[21] = (real)syn_popcount(env->present) / SYN_ROWS_MAX;
    meta[25] = t->held[0];
    meta[26] = t->present;
    meta[27] = syn_team_kth(t, env->present & ~env->memory[0], 0);
    for (int j = 1; j < env->agents; j++) meta[28] = t->link[j] > meta[28] ? t->link[j] : meta[28];
    meta[29] = 1 - meta[12];
    meta[30] = 1;
    *reader_out = reader;
    return p;
}

/* The move `kind` by i towards j: x (SYN_PAIR_HEAD), overwritten. Returns the row that would
 * travel, or -1: its question features and its features by i's view are the rest of the vector, or
 * zeros. */
SYN_HD int syn_pair_head(const syn_team *t, int kind, int i, int j, real *x)
{
    const syn_env *env = t->env;
    const int sender = kind == SYN_SEND ? i : j, receiver = kind == SYN_SEND ? j : i;
    const int p = syn_env_piece(env, kind, i, j, t->rank), judge = i;
    const uint32_t unsent = syn_env_unsent(env, sender, receiver);
    const uint32_t lacked = unsent & ~env->memory[receiver];
    memset(x, 0, sizeof(real) * SYN_PAIR_HEAD);
    x[0] = t->link[receiver * SYN_AGENTS_MAX + sender];
    x[1] = t->gap[receiver];
    x[2] = t->gap[sender];
    x[5] = t->central ? syn_team_sum(t, lacked) : 0;
    x[6] = (real)syn_popcount(unsent) / 8;
    x[7] = (real)syn_popcount(env->sent[sender][receiver]) / 8;
    x[8] = sender == 0;
    x[9] = receiver == 0;
    x[10] = env->goal == SYN_GOAL_CONSENSUS;
    x[11] = (real)env->turn / (real)env->turns_max;
    if (p < 0) return p;
    x[3] = syn_squash((real)t->rank[judge * SYN_ROWS_MAX + p]);
    x[4] = t->central ? syn_squash(t->rel[p]) : 0;
    x[12] = (real)(env->memory[receiver] >> p & 1);
    x[13] = t->central ? x[4] - syn_team_kth(t, lacked, 0) : 0;
    return p;
}

/* x (SYN_AGENT_X), overwritten. */
SYN_HD void syn_agent_vector(const syn_team *t, int i, real *x)
{
    const syn_env *env = t->env;
    const int p = syn_env_piece(env, SYN_BROADCAST, i, -1, t->rank);
    real others = 0;
    int lacking = 0;
    for (int j = 0; j < env->agents; j++) {
        if (j == i) continue;
        others += t->gap[j] / (real)(env->agents - 1);
        lacking += p >= 0 && !(env->memory[j] >> p & 1);
    }
    x[0] = t->gap[i];
    x[1] = others;
    x[2] = i == 0;
    x[3] = (real)syn_popcount(env->own[i] & ~env->memory[i]) / 8;
    x[4] = env->goal == SYN_GOAL_CONSENSUS;
    x[5] = (real)env->turn / (real)env->turns_max;
    x[6] = p >= 0 ? syn_squash((real)t->rank[i * SYN_ROWS_MAX + p]) : 0;
    x[7] = p >= 0 && t->central ? syn_squash(t->rel[p]) : 0;
    x[8] = (real)lacking / (real)env->agents;
    x[9] = t->held[i];
    x[10] = p >= 0;
    x[11] = (real)env->count[i] / 10;
    x[12] = (real)env->agents / SYN_AGENTS_MAX;
    x[13] = t->link[i]; /* the asker's */
    x[14] = t->present;
    x[15] = t->gap_max;
}

/* Mean share of the relevant mass over the best-covered majority: the consensus goal as believed.
 */
SYN_HD real syn_team_majority(const syn_team *t)
{
    real share[SYN_AGENTS_MAX];
    const int n = t->env->agents, need = n / 2 + 1;
    for (int i = 0; i < n; i++) share[i] = t->present > 0 ? t->held[i] / t->present : 0;
    real sum = 0;
    for (int k = 0; k < need; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++) {
            if (share[i] > share[best]) best = i;
        }
        real x = share[best];
        share[best] = share[k];
        share[k] = x;
        sum += x;
    }
    return sum / (real)need;
}

/* v (SYN_SUMMARY), overwritten. */
SYN_HD void syn_summary_vector(const syn_team *t, real *v)
{
    const syn_env *env = t->env;
    const uint32_t mine = env->memory[0], missing = env->present & ~mine;
    real link = 0, covered = 0, coverable = 0, known = -2, sure = 0;
    for (int j = 1; j < env->agents; j++) link = t->link[j] > link ? t->link[j] : link;
    for (uint32_t left = mine; left; left &= left - 1) {
        real c = t->own[syn_lowest(left) * SYN_DV + 19];
        covered = c > covered ? c : covered;
    }
    for (uint32_t left = missing; left && t->central; left &= left - 1) {
        int p = syn_lowest(left);
        real c = t->all[p * SYN_DV + 19], k = syn_squash((real)t->rank[p]);
        coverable = c > coverable ? c : coverable;
        known = k > known ? k : known;
    }
    for (int i = 0; i < env->agents; i++) sure += t->gap[i] < (real)0.5;
    v[0] = t->gap[0];
    v[1] = t->gap_others;
    v[2] = t->gap_max;
    v[3] = link;
    v[4] = (real)env->turn / (real)env->turns_max;
    v[5] = (real)env->messages / 10;
    v[6] = (real)env->deliveries / 20;
    v[7] = (real)env->agents / SYN_AGENTS_MAX;
    v[8] = env->goal == SYN_GOAL_CONSENSUS;
    v[9] = (real)env->count[0] / 10;
    v[10] = (real)syn_popcount(env->present) / SYN_ROWS_MAX;
    v[11] = t->held[0];
    v[12] = t->present;
    v[13] = t->present - t->held[0];
    v[14] = syn_team_kth(t, missing, 0);
    v[15] = syn_team_kth(t, missing, 1);
    v[16] = syn_team_kth(t, mine, 0);
    v[17] = syn_team_kth(t, mine, 1);
    v[18] = syn_team_kth(t, env->present, 2);
    v[19] = known;
    v[20] = covered;
    v[21] = coverable;
    v[22] = sure / (real)env->agents;
    v[23] = syn_team_majority(t);
}

#endif
