/* A system turn of MultiWOZ as a live team gets it: each domain's agent sees what its database has
 * for what was asked so far, and the asker writes state and response. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "benchmarks/live_task_private.h"

enum {
    WISHES_MAX = 64, /* slots that one turn asks for, of all domains */
    WISH_BYTES = 256,
    ROWS_SHOWN = 4,
    VALUE_BYTES_MAX = 120 /* longer fields are prose */
};

const char syn_live_turn_rules[] =
    "You are the system of a dialogue with a visitor of Cambridge. The question is what the user "
    "says now; the items are what the databases of the domains have for it. Whoever writes the "
    "final answer replies with one JSON object and nothing else:\n"
    "{\"state\": {DOMAIN: {SLOT: VALUE}}, \"response\": \"what the system says next\"}\n"
    "state: all that the user has asked for in the whole dialogue so far, in small letters, of the "
    "slots\n"
    "  attraction: area, name, type\n"
    "  hospital: department\n"
    "  hotel: area, internet, name, parking, pricerange, stars, type; of a booking: day, people, "
    "stay\n"
    "  restaurant: area, food, name, pricerange; of a booking: day, people, time\n"
    "  taxi: arriveBy, departure, destination, leaveAt\n"
    "  train: arriveBy, day, departure, destination, leaveAt; of a booking: people\n"
    "What the user does not care about is \"dontcare\"; what was not said is left out.\n"
    "response: one or two sentences in which names stand in brackets for all values: "
    "[restaurant_name], [restaurant_food], [hotel_area], [hotel_stars], [attraction_type], "
    "[attraction_entrancefee], [hotel_pricerange], [hotel_choice] for a number of matches, "
    "[restaurant_phone], [restaurant_address], [restaurant_postcode], [hotel_reference] of a "
    "booking, "
    "[train_trainid], [train_departure], [train_destination], [train_day], [train_leaveat], "
    "[train_arriveby], [train_price], [train_duration], [taxi_type], [taxi_phone], "
    "[hospital_department], [people], [stay], [time], [day], and so on for each domain.\n"
    "Who is not asked for the final answer says in a few words what its own domain has for the "
    "user.";

/* ---- What was asked for ---- */

typedef struct wishes {
    syn_slot items[WISHES_MAX];
    int count;
    char text[WISHES_MAX][WISH_BYTES]; /* several values of one slot, with '|' between */
} wishes;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Where the value stands in the text as whole words, without case; NULL: nowhere. */
static const char *find_words(const char *text, const char *value)
{
    const size_t n = strlen(value);
    for (const char *at = text; (at = strcasestr(at, value)); at++) {
        const bool begins = at == text || !is_word(at[-1]);
        if (begins && !is_word(at[n])) return at;
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcasecmp(name, *list) == 0) return true;
    return false;
}

/* Fields whose values are words that a user says when he asks for a venue. */
static bool is_said_as_it_is(const syn_domain *d, const syn_field *f)
{
    static const char *const askable[] = {"area", "food",      "pricerange",  "type",       "name",
                                          "day",  "departure", "destination", "department", NULL};
    if (!is_one_of(f->name, askable) || strlen(f->value) < 3) return false;
    return strcasecmp(f->value, d->name) != 0; /* "a hotel" is any */
}

/* "to Ely" is where one goes, "from Ely" and "in Ely" where one is. */
static bool fits_place(const char *text, const char *at, const char *field)
{
    if (strcasecmp(field, "destination") && strcasecmp(field, "departure")) return true;
    while (at > text && !is_word(at[-1])) at--;
    const bool to =
        at >= text + 2 && !strncasecmp(at - 2, "to", 2) && (at == text + 2 || !is_word(at[-3]));
    return to == !strcasecmp(field, "destination");
}

