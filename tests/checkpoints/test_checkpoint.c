/* What a checkpoint promises: what was saved comes back, damage is refused before HDF5 sees it, a
 * lying manifest is one sentence, and both sides agree on names and shapes. */
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/files.h"
#include "checkpoints/manifest.h"

enum { ROWS = 6, COLUMNS = 5 };

typedef struct fixture {
    char dir[64];
    float weights[ROWS * COLUMNS];
    int32_t table[3];
    uint8_t mask[2];
    syn_tensor tensors[3];
} fixture;

static void remove_files(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/syncog-checkpoint-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    for (int i = 0; i < ROWS * COLUMNS; i++) f->weights[i] = 0.25f * (float)i - 1;
    f->table[1] = -7;
    f->mask[0] = 255;
    f->tensors[0] = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, f->weights};
    f->tensors[1] = (syn_tensor){"idf", 1, {3}, SYN_TENSOR_I32, f->table};
    f->tensors[2] = (syn_tensor){"mask", 3, {1, 2, 1}, SYN_TENSOR_U8, f->mask};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    remove_files(f->dir);
    free(f);
    return 0;
}

static void save(fixture *f)
{
    assert_ok(syn_checkpoint_save(f->dir, f->tensors, 3, "{\"hidden\":512}",
                                  "{\"data\":[{\"name\":\"synthetic\",\"licence\":\"CC0\"}]}"));
}

static unsigned char *file_read(const fixture *f, const char *name, long *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = ftell(file);
    rewind(file);
    unsigned char *data = malloc((size_t)*bytes + 1);
    assert_int_equal(fread(data, 1, (size_t)*bytes, file), *bytes);
    data[*bytes] = 0;
    fclose(file);
    return data;
}

static void file_write(const fixture *f, const char *name, const void *data, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    fclose(file);
}

static void expect_refused(const fixture *f, syn_status code, const char *words)
{
    syn_checkpoint *cp = (syn_checkpoint *)1;
    assert_int_equal(syn_checkpoint_open(f->dir, &cp), code);
    assert_null(cp);
    if (!strstr(syn_error_text(), words)) {
        fail_msg("the sentence \"%s\" does not say \"%s\"", syn_error_text(), words);
    }
}

/* ---- round trip ---- */

static void what_was_saved_comes_back(void **state)
{
    fixture *f = *state;
    syn_checkpoint *cp = NULL;
    float weights[ROWS * COLUMNS] = {0};
    int32_t table[3] = {0};
    uint8_t mask[2] = {0};
    syn_tensor want[3];
    save(f);
    memcpy(want, f->tensors, sizeof want);
    want[0].data = weights;
    want[1].data = table;
    want[2].data = mask;
    assert_ok(syn_checkpoint_open(f->dir, &cp));
    assert_ok(syn_checkpoint_read_all(cp, "", want, 3));
    assert_memory_equal(weights, f->weights, sizeof weights);
    assert_memory_equal(table, f->table, sizeof table);
    assert_memory_equal(mask, f->mask, sizeof mask);
    assert_string_equal(syn_checkpoint_config(cp), "{\"hidden\":512}");
    assert_non_null(strstr(syn_checkpoint_provenance(cp), "CC0"));
    assert_int_equal(syn_checkpoint_generation(cp), 1);
    assert_int_equal(syn_checkpoint_tensor_count(cp), 3);
    assert_false(syn_checkpoint_is_previous(cp));
    syn_checkpoint_close(cp);
}

static void equal_weights_have_equal_content_hashes(void **state)
{
    fixture *f = *state;
    char first[SYN_SHA256_TEXT], second[SYN_SHA256_TEXT];
    syn_checkpoint *cp = NULL;
    for (int i = 0; i < 3; i++) {
        if (i == 2) f->weights[3] += 1e-6f;
        save(f);
        assert_ok(syn_checkpoint_open(f->dir, &cp));
        snprintf(i ? second : first, SYN_SHA256_TEXT, "%s", syn_checkpoint_content_sha256(cp));
        syn_checkpoint_close(cp);
        if (i == 1) assert_string_equal(first, second);
    }
    assert_string_not_equal(first, second);
}

static void missing_parents_are_made(void **state)
{
    fixture *f = *state;
    char dir[128], path[160];
    syn_checkpoint *cp = NULL;
    snprintf(dir, sizeof dir, "%s/a", f->dir);
    snprintf(path, sizeof path, "%s/b", dir);
    assert_ok(syn_checkpoint_save(path, f->tensors, 3, NULL, NULL));
    assert_ok(syn_checkpoint_open(path, &cp));
    assert_string_equal(syn_checkpoint_config(cp), "{}");
    syn_checkpoint_close(cp);
    remove_files(path);
    remove_files(dir);
}

