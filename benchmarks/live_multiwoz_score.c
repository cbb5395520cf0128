/* A system turn of MultiWOZ: the writer's JSON, its state, its response. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_task_private.h"
#include "benchmarks/metric_multiwoz_private.h"
#include "serve/words.h"

enum {
    BRACES_MAX = 64,      /* places in an answer where its object is looked for */
    STATE_SLOTS_MAX = 64, /* of one turn */
    NAME_BYTES_MAX = 40,
    STATE_VALUE_BYTES_MAX = 200
};

/* ---- The writer's JSON ---- */

/* The first object that has a response; inside of the template's "answer" too. */
static json_t *find_turn(const char *text, bool within)
{
    const char *thought = strstr(text, "</think>"); /* what was considered before counts nothing */
    if (thought) text = thought;
    const size_t bytes = strlen(text);
    int tries = 0;
    for (const char *at = text; (at = strchr(at, '{')) && tries++ < BRACES_MAX; at++) {
        json_t *object = json_loadb(at, bytes - (size_t)(at - text), JSON_DISABLE_EOF_CHECK, NULL);
        json_t *answer = json_object_get(object, "answer"), *found = NULL;
        if (json_is_string(json_object_get(object, "response")))
            found = json_incref(object);
        else if (json_is_string(json_object_get(answer, "response")))
            found = json_incref(answer);
        else if (json_is_string(answer) && !within)
            found = find_turn(json_string_value(answer), true);
        json_decref(object);
        if (found) return found;
    }
    return NULL;
}

/* A slot's value as a text; NULL: nothing, or what is no value. */
static json_t *value_json(const json_t *value)
{
    char number[64];
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (json_is_boolean(value)) return json_string(json_is_true(value) ? "yes" : "no");
    if (json_is_number(value)) {
        snprintf(number, sizeof number, "%g", json_number_value(value));
        return json_string(number);
    }
    const char *text = json_string_value(value);
    if (!text || !*text) return NULL;
    return json_stringn(text, syn_utf8_prefix(text, STATE_VALUE_BYTES_MAX));
}

/* {domain: {slot: text}}, whatever the model has made of it. */
static json_t *clean_state(const json_t *given)
{
    json_t *state = json_object(), *slots, *value;
    const char *domain, *slot;
    int failed = !state, room = STATE_SLOTS_MAX;
    json_object_foreach((json_t *)given, domain, slots)
    {
        json_t *kept = json_object();
        if (!json_is_object(slots) || strlen(domain) > NAME_BYTES_MAX) {
            json_decref(kept);
            continue;
        }
        json_object_foreach(slots, slot, value)
        {
            json_t *text = strlen(slot) > NAME_BYTES_MAX || room <= 0 ? NULL : value_json(value);
            if (!text) continue;
            failed |= json_object_set_new(kept, slot, text);
            room--;
        }
        if (json_object_size(kept)) failed |= json_object_set(state, domain, kept);
        json_decref(kept);
    }
    if (failed) json_decref(state);
    return failed ? NULL : state;
}

static json_t *prediction_of(const syn_live_answer *a, bool *unparsed)
{
    json_t *turn = a->abstained ? NULL : find_turn(a->answer, false);
    const char *said = turn           ? json_string_value(json_object_get(turn, "response"))
                       : a->abstained ? ""
                                      : a->answer;
    *unparsed = !turn;
    json_t *state = clean_state(json_object_get(turn, "state"));
    json_t *response = syn_live_said_json(said);
    json_t *prediction =
        state && response ? json_pack("{s:O, s:O}", "response", response, "state", state) : NULL;
    json_decref(response);
    json_decref(state);
    json_decref(turn);
    return prediction;
}

/* ---- The state ---- */

/* A slot and its value made one: "hotel", "people", "2". */
typedef struct fact {
    char domain[3 * NAME_BYTES_MAX + 1], slot[3 * NAME_BYTES_MAX + 8];
    char *value;
} fact;

typedef struct facts {
    fact items[STATE_SLOTS_MAX];
    int count;
} facts;

/* "hotel-bookpeople", "book people" and "people" are one slot. */
static void slot_name(const char *domain, const char *slot, char *out)
{
    char name[3 * NAME_BYTES_MAX + 8];
    const size_t n = strlen(domain);
    if (!strncasecmp(slot, domain, n) && slot[n] == '-') slot += n + 1;
    syn_multiwoz_column_name(slot, name);
    const bool booked = !strncmp(name, "book", 4) && name[4];
    strcpy(out, name + (booked ? 4 : 0));
}

static bool is_unset(const char *value)
{
    static const char *const words[] = {"", "none", "not mentioned", "null", "unknown"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(value, words[i])) return true;
    return false;
}

static bool is_any(const char *value)
{
    static const char *const words[] = {"dontcare",    "don't care",  "dont care",
                                        "do n't care", "do not care", "any"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(value, words[i])) return true;
    return false;
}

/* One spelling of a value; of "a|b" each. */
static syn_status spelled(const char *slot, const char *given, char **out)
{
    char lower[3 * STATE_VALUE_BYTES_MAX + 1], all[4 * STATE_VALUE_BYTES_MAX] = "";
    size_t used = 0;
    const size_t bytes = syn_utf8_prefix(given, STATE_VALUE_BYTES_MAX);
    syn_text_lower(given, bytes, lower);
    for (char *at = lower, *end; at; at = end) {
        char *one = NULL;
        end = strchr(at, '|');
        if (end) *end++ = 0;
        SYN_RETURN_IF(syn_multiwoz_value(slot, is_any(at) ? "dontcare" : at, &one));
        const int n = snprintf(all + used, sizeof all - used, "%s%s", used ? "|" : "", one);
        free(one);
        if (n < 0 || used + (size_t)n >= sizeof all) break;
        used += (size_t)n;
    }
    *out = strdup(all);
    return *out ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for a state");
}

