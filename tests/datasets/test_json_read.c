/* The JSON reader: what it reads, what it refuses, and that it agrees with jansson on mutated
 * texts. */
#include "tests/test.h"

#include <jansson.h>

#include "datasets/json_read.h"
#include "kernels/base/rng.h"

static syn_json reader;

static syn_json *begin(const char *text)
{
    syn_json_begin(&reader, text, strlen(text));
    return &reader;
}

static void assert_text(const char *json, const char *expected)
{
    syn_slice s;
    syn_json *j = begin(json);
    if (!syn_json_string(j, "it", &s)) fail_msg("%s: %s", json, j->fault);
    assert_true(syn_json_finish(j));
    assert_int_equal(s.count, strlen(expected));
    assert_memory_equal(s.bytes, expected, s.count);
}

/* The text is refused, at this byte, with a sentence that holds this. */
static void assert_refused(const char *json, size_t at, const char *words)
{
    syn_json *j = begin(json);
    if (syn_json_skip(j) && syn_json_finish(j)) fail_msg("%s was accepted", json);
    if (!strstr(j->fault, words))
        fail_msg("%s: \"%s\" does not hold \"%s\"", json, j->fault, words);
    assert_int_equal(j->fault_at - j->begin, at);
}

static void texts_are_decoded(void **state)
{
    assert_text("\"\"", "");
    assert_text(" \"plain\" ", "plain");
    assert_text("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\te\"", "a\"b\\c/d\b\f\n\r\te");
    assert_text("\"\\u0041\\u00e9\\u6771x\"", "A\xc3\xa9\xe6\x9d\xb1x");
    assert_text("\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!");
    assert_text("\"\xc3\xa9\"", "\xc3\xa9");
}

/* In a text of 40 characters what ends it, is decoded or is refused may stand anywhere. */
static void nothing_is_missed_wherever_it_stands(void **state)
{
    for (size_t at = 0; at < 40; at++) {
        char json[64] = "\"abcdefghijklmnopqrstuvwxyz0123456789~ !#\"", expected[64] = "";
        json[1 + at] = '"';
        syn_slice s;
        syn_json *j = begin(json);
        assert_true(syn_json_string(j, "it", &s));
        assert_int_equal(s.count, at);
        json[1 + at] = 0x1f;
        assert_refused(json, 1 + at, "control character 0x1f");
        json[1 + at] = (char)0x80;
        assert_refused(json, 1 + at, "not UTF-8");
        json[1 + at] = 0x7f; /* is one like all others */
        memcpy(expected, json + 1, 40);
        assert_text(json, expected);
        if (at == 39) continue;
        json[1 + at] = '\\';
        json[2 + at] = 'n';
        memcpy(expected + at, "\n", 1);
        memmove(expected + at + 1, json + 3 + at, 40 - at - 1);
        expected[39] = 0;
        assert_text(json, expected);
    }
}

static void several_decoded_texts_live_side_by_side(void **state)
{
    syn_slice a, b, c;
    int index;
    syn_json *j = begin("[\"a\\n\", \"b\\t\", \"c\"]");
    assert_true(syn_json_enter_list(j, "it", &index));
    assert_true(syn_json_next_item(j, &index) && syn_json_string(j, "a", &a));
    assert_true(syn_json_next_item(j, &index) && syn_json_string(j, "b", &b));
    assert_true(syn_json_next_item(j, &index) && syn_json_string(j, "c", &c));
    assert_false(syn_json_next_item(j, &index));
    assert_null(j->fault_at);
    assert_true(syn_slice_equal(a, "a\n") && syn_slice_equal(b, "b\t") && syn_slice_equal(c, "c"));
}

static void numbers_and_truth_values_are_read(void **state)
{
    int64_t n;
    bool b;
    assert_true(syn_json_integer(begin("-42"), "n", &n) && n == -42);
    assert_true(syn_json_integer(begin("9223372036854775807"), "n", &n) && n == INT64_MAX);
    assert_false(syn_json_integer(begin("9223372036854775808"), "n", &n));
    assert_false(syn_json_integer(begin("1.0"), "n", &n));
    assert_false(syn_json_integer(begin("\"1\""), "n", &n));
    assert_string_equal(reader.fault, "n is not a number");
    assert_true(syn_json_bool(begin("true"), "b", &b) && b);
    assert_true(syn_json_bool(begin("false"), "b", &b) && !b);
    assert_false(syn_json_bool(begin("1"), "b", &b));
}

static void objects_are_walked_key_by_key(void **state)
{
    syn_slice key;
    int index;
    int64_t n, sum = 0;
    syn_json *j = begin("{\"a\": 1, \"b\" : 20,\"c\":300}");
    assert_true(syn_json_enter_object(j, "it", &index));
    while (syn_json_next_key(j, &index, &key)) {
        assert_int_equal(key.bytes[0], 'a' + index);
        assert_true(syn_json_integer(j, "n", &n));
        sum += n;
    }
    assert_true(syn_json_finish(j));
    assert_int_equal(sum, 321);
    assert_true(syn_json_enter_object(begin("{}"), "it", &index));
    assert_false(syn_json_next_key(&reader, &index, &key));
    assert_null(reader.fault_at);
}

