/* The loaders: which pieces become gold, which records are left out and why, what is refused. */
#include "tests/datasets/loaded.h"

static const char *hotpot_record(const char *facts, const char *context, const char *more)
{
    static char text[8192];
    snprintf(text, sizeof text,
             "[{\"_id\":\"a1\",\"question\":\"Who wrote "
             "it?\",\"supporting_facts\":%s,\"context\":%s%s}]",
             facts, context, more);
    return text;
}

#define CONTEXT "[[\"A\",[\"One two.\",\" Three.\"]],[\"B\",[\"Four.\"]],[\"C\",[]]]"
#define FACTS   "[[\"A\",0],[\"A\",1],[\"B\",0]]"

static void a_hotpotqa_record_is_read(void **state)
{
    syn_dataset ds;
    assert_ok(
        load_text("hotpotqa", hotpot_record(FACTS, CONTEXT, ",\"type\":\"comparison\""), &ds));
    assert_int_equal(ds.record_count, 1);
    const syn_record *r = &ds.records[0];
    assert_string_equal(syn_record_id(&ds, r), "a1");
    assert_int_equal(r->id_key, syn_dataset_key("a1", 2));
    assert_int_equal(r->question_key, syn_dataset_key("Who wrote it?", 13));
    assert_int_equal(r->question_count, 3);
    assert_int_equal(r->piece_count, 3);
    assert_int_equal(r->gold_count, 2);
    assert_int_equal(r->type, SYN_TYPE_COMPARISON);
    assert_int_equal(r->answerable, 1);
    assert_int_equal(r->hops, 0);
    static const int gold[] = {1, 1, 0}, body[] = {3, 1, 0};
    for (int k = 0; k < 3; k++) {
        const syn_piece *p = syn_record_piece(&ds, r, k);
        assert_int_equal(p->gold, gold[k]);
        assert_int_equal(p->title_count, 1);
        assert_int_equal(p->body_count, body[k]);
        assert_int_equal(p->title_key, syn_dataset_key(&"ABC"[k], 1));
    }
    assert_string_equal(ds.sources[0].name, "hotpotqa");
    assert_string_equal(ds.sources[0].licence, "CC BY-SA 4.0");
    syn_dataset_free(&ds);
}

static void each_sentence_begins_with_the_sentence_flag(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "hotpotqa", hotpot_record("[[\"A\",0]]", "[[\"A\",[\"x y\",\"z\"]],[\"B\",[]]]", ""), &ds));
    const syn_piece *p = syn_record_piece(&ds, &ds.records[0], 0);
    const uint32_t *t = ds.tokens + p->body_at;
    assert_true(t[0] & SYN_TOKEN_SENTENCE);
    assert_false(t[1] & SYN_TOKEN_SENTENCE);
    assert_true(t[2] & SYN_TOKEN_SENTENCE);
    syn_dataset_free(&ds);
}

/* All counts are of one unusable record. */
static void assert_skipped(const char *text, const char *words)
{
    syn_dataset ds;
    assert_fails(load_text("hotpotqa", text, &ds), SYN_ERR_FORMAT, words);
    assert_non_null(strstr(syn_error_text(), "no record can be used"));
    assert_null(ds.records);
}

static void unusable_records_are_left_out_by_reason(void **state)
{
    assert_skipped(hotpot_record("[]", CONTEXT, ""), "1 without supporting facts");
    assert_skipped("[{\"_id\":\"x\",\"question\":\"q\",\"context\":[]}]",
                   "without supporting facts");
    assert_skipped(hotpot_record("[[\"A\",0],[\"Z\",0]]", CONTEXT, ""), "names no given paragraph");
    assert_skipped(hotpot_record("[[\"A\",0]]", "[]", ""), "names no given paragraph");
    assert_skipped(hotpot_record("[[\"A\",0]]", "[[\"A\",[\"x\"]]]", ""), "all supporting");
    assert_skipped("[{\"_id\":\"x\",\"question\":\"?!\",\"supporting_facts\":" FACTS
                   ",\"context\":" CONTEXT "}]",
                   "question has no word");
}

static void the_second_record_of_an_id_is_left_out(void **state)
{
    syn_dataset ds = {0};
    char a[1024], b[1024], text[4096];
    record_text(a, sizeof a, "same", 4);
    record_text(b, sizeof b, "other", 4);
    snprintf(text, sizeof text, "%s\n%s\n%s", a, b, a);
    assert_ok(syn_dataset_read_json(&ds, "hotpotqa", text_write("in.json", text)));
    assert_int_equal(ds.record_count, 2);
    assert_int_equal(ds.sources[0].records_read, 3);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_DUPLICATE], 1);
    syn_dataset_free(&ds);
}

