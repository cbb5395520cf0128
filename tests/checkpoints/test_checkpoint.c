/* What a checkpoint promises: what was saved comes back, damage is refused before HDF5 sees it, a
 * lying manifest is one sentence, and both sides agree on names and shapes. */
#include "tests/datasets/helpers.h"

#include <fcntl.h>
#include <jansson.h>

#include "checkpoints/manifest.h"

#define WEIGHTS  "versions/000001/weights.h5"
#define MANIFEST "versions/000001/manifest.json"

enum { ROWS = 6, COLUMNS = 5, TENSORS = 6 };

typedef struct fixture {
    float weights[ROWS * COLUMNS];
    int32_t table[3];
    uint8_t mask[2];
    double mean[2];
    int64_t turns[2];
    uint64_t rng[2];
    syn_tensor tensors[TENSORS];
} fixture;

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    fixture *f = calloc(1, sizeof *f);
    for (int i = 0; i < ROWS * COLUMNS; i++) f->weights[i] = 0.25f * (float)i - 1;
    f->table[1] = -7;
    f->mask[0] = 255;
    f->mean[1] = 1e-300;
    f->turns[0] = INT64_MIN;
    f->rng[0] = UINT64_MAX;
    f->tensors[0] = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, f->weights};
    f->tensors[1] = (syn_tensor){"idf", 1, {3}, SYN_TENSOR_I32, f->table};
    f->tensors[2] = (syn_tensor){"mask", 3, {1, 2, 1}, SYN_TENSOR_U8, f->mask};
    f->tensors[3] = (syn_tensor){"mean", 1, {2}, SYN_TENSOR_F64, f->mean};
    f->tensors[4] = (syn_tensor){"turns", 1, {2}, SYN_TENSOR_I64, f->turns};
    f->tensors[5] = (syn_tensor){"rng", 1, {2}, SYN_TENSOR_U64, f->rng};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return folder_teardown(state);
}

static void save_count(fixture *f, int count)
{
    const syn_save_facts facts = {.config_json = "{\"hidden\":512}",
                                  .provenance_json =
                                      "{\"data\":[{\"name\":\"synthetic\",\"licence\":\"CC0\"}]}",
                                  .metrics_json = "{\"return\":12.9,\"env_steps\":4096}"};
    assert_ok(syn_checkpoint_save(test_folder, f->tensors, count, &facts, NULL));
}

static void save(fixture *f)
{
    save_count(f, 3);
}

static void expect_refused(syn_status code, const char *words)
{
    syn_checkpoint *cp = (syn_checkpoint *)1;
    assert_int_equal(syn_checkpoint_open(test_folder, &cp), code);
    assert_null(cp);
    if (!strstr(syn_error_text(), words)) {
        fail_msg("the sentence \"%s\" does not say \"%s\"", syn_error_text(), words);
    }
}

static void expect_loads(void)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    syn_checkpoint_close(cp);
}

/* ---- round trip ---- */

static void what_was_saved_comes_back(void **state)
{
    fixture *f = *state, *got = calloc(1, sizeof *got);
    syn_checkpoint *cp = NULL;
    void *const data[TENSORS] = {got->weights, got->table, got->mask,
                                 got->mean,    got->turns, got->rng};
    save_count(f, TENSORS);
    memcpy(got->tensors, f->tensors, sizeof got->tensors);
    for (int i = 0; i < TENSORS; i++) got->tensors[i].data = data[i];
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    assert_ok(syn_checkpoint_read_all(cp, "", got->tensors, TENSORS));
    assert_memory_equal(got, f, offsetof(fixture, tensors));
    assert_string_equal(syn_checkpoint_config(cp), "{\"hidden\":512}");
    assert_string_equal(syn_checkpoint_metrics(cp), "{\"return\":12.9,\"env_steps\":4096}");
    assert_non_null(strstr(syn_checkpoint_provenance(cp), "CC0"));
    assert_string_equal(syn_checkpoint_dir(cp), test_folder);
    assert_int_equal(syn_checkpoint_version(cp), 1);
    assert_int_equal(syn_checkpoint_tensor_count(cp), TENSORS);
    assert_false(syn_checkpoint_is_fallback(cp));
    syn_checkpoint_close(cp);
    free(got);
}

