/* What an answer of a live team is worth, and that its predictions, put into a file, are worth the
 * same to `syncog metrics`. */
#include "tests/benchmarks/live_tasks.h"

#include "benchmarks/metric_file.h"

#define SAYS(text) ((syn_live_answer){.answer = text, .short_answer = text})
#define ABSTAINS                                                                                   \
    ((syn_live_answer){.answer = "Missing: all", .short_answer = "unknown", .abstained = true})

/* ---- Paragraphs ---- */

#define HOTPOTQA                                                                                   \
    "[{\"_id\":\"a\",\"answer\":\"The Oak\",\"question\":\"Which tree?\",\"type\":\"bridge\","     \
    "\"level\":\"easy\",\"supporting_facts\":[[\"P\",1],[\"Q\",0]],\"context\":["                  \
    "[\"P\",[\"One is here.\",\" Two is there.\",\" Three goes.\"]],[\"Q\",[\"Four stays.\"]],"    \
    "[\"R\",[\"One is here.\",\" Five.\"]]]},"                                                     \
    "{\"_id\":\"b\",\"answer\":\"yes\",\"question\":\"Is it?\",\"type\":\"comparison\","           \
    "\"level\":\"easy\",\"supporting_facts\":[[\"P\",0]],\"context\":[[\"P\",[\"Yes it is.\"]]]}," \
    "{\"_id\":\"c\",\"answer\":\"Rome of old\",\"question\":\"Where?\",\"type\":\"bridge\","       \
    "\"level\":\"easy\",\"supporting_facts\":[[\"P\",0],[\"X\",3]],\"context\":["                  \
    "[\"P\",[\"In Rome.\"]]]}]"

/* The sentences that an answer cites, as "P1 Q0". */
static const char *cited(const syn_live_bench *b, const syn_question *q,
                         const syn_live_piece *pieces, int count)
{
    static char text[256];
    size_t i;
    json_t *fact;
    syn_live_verdict v =
        judged(b, q, (syn_live_answer){.short_answer = "x", .cited = pieces, .cited_count = count});
    text[0] = 0;
    json_array_foreach(json_object_get(v.prediction, "sp"), i, fact)
    {
        sprintf(text + strlen(text), "%s%s%d", i ? " " : "",
                json_string_value(json_array_get(fact, 0)),
                (int)json_integer_value(json_array_get(fact, 1)));
    }
    syn_live_verdict_free(&v);
    return text;
}

static void a_cited_piece_cites_its_sentences(void **state)
{
    syn_live_bench *b = bench_of("hotpotqa", file("hotpot_dev_distractor_v1.json", HOTPOTQA));
    const syn_question *q = next_of(b);
    const syn_live_piece whole = {"P", "One is here. Two is there. Three goes."};
    const syn_live_piece part = {"P", "Two is there. Three goes."};
    const syn_live_piece within = {"P", "wo is the"}, same = {"R", "One is here."};
    const syn_live_piece claim = {"", "Four stays."}, made_up = {"", "Four goes."};
    const syn_live_piece retitled = {"Z", "Two is there."}, empty = {"P", ""};
    assert_string_equal(cited(b, q, &whole, 1), "P0 P1 P2");
    assert_string_equal(cited(b, q, &part, 1), "P1 P2");
    assert_string_equal(cited(b, q, &within, 1), "P1");
    assert_string_equal(cited(b, q, &same, 1), "R0"); /* its own document before another */
    assert_string_equal(cited(b, q, &claim, 1), "Q0");
    assert_string_equal(cited(b, q, &retitled, 1), "P1");
    assert_string_equal(cited(b, q, &made_up, 1), "");
    assert_string_equal(cited(b, q, &empty, 1), "");
    const syn_live_piece several[] = {claim, part, part};
    assert_string_equal(cited(b, q, several, 3), "P1 P2 Q0"); /* each once, in order */
    syn_live_bench_close(b);
}

