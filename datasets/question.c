#include "datasets/question_private.h"

#include <stdlib.h>
#include <string.h>

static const syn_question_format *const formats[] = {
    &syn_question_hotpotqa,      &syn_question_2wiki, &syn_question_musique,  &syn_question_coqa,
    &syn_question_commonsenseqa, &syn_question_mmlu,  &syn_question_multiwoz,
};

const char *syn_question_skip_text(int reason)
{
    static const char *const texts[SYN_QUESTION_SKIP_COUNT] = {
        [SYN_QUESTION_DUPLICATE] = "with an id that came before",
        [SYN_QUESTION_EMPTY] = "that ask nothing",
        [SYN_QUESTION_BAD_TURN] = "marked as a bad turn",
        [SYN_QUESTION_NO_CHOICES] = "with less than two choices",
    };
    return reason >= 0 && reason < SYN_QUESTION_SKIP_COUNT ? texts[reason] : "";
}

/* ---- Opening ---- */

static const syn_question_format *format_find(const char *benchmark)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (benchmark && strcmp(formats[i]->benchmark, benchmark) == 0) return formats[i];
    return NULL;
}

static bool is_split(const char *split)
{
    return !strcmp(split, "train") || !strcmp(split, "dev") || !strcmp(split, "test");
}

static syn_status options_check(const syn_questions_options *o)
{
    SYN_REQUIRE(format_find(o->benchmark), "\"%s\" is no known benchmark: " SYN_QUESTION_BENCHMARKS,
                o->benchmark ? o->benchmark : "");
    SYN_REQUIRE(o->path, "%s: no path is given", o->benchmark);
    SYN_REQUIRE(!o->split || is_split(o->split), "%s: \"%s\" is no split: train, dev or test are",
                o->benchmark, o->split);
    SYN_REQUIRE(o->shots >= 0 && o->shots <= SYN_QUESTION_SHOTS_MAX,
                "%s: 0 to %d examples a question are allowed, not %d", o->benchmark,
                SYN_QUESTION_SHOTS_MAX, o->shots);
    return SYN_OK;
}

static bool text_keep(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

syn_status syn_questions_open(const syn_questions_options *o, syn_questions **out)
{
    syn_status st = SYN_OK;
    syn_questions *q = NULL;
    *out = NULL;
    SYN_RETURN_IF(options_check(o));
    q = calloc(1, sizeof *q);
    if (!q) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its reader", o->path);
    q->format = format_find(o->benchmark);
    q->layout = q->format->layout;
    q->shots = o->shots;
    syn_arena_init(&q->arena, SYN_QUESTION_RECORD_BYTES_MAX);
    q->state = q->format->state_bytes ? calloc(1, q->format->state_bytes) : NULL;
    if (!text_keep(&q->path, o->path) || !text_keep(&q->split, o->split) ||
        !text_keep(&q->subject, o->subject) || (q->format->state_bytes && !q->state)) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: no memory for its reader", o->path);
        goto done;
    }
    SYN_TRY(syn_files_open(&q->files, o->path));
    SYN_TRY(q->format->open(q));
    *out = q;
    q = NULL;
done:
    syn_questions_close(q);
    return st;
}

void syn_questions_close(syn_questions *q)
{
    if (!q) return;
    if (q->format->close && q->state) q->format->close(q);
    if (q->streaming) syn_json_stream_close(&q->stream);
    syn_files_close(&q->files);
    syn_json_free(&q->json);
    syn_arena_free(&q->arena);
    syn_keyset_free(&q->ids);
    free(q->chosen);
    free(q->path);
    free(q->split);
    free(q->subject);
    free(q->state);
    free(q);
}

const syn_questions_count *syn_questions_counted(const syn_questions *q)
{
    return &q->counted;
}

const char *syn_questions_path(const syn_questions *q)
{
    int last = q->chosen_next > 0 ? q->chosen_next - 1 : 0;
    return q->chosen_count ? q->files.items[q->chosen[last]].path : q->path;
}

/* ---- Which files ---- */

syn_status syn_question_chosen(syn_questions *q, int file)
{
    int *chosen = realloc(q->chosen, ((size_t)q->chosen_count + 1) * sizeof *chosen);
    if (!chosen) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its list of files", q->path);
    q->chosen = chosen;
    q->chosen[q->chosen_count++] = file;
    return SYN_OK;
}

