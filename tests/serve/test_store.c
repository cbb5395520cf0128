/* What the store keeps, the same on SQLite and on a real PostgreSQL. */
#include "tests/serve/store_world.h"

#include <pthread.h>
#include <sys/stat.h>

#include "kernels/base/progress.h"
#include "serve/store_driver.h"
#include "serve/store_key.h"

static const char sha_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char sha_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void keys_are_found_by_their_hash_and_revoked(world *w)
{
    const syn_db_key a = {
        .id = "a", .org = "default", .sha256 = sha_a, .prefix = "sync_ab", .tier = "pro"};
    const syn_db_key b = {.id = "b", .org = "other", .sha256 = sha_b, .tier = "admin"};
    syn_db_key hostile = a; /* a list of keys is read in a terminal */
    hostile.name = "\x1b[2J";
    assert_int_equal(syn_db_key_add(w->db, &hostile, keep, &r), SYN_ERR_INVALID);
    hostile = (syn_db_key){.id = "c", .org = "a\nb", .sha256 = sha_a, .tier = "pro"};
    assert_int_equal(syn_db_key_add(w->db, &hostile, keep, &r), SYN_ERR_INVALID);
    ANSWERED(w->db, &r, syn_db_key_add(w->db, &a, keep, &r));
    assert_int_equal(r.changed, 1);
    ANSWERED(w->db, &r, syn_db_key_add(w->db, &a, keep, &r)); /* a repeated insert */
    assert_int_equal(r.changed, 0);
    ANSWERED(w->db, &r, syn_db_key_add(w->db, &b, keep, &r));
    ANSWERED(w->db, &r, syn_db_key_find(w->db, sha_a, keep, &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.row[0].id, "a");
    assert_string_equal(r.row[0].tier, "pro");
    assert_string_equal(r.row[0].prefix, "sync_ab");
    assert_true(r.row[0].created_ms > 1600000000000);
    assert_int_equal(r.row[0].revoked_ms, 0);
    ANSWERED(w->db, &r, syn_db_key_list(w->db, "other", 10, 0, keep, &r));
    assert_int_equal(r.count, 1);
    assert_int_equal(r.total, 1);
    assert_string_equal(r.row[0].id, "b");

    /* Only within its organisation. */
    ANSWERED(w->db, &r, syn_db_key_revoke(w->db, "other", "a", keep, &r));
    assert_int_equal(r.changed, 0);
    ANSWERED(w->db, &r, syn_db_key_revoke(w->db, "default", "a", keep, &r));
    assert_int_equal(r.changed, 1);
    ANSWERED(w->db, &r, syn_db_key_find(w->db, sha_a, keep, &r));
    const int64_t revoked_ms = r.row[0].revoked_ms;
    assert_true(revoked_ms >= r.row[0].created_ms);
    usleep(3000);
    ANSWERED(w->db, &r, syn_db_key_revoke(w->db, "default", "a", keep, &r));
    ANSWERED(w->db, &r, syn_db_key_find(w->db, sha_a, keep, &r));
    assert_true(r.row[0].revoked_ms == revoked_ms);
    ANSWERED(w->db, &r,
             syn_db_key_find(w->db,
                             "0"
                             "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                             keep, &r));
    assert_int_equal(r.count, 0);
}

static void history_is_listed_newest_first_with_filters_and_total(world *w)
{
    for (int k = 0; k < 30; k++) {
        char id[16], query[32];
        snprintf(id, sizeof id, "id-%02d", k);
        snprintf(query, sizeof query, "question %d", k);
        syn_db_record record = record_of(id, query);
        record.created_ms = 1700000000000 + k;
        record.confidence = k / 100.0;
        record.owner = k % 3 == 0 ? "key-2" : "key-1";
        record.task_type = k % 2 ? "qa" : "analysis";
        if (k == 29) record.org = "other";
        assert_ok(syn_db_history_add(w->db, &record, NULL, NULL));
    }
    syn_db_filter f = {.org = "default", .limit = 10, .min_confidence = -1};
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, 29);
    assert_int_equal(r.count, 10);
    assert_string_equal(r.row[0].id, "id-28");
    assert_string_equal(r.row[9].id, "id-19");
    assert_string_equal(r.row[0].text, ""); /* lists carry no replies */
    f.offset = 25;
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, 29);
    assert_int_equal(r.count, 4);
    f = (syn_db_filter){
        .org = "default", .owner = "key-2", .task_type = "qa", .min_confidence = .15, .limit = 100};
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, 3); /* 15, 21, 27 */
    assert_int_equal(r.count, 3);
    assert_string_equal(r.row[2].id, "id-15");
    assert_true(r.row[2].confidence == .15);
    f.offset = 1000;
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, 3);
    assert_int_equal(r.count, 0);
}

