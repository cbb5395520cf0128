/* The message phase: one item moves a turn, at no LLM call. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "serve/hash.h"
#include "serve/round_internal.h"

/* ---- what is legal ---- */

/* Messages that may still be sent: in this phase, and under the cap. */
static int messages_left(const syn_round *r)
{
    int phase = 2 * r->team.agents - r->phase_messages;
    int cap = r->team.messages_max > 0 ? r->team.messages_max - r->team.messages : INT_MAX;
    return phase < cap ? phase : cap;
}

static void allow(syn_team *t, syn_action_kind kind, int from, int to)
{
    t->legal[syn_action_index(kind, from, to)] = 1;
}

/* Fills team.legal; false when nothing is. In the last turn only the two ends are. */
static bool fill_legal(syn_round *r)
{
    syn_team *t = &r->team;
    int left = messages_left(r);
    bool last = t->turn_count >= t->turns_max - 1;
    memset(t->legal, 0, sizeof t->legal);
    for (int i = 0; i < t->agents && !last; i++) {
        for (int j = 0; j < t->agents; j++) {
            if (i == j) continue;
            if (left >= 1 && syn_team_givable(t, i, j)) allow(t, SYN_SEND, i, j);
            if (left >= 2 && syn_team_requestable(t, i, j)) allow(t, SYN_REQUEST, i, j);
        }
        if (left >= 1 && syn_team_broadcastable(t, i)) allow(t, SYN_BROADCAST, i, -1);
        if (r->decider.alone && r->config.ask == SYN_ASK_ALL) allow(t, SYN_ALONE, i, -1);
    }
    if (t->round >= r->config.rounds_min) {
        allow(t, SYN_ANSWER, -1, -1);
        if (t->goal == SYN_GOAL_ASKER) allow(t, SYN_ABSTAIN, -1, -1);
    }
    return memchr(t->legal, 1, sizeof t->legal) != NULL;
}

/* ---- moving an item ---- */

static void log_entry(syn_round *r, int from, int to, const char *type, const char *message)
{
    syn_dialogue_entry *grown =
        syn_arena_grow(&r->arena, (void *)r->reply.dialogue, r->reply.dialogue_count,
                       &r->dialogue_room, sizeof *grown);
    if (!grown) return;
    r->reply.dialogue = grown;
    grown[r->reply.dialogue_count++] =
        (syn_dialogue_entry){r->team.round, from, to, type, message, syn_round_unix(r)};
}

/* The item as a message quotes it, made when it first moves. Claims have no title. */
static const char *titled_text(syn_round *r, int item)
{
    const syn_team_item *k = &r->team.items[item];
    if (!*k->title) return k->text;
    if (r->titled[item]) return r->titled[item];
    const size_t title = strlen(k->title), text = strlen(k->text);
    char *both = syn_arena_alloc(&r->arena, title + 2 + text + 1);
    if (!both) return "";
    memcpy(both, k->title, title);
    memcpy(both + title, ": ", 2);
    memcpy(both + title + 2, k->text, text);
    r->titled[item] = both;
    return both;
}

static void deliver(syn_round *r, int from, int to, int item)
{
    syn_team *t = &r->team;
    uint64_t bit = 1ull << item;
    t->sent[from][to] |= bit;
    if (t->holds[to] & bit) return;
    t->holds[to] |= bit;
    t->got_turn[to][item] = (int16_t)(t->turn_count + 1);
    t->giver[to][item] = (int8_t)from;
    r->changed |= 1u << to;
}

static void log_turn(syn_round *r, const syn_decision *d, int giver)
{
    syn_team *t = &r->team;
    syn_team_turn *grown =
        syn_arena_grow(&r->arena, r->turns, t->turn_count, &r->turn_room, sizeof *grown);
    if (!grown) return;
    const syn_team_item *item = d->item >= 0 ? &t->items[d->item] : NULL;
    r->turns = grown;
    t->turns = grown;
    grown[t->turn_count++] = (syn_team_turn){.kind = d->kind,
                                             .from = d->from,
                                             .to = d->to,
                                             .item = d->item,
                                             .title = item ? item->title : "",
                                             .text = item ? item->text : "",
                                             .need = d->kind == SYN_REQUEST ? t->need[d->from] : "",
                                             .claim = item && item->claim,
                                             .passed_on = item && !(t->own[giver] >> d->item & 1),
                                             .round = t->round,
                                             .giver = giver};
}

