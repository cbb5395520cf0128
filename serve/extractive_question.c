#include <string.h>

#include "serve/extractive_internal.h"

bool syn_extract_one_of(const char *text, const syn_word *w, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == w->bytes && strncasecmp(*list, text + w->at, w->bytes) == 0)
            return true;
    return false;
}

bool syn_extract_asks_for(const reading *r, const char *const *list)
{
    for (int i = 0; i < r->question_words; i++)
        if (syn_extract_one_of(r->question, &r->question_word[i], list)) return true;
    return false;
}

bool syn_extract_word_in(const sentence *s, int i, const char *const *list)
{
    return i >= 0 && i < s->words && syn_extract_one_of(s->text, &s->word[i], list);
}

int syn_extract_bit(const reading *r, uint32_t stem)
{
    for (int k = 0; k < r->stems; k++)
        if (r->stem[k] == stem) return k;
    return -1;
}

/* ---- words that mean the same ---- */

static const char *const families[] = {
    "born birth birthplace native",
    "died death dies die deceased",
    "write writes wrote written writer author authored penned",
    "founded founder founders established formed started formation",
    "starring stars starred star cast",
    "located situated lies lie stands based headquartered location headquarters",
    "married wife husband spouse widow marry",
    "sing sings sang sung singer vocalist vocals",
    "win wins won winner winning",
    "population inhabitants residents",
    "make makes made maker",
    "build builds built builder constructed",
    "begin begins began begun",
    "lead leads led leader",
    "teach taught teacher teaches",
    "hold held holds",
    "film films movie movies",
    "company corporation firm",
    "flows flow flowed empties",
    "opened open opens inaugurated",
    "discovered discoverer discovery",
    "long length",
    "tall height high elevation"};

/* Keeps the families that the question has a word of, under that word's stem. */
static void find_kin(reading *r)
{
    syn_word member[16];
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        int n = syn_words(families[f], strlen(families[f]), member, 16), meant = -1;
        for (int i = 0; i < r->question_words && meant < 0; i++)
            for (int k = 0; k < n && meant < 0; k++)
                if (r->question_word[i].exact == member[k].exact) meant = i;
        for (int k = 0; k < n && meant >= 0 && r->kins < KIN_MAX; k++) {
            r->kin[r->kins] = member[k].exact;
            r->kin_stem[r->kins++] = r->question_word[meant].stem;
        }
    }
}

void syn_extract_kin(const reading *r, syn_word *words, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < r->kins; k++)
            if (words[i].exact == r->kin[k]) words[i].stem = r->kin_stem[k];
}

/* ---- the word that asks, and the noun that it asks for ---- */

static bool word_in(const reading *r, int i, const char *const *list)
{
    return i >= 0 && i < r->question_words &&
           syn_extract_one_of(r->question, &r->question_word[i], list);
}

static const char *const wh_words[] = {"who",  "whom",  "whose", "what", "which",
                                       "when", "where", "how",   NULL};

/* The first word, or the second after a preposition; else the last one that is there, as in "X
 * was born in which town?". */
static int find_wh(const reading *r)
{
    static const char *const before[] = {"in", "on", "at",    "to",    "from", "for", "of",
                                         "by", "as", "under", "after", "with", NULL};
    if (word_in(r, 0, wh_words)) return 0;
    if (word_in(r, 0, before) && word_in(r, 1, wh_words)) return 1;
    for (int i = r->question_words - 1; i > 0; i--)
        if (word_in(r, i, wh_words)) return i;
    return -1;
}

/* "which harbour town was", "what is the name of the band": the last noun of a known group before
 * the phrase ends, else its last word. */
static void find_focus(reading *r)
{
    static const char *const nouns_follow[] = {"what", "which", NULL};
    static const char *const skipped[] = {"is", "was",  "were", "are",  "the",
                                          "a",  "name", "of",   "this", NULL};
    static const char *const be[] = {"is", "was", "were", "are", NULL};
    int i = r->wh + 1, begin;
    if (!word_in(r, r->wh, nouns_follow)) return;
    if (word_in(r, i, be))
        while (word_in(r, i, skipped)) i++;
    for (begin = i; i < r->question_words && i < begin + 5; i++) {
        const syn_word *w = &r->question_word[i];
        if (w->stop || (i > begin && !w->joined)) break;
        int group = syn_extract_group(r->question, w);
        if (group >= 0 || r->focus_group < 0) r->focus = i;
        if (group >= 0) r->focus_group = group;
    }
}

static bool focus_in(const reading *r, const char *const *list)
{
    return r->focus >= 0 && word_in(r, r->focus, list);
}

static asked kind_of_how(reading *r)
{
    static const char *const measured[] = {"long", "far",   "tall", "high", "deep", "wide",
                                           "old",  "large", "big",  "fast", NULL};
    static const char *const counted[] = {"many", "much", NULL};
    r->with_unit = word_in(r, r->wh + 1, measured);
    return r->with_unit || word_in(r, r->wh + 1, counted) ? ASKED_NUMBER : ASKED_THING;
}

