/* Files of predictions against gold files: HotpotQA, CoQA, MultiWOZ. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "benchmarks/metric_coqa.h"
#include "benchmarks/metric_file.h"
#include "benchmarks/metric_hotpotqa.h"
#include "benchmarks/metric_multiwoz.h"
#include "datasets/json_stream.h"

syn_status syn_metric_read(const char *path, int64_t bytes_max, json_t **out)
{
    json_error_t fault;
    struct stat about;
    *out = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) return syn_fail(SYN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fileno(f), &about) || !S_ISREG(about.st_mode) || about.st_size > bytes_max) {
        fclose(f);
        return syn_fail(SYN_ERR_LIMIT, "%s: a file of at most %lld bytes is expected", path,
                        (long long)bytes_max);
    }
    *out = json_loadf(f, 0, &fault);
    fclose(f);
    if (*out) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT, "%s: line %d: %s", path, fault.line, fault.text);
}

/* The next record of a gold file as a tree; NULL at the end. */
static syn_status next_record(syn_json_stream *s, json_t **out)
{
    syn_slice bytes;
    json_error_t fault;
    *out = NULL;
    SYN_RETURN_IF(syn_json_stream_next(s, &bytes));
    if (bytes.count == 0) return SYN_OK;
    *out = json_loadb(bytes.bytes, bytes.count, 0, &fault);
    if (!*out)
        return syn_fail(SYN_ERR_FORMAT, "%s: line %lld: %s", s->path,
                        (long long)s->line + fault.line - 1, fault.text);
    return SYN_OK;
}

static syn_status read_text(syn_normal_answer *a, const json_t *text)
{
    return syn_normal_answer_read(a, json_string_value(text), json_string_length(text));
}

static syn_status add_count(json_t *j, const char *name, int64_t n)
{
    if (json_object_set_new(j, name, json_integer(n)))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the figures");
    return SYN_OK;
}

/* ---- HotpotQA ---- */

typedef struct hotpotqa {
    syn_json_stream gold;
    json_t *predictions, *seen;
    const json_t *answers, *facts; /* members of predictions */
    syn_normal_answer prediction, answer;
    syn_hotpotqa sum;
    int64_t questions, missing, missing_facts, known;
} hotpotqa;

/* The list [[title, sentence], ...] as facts; the caller frees them. */
static syn_status read_facts(const json_t *list, syn_fact **out, int64_t *count)
{
    size_t i;
    json_t *pair;
    const size_t n = json_array_size(list);
    *out = NULL;
    *count = 0;
    if (!json_is_array(list) || n > SYN_HOTPOTQA_FACTS_MAX)
        return syn_fail(SYN_ERR_FORMAT, "the supporting facts are no list of at most %d",
                        SYN_HOTPOTQA_FACTS_MAX);
    syn_fact *facts = malloc((n + 1) * sizeof *facts);
    if (!facts) return syn_fail(SYN_ERR_MEMORY, "out of memory for the supporting facts");
    json_array_foreach(list, i, pair)
    {
        const json_t *title = json_array_get(pair, 0), *sentence = json_array_get(pair, 1);
        if (!json_is_string(title) || !json_is_integer(sentence) || json_array_size(pair) != 2) {
            free(facts);
            return syn_fail(SYN_ERR_FORMAT, "supporting fact %zu is not [title, sentence number]",
                            i);
        }
        facts[i] = (syn_fact){{json_string_value(title), json_string_length(title)},
                              json_integer_value(sentence)};
    }
    *out = facts;
    *count = (int64_t)n;
    return SYN_OK;
}

static syn_status score_facts(const json_t *prediction, const json_t *gold, syn_exactness *out)
{
    syn_fact *p = NULL, *g = NULL;
    int64_t np = 0, ng = 0;
    syn_status st = read_facts(prediction, &p, &np);
    if (st != SYN_OK) st = syn_fail_within(st, "its prediction");
    if (st == SYN_OK) st = read_facts(gold, &g, &ng);
    if (st == SYN_OK) *out = syn_hotpotqa_facts(p, np, g, ng);
    free(p);
    free(g);
    return st;
}