static void spend(syn_round *r, int messages, bool broadcast)
{
    r->team.messages += messages;
    r->phase_messages += messages;
    if (broadcast)
        r->reply.broadcast_messages += messages;
    else
        r->reply.targeted_messages += messages;
}

static void notice_move(syn_round *r, const syn_decision *d, const char *text)
{
    syn_note *n = syn_round_notify(r, SYN_NOTICE_MESSAGE);
    n->kind = d->kind;
    n->from = d->from;
    n->to = d->to;
    n->text = text;
    n->item_id = d->item >= 0 ? r->team.items[d->item].id : "";
    n->probability = d->probability;
}

static void move(syn_round *r, const syn_decision *d)
{
    int giver = d->kind == SYN_REQUEST ? d->to : d->from;
    const char *text = d->item >= 0 ? titled_text(r, d->item) : "";
    const char *need = d->from >= 0 ? r->team.need[d->from] : "";
    notice_move(r, d, text);
    switch (d->kind) {
    case SYN_SEND:
        deliver(r, d->from, d->to, d->item);
        spend(r, 1, false);
        log_entry(r, d->from, d->to, "targeted", text);
        break;
    case SYN_REQUEST:
        deliver(r, d->to, d->from, d->item);
        spend(r, 2, false);
        log_entry(r, d->from, d->to, "request",
                  *need ? need : "Send what you have that helps with the question.");
        log_entry(r, d->to, d->from, "reply", text);
        break;
    case SYN_BROADCAST:
        for (int to = 0; to < r->team.agents; to++)
            if (to != d->from) deliver(r, d->from, to, d->item);
        spend(r, 1, true);
        log_entry(r, d->from, -1, "broadcast", text);
        break;
    case SYN_ALONE:
        r->alone |= 1u << d->from;
        break;
    case SYN_ANSWER:
    case SYN_ABSTAIN:
    case SYN_NO_ACTION:
        break;
    }
    if (d->kind != SYN_NO_ACTION) log_turn(r, d, giver);
}

/* ---- deadlock ---- */

/* Who holds what, the last action, the clusters of the answers: true when this was seen before. */
static bool seen_before(syn_round *r, const syn_decision *d)
{
    const syn_team *t = &r->team;
    int action[3] = {(int)d->kind, d->from, d->to};
    uint64_t h = syn_hash64(0, t->holds, sizeof t->holds);
    for (int k = t->piece_count; k < t->item_count; k++)
        h = syn_hash64(h, &t->items[k].serial, sizeof t->items[k].serial);
    h = syn_hash64(h, action, sizeof action);
    for (int i = 0; i < t->agents; i++)
        h = syn_hash64(h, &r->answers[i].cluster, sizeof r->answers[i].cluster);
    for (int k = 0; k < r->state_count; k++)
        if (r->states[k] == h) return true;
    uint64_t *grown =
        syn_arena_grow(&r->arena, r->states, r->state_count, &r->state_room, sizeof *grown);
    if (grown) {
        r->states = grown;
        r->states[r->state_count++] = h;
    }
    return false;
}

static void end_phase(syn_round *r, syn_action_kind kind, bool deadlock)
{
    if (r->decider.pause) r->decider.pause(r->decider.user);
    r->phase_end = kind;
    r->deadlocks = deadlock ? r->deadlocks + 1 : 0;
    r->stage = SYN_STAGE_JUDGE;
}

static void end_with_nothing(syn_round *r)
{
    const syn_decision none = {
        .kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1, .probability = 1};
    end_phase(r, SYN_NO_ACTION, seen_before(r, &none));
}

/* ---- turns ---- */

/* Everybody broadcasts every item of its own that it has not broadcast yet. */
static void broadcast_everything(syn_round *r)
{
    syn_team *t = &r->team;
    for (int i = 0; i < t->agents; i++)
        for (int k = 0; k < t->item_count; k++) {
            bool capped = t->messages_max > 0 && t->messages >= t->messages_max;
            if (capped || !((t->own[i] & syn_team_broadcastable(t, i)) >> k & 1)) continue;
            move(r, &(syn_decision){SYN_BROADCAST, i, -1, k, 1, false});
        }
}

static int giver_of(const syn_team *t, int item)
{
    for (int i = 1; i < t->agents; i++)
        if (syn_team_givable(t, i, 0) >> item & 1) return i;
    return -1;
}

