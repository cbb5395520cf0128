/* A context, and what corpora of data sets in memory are built with. */
#ifndef SYN_TESTS_TRAINER_CORPUS_WORLD_H
#define SYN_TESTS_TRAINER_CORPUS_WORLD_H

#include "tests/trainer/memory_dataset.h"
#include "trainer/corpus.h"

static syn_ctx ctx;
static syn_idf *idf;
static real *table;

static inline int corpus_setup(void **state)
{
    idf = calloc(1, sizeof *idf);
    table = calloc((size_t)SYN_VOCABULARY * SYN_DE, sizeof *table);
    if (!idf || !table) return -1;
    syn_embedding_init(table, 1);
    return syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1) == SYN_OK ? 0 : -1;
}

static inline int corpus_teardown(void **state)
{
    free(idf);
    free(table);
    syn_ctx_free(&ctx);
    return 0;
}

static inline void corpus_build(syn_corpus *c, const syn_dataset *ds, int pieces)
{
    assert_ok(syn_corpus_idf(ds, NULL, idf));
    assert_ok(syn_corpus_build(&ctx, c, ds, NULL, NULL, idf, table, pieces));
}

#endif
