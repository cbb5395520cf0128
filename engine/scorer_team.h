/* Teams as their callers keep them: the checks of one that comes from outside, what has changed
 * since another look, and what the gaps of a team say of it. */
#ifndef SYN_ENGINE_SCORER_TEAM_H
#define SYN_ENGINE_SCORER_TEAM_H

#include "engine/syncog.h"
#include "kernels/base/real.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A team that does not contradict itself, over `rows` rows. SYN_ERR_INVALID. */
SYN_WARN_UNUSED syn_status syn_team_check(const syn_env *team, int rows);
/* The parts of it that hold before there is a team, and of an action to come. */
SYN_WARN_UNUSED syn_status syn_team_sizes_check(int agents, int goal, int turns_max);
SYN_WARN_UNUSED syn_status syn_team_action_check(const syn_action *a, int agents, int rows);

#ifdef __cplusplus
}
#endif

/* The rows 0 to rows - 1. */
SYN_HD uint32_t syn_rows_mask(int rows)
{
    return rows >= 32 ? ~0u : (1u << rows) - 1;
}

SYN_HD bool syn_memory_differs(const syn_env *a, const syn_env *b, int i)
{
    if (a->memory[i] != b->memory[i]) return true;
    for (int k = 0; k < a->count[i]; k++) {
        if (a->item[i][k] != b->item[i][k]) return true;
    }
    for (uint32_t left = a->memory[i]; left; left &= left - 1) {
        const int row = syn_lowest(left);
        if (a->giver[i][row] != b->giver[i][row] || a->arrived[i][row] != b->arrived[i][row])
            return true;
    }
    return false;
}

/* Who gave or got something in the last turn, as syn_env_move marks them. */
SYN_HD uint32_t syn_team_touched(const syn_env *e)
{
    const syn_action *a = &e->last;
    switch (a->kind) {
    case SYN_SEND:
    case SYN_REQUEST:
        return 1u << a->from | 1u << a->to;
    case SYN_ALONE:
        return 1u << a->from;
    case SYN_BROADCAST:
        return (1u << e->agents) - 1;
    default:
        return 0;
    }
}

/* Whether a team is another one than a turn after `old`, or `old` itself; if not, *expected: the
 * agents that this turn has touched, beside whom nobody's memory differs. */
SYN_HD bool syn_team_other(const syn_env *old, const syn_env *now, uint32_t *expected)
{
    const bool played = now->turn == old->turn + 1;
    *expected = played ? syn_team_touched(now) : 0;
    return (!played && old->turn != now->turn) || old->agents != now->agents ||
           old->goal != now->goal || old->turns_max != now->turns_max ||
           old->present != now->present || old->claims != now->claims;
}

/* The agents to look at again. A team that has played one turn since the last look: those who gave
 * or got something, as in training, where what is known of the others stays as it was. The
 * same team: nobody. Any other team is looked at afresh. */
SYN_HD uint32_t syn_team_changed(const syn_env *old, const syn_env *now)
{
    const uint32_t all = (1u << now->agents) - 1;
    uint32_t expected;
    if (syn_team_other(old, now, &expected)) return all;
    for (int i = 0; i < now->agents; i++) {
        if (!(expected >> i & 1) && syn_memory_differs(old, now, i)) return all;
    }
    return expected;
}

/* 1 - gap of the asker, or its mean over the best majority. gap (agents). */
SYN_HD real syn_team_sufficiency(const syn_env *team, const real *gap)
{
    const int need = team->agents / 2 + 1;
    real sum = 0;
    uint32_t used = 0;
    if (team->goal == SYN_GOAL_ASKER) return 1 - gap[0];
    for (int k = 0; k < need; k++) {
        int best = -1;
        for (int i = 0; i < team->agents; i++) {
            if (!(used >> i & 1) && (best < 0 || gap[i] < gap[best])) best = i;
        }
        used |= 1u << best;
        sum += 1 - gap[best];
    }
    return sum / (real)need;
}

#endif
