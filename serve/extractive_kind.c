#include <string.h>

#include "serve/extractive_internal.h"

/* Common nouns that say what a name stands for; those of a group are near enough to each other. */
static const struct {
    sort of;
    const char *nouns;
} groups[] = {
    {SORT_PERSON, " actor actress star comedian "},
    {SORT_PERSON, " director filmmaker producer screenwriter "},
    {SORT_PERSON, " singer vocalist musician frontman songwriter rapper guitarist drummer "},
    {SORT_PERSON, " writer author novelist poet playwright journalist "},
    {SORT_PERSON, " politician president premier minister senator governor mayor chancellor "},
    {SORT_PERSON, " king queen emperor prince princess duke nobleman "},
    {SORT_PERSON, " player footballer driver athlete coach boxer cricketer skier golfer "},
    {SORT_PERSON, " painter sculptor artist architect photographer composer "},
    {SORT_PERSON, " scientist physicist chemist botanist engineer inventor surveyor explorer "
                  "mathematician philosopher physician surgeon astronomer "},
    {SORT_PERSON,
     " man woman person founder wife husband father mother son daughter brother sister "
     "lawyer businessman soldier officer general bishop pope saint character "},
    {SORT_PLACE, " city town village municipality settlement hamlet commune capital port suburb "},
    {SORT_PLACE, " country nation kingdom republic "},
    {SORT_PLACE, " state province county region district territory prefecture department "},
    {SORT_PLACE, " river stream brook creek canal "},
    {SORT_PLACE, " lake sea ocean bay gulf reservoir "},
    {SORT_PLACE, " mountain peak hill volcano mount summit "},
    {SORT_PLACE, " island archipelago peninsula "},
    {SORT_PLACE, " continent "},
    {SORT_PLACE, " stadium arena venue theatre theater hall "},
    {SORT_PLACE, " building museum castle palace park bridge street airport station church "},
    {SORT_WORK, " film movie documentary "},
    {SORT_WORK, " song single track hymn "},
    {SORT_WORK, " album ep soundtrack "},
    {SORT_WORK, " book novel story poem play memoir "},
    {SORT_WORK, " series show sitcom programme program opera episode "},
    {SORT_WORK, " magazine newspaper journal "},
    {SORT_WORK, " game "},
    {SORT_BODY, " band group duo trio quartet orchestra "},
    {SORT_BODY, " team club franchise "},
    {SORT_BODY, " company firm corporation manufacturer studio label publisher brand airline "
                "retailer chain house "},
    {SORT_BODY, " university college school academy institute "},
    {SORT_BODY, " party organisation organization agency league association society "},
    {SORT_OTHER, " award prize medal "},
    {SORT_OTHER, " language "},
    {SORT_OTHER, " battle war campaign "},
    {SORT_OTHER, " ship vessel steamer frigate "},
    {SORT_OTHER, " genus species plant tree flower animal bird fish breed "},
};
enum { GROUPS = sizeof groups / sizeof *groups, NOUN_BYTES_MAX = 24, SAYING_WORDS_MAX = 14 };

_Static_assert(GROUPS <= 64, "one bit for each group");

static int group_of(const char *noun, size_t bytes)
{
    char look[NOUN_BYTES_MAX + 4] = " ";
    memcpy(look + 1, noun, bytes);
    memcpy(look + 1 + bytes, " ", 2);
    for (int g = 0; g < GROUPS; g++)
        if (strstr(groups[g].nouns, look)) return g;
    return -1;
}

int syn_extract_group(const char *text, const syn_word *w)
{
    char noun[NOUN_BYTES_MAX];
    size_t n = w->bytes;
    if (n < 2 || n >= NOUN_BYTES_MAX) return -1;
    for (size_t i = 0; i < n; i++) {
        char c = text[w->at + i];
        noun[i] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
    }
    int g = group_of(noun, n);
    if (g >= 0 || noun[n - 1] != 's') return g;
    g = group_of(noun, n - 1);
    if (g >= 0 || n < 4 || memcmp(noun + n - 3, "ies", 3) != 0) return g;
    noun[n - 3] = 'y';
    return group_of(noun, n - 2);
}

sort syn_extract_sort(int group)
{
    return group < 0 ? SORT_NONE : groups[group].of;
}

static uint64_t group_bit(const sentence *s, int i)
{
    if (i < 0 || i >= s->words + s->titles) return 0;
    int g = syn_extract_group(i < s->words ? s->text : s->title, &s->word[i]);
    return g < 0 ? 0 : 1ull << g;
}

/* The groups in "a 1987 drama film" or "a surveyor and botanist", from word i on. */
static uint64_t phrase_groups(const sentence *s, int i)
{
    static const char *const ends[] = {"of",  "in",   "from",    "by", "that", "who",
                                       "for", "with", "located", "at", "on",   NULL};
    uint64_t found = 0;
    for (int k = i; k < s->words && k < i + SAYING_WORDS_MAX; k++) {
        if (syn_extract_word_in(s, k, ends)) break;
        if (!s->word[k].capital) found |= group_bit(s, k);
    }
    return found;
}

