/* Files of predictions, and the official figures over the questions of one run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_task_private.h"
#include "benchmarks/metric_choice.h"
#include "benchmarks/metric_coqa.h"
#include "benchmarks/metric_hotpotqa.h"
#include "serve/json_text.h"

/* ---- Files of predictions ---- */

static syn_status no_memory(void)
{
    return syn_fail(SYN_ERR_MEMORY, "out of memory for the predictions");
}

static syn_status no_prediction(const char *benchmark, const char *id)
{
    return syn_fail(SYN_ERR_FORMAT, "question '%.60s': this is no prediction of %s", id, benchmark);
}

static int collect_passages(json_t *file, const char *id, const json_t *prediction)
{
    static const char *const members[] = {"answer", "sp"};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        json_t *of = json_object_get(file, members[i]);
        if (!of) {
            of = json_object();
            failed |= json_object_set_new(file, members[i], of);
        }
        failed |= json_object_set(of, id, json_object_get(prediction, members[i]));
    }
    return failed;
}

static const char empty_turn[] = "{\"response\": \"\", \"state\": {}}";

/* A dialogue's turns come in their order. */
static int collect_turn(json_t *file, const char *id, const json_t *prediction)
{
    const char *mark = strrchr(id, '#');
    char *name = strndup(id, mark ? (size_t)(mark - id) : strlen(id));
    json_t *turns = name ? json_object_get(file, name) : NULL;
    int failed = !name;
    if (name && !turns) {
        turns = json_array();
        failed |= json_object_set_new(file, name, turns);
    }
    if (!failed) failed = json_array_append(turns, (json_t *)prediction);
    free(name);
    return failed;
}

static bool is_prediction(syn_live_kind kind, const json_t *p)
{
    static const char *const text[] = {[SYN_LIVE_PASSAGES] = "answer",
                                       [SYN_LIVE_MUSIQUE] = "predicted_answer",
                                       [SYN_LIVE_STORY] = "answer",
                                       [SYN_LIVE_CHOICE] = "answer",
                                       [SYN_LIVE_TURN] = "response"};
    if (!json_is_string(json_object_get(p, text[kind]))) return false;
    if (kind == SYN_LIVE_PASSAGES) return json_is_array(json_object_get(p, "sp"));
    return kind != SYN_LIVE_TURN || json_is_object(json_object_get(p, "state"));
}

static syn_status collect_empty_turn(const char *benchmark, const char *id, json_t **file)
{
    json_t *empty = json_loads(empty_turn, 0, NULL);
    const syn_status st = empty ? syn_live_collect(benchmark, id, empty, file) : no_memory();
    json_decref(empty);
    return st;
}

syn_status syn_live_collect(const char *benchmark, const char *id, const json_t *prediction,
                            json_t **file)
{
    const syn_live_kind kind = syn_live_kind_of(benchmark);
    const bool by_id = kind == SYN_LIVE_PASSAGES || kind == SYN_LIVE_TURN;
    if (!prediction && kind != SYN_LIVE_TURN) return SYN_OK;
    if (!prediction) return collect_empty_turn(benchmark, id, file);
    if (!is_prediction(kind, prediction)) return no_prediction(benchmark, id);
    if (!*file) *file = by_id ? json_object() : json_array();
    if (!*file) return no_memory();
    int failed;
    if (kind == SYN_LIVE_PASSAGES)
        failed = collect_passages(*file, id, prediction);
    else if (kind == SYN_LIVE_TURN)
        failed = collect_turn(*file, id, prediction);
    else
        failed = json_array_append(*file, (json_t *)prediction);
    return failed ? no_memory() : SYN_OK;
}

/* ---- Totals ---- */

enum { FIGURES_MAX = 12 };

/* In the order of a row's figures. */
static const char *const passage_figures[] = {"em",       "f1",       "prec",       "recall",
                                              "sp_em",    "sp_f1",    "sp_prec",    "sp_recall",
                                              "joint_em", "joint_f1", "joint_prec", "joint_recall"};
static const char *const musique_figures[] = {"answer_em", "answer_f1", "support_f1", "answerable",
                                              "sufficiency"};
static const char *const story_figures[] = {"em", "f1"};
static const char *const turn_figures[] = {"joint_goal_accuracy", "turns"};
enum { ANSWERABLE = 3, SUFFICIENCY = 4 };

