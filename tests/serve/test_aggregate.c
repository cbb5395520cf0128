/* Clusters, pooling, and the surface text they rest on. */
#include "tests/test.h"

#include "serve/aggregate.h"
#include "serve/similar.h"
#include "serve/words.h"

static void the_normal_form_is_squads(void **state)
{
    static const char *const pairs[][2] = {{"The U.S.A.", "usa"},
                                           {"well-known", "wellknown"},
                                           {"A\xE2\x80\x93"
                                            "B",
                                            "\xE2\x80\x93"
                                            "b"},
                                           {"a\xC2\xA0"
                                            "b",
                                            "b"},
                                           {"\xC4\xB0", "i\xCC\x87"},
                                           {"  An  apple, the pear ", "apple pear"},
                                           {"the", ""},
                                           {"theatre", "theatre"},
                                           {"", ""}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        char out[64];
        syn_normal_form(pairs[k][0], out, sizeof out);
        assert_string_equal(out, pairs[k][1]);
    }
    char tiny[12];
    assert_true(syn_normal_form("a very long answer indeed", tiny, sizeof tiny) < sizeof tiny);
}

static void answers_that_mean_the_same_match(void **state)
{
    assert_true(syn_same_answer("The Beatles", "beatles"));
    assert_true(syn_same_answer("John Ronald Reuel Tolkien", "john ronald reuel tolkien!"));
    assert_true(syn_same_answer("New York City", "New York")); /* F1 .8 */
    assert_false(syn_same_answer("Jane Roe", "Mark Roe"));     /* F1 .5 */
    assert_false(syn_same_answer("yes", "no"));
    assert_false(syn_same_answer("", ""));
    assert_true(syn_no_answer("Unknown."));
    assert_true(syn_no_answer("I don't know"));
    assert_true(syn_no_answer("N/A"));
    assert_false(syn_no_answer("The Unknown Soldier"));
}

/* Letters of several choices are answers, though one of them is an article. */
static void the_letter_a_is_an_answer(void **state)
{
    assert_false(syn_no_answer("A"));
    assert_false(syn_no_answer("(a)"));
    assert_true(syn_no_answer(" ."));
    assert_true(syn_same_answer("A", "A."));
    assert_false(syn_same_answer("A", "B"));
    assert_false(syn_same_answer("A", ""));
}

static void clusters_are_numbered_by_first_appearance(void **state)
{
    const char *const answers[] = {"Lyon", "Paris", "lyon", "unknown", "the Paris"};
    int cluster[] = {0, 0, 0, -1, 0};
    assert_int_equal(syn_cluster_answers(5, answers, cluster), 2);
    const int expected[] = {0, 1, 0, -1, 1};
    assert_memory_equal(cluster, expected, sizeof expected);
}

static void texts_cluster_by_cosine(void **state)
{
    const char *const texts[] = {"The river rose because of heavy rain in spring",
                                 "The river rose because of heavy rain in the spring",
                                 "Prices fell after the harvest"};
    int cluster[3] = {0}, clusters;
    assert_ok(syn_cluster_texts(3, texts, cluster, &clusters));
    assert_int_equal(clusters, 2);
    assert_int_equal(cluster[0], cluster[1]);
}

static void calibration_flattens_confidence(void **state)
{
    assert_true(fabs(syn_calibrate_confidence(.9, 1) - .9) < 1e-12);
    assert_true(fabs(syn_calibrate_confidence(.9, 2) - .75) < 1e-12);
    assert_true(fabs(syn_calibrate_confidence(.9, 0) - .9) < 1e-12);
    assert_true(fabs(syn_calibrate_confidence(1, 1) - .99) < 1e-12);
    assert_true(fabs(syn_calibrate_confidence(NAN, 1) - .01) < 1e-12);
}

static void log_odds_are_pooled(void **state)
{
    /* Two agents at 3 to 1 against one at 4 to 1: 9 to 4, and 1 for "none of these". */
    const double confidence[] = {.75, .8, .75};
    const int cluster[] = {0, 1, 0};
    syn_pool p;
    syn_pool_answers(3, confidence, cluster, &p);
    assert_int_equal(p.winner, 0);
    assert_int_equal(p.speaker, 0);
    assert_true(fabs(p.weight[0] - 9. / 13) < 1e-12);
    assert_true(fabs(p.probability[0] - 9. / 14) < 1e-12);
    assert_true(fabs(p.consensus - 9. / 13) < 1e-12);
    double h = -(9. / 13) * log(9. / 13) - (4. / 13) * log(4. / 13);
    assert_true(fabs(p.entropy - h) < 1e-12);
    double total = 2 * log(3) + log(4);
    assert_true(fabs(p.share[1] - log(4) / total) < 1e-12);
}

