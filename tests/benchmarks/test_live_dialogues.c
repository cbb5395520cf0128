/* Hand-made dialogues of MultiWOZ through whole rounds to the official figures. */
#include "tests/benchmarks/live_dialogues.h"

#include "benchmarks/metric_file.h"
#include "benchmarks/metric_multiwoz_private.h"
#include "serve/drive.h"
#include "tests/fake_llm.h"

static bool states_its_domains(const json_t *turns)
{
    size_t i;
    json_t *turn;
    json_array_foreach(turns, i, turn)
    {
        if (json_object_get(turn, "active_domains")) return true;
    }
    return false;
}

/* A release of the golden dialogues that a team can have, which says no active domains, "g<k>"; and
 * what mwzeval knows of them. The responses of the reference are what the golden ones say; that of
 * `other` has as many words, all different. Returns how many dialogues there are. */
static int write_release(const char *other)
{
    json_t *all = json_object(), *goals = json_object(), *booked = json_object();
    json_t *responses = json_object(), *c, *turn;
    size_t i, k;
    int count = 0;
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        char id[32], user[64];
        if (states_its_domains(json_object_get(c, "turns"))) continue;
        json_t *log = json_array(), *said = json_array();
        json_array_foreach(json_object_get(c, "turns"), k, turn)
        {
            char *text;
            snprintf(user, sizeof user, "Dialogue %zu, turn %zu", i, k);
            add_exchange(log, user, member(turn, "response"), json_object_get(turn, "state"));
            assert_ok(syn_multiwoz_response(member(turn, "response"), &text));
            json_array_append_new(said, json_string(text));
            free(text);
        }
        snprintf(id, sizeof id, "G%zu.json", i);
        json_object_set_new(all, id, json_pack("{s:{}, s:o}", "goal", "log", log));
        snprintf(id, sizeof id, "g%zu", i);
        json_object_set(goals, id, json_object_get(c, "goal"));
        json_object_set(booked, id, json_object_get(c, "booked"));
        if (!strcmp(id, "g0") && other) json_array_set_new(said, 0, json_string(other));
        json_object_set_new(responses, id, said);
        count++;
    }
    json_file("data.json", all);
    json_file("reference/goals.json", goals);
    json_file("reference/booked_domains.json", booked);
    json_file("reference/references/mwz22.json", responses);
    json_decref(all);
    json_decref(goals);
    json_decref(booked);
    json_decref(responses);
    return count;
}

static syn_live_bench *bench_with_reference(void)
{
    syn_live_bench *b;
    char reference[128];
    snprintf(reference, sizeof reference, "%s/reference", folder);
    assert_ok(syn_live_bench_open(
        &(syn_live_bench_options){
            .benchmark = "multiwoz", .path = folder, .reference = reference, .seed = 1},
        &b));
    return b;
}

/* What a perfect model writes for "g<k>#<turn>". */
static char *golden_turn(const syn_question *q)
{
    size_t dialogue, turn;
    assert_int_equal(sscanf(q->id, "g%zu#%zu", &dialogue, &turn), 2);
    const json_t *c = json_array_get(json_object_get(golden, "cases"), dialogue);
    char *text = json_dumps(json_array_get(json_object_get(c, "turns"), turn), 0);
    assert_non_null(text);
    return text;
}

static void say(fake_llm *f, const char *text, char **body)
{
    json_t *j = json_pack("{s:[{s:s, s:{s:s, s:s}}], s:{s:i, s:i}}", "choices", "finish_reason",
                          "stop", "message", "role", "assistant", "content", text, "usage",
                          "prompt_tokens", 10, "completion_tokens", 5);
    fake_settle(f); /* nobody is being told the words before */
    free(*body);
    *body = json_dumps(j, 0);
    f->steps[0].body = *body;
    json_decref(j);
}

/* The verdict of one round's answer. */
typedef struct judging {
    const syn_live_bench *bench;
    const syn_question *question;
    syn_live_verdict verdict;
} judging;

static void take_reply(void *user, const syn_round_reply *reply)
{
    judging *j = user;
    syn_live_piece cited[SYN_TEAM_ITEMS_MAX];
    syn_live_answer a;
    syn_live_answer_of(reply, cited, &a);
    assert_ok(syn_live_judge(j->bench, j->question, &a, &j->verdict));
}

static syn_live_verdict ask_team(const syn_live_bench *b, const syn_question *q,
                                 const syn_providers *providers, syn_deciders *deciders)
{
    task *t = task_of(b, q, 3);
    judging j = {b, q, {0}};
    syn_drive_options o = {.round = &t->config, .providers = providers, .deciders = deciders};
    t->config.rounds_max = 1;
    for (int i = 0; i < 3; i++) o.agent[i].provider = syn_providers_find(providers, "custom");
    assert_ok(syn_drive_run(&o, take_reply, &j));
    assert_non_null(j.verdict.prediction);
    task_free(t);
    return j.verdict;
}

