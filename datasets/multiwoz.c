/* MultiWOZ 2.1, official data.json and ConvLab-2's: an object, dialogue id -> {log [{text,
 * metadata, dialog_act}]}; user and system take turns. The state behind a user turn is in the
 * metadata of the system turn that follows: {domain: {semi {slot: value}, book {slot: value, booked
 * [...]}}}. The keys of a system turn's dialog_act name what it does: "Hotel-Inform"; a
 * "Booking-..." is in the domain that was in use last. Release 2.0 keeps the acts in a file of
 * their own (acts.h). What becomes of it: dialogue.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasets/dialogue.h"

enum { ACTS_MAX = 64 };

/* The names of the acts of a turn, which may stand before the state whose domains they name. */
typedef struct act_list {
    bool given;
    int count, mark_first, mark_count;
    syn_slice names[ACTS_MAX];
} act_list;

typedef struct reader {
    syn_dialogue dialogue;
    syn_slice system;                 /* what the last system turn said */
    int turn, last;                   /* turns read; the domain in use, -1 none */
    syn_json apart;                   /* reads acts of a file of their own */
    act_list told[SYN_EXCHANGES_MAX]; /* those, by system turn, where they are given */
} reader;

/* What is known more of the system turn that is read; NULL: nobody asks. */
static syn_system_turn *system_turn(reader *m)
{
    syn_dialogue *d = &m->dialogue;
    return d->more ? &d->more->turns[d->exchange_count - 1] : NULL;
}

