/* FriendsQA: questions about dialogues of several speakers. The file is an object whose list "data"
 * has items {title, paragraphs [{"utterances:" [{uid, speakers, utterance}], qas [{id, question,
 * answers [{utterance_id}]}]}]}; the key of the utterances does end in a colon.
 *
 * Pieces are the utterances: the speakers' names, then what they say, and no title, since a speaker
 * is part of the utterance and names no document. Gold are the utterances that any of the answers
 * names; where annotators found an answer in several places, all of them. Questions about one
 * dialogue share its title as their context. */
#include <stdlib.h>
#include <string.h>

#include "datasets/raw_record.h"

enum { SPEAKERS_MAX = 64, ANSWERS_MAX = 64 };

typedef struct utterance {
    int64_t uid;
    int speaker_first, speaker_count;
    syn_slice text;
} utterance;

typedef struct question {
    syn_slice id, text;
    int answer_first, answer_count;
    const char *at;
} question;

typedef struct dialogue {
    char title[SYN_RAW_ID_MAX];
    size_t title_bytes;
    utterance utterances[SYN_RAW_PIECES_MAX];
    int utterance_count, question_count, speaker_count, answer_count;
    size_t text_bytes;
    question questions[SYN_RAW_QUESTIONS_MAX];
    syn_slice speakers[SYN_RAW_PIECES_MAX * 4];
    int64_t answers[SYN_RAW_QUESTIONS_MAX * ANSWERS_MAX]; /* numbers of utterances */
} dialogue;

static bool speakers_read(syn_json *j, dialogue *d, utterance *u)
{
    int index;
    syn_slice name;
    u->speaker_first = d->speaker_count;
    u->speaker_count = 0;
    if (!syn_json_enter_list(j, "\"speakers\"", &index)) return false;
    while (syn_json_next_item(j, &index)) {
        if (u->speaker_count == SPEAKERS_MAX ||
            d->speaker_count == (int)(sizeof d->speakers / sizeof d->speakers[0]))
            return syn_json_fault(j, j->at, "too many speakers in one dialogue");
        if (!syn_json_string(j, "a speaker", &name)) return false;
        d->speakers[d->speaker_count++] = name;
        d->text_bytes += name.count;
        u->speaker_count++;
    }
    return !j->fault_at;
}

static bool utterance_read(syn_json *j, dialogue *d)
{
    int index;
    syn_slice key;
    bool good, numbered = false;
    syn_json_peek(j);
    const char *start = j->at;
    if (d->utterance_count == SYN_RAW_PIECES_MAX)
        return syn_json_fault(j, start, "more than %d utterances in a dialogue",
                              SYN_RAW_PIECES_MAX);
    utterance *u = &d->utterances[d->utterance_count++];
    *u = (utterance){0};
    if (!syn_json_enter_object(j, "an utterance", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "uid")) {
            numbered = true;
            good = syn_json_integer(j, "\"uid\"", &u->uid);
        } else if (syn_slice_equal(key, "speakers")) {
            good = speakers_read(j, d, u);
        } else if (syn_slice_equal(key, "utterance")) {
            good = syn_json_string(j, "\"utterance\"", &u->text);
        } else {
            good = syn_json_skip(j);
        }
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!numbered) return syn_json_fault(j, start, "the utterance has no \"uid\"");
    if (!u->text.bytes) return syn_json_fault(j, start, "the utterance has no \"utterance\"");
    d->text_bytes += u->text.count;
    return true;
}

