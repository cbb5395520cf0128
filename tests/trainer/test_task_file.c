/* Tasks and judges by way of a plain file are the same tasks and judges. */
#include "trainer/task_file.h"

#include <unistd.h>

#include "checkpoints/safetensors.h"
#include "tests/random_tasks.h"

enum { RECORDS = 4 };

static char folder[] = "/tmp/task-file-XXXXXX", path[64];
static syn_ctx ctx;
static syn_corpus corpus;
static syn_perception judge;

static int make_world(void **state)
{
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/tasks.safetensors", folder);
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    random_tasks(&ctx, &corpus.tasks, 2 * RECORDS, 6, 2);
    corpus.tasks.info[3].group[0] = 5;
    corpus.records = RECORDS;
    assert_ok(syn_perception_init(&ctx, &judge, 3));
    judge.calibrated[SYN_GAP] = (syn_calibration){1.5f, -0.25f};
    return 0;
}

static int free_world(void **state)
{
    syn_corpus_free(&ctx, &corpus);
    syn_perception_free(&ctx, &judge);
    syn_ctx_free(&ctx);
    unlink(path);
    return rmdir(folder);
}

static void what_was_written_is_read(void **state)
{
    syn_corpus c;
    syn_perception p;
    assert_ok(syn_task_file_write(&ctx, path, &corpus, RECORDS - 1, &judge));
    assert_ok(syn_task_file_read(&ctx, path, &c, &p));
    assert_int_equal(c.records, RECORDS - 1);
    assert_int_equal(c.tasks.count, 2 * (RECORDS - 1));
    const size_t tasks = (size_t)c.tasks.count;
    assert_memory_equal(c.tasks.info, corpus.tasks.info, sizeof *c.tasks.info * tasks);
    assert_memory_equal(c.tasks.quest, corpus.tasks.quest, sizeof(real) * SYN_TASK_QUEST * tasks);
    assert_memory_equal(c.tasks.pair, corpus.tasks.pair, sizeof(real) * SYN_TASK_PAIR * tasks);
    assert_int_equal(p.params.total, judge.params.total);
    assert_memory_equal(p.params.value, judge.params.value,
                        sizeof(real) * (size_t)judge.params.total);
    assert_memory_equal(p.calibrated, judge.calibrated, sizeof p.calibrated);
    syn_corpus_free(&ctx, &c);
    syn_perception_free(&ctx, &p);
}

/* Writes the world, damaged by `damage`, and expects a sentence that names the file. */
static void expect_refused(void (*damage)(bool on), syn_status why)
{
    syn_corpus c;
    syn_perception p;
    damage(true);
    const syn_status written = syn_task_file_write(&ctx, path, &corpus, RECORDS, &judge);
    damage(false);
    assert_ok(written);
    assert_int_equal(syn_task_file_read(&ctx, path, &c, &p), why);
    assert_non_null(strstr(syn_error_text(), path));
    assert_null(c.tasks.info);
    assert_null(p.params.value);
}

static void all_gold(bool on)
{
    corpus.tasks.info[2].gold = on ? 63 : 3;
}

static void too_many_pieces(bool on)
{
    corpus.tasks.info[5].pieces = on ? SYN_PIECES_OWN_MAX + 1 : 6;
}

static void groups_that_share_a_row(bool on)
{
    corpus.tasks.info[3].group[1] = on ? 4 : 0;
}

static void a_feature_that_is_none(bool on)
{
    static real kept;
    real *x = &corpus.tasks.pair[100];
    if (on) kept = *x;
    *x = on ? (real)NAN : kept;
}

static void a_weight_that_is_none(bool on)
{
    static real kept;
    real *x = &judge.params.value[7];
    if (on) kept = *x;
    *x = on ? (real)INFINITY : kept;
}

static void a_temperature_of_zero(bool on)
{
    judge.calibrated[0].temperature = on ? 0 : 1;
}

static void what_cannot_be_a_task_or_a_judge_is_refused(void **state)
{
    expect_refused(all_gold, SYN_ERR_FORMAT);
    expect_refused(too_many_pieces, SYN_ERR_FORMAT);
    expect_refused(groups_that_share_a_row, SYN_ERR_FORMAT);
    expect_refused(a_feature_that_is_none, SYN_ERR_NUMERIC);
    expect_refused(a_weight_that_is_none, SYN_ERR_NUMERIC);
    expect_refused(a_temperature_of_zero, SYN_ERR_FORMAT);
}

static void a_file_of_other_tensors_is_refused(void **state)
{
    syn_corpus c;
    syn_perception p;
    float x[2] = {1, 2};
    const syn_tensor item = {"x", 1, {2}, SYN_TENSOR_F32, x};
    const syn_tensors all = {&item, 1};
    assert_ok(syn_safetensors_write(path, &all, NULL));
    assert_int_equal(syn_task_file_read(&ctx, path, &c, &p), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "no tasks"));
}

/* Tasks whose features are not in the file: that is seen first, before room is made for them, so
 * that a megabyte does not ask for more than a gigabyte. */
static void a_count_that_is_told_takes_no_memory(void **state)
{
    enum { TASKS = 2 * SYN_TASK_FILE_RECORDS_MAX };
    syn_corpus c;
    syn_perception p;
    syn_task_info *info = calloc(TASKS, sizeof *info);
    assert_non_null(info);
    const syn_tensor item = {"tasks.info", 2, {TASKS, 3 + SYN_GROUPS_MAX}, SYN_TENSOR_I32, info};
    const syn_tensors all = {&item, 1};
    assert_ok(syn_safetensors_write(path, &all, NULL));
    free(info);
    assert_int_equal(syn_task_file_read(&ctx, path, &c, &p), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "\"tasks.quest\" is missing"));
    assert_null(c.tasks.info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_cannot_be_a_task_or_a_judge_is_refused),
        cmocka_unit_test(a_file_of_other_tensors_is_refused),
        cmocka_unit_test(a_count_that_is_told_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