static void one_voice_is_as_sure_as_itself(void **state)
{
    const double confidence[] = {.8, .3};
    const int cluster[] = {0, -1};
    syn_pool p;
    syn_pool_answers(2, confidence, cluster, &p);
    assert_true(fabs(p.probability[0] - .8) < 1e-12);
    assert_true(p.share[0] == 1 && p.share[1] == 0 && p.entropy == 0);
}

static void doubt_everywhere_shares_equally_and_silence_is_no_consensus(void **state)
{
    const double confidence[] = {.2, .4, .5};
    const int cluster[] = {0, 1, -1}, none[] = {-1, -1, -1};
    syn_pool p;
    syn_pool_answers(3, confidence, cluster, &p);
    assert_true(p.share[0] == .5 && p.share[1] == .5);
    assert_int_equal(p.winner, 1);
    syn_pool_answers(3, confidence, none, &p);
    assert_int_equal(p.winner, -1);
    assert_true(p.consensus == 0);
    assert_true(fabs(p.entropy - log(3)) < 1e-12);
}

static void cosines_ignore_function_words(void **state)
{
    const char *const texts[] = {"of the and", "a red house", "the house of the king"};
    double c[3];
    assert_ok(syn_similar_to("Who is in the house?", NULL, texts, 3, c));
    assert_true(c[0] == 0 && c[1] > 0 && c[2] > 0);
    assert_ok(syn_similar_to("the of", NULL, texts, 3, c));
    assert_true(c[0] == 0 && c[1] == 0 && c[2] == 0);
}

static int sentences(const char *text)
{
    int n = 0;
    for (size_t at = 0, bytes = strlen(text); at < bytes; n++) {
        size_t end = syn_sentence_end(text, bytes, at);
        at = end > at ? end : at + 1;
        while (at < bytes && text[at] == ' ') at++;
    }
    return n;
}

static void sentences_end_where_readers_say(void **state)
{
    assert_int_equal(sentences("One. Two! Three?"), 3);
    assert_int_equal(sentences("Dr. Smith met J. R. Jones at 3.5 km."), 1);
    assert_int_equal(sentences("He said \"Stop.\" Then he left."), 2);
    assert_int_equal(sentences("No full stop"), 1);
}

static void words_know_their_kind(void **state)
{
    syn_word w[16];
    const char *text = "Jane Roe's films, directed in 1,204 caf\xC3\xA9s";
    int n = syn_words(text, strlen(text), w, 16);
    assert_int_equal(n, 8); /* Jane Roe films directed in 1 204 cafes */
    assert_true(w[0].capital && w[1].capital && w[1].joined && !w[2].capital);
    assert_false(w[3].joined); /* a comma */
    assert_true(w[4].stop && w[5].number);
    assert_int_equal(w[7].bytes, 6);
    syn_word other[2];
    assert_int_equal(syn_words("director", 8, other, 2), 1);
    assert_int_equal(other[0].stem, w[3].stem);
    assert_int_not_equal(other[0].exact, w[3].exact);
}

static void utf8_faults_are_found_and_cuts_keep_characters_whole(void **state)
{
    assert_int_equal(syn_utf8_fault("abc\xC3\xA9", 5), -1);
    assert_int_equal(syn_utf8_fault("ab\xFFz", 4), 2);
    assert_int_equal(syn_utf8_fault("ab\xC3", 3), 2);
    assert_int_equal(syn_utf8_prefix("a\xC3\xA9z", 2), 1);
    assert_int_equal(syn_utf8_prefix("a\xC3\xA9z", 3), 3);
    assert_int_equal(syn_utf8_prefix("ab", 9), 2);
    assert_int_equal(syn_words_prefix(" one two  three", 2), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_normal_form_is_squads),
        cmocka_unit_test(answers_that_mean_the_same_match),
        cmocka_unit_test(the_letter_a_is_an_answer),
        cmocka_unit_test(clusters_are_numbered_by_first_appearance),
        cmocka_unit_test(texts_cluster_by_cosine),
        cmocka_unit_test(calibration_flattens_confidence),
        cmocka_unit_test(log_odds_are_pooled),
        cmocka_unit_test(one_voice_is_as_sure_as_itself),
        cmocka_unit_test(doubt_everywhere_shares_equally_and_silence_is_no_consensus),
        cmocka_unit_test(cosines_ignore_function_words),
        cmocka_unit_test(sentences_end_where_readers_say),
        cmocka_unit_test(words_know_their_kind),
        cmocka_unit_test(utf8_faults_are_found_and_cuts_keep_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
