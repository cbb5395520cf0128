/* The stream of records: both top levels, places across block borders, caps, damage, memory. */
#include "tests/datasets/helpers.h"

#include <fcntl.h>
#include <openssl/sha.h>

#include "datasets/json_stream.h"

static syn_json_stream stream;

/* Reads to the end; the sentence of the failure or "" is left in syn_error_text(). */
static syn_status drain(const char *path, int64_t *records)
{
    syn_slice record;
    syn_status st = syn_json_stream_open(&stream, path);
    if (st == SYN_OK) do
            st = syn_json_stream_next(&stream, &record);
        while (st == SYN_OK && record.bytes);
    *records = stream.records;
    syn_json_stream_close(&stream);
    return st;
}

static void assert_records(const char *text, int64_t expected)
{
    int64_t records;
    assert_ok(drain(text_write("good.json", text), &records));
    assert_int_equal(records, expected);
}

static void assert_damaged(const char *text, const char *words)
{
    int64_t records;
    assert_fails(drain(text_write("bad.json", text), &records), SYN_ERR_FORMAT, words);
    assert_non_null(strstr(syn_error_text(), "bad.json"));
}

static void a_list_and_lines_give_the_same_records(void **state)
{
    assert_records("[]", 0);
    assert_records(" [ {} , {\"a\":[{}]} ] \n", 2);
    assert_records("{}\n{\"a\":1}\n", 2);
    assert_records("{} {}{}", 3);
    assert_records("\xef\xbb\xbf[{}]", 1);
    assert_records("\r\n\t[{\"a\":\"]},{[ \\\" \\\\\"},{}]", 2);
}

/* In a text of 40 characters a quote, escaped or not, may stand anywhere; brackets in it count for
 * nothing. */
static void a_record_ends_where_its_texts_say(void **state)
{
    for (size_t at = 0; at + 1 < 40; at++) {
        char text[80] = "{\"a\":\"bcdefg}ijklmno{qrstuvw[yz0123]567890}bcd\"} {}";
        text[6 + at] = '\\';
        text[7 + at] = '"';
        assert_records(text, 2);
        text[6 + at] = '"';
        text[7 + at] = '}';
        memset(text + 8 + at, ' ', strlen(text) - 8 - at);
        assert_records(text, 1);
    }
}

/* Reads a file of this layout: the records' names and texts, joined by blanks. */
static syn_status join(const char *path, syn_json_layout layout, char *all, size_t max)
{
    syn_slice record = {"", 0};
    syn_status st = syn_json_stream_open(&stream, path);
    stream.layout = layout;
    *all = '\0';
    while (st == SYN_OK && record.bytes) {
        st = syn_json_stream_next(&stream, &record);
        if (st == SYN_OK && record.bytes)
            snprintf(all + strlen(all), max - strlen(all), "%s%s%.*s ",
                     layout == SYN_JSON_MEMBERS ? stream.name : "",
                     layout == SYN_JSON_MEMBERS ? "=" : "", (int)record.count, record.bytes);
    }
    syn_json_stream_close(&stream);
    return st;
}

static void assert_joined(syn_json_layout layout, const char *text, const char *expected)
{
    char all[256];
    assert_ok(join(text_write("good.json", text), layout, all, sizeof all));
    assert_string_equal(all, expected);
}

static void assert_layout_damaged(syn_json_layout layout, const char *text, const char *words)
{
    char all[256];
    assert_fails(join(text_write("bad.json", text), layout, all, sizeof all), SYN_ERR_FORMAT,
                 words);
    assert_non_null(strstr(syn_error_text(), "bad.json"));
}

static void the_members_of_an_object_are_records_with_names(void **state)
{
    assert_joined(SYN_JSON_MEMBERS, "{}", "");
    assert_joined(SYN_JSON_MEMBERS, " { \"a\" : {\"x\":[1]} , \"b\\u0041\\\"\":{} }\n",
                  "a={\"x\":[1]} bA\"={} ");
    assert_layout_damaged(SYN_JSON_MEMBERS, "[{}]", "an object of records by name");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":{}", "ends inside the object, behind record 1");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":{},",
                          "ends inside the object, behind record 1");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":{},}", "a key in quotes");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":{} \"b\":{}}", "',' or '}' is expected");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":{}} {}", "text behind the end of the object");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\":[]}", "must be an object");
    assert_layout_damaged(SYN_JSON_MEMBERS, "{\"a\\q\":{}}", "line 1, column 2");
}