/* Values that are said otherwise than they are written. */
static bool is_paraphrased(const syn_field *f, const char *text)
{
    static const struct {
        const char *field, *value, *words;
    } known[] = {{"internet", "yes", "internet"},
                 {"internet", "yes", "wifi"},
                 {"internet", "yes", "wi-fi"},
                 {"parking", "yes", "parking"},
                 {"type", "guesthouse", "guest house"},
                 {"type", "nightclub", "night club"},
                 {"type", "swimmingpool", "swimming pool"}};
    char stars[32];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(f->name, known[i].field) && !strcasecmp(f->value, known[i].value) &&
            find_words(text, known[i].words))
            return true;
    if (strcasecmp(f->name, "stars") || strlen(f->value) > 2 || !*f->value) return false;
    for (int i = 0; i < 4; i++) {
        snprintf(stars, sizeof stars, "%s%cstar%s", f->value, i & 1 ? '-' : ' ', i & 2 ? "s" : "");
        if (find_words(text, stars)) return true;
    }
    return false;
}

static bool is_named(const syn_domain *d, const syn_field *f, const char *text)
{
    if (is_paraphrased(f, text)) return true;
    const char *at = is_said_as_it_is(d, f) ? find_words(text, f->value) : NULL;
    return at && fits_place(text, at, f->name);
}

static syn_slot *find_wish(wishes *w, const char *domain, const char *slot)
{
    for (int k = 0; k < w->count; k++)
        if (!strcasecmp(w->items[k].domain, domain) && !strcasecmp(w->items[k].slot, slot))
            return &w->items[k];
    return NULL;
}

/* Another value of a slot is an alternative to those before. */
static void add_wish(wishes *w, const char *domain, const char *slot, const char *value)
{
    syn_slot *had = find_wish(w, domain, slot);
    const int k = had ? (int)(had - w->items) : w->count;
    if (k == WISHES_MAX) return;
    char *text = w->text[k];
    const size_t used = had ? strlen(text) : 0, n = strlen(value);
    if (had && find_words(text, value)) return;
    if (used + n + 2 > WISH_BYTES) return;
    if (had) text[used] = '|';
    memcpy(text + used + (had != NULL), value, n + 1);
    w->items[k] = (syn_slot){domain, slot, text};
    w->count += !had;
}

/* "I have to arrive by 10:15": a time is that of arriving where the words before it say so last. */
static void add_times(const syn_domain *d, const char *text, wishes *w)
{
    const char *said = text;
    if (d->row_count == 0 || !*syn_row_value(&d->rows[0], "leaveAt")) return;
    for (const char *at = text; (at = strchr(at, ':')); at++) {
        const char *begin = at;
        while (begin > said && isdigit((unsigned char)begin[-1])) begin--;
        const size_t n = (size_t)(at + 3 - begin);
        if (n < 4 || n > 5 || !isdigit((unsigned char)at[1]) || !isdigit((unsigned char)at[2]))
            continue;
        bool arrives = false;
        for (const char *c = said; c < begin; c++) {
            arrives |= !strncasecmp(c, "arriv", 5) || !strncasecmp(c, "by ", 3) ||
                       !strncasecmp(c, "before ", 7);
            arrives &= strncasecmp(c, "leav", 4) != 0 && strncasecmp(c, "after ", 6) != 0;
        }
        char time[8];
        snprintf(time, sizeof time, "%.*s", (int)n, begin);
        const char *slot = arrives ? "arriveBy" : "leaveAt";
        if (!find_wish(w, d->name, slot)) add_wish(w, d->name, slot, time);
        said = at + 3;
    }
}

/* What the user names in this turn, and of the state before what that does not replace. */
static void collect_wishes(const syn_domain *d, const syn_question *q, wishes *w)
{
    w->count = 0;
    for (int r = 0; r < d->row_count; r++)
        for (int f = 0; f < d->rows[r].field_count; f++) {
            const syn_field *field = &d->rows[r].fields[f];
            if (is_named(d, field, q->question)) add_wish(w, d->name, field->name, field->value);
        }
    add_times(d, q->question, w);
    for (int k = 0; k < q->task->before_count && w->count < WISHES_MAX; k++) {
        const syn_slot *s = &q->task->before[k];
        if (!strcasecmp(s->domain, d->name) && !find_wish(w, d->name, s->slot))
            w->items[w->count++] = *s;
    }
}

/* ---- A domain's document ---- */