static void a_fact_beyond_the_last_sentence_is_a_warning(void **state)
{
    syn_dataset ds;
    assert_ok(load_text("hotpotqa", hotpot_record("[[\"B\",9]]", CONTEXT, ""), &ds));
    assert_int_equal(ds.records[0].gold_count, 1);
    assert_int_equal(ds.sources[0].fact_warnings, 1);
    syn_dataset_free(&ds);
}

static void distractors_beyond_28_are_cut_from_the_end_and_gold_stays(void **state)
{
    syn_dataset ds;
    char context[4096] = "[", facts[] = "[[\"P0\",0],[\"P39\",0]]";
    size_t n = 1;
    for (int k = 0; k < 40; k++)
        n += (size_t)snprintf(context + n, sizeof context - n, "%s[\"P%d\",[\"w\"]]", k ? "," : "",
                              k);
    snprintf(context + n, sizeof context - n, "]");
    assert_ok(load_text("hotpotqa", hotpot_record(facts, context, ""), &ds));
    const syn_record *r = &ds.records[0];
    assert_int_equal(r->piece_count, SYN_PIECES_OWN_MAX);
    assert_int_equal(r->gold_count, 2);
    assert_int_equal(syn_record_piece(&ds, r, 26)->title_key, syn_dataset_key("P26", 3));
    assert_int_equal(syn_record_piece(&ds, r, 27)->title_key, syn_dataset_key("P39", 3));
    assert_true(syn_record_piece(&ds, r, 27)->gold);
    assert_int_equal(ds.sources[0].cut, 1);
    syn_dataset_free(&ds);
}

static void too_many_gold_pieces_are_left_out(void **state)
{
    char context[4096] = "[", facts[4096] = "[";
    size_t c = 1, f = 1;
    for (int k = 0; k < 40; k++) {
        c += (size_t)snprintf(context + c, sizeof context - c, "%s[\"P%d\",[\"w\"]]", k ? "," : "",
                              k);
        if (k < 30)
            f += (size_t)snprintf(facts + f, sizeof facts - f, "%s[\"P%d\",0]", k ? "," : "", k);
    }
    strcat(context, "]");
    strcat(facts, "]");
    assert_skipped(hotpot_record(facts, context, ""), "more supporting pieces");
}

static void claims_and_other_generated_keys_are_read(void **state)
{
    syn_dataset ds;
    const char *more = ",\"answerable\":false,\"hops\":3,\"claims\":[[1,true],[2,false]]";
    const char *context = "[[\"A\",[\"x\"]],[\"\",[\"y\"]],[\"A\",[\"z\"]],[\"B\",[\"w\"]]]";
    assert_ok(load_text("hotpotqa", hotpot_record("[[\"A\",0]]", context, more), &ds));
    const syn_record *r = &ds.records[0];
    assert_int_equal(r->answerable, 0);
    assert_int_equal(r->hops, 3);
    assert_int_equal(r->gold_count, 1);
    static const int claim[] = {0, 1, 1, 0}, correct[] = {0, 1, 0, 0}, gold[] = {1, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
        const syn_piece *p = syn_record_piece(&ds, r, k);
        assert_int_equal(p->claim, claim[k]);
        assert_int_equal(p->claim_correct, correct[k]);
        assert_int_equal(p->gold, gold[k]);
    }
    assert_int_equal(syn_record_piece(&ds, r, 1)->title_key, 0);
    assert_string_equal(ds.sources[0].name, "synthetic");
    syn_dataset_free(&ds);
}

static void keys_may_come_in_any_order_and_the_last_of_two_counts(void **state)
{
    syn_dataset ds;
    const char *text =
        "[{\"extra\":{\"a\":[1,null]},\"context\":[[\"Q\",[\"x\"]]],\"supporting_facts\":[[\"B\",0]"
        "],"
        "\"question\":\"old one\",\"question\":\"new\",\"context\":" CONTEXT ",\"_id\":\"i\"}]";
    assert_ok(load_text("hotpotqa", text, &ds));
    assert_int_equal(ds.records[0].piece_count, 3);
    assert_int_equal(ds.records[0].question_count, 1);
    syn_dataset_free(&ds);
}