static void the_list_data_of_an_object_has_the_records(void **state)
{
    assert_joined(SYN_JSON_DATA, "{\"data\":[]}", "");
    assert_joined(SYN_JSON_DATA,
                  "{\"v\":\"[{\",\"n\":-1.5e3,\"data\":[{\"a\":1}, {}],\"w\":[{}],\"z\":null}",
                  "{\"a\":1} {} ");
    assert_layout_damaged(SYN_JSON_DATA, "[{}]", "an object with the list \"data\"");
    assert_layout_damaged(SYN_JSON_DATA, "{}", "has no list \"data\"");
    assert_layout_damaged(SYN_JSON_DATA, "{\"v\":1}", "has no list \"data\"");
    assert_layout_damaged(SYN_JSON_DATA, "{\"data\":{}}", "\"data\" is not a list");
    assert_layout_damaged(SYN_JSON_DATA, "{\"data\":[{}]", "behind record 1: is the file cut off?");
    assert_layout_damaged(SYN_JSON_DATA, "{\"data\":[{}", "ends inside the list, behind record 1");
    assert_layout_damaged(SYN_JSON_DATA, "{\"v\":", "is the file cut off?");
    assert_layout_damaged(SYN_JSON_DATA, "{\"v\":12", "is the file cut off?");
    assert_layout_damaged(SYN_JSON_DATA, "{\"v\":}", "a value is expected");
    assert_layout_damaged(SYN_JSON_DATA, "{\"v\":1 \"data\":[]}", "',' or '}' is expected");
    assert_layout_damaged(SYN_JSON_DATA, "{\"data\":[]} 1", "text behind the end of the object");
}

static void the_bytes_of_a_record_are_handed_out(void **state)
{
    syn_slice record;
    assert_ok(
        syn_json_stream_open(&stream, text_write("two.json", "[ {\"a\":\"}\"} , {\"b\":2}]")));
    assert_ok(syn_json_stream_next(&stream, &record));
    assert_true(syn_slice_equal(record, "{\"a\":\"}\"}"));
    assert_ok(syn_json_stream_next(&stream, &record));
    assert_true(syn_slice_equal(record, "{\"b\":2}"));
    assert_ok(syn_json_stream_next(&stream, &record));
    assert_null(record.bytes);
    syn_json_stream_close(&stream);
}

static void damage_is_named_with_its_place(void **state)
{
    assert_damaged("", "is empty");
    assert_damaged(" \n ", "nothing but blanks");
    assert_damaged("\"text\"", "line 1, column 1: a list of records");
    assert_damaged("\n  <html>", "line 2, column 3: a list of records");
    assert_damaged("[{}\n{}]", "line 2, column 1: ',' or ']'");
    assert_damaged("[{},\n 7]", "line 2, column 2: a record must be an object");
    assert_damaged("[{},]", "line 1, column 5: a record must be an object");
    assert_damaged("[{}] x", "line 1, column 6: text behind the end");
    assert_damaged("{}\n[1]", "line 2, column 1: a record must be an object");
    assert_damaged("[{}", "ends inside the list, behind record 1");
    assert_damaged("[{},\n{\"a\":\"b", "ends inside record 2, which begins at line 2, column 1");
    assert_damaged("[{\"a\":{}", "ends inside record 1");
}

static void a_nul_byte_is_no_json(void **state)
{
    int64_t records;
    assert_fails(drain(file_write("nul.json", "[\0{}]", 5), &records), SYN_ERR_FORMAT, "NUL byte");
}

static void missing_files_and_folders_are_named(void **state)
{
    int64_t records;
    assert_fails(drain(path_of("none.json"), &records), SYN_ERR_IO, "none.json: cannot be opened");
    assert_fails(drain(test_folder, &records), SYN_ERR_FORMAT, "is a folder");
}

