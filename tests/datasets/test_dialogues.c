/* MultiWOZ and SGD: which facts become pieces, which are needed, and that a domain is one group. */
#include "tests/datasets/loaded.h"

#include "datasets/dialogue.h"

/* What a piece should be: its title, its whole text, gold or not. */
typedef struct expected {
    const char *title, *body;
    int gold;
} expected;

static void assert_record(const syn_dataset *ds, int64_t index, const char *id,
                          const char *question, const expected *pieces)
{
    const syn_record *r = &ds->records[index];
    assert_true(index < ds->record_count);
    assert_string_equal(syn_record_id(ds, r), id);
    assert_words(ds, r->question_at, r->question_count, question);
    int k = 0;
    for (; pieces[k].title; k++) {
        assert_true(k < r->piece_count);
        const syn_piece *p = syn_record_piece(ds, r, k);
        assert_words(ds, p->title_at, p->title_count, pieces[k].title);
        assert_int_equal(p->title_key, syn_dataset_key(pieces[k].title, strlen(pieces[k].title)));
        assert_words(ds, p->body_at, p->body_count, pieces[k].body);
        if (p->gold != pieces[k].gold)
            fail_msg("%s: \"%s\" is%s gold", id, pieces[k].body, p->gold ? "" : " not");
    }
    assert_int_equal(k, r->piece_count);
}

#define RECORD(index, id, question, ...)                                                           \
    assert_record(&ds, index, id, question, (const expected[]){__VA_ARGS__, {NULL, NULL, 0}})

/* ---- MultiWOZ 2.1 ---- */

#define USER(text, acts) "{\"text\":\"" text "\",\"metadata\":{},\"dialog_act\":{" acts "}}"
#define SYSTEM(text, state, acts)                                                                  \
    "{\"metadata\":{" state "},\"dialog_act\":{" acts "},\"text\":\"" text "\",\"span_info\":[]}"
#define DOMAIN(name, semi, book)                                                                   \
    "\"" name "\":{\"book\":{\"booked\":[{\"name\":\"x\"}]" book "},\"semi\":{" semi "}}"
#define WOZ(id, turns) "{\"" id "\":{\"goal\":{\"message\":[\"a\"]},\"log\":[" turns "]}}"

#define HOTEL DOMAIN("hotel", "\"area\":\"east\",\"name\":\"not mentioned\",\"stars\":\"\"", "")
#define HOTEL2                                                                                     \
    DOMAIN("hotel", "\"area\":\"east\",\"name\":\"the acorn\",\"pricerange\":\"cheap\"",           \
           ",\"people\":\"3\",\"day\":\"friday\"")

