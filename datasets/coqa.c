/* CoQA: conversations about a story. The file is an object whose list "data" has items {id, story,
 * questions [{input_text, turn_id}], answers [{input_text, span_start, span_end, turn_id,
 * bad_turn}]}. Every turn becomes a record, named by the story's id, '#' and the turn.
 *
 * Pieces are the story's sentences (sentences.h), without titles. Gold are those that share a
 * character with the rationale, [span_start, span_end) counted in characters of the story. The
 * question is the turn's, with the questions and answers of the two turns before it in front, as
 * far as there are any: most turns ("and?", "where is it?") say nothing without them. Turns whose
 * answer is "unknown" or that are marked bad are skipped, as questions; they stay in the history of
 * the next ones. Of a story longer than a task may be, a window is kept. Turns of one story share
 * its id as their context. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "datasets/raw_record.h"
#include "datasets/sentences.h"

enum { HISTORY_TURNS = 2 };

typedef struct turn {
    syn_slice question, answer;
    int64_t number, answer_number, span_start, span_end;
    bool bad;
    const char *at;
} turn;

typedef struct sentence {
    syn_slice text;
    int64_t start, end; /* characters of the story */
} sentence;

typedef struct conversation {
    syn_slice id, story;
    turn turns[SYN_RAW_QUESTIONS_MAX];
    int question_count, answer_count, sentence_count;
    sentence sentences[SYN_RAW_PIECES_MAX];
} conversation;

/* "bad_turn" is the text "true", or the word. */
static bool mark_read(syn_json *j, bool *mark)
{
    syn_slice text;
    if (syn_json_peek(j) != '"') return syn_json_bool(j, "\"bad_turn\"", mark);
    if (!syn_json_string(j, "\"bad_turn\"", &text)) return false;
    *mark = syn_slice_equal(text, "true");
    return true;
}

static bool turn_read(syn_json *j, conversation *c, bool is_answer)
{
    int index, *count = is_answer ? &c->answer_count : &c->question_count;
    int64_t number = -1;
    syn_slice key, text = {NULL, 0};
    bool good;
    syn_json_peek(j);
    const char *start = j->at;
    if (*count == SYN_RAW_QUESTIONS_MAX)
        return syn_json_fault(j, start, "more than %d turns about a story", SYN_RAW_QUESTIONS_MAX);
    turn *t = &c->turns[(*count)++];
    if (is_answer) {
        t->span_start = t->span_end = -1;
        t->bad = false;
    }
    if (!syn_json_enter_object(j, is_answer ? "an answer" : "a question", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "input_text"))
            good = syn_json_string(j, "\"input_text\"", &text);
        else if (syn_slice_equal(key, "turn_id"))
            good = syn_json_integer(j, "\"turn_id\"", &number);
        else if (is_answer && syn_slice_equal(key, "span_start"))
            good = syn_json_integer(j, "\"span_start\"", &t->span_start);
        else if (is_answer && syn_slice_equal(key, "span_end"))
            good = syn_json_integer(j, "\"span_end\"", &t->span_end);
        else if (is_answer && syn_slice_equal(key, "bad_turn"))
            good = mark_read(j, &t->bad);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!text.bytes) return syn_json_fault(j, start, "the turn has no \"input_text\"");
    if (number < 0) return syn_json_fault(j, start, "the turn has no \"turn_id\"");
    *(is_answer ? &t->answer : &t->question) = text;
    *(is_answer ? &t->answer_number : &t->number) = number;
    if (!is_answer) t->at = start;
    return true;
}

static bool turns_read(syn_json *j, conversation *c, bool is_answer)
{
    int index;
    *(is_answer ? &c->answer_count : &c->question_count) = 0;
    if (!syn_json_enter_list(j, is_answer ? "\"answers\"" : "\"questions\"", &index)) return false;
    while (syn_json_next_item(j, &index))
        if (!turn_read(j, c, is_answer)) return false;
    return !j->fault_at;
}

static bool fields_read(syn_json *j, conversation *c)
{
    int index;
    syn_slice key;
    bool good;
    c->id = c->story = (syn_slice){NULL, 0};
    c->question_count = c->answer_count = 0;
    if (!syn_json_enter_object(j, "the record", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "id"))
            good = syn_json_string(j, "\"id\"", &c->id);
        else if (syn_slice_equal(key, "story"))
            good = syn_json_string(j, "\"story\"", &c->story);
        else if (syn_slice_equal(key, "questions"))
            good = turns_read(j, c, false);
        else if (syn_slice_equal(key, "answers"))
            good = turns_read(j, c, true);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    return !j->fault_at && syn_json_finish(j);
}

