/* The collaboration environment, one instance: a few dozen integers and bit masks.
 *
 * Rows are the evidence pieces of a task (at most 32), a set of pieces is a bit mask. All functions
 * are pure on the instance and its random stream, allocate nothing and are usable in CUDA kernels.
 *
 * Episode: n agents, the pieces of one task dealt out, gold set S. Agent 0 is the asker. Strata
 * (goal asker): 25 % S within the asker's pieces, 60 % S held by the team, 15 % one gold piece
 * replaced by a foreign one (unanswerable); goal consensus: 75 % / 25 %. In every stratum one
 * distractor is replaced the same way. Agent sizes are drawn first, pieces placed after, so that
 * counts carry no label (env_deal.h; tasks with groups keep this as far as groups allow).
 *
 * Reward: gamma*phi(s') - phi(s) - 0.5 messages - 0.1 deliveries - 0.05 per turn; +20 for ANSWER
 * with the goal reached, +10 for ABSTAIN on an unanswerable task, -10 otherwise or at time-out. phi
 * is 0 at the end (Ng, Harada, Russell, "Policy invariance under reward transformations", ICML
 * 1999). */
#ifndef SYN_KERNELS_ENV_CORE_H
#define SYN_KERNELS_ENV_CORE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/env_deal.h"

enum { SYN_ACTIONS_MAX = 2 * SYN_AGENTS_MAX * (SYN_AGENTS_MAX - 1) + 2 * SYN_AGENTS_MAX + 2 };

typedef enum syn_action_kind {
    SYN_SEND,    /* from -> to: the piece of `from` that `from` thinks is worth most */
    SYN_REQUEST, /* from asks to, which replies with the piece worth most to `from`: two messages */
    SYN_BROADCAST, /* from -> all others */
    SYN_ALONE,     /* from reads one of its unread pieces */
    SYN_ANSWER,
    SYN_ABSTAIN,
    SYN_NO_ACTION
} syn_action_kind;

typedef struct syn_action {
    int8_t kind, from, to, piece; /* piece: the row that moves or is read; -1 for none */
} syn_action;

typedef struct syn_env_config {
    int32_t agents_min, agents_max; /* 2..SYN_AGENTS_MAX */
    int32_t turns_max;              /* 0: twice the pieces of the task */
    int32_t read_limit;             /* pieces an agent has read at the start; 0: all */
    int32_t goal;                   /* syn_goal */
    int32_t stratum;                /* -1: drawn; 0 sufficient, 1 closable, 2 unanswerable */
    float gamma;                    /* of the potential; 0 leaves the potential out */
    float message_cost, delivery_cost, turn_cost;
    float reward_success, reward_abstain, reward_failure, potential;
} syn_env_config;

#define SYN_ENV_CONFIG_DEFAULT                                                                     \
    {                                                                                              \
        2, SYN_AGENTS_MAX, 0, 0, SYN_GOAL_ASKER, -1, 0.99f, 0.5f, 0.1f, 0.05f, 20, 10, -10, 5      \
    }

typedef struct syn_env {
    int32_t task, agents, turn, turns_max;
    int32_t messages, deliveries;
    float episode_return; /* without potential and discount */
    int8_t goal, stratum, done, success;
    uint32_t gold, present, claims;
    uint32_t
        changed; /* agents to look at again: memory or what they sent changed in the last turn */
    uint32_t memory[SYN_AGENTS_MAX];               /* pieces read or received */
    uint32_t own[SYN_AGENTS_MAX];                  /* pieces dealt, read or not */
    uint32_t sent[SYN_AGENTS_MAX][SYN_AGENTS_MAX]; /* [from][to] */
    uint8_t count[SYN_AGENTS_MAX];                 /* items in memory */
    uint8_t item[SYN_AGENTS_MAX][SYN_ROWS_MAX];    /* rows in order of arrival */
    uint8_t giver[SYN_AGENTS_MAX][SYN_ROWS_MAX]; /* by row: who sent it; the agent itself if own */
    uint8_t arrived[SYN_AGENTS_MAX][SYN_ROWS_MAX]; /* by row: the turn it came in */
    syn_action last;                               /* SYN_NO_ACTION after a reset */
} syn_env;

/* ---- Actions and their flat index: SEND(i,j) row by row without the diagonal, REQUEST likewise,
 * BROADCAST(i), ALONE(i), ANSWER, ABSTAIN; N is SYN_AGENTS_MAX whatever the team's size. ---- */

