/* Templates to text. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "datasets/synth_private.h"

typedef struct writer {
    char *data;
    size_t bytes, max;
} writer;

static void put(writer *o, const char *text, size_t n)
{
    if (n > o->max - 1 - o->bytes) n = o->max - 1 - o->bytes;
    memcpy(o->data + o->bytes, text, n);
    o->bytes += n;
    o->data[o->bytes] = 0;
}

static void put_text(writer *o, const char *text)
{
    put(o, text, strlen(text));
}

static void put_pick(synth_world *w, writer *o, const char *words)
{
    char word[64];
    synth_pick(w, words, word, sizeof word);
    put_text(o, word);
}

static void put_number(writer *o, int n)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", n);
    put_text(o, digits);
}

/* {S}, {s}: the subject in a later sentence. */
static void put_subject(synth_world *w, writer *o, const synth_slots *v, bool start)
{
    const synth_entity *e = v->subject;
    double p = v->full_name ? 0 : (double)syn_rng_uniform(&w->rng);
    if (p < 0.25) {
        put_text(o, e->name);
    } else if (e->kind == SYNTH_PERSON) {
        if (p < 0.55)
            put_text(o, e->stem);
        else if (e->female)
            put_text(o, start ? "She" : "she");
        else
            put_text(o, start ? "He" : "he");
    } else {
        char word[32];
        synth_pick(w, SYNTH_KIND_TEXTS[e->kind].refer, word, sizeof word);
        if (!start) word[0] = (char)tolower((unsigned char)word[0]);
        put_text(o, word);
    }
}

/* {P}, {p}. */
static void put_possessive(writer *o, const synth_entity *e, bool start)
{
    const char *word = e->kind != SYNTH_PERSON ? "its" : e->female ? "her" : "his";
    char text[8];
    snprintf(text, sizeof text, "%s", word);
    if (start) text[0] = (char)toupper((unsigned char)text[0]);
    put_text(o, text);
}

/* Now and then a filler drops the name of a thing in the chain, or of one that the question names:
 * a mention that leads nowhere. */
static bool put_dropped(synth_world *w, writer *o, const synth_entity *subject, bool person)
{
    if (!w->drops_names || !synth_chance(w, 0.06)) return false;
    int i = synth_below(w, w->hops + 1);
    int e = i < w->hops ? w->chain[i] : w->described;
    if (e < 0 || &w->entities[e] == subject) return false;
    if ((w->entities[e].kind == SYNTH_PERSON) != person) return false;
    /* The name stands in front of a noun: "the ... Festival". */
    synth_kind kind = w->entities[e].kind;
    bool work = kind == SYNTH_FILM || kind == SYNTH_NOVEL || kind == SYNTH_ALBUM;
    if (work || !strncmp(w->entities[e].name, "The ", 4)) return false;
    put_text(o, w->entities[e].name);
    return true;
}

/* {d}: at times the very number that the question gives. */
static void put_figure(synth_world *w, writer *o)
{
    bool drop = w->drops_names && w->figure && synth_chance(w, 0.08);
    put_number(o, drop ? w->figure : synth_between(w, 11, 980));
}

/* {K}: a name of no consequence; some are dropped by several pieces of the record. */
static void put_name(synth_world *w, writer *o)
{
    char stem[32];
    if (synth_chance(w, 0.3)) {
        put_text(o, w->shared[synth_below(w, SYNTH_SHARED_NAMES)]);
        return;
    }
    synth_stem(w, stem, sizeof stem);
    put_text(o, stem);
}

static void put_stranger(synth_world *w, writer *o)
{
    char stem[32];
    synth_stem(w, stem, sizeof stem);
    put_text(o, stem);
    put_text(o, " ");
    synth_stem(w, stem, sizeof stem);
    put_text(o, stem);
}

/* {L}: a year of e's grown-up life, or soon after its beginning; not in the future. */
static int later_year(synth_world *w, const synth_entity *e)
{
    int year = e->year + (e->kind == SYNTH_PERSON ? 16 : 2) + synth_between(w, 1, 30);
    return year < 2020 ? year : 2010 + synth_below(w, 10);
}

/* Slots that are drawn afresh each time. */
static void put_drawn(synth_world *w, writer *o, char slot, const synth_slots *v)
{
    switch (slot) {
    case 'K':
        if (!put_dropped(w, o, v->subject, false)) put_name(w, o);
        break;
    case 'G':
        if (!put_dropped(w, o, v->subject, true)) put_stranger(w, o);
        break;
    case 'R':
        put_text(o, w->shared[synth_below(w, SYNTH_SHARED_NAMES)]);
        break;
    case 'L':
        put_number(o, later_year(w, v->subject));
        break;
    case 'd':
        put_figure(w, o);
        break;
    case 'n':
        put_pick(w, o, "two|three|four|five|six|seven|eight|nine");
        break;
    case 't':
        put_pick(w, o, "thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen");
        break;
    case 'v':
        put_pick(w, o, "northern|southern|eastern|western");
        break;
    case 'U':
        put_pick(w, o,
                 "law|chemistry|theology|medicine|history|botany|physics|music|geology|"
                 "economics|mathematics|architecture|philosophy");
        break;
    case 'W':
        put_pick(w, o,
                 "copper|timber|glass|leather|wool|cotton|paper|salt|grain|silk|iron|tobacco|"
                 "clock|shoe|brick|lace|sugar|coal|tin|pottery|wine|linen|amber|rope");
        break;
    case 'M':
        put_number(o, synth_between(w, 1, 28));
        put_text(o, " ");
        put_pick(w, o,
                 "January|February|March|April|May|June|July|August|September|October|"
                 "November|December");
        break;
    default:
        break;
    }
}

