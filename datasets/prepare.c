#include "datasets/prepare.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/acts.h"
#include "datasets/cache.h"
#include "datasets/keyset.h"
#include "datasets/licence.h"
#include "datasets/raw_record.h"
#include "engine/text.h"
#include "kernels/base/progress.h"

/* A batch is handed to the writer when it has this many tokens. */
enum { BATCH_TOKENS = 1 << 20 };

typedef struct format {
    const char *word, *name;
    syn_json_layout layout;
    syn_raw_reader *read;
} format;

static const format formats[] = {
    {"hotpotqa", "hotpotqa", SYN_JSON_RECORDS, syn_hotpotqa_read},
    {"2wiki", "2wikimultihopqa", SYN_JSON_RECORDS, syn_hotpotqa_read},
    {"musique", "musique", SYN_JSON_RECORDS, syn_musique_read},
    {"multiwoz", "multiwoz", SYN_JSON_MEMBERS, syn_multiwoz_read},
    {"multiwoz22", "multiwoz", SYN_JSON_RECORDS, syn_multiwoz22_read},
    {"sgd", "sgd", SYN_JSON_RECORDS, syn_multiwoz22_read},
    {"friendsqa", "friendsqa", SYN_JSON_DATA, syn_friendsqa_read},
    {"coqa", "coqa", SYN_JSON_DATA, syn_coqa_read},
};

/* Nobody's licence covers what the generator has made. */
static const char synthetic_name[] = "synthetic", synthetic_licence[] = "none (generated)";

typedef struct preparer {
    const syn_prepare_options *options;
    const format *format;
    syn_cache_writer *writer; /* NULL: everything stays in the batch */
    syn_dataset batch;
    syn_keyset ids;
    syn_raw_record *raw;
    syn_json json;
    syn_prepare_report *report;
    syn_acts *acts;    /* of the release that is read, where it keeps them apart; NULL: none */
    int source;        /* the input that is read */
    syn_status status; /* why a record was not taken, while its reader still runs */
} preparer;

static const format *format_find(const char *word)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].word, word) == 0) return &formats[i];
    return NULL;
}

/* Cuts the last distractors of a record that has too many pieces; gold stays. */
static bool pieces_cut(syn_raw_record *r)
{
    int excess = r->piece_count - SYN_PIECES_OWN_MAX, kept = r->piece_count;
    if (excess <= 0) return false;
    for (int k = r->piece_count - 1; k >= 0 && excess > 0; k--) {
        if (r->pieces[k].gold) continue;
        memmove(&r->pieces[k], &r->pieces[k + 1], (size_t)(kept - k - 1) * sizeof r->pieces[0]);
        kept--;
        excess--;
    }
    r->piece_count = kept;
    return true;
}

static syn_skip gold_check(const syn_raw_record *r)
{
    int gold = 0;
    for (int k = 0; k < r->piece_count; k++) gold += r->pieces[k].gold;
    if (gold >= r->piece_count) return SYN_SKIP_NO_DISTRACTOR;
    return gold >= SYN_PIECES_OWN_MAX ? SYN_SKIP_GOLD_LIMIT : SYN_SKIP_NONE;
}

/* An upper bound of the tokens of a record: each takes a byte and something between. */
static int64_t tokens_max(const syn_raw_record *r)
{
    int64_t max = (int64_t)r->question.count / 2 + 1;
    for (int k = 0; k < r->piece_count; k++) {
        const syn_raw_piece *p = &r->pieces[k];
        max += (int64_t)p->title.count / 2 + 1;
        for (int s = 0; s < p->sentence_count; s++)
            max += (int64_t)r->sentences[p->sentence_first + s].count / 2 + 1;
    }
    return max;
}

/* Appends the tokens of a text; there is room. */
static int32_t text_append(syn_dataset *b, syn_slice text)
{
    size_t count;
    syn_text_tokenise(text.bytes, text.count, b->tokens + b->token_count,
                      (size_t)(b->token_max - b->token_count), &count);
    b->token_count += (int64_t)count;
    return (int32_t)count;
}

static void piece_append(syn_dataset *b, const syn_raw_record *r, const syn_raw_piece *p)
{
    syn_piece piece = {.title_at = b->token_count,
                       .title_key =
                           p->title.count ? syn_dataset_key(p->title.bytes, p->title.count) : 0,
                       .gold = p->gold,
                       .claim = p->claim,
                       .claim_correct = p->claim && p->claim_correct,
                       .group = p->group};
    piece.title_count = text_append(b, p->title);
    piece.body_at = b->token_count;
    for (int s = 0; s < p->sentence_count; s++)
        piece.body_count += text_append(b, r->sentences[p->sentence_first + s]);
    b->pieces[b->piece_count++] = piece;
}