static syn_status score_question(hotpotqa *h, const json_t *record, const char *id)
{
    const json_t *gold = json_object_get(record, "answer");
    const json_t *said = json_object_get(h->answers, id), *cited = json_object_get(h->facts, id);
    syn_hotpotqa x = {0};
    if (!json_is_string(gold)) return syn_fail(SYN_ERR_FORMAT, "it has no text \"answer\"");
    if (said) {
        if (!json_is_string(said)) return syn_fail(SYN_ERR_FORMAT, "its prediction is no text");
        SYN_RETURN_IF(read_text(&h->answer, gold));
        SYN_RETURN_IF(read_text(&h->prediction, said));
        x.answer = syn_hotpotqa_answer(&h->prediction, &h->answer);
    }
    if (cited)
        SYN_RETURN_IF(score_facts(cited, json_object_get(record, "supporting_facts"), &x.facts));
    if (said && cited) x.joint = syn_hotpotqa_joint(x.answer, x.facts);
    syn_hotpotqa_add(&h->sum, &x);
    h->questions++;
    h->missing += !said;
    h->missing_facts += !cited;
    if (said && !json_object_get(h->seen, id)) {
        h->known++;
        if (json_object_set_new(h->seen, id, json_true()))
            return syn_fail(SYN_ERR_MEMORY, "out of memory for the ids");
    }
    return SYN_OK;
}

static syn_status score_questions(hotpotqa *h)
{
    for (json_t *record;;) {
        SYN_RETURN_IF(next_record(&h->gold, &record));
        if (!record) return SYN_OK;
        const char *id = json_string_value(json_object_get(record, "_id"));
        syn_status st =
            id ? score_question(h, record, id) : syn_fail(SYN_ERR_FORMAT, "it has no text \"_id\"");
        if (st != SYN_OK)
            st = syn_fail_within(st, "%s: line %lld, question '%.60s'", h->gold.path,
                                 (long long)h->gold.line, id ? id : "");
        json_decref(record);
        if (st != SYN_OK) return st;
    }
}

static syn_status score_hotpotqa(const syn_metric_files *files, json_t **out)
{
    hotpotqa h = {.seen = json_object()};
    syn_status st;
    SYN_TRY(syn_metric_read(files->predictions, SYN_METRIC_FILE_MAX, &h.predictions));
    h.answers = json_object_get(h.predictions, "answer");
    h.facts = json_object_get(h.predictions, "sp");
    if (!json_is_object(h.answers) || (h.facts && !json_is_object(h.facts))) {
        st = syn_fail(SYN_ERR_FORMAT,
                      "%s: an object with \"answer\" and \"sp\", each {id: ...}, is "
                      "expected",
                      files->predictions);
        goto done;
    }
    SYN_TRY(syn_json_stream_open(&h.gold, files->gold));
    SYN_TRY(score_questions(&h));
    const syn_hotpotqa mean = syn_hotpotqa_mean(&h.sum, h.questions);
    *out = syn_hotpotqa_json(&mean);
    if (!*out) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the figures");
        goto done;
    }
    SYN_TRY(add_count(*out, "questions", h.questions));
    SYN_TRY(add_count(*out, "missing", h.missing));
    SYN_TRY(add_count(*out, "missing_sp", h.missing_facts));
    SYN_TRY(add_count(*out, "unknown", (int64_t)json_object_size(h.answers) - h.known));
done:
    syn_json_stream_close(&h.gold);
    json_decref(h.predictions);
    json_decref(h.seen);
    syn_normal_answer_free(&h.prediction);
    syn_normal_answer_free(&h.answer);
    return st;
}

/* ---- CoQA ---- */

typedef struct turn_answer {
    const char *id;
    json_int_t turn;
    size_t at; /* in the file */
    const json_t *answer;
} turn_answer;

typedef struct coqa {
    syn_json_stream gold;
    json_t *predictions, *seen;
    turn_answer *answers; /* sorted */
    size_t count;
    syn_normal_answer prediction, references[SYN_COQA_REFERENCES_MAX];
    syn_coqa sum;
    int64_t turns, missing;
} coqa;

