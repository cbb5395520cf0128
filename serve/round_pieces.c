/* Documents into pieces, and pieces to agents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/round_internal.h"
#include "serve/similar.h"
#include "serve/words.h"

enum { CUTS_MAX = 65536 }; /* pieces before the choice; more are refused */

typedef struct cut {
    int document, part;
    const char *text;
    size_t bytes;
} cut;

typedef struct cutter {
    cut *cuts;
    int room, count, document, part;
    bool failed; /* out of memory */
    const char *text;
    size_t begin, end; /* of the piece under way; empty when equal */
    int words;
} cutter;

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void keep_cut(cutter *c)
{
    if (c->count == c->room) {
        const int room = c->room ? 2 * c->room : 16;
        cut *more = realloc(c->cuts, (size_t)room * sizeof *more);
        c->failed = c->failed || !more;
        if (!more) return;
        c->cuts = more;
        c->room = room;
    }
    c->cuts[c->count++] = (cut){c->document, ++c->part, c->text + c->begin, c->end - c->begin};
}

static void flush(cutter *c)
{
    while (c->begin < c->end && blank(c->text[c->begin])) c->begin++;
    while (c->begin < c->end && blank(c->text[c->end - 1])) c->end--;
    if (c->begin < c->end && c->count <= CUTS_MAX) keep_cut(c);
    c->begin = c->end;
    c->words = 0;
}

/* Adds text[at, end) to the piece under way, or begins a new one where it would grow too long. */
static void add(cutter *c, size_t at, size_t end, int words)
{
    if (c->words > 0 && c->words + words > SYN_PIECE_WORDS_MAX) flush(c);
    if (c->words == 0) c->begin = at;
    c->end = end;
    c->words += words;
}

static void add_long_sentence(cutter *c, size_t at, size_t end)
{
    while (at < end) {
        size_t bytes = syn_words_prefix(c->text + at, SYN_PIECE_WORDS_MAX);
        size_t stop = bytes == 0 || at + bytes > end ? end : at + bytes;
        add(c, at, stop, syn_word_count(c->text + at, stop - at));
        at = stop;
    }
}

static void add_paragraph(cutter *c, size_t at, size_t end)
{
    int words = syn_word_count(c->text + at, end - at);
    if (words <= SYN_PIECE_WORDS_MAX) {
        if (words > 0) add(c, at, end, words);
        return;
    }
    flush(c);
    while (at < end) {
        size_t stop = syn_sentence_end(c->text, end, at);
        if (stop == at) stop++;
        int n = syn_word_count(c->text + at, stop - at);
        if (n > SYN_PIECE_WORDS_MAX)
            add_long_sentence(c, at, stop);
        else if (n > 0)
            add(c, at, stop, n);
        at = stop;
    }
    flush(c);
}

static size_t paragraph_end(const char *text, size_t bytes, size_t at)
{
    for (size_t i = at; i < bytes; i++) {
        if (text[i] != '\n') continue;
        size_t j = i + 1;
        while (j < bytes && (text[j] == ' ' || text[j] == '\t' || text[j] == '\r')) j++;
        if (j < bytes && text[j] == '\n') return j + 1;
    }
    return bytes;
}

static void cut_document(cutter *c, int document, const char *text)
{
    size_t bytes = strlen(text);
    c->document = document;
    c->text = text;
    c->part = c->words = 0;
    c->begin = c->end = 0;
    for (size_t at = 0; at < bytes;) {
        size_t end = paragraph_end(text, bytes, at);
        add_paragraph(c, at, end);
        at = end;
    }
    flush(c);
}