/* Of 51 dialogues 35 inform and 31 succeed by the rules that they stand for. */
static void teams_write_dialogues_to_the_official_figures(void **state)
{
    syn_live_bench *b;
    syn_live_totals *totals;
    syn_providers *providers;
    syn_deciders *deciders;
    json_t *predictions = NULL, *live, *official;
    char *body = NULL;
    fake_llm *f = fake_start(&(fake_step){.body = "{}"}, 1);
    assert_int_equal(write_release(NULL), 51);
    b = bench_with_reference();
    assert_null(syn_live_unscored(b));
    assert_ok(syn_live_totals_open(b, &totals));
    assert_ok(
        syn_providers_open(&(syn_providers_options){.base_url = f->url, .model = "m"}, &providers));
    assert_ok(syn_deciders_open(NULL, NULL, &deciders));
    const syn_question *q;
    for (int64_t number; syn_live_bench_next(b, &q, &number) == SYN_OK && q;) {
        char *text = golden_turn(q);
        say(f, text, &body);
        syn_live_verdict v = ask_team(b, q, providers, deciders);
        assert_true(v.correct && !v.unparsed);
        assert_ok(syn_live_totals_add(totals, number, q->id, q->domain, v.prediction, v.metrics));
        assert_ok(syn_live_collect("multiwoz", q->id, v.prediction, &predictions));
        syn_live_verdict_free(&v);
        free(text);
    }
    assert_true(fake_requests(f) >= 64 * 4); /* three agents and the writer */
    assert_ok(syn_live_totals_json(totals, &live));
    assert_true(figure(live, "questions") == 64 && figure(live, "dialogues") == 51);
    assert_true(figure(live, "dialogues_left_out") == 0 && figure(live, "missing") == 0);
    assert_true(figure(live, "inform") == 68.6 && figure(live, "success") == 60.8);
    assert_true(fabs(figure(live, "bleu") - 100) < 1e-9);
    assert_true(fabs(figure(live, "combined") - 164.7) < 1e-9);
    assert_true(figure(live, "joint_goal_accuracy") == 100);
    assert_true(fabs(figure(live, "bleu_own") - 100) < 1e-9);
    /* `syncog metrics` on the collected predictions. */
    const syn_metric_files files = {path_of("reference"), json_file("p.json", predictions), NULL};
    assert_ok(syn_metric_score("multiwoz", &files, &official));
    assert_true(figure(json_object_get(official, "inform"), "total") == figure(live, "inform"));
    assert_true(figure(json_object_get(official, "success"), "total") == figure(live, "success"));
    assert_true(figure(official, "bleu") == figure(live, "bleu"));
    json_decref(official);
    json_decref(live);
    json_decref(predictions);
    syn_live_totals_close(totals);
    syn_live_bench_close(b);
    syn_deciders_close(deciders);
    syn_providers_close(providers);
    fake_stop(f);
    free(body);
}

/* Whatever a model writes, the metric can score it. */
static void any_text_makes_a_prediction_that_can_be_scored(void **state)
{
    static const char alphabet[] = "{}[]\",:\\x1e-\xc3\xa9 null";
    syn_rng lots = syn_rng_make(1, SYN_STREAM_TEST);
    write_release(NULL);
    syn_live_bench *b = bench_with_reference();
    const syn_question *q = next_of(b); /* g0 has one turn */
    for (int r = 0; r < 1000; r++) {
        char *text = golden_turn(q);
        const size_t bytes = strlen(text);
        json_t *file = NULL, *figures;
        for (uint32_t k = syn_rng_below(&lots, 6); k > 0; k--)
            text[syn_rng_below(&lots, (uint32_t)bytes)] =
                alphabet[syn_rng_below(&lots, sizeof alphabet - 1)];
        syn_live_verdict v = of_text(b, q, text);
        assert_ok(syn_live_collect("multiwoz", q->id, v.prediction, &file));
        const syn_metric_files files = {path_of("reference"), json_file("p.json", file), NULL};
        assert_ok(syn_metric_score("multiwoz", &files, &figures));
        json_decref(figures);
        json_decref(file);
        syn_live_verdict_free(&v);
        free(text);
    }
    syn_live_bench_close(b);
}

/* Adds all turns as a perfect model writes them; those of `failed` have no answer, and reading ends
 * with `last`. */
static void add_all(syn_live_bench *b, syn_live_totals *totals, const char *failed,
                    const char *last)
{
    const syn_question *q;
    for (int64_t number; syn_live_bench_next(b, &q, &number) == SYN_OK && q;) {
        char *text = golden_turn(q);
        syn_live_verdict v = of_text(b, q, text);
        const bool answered = !failed || strcmp(q->id, failed) != 0;
        assert_ok(syn_live_totals_add(totals, number, q->id, q->domain,
                                      answered ? v.prediction : NULL, answered ? v.metrics : NULL));
        syn_live_verdict_free(&v);
        free(text);
        if (last && !strcmp(q->id, last)) return;
    }
}