typedef struct row {
    int64_t number, order; /* order: of the calls */
    int domain;            /* CoQA */
    bool missing;
    char *id, *prediction; /* MultiWOZ; MMLU: id is the subject */
    syn_choice_answer choice;
    double figure[FIGURES_MAX];
} row;

struct syn_live_totals {
    const syn_live_bench *bench;
    row *rows;
    int64_t count, max, missing;
    syn_bleu own; /* MultiWOZ */
};

syn_status syn_live_totals_open(const syn_live_bench *b, syn_live_totals **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return syn_fail(SYN_ERR_MEMORY, "out of memory for the figures");
    (*out)->bench = b;
    return SYN_OK;
}

void syn_live_totals_close(syn_live_totals *t)
{
    if (!t) return;
    for (int64_t i = 0; i < t->count; i++) {
        free(t->rows[i].id);
        free(t->rows[i].prediction);
    }
    free(t->rows);
    free(t);
}

static const char *const *figures_of(syn_live_kind kind, int *count)
{
    switch (kind) {
    case SYN_LIVE_PASSAGES:
        *count = (int)(sizeof passage_figures / sizeof *passage_figures);
        return passage_figures;
    case SYN_LIVE_MUSIQUE:
        *count = (int)(sizeof musique_figures / sizeof *musique_figures);
        return musique_figures;
    case SYN_LIVE_STORY:
        *count = (int)(sizeof story_figures / sizeof *story_figures);
        return story_figures;
    case SYN_LIVE_TURN:
        *count = (int)(sizeof turn_figures / sizeof *turn_figures);
        return turn_figures;
    default:
        *count = 0;
        return NULL;
    }
}

static syn_choice_answer choice_of(const json_t *metrics)
{
    if (!metrics) return SYN_CHOICE_MISSING;
    if (json_number_value(json_object_get(metrics, "unparsed")) > 0) return SYN_CHOICE_NO_LETTER;
    return json_number_value(json_object_get(metrics, "accuracy")) > 0 ? SYN_CHOICE_RIGHT
                                                                       : SYN_CHOICE_WRONG;
}

/* The counts behind a turn's own BLEU: matched and total of each order, words of both. */
static bool add_bleu(syn_bleu *sum, const json_t *metrics)
{
    const json_t *counts = json_object_get(metrics, "bleu_counts");
    int64_t n[2 * SYN_BLEU_ORDER + 2];
    if (json_array_size(counts) != 2 * SYN_BLEU_ORDER + 2) return false;
    for (size_t i = 0; i < 2 * SYN_BLEU_ORDER + 2; i++) {
        n[i] = json_integer_value(json_array_get(counts, i));
        if (n[i] < 0 || n[i] > 1 << 24) return false;
    }
    for (int k = 0; k < SYN_BLEU_ORDER; k++) {
        sum->matched[k] += n[k];
        sum->total[k] += n[SYN_BLEU_ORDER + k];
    }
    sum->hypothesis_words += n[2 * SYN_BLEU_ORDER];
    sum->reference_words += n[2 * SYN_BLEU_ORDER + 1];
    return true;
}

/* What a row needs beside its figures. */
static syn_status fill_row(syn_live_totals *t, row *r, const char *id, const char *domain,
                           const json_t *prediction)
{
    if (t->bench->kind == SYN_LIVE_STORY) {
        r->domain = syn_coqa_domain(domain);
        if (r->domain < 0)
            return syn_fail(SYN_ERR_FORMAT, "question '%.60s': '%.40s' is no source of CoQA", id,
                            domain);
    }
    if (t->bench->kind == SYN_LIVE_CHOICE) {
        r->id = strdup(strcmp(t->bench->benchmark, "mmlu") ? "" : domain);
        return r->id ? SYN_OK : no_memory();
    }
    if (t->bench->kind != SYN_LIVE_TURN) return SYN_OK;
    r->id = strdup(id);
    r->prediction = prediction ? syn_json_text(prediction, JSON_COMPACT) : strdup(empty_turn);
    return r->id && r->prediction ? SYN_OK : no_memory();
}

