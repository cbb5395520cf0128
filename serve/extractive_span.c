#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/extractive_internal.h"

typedef struct span {
    const sentence *s;
    int first, last; /* words */
    double score;
} span;

static void write_span(const span *best, char *out)
{
    const syn_word *a = &best->s->word[best->first], *b = &best->s->word[best->last];
    size_t bytes = b->at + b->bytes - a->at;
    const char *text = best->s->text + a->at;
    /* The rest of "1,204". */
    while (b->number && a->at + bytes + 1 < best->s->bytes && strchr(",.", text[bytes]) &&
           text[bytes + 1] >= '0' && text[bytes + 1] <= '9') {
        bytes += 2;
        while (a->at + bytes < best->s->bytes && text[bytes] >= '0' && text[bytes] <= '9') bytes++;
    }
    if (bytes >= SHORT_BYTES) bytes = syn_utf8_prefix(text, SHORT_BYTES - 1);
    memcpy(out, text, bytes);
    out[bytes] = 0;
}

static bool word_is(const sentence *s, int i, const char *word)
{
    return i >= 0 && i < s->words && strlen(word) == s->word[i].bytes &&
           strncasecmp(s->text + s->word[i].at, word, s->word[i].bytes) == 0;
}

static bool any_word_is(const sentence *s, int i, const char *const *list)
{
    for (; *list; list++)
        if (word_is(s, i, *list)) return true;
    return false;
}

static bool asks_for(const reading *r, const char *const *list)
{
    for (int i = 0; i < r->question_words; i++)
        for (const char *const *word = list; *word; word++)
            if (strlen(*word) == r->question_word[i].bytes &&
                strncasecmp(r->question + r->question_word[i].at, *word, strlen(*word)) == 0)
                return true;
    return false;
}

static int year_of(const sentence *s, int i)
{
    const syn_word *w = &s->word[i];
    if (!w->number || w->bytes != 4) return 0;
    int year = atoi(s->text + w->at);
    return year >= 1000 && year <= 2999 ? year : 0;
}

/* ---- candidates ---- */

/* The last word of the name that begins at i: capitalised words, with "of", "de" and the like
 * between two of them. */
static int name_end(const sentence *s, int i)
{
    static const char *const inside[] = {"of", "de", "la", "van", "von", "da", "del", "the", NULL};
    int last = i;
    for (int k = i + 1; k < s->words && s->word[k].joined; k++) {
        if (s->word[k].capital && !s->word[k].stop)
            last = k;
        else if (!any_word_is(s, k, inside))
            break;
    }
    return last;
}

static bool in_question(const reading *r, const sentence *s, int first, int last)
{
    for (int k = first; k <= last; k++)
        if (!s->word[k].stop && syn_extract_bit(r, s->word[k].stem) < 0) return false;
    return true;
}

/* How near the span is to the question's words in its sentence, each weighted. */
static double nearness(const reading *r, const span *c)
{
    double sum = 0;
    for (int k = 0; k < c->s->words; k++) {
        int bit = syn_extract_bit(r, c->s->word[k].stem);
        if (bit < 0 || (k >= c->first && k <= c->last)) continue;
        int distance = k < c->first ? c->first - k : k - c->last;
        sum += r->weight[bit] / sqrt(distance);
    }
    return sum;
}

/* A name in several sentences of the chain links them, and is less likely to be its end. */
static double link_penalty(const reading *r, const chain *c, const span *x)
{
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        if (s != x->s && syn_extract_has(s, x->s->word[x->last].stem)) return .3;
    }
    return 0;
}

/* What a sentence is about, where the question does not say it: "which film ...?" */
static double subject_bonus(const reading *r, const span *x)
{
    bool about = false;
    if (r->kind == ASKED_PLACE) return 0;
    for (int k = x->s->words; k < x->s->words + x->s->titles; k++)
        about |= x->s->word[k].stem == x->s->word[x->last].stem;
    return (about ? .3 : 0) + (x->first == 0 ? .2 : 0);
}

/* "American" in "an American film". */
static double adjective_penalty(const reading *r, const span *x)
{
    static const char *const asked_for[] = {"nationality", NULL};
    const syn_word *next = &x->s->word[x->last + 1];
    bool before_noun = x->last + 1 < x->s->words && next->joined && !next->capital && !next->stop;
    return x->first == x->last && x->first > 0 && before_noun && !asks_for(r, asked_for) ? .5 : 0;
}

static double kind_bonus(const reading *r, const span *x)
{
    static const char *const place[] = {"in", "at", "near", "from", "of", NULL};
    static const char *const person[] = {"by", "with", "named", NULL};
    static const char *const verb[] = {"is", "was", "were", "has", "had", NULL};
    int words = x->last - x->first + 1;
    if (r->kind == ASKED_PLACE) return any_word_is(x->s, x->first - 1, place) ? .3 : 0;
    if (r->kind != ASKED_PERSON) return 0;
    return (any_word_is(x->s, x->first - 1, person) ? .2 : 0) +
           (words == 2 || words == 3 ? .1 : 0) + (any_word_is(x->s, x->last + 1, verb) ? .05 : 0);
}

/* Names of the question in the sentence: the farther hop has fewer. */
static double distance_bonus(const reading *r, const chain *c, const sentence *s)
{
    if (c->count < 2 || !r->capital) return 0;
    return .2 * (1 - (double)__builtin_popcountll(s->cover & r->capital) /
                         (double)__builtin_popcountll(r->capital));
}