static void earlier_facts_of_the_acting_domain_are_gold_and_others_are_not(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "multiwoz",
        WOZ("A1.json",
            USER("a hotel in the east", "\"Hotel-Inform\":[]") "," SYSTEM("which one ?", HOTEL, "\"Hotel-Request\":[]") "," USER(
                "the acorn , cheap , 3 people , friday",
                "") "," SYSTEM("booked !", HOTEL2,
                               "\"Booking-Book\":[[\"Ref\","
                               "\"1\"]]") "," USER("a train "
                                                   "to ely",
                                                   "\"Train-"
                                                   "Inform\":["
                                                   "]") "," SYSTEM("when ?",
                                                                   HOTEL2
                                                                   "," DOMAIN("train",
                                                                              "\"destination\":"
                                                                              "\"ely\"",
                                                                              ""),
                                                                   "\"Train-Request\":["
                                                                   "]") "," USER("at "
                                                                                 "10:00",
                                                                                 "") "," SYSTEM("TR"
                                                                                                "1 "
                                                                                                "le"
                                                                                                "av"
                                                                                                "es"
                                                                                                " t"
                                                                                                "he"
                                                                                                "n",
                                                                                                HOTEL2
                                                                                                "," DOMAIN(
                                                                                                    "train",
                                                                                                    "\"destination\":\"ely\",\"leaveAt\":\"10:00\"",
                                                                                                    ""),
                                                                                                "\""
                                                                                                "Tr"
                                                                                                "ai"
                                                                                                "n-"
                                                                                                "In"
                                                                                                "fo"
                                                                                                "rm"
                                                                                                "\""
                                                                                                ":["
                                                                                                "],"
                                                                                                "\""
                                                                                                "ge"
                                                                                                "ne"
                                                                                                "ra"
                                                                                                "l-"
                                                                                                "re"
                                                                                                "qm"
                                                                                                "or"
                                                                                                "e"
                                                                                                "\""
                                                                                                ":["
                                                                                                "]")),
        &ds));
    /* Of the four exchanges the first and third only ask back; in the second all facts known
     * before are needed; the last needs what was known of the train. */
    assert_int_equal(ds.sources[0].records_read, 2);
    assert_int_equal(ds.sources[0].skipped[SYN_SKIP_NO_DISTRACTOR], 1);
    assert_int_equal(ds.record_count, 1);
    RECORD(0, "A1#6", "when ? at 10:00", {"hotel people", "hotel people 3", 0},
           {"hotel day", "hotel day friday", 0}, {"hotel area", "hotel area east", 0},
           {"hotel name", "hotel name the acorn", 0},
           {"hotel price range", "hotel price range cheap", 0},
           {"train destination", "train destination ely", 1});
    const syn_record *r = &ds.records[0];
    assert_int_equal(r->context_key, syn_dataset_key("A1", 2));
    const uint8_t hotel = syn_record_piece(&ds, r, 0)->group,
                  train = syn_record_piece(&ds, r, 5)->group;
    assert_true(hotel >= 1 && train >= 1 && hotel != train);
    for (int k = 0; k < 5; k++) assert_int_equal(syn_record_piece(&ds, r, k)->group, hotel);
    assert_string_equal(ds.sources[0].name, "multiwoz");
    syn_dataset_free(&ds);
}

#define TAXI_DIALOGUE(request, taxi)                                                                \
    WOZ("B2",                                                                                       \
        USER("hello", "") "," SYSTEM(                                                               \
            "yes ?",                                                                                \
            HOTEL2 "," DOMAIN("restaurant", "\"name\":\"curry garden\",\"area\":\"west\"",          \
                              ",\"people\":\"3\",\"day\":\"monday\""),                              \
            "\"Restaurant-Request\":[]") "," USER(request,                                          \
                                                  "") "," SYSTEM("done",                            \
                                                                 HOTEL2 "," DOMAIN(                 \
                                                                     "restaurant",                  \
                                                                     "\"name\":\"curry "            \
                                                                     "garden\",\"area\":\"west\"",  \
                                                                     ",\"people\":\"3\",\"day\":"   \
                                                                     "\"monday\"") "," DOMAIN("ta"  \
                                                                                              "x"   \
                                                                                              "i",  \
                                                                                              taxi, \
                                                                                              ""),  \
                                                                 "\"Taxi-Inform\":[]"))

/* The writer of the taxi's booking lacks what the agents of other domains hold. */
static void a_value_that_comes_from_another_domain_makes_that_fact_gold(void **state)
{
    syn_dataset ds;
    assert_ok(
        load_text("multiwoz",
                  TAXI_DIALOGUE("a taxi from the hotel to the restaurant",
                                "\"departure\":\"The Acorn\",\"destination\":\"curry garden\""),
                  &ds));
    RECORD(0, "B2#2", "yes ? a taxi from the hotel to the restaurant",
           {"hotel people", "hotel people 3", 0}, {"hotel day", "hotel day friday", 0},
           {"hotel area", "hotel area east", 0}, {"hotel name", "hotel name the acorn", 1},
           {"hotel price range", "hotel price range cheap", 0},
           {"restaurant people", "restaurant people 3", 0},
           {"restaurant day", "restaurant day monday", 0},
           {"restaurant name", "restaurant name curry garden", 1},
           {"restaurant area", "restaurant area west", 0});
    syn_dataset_free(&ds);
}

static int gold_of(const syn_dataset *ds)
{
    int gold = 0;
    for (int k = 0; k < ds->records[0].piece_count; k++)
        gold |= (int)syn_record_piece(ds, &ds->records[0], k)->gold << k;
    return gold;
}