/* Whether a list holds something; it is passed. */
static bool is_filled(syn_json *j, bool *filled)
{
    int index;
    *filled = false;
    if (syn_json_peek(j) != '[') return syn_json_skip(j);
    if (!syn_json_enter_list(j, "\"booked\"", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        *filled = true;
        if (!syn_json_skip(j)) return false;
    }
    return !j->fault_at;
}

static bool slots_read(syn_json *j, reader *m, syn_exchange *e, int domain)
{
    int index;
    bool filled;
    syn_slice key, value;
    if (!syn_json_enter_object(j, "the slots of a domain", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (m->dialogue.more && syn_slice_equal(key, "booked")) {
            if (!is_filled(j, &filled)) return false;
            if (filled) system_turn(m)->booked |= 1u << domain;
            continue;
        }
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
            if (!(slots ? slots_read(j, m, e, domain) : syn_json_skip(j))) return false;
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

/* The values of an act: [[slot, value], ...]. */
static bool marks_read(syn_json *j, reader *m, syn_slice act)
{
    int index, part;
    if (!m->dialogue.more || syn_json_peek(j) != '[') return syn_json_skip(j);
    if (!syn_json_enter_list(j, "the values of an act", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        syn_mark mark = {.act = act, .start = -1, .end = -1};
        if (syn_json_peek(j) != '[') {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        if (!syn_json_enter_list(j, "a value of an act", &part)) return false;
        while (syn_json_next_item(j, &part)) {
            syn_slice *to = part == 0 ? &mark.slot : part == 1 ? &mark.value : NULL;
            if (!(to && syn_json_peek(j) == '"' ? syn_json_string(j, "a value of an act", to)
                                                : syn_json_skip(j)))
                return false;
        }
        if (j->fault_at) return false;
        if (mark.slot.bytes && mark.value.bytes && !syn_dialogue_mark(j, &m->dialogue, &mark))
            return false;
    }
    return !j->fault_at;
}

static bool acts_read(syn_json *j, reader *m, act_list *acts)
{
    int index;
    syn_slice key;
    acts->count = acts->mark_count = 0;
    acts->mark_first = m->dialogue.more ? m->dialogue.more->mark_count : 0;
    acts->given = syn_json_peek(j) == '{';
    if (!acts->given) return syn_json_skip(j); /* "No Annotation" */
    if (!syn_json_enter_object(j, "the acts of a turn", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (acts->count == ACTS_MAX)
            return syn_json_fault(j, j->at, "more than %d acts in a turn", ACTS_MAX);
        acts->names[acts->count++] = key;
        if (!marks_read(j, m, key)) return false;
    }
    if (m->dialogue.more) acts->mark_count = m->dialogue.more->mark_count - acts->mark_first;
    return !j->fault_at;
}

/* Acts in a file of their own are numbered by system turns from 1. */
static bool told_read(syn_json *own, int number, void *owner)
{
    reader *m = owner;
    const bool known = number >= 1 && number <= SYN_EXCHANGES_MAX;
    return known ? acts_read(own, m, &m->told[number - 1]) : syn_json_skip(own);
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
    acts->given = false;
    acts->count = acts->mark_count = 0;
    *text = (syn_slice){NULL, 0};
    if (!syn_json_enter_object(j, "a turn of \"log\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "text"))
            good = syn_json_string(j, "\"text\"", text);
        else if (e && syn_slice_equal(key, "metadata"))
            good = state_read(j, m, e);
        else if (syn_slice_equal(key, "dialog_act"))
            good = acts_read(j, m, acts);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    if (j->fault_at) return false;
    return text->bytes || syn_json_fault(j, start, "the turn has no \"text\"");
}

/* Takes what a system turn has said. */
static void system_take(reader *m, syn_exchange *e, syn_slice text, const act_list *acts)
{
    syn_system_turn *more = system_turn(m);
    uint32_t done = 0;
    bool booking = false;
    if (!acts->given) acts = &m->told[m->dialogue.exchange_count - 1];
    for (int i = 0; acts->given && i < acts->count; i++)
        act_take(m, acts->names[i], &done, &booking);
    if (booking && m->last >= 0) done |= 1u << m->last;
    e->acts = done;
    m->system = text;
    if (!more) return;
    more->text = text;
    more->last = m->last;
    more->unannotated = !acts->given;
    if (!acts->given) return;
    more->mark_first = acts->mark_first;
    more->mark_count = acts->mark_count;
}

static bool turn_read(syn_json *j, reader *m)
{
    syn_dialogue *d = &m->dialogue;
    syn_slice text;
    act_list acts;
    uint32_t done = 0;
    bool booking = false;
    const bool user = m->turn % 2 == 0;
    const int mark_first = d->more ? d->more->mark_count : 0;
    syn_exchange *e = user ? syn_dialogue_exchange(j, d) : &d->exchanges[d->exchange_count - 1];
    if (!e || !turn_fields_read(j, m, user ? NULL : e, &text, &acts)) return false;
    if (user) {
        for (int i = 0; i < acts.count; i++) act_take(m, acts.names[i], &done, &booking);
        if (d->more) d->more->mark_count = mark_first;
        e->before = m->system;
        e->user = text;
        e->number = m->turn;
    } else {
        system_take(m, e, text, &acts);
    }
    m->turn++;
    return true;
}

/* Keeps the text of a value for later. */
static bool goal_read(syn_json *j, reader *m)
{
    syn_json_peek(j);
    const char *at = j->at;
    if (!syn_json_skip(j)) return false;
    if (m->dialogue.more) m->dialogue.more->goal = (syn_slice){at, (size_t)(j->at - at)};
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
            if (!(syn_slice_equal(key, "goal") ? goal_read(j, m) : syn_json_skip(j))) return false;
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

bool syn_multiwoz_dialogue(syn_json *j, syn_slice name, const syn_dialogue_sink *sink)
{
    reader *m = malloc(sizeof *m);
    if (!m) return syn_json_fault(j, j->at, "out of memory");
    syn_dialogue_begin(&m->dialogue, j->at, sink->more);
    m->dialogue.id = syn_dialogue_id(name);
    m->system = (syn_slice){NULL, 0};
    m->turn = 0;
    m->last = -1;
    m->apart = (syn_json){0};
    for (int t = 0; t < SYN_EXCHANGES_MAX; t++) m->told[t].given = false;
    bool good = syn_acts_each(sink->acts, m->dialogue.id, j, &m->apart, told_read, m) &&
                dialogue_read(j, m) && sink->take(sink->owner, &m->dialogue);
    syn_json_free(&m->apart);
    free(m);
    return good;
}

bool syn_multiwoz_read(syn_json *j, syn_slice name, syn_raw_record *r, const syn_raw_sink *sink)
{
    return syn_dialogue_records(j, name, syn_multiwoz_dialogue, r, sink);
}
