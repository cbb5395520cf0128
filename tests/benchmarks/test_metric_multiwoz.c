/* MultiWOZ's metric: hand-made dialogues, one for each rule, and the parts it is made of. */
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/metric_fuzzy.h"
#include "benchmarks/metric_multiwoz.h"
#include "benchmarks/metric_multiwoz_private.h"
#include "tests/test.h"

static json_t *vectors, *golden;
static char folder[64];

static json_t *load(const char *name)
{
    char path[1024];
    json_error_t fault;
    snprintf(path, sizeof path, "%s/tests/golden/%s", SYN_SOURCE_DIR, name);
    json_t *j = json_load_file(path, 0, &fault);
    if (!j) fail_msg("%s: %s", path, fault.text);
    return j;
}

static void write_json(const char *name, const json_t *j)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(json_dump_file(j, path, 0), 0);
}

/* A reference folder of the golden dialogues: dialogue k is "d<k>". */
static int make_folder(void **state)
{
    size_t i;
    json_t *c, *items;
    const char *domain;
    char name[128];
    vectors = load("metric_vectors.json");
    golden = load("multiwoz_dialogues.json");
    strcpy(folder, "/tmp/syncog-multiwoz-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/database", folder);
    assert_int_equal(mkdir(name, 0700), 0);
    json_t *goals = json_object(), *booked = json_object();
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        snprintf(name, sizeof name, "d%zu", i);
        json_object_set(goals, name, json_object_get(c, "goal"));
        json_object_set(booked, name, json_object_get(c, "booked"));
    }
    write_json("goals.json", goals);
    write_json("booked_domains.json", booked);
    json_object_foreach(json_object_get(golden, "database"), domain, items)
    {
        snprintf(name, sizeof name, "database/%s_db.json", domain);
        write_json(name, items);
    }
    json_decref(goals);
    json_decref(booked);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    json_decref(vectors);
    json_decref(golden);
    return system(command);
}

/* ---- Whole dialogues ---- */

static void each_rule_has_its_dialogue(void **state)
{
    syn_multiwoz *m = NULL;
    size_t i, count = 0;
    json_t *c, *out;
    assert_ok(syn_multiwoz_open(folder, &m));
    assert_false(syn_multiwoz_has_bleu(m));
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        char id[32];
        snprintf(id, sizeof id, "d%zu", i);
        assert_true(syn_multiwoz_has(m, id));
        json_t *p = json_pack("{s:o}", id, json_deep_copy(json_object_get(c, "turns")));
        assert_ok(syn_multiwoz_score(m, p, &out));
        const json_t *one = json_object_get(json_object_get(out, "dialogues"), id);
        for (int k = 0; k < 2; k++) {
            const char *metric = k ? "success" : "inform";
            if (!json_equal(json_object_get(one, metric), json_object_get(c, metric)))
                fail_msg("%s: %s is %d", json_string_value(json_object_get(c, "rule")), metric,
                         (int)json_integer_value(json_object_get(one, metric)));
        }
        assert_true(json_is_null(json_object_get(out, "bleu")));
        json_decref(out);
        json_decref(p);
        count++;
    }
    assert_true(count >= 30);
    syn_multiwoz_close(m);
}

static void all_dialogues_together_give_rates(void **state)
{
    syn_multiwoz *m = NULL;
    json_t *p = json_object(), *c, *out, *again;
    size_t i;
    int inform = 0, success = 0, count = 0;
    assert_ok(syn_multiwoz_open(folder, &m));
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        char id[32];
        snprintf(id, sizeof id, "d%zu", i);
        size_t k;
        json_t *turn;
        json_array_foreach(json_object_get(c, "turns"), k, turn)
        {
            json_object_set_new(turn, "active_domains", json_array());
        }
        json_object_set_new(p, id, json_deep_copy(json_object_get(c, "turns")));
    }
    assert_ok(syn_multiwoz_score(m, p, &out));
    const char *id;
    json_t *one;
    json_object_foreach(json_object_get(out, "dialogues"), id, one)
    {
        inform += (int)json_integer_value(json_object_get(one, "inform"));
        success += (int)json_integer_value(json_object_get(one, "success"));
        count++;
    }
    char text[32];
    snprintf(text, sizeof text, "%.1f", 100. * inform / count);
    const json_t *rates = json_object_get(out, "inform");
    assert_true(json_real_value(json_object_get(rates, "total")) == strtod(text, NULL));
    assert_true(json_real_value(json_object_get(rates, "taxi")) == 100);
    snprintf(text, sizeof text, "%.1f", 100. * success / count);
    rates = json_object_get(out, "success");
    assert_true(json_real_value(json_object_get(rates, "total")) == strtod(text, NULL));
    /* Normalised predictions are scored the same again. */
    assert_ok(syn_multiwoz_score(m, p, &again));
    assert_true(json_equal(json_object_get(out, "inform"), json_object_get(again, "inform")));
    json_decref(out);
    json_decref(again);
    json_decref(p);
    syn_multiwoz_close(m);
}

