/* Questions about one dialogue or story move together: none chooses for another one, leak tests fit
 * on some dialogues and score on others, and the bootstrap draws dialogues. */
#include "tests/trainer/commands.h"

#include "benchmarks/eval_parts.h"

/* Dialogues of two questions each, the names of which have keys with bit 40 set: for the leak tests
 * all of them are in one half. */
static void dialogues_write(const char *name, int dialogues)
{
    char json[64], title[32];
    snprintf(json, sizeof json, "%s.json", name);
    FILE *f = fopen(path_of(json), "w");
    assert_non_null(f);
    fputs("{\"data\":[", f);
    for (int made = 0, tried = 0; made < dialogues; tried++) {
        snprintf(title, sizeof title, "scene%d", tried);
        if (!(syn_dataset_key(title, strlen(title)) >> 40 & 1)) continue;
        fprintf(f, "%s{\"title\":\"%s\",\"paragraphs\":[{\"utterances:\":[", made ? "," : "",
                title);
        for (int u = 0; u < 5; u++)
            fprintf(f, "%s{\"uid\":%d,\"speakers\":[\"Ann\"],\"utterance\":\"word%d of part%d\"}",
                    u ? "," : "", u, tried, 7 * tried + u);
        fputs("],\"qas\":[", f);
        for (int q = 0; q < 2; q++)
            fprintf(f,
                    "%s{\"id\":\"%s-%d\",\"question\":\"which part%d %s\",\"answers\":"
                    "[{\"utterance_id\":%d}]}",
                    q ? "," : "", title, q, 7 * tried + q, tried % 3 ? "and why" : "", q);
        fputs("]}]}", f);
        made++;
    }
    fputs("]}", f);
    assert_int_equal(fclose(f), 0);
    assert_works("data prepare --format friendsqa --input %s --out %s", json, name);
}

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    dialogues_write("dialogues.h5", 60);
    untrained_write("judges", "dialogues.h5", true, false);
    untrained_write("trained", "dialogues.h5", true, true);
    return 0;
}

static void no_question_chooses_for_another_one_about_its_dialogue(void **state)
{
    int code =
        syncog("eval --data dialogues.h5 --threads 1 --checkpoint trained --episodes 60 --sweep "
               "--choose-data dialogues.h5");
    assert_one_sentence("eval --sweep", code, 1, "dialogues.h5: holds 0 held-out training records");
}

static void leak_tests_never_score_a_dialogue_that_they_were_fitted_on(void **state)
{
    static char groups[64][24], ids[64][24];
    int group_count = 0, id_count = 0;
    json_t *line;
    dialogues_write("few.h5", 8);
    assert_works("eval --data few.h5 --json --threads 1 --checkpoint judges --episodes 200 "
                 "--raw few.jsonl");
    json_t *j = json_loads(said, 0, NULL);
    assert_non_null(j);
    /* All are in the half that is scored: there is nothing to fit on. */
    const json_t *gap = json_object_get(j, "gap");
    assert_true(json_number_value(json_object_get(gap, "count_only_auroc")) == 0.5);
    assert_true(json_number_value(json_object_get(gap, "question_only_auroc")) == 0.5);
    json_decref(j);
    FILE *f = fopen(path_of("few.jsonl"), "r");
    assert_non_null(f);
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
        const char *group = json_string_value(json_object_get(line, "group")),
                   *id = json_string_value(json_object_get(line, "id"));
        int g = 0, k = 0;
        assert_non_null(group);
        while (g < group_count && strcmp(groups[g], group)) g++;
        while (k < id_count && strcmp(ids[k], id)) k++;
        assert_true(g < 64 && k < 64);
        if (g == group_count) snprintf(groups[group_count++], sizeof groups[0], "%s", group);
        if (k == id_count) snprintf(ids[id_count++], sizeof ids[0], "%s", id);
        json_decref(line);
    }
    fclose(f);
    assert_int_equal(group_count, 8);
    assert_int_equal(id_count, 16);
}

enum { ASKED = 20 };

/* The interval of the returns of questions, the first half of which gains 1 and the second loses 1;
 * their contexts: 0 for a question that stands alone. */
static syn_interval interval_of(const uint64_t *context)
{
    static syn_record records[ASKED];
    static int64_t index[ASKED];
    static syn_episode_result better[ASKED], worse[ASKED];
    static syn_eval_report figures;
    const syn_dataset ds = {.records = records, .record_count = ASKED};
    const syn_eval_config cfg = {.episodes = ASKED, .seed = 7};
    syn_eval_difference d;
    memset(&figures, 0, sizeof figures);
    for (int k = 0; k < ASKED; k++) {
        records[k] = (syn_record){.id_key = 1000 + (uint64_t)k, .context_key = context[k]};
        index[k] = k;
        better[k] = (syn_episode_result){.record = k, .episode_return = k < ASKED / 2 ? 1 : -1};
        worse[k] = (syn_episode_result){.record = k};
    }
    syn_evaluation ev = {.cfg = &cfg, .ds = &ds, .report = &figures};
    ev.side.corpus = (syn_corpus){.records = ASKED, .record = index};
    ev.result[0] = better;
    ev.result[1] = worse;
    assert_ok(syn_eval_compare(&ev, 0, 1, &d));
    return d.episode_return;
}

static void questions_about_one_dialogue_are_drawn_together(void **state)
{
    uint64_t alone[ASKED] = {0}, two[ASKED], shuffled[ASKED], one[ASKED];
    for (int k = 0; k < ASKED; k++) {
        two[k] = k < ASKED / 2 ? 9 : 5;
        one[k] = 3;
        shuffled[k] = 1 + (uint64_t)(k % 2);
    }
    const syn_interval each = interval_of(alone);
    assert_true(each.low > -0.8 && each.low < -0.2 && each.high > 0.2 && each.high < 0.8);
    /* Two dialogues: one in four draws has the first one twice. */
    const syn_interval both = interval_of(two);
    assert_true(both.low == -1 && both.high == 1);
    /* Whatever is drawn, as many gain as lose. */
    assert_true(interval_of(shuffled).low == 0 && interval_of(shuffled).high == 0);
    assert_true(interval_of(one).low == 0 && interval_of(one).high == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_question_chooses_for_another_one_about_its_dialogue),
        cmocka_unit_test(leak_tests_never_score_a_dialogue_that_they_were_fitted_on),
        cmocka_unit_test(questions_about_one_dialogue_are_drawn_together),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