static void a_value_that_the_question_says_or_that_is_any_number_is_not_carried(void **state)
{
    syn_dataset ds;
    /* "the acorn" stands in the question; "3" is under another slot; the area is carried. */
    assert_ok(load_text("multiwoz",
                        TAXI_DIALOGUE("from THE ACORN to the same area",
                                      "\"departure\":\"the acorn\",\"seats\":\"3\","
                                      "\"destination\":\"west\""),
                        &ds));
    assert_int_equal(gold_of(&ds), 1 << 8);
    syn_dataset_free(&ds);
}

/* A number is carried under its own slot, from the domain that was in use last. */
static void of_several_origins_the_last_one_in_use_counts(void **state)
{
    syn_dataset ds;
    static const char *const order[] = {"hotel", "restaurant"};
    for (int last = 0; last < 2; last++) {
        char text[2048];
        snprintf(
            text, sizeof text,
            WOZ("D",
                USER("a", "") "," SYSTEM("b", DOMAIN("%s", "", ",\"people\":\"3\",\"day\":\"x\""), "") "," USER(
                    "a",
                    "") "," SYSTEM("b",
                                   DOMAIN(
                                       "hotel", "",
                                       ",\"people\":\"3\",\"day\":\"x\"") "," DOMAIN("restaurant",
                                                                                     "",
                                                                                     ",\"people\":"
                                                                                     "\"3\","
                                                                                     "\"day\":"
                                                                                     "\"y\""),
                                   "") "," USER("for us",
                                                "") "," SYSTEM("c",
                                                               DOMAIN("hotel", "", ",\"people\":\"3\",\"day\":\"x\"") "," DOMAIN(
                                                                   "restaurant", "",
                                                                   ",\"people\":\"3\",\"day\":"
                                                                   "\"y\"") "," DOMAIN("train",
                                                                                       "\"day\":"
                                                                                       "\"dontcare"
                                                                                       "\"",
                                                                                       ",\"people\""
                                                                                       ":\"3\""),
                                                               "\"Train-OfferBook\":[]")),
            order[!last]);
        assert_ok(load_text("multiwoz", text, &ds));
        assert_int_equal(gold_of(&ds), last ? 1 << 2 : 1 << 0);
        syn_dataset_free(&ds);
    }
}

static void facts_that_the_user_has_just_changed_are_no_pieces(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "multiwoz",
        WOZ("C",
            USER("a", "") "," SYSTEM(
                "b",
                DOMAIN("hotel", "\"area\":\"east\",\"stars\":\"4\"",
                       "") "," DOMAIN("train", "\"day\":\"monday\"", ""),
                "") "," USER("west , not east",
                             "") "," SYSTEM("c",
                                            DOMAIN("hotel", "\"area\":\"west\",\"stars\":\"4\"",
                                                   "") "," DOMAIN("train", "\"day\":\"monday\"",
                                                                  ""),
                                            "\"Hotel-Recommend\":[]")),
        &ds));
    RECORD(0, "C#2", "b west , not east", {"hotel stars", "hotel stars 4", 1},
           {"train day", "train day monday", 0});
    syn_dataset_free(&ds);
}

static void acts_may_stand_before_the_state_and_be_no_object(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "multiwoz",
        WOZ("C",
            "{\"text\":\"a\",\"dialog_act\":\"No Annotation\"}," SYSTEM(
                "b",
                DOMAIN("hotel", "\"stars\":\"4\"", "") "," DOMAIN("train", "\"day\":\"x\"", ""),
                "") "," USER("c", "") ","
                                      "{\"dialog_act\":{\"Hotel-Inform\":[]},\"metadata\":{" DOMAIN(
                                          "hotel", "\"stars\":\"4\"",
                                          "") "," DOMAIN("train", "\"day\":\"x\"",
                                                         "") "},\"text\":\"d\"}"),
        &ds));
    assert_int_equal(ds.record_count, 1);
    syn_dataset_free(&ds);
}

