#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/extractive_internal.h"

/* ---- the text of a span ---- */

static size_t put(char *out, const char *text, size_t bytes)
{
    if (bytes >= SHORT_BYTES) bytes = syn_utf8_prefix(text, SHORT_BYTES - 1);
    memcpy(out, text, bytes);
    out[bytes] = 0;
    return bytes;
}

/* Behind the digits: the rest of "1,204". */
static size_t rest_of_number(const sentence *s, size_t at)
{
    const char *text = s->text;
    size_t end = at;
    while (end + 1 < s->bytes && strchr(",.", text[end]) && text[end + 1] >= '0' &&
           text[end + 1] <= '9') {
        end++;
        while (end < s->bytes && text[end] >= '0' && text[end] <= '9') end++;
    }
    return end - at;
}

/* The length of a title without its "(film)". */
static size_t title_bytes(const sentence *s)
{
    const char *parenthesis = strchr(s->title, '(');
    size_t n =
        parenthesis && parenthesis > s->title ? (size_t)(parenthesis - s->title) : strlen(s->title);
    while (n > 0 && s->title[n - 1] == ' ') n--;
    return n;
}

/* The name by which the item calls its subject is fuller than "Winter" or "Salt Road", and more
 * common than "Paul Michael Gross": the title stands for them. */
static bool better_as_title(const reading *r, const span *x)
{
    static const char *const article[] = {"the", "a", "an", NULL};
    const sentence *s = x->s;
    int n = syn_extract_title_words(s), first = s->words;
    if (n < 2 || strchr(s->title, ',') || s->word[first + n - 1].exact != s->word[x->last].exact)
        return false;
    if (syn_extract_one_of(s->title, &s->word[first], article))
        return n == x->last - x->first + 2 && s->word[first + 1].exact == s->word[x->first].exact;
    if (r->kind != ASKED_PERSON) return false;
    return x->first == x->last || s->word[first].exact == s->word[x->first].exact;
}

static void write_span(const reading *r, const span *best, char *out)
{
    const sentence *s = best->s;
    if (best->first >= s->words || better_as_title(r, best)) {
        put(out, s->title, title_bytes(s));
        return;
    }
    const syn_word *a = &s->word[best->first], *b = &s->word[best->last];
    size_t end = b->at + b->bytes;
    if (b->number) end += rest_of_number(s, end);
    put(out, s->text + a->at, end - a->at);
}

int syn_extract_year(const sentence *s, int i)
{
    if (i < 0 || i >= s->words) return 0;
    const syn_word *w = &s->word[i];
    if (!w->number || w->bytes != 4) return 0;
    int year = atoi(s->text + w->at);
    return year >= 1000 && year <= 2999 ? year : 0;
}

/* ---- where names, numbers and days end ---- */

static const char *const months[] = {"January",  "February", "March",  "April",     "May",
                                     "June",     "July",     "August", "September", "October",
                                     "November", "December", NULL};

static bool hyphen_before(const sentence *s, int i)
{
    return s->word[i].at > 0 && s->text[s->word[i].at - 1] == '-' &&
           s->word[i - 1].at + s->word[i - 1].bytes + 1 == s->word[i].at;
}

/* Behind an opening quotation mark: the last word before the closing one, -1 without any. */
static int quoted_end(const sentence *s, int i)
{
    size_t at = s->word[i].at;
    if (at == 0 || s->text[at - 1] != '"') return -1;
    const char *close = memchr(s->text + at, '"', s->bytes - at);
    int last = -1;
    for (int k = i; close && k < s->words && s->text + s->word[k].at < close; k++) last = k;
    return last - i < 12 ? last : -1;
}

/* The last word of the name that begins at i: capitalised words, with "of", "de" and the like
 * between two of them, or all that is in quotation marks. A person is not "John of York". */
static int name_end(const reading *r, const sentence *s, int i)
{
    static const char *const inside[] = {"of", "de", "la", "van", "von", "da", "del", "the", NULL};
    static const char *const of[] = {"of", NULL};
    int last = quoted_end(s, i);
    if (last >= i) return last;
    last = i;
    for (int k = i + 1; k < s->words && s->word[k].joined; k++) {
        if (s->word[k].capital || hyphen_before(s, k) ||
            (s->word[k].number && s->word[k].bytes <= 3 && k == last + 1))
            last = k;
        else if (!syn_extract_word_in(s, k, inside) ||
                 (r->kind == ASKED_PERSON && last > i && syn_extract_word_in(s, k, of)))
            break;
    }
    while (last > i && s->word[last].stop && !hyphen_before(s, last)) last--;
    return last;
}