static void a_record_is_its_owners_and_its_organisations(world *w)
{
    syn_db_record record = record_of("x", "who?");
    ANSWERED(w->db, &r, syn_db_history_add(w->db, &record, keep, &r));
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", "key-1", "x", keep, &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.row[0].text, record.reply);
    assert_int_equal(r.row[0].rounds, 2);
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", "key-2", "x", keep, &r));
    assert_int_equal(r.count, 0);
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", NULL, "x", keep, &r));
    assert_int_equal(r.count, 1);
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "other", NULL, "x", keep, &r));
    assert_int_equal(r.count, 0);
}

/* What would end a statement, a string or a program keeps its bytes, and its row only. */
static void hostile_texts_are_only_texts(world *w)
{
    static const char *const texts[] = {
        "'; DROP TABLE history; --",
        "\" OR 1=1 --",
        "' OR ''='",
        "\\'; SELECT pg_sleep(9); --",
        "$1",
        "$$; DELETE FROM audit; $$",
        "%s%n%x",
        "<script>alert(1)</script>",
        "\x01\x1b[31m\r\n",
        "\xf0\x9f\x92\xa5 \xe2\x80\xae",
        "NULL",
        "1; ATTACH DATABASE '/tmp/x' AS y",
        "?1 :a @b",
        "{a,b}\\N",
        "E'\\x00'",
    };
    const int count = sizeof texts / sizeof *texts;
    for (int k = 0; k < count; k++) {
        syn_db_record record = record_of(texts[k], texts[k]);
        record.org = record.owner = record.task_type = record.reply = texts[k];
        ANSWERED(w->db, &r, syn_db_history_add(w->db, &record, keep, &r));
    }
    for (int k = 0; k < count; k++) {
        const syn_db_filter f = {
            .org = texts[k], .owner = texts[k], .task_type = texts[k], .limit = 9};
        ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
        assert_int_equal(r.total, 1);
        ANSWERED(w->db, &r, syn_db_history_get(w->db, texts[k], texts[k], texts[k], keep, &r));
        assert_int_equal(r.count, 1);
        assert_string_equal(r.row[0].query, texts[k]);
        assert_string_equal(r.row[0].text, texts[k]);
    }
}

static void what_is_too_large_or_no_text_is_refused_before_it_is_copied(world *w)
{
    static char large[SYN_DB_REPLY_BYTES_MAX + 2];
    memset(large, 'a', sizeof large - 1);
    syn_db_record record = record_of("x", "who?");
    record.reply = large;
    assert_int_equal(syn_db_history_add(w->db, &record, keep, &r), SYN_ERR_INVALID);
    record.reply = large + 1; /* as long as it may be */
    ANSWERED(w->db, &r, syn_db_history_add(w->db, &record, keep, &r));
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", NULL, "x", keep, &r));
    assert_int_equal(strlen(r.row[0].text), SYN_DB_REPLY_BYTES_MAX);
    record = record_of("y", "\xff\xfe");
    assert_int_equal(syn_db_history_add(w->db, &record, keep, &r), SYN_ERR_INVALID);
    assert_string_equal(syn_error_text(), "query is not UTF-8");
    record = record_of("y", "who?");
    record.confidence = NAN;
    assert_int_equal(syn_db_history_add(w->db, &record, keep, &r), SYN_ERR_INVALID);
    record.confidence = 1;
    record.org = "";
    assert_int_equal(syn_db_history_add(w->db, &record, keep, &r), SYN_ERR_INVALID);
    syn_db_filter f = {.org = "default", .limit = SYN_DB_ROWS_MAX + 1};
    assert_int_equal(syn_db_history_list(w->db, &f, keep, &r), SYN_ERR_INVALID);
    f = (syn_db_filter){.org = "default", .limit = 1, .offset = -1};
    assert_int_equal(syn_db_history_list(w->db, &f, keep, &r), SYN_ERR_INVALID);
    assert_int_equal(syn_db_key_find(w->db, "short", keep, &r), SYN_ERR_INVALID);
}