/* Behind the name: "is a harbour town", ", a harbour town". */
static uint64_t said_behind(const sentence *s, int last)
{
    static const char *const be[] = {"is", "was", "are", "were", NULL};
    static const char *const article[] = {"a", "an", "the", NULL};
    int i = last + 1;
    if (i >= s->words) return 0;
    if (syn_extract_word_in(s, i, be)) return phrase_groups(s, i + 1);
    return !s->word[i].joined && syn_extract_word_in(s, i, article) ? phrase_groups(s, i) : 0;
}

/* The first sentence of an item says what its title is: "X (born ...) is a ...". */
static uint64_t said_at_opening(const sentence *s)
{
    static const char *const be[] = {"is", "was", "are", "were", NULL};
    for (int i = 0; i < s->words && i < 40; i++)
        if (syn_extract_word_in(s, i, be)) return phrase_groups(s, i + 1);
    return 0;
}

int syn_extract_title_words(const sentence *s)
{
    const char *parenthesis = strchr(s->title, '(');
    int n = s->titles;
    while (n > 1 && parenthesis && s->title + s->word[s->words + n - 1].at > parenthesis) n--;
    return n;
}

static bool is_title(const span *x, const sentence *s)
{
    int n = syn_extract_title_words(s);
    if (n == 0) return false;
    const syn_word *a = &x->s->word[x->first], *b = &x->s->word[x->last];
    const syn_word *c = &s->word[s->words], *d = &s->word[s->words + n - 1];
    return b->exact == d->exact && (a->exact == c->exact || x->first == x->last) &&
           (n > 1 || x->first == x->last);
}

/* What the items say outright about the name: a bit for each group. */
static uint64_t said_of(const reading *r, const span *x)
{
    uint64_t found = 0;
    for (int k = 0; k < r->sentences; k++) {
        const sentence *s = &r->sentence[k];
        if (!s->opens || !is_title(x, s)) continue;
        found |= said_at_opening(s);
        for (int i = syn_extract_title_words(s); i < s->titles; i++)
            found |= group_bit(s, s->words + i);
    }
    if (x->first >= x->s->words) return found;
    return found | said_behind(x->s, x->last);
}

/* "the town of X", "the river X", "1975 film X", "its capital is X", "River X", "X University". */
static uint64_t said_beside(const span *x)
{
    static const char *const of[] = {"of", "the", "called", "named", "is", "was", NULL};
    const sentence *s = x->s;
    int before = x->first - 1;
    uint64_t found = 0;
    if (x->last > x->first) found = group_bit(s, x->first) | group_bit(s, x->last);
    if (x->first >= s->words || x->first == 0 || !s->word[x->first].joined) return found;
    while (before > 0 && syn_extract_word_in(s, before, of) && s->word[before].joined) before--;
    return found | (s->word[before].capital ? 0 : group_bit(s, before));
}

static bool of_sort(uint64_t found, sort want)
{
    for (int g = 0; g < GROUPS; g++)
        if (found >> g & 1 && groups[g].of == want) return true;
    return false;
}

/* Prepositions, quotation marks and the form of a name are hints only. */
static double hints(const reading *r, const span *x)
{
    static const char *const place[] = {"in", "at", "near", "from", "of", NULL};
    static const char *const person[] = {"by", "with", "named", NULL};
    static const char *const verb[] = {"is", "was", "were", "has", "had", NULL};
    const sentence *s = x->s;
    int words = x->last - x->first + 1;
    bool quoted =
        x->first < s->words && s->word[x->first].at > 0 && s->text[s->word[x->first].at - 1] == '"';
    bool in = syn_extract_word_in(s, x->first - 1, place);
    if (r->want == SORT_PLACE) return (in ? .3 : 0) - (quoted ? .4 : 0);
    if (r->want == SORT_WORK) return quoted ? .4 : 0;
    if (r->want != SORT_PERSON) return 0;
    return (syn_extract_word_in(s, x->first - 1, person) ? .3 : 0) +
           (words == 2 || words == 3 ? .2 : 0) +
           (syn_extract_word_in(s, x->last + 1, verb) ? .05 : 0) - (quoted ? .4 : 0) -
           (in && !syn_extract_word_in(s, x->first - 1, (const char *const[]){"of", NULL}) ? .3
                                                                                           : 0);
}

/* "What medal ...": "Medal of Honor"; "which tribe": "the Lakota tribe". */
bool syn_extract_has_focus(const reading *r, const span *x)
{
    if (r->focus < 0) return false;
    uint32_t stem = r->question_word[r->focus].stem;
    for (int i = x->first - 1; i <= x->last + 2; i++)
        if (i >= 0 && i < x->s->words && x->first < x->s->words && x->s->word[i].stem == stem)
            return true;
    return false;
}

double syn_extract_agreement(const reading *r, const span *x, bool *doubtful)
{
    uint64_t found = said_of(r, x) | said_beside(x);
    double score = hints(r, x);
    *doubtful = false;
    if (r->focus_group >= 0 && found >> r->focus_group & 1) return score + .9;
    if (r->want == SORT_NONE || r->want == SORT_OTHER)
        return score + (syn_extract_has_focus(r, x) ? .6 : 0);
    if (of_sort(found, r->want))
        return score + (r->focus_group < 0 ? .8 : r->want == SORT_PERSON ? .4 : -.2);
    *doubtful = found != 0;
    return score + (found ? -.8 : syn_extract_has_focus(r, x) ? .4 : 0);
}
