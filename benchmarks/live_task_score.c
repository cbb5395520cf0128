/* What an answer is worth by its benchmark's official function. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_task_private.h"
#include "benchmarks/metric_choice.h"
#include "benchmarks/metric_coqa.h"
#include "benchmarks/metric_hotpotqa.h"
#include "serve/aggregate.h"
#include "serve/words.h"

static syn_status out_of_memory(void)
{
    return syn_fail(SYN_ERR_MEMORY, "out of memory for a verdict");
}

json_t *syn_live_said_json(const char *text)
{
    const size_t bytes = syn_utf8_prefix(text, SYN_LIVE_RESPONSE_BYTES_MAX);
    char *copy = malloc(bytes + 1);
    if (!copy) return NULL;
    memcpy(copy, text, bytes);
    for (int64_t at = 0, next; (next = syn_utf8_fault(copy + at, bytes - (size_t)at)) >= 0;) {
        at += next;
        copy[at] = '?';
    }
    json_t *j = json_stringn(copy, bytes);
    free(copy);
    return j;
}

static syn_status read_prediction(syn_normal_answer *a, const json_t *text)
{
    return syn_normal_answer_read(a, json_string_value(text), json_string_length(text));
}

static bool knows_nothing(const syn_live_answer *a)
{
    return a->abstained || syn_no_answer(a->short_answer);
}

/* ---- HotpotQA, 2Wiki ---- */

static int sentences_of(const syn_question *q)
{
    int count = 0;
    for (int k = 0; k < q->document_count; k++) count += q->documents[k].sentence_count;
    return count;
}

/* [[title, sentence], ...] and the same as facts (a place for each sentence). */
static json_t *cited_facts(const syn_question *q, const bool *cited, syn_fact *facts, int *count)
{
    json_t *list = json_array();
    int failed = !list;
    for (int k = 0; k < q->document_count; k++) {
        const syn_question_document *d = &q->documents[k];
        for (int s = 0; s < d->sentence_count; s++) {
            if (!*cited++) continue;
            facts[(*count)++] = (syn_fact){{d->title, strlen(d->title)}, s};
            failed |= json_array_append_new(list, json_pack("[s, i]", d->title, s));
        }
    }
    if (failed) json_decref(list);
    return failed ? NULL : list;
}

static syn_status facts_score(const syn_question *q, const syn_live_answer *a, syn_exactness *score,
                              json_t **list)
{
    const size_t sentences = (size_t)sentences_of(q) + 1, golds = (size_t)q->fact_count + 1;
    bool *cited = calloc(sentences, sizeof *cited);
    syn_fact *facts = calloc(sentences, sizeof *facts), *gold = calloc(golds, sizeof *gold);
    int count = 0;
    *list = NULL;
    if (cited && facts && gold) {
        syn_live_cited_sentences(q, a, cited);
        *list = cited_facts(q, cited, facts, &count);
        for (int f = 0; f < q->fact_count; f++)
            gold[f] =
                (syn_fact){{q->facts[f].title, strlen(q->facts[f].title)}, q->facts[f].sentence};
        *score = syn_hotpotqa_facts(facts, count, gold, q->fact_count);
    }
    free(cited);
    free(facts);
    free(gold);
    return *list ? SYN_OK : out_of_memory();
}

static syn_status judge_passages(const syn_question *q, const syn_live_answer *a,
                                 syn_live_verdict *out)
{
    /* The script's own word for no answer. */
    json_t *said = syn_live_said_json(a->abstained ? "noanswer" : a->short_answer), *cited = NULL;
    syn_normal_answer prediction = {0}, gold = {0};
    syn_hotpotqa x = {0};
    syn_status st;
    SYN_TRY(facts_score(q, a, &x.facts, &cited));
    if (!said) {
        st = out_of_memory();
        goto done;
    }
    SYN_TRY(read_prediction(&prediction, said));
    SYN_TRY(syn_normal_answer_read(&gold, q->answers[0], strlen(q->answers[0])));
    x.answer = syn_hotpotqa_answer(&prediction, &gold);
    x.joint = syn_hotpotqa_joint(x.answer, x.facts);
    out->prediction = json_pack("{s:O, s:O}", "answer", said, "sp", cited);
    out->metrics = syn_hotpotqa_json(&x);
    out->correct = x.answer.em > 0;
    out->score = x.answer.f1;
done:
    json_decref(said);
    json_decref(cited);
    syn_normal_answer_free(&prediction);
    syn_normal_answer_free(&gold);
    return st;
}

