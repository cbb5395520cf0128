/* The observation of one turn: message vector, features of the possible moves, summary, legal mask.
 */
#include <math.h>
#include <string.h>

#include "engine/observe.h"

enum { R = SYN_ROWS_MAX, N = SYN_AGENTS_MAX };

/* One environment with everything known of it. */
typedef struct team {
    const syn_env *env;
    const real *quest;
    const real *own, *all, *rel, *link, *gap; /* of this environment */
    const float *rank;
    bool central;
    real relevant[R];      /* probability that a piece is supporting; 0 where it may not be seen */
    real held[N], present; /* sums of it: by agent, over all pieces */
    real gap_others;       /* mean gap of all but the asker */
    real gap_max;
} team;

static inline real squash(real logit)
{
    return logit > 8 ? 2 : logit < -8 ? -2 : logit / 4;
}

static void team_make(team *t, const syn_observer *o, const syn_tasks *tasks, const syn_env *env,
                      int64_t e)
{
    t->env = env;
    t->quest = tasks->quest + (int64_t)env->task * SYN_TASK_QUEST;
    t->own = o->own + e * N * R * SYN_DV;
    t->all = o->all + e * R * SYN_DV;
    t->rel = o->rel + e * R;
    t->link = o->link + e * N * N;
    t->gap = o->gap + e * N;
    t->rank = o->rank + e * N * R;
    t->central = o->central;
    t->present = t->gap_others = t->gap_max = 0;
    memset(t->held, 0, sizeof t->held);
    memset(t->relevant, 0, sizeof t->relevant);
    for (uint32_t left = t->central ? env->present : 0; left; left &= left - 1) {
        int p = syn_lowest(left);
        t->relevant[p] = syn_sigmoid(t->rel[p]);
        t->present += t->relevant[p];
        for (int i = 0; i < env->agents; i++) {
            if (env->memory[i] >> p & 1) t->held[i] += t->relevant[p];
        }
    }
    for (int i = 1; i < env->agents; i++) {
        t->gap_others += t->gap[i] / (real)(env->agents - 1);
        t->gap_max = t->gap[i] > t->gap_max ? t->gap[i] : t->gap_max;
    }
}

/* The k-th largest relevance logit (k = 0: the largest) among the rows, squashed; -2 where none is.
 */
static real kth_relevance(const team *t, uint32_t rows, int k)
{
    real best = -2;
    for (; rows && t->central; k--) {
        int at = -1;
        for (uint32_t left = rows; left; left &= left - 1) {
            int p = syn_lowest(left);
            if (at < 0 || t->rel[p] > t->rel[at]) at = p;
        }
        rows &= ~(1u << at);
        if (k == 0) return squash(t->rel[at]);
    }
    return best;
}

static real sum_relevant(const team *t, uint32_t rows)
{
    real sum = 0;
    for (; rows; rows &= rows - 1) sum += t->relevant[syn_lowest(rows)];
    return sum;
}

