/* How tables of an earlier version are brought up to date, while others use them, and after
 * somebody was killed amidst that. */
#include <pthread.h>
#include <sys/wait.h>

#include "kernels/base/progress.h"
#include "serve/store_driver.h"

#include "tests/serve/store_world.h"

static void *open_it(void *arg)
{
    world *w = arg;
    const syn_db_options o = {.url = w->url, .patience_s = 20};
    return syn_db_open(&w->db, &o) == SYN_OK ? w : NULL;
}

/* Makes tables of version 2 as a program of that time did. */
static void make_version_2(world *w)
{
    const syn_db_driver *driver = w->postgres ? &syn_db_postgres : &syn_db_sqlite;
    void *handle;
    assert_ok(driver->open(w->url, INFINITY, &handle));
    assert_ok(driver->script(handle, syn_db_steps[0].script, NULL));
    assert_ok(driver->script(handle, syn_db_steps[1].script, NULL));
    assert_ok(driver->script(handle,
                             "CREATE TABLE syncog_version (version BIGINT NOT NULL);"
                             "INSERT INTO syncog_version VALUES (2)",
                             NULL));
    driver->close(handle);
}

/* `sql`, given half a second for a lock, by somebody else. */
static bool can(const char *url, const char *sql)
{
    char all[512];
    snprintf(all, sizeof all, "SET lock_timeout = '500ms'; %s", sql);
    PGconn *c = PQconnectdb(url);
    PGresult *result = PQexec(c, all);
    const ExecStatusType status = PQresultStatus(result);
    const bool good =
        status == PGRES_COMMAND_OK || (status == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                                       strcmp(PQgetvalue(result, 0, 0), "t") == 0);
    PQclear(result);
    PQfinish(c);
    return good;
}

static void wait_until_it_can(const char *url, const char *sql)
{
    const double until_s = syn_clock_s() + 10;
    while (!can(url, sql) && syn_clock_s() < until_s) usleep(20000);
    assert_true(syn_clock_s() < until_s);
}

#define ADD(id)                                                                                    \
    "INSERT INTO history (id, org_id, owner, query, final_answer, task_type, confidence, "         \
    "execution_time_s, num_agents, num_rounds, created_ms, reply) VALUES ('" id                    \
    "', 'default', 'key-1', 'who?', 'Mara', 'qa', .5, 2, 3, 2, 1700000000000, '{}')"

/* Who builds an index waits for a transaction; nobody waits for who builds it. */
static void others_write_while_an_index_is_built(void **state)
{
    world w;
    pthread_t opener;
    void *opened;
    world_begin(&w, true);
    make_version_2(&w);
    PGconn *writer = query(w.url, "BEGIN; " ADD("a"));
    assert_int_equal(pthread_create(&opener, NULL, open_it, &w), 0);
    wait_until_it_can(w.url, "SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE wait_event_type = "
                             "'Lock' AND query LIKE 'CREATE INDEX%'");
    assert_true(can(w.url, ADD("b")));
    PQclear(PQexec(writer, "COMMIT"));
    PQfinish(writer);
    pthread_join(opener, &opened);
    assert_non_null(opened);
    assert_true(can(w.url, "SELECT COUNT(*) = 0 FROM pg_index WHERE NOT indisvalid"));
    assert_true(can(w.url, "SELECT MIN(version) = 3 AND COUNT(*) = 1 FROM syncog_version"));
    const syn_db_filter f = {.org = "default", .owner = "key-1", .limit = 10};
    ANSWERED(w.db, &r, syn_db_history_list(w.db, &f, keep, &r));
    assert_int_equal(r.total, 2);
    world_end(&w);
}

/* A column is added in no time, but for a table that somebody reads, say for a backup: then others
 * wait for a second, not for as long as that takes. */
