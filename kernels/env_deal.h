/* How the pieces of a task are dealt to the agents of an episode: by themselves, or in groups that
 * stay together. Pure functions of a random stream, usable in CUDA kernels. */
#ifndef SYN_KERNELS_ENV_DEAL_H
#define SYN_KERNELS_ENV_DEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/base/rng.h"

enum {
    SYN_ROWS_MAX = 32,    /* pieces of a task, foreign ones included */
    SYN_FOREIGN_ROWS = 4, /* the last rows of a task: pieces of other records */
    SYN_AGENTS_MAX = 10,
    SYN_GROUPS_MAX = 8 /* groups of a task */
};

typedef enum syn_goal { SYN_GOAL_ASKER, SYN_GOAL_CONSENSUS } syn_goal;

/* What an episode is drawn from; one per task, in device memory. */
typedef struct syn_task_info {
    uint32_t gold;   /* mask of the gold rows, all below `pieces` */
    int32_t pieces;  /* rows [0, pieces) belong to the task, then SYN_FOREIGN_ROWS foreign ones */
    uint32_t claims; /* mask of rows that are claims */
    /* Masks of the task's own rows that belong together, disjoint, the empty ones last: an agent
     * gets all of a group or nothing. All empty: every row is dealt by itself. */
    uint32_t group[SYN_GROUPS_MAX];
} syn_task_info;

SYN_HD int syn_popcount(uint32_t x)
{
#ifdef __CUDA_ARCH__
    return __popc(x);
#else
    return __builtin_popcount(x);
#endif
}

SYN_HD int syn_lowest(uint32_t x)
{
#ifdef __CUDA_ARCH__
    return __ffs((int)x) - 1;
#else
    return __builtin_ctz(x);
#endif
}

/* A random row of the mask; the mask must not be empty. */
SYN_HD int syn_rng_row(syn_rng *rng, uint32_t rows)
{
    int k = (int)syn_rng_below(rng, (uint32_t)syn_popcount(rows));
    while (k--) rows &= rows - 1;
    return syn_lowest(rows);
}

/* Multinomial sizes of K pieces over n agents, the first with asker_min to asker_max. */
SYN_HD void syn_env_draw_sizes(syn_rng *rng, int pieces, int n, int asker_min, int asker_max,
                               int *size)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        for (int i = 0; i < n; i++) size[i] = 0;
        for (int p = 0; p < pieces; p++) size[syn_rng_below(rng, (uint32_t)n)]++;
        if (size[0] >= asker_min && size[0] <= asker_max) return;
    }
    while (size[0] < asker_min) { /* rare: many gold pieces among many agents */
        int giver = 1;
        for (int i = 2; i < n; i++) {
            if (size[i] > size[giver]) giver = i;
        }
        size[giver]--;
        size[0]++;
    }
    for (; size[0] > asker_max; size[0]--) size[1]++;
}

SYN_HD void syn_rng_shuffle(syn_rng *rng, uint8_t *x, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int j = (int)syn_rng_below(rng, (uint32_t)i + 1);
        uint8_t t = x[i];
        x[i] = x[j];
        x[j] = t;
    }
}

/* Orders the present rows in deal[]: shuffled, then gold moved so that the stratum holds for the
 * first `s0` of them, which the asker gets. Within an agent's part every order is as likely as any
 * other. */
SYN_HD int syn_env_deal(syn_rng *rng, uint32_t present, uint32_t gold, int stratum, int goal,
                        int s0, uint8_t *deal)
{
    int k = 0;
    for (uint32_t rows = present; rows; rows &= rows - 1) deal[k++] = (uint8_t)syn_lowest(rows);
    for (int attempt = 0; attempt < 64; attempt++) {
        syn_rng_shuffle(rng, deal, k);
        uint32_t asker = 0;
        for (int i = 0; i < s0; i++) asker |= 1u << deal[i];
        bool sufficient = (gold & ~asker) == 0;
        if (goal == SYN_GOAL_CONSENSUS || stratum == 2 || (stratum == 1 && !sufficient)) return k;
        if (stratum == 0) break;
    }
    if (stratum ==
        0) { /* each gold piece changes places with one of the asker's that is not gold */
        for (int i = s0, a = 0; i < k; i++) {
            if (!(gold >> deal[i] & 1)) continue;
            while (gold >> deal[a] & 1) a++;
            uint8_t t = deal[a];
            deal[a] = deal[i];
            deal[i] = t;
        }
        syn_rng_shuffle(rng, deal, s0);
    } else { /* closable, and every shuffle gave the asker all: give one gold piece away */
        for (int a = 0; a < s0; a++) {
            if (!(gold >> deal[a] & 1)) continue;
            uint8_t t = deal[a];
            deal[a] = deal[k - 1];
            deal[k - 1] = t;
            break;
        }
    }
    return k;
}