syn_status syn_question_choose(syn_questions *q, const char *const *patterns)
{
    if (q->files.single) return syn_question_chosen(q, 0);
    for (const char *const *p = patterns; *p; p += 2) {
        if (q->split && strcmp(q->split, p[0]) != 0) continue;
        int file = syn_files_find(&q->files, p[1], 0);
        if (file >= 0) return syn_question_chosen(q, file);
    }
    return syn_fail(SYN_ERR_FORMAT, "%s: holds no file of %s%s%s (%s, for example)", q->path,
                    q->format->benchmark, q->split ? ", split " : "", q->split ? q->split : "",
                    patterns[1]);
}

/* ---- Reading ---- */

syn_question *syn_question_add(syn_questions *q)
{
    if (q->batch_count == SYN_QUESTION_BATCH_MAX) {
        syn_json_fault(&q->json, q->json.at, "more than %d questions in a record",
                       SYN_QUESTION_BATCH_MAX);
        return NULL;
    }
    syn_question *n = &q->batch[q->batch_count++];
    *n = (syn_question){.benchmark = q->format->benchmark,
                        .id = "",
                        .context = "",
                        .question = "",
                        .domain = "",
                        .level = "",
                        .answerable = true};
    return n;
}

const char *const *syn_question_texts(syn_arena *arena, const syn_slice *texts, int count)
{
    const char **copies = count ? syn_arena_array(arena, (size_t)count, sizeof *copies) : NULL;
    for (int i = 0; copies && i < count; i++) copies[i] = syn_slice_text(arena, texts[i]);
    return copies;
}

/* Reads the next record of the JSON files into the batch. */
static syn_status json_fill(syn_questions *q)
{
    syn_slice record;
    if (!q->streaming) {
        if (q->chosen_next == q->chosen_count) {
            q->at_end = true;
            return SYN_OK;
        }
        q->streaming = true;
        SYN_RETURN_IF(syn_files_stream(&q->files, q->chosen[q->chosen_next++], &q->stream));
        q->stream.layout = q->layout;
    }
    SYN_RETURN_IF(syn_json_stream_next(&q->stream, &record));
    if (!record.bytes) {
        syn_json_stream_close(&q->stream);
        q->streaming = false;
        return SYN_OK;
    }
    syn_json_begin(&q->json, record.bytes, record.count);
    if (q->format->read(q, (syn_slice){q->stream.name, q->stream.name_bytes}))
        return syn_arena_check(&q->arena, q->stream.path);
    if (q->json.fault_at) return syn_json_stream_fault(&q->stream, &q->json);
    SYN_RETURN_IF(syn_arena_check(&q->arena, q->stream.path));
    return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", q->stream.path);
}

/* Whether a question is handed out; else why not. */
static syn_status question_check(syn_questions *q, const syn_question *n, bool *good)
{
    bool fresh;
    const uint64_t key = syn_dataset_key(n->id, strlen(n->id));
    syn_question_skip reason = SYN_QUESTION_SKIP_COUNT;
    if (!n->question[strspn(n->question, " \t\r\n")])
        reason = SYN_QUESTION_EMPTY;
    else if (n->choices && n->choice_count < 2)
        reason = SYN_QUESTION_NO_CHOICES;
    SYN_RETURN_IF(syn_keyset_add(&q->ids, key, &fresh));
    if (!fresh) reason = SYN_QUESTION_DUPLICATE;
    *good = reason == SYN_QUESTION_SKIP_COUNT;
    if (!*good) {
        q->counted.skipped[reason]++;
        return SYN_OK;
    }
    q->counted.questions++;
    q->counted.unlabelled += n->answer_count == 0 && !n->task;
    for (int i = 0; i < n->fact_count; i++) {
        if (n->facts[i].document >= 0) continue;
        q->counted.facts_nowhere++;
        break;
    }
    return SYN_OK;
}

syn_status syn_questions_next(syn_questions *q, const syn_question **out)
{
    bool good = false;
    *out = NULL;
    while (!good) {
        if (q->batch_at < q->batch_count) {
            *out = &q->batch[q->batch_at++];
            SYN_RETURN_IF(question_check(q, *out, &good));
            continue;
        }
        *out = NULL;
        if (q->at_end) return SYN_OK;
        q->batch_at = q->batch_count = 0;
        syn_arena_empty(&q->arena);
        SYN_RETURN_IF(q->format->fill ? q->format->fill(q) : json_fill(q));
    }
    return SYN_OK;
}
