/* The synthetic generator: what its records promise. */
#include <ctype.h>
#include <signal.h>
#include <sys/resource.h>

#include "datasets/cmd_data.h"
#include "tests/datasets/synth_read.h"

/* --- determinism --- */

static void equal_seeds_give_equal_bytes(void **state)
{
    syn_synth_options o = options(40, 7);
    char *a = generate(&o), *b = generate(&o);
    assert_string_equal(a, b);
    o.seed = 8;
    char *c = generate(&o);
    assert_string_not_equal(a, c);
    free(a), free(b), free(c);
}

static void a_record_depends_on_seed_and_index_alone(void **state)
{
    syn_synth_options o = options(70, 7);
    char *longer = generate(&o);
    o.tasks = 3;
    char *shorter = generate(&o);
    char *end = strstr(shorter, "\n]\n");
    assert_non_null(end);
    assert_memory_equal(longer, shorter, end - shorter);

    syn_synth_text one = {0};
    assert_ok(syn_synth_record(&o, 69, &one));
    char *last = longer + strlen(longer) - strlen("\n]\n") - one.bytes;
    assert_memory_equal(last, one.data, one.bytes);
    free(one.data), free(longer), free(shorter);
}

/* --- what a loader and a reader may rely on --- */

static void check_facts(const json_t *record)
{
    const json_t *facts = json_object_get(record, "supporting_facts"), *fact;
    size_t i;
    assert_true(json_array_size(facts) > 0);
    json_array_foreach(facts, i, fact)
    {
        const char *title = json_string_value(json_array_get(fact, 0));
        json_int_t line = json_integer_value(json_array_get(fact, 1));
        size_t found = 0, at = 0;
        assert_string_not_equal(title, "");
        for (size_t k = 0; k < piece_count(record); k++) {
            if (strcmp(title, title_of(record, k)) != 0) continue;
            found++;
            at = k;
        }
        assert_int_equal(found, 1);
        assert_in_range(line, 0, json_array_size(sentences_of(record, at)) - 1);
    }
}

static void check_pieces(const json_t *record)
{
    for (size_t i = 0; i < piece_count(record); i++) {
        const json_t *sentence;
        size_t k;
        assert_true(json_array_size(sentences_of(record, i)) > 0);
        json_array_foreach(sentences_of(record, i), k, sentence)
        {
            const char *s = json_string_value(sentence);
            size_t n = strlen(s);
            assert_true(n > 10);
            assert_int_equal(s[n - 1], '.');
            if (strpbrk(s, "{}[]|@")) fail_msg("a template shows: %s", s);
            if (strstr(s + 1, "  ")) fail_msg("two blanks: %s", s);
        }
        for (size_t j = 0; j < i; j++) {
            if (*title_of(record, i)) {
                assert_string_not_equal(title_of(record, i), title_of(record, j));
            }
        }
    }
}

static void check_record(const json_t *record, int pieces)
{
    const char *question = text_of(record, "question");
    assert_int_equal(strlen(text_of(record, "_id")), 24);
    assert_int_equal(question[strlen(question) - 1], '?');
    assert_true(isupper((unsigned char)question[0]));
    if (strpbrk(question, "{}[]|@")) fail_msg("a template shows: %s", question);
    assert_string_not_equal(text_of(record, "answer"), "");
    assert_int_equal(piece_count(record), pieces);
    assert_true(gold_count(record) < pieces);
    check_facts(record);
    check_pieces(record);
}

static void every_record_is_valid(void **state)
{
    const int pieces[] = {10, SYN_SYNTH_PIECES_MIN, SYN_SYNTH_PIECES_MAX};
    for (int i = 0; i < 3; i++) {
        syn_synth_options o = options(300, 11);
        o.pieces = pieces[i];
        o.unanswerable = i ? 0.5 : 0;
        o.claims = i ? 1 : 0.2;
        json_t *list = records_of(&o), *ids = json_object(), *record;
        size_t k;
        json_array_foreach(list, k, record)
        {
            check_record(record, o.pieces);
            json_object_set_new(ids, text_of(record, "_id"), json_true());
        }
        assert_int_equal(json_object_size(ids), o.tasks);
        json_decref(ids);
        json_decref(list);
    }
}

/* A title without its disambiguation. */
static const char *base_title(const char *title)
{
    static char base[128];
    snprintf(base, sizeof base, "%s", title);
    char *mark = strstr(base, " (");
    if (mark) *mark = 0;
    return base;
}

/* Whether piece j speaks of piece i by name. */
static bool mentions(const json_t *record, size_t j, size_t i)
{
    char *text = piece_text(record, j, false);
    bool found = strstr(text, base_title(title_of(record, i))) != NULL;
    free(text);
    return found;
}