/* "12 May 1950", "May 12, 1950", "May 1950": from word i on; i itself where there is none. */
static int day_end(const sentence *s, int i)
{
    int k = i;
    bool month = syn_extract_word_in(s, i, months);
    if (!month && s->word[i].bytes <= 2 && syn_extract_word_in(s, i + 1, months)) {
        month = true;
        k = i + 1;
    }
    if (!month) return i;
    if (k == i && k + 1 < s->words && s->word[k + 1].number && s->word[k + 1].bytes <= 2) k++;
    return syn_extract_year(s, k + 1) ? k + 1 : k;
}

/* "1,204" and "3.5" are two words to the tokeniser: the second is no number of its own. */
static bool continues_number(const sentence *s, int i)
{
    const syn_word *before = &s->word[i - 1];
    return i > 0 && before->number && s->word[i].at == before->at + before->bytes + 1 &&
           strchr(",.", s->text[s->word[i].at - 1]);
}

static int number_end(const reading *r, const sentence *s, int i)
{
    static const char *const large[] = {"thousand", "million", "billion", "percent", NULL};
    while (i + 1 < s->words && continues_number(s, i + 1)) i++;
    if (i + 1 < s->words && s->word[i + 1].joined && syn_extract_word_in(s, i + 1, large)) i++;
    if (r->with_unit && i + 1 < s->words && s->word[i + 1].joined && !s->word[i + 1].stop) i++;
    return i;
}

/* ---- the score of a candidate ---- */

static bool in_question(const reading *r, const sentence *s, int first, int last)
{
    for (int k = first; k <= last; k++)
        if (!s->word[k].stop && syn_extract_bit(r, s->word[k].stem) < 0) return false;
    return true;
}

static bool in_title(const sentence *s, uint32_t stem)
{
    for (int k = s->words; k < s->words + s->titles; k++)
        if (s->word[k].stem == stem) return true;
    return false;
}

/* How near the span is to the question's words in its sentence, each weighted, those most that say
 * what is asked; those of the title tell only which item it is. */
static double nearness(const reading *r, const span *x)
{
    double sum = 0;
    uint64_t seen = 0;
    bool title = x->first >= x->s->words;
    int first = title ? -1 : x->first, last = title ? -1 : x->last;
    for (int k = 0; k < x->s->words; k++) {
        int bit = syn_extract_bit(r, x->s->word[k].stem);
        if (bit < 0 || (k >= first && k <= last)) continue;
        int distance = k < first ? first - k : k - last;
        double tells = in_title(x->s, r->stem[bit]) ? .4 : r->relation[bit];
        sum += (seen >> bit & 1 ? .3 : 1) * r->weight[bit] * tells / sqrt(distance);
        seen |= 1ull << bit;
    }
    return 1.5 * sum;
}

/* The words that say what is asked stand in this sentence, and not only in the others. */
static double hop_bonus(const reading *r, const chain *c, const sentence *s)
{
    double here = 0, anywhere = 0;
    for (int k = 0; k < r->stems; k++) {
        if (r->relation[k] < 1) continue;
        here += s->cover >> k & 1 ? r->weight[k] : 0;
        anywhere += c->cover >> k & 1 ? r->weight[k] : 0;
    }
    double bonus = anywhere > 0 ? .3 * here / anywhere : 0;
    if (c->count < 2 || !r->capital) return bonus;
    return bonus + .2 * (1 - (double)__builtin_popcountll(s->cover & r->capital) /
                                 (double)__builtin_popcountll(r->capital));
}

/* A name that leads from one sentence of the chain to another is less likely to be its end. */
static double bridge_penalty(const reading *r, const chain *c, const span *x)
{
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        if (s != x->s && syn_extract_has(s, x->s->word[x->last].stem))
            return r->want == SORT_NONE ? .3 : .2;
    }
    return 0;
}

/* What a sentence is about is the answer to "which film ...?", and not to "where was X ...?",
 * unless it is said to be just what is asked for. */
static double subject_bonus(const reading *r, const span *x, double agreement)
{
    bool about = x->first >= x->s->words;
    if (r->kind == ASKED_PLACE && !r->subject_given) return 0;
    about |= in_title(x->s, x->s->word[x->last].stem);
    if (r->subject_given && agreement > .8) return 0;
    if (r->subject_given) return about ? -.5 : x->first == 0 ? -.3 : 0;
    return (about ? .3 : 0) + (x->first == 0 ? .2 : 0);
}

