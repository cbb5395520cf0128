/* What one machine writes as safetensors another reads without a JSON library, and nothing else. */
#include "checkpoints/tensor_read.h"

#include <unistd.h>

#include "checkpoints/safetensors.h"
#include "tests/test.h"

static char folder[] = "/tmp/tensor-read-XXXXXX", path[64];

static int make_folder(void **state)
{
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

/* A file with this header and `data` zero bytes behind it. */
static void write_raw(const char *header, uint64_t length, int data)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&length, sizeof length, 1, f);
    fwrite(header, strlen(header), 1, f);
    for (int k = 0; k < data; k++) fputc(0, f);
    assert_int_equal(fclose(f), 0);
}

static void expect_refused(const char *header, int data, syn_status why)
{
    static syn_tensor_file f;
    write_raw(header, strlen(header), data);
    const syn_status st = syn_tensor_file_open(&f, path);
    if (st != why) fail_msg("%.80s: status %d (%s)", header, (int)st, syn_error_text());
    assert_null(f.file);
    assert_true(strncmp(syn_error_text(), path, strlen(path)) == 0);
}

static void what_was_written_is_read(void **state)
{
    float a[6] = {1, -2, 3.5f, 0, 1e-30f, 7};
    int32_t b[2] = {-5, 1 << 30};
    uint64_t c[1] = {~0ull};
    const syn_tensor item[] = {{"part.a", 2, {2, 3}, SYN_TENSOR_F32, a},
                               {"b_1", 1, {2}, SYN_TENSOR_I32, b},
                               {"c-x", 4, {1, 1, 1, 1}, SYN_TENSOR_U64, c}};
    const syn_tensors all = {item, 3};
    json_t *about = json_pack("{s:s, s:s}", "made by", "a test", "x", "");
    assert_ok(syn_safetensors_write(path, &all, about));
    json_decref(about);
    static syn_tensor_file f;
    assert_ok(syn_tensor_file_open(&f, path));
    assert_int_equal(f.count, 3);
    float a2[6];
    int32_t b2[2];
    uint64_t c2[1];
    syn_tensor want[] = {item[0], item[1], item[2]};
    want[0].data = a2;
    want[1].data = b2;
    want[2].data = c2;
    for (int k = 0; k < 3; k++) assert_ok(syn_tensor_file_read(&f, &want[k]));
    assert_memory_equal(a, a2, sizeof a);
    assert_memory_equal(b, b2, sizeof b);
    assert_memory_equal(c, c2, sizeof c);
    assert_null(syn_tensor_file_find(&f, "part"));
    want[0].shape[0] = 3;
    want[0].shape[1] = 2;
    assert_int_equal(syn_tensor_file_read(&f, &want[0]), SYN_ERR_FORMAT);
    want[1].type = SYN_TENSOR_F32;
    assert_int_equal(syn_tensor_file_read(&f, &want[1]), SYN_ERR_FORMAT);
    want[2].name = "absent";
    assert_int_equal(syn_tensor_file_read(&f, &want[2]), SYN_ERR_FORMAT);
    syn_tensor_file_close(&f);
}

#define ONE(rest) "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]" rest

static void a_header_is_taken_in_one_form_only(void **state)
{
    static syn_tensor_file f;
    write_raw(ONE("}}"), strlen(ONE("}}")), 8);
    assert_ok(syn_tensor_file_open(&f, path));
    syn_tensor_file_close(&f);
    const char *const wrong[] = {
        "",
        "{",
        "{}",
        "[]",
        ONE(""),
        ONE("}"),
        ONE("}}x"),
        ONE("},}"),
        ONE(",\"more\":1}}"),
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}",
        "{\"a\":{\"dtype\":\"F16\",\"shape\":[4],"
        "\"data_offsets\":[0,8]}}",
        "{\"a\\u0041\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{\"x\":1}}"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        expect_refused(wrong[k], 8, SYN_ERR_FORMAT);
}

static void a_shape_that_its_bytes_do_not_hold_is_refused(void **state)
{
    const char *const wrong[] = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
        /* 2^31 * 2^31 * 4 bytes are 0 in 64 bits */
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],\"data_offsets\":[0,0]}}"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        expect_refused(wrong[k], 8, SYN_ERR_FORMAT);
}

static void lengths_have_bounds(void **state)
{
    static syn_tensor_file f;
    write_raw("{}", ~0ull, 0);
    assert_int_equal(syn_tensor_file_open(&f, path), SYN_ERR_FORMAT);
    write_raw("{}", 3, 0);
    assert_int_equal(syn_tensor_file_open(&f, path), SYN_ERR_FORMAT);
    write_raw("{", SYN_TENSOR_FILE_HEADER_MAX + 1, SYN_TENSOR_FILE_HEADER_MAX + 8);
    assert_int_equal(syn_tensor_file_open(&f, path), SYN_ERR_LIMIT);
    assert_int_equal(syn_tensor_file_open(&f, "/tmp/no such file"), SYN_ERR_IO);
    char *many = malloc(100 * (SYN_TENSOR_FILE_MAX + 2)), *at = many;
    assert_non_null(many);
    for (int k = 0; k <= SYN_TENSOR_FILE_MAX; k++)
        at += sprintf(at, "%c\"a%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}",
                      k ? ',' : '{', k);
    strcpy(at, "}");
    expect_refused(many, 8, SYN_ERR_LIMIT);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_header_is_taken_in_one_form_only),
        cmocka_unit_test(a_shape_that_its_bytes_do_not_hold_is_refused),
        cmocka_unit_test(lengths_have_bounds),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