syn_status syn_live_totals_add(syn_live_totals *t, int64_t number, const char *id,
                               const char *domain, const json_t *prediction, const json_t *metrics)
{
    int figures;
    const syn_live_kind kind = t->bench->kind;
    const char *const *names = figures_of(kind, &figures);
    if ((prediction || metrics) && (!json_is_object(metrics) || !is_prediction(kind, prediction)))
        return no_prediction(t->bench->benchmark, id);
    if (t->count == t->max) {
        const int64_t max = t->max ? 2 * t->max : 256;
        row *grown = realloc(t->rows, (size_t)max * sizeof *grown);
        if (!grown) return no_memory();
        t->rows = grown;
        t->max = max;
    }
    row *r = &t->rows[t->count];
    *r = (row){.number = number, .order = t->count, .missing = !metrics};
    for (int i = 0; i < figures; i++)
        r->figure[i] = json_number_value(json_object_get(metrics, names[i]));
    r->choice = choice_of(metrics);
    if (kind == SYN_LIVE_MUSIQUE && !metrics) r->figure[ANSWERABLE] = 1;
    syn_status st = fill_row(t, r, id, domain, prediction);
    if (st == SYN_OK && kind == SYN_LIVE_TURN && metrics && !add_bleu(&t->own, metrics))
        st = no_prediction(t->bench->benchmark, id);
    if (st != SYN_OK) {
        free(r->id);
        free(r->prediction);
        return st;
    }
    t->missing += r->missing;
    t->count++;
    return SYN_OK;
}

static int by_number(const void *x, const void *y)
{
    const row *a = x, *b = y;
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static json_t *passages_json(const syn_live_totals *t)
{
    syn_hotpotqa sum = {0};
    for (int64_t i = 0; i < t->count; i++) {
        const double *f = t->rows[i].figure;
        const syn_hotpotqa x = {
            {f[0], f[1], f[2], f[3]}, {f[4], f[5], f[6], f[7]}, {f[8], f[9], f[10], f[11]}};
        syn_hotpotqa_add(&sum, &x);
    }
    const syn_hotpotqa mean = syn_hotpotqa_mean(&sum, t->count);
    return syn_hotpotqa_json(&mean);
}

/* As Python's round(x, 3), which goes by the exact binary value as printf does. */
static double three_digits(double x)
{
    char text[SYN_REAL_TEXT_MAX];
    snprintf(text, sizeof text, "%.3f", x);
    return strtod(text, NULL);
}

static json_t *musique_json(const syn_live_totals *t)
{
    double sum[FIGURES_MAX] = {0};
    int64_t answerable = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double *f = t->rows[i].figure;
        answerable += f[ANSWERABLE] > 0;
        for (int k = 0; k < ANSWERABLE; k++) sum[k] += f[ANSWERABLE] > 0 ? f[k] : 0;
        sum[SUFFICIENCY] += f[SUFFICIENCY];
    }
    const double n = answerable ? (double)answerable : 1;
    json_t *j = json_pack("{s:f, s:f, s:f}", "answer_f1", three_digits(sum[1] / n), "answer_em",
                          three_digits(sum[0] / n), "support_f1", three_digits(sum[2] / n));
    if (j && answerable < t->count &&
        json_object_set_new(j, "sufficiency_accuracy",
                            json_real(three_digits(sum[SUFFICIENCY] / (double)t->count)))) {
        json_decref(j);
        return NULL;
    }
    return j;
}

static json_t *stories_json(const syn_live_totals *t)
{
    syn_coqa sum = {0};
    for (int64_t i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        syn_coqa_add(&sum, r->domain, (syn_coqa_turn){r->figure[0], r->figure[1]});
    }
    return syn_coqa_json(&sum);
}

/* By subject, in the order of the questions. */
static syn_status choices_json(const syn_live_totals *t, json_t **out)
{
    syn_choice_total total = {0};
    syn_status st = SYN_OK;
    for (int64_t i = 0; i < t->count && st == SYN_OK; i++)
        st = syn_choice_add(&total, t->rows[i].id, t->rows[i].choice);
    if (st == SYN_OK) *out = syn_choice_json(&total, !strcmp(t->bench->benchmark, "mmlu"));
    syn_choice_free(&total);
    return st;
}

/* ---- MultiWOZ ---- */

static size_t dialogue_bytes(const char *id)
{
    const char *mark = strrchr(id, '#');
    return mark ? (size_t)(mark - id) : strlen(id);
}

/* The end of the dialogue that begins with row i; its turns follow one another. */
static int64_t dialogue_end(const syn_live_totals *t, int64_t i)
{
    const size_t n = dialogue_bytes(t->rows[i].id);
    int64_t end = i + 1;
    while (end < t->count && dialogue_bytes(t->rows[end].id) == n &&
           !strncmp(t->rows[end].id, t->rows[i].id, n))
        end++;
    return end;
}

