/* MultiWOZ 2.2 and SGD: a list of {dialogue_id, turns [{speaker, utterance, frames [{service,
 * actions [{act}], slots [...], state {active_intent, requested_slots [...], slot_values {slot:
 * [value, ...]}}}]}]}, in one file or a folder of dialogues_*.json. State is on user turns,
 * services that a turn does not mention keep theirs; of several values, spellings of one, the first
 * is taken.
 *
 * What the system does is in the actions of its frames: anything but REQUEST, REQ_MORE and GOODBYE.
 * MultiWOZ 2.2 leaves them empty; there a service counts in which the user has changed something,
 * asks for a slot, or in which the system names a value, as long as the user has an intent in it.
 * What becomes of it: dialogue.h. */
#include <stdlib.h>
#include <string.h>

#include "datasets/dialogue.h"

enum { FRAMES_MAX = 32, TURNS_MAX = 2 * SYN_EXCHANGES_MAX };

/* Values that a turn names, as a file of its own says; none where given is not set. */
typedef struct told {
    bool given;
    int mark_first, mark_count;
} told;

/* One frame of a turn. */
typedef struct frame {
    int domain;
    bool has_state, intent, requests; /* of the user's */
    bool acts, has_actions, slots;    /* of the system's: it does something, has acts, values */
} frame;

typedef struct turn {
    bool has_speaker, system;
    syn_slice text;
    int frame_count;
    frame frames[FRAMES_MAX];
    syn_exchange state; /* facts of all frames, their domain the number of the frame */
} turn;

typedef struct reader {
    syn_dialogue dialogue;
    syn_slice system; /* what the last system turn said */
    int turn_count;
    bool open;         /* the last exchange waits for the system */
    uint32_t wanted;   /* domains in which the user changed or asks for something, with an intent */
    uint32_t intended; /* domains in which the user has an intent */
    turn turn;
    syn_json apart;       /* reads acts of a file of their own */
    told told[TURNS_MAX]; /* values that those name, by turn */
} reader;

/* Reads a list of texts: the first of them, and how many there are. */
static bool texts_read(syn_json *j, const char *what, syn_slice *first, int *count)
{
    int index;
    syn_slice text;
    *count = 0;
    *first = (syn_slice){NULL, 0};
    if (!syn_json_enter_list(j, what, &index)) return false;
    while (syn_json_next_item(j, &index)) {
        if (!syn_json_string(j, what, &text)) return false;
        if ((*count)++ == 0) *first = text;
    }
    return !j->fault_at;
}

static bool values_read(syn_json *j, turn *t, int number)
{
    int index, count;
    syn_slice slot, value;
    if (!syn_json_enter_object(j, "\"slot_values\"", &index)) return false;
    while (syn_json_next_key(j, &index, &slot))
        if (!texts_read(j, "the values of a slot", &value, &count) ||
            (count && !syn_exchange_fact(j, &t->state, number, slot, value)))
            return false;
    return !j->fault_at;
}

static bool state_read(syn_json *j, turn *t, int number)
{
    int index, count;
    syn_slice key, text;
    bool good;
    frame *f = &t->frames[number];
    f->has_state = true;
    if (!syn_json_enter_object(j, "\"state\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "active_intent")) {
            good = syn_json_string(j, "\"active_intent\"", &text);
            f->intent = good && !syn_slice_equal(text, "NONE");
        } else if (syn_slice_equal(key, "requested_slots")) {
            good = texts_read(j, "\"requested_slots\"", &text, &count);
            f->requests = count > 0;
        } else if (syn_slice_equal(key, "slot_values")) {
            good = values_read(j, t, number);
        } else {
            good = syn_json_skip(j);
        }
        if (!good) return false;
    }
    return !j->fault_at;
}