/* Tokenises a record that has passed all other checks into the batch. */
static syn_status record_append(syn_dataset *b, const syn_raw_record *r, int source,
                                syn_skip *reason)
{
    SYN_RETURN_IF(
        syn_dataset_reserve(b, 1, r->piece_count, tokens_max(r), (int64_t)r->id.count + 1));
    syn_record record = {
        .id_at = b->string_bytes,
        .id_key = syn_dataset_key(r->id.bytes, r->id.count),
        .context_key = r->context.count ? syn_dataset_key(r->context.bytes, r->context.count) : 0,
        .question_at = b->token_count,
        .question_key = syn_dataset_key(r->question.bytes, r->question.count),
        .piece_first = b->piece_count,
        .piece_count = r->piece_count,
        .answerable = r->answerable,
        .type = (uint8_t)r->type,
        .hops = (uint8_t)r->hops,
        .source = (uint8_t)source};
    record.question_count = text_append(b, r->question);
    if (record.question_count == 0) {
        *reason = SYN_SKIP_NO_QUESTION;
        return SYN_OK;
    }
    for (int k = 0; k < r->piece_count; k++) {
        piece_append(b, r, &r->pieces[k]);
        record.gold_count += r->pieces[k].gold;
    }
    memcpy(b->strings + b->string_bytes, r->id.bytes, r->id.count);
    b->strings[b->string_bytes + (int64_t)r->id.count] = '\0';
    b->string_bytes += (int64_t)r->id.count + 1;
    b->records[b->record_count++] = record;
    return SYN_OK;
}

/* Counts what the batch holds and hands it over. */
static syn_status batch_flush(preparer *p)
{
    syn_dataset *b = &p->batch;
    p->report->records += b->record_count;
    p->report->pieces += b->piece_count;
    p->report->tokens += b->token_count;
    for (int64_t i = 0; i < b->record_count; i++) p->report->gold += b->records[i].gold_count;
    if (!p->writer || b->record_count == 0) return SYN_OK;
    SYN_RETURN_IF(syn_cache_append(p->writer, b));
    b->record_count = b->piece_count = b->token_count = b->string_bytes = 0;
    return SYN_OK;
}

/* Names the source after its first record, unless the caller has. */
static void source_name(preparer *p, syn_source *s)
{
    bool synthetic = p->raw->generated;
    const char *name = synthetic ? synthetic_name : p->format->name;
    const char *licence = synthetic ? synthetic_licence : syn_licence_of(p->format->word);
    if (p->options && p->options->name) name = p->options->name;
    if (p->options && p->options->licence) licence = p->options->licence;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->licence, sizeof s->licence, "%s", licence);
}

/* Takes one record of the source that is read. */
static syn_status record_take(preparer *p, syn_raw_record *r, syn_skip reason)
{
    syn_source *s = &p->report->sources[p->source];
    bool fresh;
    if (s->records_read++ == 0) source_name(p, s);
    if (reason == SYN_SKIP_NONE) reason = gold_check(r);
    if (reason == SYN_SKIP_NONE) {
        SYN_RETURN_IF(syn_keyset_add(&p->ids, syn_dataset_key(r->id.bytes, r->id.count), &fresh));
        if (!fresh) reason = SYN_SKIP_DUPLICATE;
    }
    if (reason == SYN_SKIP_NONE) {
        r->cut |= pieces_cut(r);
        SYN_RETURN_IF(record_append(&p->batch, r, p->source, &reason));
    }
    if (reason != SYN_SKIP_NONE) {
        s->skipped[reason]++;
        return SYN_OK;
    }
    s->records++;
    s->cut += r->cut;
    s->fact_warnings += r->fact_warning;
    return p->writer && p->batch.token_count >= BATCH_TOKENS ? batch_flush(p) : SYN_OK;
}

static bool sink_take(void *owner, syn_raw_record *r, syn_skip reason)
{
    preparer *p = owner;
    p->status = record_take(p, r, reason);
    return p->status == SYN_OK;
}

/* Reads an opened file to its end, and closes it. */
static syn_status stream_read(preparer *p, syn_json_stream *stream, int64_t *bytes, char sha256[65])
{
    syn_status st = SYN_OK;
    syn_progress progress;
    syn_slice record;
    const syn_raw_sink sink = {sink_take, p, p->acts};
    stream->layout = p->format->layout;
    syn_progress_begin(&progress, "prepare", "bytes", stream->file_bytes);
    for (;;) {
        st = syn_json_stream_next(stream, &record);
        if (st != SYN_OK || !record.bytes) break;
        syn_json_begin(&p->json, record.bytes, record.count);
        const syn_slice name = {stream->name, stream->name_bytes};
        if (!p->format->read(&p->json, name, p->raw, &sink)) {
            st = p->status != SYN_OK ? p->status : syn_json_stream_fault(stream, &p->json);
            break;
        }
        syn_progress_update(&progress, stream->read_bytes, NULL);
    }
    syn_progress_end(&progress);
    if (st != SYN_OK) goto done;
    *bytes += stream->read_bytes;
    SYN_TRY(syn_json_stream_sha256(stream, sha256));
done:
    syn_json_stream_close(stream);
    return st;
}

