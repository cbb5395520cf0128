/* FriendsQA and CoQA: many questions about one dialogue or story, sentences, windows. */
#include "tests/datasets/loaded.h"

#include "datasets/raw_record.h"
#include "datasets/sentences.h"

/* ---- Sentences ---- */

static void assert_sentences(const char *text, const char *const *expected)
{
    size_t at = 0;
    syn_slice s, all = {text, strlen(text)};
    while ((s = syn_sentence_next(all, &at)).bytes) {
        assert_non_null(*expected);
        if (!syn_slice_equal(s, *expected))
            fail_msg("\"%.*s\" instead of \"%s\"", (int)s.count, s.bytes, *expected);
        expected++;
    }
    assert_null(*expected);
}

#define SENTENCES(text, ...) assert_sentences(text, (const char *const[]){__VA_ARGS__, NULL})

static void sentences_end_where_a_reader_would_end_them(void **state)
{
    SENTENCES("One two. Three!  Four?", "One two.", "Three!", "Four?");
    SENTENCES("  No stop at the end ", "No stop at the end");
    SENTENCES("A heading\n\nA text\nof two lines.", "A heading", "A text\nof two lines.");
    SENTENCES("Mr. Brown met J. S. Bach. He left.", "Mr. Brown met J. S. Bach.", "He left.");
    SENTENCES("It cost 1.5 pounds. e.g. this", "It cost 1.5 pounds. e.g. this");
    SENTENCES("\"Go!\" he said. (Really.) \"Yes.\"", "\"Go!\" he said.", "(Really.)", "\"Yes.\"");
    SENTENCES("Wait... What? Why?!", "Wait...", "What?", "Why?!");
    SENTENCES("Oh... no.", "Oh... no.");
    SENTENCES("\xe2\x80\x9cIch?\xe2\x80\x9d \xc3\x9c"
              "ber alles.",
              "\xe2\x80\x9cIch?\xe2\x80\x9d",
              "\xc3\x9c"
              "ber alles.");
    SENTENCES("One. - . ! Two. ***", "One.", "Two.");
}

static void punctuation_and_blanks_are_no_sentences(void **state)
{
    static const char *const none[] = {NULL};
    assert_sentences("", none);
    assert_sentences(" \n\n ", none);
    assert_sentences("... ! ?", none);
}

/* A long run of anything takes time in proportion: a quadratic reader would not come back. */
static void hostile_runs_are_passed_quickly(void **state)
{
    static const char *const units[] = {".", ". ", "\n", ".\"", "a.\n ", "\n "};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t n = strlen(units[u]), count = (1 << 18) / n, at = 0;
        char *text = malloc(count * n);
        assert_non_null(text);
        for (size_t i = 0; i < count; i++) memcpy(text + i * n, units[u], n);
        while (syn_sentence_next((syn_slice){text, count * n}, &at).bytes)
            assert_true(at <= count * n);
        free(text);
    }
}

/* ---- Windows ---- */

static syn_raw_record *window_record(int pieces, int first, int last, const char *id)
{
    static syn_raw_record r;
    static char titles[64];
    syn_json j = {0};
    syn_raw_begin(&r);
    r.id = (syn_slice){id, strlen(id)};
    for (int k = 0; k < pieces; k++) {
        titles[k] = (char)k;
        assert_true(syn_raw_piece_add(&j, &r, (syn_slice){titles + k, 1}));
        r.pieces[k].gold = k == first || k == last;
    }
    return &r;
}

/* Every place of the window that holds the gold pieces is as likely as any other. */
static void a_window_begins_anywhere_that_holds_the_gold(void **state)
{
    enum { DRAWS = 6000 };
    int begins[64] = {0};
    for (int n = 0; n < DRAWS; n++) {
        char id[16];
        snprintf(id, sizeof id, "id%d", n);
        syn_raw_record *r = window_record(50, 20, 24, id);
        assert_int_equal(syn_raw_window(r), SYN_SKIP_NONE);
        assert_int_equal(r->piece_count, SYN_PIECES_OWN_MAX);
        assert_true(r->cut);
        int begin = r->pieces[0].title.bytes[0];
        assert_true(r->pieces[20 - begin].gold && r->pieces[24 - begin].gold);
        begins[begin]++;
    }
    for (int b = 0; b < 64; b++) {
        if (b > 20)
            assert_int_equal(begins[b], 0);
        else
            assert_in_range(begins[b], DRAWS / 21 * 7 / 10, DRAWS / 21 * 13 / 10);
    }
}