static void wrong_types_are_named_with_record_and_field(void **state)
{
    assert_refused("hotpotqa", "[{\"_id\":7}]",
                   "line 1, column 9 (record 1): \"_id\" is not a text");
    assert_refused("hotpotqa", "[{\"_id\":\"\",\"question\":\"q\",\"context\":[]}]",
                   "\"_id\" has 0 bytes");
    assert_refused("hotpotqa", "[{\"question\":\"q\",\"context\":[]}]", "has no \"_id\"");
    assert_refused("hotpotqa", "[{\"_id\":\"a\",\"context\":[]}]", "has no \"question\"");
    assert_refused("hotpotqa", "[{\"_id\":\"a\",\"question\":\"q\"}]", "has no \"context\"");
    assert_refused("hotpotqa", "[{\"question\":null}]", "\"question\" is not a text");
    assert_refused("hotpotqa", "[{\"context\":{}}]", "\"context\" is not a list");
    assert_refused("hotpotqa", "[{\"context\":[{}]}]", "a paragraph of \"context\"");
    assert_refused("hotpotqa", "[{\"context\":[[\"T\"]]}]", "less than two parts");
    assert_refused("hotpotqa", "[{\"context\":[[\"T\",\"text\"]]}]",
                   "its sentences, is not a list");
    assert_refused("hotpotqa", "[{\"context\":[[\"T\",[1]]]}]", "a sentence is not a text");
    assert_refused("hotpotqa", "[{\"context\":[[\"T\",[],1]]}]", "more than two parts");
    assert_refused("hotpotqa", "[{\"supporting_facts\":[[\"T\",\"0\"]]}]", "is not a number");
    assert_refused("hotpotqa", "[{\"supporting_facts\":[[0,0]]}]",
                   "title of a supporting fact is not");
    assert_refused("hotpotqa", "[{\"hops\":999}]", "\"hops\" is not within");
    assert_refused("hotpotqa", hotpot_record(FACTS, CONTEXT, ",\"claims\":[[3,true]]"), "index 3");
    assert_refused("hotpotqa", hotpot_record(FACTS, CONTEXT, ",\"claims\":[[0,1]]"),
                   "not true or false");
    assert_refused("2wiki", "[{},\n{\"type\":1}]", "(record 1): the record has no \"_id\"");
}

static void damaged_text_is_named_with_its_place(void **state)
{
    assert_refused("hotpotqa", "", "is empty");
    assert_refused("hotpotqa", "{\"data\":[]}", "has no \"_id\"");
    assert_refused("hotpotqa", "[]", "holds no record");
    assert_refused("hotpotqa", "[\n{\"_id\":\"caf\xe9\"}]",
                   "line 2, column 12 (record 1): byte 0xe9 is not UTF-8");
    assert_refused("hotpotqa", "[{\"_id\" \"a\"}]", "column 9 (record 1): '\"' where ':'");
    assert_refused("hotpotqa", "[{\"extra\":[1,2}]}]", "record 1");
}

static void every_cut_of_a_file_is_refused(void **state)
{
    char text[1024];
    text[0] = '[';
    size_t n = 1 + record_text(text + 1, sizeof text - 2, "cut", 3);
    text[n++] = ']';
    for (size_t cut = 0; cut < n; cut++) {
        syn_dataset ds = {0};
        const char *path = file_write("in.json", text, cut);
        assert_int_equal(syn_dataset_read_json(&ds, "hotpotqa", path), SYN_ERR_FORMAT);
        assert_null(ds.records);
    }
}

static void caps_are_checked(void **state)
{
    syn_dataset ds;
    size_t max = 1 << 20, n;
    char *text = malloc(max);
    n = (size_t)snprintf(text, max, "[{\"context\":[");
    for (int k = 0; k < 1025; k++)
        n += (size_t)snprintf(text + n, max - n, "%s[\"\",[]]", k ? "," : "");
    snprintf(text + n, max - n, "]}]");
    assert_fails(load_text("hotpotqa", text, &ds), SYN_ERR_FORMAT, "more than 1024 pieces");
    n = (size_t)snprintf(text, max, "[{\"context\":[[\"\",[\"\"");
    for (int k = 0; k < 65536; k++) n += (size_t)snprintf(text + n, max - n, ",\"\"");
    snprintf(text + n, max - n, "]]]}]");
    assert_fails(load_text("hotpotqa", text, &ds), SYN_ERR_FORMAT, "more than 65536 sentences");
    free(text);
}

static const char musique[] =
    "{\"id\":\"3hop1__9_8_7\",\"paragraphs\":["
    "{\"idx\":0,\"title\":\"A\",\"paragraph_text\":\"One. Two.\",\"is_supporting\":true},"
    "{\"is_supporting\":false,\"paragraph_text\":\"Three.\",\"title\":\"B\",\"idx\":1}],"
    "\"question\":\"Who?\",\"question_decomposition\":[{\"id\":1}],\"answerable\":false}\n";

