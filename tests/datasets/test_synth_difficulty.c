/* How hard the synthetic records are: near HotpotQA's distractor setting, whose published files
 * have a piece-level cosine AUROC of .70 and paragraphs of 91 words. */
#include <ctype.h>

#include "kernels/base/rng.h"
#include "tests/datasets/synth_read.h"

enum { TASKS = 400, PIECES = 10, WORDS_MAX = 400 };

/* Lower-cased words of a text, sorted; `copy` holds them. */
static int split_words(char *copy, char **words)
{
    int count = 0;
    for (char *p = copy; *p && count < WORDS_MAX;) {
        while (*p && !isalnum((unsigned char)*p) && !(*p & 0x80)) p++;
        if (!*p) break;
        words[count++] = p;
        for (; isalnum((unsigned char)*p) || (*p & 0x80); p++)
            *p = (char)tolower((unsigned char)*p);
        if (*p) *p++ = 0;
    }
    return count;
}

/* Number of pieces with the word, kept in a JSON object. */
static double idf(const json_t *frequency, const char *word, int pieces)
{
    double df = (double)json_integer_value(json_object_get(frequency, word));
    return log((1 + pieces) / (1 + df)) + 1;
}

static json_t *term_counts(const char *text)
{
    json_t *counts = json_object();
    char *copy = strdup(text), *words[WORDS_MAX];
    int n = split_words(copy, words);
    for (int i = 0; i < n; i++) {
        json_int_t had = json_integer_value(json_object_get(counts, words[i]));
        json_object_set_new_nocheck(counts, words[i], json_integer(had + 1));
    }
    free(copy);
    return counts;
}

static double dot(const json_t *a, const json_t *b, const json_t *frequency, int pieces)
{
    double sum = 0;
    const char *word;
    json_t *count;
    json_object_foreach((json_t *)a, word, count)
    {
        double w = idf(frequency, word, pieces);
        sum += w * w * (double)json_integer_value(count) *
               (double)json_integer_value(json_object_get(b, word));
    }
    return sum;
}

/* tf-idf cosine of each piece (title and body) with its question, and which are gold. */
static void cosines(const json_t *list, double cosine[][PIECES], bool gold[][PIECES])
{
    static json_t *terms[TASKS][PIECES];
    json_t *frequency = json_object(), *count;
    const char *word;
    for (size_t r = 0; r < TASKS; r++) {
        for (size_t i = 0; i < PIECES; i++) {
            char *text = piece_text(json_array_get(list, r), i, true);
            terms[r][i] = term_counts(text);
            free(text);
            json_object_foreach(terms[r][i], word, count)
            {
                json_int_t had = json_integer_value(json_object_get(frequency, word));
                json_object_set_new_nocheck(frequency, word, json_integer(had + 1));
            }
        }
    }
    int n = TASKS * PIECES;
    for (size_t r = 0; r < TASKS; r++) {
        const json_t *record = json_array_get(list, r);
        json_t *q = term_counts(text_of(record, "question"));
        for (size_t i = 0; i < PIECES; i++) {
            const json_t *p = terms[r][i];
            double norm = sqrt(dot(q, q, frequency, n) * dot(p, p, frequency, n));
            cosine[r][i] = dot(q, p, frequency, n) / norm;
            gold[r][i] = is_gold(record, i);
        }
        json_decref(q);
    }
    for (size_t r = 0; r < TASKS; r++) {
        for (size_t i = 0; i < PIECES; i++) json_decref(terms[r][i]);
    }
    json_decref(frequency);
}

/* Share of (positive, negative) pairs in which the positive scores higher; ties count half. */
static double auroc(const double *score, const bool *label, int n)
{
    double right = 0, pairs = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; label[i] && j < n; j++) {
            if (label[j]) continue;
            right += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
            pairs++;
        }
    }
    return right / pairs;
}

/* Pieces of agent 0 among n agents: their number is drawn first, then which, all of the gold ones
 * in a quarter of the episodes and not all of them in the others. Returns whether any is missing.
 */
static bool draw_evidence(syn_rng *rng, const bool *gold, bool *held)
{
    int s = 0, size = 0;
    for (int i = 0; i < PIECES; i++) s += gold[i];
    bool sufficient = syn_rng_below(rng, 4) == 0;
    while (size < s || size >= PIECES) {
        uint32_t agents = 2 + syn_rng_below(rng, 9);
        size = 0;
        for (int i = 0; i < PIECES; i++) size += syn_rng_below(rng, agents) == 0;
    }
    for (;;) {
        int left = size, have = 0;
        memset(held, 0, PIECES * sizeof *held);
        for (int i = 0; i < PIECES && sufficient; i++) {
            if (gold[i]) held[i] = true, left--;
        }
        while (left) {
            uint32_t i = syn_rng_below(rng, PIECES);
            if (!held[i]) held[i] = true, left--;
        }
        for (int i = 0; i < PIECES; i++) have += gold[i] && held[i];
        if (sufficient || have < s) return !sufficient;
    }
}

static void the_cosine_helps_as_little_as_in_hotpotqa(void **state)
{
    static double cosine[TASKS][PIECES], score[TASKS * PIECES];
    static bool gold[TASKS][PIECES], gap[TASKS * PIECES];
    syn_synth_options o = options(TASKS, 2);
    json_t *list = records_of(&o);
    cosines(list, cosine, gold);
    json_decref(list);
    double piece = auroc(&cosine[0][0], &gold[0][0], TASKS * PIECES);

    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    for (int e = 0; e < TASKS * PIECES; e++) {
        int r = e % TASKS;
        bool held[PIECES];
        double mass = 0, all = 0;
        gap[e] = draw_evidence(&rng, gold[r], held);
        for (int i = 0; i < PIECES; i++) {
            mass += held[i] ? cosine[r][i] : 0;
            all += cosine[r][i];
        }
        score[e] = -mass / all;
    }
    double by_mass = auroc(score, gap, TASKS * PIECES);
    print_message("piece-level cosine AUROC %.3f, gap by cosine mass %.3f\n", piece, by_mass);
    assert_true(piece >= 0.65 && piece <= 0.75);
    assert_true(by_mass >= 0.60 && by_mass <= 0.80);
}

static int word_count(const char *s)
{
    int count = 0;
    for (bool inside = false; *s; s++) {
        bool blank = *s == ' ';
        count += !blank && !inside;
        inside = !blank;
    }
    return count;
}

static void texts_have_the_length_of_encyclopaedia_paragraphs(void **state)
{
    syn_synth_options o = options(TASKS, 2);
    o.claims = 0;
    json_t *list = records_of(&o), *record;
    double words = 0, sentences = 0, asked = 0;
    size_t k;
    json_array_foreach(list, k, record)
    {
        asked += word_count(text_of(record, "question"));
        for (size_t i = 0; i < PIECES; i++) {
            char *text = piece_text(record, i, false);
            words += word_count(text);
            sentences += (double)json_array_size(sentences_of(record, i));
            free(text);
        }
    }
    assert_true(words / (TASKS * PIECES) > 60 && words / (TASKS * PIECES) < 100);
    assert_true(sentences / (TASKS * PIECES) > 3 && sentences / (TASKS * PIECES) <= 5.2);
    assert_true(asked / TASKS > 12 && asked / TASKS < 18);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_cosine_helps_as_little_as_in_hotpotqa),
        IN_FOLDER(texts_have_the_length_of_encyclopaedia_paragraphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
