/* Records to JSON, and JSON to a file. */
#include "datasets/synth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/new_file.h"
#include "datasets/synth_private.h"
#include "kernels/base/progress.h"

enum { SYNTH_BATCH = 64 /* records made at a time, in parallel */ };

syn_synth_options syn_synth_defaults(void)
{
    return (syn_synth_options){.pieces = 10, .claims = 0.2};
}

static syn_status check(const syn_synth_options *o)
{
    SYN_REQUIRE(o->pieces >= SYN_SYNTH_PIECES_MIN && o->pieces <= SYN_SYNTH_PIECES_MAX,
                "the synthetic generator makes %d to %d pieces a record, not %d",
                SYN_SYNTH_PIECES_MIN, SYN_SYNTH_PIECES_MAX, o->pieces);
    SYN_REQUIRE(o->unanswerable >= 0 && o->unanswerable <= 1,
                "the share of unanswerable records is %g, it must lie within 0 and 1",
                o->unanswerable);
    SYN_REQUIRE(o->claims >= 0 && o->claims <= 1,
                "the share of records with a claim is %g, it must lie within 0 and 1", o->claims);
    return SYN_OK;
}

/* Appends; on lack of memory the text keeps what it had and bytes_max becomes 0 for good. */
static void put(syn_synth_text *t, const char *bytes, size_t n)
{
    if (t->bytes + n > t->bytes_max) {
        size_t want = (t->bytes + n) * 2 + 4096;
        char *data = realloc(t->data, want);
        if (!data) return;
        t->data = data;
        t->bytes_max = want;
    }
    memcpy(t->data + t->bytes, bytes, n);
    t->bytes += n;
}

static void put_raw(syn_synth_text *t, const char *s)
{
    put(t, s, strlen(s));
}

/* The generator's text has no control characters: quotes and backslashes alone need an escape. */
static void put_string(syn_synth_text *t, const char *s)
{
    put(t, "\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') put(t, "\\", 1);
        put(t, s, 1);
    }
    put(t, "\"", 1);
}

static void put_int(syn_synth_text *t, int n)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", n);
    put_raw(t, digits);
}

static const char *piece_title(const synth_world *w, const synth_piece *p)
{
    return p->entity < 0 ? "" : w->entities[p->entity].title;
}

static void put_support(const synth_world *w, const synth_piece *p, int line, syn_synth_text *t)
{
    put_raw(t, t->data[t->bytes - 1] == '[' ? "[" : ", [");
    put_string(t, piece_title(w, p));
    put_raw(t, ", ");
    put_int(t, line);
    put_raw(t, "]");
}

/* The sentences that the question needs; the lead of a gold piece where none of its facts is. */
static void put_facts(const synth_world *w, syn_synth_text *t)
{
    put_raw(t, ", \"supporting_facts\": [");
    for (int i = 0; i < w->piece_count; i++) {
        const synth_piece *p = &w->pieces[i];
        bool any = false;
        for (int k = 0; p->gold && k < p->line_count; k++) {
            int fact = p->lines[k].fact;
            if (fact < 0 || !w->entities[p->entity].facts[fact].asked) continue;
            put_support(w, p, k, t);
            any = true;
        }
        if (p->gold && !any) put_support(w, p, 0, t);
    }
    put_raw(t, "]");
}

static void put_context(const synth_world *w, syn_synth_text *t)
{
    put_raw(t, ", \"context\": [");
    for (int i = 0; i < w->piece_count; i++) {
        const synth_piece *p = &w->pieces[i];
        put_raw(t, i ? ", [" : "[");
        put_string(t, piece_title(w, p));
        put_raw(t, ", [");
        for (int k = 0; k < p->line_count; k++) {
            /* As in HotpotQA, sentences after the first begin with a blank. */
            char line[SYNTH_LINE_MAX + 1];
            snprintf(line, sizeof line, "%s%s", k ? " " : "", p->lines[k].text);
            if (k) put_raw(t, ", ");
            put_string(t, line);
        }
        put_raw(t, "]]");
    }
    put_raw(t, "]");
}

