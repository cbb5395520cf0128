#include "serve/inference_team.h"

#include <stdio.h>
#include <string.h>

#include "engine/syncog.h"

enum { GIVEN_MAX = SYN_AGENTS_MAX * SYN_TEAM_PIECES_MAX, ARENA_BYTES_MAX = 8 << 20 };

typedef struct reader {
    syn_inference_team *out;
    int given; /* items read so far, those given twice included */
    struct {
        const char *id;
        int item;
    } name[GIVEN_MAX];
} reader;

/* ---- What is legal ---- */

/* A team that can tell something does not give up before it has told anything. */
static void fill_legal(syn_inference_team *o)
{
    syn_team *t = &o->team;
    const bool last = t->turn_count >= t->turns_max - 1;
    bool message = false;
    memset(t->legal, 0, sizeof t->legal);
    for (int i = 0; i < t->agents && !last; i++) {
        for (int j = 0; j < t->agents; j++) {
            if (i == j) continue;
            t->legal[syn_action_index(SYN_SEND, i, j)] = syn_team_givable(t, i, j) != 0;
            t->legal[syn_action_index(SYN_REQUEST, i, j)] = syn_team_requestable(t, i, j) != 0;
        }
        const bool any = syn_team_broadcastable(t, i) != 0;
        t->legal[syn_action_index(SYN_BROADCAST, i, -1)] = any;
        message |= any;
    }
    t->legal[syn_action_index(SYN_ANSWER, -1, -1)] = !message || t->turn_count >= o->turns_min;
    t->legal[syn_action_index(SYN_ABSTAIN, -1, -1)] =
        t->goal == SYN_GOAL_ASKER &&
        (!message || (t->turn_count > 0 && t->turn_count >= o->turns_min));
}

/* ---- Reading ---- */

static syn_status check_members(const json_t *object, const char *where, const char *const *known)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        int k = 0;
        while (known[k] && strcmp(known[k], name) != 0) k++;
        if (!known[k]) return syn_fail(SYN_ERR_INVALID, "%s has a member that is not known", where);
    }
    return SYN_OK;
}

static syn_status read_text(reader *r, const json_t *value, const char *what, size_t bytes_max,
                            const char **out)
{
    if (!json_is_string(value)) return syn_fail(SYN_ERR_INVALID, "%s is not a text", what);
    if (json_string_length(value) > bytes_max)
        return syn_fail(SYN_ERR_INVALID, "%s is longer than %zu bytes", what, bytes_max);
    *out = syn_arena_text(&r->out->arena, json_string_value(value));
    return SYN_OK;
}

/* The place of an item of this title and text, a new one where there is none yet. */
static syn_status place_item(reader *r, const char *title, const char *text, int *out)
{
    syn_team *t = &r->out->team;
    int k = 0;
    while (k < t->item_count &&
           (strcmp(t->items[k].title, title) != 0 || strcmp(t->items[k].text, text) != 0))
        k++;
    *out = k;
    if (k < t->item_count) return SYN_OK;
    if (k == SYN_TEAM_PIECES_MAX) {
        return syn_fail(SYN_ERR_INVALID, "there are more than %d different items",
                        SYN_TEAM_PIECES_MAX);
    }
    t->items[k] =
        (syn_team_item){.title = title, .text = text, .serial = (uint32_t)k + 1, .author = -1};
    t->piece_count = ++t->item_count;
    return SYN_OK;
}

static int item_of(const reader *r, const char *id)
{
    for (int k = 0; k < r->given; k++) {
        if (strcmp(r->name[k].id, id) == 0) return r->name[k].item;
    }
    return -1;
}