/* ---- Groups ----
 *
 * A part is what goes to one agent: a group, or a row of none. The rules are those of single rows
 * as far as parts allow. Whatever the stratum, the asker's number of pieces is aimed at what a
 * sufficient episode of this task has: the parts with gold, and each other part with one chance in
 * n; where it must lack gold it gets, of some draws, the one whose size is nearest. Counts tell
 * nothing when parts are of equal size and not all have gold, and otherwise as much as the sizes of
 * the parts with and without gold differ; where every part has gold, who holds all lacks nothing
 * and the count says so. In an unanswerable episode what stands in for the gold piece counts as
 * gold here, and sufficient and closable deals have their usual shares, so that who holds the
 * domain says nothing either. Nobody else's parts follow any rule. */

/* The parts of the present rows; where row out[s] has given place to in[s], the latter belongs to
 * the former's group. part (SYN_ROWS_MAX): overwritten; returns how many there are. */
SYN_HD int syn_env_parts(const syn_task_info *info, uint32_t present, const int *out, const int *in,
                         int swaps, uint32_t *part)
{
    int count = 0;
    uint32_t rest = present;
    for (int g = 0; g < SYN_GROUPS_MAX && info->group[g]; g++) {
        uint32_t rows = info->group[g];
        for (int s = 0; s < swaps; s++) {
            if (rows >> out[s] & 1) rows ^= 1u << out[s] | 1u << in[s];
        }
        part[count++] = rows;
        rest &= ~rows;
    }
    for (; rest; rest &= rest - 1) part[count++] = rest & (~rest + 1);
    return count;
}

/* The rows of the parts in the mask `parts`. */
SYN_HD uint32_t syn_env_part_rows(const uint32_t *part, int count, uint32_t parts)
{
    uint32_t rows = 0;
    for (int p = 0; p < count; p++) rows |= parts >> p & 1 ? part[p] : 0;
    return rows;
}

/* The asker's parts, as a mask, in a deal that is sufficient or not. needed: the parts with gold.
 */
SYN_HD uint32_t syn_env_asker_parts(syn_rng *rng, const uint32_t *part, int count, uint32_t needed,
                                    bool sufficient, int n)
{
    const uint32_t all = (uint32_t)((1ull << count) - 1);
    const int rows = syn_popcount(syn_env_part_rows(part, count, all));
    uint32_t mine = needed;
    for (int p = 0; p < count; p++) {
        if (syn_rng_below(rng, (uint32_t)n) == 0) mine |= 1u << p;
    }
    if (mine == all && needed != all) mine ^= 1u << syn_rng_row(rng, all & ~needed);
    if (sufficient) return mine;
    const int size = syn_popcount(syn_env_part_rows(part, count, mine));
    uint32_t best = all ^ 1u << syn_rng_row(rng, needed); /* lacks gold whatever else is drawn */
    int distance = SYN_ROWS_MAX + 1;
    for (int attempt = 0; attempt < 16 && distance > 0; attempt++) {
        uint32_t draw = 0;
        for (int p = 0; p < count; p++) {
            if ((int)syn_rng_below(rng, (uint32_t)rows) < size) draw |= 1u << p;
        }
        if ((needed & ~draw) == 0) draw ^= 1u << syn_rng_row(rng, needed);
        if (!draw) continue; /* nothing at all would tell */
        int off = syn_popcount(syn_env_part_rows(part, count, draw)) - size;
        if (off < 0) off = -off;
        if (off >= distance) continue;
        distance = off;
        best = draw;
    }
    return best;
}

/* Deals whole parts. gold: the gold rows that are present, or what stands in for them. deal
 * (SYN_ROWS_MAX): the rows, agent after agent, in random order within an agent; size (n): rows of
 * each agent. */
SYN_HD void syn_env_deal_parts(syn_rng *rng, const uint32_t *part, int count, uint32_t gold,
                               int stratum, int goal, int n, int *size, uint8_t *deal)
{
    uint32_t own[SYN_AGENTS_MAX] = {0}, needed = 0, mine = 0;
    uint8_t row[SYN_ROWS_MAX];
    int k = 0, at = 0;
    for (int p = 0; p < count; p++) {
        if (part[p] & gold) needed |= 1u << p;
        for (uint32_t rows = part[p]; rows; rows &= rows - 1) row[k++] = (uint8_t)syn_lowest(rows);
    }
    const bool asker = goal == SYN_GOAL_ASKER;
    if (asker) {
        bool sufficient = stratum == 0;
        if (stratum == 2) sufficient = syn_rng_uniform(rng) < 0.25f / 0.85f;
        mine = syn_env_asker_parts(rng, part, count, needed, sufficient, n);
    }
    for (int p = 0; p < count; p++) {
        int owner = 0;
        if (!(mine >> p & 1))
            owner = asker ? 1 + (int)syn_rng_below(rng, (uint32_t)n - 1)
                          : (int)syn_rng_below(rng, (uint32_t)n);
        own[owner] |= part[p];
    }
    syn_rng_shuffle(rng, row, k);
    for (int i = 0; i < n; i++) {
        size[i] = syn_popcount(own[i]);
        for (int t = 0; t < k; t++) {
            if (own[i] >> row[t] & 1) deal[at++] = row[t];
        }
    }
}

#endif