static void wrong_multiwoz_files_are_refused(void **state)
{
    assert_refused("multiwoz", "[]", "an object of records by name is expected");
    assert_refused("multiwoz", "{}", "holds no record");
    assert_refused("multiwoz", "{\"a\":7}", "a record must be an object");
    assert_refused("multiwoz", "{\"a\" {}}", "':' is expected behind a key");
    assert_refused("multiwoz", "{a:{}}", "a key in quotes is expected");
    assert_refused("multiwoz", "{\"a\":{}}",
                   "line 1, column 6 (record 1): the dialogue has no \"log\"");
    assert_refused("multiwoz", "{\"a\":{\"log\":[{}]}}", "has no \"text\"");
    assert_refused("multiwoz", "{\"a\":{\"log\":[],\"log\":[]}}", "\"log\" comes twice");
    assert_refused("multiwoz", WOZ("a", USER("a", "") "," SYSTEM("b", "\"hotel\":7", "")),
                   "a domain of \"metadata\" is not an object");
    assert_refused("multiwoz", "{\"a\":{\"log\":[]}} x", "text behind the end of the object");
    assert_refused("multiwoz",
                   WOZ("a", USER("a", "") "," SYSTEM(
                                "b",
                                "\"1\":{},\"2\":{},\"3\":{},\"4\":{},\"5\":{},\"6\":{},\"7\":{},"
                                "\"8\":{},\"9\":{}",
                                "")),
                   "more than 8 domains");
}

/* ---- MultiWOZ 2.2 and SGD ---- */

#define TURN(speaker, text, frames)                                                                \
    "{\"frames\":[" frames "],\"speaker\":\"" speaker "\",\"turn_id\":\"0\",\"utterance\":\"" text \
    "\"}"
#define STATE(service, intent, requested, values)                                                  \
    "{\"actions\":[],\"slots\":[],\"state\":{\"active_intent\":\"" intent                          \
    "\",\"requested_slots\":[" requested "],\"slot_values\":{" values "}},\"service\":\"" service  \
    "\"}"
#define ACTION(service, act)                                                                       \
    "{\"actions\":[{\"act\":\"" act "\",\"slot\":\"\",\"values\":[]}],\"service\":\"" service      \
    "\",\"slots\":[]}"
#define DIALOGUE(id, turns) "[{\"dialogue_id\":\"" id "\",\"services\":[],\"turns\":[" turns "]}]"

static void state_of_services_that_a_turn_does_not_mention_stays(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "sgd",
        DIALOGUE(
            "1_00001",
            TURN("USER", "an event", STATE("Calendar_1", "GetEvents", "", "\"event_date\":[\"the 3rd\",\"3rd\"]")) "," TURN("SYSTEM", "one", ACTION("Calendar_1", "OFFER")) "," TURN(
                "USER", "a ride",
                STATE(
                    "RideSharing_2", "GetRide",
                    "",
                    "\"destination\":[\"home\"]")) "," TURN("SYSTEM", "seats ?",
                                                            ACTION(
                                                                "RideSharing_2",
                                                                "REQUEST")) "," TURN("USER", "two",
                                                                                     STATE(
                                                                                         "RideSha"
                                                                                         "ring_2",
                                                                                         "GetRid"
                                                                                         "e",
                                                                                         "",
                                                                                         "\"desti"
                                                                                         "nation"
                                                                                         "\":["
                                                                                         "\"home"
                                                                                         "\"],"
                                                                                         "\"numbe"
                                                                                         "r_of_"
                                                                                         "seats\""
                                                                                         ":["
                                                                                         "\"2\""
                                                                                         "]")) "," TURN("SYSTEM",
                                                                                                        "right ?",
                                                                                                        ACTION(
                                                                                                            "RideSharing_2",
                                                                                                            "CONFIRM")) "," TURN("USER",
                                                                                                                                 "thanks",
                                                                                                                                 STATE(
                                                                                                                                     "Ride"
                                                                                                                                     "Shar"
                                                                                                                                     "ing_"
                                                                                                                                     "2",
                                                                                                                                     "NON"
                                                                                                                                     "E",
                                                                                                                                     "",
                                                                                                                                     "\"de"
                                                                                                                                     "stin"
                                                                                                                                     "atio"
                                                                                                                                     "n\":"
                                                                                                                                     "[\"h"
                                                                                                                                     "ome"
                                                                                                                                     "\"],"
                                                                                                                                     "\"nu"
                                                                                                                                     "mber"
                                                                                                                                     "_of_"
                                                                                                                                     "seat"
                                                                                                                                     "s\":"
                                                                                                                                     "[\"2"
                                                                                                                                     "\""
                                                                                                                                     "]")) "," TURN("SYSTEM",
                                                                                                                                                    "bye",
                                                                                                                                                    ACTION(
                                                                                                                                                        "RideSharing_2",
                                                                                                                                                        "GOODBYE"))),
        &ds));
    assert_int_equal(ds.sources[0].records_read, 2);
    assert_int_equal(ds.record_count, 1);
    RECORD(0, "1_00001#4", "seats ? two", {"calendar event date", "calendar event date the 3rd", 0},
           {"ride sharing destination", "ride sharing destination home", 1});
    assert_string_equal(ds.sources[0].name, "sgd");
    syn_dataset_free(&ds);
}