static void a_window_keeps_to_the_ends_and_needs_room(void **state)
{
    syn_raw_record *r = window_record(40, 39, 39, "a");
    assert_int_equal(syn_raw_window(r), SYN_SKIP_NONE);
    assert_int_equal(r->pieces[27].title.bytes[0], 39);
    r = window_record(40, 0, 27, "a");
    assert_int_equal(syn_raw_window(r), SYN_SKIP_NONE);
    assert_int_equal(r->pieces[0].title.bytes[0], 0);
    assert_int_equal(syn_raw_window(window_record(40, 0, 28, "a")), SYN_SKIP_WINDOW);
    assert_int_equal(syn_raw_window(window_record(40, -1, -1, "a")), SYN_SKIP_NO_FACTS);
    r = window_record(28, 0, 27, "a");
    assert_int_equal(syn_raw_window(r), SYN_SKIP_NONE);
    assert_false(r->cut);
}

/* ---- FriendsQA ---- */

#define UTTERANCES                                                                                 \
    "\"utterances:\":[{\"uid\":0,\"speakers\":[\"Ann Lee\"],\"utterance\":\"The key is here .\"}," \
    "{\"utterance\":\"Which one ?\",\"uid\":1,\"speakers\":[\"Bob\",\"Cy\"]},"                     \
    "{\"uid\":2,\"speakers\":[],\"utterance\":\"( silence )\"}]"
#define QUESTION(id, answers)                                                                      \
    "{\"id\":\"" id "\",\"question\":\"Where is the key?\",\"answers\":[" answers "]}"
#define ANSWER(n) "{\"answer_text\":\"x\",\"utterance_id\":" n ",\"is_speaker\":false}"
#define FRIENDS(paragraph)                                                                         \
    "{\"version\":\"2.0\",\"data\":[{\"title\":\"t1\",\"paragraphs\":[{" paragraph "}]}]}"

static void utterances_become_pieces_with_their_speakers_and_without_titles(void **state)
{
    syn_dataset ds;
    assert_ok(load_text("friendsqa",
                        FRIENDS("\"qas\":[" QUESTION("q0", ANSWER("0")) "," QUESTION(
                            "q1", ANSWER("2") "," ANSWER("1") "," ANSWER("2")) "]," UTTERANCES),
                        &ds));
    assert_int_equal(ds.record_count, 2);
    static const int gold[2][3] = {{1, 0, 0}, {0, 1, 1}};
    static const char *const body[] = {"Ann Lee The key is here", "Bob Cy Which one", "silence"};
    for (int i = 0; i < 2; i++) {
        const syn_record *r = &ds.records[i];
        assert_string_equal(syn_record_id(&ds, r), i ? "q1" : "q0");
        assert_int_equal(r->context_key, syn_dataset_key("t1", 2));
        assert_int_equal(r->piece_count, 3);
        for (int k = 0; k < 3; k++) {
            const syn_piece *p = syn_record_piece(&ds, r, k);
            assert_int_equal(p->gold, gold[i][k]);
            assert_int_equal(p->title_count, 0);
            assert_int_equal(p->title_key, 0);
            assert_int_equal(p->group, 0);
            assert_words(&ds, p->body_at, p->body_count, body[k]);
        }
        /* What is said begins a sentence of its own. */
        assert_true(ds.tokens[syn_record_piece(&ds, r, 0)->body_at + 2] & SYN_TOKEN_SENTENCE);
    }
    assert_string_equal(ds.sources[0].name, "friendsqa");
    syn_dataset_free(&ds);
}

static void questions_about_one_dialogue_are_in_one_fold(void **state)
{
    syn_dataset ds;
    char text[16384];
    size_t n =
        (size_t)snprintf(text, sizeof text,
                         "{\"data\":[{\"title\":\"t1\",\"paragraphs\":[{" UTTERANCES ",\"qas\":[");
    for (int q = 0; q < 40; q++)
        n += (size_t)snprintf(
            text + n, sizeof text - n,
            "%s{\"id\":\"q%d\",\"question\":\"Who?\",\"answers\":[" ANSWER("1") "]}", q ? "," : "",
            q);
    snprintf(text + n, sizeof text - n, "]}]}]}");
    assert_ok(load_text("friendsqa", text, &ds));
    assert_int_equal(ds.record_count, 40);
    for (int q = 1; q < 40; q++)
        assert_int_equal(syn_record_fold(&ds.records[q], 5), syn_record_fold(&ds.records[0], 5));
    syn_dataset_free(&ds);
}

