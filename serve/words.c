#include "serve/words.h"

#include <string.h>

#include <utf8proc.h>

#include "serve/hash.h"

/* ---- words ---- */

const char *const syn_function_words[] = {
    "a",    "about", "after", "all",   "also",  "an",   "and",   "any",  "are",  "as",     "at",
    "be",   "been",  "both",  "but",   "by",    "can",  "could", "did",  "do",   "does",   "for",
    "from", "had",   "has",   "have",  "he",    "her",  "him",   "his",  "how",  "i",      "if",
    "in",   "into",  "is",    "it",    "its",   "many", "may",   "more", "most", "much",   "not",
    "of",   "on",    "one",   "or",    "other", "our",  "over",  "s",    "she",  "should", "so",
    "some", "such",  "t",     "than",  "that",  "the",  "their", "them", "then", "there",  "these",
    "they", "this",  "those", "to",    "under", "up",   "us",    "was",  "we",   "were",   "what",
    "when", "where", "which", "while", "who",   "whom", "whose", "why",  "will", "with",   "would",
    "you",  "your",  NULL};

_Static_assert(sizeof syn_function_words / sizeof *syn_function_words <= SYN_FUNCTION_WORDS_MAX,
               "raise SYN_FUNCTION_WORDS_MAX");

static bool is_stop_word(const char *word, size_t bytes)
{
    int low = 0, high = (int)(sizeof syn_function_words / sizeof *syn_function_words) - 2;
    while (low <= high) {
        int mid = (low + high) / 2;
        int order = strncmp(word, syn_function_words[mid], bytes);
        if (order == 0 && syn_function_words[mid][bytes]) order = -1;
        if (order == 0) return true;
        if (order < 0)
            high = mid - 1;
        else
            low = mid + 1;
    }
    return false;
}

/* Length of the character at p if it belongs to a word, else 0. U+2000..U+206F (dashes, quotes,
 * ellipsis) and the no-break space separate. */
static size_t word_char(const unsigned char *p, size_t left)
{
    if (*p < 128) return (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') ? 1 : 0;
    if (*p == 0xC2 && left > 1 && p[1] < 0xC0) return p[1] == 0xAA || p[1] == 0xBA ? 2 : 0;
    if (*p == 0xE2 && left > 1 && (p[1] == 0x80 || p[1] == 0x81)) return 0;
    size_t n = 1;
    while (n < left && (p[n] & 0xC0) == 0x80) n++;
    return n;
}

static size_t other_char(const unsigned char *p, size_t left)
{
    size_t n = 1;
    while (n < left && (p[n] & 0xC0) == 0x80) n++;
    return n;
}

/* Reads the character at text[i]; how many bytes it has, 0: they are no UTF-8. */
static size_t code_at(const char *text, size_t bytes, size_t i, utf8proc_int32_t *code)
{
    const utf8proc_ssize_t used =
        utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(bytes - i), code);
    return used > 0 ? (size_t)used : 0;
}

static size_t lower(const char *text, size_t bytes, char *out, size_t max, bool *capital)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t code;
        const size_t used = code_at(text, bytes, i, &code);
        if (!used) {
            i++;
            continue;
        }
        utf8proc_int32_t low = utf8proc_tolower(code);
        if (i == 0) *capital = low != code;
        if (n + 4 >= max) break;
        n += (size_t)utf8proc_encode_char(low, (utf8proc_uint8_t *)out + n);
        i += used;
    }
    return n;
}

/* Strips one common ending while four letters stay: "directed", "director", "directs" meet. */
static size_t stem_bytes(const char *word, size_t bytes)
{
    static const char *const endings[] = {"ations", "ation", "ings", "ing", "ions", "ion",
                                          "ers",    "ors",   "ies",  "es",  "ed",   "er",
                                          "or",     "s",     "y",    "e"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (bytes >= n + 4 && memcmp(word + bytes - n, endings[i], n) == 0) return bytes - n;
    }
    return bytes;
}

static void describe(const char *text, syn_word *w)
{
    char low[128];
    size_t n = lower(text + w->at, w->bytes, low, sizeof low, &w->capital);
    w->number = text[w->at] >= '0' && text[w->at] <= '9';
    w->exact = syn_hash(low, n);
    w->stem = w->number ? w->exact : syn_hash(low, stem_bytes(low, n));
    w->stop = is_stop_word(low, n);
}

int syn_words(const char *text, size_t bytes, syn_word *words, int max)
{
    const unsigned char *p = (const unsigned char *)text;
    int count = 0;
    bool joined = false;
    for (size_t i = 0; i < bytes && count < max;) {
        size_t start = i, n;
        while (i < bytes && (n = word_char(p + i, bytes - i)) > 0) i += n;
        if (i == start) {
            unsigned char c = p[i];
            if (!(c == ' ' || c == '-' || c == '\'' || c == '.')) joined = false;
            i += other_char(p + i, bytes - i);
            continue;
        }
        bool possessive =
            i - start == 1 && (p[start] | 32) == 's' && start > 0 && count > 0 &&
            (p[start - 1] == '\'' || (start > 2 && memcmp(p + start - 3, "\xE2\x80\x99", 3) == 0));
        if (possessive) continue;
        syn_word *w = &words[count++];
        *w = (syn_word){.at = (uint32_t)start, .bytes = (uint32_t)(i - start)};
        w->joined = joined && count > 1;
        describe(text, w);
        joined = true;
    }
    return count;
}

