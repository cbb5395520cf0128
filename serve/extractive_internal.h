/* What the files of the extractive agents share: extractive.c (sentences and the reply),
 * extractive_question.c (what is asked), extractive_kind.c (what a name stands for),
 * extractive_span.c (the span that answers), extractive_choice.c (alternatives, yes and no). */
#ifndef SYN_SERVE_EXTRACTIVE_INTERNAL_H
#define SYN_SERVE_EXTRACTIVE_INTERNAL_H

#include <stdio.h>
#include <strings.h>

#include "serve/round.h"
#include "serve/words.h"

enum {
    WORDS_MAX = 160, /* of a sentence or the question */
    TITLE_WORDS_MAX = 16,
    STEMS_MAX = 64, /* distinct content words of the question, one bit each */
    SENTENCES_MAX = 1024,
    CHAIN_MAX = 3,
    KIN_MAX = 64, /* words that mean the same as a word of the question */
    SHORT_BYTES = 256
};

typedef enum asked {
    ASKED_THING,
    ASKED_PERSON,
    ASKED_PLACE,
    ASKED_YEAR,
    ASKED_NUMBER,
    ASKED_ROLE, /* "what position ...": a common noun */
    ASKED_NATION,
    ASKED_YES_NO,
    ASKED_CHOICE
} asked;

/* What a name stands for, in the large. */
typedef enum sort {
    SORT_NONE,
    SORT_PERSON,
    SORT_PLACE,
    SORT_WORK,
    SORT_BODY, /* a band, a company, a school */
    SORT_OTHER
} sort;

typedef struct sentence {
    int item;
    bool opens; /* the first of its item */
    const char *text, *title;
    size_t bytes;
    syn_word *word; /* [words] of the sentence, then [titles] of its item's title */
    int words, titles;
    int life[2];    /* words that are the years of birth and death, -1: none */
    uint64_t cover; /* the question's stems that it or its title has */
    uint64_t names; /* a signature of its names that the question does not have */
} sentence;

typedef struct reading {
    const syn_team *team;
    const char *question;
    syn_word question_word[WORDS_MAX];
    int question_words;
    uint32_t stem[STEMS_MAX];
    int stem_word[STEMS_MAX];   /* its place in question_word */
    double weight[STEMS_MAX];   /* sum 1 */
    double relation[STEMS_MAX]; /* how much it says what is asked: 1 beside the question word */
    int stems;
    uint64_t capital; /* stems that are names */
    uint32_t kin[KIN_MAX], kin_stem[KIN_MAX];
    int kins;
    asked kind;
    int wh;             /* word that asks, -1: none */
    int focus;          /* noun that it asks for ("town" of "in which town"), -1: none */
    int focus_group;    /* of nouns, see syn_extract_group; -1: none */
    sort want;          /* SORT_NONE: anything */
    bool subject_given; /* "where was X born?": the sentence's subject is not what is asked */
    bool whole_date;    /* a day will do as well as a year */
    bool with_unit;     /* "how long": "12 km" */
    int born, died;     /* bits of these relations, -1 where they are not asked for */
    sentence sentence[SENTENCES_MAX];
    int sentences;
} reading;

typedef struct chain {
    int count, at[CHAIN_MAX];
    uint64_t cover;
} chain;

typedef struct span {
    const sentence *s;
    int first, last; /* words; from s->words on, of the title */
    double score;
    bool doubtful; /* the items say that it is of another sort than what is asked */
} span;

/* ---- extractive.c ---- */

bool syn_extract_has(const sentence *s, uint32_t stem);
double syn_extract_covered(const reading *r, uint64_t cover); /* share of the question's weight */

/* ---- extractive_question.c ---- */

/* Fills everything of the question but the weights. */
void syn_extract_question(reading *r, const char *question);
int syn_extract_bit(const reading *r, uint32_t stem); /* -1: not in the question */
/* Words that mean the same as one of the question get that one's stem. */
void syn_extract_kin(const reading *r, syn_word *words, int count);

/* Whether a word of the text is one of a NULL-terminated list, in any case of letters. */
bool syn_extract_one_of(const char *text, const syn_word *w, const char *const *list);
bool syn_extract_asks_for(const reading *r, const char *const *list);
/* The same for word i of a sentence; false where it has no such word. */
bool syn_extract_word_in(const sentence *s, int i, const char *const *list);

/* ---- extractive_kind.c ---- */

/* The group of nouns that a common noun belongs to ("town", "cities"), -1: none. */
int syn_extract_group(const char *text, const syn_word *w);
sort syn_extract_sort(int group);
int syn_extract_title_words(const sentence *s); /* without "(film)" */
/* How well what the items say about the name agrees with what is asked; *doubtful: not at all. */
double syn_extract_agreement(const reading *r, const span *x, bool *doubtful);
/* "Medal of Honor" for "what medal": the noun asked for is in the name or beside it. */
bool syn_extract_has_focus(const reading *r, const span *x);

/* ---- extractive_span.c, extractive_choice.c ---- */

int syn_extract_year(const sentence *s, int i); /* 0: word i is none */
/* Writes the span that answers, or "" when there is none of the kind that is asked for. */
void syn_extract_answer(const reading *r, const chain *c, char out[SHORT_BYTES]);
/* One of two alternatives that the question names; false if it names none. */
bool syn_extract_choice(const reading *r, const chain *c, char out[SHORT_BYTES]);
bool syn_extract_names_alternatives(const reading *r);
bool syn_extract_is_true(const reading *r, const chain *c);

#endif
