/* Event files: checksums against RFC 3720, records against bytes made by protobuf, and writers that
 * never stop a run. */
#include "tests/datasets/helpers.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "trainer/tensorboard.h"

/* Printed by benchmarks/peers/tensorboard_check.py --golden; the wall time is left out. */
static const char *const golden[] = {
    "1a0d627261696e2e4576656e743a32",
    "1081203a020801",
    "1081202a150a130a0c747261696e2f72657475726e15df4f59c1",
    "1080f092cbdd082a120a100a09706f6c6963792f6b6c1500000000",
    "1088272ad0010acd010a07776569676874732ac10109000000000000f8bf11000000000000304619"
    "000000000000184021000000000000304629000000000000704c3248794cfae2d3fff9bf8545cc9f"
    "c0a2f7bf000000000000000011ea2d819997713ded5ad35fc5eace3f9c0b81c11f01d13f5f2641bb"
    "6fb4d23f4c549f0223831544ffffffffffffef7f3a480000000000000000000000000000f03f0000"
    "00000000000000000000000000400000000000000000000000000000f03f000000000000f03f0000"
    "000000000000000000000000f03f",
    "1088272a85010a82010a0d747261696e2f616374696f6e732a7109000000000000e0bf1100000000"
    "00000c40190000000000002440210000000000003340290000000000804a403220000000000000e0"
    "3f000000000000f83f00000000000004400000000000000c403a2000000000000008400000000000"
    "00000000000000000000400000000000001440",
    "2a280a260a06636f6e66696742120807120412020801420823207365656420314a080a060a047465"
    "7874",
};

enum { GOLDEN = sizeof golden / sizeof *golden, RECORDS_MAX = 8192 };

typedef struct record {
    unsigned char *bytes; /* without the wall time */
    size_t count;
    double wall_s;
} record;

static record records[RECORDS_MAX];
static int record_count;

static void records_free(void)
{
    for (int k = 0; k < record_count; k++) free(records[k].bytes);
    record_count = 0;
}

static uint32_t mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* Splits a file at its frames, checking both sums of each. Returns the bytes of whole records. */
static size_t records_read(const char *path)
{
    size_t n, at = 0;
    unsigned char *bytes = file_read(path, &n);
    records_free();
    while (n - at >= 16) {
        uint64_t length;
        uint32_t sum[2];
        memcpy(&length, bytes + at, 8);
        memcpy(&sum[0], bytes + at + 8, 4);
        assert_int_equal(sum[0], mask(syn_crc32c(bytes + at, 8)));
        if (length > n - at - 16) break;
        memcpy(&sum[1], bytes + at + 12 + length, 4);
        assert_int_equal(sum[1], mask(syn_crc32c(bytes + at + 12, length)));
        assert_true(length > 9 && record_count < RECORDS_MAX);
        assert_int_equal(bytes[at + 12], 0x09); /* field 1, a double */
        record *r = &records[record_count++];
        memcpy(&r->wall_s, bytes + at + 13, 8);
        r->count = length - 9;
        r->bytes = malloc(r->count);
        memcpy(r->bytes, bytes + at + 21, r->count);
        at += 16 + length;
    }
    free(bytes);
    return at;
}

/* The k-th event file of a folder by name, or NULL. */
static const char *event_file(const char *folder, int k)
{
    static char path[512];
    struct dirent **entries;
    const char *found = NULL;
    int n = scandir(path_of(folder), &entries, NULL, alphasort);
    assert_true(n >= 2);
    for (int i = 0; i < n; i++) {
        if (strstr(entries[i]->d_name, "tfevents") && k-- == 0) {
            snprintf(path, sizeof path, "%s/%s", path_of(folder), entries[i]->d_name);
            found = path;
        }
        free(entries[i]);
    }
    free(entries);
    return found;
}

static void assert_record(int k, const char *hex)
{
    char *text = malloc(2 * records[k].count + 1);
    for (size_t i = 0; i < records[k].count; i++)
        sprintf(text + 2 * i, "%02x", records[k].bytes[i]);
    assert_string_equal(text, hex);
    free(text);
}

/* ---- Checksums ---- */