static syn_status read_item(reader *r, int agent, const json_t *item)
{
    static const char *const known[] = {"id", "title", "text", NULL};
    const char *title = "", *text = "", *id;
    char number[16];
    int k;
    if (!json_is_object(item)) return syn_fail(SYN_ERR_INVALID, "an item is not an object");
    SYN_RETURN_IF(check_members(item, "an item", known));
    const json_t *given_title = json_object_get(item, "title"),
                 *given_id = json_object_get(item, "id");
    if (given_title && !json_is_null(given_title))
        SYN_RETURN_IF(read_text(r, given_title, "an item's title", SYN_TITLE_BYTES_MAX, &title));
    SYN_RETURN_IF(read_text(r, json_object_get(item, "text"), "an item's text",
                            SYN_DOCUMENT_BYTES_MAX, &text));
    if (r->given == GIVEN_MAX)
        return syn_fail(SYN_ERR_INVALID, "there are more than %d items", GIVEN_MAX);
    snprintf(number, sizeof number, "%d", r->given + 1);
    id = number;
    if (given_id) SYN_RETURN_IF(read_text(r, given_id, "an item's id", 256, &id));
    SYN_RETURN_IF(place_item(r, title, text, &k));
    const int same = item_of(r, id);
    if (same >= 0 && same != k)
        return syn_fail(SYN_ERR_INVALID, "two different items have the same id");
    r->name[r->given].id = id == number ? syn_arena_text(&r->out->arena, number) : id;
    r->name[r->given++].item = k;
    syn_team *t = &r->out->team;
    if (!t->items[k].id) t->items[k].id = r->name[r->given - 1].id;
    t->own[agent] |= 1ull << k;
    t->holds[agent] |= 1ull << k;
    t->giver[agent][k] = (int8_t)agent;
    return SYN_OK;
}

static syn_status read_agents(reader *r, const json_t *agents)
{
    static const char *const known[] = {"name", "items", NULL};
    const size_t n = json_array_size(agents);
    if (!json_is_array(agents) || n < 2 || n > SYN_AGENTS_MAX)
        return syn_fail(SYN_ERR_INVALID, "agents is not a list of 2 to %d", SYN_AGENTS_MAX);
    r->out->team.agents = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *agent = json_array_get(agents, i), *items = json_object_get(agent, "items");
        if (!json_is_object(agent)) return syn_fail(SYN_ERR_INVALID, "an agent is not an object");
        SYN_RETURN_IF(check_members(agent, "an agent", known));
        if (items && !json_is_array(items))
            return syn_fail(SYN_ERR_INVALID, "an agent's items are not a list");
        for (size_t k = 0; k < json_array_size(items); k++)
            SYN_RETURN_IF(read_item(r, (int)i, json_array_get(items, k)));
    }
    if (r->given == 0) return syn_fail(SYN_ERR_INVALID, "no agent holds an item");
    return SYN_OK;
}

/* An agent's number from 1, as the request has it; from 0. -1 where there is none. */
static int agent_of(const reader *r, const json_t *number)
{
    const int64_t n = json_integer_value(number);
    return json_is_integer(number) && n >= 1 && n <= r->out->team.agents ? (int)n - 1 : -1;
}

static syn_status read_action(reader *r, const json_t *action, syn_decision *out)
{
    static const char *const known[] = {"action", "from", "to", "item", NULL};
    static const syn_action_kind kinds[] = {SYN_SEND, SYN_REQUEST, SYN_BROADCAST};
    const char *name = json_string_value(json_object_get(action, "action"));
    const char *id = json_string_value(json_object_get(action, "item"));
    size_t k = 0;
    if (!json_is_object(action))
        return syn_fail(SYN_ERR_INVALID, "an action of the history is not an object");
    SYN_RETURN_IF(check_members(action, "an action of the history", known));
    while (name && k < 3 && strcmp(syn_action_name(kinds[k]), name) != 0) k++;
    if (!name || k == 3)
        return syn_fail(SYN_ERR_INVALID,
                        "an action of the history is neither send nor request nor broadcast");
    *out = (syn_decision){.kind = kinds[k],
                          .from = agent_of(r, json_object_get(action, "from")),
                          .to = agent_of(r, json_object_get(action, "to")),
                          .item = id ? item_of(r, id) : -1};
    const bool pair = kinds[k] != SYN_BROADCAST;
    if (out->item < 0)
        return syn_fail(SYN_ERR_INVALID, "an action of the history names no item of an agent");
    if (out->from < 0 || (pair && (out->to < 0 || out->to == out->from)))
        return syn_fail(SYN_ERR_INVALID, "an action of the history is not between two agents");
    if (!pair) out->to = -1;
    return SYN_OK;
}