static void paragraphs_are_scored_by_the_script(void **state)
{
    syn_live_bench *b = bench_of("hotpotqa", file("hotpot_dev_distractor_v1.json", HOTPOTQA));
    const syn_question *q = next_of(b);
    const syn_live_piece both[] = {{"P", "Two is there."}, {"Q", "Four stays."}};
    syn_live_verdict v = judged(
        b, q,
        (syn_live_answer){
            .answer = "It is the oak.", .short_answer = "oak!", .cited = both, .cited_count = 2});
    assert_true(v.correct && v.score == 1);
    assert_true(figure(v.metrics, "sp_em") == 1 && figure(v.metrics, "joint_f1") == 1);
    assert_string_equal(member(v.prediction, "answer"), "oak!");
    syn_live_verdict_free(&v);
    v = judged(b, q, SAYS("an oak tree"));
    assert_true(!v.correct && fabs(v.score - 2. / 3) < 1e-12 && !v.unparsed);
    assert_true(figure(v.metrics, "sp_f1") == 0 && figure(v.metrics, "joint_em") == 0);
    syn_live_verdict_free(&v);
    v = judged(b, q, ABSTAINS);
    assert_true(!v.correct && v.score == 0);
    assert_string_equal(member(v.prediction, "answer"), "noanswer");
    syn_live_verdict_free(&v);
    syn_live_bench_close(b);
}

/* ---- MuSiQue ---- */

#define MUSIQUE                                                                                    \
    "{\"id\":\"2hop__1\",\"question\":\"Who?\",\"answer\":\"Ann Lee\",\"answer_aliases\":["        \
    "\"Lady Lee\"],\"answerable\":true,\"paragraphs\":[{\"idx\":0,\"title\":\"T\","                \
    "\"paragraph_text\":\"Zero.\",\"is_supporting\":false},{\"idx\":1,\"title\":\"T\","            \
    "\"paragraph_text\":\"Ann Lee sang.\",\"is_supporting\":true}]}\n"                             \
    "{\"id\":\"2hop__2\",\"question\":\"Who?\",\"answer\":\"Ann Lee\",\"answer_aliases\":[],"      \
    "\"answerable\":false,\"paragraphs\":[{\"idx\":0,\"title\":\"T\",\"paragraph_text\":"          \
    "\"Nothing.\",\"is_supporting\":false}]}\n"

static void the_best_alias_counts(void **state)
{
    syn_live_bench *b = bench_of("musique", file("musique_full_v1.0_dev.jsonl", MUSIQUE));
    const syn_question *q = next_of(b);
    const syn_live_piece sang = {"T", "Ann Lee sang."};
    syn_live_verdict v = judged(
        b, q, (syn_live_answer){.short_answer = "the lady Lee", .cited = &sang, .cited_count = 1});
    assert_true(v.correct && v.score == 1 && figure(v.metrics, "support_f1") == 1);
    assert_string_equal(member(v.prediction, "predicted_answer"), "the lady Lee");
    assert_true(json_is_true(json_object_get(v.prediction, "predicted_answerable")));
    assert_int_equal(json_integer_value(json_array_get(
                         json_object_get(v.prediction, "predicted_support_idxs"), 0)),
                     1);
    syn_live_verdict_free(&v);
    v = judged(b, q, SAYS("Ann"));
    assert_true(!v.correct && fabs(v.score - 2. / 3) < 1e-12);
    syn_live_verdict_free(&v);
    v = judged(b, q, ABSTAINS);
    assert_true(!v.correct && v.score == 0);
    syn_live_verdict_free(&v);
    syn_live_bench_close(b);
}

static void without_an_answer_abstaining_is_right(void **state)
{
    syn_live_bench *b = bench_of("musique", file("musique_full_v1.0_dev.jsonl", MUSIQUE));
    syn_live_totals *t;
    json_t *j;
    assert_ok(syn_live_totals_open(b, &t));
    const syn_question *q = next_of(b);
    syn_live_verdict v = judged(b, q, SAYS("Ann Lee"));
    assert_ok(syn_live_totals_add(t, 0, q->id, q->domain, v.prediction, v.metrics));
    syn_live_verdict_free(&v);
    q = next_of(b);
    v = judged(b, q, SAYS("Ann Lee"));
    assert_true(!v.correct && v.score == 0);
    syn_live_verdict_free(&v);
    v = judged(b, q, SAYS("unknown"));
    assert_true(v.correct && v.score == 1);
    assert_true(json_is_false(json_object_get(v.prediction, "predicted_answerable")));
    assert_ok(syn_live_totals_add(t, 1, q->id, q->domain, v.prediction, v.metrics));
    syn_live_verdict_free(&v);
    assert_ok(syn_live_totals_json(t, &j));
    assert_true(figure(j, "answer_em") == 1); /* of those that have one, as the script has it */
    assert_true(figure(j, "sufficiency_accuracy") == 1);
    json_decref(j);
    syn_live_totals_close(t);
    syn_live_bench_close(b);
}