static int count_files(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void only_two_versions_are_kept(void **state)
{
    fixture *f = *state;
    file_write(f, "weights-1.h5.tmp", "left by a kill", 14);
    file_write(f, "manifest.json.tmp", "left by a kill", 14);
    for (int i = 0; i < 5; i++) save(f);
    assert_int_equal(count_files(f->dir), 4); /* two manifests, two weights */
}

/* ---- damage ---- */

static void every_flipped_bit_is_refused(void **state)
{
    fixture *f = *state;
    long bytes = 0;
    save(f);
    unsigned char *data = file_read(f, "weights-1.h5", &bytes);
    for (int i = 0; i < 300; i++) {
        long at = (long)(((uint64_t)i * 2654435761u) % (uint64_t)bytes);
        if (i < 100) at = i; /* the superblock */
        data[at] ^= (unsigned char)(1 << (i % 8));
        file_write(f, "weights-1.h5", data, (size_t)bytes);
        expect_refused(f, SYN_ERR_FORMAT, "SHA-256 is not the manifest's");
        data[at] ^= (unsigned char)(1 << (i % 8));
    }
    file_write(f, "weights-1.h5", data, (size_t)bytes);
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(f->dir, &cp));
    syn_checkpoint_close(cp);
    free(data);
}

static void truncations_are_refused(void **state)
{
    fixture *f = *state;
    long bytes = 0;
    save(f);
    unsigned char *data = file_read(f, "weights-1.h5", &bytes);
    for (long cut = 0; cut < bytes; cut += 1 + bytes / 50) {
        file_write(f, "weights-1.h5", data, (size_t)cut);
        expect_refused(f, SYN_ERR_FORMAT, "the manifest says");
    }
    data = realloc(data, (size_t)bytes + 1);
    data[bytes] = 0;
    file_write(f, "weights-1.h5", data, (size_t)bytes + 1);
    expect_refused(f, SYN_ERR_FORMAT, "the manifest says");
    free(data);
}

static void a_damaged_manifest_is_refused(void **state)
{
    fixture *f = *state;
    long bytes = 0;
    save(f);
    unsigned char *data = file_read(f, "manifest.json", &bytes);
    for (long i = 0; i < bytes; i++) {
        if (strchr(" \n", data[i])) continue; /* white space between fields means nothing */
        data[i] ^= 1;
        file_write(f, "manifest.json", data, (size_t)bytes);
        syn_checkpoint *cp = NULL;
        if (syn_checkpoint_open(f->dir, &cp) == SYN_OK) {
            fail_msg("byte %ld of the manifest was changed unseen", i);
        }
        data[i] ^= 1;
    }
    for (long cut = 0; cut < bytes; cut += 7) {
        file_write(f, "manifest.json", data, (size_t)cut);
        expect_refused(f, SYN_ERR_FORMAT, "manifest.json");
    }
    free(data);
}

static void the_version_before_stands_in(void **state)
{
    fixture *f = *state;
    syn_checkpoint *cp = NULL;
    float weights[ROWS * COLUMNS];
    syn_tensor want = f->tensors[0];
    save(f);
    f->weights[0] = 99;
    save(f);
    file_write(f, "weights-2.h5", "short", 5);
    assert_ok(syn_checkpoint_open(f->dir, &cp));
    assert_true(syn_checkpoint_is_previous(cp));
    assert_int_equal(syn_checkpoint_generation(cp), 1);
    want.data = weights;
    assert_ok(syn_checkpoint_read(cp, &want));
    assert_true(weights[0] == -1);
    syn_checkpoint_close(cp);

    save(f); /* the damaged version must not push out the sound one */
    file_write(f, "weights-3.h5", "short", 5);
    assert_ok(syn_checkpoint_open(f->dir, &cp));
    assert_int_equal(syn_checkpoint_generation(cp), 1);
    syn_checkpoint_close(cp);
}

static void an_empty_folder_holds_no_checkpoint(void **state)
{
    fixture *f = *state;
    expect_refused(f, SYN_ERR_IO, "no checkpoint in this folder");
    assert_false(syn_checkpoint_exists(f->dir));
    fixture nowhere = {.dir = "/nowhere/checkpoint"};
    expect_refused(&nowhere, SYN_ERR_IO, "/nowhere/checkpoint: No such file");
}

static void a_link_or_a_pipe_is_no_manifest(void **state)
{
    fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/manifest.json", f->dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_refused(f, SYN_ERR_IO, "manifest.json");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(f, SYN_ERR_FORMAT, "not a regular file");
}

/* ---- lying manifests ---- */

