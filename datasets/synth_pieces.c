/* The pieces of a record: one for each gold entity, distractors, and perhaps a claim. */
#include <stdio.h>
#include <string.h>

#include "datasets/synth_private.h"

/* How hard the records are. Chosen so that the figures of tests/datasets/test_synth.c are those of
 * HotpotQA's distractor setting. */
static const double DISTRACTOR_ECHOES = 0.55; /* a statement takes up the question's words */
static const double GOLD_PARAPHRASES = 0.5;   /* a gold statement avoids them */

static int draw_gold(synth_world *w)
{
    return w->chain[synth_below(w, w->hops)];
}

static bool has_room(const synth_world *w, int e)
{
    return w->entities[e].fact_count < SYNTH_FACTS_MAX && w->entity_count < SYNTH_ENTITIES_MAX - 2;
}

static bool states(const synth_entity *e, const synth_fact_schema *schema)
{
    for (int k = 0; k < e->fact_count; k++) {
        if (e->facts[k].schema == schema) return true;
    }
    return false;
}

/* Gives e what the pieces of its kind in the chain must state, about other objects. */
static void state_likewise(synth_world *w, int e, int model)
{
    for (int k = 0; k < w->entities[model].fact_count; k++) {
        const synth_fact f = w->entities[model].facts[k];
        if (!f.must || !has_room(w, e) || states(&w->entities[e], f.schema)) continue;
        int at = synth_fact_add(w, e, f.schema, -1);
        w->entities[e].facts[at].must = true;
    }
}

/* The same after whichever of the chain is of e's kind. */
static void state_like_kind(synth_world *w, int e)
{
    for (int i = 0; i < w->hops; i++) {
        if (w->entities[w->chain[i]].kind == w->entities[e].kind) state_likewise(w, e, w->chain[i]);
    }
}

/* Another thing of the same kind, of which the same is said. */
static int add_peer(synth_world *w, int model, bool alike)
{
    const synth_entity *m = &w->entities[model];
    const char *role = m->kind == SYNTH_PERSON && synth_chance(w, 0.7) ? m->job : NULL;
    int e = synth_entity_add(w, m->kind, role, alike ? m : NULL);
    if (synth_chance(w, 0.8)) state_likewise(w, e, model);
    return e;
}

/* A thing of another kind with a part of a gold name. */
static int add_namesake(synth_world *w)
{
    const synth_entity *like = &w->entities[draw_gold(w)];
    return synth_entity_add(w, (synth_kind)synth_below(w, SYNTH_OVERVIEW), NULL, like);
}

/* A thing of which a gold entity is the object, in some relation. */
static int add_mentioning(synth_world *w)
{
    int gold = draw_gold(w);
    int first = synth_below(w, SYNTH_FACT_COUNT);
    for (int i = 0; i < SYNTH_FACT_COUNT; i++) {
        const synth_fact_schema *s = &SYNTH_FACTS[(first + i) % SYNTH_FACT_COUNT];
        if (s->object != w->entities[gold].kind || s == w->backward) continue;
        int e = synth_entity_add(w, s->subject, NULL, NULL);
        int at = synth_fact_add(w, e, s, gold);
        w->entities[e].facts[at].must = true;
        return e;
    }
    return add_peer(w, gold, false);
}

static bool kind_in_chain(const synth_world *w, synth_kind kind)
{
    bool found = false;
    for (int k = 0; k < w->hops; k++) found |= w->entities[w->chain[k]].kind == kind;
    return found;
}

/* A thing that the question names, or a gold piece mentions, but that leads nowhere. */
static int add_mentioned(synth_world *w)
{
    int gold = draw_gold(w);
    int first = synth_below(w, SYNTH_FACT_COUNT);
    if (w->described >= 0 && !w->described_told && synth_chance(w, 0.3)) {
        w->described_told = true;
        state_like_kind(w, w->described);
        return w->described;
    }
    /* At first only a thing of the kind that the chain goes on to. */
    for (int i = 0; i < 2 * SYNTH_FACT_COUNT && has_room(w, gold); i++) {
        const synth_fact_schema *s = &SYNTH_FACTS[(first + i) % SYNTH_FACT_COUNT];
        const synth_entity *g = &w->entities[gold];
        if (s->subject != g->kind || s->object == SYNTH_LITERAL || states(g, s)) continue;
        if (i < SYNTH_FACT_COUNT && !kind_in_chain(w, s->object)) continue;
        int at = synth_fact_add(w, gold, s, -1);
        int object = w->entities[gold].facts[at].object;
        w->entities[gold].facts[at].must = true;
        state_like_kind(w, object);
        return object;
    }
    return add_peer(w, gold, false);
}