/* ---- CoQA ---- */

#define COQA                                                                                       \
    "{\"version\":\"1.0\",\"data\":[{\"source\":\"cnn\",\"id\":\"s\",\"filename\":\"f\","          \
    "\"story\":\"A cat sat. It is old.\",\"questions\":[{\"input_text\":\"Who sat?\","             \
    "\"turn_id\":1},{\"input_text\":\"Why?\",\"turn_id\":2}],\"answers\":[{\"input_text\":"        \
    "\"a cat\",\"span_text\":\"A cat sat.\",\"span_start\":0,\"span_end\":10,\"turn_id\":1},"      \
    "{\"input_text\":\"unknown\",\"span_text\":\"unknown\",\"span_start\":-1,\"span_end\":-1,"     \
    "\"turn_id\":2}],\"additional_answers\":{\"0\":[{\"input_text\":\"cat\",\"span_text\":\"A\","  \
    "\"span_start\":0,\"span_end\":1,\"turn_id\":1},{\"input_text\":\"unknown\","                  \
    "\"span_text\":\"unknown\",\"span_start\":-1,\"span_end\":-1,\"turn_id\":2}],\"1\":["          \
    "{\"input_text\":\"an old cat\",\"span_text\":\"A\",\"span_start\":0,\"span_end\":1,"          \
    "\"turn_id\":1},{\"input_text\":\"it wanted to\",\"span_text\":\"A\",\"span_start\":0,"        \
    "\"span_end\":1,\"turn_id\":2}]}}]}"

static void a_turn_is_held_against_all_references_but_one(void **state)
{
    syn_live_bench *b = bench_of("coqa", file("coqa-dev-v1.0.json", COQA));
    const syn_question *q = next_of(b);
    syn_live_verdict v = judged(b, q, SAYS("Cat."));
    assert_true(v.correct && figure(v.metrics, "em") == 1);
    assert_string_equal(member(v.prediction, "id"), "s");
    assert_int_equal(json_integer_value(json_object_get(v.prediction, "turn_id")), 1);
    syn_live_verdict_free(&v);
    v = judged(b, q, SAYS("old cat")); /* one reference: right twice of three times */
    assert_true(v.correct && fabs(figure(v.metrics, "em") - 2. / 3) < 1e-12);
    syn_live_verdict_free(&v);
    q = next_of(b);
    v = judged(b, q, ABSTAINS);
    assert_true(v.correct && figure(v.metrics, "em") == 1);
    assert_string_equal(member(v.prediction, "answer"), "unknown");
    syn_live_verdict_free(&v);
    v = judged(b, q, SAYS("because"));
    assert_true(!v.correct);
    syn_live_verdict_free(&v);
    syn_live_bench_close(b);
}

/* ---- Choices ---- */

#define ONE_CHOICE(id, key)                                                                        \
    "{\"answerKey\":\"" key "\",\"id\":\"" id "\",\"question\":{\"question_concept\":\"x\","       \
    "\"choices\":[{\"label\":\"A\",\"text\":\"a red cat\"},{\"label\":\"B\",\"text\":\"a dog\"},"  \
    "{\"label\":\"C\",\"text\":\"tea\"}],\"stem\":\"Which?\"}}\n"

