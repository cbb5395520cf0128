#include "datasets/dataset.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/keyset.h"

uint64_t syn_dataset_key(const char *bytes, size_t count)
{
    return XXH3_64bits(bytes, count);
}

void syn_dataset_free(syn_dataset *ds)
{
    free(ds->records);
    free(ds->pieces);
    free(ds->tokens);
    free(ds->strings);
    *ds = (syn_dataset){0};
}

/* Room for `more` elements; at least half as much again when it has to grow. */
static syn_status room(void **data, int64_t *max, int64_t count, int64_t more, size_t bytes)
{
    if (*max - count >= more) return SYN_OK;
    int64_t larger = *max + *max / 2;
    if (larger < count + more) larger = count + more;
    void *grown = realloc(*data, (size_t)larger * bytes);
    if (!grown)
        return syn_fail(SYN_ERR_MEMORY, "no memory for %lld bytes of data",
                        (long long)larger * (long long)bytes);
    *data = grown;
    *max = larger;
    return SYN_OK;
}

syn_status syn_dataset_reserve(syn_dataset *ds, int64_t records, int64_t pieces, int64_t tokens,
                               int64_t string_bytes)
{
    SYN_RETURN_IF(room((void **)&ds->records, &ds->record_max, ds->record_count, records,
                       sizeof *ds->records));
    SYN_RETURN_IF(
        room((void **)&ds->pieces, &ds->piece_max, ds->piece_count, pieces, sizeof *ds->pieces));
    SYN_RETURN_IF(
        room((void **)&ds->tokens, &ds->token_max, ds->token_count, tokens, sizeof *ds->tokens));
    return room((void **)&ds->strings, &ds->string_max, ds->string_bytes, string_bytes, 1);
}

const char *syn_record_id(const syn_dataset *ds, const syn_record *r)
{
    return ds->strings + r->id_at;
}

const syn_piece *syn_record_piece(const syn_dataset *ds, const syn_record *r, int i)
{
    return &ds->pieces[r->piece_first + i];
}

int64_t syn_record_token_count(const syn_dataset *ds, const syn_record *r)
{
    int64_t count = r->question_count;
    for (int i = 0; i < r->piece_count; i++) {
        const syn_piece *p = syn_record_piece(ds, r, i);
        count += p->title_count + p->body_count;
    }
    return count;
}

const char *syn_record_type_text(int type)
{
    static const char *const text[] = {"other",         "bridge",    "comparison",
                                       "compositional", "inference", "bridge_comparison"};
    return type >= 0 && type < SYN_TYPE_COUNT ? text[type] : "other";
}

const char *syn_skip_key(int reason)
{
    static const char *const key[] = {
#define SYN_SKIP_KEY(name, key, text) key,
        SYN_SKIP_MAP(SYN_SKIP_KEY)
#undef SYN_SKIP_KEY
    };
    return reason >= 0 && reason < SYN_SKIP_COUNT ? key[reason] : "none";
}

const char *syn_skip_text(int reason)
{
    static const char *const words[] = {
#define SYN_SKIP_TEXT(name, key, text) text,
        SYN_SKIP_MAP(SYN_SKIP_TEXT)
#undef SYN_SKIP_TEXT
    };
    return reason >= 0 && reason < SYN_SKIP_COUNT ? words[reason] : "not skipped";
}

uint64_t syn_record_split_key(const syn_record *r)
{
    return r->context_key ? r->context_key : r->id_key;
}

int syn_record_fold(const syn_record *r, int folds)
{
    return (int)(syn_record_split_key(r) % (uint64_t)folds);
}

/* Marks with 1 the records of `from` whose ids are neither in ds nor earlier in `from`. */
static syn_status fresh_mark(const syn_dataset *ds, const syn_dataset *from, uint8_t *fresh,
                             int64_t *count)
{
    syn_status st = SYN_OK;
    syn_keyset ids = {0};
    bool added;
    *count = 0;
    for (int64_t i = 0; i < ds->record_count; i++)
        SYN_TRY(syn_keyset_add(&ids, ds->records[i].id_key, &added));
    for (int64_t i = 0; i < from->record_count; i++) {
        SYN_TRY(syn_keyset_add(&ids, from->records[i].id_key, &added));
        fresh[i] = added;
        *count += added;
    }
done:
    syn_keyset_free(&ids);
    return st;
}

