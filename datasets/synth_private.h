/* Shared by the files of the synthetic generator: names, fact tables, text templates, the small
 * world that one record is about. */
#ifndef SYN_DATASETS_SYNTH_PRIVATE_H
#define SYN_DATASETS_SYNTH_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/synth.h"
#include "kernels/base/rng.h"

enum {
    SYNTH_NAME_MAX = 96,
    SYNTH_LINE_MAX = 1024, /* a sentence or a question */
    SYNTH_FACTS_MAX = 8,   /* of one entity */
    SYNTH_LINES_MAX = 9,   /* sentences of one piece */
    SYNTH_ENTITIES_MAX = 256,
    SYNTH_HOPS_MAX = 4,
    SYNTH_SHARED_NAMES = 4,
    SYNTH_COUNTRIES = 3
};

typedef enum synth_kind {
    SYNTH_PERSON,
    SYNTH_TOWN,
    SYNTH_RIVER,
    SYNTH_FILM,
    SYNTH_NOVEL,
    SYNTH_COMPANY,
    SYNTH_BAND,
    SYNTH_ALBUM,
    SYNTH_SPECIES,
    SYNTH_SCHOOL,
    SYNTH_CLUB,
    SYNTH_MUSEUM,
    SYNTH_ISLAND,
    SYNTH_OVERVIEW, /* "Cinema of X": words of the question, no answer; never in a chain */
    SYNTH_KINDS,
    SYNTH_LITERAL = -1 /* as the object of a fact: a number */
} synth_kind;

/* What can be said of an entity. `say` has the slots of synth_expand(); np, ask and having are
 * built into questions, where {X} is the noun phrase of the subject. */
typedef struct synth_fact_schema {
    synth_kind subject, object;
    int low, high;      /* of a literal */
    const char *role;   /* occupation of a person who is the object, or NULL */
    const char *say;    /* "{S} was directed by {O}." */
    const char *np;     /* "the director of {X}"; NULL for literals */
    const char *ask;    /* "Who directed {X}?" */
    const char *having; /* "directed by {O}", behind the subject's kind noun */
    const char *more;   /* comparison of two subjects by a literal, {X} and {Z}; NULL: none */
} synth_fact_schema;

extern const synth_fact_schema SYNTH_FACTS[];
extern const int SYNTH_FACT_COUNT;

typedef struct synth_kind_text {
    const char *noun;  /* "film" */
    const char *refer; /* "The film|It|The picture" */
    const char *lead;  /* the first sentence, with the year */
    const char *genres;
    const char *filler[8]; /* sentences that decide nothing; NULL-terminated */
    int year_low, year_high;
} synth_kind_text;

extern const synth_kind_text SYNTH_KIND_TEXTS[SYNTH_KINDS];

typedef struct synth_fact {
    const synth_fact_schema *schema;
    int object; /* index of an entity, or -1 */
    int value;  /* of a literal */
    bool must;  /* the piece states it */
    bool asked; /* the question needs it */
} synth_fact;

typedef struct synth_entity {
    synth_kind kind;
    char name[SYNTH_NAME_MAX];  /* as it is mentioned */
    char title[SYNTH_NAME_MAX]; /* name, perhaps with a disambiguation */
    char stem[32];              /* its invented word; a person's last name */
    char first[32];             /* of a person */
    char job[32];               /* occupation or genre */
    bool female;
    int country, year;
    synth_fact facts[SYNTH_FACTS_MAX];
    int fact_count;
} synth_entity;

typedef struct synth_line {
    char text[SYNTH_LINE_MAX];
    int fact; /* index into the entity's facts, or -1 */
} synth_line;

typedef struct synth_piece {
    int entity; /* -1: a claim */
    bool gold;
    synth_line lines[SYNTH_LINES_MAX];
    int line_count;
} synth_piece;

