/* What is said of a piece against the question and against another piece, on texts short enough to
 * be counted by hand. */
#include "tests/tokens.h"

#include "kernels/base/rng.h"

enum { R = SYN_ROWS_MAX };

static syn_idf *idf;
static real *table;
static real quest[SYN_TASK_QUEST], pair[SYN_TASK_PAIR], e[R * SYN_DE], q[SYN_DE];

static int setup(void **state)
{
    idf = calloc(1, sizeof *idf);
    table = calloc((size_t)SYN_VOCABULARY * SYN_DE, sizeof *table);
    if (!idf || !table) return -1;
    syn_embedding_init(table, 1);
    return 0;
}

static int teardown(void **state)
{
    free(idf);
    free(table);
    return 0;
}

static void idf_all(float value)
{
    for (int i = 0; i < SYN_IDF_BUCKETS; i++) idf->value[i] = value;
}

static void build(const char *question, const syn_piece_text *piece, int rows, bool titles)
{
    int32_t n;
    const uint32_t *t = tokens_of(question, &n);
    memset(quest, 0x7f, sizeof quest); /* everything is to be overwritten */
    memset(pair, 0x7f, sizeof pair);
    memset(e, 0x7f, sizeof e);
    memset(q, 0x7f, sizeof q);
    assert_ok(syn_task_build(idf, table, t, n, piece, rows, titles, quest, pair, e, q));
}

static double of_question(int row, int column)
{
    return (double)quest[row * SYN_DQ + column];
}
static double of_pair(int channel, int a, int b)
{
    return (double)pair[(channel * R + a) * R + b];
}

