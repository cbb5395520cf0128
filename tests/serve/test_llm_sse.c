/* Server-sent events come out byte for byte, however they are cut. */
#include "tests/test.h"

#include "kernels/base/rng.h"
#include "serve/llm_sse.h"

typedef struct events {
    char text[4096]; /* every event's data, in brackets */
    int count, stop_after;
} events;

static bool take(void *user, const char *data, size_t bytes)
{
    events *e = user;
    assert_int_equal(data[bytes], 0);
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, "[%s]", data);
    return ++e->count != e->stop_after;
}

/* Feeds the text in slices of this many bytes; 0: whole. */
static syn_sse_status feed(const char *text, size_t slice, events *e)
{
    syn_sse s = {0};
    size_t bytes = strlen(text);
    syn_sse_status st = SYN_SSE_OK;
    memset(e->text, 0, sizeof e->text);
    e->count = 0;
    if (slice == 0) slice = bytes ? bytes : 1;
    for (size_t at = 0; at < bytes && st == SYN_SSE_OK; at += slice)
        st = syn_sse_feed(&s, text + at, bytes - at < slice ? bytes - at : slice, take, e);
    syn_sse_free(&s);
    return st;
}

static const struct {
    const char *text, *events;
} cases[] = {{"data: a\n\n", "[a]"},
             {"data:a\n\n", "[a]"},
             {"data:  a\n\n", "[ a]"},
             {"data: a\r\n\r\ndata: b\r\n\r\n", "[a][b]"},
             {"data: a\r\rdata: b\r\r", "[a][b]"},
             {"data: a\n\ndata: b\r\n\r\ndata: c\r\r", "[a][b][c]"},
             {"data: a\r\n\ndata: b\n\r\n", "[a][b]"},
             {": comment\n\ndata: a\n: another\n\n", "[a]"},
             {"event: message\nid: 7\nretry: 100\ndata: a\n\n", "[a]"},
             {"data: one\ndata: two\n\n", "[one\ntwo]"},
             {"data: one\r\ndata: two\r\n\r\n", "[one\ntwo]"},
             {"data: one\rdata: two\r\r", "[one\ntwo]"},
             {"data: one\ndata\ndata: two\n\n", "[one\n\ntwo]"},
             {"data\n\n", "[]"},
             {"data:\n\n", "[]"},
             {"database: no\n\ndata: a\n\n", "[a]"},
             {"\n\n\ndata: a\n\n\n\n", "[a]"},
             {"data: cut off", ""},
             {"data: cut off\n", ""},
             {"\xEF\xBB\xBF"
              "data: a\n\n",
              "[a]"},
             {"data: gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80\n\n",
              "[gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80]"},
             {"", ""}};

static void every_line_end_and_field_is_understood_in_slices_of_any_size(void **state)
{
    events e = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (size_t slice = 0; slice < 8; slice++) {
            assert_int_equal(feed(cases[k].text, slice, &e), SYN_SSE_OK);
            if (strcmp(e.text, cases[k].events) != 0)
                fail_msg("case %zu in slices of %zu: %s", k, slice, e.text);
        }
}

static void random_slices_give_identical_bytes(void **state)
{
    static const char text[] =
        "data: {\"a\":\"\xE2\x82\xAC\"}\r\n\r\n: ping\n\ndata: b\ndata: c\r\r"
        "event: x\r\ndata: [DONE]\n\n";
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    events whole = {0}, cut = {0};
    assert_int_equal(feed(text, 0, &whole), SYN_SSE_OK);
    assert_string_equal(whole.text, "[{\"a\":\"\xE2\x82\xAC\"}][b\nc][[DONE]]");
    for (int round = 0; round < 500; round++) {
        syn_sse s = {0};
        cut = (events){0};
        for (size_t at = 0, n; at < sizeof text - 1; at += n) {
            n = 1 + syn_rng_below(&rng, 12);
            if (n > sizeof text - 1 - at) n = sizeof text - 1 - at;
            assert_int_equal(syn_sse_feed(&s, text + at, n, take, &cut), SYN_SSE_OK);
        }
        assert_string_equal(cut.text, whole.text);
        syn_sse_free(&s);
    }
}

static void the_taker_can_stop(void **state)
{
    events e = {.stop_after = 2};
    assert_int_equal(feed("data: a\n\ndata: b\n\ndata: c\n\n", 0, &e), SYN_SSE_STOPPED);
    assert_string_equal(e.text, "[a][b]");
}

static void an_event_or_a_line_above_a_mebibyte_is_too_large(void **state)
{
    static char filler[4096];
    const char *const begins[] = {"data: ", ": ", "event: "};
    memset(filler, 'x', sizeof filler);
    for (size_t k = 0; k < 3; k++) {
        syn_sse s = {0};
        events e = {0};
        syn_sse_status st = syn_sse_feed(&s, begins[k], strlen(begins[k]), take, &e);
        size_t fed = 0;
        for (; st == SYN_SSE_OK && fed < 2 << 20; fed += sizeof filler)
            st = syn_sse_feed(&s, filler, sizeof filler, take, &e);
        assert_int_equal(st, SYN_SSE_TOO_LARGE);
        assert_true(fed <= (1 << 20) + sizeof filler && s.data.room <= 4 << 20);
        syn_sse_free(&s);
    }
    syn_sse s = {0};
    events e = {0};
    syn_sse_status st = SYN_SSE_OK;
    for (int k = 0; st == SYN_SSE_OK && k < 1000; k++) { /* one event of many lines */
        st = syn_sse_feed(&s, "data: ", 6, take, &e);
        if (st == SYN_SSE_OK) st = syn_sse_feed(&s, filler, sizeof filler, take, &e);
        if (st == SYN_SSE_OK) st = syn_sse_feed(&s, "\n", 1, take, &e);
    }
    assert_int_equal(st, SYN_SSE_TOO_LARGE);
    syn_sse_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_end_and_field_is_understood_in_slices_of_any_size),
        cmocka_unit_test(random_slices_give_identical_bytes),
        cmocka_unit_test(the_taker_can_stop),
        cmocka_unit_test(an_event_or_a_line_above_a_mebibyte_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
