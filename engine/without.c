#include "engine/without.h"

#include <stdio.h>
#include <string.h>

#include "engine/observe.h"
#include "kernels/base/options.h"

/* Where the parts of an input begin. */
enum {
    OWN = SYN_DQ,          /* within the interaction features: one agent's view */
    ALL = SYN_DQ + SYN_DV, /* and all pieces' view */
    META = SYN_DX + 1,     /* of the message vector */
    PIECE = SYN_PAIR_HEAD, /* of a pair: features of the piece that would be sent */
    COVERED = 20,
    COVERABLE = 21 /* of the summary: columns of the asker's view, of all's */
};

#define EXPAND_NAME(constant, name, what) name,
static const char *const names[] = {SYN_WITHOUT_MAP(EXPAND_NAME)};
#undef EXPAND_NAME

static const int width_of[SYN_INPUT_COUNT] = {
    [SYN_INPUT_RANKER] = SYN_DX,     [SYN_INPUT_RANKER_ALL] = SYN_DX,
    [SYN_INPUT_REFINER] = SYN_DX,    [SYN_INPUT_ITEM] = SYN_DI,
    [SYN_INPUT_MESSAGE] = SYN_DM,    [SYN_INPUT_PAIR] = SYN_PAIR_X,
    [SYN_INPUT_AGENT] = SYN_AGENT_X, [SYN_INPUT_SUMMARY] = SYN_SUMMARY,
};

/* Columns first .. first + count - 1 of an input fall with `without`. */
static const struct fall {
    uint32_t without;
    syn_input input;
    int first, count;
} falls[] = {
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_RANKER, 1, SYN_DX - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_RANKER_ALL, 1, SYN_DX - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_REFINER, 1, SYN_DX - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_ITEM, 1, SYN_DX - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_MESSAGE, 1, SYN_DX - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_PAIR, PIECE + 1, SYN_DQ + SYN_DV - 1},
    {SYN_WITHOUT_INTERACTION, SYN_INPUT_SUMMARY, COVERED, 2},

    {SYN_WITHOUT_OWN_VIEW, SYN_INPUT_RANKER, OWN, SYN_DV},
    {SYN_WITHOUT_OWN_VIEW, SYN_INPUT_ITEM, OWN, SYN_DV},
    {SYN_WITHOUT_OWN_VIEW, SYN_INPUT_MESSAGE, OWN, SYN_DV},
    {SYN_WITHOUT_OWN_VIEW, SYN_INPUT_PAIR, PIECE + OWN, SYN_DV},
    {SYN_WITHOUT_OWN_VIEW, SYN_INPUT_SUMMARY, COVERED, 1},

    {SYN_WITHOUT_ALL_VIEW, SYN_INPUT_RANKER_ALL, OWN, 2 * SYN_DV},
    {SYN_WITHOUT_ALL_VIEW, SYN_INPUT_REFINER, OWN, 2 * SYN_DV},
    {SYN_WITHOUT_ALL_VIEW, SYN_INPUT_ITEM, ALL, SYN_DV},
    {SYN_WITHOUT_ALL_VIEW, SYN_INPUT_MESSAGE, ALL, SYN_DV},
    {SYN_WITHOUT_ALL_VIEW, SYN_INPUT_SUMMARY, COVERABLE, 1},

    /* Columns as engine/observe_core.h writes them. */
    {SYN_WITHOUT_GAP, SYN_INPUT_MESSAGE, META + 17, 3}, /* gaps: asker, others' mean, largest */
    {SYN_WITHOUT_GAP, SYN_INPUT_MESSAGE, META + 28, 1}, /* the asker's largest link */
    {SYN_WITHOUT_GAP, SYN_INPUT_PAIR, 0, 3},            /* link, gap of either end */
    {SYN_WITHOUT_GAP, SYN_INPUT_AGENT, 0, 2},           /* gaps: its own, the others' mean */
    {SYN_WITHOUT_GAP, SYN_INPUT_AGENT, 13, 1},          /* the asker's link to it */
    {SYN_WITHOUT_GAP, SYN_INPUT_AGENT, 15, 1},          /* the largest gap */
    {SYN_WITHOUT_GAP, SYN_INPUT_SUMMARY, 0, 4},         /* gaps as above, the largest link */
    {SYN_WITHOUT_GAP, SYN_INPUT_SUMMARY, 22, 1},        /* agents without a gap */

    {SYN_WITHOUT_STATE, SYN_INPUT_MESSAGE, 0, SYN_DM},
};

void syn_without_apply(uint32_t without, syn_input input, int64_t n, real *x)
{
    if (!without) return;
    for (size_t k = 0; k < sizeof falls / sizeof *falls; k++) {
        const struct fall *f = &falls[k];
        if (f->input != input || !(f->without & without)) continue;
        for (int64_t i = 0; i < n; i++)
            memset(x + i * width_of[input] + f->first, 0, sizeof(real) * (size_t)f->count);
    }
}

_Static_assert((int)SYN_DM <= 32 * (int)SYN_COLUMN_WORDS && (int)SYN_DI <= (int)SYN_DM,
               "a bit for every column of the widest input");

syn_columns syn_without_columns(uint32_t without, syn_input input)
{
    syn_columns c = {{0}};
    for (size_t k = 0; k < sizeof falls / sizeof *falls; k++) {
        const struct fall *f = &falls[k];
        if (f->input != input || !(f->without & without)) continue;
        for (int i = f->first; i < f->first + f->count; i++) c.fall[i / 32] |= 1u << i % 32;
    }
    return c;
}

syn_status syn_without_parse(const char *list, uint32_t *without)
{
    *without = 0;
    for (const char *at = list ? list : ""; *at;) {
        const size_t length = strcspn(at, ",");
        char word[32];
        int k = 0;
        while (k < SYN_WITHOUT_COUNT &&
               (strlen(names[k]) != length || strncmp(at, names[k], length) != 0)) {
            k++;
        }
        if (k == SYN_WITHOUT_COUNT) {
            char known[SYN_WITHOUT_TEXT_BYTES];
            snprintf(word, sizeof word, "%.*s", (int)(length < 31 ? length : 31), at);
            syn_without_text((1u << SYN_WITHOUT_COUNT) - 1, known, sizeof known);
            const char *near = syn_suggest(word, names, SYN_WITHOUT_COUNT);
            return syn_fail(SYN_ERR_USAGE, "--without knows no '%s'%s%s%s; it knows %s", word,
                            near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
                            known);
        }
        *without |= 1u << k;
        at += length;
        if (*at == ',') at++;
    }
    return SYN_OK;
}

void syn_without_text(uint32_t without, char *text, size_t bytes)
{
    size_t at = 0;
    if (bytes) text[0] = 0;
    for (int k = 0; k < SYN_WITHOUT_COUNT && at < bytes; k++) {
        if (without >> k & 1)
            at += (size_t)snprintf(text + at, bytes - at, "%s%s", at ? "," : "", names[k]);
    }
}
