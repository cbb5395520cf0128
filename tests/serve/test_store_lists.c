/* Lists cost little in a large store, and a record stands together with its event: the same on
 * SQLite and on a real PostgreSQL. */
#include "serve/store_internal.h"

#include "tests/serve/store_world.h"

#include <semaphore.h>

#include <sqlite3.h>

/* ---- records with events ---- */

/* The database refuses every record whose query is "refuse". */
static void refuse_some(world *w)
{
    const syn_db_driver *driver = w->postgres ? &syn_db_postgres : &syn_db_sqlite;
    sqlite3 *db;
    void *handle;
    world_close(w);
    if (!w->postgres) {
        assert_int_equal(sqlite3_open(w->url + strlen("sqlite:///"), &db), SQLITE_OK);
        assert_int_equal(
            sqlite3_exec(db,
                         "CREATE TRIGGER refusal BEFORE INSERT ON history WHEN NEW.query = "
                         "'refuse' BEGIN SELECT RAISE(ABORT, 'refused'); END",
                         0, 0, 0),
            SQLITE_OK);
        sqlite3_close(db);
    } else {
        assert_ok(driver->open(w->url, INFINITY, &handle));
        assert_ok(driver->script(
            handle, "ALTER TABLE history ADD CONSTRAINT refusal CHECK (query <> 'refuse')", NULL));
        driver->close(handle);
    }
    world_open(w);
}

typedef struct outcomes {
    int count;
    char text[8][64]; /* "detail outcome", newest first */
} outcomes;

static void keep_outcomes(void *context, const syn_db_result *result)
{
    outcomes *o = context;
    o->count = result->count;
    for (int k = 0; k < result->count && k < 8; k++)
        snprintf(o->text[k], sizeof o->text[k], "%s %s", result->events[k].detail,
                 result->events[k].outcome);
}

static bool has_outcome(const outcomes *o, const char *text)
{
    bool has = false;
    for (int k = 0; k < o->count; k++) has |= strcmp(o->text[k], text) == 0;
    return has;
}

static void an_event_tells_what_became_of_its_record(world *w)
{
    static const char *const queries[] = {"one", "refuse", "two", "refuse"};
    static const char *const details[] = {"\"a\"", "\"b\"", "\"c\"", "\"d\""};
    outcomes o = {0};
    refuse_some(w);
    for (int k = 0; k < 4; k++) { /* in one group, or in several */
        const syn_db_record record = record_of(NULL, queries[k]);
        const syn_db_event event = {
            .org = "default", .action = "collaborate", .outcome = "ok", .detail = details[k]};
        assert_ok(syn_db_history_add_audited(w->db, &record, &event, NULL, NULL));
    }
    syn_db_flush(w->db);
    assert_ok(syn_db_audit_list(w->db, "default", 10, 0, keep_outcomes, &o));
    syn_db_flush(w->db);
    assert_int_equal(o.count, 4);
    assert_true(has_outcome(&o, "\"a\" ok"));
    assert_true(has_outcome(&o, "\"b\" unrecorded"));
    assert_true(has_outcome(&o, "\"c\" ok"));
    assert_true(has_outcome(&o, "\"d\" unrecorded"));
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "default", keep, &r));
    assert_int_equal(r.totals.collaborations, 2);
    assert_int_equal(r.totals.failed, 2);
}

static void whoever_waits_for_a_refused_record_is_told(world *w)
{
    outcomes o = {0};
    refuse_some(w);
    const syn_db_record record = record_of(NULL, "refuse");
    const syn_db_event event = {.org = "default", .action = "chat", .detail = "1"};
    forget(&r);
    assert_ok(syn_db_history_add_audited(w->db, &record, &event, keep, &r));
    syn_db_flush(w->db);
    assert_int_equal(r.calls, 1);
    assert_int_not_equal(r.status, SYN_OK);
    assert_non_null(strstr(r.sentence, "refus"));
    assert_ok(syn_db_audit_list(w->db, "default", 10, 0, keep_outcomes, &o));
    syn_db_flush(w->db);
    assert_true(o.count == 1 && has_outcome(&o, "1 unrecorded"));
    /* Without an event, and with one that is no good. */
    const syn_db_record good = record_of("good", "who?");
    const syn_db_event nameless = {.org = "default"};
    ANSWERED(w->db, &r, syn_db_history_add_audited(w->db, &good, NULL, keep, &r));
    assert_int_equal(syn_db_history_add_audited(w->db, &good, &nameless, keep, &r),
                     SYN_ERR_INVALID);
}