static void faults_name_what_is_wrong_and_where(void **state)
{
    assert_refused("", 0, "ends where a value");
    assert_refused("[1,]", 3, "']' where a value");
    assert_refused("[1 2]", 3, "',' or ']'");
    assert_refused("{\"a\" 1}", 5, "':'");
    assert_refused("{a:1}", 1, "a key in quotes");
    assert_refused("{\"a\":1,}", 7, "a key in quotes");
    assert_refused("[1", 2, "ends where");
    assert_refused("[1}", 2, "'}' where");
    assert_refused("\"abc", 4, "ends inside a text");
    assert_refused("\"a\nb\"", 2, "control character 0x0a");
    assert_refused("\"a\xff\"", 2, "byte 0xff is not UTF-8");
    assert_refused("\"\\x\"", 1, "unknown escape");
    assert_refused("\"\\u12g4\"", 1, "four hexadecimal digits");
    assert_refused("\"\\ud800x\"", 1, "half a surrogate pair");
    assert_refused("\"\\u0000\"", 1, "\\u0000");
    assert_refused("01", 0, "leading zero");
    assert_refused("1.", 0, "ends in a point");
    assert_refused("1e", 0, "exponent");
    assert_refused("nul", 0, "a value");
    assert_refused("{} {}", 3, "the end of the value");
}

static void nesting_ends_at_the_limit(void **state)
{
    char text[4 * SYN_JSON_DEPTH_MAX];
    for (int depth = SYN_JSON_DEPTH_MAX; depth <= SYN_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        assert_int_equal(syn_json_skip(begin(text)), depth == SYN_JSON_DEPTH_MAX);
    }
}

/* Both parsers see the same value. */
static bool same_value(const json_t *tree, syn_json *j);

static bool same_object(const json_t *tree, syn_json *j)
{
    syn_slice key;
    int index;
    size_t count = 0;
    char name[256];
    if (!syn_json_enter_object(j, "it", &index)) return false;
    for (; syn_json_next_key(j, &index, &key); count++) {
        if (key.count >= sizeof name) return false;
        memcpy(name, key.bytes, key.count);
        name[key.count] = '\0';
        if (!same_value(json_object_get(tree, name), j)) return false;
    }
    return !j->fault_at && count == json_object_size(tree);
}

static bool same_value(const json_t *tree, syn_json *j)
{
    syn_slice s;
    int64_t n;
    int index;
    bool b;
    switch (tree ? json_typeof(tree) : JSON_NULL) {
    case JSON_OBJECT:
        return same_object(tree, j);
    case JSON_ARRAY:
        if (!syn_json_enter_list(j, "it", &index)) return false;
        while (syn_json_next_item(j, &index))
            if (!same_value(json_array_get(tree, (size_t)index), j)) return false;
        return !j->fault_at && (size_t)index + 1 == json_array_size(tree);
    case JSON_STRING:
        return syn_json_string(j, "it", &s) && s.count == json_string_length(tree) &&
               memcmp(s.bytes, json_string_value(tree), s.count) == 0;
    case JSON_INTEGER:
        return syn_json_integer(j, "it", &n) && n == json_integer_value(tree);
    case JSON_TRUE:
    case JSON_FALSE:
        return syn_json_bool(j, "it", &b) && b == json_is_true(tree);
    default:
        return syn_json_skip(j);
    }
}

static const char *const seeds[] = {
    "{\"_id\":\"5a8\",\"question\":\"Is \\u00e9 \\\"x\\\" "
    "\\ud83d\\ude00?\",\"n\":[1,-2.5e3,0,1E+2]}",
    "{\"context\":[[\"T\",[\"a\",\" "
    "b\"]],[\"\xc3\xa9t\xc3\xa9\",[]]],\"b\":true,\"c\":false,\"d\":null}",
    "[{\"a\":{\"b\":[[],{},\"\",\"\\\\\\/\\b\\f\\n\\r\\t\"]}} , \"\xf0\x9f\x98\x80\" ]",
};

/* What the reader leaves to its caller: the range of numbers, and keys that come twice. */
static bool outside_the_contract(const char *error)
{
    return strstr(error, "overflow") || strstr(error, "too big") || strstr(error, "duplicate");
}

static void it_agrees_with_jansson_on_mutated_texts(void **state)
{
    static const char alphabet[] = "{}[]\",:\\u0123456789eE+-.tfn ab\n\x01\x7f\x80\xc3\xa9\xff";
    syn_rng rng = syn_rng_make(11, SYN_STREAM_TEST);
    int accepted = 0, refused = 0;
    for (int i = 0; i < 60000; i++) {
        char text[256];
        json_error_t error;
        snprintf(text, sizeof text, "%s", seeds[syn_rng_below(&rng, 3)]);
        size_t n = strlen(text);
        for (uint32_t k = 1 + syn_rng_below(&rng, 3); k > 0; k--)
            text[syn_rng_below(&rng, (uint32_t)n)] =
                alphabet[syn_rng_below(&rng, sizeof alphabet - 1)];
        if (syn_rng_below(&rng, 8) == 0) n = syn_rng_below(&rng, (uint32_t)n);
        json_t *tree = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        syn_json_begin(&reader, text, n);
        if (tree) {
            bool same = same_value(tree, &reader) && syn_json_finish(&reader);
            json_decref(tree);
            if (!same) fail_msg("%.*s: %s", (int)n, text, reader.fault);
            accepted++;
        } else if (!outside_the_contract(error.text)) {
            if (syn_json_skip(&reader) && syn_json_finish(&reader))
                fail_msg("%.*s: jansson says %s", (int)n, text, error.text);
            refused++;
        }
    }
    assert_true(accepted > 5000 && refused > 5000);
}

static int release(void **state)
{
    syn_json_free(&reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(nothing_is_missed_wherever_it_stands),
        cmocka_unit_test(several_decoded_texts_live_side_by_side),
        cmocka_unit_test(numbers_and_truth_values_are_read),
        cmocka_unit_test(objects_are_walked_key_by_key),
        cmocka_unit_test(faults_name_what_is_wrong_and_where),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(it_agrees_with_jansson_on_mutated_texts),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
