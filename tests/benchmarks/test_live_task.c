/* What a live team gets for a question: the deal, the texts. */
#include "tests/benchmarks/live_tasks.h"

#include "kernels/base/rng.h"

enum { RECORDS = 500, PARAGRAPHS = 10 };

/* HotpotQA's layout: ten paragraphs, two of them needed, anywhere. */
static const char *drawn_records(void)
{
    json_t *all = json_array();
    syn_rng lots = syn_rng_make(3, SYN_STREAM_TEST);
    for (int r = 0; r < RECORDS; r++) {
        json_t *context = json_array(), *facts = json_array();
        const int gold = (int)syn_rng_below(&lots, PARAGRAPHS - 1);
        for (int k = 0; k < PARAGRAPHS; k++) {
            char title[16];
            snprintf(title, sizeof title, "T%d", k);
            json_array_append_new(
                context, json_pack("[s, [s, s]]", title, "A first sentence.", " And another."));
            if (k == gold || k == gold + 1)
                json_array_append_new(facts, json_pack("[s, i]", title, 0));
        }
        char id[16];
        snprintf(id, sizeof id, "r%d", r);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "_id", id,
                                             "question", "What is asked?", "answer", "This",
                                             "supporting_facts", facts, "context", context, "type",
                                             "bridge", "level", "hard"));
    }
    const char *path = json_file("hotpot_dev_distractor_v1.json", all);
    json_decref(all);
    return path;
}

static bool is_gold(const syn_question *q, const syn_round_document *d)
{
    for (int k = 0; k < q->document_count; k++)
        if (!strcmp(q->documents[k].title, d->title)) return q->documents[k].gold;
    fail_msg("'%s' is no document of the question", d->title);
    return false;
}

/* What one can count without reading says nothing about what is needed. */
static void neither_numbers_nor_places_tell_what_is_needed(void **state)
{
    for (int n = 2; n <= SYN_AGENTS_MAX; n += 4) {
        syn_live_bench *b = bench_of("hotpotqa", drawn_records());
        double asker = 0, place = 0, holders = 0, fair = 0;
        for (const syn_question *q; (q = next_of(b));) {
            task *t = task_of(b, q, n);
            int had[SYN_AGENTS_MAX] = {0}, gold_had[SYN_AGENTS_MAX] = {0};
            assert_int_equal(t->config.document_count, PARAGRAPHS);
            for (int k = 0; k < PARAGRAPHS; k++) {
                const uint32_t who = t->config.documents[k].agents;
                assert_true(who && !(who & (who - 1)) && who >> n == 0); /* exactly one */
                const int i = __builtin_ctz(who);
                had[i]++;
                if (!is_gold(q, &t->config.documents[k])) continue;
                gold_had[i]++;
                place += k;
            }
            assert_true(had[0] >= 1 && had[0] < PARAGRAPHS);
            assert_true(gold_had[0] < 2); /* the team has to talk */
            asker += had[0];
            for (int i = 1; i < n; i++) { /* among the others gold goes with size alone */
                holders += gold_had[i] * had[i];
                fair += (2. - gold_had[0]) * had[i] * had[i] / (PARAGRAPHS - had[0]);
            }
            task_free(t);
        }
        syn_live_bench_close(b);
        /* At least one piece is the asker's and one is not: hardly more than its share. */
        const double share = (double)PARAGRAPHS / n;
        assert_true(fabs(asker / RECORDS - share) < .55);
        assert_true(fabs(place / (2 * RECORDS) - (PARAGRAPHS - 1) / 2.) < .35);
        assert_true(fabs(holders / fair - 1) < .06);
    }
}

