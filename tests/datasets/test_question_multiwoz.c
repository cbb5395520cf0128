/* MultiWOZ for live teams: releases, archives, states, goals, delexicalised references, and the
 * domain databases. */
#include "tests/datasets/helpers.h"

#include <zip.h>

#include "datasets/archive.h"
#include "datasets/delexicalise.h"
#include "datasets/entities.h"

#define SLOTS(area)                                                                                \
    "\"hotel\":{\"semi\":{\"area\":\"" area "\",\"name\":\"not mentioned\"},"                      \
    "\"book\":{\"booked\":[],\"people\":\"\"}}"
#define BOOKED                                                                                     \
    "\"hotel\":{\"semi\":{\"area\":\"east\"},\"book\":{\"booked\":[{\"name\":\"x\","               \
    "\"reference\":\"AB12\"}],\"people\":\"2\"}}"
#define ACTS_ONE "\"dialog_act\":{\"Hotel-Inform\":[[\"Name\",\"The Oak\"],[\"Area\",\"east\"]]}"
#define ACTS_TWO "\"dialog_act\":{\"Booking-Book\":[[\"Ref\",\"AB12\"]]}"
#define GOAL                                                                                       \
    "\"goal\":{\"taxi\":{},\"hotel\":{\"info\":{\"area\":\"east\"},\"reqt\":[\"phone\"],\"book\":" \
    "{"                                                                                            \
    "\"people\":\"2\",\"invalid\":false},\"fail_info\":{}},\"topic\":{\"hotel\":true},"            \
    "\"message\":["                                                                                \
    "\"You want a <span class='emphasis'>hotel</span>\"]},"
/* A dialogue of two exchanges and a farewell that nobody answers. */
#define DIALOGUE(one, two)                                                                         \
    "{" GOAL "\"log\":["                                                                           \
    "{\"text\":\"A hotel in the east\",\"metadata\":{}},"                                          \
    "{\"text\":\"The Oak is in the east.\",\"metadata\":{" SLOTS(                                  \
        "east") "}" one "},"                                                                       \
                "{\"text\":\"Book it for 2\",\"metadata\":{}},"                                    \
                "{\"text\":\"Done: AB12\",\"metadata\":{" BOOKED "}" two "},"                      \
                "{\"text\":\"Bye\",\"metadata\":{}}]}"
#define WHOLE DIALOGUE("," ACTS_ONE, "," ACTS_TWO)

static syn_questions *asked;

static int asked_close(void **state)
{
    (void)state;
    syn_questions_close(asked);
    asked = NULL;
    return 0;
}

static syn_status open_at(const char *path, const char *split)
{
    syn_questions_options o = {.benchmark = "multiwoz", .path = path, .split = split};
    syn_questions_close(asked);
    return syn_questions_open(&o, &asked);
}

static const syn_question *next(void)
{
    const syn_question *q = NULL;
    assert_ok(syn_questions_next(asked, &q));
    return q;
}

