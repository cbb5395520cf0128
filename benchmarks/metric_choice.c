/* Which choice a free text means. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/metric_choice.h"

typedef struct reader {
    const char *text;
    size_t bytes;
    int count; /* of labels */
} reader;

static bool is_alnum_at(const reader *r, size_t at)
{
    size_t step;
    if (at >= r->bytes) return false;
    const int32_t code = syn_text_code(r->text + at, r->bytes - at, &step);
    return code == '_' || (code >= 0 && syn_text_is_word(code));
}

static bool is_alnum_before(const reader *r, size_t at)
{
    if (at == 0) return false;
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 && ((unsigned char)r->text[begin] & 0xC0) == 0x80) begin--;
    return is_alnum_at(r, begin);
}

/* The label that stands alone at `at`, or -1. */
static int label_at(const reader *r, size_t at)
{
    if (at >= r->bytes || !isalpha((unsigned char)r->text[at])) return -1;
    const int label = toupper((unsigned char)r->text[at]) - 'A';
    if (label >= r->count || is_alnum_before(r, at) || is_alnum_at(r, at + 1)) return -1;
    /* "A-level", "vitamin-D" */
    const bool joined = at + 1 < r->bytes && r->text[at + 1] == '-' && is_alnum_at(r, at + 2);
    const bool tail = at > 1 && r->text[at - 1] == '-' && is_alnum_before(r, at - 1);
    return joined || tail ? -1 : label;
}

static bool is_between(const reader *r, size_t at, const char *set)
{
    return at < r->bytes && r->text[at] && strchr(set, r->text[at]);
}

static size_t skip(const reader *r, size_t at, const char *set)
{
    while (is_between(r, at, set)) at++;
    return at;
}

/* The text is nothing but a label and marks around it. */
static int bare_label(const reader *r)
{
    static const char around[] = " \t\r\n*_`\"'()[]{}<>.:,;!#$\\";
    const size_t at = skip(r, 0, around);
    const int label = label_at(r, at);
    return label >= 0 && skip(r, at + 1, around) == r->bytes ? label : -1;
}

static bool word_at(const reader *r, size_t at, const char *word)
{
    const size_t n = strlen(word);
    return at + n <= r->bytes && !strncasecmp(r->text + at, word, n) && !is_alnum_before(r, at) &&
           !is_alnum_at(r, at + n);
}

static const char marks[] = " \t\r\n*_`\"'()[]{}:=,\\$-";

/* Whether "or C", "and C", "/ C" follows a label: then none of them is the answer. */
static bool another_follows(const reader *r, size_t at, int label)
{
    static const char *const joins[] = {"or", "and", "nor"};
    at = skip(r, at, marks);
    size_t behind = at + is_between(r, at, "/&");
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        if (word_at(r, at, joins[i])) behind = at + strlen(joins[i]);
    }
    const int other = behind > at ? label_at(r, skip(r, behind, marks)) : -1;
    return other >= 0 && other != label;
}

/* Behind "answer", "option", ...: at most a few filling words and marks, then the label. An answer
 * of two labels ("A or B") is none. Returns -1 where no label follows, -2 where two do. */
static int stated_label(const reader *r, size_t at)
{
    static const char *const fillers[] = {"is",   "was", "the",    "correct", "would",  "be",
                                          "must", "be",  "should", "option",  "choice", "letter",
                                          "text", "to",  "answer", "that",    "best",   "boxed"};
    for (int words = 0; words < 6; words++) {
        at = skip(r, at, marks);
        const int label = label_at(r, at);
        /* A small a is more often the article: "the answer is a dog". */
        const bool article =
            label >= 0 && r->text[at] == 'a' && is_between(r, at + 1, " ") && at + 2 < r->bytes;
        if (label >= 0 && !article) return another_follows(r, at + 1, label) ? -2 : label;
        bool filled = false;
        for (size_t i = 0; i < sizeof fillers / sizeof *fillers && !filled; i++) {
            if (!word_at(r, at, fillers[i])) continue;
            at += strlen(fillers[i]);
            filled = true;
        }
        if (!filled) return -1;
    }
    return -1;
}

static int last_statement(const reader *r)
{
    static const char *const cues[] = {"answer", "option", "choice", "boxed", "choose", "select"};
    int found = -1;
    for (size_t at = 0; at < r->bytes; at++) {
        for (size_t i = 0; i < sizeof cues / sizeof *cues; i++) {
            if (!word_at(r, at, cues[i])) continue;
            const int label = stated_label(r, at + strlen(cues[i]));
            if (label != -1) found = label;
        }
    }
    return found;
}