static void a_long_dialogue_gives_a_window_and_far_answers_are_left_out(void **state)
{
    syn_dataset ds;
    char text[16384];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{\"data\":[{\"title\":\"t1\",\"paragraphs\":[{\"utterances:\":[");
    for (int k = 0; k < 60; k++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s{\"uid\":%d,\"speakers\":[\"S\"],\"utterance\":\"w%d\"}",
                              k ? "," : "", k, k);
    snprintf(text + n, sizeof text - n,
             "],\"qas\":[" QUESTION("near", ANSWER("30") "," ANSWER("31")) "," QUESTION(
                 "far", ANSWER("0") "," ANSWER("59")) "]}]}]}");
    assert_ok(load_text("friendsqa", text, &ds));
    assert_int_equal(ds.record_count, 1);
    assert_int_equal(ds.records[0].piece_count, SYN_PIECES_OWN_MAX);
    assert_int_equal(ds.records[0].gold_count, 2);
    assert_int_equal(ds.sources[0].cut, 1);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_WINDOW], 1);
    assert_int_equal(ds.sources[0].records_read, 2);
    syn_dataset_free(&ds);
}

static void an_answer_in_no_utterance_and_none_at_all_are_left_out(void **state)
{
    syn_dataset ds;
    assert_ok(load_text("friendsqa",
                        FRIENDS(UTTERANCES ",\"qas\":[" QUESTION("a", ANSWER("7")) "," QUESTION(
                            "b", "") "," QUESTION("c", ANSWER("1")) "]"),
                        &ds));
    assert_int_equal(ds.record_count, 1);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_MISSING_PIECE], 1);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_NO_FACTS], 1);
    syn_dataset_free(&ds);
}

static void wrong_friendsqa_files_are_refused(void **state)
{
    assert_refused("friendsqa", "[]", "an object with the list \"data\" is expected");
    assert_refused("friendsqa", "{\"version\":\"2.0\"}", "has no list \"data\"");
    assert_refused("friendsqa", "{\"data\":7}", "\"data\" is not a list");
    assert_refused("friendsqa", "{\"data\":[{\"paragraphs\":[]}]}", "has no \"title\"");
    assert_refused("friendsqa", "{\"data\":[{\"title\":\"\",\"paragraphs\":[]}]}", "no \"title\"");
    assert_refused("friendsqa", "{\"data\":[{\"title\":\"t\"}]}", "has no \"paragraphs\"");
    assert_refused("friendsqa", FRIENDS("\"qas\":[]"), "has no \"utterances:\"");
    assert_refused("friendsqa", FRIENDS("\"utterances:\":[{\"uid\":0}]"), "has no \"utterance\"");
    assert_refused("friendsqa", FRIENDS("\"utterances:\":[{\"utterance\":\"a\"}]"),
                   "has no \"uid\"");
    assert_refused("friendsqa", FRIENDS(UTTERANCES ",\"qas\":[{\"id\":\"a\",\"answers\":[]}]"),
                   "has no \"question\"");
    assert_refused("friendsqa",
                   FRIENDS(UTTERANCES ",\"qas\":[" QUESTION("a", "{\"is_speaker\":true}") "]"),
                   "(record 1): the answer has no \"utterance_id\"");
    assert_refused("friendsqa", "{\"data\":[{\"story\":\"s\",\"id\":\"1\"}]}", "has no \"title\"");
}

/* A key that comes again begins anew; lists that grow with each would leave their arrays. */
static void repeated_keys_do_not_add_up(void **state)
{
    enum { TIMES = 300 };
    syn_dataset ds;
    const char *unit =
        "\"qas\":[" QUESTION("a", ANSWER("1") "," ANSWER("1") "," ANSWER("1")) "]," UTTERANCES ",";
    char *text = malloc(TIMES * strlen(unit) + 200), *at = text;
    assert_non_null(text);
    at += sprintf(at, "{\"data\":[{\"title\":\"t\",\"paragraphs\":[{");
    for (int i = 0; i < TIMES; i++) at += sprintf(at, "%s", unit);
    sprintf(at, "\"x\":0}]}]}");
    assert_ok(load_text("friendsqa", text, &ds));
    assert_int_equal(ds.record_count, 1);
    assert_int_equal(ds.records[0].piece_count, 3);
    syn_dataset_free(&ds);
    free(text);
}