/* ---- lists ---- */

static void a_total_is_counted_up_to_a_limit(world *w)
{
    for (int k = 0; k < SYN_DB_TOTAL_MAX + 5; k++) {
        const syn_db_event e = {.org = k < 5 ? "few" : "many", .action = "chat", .outcome = "ok"};
        while (syn_db_audit_add(w->db, &e, NULL, NULL) == SYN_ERR_LIMIT) syn_db_flush(w->db);
        if (k != SYN_DB_TOTAL_MAX + 3) continue;
        ANSWERED(w->db, &r, syn_db_audit_list(w->db, "many", 1, 0, keep, &r));
        assert_int_equal(r.total, SYN_DB_TOTAL_MAX - 1);
    }
    ANSWERED(w->db, &r, syn_db_audit_list(w->db, "many", 1, 0, keep, &r));
    assert_int_equal(r.total, SYN_DB_TOTAL_MAX);
    const syn_db_event e = {.org = "many", .action = "chat", .outcome = "ok"};
    assert_ok(syn_db_audit_add(w->db, &e, NULL, NULL));
    ANSWERED(w->db, &r, syn_db_audit_list(w->db, "many", 100, SYN_DB_TOTAL_MAX, keep, &r));
    assert_int_equal(r.total, SYN_DB_TOTAL_MAX); /* though there are more to be had */
    assert_int_equal(r.count, 1);
    ANSWERED(w->db, &r, syn_db_audit_list(w->db, "few", 100, 0, keep, &r));
    assert_int_equal(r.total, 5);
}

/* How SQLite means to run it. */
static void plan_of(sqlite3 *db, syn_db_statement statement, char *out, size_t bytes)
{
    char sql[2048];
    sqlite3_stmt *s;
    snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", syn_db_sqls[statement].text);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    *out = 0;
    while (sqlite3_step(s) == SQLITE_ROW) {
        size_t n = strlen(out);
        snprintf(out + n, bytes - n, "%s\n", (const char *)sqlite3_column_text(s, 3));
    }
    sqlite3_finalize(s);
}

/* Rows are large: an index alone says which match, in their order. */
static void no_row_is_read_to_be_counted_or_passed_over(void **state)
{
    static const struct {
        syn_db_statement statement;
        const char *index;
    } cases[] = {{SYN_DB_HISTORY_BORDER, "COVERING INDEX history_list "},
                 {SYN_DB_HISTORY_BORDER_OWN, "COVERING INDEX history_list_own "},
                 {SYN_DB_AUDIT_BORDER, "COVERING INDEX audit_org "},
                 {SYN_DB_KEY_BORDER, "COVERING INDEX api_keys_org "},
                 {SYN_DB_KEY_COUNT, "COVERING INDEX api_keys_org "},
                 {SYN_DB_AUDIT_LIST, "INDEX audit_org "},
                 {SYN_DB_KEY_LIST, "INDEX api_keys_org "},
                 {SYN_DB_HISTORY_COUNT, "COVERING INDEX history_list "},
                 {SYN_DB_HISTORY_COUNT_OWN, "COVERING INDEX history_list_own "},
                 {SYN_DB_HISTORY_LIST, "INDEX history_list "},
                 {SYN_DB_HISTORY_LIST_OWN, "INDEX history_list_own "},
                 {SYN_DB_AUDIT_COUNT, "COVERING INDEX audit_org "},
                 {SYN_DB_TOTALS_SLICE, "COVERING INDEX history_totals "},
                 {SYN_DB_TOTALS_QUANTILE, "COVERING INDEX history_totals "},
                 {SYN_DB_TOTALS_FAILED, "COVERING INDEX audit_outcome "}};
    world w;
    sqlite3 *db;
    char plan[1024];
    world_begin(&w, false);
    world_open(&w);
    world_close(&w);
    assert_int_equal(sqlite3_open(w.url + strlen("sqlite:///"), &db), SQLITE_OK);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        plan_of(db, cases[k].statement, plan, sizeof plan);
        if (!strstr(plan, cases[k].index) || strstr(plan, "TEMP B-TREE"))
            fail_msg("%s: %s", cases[k].index, plan);
    }
    sqlite3_close(db);
    world_end(&w);
}

