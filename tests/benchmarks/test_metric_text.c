/* The official scripts' normaliser and the overlap of words. */
#include "benchmarks/metric_text.h"
#include "tests/test.h"

static syn_normal_answer answer;

static const char *normal(const char *text)
{
    assert_ok(syn_normal_answer_read(&answer, text, strlen(text)));
    return answer.text;
}

static int free_answer(void **state)
{
    syn_normal_answer_free(&answer);
    return 0;
}

static void english_is_lowered_and_loses_punctuation_and_articles(void **state)
{
    assert_string_equal(normal("The U.S.A."), "usa");
    assert_string_equal(normal("well-known"), "wellknown");
    assert_string_equal(normal("  An   apple,\ta day "), "apple day");
    assert_string_equal(normal("the theatre of Athens"), "theatre of athens");
    assert_string_equal(normal("THE A AN"), "");
    assert_string_equal(normal("a_b"), "ab");
    assert_string_equal(normal(""), "");
    assert_string_equal(normal("!?"), "");
}

static void unicode_is_python_s(void **state)
{
    assert_string_equal(normal("A–B"), "–b");     /* an en dash is a word's end, and stays */
    assert_string_equal(normal("a\u00a0b"), "b"); /* a no-break space is a blank */
    assert_string_equal(normal("x\u2028y\xC2\x85"
                               "z"),
                        "x y z");                            /* so are these */
    assert_string_equal(normal("İ"), "i\u0307");             /* two code points */
    assert_string_equal(normal("Ⱥ ÉTÉ ß"), "ⱥ été ß");       /* longer, in lower case */
    assert_string_equal(normal("ΟΔΟΣ ΣΟΦΟΣ"), "οδος σοφος"); /* the final sigma */
    assert_string_equal(normal("ΑΣ'Β"), "ασβ");       /* an apostrophe does not end the word */
    assert_string_equal(normal("a\u0301"), "\u0301"); /* a mark ends the word before it */
    assert_string_equal(normal("a½ aⅧ"), "a½ aⅷ");    /* numbers belong to words */
}

static void bytes_that_are_no_text_are_kept(void **state)
{
    syn_normal_answer a = {0};
    assert_ok(syn_normal_answer_read(&a, "\xff the \xc3", 7));
    assert_int_equal(a.bytes, 3);
    assert_memory_equal(a.text, "\xff \xc3", 3);
    syn_normal_answer_free(&a);
}

static void an_answer_has_a_longest_size(void **state)
{
    syn_normal_answer a = {0};
    char *text = calloc(1, SYN_ANSWER_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', SYN_ANSWER_BYTES_MAX + 1);
    assert_ok(syn_normal_answer_read(&a, text, SYN_ANSWER_BYTES_MAX));
    assert_int_equal(syn_normal_answer_read(&a, text, SYN_ANSWER_BYTES_MAX + 1), SYN_ERR_LIMIT);
    free(text);
    syn_normal_answer_free(&a);
}

static void words_are_counted_as_often_as_both_have_them(void **state)
{
    syn_normal_answer a = {0}, b = {0};
    assert_ok(syn_normal_answer_read(&a, "red red red dog", 15));
    assert_ok(syn_normal_answer_read(&b, "dog cat red red", 15));
    assert_int_equal(syn_normal_answer_common(&a, &b), 3);
    const syn_overlap o = syn_normal_answer_overlap(&a, &b);
    assert_true(o.precision == .75 && o.recall == .75 && o.f1 == .75);
    syn_normal_answer_free(&a);
    syn_normal_answer_free(&b);
}

/* ---- Properties over drawn texts ---- */

static const char *const words[] = {"the", "a", "Red", "red", "dog", "U.S.", "é", "5", "–", "no"};

static void draw(unsigned *seed, char *out, size_t room)
{
    out[0] = 0;
    for (int n = rand_r(seed) % 6; n > 0; n--) {
        strncat(out, words[(size_t)rand_r(seed) % (sizeof words / sizeof *words)],
                room - strlen(out) - 2);
        strcat(out, rand_r(seed) % 4 ? " " : "-");
    }
}

static void overlap_is_symmetric_bounded_and_one_for_equals(void **state)
{
    syn_normal_answer a = {0}, b = {0};
    unsigned seed = 1;
    char x[128], y[128];
    for (int i = 0; i < 5000; i++) {
        draw(&seed, x, sizeof x);
        draw(&seed, y, sizeof y);
        assert_ok(syn_normal_answer_read(&a, x, strlen(x)));
        assert_ok(syn_normal_answer_read(&b, y, strlen(y)));
        const syn_overlap o = syn_normal_answer_overlap(&a, &b),
                          r = syn_normal_answer_overlap(&b, &a);
        assert_true(o.f1 >= 0 && o.f1 <= 1 && o.precision <= 1 && o.recall <= 1);
        assert_true(o.precision == r.recall && o.recall == r.precision);
        assert_true(fabs(o.f1 - r.f1) < 1e-15);
        if (syn_normal_answer_equal(&a, &b) && a.bytes) assert_true(o.f1 == 1);
    }
    syn_normal_answer_free(&a);
    syn_normal_answer_free(&b);
}

static void normalising_twice_changes_nothing_more(void **state)
{
    unsigned seed = 2;
    char x[128], once[512];
    for (int i = 0; i < 2000; i++) {
        draw(&seed, x, sizeof x);
        snprintf(once, sizeof once, "%s", normal(x));
        assert_string_equal(normal(once), once);
    }
}

static void numbers_are_printed_as_python_prints_them(void **state)
{
    char t[SYN_REAL_TEXT_MAX];
    assert_string_equal(syn_real_text(1.0 / 3, t), "0.3333333333333333");
    assert_string_equal(syn_real_text(.1 + .2, t), "0.30000000000000004");
    assert_string_equal(syn_real_text(100, t), "100.0");
    assert_string_equal(syn_real_text(0, t), "0.0");
    assert_string_equal(syn_real_text(62.5, t), "62.5");
    assert_string_equal(syn_real_text(1e-5, t), "1e-05");
    assert_string_equal(syn_real_text(1e15, t), "1000000000000000.0");
    assert_string_equal(syn_real_text(1e16, t), "1e+16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(english_is_lowered_and_loses_punctuation_and_articles),
        cmocka_unit_test(unicode_is_python_s),
        cmocka_unit_test(bytes_that_are_no_text_are_kept),
        cmocka_unit_test(an_answer_has_a_longest_size),
        cmocka_unit_test(words_are_counted_as_often_as_both_have_them),
        cmocka_unit_test(overlap_is_symmetric_bounded_and_one_for_equals),
        cmocka_unit_test(normalising_twice_changes_nothing_more),
        cmocka_unit_test(numbers_are_printed_as_python_prints_them),
    };
    return cmocka_run_group_tests(tests, NULL, free_answer);
}