/* Texts with escapes are decoded into a space as large as the record, which is read twice. */
static void a_record_that_is_all_escapes_fits(void **state)
{
    syn_dataset ds;
    char *text = malloc(1 << 20), *at = text;
    assert_non_null(text);
    at +=
        sprintf(at, "{\"data\":[{\"\\n\\n\\n\\n\\n\\n\":{\"\\n\\n\\n\\n\":0},\"title\":\"t\\n\",");
    for (int i = 0; i < 4000; i++)
        at += sprintf(at, "\"\\n\\n\\n\\n\\n\\n%d\":{\"\\n%d\":1},", i, i);
    sprintf(at, "\"paragraphs\":[{" UTTERANCES ",\"qas\":[" QUESTION("a\\n", ANSWER("1")) "]}]}]}");
    assert_ok(load_text("friendsqa", text, &ds));
    assert_int_equal(ds.record_count, 1);
    assert_string_equal(syn_record_id(&ds, &ds.records[0]), "a\n");
    syn_dataset_free(&ds);
    free(text);
}

/* ---- CoQA ---- */

#define STORY           "Caf\\u00e9 Zo\\u00eb is old. It stands in Rome.\\n\\nAnn likes it! Bob does not."
#define TURN_Q(n, text) "{\"input_text\":\"" text "\",\"turn_id\":" n "}"
#define TURN_A(n, text, from, to, more)                                                            \
    "{\"span_start\":" from ",\"span_end\":" to ",\"span_text\":\"\",\"input_text\":\"" text       \
    "\",\"turn_id\":" n more "}"
#define COQA(questions, answers)                                                                   \
    "{\"version\":\"1.0\",\"data\":[{\"source\":\"s\",\"id\":\"st\",\"story\":\"" STORY            \
    "\",\"questions\":[" questions "],\"answers\":[" answers "]}]}"

static void a_rationale_marks_the_sentences_it_touches_by_characters(void **state)
{
    syn_dataset ds;
    /* Characters: "Café Zoë is old." is [0, 16), "It stands in Rome." [17, 35). In bytes, the
     * second rationale would begin in the first sentence. */
    assert_ok(load_text(
        "coqa",
        COQA(TURN_Q("1", "Is it old?") "," TURN_Q("2", "Where is it?") "," TURN_Q(
                 "3", "Who likes it?") "," TURN_Q("4", "And Bob?"),
             TURN_A("1", "yes", "8", "15", "") "," TURN_A("2", "Rome", "16", "34", "") "," TURN_A(
                 "3", "Ann", "30", "40", "") "," TURN_A("4", "no", "51", "63", "")),
        &ds));
    assert_int_equal(ds.record_count, 4);
    static const int gold[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 1}};
    static const char *const body[] = {"Café Zoë is old", "It stands in Rome", "Ann likes it",
                                       "Bob does not"};
    for (int i = 0; i < 4; i++) {
        const syn_record *r = &ds.records[i];
        assert_int_equal(r->piece_count, 4);
        assert_int_equal(r->context_key, syn_dataset_key("st", 2));
        for (int k = 0; k < 4; k++) {
            const syn_piece *p = syn_record_piece(&ds, r, k);
            assert_int_equal(p->gold, gold[i][k]);
            assert_int_equal(p->title_count, 0);
            assert_words(&ds, p->body_at, p->body_count, body[k]);
        }
    }
    syn_dataset_free(&ds);
}

static void a_question_follows_the_two_turns_before_it(void **state)
{
    syn_dataset ds;
    assert_ok(
        load_text("coqa",
                  COQA(TURN_Q("1", "One?") "," TURN_Q("2", "Two?") "," TURN_Q(
                           "3", "Three?") "," TURN_Q("4", "Four?"),
                       TURN_A("1", "a", "0", "1", "") "," TURN_A("2", "b", "0", "1", "") "," TURN_A(
                           "3", "c", "0", "1", "") "," TURN_A("4", "d", "0", "1", "")),
                  &ds));
    static const char *const question[] = {"One?", "One? a Two?", "One? a Two? b Three?",
                                           "Two? b Three? c Four?"};
    static const char *const id[] = {"st#1", "st#2", "st#3", "st#4"};
    for (int i = 0; i < 4; i++) {
        const syn_record *r = &ds.records[i];
        assert_string_equal(syn_record_id(&ds, r), id[i]);
        assert_words(&ds, r->question_at, r->question_count, question[i]);
    }
    syn_dataset_free(&ds);
}