static void equal_weights_have_equal_content_hashes(void **state)
{
    fixture *f = *state;
    char first[SYN_SHA256_TEXT], second[SYN_SHA256_TEXT];
    syn_checkpoint *cp = NULL;
    for (int i = 0; i < 3; i++) {
        if (i == 2) f->weights[3] += 1e-6f;
        save(f);
        assert_ok(syn_checkpoint_open(test_folder, &cp));
        snprintf(i ? second : first, SYN_SHA256_TEXT, "%s", syn_checkpoint_content_sha256(cp));
        syn_checkpoint_close(cp);
        if (i == 1) assert_string_equal(first, second);
    }
    assert_string_not_equal(first, second);
}

static void missing_parents_are_made(void **state)
{
    fixture *f = *state;
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_save(path_of("a/b"), f->tensors, 3, NULL, NULL));
    assert_ok(syn_checkpoint_open(path_of("a/b"), &cp));
    assert_string_equal(syn_checkpoint_config(cp), "{}");
    assert_string_equal(syn_checkpoint_metrics(cp), "{}");
    syn_checkpoint_close(cp);
}

/* ---- damage ---- */

static void every_flipped_bit_is_refused(void **state)
{
    fixture *f = *state;
    size_t bytes = 0;
    save(f);
    unsigned char *data = (unsigned char *)file_read(path_of(WEIGHTS), &bytes);
    for (int i = 0; i < 300; i++) {
        size_t at = ((uint64_t)i * 2654435761u) % bytes;
        if (i < 100) at = (size_t)i; /* the superblock */
        data[at] ^= (unsigned char)(1 << (i % 8));
        file_write(WEIGHTS, data, bytes);
        expect_refused(SYN_ERR_FORMAT, "SHA-256 is not the manifest's");
        data[at] ^= (unsigned char)(1 << (i % 8));
    }
    file_write(WEIGHTS, data, bytes);
    expect_loads();
    free(data);
}

static void truncations_are_refused(void **state)
{
    fixture *f = *state;
    size_t bytes = 0;
    save(f);
    unsigned char *data = (unsigned char *)file_read(path_of(WEIGHTS), &bytes);
    for (size_t cut = 0; cut < bytes; cut += 1 + bytes / 50) {
        file_write(WEIGHTS, data, cut);
        expect_refused(SYN_ERR_FORMAT, "the manifest says");
    }
    data = realloc(data, bytes + 1);
    data[bytes] = 0;
    file_write(WEIGHTS, data, bytes + 1);
    expect_refused(SYN_ERR_FORMAT, "the manifest says");
    free(data);
}

static void a_damaged_manifest_is_refused(void **state)
{
    fixture *f = *state;
    size_t bytes = 0;
    save(f);
    unsigned char *data = (unsigned char *)file_read(path_of(MANIFEST), &bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (strchr(" \n", data[i])) continue; /* white space between fields means nothing */
        data[i] ^= 1;
        file_write(MANIFEST, data, bytes);
        syn_checkpoint *cp = NULL;
        if (syn_checkpoint_open(test_folder, &cp) == SYN_OK) {
            fail_msg("byte %zu of the manifest was changed unseen", i);
        }
        data[i] ^= 1;
    }
    for (size_t cut = 0; cut < bytes; cut += 7) {
        file_write(MANIFEST, data, cut);
        expect_refused(SYN_ERR_FORMAT, "manifest.json");
    }
    free(data);
}

static void an_empty_folder_holds_no_checkpoint(void **state)
{
    syn_checkpoint *cp = NULL;
    expect_refused(SYN_ERR_IO, "no checkpoint in this folder");
    assert_false(syn_checkpoint_exists(test_folder));
    assert_int_equal(syn_checkpoint_open("/nowhere/checkpoint", &cp), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "/nowhere/checkpoint: No such file"));
}