static void a_musique_record_is_read(void **state)
{
    syn_dataset ds;
    assert_ok(load_text("musique", musique, &ds));
    const syn_record *r = &ds.records[0];
    assert_string_equal(syn_record_id(&ds, r), "3hop1__9_8_7");
    assert_int_equal(r->hops, 3);
    assert_int_equal(r->answerable, 0);
    assert_int_equal(r->type, SYN_TYPE_COMPOSITIONAL);
    assert_int_equal(r->piece_count, 2);
    assert_int_equal(r->gold_count, 1);
    assert_true(syn_record_piece(&ds, r, 0)->gold);
    /* Its paragraphs are not cut into sentences: the tokeniser finds them. */
    assert_true(ds.tokens[syn_record_piece(&ds, r, 0)->body_at + 1] & SYN_TOKEN_SENTENCE);
    assert_string_equal(ds.sources[0].licence, "CC BY 4.0");
    syn_dataset_free(&ds);
}

static void wrong_musique_records_are_refused(void **state)
{
    syn_dataset ds;
    assert_refused("musique", "{\"id\":\"2hop__1\",\"question\":\"q\"}", "has no \"paragraphs\"");
    assert_refused("musique", "{\"paragraphs\":[[]]}", "a paragraph is not an object");
    assert_refused("musique", "{\"paragraphs\":[{\"title\":\"a\"}]}", "has no \"paragraph_text\"");
    assert_refused("musique", "{\"paragraphs\":[{\"paragraph_text\":\"a\"}]}", "has no \"title\"");
    assert_refused("musique", "{\"paragraphs\":[{\"is_supporting\":1}]}", "not true or false");
    assert_refused("musique", "{\"id\":3}", "\"id\" is not a text");
    assert_fails(load_text("nonsense", musique, &ds), SYN_ERR_INVALID, "not a known format");
}

static void a_failure_leaves_what_was_loaded_before(void **state)
{
    syn_dataset ds;
    assert_ok(load_text("musique", musique, &ds));
    assert_fails(syn_dataset_read_json(&ds, "musique", text_write("in.json", "{")), SYN_ERR_FORMAT,
                 "ends inside");
    assert_int_equal(ds.record_count, 1);
    assert_int_equal(ds.source_count, 1);
    syn_dataset_free(&ds);
}

/* Published counts of the shared samples: README of the data. */
static void the_real_files_give_their_known_counts(void **state)
{
    static const struct {
        const char *format, *file;
        int64_t read, kept, skipped[SYN_SKIP_COUNT], warnings;
    } known[] = {
        {"hotpotqa", "hotpotqa/hotpot_dev_distractor_v1_subset.json", 187, 186, {0, 0, 1}, 0},
        {"hotpotqa", "hotpotqa/hotpot_dev_fullwiki_v1_subset.json", 896, 259, {0, 635, 2}, 0},
        {"hotpotqa", "hotpotqa/hotpot_train_v1.1_subset.json", 100, 100, {0}, 0},
        {"2wiki", "2wikimultihopqa/dev_subset.json", 344, 344, {0}, 2},
        {"musique", "musique/musique_ans_v1.0_train_subset.jsonl", 60, 60, {0}, 0},
    };
    if (!real_file(known[0].file)) skip();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        syn_dataset ds = {0};
        assert_ok(syn_dataset_read_json(&ds, known[i].format, real_file(known[i].file)));
        const syn_source *s = &ds.sources[0];
        assert_int_equal(s->records_read, known[i].read);
        assert_int_equal(s->records, known[i].kept);
        assert_int_equal(ds.record_count, known[i].kept);
        assert_int_equal(s->fact_warnings, known[i].warnings);
        for (int k = 0; k < SYN_SKIP_COUNT; k++)
            assert_int_equal(s->skipped[k], known[i].skipped[k]);
        syn_dataset_free(&ds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hotpotqa_record_is_read),
        cmocka_unit_test(each_sentence_begins_with_the_sentence_flag),
        cmocka_unit_test(unusable_records_are_left_out_by_reason),
        cmocka_unit_test(the_second_record_of_an_id_is_left_out),
        cmocka_unit_test(a_fact_beyond_the_last_sentence_is_a_warning),
        cmocka_unit_test(distractors_beyond_28_are_cut_from_the_end_and_gold_stays),
        cmocka_unit_test(too_many_gold_pieces_are_left_out),
        cmocka_unit_test(claims_and_other_generated_keys_are_read),
        cmocka_unit_test(keys_may_come_in_any_order_and_the_last_of_two_counts),
        cmocka_unit_test(wrong_types_are_named_with_record_and_field),
        cmocka_unit_test(damaged_text_is_named_with_its_place),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(caps_are_checked),
        cmocka_unit_test(a_musique_record_is_read),
        cmocka_unit_test(wrong_musique_records_are_refused),
        cmocka_unit_test(a_failure_leaves_what_was_loaded_before),
        cmocka_unit_test(the_real_files_give_their_known_counts),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