/* ---- MuSiQue ---- */

/* Paragraphs of which a part is cited, and how well they are the supporting ones. */
static json_t *cited_paragraphs(const syn_question *q, const syn_live_answer *a, double *f1)
{
    const size_t sentences = (size_t)sentences_of(q) + 1;
    bool *cited = calloc(sentences, sizeof *cited), *at = cited;
    json_t *list = cited ? json_array() : NULL;
    int failed = !list, said = 0, gold = 0, both = 0;
    if (cited) syn_live_cited_sentences(q, a, cited);
    for (int k = 0; cited && k < q->document_count; k++) {
        bool is = false;
        for (int s = 0; s < q->documents[k].sentence_count; s++) is |= *at++;
        if (is) failed |= json_array_append_new(list, json_integer(k));
        said += is;
        gold += q->documents[k].gold;
        both += is && q->documents[k].gold;
    }
    *f1 = said + gold ? 2. * both / (said + gold) : 0;
    free(cited);
    if (failed) json_decref(list);
    return failed ? NULL : list;
}

/* As the script's: where either has no word, both must have none. */
static double overlap_f1(const syn_normal_answer *gold, const syn_normal_answer *said)
{
    if (gold->token_count == 0 || said->token_count == 0)
        return gold->token_count == said->token_count;
    return syn_normal_answer_overlap(said, gold).f1;
}

static syn_status best_of_aliases(const syn_question *q, const json_t *said, double *em, double *f1)
{
    syn_normal_answer prediction = {0}, gold = {0};
    syn_status st;
    *em = *f1 = 0;
    SYN_TRY(read_prediction(&prediction, said));
    for (int i = 0; i < q->answer_count; i++) {
        SYN_TRY(syn_normal_answer_read(&gold, q->answers[i], strlen(q->answers[i])));
        const double overlap = overlap_f1(&gold, &prediction);
        if (syn_normal_answer_equal(&gold, &prediction)) *em = 1;
        if (overlap > *f1) *f1 = overlap;
    }
done:
    syn_normal_answer_free(&prediction);
    syn_normal_answer_free(&gold);
    return st;
}

static syn_status judge_musique(const syn_question *q, const syn_live_answer *a,
                                syn_live_verdict *out)
{
    const bool answers = !knows_nothing(a);
    double em, f1, support;
    json_t *said = syn_live_said_json(answers ? a->short_answer : "");
    json_t *cited = cited_paragraphs(q, a, &support);
    syn_status st = said && cited ? SYN_OK : out_of_memory();
    if (st == SYN_OK) st = best_of_aliases(q, said, &em, &f1);
    if (st == SYN_OK) {
        out->prediction =
            json_pack("{s:s, s:O, s:O, s:b}", "id", q->id, "predicted_answer", said,
                      "predicted_support_idxs", cited, "predicted_answerable", (int)answers);
        out->metrics =
            q->answerable
                ? json_pack("{s:f, s:f, s:f, s:i, s:i}", "answer_em", em, "answer_f1", f1,
                            "support_f1", support, "answerable", 1, "sufficiency", (int)answers)
                : json_pack("{s:i, s:i}", "answerable", 0, "sufficiency", (int)!answers);
        out->correct = q->answerable ? em > 0 : !answers;
        out->score = q->answerable ? f1 : !answers;
    }
    json_decref(said);
    json_decref(cited);
    return st;
}

/* ---- CoQA ---- */