/* "American" in "an American film". */
static bool adjective(const span *x)
{
    if (x->first >= x->s->words || x->last + 1 >= x->s->words) return false;
    const syn_word *next = &x->s->word[x->last + 1];
    return x->first > 0 && next->joined && !next->capital && !next->stop && !next->number;
}

/* A word that begins the sentence has its capital from there, unless others know it as a name. */
static bool common_opening(const span *x)
{
    const sentence *s = x->s;
    if (x->first != 0 || x->last != 0) return false;
    for (int k = s->words; k < s->words + s->titles; k++)
        if (s->word[k].exact == s->word[0].exact) return false;
    return true;
}

/* "Roderick" opens the item "Roddy Maude-Roxby" that the question names. */
static bool known_subject(const reading *r, const span *x)
{
    const sentence *s = x->s;
    if (x->first != 0 || s->titles == 0 || !s->opens) return false;
    return in_question(r, s, s->words, s->words + s->titles - 1);
}

static double adjective_penalty(const reading *r, const span *x)
{
    if (!adjective(x) || syn_extract_has_focus(r, x)) return 0;
    return r->kind == ASKED_PERSON ? .8 : x->first == x->last ? .5 : .2;
}

static void consider(const reading *r, const chain *c, span x, span *best)
{
    if (in_question(r, x.s, x.first, x.last) || known_subject(r, &x)) return;
    double agreement = syn_extract_agreement(r, &x, &x.doubtful);
    x.score = nearness(r, &x) + agreement + hop_bonus(r, c, x.s) - bridge_penalty(r, c, &x) +
              subject_bonus(r, &x, agreement) - adjective_penalty(r, &x) -
              (common_opening(&x) ? .5 : 0) -
              (syn_extract_bit(r, x.s->word[x.last].stem) >= 0 ? .2 : 0);
    if (!best->s || x.score > best->score + 1e-12) *best = x;
}

/* ---- candidates ---- */

static void scan_names(const reading *r, const chain *c, span *best)
{
    static const char *const it[] = {"it", "he", "she", "they", "his", "her", "its", NULL};
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        if (s->titles > 0 && syn_extract_word_in(s, 0, it))
            consider(r, c,
                     (span){.s = s,
                            .first = s->words,
                            .last = s->words + syn_extract_title_words(s) - 1},
                     best);
        for (int i = 0; i < s->words; i++) {
            bool quoted = quoted_end(s, i) > i;
            if (!quoted && (!s->word[i].capital || s->word[i].stop || s->word[i].number)) continue;
            span x = {.s = s, .first = i, .last = name_end(r, s, i)};
            if (!syn_extract_word_in(s, i, months) || x.last > i) consider(r, c, x, best);
            i = x.last;
        }
    }
}

static void scan_nations(const reading *r, const chain *c, span *best)
{
    static const char *const article[] = {"a", "an", NULL};
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 1; i < s->words; i++) {
            span x = {.s = s, .first = i, .last = i};
            if (!s->word[i].capital || s->word[i].stop || !adjective(&x)) continue;
            x.score = 1 + hop_bonus(r, c, s) + (syn_extract_word_in(s, i - 1, article) ? .5 : 0);
            if (!best->s || x.score > best->score + 1e-12) *best = x;
        }
    }
}

static bool participle(const sentence *s, int i)
{
    const syn_word *w = &s->word[i];
    return w->bytes > 4 && memcmp(s->text + w->at + w->bytes - 2, "ed", 2) == 0;
}

/* The common noun with its adjectives from word i on, without "Danish". */
static span role_at(const sentence *s, int i)
{
    span x = {.s = s, .first = i};
    while (x.first < s->words && (s->word[x.first].capital || s->word[x.first].number)) x.first++;
    x.last = x.first - 1;
    while (x.last + 1 < s->words && !s->word[x.last + 1].stop && !participle(s, x.last + 1) &&
           !s->word[x.last + 1].capital && (x.last < x.first || s->word[x.last + 1].joined))
        x.last++;
    return x;
}