/* The gold pieces hang together by mentions, and the answer stands in one of them. */
static void check_bridge(const json_t *record)
{
    size_t k = piece_count(record);
    bool reached[SYN_SYNTH_PIECES_MAX] = {false}, grows = true, answered = false;
    for (size_t i = 0; i < k && grows; i++) {
        if (is_gold(record, i)) reached[i] = true, grows = false;
    }
    for (grows = true; grows;) {
        grows = false;
        for (size_t i = 0; i < k; i++) {
            for (size_t j = 0; j < k && is_gold(record, i) && !reached[i]; j++) {
                if (!reached[j] || !(mentions(record, i, j) || mentions(record, j, i))) continue;
                reached[i] = grows = true;
            }
        }
    }
    for (size_t i = 0; i < k; i++) {
        if (!is_gold(record, i)) continue;
        char *text = piece_text(record, i, true);
        answered |= strstr(text, text_of(record, "answer")) != NULL;
        if (!reached[i])
            fail_msg("%s: nothing leads to %s", text_of(record, "question"), title_of(record, i));
        free(text);
    }
    if (!answered)
        fail_msg("%s: %s is in no piece", text_of(record, "question"), text_of(record, "answer"));
}

/* The year in the first sentence of a piece: its only number of four digits. */
static int year_of(const json_t *record, size_t piece)
{
    const char *s = json_string_value(json_array_get(sentences_of(record, piece), 0));
    for (; *s; s++) {
        if (strspn(s, "0123456789") == 4) return atoi(s);
        if (isdigit((unsigned char)*s)) s += strspn(s, "0123456789") - 1;
    }
    fail_msg("%s: no year", title_of(record, piece));
    return 0;
}

static void check_comparison(const json_t *record)
{
    const char *question = text_of(record, "question");
    bool by_year = strstr(question, " older") || strstr(question, " born first");
    int winner = 0, loser = 9999;
    const char *answer = text_of(record, "answer");
    bool right = !strcmp(answer, "yes") || !strcmp(answer, "no");
    for (size_t i = 0; i < piece_count(record); i++) {
        if (!is_gold(record, i)) continue;
        const char *name = base_title(title_of(record, i));
        if (!strstr(question, name)) {
            fail_msg("%s: does not name %s", question, name);
        }
        bool chosen = !strcmp(answer, name);
        right |= chosen;
        if (by_year) *(chosen ? &winner : &loser) = year_of(record, i);
    }
    if (winner >= loser) fail_msg("%s: not %s, of %d", question, answer, winner);
    assert_true(right);
}

static void the_gold_pieces_can_be_found_from_the_question(void **state)
{
    syn_synth_options o = options(400, 5);
    json_t *list = records_of(&o), *record;
    size_t k;
    json_array_foreach(list, k, record)
    {
        assert_int_equal(gold_count(record), json_integer_value(json_object_get(record, "hops")));
        if (!strcmp(text_of(record, "type"), "comparison"))
            check_comparison(record);
        else
            check_bridge(record);
    }
    json_decref(list);
}

static void each_type_and_number_of_hops_is_there(void **state)
{
    syn_synth_options o = options(600, 3);
    json_t *list = records_of(&o), *record;
    int comparisons = 0, yes_or_no = 0, hops[5] = {0};
    size_t k;
    json_array_foreach(list, k, record)
    {
        json_int_t n = json_integer_value(json_object_get(record, "hops"));
        assert_in_range(n, 2, 4);
        hops[n]++;
        comparisons += !strcmp(text_of(record, "type"), "comparison");
        yes_or_no +=
            !strcmp(text_of(record, "answer"), "yes") || !strcmp(text_of(record, "answer"), "no");
    }
    assert_in_range(comparisons, 80, 160);
    assert_in_range(yes_or_no, 10, 60);
    assert_in_range(hops[3], 60, 200);
    assert_in_range(hops[4], 25, 120);
    json_decref(list);
}

/* Whether every name and number of the claim stands in some other piece, though not the claim. */
static bool is_known(const json_t *record, size_t claim)
{
    char *said = piece_text(record, claim, false), *all = strdup(""), *rest = NULL;
    bool known = true;
    for (size_t i = 0; i < piece_count(record); i++) {
        if (i == claim) continue;
        char *text = piece_text(record, i, true), *longer = NULL;
        assert_true(asprintf(&longer, "%s %s", all, text) > 0);
        free(text), free(all);
        all = longer;
    }
    assert_null(strstr(all, said));
    for (char *word = strtok_r(said, " .,", &rest); word; word = strtok_r(NULL, " .,", &rest)) {
        bool name = isupper((unsigned char)*word) || isdigit((unsigned char)*word);
        if (name && !strstr(all, word)) known = false;
    }
    free(said), free(all);
    return known;
}

/* A claim is one sentence without a title that says in other words what a piece of the record says.
 */