static void a_letter_is_understood_or_counted(void **state)
{
    static const struct {
        const char *short_answer, *answer, *letter;
        bool correct;
    } cases[] = {{"A", "", "A", true},
                 {"(A)", "", "A", true},
                 {"B", "The answer is A.", "B", false},
                 {"a red cat", "", "A", true},
                 {"", "I think the answer is (A).", "A", true},
                 {"unknown", "No evidence.", "", false},
                 {"both", "Either B or C", "", false}};
    syn_live_bench *b =
        bench_of("commonsenseqa", file("dev_rand_split.jsonl", ONE_CHOICE("q", "A")));
    const syn_question *q = next_of(b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        syn_live_verdict v = judged(
            b, q,
            (syn_live_answer){.answer = cases[i].answer, .short_answer = cases[i].short_answer});
        assert_string_equal(member(v.prediction, "answer"), cases[i].letter);
        assert_int_equal(v.correct, cases[i].correct);
        assert_int_equal(v.unparsed, !*cases[i].letter);
        assert_true(figure(v.metrics, "unparsed") == v.unparsed && v.score == v.correct);
        syn_live_verdict_free(&v);
    }
    syn_live_bench_close(b);
}

/* ---- The answer of a round ---- */

static void the_winners_say_what_the_answer_rests_on(void **state)
{
    static syn_team team = {.item_count = 4};
    for (int k = 0; k < 4; k++)
        team.items[k] =
            (syn_team_item){.title = "T", .text = (const char *[]){"0", "1", "2", "3"}[k]};
    syn_round_reply reply = {.final_answer = "It was Lyon.",
                             .short_answer = "lyon",
                             .agents = 3,
                             .team = &team,
                             .answers = {{.given = true, .short_text = "Paris", .support = 1},
                                         {.given = true, .short_text = "Lyon", .support = 2},
                                         {.given = true, .short_text = "The Lyon", .support = 8}}};
    syn_live_piece pieces[SYN_TEAM_ITEMS_MAX];
    syn_live_answer a;
    syn_live_answer_of(&reply, pieces, &a);
    assert_int_equal(a.cited_count, 2);
    assert_string_equal(a.cited[0].text, "1");
    assert_string_equal(a.cited[1].text, "3");
    reply.short_answer = "Nice"; /* nobody's but the writer's own */
    syn_live_answer_of(&reply, pieces, &a);
    assert_int_equal(a.cited_count, 1);
    assert_string_equal(a.cited[0].text, "0");
    reply.abstained = true;
    syn_live_answer_of(&reply, pieces, &a);
    assert_true(a.abstained && a.cited_count == 0);
}

/* ---- The same figures as of a file ---- */

/* Answers of a team that is right, half right, silent or fails, by turns. */
static void answer_like(int k, const syn_question *q, syn_live_answer *a, syn_live_piece *piece)
{
    *piece = q->document_count ? (syn_live_piece){q->documents[0].title, q->documents[0].text}
                               : (syn_live_piece){0};
    const char *right = q->answers[0];
    static char half[512];
    snprintf(half, sizeof half, "%.200s perhaps", right);
    *a = k % 4 == 0   ? SAYS(right)
         : k % 4 == 1 ? SAYS(half)
         : k % 4 == 2 ? ABSTAINS
                      : SAYS("something else");
    a->cited = piece;
    a->cited_count = k % 3 && q->document_count ? 1 : 0;
}

enum { QUESTIONS_MAX = 64 };