/* A file in a folder of the test's folder. */
static void put(const char *folder, const char *name, const char *text)
{
    char path[80];
    mkdir(path_of(folder), 0777);
    assert_true((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path);
    text_write(path, text);
}

static void a_system_turn_is_a_question_with_state_goal_and_reference(void **state)
{
    assert_ok(open_at(text_write("data.json", "{\"SNG1.json\":" WHOLE "}"), NULL));
    const syn_question *q = next();
    assert_string_equal(q->id, "sng1#0");
    assert_string_equal(q->question, "A hotel in the east");
    assert_string_equal(q->domain, "hotel");
    assert_int_equal(q->dialogue_count, 0);
    const syn_task_turn *t = q->task;
    assert_string_equal(t->dialogue, "sng1");
    assert_int_equal(t->turn_count, 2);
    assert_int_equal(t->goal_count, 1);
    assert_string_equal(t->goals[0].domain, "hotel");
    assert_string_equal(t->goals[0].info[0].value, "east");
    assert_int_equal(t->goals[0].book_count, 1);
    assert_string_equal(t->goals[0].requests[0], "phone");
    assert_string_equal(t->messages[0], "You want a hotel");
    assert_int_equal(t->state_count, 1);
    assert_string_equal(t->state[0].slot, "area");
    assert_int_equal(t->before_count, 0);
    assert_int_equal(t->booked_count, 0);
    assert_string_equal(t->reference, "The Oak is in the east.");
    assert_string_equal(t->delexicalised, "[hotel_name] is in the [hotel_area].");
    q = next();
    assert_int_equal(q->turn, 1);
    assert_int_equal(q->dialogue_count, 2);
    assert_string_equal(q->dialogue[1].text, "The Oak is in the east.");
    assert_string_equal(q->task->booked[0], "hotel");
    assert_int_equal(q->task->state_count, 2);
    assert_int_equal(q->task->before_count, 1);
    assert_string_equal(q->task->before[0].value, "east");
    assert_string_equal(q->task->delexicalised, "Done: [hotel_reference]");
    assert_null(next()); /* nobody answers the farewell */
}

static void no_annotation_is_counted_and_nothing_is_delexicalised(void **state)
{
    assert_ok(open_at(
        text_write("data.json", "{\"a\":" DIALOGUE(",\"dialog_act\":\"No Annotation\"", "") "}"),
        NULL));
    assert_string_equal(next()->task->delexicalised, "The Oak is in the east.");
    assert_non_null(next());
    assert_int_equal(syn_questions_counted(asked)->unannotated, 2);
}

static void acts_of_a_file_of_their_own_are_found(void **state)
{
    put("mwz20", "data.json", "{\"SNG1.json\":" DIALOGUE("", "") "}");
    put("mwz20", "dialogue_acts.json",
        "{\"SNG1\":{\"1\":{\"Hotel-Inform\":[[\"Name\",\"The Oak\"]]},\"2\":\"No Annotation\"}}");
    assert_ok(open_at(path_of("mwz20"), NULL));
    assert_string_equal(next()->task->delexicalised, "[hotel_name] is in the east.");
    assert_string_equal(next()->task->delexicalised, "Done: AB12");
    assert_int_equal(syn_questions_counted(asked)->unannotated, 1);
    syn_prepare_report report;
    assert_fails(prepare_one("multiwoz", path_of("mwz20"), path_of("mwz20.h5"), &report),
                 SYN_ERR_FORMAT, "no record can be used");
    assert_int_equal(report.sources[0].records_read, 1); /* the turn that has acts */
    put("mwz20", "dialogue_acts.json", "{\"SNG1\":{\"1\":{\"Hotel-Inform\":7}");
    assert_fails(open_at(path_of("mwz20"), NULL), SYN_ERR_FORMAT,
                 "dialogue_acts.json: line 1: ends");
}

static void lists_of_ids_make_the_splits(void **state)
{
    put("lists", "data.json", "{\"T.json\":" WHOLE ",\"D.json\":" WHOLE ",\"R.json\":" WHOLE "}");
    put("lists", "testListFile.json", "T.json\n");
    put("lists", "valListFile.json", "d.json\r\nnone.json");
    static const char *const splits[][2] = {
        {NULL, "t#0"}, {"test", "t#0"}, {"dev", "d#0"}, {"train", "r#0"}};
    for (int i = 0; i < 4; i++) {
        assert_ok(open_at(path_of("lists"), splits[i][0]));
        assert_string_equal(next()->id, splits[i][1]);
        next();
        assert_null(next());
    }
}

#define FRAME22(service, slots, state)                                                             \
    "{\"service\":\"" service "\",\"actions\":[],\"slots\":[" slots "]" state "}"
#define STATE22(values)                                                                            \
    ",\"state\":{\"active_intent\":\"find_hotel\",\"requested_slots\":[],\"slot_values\":{" values \
    "}}"
#define WHOLE22                                                                                    \
    "[{\"dialogue_id\":\"MUL7.json\",\"services\":[\"hotel\"],\"turns\":["                         \
    "{\"turn_id\":\"0\",\"speaker\":\"USER\",\"utterance\":\"East\",\"frames\":[" FRAME22(         \
        "hotel", "",                                                                               \
        STATE22("\"hotel-area\":[\"east\"]")) "]},"                                                \
                                              "{\"turn_id\":\"1\",\"speaker\":\"SYSTEM\","         \
                                              "\"utterance\":\"\u00c9t\u00e9 Oak, 01223\","        \
                                              "\"frames\":[" FRAME22(                              \
                                                  "hotel",                                         \
                                                  "{\"slot\":\"hotel-name\",\"value\":\"Oak\","    \
                                                  "\"start\":4,"                                   \
                                                  "\"exclusive_end\":7}",                          \
                                                  "") "]}]}]"

static void release_22_is_read_from_its_folders_with_the_acts_beside_them(void **state)
{
    put("mwz22", "schema.json", "[]");
    mkdir(path_of("mwz22/dev"), 0777);
    text_write("mwz22/dev/dialogues_001.json", WHOLE22);
    assert_ok(open_at(path_of("mwz22"), NULL));
    const syn_question *q = next();
    assert_string_equal(q->id, "mul7#0");
    assert_int_equal(q->task->goal_count, 0);
    assert_string_equal(q->task->state[0].slot, "area");
    assert_string_equal(q->task->delexicalised, "\u00c9t\u00e9 [hotel_name], 01223");
    assert_null(next());
    put("mwz22", "dialog_acts.json",
        "{\"MUL7.json\":{\"1\":{\"dialog_act\":{},\"span_info\":[[\"Hotel-Inform\",\"phone\","
        "\"01223\","
        "9,14],[\"Hotel-Inform\",\"name\",\"Oak\",4,7],[\"Hotel-Inform\",\"area\",\"x\",99,120]]}}"
        "}");
    assert_ok(open_at(path_of("mwz22"), "dev"));
    assert_string_equal(next()->task->delexicalised, "\u00c9t\u00e9 [hotel_name], [hotel_phone]");
    assert_fails(open_at(path_of("mwz22"), "test"), SYN_ERR_FORMAT,
                 "holds no dialogues of multiwoz, split test");
}

static void broken_dialogues_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"{\"a\":{\"log\":7}}", "\"log\" is not a list"},
        {"{\"a\":{\"goal\":{\"hotel\":{\"reqt\":7}},\"log\":[]}}",
         "column 31 (record 1): \"reqt\" is not a list"},
        {"{\"a\":{\"goal\":{\"message\":[7]},\"log\":[]}}", "\"message\" is not a text"},
        {"{\"a\":" WHOLE, "is the file cut off?"},
        {"{\"a\":{\"log\":[{\"text\":\"x\",\"metadata\":{}},{\"text\":\"y\",\"metadata\":{\"h\":{"
         "\"book\":"
         "{\"booked\":[1,}}}}]}}",
         "record 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const syn_question *q;
        syn_status st;
        assert_ok(open_at(text_write("data.json", bad[i].text), NULL));
        do st = syn_questions_next(asked, &q);
        while (st == SYN_OK && q);
        assert_fails(st, SYN_ERR_FORMAT, bad[i].why);
    }
}