/* Asked to its end: an answered turn tells how many turns there are. */
static bool is_whole(const syn_live_totals *t, int64_t from, int64_t to)
{
    int64_t turns = 0;
    for (int64_t i = from; i < to; i++)
        if (!t->rows[i].missing) turns = (int64_t)t->rows[i].figure[1];
    return turns == to - from;
}

static syn_status take_dialogue(const syn_live_totals *t, int64_t from, int64_t to,
                                const char *name, json_t *predictions)
{
    json_t *turns = json_array();
    int failed = !turns;
    for (int64_t i = from; !failed && i < to; i++)
        failed = json_array_append_new(turns, json_loads(t->rows[i].prediction, 0, NULL));
    if (failed) {
        json_decref(turns);
        return no_memory();
    }
    return json_object_set_new(predictions, name, turns) ? no_memory() : SYN_OK;
}

static syn_status take_dialogues(const syn_live_totals *t, json_t *predictions, int64_t *left_out)
{
    const syn_multiwoz *m = t->bench->reference;
    for (int64_t i = 0, end; i < t->count; i = end) {
        end = dialogue_end(t, i);
        char *name = strndup(t->rows[i].id, dialogue_bytes(t->rows[i].id));
        if (!name) return no_memory();
        syn_status st = SYN_OK;
        if (is_whole(t, i, end) && syn_multiwoz_has(m, name))
            st = take_dialogue(t, i, end, name, predictions);
        else
            ++*left_out;
        free(name);
        SYN_RETURN_IF(st);
    }
    return SYN_OK;
}

/* The reference's figures into *j; what it cannot judge is said and stays out. */
static syn_status add_official(const syn_live_totals *t, json_t *j)
{
    static const char *const names[] = {"inform", "success", "bleu", "combined"};
    json_t *predictions = json_object(), *figures = NULL;
    int64_t left_out = 0;
    int failed = 0;
    syn_status st = predictions ? take_dialogues(t, predictions, &left_out) : no_memory();
    const size_t dialogues = json_object_size(predictions);
    if (st == SYN_OK && dialogues > 0) {
        st = syn_multiwoz_score(t->bench->reference, predictions, &figures);
        if (st == SYN_ERR_FORMAT || st == SYN_ERR_LIMIT) {
            failed |= json_object_set_new(j, "unscored", json_string(syn_error_text()));
            st = SYN_OK;
        }
    }
    for (int i = 0; figures && i < 4; i++) {
        json_t *value = json_object_get(figures, names[i]);
        if (i < 2) value = json_object_get(value, "total");
        failed |= json_object_set(j, names[i], value);
    }
    failed |= json_object_set_new(j, "dialogues", json_integer((json_int_t)dialogues));
    failed |= json_object_set_new(j, "dialogues_left_out", json_integer(left_out));
    json_decref(predictions);
    json_decref(figures);
    return st == SYN_OK && failed ? no_memory() : st;
}

static syn_status turns_json(const syn_live_totals *t, json_t **out)
{
    double right = 0;
    for (int64_t i = 0; i < t->count; i++) right += t->rows[i].figure[0];
    *out = json_pack("{s:f, s:f}", "joint_goal_accuracy",
                     t->count ? 100 * right / (double)t->count : 0, "bleu_own",
                     syn_bleu_score(&t->own));
    if (!*out) return no_memory();
    return t->bench->reference ? add_official(t, *out) : SYN_OK;
}

/* ---- All ---- */

syn_status syn_live_totals_json(syn_live_totals *t, json_t **out)
{
    syn_status st = SYN_OK;
    *out = NULL;
    if (t->count > 1) qsort(t->rows, (size_t)t->count, sizeof *t->rows, by_number);
    switch (t->bench->kind) {
    case SYN_LIVE_PASSAGES:
        *out = passages_json(t);
        break;
    case SYN_LIVE_MUSIQUE:
        *out = musique_json(t);
        break;
    case SYN_LIVE_STORY:
        *out = stories_json(t);
        break;
    case SYN_LIVE_CHOICE:
        st = choices_json(t, out);
        break;
    case SYN_LIVE_TURN:
        st = turns_json(t, out);
    }
    if (st == SYN_OK && !*out) st = no_memory();
    if (st == SYN_OK && t->bench->kind != SYN_LIVE_CHOICE &&
        (json_object_set_new(*out, "questions", json_integer(t->count)) ||
         json_object_set_new(*out, "missing", json_integer(t->missing))))
        st = no_memory();
    if (st != SYN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}
