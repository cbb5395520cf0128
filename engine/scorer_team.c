#include "engine/scorer_team.h"

enum { N = SYN_AGENTS_MAX };

syn_status syn_team_sizes_check(int agents, int goal, int turns_max)
{
    SYN_REQUIRE(agents >= 2 && agents <= N, "a team of %d agents: allowed are 2 to %d", agents, N);
    SYN_REQUIRE(goal == SYN_GOAL_ASKER || goal == SYN_GOAL_CONSENSUS, "%d is not a goal", goal);
    SYN_REQUIRE(turns_max >= 1 && turns_max <= SYN_TURNS_MAX,
                "turns_max is %d, allowed are 1 to %d", turns_max, SYN_TURNS_MAX);
    return SYN_OK;
}

syn_status syn_team_action_check(const syn_action *a, int agents, int rows)
{
    SYN_REQUIRE(a->kind >= SYN_SEND && a->kind <= SYN_NO_ACTION, "%d is not an action", a->kind);
    SYN_REQUIRE(a->piece >= -1 && a->piece < rows, "an action names piece %d of %d", a->piece,
                rows);
    const bool pair = a->kind == SYN_SEND || a->kind == SYN_REQUEST;
    const bool has_from = a->kind <= SYN_ALONE;
    SYN_REQUIRE(a->from >= (has_from ? 0 : -1) && a->from < agents,
                "an action names agent %d of %d", a->from, agents);
    SYN_REQUIRE(a->to >= (pair ? 0 : -1) && a->to < agents, "an action names agent %d of %d", a->to,
                agents);
    SYN_REQUIRE(!pair || a->from != a->to, "agent %d has no business with itself", a->from);
    SYN_REQUIRE(has_from || a->piece < 0, "an action without a sender names piece %d", a->piece);
    return SYN_OK;
}

/* The list of items is the memory, and every item has a giver. */
static syn_status memory_check(const syn_env *e, int i)
{
    uint32_t listed = 0;
    SYN_REQUIRE(((e->memory[i] | e->own[i]) & ~e->present) == 0,
                "agent %d holds rows that are not present", i);
    SYN_REQUIRE(e->count[i] == syn_popcount(e->memory[i]),
                "agent %d: count is %d, its memory has %d rows", i, e->count[i],
                syn_popcount(e->memory[i]));
    for (int k = 0; k < e->count[i]; k++) {
        const int row = e->item[i][k];
        SYN_REQUIRE(row < SYN_ROWS_MAX && (e->memory[i] >> row & 1) && !(listed >> row & 1),
                    "agent %d: its list of items is not its memory", i);
        SYN_REQUIRE(e->giver[i][row] < e->agents, "agent %d: row %d was given by agent %d of %d", i,
                    row, e->giver[i][row], e->agents);
        listed |= 1u << row;
    }
    return SYN_OK;
}

syn_status syn_team_check(const syn_env *e, int rows)
{
    SYN_REQUIRE(e, "the team is NULL");
    SYN_RETURN_IF(syn_team_sizes_check(e->agents, e->goal, e->turns_max));
    SYN_REQUIRE(e->turn >= 0 && e->turn <= e->turns_max, "turn %d of %d", e->turn, e->turns_max);
    SYN_REQUIRE(e->messages >= 0 && e->deliveries >= 0, "a negative number of messages");
    SYN_REQUIRE(((e->present | e->claims) & ~syn_rows_mask(rows)) == 0,
                "the team has rows that the session's %d pieces do not have", rows);
    SYN_RETURN_IF(syn_team_action_check(&e->last, e->agents, rows));
    for (int i = 0; i < e->agents; i++) {
        SYN_RETURN_IF(memory_check(e, i));
        for (int j = 0; j < e->agents; j++) {
            SYN_REQUIRE((e->sent[i][j] & ~syn_rows_mask(rows)) == 0,
                        "agent %d has sent rows that there are not", i);
        }
    }
    return SYN_OK;
}