static int64_t words_of(const char *text, int order)
{
    char *tokens;
    int64_t n = 1;
    assert_ok(syn_bleu_tokens(text, &tokens));
    for (const char *c = tokens; *c; c++) n += *c == ' ';
    n = *tokens ? n : 0;
    free(tokens);
    return n >= order ? n - order + 1 : 0;
}

/* One response shares nothing with the reference: each precision lacks its n-grams, and nothing is
 * too short. */
static void bleu_is_held_against_the_reference(void **state)
{
    static const char mine[] = "i suggest NAME.";
    static const char other[] = "we have many !";
    int64_t all[4] = {0};
    size_t i, k;
    json_t *c, *turn, *live;
    double log_precision = 0;
    assert_int_equal(words_of(mine, 1), words_of(other, 1));
    write_release(other);
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        if (states_its_domains(json_object_get(c, "turns"))) continue;
        json_array_foreach(json_object_get(c, "turns"), k, turn)
        {
            char *text;
            assert_ok(syn_multiwoz_response(member(turn, "response"), &text));
            if (i == 0) assert_string_equal(text, mine);
            for (int n = 1; n <= 4; n++) all[n - 1] += words_of(text, n);
            free(text);
        }
    }
    for (int n = 1; n <= 4; n++)
        log_precision += log((double)(all[n - 1] - words_of(mine, n)) / (double)all[n - 1]) / 4;
    syn_live_bench *b = bench_with_reference();
    syn_live_totals *totals;
    assert_ok(syn_live_totals_open(b, &totals));
    add_all(b, totals, NULL, NULL);
    assert_ok(syn_live_totals_json(totals, &live));
    assert_true(fabs(figure(live, "bleu") - 100 * exp(log_precision)) < 1e-9);
    assert_true(figure(live, "bleu") < 99.9);
    assert_true(fabs(figure(live, "bleu_own") - 100) < 1e-9);
    json_decref(live);
    syn_live_totals_close(totals);
    syn_live_bench_close(b);
}

static void a_dialogue_cut_short_is_left_out(void **state)
{
    json_t *live;
    syn_live_totals *totals;
    write_release(NULL);
    syn_live_bench *b = bench_with_reference();
    assert_ok(syn_live_totals_open(b, &totals));
    add_all(b, totals, NULL, "g6#0"); /* g0 to g5 inform but for g1, g3 and g5 */
    assert_ok(syn_live_totals_json(totals, &live));
    assert_true(figure(live, "dialogues") == 6 && figure(live, "dialogues_left_out") == 1);
    assert_true(figure(live, "inform") == 50);
    json_decref(live);
    syn_live_totals_close(totals);
    syn_live_bench_close(b);
}

static void a_turn_without_an_answer_says_nothing(void **state)
{
    json_t *live;
    syn_live_totals *totals;
    write_release(NULL);
    syn_live_bench *b = bench_with_reference();
    assert_ok(syn_live_totals_open(b, &totals));
    /* The second turn, which mends the offer of the first. */
    add_all(b, totals, "g6#1", "g6#1");
    assert_ok(syn_live_totals_json(totals, &live));
    assert_true(figure(live, "dialogues") == 7 && figure(live, "missing") == 1);
    assert_true(figure(live, "inform") == 42.9); /* three of seven */
    assert_true(figure(live, "joint_goal_accuracy") == 100 * 7 / 8.);
    json_decref(live);
    syn_live_totals_close(totals);
    syn_live_bench_close(b);
}

static void without_a_reference_figures_are_ours_and_it_is_said(void **state)
{
    json_t *live;
    syn_live_totals *totals;
    write_release(NULL);
    syn_live_bench *b = bench_of("multiwoz", folder);
    assert_non_null(strstr(syn_live_unscored(b), "Inform, Success"));
    assert_ok(syn_live_totals_open(b, &totals));
    add_all(b, totals, NULL, NULL);
    assert_ok(syn_live_totals_json(totals, &live));
    assert_null(json_object_get(live, "inform"));
    assert_null(json_object_get(live, "bleu"));
    assert_true(figure(live, "joint_goal_accuracy") == 100);
    json_decref(live);
    syn_live_totals_close(totals);
    syn_live_bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teams_write_dialogues_to_the_official_figures),
        cmocka_unit_test(any_text_makes_a_prediction_that_can_be_scored),
        cmocka_unit_test(bleu_is_held_against_the_reference),
        cmocka_unit_test(a_dialogue_cut_short_is_left_out),
        cmocka_unit_test(a_turn_without_an_answer_says_nothing),
        cmocka_unit_test(without_a_reference_figures_are_ours_and_it_is_said),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
