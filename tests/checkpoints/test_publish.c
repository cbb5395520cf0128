/* What leaves a store: deployments that are whole or not there, safetensors files that say what
 * they hold, and the words of 'syncog checkpoint' as a user types them. */
#include "tests/trainer/commands.h"

#include <jansson.h>

#include "checkpoints/publish.h"
#include "checkpoints/safetensors.h"

enum { RUN_VERSIONS = 5 };

static syn_ctx ctx;

/* folder/run: five versions of an untrained model with all that training adds, 3 the best. */
static void run_write(void)
{
    syn_model m;
    int64_t turns = 1;
    const syn_tensor item = {"resume.turns", 1, {1}, SYN_TENSOR_I64, &turns};
    const syn_tensors resume = {&item, 1};
    assert_ok(syn_model_init(&ctx, &m, 1));
    assert_ok(syn_perception_init(&ctx, &m.perception, 1));
    assert_ok(syn_perception_init(&ctx, &m.part[0], 2));
    assert_ok(syn_control_init(&ctx, &m.control, 3));
    assert_ok(syn_params_trainable(&ctx, &m.control.params));
    m.parts = 1;
    m.has_perception = m.has_control = m.has_policy = true;
    for (int v = 1; v <= RUN_VERSIONS; v++) {
        char metrics[128];
        snprintf(metrics, sizeof metrics,
                 "{\"return\":%d,\"messages\":%d,\"env_steps\":%d,\"a\":1,\"b\":2,\"c\":3,\"d\":4}",
                 v == 3 ? 12 : v, 10 - v, 100 * v);
        const syn_save_facts facts = {.config_json = "{\"phase\":\"train\"}",
                                      .provenance_json = "{\"records\":3}",
                                      .metrics_json = metrics,
                                      .best = v == 3};
        m.control.params.value[0] = (real)v;
        assert_ok(
            syn_model_save(path_of("run"), &m, v == 3, &facts, &resume)); /* the best has all */
    }
    syn_model_free(&ctx, &m);
}

static int set_up(void **state)
{
    if (folder_setup(state) || syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1) != SYN_OK) return -1;
    setenv("LOG_LEVEL", "error", 1);
    run_write();
    return 0;
}

static int tear_down(void **state)
{
    syn_ctx_free(&ctx);
    return folder_teardown(state);
}

/* ---- deploy ---- */

static real first_weight(const char *name)
{
    syn_model m;
    assert_ok(syn_model_load(&ctx, path_of(name), &m, NULL, NULL));
    assert_true(m.has_policy && m.parts == 0 && !m.control.params.m);
    real x = m.control.params.value[0];
    syn_model_free(&ctx, &m);
    return x;
}

static void a_deployment_is_the_model_alone(void **state)
{
    syn_checkpoint *cp = NULL;
    assert_works("checkpoint deploy run --target up/policy");
    assert_non_null(strstr(said, "deployed version 3 of run as up/policy"));
    assert_true(first_weight("up/policy") == 3);
    assert_int_equal(folder_count(path_of("up")), 1);
    assert_int_equal(folder_count(path_of("up/policy")), 2);
    assert_ok(syn_checkpoint_open(path_of("up/policy"), &cp));
    for (int i = 0; i < syn_checkpoint_tensor_count(cp); i++) {
        assert_false(syn_model_tensor_trains(syn_checkpoint_tensor(cp, i)->name));
    }
    assert_int_equal(syn_checkpoint_version(cp), 3);
    assert_string_equal(syn_checkpoint_provenance(cp), "{\"records\":3}");
    assert_non_null(strstr(syn_checkpoint_metrics(cp), "\"return\":12"));
    syn_checkpoint_close(cp);
    assert_works("checkpoint verify up/policy");
}

static void a_deployment_replaces_a_deployment(void **state)
{
    assert_works("checkpoint deploy run latest --target up/policy");
    assert_true(first_weight("up/policy") == 5);
    assert_works("checkpoint deploy run 2 --target up/policy/");
    assert_true(first_weight("up/policy") == 2);
    assert_int_equal(folder_count(path_of("up")), 1);
}

static void what_is_no_deployment_stays(void **state)
{
    static const char *const targets[] = {"run", "run/best", "file", "notes"};
    text_write("file", "mine");
    assert_int_equal(mkdir(path_of("notes"), 0700), 0);
    text_write("notes/a.txt", "mine");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_one_sentence(targets[i], syncog("checkpoint deploy run --target %s", targets[i]), 1,
                            "is there and is no deployed checkpoint");
    }
    assert_one_sentence("a version", syncog("checkpoint deploy run 1 --target run/versions/000001"),
                        1, "lies among the versions of a store");
    assert_one_sentence("a dot", syncog("checkpoint deploy run --target ."), 1, "does not end in");
    assert_works("checkpoint deploy run --target noted");
    text_write("noted/a.txt", "mine");
    assert_one_sentence("a note", syncog("checkpoint deploy run --target noted"), 1,
                        "is no deployed checkpoint");
    assert_works("checkpoint verify run --all");
}

