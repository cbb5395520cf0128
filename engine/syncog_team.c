/* Teams of the public API: an opening and a turn. */
#include <string.h>

#include "engine/syncog_private.h"

enum { N = SYN_AGENTS_MAX };

syn_status syn_session_begin(const syn_session *s, syn_goal goal, int agents, const uint32_t *holds,
                             int turns_max, syn_env *team)
{
    SYN_REQUIRE(s && holds && team, "syn_session_begin: session, holds or team is NULL");
    SYN_RETURN_IF(syn_team_sizes_check(agents, (int)goal, turns_max));
    for (int i = 0; i < agents; i++) {
        SYN_REQUIRE((holds[i] & ~syn_rows_mask(s->rows)) == 0,
                    "agent %d holds rows that the session's %d pieces do not have", i, s->rows);
    }
    memset(team, 0, sizeof *team);
    team->agents = agents;
    team->goal = (int8_t)goal;
    team->turns_max = turns_max;
    team->present = syn_rows_mask(s->rows);
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
    SYN_RETURN_IF(syn_team_action_check(action, team->agents, s->rows));
    syn_action a = *action;
    if (a.kind <= SYN_ALONE) SYN_RETURN_IF(piece_choose(s, team, &a));
    team->changed = 0;
    team->turn++;
    (void)syn_env_move(team, &free_of_charge, &a);
    team->last = a;
    team->done = a.kind == SYN_ANSWER || a.kind == SYN_ABSTAIN || team->turn >= team->turns_max;
    return SYN_OK;
}