/* "as a central defender", "is a Danish painter", "the aviator Amy Johnson". */
static void scan_roles(const reading *r, const chain *c, span *best)
{
    static const char *const as[] = {"as", NULL}, *const be[] = {"is", "was", "were", "are", NULL};
    static const char *const article[] = {"a", "an", "the", "his", "her", NULL};
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 1; i < s->words; i++) {
            bool behind = syn_extract_word_in(s, i - 1, article);
            bool role = syn_extract_word_in(s, i - 1 - behind, as);
            bool named = i + 1 < s->words && s->word[i + 1].joined && s->word[i + 1].capital &&
                         syn_extract_bit(r, s->word[i + 1].stem) >= 0 &&
                         syn_extract_sort(syn_extract_group(s->text, &s->word[i])) == SORT_PERSON;
            if (!role && !named && !(behind && syn_extract_word_in(s, i - 2, be))) continue;
            span x = role_at(s, i);
            if (x.last < x.first || in_question(r, s, x.first, x.last)) continue;
            x.score = nearness(r, &x) + hop_bonus(r, c, s) + (role || named ? .5 : 0);
            if (!best->s || x.score > best->score + 1e-12) *best = x;
        }
    }
}

/* Birth comes first in "(3 May 1901 - 4 June 1970)", and death last. */
static double life_bonus(const reading *r, const span *x)
{
    const sentence *s = x->s;
    double bonus = 0;
    for (int end = 0; end < 2; end++) {
        int bit = end == 0 ? r->born : r->died, year = s->life[end];
        if (year < x->first || year > x->last) continue;
        bonus += bit >= 0 && r->relation[bit] >= 1 ? .8 : -.2;
    }
    return bonus;
}

static void scan_years(const reading *r, const chain *c, span *best)
{
    static const char *const century[] = {"century", NULL};
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 0; i < s->words; i++) {
            int last = r->whole_date ? day_end(s, i) : i;
            bool period = syn_extract_word_in(s, i + 1, century) && s->word[i].number;
            if (period) last = i + 1;
            if (last == i && !syn_extract_year(s, i)) continue;
            span x = {.s = s, .first = i, .last = last};
            if (in_question(r, s, i, last)) continue;
            x.score = nearness(r, &x) + hop_bonus(r, c, s) + life_bonus(r, &x) +
                      (period && syn_extract_asks_for(r, century) ? .5
                       : last > i && !syn_extract_year(s, last)   ? -.2
                                                                  : 0);
            if (!best->s || x.score > best->score + 1e-12) *best = x;
            i = last;
        }
    }
}

static void scan_numbers(const reading *r, const chain *c, span *best)
{
    static const char *const words[] = {"two",   "three", "four",  "five",   "six",    "seven",
                                        "eight", "nine",  "ten",   "eleven", "twelve", "twenty",
                                        "dozen", "once",  "twice", NULL};
    for (int k = 0; k < c->count; k++) {
        const sentence *s = &r->sentence[c->at[k]];
        for (int i = 0; i < s->words; i++) {
            bool digits = s->word[i].number;
            if (!digits && !syn_extract_word_in(s, i, words)) continue;
            span x = {.s = s, .first = i, .last = number_end(r, s, i)};
            bool dated = syn_extract_year(s, i) || day_end(s, i) > i ||
                         syn_extract_word_in(s, i - 1, months);
            if (!in_question(r, s, i, x.last)) {
                x.score =
                    nearness(r, &x) + hop_bonus(r, c, s) - (dated ? .5 : 0) - (digits ? 0 : .1);
                if (!best->s || x.score > best->score + 1e-12) *best = x;
            }
            i = x.last;
        }
    }
}

/* ---- the answer ---- */

static span best_span(const reading *r, const chain *c)
{
    span best = {0};
    if (r->kind == ASKED_YEAR) scan_years(r, c, &best);
    if (r->kind == ASKED_NUMBER) scan_numbers(r, c, &best);
    if (r->kind == ASKED_NATION) scan_nations(r, c, &best);
    if (r->kind == ASKED_ROLE) scan_roles(r, c, &best);
    if (!best.s && r->kind != ASKED_YEAR && r->kind != ASKED_NUMBER) scan_names(r, c, &best);
    return best;
}

void syn_extract_answer(const reading *r, const chain *c, char out[SHORT_BYTES])
{
    *out = 0;
    if (r->kind == ASKED_YES_NO) {
        strcpy(out, syn_extract_is_true(r, c) ? "yes" : "no");
        return;
    }
    if (r->kind == ASKED_CHOICE && syn_extract_choice(r, c, out)) return;
    span best = best_span(r, c);
    if (best.s && !best.doubtful) write_span(r, &best, out);
}
