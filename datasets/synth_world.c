/* Entities, their facts, and the chain of gold entities that a question follows. */
#include <string.h>

#include "datasets/synth_private.h"

int synth_entity_add(synth_world *w, synth_kind kind, const char *role, const synth_entity *like)
{
    const synth_kind_text *text = &SYNTH_KIND_TEXTS[kind];
    synth_entity *e = &w->entities[w->entity_count];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->female = synth_chance(w, 0.4);
    e->country = synth_below(w, SYNTH_COUNTRIES);
    e->year = synth_between(w, text->year_low, text->year_high);
    synth_pick(w, role ? role : text->genres, e->job, sizeof e->job);
    synth_name_entity(w, e, like);
    return w->entity_count++;
}

/* A number that no other entity of the record has for the same fact: comparisons have no ties, and
 * a description fits one entity. */
static int new_value(synth_world *w, const synth_fact_schema *schema)
{
    for (;;) {
        bool taken = false;
        int value = synth_between(w, schema->low, schema->high);
        for (int i = 0; i < w->entity_count && !taken; i++) {
            for (int k = 0; k < w->entities[i].fact_count && !taken; k++) {
                const synth_fact *f = &w->entities[i].facts[k];
                taken = f->schema == schema && f->value == value;
            }
        }
        if (!taken) return value;
    }
}

int synth_fact_add(synth_world *w, int e, const synth_fact_schema *schema, int object)
{
    synth_fact fact = {.schema = schema, .object = object};
    if (schema->object == SYNTH_LITERAL) {
        fact.object = -1;
        fact.value = new_value(w, schema);
    } else if (object < 0) {
        fact.object = synth_entity_add(w, schema->object, schema->role, NULL);
    }
    synth_entity *subject = &w->entities[e];
    subject->facts[subject->fact_count] = fact;
    return subject->fact_count++;
}

/* A schema with this subject, not yet used by e, with a number or an entity as object as asked. */
static const synth_fact_schema *draw_schema(synth_world *w, const synth_entity *e, bool literal)
{
    const synth_fact_schema *found[32];
    int count = 0;
    for (int i = 0; i < SYNTH_FACT_COUNT; i++) {
        const synth_fact_schema *s = &SYNTH_FACTS[i];
        bool used = s->subject != e->kind || (s->object == SYNTH_LITERAL) != literal;
        for (int k = 0; k < e->fact_count; k++) used |= e->facts[k].schema == s;
        if (!used) found[count++] = s;
    }
    return count ? found[synth_below(w, count)] : NULL;
}

static synth_kind draw_kind(synth_world *w)
{
    return (synth_kind)synth_below(w, SYNTH_OVERVIEW);
}

static void make_comparison(synth_world *w)
{
    synth_kind kind = draw_kind(w);
    w->hops = 2;
    for (int k = 0; k < 2; k++) w->chain[k] = synth_entity_add(w, kind, NULL, NULL);
    synth_entity *a = &w->entities[w->chain[0]], *b = &w->entities[w->chain[1]];
    if (a->year == b->year) b->year++;
    if (synth_chance(w, 0.5)) b->country = a->country;
    const synth_fact_schema *schema = draw_schema(w, &w->entities[w->chain[0]], true);
    for (int k = 0; k < 2; k++) w->step[k] = synth_fact_add(w, w->chain[k], schema, -1);
}

/* "the film directed by the judge who won 20 awards": the second thing's piece names the first. */
static void step_backward(synth_world *w)
{
    const synth_fact_schema *s;
    do s = &SYNTH_FACTS[synth_below(w, SYNTH_FACT_COUNT)];
    while (s->object == SYNTH_LITERAL || s->subject == s->object);
    w->backward = s;
    w->chain[0] = synth_entity_add(w, s->object, s->role, NULL);
    w->chain[1] = synth_entity_add(w, s->subject, NULL, NULL);
    int fact = synth_fact_add(w, w->chain[1], s, w->chain[0]);
    w->entities[w->chain[1]].facts[fact].asked = true;
    w->step[0] = -1;
}

static void make_bridge(synth_world *w)
{
    float p = syn_rng_uniform(&w->rng);
    w->hops = p < 0.6f ? 2 : p < 0.87f ? 3 : 4;
    bool backward = synth_chance(w, 0.3);
    if (backward)
        step_backward(w);
    else
        w->chain[0] = synth_entity_add(w, draw_kind(w), NULL, NULL);
    for (int k = backward; k + 1 < w->hops; k++) {
        const synth_fact_schema *schema = draw_schema(w, &w->entities[w->chain[k]], false);
        w->step[k] = synth_fact_add(w, w->chain[k], schema, -1);
        w->chain[k + 1] = w->entities[w->chain[k]].facts[w->step[k]].object;
    }
    int last = w->chain[w->hops - 1];
    const synth_fact_schema *asked = draw_schema(w, &w->entities[last], synth_chance(w, 0.45));
    w->step[w->hops - 1] = synth_fact_add(w, last, asked, -1);
}

void synth_chain_make(synth_world *w, const syn_synth_options *o)
{
    w->comparison = synth_chance(w, 0.2);
    w->described = -1;
    w->missing = -1;
    w->claim_piece = -1;
    if (w->comparison)
        make_comparison(w);
    else
        make_bridge(w);
    for (int k = 0; k < w->hops; k++) {
        synth_entity *e = &w->entities[w->chain[k]];
        if (w->step[k] >= 0) e->facts[w->step[k]].asked = true;
        for (int i = 0; i < e->fact_count; i++) e->facts[i].must = e->facts[i].asked;
    }
    if (synth_chance(w, o->unanswerable)) w->missing = synth_below(w, w->hops);
}