static void the_audit_is_kept_apart_by_organisation(world *w)
{
    for (int k = 0; k < 4; k++) {
        const syn_db_event e = {.org = k ? "default" : "other",
                                .action = "key.create",
                                .detail = "{\"n\":1}",
                                .created_ms = 1700000000000 + k};
        ANSWERED(w->db, &r, syn_db_audit_add(w->db, &e, keep, &r));
    }
    ANSWERED(w->db, &r, syn_db_audit_list(w->db, "default", 2, 0, keep, &r));
    assert_int_equal(r.total, 3);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.row[0].detail, "{\"n\":1}");
    assert_int_equal(strlen(r.row[0].id), SYN_DB_ID_BYTES - 1);
}

static void old_records_go_and_others_stay(world *w)
{
    for (int k = 0; k < 1300; k++) { /* several slices */
        syn_db_record record = record_of(NULL, "old");
        record.created_ms = 1600000000000 + k;
        assert_ok(syn_db_history_add(w->db, &record, NULL, NULL));
    }
    syn_db_record fresh = record_of("fresh", "recent");
    assert_ok(syn_db_history_add(w->db, &fresh, NULL, NULL));
    world_close(w);
    const syn_db_options o = {.url = w->url, .retention_days = 30};
    assert_ok(syn_db_open(&w->db, &o));
    const syn_db_filter f = {.org = "default", .limit = 10};
    const double until_s = syn_clock_s() + 30;
    do {
        usleep(10000);
        ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    } while (r.total > 1 && syn_clock_s() < until_s);
    assert_int_equal(r.total, 1);
    assert_string_equal(r.row[0].id, "fresh");
}

static void a_dialogue_is_the_last_records_of_its_session_and_owner(world *w)
{
    for (int k = 0; k < 12; k++) {
        char id[16], query[32];
        snprintf(id, sizeof id, "id-%02d", k);
        snprintf(query, sizeof query, "question %d", k);
        syn_db_record record = record_of(id, query);
        record.created_ms = 1700000000000 + k;
        record.session = k == 3 ? "" : k == 4 ? "s2" : "s1";
        if (k == 10) record.owner = "key-2";
        if (k == 11) record.org = "other";
        assert_ok(syn_db_history_add(w->db, &record, NULL, NULL));
    }
    ANSWERED(w->db, &r, syn_db_session_read(w->db, "default", "key-1", "s1", 7, keep, &r));
    static const int expected[] = {9, 8, 7, 6, 5, 2, 1};
    assert_int_equal(r.count, 7);
    for (int k = 0; k < 7; k++) {
        char query[32];
        snprintf(query, sizeof query, "question %d", expected[k]);
        assert_string_equal(r.row[k].query, query);
        assert_string_equal(r.row[k].text, "");
    }
    ANSWERED(w->db, &r, syn_db_session_read(w->db, "default", "key-1", "nobody's", 7, keep, &r));
    assert_int_equal(r.count, 0);
    assert_int_equal(syn_db_session_read(w->db, "default", "key-1", "", 7, keep, &r),
                     SYN_ERR_INVALID);
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", "key-1", "id-04", keep, &r));
    assert_string_equal(r.row[0].session, "s2");
}

static void totals_are_of_one_organisations_collaborations(world *w)
{
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "default", keep, &r));
    assert_int_equal(r.count, 1);
    assert_int_equal(r.totals.collaborations, 0);
    assert_true(r.totals.p99_time_s == 0 && r.totals.avg_confidence == 0);
    for (int k = 1; k <= 20; k++) {
        syn_db_record record = record_of(NULL, "who?");
        record.execution_time_s = (k * 8) % 21; /* 1 to 20 in some order */
        record.confidence = k <= 10 ? .25 : .75;
        record.num_agents = 2 + k % 2;
        record.num_rounds = k <= 5 ? 1 : 3;
        record.gaps_detected = 4;
        record.information_gain = .125;
        record.converged = k % 4 == 0;
        assert_ok(syn_db_history_add(w->db, &record, NULL, NULL));
    }
    syn_db_record other = record_of(NULL, "who?");
    other.num_rounds = 0; /* no collaboration */
    other.execution_time_s = 1000;
    assert_ok(syn_db_history_add(w->db, &other, NULL, NULL));
    other.num_rounds = 1;
    other.org = "other";
    assert_ok(syn_db_history_add(w->db, &other, NULL, NULL));
    for (int k = 0; k < 5; k++) {
        const syn_db_event e = {.org = k == 4 ? "other" : "default",
                                .action = k == 3 ? "token" : "collaborate",
                                .outcome = k == 2 ? "ok" : "failed"};
        assert_ok(syn_db_audit_add(w->db, &e, NULL, NULL));
    }
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "default", keep, &r));
    const syn_db_totals *t = &r.totals;
    assert_int_equal(t->collaborations, 20);
    assert_int_equal(t->agents, 50);
    assert_int_equal(t->rounds, 50);
    assert_int_equal(t->failed, 2);
    assert_true(t->avg_confidence == .5 && t->avg_time_s == 10.5);
    assert_true(t->p50_time_s == 10 && t->p95_time_s == 19 && t->p99_time_s == 20);
    assert_true(t->avg_gaps_detected == 4 && t->avg_information_gain == .125);
    assert_true(t->convergence_rate == .25);
}