static syn_status read_history(reader *r, const json_t *history)
{
    const size_t n = json_array_size(history);
    syn_inference_team *o = r->out;
    if (history && !json_is_array(history))
        return syn_fail(SYN_ERR_INVALID, "history is not a list");
    if (n > SYN_INFERENCE_HISTORY_MAX || (int)n >= o->team.turns_max) {
        return syn_fail(SYN_ERR_INVALID, "history is longer than %d, or as long as max_turns",
                        SYN_INFERENCE_HISTORY_MAX);
    }
    o->history = syn_arena_alloc(&o->arena, sizeof *o->history * (n + 1));
    o->turns = syn_arena_alloc(&o->arena, sizeof *o->turns * (n + 1));
    if (o->arena.failed) return syn_fail(SYN_ERR_MEMORY, "out of memory for a team");
    o->team.turns = o->turns;
    for (; o->history_count < (int)n; o->history_count++) {
        SYN_RETURN_IF(read_action(r, json_array_get(history, (size_t)o->history_count),
                                  &o->history[o->history_count]));
    }
    return SYN_OK;
}

/* Left as it is where there is none. */
static syn_status read_turns(const json_t *root, const char *name, int least, int most, int *out)
{
    const json_t *value = json_object_get(root, name);
    const int64_t n = json_integer_value(value);
    if (!value) return SYN_OK;
    if (!json_is_integer(value) || n < least || n > most) {
        return syn_fail(SYN_ERR_INVALID, "%s is not a whole number from %d to %d", name, least,
                        most);
    }
    *out = (int)n;
    return SYN_OK;
}

static syn_status read_goal(reader *r, const json_t *root)
{
    syn_team *t = &r->out->team;
    const json_t *goal = json_object_get(root, "goal");
    const char *name = goal ? json_string_value(goal) : "asker";
    if (!name || (strcmp(name, "asker") != 0 && strcmp(name, "consensus") != 0))
        return syn_fail(SYN_ERR_INVALID, "goal is neither asker nor consensus");
    t->goal = *name == 'a' ? SYN_GOAL_ASKER : SYN_GOAL_CONSENSUS;
    t->turns_max = 2 * t->item_count;
    SYN_RETURN_IF(read_turns(root, "max_turns", 1, SYN_TURNS_MAX, &t->turns_max));
    return read_turns(root, "min_turns", 0, t->turns_max - 1, &r->out->turns_min);
}

static syn_status read_root(reader *r, const json_t *root)
{
    static const char *const known[] = {"question",  "agents",    "history", "goal",
                                        "max_turns", "min_turns", NULL};
    syn_team *t = &r->out->team;
    if (!json_is_object(root)) {
        return syn_fail(SYN_ERR_FORMAT,
                        "the orchestrator's request is no JSON object, or has a member twice");
    }
    SYN_RETURN_IF(check_members(root, "the orchestrator's request", known));
    SYN_RETURN_IF(read_text(r, json_object_get(root, "question"), "question",
                            SYN_QUESTION_BYTES_MAX, &t->question));
    if (!*t->question) return syn_fail(SYN_ERR_INVALID, "question is empty");
    SYN_RETURN_IF(read_agents(r, json_object_get(root, "agents")));
    SYN_RETURN_IF(read_goal(r, root));
    SYN_RETURN_IF(read_history(r, json_object_get(root, "history")));
    for (int i = 0; i < SYN_AGENTS_MAX; i++) t->need[i] = "";
    t->round = t->rounds_max = 1;
    t->always_acts = true;
    fill_legal(r->out);
    return r->out->arena.failed ? syn_fail(SYN_ERR_MEMORY, "out of memory for a team") : SYN_OK;
}

