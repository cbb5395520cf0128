#include "engine/text.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/stem.h"
#include "kernels/base/bytes16.h"

/* Characters of a word that count for its hash; the rest of a longer run belongs to the same token.
 */
enum { WORD_CHARACTERS_MAX = 256 };

typedef enum kind { KIND_OTHER, KIND_LETTER, KIND_DIGIT, KIND_MARK } kind;

typedef struct character {
    int32_t code; /* -1: a byte that is not UTF-8 */
    kind kind;
    bool capital;
} character;

/* What stands between the word before and the next one. */
typedef struct gap {
    bool adjacent;   /* only blanks, '-', '\'' or '.' so far */
    bool terminated; /* [.!?] has been seen */
    bool sentence;   /* and a blank after it */
} gap;

static kind kind_of(int32_t code, bool *capital)
{
    *capital = false;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        *capital = true;
        return KIND_LETTER;
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return KIND_LETTER;
    case UTF8PROC_CATEGORY_ND:
        return KIND_DIGIT;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return KIND_MARK;
    default:
        return KIND_OTHER;
    }
}

/* Reads the character at `at`, at least one byte; returns how many bytes it takes. */
static size_t character_read(const unsigned char *at, size_t left, character *c)
{
    unsigned char b = at[0];
    if (b < 0x80) {
        unsigned char lower = b | 0x20;
        c->code = b;
        c->capital = b >= 'A' && b <= 'Z';
        c->kind = lower >= 'a' && lower <= 'z' ? KIND_LETTER
                  : b >= '0' && b <= '9'       ? KIND_DIGIT
                                               : KIND_OTHER;
        return 1;
    }
    utf8proc_int32_t code;
    utf8proc_ssize_t n = utf8proc_iterate(at, (utf8proc_ssize_t)left, &code);
    if (n <= 0) {
        *c = (character){-1, KIND_OTHER, false};
        return 1;
    }
    c->code = code;
    c->kind = kind_of(code, &c->capital);
    return (size_t)n;
}

static bool is_blank(int32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ZS;
}

static void gap_extend(gap *g, int32_t code)
{
    if (code >= 0 && is_blank(code)) {
        if (g->terminated) g->sentence = true;
        return;
    }
    if (code != '-' && code != '\'' && code != '.') g->adjacent = false;
    if (code == '.' || code == '!' || code == '?') g->terminated = true;
}

/* Lower case; a final sigma is folded into the other one, so that both spellings meet. */
static int32_t lower_of(int32_t code)
{
    if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    code = utf8proc_tolower(code);
    return code == 0x3c2 ? 0x3c3 : code;
}

/* Words with combining marks are composed (NFC) first, so that both spellings of an accent hash
 * alike. */