/* A database of the first version is brought up to date with its rows in place. */
static void an_older_database_is_brought_up_to_date(world *w)
{
    world_end(w);
    world_begin(w, w->postgres);
    const syn_db_driver *driver = w->postgres ? &syn_db_postgres : &syn_db_sqlite;
    void *handle;
    assert_ok(driver->open(w->url, INFINITY, &handle));
    assert_ok(driver->script(handle, syn_db_steps[0].script, NULL));
    assert_ok(driver->script(
        handle,
        "CREATE TABLE syncog_version (version BIGINT NOT NULL);"
        "INSERT INTO syncog_version VALUES (1);"
        "INSERT INTO history VALUES ('old', 'default', 'key-1', 'who?', 'Mara', 'qa', .5, 2, 3, 2, "
        "1700000000000, '{}')",
        NULL));
    driver->close(handle);
    world_open(w);
    ANSWERED(w->db, &r, syn_db_history_get(w->db, "default", "key-1", "old", keep, &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.row[0].query, "who?");
    assert_string_equal(r.row[0].session, "");
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "default", keep, &r));
    assert_int_equal(r.totals.collaborations, 1);
    assert_true(r.totals.p50_time_s == 2);
}

/* ---- many at once ---- */

enum { THREADS = 4, EACH = 250 };

typedef struct writer {
    syn_db *db;
    int number;
} writer;

static int acknowledged;

static void count_one(void *context, const syn_db_result *result)
{
    if (result->status == SYN_OK && result->changed == 1)
        __atomic_add_fetch(&acknowledged, 1, __ATOMIC_RELAXED);
}

static void *write_many(void *arg)
{
    const writer *me = arg;
    for (int k = 0; k < EACH; k++) {
        char id[32];
        snprintf(id, sizeof id, "%d-%d", me->number, k);
        const syn_db_record record = record_of(id, "who?");
        if (syn_db_history_add(me->db, &record, count_one, NULL) != SYN_OK) abort();
    }
    return NULL;
}