void syn_round_give_asker(syn_round *r)
{
    syn_team *t = &r->team;
    for (int k = 0; k < t->item_count; k++) {
        const bool capped = t->messages_max > 0 && t->messages >= t->messages_max;
        const int from = giver_of(t, k);
        if (capped || from < 0 || t->holds[0] >> k & 1) continue;
        move(r, &(syn_decision){SYN_SEND, from, 0, k, 1, false});
    }
}

/* The message phase where nobody decides. */
static void move_undecided(syn_round *r)
{
    if (r->config.ask == SYN_ASK_ALL)
        broadcast_everything(r);
    else
        syn_round_give_asker(r);
    end_with_nothing(r);
}

static syn_status check_decision(const syn_round *r, const syn_decision *d)
{
    const syn_team *t = &r->team;
    bool pair = d->kind == SYN_SEND || d->kind == SYN_REQUEST;
    bool one = pair || d->kind == SYN_BROADCAST || d->kind == SYN_ALONE;
    if (d->kind == SYN_NO_ACTION) return SYN_OK;
    if ((unsigned)d->kind > SYN_NO_ACTION || (one && (d->from < 0 || d->from >= t->agents)) ||
        (pair && (d->to < 0 || d->to >= t->agents || d->to == d->from)) ||
        !t->legal[syn_action_index(d->kind, d->from, d->to)])
        return syn_fail(SYN_ERR_INVALID, "the decider chose an action that is not legal");
    uint64_t items = d->kind == SYN_SEND        ? syn_team_givable(t, d->from, d->to)
                     : d->kind == SYN_REQUEST   ? syn_team_requestable(t, d->from, d->to)
                     : d->kind == SYN_BROADCAST ? syn_team_broadcastable(t, d->from)
                                                : UINT64_MAX;
    bool moves = pair || d->kind == SYN_BROADCAST;
    if (moves && (d->item < 0 || d->item >= t->item_count || !(items >> d->item & 1)))
        return syn_fail(SYN_ERR_INVALID, "the decider chose an item that cannot be sent");
    return SYN_OK;
}

static void report_gaps(syn_round *r)
{
    const int agents = r->team.agents;
    float *gaps = syn_arena_alloc(&r->arena, sizeof *gaps * (size_t)(agents * agents));
    syn_note *n = syn_round_notify(r, SYN_NOTICE_GAPS);
    n->sufficiency = r->seen.sufficiency;
    n->gaps = gaps;
    for (int i = 0; gaps && i < agents; i++) {
        memcpy(gaps + i * agents, r->seen.gaps[i], sizeof *gaps * (size_t)agents);
        r->reply.gaps_detected += r->seen.gaps[i][i] >= .5f;
    }
}

static syn_status observe(syn_round *r, bool *wait)
{
    syn_team_gaps seen = {0};
    SYN_RETURN_IF(r->decider.observe(r->decider.user, &r->team, &seen));
    *wait = seen.pending;
    if (seen.pending) return SYN_OK;
    r->seen = seen;
    r->observed = true;
    if (!r->phase_begun) report_gaps(r);
    r->phase_begun = true;
    return SYN_OK;
}

syn_status syn_round_phase(syn_round *r, bool *wait)
{
    if (!r->phase_begun) r->phase_messages = 0;
    if (!r->config.cognitive_gaps) {
        move_undecided(r);
        return SYN_OK;
    }
    bool any = fill_legal(r);
    SYN_RETURN_IF(observe(r, wait));
    if (*wait) return SYN_OK;
    if (!any || r->phase_messages >= 2 * r->team.agents) {
        end_with_nothing(r);
        return SYN_OK;
    }
    syn_decision d = {.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1};
    SYN_RETURN_IF(r->decider.decide(r->decider.user, &r->team, &r->seen, &d));
    *wait = d.pending;
    if (d.pending) return SYN_OK;
    SYN_RETURN_IF(check_decision(r, &d));
    if (d.kind >= SYN_ANSWER) d.from = -1;
    if (d.kind != SYN_SEND && d.kind != SYN_REQUEST) d.to = -1;
    if (d.kind > SYN_BROADCAST) d.item = -1;
    move(r, &d);
    bool deadlock = seen_before(r, &d);
    if (deadlock || d.kind > SYN_BROADCAST) end_phase(r, d.kind, deadlock);
    return SYN_OK;
}