/* A thing that an earlier distractor mentions: the second hop of a false trail. */
static int add_false_hop(synth_world *w, const int *earlier, int count)
{
    for (int attempt = 0; attempt < 8 && count; attempt++) {
        const synth_entity *e = &w->entities[earlier[synth_below(w, count)]];
        for (int k = 0; k < e->fact_count; k++) {
            int object = e->facts[k].object;
            bool known = object < 0;
            for (int i = 0; i < count; i++) known |= earlier[i] == object;
            for (int i = 0; i < w->hops; i++) known |= w->chain[i] == object;
            if (known) continue;
            state_like_kind(w, object);
            return object;
        }
    }
    return add_peer(w, draw_gold(w), true);
}

/* `earlier` (count) are the distractors so far. */
static int add_distractor(synth_world *w, const int *earlier, int count)
{
    float p = syn_rng_uniform(&w->rng);
    if (p < 0.20f) return add_peer(w, draw_gold(w), true);
    if (p < 0.25f) return add_namesake(w);
    if (p < 0.43f) return add_mentioning(w);
    if (p < 0.57f) return add_mentioned(w);
    if (p < 0.72f) return add_false_hop(w, earlier, count);
    if (p < 0.78f) return synth_entity_add(w, SYNTH_OVERVIEW, NULL, NULL);
    return add_peer(w, draw_gold(w), false);
}

/* Facts that nobody asked for; their objects are new, or have been mentioned by another distractor.
 */
static void add_details(synth_world *w, int e, int count)
{
    int first = synth_below(w, SYNTH_FACT_COUNT);
    for (int i = 0; i < SYNTH_FACT_COUNT && count > 0; i++) {
        const synth_fact_schema *s = &SYNTH_FACTS[(first + i * 7) % SYNTH_FACT_COUNT];
        if (s->subject != w->entities[e].kind || states(&w->entities[e], s) || !has_room(w, e))
            continue;
        synth_fact_add(w, e, s, -1);
        count--;
    }
}

/* Short sentences are drawn out, as those of an encyclopaedia are. */
static const char *const TAILS = ", according to {G} of the {K} Gazette|, as a report of {L} notes "
                                 "without further comment|, a fact "
                                 "still remembered in {R}|, which the {K} Herald called "
                                 "[unusual|regrettable|a surprise] at the time|"
                                 ", although {G} has [disputed|doubted] this in a recent study|, "
                                 "as [letters|papers] kept in {R} show|"
                                 ", and little else is known about those years|, for reasons that "
                                 "{G} never explained|, much to the "
                                 "[surprise|relief|annoyance] of the people of {R}|, despite the "
                                 "protests of several {W} merchants|"
                                 ", after lengthy negotiations with the authorities of {R}|, a "
                                 "[custom|practice] that was common in "
                                 "{R} until {L}";

static void put_line(synth_world *w, synth_piece *p, const char *text, int fact)
{
    if (p->line_count == SYNTH_LINES_MAX) return;
    synth_line *line = &p->lines[p->line_count++];
    size_t n = strlen(text);
    if (n < 110 && !strchr(text, ',') && p->line_count > 1 && synth_chance(w, 0.9)) {
        const synth_slots slots = {.subject = &w->entities[p->entity]};
        char tail[SYNTH_LINE_MAX];
        synth_expand(w, TAILS, &slots, tail, sizeof tail);
        snprintf(line->text, sizeof line->text, "%.*s%.500s.", (int)n - 1, text, tail);
    } else {
        snprintf(line->text, sizeof line->text, "%s", text);
    }
    line->fact = fact;
}

static void put_fact(synth_world *w, synth_piece *p, const synth_entity *e, int fact)
{
    char text[SYNTH_LINE_MAX];
    bool echo = !p->gold && synth_chance(w, DISTRACTOR_ECHOES);
    bool avoid = p->gold && synth_chance(w, GOLD_PARAPHRASES);
    synth_say(w, e, &e->facts[fact], echo, echo || avoid ? 4 : 1, false, text, sizeof text);
    put_line(w, p, text, fact);
}

/* Fillers, none twice. */
static void put_fillers(synth_world *w, synth_piece *p, const synth_entity *e, int count)
{
    const char *const *filler = SYNTH_KIND_TEXTS[e->kind].filler;
    const synth_slots slots = {.subject = e};
    char text[SYNTH_LINE_MAX];
    int known = 0;
    while (known < 8 && filler[known]) known++;
    int first = synth_below(w, known);
    for (int i = 0; i < count && i < known; i++) {
        synth_expand(w, filler[(first + i * 3) % known], &slots, text, sizeof text);
        put_line(w, p, text, -1);
    }
}

/* The lead stays first. */
static void shuffle_lines(synth_world *w, synth_piece *p)
{
    for (int i = p->line_count - 1; i > 1; i--) {
        int j = 1 + synth_below(w, i);
        synth_line swap = p->lines[i];
        p->lines[i] = p->lines[j];
        p->lines[j] = swap;
    }
}

