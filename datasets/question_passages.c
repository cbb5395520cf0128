/* Questions over given paragraphs: HotpotQA, 2WikiMultihopQA, MuSiQue. They are read by the readers
 * of the cache (raw_record.h). */
#include <stdlib.h>
#include <string.h>

#include "datasets/question_private.h"

typedef struct passages {
    syn_raw_record *raw;
} passages;

static bool slices_equal(syn_slice a, syn_slice b)
{
    return a.count == b.count && memcmp(a.bytes, b.bytes, a.count) == 0;
}

/* The sentences of a piece one after the other. */
static const char *joined(syn_arena *arena, const syn_slice *sentences, int count)
{
    size_t bytes = 0, at = 0;
    for (int s = 0; s < count; s++) bytes += sentences[s].count;
    char *text = syn_arena_alloc(arena, bytes + 1);
    if (!text) return "";
    for (int s = 0; s < count; s++) {
        memcpy(text + at, sentences[s].bytes, sentences[s].count);
        at += sentences[s].count;
    }
    return text;
}

static bool documents_add(syn_questions *q, const syn_raw_record *r, syn_question *n)
{
    syn_question_document *documents =
        syn_arena_array(&q->arena, (size_t)r->piece_count + 1, sizeof *documents);
    if (!documents) return false;
    for (int k = 0; k < r->piece_count; k++) {
        const syn_raw_piece *p = &r->pieces[k];
        const syn_slice *sentences = r->sentences + p->sentence_first;
        documents[k] = (syn_question_document){
            .title = syn_slice_text(&q->arena, p->title),
            .text = joined(&q->arena, sentences, p->sentence_count),
            .sentences = syn_question_texts(&q->arena, sentences, p->sentence_count),
            .sentence_count = p->sentence_count,
            .gold = p->gold};
    }
    n->documents = documents;
    n->document_count = r->piece_count;
    return true;
}

/* Where a fact points: -1 where there is nothing. */
static int fact_document(const syn_raw_record *r, const syn_raw_fact *f)
{
    for (int k = 0; k < r->piece_count; k++)
        if (!r->pieces[k].claim && slices_equal(r->pieces[k].title, f->title) && f->sentence >= 0 &&
            f->sentence < r->pieces[k].sentence_count)
            return k;
    return -1;
}

/* The facts as the file states them, or the gold pieces where it only marks those. */
static bool facts_add(syn_questions *q, const syn_raw_record *r, syn_question *n)
{
    int gold = 0, count = 0;
    for (int k = 0; k < r->piece_count; k++) gold += r->pieces[k].gold;
    const bool stated = q->format != &syn_question_musique;
    const int all = stated ? r->fact_count : gold;
    syn_gold_fact *facts = syn_arena_array(&q->arena, (size_t)all + 1, sizeof *facts);
    if (!facts) return false;
    for (int f = 0; stated && f < r->fact_count; f++)
        facts[count++] = (syn_gold_fact){.title = syn_slice_text(&q->arena, r->facts[f].title),
                                         .sentence = r->facts[f].sentence,
                                         .document = fact_document(r, &r->facts[f])};
    for (int k = 0; !stated && k < r->piece_count; k++)
        if (r->pieces[k].gold)
            facts[count++] = (syn_gold_fact){.title = n->documents[k].title, .document = k};
    n->facts = facts;
    n->fact_count = count;
    return true;
}

static bool answers_add(syn_questions *q, const syn_raw_record *r, syn_question *n)
{
    if (!r->answer.bytes) return true;
    const char **answers = syn_arena_array(&q->arena, (size_t)r->alias_count + 1, sizeof *answers);
    if (!answers) return false;
    answers[0] = syn_slice_text(&q->arena, r->answer);
    for (int i = 0; i < r->alias_count; i++)
        answers[i + 1] = syn_slice_text(&q->arena, r->aliases[i]);
    n->answers = answers;
    n->answer_count = r->alias_count + 1;
    return true;
}

/* Takes every record, also those of no use for training: a team may be asked without a label. */
static bool record_take(void *owner, syn_raw_record *r, syn_skip reason)
{
    (void)reason;
    syn_questions *q = owner;
    syn_question *n = syn_question_add(q);
    if (!n || !documents_add(q, r, n) || !facts_add(q, r, n) || !answers_add(q, r, n)) return false;
    n->id = syn_slice_text(&q->arena, r->id);
    n->question = syn_slice_text(&q->arena, r->question);
    n->domain = syn_slice_text(&q->arena, r->kind);
    n->level = syn_slice_text(&q->arena, r->level);
    n->answerable = r->answerable;
    if (q->format == &syn_question_musique && r->hops)
        n->domain = syn_arena_format(&q->arena, "%dhop", (int)r->hops);
    return true;
}

static bool read_by(syn_questions *q, syn_slice name, syn_raw_reader *reader)
{
    passages *state = q->state;
    const syn_raw_sink sink = {.take = record_take, .owner = q};
    return reader(&q->json, name, state->raw, &sink);
}

static bool hotpotqa_read(syn_questions *q, syn_slice name)
{
    return read_by(q, name, syn_hotpotqa_read);
}

static bool musique_read(syn_questions *q, syn_slice name)
{
    return read_by(q, name, syn_musique_read);
}

static syn_status raw_open(syn_questions *q, const char *const *patterns)
{
    passages *state = q->state;
    state->raw = malloc(sizeof *state->raw);
    if (!state->raw) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a record", q->path);
    return syn_question_choose(q, patterns);
}

static syn_status hotpotqa_open(syn_questions *q)
{
    static const char *const patterns[] = {
        "dev",   "hotpot_dev_distractor*.json", "dev",  "hotpot_dev_fullwiki*.json",
        "train", "hotpot_train*.json",          "test", "hotpot_test*.json",
        NULL};
    return raw_open(q, patterns);
}

static syn_status wiki_open(syn_questions *q)
{
    static const char *const patterns[] = {"dev",  "dev*.json",  "train", "train*.json",
                                           "test", "test*.json", NULL};
    return raw_open(q, patterns);
}

static syn_status musique_open(syn_questions *q)
{
    static const char *const patterns[] = {
        "dev",   "musique_ans*_dev*.jsonl",   "dev",   "musique*_dev*.json*",
        "train", "musique_ans*_train*.jsonl", "train", "musique*_train*.json*",
        "test",  "musique_ans*_test*.jsonl",  "test",  "musique*_test*.json*",
        NULL};
    return raw_open(q, patterns);
}

static void raw_close(syn_questions *q)
{
    passages *state = q->state;
    free(state->raw);
}

const syn_question_format syn_question_hotpotqa = {
    .benchmark = "hotpotqa",
    .layout = SYN_JSON_RECORDS,
    .state_bytes = sizeof(passages),
    .read = hotpotqa_read,
    .open = hotpotqa_open,
    .close = raw_close,
};

const syn_question_format syn_question_2wiki = {
    .benchmark = "2wiki",
    .layout = SYN_JSON_RECORDS,
    .state_bytes = sizeof(passages),
    .read = hotpotqa_read,
    .open = wiki_open,
    .close = raw_close,
};

const syn_question_format syn_question_musique = {
    .benchmark = "musique",
    .layout = SYN_JSON_RECORDS,
    .state_bytes = sizeof(passages),
    .read = musique_read,
    .open = musique_open,
    .close = raw_close,
};