#define REST(values) STATE("restaurant", "find_restaurant", "", values)
/* Without acts a service counts in which the user changes something, asks, or is told a value. */
static void without_actions_the_users_intent_decides(void **state)
{
    syn_dataset ds;
    assert_ok(load_text(
        "multiwoz22",
        DIALOGUE(
            "X.json",
            TURN(
                "USER", "a",
                STATE(
                    "hotel", "find_hotel", "",
                    "\"hotel-area\":[\"east\"],"
                    "\"hotel-bookstay\":[\"2\"]") "," REST("\"restaurant-food\":["
                                                           "\"thai\"]")) "," TURN("SYSTE"
                                                                                  "M",
                                                                                  "b",
                                                                                  "") "," TURN("USE"
                                                                                               "R",
                                                                                               "pho"
                                                                                               "ne",
                                                                                               STATE("hotel",
                                                                                                     "find_hotel",
                                                                                                     "",
                                                                                                     "\"hotel-area\":[\"east\"],"
                                                                                                     "\"hotel-bookstay\":[\"2\"]") "," STATE("restaurant",
                                                                                                                                             "find_restaurant",
                                                                                                                                             "\"restaurant-phone\"",
                                                                                                                                             "\"restaurant-food\":[\"thai\"]")) "," TURN("SYSTEM",
                                                                                                                                                                                         "c", "") "," TURN("USER",
                                                                                                                                                                                                           "bye",
                                                                                                                                                                                                           STATE("hotel",
                                                                                                                                                                                                                 "find_hotel",
                                                                                                                                                                                                                 "",
                                                                                                                                                                                                                 "\"hotel-area\":[\"east\"],"
                                                                                                                                                                                                                 "\"hotel-bookstay\":[\"2\"]") "," REST("\"restaurant-food\":[\"thai\"]")) "," TURN("SYSTEM",
                                                                                                                                                                                                                                                                                                    "d",
                                                                                                                                                                                                                                                                                                    "{\"service\":\"hotel\",\"slots\":[{\"slot\":\"hotel-name\"}]}")),
        &ds));
    assert_int_equal(ds.record_count, 2);
    RECORD(0, "X#2", "b phone", {"hotel area", "hotel area east", 0},
           {"hotel stay", "hotel stay 2", 0}, {"restaurant food", "restaurant food thai", 1});
    RECORD(1, "X#4", "c bye", {"hotel area", "hotel area east", 1},
           {"hotel stay", "hotel stay 2", 1}, {"restaurant food", "restaurant food thai", 0});
    syn_dataset_free(&ds);
}