/* ---- Archives ---- */

static const char *zip_write(const char *name, const char *const *members, int count)
{
    const char *path = path_of(name);
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z);
    for (int i = 0; i < count; i++)
        assert_true(
            zip_file_add(z, members[2 * i],
                         zip_source_buffer(z, members[2 * i + 1], strlen(members[2 * i + 1]), 0),
                         0) >= 0);
    assert_int_equal(zip_close(z), 0);
    return path;
}

static void a_release_is_read_from_its_zip(void **state)
{
    static const char *const members[] = {
        "MULTIWOZ2 2/data.json",          "{\"SNG1.json\":" WHOLE "}",
        "MULTIWOZ2 2/testListFile.json",  "SNG1.json\n",
        "MULTIWOZ2 2/hotel_db.json",      "[{\"name\":\"oak\"}]",
        "__MACOSX/MULTIWOZ2 2/data.json", "no JSON"};
    syn_entities e;
    syn_prepare_report in_zip, in_folder;
    assert_ok(open_at(zip_write("release.zip", members, 4), NULL));
    assert_string_equal(next()->id, "sng1#0");
    assert_ok(syn_entities_read(path_of("release.zip"), &e));
    assert_int_equal(e.domain_count, 1);
    syn_entities_free(&e);
    put("release", "data.json", members[1]);
    syn_status zipped = prepare_one("multiwoz", path_of("release.zip"), path_of("z.h5"), &in_zip);
    syn_status plain = prepare_one("multiwoz", path_of("release"), path_of("f.h5"), &in_folder);
    assert_int_equal(zipped, plain);
    assert_int_equal(in_zip.sources[0].records_read,
                     2); /* turns in which the system does something */
    assert_int_equal(in_zip.sources[0].records_read, in_folder.sources[0].records_read);
    assert_string_equal(in_zip.sources[0].sha256, in_folder.sources[0].sha256);
}