static void threads_submit_together_and_each_call_is_answered_once(world *w)
{
    pthread_t threads[THREADS];
    writer writers[THREADS];
    acknowledged = 0;
    for (int k = 0; k < THREADS; k++) {
        writers[k] = (writer){w->db, k};
        assert_int_equal(pthread_create(&threads[k], NULL, write_many, &writers[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
    syn_db_flush(w->db);
    assert_int_equal(acknowledged, THREADS * EACH);
    const syn_db_filter f = {.org = "default", .limit = 1};
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, THREADS * EACH);
}

static void a_full_queue_refuses_and_closing_answers_what_was_accepted(world *w)
{
    world_close(w);
    const syn_db_options o = {.url = w->url, .queue_max = 5, .queue_bytes_max = 1 << 20};
    assert_ok(syn_db_open(&w->db, &o));
    static char large[200000];
    memset(large, 'a', sizeof large - 1);
    int accepted = 0, refused = 0;
    acknowledged = 0;
    for (int k = 0; k < 200; k++) {
        syn_db_record record = record_of(NULL, large);
        if (syn_db_history_add(w->db, &record, count_one, NULL) == SYN_OK) {
            accepted++;
        } else {
            refused++;
            assert_string_equal(syn_error_text(), "too many calls wait for the database");
        }
    }
    assert_true(refused > 0);
    world_close(w);
    assert_int_equal(acknowledged, accepted);
}

static void wait_for_the_lock(void *context, const syn_db_result *result)
{
    pthread_mutex_lock(context);
    pthread_mutex_unlock(context);
}

static void a_queue_half_of_which_is_taken_is_crowded(world *w)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const syn_db_options o = {.url = w->url, .queue_max = 8};
    const syn_db_record record = record_of("crowd", "who?");
    world_close(w);
    assert_ok(syn_db_open(&w->db, &o));
    assert_false(syn_db_is_crowded(w->db));
    pthread_mutex_lock(&lock);
    assert_ok(syn_db_history_add(w->db, &record, wait_for_the_lock, &lock));
    for (int k = 0; k < 4; k++) assert_ok(syn_db_history_add(w->db, &record, NULL, NULL));
    assert_true(syn_db_is_crowded(w->db));
    pthread_mutex_unlock(&lock);
    syn_db_flush(w->db);
    assert_false(syn_db_is_crowded(w->db));
}

/* Durable writes a second with 256 calls under way; printed, as the machine is shared. */
static void writes_are_fast(world *w)
{
    const double begin_s = syn_clock_s();
    const int count = 5000;
    acknowledged = 0;
    for (int k = 0; k < count; k++) {
        const syn_db_record record = record_of(NULL, "In which town was the director born?");
        assert_ok(syn_db_history_add(w->db, &record, count_one, NULL));
        while (k - __atomic_load_n(&acknowledged, __ATOMIC_RELAXED) >= 256) usleep(50);
    }
    syn_db_flush(w->db);
    const double rate = count / (syn_clock_s() - begin_s);
    print_message("durable writes/s on %s: %.0f\n", w->postgres ? "PostgreSQL" : "SQLite", rate);
    assert_int_equal(acknowledged, count);
    assert_true(rate > 200);
}

static void keys_are_random_and_check_themselves(void **state)
{
    syn_api_key a, b;
    char sha256[SYN_API_KEY_SHA256_BYTES];
    assert_ok(syn_api_key_make(&a));
    assert_ok(syn_api_key_make(&b));
    assert_string_not_equal(a.text, b.text);
    assert_int_equal(strlen(a.text), SYN_API_KEY_BYTES - 1);
    assert_int_equal(strncmp(a.text, a.prefix, strlen(a.prefix)), 0);
    assert_ok(syn_api_key_sha256(a.text, sha256));
    assert_string_equal(a.sha256, sha256);
    assert_true(syn_api_key_fits(a.text));
    for (int k = 0; k < SYN_API_KEY_BYTES - 1; k++) {
        const char was = a.text[k];
        a.text[k] = was == '1' ? '2' : '1';
        assert_false(syn_api_key_fits(a.text));
        a.text[k] = was;
    }
    assert_false(syn_api_key_fits("sync_test_key_2024"));
    assert_false(syn_api_key_fits(""));
    /* FIPS 180-4's example */
    assert_ok(syn_api_key_sha256("abc", sha256));
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void ids_are_unique_and_sorted_by_time(void **state)
{
    char a[SYN_DB_ID_BYTES], b[SYN_DB_ID_BYTES];
    assert_ok(syn_db_id(a));
    usleep(2000);
    assert_ok(syn_db_id(b));
    assert_true(strcmp(a, b) < 0);
    assert_int_equal(a[14], '7');
    assert_non_null(strchr("89ab", a[19]));
}

#define BOTH(X)                                                                                    \
    X(keys_are_found_by_their_hash_and_revoked)                                                    \
    X(history_is_listed_newest_first_with_filters_and_total)                                       \
    X(a_record_is_its_owners_and_its_organisations)                                                \
    X(hostile_texts_are_only_texts)                                                                \
    X(what_is_too_large_or_no_text_is_refused_before_it_is_copied)                                 \
    X(the_audit_is_kept_apart_by_organisation)                                                     \
    X(old_records_go_and_others_stay)                                                              \
    X(a_dialogue_is_the_last_records_of_its_session_and_owner)                                     \
    X(totals_are_of_one_organisations_collaborations)                                              \
    X(an_older_database_is_brought_up_to_date)                                                     \
    X(threads_submit_together_and_each_call_is_answered_once)                                      \
    X(a_full_queue_refuses_and_closing_answers_what_was_accepted)                                  \
    X(a_queue_half_of_which_is_taken_is_crowded)                                                   \
    X(writes_are_fast)

BOTH(DEFINE)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(LIST) cmocka_unit_test(keys_are_random_and_check_themselves),
        cmocka_unit_test(ids_are_unique_and_sorted_by_time),
    };
    return cmocka_run_group_tests(tests, postgres_start, postgres_stop);
}
