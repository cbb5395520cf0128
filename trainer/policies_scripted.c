/* The untrained policies and the oracle: the flat action for one environment. */
#include <math.h>
#include <string.h>

#include "trainer/policies_game.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };
static const float PUSH_COSINE = 0.10f, PUSH_PROBABILITY = 0.5f;

/* One of the first `count` legal actions, -1 when there is none. */
static int random_of(const syn_env *e, int count, syn_rng *rng)
{
    uint8_t mask[A];
    int legal = 0;
    syn_env_legal(e, mask);
    for (int a = 0; a < count; a++) legal += mask[a];
    if (!legal) return -1;
    int k = (int)syn_rng_below(rng, (uint32_t)legal), a = 0;
    for (; !mask[a] || k-- > 0; a++) {
    }
    return a;
}

int syn_scripted_random_move(const syn_env *e, syn_rng *rng)
{
    return random_of(e, SYN_ANSWER_INDEX, rng);
}

static int broadcast_all(const syn_env *e, const float *rank)
{
    for (int k = 0; k < e->agents; k++) {
        int i = (e->turn + k) % e->agents;
        uint32_t unheard = 0; /* own pieces that somebody lacks: passing on what came is no use */
        for (int j = 0; j < e->agents; j++) {
            if (j != i) unheard |= e->own[i] & syn_env_unsent(e, i, j);
        }
        if (unheard && syn_env_piece(e, SYN_BROADCAST, i, -1, rank) >= 0) {
            return syn_action_index(SYN_BROADCAST, i, 0);
        }
    }
    return SYN_ANSWER_INDEX;
}

/* The sender whose turn it is and who still has something of its own for somebody. */
static int round_robin(const syn_env *e)
{
    for (int k = 0; k < e->agents * e->agents; k++) {
        int i = (e->turn + k) % e->agents, j = 0;
        if (e->goal == SYN_GOAL_CONSENSUS)
            j = (e->turn / e->agents + k / e->agents + i + 1) % e->agents;
        if (i == j || !(syn_env_unsent(e, i, j) & e->own[i] & ~e->memory[j])) continue;
        return syn_action_index(SYN_SEND, i, j);
    }
    return SYN_ANSWER_INDEX;
}

static int push_best(const syn_env *e, const float *rank, float threshold)
{
    int best = -1, to = 0;
    float worth = threshold;
    for (int i = 0; i < e->agents; i++) {
        for (int j = 0; j < (e->goal == SYN_GOAL_CONSENSUS ? e->agents : 1); j++) {
            if (i == j) continue;
            int p = syn_env_piece(e, SYN_SEND, i, j, rank);
            if (p < 0 || e->memory[j] >> p & 1 || rank[i * R + p] < worth) continue;
            worth = rank[i * R + p];
            best = i;
            to = j;
        }
    }
    return best < 0 ? SYN_ANSWER_INDEX : syn_action_index(SYN_SEND, best, to);
}

/* Knows the gold pieces; its rank table is the gold mask. */
static int oracle(const syn_env *e)
{
    if (e->stratum == 2) return SYN_ABSTAIN_INDEX;
    if (syn_env_goal_reached(e)) return SYN_ANSWER_INDEX;
    for (int i = 0; i < e->agents; i++) {
        if (e->goal == SYN_GOAL_ASKER) {
            if (i && (syn_env_unsent(e, i, 0) & e->gold & ~e->memory[0]))
                return syn_action_index(SYN_SEND, i, 0);
            continue;
        }
        uint32_t lacked = 0;
        for (int j = 0; j < e->agents; j++) {
            if (j != i) lacked |= syn_env_unsent(e, i, j) & e->gold & ~e->memory[j];
        }
        if (lacked) return syn_action_index(SYN_BROADCAST, i, 0);
    }
    return SYN_ANSWER_INDEX;
}

/* Round robin and broadcast hand out what each agent was dealt: its own pieces go before those it
 * got. The oracle knows which gold somebody lacks. */
bool syn_scripted_raises(syn_policy_kind k)
{
    return k == SYN_POLICY_BROADCAST || k == SYN_POLICY_BROADCAST_RANKER ||
           k == SYN_POLICY_ROUND_ROBIN || k == SYN_POLICY_ROUND_ROBIN_RANKER ||
           k == SYN_POLICY_ROUND_ROBIN_AUTO_END || k == SYN_POLICY_ORACLE;
}

void syn_scripted_raise(syn_policy_kind k, const syn_env *e, const float *rank, float *raised)
{
    uint32_t common = ~0u; /* what all know */
    for (int i = 0; i < e->agents; i++) common &= e->memory[i];
    memcpy(raised, rank, sizeof(float) * N * R);
    for (int i = 0; i < e->agents; i++) {
        uint32_t left = k == SYN_POLICY_ORACLE ? e->gold & ~common : e->own[i];
        for (; left; left &= left - 1) raised[i * R + syn_lowest(left)] += 1e4f;
    }
}

int syn_scripted_action(syn_policy_kind kind, const syn_env *e, const float *rank, syn_rng *rng)
{
    if (kind != SYN_POLICY_ORACLE && e->turn == e->turns_max - 1) return SYN_ANSWER_INDEX;
    switch (kind) {
    case SYN_POLICY_RANDOM:
    case SYN_POLICY_RANDOM_RANKER:
        return random_of(e, A, rng);
    case SYN_POLICY_BROADCAST:
    case SYN_POLICY_BROADCAST_RANKER:
        return broadcast_all(e, rank);
    case SYN_POLICY_ROUND_ROBIN:
    case SYN_POLICY_ROUND_ROBIN_RANKER:
        return round_robin(e);
    case SYN_POLICY_ROUND_ROBIN_AUTO_END:
        return syn_env_goal_reached(e) ? SYN_ANSWER_INDEX : round_robin(e);
    case SYN_POLICY_COSINE_PUSH:
        return push_best(e, rank, 3 * PUSH_COSINE);
    case SYN_POLICY_COSINE_PUSH_RANKER:
        return push_best(e, rank, logf(PUSH_PROBABILITY / (1 - PUSH_PROBABILITY)));
    case SYN_POLICY_ORACLE:
        return oracle(e);
    default:
        return SYN_ANSWER_INDEX;
    }
}
