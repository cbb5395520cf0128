#include "trainer/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/rng.h"

enum { POOL_MAX = 60000, HELD_OUT_PERCENT = 15, NEAREST_MAX = SYN_ROWS_MAX };

static syn_piece_text piece_text(const syn_dataset *ds, const syn_piece *p)
{
    syn_piece_text t = {ds->tokens + p->title_at, ds->tokens + p->body_at, p->title_count,
                        p->body_count, p->claim != 0};
    return t;
}

void syn_corpus_fold(const syn_dataset *ds, int folds, int fold, bool inverse, uint8_t *use)
{
    for (int64_t r = 0; r < ds->record_count; r++) {
        bool in = folds <= 0 || syn_record_fold(&ds->records[r], folds) == fold;
        use[r] = folds <= 0 ? 1 : in != inverse;
    }
}

bool syn_record_held_out(const syn_record *r)
{
    return (r->id_key >> 32) % 100 < HELD_OUT_PERCENT;
}

syn_status syn_corpus_idf(const syn_dataset *ds, const uint8_t *use, syn_idf *idf)
{
    uint32_t *counts = calloc(SYN_IDF_BUCKETS, sizeof *counts);
    if (!counts) return syn_fail(SYN_ERR_MEMORY, "out of memory for document frequencies");
    int64_t pieces = 0;
    for (int64_t r = 0; r < ds->record_count; r++) {
        if (use && !use[r]) continue;
        const syn_record *rec = &ds->records[r];
        for (int64_t p = 0; p < rec->piece_count; p++, pieces++) {
            syn_piece_text t = piece_text(ds, &ds->pieces[rec->piece_first + p]);
            syn_idf_count(counts, &t);
        }
    }
    syn_idf_finish(idf, counts, pieces);
    free(counts);
    return SYN_OK;
}

/* ---- The nearest pieces of other records, by an inverted index ---- */

typedef struct posting {
    uint32_t hash;
    int32_t piece; /* index into the pool */
    float weight;
} posting;

typedef struct pool {
    int64_t count;
    int64_t *piece;  /* (count): index into ds->pieces */
    int64_t *record; /* (count): of that piece */
    posting *list;   /* sorted by hash */
    int64_t postings;
} pool;

static int compare_posting(const void *a, const void *b)
{
    const posting *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->piece > y->piece) - (x->piece < y->piece);
}

static void pool_free(pool *p)
{
    free(p->piece);
    free(p->record);
    free(p->list);
}

static syn_status pool_build(pool *p, const syn_dataset *ds, const uint8_t *use, const syn_idf *idf)
{
    memset(p, 0, sizeof *p);
    syn_terms *terms = malloc(sizeof *terms);
    int64_t space = 0;
    p->piece = malloc(sizeof *p->piece * POOL_MAX);
    p->record = malloc(sizeof *p->record * POOL_MAX);
    if (!terms || !p->piece || !p->record) goto memory;
    /* A large file lends every so many records, not its first ones. */
    int64_t all = 0, seen = 0;
    for (int64_t r = 0; r < ds->record_count; r++)
        all += use && !use[r] ? 0 : ds->records[r].piece_count;
    const int64_t stride = all / POOL_MAX + 1;
    for (int64_t r = 0; r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        if ((use && !use[r]) || seen++ % stride) continue;
        for (int32_t k = 0; k < rec->piece_count && p->count < POOL_MAX; k++) {
            const syn_piece *piece = &ds->pieces[rec->piece_first + k];
            if (piece->claim) continue;
            syn_terms_make(terms, idf, ds->tokens + piece->title_at, piece->title_count,
                           ds->tokens + piece->body_at, piece->body_count);
            if (p->postings + terms->count > space) {
                space = 2 * (space + terms->count) + (1 << 16);
                posting *list = realloc(p->list, sizeof *list * (size_t)space);
                if (!list) goto memory;
                p->list = list;
            }
            for (int i = 0; i < terms->count; i++) {
                p->list[p->postings++] =
                    (posting){terms->hash[i], (int32_t)p->count, terms->weight[i]};
            }
            p->piece[p->count] = rec->piece_first + k;
            p->record[p->count++] = r;
        }
    }
    free(terms);
    qsort(p->list, (size_t)p->postings, sizeof *p->list, compare_posting);
    return SYN_OK;
memory:
    free(terms);
    return syn_fail(SYN_ERR_MEMORY, "out of memory while foreign pieces were indexed");
}

