/* The tokeniser, by example: which runs are words, what is folded, and which flags a word gets. */
#include "tests/test.h"

#include <libstemmer.h>
#include <pthread.h>
#include <xxhash.h>

#include "engine/text.h"
#include "kernels/base/rng.h"

enum { MAX = 64 };

typedef struct tokens {
    uint32_t at[MAX];
    size_t count;
} tokens;

static tokens tokenise(const char *text)
{
    tokens t;
    syn_text_tokenise(text, strlen(text), t.at, MAX, &t.count);
    return t;
}

static uint32_t hash_of(const char *word)
{
    tokens t = tokenise(word);
    assert_int_equal(t.count, 1);
    return t.at[0] & SYN_TOKEN_HASH;
}

static bool has(uint32_t token, unsigned flag)
{
    return (token & flag) != 0;
}

/* The words of the text are these, separated by '|'. */
static void assert_words(const char *text, const char *words)
{
    tokens t = tokenise(text);
    char copy[256];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, "|"); word; word = strtok(NULL, "|"), n++) {
        assert_true(n < t.count);
        assert_int_equal(t.at[n] & SYN_TOKEN_HASH, hash_of(word));
    }
    assert_int_equal(t.count, n);
}

static void words_are_runs_of_letters_and_digits(void **state)
{
    assert_words("Which river flows through Paris?", "which|river|flows|through|paris");
    assert_words("Shirley's", "shirley|s");
    assert_words("4th-century, 1,000 km2", "4th|century|1|000|km2");
    assert_words("a_b/c\td\ne", "a|b|c|d|e");
    assert_words("\xe6\x9d\xb1\xe4\xba\xac 2020", "\xe6\x9d\xb1\xe4\xba\xac|2020");
}

static void forms_of_an_english_word_are_one_token(void **state)
{
    assert_int_equal(hash_of("starring"), hash_of("starred"));
    assert_int_equal(hash_of("Schools"), hash_of("school"));
    assert_int_equal(hash_of("studies"), hash_of("study"));
    assert_int_not_equal(hash_of("universe"), hash_of("unified"));
    assert_int_not_equal(hash_of("news"), hash_of("new"));
    /* Numbers, short words and other scripts stay as they are. */
    assert_int_not_equal(hash_of("747s"), hash_of("747"));
    assert_int_not_equal(hash_of("is"), hash_of("i"));
    assert_int_not_equal(hash_of("caf\xc3\xa9s"), hash_of("caf\xc3\xa9"));
}

static void a_text_without_words_has_no_tokens(void **state)
{
    assert_int_equal(tokenise("").count, 0);
    assert_int_equal(tokenise(" \t.,;!?\xe2\x80\x94 ").count, 0);
}

static void case_is_folded_in_every_script(void **state)
{
    assert_int_equal(hash_of("PARIS"), hash_of("paris"));
    assert_int_equal(hash_of("\xc3\x89"
                             "COLE"),
                     hash_of("\xc3\xa9"
                             "cole"));
    assert_int_equal(hash_of("\xd0\x9c\xd0\x9e\xd0\xa1"), hash_of("\xd0\xbc\xd0\xbe\xd1\x81"));
    /* Greek: both forms of the small sigma are one letter. */
    assert_int_equal(hash_of("\xce\xbf\xcf\x82"), hash_of("\xce\x9f\xce\xa3"));
    assert_int_not_equal(hash_of("paris"), hash_of("pariss"));
}

static void combining_marks_belong_to_their_word(void **state)
{
    /* e + U+0301 is the same word as U+00E9. */
    assert_int_equal(hash_of("cafe\xcc\x81"), hash_of("caf\xc3\xa9"));
    assert_int_equal(hash_of("E\xcc\x81tat"), hash_of("\xc3\xa9tat"));
    assert_int_not_equal(hash_of("cafe\xcc\x81"), hash_of("cafe"));
    /* A mark that follows no letter is no word. */
    assert_words("\xcc\x81 a", "a");
}

static void a_capital_or_title_case_first_letter_is_flagged(void **state)
{
    tokens t = tokenise("Paris is iPhone \xc3\x89tat \xc7\x85ur 4Ever");
    static const bool capital[] = {true, false, false, true, true, false};
    assert_int_equal(t.count, 6);
    for (int i = 0; i < 6; i++) assert_int_equal(has(t.at[i], SYN_TOKEN_CAPITAL), capital[i]);
}