/* Records of many lengths, so that they begin and end everywhere around the borders of blocks. */
static void records_cross_the_borders_of_blocks(void **state)
{
    enum { RECORDS = 3000 };
    const char *path = path_of("blocks.json");
    FILE *f = fopen(path, "w");
    fputc('[', f);
    for (int i = 0; i < RECORDS; i++)
        fprintf(f, "%s{\"n\":%d,\"t\":\"%*s\\\"\"}", i ? ",\n" : "", i, i * 7 % 2999, "x");
    fputc(']', f);
    fclose(f);
    syn_slice record, key;
    syn_json j = {0};
    int64_t n;
    int index;
    assert_ok(syn_json_stream_open(&stream, path));
    for (int i = 0; i < RECORDS; i++) {
        assert_ok(syn_json_stream_next(&stream, &record));
        syn_json_begin(&j, record.bytes, record.count);
        assert_true(syn_json_enter_object(&j, "it", &index) &&
                    syn_json_next_key(&j, &index, &key) && syn_json_integer(&j, "n", &n));
        assert_int_equal(n, i);
        assert_int_equal(stream.line, i + 1);
    }
    assert_ok(syn_json_stream_next(&stream, &record));
    assert_null(record.bytes);
    syn_json_stream_close(&stream);
    syn_json_free(&j);
}

static void the_fault_of_a_record_is_placed_in_the_file(void **state)
{
    syn_slice record;
    syn_json j = {0};
    assert_ok(syn_json_stream_open(&stream,
                                   text_write("place.json", "[{},\n{\"a\":1},{\"b\":\n  tru}]")));
    for (int i = 0; i < 3; i++) assert_ok(syn_json_stream_next(&stream, &record));
    syn_json_begin(&j, record.bytes, record.count);
    assert_false(syn_json_skip(&j));
    assert_fails(syn_json_stream_fault(&stream, &j), SYN_ERR_FORMAT, "line 3, column 3 (record 3)");
    syn_json_stream_close(&stream);
    syn_json_free(&j);
}

static void the_checksum_is_that_of_the_file(void **state)
{
    unsigned char digest[32];
    char hex[65], expected[65];
    syn_slice record;
    const char *text = "[{}, {}]\n";
    assert_ok(syn_json_stream_open(&stream, text_write("sum.json", text)));
    do assert_ok(syn_json_stream_next(&stream, &record));
    while (record.bytes);
    assert_ok(syn_json_stream_sha256(&stream, hex));
    SHA256((const unsigned char *)text, strlen(text), digest);
    for (int i = 0; i < 32; i++) snprintf(expected + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
    syn_json_stream_close(&stream);
}

/* A sparse tail would be NUL bytes; so the 70 MiB are written. */
static void a_record_of_70_mib_is_refused(void **state)
{
    enum { BLOCK = 1 << 20 };
    int64_t records;
    const char *path = path_of("huge.json");
    char *block = malloc(BLOCK);
    memset(block, 'x', BLOCK);
    FILE *f = fopen(path, "w");
    fputs("[{},\n{\"a\":\"", f);
    for (int i = 0; i < 70; i++) assert_int_equal(fwrite(block, 1, BLOCK, f), BLOCK);
    fputs("\"}]", f);
    assert_int_equal(fclose(f), 0);
    free(block);
    assert_fails(drain(path, &records), SYN_ERR_LIMIT,
                 "record 2, which begins at line 2, column 1, is longer than 64 MiB");
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_and_lines_give_the_same_records),
        cmocka_unit_test(a_record_ends_where_its_texts_say),
        cmocka_unit_test(the_members_of_an_object_are_records_with_names),
        cmocka_unit_test(the_list_data_of_an_object_has_the_records),
        cmocka_unit_test(the_bytes_of_a_record_are_handed_out),
        cmocka_unit_test(damage_is_named_with_its_place),
        cmocka_unit_test(a_nul_byte_is_no_json),
        cmocka_unit_test(missing_files_and_folders_are_named),
        cmocka_unit_test(records_cross_the_borders_of_blocks),
        cmocka_unit_test(the_fault_of_a_record_is_placed_in_the_file),
        cmocka_unit_test(the_checksum_is_that_of_the_file),
        cmocka_unit_test(a_record_of_70_mib_is_refused),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