static void a_cut_archive_and_one_without_dialogues_are_refused(void **state)
{
    static const char *const members[] = {"x/other.txt", "text"};
    syn_prepare_report report;
    size_t bytes;
    zip_write("none.zip", members, 1);
    assert_fails(open_at(path_of("none.zip"), NULL), SYN_ERR_FORMAT, "holds no dialogues");
    assert_fails(prepare_one("multiwoz", path_of("none.zip"), path_of("n.h5"), &report),
                 SYN_ERR_FORMAT, "is an archive without the file data.json");
    void *whole = file_read(path_of("none.zip"), &bytes);
    file_write("cut.zip", whole, bytes / 2);
    free(whole);
    assert_fails(open_at(path_of("cut.zip"), NULL), SYN_ERR_FORMAT,
                 "cannot be read as a zip archive");
}

static void what_unpacks_to_far_more_than_it_takes_is_refused(void **state)
{
    const size_t bytes = 64 << 20;
    char *blanks = malloc(bytes + 1);
    assert_non_null(blanks);
    memset(blanks, ' ', bytes);
    blanks[bytes] = '\0';
    const char *const members[] = {"data.json", blanks};
    const char *path = zip_write("bomb.zip", members, 1);
    free(blanks);
    assert_ok(open_at(path, NULL));
    const syn_question *q;
    assert_fails(syn_questions_next(asked, &q), SYN_ERR_LIMIT, "data.json unpacks to more than");
}

/* ---- Delexicalisation ---- */

static const char *delexicalise(const char *text, const char *act, const char *slot,
                                const char *value)
{
    static syn_arena arena;
    syn_arena_free(&arena);
    syn_arena_init(&arena, 1 << 20);
    const syn_mark mark = {.act = {act, strlen(act)},
                           .slot = {slot, strlen(slot)},
                           .value = {value, strlen(value)},
                           .start = -1,
                           .end = -1};
    static char out[256];
    snprintf(out, sizeof out, "%s",
             syn_delexicalise(&arena, (syn_slice){text, strlen(text)}, &mark, 1, "restaurant"));
    syn_arena_free(&arena);
    return out;
}