/* ---- many records ---- */

enum { RECORDS = 25000, SAME_FROM = 6000, SAME_TO = 19000 };

/* Of record k, from 1: many have the same as others, more than a slice has records. */
static double time_of(int k)
{
    return k > SAME_FROM && k <= SAME_TO ? 100 : (double)(k * 37 % 9973) / 64;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_sql(world *w, const char *sql)
{
    const syn_db_driver *driver = w->postgres ? &syn_db_postgres : &syn_db_sqlite;
    void *handle;
    world_close(w);
    assert_ok(driver->open(w->url, INFINITY, &handle));
    assert_ok(driver->script(handle, sql, NULL));
    driver->close(handle);
    world_open(w);
}

static void fill_store(world *w)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < %d) "
             "INSERT INTO history (id, org_id, owner, query, final_answer, task_type, confidence, "
             "execution_time_s, num_agents, num_rounds, created_ms, reply, gaps_detected, "
             "information_gain, converged) SELECT 'id' || k, 'default', 'o', 'q', 'a', 'qa', "
             "CAST(k %% 5 AS DOUBLE PRECISION) / 4, CASE WHEN k > %d AND k <= %d THEN 100.0 ELSE "
             "CAST(k * 37 %% 9973 AS DOUBLE PRECISION) / 64 END, 3, 2, k, '', k %% 3, .5, k %% 2 "
             "FROM n",
             RECORDS, SAME_FROM, SAME_TO);
    run_sql(w, sql);
}

/* ---- lists over many slices ---- */

/* Record k is of time k; every fifth is sure. The page's ids go down by `step`. */
static void assert_page(world *w, syn_db_filter f, int64_t total, int count, int first, int step)
{
    f.org = "default";
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, total);
    assert_int_equal(r.count, count);
    for (int k = 0; k < count; k++) {
        char id[16];
        snprintf(id, sizeof id, "id%d", first - step * k);
        assert_string_equal(r.row[k].id, id);
    }
}

static void pages_are_exact_over_many_slices(world *w)
{
    const int sure = RECORDS / 5, last = RECORDS - 1; /* 24999 % 5 is 4: a confidence of 1 */
    fill_store(w);
    static const char *const owners[] = {"o", NULL}; /* each has an index of its own */
    for (int k = 0; k < 2; k++) {
        const syn_db_filter all = {.owner = owners[k], .limit = 100};
        syn_db_filter f = all;
        assert_page(w, f, SYN_DB_TOTAL_MAX, 100, RECORDS, 1);
        f.offset = 4950; /* the page lies in two slices, */
        assert_page(w, f, SYN_DB_TOTAL_MAX, 100, RECORDS - 4950, 1);
        f.offset = 12345; /* beyond what is counted, */
        assert_page(w, f, SYN_DB_TOTAL_MAX, 100, RECORDS - 12345, 1);
        f.offset = RECORDS - 30; /* at the end, */
        assert_page(w, f, SYN_DB_TOTAL_MAX, 30, 30, 1);
        f.offset = RECORDS; /* and behind it */
        assert_page(w, f, SYN_DB_TOTAL_MAX, 0, 0, 1);
        f = all;
        f.min_confidence = 1;
        assert_page(w, f, sure, 100, last, 5);
        f.offset = 950;
        assert_page(w, f, sure, 100, last - 5 * 950, 5);
        f.offset = sure - 3;
        assert_page(w, f, sure, 3, 14, 5);
        f = all;
        f.task_type = "analysis";
        assert_page(w, f, 0, 0, 0, 1);
    }
    const syn_db_filter nobodys = {.owner = "nobody", .limit = 1};
    assert_page(w, nobodys, 0, 0, 0, 1);
}