/* Writes the manifest again with one field replaced and its own hash made to fit. */
static void lie(const fixture *f, const char *field, json_t *value)
{
    char hash[SYN_SHA256_TEXT];
    json_error_t error;
    long bytes = 0;
    unsigned char *text = file_read(f, "manifest.json", &bytes);
    json_t *root = json_loadb((char *)text, (size_t)bytes, 0, &error);
    assert_non_null(root);
    assert_non_null(value);
    json_object_set_new(root, field, value);
    json_object_del(root, "manifest_sha256");
    char *canonical = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    assert_ok(syn_sha256_of(canonical, strlen(canonical), hash));
    json_object_set_new(root, "manifest_sha256", json_string(hash));
    char *lying = json_dumps(root, 0);
    file_write(f, "manifest.json", lying, strlen(lying));
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
    {"format_version", "2", "format_version is 2, this build reads 1", SYN_ERR_UNSUPPORTED},
    {"format_version", "\"1\"", "format_version", SYN_ERR_FORMAT},
    {"generation", "0", "generation", SYN_ERR_FORMAT},
    {"generation", "9223372036854775807", "generation", SYN_ERR_FORMAT},
    {"generation", "7", "file is missing or not weights-7.h5", SYN_ERR_FORMAT},
    {"file", "\"../../etc/passwd\"", "file is missing or not weights-1.h5", SYN_ERR_FORMAT},
    {"file", "\"/etc/passwd\"", "file is missing or not weights-1.h5", SYN_ERR_FORMAT},
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
    long bytes = 0;
    save(f);
    unsigned char *honest = file_read(f, "manifest.json", &bytes);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        lie(f, lies[i].field, json_of(lies[i].json));
        expect_refused(f, lies[i].code, lies[i].words);
        assert_null(strchr(syn_error_text(), '\n'));
        file_write(f, "manifest.json", honest, (size_t)bytes);
    }
    lie(f, "created", json_string("2026-01-31T12:00:00Z")); /* the liar itself works */
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(f->dir, &cp));
    syn_checkpoint_close(cp);
    free(honest);
}

static void bytes_that_are_no_hdf5_are_one_sentence(void **state)
{
    fixture *f = *state;
    char hash[SYN_SHA256_TEXT], junk[4096];
    memset(junk, 'x', sizeof junk);
    save(f);
    file_write(f, "weights-1.h5", junk, sizeof junk);
    assert_ok(syn_sha256_of(junk, sizeof junk, hash));
    lie(f, "file_sha256", json_string(hash));
    lie(f, "file_bytes", json_integer(sizeof junk));
    expect_refused(f, SYN_ERR_FORMAT, "weights-1.h5: not an HDF5 file");
}

static void an_oversized_manifest_is_not_read(void **state)
{
    fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/manifest.json", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, (off_t)SYN_MANIFEST_BYTES_MAX + 1), 0);
    close(fd);
    expect_refused(f, SYN_ERR_FORMAT, "at most 16777216 are allowed");
}

/* ---- both sides agree ---- */

static void expect_unread(const fixture *f, const char *prefix, const syn_tensor *want, int count,
                          const char *words)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(f->dir, &cp));
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
    expect_unread(f, "lstm.", &want, 1, "lstm.R is f32 (6, 5), this build needs f32 (5, 6)");
    want = (syn_tensor){"lstm.R", 1, {ROWS}, SYN_TENSOR_F32, room};
    expect_unread(f, "lstm.", &want, 1, "this build needs f32 (6)");
    want = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_I32, room};
    expect_unread(f, "lstm.", &want, 1, "is f32 (6, 5), this build needs i32 (6, 5)");
    want = (syn_tensor){"lstm.W", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, room};
    expect_unread(f, "lstm.", &want, 1, "holds no tensor lstm.W");
    want = (syn_tensor){"lstm.R", 2, {ROWS, COLUMNS}, SYN_TENSOR_F32, room};
    expect_unread(f, "", &want, 1, "unknown to this build");
    assert_true(room[0] == 0); /* nothing is written before everything agrees */
}

static void bad_tensors_are_not_saved(void **state)
{
    fixture *f = *state;
    syn_tensor twice[2] = {f->tensors[0], f->tensors[0]};
    syn_tensor odd = f->tensors[0];
    assert_int_equal(syn_checkpoint_save(f->dir, twice, 2, NULL, NULL), SYN_ERR_INVALID);
    assert_int_equal(syn_checkpoint_save(f->dir, f->tensors, 0, NULL, NULL), SYN_ERR_INVALID);
    assert_int_equal(syn_checkpoint_save(f->dir, f->tensors, 3, "[1]", NULL), SYN_ERR_INVALID);
    assert_int_equal(syn_checkpoint_save(f->dir, f->tensors, 3, "{", NULL), SYN_ERR_INVALID);
    odd.name = "a/b";
    assert_int_equal(syn_checkpoint_save(f->dir, &odd, 1, NULL, NULL), SYN_ERR_INVALID);
    odd = f->tensors[0];
    odd.shape[1] = 0;
    assert_int_equal(syn_checkpoint_save(f->dir, &odd, 1, NULL, NULL), SYN_ERR_INVALID);
    f->weights[7] = NAN;
    assert_int_equal(syn_checkpoint_save(f->dir, f->tensors, 3, NULL, NULL), SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "lstm.R is not finite at 7"));
    assert_int_equal(count_files(f->dir), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1); /* falling back is warned about, which is not under test */
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_comes_back),
        TEST(equal_weights_have_equal_content_hashes),
        TEST(missing_parents_are_made),
        TEST(only_two_versions_are_kept),
        TEST(every_flipped_bit_is_refused),
        TEST(truncations_are_refused),
        TEST(a_damaged_manifest_is_refused),
        TEST(the_version_before_stands_in),
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