static int by_turn(const void *x, const void *y)
{
    const turn_answer *a = x, *b = y;
    const int order = strcmp(a->id, b->id);
    if (order) return order;
    if (a->turn != b->turn) return a->turn < b->turn ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static bool same_turn(const turn_answer *a, const turn_answer *b)
{
    return a->turn == b->turn && !strcmp(a->id, b->id);
}

static syn_status sort_answers(coqa *c, const char *path)
{
    size_t i, kept = 0;
    json_t *p;
    if (!json_is_array(c->predictions))
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: a list of {\"id\", \"turn_id\", \"answer\"} is expected", path);
    c->answers = malloc((json_array_size(c->predictions) + 1) * sizeof *c->answers);
    if (!c->answers) return syn_fail(SYN_ERR_MEMORY, "out of memory for the predictions");
    json_array_foreach(c->predictions, i, p)
    {
        const json_t *turn = json_object_get(p, "turn_id");
        turn_answer *a = &c->answers[i];
        char *end = NULL;
        *a = (turn_answer){json_string_value(json_object_get(p, "id")), json_integer_value(turn), i,
                           json_object_get(p, "answer")};
        if (json_is_string(turn)) a->turn = strtoll(json_string_value(turn), &end, 10);
        const bool is_number =
            json_is_integer(turn) || (end && !*end && end != json_string_value(turn));
        if (!a->id || !is_number || !json_is_string(a->answer))
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: prediction %zu is not {\"id\": text, \"turn_id\": number, "
                            "\"answer\": text}",
                            path, i);
    }
    if (i > 1) qsort(c->answers, i, sizeof *c->answers, by_turn);
    for (size_t k = 0; k < i; k++) {
        if (kept > 0 && same_turn(&c->answers[kept - 1], &c->answers[k])) kept--;
        c->answers[kept++] = c->answers[k];
    }
    c->count = kept;
    return SYN_OK;
}

static const turn_answer *find_answer(const coqa *c, const char *id, json_int_t turn)
{
    const turn_answer wanted = {.id = id, .turn = turn};
    for (size_t low = 0, high = c->count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (same_turn(&c->answers[middle], &wanted)) return &c->answers[middle];
        if (by_turn(&c->answers[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static syn_status read_references(coqa *c, const json_t *story, size_t turn, int *count)
{
    const json_t *first = json_object_get(story, "answers");
    json_t *more = json_object_get(story, "additional_answers"), *list;
    const char *key;
    const json_t *text = json_object_get(json_array_get(first, turn), "input_text");
    if (!json_is_string(text)) return syn_fail(SYN_ERR_FORMAT, "it has no answer");
    SYN_RETURN_IF(read_text(&c->references[0], text));
    *count = 1;
    json_object_foreach(more, key, list)
    {
        text = json_object_get(json_array_get(list, turn), "input_text");
        if (!json_is_string(text))
            return syn_fail(SYN_ERR_FORMAT, "additional answers '%.20s' have none for it", key);
        if (*count == SYN_COQA_REFERENCES_MAX)
            return syn_fail(SYN_ERR_LIMIT, "it has more than %d references",
                            SYN_COQA_REFERENCES_MAX);
        SYN_RETURN_IF(read_text(&c->references[(*count)++], text));
    }
    return SYN_OK;
}

static syn_status score_turns(coqa *c, const json_t *story, const char *id, int domain)
{
    size_t i;
    json_t *question;
    json_int_t before = 0;
    json_array_foreach(json_object_get(story, "questions"), i, question)
    {
        const json_t *number = json_object_get(question, "turn_id");
        const json_int_t turn = json_integer_value(number);
        int references = 0;
        if (!json_is_integer(number) || turn <= before)
            return syn_fail(SYN_ERR_FORMAT, "question %zu: \"turn_id\" is no number that ascends",
                            i);
        syn_status st = read_references(c, story, i, &references);
        if (st != SYN_OK) return syn_fail_within(st, "turn %lld", (long long)turn);
        const turn_answer *a = find_answer(c, id, turn);
        syn_coqa_turn x = {0};
        if (a) {
            SYN_RETURN_IF(read_text(&c->prediction, a->answer));
            x = syn_coqa_score(&c->prediction, c->references, references);
        }
        syn_coqa_add(&c->sum, domain, x);
        c->turns++;
        c->missing += !a;
        before = turn;
    }
    return SYN_OK;
}

static syn_status score_story(coqa *c, const json_t *story)
{
    const char *id = json_string_value(json_object_get(story, "id"));
    const char *source = json_string_value(json_object_get(story, "source"));
    if (!id || !source) return syn_fail(SYN_ERR_FORMAT, "a story has no text \"id\" or \"source\"");
    const int domain = syn_coqa_domain(source);
    syn_status st = SYN_OK;
    if (domain < 0) st = syn_fail(SYN_ERR_FORMAT, "its source '%.40s' is none of CoQA's", source);
    if (json_object_get(c->seen, id)) st = syn_fail(SYN_ERR_FORMAT, "the id comes twice");
    if (json_object_set_new(c->seen, id, json_true()))
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the ids");
    if (st == SYN_OK) st = score_turns(c, story, id, domain);
    return st == SYN_OK ? st : syn_fail_within(st, "story '%.60s'", id);
}

static syn_status score_coqa(const syn_metric_files *files, json_t **out)
{
    coqa c = {.seen = json_object()};
    syn_status st;
    SYN_TRY(syn_metric_read(files->predictions, SYN_METRIC_FILE_MAX, &c.predictions));
    SYN_TRY(sort_answers(&c, files->predictions));
    SYN_TRY(syn_json_stream_open(&c.gold, files->gold));
    c.gold.layout = SYN_JSON_DATA;
    for (json_t *story;;) {
        SYN_TRY(next_record(&c.gold, &story));
        if (!story) break;
        st = score_story(&c, story);
        json_decref(story);
        if (st != SYN_OK) {
            syn_fail_within(st, "%s: line %lld", files->gold, (long long)c.gold.line);
            goto done;
        }
    }
    *out = syn_coqa_json(&c.sum);
    if (!*out) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the figures");
        goto done;
    }
    SYN_TRY(add_count(*out, "missing", c.missing));
    SYN_TRY(add_count(*out, "unknown", (int64_t)c.count - (c.turns - c.missing)));
done:
    syn_json_stream_close(&c.gold);
    json_decref(c.predictions);
    json_decref(c.seen);
    free(c.answers);
    syn_normal_answer_free(&c.prediction);
    for (int i = 0; i < SYN_COQA_REFERENCES_MAX; i++) syn_normal_answer_free(&c.references[i]);
    return st;
}

/* ---- MultiWOZ ---- */

static syn_status score_multiwoz(const syn_metric_files *files, json_t **out)
{
    syn_multiwoz *m = NULL;
    json_t *predictions = NULL;
    syn_status st;
    SYN_TRY(syn_metric_read(files->predictions, SYN_METRIC_FILE_MAX, &predictions));
    SYN_TRY(syn_multiwoz_open(files->gold, &m));
    st = syn_multiwoz_score(m, predictions, out);
    if (st != SYN_OK) syn_fail_within(st, "%s", files->predictions);
done:
    syn_multiwoz_close(m);
    json_decref(predictions);
    return st;
}

syn_status syn_metric_score(const char *benchmark, const syn_metric_files *files, json_t **out)
{
    syn_status st = SYN_OK;
    *out = NULL;
    if (!strcmp(benchmark, "hotpotqa") || !strcmp(benchmark, "2wiki"))
        st = score_hotpotqa(files, out);
    else if (!strcmp(benchmark, "coqa"))
        st = score_coqa(files, out);
    else if (!strcmp(benchmark, "commonsenseqa") || !strcmp(benchmark, "mmlu"))
        st = syn_metric_score_choice(benchmark, files, out);
    else if (!strcmp(benchmark, "multiwoz"))
        st = score_multiwoz(files, out);
    else
        st = syn_fail(SYN_ERR_INVALID, "there is no metric for '%s'", benchmark);
    if (st != SYN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}
