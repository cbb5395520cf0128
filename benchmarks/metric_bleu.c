/* Corpus BLEU as sacreBLEU counts it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/metric_bleu.h"

/* ---- The 13a tokeniser ---- */

typedef struct line {
    char *bytes; /* NUL-terminated */
    size_t count;
} line;

static void push(line *l, char c)
{
    l->bytes[l->count++] = c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* All ASCII punctuation but ' , - and . , and the blank. */
static bool is_separate(char c)
{
    return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static bool is_mark(char c)
{
    return c == '.' || c == ',';
}

static void replace_all(line *l, const char *what, const char *by)
{
    const size_t n = strlen(what), m = strlen(by); /* m <= n */
    char *to = l->bytes;
    for (const char *at = l->bytes; *at;) {
        if (!strncmp(at, what, n)) {
            memcpy(to, by, m);
            to += m;
            at += n;
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
    l->count = (size_t)(to - l->bytes);
}

/* Each pass goes from left to right over matches that do not overlap, as a regular expression's
 * substitution does: which of ".." is separated depends on it. */
static void separate(const line *in, line *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const char c = in->bytes[i];
        if (is_separate(c)) push(out, ' ');
        push(out, c);
        if (is_separate(c)) push(out, ' ');
    }
}

/* Bytes above 127 are parts of characters that are no digits: the pairs are the same. */
static void separate_behind(const line *in, line *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const char c = in->bytes[i];
        push(out, c);
        if (!is_digit(c) && i + 1 < in->count && is_mark(in->bytes[i + 1])) {
            push(out, ' ');
            push(out, in->bytes[++i]);
            push(out, ' ');
        }
    }
}

static void separate_before(const line *in, line *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const char c = in->bytes[i];
        if (is_mark(c) && i + 1 < in->count && !is_digit(in->bytes[i + 1])) {
            push(out, ' ');
            push(out, c);
            push(out, ' ');
            push(out, in->bytes[++i]);
        } else {
            push(out, c);
        }
    }
}

static void separate_dashes(const line *in, line *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const char c = in->bytes[i];
        push(out, c);
        if (is_digit(c) && i + 1 < in->count && in->bytes[i + 1] == '-') {
            push(out, ' ');
            push(out, in->bytes[++i]);
            push(out, ' ');
        }
    }
}

static void join_words(const line *in, line *out)
{
    bool blank = false;
    out->count = 0;
    for (size_t i = 0, step; i < in->count; i += step) {
        const int32_t code = syn_text_code(in->bytes + i, in->count - i, &step);
        if (code >= 0 && syn_text_is_space(code)) {
            blank = true;
            continue;
        }
        if (blank && out->count > 0) push(out, ' ');
        blank = false;
        memcpy(out->bytes + out->count, in->bytes + i, step);
        out->count += step;
    }
    out->bytes[out->count] = 0;
}

syn_status syn_bleu_tokens(const char *text, char **out)
{
    const size_t bytes = strlen(text);
    *out = NULL;
    if (bytes > SYN_ANSWER_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "a response has %zu bytes; at most %d are read", bytes,
                        SYN_ANSWER_BYTES_MAX);
    /* A mark becomes at most five bytes, any other byte three. */
    const size_t room = 5 * (bytes + 2) + 1;
    line a = {malloc(room), 0}, b = {malloc(room), 0};
    if (!a.bytes || !b.bytes) {
        free(a.bytes);
        free(b.bytes);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a response");
    }
    size_t end = bytes;
    while (end > 0 && syn_text_is_space((unsigned char)text[end - 1]) && text[end - 1] > 0) end--;
    a.bytes[a.count++] = ' ';
    memcpy(a.bytes + a.count, text, end);
    a.count += end;
    a.bytes[a.count++] = ' ';
    a.bytes[a.count] = 0;
    replace_all(&a, "<skipped>", "");
    replace_all(&a, "-\n", "");
    replace_all(&a, "\n", " ");
    replace_all(&a, "&quot;", "\"");
    replace_all(&a, "&amp;", "&");
    replace_all(&a, "&lt;", "<");
    replace_all(&a, "&gt;", ">");
    separate(&a, &b);
    separate_behind(&b, &a);
    separate_before(&a, &b);
    separate_dashes(&b, &a);
    join_words(&a, &b);
    free(a.bytes);
    *out = b.bytes;
    return SYN_OK;
}

/* ---- Counts ---- */

typedef struct gram {
    int32_t word[SYN_BLEU_ORDER]; /* numbers of words; beyond the order 0 */
} gram;

