#include "datasets/delexicalise.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PLACES_MAX = 256 };

/* A part of the text and the mark that it says. */
typedef struct place {
    size_t start, end;
    const syn_mark *mark;
} place;

typedef struct places {
    int count;
    place items[PLACES_MAX];
} places;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool says_nothing(syn_slice value)
{
    static const char *const words[] = {"",         "?",         "none",        "not mentioned",
                                        "dontcare", "dont care", "do n't care", "don't care",
                                        "yes",      "no",        "free"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == value.count && strncasecmp(words[i], value.bytes, value.count) == 0)
            return true;
    return false;
}

static bool is_free(const places *p, size_t start, size_t end)
{
    for (int i = 0; i < p->count; i++)
        if (start < p->items[i].end && p->items[i].start < end) return false;
    return true;
}

static void place_add(places *p, size_t start, size_t end, const syn_mark *mark)
{
    if (p->count < PLACES_MAX && start < end && is_free(p, start, end))
        p->items[p->count++] = (place){start, end, mark};
}

/* The byte where a character begins; past the end for one that is not there. */
static size_t byte_of(syn_slice text, int64_t character)
{
    for (size_t i = 0; i <= text.count; i++) {
        if (i < text.count && ((unsigned char)text.bytes[i] & 0xc0) == 0x80) continue;
        if (character-- == 0) return i;
    }
    return text.count + 1;
}

static void value_find(syn_slice text, const syn_mark *mark, places *p)
{
    const size_t n = mark->value.count;
    for (size_t i = 0; i + n <= text.count; i++) {
        if (strncasecmp(text.bytes + i, mark->value.bytes, n) != 0) continue;
        if (i > 0 && is_word(text.bytes[i - 1]) && is_word(text.bytes[i])) continue;
        if (i + n < text.count && is_word(text.bytes[i + n]) && is_word(text.bytes[i + n - 1]))
            continue;
        if (!is_free(p, i, i + n)) continue;
        place_add(p, i, i + n, mark);
        return;
    }
}

static int by_length(const void *a, const void *b)
{
    const syn_mark *x = *(const syn_mark *const *)a, *y = *(const syn_mark *const *)b;
    if (x->value.count != y->value.count) return x->value.count < y->value.count ? 1 : -1;
    return x < y ? -1 : x > y;
}

static int by_start(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void places_find(syn_slice text, const syn_mark *marks, int count, places *p)
{
    const syn_mark *unplaced[PLACES_MAX];
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (says_nothing(marks[i].value)) continue;
        if (marks[i].start >= 0 && marks[i].end > marks[i].start) {
            const size_t start = byte_of(text, marks[i].start), end = byte_of(text, marks[i].end);
            if (end <= text.count) place_add(p, start, end, &marks[i]);
        } else if (left < PLACES_MAX) {
            unplaced[left++] = &marks[i];
        }
    }
    qsort(unplaced, (size_t)left, sizeof unplaced[0], by_length);
    for (int i = 0; i < left; i++) value_find(text, unplaced[i], p);
    qsort(p->items, (size_t)p->count, sizeof p->items[0], by_start);
}

/* ---- Names ---- */

/* mwzeval's words, and the domains that it knows each with. */
static const struct {
    const char *word, *domains;
} known[] = {
    {"address", " attraction hospital hotel police restaurant "},
    {"area", " attraction hotel restaurant "},
    {"arriveby", " taxi train "},
    {"choice", " attraction hotel restaurant train "},
    {"day", " train "},
    {"department", " hospital "},
    {"departure", " taxi train "},
    {"destination", " taxi train "},
    {"duration", " train "},
    {"entrancefee", " attraction "},
    {"food", " restaurant "},
    {"internet", " hotel "},
    {"leaveat", " taxi train "},
    {"name", " attraction hospital hotel police restaurant "},
    {"parking", " hotel "},
    {"phone", " attraction hospital hotel police restaurant taxi "},
    {"postcode", " attraction hospital hotel police restaurant "},
    {"price", " attraction train "},
    {"pricerange", " attraction hotel restaurant "},
    {"reference", " attraction hotel restaurant train "},
    {"stars", " hotel "},
    {"trainid", " train "},
    {"type", " attraction hotel restaurant taxi "},
};

static const char *word_of(const char *domain, const char *slot)
{
    static const char *const other[][2] = {{"addr", "address"},
                                           {"fee", "entrancefee"},
                                           {"post", "postcode"},
                                           {"ref", "reference"},
                                           {"ticket", "price"},
                                           {"car", "type"},
                                           {"depart", "departure"},
                                           {"dest", "destination"},
                                           {"arrive", "arriveby"},
                                           {"leave", "leaveat"},
                                           {"id", "trainid"},
                                           {"open", "openhours"},
                                           {"bookday", "day"},
                                           {"bookpeople", "people"},
                                           {"bookstay", "stay"},
                                           {"booktime", "time"},
                                           {"entrance fee", "entrancefee"}};
    const bool train = strcmp(domain, "train") == 0;
    if (strcmp(slot, "time") == 0 && train) return "duration";
    if (strcmp(slot, "price") == 0) return train ? "price" : "pricerange";
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (strcmp(slot, other[i][0]) == 0) return other[i][1];
    return slot;
}

static void small_letters(char *to, size_t max, const char *from)
{
    size_t n = 0;
    for (; from[n] && n + 1 < max; n++) to[n] = (char)tolower((unsigned char)from[n]);
    to[n] = '\0';
}

const char *syn_delexicalised_name(syn_arena *arena, const char *domain, const char *slot)
{
    char in[64], name[64], with[68];
    small_letters(in, sizeof in, domain);
    const size_t n = strlen(in);
    if (n && strncasecmp(slot, in, n) == 0 && slot[n] == '-') slot += n + 1;
    small_letters(name, sizeof name, slot);
    const char *word = word_of(in, name);
    snprintf(with, sizeof with, " %s ", in);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].word, word) == 0 && strstr(known[i].domains, with))
            return syn_arena_format(arena, "%s_%s", in, word);
    return syn_arena_text(arena, word);
}

static const char *mark_name(syn_arena *arena, const syn_mark *mark, const char *last)
{
    const char *act = syn_slice_text(arena, mark->act), *dash = strchr(act, '-');
    const char *domain = dash ? syn_arena_text_n(arena, act, (size_t)(dash - act)) : act;
    if (strcasecmp(domain, "booking") == 0) domain = last;
    return syn_delexicalised_name(arena, domain, syn_slice_text(arena, mark->slot));
}

const char *syn_delexicalise(syn_arena *arena, syn_slice text, const syn_mark *marks, int count,
                             const char *last)
{
    places p = {.count = 0};
    const char *names[PLACES_MAX];
    size_t bytes = text.count + 1, at = 0, from = 0;
    places_find(text, marks, count, &p);
    for (int i = 0; i < p.count; i++) {
        names[i] = mark_name(arena, p.items[i].mark, last);
        bytes += strlen(names[i]) + 2;
    }
    char *out = syn_arena_alloc(arena, bytes);
    if (!out) return "";
    for (int i = 0; i < p.count; i++) {
        memcpy(out + at, text.bytes + from, p.items[i].start - from);
        at += p.items[i].start - from;
        at += (size_t)sprintf(out + at, "[%s]", names[i]);
        from = p.items[i].end;
    }
    if (text.count > from) memcpy(out + at, text.bytes + from, text.count - from);
    return out;
}