static void the_deal_depends_on_seed_id_and_team_alone(void **state)
{
    const char *path = drawn_records();
    syn_live_bench *b = bench_of("hotpotqa", path), *other = seeded_bench("hotpotqa", path, 8);
    int moved = 0, reseeded = 0;
    for (int r = 0; r < 20; r++) {
        syn_question *q;
        assert_ok(syn_question_copy(next_of(b), &q));
        task *t = task_of(b, q, 5), *same = task_of(b, q, 5), *seven = task_of(b, q, 7);
        task *seeded = task_of(other, q, 5);
        for (int k = 0; k < PARAGRAPHS; k++) {
            const syn_round_document *d = &t->config.documents[k];
            assert_string_equal(d->title, same->config.documents[k].title);
            assert_int_equal(d->agents, same->config.documents[k].agents);
            moved += strcmp(d->title, seven->config.documents[k].title) != 0;
            reseeded += strcmp(d->title, seeded->config.documents[k].title) != 0;
        }
        task_free(t);
        task_free(same);
        task_free(seven);
        task_free(seeded);
        free(q);
    }
    assert_true(moved > 100 && reseeded > 100);
    syn_live_bench_close(b);
    syn_live_bench_close(other);
}

static void one_agent_has_everything(void **state)
{
    syn_live_bench *b = bench_of("hotpotqa", drawn_records());
    task *t = task_of(b, next_of(b), 1);
    assert_int_equal(t->config.agents, 1);
    for (int k = 0; k < PARAGRAPHS; k++) assert_int_equal(t->config.documents[k].agents, 1);
    task_free(t);
    const syn_question *q = next_of(b);
    syn_round_config config;
    syn_arena arena;
    syn_arena_init(&arena, 1 << 20);
    syn_round_config_defaults(&config);
    assert_int_equal(syn_live_task_make(b, q, 11, &arena, &config), SYN_ERR_INVALID);
    assert_int_equal(syn_live_task_make(b, q, 0, &arena, &config), SYN_ERR_INVALID);
    syn_arena_free(&arena);
    syn_live_bench_close(b);
}

/* A story of 25 sentences, of which the answer needs the 13th. */
static const char *story_file(void)
{
    char story[2048] = "";
    size_t start = 0, end = 0;
    for (int k = 0; k < 25; k++) {
        if (k == 12) start = strlen(story);
        sprintf(story + strlen(story), "Sentence number%d says something.%s", k, k < 24 ? " " : "");
        if (k == 12) end = strlen(story) - 1;
    }
    json_t *j = json_pack(
        "{s:s, s:[{s:s, s:s, s:s, s:s, s:[{s:s, s:i}, {s:s, s:i}], s:[{s:s, s:s, s:i, s:i, s:i}, "
        "{s:s, s:s, s:i, s:i, s:i}]}]}",
        "version", "1.0", "data", "source", "cnn", "id", "s1", "filename", "f", "story", story,
        "questions", "input_text", "What is first?", "turn_id", 1, "input_text", "And number 12?",
        "turn_id", 2, "answers", "input_text", "sentence 0", "span_text",
        "Sentence number0 says something.", "span_start", 0, "span_end", 32, "turn_id", 1,
        "input_text", "it says something", "span_text", "", "span_start", (int)start, "span_end",
        (int)end, "turn_id", 2);
    assert_non_null(j);
    json_t *second = json_array_get(
        json_object_get(json_array_get(json_object_get(j, "data"), 0), "answers"), 1);
    json_object_set_new(second, "span_text", json_stringn(story + start, end - start));
    const char *path = json_file("coqa-dev-v1.0.json", j);
    json_decref(j);
    return path;
}

static void a_story_is_dealt_in_runs_of_sentences(void **state)
{
    syn_live_bench *b = bench_of("coqa", story_file());
    char all[2048] = "";
    next_of(b);
    const syn_question *q = next_of(b);
    task *t = task_of(b, q, 3);
    assert_int_equal(t->config.document_count, 10);
    for (int k = 0; k < 10; k++)
        sprintf(all + strlen(all), "%s%s", k ? " " : "", t->config.documents[k].text);
    assert_string_equal(all, q->documents[0].text); /* in order, each sentence once */
    assert_string_equal(t->config.question, "And number 12?");
    assert_string_equal(t->config.dialogue, "user: What is first?\nsystem: sentence 0\n");
    assert_non_null(strstr(t->config.context, "unknown"));
    task_free(t);
    syn_live_bench_close(b);
}

