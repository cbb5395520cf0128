/* The question and its answer. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "datasets/synth_private.h"

/* "the film The Last Train to X", or the name alone. */
static void name_subject(synth_world *w, const synth_entity *e, char *out, size_t bytes)
{
    const char *noun = SYNTH_KIND_TEXTS[e->kind].noun;
    if (e->kind == SYNTH_PERSON || strcasestr(e->name, noun) || synth_chance(w, 0.35)) {
        if (e->kind == SYNTH_PERSON && synth_chance(w, 0.4)) {
            snprintf(out, bytes, "the %s %s %s", w->demonym[e->country], e->job, e->name);
        } else {
            snprintf(out, bytes, "%s%s", e->kind == SYNTH_SPECIES ? "the " : "", e->name);
        }
    } else if (synth_chance(w, 0.3)) {
        snprintf(out, bytes, "the %s %s %s", w->demonym[e->country], noun, e->name);
    } else {
        snprintf(out, bytes, "the %s %s", noun, e->name);
    }
}

/* "film directed by X". */
static void having(synth_world *w, const synth_entity *e, const synth_fact_schema *schema,
                   const char *value, char *out, size_t bytes)
{
    char clause[SYNTH_LINE_MAX];
    const synth_slots slots = {.subject = e, .object = value, .value = value};
    synth_expand(w, schema->having, &slots, clause, sizeof clause);
    clause[0] = (char)tolower((unsigned char)clause[0]);
    const char *noun = e->kind == SYNTH_PERSON ? e->job : SYNTH_KIND_TEXTS[e->kind].noun;
    snprintf(out, bytes, "%s %.900s", noun, clause);
}

/* The same for a fact of e, which its piece must then state. */
static void describe(synth_world *w, synth_entity *e, int fact, char *out, size_t bytes)
{
    char value[SYNTH_NAME_MAX];
    synth_fact *f = &e->facts[fact];
    f->must = f->asked = true;
    w->described = f->object;
    w->figure = f->value < 10000 ? f->value : 0;
    synth_fact_value(w, f, value, sizeof value);
    having(w, e, f->schema, value, out, bytes);
}

/* A fact of e besides those it has; its own step leads elsewhere. */
static int another_fact(synth_world *w, int e, bool literal)
{
    int first = synth_below(w, SYNTH_FACT_COUNT);
    for (int i = 0; i < SYNTH_FACT_COUNT; i++) {
        const synth_fact_schema *s = &SYNTH_FACTS[(first + i) % SYNTH_FACT_COUNT];
        bool fits = s->subject == w->entities[e].kind && (s->object == SYNTH_LITERAL) == literal;
        for (int k = 0; k < w->entities[e].fact_count; k++) {
            fits &= w->entities[e].facts[k].schema != s;
        }
        if (fits) return synth_fact_add(w, e, s, -1);
    }
    return -1;
}

/* The first entity: named, or described by a fact without its name. */
static void begin(synth_world *w, char *out, size_t bytes)
{
    int first = w->chain[0];
    bool name = !w->backward && synth_chance(w, 0.6);
    int fact = name ? -1 : another_fact(w, first, synth_chance(w, 0.4));
    if (fact < 0) {
        name_subject(w, &w->entities[first], out, bytes);
        return;
    }
    char clause[SYNTH_LINE_MAX];
    describe(w, &w->entities[first], fact, clause, sizeof clause);
    snprintf(out, bytes, "the %s %.900s", w->demonym[w->entities[first].country], clause);
}

/* Expands the template so that the noun phrase x stands last, if a few tries find that: "the town
 * where the director of F was born" nests badly. */
static void expand_tail(synth_world *w, const char *tmpl, const synth_slots *slots, char *out,
                        size_t bytes)
{
    size_t n = strlen(slots->x);
    for (int attempt = 0; attempt < 8; attempt++) {
        synth_expand(w, tmpl, slots, out, bytes);
        const char *at = strstr(out, slots->x);
        if (at && (at[n] == 0 || at[n] == '?')) break;
    }
}