SYN_HD int syn_action_index(int kind, int from, int to)
{
    const int n = SYN_AGENTS_MAX, pairs = n * (n - 1);
    switch (kind) {
    case SYN_SEND:
    case SYN_REQUEST:
        return (kind == SYN_REQUEST ? pairs : 0) + from * (n - 1) + to - (to > from ? 1 : 0);
    case SYN_BROADCAST:
        return 2 * pairs + from;
    case SYN_ALONE:
        return 2 * pairs + n + from;
    case SYN_ANSWER:
        return 2 * pairs + 2 * n;
    default:
        return 2 * pairs + 2 * n + 1;
    }
}

SYN_HD syn_action syn_action_of(int index)
{
    const int n = SYN_AGENTS_MAX, pairs = n * (n - 1);
    syn_action a = {SYN_NO_ACTION, -1, -1, -1};
    if (index < 0) return a;
    if (index < 2 * pairs) {
        int k = index % pairs;
        a.kind = (int8_t)(index < pairs ? SYN_SEND : SYN_REQUEST);
        a.from = (int8_t)(k / (n - 1));
        a.to = (int8_t)(k % (n - 1));
        if (a.to >= a.from) a.to++;
    } else if (index < 2 * pairs + 2 * n) {
        int k = index - 2 * pairs;
        a.kind = (int8_t)(k < n ? SYN_BROADCAST : SYN_ALONE);
        a.from = (int8_t)(k % n);
    } else {
        a.kind = (int8_t)(index == 2 * pairs + 2 * n ? SYN_ANSWER : SYN_ABSTAIN);
    }
    return a;
}

/* ---- Which piece would move ---- */

/* What `from` holds, has not sent to `to` and did not get from it. */
SYN_HD uint32_t syn_env_unsent(const syn_env *e, int from, int to)
{
    return e->memory[from] & ~(e->sent[from][to] | e->sent[to][from]);
}

SYN_HD int syn_best_row(uint32_t rows, const float *rank)
{
    int best = -1;
    while (rows) {
        int p = syn_lowest(rows);
        rows &= rows - 1;
        if (best < 0 || rank[p] > rank[best]) best = p;
    }
    return best;
}

/* Which unread piece comes next: any order but that of the rows, which tells foreign pieces. */
SYN_HD int syn_unread_row(const syn_env *e, int agent, uint32_t unread)
{
    uint32_t pick = syn_rng_block(e->present, (uint64_t)agent, (uint64_t)e->task).x[0];
    for (pick %= (uint32_t)syn_popcount(unread); pick; pick--) unread &= unread - 1;
    return syn_lowest(unread);
}

/* The row that a move would carry, or -1 when it is not legal. rank: (SYN_AGENTS_MAX,
 * SYN_ROWS_MAX), row i = worth of each piece by what agent i knows. On SEND and BROADCAST the
 * sender judges; on REQUEST the replier judges by what the requester knows. */
SYN_HD int syn_env_piece(const syn_env *e, int kind, int from, int to, const float *rank)
{
    uint32_t rows = 0;
    int judge = from;
    if (from >= e->agents || to >= e->agents) return -1;
    switch (kind) {
    case SYN_SEND:
        rows = syn_env_unsent(e, from, to);
        break;
    case SYN_REQUEST:
        rows = syn_env_unsent(e, to, from) & ~e->memory[from];
        break;
    case SYN_BROADCAST:
        for (int j = 0; j < e->agents; j++) {
            if (j != from) rows |= syn_env_unsent(e, from, j);
        }
        break;
    case SYN_ALONE: {
        uint32_t unread = e->own[from] & ~e->memory[from];
        return unread ? syn_unread_row(e, from, unread) : -1;
    }
    default:
        return -1;
    }
    return rows ? syn_best_row(rows, rank + judge * SYN_ROWS_MAX) : -1;
}

/* The part of a mask that follows from what agent i holds: its SENDs, the REQUESTs to it, its
 * BROADCAST and ALONE. */
SYN_HD void syn_env_legal_of(const syn_env *e, int i, uint8_t *mask)
{
    const int n = SYN_AGENTS_MAX, pairs = n * (n - 1);
    uint8_t *send = mask, *request = mask + pairs, *broadcast = mask + 2 * pairs,
            *alone = broadcast + n;
    uint32_t any = 0;
    for (int j = 0; j < e->agents; j++) {
        if (i == j) continue;
        const uint32_t unsent = syn_env_unsent(e, i, j);
        any |= unsent;
        send[i * (n - 1) + j - (j > i)] = unsent != 0;
        request[j * (n - 1) + i - (i > j)] = (unsent & ~e->memory[j]) != 0;
    }
    broadcast[i] = any != 0;
    alone[i] = (e->own[i] & ~e->memory[i]) != 0;
}