static void a_link_or_a_pipe_is_no_manifest(void **state)
{
    save(*state);
    unlink(path_of(MANIFEST));
    assert_int_equal(symlink("/etc/passwd", path_of(MANIFEST)), 0);
    expect_refused(SYN_ERR_IO, "manifest.json");
    unlink(path_of(MANIFEST));
    assert_int_equal(mkfifo(path_of(MANIFEST), 0600), 0);
    expect_refused(SYN_ERR_FORMAT, "not a regular file");
}

/* ---- lying manifests ---- */

/* Writes the manifest again with one field replaced and its own hash made to fit. */
static void lie(const char *field, json_t *value)
{
    char hash[SYN_SHA256_TEXT];
    json_error_t error;
    size_t bytes = 0;
    unsigned char *text = (unsigned char *)file_read(path_of(MANIFEST), &bytes);
    json_t *root = json_loadb((char *)text, bytes, 0, &error);
    assert_non_null(root);
    assert_non_null(value);
    json_object_set_new(root, field, value);
    json_object_del(root, "manifest_sha256");
    char *canonical = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    assert_ok(syn_sha256_of(canonical, strlen(canonical), hash));
    json_object_set_new(root, "manifest_sha256", json_string(hash));
    char *lying = json_dumps(root, 0);
    file_write(MANIFEST, lying, strlen(lying));
    free(lying);
    free(canonical);
    json_decref(root);
    free(text);
}

static json_t *json_of(const char *text)
{
    json_error_t error;
    return json_loads(text, JSON_DECODE_ANY, &error);
}

typedef struct lying_field {
    const char *field, *json, *words;
    syn_status code;
} lying_field;

#define TENSOR(rest) "[{\"name\":\"lstm.R\",\"type\":\"f32\"," rest "}]"

static const lying_field lies[] = {
    {"format", "\"other\"", "format is missing", SYN_ERR_FORMAT},
    {"format_version", "3", "format_version is 3, this build reads 1 to 2", SYN_ERR_UNSUPPORTED},
    {"format_version", "0", "format_version is 0", SYN_ERR_UNSUPPORTED},
    {"format_version", "1", "generation is missing", SYN_ERR_FORMAT},
    {"format_version", "\"1\"", "format_version", SYN_ERR_FORMAT},
    {"version", "0", "version", SYN_ERR_FORMAT},
    {"version", "9223372036854775807", "version", SYN_ERR_FORMAT},
    {"version", "7", "its manifest is that of version 7", SYN_ERR_FORMAT},
    {"file", "\"../../etc/passwd\"", "file is missing or not weights.h5", SYN_ERR_FORMAT},
    {"file", "\"/etc/passwd\"", "file is missing or not weights.h5", SYN_ERR_FORMAT},
    {"file", "null", "file is missing", SYN_ERR_FORMAT},
    {"file_bytes", "-1", "file_bytes", SYN_ERR_FORMAT},
    {"file_bytes", "1e3", "file_bytes", SYN_ERR_FORMAT},
    {"file_bytes", "9000000000000", "file_bytes", SYN_ERR_FORMAT},
    {"file_bytes", "100000", "damaged", SYN_ERR_FORMAT},
    {"file_sha256", "\"00\"", "64 lower-case hex", SYN_ERR_FORMAT},
    {"content_sha256", "5", "64 lower-case hex", SYN_ERR_FORMAT},
    {"created", "\"a date that is far too long to be one\"", "created", SYN_ERR_FORMAT},
    {"config", "[]", "config is missing or not an object", SYN_ERR_FORMAT},
    {"provenance", "\"\"", "provenance is missing or not an object", SYN_ERR_FORMAT},
    {"metrics", "null", "metrics is missing or not an object", SYN_ERR_FORMAT},
    {"metrics", "{\"return\":\"12\"}", "metric return is not a number", SYN_ERR_FORMAT},
    {"metrics", "{\"\":1}", "a metric's name has 0 bytes", SYN_ERR_FORMAT},
    {"tensors", "{}", "tensors", SYN_ERR_FORMAT},
    {"tensors", "[]", "tensors", SYN_ERR_FORMAT},
    {"tensors", "[1]", "name is missing", SYN_ERR_FORMAT},
    {"tensors", "[{\"name\":\"../x\",\"type\":\"f32\",\"shape\":[1]}]", "letters, digits",
     SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[1,1,1,1,1,1,1,1,1]"), "shape", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[]"), "rank 0", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[-6,5]"), "dimension of -6", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[0]"), "dimension of 0", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[4611686018427387904,4611686018427387904]"), "dimension",
     SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[2147483647,2147483647]"), "dimension", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[100000,1000]"), "but file_bytes is", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[6,\"5\"]"), "shape", SYN_ERR_FORMAT},
    {"tensors", TENSOR("\"shape\":[6,5]"), "holds 3 tensors, the manifest lists 1", SYN_ERR_FORMAT},
    {"tensors",
     "[{\"name\":\"idf\",\"type\":\"i32\",\"shape\":[3]},"
     "{\"name\":\"idf\",\"type\":\"i32\",\"shape\":[3]}]",
     "idf is listed twice", SYN_ERR_FORMAT},
    {"tensors",
     "[{\"name\":\"idf\",\"type\":\"i32\",\"shape\":[3]},"
     "{\"name\":\"mask\",\"type\":\"u8\",\"shape\":[1,2,1]},"
     "{\"name\":\"lstm.W\",\"type\":\"f32\",\"shape\":[6,5]}]",
     "lstm.W is in the manifest, but not in the file", SYN_ERR_FORMAT},
    {"tensors",
     "[{\"name\":\"idf\",\"type\":\"i32\",\"shape\":[3]},"
     "{\"name\":\"mask\",\"type\":\"u8\",\"shape\":[1,2,1]},"
     "{\"name\":\"lstm.R\",\"type\":\"f32\",\"shape\":[5,6]}]",
     "lstm.R is not f32 (5, 6), as the manifest says", SYN_ERR_FORMAT},
    {"tensors",
     "[{\"name\":\"idf\",\"type\":\"f32\",\"shape\":[3]},"
     "{\"name\":\"mask\",\"type\":\"u8\",\"shape\":[1,2,1]},"
     "{\"name\":\"lstm.R\",\"type\":\"f32\",\"shape\":[6,5]}]",
     "idf is not f32 (3), as the manifest says", SYN_ERR_FORMAT},
};

