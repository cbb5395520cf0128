/* Random records, their corpus and a model in host memory, and a device beside it. */
#ifndef SYN_TESTS_TRAINER_DEVICE_WORLD_H
#define SYN_TESTS_TRAINER_DEVICE_WORLD_H

#include "engine/model.h"
#include "kernels/lstm.h"
#include "tests/cuda.h"
#include "tests/trainer/memory_dataset.h"
#include "trainer/corpus.h"

enum { RECORDS_MAX = 20 };

typedef struct world {
    syn_ctx cpu, gpu;
    syn_dataset ds;
    syn_corpus corpus;
    syn_model model; /* idf and table; runs take copies */
    int32_t record[RECORDS_MAX];
} world;

static world w;

static inline void world_begin(int records, int pieces)
{
#ifdef SYN_CUDA_EMULATED
    assert_ok(syn_lstm_variant_set("step")); /* takes the least time */
#endif
    assert_ok(syn_ctx_init(&w.cpu, SYN_DEVICE_CPU, 1));
    dataset_begin(&w.ds);
    random_records(&w.ds, records, pieces, 2, true);
    assert_ok(syn_model_init(&w.cpu, &w.model, 1));
    assert_ok(syn_corpus_idf(&w.ds, NULL, w.model.idf));
    assert_ok(
        syn_corpus_build(&w.cpu, &w.corpus, &w.ds, NULL, NULL, w.model.idf, w.model.table, 0));
    for (int32_t k = 0; k < records; k++) w.record[k] = k;
}

static inline int world_end(void **state)
{
    (void)state;
    syn_model_free(&w.cpu, &w.model);
    syn_corpus_free(&w.cpu, &w.corpus);
    syn_dataset_free(&w.ds);
    syn_ctx_free(&w.cpu);
    return 0;
}

static inline void device_open(void)
{
    if (syn_ctx_init(&w.gpu, SYN_DEVICE_CUDA, 1) == SYN_OK) return;
    print_message("%s\n", syn_error_text());
    skip();
}

static inline void corpus_upload(void)
{
    device_open();
    assert_ok(syn_corpus_upload(&w.gpu, &w.corpus));
}

static inline void corpus_unload(void)
{
    syn_corpus_unload(&w.gpu, &w.corpus);
    syn_ctx_free(&w.gpu);
}

#endif