static void message_vector(const team *t, real *x)
{
    const syn_env *env = t->env;
    const syn_action *a = &env->last;
    const bool asked = a->kind == SYN_REQUEST;
    const int from = asked ? a->to : a->from, to = asked ? a->from : a->to; /* of the delivery */
    const int reader = to >= 0 ? to : from >= 0 ? from : 0;
    memset(x, 0, sizeof(real) * SYN_DM);
    real *meta = x + SYN_DX + 1;
    if (a->piece >= 0) {
        const int p = a->piece;
        memcpy(x, t->quest + p * SYN_DQ, sizeof(real) * SYN_DQ);
        memcpy(x + SYN_DQ, t->own + (reader * R + p) * SYN_DV, sizeof(real) * SYN_DV);
        if (t->central) memcpy(x + SYN_DQ + SYN_DV, t->all + p * SYN_DV, sizeof(real) * SYN_DV);
        x[SYN_DX] = squash(t->central ? t->rel[p] : (real)t->rank[reader * R + p]);
        meta[10] = env->giver[from][p] != from;
        meta[11] = env->giver[from][p] == from;
        meta[22] = env->arrived[reader][p] == env->turn;
        meta[23] = env->claims >> p & 1;
        meta[24] = squash((real)t->rank[from * R + p]);
    }
    meta[a->kind < SYN_NO_ACTION ? a->kind : 6] = 1;
    meta[7] = from == 0;
    meta[8] = to == 0;
    meta[9] = a->kind == SYN_BROADCAST;
    meta[12] = (real)env->turn / (real)env->turns_max;
    meta[13] = (real)env->messages / 10;
    meta[14] = (real)env->deliveries / 20;
    meta[15] = (real)env->agents / N;
    meta[16] = env->goal == SYN_GOAL_CONSENSUS;
    meta[17] = t->gap[0];
    meta[18] = t->gap_others;
    meta[19] = t->gap_max;
    meta[20] = (real)env->count[0] / 10;
    meta[21] = (real)syn_popcount(env->present) / R;
    meta[25] = t->held[0];
    meta[26] = t->present;
    meta[27] = kth_relevance(t, env->present & ~env->memory[0], 0);
    for (int j = 1; j < env->agents; j++) meta[28] = t->link[j] > meta[28] ? t->link[j] : meta[28];
    meta[29] = 1 - meta[12];
    meta[30] = 1;
}

/* Features of the move `kind` by i towards j; the piece travels from `sender` to `receiver`. */
static void pair_vector(const team *t, int kind, int i, int j, real *x)
{
    const syn_env *env = t->env;
    const int sender = kind == SYN_SEND ? i : j, receiver = kind == SYN_SEND ? j : i;
    const int p = syn_env_piece(env, kind, i, j, t->rank), judge = i;
    const uint32_t unsent = syn_env_unsent(env, sender, receiver);
    const uint32_t lacked = unsent & ~env->memory[receiver];
    memset(x, 0, sizeof(real) * SYN_PAIR_X);
    x[0] = t->link[receiver * N + sender];
    x[1] = t->gap[receiver];
    x[2] = t->gap[sender];
    x[5] = t->central ? sum_relevant(t, lacked) : 0;
    x[6] = (real)syn_popcount(unsent) / 8;
    x[7] = (real)syn_popcount(env->sent[sender][receiver]) / 8;
    x[8] = sender == 0;
    x[9] = receiver == 0;
    x[10] = env->goal == SYN_GOAL_CONSENSUS;
    x[11] = (real)env->turn / (real)env->turns_max;
    if (p < 0) return;
    x[3] = squash((real)t->rank[judge * R + p]);
    x[4] = t->central ? squash(t->rel[p]) : 0;
    x[12] = env->memory[receiver] >> p & 1;
    x[13] = t->central ? x[4] - kth_relevance(t, lacked, 0) : 0;
    memcpy(x + 14, t->quest + p * SYN_DQ, sizeof(real) * SYN_DQ);
    memcpy(x + 14 + SYN_DQ, t->own + (judge * R + p) * SYN_DV, sizeof(real) * SYN_DV);
}

static void agent_vector(const team *t, int i, real *x)
{
    const syn_env *env = t->env;
    const int p = syn_env_piece(env, SYN_BROADCAST, i, -1, t->rank);
    memset(x, 0, sizeof(real) * SYN_AGENT_X);
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
    x[6] = p >= 0 ? squash((real)t->rank[i * R + p]) : 0;
    x[7] = p >= 0 && t->central ? squash(t->rel[p]) : 0;
    x[8] = (real)lacking / (real)env->agents;
    x[9] = t->held[i];
    x[10] = p >= 0;
    x[11] = (real)env->count[i] / 10;
    x[12] = (real)env->agents / N;
    x[13] = t->link[0 * N + i];
    x[14] = t->present;
    x[15] = t->gap_max;
}