static asked kind_of_focus(reading *r)
{
    static const char *const time[] = {"year", "date", "day", "month", "century", "decade", NULL};
    static const char *const year[] = {"year", "century", "decade", NULL};
    static const char *const count[] = {"number",    "population", "percentage", "age",
                                        "elevation", "height",     "length",     NULL};
    static const char *const role[] = {"position", "profession", "occupation", "role",
                                       "job",      "genre",      "type",       "kind",
                                       "sport",    "instrument", NULL};
    static const char *const nation[] = {"nationality", NULL};
    static const char *const home[] = {"birthplace", "location", "hometown", "headquarters", NULL};
    r->whole_date = !focus_in(r, year);
    if (focus_in(r, time)) return ASKED_YEAR;
    if (focus_in(r, count)) return ASKED_NUMBER;
    if (focus_in(r, role)) return ASKED_ROLE;
    if (focus_in(r, nation)) return ASKED_NATION;
    if (focus_in(r, home)) return ASKED_PLACE;
    sort s = syn_extract_sort(r->focus_group);
    return s == SORT_PERSON ? ASKED_PERSON : s == SORT_PLACE ? ASKED_PLACE : ASKED_THING;
}

static asked kind_of_question(reading *r)
{
    static const char *const yes_no[] = {"is",  "are",  "was", "were", "did",   "does", "do",
                                         "has", "have", "had", "can",  "could", "will", NULL};
    static const char *const who[] = {"who", "whom", "whose", NULL};
    static const char *const where[] = {"where", NULL};
    static const char *const when[] = {"when", NULL};
    static const char *const how[] = {"how", NULL};
    r->whole_date = true;
    if (r->question_words == 0) return ASKED_THING;
    if (syn_extract_names_alternatives(r)) return ASKED_CHOICE;
    if (word_in(r, 0, yes_no) && !word_in(r, r->wh - 1, (const char *const[]){"in", "by", NULL}))
        return ASKED_YES_NO;
    if (r->wh < 0) return ASKED_THING;
    if (word_in(r, r->wh, who)) return ASKED_PERSON;
    if (word_in(r, r->wh, where)) return ASKED_PLACE;
    if (word_in(r, r->wh, when)) return ASKED_YEAR;
    if (word_in(r, r->wh, how)) return kind_of_how(r);
    return kind_of_focus(r);
}

/* "which town was the ...", "what did ...", "X was born where": somebody else is the subject. */
static bool subject_is_given(const reading *r)
{
    static const char *const does[] = {"did", "does", "do", NULL};
    static const char *const be[] = {"was", "were", "is", "are", "has", "had", NULL};
    static const char *const article[] = {"the", "a", "an", NULL};
    int i = r->focus > r->wh ? r->focus + 1 : r->wh + 1;
    bool adverb = r->kind == ASKED_PLACE || r->kind == ASKED_YEAR || r->kind == ASKED_NUMBER;
    if (r->wh > 1 || word_in(r, i, does)) return true;
    if (!word_in(r, i, be) || i + 1 >= r->question_words) return false;
    if (!adverb && i == r->wh + 1) return false;
    return word_in(r, i + 1, article) || r->question_word[i + 1].capital;
}

/* ---- what is said of it ---- */

/* Words of the clause that asks weigh most: up to a relative pronoun behind the question word, and
 * the last word of "which year was the man that ... born"; or the few words around a question word
 * that stands late. Names and the noun asked for tell which sentence it is, and little of where in
 * it. */
static double relation_of(const reading *r, int k, int clause_end, int last)
{
    int i = r->stem_word[k], before = r->wh - i;
    if (r->capital >> k & 1) return .4;
    if (i == r->focus) return .3;
    if (r->wh <= 1) return i < clause_end || (r->subject_given && i == last) ? 1 : .4;
    return before == 1 || before == 2 ? 1.1 : before > 0 && before <= 4 ? .7 : before < 0 ? 1 : .4;
}

static void weigh_relations(reading *r)
{
    static const char *const relative[] = {"who",   "whom",  "that", "which",
                                           "whose", "where", "when", NULL};
    int end = r->question_words, last = r->stems > 0 ? r->stem_word[r->stems - 1] : -1;
    for (int i = r->wh + 2; i < r->question_words && end == r->question_words; i++)
        if (word_in(r, i, relative)) end = i;
    for (int k = 0; k < r->stems; k++) r->relation[k] = relation_of(r, k, end, last);
}

static int relation_bit(const reading *r, const char *word)
{
    syn_word w;
    if (syn_words(word, strlen(word), &w, 1) != 1) return -1;
    syn_extract_kin(r, &w, 1);
    return syn_extract_bit(r, w.stem);
}

void syn_extract_question(reading *r, const char *question)
{
    r->question = question;
    r->question_words = syn_words(question, strlen(question), r->question_word, WORDS_MAX);
    r->focus = r->focus_group = -1;
    find_kin(r);
    syn_extract_kin(r, r->question_word, r->question_words);
    for (int i = 0; i < r->question_words && r->stems < STEMS_MAX; i++) {
        const syn_word *w = &r->question_word[i];
        if (w->stop || syn_extract_bit(r, w->stem) >= 0) continue;
        r->capital |= w->capital && i > 0 ? 1ull << r->stems : 0;
        r->stem_word[r->stems] = i;
        r->stem[r->stems++] = w->stem;
    }
    r->wh = find_wh(r);
    find_focus(r);
    r->kind = kind_of_question(r);
    r->want = r->kind == ASKED_PERSON  ? SORT_PERSON
              : r->kind == ASKED_PLACE ? SORT_PLACE
                                       : syn_extract_sort(r->focus_group);
    r->subject_given = subject_is_given(r);
    r->born = relation_bit(r, "born");
    r->died = relation_bit(r, "died");
    weigh_relations(r);
}
