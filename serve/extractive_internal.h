/* What extractive.c (sentences) and extractive_span.c (the span that answers) share. */
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
    SHORT_BYTES = 256
};

typedef enum asked {
    ASKED_THING,
    ASKED_PERSON,
    ASKED_PLACE,
    ASKED_YEAR,
    ASKED_NUMBER,
    ASKED_YES_NO,
    ASKED_CHOICE
} asked;

typedef struct sentence {
    int item;
    const char *text;
    size_t bytes;
    syn_word *word; /* [words] of the sentence, then [titles] of its item's title */
    int words, titles;
    uint64_t cover; /* the question's stems that it or its title has */
    uint64_t names; /* a signature of its names that the question does not have */
} sentence;

typedef struct reading {
    const syn_team *team;
    const char *question;
    syn_word question_word[WORDS_MAX];
    int question_words;
    uint32_t stem[STEMS_MAX];
    int stem_word[STEMS_MAX]; /* its place in question_word */
    double weight[STEMS_MAX]; /* sum 1 */
    int stems;
    uint64_t capital; /* stems that are names */
    asked kind;
    sentence sentence[SENTENCES_MAX];
    int sentences;
} reading;

typedef struct chain {
    int count, at[CHAIN_MAX];
    uint64_t cover;
} chain;

int syn_extract_bit(const reading *r, uint32_t stem); /* -1: not in the question */
bool syn_extract_has(const sentence *s, uint32_t stem);
double syn_extract_covered(const reading *r, uint64_t cover); /* share of the question's weight */

/* Writes the span that answers, or "" when there is none of the kind that is asked for. */
void syn_extract_answer(const reading *r, const chain *c, char out[SHORT_BYTES]);

#endif