static void a_leading_digit_is_flagged_as_number(void **state)
{
    tokens t = tokenise("1984 was b52 \xd9\xa3 4th");
    static const bool number[] = {true, false, false, true, true};
    assert_int_equal(t.count, 5);
    for (int i = 0; i < 5; i++) assert_int_equal(has(t.at[i], SYN_TOKEN_NUMBER), number[i]);
}

static void sentences_begin_at_the_start_and_after_a_stop_and_a_blank(void **state)
{
    tokens t = tokenise("One two. Three 3.5 four! \"Five\" six?\nSeven e.g.this (end.) Eight");
    static const bool first[] = {true,  false, true,  false, false, false, true,
                                 false, true,  false, false, false, false, true};
    assert_int_equal(t.count, 14);
    for (int i = 0; i < 14; i++) assert_int_equal(has(t.at[i], SYN_TOKEN_SENTENCE), first[i]);
}

static void neighbours_are_adjacent_across_blanks_hyphens_apostrophes_and_points_only(void **state)
{
    tokens t = tokenise("New York-based J. K.  Rowling's, (the) author/editor \xff x");
    static const bool adjacent[] = {false, true,  true,  true,  true, true,
                                    true,  false, false, false, false};
    assert_int_equal(t.count, 11);
    for (int i = 0; i < 11; i++)
        assert_int_equal(has(t.at[i], (unsigned)SYN_TOKEN_ADJACENT), adjacent[i]);
}

static void bytes_that_are_not_utf8_separate_words(void **state)
{
    assert_words("ab\xff"
                 "cd",
                 "ab|cd");
    assert_words("\xc3(", "");
    assert_words("caf\xc3", "caf"); /* cut off */
    assert_words("a\xc0\xaf"
                 "b",
                 "a|b"); /* overlong */
    assert_words("a\xed\xa0\x80"
                 "b",
                 "a|b"); /* a surrogate */
    assert_words("a\xf4\x90\x80\x80"
                 "b",
                 "a|b"); /* beyond U+10FFFF */
}

static void reading_stops_at_the_limit(void **state)
{
    uint32_t at[3] = {0, 0, 77};
    size_t count;
    syn_text_tokenise("a b c d", 7, at, 2, &count);
    assert_int_equal(count, 2);
    assert_int_equal(at[2], 77);
    syn_text_tokenise("a b", 3, at, 0, &count);
    assert_int_equal(count, 0);
}

static void only_the_given_bytes_are_read(void **state)
{
    uint32_t at[4];
    size_t count;
    syn_text_tokenise("parisian", 5, at, 4, &count);
    assert_int_equal(count, 1);
    assert_int_equal(at[0] & SYN_TOKEN_HASH, hash_of("paris"));
}

static void an_endless_word_is_one_token(void **state)
{
    char text[10000];
    uint32_t at[4];
    size_t count;
    memset(text, 'x', sizeof text);
    syn_text_tokenise(text, sizeof text, at, 4, &count);
    assert_int_equal(count, 1);
}

/* Caches and checkpoints hold these values: they must never change. */
static void hashes_are_what_they_have_always_been(void **state)
{
    assert_int_equal(hash_of("paris"), 0xcd9b40d);
    assert_int_equal(hash_of("\xc3\xa9tat"), 0x729c9c4);
}

/* ---- against the stemmer itself ---- */

/* What the hash of a lower-case word of ASCII is, without any table or haste. */
static uint32_t plain_hash(struct sb_stemmer *english, const char *word)
{
    const size_t bytes = strlen(word);
    const bool letters = strspn(word, "abcdefghijklmnopqrstuvwxyz") == bytes;
    if (!letters || bytes < 3 || bytes > 40)
        return (uint32_t)XXH3_64bits(word, bytes) & SYN_TOKEN_HASH;
    const sb_symbol *stem = sb_stemmer_stem(english, (const sb_symbol *)word, (int)bytes);
    return (uint32_t)XXH3_64bits(stem, (size_t)sb_stemmer_length(english)) & SYN_TOKEN_HASH;
}

/* A word of `bytes` letters, some of them large, and digits where those are wanted. */
static void draw_word(syn_rng *rng, size_t bytes, bool digits, char *word, char *lower)
{
    static const char of[] = "aeiounrstldingsedABEINRST0123456789";
    for (size_t k = 0; k < bytes; k++) {
        word[k] = of[syn_rng_below(rng, digits ? 35 : 25)];
        lower[k] = word[k] >= 'A' && word[k] <= 'Z' ? (char)(word[k] + 32) : word[k];
    }
    word[bytes] = lower[bytes] = 0;
}

/* Of every length, at the text's very end and before all kinds of bytes: the text is as long as its
 * memory, so that a read beyond it is seen. */