/* Copies one record with all that belongs to it; there is room. */
static void record_copy(syn_dataset *ds, const syn_dataset *from, const syn_record *r, int source)
{
    syn_record copy = *r;
    const char *id = syn_record_id(from, r);
    int64_t id_bytes = (int64_t)strlen(id) + 1, tokens = syn_record_token_count(from, r);
    int64_t shift = ds->token_count - r->question_at;
    memcpy(ds->strings + ds->string_bytes, id, (size_t)id_bytes);
    memcpy(ds->tokens + ds->token_count, from->tokens + r->question_at,
           (size_t)tokens * sizeof *ds->tokens);
    for (int i = 0; i < r->piece_count; i++) {
        syn_piece piece = *syn_record_piece(from, r, i);
        piece.title_at += shift;
        piece.body_at += shift;
        ds->pieces[ds->piece_count + i] = piece;
    }
    copy.id_at = ds->string_bytes;
    copy.question_at += shift;
    copy.piece_first = ds->piece_count;
    copy.source = (uint8_t)source;
    ds->records[ds->record_count++] = copy;
    ds->string_bytes += id_bytes;
    ds->token_count += tokens;
    ds->piece_count += r->piece_count;
}

syn_status syn_dataset_append(syn_dataset *ds, const syn_dataset *from)
{
    syn_status st = SYN_OK;
    int64_t fresh_count, n = from->record_count;
    int first = ds->source_count;
    if (first + from->source_count > SYN_SOURCES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "more than %d input files in one data set", SYN_SOURCES_MAX);
    uint8_t *fresh = malloc((size_t)n + 1);
    if (!fresh) return syn_fail(SYN_ERR_MEMORY, "no memory for %lld records", (long long)n);
    SYN_TRY(fresh_mark(ds, from, fresh, &fresh_count));
    SYN_TRY(syn_dataset_reserve(ds, fresh_count, from->piece_count, from->token_count,
                                from->string_bytes));
    for (int i = 0; i < from->source_count; i++) ds->sources[first + i] = from->sources[i];
    ds->source_count += from->source_count;
    for (int64_t i = 0; i < n; i++) {
        const syn_record *r = &from->records[i];
        syn_source *source = &ds->sources[first + r->source];
        if (fresh[i]) {
            record_copy(ds, from, r, first + r->source);
        } else {
            source->records--;
            source->skipped[SYN_SKIP_DUPLICATE]++;
        }
    }
done:
    free(fresh);
    return st;
}

syn_status syn_dataset_take(syn_dataset *ds, syn_dataset *from)
{
    syn_status st = SYN_OK;
    if (ds->source_count > 0) return syn_dataset_append(ds, from);
    int64_t fresh_count;
    uint8_t *fresh = malloc((size_t)from->record_count + 1);
    if (!fresh)
        return syn_fail(SYN_ERR_MEMORY, "no memory for %lld records",
                        (long long)from->record_count);
    SYN_TRY(fresh_mark(ds, from, fresh, &fresh_count));
    if (fresh_count < from->record_count) {
        st = syn_dataset_append(ds, from);
    } else {
        syn_dataset_free(ds);
        *ds = *from;
        *from = (syn_dataset){0};
    }
done:
    free(fresh);
    return st;
}

int64_t syn_dataset_title_disjoint(const syn_dataset *ds, int folds, int test_fold, uint8_t *keep)
{
    syn_keyset titles = {0};
    int64_t kept = 0;
    bool added, complete = true;
    for (int64_t i = 0; i < ds->record_count; i++) {
        const syn_record *r = &ds->records[i];
        if (syn_record_fold(r, folds) != test_fold) continue;
        for (int k = 0; k < r->piece_count; k++)
            if (syn_keyset_add(&titles, syn_record_piece(ds, r, k)->title_key, &added) != SYN_OK)
                complete = false;
    }
    for (int64_t i = 0; i < ds->record_count; i++) {
        const syn_record *r = &ds->records[i];
        /* Without memory for the titles none is known to be disjoint. */
        bool disjoint = complete && syn_record_fold(r, folds) != test_fold;
        for (int k = 0; k < r->piece_count && disjoint; k++) {
            uint64_t key = syn_record_piece(ds, r, k)->title_key;
            disjoint = key == 0 || !syn_keyset_has(&titles, key);
        }
        keep[i] = disjoint;
        kept += disjoint;
    }
    syn_keyset_free(&titles);
    return kept;
}