static syn_status add_fact(facts *f, const char *domain, const char *slot, const char *value)
{
    if (f->count == STATE_SLOTS_MAX || strlen(domain) > NAME_BYTES_MAX ||
        strlen(slot) > NAME_BYTES_MAX)
        return SYN_OK;
    fact *x = &f->items[f->count];
    syn_text_lower(domain, strlen(domain), x->domain);
    slot_name(domain, slot, x->slot);
    SYN_RETURN_IF(spelled(x->slot, value, &x->value));
    if (is_unset(x->value))
        free(x->value);
    else
        f->count++;
    return SYN_OK;
}

static void facts_free(facts *f)
{
    for (int k = 0; k < f->count; k++) free(f->items[k].value);
}

/* Both lists of alternatives have one in common. */
static bool share_a_value(const char *a, const char *b)
{
    for (const char *at = a; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        const size_t n = strcspn(at, "|");
        for (const char *to = b; to; to = strchr(to, '|') ? strchr(to, '|') + 1 : NULL)
            if (strcspn(to, "|") == n && !strncmp(at, to, n)) return true;
    }
    return false;
}

static bool has_fact(const facts *f, const fact *wanted)
{
    for (int k = 0; k < f->count; k++)
        if (!strcmp(f->items[k].domain, wanted->domain) &&
            !strcmp(f->items[k].slot, wanted->slot) &&
            share_a_value(f->items[k].value, wanted->value))
            return true;
    return false;
}

static syn_status add_slots(facts *f, const char *domain, const json_t *slots)
{
    const char *slot;
    json_t *value;
    syn_status st = SYN_OK;
    json_object_foreach((json_t *)slots, slot, value)
    {
        if (st == SYN_OK) st = add_fact(f, domain, slot, json_string_value(value));
    }
    return st;
}

static bool is_within(const facts *part, const facts *whole)
{
    for (int k = 0; k < part->count; k++)
        if (!has_fact(whole, &part->items[k])) return false;
    return true;
}

/* The predicted state has what the annotated one has, and nothing else. */
static syn_status is_goal_state(const syn_task_turn *task, const json_t *state, bool *out)
{
    facts *gold = calloc(1, sizeof *gold), *said = calloc(1, sizeof *said);
    const char *domain;
    json_t *slots;
    syn_status st = SYN_OK;
    if (!gold || !said) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for two states");
        goto done;
    }
    for (int k = 0; k < task->state_count; k++)
        SYN_TRY(add_fact(gold, task->state[k].domain, task->state[k].slot, task->state[k].value));
    json_object_foreach((json_t *)state, domain, slots)
    {
        SYN_TRY(add_slots(said, domain, slots));
    }
    *out = is_within(gold, said) && is_within(said, gold);
done:
    if (gold) facts_free(gold);
    if (said) facts_free(said);
    free(gold);
    free(said);
    return st;
}

/* ---- The response ---- */

static syn_status own_bleu(const char *said, const char *wanted, syn_bleu *out)
{
    char *hypothesis = NULL, *reference = NULL;
    syn_status st;
    *out = (syn_bleu){0};
    SYN_TRY(syn_multiwoz_response(said, &hypothesis));
    SYN_TRY(syn_multiwoz_response(wanted, &reference));
    st = syn_bleu_add(out, hypothesis, reference);
done:
    free(hypothesis);
    free(reference);
    return st;
}

static json_t *counts_json(const syn_bleu *b)
{
    json_t *list = json_array();
    int failed = !list;
    for (int k = 0; k < SYN_BLEU_ORDER; k++)
        failed |= json_array_append_new(list, json_integer(b->matched[k]));
    for (int k = 0; k < SYN_BLEU_ORDER; k++)
        failed |= json_array_append_new(list, json_integer(b->total[k]));
    failed |= json_array_append_new(list, json_integer(b->hypothesis_words));
    failed |= json_array_append_new(list, json_integer(b->reference_words));
    if (failed) json_decref(list);
    return failed ? NULL : list;
}

syn_status syn_live_judge_turn(const syn_question *q, const syn_live_answer *a,
                               syn_live_verdict *out)
{
    syn_bleu bleu;
    out->prediction = prediction_of(a, &out->unparsed);
    if (!out->prediction) return syn_fail(SYN_ERR_MEMORY, "out of memory for a prediction");
    SYN_RETURN_IF(is_goal_state(q->task, json_object_get(out->prediction, "state"), &out->correct));
    out->correct &= !out->unparsed;
    SYN_RETURN_IF(own_bleu(json_string_value(json_object_get(out->prediction, "response")),
                           q->task->delexicalised, &bleu));
    const double score = syn_bleu_sentence(&bleu);
    out->score = score / 100;
    out->metrics =
        json_pack("{s:i, s:f, s:o, s:i}", "joint_goal_accuracy", (int)out->correct, "bleu_own",
                  score, "bleu_counts", counts_json(&bleu), "turns", q->task->turn_count);
    return SYN_OK;
}