static bool actions_read(syn_json *j, frame *f)
{
    int index, field;
    syn_slice key, act;
    if (!syn_json_enter_list(j, "\"actions\"", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        if (!syn_json_enter_object(j, "an action", &field)) return false;
        while (syn_json_next_key(j, &field, &key)) {
            if (!syn_slice_equal(key, "act")) {
                if (!syn_json_skip(j)) return false;
                continue;
            }
            if (!syn_json_string(j, "\"act\"", &act)) return false;
            f->has_actions = true;
            f->acts |= !syn_slice_equal(act, "REQUEST") && !syn_slice_equal(act, "REQ_MORE") &&
                       !syn_slice_equal(act, "GOODBYE");
        }
    }
    return !j->fault_at;
}

/* Reads {slot, value, start, exclusive_end}; SGD's have no value. */
static bool mark_read(syn_json *j, reader *m)
{
    int index;
    syn_slice key;
    syn_mark mark = {.start = -1, .end = -1};
    bool good;
    if (!m->dialogue.more || syn_json_peek(j) != '{') return syn_json_skip(j);
    if (!syn_json_enter_object(j, "a slot", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        const bool text = syn_json_peek(j) == '"';
        if (syn_slice_equal(key, "slot") && text)
            good = syn_json_string(j, "\"slot\"", &mark.slot);
        else if (syn_slice_equal(key, "value") && text)
            good = syn_json_string(j, "\"value\"", &mark.value);
        else if (syn_slice_equal(key, "start"))
            good = syn_json_integer(j, "\"start\"", &mark.start);
        else if (syn_slice_equal(key, "exclusive_end"))
            good = syn_json_integer(j, "\"exclusive_end\"", &mark.end);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    return !j->fault_at && (!mark.slot.bytes || syn_dialogue_mark(j, &m->dialogue, &mark));
}

static bool slots_read(syn_json *j, reader *m, frame *f)
{
    int index;
    if (!syn_json_enter_list(j, "\"slots\"", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        f->slots = true;
        if (!mark_read(j, m)) return false;
    }
    return !j->fault_at;
}

static bool frame_read(syn_json *j, reader *m)
{
    int index, number = m->turn.frame_count;
    syn_slice key, service = {NULL, 0};
    bool good;
    syn_json_peek(j);
    const char *start = j->at;
    if (number == FRAMES_MAX)
        return syn_json_fault(j, start, "more than %d frames in a turn", FRAMES_MAX);
    frame *f = &m->turn.frames[m->turn.frame_count++];
    const int mark_first = m->dialogue.more ? m->dialogue.more->mark_count : 0;
    *f = (frame){0};
    if (!syn_json_enter_object(j, "a frame", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "service"))
            good = syn_json_string(j, "\"service\"", &service);
        else if (syn_slice_equal(key, "state"))
            good = state_read(j, &m->turn, number);
        else if (syn_slice_equal(key, "actions"))
            good = actions_read(j, f);
        else if (syn_slice_equal(key, "slots"))
            good = slots_read(j, m, f);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!service.bytes) return syn_json_fault(j, start, "the frame has no \"service\"");
    f->domain = syn_dialogue_domain(j, &m->dialogue, service);
    for (int k = mark_first; m->dialogue.more && k < m->dialogue.more->mark_count; k++)
        m->dialogue.more->marks[k].act = service;
    return f->domain >= 0;
}

/* A slot of MultiWOZ 2.2 is named "hotel-area", its service "hotel". */
static syn_slice slot_name(syn_slice slot, syn_slice service)
{
    if (slot.count > service.count + 1 && slot.bytes[service.count] == '-' &&
        memcmp(slot.bytes, service.bytes, service.count) == 0) {
        slot.bytes += service.count + 1;
        slot.count -= service.count + 1;
    }
    return slot;
}

static bool same_fact(const syn_exchange *e, const syn_fact *f)
{
    for (int k = 0; k < e->fact_count; k++) {
        const syn_fact *g = &e->facts[k];
        if (g->domain == f->domain && g->slot.count == f->slot.count &&
            memcmp(g->slot.bytes, f->slot.bytes, g->slot.count) == 0 &&
            g->value.count == f->value.count &&
            memcmp(g->value.bytes, f->value.bytes, g->value.count) == 0)
            return true;
    }
    return false;
}

/* Begins the exchange of a user turn: what the other services held stays. */
static bool user_take(syn_json *j, reader *m)
{
    const turn *t = &m->turn;
    syn_dialogue *d = &m->dialogue;
    uint32_t stated = 0;
    syn_exchange *e = syn_dialogue_exchange(j, d);
    if (!e) return false;
    const syn_exchange *before = d->exchange_count > 1 ? e - 1 : NULL;
    e->before = m->system;
    e->user = t->text;
    e->number = m->turn_count;
    m->wanted = m->intended = 0;
    for (int i = 0; i < t->frame_count; i++) {
        const frame *f = &t->frames[i];
        if (!f->has_state) continue;
        stated |= 1u << f->domain;
        if (f->intent) m->intended |= 1u << f->domain;
        if (f->intent && f->requests) m->wanted |= 1u << f->domain;
    }
    for (int k = 0; before && k < before->fact_count; k++) {
        const syn_fact *f = &before->facts[k];
        if (!(stated >> f->domain & 1) && !syn_exchange_fact(j, e, f->domain, f->slot, f->value))
            return false;
    }
    for (int k = 0; k < t->state.fact_count; k++) {
        syn_fact f = t->state.facts[k];
        f.domain = t->frames[f.domain].domain;
        f.slot = slot_name(f.slot, d->domains[f.domain]);
        if (!syn_exchange_fact(j, e, f.domain, f.slot, f.value)) return false;
        if ((!before || !same_fact(before, &f)) && m->intended >> f.domain & 1)
            m->wanted |= 1u << f.domain;
    }
    m->open = true;
    return true;
}

static void system_take(reader *m, int mark_first)
{
    const turn *t = &m->turn;
    uint32_t acts = 0, named = 0;
    bool has_actions = false;
    m->system = t->text;
    for (int i = 0; i < t->frame_count; i++) {
        const frame *f = &t->frames[i];
        has_actions |= f->has_actions;
        if (f->acts) acts |= 1u << f->domain;
        if (f->slots) named |= 1u << f->domain;
    }
    if (!has_actions) acts = m->wanted | (named & m->intended);
    if (!m->open) return;
    const int at = m->dialogue.exchange_count - 1;
    m->dialogue.exchanges[at].acts = acts;
    m->open = false;
    if (!m->dialogue.more) return;
    syn_system_turn *more = &m->dialogue.more->turns[at];
    more->text = t->text;
    more->mark_first = mark_first;
    more->mark_count = m->dialogue.more->mark_count - mark_first;
    more->turn = m->turn_count;
}

static bool speaker_read(syn_json *j, turn *t)
{
    syn_slice text;
    syn_json_peek(j);
    const char *at = j->at;
    if (!syn_json_string(j, "\"speaker\"", &text)) return false;
    t->has_speaker = true;
    t->system = syn_slice_equal(text, "SYSTEM");
    return t->system || syn_slice_equal(text, "USER") ||
           syn_json_fault(j, at, "\"speaker\" is neither USER nor SYSTEM");
}

static bool turn_read(syn_json *j, reader *m)
{
    int index, item;
    syn_slice key;
    turn *t = &m->turn;
    bool good;
    syn_json_peek(j);
    const char *start = j->at;
    t->has_speaker = t->system = false;
    t->text = (syn_slice){NULL, 0};
    t->frame_count = t->state.fact_count = 0;
    const int mark_first = m->dialogue.more ? m->dialogue.more->mark_count : 0;
    if (!syn_json_enter_object(j, "a turn", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "speaker")) {
            good = speaker_read(j, t);
        } else if (syn_slice_equal(key, "utterance")) {
            good = syn_json_string(j, "\"utterance\"", &t->text);
        } else if (syn_slice_equal(key, "frames")) {
            t->frame_count = t->state.fact_count = 0;
            if (m->dialogue.more) m->dialogue.more->mark_count = mark_first;
            good = syn_json_enter_list(j, "\"frames\"", &item);
            while (good && syn_json_next_item(j, &item)) good = frame_read(j, m);
            good &= !j->fault_at;
        } else {
            good = syn_json_skip(j);
        }
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!t->has_speaker) return syn_json_fault(j, start, "the turn has no \"speaker\"");
    if (!t->text.bytes) return syn_json_fault(j, start, "the turn has no \"utterance\"");
    if (!t->system && m->dialogue.more) m->dialogue.more->mark_count = mark_first;
    if (t->system)
        system_take(m, mark_first);
    else if (!user_take(j, m))
        return false;
    m->turn_count++;
    return true;
}

static bool dialogue_read(syn_json *j, reader *m)
{
    int index, item;
    syn_slice key;
    bool has_turns = false;
    const char *start = j->at;
    if (!syn_json_enter_object(j, "the record", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "dialogue_id")) {
            if (!syn_json_string(j, "\"dialogue_id\"", &m->dialogue.id)) return false;
        } else if (syn_slice_equal(key, "turns")) {
            if (has_turns) return syn_json_fault(j, j->at, "\"turns\" comes twice");
            has_turns = true;
            if (!syn_json_enter_list(j, "\"turns\"", &item)) return false;
            while (syn_json_next_item(j, &item))
                if (!turn_read(j, m)) return false;
        } else if (!syn_json_skip(j)) {
            return false;
        }
    }
    if (j->fault_at || !syn_json_finish(j)) return false;
    if (!m->dialogue.id.bytes) return syn_json_fault(j, start, "the record has no \"dialogue_id\"");
    m->dialogue.id = syn_dialogue_id(m->dialogue.id);
    return has_turns || syn_json_fault(j, start, "the record has no \"turns\"");
}

/* Reads [act, slot, value, start, end]. */
static bool span_read(syn_json *j, reader *m)
{
    int part;
    syn_mark mark = {.start = -1, .end = -1};
    if (!syn_json_enter_list(j, "a span", &part)) return false;
    while (syn_json_next_item(j, &part)) {
        syn_slice *text = part == 0   ? &mark.act
                          : part == 1 ? &mark.slot
                          : part == 2 ? &mark.value
                                      : NULL;
        int64_t *place = part == 3 ? &mark.start : part == 4 ? &mark.end : NULL;
        const char c = syn_json_peek(j);
        bool good;
        if (text && c == '"')
            good = syn_json_string(j, "a part of a span", text);
        else if (place && c != 'n')
            good = syn_json_integer(j, "the place of a span", place);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    return !j->fault_at && (!mark.act.bytes || !mark.slot.bytes || !mark.value.bytes ||
                            syn_dialogue_mark(j, &m->dialogue, &mark));
}

static bool spans_read(syn_json *j, reader *m, told *t)
{
    int index, item;
    syn_slice key;
    t->mark_first = m->dialogue.more->mark_count;
    if (!syn_json_enter_object(j, "the acts of a turn", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (!syn_slice_equal(key, "span_info")) {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        t->given = true;
        if (!syn_json_enter_list(j, "\"span_info\"", &item)) return false;
        while (syn_json_next_item(j, &item))
            if (!span_read(j, m)) return false;
    }
    t->mark_count = m->dialogue.more->mark_count - t->mark_first;
    return !j->fault_at;
}

/* Acts in a file of their own are numbered by turns from 0. */
static bool told_read(syn_json *own, int number, void *owner)
{
    reader *m = owner;
    const bool known = number >= 0 && number < TURNS_MAX;
    return known ? spans_read(own, m, &m->told[number]) : syn_json_skip(own);
}

/* Where a file of its own says which values the turns name, that counts. */
static bool acts_take(syn_json *j, reader *m, const syn_acts *acts)
{
    syn_dialogue_more *more = m->dialogue.more;
    if (!more) return true;
    for (int t = 0; t < TURNS_MAX; t++) m->told[t].given = false;
    if (!syn_acts_each(acts, m->dialogue.id, j, &m->apart, told_read, m)) return false;
    for (int i = 0; i < m->dialogue.exchange_count; i++) {
        syn_system_turn *said = &more->turns[i];
        if (!said->text.bytes || said->turn >= TURNS_MAX || !m->told[said->turn].given) continue;
        said->mark_first = m->told[said->turn].mark_first;
        said->mark_count = m->told[said->turn].mark_count;
    }
    return true;
}

bool syn_multiwoz22_dialogue(syn_json *j, syn_slice name, const syn_dialogue_sink *sink)
{
    (void)name;
    const char *start = j->at;
    reader *m = malloc(sizeof *m);
    if (!m) return syn_json_fault(j, start, "out of memory");
    m->system = (syn_slice){NULL, 0};
    m->turn_count = 0;
    m->open = false;
    m->wanted = m->intended = 0;
    syn_dialogue_begin(&m->dialogue, start, sink->more);
    m->apart = (syn_json){0};
    bool good =
        dialogue_read(j, m) && acts_take(j, m, sink->acts) && sink->take(sink->owner, &m->dialogue);
    syn_json_free(&m->apart);
    free(m);
    return good;
}

bool syn_multiwoz22_read(syn_json *j, syn_slice name, syn_raw_record *r, const syn_raw_sink *sink)
{
    return syn_dialogue_records(j, name, syn_multiwoz22_dialogue, r, sink);
}