static syn_status file_read(preparer *p, const char *path, syn_source *s)
{
    syn_json_stream stream = {0};
    syn_status st = syn_json_stream_open(&stream, path);
    if (st == SYN_OK) return stream_read(p, &stream, &s->bytes, s->sha256);
    syn_json_stream_close(&stream);
    return st;
}

static syn_status listed_read(preparer *p, const syn_files *f, int file, syn_source *s)
{
    syn_json_stream stream = {0};
    syn_status st = syn_files_stream(f, file, &stream);
    if (st == SYN_OK) return stream_read(p, &stream, &s->bytes, s->sha256);
    syn_json_stream_close(&stream);
    return st;
}

static size_t folder_bytes(const char *name)
{
    return (size_t)(syn_file_base(name) - name);
}

/* Reads the files of a folder or archive that match, which lie in one folder, in the order of their
 * names. The checksum is that of the file, or of the lines that sha256sum prints of several. */
static syn_status matches_read(preparer *p, const syn_files *f, const char *pattern, syn_source *s)
{
    syn_status st = SYN_OK;
    char line[PATH_MAX];
    int count = 0;
    const char *first = NULL;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
        st = syn_fail(SYN_ERR_MEMORY, "no memory for a checksum");
        goto done;
    }
    for (int i = -1; (i = syn_files_find(f, pattern, i + 1)) >= 0; count++) {
        const char *name = f->items[i].name;
        if (!first) first = name;
        if (folder_bytes(name) != folder_bytes(first) ||
            strncmp(name, first, folder_bytes(first)) != 0) {
            st =
                syn_fail(SYN_ERR_FORMAT, "%s: %s lies in another folder, name one of them as input",
                         f->items[i].path, first);
            goto done;
        }
        SYN_TRY(listed_read(p, f, i, s));
        int n = snprintf(line, sizeof line, "%s  %s\n", s->sha256, syn_file_base(name));
        EVP_DigestUpdate(digest, line, (size_t)n);
    }
    if (strchr(pattern, '*') && !syn_digest_hex(digest, s->sha256))
        st = syn_fail(SYN_ERR_MEMORY, "no memory for a checksum");
done:
    EVP_MD_CTX_free(digest);
    return st;
}

/* Reads a release of dialogues: its folder, or its archive. */
static syn_status release_read(preparer *p, const char *path, syn_source *s)
{
    syn_files files;
    const bool folders = p->format->read == syn_multiwoz22_read;
    const char *pattern = folders ? "dialogues_*.json" : "data.json";
    SYN_RETURN_IF(syn_files_open(&files, path));
    syn_status st = SYN_OK;
    const int acts = folders ? -1 : syn_files_find(&files, "dialogue_acts.json", 0);
    if (acts >= 0) SYN_TRY(syn_acts_read(&files, acts, &p->acts));
    const int only = files.archive && !folders ? syn_files_find(&files, "*.json", 0) : -1;
    if (syn_files_find(&files, pattern, 0) >= 0)
        st = matches_read(p, &files, pattern, s);
    else if (only >= 0 && syn_files_find(&files, "*.json", only + 1) < 0)
        st = listed_read(p, &files, only, s);
    else
        st = syn_fail(SYN_ERR_FORMAT, "%s: is %s without %s %s", path,
                      files.archive ? "an archive" : "a folder", folders ? "files" : "the file",
                      pattern);
done:
    syn_acts_free(p->acts);
    p->acts = NULL;
    syn_files_close(&files);
    return st;
}

static syn_status input_read(preparer *p, const char *path)
{
    struct stat info;
    p->source = p->report->source_count++;
    syn_source *s = &p->report->sources[p->source];
    source_name(p, s);
    const bool releases =
        p->format->read == syn_multiwoz22_read || p->format->read == syn_multiwoz_read;
    if (releases && stat(path, &info) == 0 &&
        (S_ISDIR(info.st_mode) || (S_ISREG(info.st_mode) && syn_archive_is(path))))
        return release_read(p, path, s);
    return file_read(p, path, s);
}

