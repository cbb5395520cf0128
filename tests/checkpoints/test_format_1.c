/* Format 1, one folder with manifest.json, manifest.prev.json and weights-<n>.h5, still opens; the
 * first save makes a store of it, and nothing is lost on the way. */
#include "tests/checkpoints/steps.h"

#include <jansson.h>

#include "checkpoints/weights.h"

/* ---- what the program of format 1 wrote ---- */

/* Closes a manifest with the SHA-256 of its other fields; takes `root`. */
static void manifest_write(const char *path, json_t *root)
{
    char hash[SYN_SHA256_TEXT];
    char *canonical = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(canonical);
    assert_ok(syn_sha256_of(canonical, strlen(canonical), hash));
    json_object_set_new(root, "manifest_sha256", json_string(hash));
    char *text = json_dumps(root, JSON_INDENT(1));
    text_write(path, text);
    free(text);
    free(canonical);
    json_decref(root);
}

/* Version `generation` of step `step` in folder NAME, its manifest under that name. */
static void version_write(const char *name, int generation, int step, const char *manifest)
{
    char path[64], file[32], file_hash[SYN_SHA256_TEXT], config[64];
    unsigned char *image = NULL;
    size_t bytes = 0;
    for (int i = 0; i < STEP_VALUES; i++) step_values[i] = (float)step + (float)i;
    const syn_tensor t = {"w", 1, {STEP_VALUES}, SYN_TENSOR_F32, step_values};
    snprintf(config, sizeof config, "{\"step\":%d}", step);
    assert_ok(syn_weights_encode(&t, 1, "2026-01-31T12:00:00Z", config, &image, &bytes));
    assert_ok(syn_sha256_of(image, bytes, file_hash));
    snprintf(file, sizeof file, "weights-%d.h5", generation);
    snprintf(path, sizeof path, "%s/%s", name, file);
    file_write(path, image, bytes);
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:i, s:s, s:I, s:s, s:s, s:{s:i}, s:{s:s}, s:[{s:s, s:s, s:[i]}]}",
        "format", "syncog-checkpoint", "format_version", 1, "created", "2026-01-31T12:00:00Z",
        "generation", generation, "file", file, "file_bytes", (json_int_t)bytes, "file_sha256",
        file_hash, "content_sha256", file_hash, "config", "step", step, "provenance", "licence",
        "CC0", "tensors", "name", "w", "type", "f32", "shape", STEP_VALUES);
    assert_non_null(root);
    snprintf(path, sizeof path, "%s/%s", name, manifest);
    manifest_write(path, root);
    free(image);
}

/* Steps `step` - 1 and `step`, as generations of the same number. */
static void folder_write(const char *name, int step)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
    version_write(name, step - 1, step - 1, "manifest.prev.json");
    version_write(name, step, step, "manifest.json");
}

/* ---- reading ---- */

static void it_still_opens(void **state)
{
    syn_checkpoint *cp = NULL;
    folder_write("run", 5);
    assert_true(syn_checkpoint_exists(path_of("run")));
    assert_int_equal(step_of(path_of("run"), NULL), 5);
    assert_int_equal(step_of(path_of("run"), "latest"), 5);
    assert_int_equal(step_of(path_of("run"), "4"), 4);
    assert_int_equal(step_of(path_of("run"), "best"), -1);
    assert_ok(syn_checkpoint_open(path_of("run"), &cp));
    assert_string_equal(syn_checkpoint_metrics(cp), "{}");
    assert_string_equal(syn_checkpoint_provenance(cp), "{\"licence\":\"CC0\"}");
    assert_int_equal(syn_checkpoint_version(cp), 5);
    syn_checkpoint_close(cp);
}

static void the_version_before_stands_in(void **state)
{
    folder_write("run", 5);
    assert_int_equal(truncate(path_of("run/weights-5.h5"), 100), 0);
    assert_int_equal(step_of(path_of("run"), NULL), 4);
    assert_int_equal(truncate(path_of("run/manifest.json"), 100), 0);
    assert_int_equal(step_of(path_of("run"), NULL), 4);
    unlink(path_of("run/manifest.json"));
    assert_int_equal(step_of(path_of("run"), NULL), 4);
}

/* ---- becoming a store ---- */

static void the_first_save_makes_a_store(void **state)
{
    folder_write("run", 5);
    text_write("run/metrics.jsonl", "{}\n");
    assert_ok(save_step_as(path_of("run"), 6, false, 0));
    assert_string_equal(versions_of(path_of("run")), "4 5 6+");
    for (int step = 4; step <= 6; step++) {
        char number[8];
        snprintf(number, sizeof number, "%d", step);
        assert_int_equal(step_of(path_of("run"), number), step);
    }
    assert_int_equal(folder_count(path_of("run")), 3); /* versions, latest, metrics.jsonl */
    assert_int_equal(step_of(path_of("run"), NULL), 6);
}