/* Mean share of the relevant mass over the best-covered majority: the consensus goal as believed.
 */
static real majority_share(const team *t)
{
    real share[N];
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

static void summary_vector(const team *t, real *x)
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
        real c = t->all[p * SYN_DV + 19], k = squash((real)t->rank[p]);
        coverable = c > coverable ? c : coverable;
        known = k > known ? k : known;
    }
    for (int i = 0; i < env->agents; i++) sure += t->gap[i] < (real)0.5;
    const real v[SYN_SUMMARY] = {t->gap[0],
                                 t->gap_others,
                                 t->gap_max,
                                 link,
                                 (real)env->turn / (real)env->turns_max,
                                 (real)env->messages / 10,
                                 (real)env->deliveries / 20,
                                 (real)env->agents / N,
                                 env->goal == SYN_GOAL_CONSENSUS,
                                 (real)env->count[0] / 10,
                                 (real)syn_popcount(env->present) / R,
                                 t->held[0],
                                 t->present,
                                 t->present - t->held[0],
                                 kth_relevance(t, missing, 0),
                                 kth_relevance(t, missing, 1),
                                 kth_relevance(t, mine, 0),
                                 kth_relevance(t, mine, 1),
                                 kth_relevance(t, env->present, 2),
                                 known,
                                 covered,
                                 coverable,
                                 sure / (real)env->agents,
                                 majority_share(t)};
    memcpy(x, v, sizeof v);
}

/* What an ablation takes away from the observation of environment e. */
static void go_without(uint32_t without, const syn_observation *out, int64_t e, int agents)
{
    syn_without_apply(without, SYN_INPUT_MESSAGE, 1, out->message + e * SYN_DM);
    syn_without_apply(without, SYN_INPUT_SUMMARY, 1, out->summary + e * SYN_SUMMARY);
    syn_without_apply(without, SYN_INPUT_AGENT, agents, out->agent_x + e * N * SYN_AGENT_X);
    for (int64_t k = 0; k < 2 * N; k++) { /* rows of agents that are not there stay as they are */
        if (k % N >= agents) continue;
        syn_without_apply(without, SYN_INPUT_PAIR, agents,
                          out->pair_x + (e * 2 * N + k) * N * SYN_PAIR_X);
    }
    /* An empty message after a fresh start, every turn: the state is a constant. */
    if (without & SYN_WITHOUT_STATE) out->reset[e] = 1;
}

syn_status syn_observe_turn(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                            const syn_tasks *tasks, const syn_env *envs, const syn_observation *out)
{
    SYN_RETURN_IF(syn_observe_views(ctx, o, p, tasks, envs));
    SYN_RETURN_IF(syn_observe_team(ctx, o, p, envs, tasks));
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < o->envs; e++) {
        const syn_env *env = &envs[e];
        team t;
        team_make(&t, o, tasks, env, e);
        message_vector(&t, out->message + e * SYN_DM);
        summary_vector(&t, out->summary + e * SYN_SUMMARY);
        syn_env_legal(env, out->mask + e * SYN_ACTIONS_MAX);
        out->count[e] = env->agents;
        out->reset[e] = env->turn == 0;
        memcpy(out->ckm + e * N * SYN_CKM, o->ckm + e * N * SYN_CKM, sizeof(real) * N * SYN_CKM);
        for (int i = 0; i < env->agents; i++) {
            agent_vector(&t, i, out->agent_x + (e * N + i) * SYN_AGENT_X);
            for (int j = 0; j < env->agents; j++) {
                if (i == j) continue;
                real *x = out->pair_x + ((e * 2 * N + i) * N + j) * SYN_PAIR_X;
                pair_vector(&t, SYN_SEND, i, j, x);
                pair_vector(&t, SYN_REQUEST, i, j, x + (int64_t)N * N * SYN_PAIR_X);
            }
        }
        if (p->without) go_without(p->without, out, e, env->agents);
    }
    return SYN_OK;
}