/* Records as a run keeps them, as text; added in an order that is not the file's. */
static void check_against_file(const char *benchmark, const char *path, const char *gold)
{
    syn_live_bench *b = bench_of(benchmark, path);
    syn_live_totals *t;
    json_t *predictions = NULL, *live, *official;
    char *line[QUESTIONS_MAX];
    int count = 0;
    assert_ok(syn_live_totals_open(b, &t));
    for (const syn_question *q; (q = next_of(b)) && count < QUESTIONS_MAX; count++) {
        syn_live_answer a;
        syn_live_piece piece;
        answer_like(count, q, &a, &piece);
        syn_live_verdict v = judged(b, q, a);
        json_t *record = json_pack("{s:s, s:s}", "id", q->id, "domain", q->domain);
        if (count % 7 != 6) { /* else the provider has failed */
            json_object_set(record, "prediction", v.prediction);
            json_object_set(record, "metrics", v.metrics);
            assert_ok(syn_live_collect(benchmark, q->id, v.prediction, &predictions));
        }
        line[count] = json_dumps(record, 0);
        json_decref(record);
        syn_live_verdict_free(&v);
    }
    assert_true(count > 2);
    for (int i = 0; i < count; i++) {
        const int k = (i * 37 + 5) % count; /* each once, as count is no multiple of 37 */
        json_t *r = json_loads(line[k], 0, NULL);
        assert_ok(syn_live_totals_add(t, k, member(r, "id"), member(r, "domain"),
                                      json_object_get(r, "prediction"),
                                      json_object_get(r, "metrics")));
        json_decref(r);
    }
    for (int i = 0; i < count; i++) free(line[i]);
    assert_ok(syn_live_totals_json(t, &live));
    const syn_metric_files files = {gold, json_file("predictions.json", predictions), NULL};
    assert_ok(syn_metric_score(benchmark, &files, &official));
    json_object_del(official, "missing_sp"); /* counts of the file alone */
    json_object_del(official, "unknown");
    json_object_del(official, "unlabelled");
    json_object_del(live, "questions");
    json_object_del(official, "questions");
    if (!json_equal(live, official))
        fail_msg("%s: %s is not %s", benchmark, json_dumps(live, 0), json_dumps(official, 0));
    json_decref(live);
    json_decref(official);
    json_decref(predictions);
    syn_live_totals_close(t);
    syn_live_bench_close(b);
}

static void collected_predictions_are_worth_the_same(void **state)
{
    const char *path = file("hotpot_dev_distractor_v1.json", HOTPOTQA);
    check_against_file("hotpotqa", path, path);
    path = file("dev.json", HOTPOTQA);
    check_against_file("2wiki", path, path);
    path = file("dev_rand_split.jsonl",
                ONE_CHOICE("q0", "A") ONE_CHOICE("q1", "B") ONE_CHOICE("q2", "C")
                    ONE_CHOICE("q3", "A") ONE_CHOICE("q4", "B") ONE_CHOICE("q5", "A")
                        ONE_CHOICE("q6", "C") ONE_CHOICE("q7", "A") ONE_CHOICE("q8", "B"));
    check_against_file("commonsenseqa", path, path);
    mkdir(path_of("mmlu"), 0700);
    mkdir(path_of("mmlu/dev"), 0700);
    mkdir(path_of("mmlu/test"), 0700);
    file("mmlu/dev/anatomy_dev.csv", "e,1,2,3,4,A\n");
    file("mmlu/dev/virology_dev.csv", "e,1,2,3,4,A\n");
    file("mmlu/test/anatomy_test.csv", "q,ab,cd,ef,gh,A\nq,ab,cd,ef,gh,B\nq,ab,cd,ef,gh,C\n");
    file("mmlu/test/virology_test.csv", "q,ab,cd,ef,gh,D\nq,ab,cd,ef,gh,B\n");
    check_against_file("mmlu", path_of("mmlu"), path_of("mmlu"));
}

/* Sums of many uneven shares depend on their order. */
static void the_order_of_answers_changes_no_digit(void **state)
{
    json_t *all = json_array(), *data = json_array();
    for (int r = 0; r < 60; r++) {
        char id[16], answer[64];
        snprintf(id, sizeof id, "r%d", r);
        snprintf(answer, sizeof answer, "one%s%s%s word", r % 2 ? " two" : "",
                 r % 3 ? " three" : "", r % 5 ? " four five" : "");
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:s, s:[[s, i], [s, i]], s:[[s, [s, s, s]]]}", "_id", id,
                           "question", "?", "answer", answer, "supporting_facts", "P", 0, "P",
                           r % 3, "context", "P", "A.", " B.", " C."));
    }
    const char *path = json_file("hotpot_dev_distractor_v1.json", all);
    check_against_file("hotpotqa", path, path);
    for (int r = 0; r < 20; r++) {
        char id[16];
        snprintf(id, sizeof id, "s%d", r);
        json_array_append_new(
            data,
            json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:i}, {s:s, s:i}], s:[{s:s, s:s, s:i, s:i, "
                      "s:i}, {s:s, s:s, s:i, s:i, s:i}]}",
                      "source", r % 3 ? "cnn" : "reddit", "id", id, "filename", "f", "story",
                      "A cat sat.", "questions", "input_text", "?", "turn_id", 1, "input_text", "?",
                      "turn_id", 2, "answers", "input_text", r % 2 ? "a cat sat" : "cat",
                      "span_text", "A", "span_start", 0, "span_end", 1, "turn_id", 1, "input_text",
                      "it sat on one mat", "span_text", "A", "span_start", 0, "span_end", 1,
                      "turn_id", 2));
    }
    json_t *coqa = json_pack("{s:s, s:o}", "version", "1.0", "data", data);
    path = json_file("coqa-dev-v1.0.json", coqa);
    check_against_file("coqa", path, path);
    json_decref(all);
    json_decref(coqa);
}