static void put_record(const synth_world *w, const char *id, syn_synth_text *t)
{
    put_raw(t, "{\"_id\": ");
    put_string(t, id);
    put_raw(t, ", \"answer\": ");
    put_string(t, w->answer);
    put_raw(t, ", \"question\": ");
    put_string(t, w->question);
    put_facts(w, t);
    put_context(w, t);
    put_raw(t, w->comparison ? ", \"type\": \"comparison\"" : ", \"type\": \"bridge\"");
    put_raw(t, ", \"level\": \"hard\", \"hops\": ");
    put_int(t, w->hops);
    put_raw(t, w->missing >= 0 ? ", \"answerable\": false" : ", \"answerable\": true");
    if (w->claim_piece >= 0) {
        put_raw(t, ", \"claims\": [[");
        put_int(t, w->claim_piece);
        put_raw(t, w->claim_right ? ", true]]" : ", false]]");
    }
    put_raw(t, "}");
}

syn_status syn_synth_record(const syn_synth_options *o, int64_t index, syn_synth_text *out)
{
    SYN_RETURN_IF(check(o));
    SYN_REQUIRE(index >= 0 && index < SYN_SYNTH_TASKS_MAX, "there is no synthetic record %" PRId64,
                index);
    synth_world *w = calloc(1, sizeof *w);
    if (!w) return syn_fail(SYN_ERR_MEMORY, "out of memory: %zu bytes for a record", sizeof *w);

    /* A stream of its own for each record: the low byte is the purpose, the rest the index. */
    uint64_t stream = (uint64_t)SYN_STREAM_SYNTH | (uint64_t)(index + 1) << 8;
    syn_philox id_bits = syn_rng_block(o->seed, stream, UINT64_MAX);
    char id[32];
    snprintf(id, sizeof id, "%08x%08x%08x", id_bits.x[0], id_bits.x[1], id_bits.x[2]);
    w->rng = syn_rng_make(o->seed, stream);
    synth_name_world(w);
    synth_chain_make(w, o);
    synth_question_make(w);
    synth_pieces_make(w, o);

    /* put() drops what does not fit; the closing brace tells whether all of it is there. */
    size_t before = out->bytes;
    put_record(w, id, out);
    free(w);
    if (out->bytes == before || out->data[out->bytes - 1] != '}') {
        out->bytes = before;
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the text of record %" PRId64, index);
    }
    return SYN_OK;
}

static syn_status write_records(const syn_synth_options *o, FILE *f, const char *path)
{
    syn_synth_text text[SYNTH_BATCH] = {{0}};
    syn_progress progress;
    syn_status st = SYN_OK;
    syn_progress_begin(&progress, "synth", "tasks", o->tasks);
    for (int64_t first = 0; first < o->tasks && st == SYN_OK; first += SYNTH_BATCH) {
        int count = o->tasks - first < SYNTH_BATCH ? (int)(o->tasks - first) : SYNTH_BATCH;
        syn_status made[SYNTH_BATCH] = {0};
#pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < count; i++) {
            text[i].bytes = 0;
            made[i] = syn_synth_record(o, first + i, &text[i]);
        }
        for (int i = 0; i < count && st == SYN_OK; i++) {
            if (made[i] != SYN_OK) st = syn_fail(made[i], "out of memory for the records");
            fputs(first + i ? ",\n" : "[\n", f);
            fwrite(text[i].data, 1, text[i].bytes, f);
        }
        if (st == SYN_OK && ferror(f)) {
            st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        }
        syn_progress_update(&progress, first + count, NULL);
    }
    fputs("\n]\n", f);
    syn_progress_end(&progress);
    for (int i = 0; i < SYNTH_BATCH; i++) free(text[i].data);
    return st;
}

syn_status syn_synth_write(const syn_synth_options *o, const char *path)
{
    syn_status st = SYN_OK;
    syn_new_file file;
    FILE *f = NULL;
    SYN_RETURN_IF(check(o));
    SYN_REQUIRE(o->tasks >= 1 && o->tasks <= SYN_SYNTH_TASKS_MAX,
                "the number of tasks is %" PRId64 ", it must lie within 1 and %d", o->tasks,
                SYN_SYNTH_TASKS_MAX);
    SYN_RETURN_IF(syn_new_file_open(&file, path));
    int fd = dup(file.fd);
    if (fd >= 0) f = fdopen(fd, "wb");
    if (!f) {
        if (fd >= 0) close(fd);
        st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        goto done;
    }
    SYN_TRY(write_records(o, f, path));
    if (fflush(f)) {
        st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        goto done;
    }
    SYN_TRY(syn_new_file_commit(&file));
done:
    if (f) fclose(f);
    syn_new_file_discard(&file);
    return st;
}