/* The text of a piece about the entity. */
static void write_piece(synth_world *w, int entity, bool gold, synth_piece *p)
{
    const synth_entity *e = &w->entities[entity];
    const synth_slots slots = {.subject = e, .full_name = true};
    char text[SYNTH_LINE_MAX];
    memset(p, 0, sizeof *p);
    p->entity = entity;
    p->gold = gold;
    int lines = synth_between(w, 4, 6), must = 0;
    for (int k = 0; k < e->fact_count; k++) must += e->facts[k].must;
    int details = synth_between(w, 0, 2);
    if (e->kind != SYNTH_OVERVIEW) add_details(w, entity, must ? details : details + 1);
    synth_expand(w, SYNTH_KIND_TEXTS[e->kind].lead, &slots, text, sizeof text);
    put_line(w, p, text, -1);
    for (int k = 0; k < e->fact_count; k++) put_fact(w, p, e, k);
    put_fillers(w, p, e, lines - p->line_count);
    shuffle_lines(w, p);
}

/* Says the fact in other words than `original`, and without what it adds: the shortest of a few. */
static void reword(synth_world *w, const synth_entity *e, const synth_fact *fact,
                   const char *original, char *out)
{
    char text[SYNTH_LINE_MAX];
    out[0] = 0;
    for (int attempt = 0; attempt < 12; attempt++) {
        synth_say(w, e, fact, false, 1, true, text, sizeof text);
        bool shorter = !out[0] || strlen(text) < strlen(out);
        if (shorter && strncmp(text, original, strlen(text) - 1) != 0) {
            snprintf(out, SYNTH_LINE_MAX, "%s", text);
        }
    }
    if (!out[0]) synth_say(w, e, fact, false, 1, true, out, SYNTH_LINE_MAX);
}

/* One sentence of another piece in other words; when wrong, about another object or number. */
static bool write_claim(synth_world *w, synth_piece *claim)
{
    const synth_piece *from = NULL;
    int line = 0;
    for (int attempt = 0; attempt < 200 && !from; attempt++) {
        const synth_piece *p = &w->pieces[synth_below(w, w->piece_count)];
        line = synth_below(w, p->line_count);
        bool wanted = p->gold || attempt > 100 || synth_chance(w, 0.3);
        if (wanted && p->lines[line].fact >= 0) from = p;
    }
    if (!from) return false;
    const synth_entity *e = &w->entities[from->entity];
    synth_fact fact = e->facts[from->lines[line].fact];
    w->claim_right = !synth_chance(w, 0.2);
    if (!w->claim_right && fact.object >= 0) {
        fact.object = synth_entity_add(w, fact.schema->object, fact.schema->role, NULL);
    } else if (!w->claim_right) {
        int range = fact.schema->high - fact.schema->low + 1, value = fact.value - fact.schema->low;
        fact.value = fact.schema->low + (value + synth_between(w, 1, range - 1)) % range;
    }
    memset(claim, 0, sizeof *claim);
    claim->entity = -1;
    claim->line_count = 1;
    reword(w, e, &fact, from->lines[line].text, claim->lines[0].text);
    return true;
}

static void shuffle_pieces(synth_world *w, synth_piece *spare)
{
    for (int i = w->piece_count - 1; i > 0; i--) {
        int j = synth_below(w, i + 1);
        *spare = w->pieces[i];
        w->pieces[i] = w->pieces[j];
        w->pieces[j] = *spare;
    }
    for (int i = 0; i < w->piece_count; i++) {
        if (w->pieces[i].entity < 0) w->claim_piece = i;
    }
}

void synth_pieces_make(synth_world *w, const syn_synth_options *o)
{
    bool claim = synth_chance(w, o->claims);
    int entity[SYN_SYNTH_PIECES_MAX];
    int count = o->pieces - claim;
    for (int i = 0; i < count; i++) {
        entity[i] = i < w->hops ? w->chain[i] : add_distractor(w, entity + w->hops, i - w->hops);
    }
    /* The foreign piece is of the missing one's kind and says the same of others. */
    if (w->missing >= 0) {
        int model = w->chain[w->missing];
        const synth_entity *m = &w->entities[model];
        int foreign = synth_entity_add(w, m->kind, m->kind == SYNTH_PERSON ? m->job : NULL, NULL);
        state_likewise(w, foreign, model);
        entity[w->missing] = foreign;
    }
    w->drops_names = true;
    for (int i = 0; i < count; i++) {
        bool gold = i < w->hops && i != w->missing;
        write_piece(w, entity[i], gold, &w->pieces[i]);
    }
    w->piece_count = count;
    synth_piece *last = &w->pieces[count];
    if (claim) w->piece_count += write_claim(w, last);
    shuffle_pieces(w, &w->spare);
}