static void a_table_that_is_read_is_changed_later(void **state)
{
    world w;
    pthread_t opener;
    void *opened;
    world_begin(&w, true);
    void *handle;
    assert_ok(syn_db_postgres.open(w.url, INFINITY, &handle));
    assert_ok(syn_db_postgres.script(handle, syn_db_steps[0].script, NULL));
    assert_ok(syn_db_postgres.script(handle,
                                     "CREATE TABLE syncog_version (version BIGINT NOT NULL);"
                                     "INSERT INTO syncog_version VALUES (1)",
                                     NULL));
    syn_db_postgres.close(handle);
    PGconn *reader = query(w.url, "BEGIN; SELECT * FROM history");
    assert_int_equal(pthread_create(&opener, NULL, open_it, &w), 0);
    wait_until_it_can(w.url, "SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE wait_event_type = "
                             "'Lock' AND query LIKE 'ALTER TABLE%'");
    wait_until_it_can(w.url, ADD("a"));
    PQfinish(reader);
    pthread_join(opener, &opened);
    assert_non_null(opened);
    ANSWERED(w.db, &r, syn_db_history_get(w.db, "default", NULL, "a", keep, &r));
    assert_int_equal(r.count, 1);
    world_end(&w);
}

/* What a program that was killed amidst a step has left is done again, or not, as it should. */
static void a_step_that_was_broken_off_is_finished(bool on_postgres)
{
    static const char *const left[] = {
        /* an index half-made: another one of its name */
        "DELETE FROM syncog_version; INSERT INTO syncog_version VALUES (2);"
        "CREATE INDEX history_list_own ON history (id)",
        /* a script that has run */
        "DELETE FROM syncog_version; INSERT INTO syncog_version VALUES (1), (-2)",
        /* everything but the version */
        "DELETE FROM syncog_version; INSERT INTO syncog_version VALUES (2);"
        "CREATE INDEX history_list ON history (org_id, created_ms, id, task_type, confidence);"
        "DROP INDEX history_org"};
    const syn_db_driver *driver = on_postgres ? &syn_db_postgres : &syn_db_sqlite;
    for (size_t k = 0; k < sizeof left / sizeof *left; k++) {
        world w;
        void *handle;
        int64_t columns;
        world_begin(&w, on_postgres);
        make_version_2(&w);
        assert_ok(driver->open(w.url, INFINITY, &handle));
        assert_ok(driver->script(handle, left[k], NULL));
        driver->close(handle);
        world_open(&w);
        world_close(&w);
        assert_ok(driver->open(w.url, INFINITY, &handle));
        assert_ok(driver->script(
            handle,
            on_postgres
                ? "SELECT COUNT(*) FROM pg_indexes WHERE indexname = 'history_list_own' AND "
                  "indexdef LIKE '%(org_id, owner, created_ms, id, task_type, confidence)'"
                : "SELECT COUNT(*) FROM pragma_index_info('history_list_own')",
            &columns));
        assert_int_equal(columns, on_postgres ? 1 : 6);
        assert_ok(driver->script(handle, "SELECT SUM(version) FROM syncog_version", &columns));
        assert_int_equal(columns, syn_db_step_count);
        driver->close(handle);
        world_end(&w);
    }
}

static void sqlite_finishes_a_step_that_was_broken_off(void **state)
{
    a_step_that_was_broken_off_is_finished(false);
}

static void postgres_finishes_a_step_that_was_broken_off(void **state)
{
    a_step_that_was_broken_off_is_finished(true);
}

static void replicas_that_start_together_take_turns_with_the_tables(void **state)
{
    world w;
    world_begin(&w, true);
    pid_t replicas[4];
    for (int k = 0; k < 4; k++) {
        replicas[k] = fork();
        assert_true(replicas[k] >= 0);
        if (replicas[k] > 0) continue;
        syn_db *db;
        const syn_db_options o = {.url = w.url};
        const bool good = syn_db_open(&db, &o) == SYN_OK;
        if (!good) fprintf(stderr, "%s\n", syn_error_text());
        _exit(good ? 0 : 1);
    }
    for (int k = 0; k < 4; k++) {
        int status;
        assert_int_equal(waitpid(replicas[k], &status, 0), replicas[k]);
        assert_int_equal(status, 0);
    }
    world_end(&w);
}

int main(void)
{
    setenv("LOG_LEVEL", "error", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_write_while_an_index_is_built),
        cmocka_unit_test(a_table_that_is_read_is_changed_later),
        cmocka_unit_test(sqlite_finishes_a_step_that_was_broken_off),
        cmocka_unit_test(postgres_finishes_a_step_that_was_broken_off),
        cmocka_unit_test(replicas_that_start_together_take_turns_with_the_tables),
    };
    return cmocka_run_group_tests(tests, postgres_start, postgres_stop);
}