static syn_status story_score(const syn_question *q, const json_t *said, syn_coqa_turn *score)
{
    syn_normal_answer prediction = {0}, references[SYN_COQA_REFERENCES_MAX] = {{0}};
    const int count =
        q->answer_count < SYN_COQA_REFERENCES_MAX ? q->answer_count : SYN_COQA_REFERENCES_MAX;
    syn_status st;
    SYN_TRY(read_prediction(&prediction, said));
    for (int i = 0; i < count; i++)
        SYN_TRY(syn_normal_answer_read(&references[i], q->answers[i], strlen(q->answers[i])));
    *score = syn_coqa_score(&prediction, references, count);
done:
    syn_normal_answer_free(&prediction);
    for (int i = 0; i < count; i++) syn_normal_answer_free(&references[i]);
    return st;
}

static syn_status judge_story(const syn_question *q, const syn_live_answer *a,
                              syn_live_verdict *out)
{
    json_t *said =
        syn_live_said_json(a->abstained || !*a->short_answer ? "unknown" : a->short_answer);
    syn_coqa_turn turn = {0};
    syn_status st = said ? story_score(q, said, &turn) : out_of_memory();
    if (st == SYN_OK) {
        out->prediction =
            json_pack("{s:s, s:i, s:O}", "id", q->context, "turn_id", q->turn, "answer", said);
        out->metrics = json_pack("{s:f, s:f}", "em", turn.em, "f1", turn.f1);
        out->correct = turn.em > 0;
        out->score = turn.f1;
    }
    json_decref(said);
    return st;
}

/* ---- CommonsenseQA, MMLU ---- */

static int choice_of(const syn_question *q, const syn_live_answer *a)
{
    const char *texts[SYN_CHOICES_MAX];
    if (a->abstained) return SYN_CHOICE_UNPARSED;
    for (int i = 0; i < q->choice_count; i++) texts[i] = q->choices[i].text;
    const int said = syn_choice_parse(a->short_answer, texts, q->choice_count);
    return said != SYN_CHOICE_UNPARSED ? said : syn_choice_parse(a->answer, texts, q->choice_count);
}

static syn_status judge_choice(const syn_question *q, const syn_live_answer *a,
                               syn_live_verdict *out)
{
    const int said = choice_of(q, a);
    const char letter[2] = {said == SYN_CHOICE_UNPARSED ? 0 : (char)('A' + said), 0};
    out->unparsed = said == SYN_CHOICE_UNPARSED;
    out->correct = !out->unparsed && !strcmp(q->choices[said].label, q->answers[0]);
    out->score = out->correct;
    out->prediction = json_pack("{s:s, s:s}", "id", q->id, "answer", letter);
    out->metrics =
        json_pack("{s:i, s:i}", "accuracy", (int)out->correct, "unparsed", (int)out->unparsed);
    return SYN_OK;
}

/* ---- All ---- */

syn_status syn_live_judge(const syn_live_bench *b, const syn_question *q, const syn_live_answer *a,
                          syn_live_verdict *out)
{
    static syn_status (*const judges[])(const syn_question *, const syn_live_answer *,
                                        syn_live_verdict *) = {
        [SYN_LIVE_PASSAGES] = judge_passages,  [SYN_LIVE_MUSIQUE] = judge_musique,
        [SYN_LIVE_STORY] = judge_story,        [SYN_LIVE_CHOICE] = judge_choice,
        [SYN_LIVE_TURN] = syn_live_judge_turn,
    };
    const syn_live_answer whole = {.answer = a->answer ? a->answer : "",
                                   .short_answer = a->short_answer ? a->short_answer : "",
                                   .abstained = a->abstained,
                                   .cited = a->cited,
                                   .cited_count = a->cited_count};
    *out = (syn_live_verdict){0};
    syn_status st = judges[b->kind](q, &whole, out);
    if (st == SYN_OK && (!out->prediction || !out->metrics)) st = out_of_memory();
    if (st != SYN_OK) syn_live_verdict_free(out);
    return st;
}

void syn_live_verdict_free(syn_live_verdict *v)
{
    json_decref(v->prediction);
    json_decref(v->metrics);
    v->prediction = v->metrics = NULL;
}