/* keep[k] for the SYN_TEAM_PIECES_MAX cuts nearest to the question; ties to the earlier one. */
static syn_status choose(syn_round *r, const cut *cuts, int count, bool *keep)
{
    syn_status st = SYN_OK;
    const char **titles = calloc((size_t)count, sizeof *titles);
    char **texts = calloc((size_t)count, sizeof *texts);
    double *cosine = calloc((size_t)count, sizeof *cosine);
    if (!titles || !texts || !cosine) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %d pieces", count);
        goto done;
    }
    for (int k = 0; k < count; k++) {
        titles[k] = r->config.documents[cuts[k].document].title;
        texts[k] = strndup(cuts[k].text, cuts[k].bytes);
        if (texts[k]) continue;
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %d pieces", count);
        goto done;
    }
    SYN_TRY(syn_similar_to(r->config.question, titles, (const char *const *)texts, count, cosine));
    for (int n = 0; n < SYN_TEAM_PIECES_MAX; n++) {
        int best = -1;
        for (int k = 0; k < count; k++)
            if (!keep[k] && (best < 0 || cosine[k] > cosine[best])) best = k;
        keep[best] = true;
    }
done:
    for (int k = 0; texts && k < count; k++) free(texts[k]);
    free(titles);
    free(texts);
    free(cosine);
    return st;
}

static void give(syn_round *r, const cut *c, const uint32_t *holders)
{
    syn_team *t = &r->team;
    int k = t->item_count++;
    char id[16];
    snprintf(id, sizeof id, "p%d", k + 1);
    t->piece_count = t->item_count;
    t->items[k] = (syn_team_item){.id = syn_arena_text(&r->arena, id),
                                  .title = r->config.documents[c->document].title,
                                  .text = syn_arena_text_n(&r->arena, c->text, c->bytes),
                                  .serial = ++r->serial_next,
                                  .author = -1};
    for (int i = 0; i < t->agents; i++) {
        if (holders[c->document] >> i & 1) {
            t->own[i] |= 1ull << k;
            t->giver[i][k] = (int8_t)i;
        }
    }
}

static void give_or_skip(syn_round *r, const cutter *c, const bool *keep, const uint32_t *holders)
{
    const int spare = c->count > SYN_TEAM_PIECES_MAX ? c->count - SYN_TEAM_PIECES_MAX : 0;
    syn_skipped_piece *list = syn_arena_alloc(&r->arena, sizeof *list * (size_t)(spare + 1));
    for (int k = 0; list && k < c->count; k++) {
        if (keep[k])
            give(r, &c->cuts[k], holders);
        else
            list[r->reply.skipped_count++] =
                (syn_skipped_piece){r->config.documents[c->cuts[k].document].id, c->cuts[k].part};
    }
    r->reply.skipped = list;
    for (int i = 0; i < r->team.agents; i++) r->team.holds[i] = r->team.own[i];
}

syn_status syn_round_deal(syn_round *r)
{
    const syn_round_config *config = &r->config;
    if (config->document_count == 0) return SYN_OK;
    syn_status st = SYN_OK;
    uint32_t holders[SYN_ROUND_DOCUMENTS_MAX];
    cutter c = {0};
    bool *keep = NULL;
    for (int k = 0, dealt = 0; k < config->document_count; k++) {
        cut_document(&c, k, config->documents[k].text);
        holders[k] = config->documents[k].agents;
        if (holders[k] == 0) holders[k] = 1u << (dealt++ % config->agents);
    }
    if (c.count > CUTS_MAX) {
        st = syn_fail(SYN_ERR_INVALID, "documents make more than %d pieces", CUTS_MAX);
        goto done;
    }
    if (c.count == 0 && !c.failed) {
        st = syn_fail(SYN_ERR_INVALID, "documents hold no words");
        goto done;
    }
    keep = calloc((size_t)c.count + 1, sizeof *keep);
    if (!keep || c.failed) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the documents");
        goto done;
    }
    if (c.count > SYN_TEAM_PIECES_MAX)
        SYN_TRY(choose(r, c.cuts, c.count, keep));
    else
        memset(keep, true, (size_t)c.count);
    give_or_skip(r, &c, keep, holders);
    if (r->arena.failed) st = syn_fail(SYN_ERR_MEMORY, "out of memory for the pieces");
done:
    free(c.cuts);
    free(keep);
    return st;
}