/* Reads the number of the utterance that an answer stands in. */
static bool answer_read(syn_json *j, dialogue *d, question *q)
{
    int index;
    syn_slice key;
    bool named = false;
    int64_t uid = 0;
    syn_json_peek(j);
    const char *start = j->at;
    if (q->answer_count == ANSWERS_MAX)
        return syn_json_fault(j, start, "more than %d answers to a question", ANSWERS_MAX);
    if (!syn_json_enter_object(j, "an answer", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        bool is_id = syn_slice_equal(key, "utterance_id");
        named |= is_id;
        if (!(is_id ? syn_json_integer(j, "\"utterance_id\"", &uid) : syn_json_skip(j)))
            return false;
    }
    if (j->fault_at) return false;
    if (!named) return syn_json_fault(j, start, "the answer has no \"utterance_id\"");
    d->answers[d->answer_count++] = uid;
    q->answer_count++;
    return true;
}

static bool answers_read(syn_json *j, dialogue *d, question *q)
{
    int index;
    d->answer_count = q->answer_first;
    q->answer_count = 0;
    if (!syn_json_enter_list(j, "\"answers\"", &index)) return false;
    while (syn_json_next_item(j, &index))
        if (!answer_read(j, d, q)) return false;
    return !j->fault_at;
}

static bool question_read(syn_json *j, dialogue *d)
{
    int index;
    syn_slice key;
    bool good;
    syn_json_peek(j);
    if (d->question_count == SYN_RAW_QUESTIONS_MAX)
        return syn_json_fault(j, j->at, "more than %d questions about a dialogue",
                              SYN_RAW_QUESTIONS_MAX);
    question *q = &d->questions[d->question_count++];
    *q = (question){.at = j->at, .answer_first = d->answer_count};
    if (!syn_json_enter_object(j, "a question of \"qas\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "id"))
            good = syn_json_string(j, "\"id\"", &q->id);
        else if (syn_slice_equal(key, "question"))
            good = syn_json_string(j, "\"question\"", &q->text);
        else if (syn_slice_equal(key, "answers"))
            good = answers_read(j, d, q);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    return !j->fault_at;
}

/* Reads a list, one item at a time, beginning anew. */
static bool list_read(syn_json *j, dialogue *d, const char *what, int *count,
                      bool (*item)(syn_json *, dialogue *))
{
    int index;
    *count = 0;
    if (!syn_json_enter_list(j, what, &index)) return false;
    while (syn_json_next_item(j, &index))
        if (!item(j, d)) return false;
    return !j->fault_at;
}

static syn_skip gold_mark(const dialogue *d, const question *q, syn_raw_record *r)
{
    for (int a = 0; a < q->answer_count; a++) {
        bool found = false;
        for (int k = 0; k < d->utterance_count && !found; k++) {
            found = d->utterances[k].uid == d->answers[q->answer_first + a];
            if (found) r->pieces[k].gold = true;
        }
        if (!found) return SYN_SKIP_MISSING_PIECE;
    }
    return syn_raw_window(r);
}

/* Hands over the record of one question. */
static bool question_take(syn_json *j, const dialogue *d, const question *q, syn_raw_record *r,
                          const syn_raw_sink *sink)
{
    syn_raw_begin(r);
    r->id = q->id;
    r->question = q->text;
    r->context = (syn_slice){d->title, d->title_bytes};
    for (int k = 0; k < d->utterance_count; k++) {
        const utterance *u = &d->utterances[k];
        if (!syn_raw_piece_add(j, r, (syn_slice){NULL, 0})) return false;
        for (int s = 0; s < u->speaker_count; s++)
            if (!syn_raw_sentence_add(j, r, d->speakers[u->speaker_first + s])) return false;
        if (!syn_raw_sentence_add(j, r, u->text)) return false;
    }
    return syn_raw_check(j, r, q->at, "id") && sink->take(sink->owner, r, gold_mark(d, q, r));
}

static bool paragraph_read(syn_json *j, dialogue *d, syn_raw_record *r, const syn_raw_sink *sink)
{
    int index;
    syn_slice key;
    bool good, has_utterances = false;
    syn_json_peek(j);
    const char *start = j->at;
    d->utterance_count = d->question_count = 0;
    if (!syn_json_enter_object(j, "a paragraph", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "utterances:")) {
            has_utterances = true;
            d->text_bytes = 0;
            d->speaker_count = 0;
            good = list_read(j, d, "\"utterances:\"", &d->utterance_count, utterance_read);
        } else if (syn_slice_equal(key, "qas")) {
            d->answer_count = 0;
            good = list_read(j, d, "\"qas\"", &d->question_count, question_read);
        } else {
            good = syn_json_skip(j);
        }
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!has_utterances) return syn_json_fault(j, start, "the paragraph has no \"utterances:\"");
    if (d->text_bytes > SYN_RAW_CONTEXT_MAX)
        return syn_json_fault(j, start, "the dialogue is longer than %d bytes",
                              SYN_RAW_CONTEXT_MAX);
    for (int q = 0; q < d->question_count; q++)
        if (!question_take(j, d, &d->questions[q], r, sink)) return false;
    return true;
}

/* The item's title may stand behind its paragraphs, which need it. */
static bool title_find(syn_json *j, dialogue *d)
{
    int index;
    syn_slice key, title = {NULL, 0};
    const char *start = j->at;
    if (!syn_json_enter_object(j, "the record", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        bool is_title = syn_slice_equal(key, "title");
        if (!(is_title ? syn_json_string(j, "\"title\"", &title) : syn_json_skip(j))) return false;
    }
    if (j->fault_at || !syn_json_finish(j)) return false;
    if (title.count < 1 || title.count > sizeof d->title)
        return syn_json_fault(j, start, "the record has no \"title\" of 1 to %d bytes",
                              SYN_RAW_ID_MAX);
    memcpy(d->title, title.bytes, title.count);
    d->title_bytes = title.count;
    syn_json_begin(j, j->begin, (size_t)(j->end - j->begin));
    return true;
}

static bool item_read(syn_json *j, dialogue *d, syn_raw_record *r, const syn_raw_sink *sink)
{
    int index, item;
    syn_slice key;
    bool has_paragraphs = false;
    const char *start = j->at;
    if (!title_find(j, d)) return false;
    if (!syn_json_enter_object(j, "the record", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (!syn_slice_equal(key, "paragraphs")) {
            if (!syn_json_skip(j)) return false;
            continue;
        }
        has_paragraphs = true;
        if (!syn_json_enter_list(j, "\"paragraphs\"", &item)) return false;
        while (syn_json_next_item(j, &item))
            if (!paragraph_read(j, d, r, sink)) return false;
        if (j->fault_at) return false;
    }
    if (j->fault_at) return false;
    return has_paragraphs || syn_json_fault(j, start, "the record has no \"paragraphs\"");
}

bool syn_friendsqa_read(syn_json *j, syn_slice name, syn_raw_record *r, const syn_raw_sink *sink)
{
    (void)name;
    dialogue *d = malloc(sizeof *d);
    if (!d) return syn_json_fault(j, j->at, "out of memory");
    bool good = item_read(j, d, r, sink);
    free(d);
    return good;
}