static void claims_have_their_shares(void **state)
{
    syn_synth_options o = options(1500, 9);
    json_t *list = records_of(&o), *record;
    int claims = 0, wrong = 0, known_right = 0, known_wrong = 0;
    size_t k;
    json_array_foreach(list, k, record)
    {
        const json_t *claim = json_array_get(json_object_get(record, "claims"), 0);
        size_t untitled = 0;
        for (size_t i = 0; i < piece_count(record); i++) untitled += !*title_of(record, i);
        assert_int_equal(untitled, claim != NULL);
        if (!claim) continue;
        size_t at = (size_t)json_integer_value(json_array_get(claim, 0));
        assert_string_equal(title_of(record, at), "");
        assert_int_equal(json_array_size(sentences_of(record, at)), 1);
        assert_true(json_is_boolean(json_array_get(claim, 1)));
        bool right = json_is_true(json_array_get(claim, 1));
        claims++;
        wrong += !right;
        (right ? &known_right : &known_wrong)[0] += is_known(record, at);
    }
    assert_true(known_right > 0.8 * (claims - wrong));
    assert_true(known_wrong < 0.1 * wrong);
    assert_in_range(claims, 250, 350);
    assert_in_range(wrong, claims * 12 / 100, claims * 28 / 100);
    json_decref(list);
}

static void unanswerable_records_lack_one_hop(void **state)
{
    syn_synth_options o = options(600, 13);
    o.unanswerable = 0.3;
    json_t *list = records_of(&o), *record;
    int unanswerable = 0;
    size_t k;
    json_array_foreach(list, k, record)
    {
        bool lacks = json_is_false(json_object_get(record, "answerable"));
        json_int_t hops = json_integer_value(json_object_get(record, "hops"));
        assert_int_equal(gold_count(record), hops - lacks);
        unanswerable += lacks;
    }
    assert_in_range(unanswerable, 140, 220);
    json_decref(list);
}

/* --- bad arguments --- */

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void expect_failure(const syn_synth_options *o, const char *path, const char *names)
{
    assert_int_not_equal(syn_synth_write(o, path), SYN_OK);
    if (!strstr(syn_error_text(), names)) fail_msg("\"%s\" lacks \"%s\"", syn_error_text(), names);
    assert_null(strchr(syn_error_text(), '\n'));
    assert_int_equal(files_in_folder(), 0);
}

static void bad_arguments_are_one_sentence(void **state)
{
    syn_synth_options o = options(0, 1);
    expect_failure(&o, in_folder("a.json"), "number of tasks is 0");
    o = options(1, 1);
    o.pieces = SYN_SYNTH_PIECES_MAX + 1;
    expect_failure(&o, in_folder("a.json"), "pieces");
    o = options(1, 1);
    o.unanswerable = 1.5;
    expect_failure(&o, in_folder("a.json"), "unanswerable");
    o = options(1, 1);
    o.claims = NAN;
    expect_failure(&o, in_folder("a.json"), "claim");
    o = options(1, 1);
    expect_failure(&o, in_folder("missing/a.json"), "missing/a.json");
    expect_failure(&o, folder, folder);
}

/* A limit on the size of files stands for the full disk. */
static void a_full_disk_leaves_nothing(void **state)
{
    struct rlimit before, tight;
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    syn_synth_options o = options(200, 1);
    expect_failure(&o, in_folder("a.json"), "a.json");
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
}

static void the_command_writes_a_file(void **state)
{
    char *path = strdup(in_folder("c.json"));
    char *good[] = {"synth", "--tasks", "5", "--seed", "3", "--out", path, NULL};
    char *no_out[] = {"synth", "--tasks", "5", NULL};
    char *no_tasks[] = {"synth", "--tasks", "0", "--out", path, NULL};
    assert_int_equal(syn_cmd_data_synth(3, no_out), SYN_ERR_USAGE);
    assert_int_equal(syn_cmd_data_synth(5, no_tasks), SYN_ERR_USAGE);
    assert_int_equal(files_in_folder(), 0);
    assert_ok(syn_cmd_data_synth(7, good));
    syn_synth_options o = options(5, 3);
    char *written = read_file(path), *expected = generate(&o);
    assert_string_equal(written, expected);
    free(written), free(expected), free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(equal_seeds_give_equal_bytes),
        IN_FOLDER(a_record_depends_on_seed_and_index_alone),
        IN_FOLDER(every_record_is_valid),
        IN_FOLDER(the_gold_pieces_can_be_found_from_the_question),
        IN_FOLDER(each_type_and_number_of_hops_is_there),
        IN_FOLDER(claims_have_their_shares),
        IN_FOLDER(unanswerable_records_lack_one_hop),
        IN_FOLDER(bad_arguments_are_one_sentence),
        IN_FOLDER(a_full_disk_leaves_nothing),
        IN_FOLDER(the_command_writes_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