/* mask (SYN_ACTIONS_MAX): 1 where legal. ANSWER and ABSTAIN, the last two, always are. */
SYN_HD void syn_env_legal(const syn_env *e, uint8_t *mask)
{
    memset(mask, 0, SYN_ACTIONS_MAX);
    for (int i = 0; i < e->agents; i++) syn_env_legal_of(e, i, mask);
    mask[SYN_ACTIONS_MAX - 2] = mask[SYN_ACTIONS_MAX - 1] = 1;
}

/* ---- Reset ---- */

SYN_HD void syn_env_receive(syn_env *e, int agent, int row, int giver)
{
    e->changed |= 1u << agent;
    if (e->memory[agent] >> row & 1) return;
    e->memory[agent] |= 1u << row;
    e->item[agent][e->count[agent]++] = (uint8_t)row;
    e->giver[agent][row] = (uint8_t)giver;
    e->arrived[agent][row] = (uint8_t)e->turn;
}

SYN_HD int syn_env_draw_stratum(const syn_env_config *cfg, syn_rng *rng)
{
    float u = syn_rng_uniform(rng);
    if (cfg->stratum >= 0) return cfg->stratum;
    if (cfg->goal == SYN_GOAL_CONSENSUS) return u < 0.75f ? 1 : 2;
    return u < 0.25f ? 0 : u < 0.85f ? 1 : 2;
}

/* Starts the episode numbered `episode` on task `task`: a pure function of (seed, episode, task).
 */
SYN_HD void syn_env_reset(syn_env *e, const syn_env_config *cfg, int task,
                          const syn_task_info *info, uint64_t seed, uint64_t episode)
{
    syn_rng rng = syn_rng_make(seed, ((uint64_t)SYN_STREAM_EPISODE << 32) + episode);
    memset(e, 0, sizeof *e);
    e->task = task;
    e->goal = (int8_t)cfg->goal;
    e->agents = cfg->agents_min +
                (int)syn_rng_below(&rng, (uint32_t)(cfg->agents_max - cfg->agents_min + 1));
    e->stratum = (int8_t)syn_env_draw_stratum(cfg, &rng);
    e->turns_max = cfg->turns_max ? cfg->turns_max : 2 * info->pieces;
    e->gold = info->gold;
    e->claims = info->claims;
    uint32_t own = info->pieces >= 32 ? ~0u : (1u << info->pieces) - 1;
    uint32_t foreign = ((1u << SYN_FOREIGN_ROWS) - 1) << info->pieces;
    e->present = own;
    int in[2], out[2], swaps = 1;
    in[0] = syn_rng_row(&rng, foreign);
    out[0] = syn_rng_row(&rng, own & ~info->gold);
    if (e->stratum == 2) {
        in[1] = syn_rng_row(&rng, foreign & ~(1u << in[0]));
        out[1] = syn_rng_row(&rng, info->gold);
        swaps = 2;
    }
    for (int s = 0; s < swaps; s++) e->present ^= 1u << out[s] | 1u << in[s];
    int size[SYN_AGENTS_MAX];
    uint8_t deal[SYN_ROWS_MAX];
    const bool asker = cfg->goal == SYN_GOAL_ASKER;
    if (info->group[0]) {
        uint32_t part[SYN_ROWS_MAX];
        const uint32_t gold = (e->gold & e->present) | (swaps == 2 ? 1u << in[1] : 0);
        int parts = syn_env_parts(info, e->present, out, in, swaps, part);
        syn_env_deal_parts(&rng, part, parts, gold, e->stratum, e->goal, e->agents, size, deal);
    } else {
        /* Room for all of S with the asker, and for a piece of it elsewhere, whatever the stratum.
         */
        syn_env_draw_sizes(&rng, info->pieces, e->agents, asker ? syn_popcount(info->gold) : 0,
                           info->pieces - asker, size);
        syn_env_deal(&rng, e->present, e->gold, e->stratum, e->goal, size[0], deal);
    }
    for (int i = 0, at = 0; i < e->agents; i++) {
        for (int k = 0; k < size[i]; k++, at++) {
            e->own[i] |= 1u << deal[at];
            if (!cfg->read_limit || k < cfg->read_limit) syn_env_receive(e, i, deal[at], i);
        }
    }
    e->changed = (1u << e->agents) - 1;
    e->last.kind = SYN_NO_ACTION;
    e->last.from = e->last.to = e->last.piece = -1;
}

