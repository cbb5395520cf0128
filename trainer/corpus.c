#include "trainer/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/keyset.h"
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
    return (syn_record_split_key(r) >> 32) % 100 < HELD_OUT_PERCENT;
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

/* The pieces that one data set lends to its records. */
typedef struct pool {
    int64_t count;
    int64_t *piece;  /* (count): index into ds->pieces */
    int64_t *record; /* (count): of that piece */
    uint64_t *text;  /* (count): text_key of the piece */
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
    free(p->text);
    free(p->list);
}

/* A document's title tells it from all others; a piece without one, or a fact under the name of its
 * slot, is told from others by all its words. 0: by its title. */
static uint64_t text_key(const syn_dataset *ds, const syn_piece *p)
{
    if (p->title_key && !p->group) return 0;
    return syn_dataset_key((const char *)(ds->tokens + p->title_at),
                           sizeof *ds->tokens * (size_t)(p->title_count + p->body_count));
}

/* Takes a piece into the pool, which has room for it. *space: postings that fit the list. */
static bool pool_take(pool *p, const syn_dataset *ds, int64_t record, int64_t index,
                      const syn_idf *idf, syn_terms *terms, int64_t *space)
{
    const syn_piece *piece = &ds->pieces[index];
    syn_terms_make(terms, idf, ds->tokens + piece->title_at, piece->title_count,
                   ds->tokens + piece->body_at, piece->body_count);
    if (p->postings + terms->count > *space) {
        *space = 2 * (*space + terms->count) + (1 << 16);
        posting *list = realloc(p->list, sizeof *list * (size_t)*space);
        if (!list) return false;
        p->list = list;
    }
    for (int i = 0; i < terms->count; i++)
        p->list[p->postings++] = (posting){terms->hash[i], (int32_t)p->count, terms->weight[i]};
    p->piece[p->count] = index;
    p->text[p->count] = text_key(ds, piece);
    p->record[p->count++] = record;
    return true;
}

/* Collects the pieces of the records marked in use that are of data set `set`; set_of: the data set
 * of every source. */
static syn_status pool_build(pool *p, const syn_dataset *ds, const uint8_t *use, const int *set_of,
                             int set, const syn_idf *idf)
{
    syn_status st = SYN_OK;
    syn_terms *terms = malloc(sizeof *terms);
    syn_keyset texts = {0}; /* questions about one dialogue have the same pieces */
    int64_t space = 0, all = 0, seen = 0;
    bool fresh = true, good;
    p->piece = malloc(sizeof *p->piece * POOL_MAX);
    p->record = malloc(sizeof *p->record * POOL_MAX);
    p->text = malloc(sizeof *p->text * POOL_MAX);
    good = terms && p->piece && p->record && p->text;
    for (int64_t r = 0; r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        if ((!use || use[r]) && set_of[rec->source] == set) all += rec->piece_count;
    }
    /* A large file lends every so many records, not its first ones. */
    const int64_t stride = all / POOL_MAX + 1;
    for (int64_t r = 0; good && r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        if ((use && !use[r]) || set_of[rec->source] != set || seen++ % stride) continue;
        for (int32_t k = 0; good && k < rec->piece_count && p->count < POOL_MAX; k++) {
            const syn_piece *piece = &ds->pieces[rec->piece_first + k];
            if (piece->claim) continue;
            const uint64_t text = text_key(ds, piece);
            if (text) SYN_TRY(syn_keyset_add(&texts, text, &fresh));
            if (!text || fresh)
                good = pool_take(p, ds, r, rec->piece_first + k, idf, terms, &space);
        }
    }
    if (!good) st = syn_fail(SYN_ERR_MEMORY, "out of memory while foreign pieces were indexed");
    if (good && p->postings) qsort(p->list, (size_t)p->postings, sizeof *p->list, compare_posting);
done:
    syn_keyset_free(&texts);
    free(terms);
    return st;
}

/* A pool for every data set: the sources of one name. A fact of a dialogue among paragraphs would
 * tell that it is foreign. pools, set_of (SYN_SOURCES_MAX): overwritten. */
