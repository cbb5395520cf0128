/* MultiWOZ 2.1, official data.json and ConvLab-2's: an object, dialogue id -> {log [{text,
 * metadata, dialog_act}]}; user and system take turns. The state behind a user turn is in the
 * metadata of the system turn that follows: {domain: {semi {slot: value}, book {slot: value, booked
 * [...]}}}. The keys of a system turn's dialog_act name what it does: "Hotel-Inform"; a
 * "Booking-..." is in the domain that was in use last. What becomes of it: dialogue.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasets/dialogue.h"

enum { ACTS_MAX = 64 };

typedef struct reader {
    syn_dialogue dialogue;
    syn_slice system; /* what the last system turn said */
    int turn, last;   /* turns read; the domain in use, -1 none */
} reader;

static bool slots_read(syn_json *j, syn_exchange *e, int domain)
{
    int index;
    syn_slice key, value;
    if (!syn_json_enter_object(j, "the slots of a domain", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_json_peek(j) != '"' || syn_slice_equal(key, "booked")) {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        if (!syn_json_string(j, "a value", &value) || !syn_exchange_fact(j, e, domain, key, value))
            return false;
    }
    return !j->fault_at;
}

static bool state_read(syn_json *j, reader *m, syn_exchange *e)
{
    int index, part;
    syn_slice key;
    e->fact_count = 0;
    if (!syn_json_enter_object(j, "\"metadata\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        int domain = syn_dialogue_domain(j, &m->dialogue, key);
        if (domain < 0 || !syn_json_enter_object(j, "a domain of \"metadata\"", &part))
            return false;
        while (syn_json_next_key(j, &part, &key)) {
            bool slots = syn_slice_equal(key, "semi") || syn_slice_equal(key, "book");
            if (!(slots ? slots_read(j, e, domain) : syn_json_skip(j))) return false;
        }
    }
    return !j->fault_at;
}

/* Takes note of one act; an act without a domain of the state is none. */
static void act_take(reader *m, syn_slice act, uint32_t *acts, bool *booking)
{
    const char *dash = memchr(act.bytes, '-', act.count);
    if (!dash) return;
    const size_t n = (size_t)(dash - act.bytes), rest = act.count - n - 1;
    const bool asks = rest == 7 && strncasecmp(dash + 1, "Request", 7) == 0;
    if (n == 7 && strncasecmp(act.bytes, "Booking", 7) == 0) {
        *booking |= !asks;
        return;
    }
    for (int i = 0; i < m->dialogue.domain_count; i++) {
        syn_slice domain = m->dialogue.domains[i];
        if (domain.count != n || strncasecmp(domain.bytes, act.bytes, n) != 0) continue;
        m->last = i;
        if (!asks) *acts |= 1u << i;
    }
}

/* The names of the acts of a turn, which may stand before the state whose domains they name. */
typedef struct act_list {
    int count;
    syn_slice names[ACTS_MAX];
} act_list;

static bool acts_read(syn_json *j, act_list *acts)
{
    int index;
    syn_slice key;
    acts->count = 0;
    if (syn_json_peek(j) != '{') return syn_json_skip(j); /* "No Annotation" */
    if (!syn_json_enter_object(j, "\"dialog_act\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (acts->count == ACTS_MAX)
            return syn_json_fault(j, j->at, "more than %d acts in a turn", ACTS_MAX);
        acts->names[acts->count++] = key;
        if (!syn_json_skip(j)) return false;
    }
    return !j->fault_at;
}

/* Reads the fields of a turn; e receives the state of a system turn, NULL on user turns. */
static bool turn_fields_read(syn_json *j, reader *m, syn_exchange *e, syn_slice *text,
                             act_list *acts)
{
    int index;
    syn_slice key;
    bool good;
    syn_json_peek(j);
    const char *start = j->at;
    acts->count = 0;
    *text = (syn_slice){NULL, 0};
    if (!syn_json_enter_object(j, "a turn of \"log\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "text"))
            good = syn_json_string(j, "\"text\"", text);
        else if (e && syn_slice_equal(key, "metadata"))
            good = state_read(j, m, e);
        else if (syn_slice_equal(key, "dialog_act"))
            good = acts_read(j, acts);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    if (j->fault_at) return false;
    return text->bytes || syn_json_fault(j, start, "the turn has no \"text\"");
}

static bool turn_read(syn_json *j, reader *m)
{
    syn_dialogue *d = &m->dialogue;
    syn_slice text;
    act_list acts;
    uint32_t done = 0;
    bool booking = false;
    const bool user = m->turn % 2 == 0;
    syn_exchange *e = user ? syn_dialogue_exchange(j, d) : &d->exchanges[d->exchange_count - 1];
    if (!e || !turn_fields_read(j, m, user ? NULL : e, &text, &acts)) return false;
    for (int i = 0; i < acts.count; i++) act_take(m, acts.names[i], &done, &booking);
    if (user) {
        e->before = m->system;
        e->user = text;
        e->number = m->turn;
    } else {
        if (booking && m->last >= 0) done |= 1u << m->last;
        e->acts = done;
        m->system = text;
    }
    m->turn++;
    return true;
}

static bool dialogue_read(syn_json *j, reader *m)
{
    int index, item;
    syn_slice key;
    bool has_log = false;
    const char *start = j->at;
    if (!syn_json_enter_object(j, "the dialogue", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (!syn_slice_equal(key, "log")) {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        if (has_log) return syn_json_fault(j, j->at, "\"log\" comes twice");
        has_log = true;
        if (!syn_json_enter_list(j, "\"log\"", &item)) return false;
        while (syn_json_next_item(j, &item))
            if (!turn_read(j, m)) return false;
        if (j->fault_at) return false;
    }
    if (j->fault_at || !syn_json_finish(j)) return false;
    return has_log || syn_json_fault(j, start, "the dialogue has no \"log\"");
}

bool syn_multiwoz_read(syn_json *j, syn_slice name, syn_raw_record *r, const syn_raw_sink *sink)
{
    reader *m = malloc(sizeof *m);
    if (!m) return syn_json_fault(j, j->at, "out of memory");
    syn_dialogue_begin(&m->dialogue, j->at);
    m->dialogue.id = syn_dialogue_id(name);
    m->system = (syn_slice){NULL, 0};
    m->turn = 0;
    m->last = -1;
    bool good = dialogue_read(j, m) && syn_dialogue_take(j, &m->dialogue, r, sink);
    free(m);
    return good;
}