static void put_slot(synth_world *w, writer *o, char slot, const synth_slots *v)
{
    const synth_entity *e = v->subject;
    switch (slot) {
    case 'N':
        put_text(o, e->name);
        break;
    case 'S':
        put_subject(w, o, v, true);
        break;
    case 's':
        put_subject(w, o, v, false);
        break;
    case 'P':
        put_possessive(o, e, true);
        break;
    case 'p':
        put_possessive(o, e, false);
        break;
    case 'J':
        put_text(o, e->job);
        break;
    case 'T':
        put_text(o, SYNTH_KIND_TEXTS[e->kind].noun);
        break;
    case 'Y':
        put_number(o, e->year);
        break;
    case 'C':
        put_text(o, w->country[e->country]);
        break;
    case 'D':
        put_text(o, w->demonym[e->country]);
        break;
    case 'O':
        put_text(o, v->object);
        break;
    case 'V':
        put_text(o, v->value);
        break;
    case 'X':
        put_text(o, v->x);
        break;
    case 'Z':
        put_text(o, v->z);
        break;
    default:
        put_drawn(w, o, slot, v);
        break;
    }
}

/* The end of the alternative that begins at p: '|', ']' or the end of the text, at this depth. */
static const char *alternative_end(const char *p)
{
    for (int depth = 0; *p; p++) {
        if (*p == '[')
            depth++;
        else if (*p == ']' && depth-- == 0)
            break;
        else if (*p == '|' && depth == 0)
            break;
    }
    return p;
}

/* Writes one of the alternatives at p; returns where they end: at ']' or the end of the text. */
static const char *put_alternatives(synth_world *w, writer *o, const char *p, const synth_slots *v)
{
    int count = 1;
    const char *end = alternative_end(p);
    while (*end == '|') {
        count++;
        end = alternative_end(end + 1);
    }
    for (int take = synth_below(w, count); take; take--) p = alternative_end(p) + 1;
    for (const char *stop = alternative_end(p); p < stop; p++) {
        if (*p == '[') {
            p = put_alternatives(w, o, p + 1, v);
        } else if (*p == '{') {
            put_slot(w, o, p[1], v);
            p += 2;
        } else {
            put(o, p, 1);
        }
    }
    return end;
}

/* "a" becomes "an" before a vowel. */
static void settle_articles(char *text)
{
    for (char *p = strstr(text, " a "); p; p = strstr(p + 1, " a ")) {
        if (!p[3] || !strchr("aeiouAEIOU", p[3])) continue;
        memmove(p + 3, p + 2, strlen(p + 2) + 1);
        p[2] = 'n';
    }
}

void synth_expand(synth_world *w, const char *tmpl, const synth_slots *slots, char *out,
                  size_t bytes)
{
    /* settle_articles() may add a letter for each article. */
    writer o = {out, 0, bytes - 16};
    out[0] = 0;
    put_alternatives(w, &o, tmpl, slots);
    settle_articles(out);
    if (islower((unsigned char)out[0])) out[0] = (char)toupper((unsigned char)out[0]);
}

void synth_fact_value(const synth_world *w, const synth_fact *f, char *out, size_t bytes)
{
    if (f->object >= 0) {
        snprintf(out, bytes, "%s", w->entities[f->object].name);
    } else if (f->value >= 10000) {
        snprintf(out, bytes, "%d,%03d", f->value / 1000, f->value % 1000);
    } else {
        snprintf(out, bytes, "%d", f->value);
    }
}

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || (c & 0x80);
}

/* Whether the word stands in the text, without regard to case. */
static bool has_word(const char *text, const char *word, size_t n)
{
    for (const char *p = text; *p;) {
        if (!word_byte(*p)) {
            p++;
            continue;
        }
        size_t m = 0;
        while (word_byte(p[m])) m++;
        if (m == n && !strncasecmp(p, word, n)) return true;
        p += m;
    }
    return false;
}

int synth_overlap(const synth_world *w, const char *text)
{
    int shared = 0;
    for (const char *p = text; *p;) {
        size_t n = 0;
        while (word_byte(p[n])) n++;
        if (n >= 4 && has_word(w->question, p, n)) shared++;
        p += n ? n : 1;
    }
    return shared;
}

void synth_say(synth_world *w, const synth_entity *e, const synth_fact *f, bool echo, int tries,
               bool full_name, char *out, size_t bytes)
{
    char object[SYNTH_NAME_MAX], text[SYNTH_LINE_MAX];
    synth_slots slots = {.subject = e, .object = object, .value = object, .full_name = full_name};
    synth_fact_value(w, f, object, sizeof object);
    int best = 0;
    for (int i = 0; i < tries; i++) {
        synth_expand(w, f->schema->say, &slots, text, sizeof text);
        int overlap = synth_overlap(w, text);
        if (i && (echo ? overlap <= best : overlap >= best)) continue;
        best = overlap;
        snprintf(out, bytes, "%s", text);
    }
}