static void refuse(syn_multiwoz *m, const char *predictions, const char *part)
{
    json_t *p = json_loads(predictions, 0, NULL), *out = NULL;
    assert_non_null(p);
    assert_int_equal(syn_multiwoz_score(m, p, &out), SYN_ERR_FORMAT);
    assert_null(out);
    if (!strstr(syn_error_text(), part)) fail_msg("%s", syn_error_text());
    json_decref(p);
}

static void faulty_predictions_are_refused_by_place(void **state)
{
    syn_multiwoz *m = NULL;
    assert_ok(syn_multiwoz_open(folder, &m));
    refuse(m, "[]", "an object");
    refuse(m, "{\"SNG1.json\": []}", "'SNG1.json' is not in the reference");
    refuse(m, "{\"d0\": {}}", "dialogue 'd0': a list");
    refuse(m, "{\"d0\": [{}]}", "dialogue 'd0', turn 0: it has no text \"response\"");
    refuse(m, "{\"d0\": [{\"response\": \"\", \"state\": []}]}", "\"state\" is no object");
    refuse(m, "{\"d0\": [{\"response\": \"\", \"state\": {\"hotel\": {\"area\": [\"a\"]}}}]}",
           "slot 'area' is no text");
    refuse(m, "{\"d0\": [{\"response\": \"\", \"state\": {}, \"active_domains\": [1]}]}",
           "no text");
    refuse(m, "{\"d0\": [{\"response\": \"\"}]}", "gold_states.json");
    syn_multiwoz_close(m);
}

static void a_folder_without_goals_is_refused(void **state)
{
    syn_multiwoz *m = NULL;
    assert_int_equal(syn_multiwoz_open("/nowhere", &m), SYN_ERR_IO);
    assert_null(m);
    assert_non_null(strstr(syn_error_text(), "/nowhere/goals.json"));
}

/* Gold states and responses, where the folder has them. */
static void gold_states_and_bleu_come_from_the_folder(void **state)
{
    syn_multiwoz *m = NULL;
    char path[128];
    json_t *out;
    snprintf(path, sizeof path, "%s/references", folder);
    mkdir(path, 0700);
    json_t *states = json_loads("{\"d0\": [{\"restaurant\": {\"food\": \"italian\", \"area\": "
                                "\"centre\"}}]}",
                                0, NULL);
    json_t *said = json_loads("{\"d0\": [\"i suggest the NAME.\"]}", 0, NULL);
    write_json("gold_states.json", states);
    write_json("references/mwz22.json", said);
    assert_ok(syn_multiwoz_open(folder, &m));
    for (int again = 0; again < 2; again++) { /* the reference is not touched by a score */
        json_t *p = json_loads("{\"d0\": [{\"response\": \"I suggest the [restaurant_name] .\"}]}",
                               0, NULL);
        assert_ok(syn_multiwoz_score(m, p, &out));
        assert_true(json_real_value(json_object_get(json_object_get(out, "inform"), "total")) ==
                    100);
        assert_true(fabs(json_real_value(json_object_get(out, "bleu")) - 100) < 1e-9);
        assert_true(fabs(json_real_value(json_object_get(out, "combined")) - 200) < 1e-9);
        json_decref(out);
        json_decref(p);
    }
    json_t *p = json_loads("{\"d0\": [{\"response\": \"\"}, {\"response\": \"\"}]}", 0, NULL);
    assert_int_equal(syn_multiwoz_score(m, p, &out), SYN_ERR_FORMAT);
    json_decref(p);
    syn_multiwoz_close(m);
    json_decref(states);
    json_decref(said);
    snprintf(path, sizeof path, "%s/gold_states.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/references/mwz22.json", folder);
    unlink(path);
}

static void a_query_gives_ids(void **state)
{
    syn_multiwoz *m = NULL;
    json_t *out, *c = json_pack("{s:s}", "day", "monday"), *wanted;
    assert_ok(syn_multiwoz_open(folder, &m));
    assert_ok(syn_multiwoz_query(m, "train", c, &out));
    wanted = json_pack("[s, s, s]", "TR1", "TR2", "TR4");
    assert_true(json_equal(out, wanted));
    json_decref(out);
    assert_ok(syn_multiwoz_query(m, "taxi", c, &out));
    assert_int_equal(json_array_size(out), 0);
    json_decref(out);
    json_decref(c);
    json_decref(wanted);
    syn_multiwoz_close(m);
}

/* ---- Parts, as the packages behind the official script make them ---- */

typedef syn_status (*transform)(const char *text, char **out);

static void check_texts(const char *name, transform f)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(vectors, name), i, pair)
    {
        char *out;
        assert_ok(f(json_string_value(json_array_get(pair, 0)), &out));
        assert_string_equal(out, json_string_value(json_array_get(pair, 1)));
        free(out);
    }
    assert_true(i > 20);
}

static void responses_are_tokenised_and_joined_as_moses_does(void **state)
{
    check_texts("moses", syn_moses_round_trip);
}

static void tokens_are_those_of_13a(void **state)
{
    check_texts("13a", syn_bleu_tokens);
}