static void unknown_and_bad_turns_are_left_out_but_stay_in_the_history(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "coqa",
        COQA(TURN_Q("1", "One?") "," TURN_Q("2", "Two?") "," TURN_Q("3", "Three?"),
             TURN_A("1", "unknown", "-1", "-1", "") "," TURN_A(
                 "2", "b", "0", "4", ",\"bad_turn\":\"true\"") "," TURN_A("3", "c", "0", "4", "")),
        &ds));
    assert_int_equal(ds.record_count, 1);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_UNKNOWN], 2);
    assert_words(&ds, ds.records[0].question_at, ds.records[0].question_count,
                 "One? unknown Two? b Three?");
    syn_dataset_free(&ds);
}

static void a_rationale_outside_of_the_sentences_is_left_out(void **state)
{
    syn_dataset ds;
    assert_ok(
        load_text("coqa",
                  COQA(TURN_Q("1", "One?") "," TURN_Q("2", "Two?") "," TURN_Q(
                           "3", "Three?") "," TURN_Q("4", "Four?") "," TURN_Q("5", "Five?"),
                       TURN_A("1", "a", "16", "17", "") "," TURN_A(
                           "2", "b", "9000", "9999999999",
                           "") "," TURN_A("3", "c", "0", "9",
                                          "") "," TURN_A("4", "d", "5", "5",
                                                         "") "," TURN_A("5", "e", "9", "3", "")),
                  &ds));
    assert_int_equal(ds.record_count, 1); /* nothing shares a character with [5, 5) or [9, 3) */
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_MISSING_PIECE], 4);
    syn_dataset_free(&ds);
}

static void wrong_coqa_files_are_refused(void **state)
{
    assert_refused("coqa", "{\"data\":[{\"id\":\"a\"}]}", "has no \"story\"");
    assert_refused("coqa", "{\"data\":[{\"story\":\"a\"}]}", "has no \"id\"");
    assert_refused("coqa", COQA(TURN_Q("1", "One?"), ""), "1 questions and 0 answers");
    assert_refused("coqa", COQA(TURN_Q("1", "One?"), TURN_A("2", "a", "0", "1", "")),
                   "question 1 is turn 1, answer 1 is turn 2");
    assert_refused("coqa", COQA("{\"turn_id\":1}", ""), "has no \"input_text\"");
    assert_refused("coqa", COQA("{\"input_text\":\"\"}", ""), "has no \"turn_id\"");
    assert_refused("coqa", COQA(TURN_Q("1", "One?"), TURN_A("1", "a", "\\\"x\\\"", "1", "")),
                   "record 1");
    assert_refused("coqa", "{\"data\":[],\"data\":[]}", "\"data\" comes twice");
    assert_refused("coqa", FRIENDS(UTTERANCES), "has no \"id\"");
}

