/* Texts of the public API: checked, tokenised, made into a task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/scorer.h"
#include "engine/syncog_private.h"
#include "engine/text.h"

syn_status syn_text_check(const char *name, const char *text, size_t max, size_t *bytes)
{
    SYN_REQUIRE(text, "%s is NULL", name);
    const size_t n = strnlen(text, max + 1);
    if (n > max) {
        return syn_fail(SYN_ERR_LIMIT, "%s is longer than %zu bytes, the most that is read", name,
                        max);
    }
    for (size_t at = 0; at < n;) {
        int32_t code;
        const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                       (utf8proc_ssize_t)(n - at), &code);
        if (step <= 0) return syn_fail(SYN_ERR_FORMAT, "%s is not UTF-8 at byte %zu", name, at);
        at += (size_t)step;
    }
    *bytes = n;
    return SYN_OK;
}

/* A token takes a byte and something between it and the next. */
static size_t tokens_max(size_t bytes)
{
    return bytes / 2 + 1;
}

syn_status syn_question_read(const char *question, uint32_t **tokens, int32_t *count)
{
    size_t bytes, n;
    SYN_RETURN_IF(syn_text_check("the question", question, SYN_QUESTION_BYTES_MAX, &bytes));
    uint32_t *t = malloc(sizeof *t * tokens_max(bytes));
    if (!t) return syn_fail(SYN_ERR_MEMORY, "out of memory for the question");
    syn_text_tokenise(question, bytes, t, tokens_max(bytes), &n);
    if (n == 0) {
        free(t);
        return syn_fail(SYN_ERR_INVALID, "the question has no words");
    }
    *tokens = t;
    *count = (int32_t)n;
    return SYN_OK;
}

typedef struct lengths {
    size_t title[SYN_ROWS_MAX], text[SYN_ROWS_MAX], tokens_max;
} lengths;

static syn_status pieces_check(const syn_document *pieces, int count, lengths *out)
{
    SYN_REQUIRE(pieces, "pieces is NULL");
    SYN_REQUIRE(count >= 1, "there are no pieces: a session needs at least one");
    if (count > SYN_ROWS_MAX) {
        return syn_fail(SYN_ERR_LIMIT, "%d pieces are too many, at most %d fit", count,
                        SYN_ROWS_MAX);
    }
    for (int r = 0; r < count; r++) {
        char name[40];
        const char *title = pieces[r].title ? pieces[r].title : "";
        snprintf(name, sizeof name, "the title of pieces[%d]", r);
        SYN_RETURN_IF(syn_text_check(name, title, SYN_TITLE_BYTES_MAX, &out->title[r]));
        snprintf(name, sizeof name, "the text of pieces[%d]", r);
        SYN_RETURN_IF(syn_text_check(name, pieces[r].text, SYN_DOCUMENT_BYTES_MAX, &out->text[r]));
        out->tokens_max += tokens_max(out->title[r]) + tokens_max(out->text[r]);
    }
    return SYN_OK;
}

/* The rows of a task from the pieces; outputs are as before on failure. */
static syn_status pieces_build(const syn_model *m, const uint32_t *question, int32_t question_count,
                               const syn_document *pieces, int count, const syn_tasks *to,
                               uint32_t *claims)
{
    lengths length = {0};
    syn_piece_text piece[SYN_ROWS_MAX];
    uint32_t mask = 0;
    SYN_RETURN_IF(pieces_check(pieces, count, &length));
    uint32_t *tokens = malloc(sizeof *tokens * length.tokens_max), *at = tokens;
    if (!tokens) return syn_fail(SYN_ERR_MEMORY, "out of memory for the words of the pieces");
    for (int r = 0; r < count; r++) {
        size_t n = 0;
        if (length.title[r] > 0) {
            syn_text_tokenise(pieces[r].title, length.title[r], at, tokens_max(length.title[r]),
                              &n);
        }
        piece[r].title = at;
        piece[r].title_count = (int32_t)n;
        at += n;
        syn_text_tokenise(pieces[r].text, length.text[r], at, tokens_max(length.text[r]), &n);
        piece[r].body = at;
        piece[r].body_count = (int32_t)n;
        at += n;
        piece[r].claim = pieces[r].claim;
        if (pieces[r].claim) mask |= 1u << r;
    }
    syn_status st = syn_task_build(m->idf, m->table, question, question_count, piece, count,
                                   !(m->perception.without & SYN_WITHOUT_TITLES), to->quest,
                                   to->pair, to->e, to->q);
    free(tokens);
    if (st == SYN_OK) *claims = mask;
    return st;
}

syn_status syn_pieces_read(syn_session *s, const syn_document *pieces, int count)
{
    uint32_t claims = 0;
    SYN_RETURN_IF(pieces_build(&s->engine->model, s->question, s->question_count, pieces, count,
                               &s->tasks, &claims));
    s->rows = count;
    s->claims = claims;
    s->known = false;
    return SYN_OK;
}

syn_status syn_scorer_task_read(const syn_model *model, const char *question,
                                const syn_document *pieces, int count, syn_scorer_task *out)
{
    uint32_t *tokens = NULL, claims = 0;
    int32_t n = 0;
    real e[SYN_ROWS_MAX * SYN_DE], q[SYN_DE]; /* which no network reads */
    SYN_REQUIRE(model && out, "syn_scorer_task_read: model or task is NULL");
    SYN_RETURN_IF(syn_question_read(question, &tokens, &n));
    const syn_tasks to = {.count = 1, .quest = out->quest, .pair = out->pair, .e = e, .q = q};
    const syn_status st = pieces_build(model, tokens, n, pieces, count, &to, &claims);
    free(tokens);
    if (st != SYN_OK) return st;
    out->rows = count;
    out->claims = claims;
    return SYN_OK;
}