static void a_folder_is_read_file_by_file_in_order(void **state)
{
    syn_prepare_report a, b;
    syn_dataset one = {0}, two = {0};
    char text[4096];
    const char *folder = path_of("dialogues");
    char folder_path[160], file[64];
    snprintf(folder_path, sizeof folder_path, "%s", folder);
    assert_int_equal(mkdir(folder_path, 0777), 0);
    assert_fails(prepare_one("sgd", folder_path, path_of("none.h5"), &a), SYN_ERR_FORMAT,
                 "is a folder without files dialogues_*.json");
    const char *record = DIALOGUE(
        "%d", TURN("USER", "x",
                   STATE("A", "I", "", "\"s\":[\"v\"]") "," STATE(
                       "B", "I", "",
                       "\"t\":[\"w\"]")) "," TURN("SYSTEM", "y",
                                                  "") "," TURN("USER", "z",
                                                               "") "," TURN("SYSTEM", "y",
                                                                            ACTION("A", "INFORM")));
    for (int i = 2; i >= 1; i--) { /* made in the other order */
        snprintf(file, sizeof file, "dialogues/dialogues_%03d.json", i);
        snprintf(text, sizeof text, record, i);
        text_write(file, text);
    }
    text_write("dialogues/schema.json", "not JSON");
    assert_ok(prepare_one("sgd", folder_path, path_of("a.h5"), &a));
    assert_int_equal(a.records, 2);
    assert_int_equal(a.source_count, 1);
    assert_int_equal(strlen(a.sources[0].sha256), 64);
    assert_ok(syn_dataset_load(&one, path_of("a.h5")));
    assert_string_equal(syn_record_id(&one, &one.records[0]), "1#2");
    snprintf(text, sizeof text, record, 3);
    text_write("dialogues/dialogues_002.json", text);
    assert_ok(prepare_one("sgd", folder_path, path_of("b.h5"), &b));
    assert_string_not_equal(a.sources[0].sha256, b.sources[0].sha256);
    assert_ok(syn_dataset_load(&two, path_of("b.h5")));
    assert_string_equal(syn_record_id(&two, &two.records[1]), "3#2");
    assert_fails(prepare_one("hotpotqa", folder_path, path_of("c.h5"), &a), SYN_ERR_FORMAT,
                 "is a folder");
    syn_dataset_free(&one);
    syn_dataset_free(&two);
}

static void wrong_multiwoz22_files_are_refused(void **state)
{
    assert_refused("multiwoz22", "[{\"turns\":[]}]", "has no \"dialogue_id\"");
    assert_refused("multiwoz22", "[{\"dialogue_id\":\"a\"}]", "has no \"turns\"");
    assert_refused("sgd", DIALOGUE("a", "{\"utterance\":\"x\"}"), "has no \"speaker\"");
    assert_refused("sgd", DIALOGUE("a", "{\"speaker\":\"USER\"}"), "has no \"utterance\"");
    assert_refused("sgd", DIALOGUE("a", TURN("BOT", "x", "")), "neither USER nor SYSTEM");
    assert_refused("sgd", DIALOGUE("a", TURN("USER", "x", "{}")), "has no \"service\"");
    assert_refused("sgd", DIALOGUE("a", TURN("USER", "x", STATE("s", "i", "", "\"a\":\"b\""))),
                   "the values of a slot is not a list");
    assert_refused("sgd", "{\"data\":[]}", "has no \"dialogue_id\"");
}