static bool conversation_check(syn_json *j, const conversation *c, const char *start)
{
    if (!c->id.bytes) return syn_json_fault(j, start, "the record has no \"id\"");
    if (!c->story.bytes) return syn_json_fault(j, start, "the record has no \"story\"");
    if (c->story.count > SYN_RAW_CONTEXT_MAX)
        return syn_json_fault(j, start, "the story is longer than %d bytes", SYN_RAW_CONTEXT_MAX);
    if (c->question_count != c->answer_count)
        return syn_json_fault(j, start, "the record has %d questions and %d answers",
                              c->question_count, c->answer_count);
    for (int t = 0; t < c->question_count; t++)
        if (c->turns[t].number != c->turns[t].answer_number)
            return syn_json_fault(j, c->turns[t].at,
                                  "question %d is turn %" PRId64 ", answer %d is turn %" PRId64,
                                  t + 1, c->turns[t].number, t + 1, c->turns[t].answer_number);
    return true;
}

/* Characters of UTF-8 text: the bytes that do not continue one. */
static int64_t characters(const char *from, const char *to)
{
    int64_t n = 0;
    for (; from < to; from++) n += ((unsigned char)*from & 0xc0) != 0x80;
    return n;
}

static bool story_cut(syn_json *j, conversation *c, const char *start)
{
    size_t at = 0;
    int64_t seen = 0;
    const char *seen_at = c->story.bytes;
    c->sentence_count = 0;
    for (;;) {
        syn_slice text = syn_sentence_next(c->story, &at);
        if (!text.bytes) return true;
        if (c->sentence_count == SYN_RAW_PIECES_MAX)
            return syn_json_fault(j, start, "the story has more than %d sentences",
                                  SYN_RAW_PIECES_MAX);
        sentence *s = &c->sentences[c->sentence_count++];
        s->text = text;
        s->start = seen + characters(seen_at, text.bytes);
        s->end = s->start + characters(text.bytes, text.bytes + text.count);
        seen = s->end;
        seen_at = text.bytes + text.count;
    }
}

static syn_skip gold_mark(const conversation *c, const turn *t, syn_raw_record *r)
{
    bool found = false;
    if (t->bad || t->span_start < 0 || syn_slice_equal(t->answer, "unknown"))
        return SYN_SKIP_UNKNOWN;
    for (int k = 0; k < c->sentence_count && t->span_start < t->span_end; k++) {
        const sentence *s = &c->sentences[k];
        r->pieces[k].gold = s->start < t->span_end && t->span_start < s->end;
        found |= r->pieces[k].gold;
    }
    return found ? syn_raw_window(r) : SYN_SKIP_MISSING_PIECE;
}

/* Composes id and question. */
static bool texts_make(syn_json *j, const conversation *c, int last, syn_raw_record *r)
{
    static const syn_slice space = {" ", 1};
    char number[24];
    int n = snprintf(number, sizeof number, "#%" PRId64, c->turns[last].number);
    size_t from = r->text_count;
    if (!syn_raw_text_add(j, r, c->id) || !syn_raw_text_add(j, r, (syn_slice){number, (size_t)n}))
        return false;
    r->id = syn_raw_text_slice(r, from);
    from = r->text_count;
    for (int t = last > HISTORY_TURNS ? last - HISTORY_TURNS : 0; t < last; t++)
        if (!syn_raw_text_add(j, r, c->turns[t].question) || !syn_raw_text_add(j, r, space) ||
            !syn_raw_text_add(j, r, c->turns[t].answer) || !syn_raw_text_add(j, r, space))
            return false;
    if (!syn_raw_text_add(j, r, c->turns[last].question)) return false;
    r->question = syn_raw_text_slice(r, from);
    return true;
}

static bool turn_take(syn_json *j, const conversation *c, int t, syn_raw_record *r,
                      const syn_raw_sink *sink)
{
    syn_raw_begin(r);
    r->context = c->id;
    if (!texts_make(j, c, t, r)) return false;
    for (int k = 0; k < c->sentence_count; k++)
        if (!syn_raw_piece_add(j, r, (syn_slice){NULL, 0}) ||
            !syn_raw_sentence_add(j, r, c->sentences[k].text))
            return false;
    return syn_raw_check(j, r, c->turns[t].at, "id") &&
           sink->take(sink->owner, r, gold_mark(c, &c->turns[t], r));
}

bool syn_coqa_read(syn_json *j, syn_slice name, syn_raw_record *r, const syn_raw_sink *sink)
{
    (void)name;
    const char *start = j->at;
    conversation *c = malloc(sizeof *c);
    if (!c) return syn_json_fault(j, start, "out of memory");
    bool good = fields_read(j, c) && conversation_check(j, c, start) && story_cut(j, c, start);
    for (int t = 0; good && t < c->question_count; t++) good = turn_take(j, c, t, r, sink);
    free(c);
    return good;
}
