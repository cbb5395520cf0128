#include "datasets/goal.h"

#include <string.h>

typedef struct slots {
    int count;
    syn_slot items[SYN_GOAL_SLOTS_MAX];
} slots;

/* {slot: value}: members that are no text, "invalid" and such, are no constraints. */
static bool slots_read(syn_json *j, syn_arena *arena, const char *domain, slots *s)
{
    int index;
    syn_slice key, value;
    s->count = 0;
    if (syn_json_peek(j) != '{') return syn_json_skip(j);
    if (!syn_json_enter_object(j, "the constraints of a goal", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_json_peek(j) != '"') {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        if (s->count == SYN_GOAL_SLOTS_MAX)
            return syn_json_fault(j, j->at, "more than %d constraints of a goal",
                                  SYN_GOAL_SLOTS_MAX);
        if (!syn_json_string(j, "a value of the goal", &value)) return false;
        s->items[s->count++] =
            (syn_slot){domain, syn_slice_text(arena, key), syn_slice_text(arena, value)};
    }
    return !j->fault_at;
}

static const syn_slot *slots_keep(syn_arena *arena, const slots *s)
{
    syn_slot *kept = s->count ? syn_arena_array(arena, (size_t)s->count, sizeof *kept) : NULL;
    if (kept) memcpy(kept, s->items, (size_t)s->count * sizeof *kept);
    return kept;
}

static bool requests_read(syn_json *j, syn_arena *arena, syn_user_goal *g)
{
    int index;
    const char *names[SYN_GOAL_SLOTS_MAX];
    syn_slice text;
    g->request_count = 0;
    if (!syn_json_enter_list(j, "\"reqt\"", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        if (g->request_count == SYN_GOAL_SLOTS_MAX)
            return syn_json_fault(j, j->at, "more than %d requests of a goal", SYN_GOAL_SLOTS_MAX);
        if (!syn_json_string(j, "a request of the goal", &text)) return false;
        names[g->request_count++] = syn_slice_text(arena, text);
    }
    const char **kept = syn_arena_array(arena, (size_t)g->request_count + 1, sizeof *kept);
    if (j->fault_at || !kept) return false;
    memcpy(kept, names, (size_t)g->request_count * sizeof *kept);
    g->requests = kept;
    return true;
}

static bool domain_read(syn_json *j, syn_arena *arena, syn_slice name, syn_user_goal *g)
{
    int index;
    syn_slice key;
    slots found;
    bool good;
    *g = (syn_user_goal){.domain = syn_slice_text(arena, name)};
    if (!syn_json_enter_object(j, "a domain of the goal", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        const bool info = syn_slice_equal(key, "info"), book = syn_slice_equal(key, "book");
        if (info || book) {
            good = slots_read(j, arena, g->domain, &found);
            if (!good) return false;
            *(info ? &g->info : &g->book) = slots_keep(arena, &found);
            *(info ? &g->info_count : &g->book_count) = found.count;
        } else if (!(syn_slice_equal(key, "reqt") ? requests_read(j, arena, g)
                                                  : syn_json_skip(j))) {
            return false;
        }
    }
    return !j->fault_at;
}

/* A sentence without "<span class='emphasis'>" and the like. */
static const char *message_make(syn_arena *arena, syn_slice text)
{
    char *plain = syn_arena_alloc(arena, text.count + 1);
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; plain && i < text.count; i++) {
        const char c = text.bytes[i];
        if (c == '<') inside = true;
        if (!inside) plain[n++] = c;
        if (c == '>') inside = false;
    }
    return plain ? plain : "";
}

/* A list of sentences, or one. */
static bool messages_read(syn_json *j, syn_arena *arena, syn_task_turn *out)
{
    int index, count = 0;
    syn_slice text;
    const char **kept = syn_arena_array(arena, SYN_GOAL_MESSAGES_MAX, sizeof *kept);
    if (!kept) return false;
    if (syn_json_peek(j) == '"') {
        if (!syn_json_string(j, "\"message\"", &text)) return false;
        kept[count++] = message_make(arena, text);
    } else {
        if (!syn_json_enter_list(j, "\"message\"", &index)) return false;
        while (syn_json_next_item(j, &index)) {
            if (count == SYN_GOAL_MESSAGES_MAX)
                return syn_json_fault(j, j->at, "more than %d sentences of a goal",
                                      SYN_GOAL_MESSAGES_MAX);
            if (!syn_json_string(j, "a sentence of \"message\"", &text)) return false;
            kept[count++] = message_make(arena, text);
        }
    }
    out->messages = kept;
    out->message_count = count;
    return !j->fault_at;
}

bool syn_goal_read(syn_json *j, syn_arena *arena, syn_task_turn *out)
{
    int index;
    syn_slice key;
    syn_user_goal *goals = syn_arena_array(arena, SYN_GOAL_DOMAINS_MAX, sizeof *goals);
    if (!goals || !syn_json_enter_object(j, "\"goal\"", &index)) return false;
    out->goal_count = 0;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "message")) {
            if (!messages_read(j, arena, out)) return false;
            continue;
        }
        if (syn_slice_equal(key, "topic") || syn_json_peek(j) != '{') {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        if (out->goal_count == SYN_GOAL_DOMAINS_MAX)
            return syn_json_fault(j, j->at, "more than %d domains in a goal", SYN_GOAL_DOMAINS_MAX);
        syn_user_goal *g = &goals[out->goal_count];
        if (!domain_read(j, arena, key, g)) return false;
        if (g->info_count || g->book_count || g->request_count) out->goal_count++;
    }
    out->goals = goals;
    return !j->fault_at;
}