static void a_damaged_version_is_not_deployed(void **state)
{
    assert_works("checkpoint deploy run 1 --target kept");
    assert_int_equal(truncate(path_of("run/versions/000005/weights.h5"), 1000), 0);
    assert_one_sentence("latest", syncog("checkpoint deploy run latest --target kept"), 1,
                        "the version asked for is damaged; version 4 is sound");
    assert_one_sentence("5", syncog("checkpoint deploy run 5 --target kept"), 1, "damaged: 1000");
    assert_true(first_weight("kept") == 1);
    assert_int_equal(folder_count(path_of("kept")), 2);
}

static void what_is_no_model_is_not_deployed(void **state)
{
    float x = 1;
    const syn_tensor t = {"x", 1, {1}, SYN_TENSOR_F32, &x};
    assert_ok(syn_checkpoint_save(path_of("other"), &t, 1, NULL, NULL));
    assert_fails(syn_publish_deploy(path_of("other"), NULL, path_of("up/other"), NULL),
                 SYN_ERR_FORMAT, "does not describe a model");
    assert_int_not_equal(access(path_of("up/other"), F_OK), 0);
}

/* ---- safetensors ---- */

/* The header of a file, which begins where it says and ends where the data begins. */
static json_t *header_of(const char *name, unsigned char **bytes, size_t *count, size_t *data)
{
    uint64_t length = 0;
    json_error_t error;
    *bytes = file_read(path_of(name), count);
    assert_true(*count > 8);
    memcpy(&length, *bytes, 8);
    assert_true(length <= *count - 8 && length % 8 == 0);
    json_t *header = json_loadb((char *)*bytes + 8, length, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(header);
    *data = 8 + length;
    return header;
}

static void tensors_are_exported_aligned_and_without_gaps(void **state)
{
    uint8_t a[3] = {1, 2, 3};
    float b[2] = {0.5f, -1};
    double c = 1e300;
    uint64_t d[1] = {UINT64_MAX};
    const syn_tensor tensors[] = {{"a", 1, {3}, SYN_TENSOR_U8, a},
                                  {"b", 2, {2, 1}, SYN_TENSOR_F32, b},
                                  {"c", 1, {1}, SYN_TENSOR_F64, &c},
                                  {"d", 1, {1}, SYN_TENSOR_U64, d}};
    static const struct {
        const char *name, *dtype;
        int begin, end;
    } want[] = {{"c", "F64", 0, 8}, {"d", "U64", 8, 16}, {"b", "F32", 16, 24}, {"a", "U8", 24, 27}};
    unsigned char *bytes;
    size_t count, data;
    json_t *about = json_pack("{s:s}", "config", "{}");
    assert_ok(syn_safetensors_write(path_of("x.safetensors"), &(syn_tensors){tensors, 4}, about));
    json_t *header = header_of("x.safetensors", &bytes, &count, &data);
    for (int i = 0; i < 4; i++) {
        const char *dtype;
        int begin, end;
        assert_int_equal(json_unpack(json_object_get(header, want[i].name), "{s:s, s:[i, i]}",
                                     "dtype", &dtype, "data_offsets", &begin, &end),
                         0);
        assert_string_equal(dtype, want[i].dtype);
        assert_int_equal(begin, want[i].begin);
        assert_int_equal(end, want[i].end);
    }
    assert_int_equal(count, data + 27);
    assert_memory_equal(bytes + data + 8, d, 8);
    assert_memory_equal(bytes + data + 16, b, 8);
    assert_memory_equal(bytes + data + 24, a, 3);
    const json_t *shape = json_object_get(json_object_get(header, "b"), "shape");
    assert_int_equal(json_array_size(shape), 2);
    json_decref(header);
    json_decref(about);
    free(bytes);
}

static void an_export_is_the_model_alone(void **state)
{
    unsigned char *bytes;
    size_t count, data;
    const char *name;
    json_t *value;
    assert_works("checkpoint export run 3 --format safetensors --out out/m.safetensors --sample "
                 "out/s.safetensors");
    json_t *header = header_of("out/m.safetensors", &bytes, &count, &data);
    json_object_foreach(header, name, value) assert_false(syn_model_tensor_trains(name));
    assert_non_null(json_object_get(header, "control.state.lstm.W"));
    assert_non_null(json_object_get(header, "idf"));
    const json_t *about = json_object_get(header, "__metadata__");
    assert_non_null(
        strstr(json_string_value(json_object_get(about, "config")), "\"phase\":\"train\""));
    assert_string_equal(json_string_value(json_object_get(about, "version")), "3");
    json_decref(header);
    free(bytes);
    header = header_of("out/s.safetensors", &bytes, &count, &data);
    assert_non_null(json_object_get(header, "in.message"));
    assert_non_null(json_object_get(header, "out.logit"));
    json_decref(header);
    free(bytes);
    assert_int_equal(folder_count(path_of("out")), 2);
}

static void an_export_that_fails_leaves_nothing(void **state)
{
    assert_one_sentence("export", syncog("checkpoint export run 9 --out out/n.safetensors"), 1,
                        "there is no version 9");
    assert_one_sentence("export", syncog("checkpoint export run --out file/n.safetensors"), 1,
                        "Not a directory");
    assert_one_sentence("export", syncog("checkpoint export run --format onnx --out n"), 2,
                        "safetensors");
    assert_int_equal(folder_count(path_of("out")), 2);
}

/* ---- words ---- */

static void list_and_verify_say_what_there_is(void **state)
{
    assert_works("checkpoint list run");
    assert_int_equal(line_count(said), 1 + RUN_VERSIONS);
    assert_non_null(strstr(said, "return=12 messages=7 a=1 b=2\n")); /* the first few */
    assert_works("checkpoint list run --json");
    json_t *list = json_loads(said, 0, NULL);
    assert_int_equal(json_array_size(list), RUN_VERSIONS);
    const json_t *third = json_array_get(list, 2);
    assert_int_equal(json_integer_value(json_object_get(third, "version")), 3);
    assert_int_equal(json_integer_value(json_object_get(third, "env_steps")), 300);
    assert_true(json_is_true(json_object_get(third, "best")));
    assert_true(json_is_false(json_object_get(third, "latest")));
    assert_true(json_is_true(json_object_get(json_array_get(list, 4), "latest")));
    json_decref(list);
    assert_works("checkpoint verify run 1");
    assert_works("checkpoint verify run best");
    assert_int_equal(syncog("checkpoint verify run"), 1); /* 5 has been damaged above */
    assert_non_null(strstr(complained, "run: 1 of 2 versions cannot be loaded as saved"));
    assert_int_equal(syncog("checkpoint verify run --all --json"), 1);
    list = json_loads(said, 0, NULL);
    for (size_t i = 0; i < RUN_VERSIONS; i++) {
        assert_int_equal(json_is_true(json_object_get(json_array_get(list, i), "sound")), i < 4);
    }
    json_decref(list);
    assert_one_sentence("verify", syncog("checkpoint verify run 1 --all"), 2, "not both");
}

static void find_best_names_a_version(void **state)
{
    assert_works("checkpoint find-best run --metric return");
    assert_string_equal(said, "3\n");
    assert_works("checkpoint find-best run --metric return --min");
    assert_string_equal(said, "1\n");
    assert_works("checkpoint find-best run --metric messages --min --json");
    json_t *j = json_loads(said, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "version")), 5);
    assert_true(json_number_value(json_object_get(j, "value")) == 5);
    json_decref(j);
    assert_one_sentence("find-best", syncog("checkpoint find-best run --metric succes"), 1,
                        "no version has a metric 'succes'; there are return, messages, env_steps");
    assert_one_sentence("find-best", syncog("checkpoint find-best run"), 2, "--metric NAME");
}