static syn_status preparer_init(preparer *p, const char *word, syn_prepare_report *report)
{
    *report = (syn_prepare_report){0};
    *p = (preparer){.format = format_find(word), .report = report};
    if (!strcmp(word, "commonsenseqa") || !strcmp(word, "mmlu"))
        return syn_fail(SYN_ERR_UNSUPPORTED,
                        "%s names no evidence, so there is nothing in it to train on; 'syncog eval "
                        "--benchmarks %s' asks its questions, straight from its files",
                        word, word);
    SYN_REQUIRE(p->format, "\"%s\" is not a known format: " SYN_PREPARE_FORMATS, word);
    p->raw = malloc(sizeof *p->raw);
    if (!p->raw) return syn_fail(SYN_ERR_MEMORY, "no memory for a record");
    syn_raw_begin(p->raw);
    return SYN_OK;
}

static void preparer_free(preparer *p)
{
    syn_cache_discard(p->writer);
    syn_dataset_free(&p->batch);
    syn_keyset_free(&p->ids);
    syn_json_free(&p->json);
    free(p->raw);
}

/* The error for a run that found no usable record. */
static syn_status fail_nothing(const syn_prepare_report *report, const char *path)
{
    char why[512];
    int64_t skipped =
        syn_prepare_skipped_text(report->sources, report->source_count, why, sizeof why);
    if (skipped == 0) return syn_fail(SYN_ERR_FORMAT, "%s: holds no record", path);
    return syn_fail(SYN_ERR_FORMAT, "%s: no record can be used: %s", path, why);
}

/* A cache must not take the place of the data it was made from. */
static syn_status targets_check(const syn_prepare_options *o)
{
    struct stat out, in;
    if (stat(o->out, &out) != 0) return SYN_OK;
    for (int i = 0; i < o->input_count; i++)
        if (stat(o->inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return syn_fail(SYN_ERR_INVALID, "%s: is both an input and the output", o->out);
    return SYN_OK;
}

static syn_status options_check(const syn_prepare_options *o)
{
    SYN_REQUIRE(o->input_count >= 1 && o->input_count <= SYN_SOURCES_MAX,
                "1 to %d input files are allowed, not %d", SYN_SOURCES_MAX, o->input_count);
    SYN_REQUIRE(!o->name || strlen(o->name) < SYN_SOURCE_NAME_MAX,
                "the name of the source is longer than %d bytes", SYN_SOURCE_NAME_MAX - 1);
    SYN_REQUIRE(!o->licence || strlen(o->licence) < SYN_LICENCE_MAX,
                "the licence is longer than %d bytes", SYN_LICENCE_MAX - 1);
    return targets_check(o);
}

syn_status syn_prepare(const syn_prepare_options *o, syn_prepare_report *report)
{
    syn_status st = SYN_OK;
    preparer p;
    double start = syn_clock_s();
    SYN_RETURN_IF(options_check(o));
    SYN_TRY(preparer_init(&p, o->format, report));
    p.options = o;
    SYN_TRY(syn_cache_create(&p.writer, o->out));
    for (int i = 0; i < o->input_count; i++) SYN_TRY(input_read(&p, o->inputs[i]));
    SYN_TRY(batch_flush(&p));
    if (report->records == 0) {
        st = fail_nothing(report, o->inputs[0]);
        goto done;
    }
    syn_cache_writer *writer = p.writer;
    p.writer = NULL;
    SYN_TRY(syn_cache_commit(writer, report->sources, report->source_count));
    report->seconds = syn_clock_s() - start;
done:
    preparer_free(&p);
    return st;
}

syn_status syn_dataset_read_json(syn_dataset *ds, const char *word, const char *path)
{
    syn_status st = SYN_OK;
    syn_prepare_report report;
    preparer p;
    SYN_TRY(preparer_init(&p, word, &report));
    SYN_TRY(input_read(&p, path));
    SYN_TRY(batch_flush(&p));
    if (report.records == 0) {
        st = fail_nothing(&report, path);
        goto done;
    }
    p.batch.sources[0] = report.sources[0];
    p.batch.source_count = 1;
    SYN_TRY(syn_dataset_take(ds, &p.batch));
done:
    preparer_free(&p);
    return st;
}

/* Appends ", N words" to the text. */
static void part_append(char *text, size_t max, int64_t count, const char *words)
{
    size_t used = strlen(text);
    if (count == 0) return;
    snprintf(text + used, max - used, "%s%lld %s", used ? ", " : "", (long long)count, words);
}

int64_t syn_prepare_skipped_text(const syn_source *sources, int count, char *text, size_t max)
{
    int64_t all = 0;
    text[0] = '\0';
    for (int reason = 0; reason < SYN_SKIP_COUNT; reason++) {
        int64_t skipped = 0;
        for (int i = 0; i < count; i++) skipped += sources[i].skipped[reason];
        part_append(text, max, skipped, syn_skip_text(reason));
        all += skipped;
    }
    return all;
}