static void build_row(syn_text_builder *t, const syn_row *row)
{
    static const char *const left_out[] = {"id", "location", "introduction", NULL};
    bool first = true;
    syn_build(t, "\n\n");
    for (int f = 0; f < row->field_count; f++) {
        const syn_field *field = &row->fields[f];
        if (is_one_of(field->name, left_out) || strlen(field->value) > VALUE_BYTES_MAX ||
            !*field->value || !strcmp(field->value, "?"))
            continue;
        syn_build(t, "%s%s: %s", first ? "" : "; ", field->name, field->value);
        first = false;
    }
}

static int held(const syn_domain *d, const syn_row *row, const wishes *w)
{
    const syn_domain one = {.name = d->name, .rows = row, .row_count = 1};
    const syn_row *found;
    int count = 0;
    for (int k = 0; k < w->count; k++) count += syn_domain_find(&one, &w->items[k], 1, &found, 1);
    return count;
}

/* The rows that hold most of what was asked, in the database's order among equals. */
static const char *domain_text(syn_arena *arena, const syn_domain *d, const syn_question *q)
{
    syn_text_builder t = {.arena = arena};
    wishes w;
    collect_wishes(d, q, &w);
    int best[ROWS_SHOWN], score[ROWS_SHOWN], shown = 0, fitting = 0;
    for (int r = 0; r < d->row_count; r++) {
        const int s = held(d, &d->rows[r], &w);
        int at = shown;
        fitting += s == w.count;
        while (at > 0 && score[at - 1] < s) at--;
        if (at == ROWS_SHOWN) continue;
        if (shown < ROWS_SHOWN) shown++;
        for (int k = shown - 1; k > at; k--) {
            best[k] = best[k - 1];
            score[k] = score[k - 1];
        }
        best[at] = r;
        score[at] = s;
    }
    syn_build(&t, "The database of the domain %s has %d entries; %d fit all that was asked of it.",
              d->name, d->row_count, fitting);
    for (int k = 0; k < shown; k++) build_row(&t, &d->rows[best[k]]);
    return syn_built(&t);
}

/* ---- Dealing ---- */

static const char *role_of(syn_arena *arena, const syn_entities *e, const uint8_t *owner, int agent,
                           int agents)
{
    syn_text_builder t = {.arena = arena};
    int domains = 0;
    for (int k = 0; k < e->domain_count; k++) {
        if (owner[k] != agent) continue;
        syn_build(&t, "%s%s", domains++ ? ", " : "the desk for ", e->domains[k].name);
    }
    if (agent == 0 && agents > 1)
        syn_build(&t, "%syou write what the user is told", domains ? "; " : "");
    return syn_built(&t);
}

syn_status syn_live_deal_turn(const syn_live_bench *b, const syn_question *q, int agents,
                              syn_arena *arena, syn_round_config *config)
{
    const syn_entities *e = &b->entities;
    uint8_t owner[SYN_ENTITY_DOMAINS_MAX];
    uint32_t talked_about = 0;
    syn_rng lots = syn_live_lots(b, q, agents);
    syn_round_document *documents =
        syn_arena_alloc(arena, SYN_ENTITY_DOMAINS_MAX * sizeof *documents);
    if (!documents) return syn_fail(SYN_ERR_MEMORY, "out of memory for the databases");
    for (int k = 0; k < e->domain_count; k++)
        for (int a = 0; a < q->task->active_count; a++)
            if (!strcasecmp(e->domains[k].name, q->task->active[a])) talked_about |= 1u << k;
    syn_live_deal(&lots, e->domain_count, talked_about, agents, owner);
    for (int k = 0; k < e->domain_count; k++) {
        syn_text_builder id = {.arena = arena};
        syn_build(&id, "d%d", k);
        documents[k] = (syn_round_document){.id = syn_built(&id),
                                            .title = e->domains[k].name,
                                            .text = domain_text(arena, &e->domains[k], q),
                                            .agents = 1u << owner[k]};
    }
    for (int i = 0; i < agents; i++) config->agent[i].role = role_of(arena, e, owner, i, agents);
    config->documents = documents;
    config->document_count = e->domain_count;
    return SYN_OK;
}