static void the_asker_has_to_be_told_the_story_s_answer(void **state)
{
    const char *path = story_file();
    for (uint64_t seed = 0; seed < 20; seed++) {
        syn_live_bench *b = seeded_bench("coqa", path, seed);
        int found = 0;
        next_of(b);
        task *t = task_of(b, next_of(b), 2);
        for (int k = 0; k < 10; k++) {
            if (!strstr(t->config.documents[k].text, "number12 ")) continue;
            assert_int_equal(t->config.documents[k].agents, 2);
            found++;
        }
        assert_int_equal(found, 1);
        task_free(t);
        syn_live_bench_close(b);
    }
}

/* ---- Closed-book ---- */

static void choices_are_asked_by_letter(void **state)
{
    const char *path = file(
        "dev_rand_split.jsonl",
        "{\"answerKey\":\"B\",\"id\":\"q1\",\"question\":{\"question_concept\":\"chair\","
        "\"choices\":[{\"label\":\"A\",\"text\":\"a cat\"},{\"label\":\"B\",\"text\":\"a chair\"}],"
        "\"stem\":\"What does one sit on?\"}}\n");
    syn_live_bench *b = bench_of("commonsenseqa", path);
    const syn_question *q = next_of(b);
    task *t = task_of(b, q, 3);
    assert_string_equal(t->config.question,
                        "What does one sit on?\nA. a cat\nB. a chair\n\nThe short answer is the "
                        "letter of the right choice, alone.");
    assert_int_equal(t->config.document_count, 0);
    assert_null(t->config.context);
    assert_null(t->config.dialogue);
    assert_false(syn_live_has_evidence(b));
    assert_string_equal(syn_live_stratum(q), "");
    task_free(t);
    syn_live_bench_close(b);
}

static void mmlu_shows_its_examples_as_its_authors_do(void **state)
{
    mkdir(path_of("dev"), 0700);
    mkdir(path_of("test"), 0700);
    file("dev/high_school_biology_dev.csv", "What is life?,w,x,y,z,C\nAnd death?,1,2,3,4,A\n");
    file("test/high_school_biology_test.csv", "Is it?,yes,no,maybe,never,D\n");
    syn_live_bench *b = bench_of("mmlu", folder);
    const syn_question *q = next_of(b);
    task *t = task_of(b, q, 2);
    assert_string_equal(
        t->config.context,
        "The following are multiple choice questions (with answers) about  high school biology.\n"
        "\nWhat is life?\nA. w\nB. x\nC. y\nD. z\nAnswer: C\n"
        "\nAnd death?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: A\n");
    assert_string_equal(syn_live_stratum(q), "high_school_biology");
    task_free(t);
    syn_live_bench_close(b);
}

/* A round would cut them, and show the wrong examples to the end. */
static void long_examples_are_shown_whole(void **state)
{
    char *row = malloc(50000);
    memset(row, 'w', 40000);
    strcpy(row + 40000, ",a,b,c,d,B\n");
    mkdir(path_of("dev"), 0700);
    mkdir(path_of("test"), 0700);
    file("dev/high_school_biology_dev.csv", row);
    file("test/high_school_biology_test.csv", "Is it?,yes,no,maybe,never,D\n");
    syn_live_bench *b = bench_of("mmlu", folder);
    task *t = task_of(b, next_of(b), 2);
    assert_true(strlen(t->config.context) > 40000);
    assert_true(t->config.context_bytes_max >= (int64_t)strlen(t->config.context));
    task_free(t);
    syn_live_bench_close(b);
    free(row);
}

/* ---- What is asked at all ---- */