/* ---- sentences and lengths ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool abbreviation(const char *text, size_t begin, size_t dot)
{
    static const char *const known[] = {"Dr", "Mr",   "Mrs",    "Ms", "St",  "Jr",
                                        "Sr", "Prof", "Gen",    "No", "vs",  "Inc",
                                        "Co", "Ltd",  "approx", "ca", "e.g", "i.e"};
    size_t start = dot;
    while (start > begin && !blank(text[start - 1]) && text[start - 1] != '(') start--;
    size_t n = dot - start;
    if (n == 1 && text[start] >= 'A' && text[start] <= 'Z') return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == n && memcmp(known[i], text + start, n) == 0) return true;
    return false;
}

size_t syn_sentence_end(const char *text, size_t bytes, size_t at)
{
    for (size_t i = at; i < bytes; i++) {
        char c = text[i];
        if (c == '\n' && i + 1 < bytes && text[i + 1] == '\n') return i;
        if (c != '.' && c != '!' && c != '?') continue;
        size_t end = i + 1;
        while (end < bytes &&
               (text[end] == '"' || text[end] == '\'' || text[end] == ')' || text[end] == ']' ||
                text[end] == '.' || text[end] == '!' || text[end] == '?'))
            end++;
        if (end < bytes && !blank(text[end])) continue;
        if (c == '.' && end < bytes && abbreviation(text, at, i)) continue;
        return end;
    }
    return bytes;
}

int syn_word_count(const char *text, size_t bytes)
{
    int count = 0;
    for (size_t i = 0; i < bytes; i++)
        if (!blank(text[i]) && (i == 0 || blank(text[i - 1]))) count++;
    return count;
}

size_t syn_words_prefix(const char *text, int words)
{
    size_t end = 0;
    for (size_t i = 0; text[i];) {
        while (blank(text[i])) i++;
        if (!text[i] || words-- == 0) break;
        while (text[i] && !blank(text[i])) i++;
        end = i;
    }
    return end;
}

size_t syn_utf8_prefix(const char *text, size_t bytes)
{
    if (strnlen(text, bytes + 1) <= bytes) return strnlen(text, bytes);
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80) bytes--;
    return bytes;
}

int64_t syn_utf8_fault(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t code;
        const size_t used = code_at(text, bytes, i, &code);
        if (!used) return (int64_t)i;
        i += used;
    }
    return -1;
}

/* ---- the normal form of a short answer ---- */

static bool ascii_punctuation(utf8proc_int32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
}

static bool letter_or_digit(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

static bool white(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 31) || c == 0x85 ||
           (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP);
}

static bool article(const char *run, size_t bytes)
{
    return (bytes == 1 && run[0] == 'a') || (bytes == 2 && memcmp(run, "an", 2) == 0) ||
           (bytes == 3 && memcmp(run, "the", 3) == 0);
}

/* A run of word characters has ended: articles become a blank, which is collapsed with its
 * neighbours. `gap` says that a blank is due before the next character. */
static void end_run(char *out, size_t *n, size_t *run, bool *gap)
{
    if (*run != SIZE_MAX && article(out + *run, *n - *run)) {
        *n = *run;
        while (*n > 0 && out[*n - 1] == ' ') --*n;
        *gap = true;
    }
    *run = SIZE_MAX;
}

size_t syn_normal_form(const char *text, char *normal, size_t max)
{
    size_t n = 0, run = SIZE_MAX, bytes = strlen(text);
    bool gap = false;
    for (size_t i = 0; i < bytes && n + 8 < max;) {
        utf8proc_int32_t code;
        const size_t used = code_at(text, bytes, i, &code);
        if (!used) {
            i++;
            continue;
        }
        i += used;
        if (ascii_punctuation(code)) continue;
        bool word = letter_or_digit(code);
        if (!word) end_run(normal, &n, &run, &gap);
        if (white(code)) {
            gap = true;
            continue;
        }
        if (gap && n > 0) normal[n++] = ' ';
        gap = false;
        if (word && run == SIZE_MAX) run = n;
        n += (size_t)utf8proc_encode_char(utf8proc_tolower(code), (utf8proc_uint8_t *)normal + n);
        if (code == 0x130) n += (size_t)utf8proc_encode_char(0x307, (utf8proc_uint8_t *)normal + n);
    }
    end_run(normal, &n, &run, &gap);
    normal[n] = 0;
    return n;
}