static int64_t first_posting(const pool *p, uint32_t hash)
{
    int64_t lo = 0, hi = p->postings;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (p->list[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* May pool piece k stand in record rec? Not from the record or one with its question; no title
 * twice, pieces without one apart. */
static bool may_stand(const syn_dataset *ds, const pool *p, int64_t k, int64_t rec,
                      const int64_t *taken, int taken_count)
{
    const syn_record *r = &ds->records[rec], *other = &ds->records[p->record[k]];
    const uint64_t title = ds->pieces[p->piece[k]].title_key;
    if (other->id_key == r->id_key || other->question_key == r->question_key) return false;
    if (title == 0) return true;
    for (int32_t i = 0; i < r->piece_count; i++) {
        if (ds->pieces[r->piece_first + i].title_key == title) return false;
    }
    for (int i = 0; i < taken_count; i++) {
        if (ds->pieces[taken[i]].title_key == title) return false;
    }
    return true;
}

/* The `want` nearest pool pieces to the question of record rec (indices into ds->pieces); returns
 * how many there are, -1 without memory. score (pool->count): scratch. */
static int nearest(const syn_dataset *ds, const pool *p, const syn_idf *idf, int64_t rec, int want,
                   float *score, int64_t *out)
{
    const syn_record *r = &ds->records[rec];
    syn_terms *q = malloc(sizeof *q);
    if (!q) return -1;
    memset(score, 0, sizeof *score * (size_t)p->count);
    syn_terms_make(q, idf, NULL, 0, ds->tokens + r->question_at, r->question_count);
    for (int i = 0; i < q->count; i++) {
        if (q->weight[i] < 0.05f) continue; /* the longest lists say least */
        for (int64_t k = first_posting(p, q->hash[i]);
             k < p->postings && p->list[k].hash == q->hash[i]; k++) {
            score[p->list[k].piece] += q->weight[i] * p->list[k].weight;
        }
    }
    free(q);
    int n = 0;
    while (n < want) {
        int64_t best = -1;
        for (int64_t k = 0; k < p->count; k++) {
            if (score[k] >= 0 && (best < 0 || score[k] > score[best])) best = k;
        }
        if (best < 0) break;
        score[best] = -1;
        if (may_stand(ds, p, best, rec, out, n)) out[n++] = p->piece[best];
    }
    return n;
}

/* ---- Tasks ---- */

static syn_status build_record(syn_corpus *c, int64_t r, const syn_dataset *ds, const pool *p,
                               const syn_idf *idf, const real *table, int pieces, float *score)
{
    const int64_t index = c->record[r];
    const syn_record *rec = &ds->records[index];
    syn_piece_text text[SYN_ROWS_MAX];
    syn_task_info info = {0, rec->piece_count, 0};
    int64_t found[NEAREST_MAX];
    if (pieces > info.pieces) info.pieces = pieces;
    const int fill = info.pieces - rec->piece_count, want = fill + SYN_FOREIGN_ROWS;
    const int there = nearest(ds, p, idf, index, want, score, found);
    if (there < 0)
        return syn_fail(SYN_ERR_MEMORY, "out of memory while foreign pieces were sought");
    if (there < want) {
        return syn_fail(SYN_ERR_FORMAT,
                        "record \"%s\": only few other records have pieces that could stand in; "
                        "give more records",
                        syn_record_id(ds, rec));
    }
    syn_rng rng =
        syn_rng_make(rec->id_key, SYN_STREAM_SHUFFLE); /* fillers and foreign rows are alike */
    for (int i = want - 1; i > 0; i--) {
        int j = (int)syn_rng_below(&rng, (uint32_t)i + 1);
        int64_t t = found[i];
        found[i] = found[j];
        found[j] = t;
    }
    for (int k = 0; k < rec->piece_count; k++) {
        const syn_piece *piece = &ds->pieces[rec->piece_first + k];
        text[k] = piece_text(ds, piece);
        if (piece->gold) info.gold |= 1u << k;
        if (piece->claim) info.claims |= 1u << k;
    }
    for (int k = 0; k < want; k++)
        text[rec->piece_count + k] = piece_text(ds, &ds->pieces[found[k]]);
    for (int variant = 0; variant < 2; variant++) {
        const int64_t t = 2 * r + variant;
        c->tasks.info[t] = info;
        SYN_RETURN_IF(
            syn_task_build(idf, table, ds->tokens + rec->question_at, rec->question_count, text,
                           info.pieces + SYN_FOREIGN_ROWS, variant == 0,
                           c->tasks.quest + t * SYN_TASK_QUEST, c->tasks.pair + t * SYN_TASK_PAIR,
                           c->tasks.e + t * SYN_ROWS_MAX * SYN_DE, c->tasks.q + t * SYN_DE));
    }
    return SYN_OK;
}

syn_status syn_corpus_build(syn_ctx *ctx, syn_corpus *c, const syn_dataset *ds, const uint8_t *use,
                            const uint8_t *pool_use, const syn_idf *idf, const real *table,
                            int pieces)
{
    syn_status st = SYN_OK;
    pool p = {0};
    char sentence[1024] = "";
    memset(c, 0, sizeof *c);
    SYN_REQUIRE(pieces >= 0 && pieces <= SYN_PIECES_OWN_MAX, "pieces is %d, allowed are 0 to %d",
                pieces, SYN_PIECES_OWN_MAX);
    c->record = malloc(sizeof *c->record * (size_t)(ds->record_count + 1));
    if (!c->record)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                        (long long)ds->record_count);
    for (int64_t r = 0; r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        bool usable = rec->answerable && rec->gold_count > 0 && rec->gold_count < rec->piece_count;
        if ((!use || use[r]) && usable) c->record[c->records++] = r;
    }
    if (c->records < 2) {
        st = syn_fail(SYN_ERR_FORMAT, "%lld usable records are too few: at least 2 are needed",
                      (long long)c->records);
        goto done;
    }
    SYN_TRY(syn_tasks_alloc(ctx, &c->tasks, 2 * c->records));
    SYN_TRY(pool_build(&p, ds, pool_use, idf));
#pragma omp parallel num_threads(ctx->threads)
    {
        float *score = malloc(sizeof *score * (size_t)(p.count + 1));
#pragma omp for schedule(dynamic, 16)
        for (int64_t r = 0; r < c->records; r++) {
            syn_status s = score ? build_record(c, r, ds, &p, idf, table, pieces, score)
                                 : syn_fail(SYN_ERR_MEMORY, "out of memory for %lld pieces",
                                            (long long)p.count);
            if (s == SYN_OK) continue;
#pragma omp critical
            {
                st = s; /* the sentence is that thread's; the caller's needs it */
                strncpy(sentence, syn_error_text(), sizeof sentence - 1);
            }
        }
        free(score);
    }
    if (st != SYN_OK) st = syn_fail(st, "%s", sentence);
done:
    pool_free(&p);
    if (st != SYN_OK) syn_corpus_free(ctx, c);
    return st;
}

void syn_corpus_free(syn_ctx *ctx, syn_corpus *c)
{
    free(c->record);
    syn_tasks_free(ctx, &c->tasks);
    memset(c, 0, sizeof *c);
}
