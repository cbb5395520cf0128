#include <string.h>

#include "serve/extractive_internal.h"

/* ---- alternatives ---- */

static const char *const article[] = {"the", "a", "an", NULL};

/* The word range of the name that ends, or begins, at word i of the question. */
static void name_around(const reading *r, int i, bool ends, int range[2])
{
    const syn_word *w = r->question_word;
    range[0] = range[1] = i;
    while (ends && range[0] > 1 && w[range[0]].joined && w[range[0] - 1].capital) range[0]--;
    while (!ends && range[1] + 1 < r->question_words && w[range[1] + 1].joined) range[1]++;
}

/* Two names around "or" in the question, as word ranges; around "and" after "between". */
static bool alternatives(const reading *r, int range[2][2])
{
    static const char *const either[] = {"or", NULL}, *const both[] = {"or", "and", NULL};
    static const char *const between[] = {"between", NULL};
    const syn_word *w = r->question_word;
    if (r->question_words == 0) return false;
    bool opened = syn_extract_one_of(r->question, &w[0], between);
    for (int i = 1; i + 1 < r->question_words; i++) {
        if (!syn_extract_one_of(r->question, &w[i], opened ? both : either)) continue;
        int next = i + 1;
        if (next + 1 < r->question_words && syn_extract_one_of(r->question, &w[next], article))
            next++;
        name_around(r, i - 1, true, range[0]);
        name_around(r, next, false, range[1]);
        return true;
    }
    return false;
}

bool syn_extract_names_alternatives(const reading *r)
{
    int range[2][2];
    return alternatives(r, range) && r->question_word[range[0][1]].capital &&
           r->question_word[range[1][0]].capital;
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
            if (syn_extract_year(&r->sentence[k], i)) {
                year = syn_extract_year(&r->sentence[k], i);
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
        if (syn_extract_asks_for(r, early)) return year[1] < year[0];
        if (syn_extract_asks_for(r, late)) return year[1] > year[0];
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

bool syn_extract_choice(const reading *r, const chain *c, char out[SHORT_BYTES])
{
    int range[2][2];
    if (!alternatives(r, range)) return false;
    const int *a = range[choose(r, c, range)];
    const syn_word *from = &r->question_word[a[0]], *to = &r->question_word[a[1]];
    size_t bytes = to->at + to->bytes - from->at;
    if (bytes >= SHORT_BYTES) bytes = syn_utf8_prefix(r->question + from->at, SHORT_BYTES - 1);
    memcpy(out, r->question + from->at, bytes);
    out[bytes] = 0;
    return true;
}

/* ---- yes and no ---- */

static bool negated(const reading *r, const chain *c)
{
    static const char *const no[] = {"not", "never", "no", "neither", "nor", NULL};
    for (int k = 0; k < c->count; k++)
        for (int i = 0; i < r->sentence[c->at[k]].words; i++)
            if (syn_extract_word_in(&r->sentence[c->at[k]], i, no)) return true;
    return false;
}

/* Two names around "and" in "Are X and Y ...?". */
static bool two_subjects(const reading *r, int range[2][2])
{
    static const char *const both[] = {"and", NULL};
    const syn_word *w = r->question_word;
    for (int i = 1; i + 1 < r->question_words; i++) {
        if (!syn_extract_one_of(r->question, &w[i], both)) continue;
        int next = i + 1;
        if (next + 1 < r->question_words && syn_extract_one_of(r->question, &w[next], article))
            next++;
        if (!w[i - 1].capital || !w[next].capital) continue;
        name_around(r, i - 1, true, range[0]);
        range[1][0] = range[1][1] = next;
        while (range[1][1] + 1 < r->question_words && w[range[1][1] + 1].joined &&
               w[range[1][1] + 1].capital)
            range[1][1]++;
        return true;
    }
    return false;
}

/* The opening sentence of the item whose title is the subject, -1: none. */
static int opening_about(const reading *r, const int range[2])
{
    int best = -1;
    double most = .6;
    for (int k = 0; k < r->sentences; k++) {
        double m = mention(r, &r->sentence[k], range);
        if (!r->sentence[k].opens || m <= most) continue;
        most = m;
        best = k;
    }
    return best;
}

static uint64_t said_by_item(const reading *r, int item)
{
    uint64_t cover = 0;
    for (int k = 0; k < r->sentences; k++)
        if (r->sentence[k].item == item) cover |= r->sentence[k].cover;
    return cover;
}

static bool is_acronym(const sentence *s, int i)
{
    const char *text = s->text + s->word[i].at;
    return s->word[i].bytes > 1 && text[1] >= 'A' && text[1] <= 'Z';
}

/* A name of both sentences that is not in the question, and no acronym. */
static bool share_a_name(const reading *r, const sentence *a, const sentence *b)
{
    for (int i = 0; i < a->words; i++) {
        const syn_word *w = &a->word[i];
        if (!w->capital || w->stop || is_acronym(a, i) || syn_extract_bit(r, w->stem) >= 0)
            continue;
        for (int k = 0; k < b->words; k++)
            if (b->word[k].capital && b->word[k].exact == w->exact) return true;
    }
    return false;
}

/* "Are X and Y both German bands?", "... from the same country?": of each what is said of it. */
static bool true_of_both(const reading *r, int range[2][2], const int opening[2])
{
    static const char *const same[] = {"same", NULL};
    const sentence *a = &r->sentence[opening[0]], *b = &r->sentence[opening[1]];
    if (syn_extract_asks_for(r, same)) return share_a_name(r, a, b);
    uint64_t told = 0;
    for (int k = 0; k < r->stems; k++) {
        int i = r->stem_word[k];
        if (i > range[1][1]) told |= 1ull << k;
    }
    double all = syn_extract_covered(r, told);
    return all > 0 && syn_extract_covered(r, told & said_by_item(r, a->item)) >= .5 * all &&
           syn_extract_covered(r, told & said_by_item(r, b->item)) >= .5 * all;
}

bool syn_extract_is_true(const reading *r, const chain *c)
{
    int range[2][2];
    if (two_subjects(r, range)) {
        int opening[2] = {opening_about(r, range[0]), opening_about(r, range[1])};
        if (opening[0] >= 0 && opening[1] >= 0 && opening[0] != opening[1])
            return true_of_both(r, range, opening);
    }
    return !negated(r, c);
}
