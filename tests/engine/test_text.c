/* The tokeniser, by example: which runs are words, what is folded, and which flags a word gets. */
#include "tests/test.h"

#include "engine/text.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