static void names_of_slots_are_mwzevals(void **state)
{
    static const char *const known[][5] = {
        {"at Oak Road .", "Restaurant-Inform", "Addr", "oak road", "at [restaurant_address] ."},
        {"costs 5 pounds", "Train-Inform", "Ticket", "5 pounds", "costs [train_price]"},
        {"takes 50 minutes", "Train-Inform", "Time", "50 minutes", "takes [train_duration]"},
        {"cheap food", "Hotel-Inform", "Price", "cheap", "[hotel_pricerange] food"},
        {"TR01 leaves", "Train-Inform", "Id", "TR01", "[train_trainid] leaves"},
        {"a red ford", "Taxi-Inform", "Car", "red ford", "a [taxi_type]"},
        {"ref XY9", "Booking-Book", "Ref", "XY9", "ref [restaurant_reference]"},
        {"for 2 people", "Booking-Inform", "People", "2", "for [people] people"},
        {"12 stations", "Train-Inform", "Choice", "2", "12 stations"}, /* no whole word */
        {"none of them", "Hotel-Inform", "Name", "none", "none of them"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(delexicalise(known[i][0], known[i][1], known[i][2], known[i][3]),
                            known[i][4]);
}

/* ---- Databases ---- */

static void databases_are_found_beside_the_release_and_asked(void **state)
{
    syn_entities e;
    const syn_row *rows[4];
    mkdir(path_of("all"), 0777);
    put("all/db", "hotel_db.json",
        "[{\"name\":\"oak\",\"type\":\"guesthouse\",\"price range\":\"cheap\",\"location\":[1.5,2],"
        "\"price\":{\"single\":\"50\"},\"parking\":\"yes\",\"id\":7,\"x\":null},"
        "{\"name\":\"elm\",\"type\":\"hotel\",\"price range\":\"cheap\"}]");
    put("all/db", "train_db.json",
        "[{\"leaveAt\":\"09:00\",\"arriveBy\":\"10:00\"},{\"leaveAt\":\"11:00\",\"arriveBy\":\"12:"
        "00\"}]");
    put("all/db", "taxi_db.json", "{\"taxi_colors\":[\"red\",\"blue\"]}");
    put("all/mwz21", "data.json", "{}");
    assert_ok(syn_entities_read(path_of("all/mwz21"), &e));
    assert_int_equal(e.domain_count, 3);
    const syn_domain *hotel = syn_entities_domain(&e, "Hotel");
    assert_non_null(hotel);
    assert_string_equal(syn_row_value(&hotel->rows[0], "location"), "1.5, 2");
    assert_string_equal(syn_row_value(&hotel->rows[0], "price single"), "50");
    assert_string_equal(syn_row_value(&hotel->rows[0], "pricerange"), "cheap");
    assert_string_equal(syn_row_value(&hotel->rows[0], "id"), "7");
    assert_string_equal(syn_row_value(&hotel->rows[0], "x"), "");
    assert_string_equal(syn_row_value(&hotel->rows[0], "absent"), "");
    const syn_slot cheap[] = {{"hotel", "pricerange", "Cheap"},
                              {"hotel", "people", "2"},
                              {"hotel", "type", "dontcare"},
                              {"train", "type", "x"}};
    assert_int_equal(syn_domain_find(hotel, cheap, 4, rows, 1), 2);
    assert_string_equal(syn_row_value(rows[0], "name"), "oak");
    const syn_slot house[] = {{"hotel", "type", "inn|guest house"}, {"hotel", "parking", "free"}};
    assert_int_equal(syn_domain_find(hotel, house, 1, rows, 4), 1);
    const syn_domain *train = syn_entities_domain(&e, "train");
    const syn_slot late[] = {{"train", "leaveAt", "09:01"}},
                   early[] = {{"train", "arriveby", "10:00"}};
    assert_int_equal(syn_domain_find(train, late, 1, rows, 4), 1);
    assert_string_equal(syn_row_value(rows[0], "leaveAt"), "11:00");
    assert_int_equal(syn_domain_find(train, early, 1, rows, 4), 1);
    assert_int_equal(syn_entities_domain(&e, "taxi")->row_count, 1);
    assert_null(syn_entities_domain(&e, "police"));
    syn_entities_free(&e);
    put("all/db", "hotel_db.json", "[{\"name\":\n]");
    assert_fails(syn_entities_read(path_of("all/mwz21"), &e), SYN_ERR_FORMAT,
                 "hotel_db.json: line 2: ']'");
    assert_int_equal(e.domain_count, 0);
    assert_fails(syn_entities_read(path_of("lists"), &e), SYN_ERR_FORMAT,
                 "neither holds databases");
}

static void the_real_dialogues_give_their_known_counts(void **state)
{
    static const struct {
        const char *path, *split;
        int questions;
    } known[] = {{"multiwoz", NULL, 7365},
                 {"multiwoz/MultiWOZ_2.1/data_official_sample.json", NULL, 27},
                 {"multiwoz/MultiWOZ_2.2", "train", 31}};
    syn_entities e;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *path = real_file(known[i].path);
        if (!path) {
            print_message("no real files here\n");
            skip();
        }
        assert_ok(open_at(path, known[i].split));
        while (next()) continue;
        assert_int_equal(syn_questions_counted(asked)->questions, known[i].questions);
    }
    assert_ok(syn_entities_read(real_file("multiwoz/MultiWOZ_2.1"), &e));
    assert_int_equal(e.domain_count, 7);
    assert_int_equal(syn_entities_domain(&e, "train")->row_count, 2828);
    syn_entities_free(&e);
}

#define CASE(test) cmocka_unit_test_teardown(test, asked_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_system_turn_is_a_question_with_state_goal_and_reference),
        CASE(no_annotation_is_counted_and_nothing_is_delexicalised),
        CASE(acts_of_a_file_of_their_own_are_found),
        CASE(lists_of_ids_make_the_splits),
        CASE(release_22_is_read_from_its_folders_with_the_acts_beside_them),
        CASE(broken_dialogues_are_refused_with_their_place),
        CASE(a_release_is_read_from_its_zip),
        CASE(a_cut_archive_and_one_without_dialogues_are_refused),
        CASE(what_unpacks_to_far_more_than_it_takes_is_refused),
        CASE(names_of_slots_are_mwzevals),
        CASE(databases_are_found_beside_the_release_and_asked),
        CASE(the_real_dialogues_give_their_known_counts),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