/* Fullwiki has a question for which no paragraph was found: the script counts it. */
static void without_paragraphs_a_team_is_asked_all_the_same(void **state)
{
    syn_live_bench *b = bench_of(
        "hotpotqa",
        file("hotpot_dev_fullwiki_v1.json",
             "[{\"_id\":\"none\",\"answer\":\"x\",\"question\":\"?\",\"supporting_facts\":[],"
             "\"context\":[]},"
             "{\"_id\":\"blank\",\"answer\":\"x\",\"question\":\"?\",\"supporting_facts\":[],"
             "\"context\":[[\"T\",[\" \"]]]}]"));
    const syn_question *q;
    int64_t number = -1;
    for (int k = 0; k < 2; k++) {
        assert_ok(syn_live_bench_next(b, &q, &number));
        assert_string_equal(q->id, k ? "blank" : "none");
        assert_int_equal(number, k);
        for (int n = 1; n <= 3; n += 2) {
            task *t = task_of(b, q, n);
            assert_int_equal(t->config.document_count, 0);
            task_free(t);
        }
    }
    syn_live_bench_close(b);
}

static void what_cannot_be_judged_is_passed_over(void **state)
{
    syn_live_bench *b = bench_of(
        "hotpotqa",
        file("hotpot_dev_fullwiki_v1.json",
             "[{\"_id\":\"test\",\"question\":\"?\",\"context\":[[\"T\",[\"Text.\"]]]},"
             "{\"_id\":\"good\",\"answer\":\"x\",\"question\":\"?\",\"supporting_facts\":[],"
             "\"context\":[[\"E\",[\"\"]],[\"T\",[\"Text.\"]]]}]"));
    const syn_question *q;
    int64_t number = -1;
    assert_ok(syn_live_bench_next(b, &q, &number));
    assert_string_equal(q->id, "good");
    assert_int_equal(number, 0);
    task *t = task_of(b, q, 3);
    assert_int_equal(t->config.document_count, 1); /* a round refuses empty ones */
    assert_string_equal(t->config.documents[0].title, "T");
    task_free(t);
    assert_null(next_of(b));
    assert_int_equal(syn_live_bench_counted(b)->questions, 2);
    syn_live_bench_close(b);
}

static void what_is_no_benchmark_is_refused(void **state)
{
    syn_live_bench *b;
    assert_int_equal(syn_live_bench_open(&(syn_live_bench_options){.benchmark = "squad"}, &b),
                     SYN_ERR_INVALID);
    assert_null(b);
    assert_non_null(strstr(syn_error_text(), "'squad'"));
    assert_int_equal(
        syn_live_bench_open(
            &(syn_live_bench_options){.benchmark = "coqa", .path = "/nowhere/at/all"}, &b),
        SYN_ERR_IO);
    assert_null(b);
}

static void extractive_agents_prove_the_path_where_they_cannot_answer(void **state)
{
    assert_true(syn_live_proves_path_only("mmlu", true));
    assert_true(syn_live_proves_path_only("commonsenseqa", true));
    assert_true(syn_live_proves_path_only("multiwoz", true));
    assert_false(syn_live_proves_path_only("hotpotqa", true));
    assert_false(syn_live_proves_path_only("mmlu", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neither_numbers_nor_places_tell_what_is_needed),
        cmocka_unit_test(the_deal_depends_on_seed_id_and_team_alone),
        cmocka_unit_test(one_agent_has_everything),
        cmocka_unit_test(a_story_is_dealt_in_runs_of_sentences),
        cmocka_unit_test(the_asker_has_to_be_told_the_story_s_answer),
        cmocka_unit_test(choices_are_asked_by_letter),
        cmocka_unit_test(mmlu_shows_its_examples_as_its_authors_do),
        cmocka_unit_test(long_examples_are_shown_whole),
        cmocka_unit_test(without_paragraphs_a_team_is_asked_all_the_same),
        cmocka_unit_test(what_cannot_be_judged_is_passed_over),
        cmocka_unit_test(what_is_no_benchmark_is_refused),
        cmocka_unit_test(extractive_agents_prove_the_path_where_they_cannot_answer),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
