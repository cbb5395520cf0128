/* What the store does when a writer is killed, a disk is full, a server is lost, or a file is not
 * its own. SYN_TEST_KILLS sets how often a writer is killed (5). */
#include "tests/serve/store_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "kernels/base/progress.h"

/* ---- kill -9 ---- */

enum { UNDER_WAY = 64 };

typedef struct killed_writer {
    int pipe, round, number;
} killed_writer;

static int open_calls; /* of the writer */

/* What stands in the pipe was acknowledged. */
static void tell(void *context, const syn_db_result *result)
{
    const killed_writer *me = context;
    if (result->status != SYN_OK) _exit(1);
    if (write(me->pipe, &me->number, sizeof me->number) != sizeof me->number) _exit(1);
    free(context);
    __atomic_sub_fetch(&open_calls, 1, __ATOMIC_RELAXED);
}

static void name_record(char out[32], int round, int number)
{
    snprintf(out, 32, "%d-%d", round, number);
}

static void write_until_killed(const char *url, int round, int fd)
{
    syn_db *db;
    const syn_db_options o = {.url = url};
    if (syn_db_open(&db, &o) != SYN_OK) _exit(1);
    for (int k = 0;; k++) {
        char id[32];
        name_record(id, round, k);
        const syn_db_record record = record_of(id, "In which town was the director born?");
        killed_writer *me = malloc(sizeof *me);
        *me = (killed_writer){fd, round, k};
        __atomic_add_fetch(&open_calls, 1, __ATOMIC_RELAXED);
        if (syn_db_history_add(db, &record, tell, me) != SYN_OK) _exit(1);
        while (__atomic_load_n(&open_calls, __ATOMIC_RELAXED) >= UNDER_WAY) usleep(20);
    }
}

static int present;

static void count_present(void *context, const syn_db_result *result)
{
    present += result->status == SYN_OK && result->count == 1;
}

static int kill_one(world *w, int round)
{
    int fds[2], first, count = 0, number;
    assert_int_equal(pipe(fds), 0);
    const pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        close(fds[0]);
        write_until_killed(w->url, round, fds[1]);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &first, sizeof first),
                     sizeof first); /* under load from here on */
    usleep(20000 + 17000 * (round % 7));
    kill(writer, SIGKILL);
    int status;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status));

    world_open(w);
    present = 0;
    for (number = first;; count++) {
        char id[32];
        name_record(id, round, number);
        assert_ok(syn_db_history_get(w->db, "default", NULL, id, count_present, NULL));
        if (count % 1000 == 0) syn_db_flush(w->db);
        if (read(fds[0], &number, sizeof number) != sizeof number) break;
    }
    count++;
    world_close(w);
    close(fds[0]);
    assert_int_equal(present, count);
    return count;
}