static void similarity_is_fuzzywuzzy_s(void **state)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(vectors, "partial_ratio"), i, v)
    {
        int alike;
        const char *a = json_string_value(json_array_get(v, 0));
        const char *b = json_string_value(json_array_get(v, 1));
        assert_ok(syn_fuzzy_partial(a, b, &alike));
        if (alike != json_integer_value(json_array_get(v, 2)))
            fail_msg("'%s' and '%s': %d", a, b, alike);
    }
}

static void bleu_is_sacrebleu_s(void **state)
{
    size_t i, k;
    json_t *c, *pair;
    json_array_foreach(json_object_get(vectors, "bleu"), i, c)
    {
        syn_bleu b = {0};
        json_array_foreach(json_object_get(c, "pairs"), k, pair)
        {
            assert_ok(syn_bleu_add(&b, json_string_value(json_array_get(pair, 0)),
                                   json_string_value(json_array_get(pair, 1))));
        }
        const double wanted = json_number_value(json_object_get(c, "score"));
        if (fabs(syn_bleu_score(&b) - wanted) > 1e-11)
            fail_msg("corpus %zu: %.15g is not %.15g", i, syn_bleu_score(&b), wanted);
    }
    assert_true(syn_bleu_score(&(syn_bleu){.hypothesis_words = 0}) == 0);
}

/* As sacrebleu.sentence_bleu() gives them. */
static void a_sentence_counts_by_the_orders_it_has(void **state)
{
    static const struct {
        const char *said, *wanted;
        double score;
    } cases[] = {{"the cat", "the cat", 100},
                 {"the cat sat", "the cat lay", 55.03212081491043},
                 {"a b c d e", "a b x d e", 30.213753973567677},
                 {"one", "two three", 0},
                 {"one two", "one two three four", 36.78794411714425},
                 {"", "one", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        syn_bleu b = {0};
        assert_ok(syn_bleu_add(&b, cases[i].said, cases[i].wanted));
        if (fabs(syn_bleu_sentence(&b) - cases[i].score) > 1e-10)
            fail_msg("'%s': %.15g", cases[i].said, syn_bleu_sentence(&b));
    }
}

static void check_value(const char *slot, const char *from, const char *to)
{
    char *out;
    assert_ok(syn_multiwoz_value(slot, from, &out));
    if (strcmp(out, to)) fail_msg("%s: '%s' becomes '%s', not '%s'", slot, from, out, to);
    free(out);
}

static void values_are_spelled_as_the_database_spells_them(void **state)
{
    check_value("arrive", "5 pm", "17:00");
    check_value("arrive", "5:15pm", "17:15");
    check_value("leave", "9:05", "09:05");
    check_value("leave", "after 9", "09:00");
    check_value("leave", "1745", "17:45");
    check_value("time", "Noon", "12:00");
    check_value("leave", "", "00:00");
    check_value("leave", "half past 5pm", "half past 5");
    check_value("name", "Nando's", "nandos");
    check_value("name", "a & b", "a and b");
    check_value("departure", " Cambridge ", "cambridge");
    check_value("food", "portugese", "portuguese");
    check_value("type", "guest house", "guesthouse");
    check_value("parking", "free", "yes");
    check_value("area", "free", "free");
    assert_int_equal(syn_multiwoz_minutes("07:15"), 435);
    assert_int_equal(syn_multiwoz_minutes("7:15"), 0);
    char *out, *text = calloc(1, SYN_MULTIWOZ_VALUE_MAX + 2);
    memset(text, '&', SYN_MULTIWOZ_VALUE_MAX);
    assert_ok(syn_multiwoz_value("name", text, &out));
    free(out);
    text[SYN_MULTIWOZ_VALUE_MAX] = '&';
    assert_int_equal(syn_multiwoz_value("name", text, &out), SYN_ERR_LIMIT);
    free(text);
}

static void slots_have_one_name(void **state)
{
    char *out;
    assert_ok(
        syn_multiwoz_response("[Hotel_Name]s near [area] : [ref] , [id] , [what] , [x", &out));
    assert_string_equal(out, "NAME near AREA: REFERENCE, TRAINID,, [x");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_has_its_dialogue),
        cmocka_unit_test(all_dialogues_together_give_rates),
        cmocka_unit_test(faulty_predictions_are_refused_by_place),
        cmocka_unit_test(a_folder_without_goals_is_refused),
        cmocka_unit_test(gold_states_and_bleu_come_from_the_folder),
        cmocka_unit_test(a_query_gives_ids),
        cmocka_unit_test(responses_are_tokenised_and_joined_as_moses_does),
        cmocka_unit_test(tokens_are_those_of_13a),
        cmocka_unit_test(similarity_is_fuzzywuzzy_s),
        cmocka_unit_test(bleu_is_sacrebleu_s),
        cmocka_unit_test(a_sentence_counts_by_the_orders_it_has),
        cmocka_unit_test(values_are_spelled_as_the_database_spells_them),
        cmocka_unit_test(slots_have_one_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
