/* Teams of the public API: an opening, a turn, and the checks of a team from outside. */
#include <string.h>

#include "engine/syncog_private.h"

enum { N = SYN_AGENTS_MAX };

static uint32_t rows_mask(int rows)
{
    return rows >= 32 ? ~0u : (1u << rows) - 1;
}

static syn_status sizes_check(int agents, int goal, int turns_max)
{
    SYN_REQUIRE(agents >= 2 && agents <= N, "a team of %d agents: allowed are 2 to %d", agents, N);
    SYN_REQUIRE(goal == SYN_GOAL_ASKER || goal == SYN_GOAL_CONSENSUS, "%d is not a goal", goal);
    SYN_REQUIRE(turns_max >= 1 && turns_max <= SYN_TURNS_MAX,
                "turns_max is %d, allowed are 1 to %d", turns_max, SYN_TURNS_MAX);
    return SYN_OK;
}

static syn_status action_check(const syn_action *a, int agents, int rows)
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
    SYN_RETURN_IF(sizes_check(e->agents, e->goal, e->turns_max));
    SYN_REQUIRE(e->turn >= 0 && e->turn <= e->turns_max, "turn %d of %d", e->turn, e->turns_max);
    SYN_REQUIRE(e->messages >= 0 && e->deliveries >= 0, "a negative number of messages");
    SYN_REQUIRE(((e->present | e->claims) & ~rows_mask(rows)) == 0,
                "the team has rows that the session's %d pieces do not have", rows);
    SYN_RETURN_IF(action_check(&e->last, e->agents, rows));
    for (int i = 0; i < e->agents; i++) {
        SYN_RETURN_IF(memory_check(e, i));
        for (int j = 0; j < e->agents; j++) {
            SYN_REQUIRE((e->sent[i][j] & ~rows_mask(rows)) == 0,
                        "agent %d has sent rows that there are not", i);
        }
    }
    return SYN_OK;
}

syn_status syn_session_begin(const syn_session *s, syn_goal goal, int agents, const uint32_t *holds,
                             int turns_max, syn_env *team)
{
    SYN_REQUIRE(s && holds && team, "syn_session_begin: session, holds or team is NULL");
    SYN_RETURN_IF(sizes_check(agents, (int)goal, turns_max));
    for (int i = 0; i < agents; i++) {
        SYN_REQUIRE((holds[i] & ~rows_mask(s->rows)) == 0,
                    "agent %d holds rows that the session's %d pieces do not have", i, s->rows);
    }
    memset(team, 0, sizeof *team);
    team->agents = agents;
    team->goal = (int8_t)goal;
    team->turns_max = turns_max;
    team->present = rows_mask(s->rows);
    team->claims = s->claims;
    team->last = syn_action_of(-1);
    for (int i = 0; i < agents; i++) {
        team->own[i] = holds[i];
        for (uint32_t left = holds[i]; left; left &= left - 1) {
            syn_env_receive(team, i, syn_lowest(left), i);
        }
    }
    return SYN_OK;
}

uint32_t syn_team_movable(const syn_env *e, const syn_action *a)
{
    uint32_t rows = 0;
    switch (a->kind) {
    case SYN_SEND:
        return syn_env_unsent(e, a->from, a->to);
    case SYN_REQUEST:
        return syn_env_unsent(e, a->to, a->from) & ~e->memory[a->from];
    case SYN_BROADCAST:
        for (int j = 0; j < e->agents; j++) {
            if (j != a->from) rows |= syn_env_unsent(e, a->from, j);
        }
        return rows;
    case SYN_ALONE:
        return e->own[a->from] & ~e->memory[a->from];
    default:
        return 0;
    }
}

/* The row that moves: the one named, or the best. */
static syn_status piece_choose(syn_session *s, const syn_env *team, syn_action *a)
{
    const uint32_t rows = syn_team_movable(team, a);
    SYN_REQUIRE(rows, "agent %d has nothing that this action could move", a->from);
    if (a->piece < 0) {
        SYN_RETURN_IF(syn_session_look(s, team));
        a->piece = (int8_t)syn_env_piece(team, a->kind, a->from, a->to, s->observer.rank);
    }
    SYN_REQUIRE(rows >> a->piece & 1, "piece %d cannot move from agent %d to agent %d", a->piece,
                a->kind == SYN_REQUEST ? a->to : a->from, a->kind == SYN_REQUEST ? a->from : a->to);
    return SYN_OK;
}

syn_status syn_session_apply(syn_session *s, syn_env *team, const syn_action *action)
{
    static const syn_env_config free_of_charge;
    SYN_REQUIRE(s && action, "syn_session_apply: session or action is NULL");
    SYN_RETURN_IF(syn_team_check(team, s->rows));
    SYN_REQUIRE(!team->done && team->turn < team->turns_max, "the team is done");
    SYN_RETURN_IF(action_check(action, team->agents, s->rows));
    syn_action a = *action;
    if (a.kind <= SYN_ALONE) SYN_RETURN_IF(piece_choose(s, team, &a));
    team->changed = 0;
    team->turn++;
    (void)syn_env_move(team, &free_of_charge, &a);
    team->last = a;
    team->done = a.kind == SYN_ANSWER || a.kind == SYN_ABSTAIN || team->turn >= team->turns_max;
    return SYN_OK;
}
