/* Ablations: what the networks go without. A model is trained without something, keeps that with
 * its weights, and is evaluated, trained further and run live without it.
 *
 * One table says which columns of which network input fall; they are zeroed where that input has
 * just been built. Three ablations are no columns: `ckm` replaces the recurrent encoder by the mean
 * of the linear layer's outputs (engine/perception.c), `titles` takes the tasks without titles
 * (engine/task.h), `unsent` is a policy that is not central (engine/observe.h). */
#ifndef SYN_ENGINE_WITHOUT_H
#define SYN_ENGINE_WITHOUT_H

#include <stdint.h>

#include "kernels/base/ctx.h"
#include "kernels/base/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(constant, name, what falls) */
#define SYN_WITHOUT_MAP(X)                                                                         \
    X(INTERACTION, "interaction", "every interaction feature but the cosine with the question")    \
    X(OWN_VIEW, "own_view", "features against what one agent holds")                               \
    X(ALL_VIEW, "all_view", "features against all pieces")                                         \
    X(TITLES, "titles", "titles")                                                                  \
    X(CKM, "ckm", "the recurrent CKM: a mean of item vectors instead")                             \
    X(GAP, "gap", "gaps and links, in what the policy reads")                                      \
    X(STATE, "state", "the state encoder's memory: its output is a constant")                      \
    X(UNSENT, "unsent", "all that was not sent: the same as --no-central")

typedef enum syn_without_bit {
#define SYN_WITHOUT_BIT(constant, name, what) SYN_WITHOUT_BIT_##constant,
    SYN_WITHOUT_MAP(SYN_WITHOUT_BIT)
#undef SYN_WITHOUT_BIT
        SYN_WITHOUT_COUNT
} syn_without_bit;

/* SYN_WITHOUT_CKM and so on: masks, to be combined. */
enum {
#define SYN_WITHOUT_MASK(constant, name, what)                                                     \
    SYN_WITHOUT_##constant = 1 << SYN_WITHOUT_BIT_##constant,
    SYN_WITHOUT_MAP(SYN_WITHOUT_MASK)
#undef SYN_WITHOUT_MASK
};

/* The network inputs that the table knows. */
typedef enum syn_input {
    SYN_INPUT_RANKER,     /* (SYN_DX): question features, one agent's view, zeros */
    SYN_INPUT_RANKER_ALL, /* (SYN_DX): question features, all pieces' view twice */
    SYN_INPUT_REFINER,    /* (SYN_DX): question features, all pieces' view, its second look */
    SYN_INPUT_ITEM,       /* (SYN_DI) */
    SYN_INPUT_MESSAGE,    /* (SYN_DM) */
    SYN_INPUT_PAIR,       /* (SYN_PAIR_X) */
    SYN_INPUT_AGENT,      /* (SYN_AGENT_X) */
    SYN_INPUT_SUMMARY,    /* (SYN_SUMMARY) */
    SYN_INPUT_COUNT
} syn_input;

/* Zeroes in x (n, width of the input), host memory, the columns that fall. */
void syn_without_apply(uint32_t without, syn_input input, int64_t n, real *x);

/* The columns that fall, as bits: for kernels, which leave them out where they write. */
enum { SYN_COLUMN_WORDS = 3 }; /* of 32 columns */
typedef struct syn_columns {
    uint32_t fall[SYN_COLUMN_WORDS];
} syn_columns;

syn_columns syn_without_columns(uint32_t without, syn_input input);

SYN_HD bool syn_column_falls(const syn_columns *c, int column)
{
    return c->fall[column / 32] >> column % 32 & 1;
}

/* Names separated by commas -> mask; NULL and "": 0. SYN_ERR_USAGE names a word that is none. */
SYN_WARN_UNUSED syn_status syn_without_parse(const char *names, uint32_t *without);

/* The reverse: at most `bytes` with the closing 0; SYN_WITHOUT_TEXT_BYTES are always enough. */
enum { SYN_WITHOUT_TEXT_BYTES = 128 };
void syn_without_text(uint32_t without, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