/* Everything about one record. */
typedef struct synth_world {
    syn_rng rng;
    char country[SYNTH_COUNTRIES][32], demonym[SYNTH_COUNTRIES][32];
    char shared[SYNTH_SHARED_NAMES][32]; /* invented names that several pieces drop */
    synth_entity entities[SYNTH_ENTITIES_MAX];
    int entity_count;
    int chain[SYNTH_HOPS_MAX], hops;
    int step[SYNTH_HOPS_MAX]; /* fact of chain[k] that leads on; of the last, the fact asked for */
    bool comparison;
    /* Of a chain whose second piece names the first, which the question describes; else NULL. */
    const synth_fact_schema *backward;
    bool drops_names;    /* whether fillers may drop names that the question follows */
    int figure;          /* a number that describes a gold entity in the question, or 0 */
    int described;       /* an entity that describes a gold one in the question, or -1 */
    bool described_told; /* it has a piece */
    int missing;         /* position in the chain whose piece is foreign, or -1 */
    char question[SYNTH_LINE_MAX], answer[SYNTH_NAME_MAX];
    synth_piece pieces[SYN_SYNTH_PIECES_MAX];
    int piece_count;
    synth_piece spare; /* for swapping */
    int claim_piece;   /* -1: none */
    bool claim_right;
} synth_world;

/* Draws: a number in [0, n), one in [low, high], true with probability p. */
int synth_below(synth_world *w, int n);
int synth_between(synth_world *w, int low, int high);
bool synth_chance(synth_world *w, double p);

/* --- names (synth_names.c) --- */

/* An invented capitalised word. */
void synth_stem(synth_world *w, char *out, size_t bytes);
/* One of the words of "a|b|c". */
void synth_pick(synth_world *w, const char *words, char *out, size_t bytes);
/* Countries and shared names. */
void synth_name_world(synth_world *w);
/* Names e by its kind. `like`, when given, lends a part of its name: a near-duplicate title. The
 * title is new to the record. */
void synth_name_entity(synth_world *w, synth_entity *e, const synth_entity *like);

/* --- text (synth_text.c) --- */

typedef struct synth_slots {
    const synth_entity *subject; /* {N} {S} {s} {P} {p} {J} {T} {Y} {C} {D} */
    const char *object, *value;  /* {O}, {V} */
    const char *x, *z;           /* {X}, {Z} */
    bool full_name;              /* {S} and {s} are the name */
} synth_slots;

/* Expands a template: [a|b] takes one alternative (they nest), {x} a slot; "a" becomes "an" before
 * a vowel. The result is cut at `bytes`. */
void synth_expand(synth_world *w, const char *tmpl, const synth_slots *slots, char *out,
                  size_t bytes);
/* The sentence of a fact of e, from the better of `tries` expansions: the one that shares most
 * words with the question when `echo`, else the one that shares fewest. */
void synth_say(synth_world *w, const synth_entity *e, const synth_fact *f, bool echo, int tries,
               bool full_name, char *out, size_t bytes);
/* The value or object of a fact as text. */
void synth_fact_value(const synth_world *w, const synth_fact *f, char *out, size_t bytes);
/* Words of `text` of four letters and more that also occur in the question. */
int synth_overlap(const synth_world *w, const char *text);

/* --- the world (synth_world.c) --- */

/* A new entity; `schema` (may be NULL) is the fact it is the object of: kind and occupation. */
int synth_entity_add(synth_world *w, synth_kind kind, const char *role, const synth_entity *like);
/* Gives e the fact; object -1 makes a new entity or a literal. Returns its index in e's facts. */
int synth_fact_add(synth_world *w, int e, const synth_fact_schema *schema, int object);
/* The gold entities with the facts that join them. */
void synth_chain_make(synth_world *w, const syn_synth_options *o);
/* Question and answer (synth_question.c). */
void synth_question_make(synth_world *w);
/* Gold pieces, distractors and the claim, in random order (synth_pieces.c). */
void synth_pieces_make(synth_world *w, const syn_synth_options *o);

#endif