static void a_lying_manifest_is_one_sentence(void **state)
{
    fixture *f = *state;
    size_t bytes = 0;
    save(f);
    unsigned char *honest = (unsigned char *)file_read(path_of(MANIFEST), &bytes);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        lie(lies[i].field, json_of(lies[i].json));
        expect_refused(lies[i].code, lies[i].words);
        assert_null(strchr(syn_error_text(), '\n'));
        file_write(MANIFEST, honest, bytes);
    }
    lie("created", json_string("2026-01-31T12:00:00Z")); /* the liar itself works */
    expect_loads();
    free(honest);
}

static void bytes_that_are_no_hdf5_are_one_sentence(void **state)
{
    fixture *f = *state;
    char hash[SYN_SHA256_TEXT], junk[4096];
    memset(junk, 'x', sizeof junk);
    save(f);
    file_write(WEIGHTS, junk, sizeof junk);
    assert_ok(syn_sha256_of(junk, sizeof junk, hash));
    lie("file_sha256", json_string(hash));
    lie("file_bytes", json_integer(sizeof junk));
    expect_refused(SYN_ERR_FORMAT, "weights.h5: not an HDF5 file");
}

static void an_oversized_manifest_is_not_read(void **state)
{
    save(*state);
    assert_int_equal(truncate(path_of(MANIFEST), (off_t)SYN_MANIFEST_BYTES_MAX + 1), 0);
    expect_refused(SYN_ERR_FORMAT, "at most 16777216 are allowed");
}

/* ---- both sides agree ---- */

static void expect_unread(const char *prefix, const syn_tensor *want, int count, const char *words)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    assert_int_equal(syn_checkpoint_read_all(cp, prefix, want, count), SYN_ERR_FORMAT);
    if (!strstr(syn_error_text(), words)) {
        fail_msg("the sentence \"%s\" does not say \"%s\"", syn_error_text(), words);
    }
    syn_checkpoint_close(cp);
}