static void check_integrity(const world *w)
{
    if (w->postgres) return;
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(w->url + strlen("sqlite:///"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static void acknowledged_records_outlive_a_killed_writer(bool on_postgres)
{
    world w;
    world_begin(&w, on_postgres);
    const char *kills = getenv("SYN_TEST_KILLS");
    const int rounds = kills ? atoi(kills) : 5;
    int64_t records = 0;
    for (int k = 0; k < rounds; k++) records += kill_one(&w, k);
    check_integrity(&w);
    print_message("%lld acknowledged records over %d kills\n", (long long)records, rounds);
    world_end(&w);
}

static void sqlite_keeps_what_it_acknowledged_when_its_process_is_killed(void **state)
{
    acknowledged_records_outlive_a_killed_writer(false);
}

static void postgres_keeps_what_it_acknowledged_when_its_process_is_killed(void **state)
{
    acknowledged_records_outlive_a_killed_writer(true);
}

/* ---- a lost server ---- */

static int answered_ok, answered_bad;

static void count_answers(void *context, const syn_db_result *result)
{
    if (result->status == SYN_OK)
        answered_ok++;
    else
        answered_bad++;
}

static void *server_again(void *arg)
{
    usleep(500000);
    return server_do(&postgres, "again") == 0 ? arg : NULL;
}

static void a_server_that_crashes_loses_nothing_and_adds_nothing_twice(void **state)
{
    world w;
    world_begin(&w, true);
    const syn_db_options o = {.url = w.url, .patience_s = 60};
    assert_ok(syn_db_open(&w.db, &o));
    answered_ok = answered_bad = 0;
    pthread_t helper;
    const int count = 4000;
    for (int k = 0; k < count; k++) {
        const syn_db_record record = record_of(NULL, "who?");
        assert_ok(syn_db_history_add(w.db, &record, count_answers, NULL));
        if (k == count / 2) {
            assert_int_equal(server_do(&postgres, "kill"), 0);
            assert_int_equal(pthread_create(&helper, NULL, server_again, w.url), 0);
        }
    }
    syn_db_flush(w.db);
    void *started;
    pthread_join(helper, &started);
    assert_non_null(started);
    assert_int_equal(answered_bad, 0);
    assert_int_equal(answered_ok, count);
    const syn_db_filter f = {.org = "default", .limit = 1};
    ANSWERED(w.db, &r, syn_db_history_list(w.db, &f, keep, &r));
    assert_int_equal(r.total, count);
    world_end(&w);
}

static void a_server_that_stays_away_is_one_sentence_and_its_return_is_noticed(void **state)
{
    world w;
    world_begin(&w, true);
    const syn_db_options o = {.url = w.url, .patience_s = .5};
    assert_ok(syn_db_open(&w.db, &o));
    assert_int_equal(server_do(&postgres, "kill"), 0);
    const double begin_s = syn_clock_s();
    const syn_db_record record = record_of("late", "who?");
    forget(&r);
    assert_ok(syn_db_history_add(w.db, &record, keep, &r));
    syn_db_flush(w.db);
    assert_int_equal(r.status, SYN_ERR_NETWORK);
    assert_true(syn_clock_s() - begin_s < 5);
    assert_non_null(strstr(r.sentence, "the database at 127.0.0.1:"));
    assert_null(strchr(r.sentence, '\n'));
    syn_db *second = NULL;
    assert_int_equal(syn_db_open(&second, &o), SYN_ERR_NETWORK);

    assert_int_equal(server_do(&postgres, "again"), 0);
    const double until_s = syn_clock_s() + 20;
    do {
        usleep(50000);
        forget(&r);
        assert_ok(syn_db_history_add(w.db, &record, keep, &r));
        syn_db_flush(w.db);
    } while (r.status != SYN_OK && syn_clock_s() < until_s);
    assert_int_equal(r.status, SYN_OK);
    world_end(&w);
}

/* What became of many calls: all are answered, and about when they promise. */
static void all_fail_in_time(world *w, double patience_s)
{
    enum { CALLS = 300 };
    static const char sha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const syn_db_filter f = {.org = "default", .owner = "key-1", .limit = 10};
    const double begin_s = syn_clock_s();
    answered_ok = answered_bad = 0;
    for (int k = 0; k < CALLS; k++) {
        const syn_db_record record = record_of(NULL, "who?");
        assert_ok(syn_db_history_add(w->db, &record, count_answers, NULL));
        assert_ok(syn_db_key_find(w->db, sha256, count_answers, NULL));
        assert_ok(syn_db_history_list(w->db, &f, count_answers, NULL));
        assert_ok(syn_db_totals_read(w->db, "default", count_answers, NULL));
    }
    syn_db_flush(w->db);
    assert_int_equal(answered_ok, 0);
    assert_int_equal(answered_bad, 4 * CALLS);
    assert_true(syn_clock_s() - begin_s < patience_s + 2);
}

static void assert_recovers(world *w)
{
    const double until_s = syn_clock_s() + 20;
    const syn_db_record record = record_of(NULL, "who?");
    do {
        usleep(50000);
        forget(&r);
        assert_ok(syn_db_history_add(w->db, &record, keep, &r));
        syn_db_flush(w->db);
    } while (r.status != SYN_OK && syn_clock_s() < until_s);
    assert_int_equal(r.status, SYN_OK);
}

static void a_server_that_hangs_is_told_in_time_and_its_return_is_noticed(void **state)
{
    world w;
    world_begin(&w, true);
    const syn_db_options o = {.url = w.url, .patience_s = 1.5};
    assert_ok(syn_db_open(&w.db, &o));
    assert_int_equal(server_do(&postgres, "hang"), 0);
    all_fail_in_time(&w, o.patience_s);
    all_fail_in_time(&w, o.patience_s); /* nobody connects */
    assert_int_equal(server_do(&postgres, "wake"), 0);
    assert_recovers(&w);
    world_end(&w);
}

static void a_table_that_somebody_locked_is_told_in_time(void **state)
{
    world w;
    world_begin(&w, true);
    const syn_db_options o = {.url = w.url, .patience_s = 1.5};
    assert_ok(syn_db_open(&w.db, &o));
    PGconn *locker = query(
        w.url, "BEGIN; LOCK TABLE history, api_keys, syncog_version IN ACCESS EXCLUSIVE MODE");
    all_fail_in_time(&w, o.patience_s);
    all_fail_in_time(&w, o.patience_s);
    PQfinish(locker);
    assert_recovers(&w);
    world_end(&w);
}

/* ---- a full disk ---- */

/* No file of this process may grow above so many bytes. */
static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void a_full_disk_is_one_sentence_and_keeps_what_was_acknowledged(void **state)
{
    world w;
    signal(SIGXFSZ, SIG_IGN);
    world_begin(&w, false);
    world_open(&w);
    static char large[20000];
    memset(large, 'a', sizeof large - 1);
    limit_files(400 << 10);
    int good = 0;
    for (int k = 0; k < 100; k++) {
        const syn_db_record record = record_of(NULL, large);
        forget(&r);
        assert_ok(syn_db_history_add(w.db, &record, keep, &r));
        syn_db_flush(w.db);
        if (r.status == SYN_OK)
            good++;
        else
            break;
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(r.status, SYN_ERR_IO);
    assert_non_null(strstr(r.sentence, "/a.db: "));
    assert_null(strchr(r.sentence, '\n'));
    assert_true(good > 2 && good < 100);
    const syn_db_filter f = {.org = "default", .limit = 1};
    ANSWERED(w.db, &r, syn_db_history_list(w.db, &f, keep, &r));
    assert_int_equal(r.total, good);
    /* With room again it goes on, and all of it is there after a restart. */
    const syn_db_record record = record_of("after", large);
    ANSWERED(w.db, &r, syn_db_history_add(w.db, &record, keep, &r));
    world_close(&w);
    check_integrity(&w);
    world_open(&w);
    ANSWERED(w.db, &r, syn_db_history_list(w.db, &f, keep, &r));
    assert_int_equal(r.total, good + 1);
    world_end(&w);
}

/* ---- files and addresses ---- */

static void open_fails(const char *url, syn_status code, const char *part)
{
    syn_db *db = NULL;
    const syn_db_options o = {.url = url, .patience_s = .2};
    assert_int_equal(syn_db_open(&db, &o), code);
    assert_null(db);
    if (!strstr(syn_error_text(), part)) fail_msg("%s: %s", url, syn_error_text());
    assert_null(strstr(syn_error_text(), "geheim"));
}

static void a_second_user_of_a_file_is_refused(void **state)
{
    world w;
    world_begin(&w, false);
    world_open(&w);
    open_fails(w.url, SYN_ERR_IO, "is in use by another process");
    world_close(&w);
    world_open(&w);
    world_end(&w);
}

static void a_file_of_another_kind_or_time_is_refused(void **state)
{
    world w;
    world_begin(&w, false);
    const char *path = w.url + strlen("sqlite:///");
    FILE *f = fopen(path, "w");
    for (int k = 0; k < 1000; k++) fputs("this is no database ", f);
    fclose(f);
    open_fails(w.url, SYN_ERR_FORMAT, "file is not a database");
    assert_int_equal(remove(path), 0);
    world_open(&w);
    world_close(&w);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE syncog_version SET version = 999", 0, 0, 0),
                     SQLITE_OK);
    sqlite3_close(db);
    open_fails(w.url, SYN_ERR_FORMAT, "tables of version 999");
    world_end(&w);
}

static void addresses_that_lead_nowhere_say_so_without_the_password(void **state)
{
    open_fails("mysql://u:geheim@h/d", SYN_ERR_INVALID, "neither sqlite:/// nor postgresql://");
    open_fails("sqlite:///", SYN_ERR_INVALID, "has no path");
    open_fails("sqlite:////nowhere/at/all/a.db", SYN_ERR_IO, "/nowhere/at/all/a.db");
    open_fails("postgresql://u:geheim@127.0.0.1:1/d", SYN_ERR_NETWORK, "127.0.0.1:1/d");
    open_fails("postgresql://u:geheim@[::1/d", SYN_ERR_INVALID, "not one of PostgreSQL");
}

/* Nobody else on the machine reads the records. */
static void the_files_are_their_owners_alone(void **state)
{
    world w;
    struct stat st;
    world_begin(&w, false);
    world_open(&w);
    assert_int_equal(stat(w.url + strlen("sqlite:///"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_keeps_what_it_acknowledged_when_its_process_is_killed),
        cmocka_unit_test(postgres_keeps_what_it_acknowledged_when_its_process_is_killed),
        cmocka_unit_test(a_server_that_crashes_loses_nothing_and_adds_nothing_twice),
        cmocka_unit_test(a_server_that_stays_away_is_one_sentence_and_its_return_is_noticed),
        cmocka_unit_test(a_server_that_hangs_is_told_in_time_and_its_return_is_noticed),
        cmocka_unit_test(a_table_that_somebody_locked_is_told_in_time),
        cmocka_unit_test(a_full_disk_is_one_sentence_and_keeps_what_was_acknowledged),
        cmocka_unit_test(a_second_user_of_a_file_is_refused),
        cmocka_unit_test(a_file_of_another_kind_or_time_is_refused),
        cmocka_unit_test(addresses_that_lead_nowhere_say_so_without_the_password),
        cmocka_unit_test(the_files_are_their_owners_alone),
    };
    return cmocka_run_group_tests(tests, postgres_start, postgres_stop);
}