/* However many there are: all of a time are in one slice. */
static void records_of_one_time_are_told_once_each(world *w)
{
    fill_store(w);
    run_sql(w, "UPDATE history SET created_ms = 20000 WHERE created_ms > 13000");
    syn_db_filter f = {.org = "default", .owner = "o", .min_confidence = 1, .limit = 100};
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, RECORDS / 5);
    assert_string_equal(r.row[0].id, "id24999");
    f.offset = 2400; /* 12000 of time 20000 */
    f.limit = 2;
    ANSWERED(w->db, &r, syn_db_history_list(w->db, &f, keep, &r));
    assert_int_equal(r.total, RECORDS / 5);
    assert_string_equal(r.row[0].id, "id12999");
    assert_string_equal(r.row[1].id, "id12994");
}

/* ---- totals ---- */

static void assert_close(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, not %.17g", got, want);
}

static void totals_are_exact_over_many_slices(world *w)
{
    static double times[RECORDS];
    double sum = 0;
    fill_store(w);
    for (int k = 0; k < RECORDS; k++) sum += times[k] = time_of(k + 1);
    qsort(times, RECORDS, sizeof *times, by_size);
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "default", keep, &r));
    assert_int_equal(r.totals.collaborations, RECORDS);
    assert_int_equal(r.totals.agents, 3 * RECORDS);
    assert_int_equal(r.totals.rounds, 2 * RECORDS);
    assert_close(r.totals.avg_confidence, .5, 1e-9);
    assert_close(r.totals.avg_time_s, sum / RECORDS, 1e-9);
    assert_close(r.totals.avg_information_gain, .5, 1e-9);
    assert_close(r.totals.convergence_rate, .5, 1e-9);
    assert_close(r.totals.p50_time_s, times[RECORDS / 2 - 1], 0);
    assert_close(r.totals.p95_time_s, times[RECORDS * 95 / 100 - 1], 0);
    assert_close(r.totals.p99_time_s, times[RECORDS * 99 / 100 - 1], 0);
    ANSWERED(w->db, &r, syn_db_totals_read(w->db, "nobody", keep, &r));
    assert_int_equal(r.totals.collaborations, 0);
    assert_close(r.totals.p50_time_s, 0, 0);
}

typedef struct turn {
    sem_t gate;
    int next, key_at, record_at;
} turn;

static void hold(void *context, const syn_db_result *result)
{
    (void)result;
    while (sem_wait(&((turn *)context)->gate) != 0) continue;
}

static void note_totals(void *context, const syn_db_result *result)
{
    turn *t = context;
    assert_int_equal(result->totals->collaborations, RECORDS);
    t->next++;
}

static void note_list(void *context, const syn_db_result *result)
{
    turn *t = context;
    assert_int_equal(result->status, SYN_OK);
    t->next++;
}

static void note_key(void *context, const syn_db_result *result)
{
    turn *t = context;
    (void)result;
    t->key_at = ++t->next;
}

static void note_record(void *context, const syn_db_result *result)
{
    turn *t = context;
    assert_int_equal(result->status, SYN_OK);
    t->record_at = ++t->next;
}