static void prune_keeps_what_must_stay(void **state)
{
    assert_one_sentence("prune", syncog("checkpoint prune run"), 2, "needs --keep N");
    assert_works("checkpoint prune run --keep 1 --dry-run");
    assert_non_null(strstr(said, "would remove version 1\nwould remove version 2\n3 of 5 "));
    assert_int_equal(folder_count(path_of("run/versions")), RUN_VERSIONS);
    assert_works("checkpoint prune run --keep 1"); /* best 3, latest 5, and 4, which verifies */
    assert_int_equal(folder_count(path_of("run/versions")), 3);
    assert_works("checkpoint prune run --keep 1");
    assert_non_null(strstr(said, "3 of 3 versions stay"));
    assert_works("checkpoint verify run best");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deployment_is_the_model_alone),
        cmocka_unit_test(a_deployment_replaces_a_deployment),
        cmocka_unit_test(what_is_no_deployment_stays),
        cmocka_unit_test(a_damaged_version_is_not_deployed),
        cmocka_unit_test(what_is_no_model_is_not_deployed),
        cmocka_unit_test(tensors_are_exported_aligned_and_without_gaps),
        cmocka_unit_test(an_export_is_the_model_alone),
        cmocka_unit_test(an_export_that_fails_leaves_nothing),
        cmocka_unit_test(list_and_verify_say_what_there_is),
        cmocka_unit_test(find_best_names_a_version),
        cmocka_unit_test(prune_keeps_what_must_stay),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