static void put_question(synth_world *w, const char *tmpl, const char *x, const char *z)
{
    synth_slots slots = {.subject = &w->entities[w->chain[0]], .x = x, .z = z};
    expand_tail(w, tmpl, &slots, w->question, sizeof w->question);
}

/* What both leads state is compared: no fact is named. */
static void ask_about_leads(synth_world *w, const char *x, const char *z)
{
    const synth_entity *a = &w->entities[w->chain[0]], *b = &w->entities[w->chain[1]];
    bool person = a->kind == SYNTH_PERSON;
    for (int k = 0; k < 2; k++) {
        w->entities[w->chain[k]].facts[w->step[k]].must = false;
        w->entities[w->chain[k]].facts[w->step[k]].asked = false;
    }
    if (synth_chance(w, 0.5)) {
        put_question(
            w,
            person ? "[Are|Were] {X} and {Z} [of the same nationality|from the same country]?"
                   : "Are [both the|the] {T}s {X} and {Z} [located in|from] the same country?",
            x, z);
        snprintf(w->answer, sizeof w->answer, "%s", a->country == b->country ? "yes" : "no");
    } else {
        put_question(w,
                     person ? "[Who was born first, {X} or {Z}|Who is older, {X} or {Z}]?"
                            : "Which [{T}|of the two {T}s] is [older|the older one], {X} or {Z}?",
                     x, z);
        snprintf(w->answer, sizeof w->answer, "%s", a->year < b->year ? a->name : b->name);
    }
}

static void ask_comparison(synth_world *w)
{
    const synth_entity *a = &w->entities[w->chain[0]], *b = &w->entities[w->chain[1]];
    const synth_fact *fa = &a->facts[w->step[0]], *fb = &b->facts[w->step[1]];
    if (synth_chance(w, 0.5)) {
        ask_about_leads(w, a->name, b->name);
        return;
    }
    put_question(w, fa->schema->more, a->name, b->name);
    snprintf(w->answer, sizeof w->answer, "%s", fa->value > fb->value ? a->name : b->name);
}

/* "What is the name of the birthplace of the director of X, a town with a population of 900?" */
static void ask_name(synth_world *w, const char *np)
{
    int last = w->chain[w->hops - 1];
    synth_entity *e = &w->entities[last];
    char clause[SYNTH_LINE_MAX], tmpl[SYNTH_LINE_MAX];
    describe(w, e, w->step[w->hops - 1], clause, sizeof clause);
    snprintf(tmpl, sizeof tmpl, "%s {X}, a %.600s?",
             e->kind == SYNTH_PERSON ? "[Who is|What is the name of]"
                                     : "[What is the name of|Name]",
             clause);
    put_question(w, tmpl, np, NULL);
    snprintf(w->answer, sizeof w->answer, "%s", e->name);
}

void synth_question_make(synth_world *w)
{
    if (w->comparison) {
        ask_comparison(w);
        return;
    }
    char np[SYNTH_LINE_MAX], next[SYNTH_LINE_MAX];
    begin(w, np, sizeof np);
    if (w->backward) {
        having(w, &w->entities[w->chain[1]], w->backward, np, next, sizeof next);
        snprintf(np, sizeof np, "the %.900s", next);
    }
    for (int k = w->backward != NULL; k + 1 < w->hops; k++) {
        const synth_fact *f = &w->entities[w->chain[k]].facts[w->step[k]];
        synth_slots slots = {.x = np};
        if (k)
            expand_tail(w, f->schema->np, &slots, next, sizeof next);
        else
            synth_expand(w, f->schema->np, &slots, next, sizeof next);
        next[0] = (char)tolower((unsigned char)next[0]);
        memcpy(np, next, sizeof np);
    }
    if (synth_chance(w, 0.3)) {
        ask_name(w, np);
        return;
    }
    const synth_entity *last = &w->entities[w->chain[w->hops - 1]];
    const synth_fact *asked = &last->facts[w->step[w->hops - 1]];
    put_question(w, asked->schema->ask, np, NULL);
    synth_fact_value(w, asked, w->answer, sizeof w->answer);
}