static void names_and_shapes_must_agree(void **state)
{
    fixture *f = *state;
    float room[ROWS * COLUMNS] = {0};
    save(f);
    syn_tensor want = {"lstm.R", 2, {COLUMNS, ROWS}, SYN_TENSOR_F32, room};
    expect_unread("lstm.", &want, 1, "lstm.R is f32 (6, 5), this build needs f32 (5, 6)");
    want = (syn_tensor){"lstm.R", 1, {ROWS}, SYN_TENSOR_F32, room};
    expect_unread("lstm.", &want, 1, "this build needs f32 (6)");
    want = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_I32, room};
    expect_unread("lstm.", &want, 1, "is f32 (6, 5), this build needs i32 (6, 5)");
    want = (syn_tensor){"lstm.W", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, room};
    expect_unread("lstm.", &want, 1, "holds no tensor lstm.W");
    want = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, room};
    expect_unread("", &want, 1, "unknown to this build");
    f->tensors[0].name = "resume.R"; /* a run's own: no part of what both sides agree on */
    save(f);
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    assert_ok(syn_checkpoint_read_all(cp, "", &f->tensors[1], 2));
    syn_checkpoint_close(cp);
    assert_true(room[0] == 0); /* nothing is written before everything agrees */
}

static syn_status save_with(const fixture *f, const char *config, const char *metrics, int versions)
{
    const syn_save_facts facts = {
        .config_json = config, .metrics_json = metrics, .max_versions = versions};
    return syn_checkpoint_save(test_folder, f->tensors, 3, &facts, NULL);
}

static void bad_tensors_are_not_saved(void **state)
{
    fixture *f = *state;
    syn_tensor twice[2] = {f->tensors[0], f->tensors[0]};
    syn_tensor odd = f->tensors[0];
    assert_int_equal(syn_checkpoint_save(test_folder, twice, 2, NULL, NULL), SYN_ERR_INVALID);
    assert_int_equal(syn_checkpoint_save(test_folder, f->tensors, 0, NULL, NULL), SYN_ERR_INVALID);
    assert_int_equal(save_with(f, "[1]", NULL, 0), SYN_ERR_INVALID);
    assert_int_equal(save_with(f, "{", NULL, 0), SYN_ERR_INVALID);
    assert_int_equal(save_with(f, NULL, "{\"return\":true}", 0), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "metric return is not a number"));
    assert_int_equal(save_with(f, NULL, NULL, -1), SYN_ERR_INVALID);
    odd.name = "a/b";
    assert_int_equal(syn_checkpoint_save(test_folder, &odd, 1, NULL, NULL), SYN_ERR_INVALID);
    odd = f->tensors[0];
    odd.shape[1] = 0;
    assert_int_equal(syn_checkpoint_save(test_folder, &odd, 1, NULL, NULL), SYN_ERR_INVALID);
    f->weights[7] = NAN;
    assert_int_equal(save_with(f, NULL, NULL, 0), SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "lstm.R is not finite at 7"));
    f->weights[7] = 0;
    f->mean[0] = -INFINITY;
    assert_int_equal(syn_checkpoint_save(test_folder, f->tensors, TENSORS, NULL, NULL),
                     SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "mean is not finite at 0"));
    assert_int_equal(folder_count(test_folder), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1); /* falling back is warned about, which is not under test */
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_comes_back),
        TEST(equal_weights_have_equal_content_hashes),
        TEST(missing_parents_are_made),
        TEST(every_flipped_bit_is_refused),
        TEST(truncations_are_refused),
        TEST(a_damaged_manifest_is_refused),
        TEST(an_empty_folder_holds_no_checkpoint),
        TEST(a_link_or_a_pipe_is_no_manifest),
        TEST(a_lying_manifest_is_one_sentence),
        TEST(bytes_that_are_no_hdf5_are_one_sentence),
        TEST(an_oversized_manifest_is_not_read),
        TEST(names_and_shapes_must_agree),
        TEST(bad_tensors_are_not_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