static void a_word_is_the_same_wherever_it_stands(void **state)
{
    static const char *const tails[] = {"",         " ",
                                        ".",        "@",
                                        "[",        "`",
                                        "{",        "/",
                                        ":",        "\xe2\x80\x99s",
                                        "\x7f",     "\xff",
                                        "\xc2\xbb", "- and then some more words"};
    struct sb_stemmer *english = sb_stemmer_new("english", "UTF_8");
    syn_rng rng = syn_rng_make(1, 1);
    for (int draw = 0; draw < 40; draw++)
        for (size_t bytes = 1; bytes <= 45; bytes++)
            for (size_t k = 0; k < sizeof tails / sizeof *tails; k++) {
                char word[64], lower[64];
                uint32_t at[16];
                size_t count;
                draw_word(&rng, bytes, draw & 1, word, lower);
                const size_t all = bytes + strlen(tails[k]);
                char *text = malloc(all);
                memcpy(text, word, bytes);
                memcpy(text + bytes, tails[k], all - bytes);
                syn_text_tokenise(text, all, at, 16, &count);
                free(text);
                assert_true(count >= 1);
                assert_int_equal(at[0] & SYN_TOKEN_HASH, plain_hash(english, lower));
                assert_int_equal(has(at[0], SYN_TOKEN_CAPITAL), word[0] >= 'A' && word[0] <= 'Z');
                assert_int_equal(has(at[0], SYN_TOKEN_NUMBER), word[0] >= '0' && word[0] <= '9');
            }
    sb_stemmer_delete(english);
}

/* Many more words than a table remembers, each several times, with hundreds in one text. */
static void words_that_were_forgotten_are_stemmed_again(void **state)
{
    enum { WORDS = 700, TEXTS = 1500, ROUNDS = 2 };
    static char text[WORDS * 12];
    static uint32_t at[WORDS], expected[WORDS];
    struct sb_stemmer *english = sb_stemmer_new("english", "UTF_8");
    for (int k = 0; k < TEXTS * ROUNDS; k++) {
        syn_rng rng = syn_rng_make(2, (uint64_t)(k % TEXTS));
        size_t bytes = 0, count;
        const bool checked = k % 50 == 0;
        for (int w = 0; w < WORDS; w++) {
            char lower[16];
            draw_word(&rng, 4 + syn_rng_below(&rng, 7), false, text + bytes, lower);
            if (checked) expected[w] = plain_hash(english, lower);
            bytes += strlen(lower);
            text[bytes++] = ' ';
        }
        syn_text_tokenise(text, bytes, at, WORDS, &count);
        assert_int_equal(count, WORDS);
        for (int w = 0; checked && w < WORDS; w++)
            assert_int_equal(at[w] & SYN_TOKEN_HASH, expected[w]);
    }
    sb_stemmer_delete(english);
}

static void *hash_in_thread(void *out)
{
    *(uint32_t *)out = hash_of("Parisians");
    return NULL;
}

static void threads_agree(void **state)
{
    pthread_t thread[4];
    uint32_t hash[4];
    for (int k = 0; k < 4; k++)
        assert_int_equal(pthread_create(&thread[k], NULL, hash_in_thread, &hash[k]), 0);
    for (int k = 0; k < 4; k++) pthread_join(thread[k], NULL);
    for (int k = 0; k < 4; k++) assert_int_equal(hash[k], hash_of("parisian"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_runs_of_letters_and_digits),
        cmocka_unit_test(forms_of_an_english_word_are_one_token),
        cmocka_unit_test(a_text_without_words_has_no_tokens),
        cmocka_unit_test(case_is_folded_in_every_script),
        cmocka_unit_test(combining_marks_belong_to_their_word),
        cmocka_unit_test(a_capital_or_title_case_first_letter_is_flagged),
        cmocka_unit_test(a_leading_digit_is_flagged_as_number),
        cmocka_unit_test(sentences_begin_at_the_start_and_after_a_stop_and_a_blank),
        cmocka_unit_test(neighbours_are_adjacent_across_blanks_hyphens_apostrophes_and_points_only),
        cmocka_unit_test(bytes_that_are_not_utf8_separate_words),
        cmocka_unit_test(reading_stops_at_the_limit),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(an_endless_word_is_one_token),
        cmocka_unit_test(hashes_are_what_they_have_always_been),
        cmocka_unit_test(a_word_is_the_same_wherever_it_stands),
        cmocka_unit_test(words_that_were_forgotten_are_stemmed_again),
        cmocka_unit_test(threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