/* A run of format 1: its folder was the best, latest/ in it the latest. */
static void a_run_keeps_its_best_and_its_latest(void **state)
{
    folder_write("run", 5);
    folder_write("run/latest", 3);
    assert_ok(save_step_as(path_of("run"), 20, false, 0));
    assert_string_equal(versions_of(path_of("run")), "4 5* 6 7 8+");
    assert_int_equal(step_of(path_of("run"), "best"), 5);
    assert_int_equal(step_of(path_of("run"), "6"), 2);
    assert_int_equal(step_of(path_of("run"), "7"), 3);
    assert_int_equal(step_of(path_of("run"), "latest"), 20);
    assert_int_equal(folder_count(path_of("run")), 3); /* versions, latest, best */
}

static void damage_is_left_behind(void **state)
{
    folder_write("run", 5);
    assert_int_equal(truncate(path_of("run/weights-5.h5"), 100), 0);
    assert_ok(save_step_as(path_of("run"), 6, false, 0));
    assert_string_equal(versions_of(path_of("run")), "4 5+");
    assert_int_equal(step_of(path_of("run"), "4"), 4);
    assert_int_equal(step_of(path_of("run"), "5"), 6);
}

static void a_newer_format_is_left_alone(void **state)
{
    assert_int_equal(mkdir(path_of("run"), 0700), 0);
    manifest_write("run/manifest.json",
                   json_pack("{s:s, s:i}", "format", "syncog-checkpoint", "format_version", 3));
    assert_fails(save_step_as(path_of("run"), 6, false, 0), SYN_ERR_UNSUPPORTED,
                 "format_version is 3, this build reads 1 to 2");
    assert_int_equal(folder_count(path_of("run")), 1);
}

/* Killed after some of its steps, taking over goes on with the next save and takes nothing twice.
 */
static void a_killed_take_over_goes_on(void **state)
{
    syn_folder folder;
    folder_write("run", 5);
    folder_write("run/latest", 9);
    folder_write("copy", 5);
    folder_write("copy/latest", 9);
    assert_ok(syn_folder_open(&folder, path_of("run"), false));
    assert_ok(syn_store_migrate(&folder));
    assert_string_equal(versions_of(path_of("run")), "4 5* 8 9+");
    syn_folder_close(&folder);

    /* Before the links: the manifests of format 1 still say what there is. */
    version_write("run", 4, 4, "manifest.prev.json");
    version_write("run", 5, 5, "manifest.json");
    unlink(path_of("run/best"));
    unlink(path_of("run/latest"));
    assert_int_equal(rename(path_of("copy/latest"), path_of("run/latest")), 0);
    assert_int_equal(step_of(path_of("run"), NULL), 5);
    assert_ok(save_step_as(path_of("run"), 6, false, 0));
    assert_string_equal(versions_of(path_of("run")), "4 5* 8 9 10+");

    /* After them: latest/ is gone already, one manifest still there. */
    version_write("run", 5, 5, "manifest.json");
    assert_int_equal(step_of(path_of("run"), NULL), 5);
    assert_ok(save_step_as(path_of("run"), 7, false, 0));
    assert_string_equal(versions_of(path_of("run")), "4 5* 8 9 10 11+");
    assert_int_equal(folder_count(path_of("run")), 3);
}

/* Killed while it clears away what is no longer needed. */
static void a_killed_clearing_goes_on(void **state)
{
    assert_ok(save_step_as(path_of("run"), 6, false, 0));
    version_write("run", 5, 5, ".manifest.1.old");
    text_write("run/weights-4.h5.tmp", "");
    assert_int_equal(step_of(path_of("run"), NULL), 6);
    assert_ok(save_step_as(path_of("run"), 7, false, 0));
    assert_int_equal(folder_count(path_of("run")), 2); /* versions, latest */
}

/* Somebody else's files may have such names. */
static void weights_that_are_not_ours_stay(void **state)
{
    assert_int_equal(mkdir(path_of("run"), 0700), 0);
    text_write("run/weights-5.h5", "of another program");
    assert_ok(save_step_as(path_of("run"), 6, false, 0));
    assert_ok(save_step_as(path_of("run"), 7, false, 0));
    assert_int_equal(folder_count(path_of("run")), 3); /* versions, latest, weights-5.h5 */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1); /* what is not taken over is warned about */
    const struct CMUnitTest tests[] = {
        TEST(it_still_opens),
        TEST(the_version_before_stands_in),
        TEST(the_first_save_makes_a_store),
        TEST(a_run_keeps_its_best_and_its_latest),
        TEST(damage_is_left_behind),
        TEST(a_newer_format_is_left_alone),
        TEST(a_killed_take_over_goes_on),
        TEST(a_killed_clearing_goes_on),
        TEST(weights_that_are_not_ours_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
