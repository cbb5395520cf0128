/* Records of a dataset as prepared tasks: foreign pieces found, rows filled, features built.
 *
 * Every record becomes two tasks: 2r with titles, 2r + 1 without. Foreign pieces come from other
 * records of the same data set (the sources of one name; other id, question, title or, without one,
 * text; not of the record's own dialogue or story), nearest to the question by tf-idf cosine.
 * Pieces that fill a record up are of no group. */
#ifndef SYN_TRAINER_CORPUS_H
#define SYN_TRAINER_CORPUS_H

#include "datasets/dataset.h"
#include "engine/task.h"
#include "kernels/draw.h"

typedef struct syn_corpus {
    int64_t records;
    int64_t usable; /* records of the dataset that are in it: fewer where some stand in two forms */
    int64_t *record;        /* (records): index into the dataset, ascending */
    syn_tasks tasks;        /* (2 * records), in host memory */
    syn_tasks device_tasks; /* the same on a CUDA device: syn_corpus_upload */
    float *weight; /* (records): how often a record is drawn beside others; NULL: all alike */
} syn_corpus;

/* The training corpus's idf from the pieces of the records marked in use[ds->record_count] (NULL:
 * all); idf is overwritten. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_corpus_idf(const syn_dataset *ds, const uint8_t *use, syn_idf *idf);

/* Tasks of the records marked in use[ds->record_count], foreign pieces from those marked in pool
 * (NULL: all). pieces: each record is filled to that many (at most 28) with hard distractors; 0: as
 * it is. Records that are not answerable, or without gold or distractors, are left out. c is
 * initialised here and empty on an error. The same for any number of threads. Errors:
 * SYN_ERR_INVALID (pieces), SYN_ERR_FORMAT (fewer than two usable records, or a record for which
 * the others have too few pieces), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_corpus_build(syn_ctx *ctx, syn_corpus *c, const syn_dataset *ds,
                                            const uint8_t *use, const uint8_t *pool,
                                            const syn_idf *idf, const real *table, int pieces);

/* The same, with every record in two forms, one behind the other: as above, and, where it has room,
 * filled to a number of pieces between one more than that and 28, which its id decides; to fewer
 * where the others cannot lend as many. What is fitted on both knows small evidence and large. */
SYN_WARN_UNUSED syn_status syn_corpus_build_mixed(syn_ctx *ctx, syn_corpus *c,
                                                  const syn_dataset *ds, const uint8_t *use,
                                                  const uint8_t *pool, const syn_idf *idf,
                                                  const real *table, int pieces);
void syn_corpus_free(syn_ctx *ctx, syn_corpus *c);

/* Copies the tasks to ctx's device, for every context of it; on the CPU there is nothing to do.
 * Errors: SYN_ERR_MEMORY, SYN_ERR_DEVICE. The copy is freed by the second. */
SYN_WARN_UNUSED syn_status syn_corpus_upload(syn_ctx *ctx, syn_corpus *c);
void syn_corpus_unload(syn_ctx *ctx, syn_corpus *c);

/* The tasks in ctx's memory. */
static inline const syn_tasks *syn_corpus_tasks(const syn_ctx *ctx, const syn_corpus *c)
{
    return ctx->device == SYN_DEVICE_CPU ? &c->tasks : &c->device_tasks;
}

/* Gives every record the weight of its source, above 0; equal weights are none. Errors:
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_corpus_weigh(syn_corpus *c, const syn_dataset *ds,
                                            const double weight[SYN_SOURCES_MAX]);

/* How records are drawn from a list of indices into the corpus, ascending: each as often as its
 * weight says. */
syn_draw syn_corpus_draw(const syn_corpus *c, const int32_t *record, int64_t records);

/* The ablation: the task without titles stands in the place of the other, for every record. */
void syn_corpus_without_titles(syn_corpus *c);

/* Marks for the records of fold `fold` of `folds` (inverse: of all the others); folds 0: all. */
void syn_corpus_fold(const syn_dataset *ds, int folds, int fold, bool inverse, uint8_t *use);

/* True for the share of a training record set that is kept for early stopping and calibration; by
 * split key. */
bool syn_record_held_out(const syn_record *r);

#endif