/* Whoever asks for totals, or for lists, holds up nobody who asks after him. */
static void others_go_before_totals_and_lists(world *w)
{
    static const char sha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const syn_db_filter nothing = {
        .org = "default", .owner = "o", .task_type = "analysis", .limit = 10};
    syn_db_record record = record_of("late", "who?");
    turn t = {0};
    record.num_rounds = 0; /* totals do not count it */
    fill_store(w);
    sem_init(&t.gate, 0, 0);
    assert_ok(syn_db_key_find(w->db, sha256, hold, &t));
    assert_ok(syn_db_totals_read(w->db, "default", note_totals, &t));
    assert_ok(syn_db_totals_read(w->db, "default", note_totals, &t));
    assert_ok(syn_db_history_list(w->db, &nothing, note_list, &t));
    assert_ok(syn_db_audit_list(w->db, "default", 10, 0, note_list, &t));
    assert_ok(syn_db_history_add(w->db, &record, hold, &t));
    assert_ok(syn_db_key_find(w->db, sha256, note_key, &t));
    assert_ok(syn_db_history_add(w->db, &record, note_record, &t));
    sem_post(&t.gate);
    sem_post(&t.gate);
    syn_db_flush(w->db);
    assert_true(t.key_at <= 2 && t.record_at <= 2);
    assert_int_equal(t.next, 6);
    sem_destroy(&t.gate);
}

/* Between a list and what was written before it nobody else comes. */
static void a_list_has_what_was_written_before_it(world *w)
{
    const syn_db_record record = record_of("fresh", "who?");
    const syn_db_filter f = {.org = "default", .owner = record.owner, .limit = 10};
    turn t = {0};
    sem_init(&t.gate, 0, 0);
    forget(&r);
    assert_ok(syn_db_history_add(w->db, &record, hold, &t));
    assert_ok(syn_db_history_list(w->db, &f, keep, &r));
    assert_ok(syn_db_history_add(w->db, &record, hold, &t));
    sem_post(&t.gate);
    sem_post(&t.gate);
    syn_db_flush(w->db);
    assert_int_equal(r.count, 1);
    assert_string_equal(r.row[0].id, "fresh");
    sem_destroy(&t.gate);
}

static void a_store_is_closed_when_its_totals_are_told(world *w)
{
    fill_store(w);
    forget(&r);
    assert_ok(syn_db_totals_read(w->db, "default", keep, &r));
    world_close(w);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.totals.collaborations, RECORDS);
}

static void dear_totals_are_remembered_for_a_while(void **state)
{
    syn_db_known known = {.next = 0};
    char org[16];
    assert_null(syn_db_recall(&known, "a", 0));
    syn_db_remember(&known, "a", &(syn_db_totals){.rounds = 1}, 10);
    syn_db_remember(&known, "a", &(syn_db_totals){.rounds = 2}, 20);
    assert_int_equal(syn_db_recall(&known, "a", 19)->rounds, 2);
    assert_null(syn_db_recall(&known, "a", 20));
    assert_null(syn_db_recall(&known, "b", 1));
    for (int k = 0; k < SYN_DB_KNOWN_MAX; k++) {
        snprintf(org, sizeof org, "b%d", k);
        syn_db_remember(&known, org, &(syn_db_totals){.rounds = k}, 20);
    }
    assert_null(syn_db_recall(&known, "a", 1)); /* others took its place */
    assert_int_equal(syn_db_recall(&known, "b3", 1)->rounds, 3);
    syn_db_forget(&known);
}

#define BOTH(X)                                                                                    \
    X(an_event_tells_what_became_of_its_record)                                                    \
    X(whoever_waits_for_a_refused_record_is_told)                                                  \
    X(a_total_is_counted_up_to_a_limit)                                                            \
    X(pages_are_exact_over_many_slices)                                                            \
    X(records_of_one_time_are_told_once_each)                                                      \
    X(a_list_has_what_was_written_before_it)                                                       \
    X(totals_are_exact_over_many_slices)                                                           \
    X(others_go_before_totals_and_lists)                                                           \
    X(a_store_is_closed_when_its_totals_are_told)

BOTH(DEFINE)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1);
    const struct CMUnitTest tests[] = {
        BOTH(LIST) cmocka_unit_test(no_row_is_read_to_be_counted_or_passed_over),
        cmocka_unit_test(dear_totals_are_remembered_for_a_while)};
    return cmocka_run_group_tests(tests, postgres_start, postgres_stop);
}
