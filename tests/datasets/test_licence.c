/* Every data set that can be read has a licence. */
#include "datasets/licence.h"
#include "datasets/prepare.h"
#include "datasets/question.h"
#include "tests/test.h"

static void every_data_set_has_one(void **state)
{
    char words[] = SYN_PREPARE_FORMATS "|" SYN_PREPARE_CLOSED "|" SYN_QUESTION_BENCHMARKS;
    int count = 0;
    (void)state;
    for (char *rest, *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
        const char *licence = syn_licence_of(word);
        if (!licence || !*licence) fail_msg("%s has no licence", word);
        count++;
    }
    assert_int_equal(count, 17);
}

static void they_are_their_authors(void **state)
{
    (void)state;
    assert_string_equal(syn_licence_of("hotpotqa"), "CC BY-SA 4.0");
    assert_string_equal(syn_licence_of("musique"), "CC BY 4.0");
    assert_string_equal(syn_licence_of("multiwoz22"), syn_licence_of("multiwoz"));
}

static void a_word_that_is_no_data_set_has_none(void **state)
{
    (void)state;
    assert_null(syn_licence_of(""));
    assert_null(syn_licence_of("hotpot"));
    assert_null(syn_licence_of("HotpotQA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_data_set_has_one),
        cmocka_unit_test(they_are_their_authors),
        cmocka_unit_test(a_word_that_is_no_data_set_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