syn_status syn_inference_team_read(const char *text, size_t bytes, syn_inference_team *out)
{
    reader r = {.out = out};
    memset(out, 0, sizeof *out);
    syn_arena_init(&out->arena, ARENA_BYTES_MAX);
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const syn_status st = read_root(&r, root);
    json_decref(root);
    if (st != SYN_OK) syn_inference_team_free(out);
    return st;
}

void syn_inference_team_free(syn_inference_team *t)
{
    syn_arena_free(&t->arena);
    memset(t, 0, sizeof *t);
}

/* ---- Playing ---- */

static void deliver(syn_team *t, int from, int to, int item)
{
    const uint64_t bit = 1ull << item;
    t->sent[from][to] |= bit;
    if (t->holds[to] & bit) return;
    t->holds[to] |= bit;
    t->got_turn[to][item] = (int16_t)(t->turn_count + 1);
    t->giver[to][item] = (int8_t)from;
}

syn_status syn_inference_team_play(syn_inference_team *o)
{
    syn_team *t = &o->team;
    const syn_decision *d = &o->history[t->turn_count];
    const uint64_t items = d->kind == SYN_SEND      ? syn_team_givable(t, d->from, d->to)
                           : d->kind == SYN_REQUEST ? syn_team_requestable(t, d->from, d->to)
                                                    : syn_team_broadcastable(t, d->from);
    const int giver = d->kind == SYN_REQUEST ? d->to : d->from;
    if (!(items >> d->item & 1)) {
        return syn_fail(SYN_ERR_INVALID,
                        "action %d of the history moves an item that its giver does not hold or "
                        "has already given",
                        t->turn_count + 1);
    }
    if (d->kind == SYN_BROADCAST) {
        for (int to = 0; to < t->agents; to++)
            if (to != giver) deliver(t, giver, to, d->item);
    } else {
        deliver(t, giver, d->kind == SYN_REQUEST ? d->from : d->to, d->item);
    }
    t->messages += d->kind == SYN_REQUEST ? 2 : 1;
    o->turns[t->turn_count++] = (syn_team_turn){.kind = d->kind,
                                                .from = d->from,
                                                .to = d->to,
                                                .item = d->item,
                                                .title = t->items[d->item].title,
                                                .text = t->items[d->item].text,
                                                .need = "",
                                                .passed_on = !(t->own[giver] >> d->item & 1),
                                                .round = 1,
                                                .giver = giver};
    fill_legal(o);
    return SYN_OK;
}

/* ---- The decision ---- */

static json_t *number_or_null(int agent)
{
    return agent >= 0 ? json_integer(agent + 1) : json_null();
}

json_t *syn_inference_team_decision(const syn_inference_team *t, const syn_decision *d,
                                    const syn_team_gaps *seen, const char *policy)
{
    const int agents = t->team.agents;
    const bool pair = d->kind == SYN_SEND || d->kind == SYN_REQUEST;
    const bool moves = pair || d->kind == SYN_BROADCAST;
    json_t *gaps = json_array();
    for (int i = 0; i < agents; i++) {
        json_t *row = json_array();
        for (int j = 0; j < agents; j++)
            json_array_append_new(row, json_real((double)seen->gaps[i][j]));
        json_array_append_new(gaps, row);
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:f, s:o, s:f, s:s}", "action", syn_action_name(d->kind),
                     "from", number_or_null(moves || d->kind == SYN_ALONE ? d->from : -1), "to",
                     number_or_null(pair ? d->to : -1), "item",
                     moves && d->item >= 0 ? json_string(t->team.items[d->item].id) : json_null(),
                     "probability", (double)d->probability, "gaps", gaps, "sufficiency",
                     (double)seen->sufficiency, "policy", policy);
}