static void every_cut_of_a_file_is_refused(void **state)
{
    static const char *const texts[] = {
        TAXI_DIALOGUE("a taxi from the hotel", "\"departure\":\"The Acorn\""),
        DIALOGUE(
            "a",
            TURN("USER", "x",
                 STATE("A", "I", "", "\"s\":[\"v\"]") "," STATE(
                     "B", "I", "",
                     "\"t\":[\"w\"]")) "," TURN("SYSTEM", "y",
                                                "") "," TURN("USER", "z",
                                                             "") "," TURN("SYSTEM", "y",
                                                                          ACTION("A", "INFORM")))};
    static const char *const formats[] = {"multiwoz", "sgd"};
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

static void caps_are_checked(void **state)
{
    syn_dataset ds;
    size_t max = 1 << 20, n;
    char *text = malloc(max);
    assert_non_null(text);
    n = (size_t)snprintf(text, max,
                         "{\"a\":{\"log\":[" USER("a", "") ",{\"text\":\"b\",\"metadata\":"
                                                           "{\"hotel\":{\"semi\":{");
    for (int k = 0; k <= SYN_STATE_FACTS_MAX; k++)
        n += (size_t)snprintf(text + n, max - n, "%s\"s%d\":\"v\"", k ? "," : "", k);
    snprintf(text + n, max - n, "}}}}]}}");
    assert_fails(load_text("multiwoz", text, &ds), SYN_ERR_FORMAT, "more than 128 facts");
    n = (size_t)snprintf(text, max, "[{\"dialogue_id\":\"a\",\"turns\":[");
    for (int k = 0; k <= SYN_EXCHANGES_MAX; k++)
        n += (size_t)snprintf(text + n, max - n, "%s" TURN("USER", "a", ""), k ? "," : "");
    snprintf(text + n, max - n, "]}]");
    assert_fails(load_text("sgd", text, &ds), SYN_ERR_FORMAT, "more than 256 exchanges");
    memset(text, 'k', 400);
    memcpy(text, "{\"", 2);
    strcpy(text + 400, "\":{}}");
    assert_fails(load_text("multiwoz", text, &ds), SYN_ERR_LIMIT, "a key of more than 255 bytes");
    free(text);
}

/* Counted on the shared samples by a separate script. */
static void the_real_files_give_their_known_counts(void **state)
{
    static const struct {
        const char *format, *file;
        int64_t read, kept, no_facts, no_distractor, pieces, gold;
    } known[] = {
        {"multiwoz", "multiwoz/MultiWOZ_2.1/val.json", 5029, 1779, 1322, 1928, 12163, 4712},
        {"multiwoz", "multiwoz/MultiWOZ_2.1/data_official_sample.json", 16, 4, 5, 7, 41, 15},
        {"multiwoz22", "multiwoz/MultiWOZ_2.2/train/dialogues_sample.json", 19, 2, 5, 12, 11, 5},
    };
    if (!real_file(known[0].file)) skip();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        syn_dataset ds = {0};
        int64_t gold = 0;
        assert_ok(syn_dataset_read_json(&ds, known[i].format, real_file(known[i].file)));
        const syn_source *s = &ds.sources[0];
        assert_int_equal(s->records_read, known[i].read);
        assert_int_equal(ds.record_count, known[i].kept);
        assert_int_equal(s->skipped[SYN_SKIP_NO_FACTS], known[i].no_facts);
        assert_int_equal(s->skipped[SYN_SKIP_NO_DISTRACTOR], known[i].no_distractor);
        for (int64_t r = 0; r < ds.record_count; r++) gold += ds.records[r].gold_count;
        assert_int_equal(ds.piece_count, known[i].pieces);
        assert_int_equal(gold, known[i].gold);
        syn_dataset_free(&ds);
    }
}

static void the_real_folder_gives_its_known_counts(void **state)
{
    syn_prepare_report report;
    if (!real_file("sgd/train")) skip();
    assert_ok(prepare_one("sgd", real_file("sgd/train"), path_of("sgd.h5"), &report));
    assert_int_equal(report.sources[0].records_read, 866);
    assert_int_equal(report.records, 278);
    assert_int_equal(report.pieces, 1522);
    assert_int_equal(report.gold, 688);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(earlier_facts_of_the_acting_domain_are_gold_and_others_are_not),
        cmocka_unit_test(a_value_that_comes_from_another_domain_makes_that_fact_gold),
        cmocka_unit_test(a_value_that_the_question_says_or_that_is_any_number_is_not_carried),
        cmocka_unit_test(of_several_origins_the_last_one_in_use_counts),
        cmocka_unit_test(facts_that_the_user_has_just_changed_are_no_pieces),
        cmocka_unit_test(acts_may_stand_before_the_state_and_be_no_object),
        cmocka_unit_test(wrong_multiwoz_files_are_refused),
        cmocka_unit_test(state_of_services_that_a_turn_does_not_mention_stays),
        cmocka_unit_test(without_actions_the_users_intent_decides),
        cmocka_unit_test(a_folder_is_read_file_by_file_in_order),
        cmocka_unit_test(wrong_multiwoz22_files_are_refused),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(caps_are_checked),
        cmocka_unit_test(the_real_files_give_their_known_counts),
        cmocka_unit_test(the_real_folder_gives_its_known_counts),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
