#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "datasets/cmd_data.h"
#include "datasets/prepare.h"
#include "kernels/base/options.h"

typedef struct info_config {
    bool json;
} info_config;

static const syn_option info_options[] = {
    {"json", SYN_OPTION_BOOL, offsetof(info_config, json), NULL, 0, 0, NULL,
     "Print one JSON object.", NULL},
};

static const syn_command info_command = {
    "data info",
    "Describes a cache: records, types, pieces, tokens, sources, licences, what was skipped.",
    "FILE.h5",
    "Example:\n  syncog data info train.h5 --json",
    info_options,
    sizeof info_options / sizeof info_options[0],
};

enum { HOPS_MAX = 256 };

typedef struct totals {
    int64_t gold, claims, claims_correct, answerable, question_tokens;
    int64_t types[SYN_TYPE_COUNT], hops[HOPS_MAX];
    int pieces_min, pieces_max;
    struct {
        int64_t pieces, gold, grouped; /* grouped: records whose pieces belong to domains */
    } sources[SYN_SOURCES_MAX];
} totals;

static totals count_all(const syn_dataset *ds)
{
    totals t = {.pieces_min = SYN_PIECES_OWN_MAX};
    for (int64_t i = 0; i < ds->record_count; i++) {
        const syn_record *r = &ds->records[i];
        t.gold += r->gold_count;
        t.answerable += r->answerable;
        t.question_tokens += r->question_count;
        t.types[r->type]++;
        t.hops[r->hops]++;
        if (r->piece_count < t.pieces_min) t.pieces_min = r->piece_count;
        if (r->piece_count > t.pieces_max) t.pieces_max = r->piece_count;
        t.sources[r->source].pieces += r->piece_count;
        t.sources[r->source].gold += r->gold_count;
        t.sources[r->source].grouped += syn_record_piece(ds, r, 0)->group != 0;
    }
    for (int64_t i = 0; i < ds->piece_count; i++) {
        t.claims += ds->pieces[i].claim;
        t.claims_correct += ds->pieces[i].claim_correct;
    }
    return t;
}

static json_t *sources_json(const syn_dataset *ds, const totals *t)
{
    json_t *list = json_array();
    for (int i = 0; i < ds->source_count; i++) {
        const syn_source *s = &ds->sources[i];
        json_t *skipped = json_object();
        for (int k = 0; k < SYN_SKIP_COUNT; k++)
            json_object_set_new(skipped, syn_skip_key(k), json_integer(s->skipped[k]));
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "name",
                      s->name, "licence", s->licence, "sha256", s->sha256, "bytes",
                      (json_int_t)s->bytes, "records_read", (json_int_t)s->records_read, "records",
                      (json_int_t)s->records, "fact_warnings", (json_int_t)s->fact_warnings, "cut",
                      (json_int_t)s->cut, "pieces", (json_int_t)t->sources[i].pieces, "gold",
                      (json_int_t)t->sources[i].gold, "grouped", (json_int_t)t->sources[i].grouped,
                      "skipped", skipped));
    }
    return list;
}

static syn_status print_json(const syn_dataset *ds, const totals *t, const char *path)
{
    json_t *types = json_object(), *hops = json_object();
    for (int i = 0; i < SYN_TYPE_COUNT; i++)
        if (t->types[i])
            json_object_set_new(types, syn_record_type_text(i), json_integer(t->types[i]));
    for (int i = 1; i < HOPS_MAX; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        if (t->hops[i]) json_object_set_new(hops, key, json_integer(t->hops[i]));
    }
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:o}", "file", path,
        "records", (json_int_t)ds->record_count, "answerable", (json_int_t)t->answerable,
        "unanswerable", (json_int_t)(ds->record_count - t->answerable), "types", types, "hops",
        hops, "pieces", (json_int_t)ds->piece_count, "pieces_min", t->pieces_min, "pieces_max",
        t->pieces_max, "gold", (json_int_t)t->gold, "claims", (json_int_t)t->claims,
        "claims_correct", (json_int_t)t->claims_correct, "tokens", (json_int_t)ds->token_count,
        "question_tokens", (json_int_t)t->question_tokens, "sources", sources_json(ds, t));
    /* The path may hold bytes that JSON cannot: then it is left out. */
    if (!object) return syn_fail(SYN_ERR_INVALID, "%s: cannot be described as JSON", path);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its description", path);
    puts(text);
    free(text);
    return SYN_OK;
}

static void print_sources(const syn_dataset *ds, const totals *t)
{
    char why[1024];
    for (int i = 0; i < ds->source_count; i++) {
        const syn_source *s = &ds->sources[i];
        printf("source        %s, licence %s, %lld of %lld records, %lld bytes\n", s->name,
               s->licence, (long long)s->records, (long long)s->records_read, (long long)s->bytes);
        printf("  sha256      %s\n", s->sha256);
        const double records = s->records ? (double)s->records : 1;
        printf("  a record    %.2f pieces, %.2f supporting%s\n",
               (double)t->sources[i].pieces / records, (double)t->sources[i].gold / records,
               t->sources[i].grouped ? ", in groups that stay together" : "");
        int64_t skipped = syn_prepare_skipped_text(s, 1, why, sizeof why);
        if (skipped) printf("  skipped     %lld: %s\n", (long long)skipped, why);
        if (s->fact_warnings)
            printf("  warnings    %lld records with a fact that names no existing sentence\n",
                   (long long)s->fact_warnings);
        if (s->cut)
            printf("  cut         %lld records to %d pieces\n", (long long)s->cut,
                   SYN_PIECES_OWN_MAX);
    }
}

static void print_text(const syn_dataset *ds, const totals *t, const char *path)
{
    double n = (double)ds->record_count;
    printf("file          %s\n", path);
    printf("records       %lld (%lld marked unanswerable)\n", (long long)ds->record_count,
           (long long)(ds->record_count - t->answerable));
    printf("types        ");
    for (int i = 0; i < SYN_TYPE_COUNT; i++)
        if (t->types[i]) printf(" %s %lld", syn_record_type_text(i), (long long)t->types[i]);
    printf("\nhops         ");
    for (int i = 0; i < HOPS_MAX; i++) {
        if (!t->hops[i]) continue;
        if (i) printf(" %d: %lld", i, (long long)t->hops[i]);
        if (!i) printf(" not stated: %lld", (long long)t->hops[i]);
    }
    printf("\npieces        %lld, %d to %d a record, %.2f supporting a record\n",
           (long long)ds->piece_count, t->pieces_min, t->pieces_max, (double)t->gold / n);
    if (t->claims)
        printf("claims        %lld, %lld of them correct\n", (long long)t->claims,
               (long long)t->claims_correct);
    printf("tokens        %lld, %.1f a question\n", (long long)ds->token_count,
           (double)t->question_tokens / n);
    print_sources(ds, t);
}

syn_status syn_cmd_data_info(int argc, char **argv)
{
    info_config c;
    syn_text_list files;
    syn_dataset ds = {0};
    bool done = false;
    SYN_RETURN_IF(syn_options_parse(&info_command, &c, argc, argv, &files, &done));
    if (done) return SYN_OK;
    if (files.count != 1) return syn_fail(SYN_ERR_USAGE, "data info: one FILE.h5 is expected");
    syn_status st = syn_dataset_load(&ds, files.items[0]);
    if (st == SYN_OK) {
        totals t = count_all(&ds);
        if (c.json)
            st = print_json(&ds, &t, files.items[0]);
        else
            print_text(&ds, &t, files.items[0]);
    }
    syn_dataset_free(&ds);
    return st;
}