static void crc32c_is_that_of_rfc_3720(void **state)
{
    unsigned char zero[32] = {0}, one[32], up[32], down[32];
    for (int i = 0; i < 32; i++) {
        one[i] = 0xFF;
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(syn_crc32c(zero, 32), 0x8A9136AAu);
    assert_int_equal(syn_crc32c(one, 32), 0x62A8AB43u);
    assert_int_equal(syn_crc32c(up, 32), 0x46DD794Eu);
    assert_int_equal(syn_crc32c(down, 32), 0x113FDB5Cu);
    assert_int_equal(syn_crc32c("123456789", 9), 0xE3069283u);
    assert_int_equal(syn_crc32c("", 0), 0);
}

/* ---- Records ---- */

static void records_are_those_of_protobuf(void **state)
{
    const real x[] = {-1.5, 0, 0, 0.25, 0.28125, (real)0x1p100};
    const double actions[] = {3, 0, 2, 5};
    syn_tb w;
    syn_tb_open(&w, path_of("golden"), 4097);
    syn_tb_scalar(&w, "train/return", 4097, -13.582);
    syn_tb_scalar(&w, "policy/kl", 300000000000, 0);
    syn_tb_histogram(&w, "weights", 5000, x, 6);
    syn_tb_counts(&w, "train/actions", 5000, actions, 4);
    syn_tb_text(&w, "config", 0, "# seed 1");
    syn_tb_close(&w);
    const double now = (double)time(NULL);
    records_read(event_file("golden", 0));
    assert_int_equal(record_count, GOLDEN);
    for (int k = 0; k < GOLDEN; k++) {
        assert_record(k, golden[k]);
        assert_true(fabs(records[k].wall_s - now) < 60);
    }
}

static bool holds(const record *r, const char *text)
{
    return memmem(r->bytes, r->count, text, strlen(text)) != NULL;
}

static void a_line_of_metrics_becomes_one_record_per_figure(void **state)
{
    static const char *const expected[] = {
        "train/return",  "policy/kl",         "policy/kl_stopped", "held_out/held_out_return",
        "train/actions", "speed/seconds.env", "more/something"};
    json_t *line = json_pack("{s:I,s:f,s:f,s:b,s:f,s:[i,i],s:{s:f,s:s},s:i,s:s,s:n}", "env_steps",
                             (json_int_t)300, "return", 1.5, "kl", 0.01, "kl_stopped", 1,
                             "held_out_return", 2.0, "actions", 7, 8, "seconds", "env", 0.5, "note",
                             "text", "something", 3, "name", "text", "nothing");
    syn_tb w;
    syn_tb_open(&w, path_of("metrics"), 1);
    syn_tb_metrics(&w, line);
    syn_tb_close(&w);
    json_decref(line);
    records_read(event_file("metrics", 0));
    assert_int_equal(record_count, 2 + 7);
    for (int k = 0; k < 7; k++) {
        assert_memory_equal(records[2 + k].bytes, "\x10\xac\x02", 3); /* step 300 */
        if (!holds(&records[2 + k], expected[k])) fail_msg("there is no %s", expected[k]);
    }
}

static void figures_that_are_not_finite_do_not_spoil_a_histogram(void **state)
{
    const real x[] = {1, (real)NAN, (real)INFINITY, 2}, none[] = {(real)NAN};
    syn_tb w;
    syn_tb_open(&w, path_of("nan"), 1);
    syn_tb_histogram(&w, "x", 1, none, 1);
    syn_tb_histogram(&w, "x", 1, x, 0);
    syn_tb_histogram(&w, "x", 1, x, 4);
    syn_tb_scalar(&w, "y", 1, NAN);
    syn_tb_close(&w);
    records_read(event_file("nan", 0));
    assert_int_equal(record_count, 4);
    const double sum = 3;
    assert_non_null(memmem(records[2].bytes, records[2].count, &sum, 8));
}

static void long_tags_and_texts_are_cut(void **state)
{
    char *text = malloc(2 * SYN_TB_TEXT_MAX);
    memset(text, 'x', 2 * SYN_TB_TEXT_MAX);
    text[2 * SYN_TB_TEXT_MAX - 1] = 0;
    memcpy(text + SYN_TB_TEXT_MAX - 1, "\xc3\xa9", 2); /* a character across the limit */
    syn_tb w;
    syn_tb_open(&w, path_of("long"), 1);
    syn_tb_text(&w, text, 1, text);
    syn_tb_close(&w);
    records_read(event_file("long", 0));
    assert_int_equal(record_count, 3);
    assert_in_range(records[2].count, SYN_TB_TEXT_MAX + SYN_TB_TAG_MAX - 1,
                    SYN_TB_TEXT_MAX + SYN_TB_TAG_MAX + 64);
    assert_null(
        memchr(records[2].bytes + 300, 0xc3, records[2].count - 300)); /* no half character */
    free(text);
}

/* ---- Files ---- */

static void a_resumed_run_is_read_after_the_first(void **state)
{
    syn_tb w;
    for (int k = 0; k < 12; k++) { /* within one second */
        syn_tb_open(&w, path_of("again"), 1 + k);
        syn_tb_close(&w);
    }
    for (int k = 0; k < 12; k++) {
        const unsigned char start[] = {0x10, (unsigned char)(1 + k), 0x3a, 0x02, 0x08, 0x01};
        records_read(event_file("again", k));
        assert_int_equal(record_count, 2);
        assert_int_equal(records[1].count, sizeof start);
        assert_memory_equal(records[1].bytes, start, sizeof start);
    }
}

static void what_was_flushed_is_there_before_the_end(void **state)
{
    syn_tb w;
    syn_tb_open(&w, path_of("live"), 1);
    syn_tb_scalar(&w, "a", 1, 1);
    records_read(event_file("live", 0));
    assert_int_equal(record_count, 2);
    syn_tb_flush(&w);
    records_read(event_file("live", 0));
    assert_int_equal(record_count, 3);
    for (int k = 0; k < SYN_TB_BUFFER_MAX / 16; k++) syn_tb_scalar(&w, "a", k, 1);
    assert_true(w.used < SYN_TB_BUFFER_MAX + 1024);
    syn_tb_close(&w);
}

static void a_file_that_cannot_be_made_is_no_reason_to_stop(void **state)
{
    syn_tb w;
    text_write("file", "");
    const char *const wrong[] = {"file", "no/such/folder"};
    for (int k = 0; k < 2; k++) {
        syn_tb_open(&w, path_of(wrong[k]), 1);
        assert_int_equal(w.fd, -1);
        syn_tb_scalar(&w, "a", 1, 1);
        syn_tb_text(&w, "a", 1, "text");
        syn_tb_flush(&w);
        syn_tb_close(&w);
    }
    syn_tb closed = {.fd = -1};
    syn_tb_close(&closed);
}

static void a_full_disk_ends_the_file_after_a_whole_record(void **state)
{
    const struct rlimit small = {4096, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    syn_tb w;
    signal(SIGXFSZ, SIG_IGN);
    syn_tb_open(&w, path_of("full"), 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int k = 0; k < 200; k++) {
        syn_tb_scalar(&w, "some/curve", k, 1);
        syn_tb_scalar(&w, "another/curve", k, 1);
        syn_tb_flush(&w);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(w.fd, -1);
    syn_tb_scalar(&w, "some/curve", 200, 1); /* there is space again: a gap would mislead */
    syn_tb_close(&w);
    size_t n;
    free(file_read(event_file("full", 0), &n));
    assert_int_equal(records_read(event_file("full", 0)), n);
    assert_in_range(record_count, 20, 100);
    assert_true(record_count % 2 == 0); /* header, start, pairs */
}

static int tear_down(void **state)
{
    records_free();
    return folder_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_that_of_rfc_3720),
        cmocka_unit_test(records_are_those_of_protobuf),
        cmocka_unit_test(a_line_of_metrics_becomes_one_record_per_figure),
        cmocka_unit_test(figures_that_are_not_finite_do_not_spoil_a_histogram),
        cmocka_unit_test(long_tags_and_texts_are_cut),
        cmocka_unit_test(a_resumed_run_is_read_after_the_first),
        cmocka_unit_test(what_was_flushed_is_there_before_the_end),
        cmocka_unit_test(a_file_that_cannot_be_made_is_no_reason_to_stop),
        cmocka_unit_test(a_full_disk_ends_the_file_after_a_whole_record),
    };
    return cmocka_run_group_tests(tests, folder_setup, tear_down);
}