/* "B) because", "(B) because", "**B.** because", "B: because", "B\nbecause", "B, because". */
static int leading_label(const reader *r)
{
    const size_t at = skip(r, 0, " \t\r\n*_`\"'([{");
    const int label = label_at(r, at);
    if (label < 0) return -1;
    const size_t behind = skip(r, at + 1, "*_`\"'");
    if (!is_between(r, behind, ")]}.:\n,;-")) return -1;
    if (is_between(r, behind, ".") && is_alnum_at(r, behind + 1)) return -1; /* "e.g." */
    return another_follows(r, behind, label) ? -2 : label;
}

/* The only label of those that `alone` finds; -1 for none, -2 for several. */
static int only_label(const reader *r, bool bracketed)
{
    int found = -1;
    for (size_t at = 0; at < r->bytes; at++) {
        const int label = label_at(r, at);
        if (label < 0 || !isupper((unsigned char)r->text[at])) continue;
        const bool in_brackets =
            at > 0 && strchr("([", r->text[at - 1]) && is_between(r, at + 1, ")]");
        const bool article = (r->text[at] == 'A' || r->text[at] == 'I') &&
                             is_between(r, at + 1, " ") && is_alnum_at(r, at + 2);
        const bool apostrophe = is_between(r, at + 1, "'"); /* I'm */
        if (bracketed ? !in_brackets : article || apostrophe) continue;
        if (found >= 0 && found != label) return -2;
        found = label;
    }
    return found;
}

/* Whether the words of `part` stand one after the other in `whole`; both normalised. */
static bool has_words(const syn_normal_answer *whole, const syn_normal_answer *part)
{
    if (part->bytes == 0 || part->bytes > whole->bytes) return false;
    for (const char *at = whole->text; (at = strstr(at, part->text)); at++) {
        const char *end = at + part->bytes;
        if ((at == whole->text || at[-1] == ' ') && (*end == 0 || *end == ' ')) return true;
    }
    return false;
}

/* The choice whose text is the whole text, or the only one whose text occurs in it; a choice that
 * is part of another that occurs ("bed", "bed room") does not count. */
static int choice_text(const reader *r, const char *const *choices, bool whole)
{
    syn_normal_answer text = {0}, choice[SYN_CHOICES_MAX] = {{0}};
    int found = -1;
    bool occurs[SYN_CHOICES_MAX] = {false};
    if (syn_normal_answer_read(&text, r->text, r->bytes) != SYN_OK) return -1;
    for (int i = 0; i < r->count; i++) {
        if (!choices[i] ||
            syn_normal_answer_read(&choice[i], choices[i], strlen(choices[i])) != SYN_OK)
            continue;
        occurs[i] = whole ? choice[i].bytes > 0 && syn_normal_answer_equal(&text, &choice[i])
                          : has_words(&text, &choice[i]);
        if (occurs[i] && (found < 0 || choice[i].bytes > choice[found].bytes)) found = i;
    }
    const int longest = found;
    for (int i = 0; i < r->count; i++) {
        if (!occurs[i] || i == longest) continue;
        if (whole || choice[i].bytes == choice[longest].bytes ||
            !has_words(&choice[longest], &choice[i]))
            found = -2;
    }
    for (int i = 0; i < r->count; i++) syn_normal_answer_free(&choice[i]);
    syn_normal_answer_free(&text);
    return found;
}

int syn_choice_parse(const char *text, const char *const *choices, int count)
{
    enum { READ_MAX = 64 << 10 }; /* an answer's statement stands at its end or its beginning */
    reader r = {text, text ? strlen(text) : 0, count > SYN_CHOICES_MAX ? SYN_CHOICES_MAX : count};
    if (r.bytes > READ_MAX) {
        r.text += r.bytes - READ_MAX;
        r.bytes = READ_MAX;
    }
    if (r.bytes == 0 || count < 1) return SYN_CHOICE_UNPARSED;
    int found = bare_label(&r);
    if (found < 0 && choices) found = choice_text(&r, choices, true);
    if (found < 0) found = last_statement(&r);
    if (found == -1) found = leading_label(&r);
    if (found != -1) return found >= 0 ? found : SYN_CHOICE_UNPARSED;
    found = only_label(&r, true);
    if (found == -1) found = only_label(&r, false);
    if (found == -1 && choices) found = choice_text(&r, choices, false);
    return found >= 0 ? found : SYN_CHOICE_UNPARSED;
}
