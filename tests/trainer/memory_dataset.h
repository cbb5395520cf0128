/* A data set that a test writes down, or has drawn, in memory. */
#ifndef SYN_TESTS_TRAINER_MEMORY_DATASET_H
#define SYN_TESTS_TRAINER_MEMORY_DATASET_H

#include "datasets/dataset.h"
#include "engine/text.h"
#include "kernels/base/rng.h"
#include "tests/test.h"

static inline void dataset_begin(syn_dataset *ds)
{
    memset(ds, 0, sizeof *ds);
    ds->source_count = 1;
    assert_ok(syn_dataset_reserve(ds, 400, 6000, 300000, 8000));
}

static inline int32_t dataset_text(syn_dataset *ds, const char *text, int64_t *at)
{
    size_t n;
    *at = ds->token_count;
    syn_text_tokenise(text, strlen(text), ds->tokens + ds->token_count,
                      (size_t)(ds->token_max - ds->token_count), &n);
    ds->token_count += (int64_t)n;
    assert_true(ds->token_count < ds->token_max);
    return (int32_t)n;
}

/* Begins a record; its pieces follow. */
static inline syn_record *dataset_record(syn_dataset *ds, const char *id, const char *question)
{
    assert_true(ds->record_count < ds->record_max);
    syn_record *r = &ds->records[ds->record_count++];
    *r = (syn_record){.answerable = 1};
    r->id_at = ds->string_bytes;
    strcpy(ds->strings + ds->string_bytes, id);
    ds->string_bytes += (int64_t)strlen(id) + 1;
    assert_true(ds->string_bytes < ds->string_max);
    r->id_key = syn_dataset_key(id, strlen(id));
    r->question_key = syn_dataset_key(question, strlen(question));
    r->question_count = dataset_text(ds, question, &r->question_at);
    r->piece_first = ds->piece_count;
    ds->sources[0].records++;
    return r;
}

/* Adds a piece to the last record. */
static inline syn_piece *dataset_piece(syn_dataset *ds, const char *title, const char *body,
                                       bool gold)
{
    assert_true(ds->piece_count < ds->piece_max);
    syn_record *r = &ds->records[ds->record_count - 1];
    syn_piece *p = &ds->pieces[ds->piece_count++];
    *p = (syn_piece){.gold = gold};
    p->title_count = dataset_text(ds, title, &p->title_at);
    p->body_count = dataset_text(ds, body, &p->body_at);
    p->title_key = *title ? syn_dataset_key(title, strlen(title)) : 0;
    r->piece_count++;
    r->gold_count += gold;
    return p;
}

/* `count` words of a vocabulary of `words`, every other one with a capital. */
static inline void random_words(syn_rng *rng, int count, int words, char *text)
{
    for (int w = 0; w < count; w++) {
        uint32_t k = syn_rng_below(rng, (uint32_t)words);
        text += sprintf(text, "%s%u ", k % 2 ? "Word" : "word", k);
    }
}

/* Records of random words. The gold pieces, at random places, repeat most words of the question;
 * every piece has a text and a title (or none) of its own. */
static inline void random_records(syn_dataset *ds, int records, int pieces, int gold, bool titled)
{
    syn_rng rng = syn_rng_make(31, SYN_STREAM_TEST);
    char question[400], body[800], title[64], id[32];
    for (int n = 0; n < records; n++) {
        uint32_t golds = 0;
        random_words(&rng, 8, 300, question);
        snprintf(id, sizeof id, "record-%d-%lld", n, (long long)ds->record_count);
        dataset_record(ds, id, question);
        for (int g = 0; g < gold;) {
            uint32_t bit = 1u << syn_rng_below(&rng, (uint32_t)pieces);
            g += !(golds & bit);
            golds |= bit;
        }
        for (int p = 0; p < pieces; p++) {
            bool is_gold = golds >> p & 1;
            random_words(&rng, 20, 300, body);
            if (is_gold) strcat(body, question);
            sprintf(body + strlen(body), "unique%lld", (long long)ds->piece_count);
            snprintf(title, sizeof title, "Title%lld Word%u", (long long)ds->piece_count,
                     syn_rng_below(&rng, 300));
            dataset_piece(ds, titled ? title : "", body, is_gold);
        }
    }
}

#endif