typedef struct token {
    const char *text;
    size_t bytes;
    int32_t at; /* its place among the words of both segments */
} token;

static int by_text(const void *x, const void *y)
{
    const token *a = x, *b = y;
    const int order = memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int by_words(const void *x, const void *y)
{
    const gram *a = x, *b = y;
    for (int k = 0; k < SYN_BLEU_ORDER; k++) {
        if (a->word[k] != b->word[k]) return a->word[k] < b->word[k] ? -1 : 1;
    }
    return 0;
}

static int32_t split(const char *text, token *out, int32_t from)
{
    int32_t n = from;
    while (*text) {
        const size_t bytes = strcspn(text, " ");
        out[n] = (token){text, bytes, n};
        n++;
        text += bytes + (text[bytes] == ' ');
    }
    return n;
}

static int32_t grams(const int32_t *word, int32_t words, int order, gram *out)
{
    int32_t n = 0;
    for (; n + order <= words; n++) {
        out[n] = (gram){{0}};
        memcpy(out[n].word, word + n, (size_t)order * sizeof *word);
    }
    if (n > 1) qsort(out, (size_t)n, sizeof *out, by_words);
    return n;
}

static void count(syn_bleu *b, const int32_t *word, int32_t hypothesis, int32_t reference,
                  gram *room)
{
    gram *h = room, *r = room + hypothesis + 1;
    for (int order = 1; order <= SYN_BLEU_ORDER; order++) {
        const int32_t nh = grams(word, hypothesis, order, h);
        const int32_t nr = grams(word + hypothesis, reference, order, r);
        b->total[order - 1] += nh;
        for (int32_t i = 0, j = 0; i < nh && j < nr;) {
            const int way = by_words(&h[i], &r[j]);
            b->matched[order - 1] += way == 0;
            i += way <= 0;
            j += way >= 0;
        }
    }
    b->hypothesis_words += hypothesis;
    b->reference_words += reference;
}

syn_status syn_bleu_add(syn_bleu *b, const char *hypothesis, const char *reference)
{
    char *h = NULL, *r = NULL;
    token *tokens = NULL;
    int32_t *word = NULL;
    gram *room = NULL;
    syn_status st;
    SYN_TRY(syn_bleu_tokens(hypothesis, &h));
    SYN_TRY(syn_bleu_tokens(reference, &r));
    const size_t most = (strlen(h) + strlen(r)) / 2 + 4; /* words of one byte and a blank */
    tokens = malloc(most * sizeof *tokens);
    word = malloc(most * sizeof *word);
    room = malloc((most + 1) * sizeof *room);
    if (!tokens || !word || !room) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a response's words");
        goto done;
    }
    const int32_t nh = split(h, tokens, 0), n = split(r, tokens, nh);
    if (n > 1) qsort(tokens, (size_t)n, sizeof *tokens, by_text);
    for (int32_t i = 0, number = 0; i < n; i++) {
        number += i == 0 || by_text(&tokens[i - 1], &tokens[i]);
        word[tokens[i].at] = number;
    }
    count(b, word, nh, n - nh, room);
done:
    free(h);
    free(r);
    free(tokens);
    free(word);
    free(room);
    return st;
}

/* orders: how many of them count. */
static double score(const syn_bleu *b, int orders)
{
    double logs = 0, penalty = 1, smooth = 1;
    bool any = false;
    for (int k = 0; k < SYN_BLEU_ORDER; k++) any |= b->matched[k] > 0;
    if (!any) return 0;
    if (b->hypothesis_words < b->reference_words)
        penalty = exp(1 - (double)b->reference_words / (double)b->hypothesis_words);
    for (int k = 0; k < orders; k++) {
        /* No segment is this long: sacreBLEU takes the logarithm of 0 as -9999999999. */
        if (b->total[k] == 0) return 0;
        if (b->matched[k] == 0) {
            smooth *= 2;
            logs += log(100.0 / (smooth * (double)b->total[k]));
        } else {
            logs += log(100.0 * (double)b->matched[k] / (double)b->total[k]);
        }
    }
    return penalty * exp(logs / orders);
}

double syn_bleu_score(const syn_bleu *b)
{
    return score(b, SYN_BLEU_ORDER);
}

double syn_bleu_sentence(const syn_bleu *b)
{
    int orders = 0;
    while (orders < SYN_BLEU_ORDER && b->total[orders] > 0) orders++;
    return orders ? score(b, orders) : 0;
}