static syn_status pools_build(pool *pools, int *set_of, const syn_dataset *ds, const uint8_t *use,
                              const syn_idf *idf)
{
    memset(pools, 0, sizeof *pools * SYN_SOURCES_MAX);
    for (int i = 0; i < ds->source_count; i++) {
        set_of[i] = i;
        for (int k = i - 1; k >= 0; k--)
            if (strcmp(ds->sources[k].name, ds->sources[i].name) == 0) set_of[i] = set_of[k];
    }
    for (int i = 0; i < ds->source_count; i++)
        if (set_of[i] == i) SYN_RETURN_IF(pool_build(&pools[i], ds, use, set_of, i, idf));
    return SYN_OK;
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

/* May pool piece k stand in record rec? Not from the record, its dialogue or story, or a record
 * with its question; no title twice, or no text where that is what tells pieces apart. Facts of a
 * slot that the record has are another answer to the same question, and only stand in when strict
 * is false. */
static bool may_stand(const syn_dataset *ds, const pool *p, int64_t k, int64_t rec,
                      const int64_t *taken, int taken_count, bool strict)
{
    const syn_record *r = &ds->records[rec], *other = &ds->records[p->record[k]];
    const uint64_t title = ds->pieces[p->piece[k]].title_key, text = p->text[k];
    if (other->id_key == r->id_key || other->question_key == r->question_key) return false;
    if (r->context_key && other->context_key == r->context_key) return false;
    for (int32_t i = 0; i < r->piece_count; i++) {
        const syn_piece *own = &ds->pieces[r->piece_first + i];
        if (own->title_key != title) continue;
        if ((title && strict) || text_key(ds, own) == text) return false;
    }
    for (int i = 0; i < taken_count; i++) {
        const syn_piece *piece = &ds->pieces[taken[i]];
        if (piece->title_key == title && text_key(ds, piece) == text) return false;
    }
    return true;
}

/* What the search for one record's foreign pieces works on; (pool->count) each. */
typedef struct search {
    float *score;
    int32_t *heap;
} search;

/* Is a the better of two pool pieces? Of equal ones the first. */
static bool better(const float *score, int32_t a, int32_t b)
{
    return score[a] != score[b] ? score[a] > score[b] : a < b;
}

static void sift_down(const search *s, int64_t at, int64_t count)
{
    const int32_t moved = s->heap[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && better(s->score, s->heap[child + 1], s->heap[child])) child++;
        if (!better(s->score, s->heap[child], moved)) break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = moved;
}

/* Takes the best pieces that may stand in the record, n of which are there already; returns how
 * many there are then. */
static int best_take(const syn_dataset *ds, const pool *p, int64_t rec, int want, const search *s,
                     bool strict, int64_t *out, int n)
{
    int64_t count = p->count;
    for (int64_t k = 0; k < count; k++) s->heap[k] = (int32_t)k;
    for (int64_t k = count / 2 - 1; k >= 0; k--) sift_down(s, k, count);
    while (n < want && count > 0) {
        const int32_t best = s->heap[0];
        s->heap[0] = s->heap[--count];
        if (count) sift_down(s, 0, count);
        if (may_stand(ds, p, best, rec, out, n, strict)) out[n++] = p->piece[best];
    }
    return n;
}

/* The `want` nearest pool pieces to the question of record rec (indices into ds->pieces); returns
 * how many there are, -1 without memory. */
static int nearest(const syn_dataset *ds, const pool *p, const syn_idf *idf, int64_t rec, int want,
                   const search *s, int64_t *out)
{
    const syn_record *r = &ds->records[rec];
    syn_terms *q = malloc(sizeof *q);
    if (!q) return -1;
    memset(s->score, 0, sizeof *s->score * (size_t)p->count);
    syn_terms_make(q, idf, NULL, 0, ds->tokens + r->question_at, r->question_count);
    for (int i = 0; i < q->count; i++) {
        if (q->weight[i] < 0.05f) continue; /* the longest lists say least */
        for (int64_t k = first_posting(p, q->hash[i]);
             k < p->postings && p->list[k].hash == q->hash[i]; k++) {
            s->score[p->list[k].piece] += q->weight[i] * p->list[k].weight;
        }
    }
    free(q);
    int n = best_take(ds, p, rec, want, s, true, out, 0);
    return n < want ? best_take(ds, p, rec, want, s, false, out, n) : n;
}

/* ---- Tasks ---- */

/* The second form of a record stands behind the first. */
static bool second_form(const syn_corpus *c, int64_t r)
{
    return r > 0 && c->record[r - 1] == c->record[r];
}

/* How many pieces record r is filled to. */
static int pieces_wanted(const syn_corpus *c, int64_t r, const syn_record *rec, int pieces)
{
    const int first = pieces > rec->piece_count ? pieces : rec->piece_count;
    if (!second_form(c, r)) return first;
    syn_rng rng = syn_rng_make(rec->id_key, SYN_STREAM_PRETRAIN);
    return first + 1 + (int)syn_rng_below(&rng, (uint32_t)(SYN_PIECES_OWN_MAX - first));
}

static syn_status build_record(syn_corpus *c, int64_t r, const syn_dataset *ds, const pool *p,
                               const syn_idf *idf, const real *table, int pieces,
                               const search *scratch)
{
    const int64_t index = c->record[r];
    const syn_record *rec = &ds->records[index];
    syn_piece_text text[SYN_ROWS_MAX];
    syn_task_info info = {.pieces = pieces_wanted(c, r, rec, pieces)};
    int64_t found[NEAREST_MAX];
    uint32_t group[SYN_GROUPS_MAX] = {0};
    int want = info.pieces - rec->piece_count + SYN_FOREIGN_ROWS;
    const int there = nearest(ds, p, idf, index, want, scratch, found);
    if (there < 0)
        return syn_fail(SYN_ERR_MEMORY, "out of memory while foreign pieces were sought");
    if (there < want && there >= SYN_FOREIGN_ROWS && second_form(c, r)) {
        info.pieces -= want - there; /* as far as the others can lend */
        want = there;
    }
    if (there < want) {
        return syn_fail(SYN_ERR_FORMAT,
                        "record \"%s\": only few other records of its data set have pieces that "
                        "could stand in; give more records",
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
        if (piece->group) group[piece->group - 1] |= 1u << k;
    }
    for (int g = 0, used = 0; g < SYN_GROUPS_MAX; g++)
        if (group[g]) info.group[used++] = group[g];
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

/* Lists the usable records, with `mixed` twice where a second form can have more pieces. Returns
 * how many records are usable. */
static int64_t list_records(syn_corpus *c, const syn_dataset *ds, const uint8_t *use, int pieces,
                            bool mixed)
{
    int64_t usable = 0;
    for (int64_t r = 0; r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        if (!rec->answerable || rec->gold_count <= 0 || rec->gold_count >= rec->piece_count)
            continue;
        if (use && !use[r]) continue;
        usable++;
        c->record[c->records++] = r;
        if (mixed && pieces < SYN_PIECES_OWN_MAX && rec->piece_count < SYN_PIECES_OWN_MAX)
            c->record[c->records++] = r;
    }
    return usable;
}

static syn_status build(syn_ctx *ctx, syn_corpus *c, const syn_dataset *ds, const uint8_t *use,
                        const uint8_t *pool_use, const syn_idf *idf, const real *table, int pieces,
                        bool mixed)
{
    syn_status st = SYN_OK;
    pool pools[SYN_SOURCES_MAX] = {0};
    int set_of[SYN_SOURCES_MAX];
    int64_t pool_max = 0;
    char sentence[1024] = "";
    memset(c, 0, sizeof *c);
    SYN_REQUIRE(pieces >= 0 && pieces <= SYN_PIECES_OWN_MAX, "pieces is %d, allowed are 0 to %d",
                pieces, SYN_PIECES_OWN_MAX);
    c->record = malloc(sizeof *c->record * (size_t)(2 * ds->record_count + 1));
    if (!c->record)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                        (long long)ds->record_count);
    c->usable = list_records(c, ds, use, pieces, mixed);
    if (c->usable < 2) {
        st = syn_fail(SYN_ERR_FORMAT, "%lld usable records are too few: at least 2 are needed",
                      (long long)c->usable);
        goto done;
    }
    SYN_TRY(syn_tasks_alloc(ctx, &c->tasks, 2 * c->records));
    SYN_TRY(pools_build(pools, set_of, ds, pool_use, idf));
    for (int i = 0; i < SYN_SOURCES_MAX; i++)
        if (pools[i].count > pool_max) pool_max = pools[i].count;
#pragma omp parallel num_threads(ctx->threads)
    {
        const search s = {malloc(sizeof *s.score * (size_t)(pool_max + 1)),
                          malloc(sizeof *s.heap * (size_t)(pool_max + 1))};
#pragma omp for schedule(dynamic, 16)
        for (int64_t r = 0; r < c->records; r++) {
            const pool *p = &pools[set_of[ds->records[c->record[r]].source]];
            const bool ready = s.score && s.heap;
            syn_status fault = ready ? build_record(c, r, ds, p, idf, table, pieces, &s)
                                     : syn_fail(SYN_ERR_MEMORY, "out of memory for %lld pieces",
                                                (long long)pool_max);
            if (fault == SYN_OK) continue;
#pragma omp critical
            {
                st = fault; /* the sentence is that thread's; the caller's needs it */
                strncpy(sentence, syn_error_text(), sizeof sentence - 1);
            }
        }
        free(s.score);
        free(s.heap);
    }
    if (st != SYN_OK) st = syn_fail(st, "%s", sentence);
done:
    for (int i = 0; i < SYN_SOURCES_MAX; i++) pool_free(&pools[i]);
    if (st != SYN_OK) syn_corpus_free(ctx, c);
    return st;
}

syn_status syn_corpus_build(syn_ctx *ctx, syn_corpus *c, const syn_dataset *ds, const uint8_t *use,
                            const uint8_t *pool_use, const syn_idf *idf, const real *table,
                            int pieces)
{
    return build(ctx, c, ds, use, pool_use, idf, table, pieces, false);
}

syn_status syn_corpus_build_mixed(syn_ctx *ctx, syn_corpus *c, const syn_dataset *ds,
                                  const uint8_t *use, const uint8_t *pool_use, const syn_idf *idf,
                                  const real *table, int pieces)
{
    return build(ctx, c, ds, use, pool_use, idf, table, pieces, true);
}

syn_status syn_corpus_weigh(syn_corpus *c, const syn_dataset *ds,
                            const double weight[SYN_SOURCES_MAX])
{
    bool alike = true;
    free(c->weight);
    c->weight = malloc(sizeof *c->weight * (size_t)c->records);
    if (!c->weight)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld weights", (long long)c->records);
    for (int64_t r = 0; r < c->records; r++) {
        c->weight[r] = (float)weight[ds->records[c->record[r]].source];
        alike = alike && c->weight[r] == c->weight[0];
    }
    if (!alike) return SYN_OK;
    free(c->weight);
    c->weight = NULL;
    return SYN_OK;
}

void syn_corpus_without_titles(syn_corpus *c)
{
    const syn_tasks *t = &c->tasks;
    for (int64_t with = 0; with < 2 * c->records; with += 2) {
        const int64_t bare = with + 1;
        memcpy(t->quest + with * SYN_TASK_QUEST, t->quest + bare * SYN_TASK_QUEST,
               sizeof(real) * SYN_TASK_QUEST);
        memcpy(t->pair + with * SYN_TASK_PAIR, t->pair + bare * SYN_TASK_PAIR,
               sizeof(real) * SYN_TASK_PAIR);
        memcpy(t->e + with * SYN_ROWS_MAX * SYN_DE, t->e + bare * SYN_ROWS_MAX * SYN_DE,
               sizeof(real) * SYN_ROWS_MAX * SYN_DE);
        memcpy(t->q + with * SYN_DE, t->q + bare * SYN_DE, sizeof(real) * SYN_DE);
    }
}