static void caps_are_checked(void **state)
{
    syn_dataset ds;
    size_t max = 1 << 20, n;
    char *text = malloc(max);
    assert_non_null(text);
    n = (size_t)snprintf(text, max,
                         "{\"data\":[{\"title\":\"t\",\"paragraphs\":[{\"utterances:\":[");
    for (int k = 0; k < 1025; k++)
        n += (size_t)snprintf(text + n, max - n, "%s{\"uid\":0,\"utterance\":\"\"}", k ? "," : "");
    snprintf(text + n, max - n, "]}]}]}");
    assert_fails(load_text("friendsqa", text, &ds), SYN_ERR_FORMAT, "more than 1024 utterances");
    n = (size_t)snprintf(text, max, "{\"data\":[{\"title\":\"t\",\"paragraphs\":[{\"qas\":[");
    for (int k = 0; k < 257; k++) n += (size_t)snprintf(text + n, max - n, "%s{}", k ? "," : "");
    snprintf(text + n, max - n, "]}]}]}");
    assert_fails(load_text("friendsqa", text, &ds), SYN_ERR_FORMAT, "more than 256 questions");
    n = (size_t)snprintf(text, max, "{\"data\":[{\"id\":\"a\",\"story\":\"");
    memset(text + n, 'x', SYN_RAW_CONTEXT_MAX + 1);
    strcpy(text + n + SYN_RAW_CONTEXT_MAX + 1, "\"}]}");
    assert_fails(load_text("coqa", text, &ds), SYN_ERR_FORMAT, "story is longer than 262144 bytes");
    free(text);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    static const char *const texts[] = {
        FRIENDS(UTTERANCES ",\"qas\":[" QUESTION("a", ANSWER("1")) "]"),
        COQA(TURN_Q("1", "One?"), TURN_A("1", "a", "0", "9", ""))};
    static const char *const formats[] = {"friendsqa", "coqa"};
    for (int i = 0; i < 2; i++) {
        syn_dataset ds = {0};
        for (size_t cut = 0; cut < strlen(texts[i]); cut++) {
            const char *path = file_write("in.json", texts[i], cut);
            assert_int_equal(syn_dataset_read_json(&ds, formats[i], path), SYN_ERR_FORMAT);
            assert_null(ds.records);
        }
        assert_ok(syn_dataset_read_json(&ds, formats[i], text_write("in.json", texts[i])));
        syn_dataset_free(&ds);
    }
}

/* Counted on the shared samples by a separate script. */
static void the_real_files_give_their_known_counts(void **state)
{
    static const struct {
        const char *format, *file;
        int64_t read, kept, pieces, gold, cut, unknown;
    } known[] = {
        {"friendsqa", "friendsqa/friendsqa_dev.json", 1182, 1182, 21474, 1349, 196, 0},
        {"coqa", "coqa/coqa-train-v1.0.json", 45, 43, 0, 0, 0, 2},
        {"coqa", "coqa/coqa-dev-v1.0.json", 12, 12, 0, 0, 0, 0},
    };
    if (!real_file(known[0].file)) skip();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        syn_dataset ds = {0};
        int64_t gold = 0;
        assert_ok(syn_dataset_read_json(&ds, known[i].format, real_file(known[i].file)));
        const syn_source *s = &ds.sources[0];
        assert_int_equal(s->records_read, known[i].read);
        assert_int_equal(ds.record_count, known[i].kept);
        assert_int_equal(s->cut, known[i].cut);
        assert_int_equal(s->skipped[SYN_SKIP_UNKNOWN], known[i].unknown);
        for (int64_t r = 0; r < ds.record_count; r++) gold += ds.records[r].gold_count;
        if (known[i].pieces) {
            assert_int_equal(ds.piece_count, known[i].pieces);
            assert_int_equal(gold, known[i].gold);
        }
        syn_dataset_free(&ds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_end_where_a_reader_would_end_them),
        cmocka_unit_test(punctuation_and_blanks_are_no_sentences),
        cmocka_unit_test(hostile_runs_are_passed_quickly),
        cmocka_unit_test(a_window_begins_anywhere_that_holds_the_gold),
        cmocka_unit_test(a_window_keeps_to_the_ends_and_needs_room),
        cmocka_unit_test(utterances_become_pieces_with_their_speakers_and_without_titles),
        cmocka_unit_test(questions_about_one_dialogue_are_in_one_fold),
        cmocka_unit_test(a_long_dialogue_gives_a_window_and_far_answers_are_left_out),
        cmocka_unit_test(an_answer_in_no_utterance_and_none_at_all_are_left_out),
        cmocka_unit_test(wrong_friendsqa_files_are_refused),
        cmocka_unit_test(repeated_keys_do_not_add_up),
        cmocka_unit_test(a_record_that_is_all_escapes_fits),
        cmocka_unit_test(a_rationale_marks_the_sentences_it_touches_by_characters),
        cmocka_unit_test(a_question_follows_the_two_turns_before_it),
        cmocka_unit_test(unknown_and_bad_turns_are_left_out_but_stay_in_the_history),
        cmocka_unit_test(a_rationale_outside_of_the_sentences_is_left_out),
        cmocka_unit_test(wrong_coqa_files_are_refused),
        cmocka_unit_test(caps_are_checked),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(the_real_files_give_their_known_counts),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