static uint32_t word_hash(int32_t *codes, int count, bool marks)
{
    unsigned char utf8[4 * WORD_CHARACTERS_MAX];
    size_t bytes = 0;
    if (marks) {
        utf8proc_ssize_t n =
            utf8proc_normalize_utf32(codes, count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (n > 0 && n <= count) count = (int)n;
    }
    for (int i = 0; i < count; i++) {
        if (codes[i] < 0x80)
            utf8[bytes++] = (unsigned char)codes[i];
        else
            bytes += (size_t)utf8proc_encode_char(codes[i], utf8 + bytes);
    }
    return syn_stem_hash(utf8, bytes) & SYN_TOKEN_HASH;
}

/* Reads the word whose first character `c` ends at `at`; returns where it ends. */
static size_t word_read(const unsigned char *text, size_t bytes, size_t at, character c,
                        uint32_t *hash)
{
    int32_t codes[WORD_CHARACTERS_MAX];
    int count = 0;
    bool marks = false;
    for (;;) {
        if (count < WORD_CHARACTERS_MAX) codes[count++] = lower_of(c.code);
        marks |= c.kind == KIND_MARK;
        if (at == bytes) break;
        size_t n = character_read(text + at, bytes - at, &c);
        if (c.kind == KIND_OTHER) break;
        at += n;
    }
    *hash = word_hash(codes, count, marks);
    return at;
}

/* Reads a word of nothing but a-z, A-Z and 0-9, as most are, without looking at characters; false,
 * with nothing read, when it is another. */
static bool ascii_word_read(const unsigned char *text, size_t bytes, size_t *at, uint32_t *hash)
{
    unsigned char lower[WORD_CHARACTERS_MAX];
    size_t count = 0;
    for (size_t i = *at; i < bytes; i++) {
        const unsigned char b = text[i] | 0x20; /* of a digit the same digit */
        const bool letter = (unsigned)b - 'a' < 26, digit = (unsigned)text[i] - '0' < 10;
        if (text[i] >= 0x80 || count == WORD_CHARACTERS_MAX) return false;
        if (!letter && !digit) break;
        lower[count++] = b;
    }
    *at += count;
    *hash = syn_stem_hash(lower, count) & SYN_TOKEN_HASH;
    return true;
}

/* ---- short words of ASCII, as most are ---- */

/* Reads a word of 1 to 15 letters and digits of ASCII; returns its length, and 0 where there is
 * another one or none. */
static size_t short_word_read(const unsigned char *at, size_t left, syn_stem_word *word)
{
    const syn_bytes16 b = left >= 16 ? syn_bytes16_load(at) : syn_bytes16_load_some(at, left);
    const syn_bytes16 lower = b | (unsigned char)0x20; /* of a digit the same digit */
    const syn_bytes16 out = (syn_bytes16)(lower - (unsigned char)'a' >= (unsigned char)26) &
                            (syn_bytes16)(b - (unsigned char)'0' >= (unsigned char)10);
    const size_t count = syn_bytes16_first(out);
    if (count == 16 || (count < left && at[count] >= 0x80)) return 0;
    const uint64_t mask = ((uint64_t)1 << count % 8 * 8) - 1;
    memcpy(word, &lower, sizeof *word);
    if (count < 8) {
        word->low &= mask;
        word->high = 0;
    } else
        word->high &= mask;
    return count;
}

/* Those whose hashes are still to come. */
enum { PENDING_MAX = 16 };
typedef struct pending {
    syn_stem_word word[PENDING_MAX];
    uint64_t begun[PENDING_MAX];
    uint32_t *token[PENDING_MAX];
    unsigned first, count; /* the first one's place */
} pending;

static void pending_end(pending *p)
{
    const unsigned k = p->first++ % PENDING_MAX;
    p->count--;
    *p->token[k] |= syn_stem_end(p->word[k], p->begun[k]) & SYN_TOKEN_HASH;
}

/* ---- texts ---- */

static uint32_t flags_of(bool capital, bool digit, const gap *g)
{
    return (uint32_t)capital * SYN_TOKEN_CAPITAL | (uint32_t)digit * SYN_TOKEN_NUMBER |
           (uint32_t)g->sentence * SYN_TOKEN_SENTENCE |
           (uint32_t)g->adjacent * (uint32_t)SYN_TOKEN_ADJACENT;
}

/* Reads the character or the word at *at, which is not a short one; true: a word, *token. */
static bool other_read(const unsigned char *text, size_t bytes, size_t *at, gap *g, uint32_t *token)
{
    character c;
    const size_t begin = *at + character_read(text + *at, bytes - *at, &c);
    if (c.kind != KIND_LETTER && c.kind != KIND_DIGIT) {
        gap_extend(g, c.code);
        *at = begin;
        return false;
    }
    if (!ascii_word_read(text, bytes, at, token)) *at = word_read(text, bytes, begin, c, token);
    *token |= flags_of(c.capital, c.kind == KIND_DIGIT, g);
    return true;
}

void syn_text_tokenise(const char *utf8, size_t bytes, uint32_t *tokens, size_t max, size_t *count)
{
    const unsigned char *text = (const unsigned char *)utf8;
    size_t at = 0, n = 0;
    gap g = {.adjacent = false, .sentence = true};
    pending p;
    p.first = p.count = 0;
    while (at < bytes && n < max) {
        const unsigned char b = text[at];
        if (b == ' ') {
            g.sentence |= g.terminated;
            at++;
            continue;
        }
        const unsigned last = (p.first + p.count) % PENDING_MAX;
        const size_t length = short_word_read(text + at, bytes - at, &p.word[last]);
        if (length > 0) {
            tokens[n] = flags_of(b >= 'A' && b <= 'Z', b <= '9', &g);
            p.token[last] = &tokens[n];
            p.begun[last] = syn_stem_begin(p.word[last]);
            at += length;
            if (++p.count == PENDING_MAX) pending_end(&p);
        } else if (!other_read(text, bytes, &at, &g, &tokens[n]))
            continue;
        n++;
        g = (gap){.adjacent = true};
    }
    while (p.count > 0) pending_end(&p);
    *count = n;
}