/* ---- Step ---- */

SYN_HD bool syn_env_goal_reached(const syn_env *e)
{
    if (e->goal == SYN_GOAL_ASKER) return (e->gold & ~e->memory[0]) == 0;
    int holders = 0;
    for (int i = 0; i < e->agents; i++) holders += (e->gold & ~e->memory[i]) == 0;
    return 2 * holders > e->agents;
}

/* Share of the goal reached, in [0, 1]: the asker's part of S, or the mean part of the floor(n/2)+1
 * best-covered agents. */
SYN_HD float syn_env_progress(const syn_env *e)
{
    int total = syn_popcount(e->gold);
    if (e->goal == SYN_GOAL_ASKER) {
        return (float)syn_popcount(e->gold & e->memory[0]) / (float)total;
    }
    int held[SYN_AGENTS_MAX], need = e->agents / 2 + 1, sum = 0;
    for (int i = 0; i < e->agents; i++) held[i] = syn_popcount(e->gold & e->memory[i]);
    for (int k = 0; k < need; k++) { /* selection of the best `need` */
        int best = k;
        for (int i = k + 1; i < e->agents; i++) {
            if (held[i] > held[best]) best = i;
        }
        int t = held[k];
        held[k] = held[best];
        held[best] = t;
        sum += held[k];
    }
    return (float)sum / (float)(need * total);
}

/* Moves the piece of a communication action; returns its cost (positive). */
SYN_HD float syn_env_move(syn_env *e, const syn_env_config *cfg, const syn_action *a)
{
    int messages = 0, deliveries = 0;
    if (a->kind == SYN_SEND || a->kind == SYN_REQUEST) {
        int from = a->kind == SYN_SEND ? a->from : a->to;
        int to = a->kind == SYN_SEND ? a->to : a->from;
        messages = a->kind == SYN_SEND ? 1 : 2;
        deliveries = 1;
        syn_env_receive(e, to, a->piece, from);
        e->sent[from][to] |= 1u << a->piece;
        e->changed |= 1u << from;
    } else if (a->kind == SYN_BROADCAST) {
        messages = 1;
        for (int j = 0; j < e->agents; j++) {
            if (j == a->from) continue;
            syn_env_receive(e, j, a->piece, a->from);
            e->sent[a->from][j] |= 1u << a->piece;
            deliveries++;
        }
        e->changed |= 1u << a->from;
    } else if (a->kind == SYN_ALONE) {
        syn_env_receive(e, a->from, a->piece, a->from);
    }
    e->messages += messages;
    e->deliveries += deliveries;
    return fmaf(cfg->message_cost, (float)messages, cfg->delivery_cost * (float)deliveries);
}

/* One turn with the action of flat index `index`, which must be legal (an illegal one counts as a
 * lost turn). Returns the shaped reward; sets done, success and changed. Which products are added
 * without a rounding between is written out (fmaf), so that every compiler's rewards have the same
 * bits. */
SYN_HD float syn_env_step(syn_env *e, const syn_env_config *cfg, int index, const float *rank)
{
    syn_action a = syn_action_of(index);
    const float before = syn_env_progress(e);
    e->changed = 0;
    e->turn++;
    if (a.kind <= SYN_ALONE) {
        a.piece = (int8_t)syn_env_piece(e, a.kind, a.from, a.to, rank);
        if (a.piece < 0) a.kind = SYN_NO_ACTION;
    }
    float r = -cfg->turn_cost - syn_env_move(e, cfg, &a);
    bool ended = a.kind == SYN_ANSWER || a.kind == SYN_ABSTAIN;
    if (ended) {
        bool right = a.kind == SYN_ANSWER ? syn_env_goal_reached(e) : e->stratum == 2;
        e->success = right && a.kind == SYN_ANSWER;
        r += !right ? cfg->reward_failure
                    : (a.kind == SYN_ANSWER ? cfg->reward_success : cfg->reward_abstain);
    } else if (e->turn >= e->turns_max) {
        ended = true;
        r += cfg->reward_failure;
    }
    e->done = ended;
    e->last = a;
    e->episode_return += r;
    const float after = ended ? 0.0f : cfg->potential * syn_env_progress(e);
    return cfg->gamma > 0 ? fmaf(-cfg->potential, before, fmaf(cfg->gamma, after, r)) : r;
}

#endif