/* Two runs that ended in another order write the same file. */
static void subjects_stand_in_the_order_of_the_questions(void **state)
{
    static const char *const subjects[] = {"virology", "anatomy", "virology", "astronomy"};
    char *texts[2];
    mkdir(path_of("dev"), 0700);
    mkdir(path_of("test"), 0700);
    file("dev/anatomy_dev.csv", "e,1,2,3,4,A\n");
    file("test/anatomy_test.csv", "q,ab,cd,ef,gh,A\n");
    syn_live_bench *b = bench_of("mmlu", folder);
    for (int way = 0; way < 2; way++) {
        syn_live_totals *t;
        json_t *figures;
        assert_ok(syn_live_totals_open(b, &t));
        for (int k = 0; k < 4; k++) {
            const int at = way ? 3 - k : k;
            json_t *p = json_pack("{s:s, s:s}", "id", "q", "answer", "A");
            json_t *m = json_pack("{s:i, s:i}", "accuracy", at == 1, "unparsed", at == 2);
            assert_ok(syn_live_totals_add(t, at, "q", subjects[at], p, m));
            json_decref(p);
            json_decref(m);
        }
        assert_ok(syn_live_totals_json(t, &figures));
        texts[way] = json_dumps(figures, JSON_COMPACT);
        json_decref(figures);
        syn_live_totals_close(t);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_true(strstr(texts[0], "virology") < strstr(texts[0], "anatomy"));
    free(texts[0]);
    free(texts[1]);
    syn_live_bench_close(b);
}

static void what_is_no_prediction_is_refused(void **state)
{
    syn_live_bench *b = bench_of("hotpotqa", file("hotpot_dev_distractor_v1.json", HOTPOTQA));
    syn_live_totals *t;
    json_t *file = NULL, *p = json_pack("{s:s}", "response", "x"), *m = json_object();
    assert_int_equal(syn_live_collect("hotpotqa", "a", p, &file), SYN_ERR_FORMAT);
    assert_null(file);
    assert_ok(syn_live_totals_open(b, &t));
    assert_int_equal(syn_live_totals_add(t, 0, "a", "bridge", p, m), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "question 'a'"));
    assert_int_equal(syn_live_totals_add(t, 0, "a", "bridge", NULL, m), SYN_ERR_FORMAT);
    json_decref(p);
    json_decref(m);
    syn_live_totals_close(t);
    syn_live_bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cited_piece_cites_its_sentences),
        cmocka_unit_test(paragraphs_are_scored_by_the_script),
        cmocka_unit_test(the_best_alias_counts),
        cmocka_unit_test(without_an_answer_abstaining_is_right),
        cmocka_unit_test(a_turn_is_held_against_all_references_but_one),
        cmocka_unit_test(a_letter_is_understood_or_counted),
        cmocka_unit_test(the_winners_say_what_the_answer_rests_on),
        cmocka_unit_test(collected_predictions_are_worth_the_same),
        cmocka_unit_test(the_order_of_answers_changes_no_digit),
        cmocka_unit_test(subjects_stand_in_the_order_of_the_questions),
        cmocka_unit_test(what_is_no_prediction_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