static void consider(const reading *r, const chain *c, span x, span *best)
{
    if (in_question(r, x.s, x.first, x.last)) return;
    x.score = 1 + nearness(r, &x) + kind_bonus(r, &x) + distance_bonus(r, c, x.s) -
              link_penalty(r, c, &x) + subject_bonus(r, &x) - adjective_penalty(r, &x);
    if (!best->s || x.score > best->score + 1e-12) *best = x;
}

static void scan_names(const reading *r, const chain *c, span *best)
{
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 0; i < s->words; i++) {
            if (!s->word[i].capital || s->word[i].stop || s->word[i].number) continue;
            span x = {.s = s, .first = i, .last = name_end(s, i)};
            consider(r, c, x, best);
            i = x.last;
        }
    }
}

/* "1,204" and "3.5" are two words to the tokeniser: the second is no number of its own. */
static bool continues_number(const sentence *s, int i)
{
    const syn_word *before = &s->word[i - 1];
    return i > 0 && before->number && s->word[i].at == before->at + before->bytes + 1 &&
           strchr(",.", s->text[s->word[i].at - 1]);
}

static void scan_numbers(const reading *r, const chain *c, bool years, span *best)
{
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 0; i < s->words; i++)
            if (s->word[i].number && !continues_number(s, i) && (!years || year_of(s, i)))
                consider(r, c, (span){.s = s, .first = i, .last = i}, best);
    }
}

/* ---- alternatives, yes and no ---- */

/* Two names around "or" in the question, as word ranges. */
static bool alternatives(const reading *r, int range[2][2])
{
    const syn_word *w = r->question_word;
    for (int i = 1; i + 1 < r->question_words; i++) {
        if (w[i].bytes != 2 || strncasecmp(r->question + w[i].at, "or", 2) != 0) continue;
        range[0][1] = range[0][0] = i - 1;
        while (range[0][0] > 1 && w[range[0][0]].joined && w[range[0][0] - 1].capital)
            range[0][0]--;
        range[1][0] = range[1][1] = i + 1;
        while (range[1][1] + 1 < r->question_words && w[range[1][1] + 1].joined) range[1][1]++;
        return true;
    }
    return false;
}

static double mention(const reading *r, const sentence *s, const int range[2])
{
    int found = 0, all = 0;
    for (int i = range[0]; i <= range[1]; i++) {
        if (r->question_word[i].stop) continue;
        all++;
        found += syn_extract_has(s, r->question_word[i].stem);
    }
    return all > 0 ? (double)found / all : 0;
}

/* The earliest year in the best sentence about the alternative; 0 when there is none. */
static int year_about(const reading *r, const int range[2])
{
    int year = 0;
    double best = .5;
    for (int k = 0; k < r->sentences; k++) {
        double m = mention(r, &r->sentence[k], range);
        for (int i = 0; i < r->sentence[k].words && m > best; i++)
            if (year_of(&r->sentence[k], i)) {
                year = year_of(&r->sentence[k], i);
                best = m;
            }
    }
    return year;
}

static int choose(const reading *r, const chain *c, int range[2][2])
{
    static const char *const early[] = {"first", "earlier", "older", "before", "oldest", NULL};
    static const char *const late[] = {"later", "last", "younger", "newer", "after", NULL};
    int year[2] = {year_about(r, range[0]), year_about(r, range[1])};
    if (year[0] && year[1] && year[0] != year[1]) {
        if (asks_for(r, early)) return year[1] < year[0];
        if (asks_for(r, late)) return year[1] > year[0];
    }
    double said[2] = {0, 0};
    for (int k = 0; k < c->count; k++)
        for (int a = 0; a < 2; a++) {
            const sentence *s = &r->sentence[c->at[k]];
            double m = mention(r, s, range[a]) * syn_extract_covered(r, s->cover);
            if (m > said[a]) said[a] = m;
        }
    return said[1] > said[0];
}

static bool negated(const reading *r, const chain *c)
{
    static const char *const no[] = {"not", "never", "no", "neither", "nor", NULL};
    for (int k = 0; k < c->count; k++)
        for (int i = 0; i < r->sentence[c->at[k]].words; i++)
            if (any_word_is(&r->sentence[c->at[k]], i, no)) return true;
    return false;
}

void syn_extract_answer(const reading *r, const chain *c, char out[SHORT_BYTES])
{
    span best = {0};
    int range[2][2];
    *out = 0;
    if (r->kind == ASKED_YES_NO) {
        strcpy(out, negated(r, c) ? "no" : "yes");
        return;
    }
    if (r->kind == ASKED_CHOICE && alternatives(r, range)) {
        const int *a = range[choose(r, c, range)];
        const syn_word *from = &r->question_word[a[0]], *to = &r->question_word[a[1]];
        size_t bytes = to->at + to->bytes - from->at;
        if (bytes >= SHORT_BYTES) bytes = syn_utf8_prefix(r->question + from->at, SHORT_BYTES - 1);
        memcpy(out, r->question + from->at, bytes);
        out[bytes] = 0;
        return;
    }
    if (r->kind == ASKED_YEAR) scan_numbers(r, c, true, &best);
    if (r->kind == ASKED_NUMBER || (r->kind == ASKED_YEAR && !best.s))
        scan_numbers(r, c, false, &best);
    if (!best.s && r->kind != ASKED_YEAR && r->kind != ASKED_NUMBER) scan_names(r, c, &best);
    if (best.s) write_span(&best, out);
}