#define assert_near(x, expected)                                                                   \
    do {                                                                                           \
        double x_ = (x), y_ = (expected);                                                          \
        if (!(fabs(x_ - y_) < 1e-5)) fail_msg("%s is %.7f, expected %.7f", #x, x_, y_);            \
    } while (0)

/* A question and pieces with content words of idf 5 and small words of idf 1. */
static void idf_of_a_small_world(void)
{
    idf_all(5);
    idf_set(idf, "which river flows through the city where was born in of is a and", 1);
}

static const char *const QUESTION =
    "Which river flows through the city where Marie Curie was born in 1867?";

/* ---- Against the question ---- */

static void cosine_coverage_and_rare_words_are_as_counted_by_hand(void **state)
{
    idf_all(1);
    idf_set(idf, "alpha", 5);
    idf_set(idf, "gamma", 3);
    syn_piece_text piece[] = {piece_of("", "alpha gamma alpha"), piece_of("", "beta"),
                              piece_of("", "delta"), piece_of("alpha", "beta")};
    build("alpha beta", piece, 4, true);
    /* q: alpha 5, beta 1; first piece: alpha (1 + ln 2) 5, gamma 3 */
    double a = (1 + log(2)) * 5, cosine = 5 * a / (sqrt(26) * sqrt(a * a + 9));
    assert_near(of_question(0, SYN_Q_COSINE), 3 * cosine);
    assert_near(of_question(1, SYN_Q_COSINE), 3 / sqrt(26));
    assert_near(of_question(2, SYN_Q_COSINE), 0);
    assert_near(of_question(3, SYN_Q_COSINE), 3); /* the words of its title count */
    assert_near(of_question(0, SYN_Q_COVERAGE), 5.0 / 6);
    assert_near(of_question(1, SYN_Q_COVERAGE), 1.0 / 6);
    assert_near(of_question(2, SYN_Q_COVERAGE), 0);
    assert_near(of_question(0, SYN_Q_RARE), 1); /* idf > 4 has alpha alone */
    assert_near(of_question(1, SYN_Q_RARE), 0);
    assert_near(of_question(0, SYN_Q_LENGTH), log(1 + 3) / 6);
    assert_near(of_question(3, SYN_Q_LENGTH), log(1 + 2) / 6);
}

static void titles_are_found_in_the_question_whole_or_without_their_last_part(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {
        piece_of("Marie Curie", "x"),  piece_of("Marie Curie (physicist)", "x"),
        piece_of("Warsaw", "x"),       piece_of("Marie Curie Station", "x"),
        piece_of("Curie (film)", "x"), piece_of("The", "x"),
        piece_of("marie curie", "x"),
    };
    build(QUESTION, piece, 7, true);
    assert_near(of_question(0, SYN_Q_TITLE_IN), 1);
    assert_near(of_question(1, SYN_Q_TITLE_IN), 0.8);
    assert_near(of_question(2, SYN_Q_TITLE_IN), 0);
    assert_near(of_question(3, SYN_Q_TITLE_IN), 0);   /* its last word is not set apart */
    assert_near(of_question(4, SYN_Q_TITLE_IN), 0.8); /* one word, written as a name */
    assert_near(of_question(5, SYN_Q_TITLE_IN), 0);   /* no content word */
    assert_near(of_question(6, SYN_Q_TITLE_IN), 1);   /* whatever the letters' case */
    assert_near(of_question(0, SYN_Q_TITLE_SHARE), 1);
    assert_near(of_question(1, SYN_Q_TITLE_SHARE), 10.0 / 15);
    assert_near(of_question(2, SYN_Q_TITLE_SHARE), 0);
    assert_near(of_question(4, SYN_Q_TITLE_SHARE), 0.5);
    assert_near(of_question(0, SYN_Q_TITLE_COVER),
                1); /* capitalised: marie, curie; "which" has little idf */
    assert_near(of_question(4, SYN_Q_TITLE_COVER), 0.5);
    assert_near(of_question(0, SYN_Q_TITLED), 1);
}

static void capitals_pairs_and_numbers_are_shared_with_the_question(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {piece_of("", "Marie Curie was born in 1867"),
                              piece_of("", "the river where curie flows in 1903"),
                              piece_of("", "Marie, Curie"), piece_of("", "born in the city")};
    build(QUESTION, piece, 4, true);
    assert_near(of_question(0, SYN_Q_CAPITAL), 1);
    assert_near(of_question(1, SYN_Q_CAPITAL), 0.5); /* capitals of the question, in any case */
    assert_near(of_question(3, SYN_Q_CAPITAL), 0);
    assert_near(of_question(0, SYN_Q_SPAN), 0.5); /* one pair */
    assert_near(of_question(2, SYN_Q_SPAN), 0);   /* a comma stands between */
    assert_near(of_question(0, SYN_Q_NUMBER), 1);
    assert_near(of_question(1, SYN_Q_NUMBER), 0); /* another number */
    build("Did Marie Curie meet Albert Einstein?",
          (syn_piece_text[]){piece_of("", "Marie Curie and Albert Einstein")}, 1, true);
    assert_near(of_question(0, SYN_Q_SPAN), 1); /* two */
}

static void claims_are_marked(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {piece_of("", "Warsaw"), piece_of("", "Warsaw")};
    piece[1].claim = true;
    build(QUESTION, piece, 2, true);
    assert_near(of_question(0, SYN_Q_CLAIM), 0);
    assert_near(of_question(1, SYN_Q_CLAIM), 1);
}

/* ---- Against another piece ---- */

static void mentions_and_parts_of_titles_go_from_the_text_to_the_title(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {
        piece_of("Marie Curie", "Marie Curie was born in Warsaw"),
        piece_of("Warsaw", "the city of the Vistula"),
        piece_of("Vistula Lagoon (water)", "a lagoon the Vistula Lagoon is"),
        piece_of("Note", "Vistula Lagoon"),
        piece_of("Guest (film)", "a film"),
        piece_of("Hall", "a guest of the Guest"),
        piece_of("Inn", "a guest of the inn"),
    };
    build(QUESTION, piece, 7, true);
    assert_near(of_pair(SYN_PAIR_MENTION, 5, 4), 0.8); /* without its last part a title is a name */
    assert_near(of_pair(SYN_PAIR_MENTION, 6, 4), 0);   /* and not any word of that spelling */
    assert_near(of_pair(SYN_PAIR_MENTION, 0, 1), 1);   /* a's text has b's title */
    assert_near(of_pair(SYN_PAIR_MENTION, 1, 0), 0);
    assert_near(of_pair(SYN_PAIR_MENTION_T, 1, 0), 1);
    assert_near(of_pair(SYN_PAIR_MENTION_T, 0, 1), 0);
    assert_near(of_pair(SYN_PAIR_MENTION, 3, 2), 0.8);
    assert_near(of_pair(SYN_PAIR_MENTION, 1, 2), 0);
    assert_near(of_pair(SYN_PAIR_PARTIAL, 1, 2), 1.0 / 3); /* "vistula" of three words */
    assert_near(of_pair(SYN_PAIR_PARTIAL_T, 2, 1), 1.0 / 3);
    assert_near(of_pair(SYN_PAIR_PARTIAL, 3, 2), 2.0 / 3);
    for (int c = 0; c < SYN_PAIR_CHANNELS; c++)
        for (int p = 0; p < 4; p++) assert_near(of_pair(c, p, p), 0);
}

static void shared_capitals_and_pairs_leave_out_those_of_the_question(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {
        piece_of("", "Marie Curie met Lord Kelvin in Glasgow"),
        piece_of("", "Lord Kelvin, of Glasgow, and Marie Curie"),
        piece_of("", "lord kelvin and Marie"),
        piece_of("", "Glasgow"),
        piece_of("", "Lord Kelvin Glasgow"),
        piece_of("", "Lord Kelvin Glasgow hall"),
    };
    build(QUESTION, piece, 6, true);
    assert_near(of_pair(SYN_PAIR_CAPITAL, 0, 1),
                15.0 / 23); /* lord, kelvin, glasgow; marie, curie not */
    assert_near(of_pair(SYN_PAIR_CAPITAL, 1, 0), 15.0 / 23);
    assert_near(of_pair(SYN_PAIR_CAPITAL, 0, 2), 0);
    assert_near(of_pair(SYN_PAIR_CAPITAL, 0, 3), 5.0 / 13);
    assert_near(of_pair(SYN_PAIR_SPAN, 0, 1), 0.5); /* lord kelvin */
    assert_near(of_pair(SYN_PAIR_SPAN, 0, 3), 0);
    assert_near(of_pair(SYN_PAIR_SPAN, 4, 5), 1); /* lord kelvin, kelvin glasgow */
    assert_near(of_pair(SYN_PAIR_SPAN, 5, 4), 1);
}

static void what_one_covers_and_the_other_does_not(void **state)
{
    idf_all(1);
    idf_set(idf, "alpha", 5);
    syn_piece_text piece[] = {piece_of("", "alpha beta"), piece_of("", "beta gamma"),
                              piece_of("", "delta")};
    build("alpha beta gamma", piece, 3, true);
    assert_near(of_pair(SYN_PAIR_COVER, 0, 1), 5.0 / 7);
    assert_near(of_pair(SYN_PAIR_COVER, 1, 0), 1.0 / 7);
    assert_near(of_pair(SYN_PAIR_COVER, 0, 2), 6.0 / 7);
    assert_near(of_pair(SYN_PAIR_COVER, 2, 0), 0);
    assert_near(of_pair(SYN_PAIR_COSINE, 0, 1), 1 / (sqrt(26) * sqrt(2)));
    assert_near(of_pair(SYN_PAIR_COSINE, 1, 0), 1 / (sqrt(26) * sqrt(2)));
    assert_near(of_pair(SYN_PAIR_COSINE, 0, 2), 0);
}

/* ---- Without titles ---- */

static void without_a_title_the_first_capitalised_span_stands_in(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[] = {
        piece_of("", "The Vistula Lagoon is a river. Warsaw is a city"),
        piece_of("", "a city on Vistula Lagoon"),
        piece_of("", "in which Warsaw is"),
        piece_of("", "no capitals, no title"),
        piece_of("", "Marie Curie was born"),
    };
    build(QUESTION, piece, 5, true);
    assert_near(of_pair(SYN_PAIR_MENTION, 1, 0), 1); /* "Vistula Lagoon", without its article */
    assert_near(of_pair(SYN_PAIR_MENTION, 0, 1), 1);
    assert_near(of_pair(SYN_PAIR_MENTION, 2, 0), 0);
    assert_near(of_pair(SYN_PAIR_MENTION, 0, 2), 1);
    for (int p = 0; p < 5; p++) assert_near(of_pair(SYN_PAIR_MENTION, p, 3), 0);
    assert_near(of_question(4, SYN_Q_TITLE_IN), 1);
    for (int p = 0; p < 5; p++) assert_near(of_question(p, SYN_Q_TITLED), 0);
}

/* Titles that are taken away leave nothing behind: as if there had never been any. */
static void titles_taken_away_are_gone(void **state)
{
    static real quest_none[SYN_TASK_QUEST], pair_none[SYN_TASK_PAIR], e_none[R * SYN_DE];
    idf_of_a_small_world();
    syn_piece_text piece[] = {piece_of("Marie Curie", "A physicist who met Lord Kelvin"),
                              piece_of("Lord Kelvin", "The Glasgow engineer"),
                              piece_of("Glasgow (1867)", "the city on the Clyde")};
    syn_piece_text none[3];
    for (int p = 0; p < 3; p++) {
        none[p] = piece[p];
        none[p].title_count = 0;
    }
    build(QUESTION, none, 3, true);
    memcpy(quest_none, quest, sizeof quest);
    memcpy(pair_none, pair, sizeof pair);
    memcpy(e_none, e, sizeof e);
    build(QUESTION, piece, 3, false);
    assert_memory_equal(quest, quest_none, sizeof quest);
    assert_memory_equal(pair, pair_none, sizeof pair);
    assert_memory_equal(e, e_none, sizeof e);
    build(QUESTION, piece, 3, true);
    assert_memory_not_equal(quest, quest_none, sizeof quest);
}

/* ---- Embeddings, idf ---- */

static void embeddings_have_unit_length_and_their_products_approximate_the_cosine(void **state)
{
    idf_all(1);
    char text[2][400];
    double error2 = 0, length;
    syn_rng rng = syn_rng_make(2, SYN_STREAM_TEST);
    for (int n = 0; n < 60; n++) {
        for (int side = 0; side < 2; side++) {
            text[side][0] = 0;
            for (int w = 0; w < 12; w++)
                snprintf(text[side] + strlen(text[side]), 20, "w%u ", syn_rng_below(&rng, 30));
        }
        syn_piece_text piece[] = {piece_of("", text[1])};
        build(text[0], piece, 1, true);
        double product = 0;
        length = 0;
        for (int d = 0; d < SYN_DE; d++) {
            product += (double)(e[d] * q[d]);
            length += (double)(e[d] * e[d]);
        }
        assert_near(length, 1);
        error2 += pow(product - of_question(0, SYN_Q_COSINE) / 3, 2) / 60;
    }
    assert_true(sqrt(error2) < 0.12); /* 1 / sqrt(128) = .088 */
}

static void inverse_document_frequency_counts_pieces_not_occurrences(void **state)
{
    uint32_t *counts = calloc(SYN_IDF_BUCKETS, sizeof *counts);
    assert_non_null(counts);
    syn_piece_text piece[] = {piece_of("alpha", "beta beta alpha"), piece_of("", "alpha gamma"),
                              piece_of("", "alpha"), piece_of("", "alpha")};
    for (int p = 0; p < 4; p++) syn_idf_count(counts, &piece[p]);
    syn_idf_finish(idf, counts, 4);
    assert_near(syn_idf_of(idf, word_of("alpha")), log(5 / 4.5));
    assert_near(syn_idf_of(idf, word_of("Beta")), log(5 / 1.5));
    assert_near(syn_idf_of(idf, word_of("unheard")), log(5 / 0.5));
    counts[word_of("alpha") & (SYN_IDF_BUCKETS - 1)] = 9;
    syn_idf_finish(idf, counts, 4);
    assert_near(syn_idf_of(idf, word_of("alpha")), 0); /* never negative */
    free(counts);
}

static void the_untrained_table_has_signs_of_equal_size(void **state)
{
    int64_t n = (int64_t)SYN_VOCABULARY * SYN_DE, positive = 0;
    for (int64_t k = 0; k < n; k++) {
        assert_true(fabs(fabs((double)table[k]) - 1 / sqrt(SYN_DE)) < 1e-7);
        positive += table[k] > 0;
    }
    assert_true(fabs((double)positive / (double)n - 0.5) < 0.002);
}

/* ---- Edges ---- */

static void rows_assert_zero_from(int row)
{
    for (int p = row; p < R; p++) {
        for (int k = 0; k < SYN_DQ; k++) assert_true(quest[p * SYN_DQ + k] == 0);
        for (int d = 0; d < SYN_DE; d++) assert_true(e[p * SYN_DE + d] == 0);
        for (int c = 0; c < SYN_PAIR_CHANNELS; c++)
            for (int o = 0; o < R; o++) assert_true(of_pair(c, p, o) == 0 && of_pair(c, o, p) == 0);
    }
}

static void no_piece_an_empty_question_and_an_empty_piece_give_zeros(void **state)
{
    idf_of_a_small_world();
    build(QUESTION, NULL, 0, true);
    rows_assert_zero_from(0);
    syn_piece_text piece[] = {piece_of("Warsaw", "Warsaw is a city in 1867"), piece_of("", "")};
    build("", piece, 2, true);
    rows_assert_zero_from(2);
    for (int k = 0; k < SYN_DQ; k++)
        assert_true(k == SYN_Q_LENGTH || k == SYN_Q_TITLED || quest[k] == 0);
    for (int d = 0; d < SYN_DE; d++) assert_true(q[d] == 0);
    build(QUESTION, piece, 2, true);
    for (int k = 0; k < SYN_DQ; k++) assert_true(quest[SYN_DQ + k] == 0);
    for (int d = 0; d < SYN_DE; d++) assert_true(e[SYN_DE + d] == 0);
}

static void thirty_two_rows_fit_and_one_more_does_not(void **state)
{
    idf_of_a_small_world();
    syn_piece_text piece[R + 1];
    char body[64];
    for (int p = 0; p <= R; p++) {
        snprintf(body, sizeof body, "Marie Curie number%d Town%d", p, p / 2);
        piece[p] = piece_of("", body);
    }
    build(QUESTION, piece, R, true);
    assert_near(of_pair(SYN_PAIR_CAPITAL, 30, 31), 5.0 / 13);
    assert_near(of_pair(SYN_PAIR_CAPITAL, 31, 29), 0);
    for (int k = 0; k < SYN_TASK_PAIR; k++) assert_true(pair[k] >= 0 && pair[k] <= 1.00001f);
    int32_t n;
    const uint32_t *t = tokens_of(QUESTION, &n);
    assert_int_equal(syn_task_build(idf, table, t, n, piece, R + 1, true, quest, pair, e, q),
                     SYN_ERR_INVALID);
}

/* More words than are counted: of the question, of a piece, capitals, and a title without end. */
static void texts_of_any_length_are_cut_not_overrun(void **state)
{
    static char text[20000];
    idf_of_a_small_world();
    for (int w = 0; w < 1800; w++) snprintf(text + strlen(text), 12, "Word%d ", w);
    syn_piece_text piece[] = {piece_of(text, text), piece_of("", text), piece_of(text, "")};
    build(text, piece, 3, true);
    for (int k = 0; k < 3 * SYN_DQ; k++) assert_true(isfinite((double)quest[k]));
    assert_true(of_question(0, SYN_Q_COVERAGE) > 0 && of_question(0, SYN_Q_COVERAGE) <= 1);
    build(text, piece, 3, false);
    for (int k = 0; k < 3 * SYN_DQ; k++) assert_true(isfinite((double)quest[k]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosine_coverage_and_rare_words_are_as_counted_by_hand),
        cmocka_unit_test(titles_are_found_in_the_question_whole_or_without_their_last_part),
        cmocka_unit_test(capitals_pairs_and_numbers_are_shared_with_the_question),
        cmocka_unit_test(claims_are_marked),
        cmocka_unit_test(mentions_and_parts_of_titles_go_from_the_text_to_the_title),
        cmocka_unit_test(shared_capitals_and_pairs_leave_out_those_of_the_question),
        cmocka_unit_test(what_one_covers_and_the_other_does_not),
        cmocka_unit_test(without_a_title_the_first_capitalised_span_stands_in),
        cmocka_unit_test(titles_taken_away_are_gone),
        cmocka_unit_test(embeddings_have_unit_length_and_their_products_approximate_the_cosine),
        cmocka_unit_test(inverse_document_frequency_counts_pieces_not_occurrences),
        cmocka_unit_test(the_untrained_table_has_signs_of_equal_size),
        cmocka_unit_test(no_piece_an_empty_question_and_an_empty_piece_give_zeros),
        cmocka_unit_test(thirty_two_rows_fit_and_one_more_does_not),
        cmocka_unit_test(texts_of_any_length_are_cut_not_overrun),
    };
    return cmocka_run_group_tests_name("test_task", tests, setup, teardown);
}
