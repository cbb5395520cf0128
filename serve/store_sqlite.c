/* SQLite 3 in WAL mode, every commit synced. One connection writes, reads and checkpoints, without
 * memory mapping: SQLite 3.40 can damage a database whose log is reset by one connection while
 * another writes. */
#include "serve/store_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <sqlite3.h>

#include "kernels/base/progress.h"

#define READ_S 8.0 /* a read that takes longer is given up: everybody else waits for it */
enum { PATH_BYTES = 4096, STEPS_BETWEEN_LOOKS = 100000 };

typedef struct database {
    sqlite3 *db;
    sqlite3_stmt *statements[SYN_DB_STATEMENTS];
    int lock_fd;
    bool unsynced;  /* an fsync has failed */
    double until_s; /* of the read that is under way; 0: none */
    char path[PATH_BYTES];
} database;

static syn_status fault(const database *d, int code)
{
    const int kind = code & 0xff;
    return syn_fail(kind == SQLITE_NOTADB || kind == SQLITE_CORRUPT ? SYN_ERR_FORMAT
                    : kind == SQLITE_NOMEM                          ? SYN_ERR_MEMORY
                                                                    : SYN_ERR_IO,
                    "the database %s: %s", d->path,
                    d->db ? sqlite3_errmsg(d->db) : sqlite3_errstr(code));
}

/* ---- opening ---- */

static syn_status path_of(database *d, const char *url)
{
    const char *path = url + strlen("sqlite:///");
    SYN_REQUIRE(*path, "the database's address has no path: sqlite:///FOLDER/NAME.db");
    /* "./": ":memory:" is a file name like any other. */
    const int bytes = snprintf(d->path, sizeof d->path, "%s%s", *path == '/' ? "" : "./", path);
    SYN_REQUIRE(bytes + 6 < PATH_BYTES, "the database's path is longer than %d bytes",
                PATH_BYTES - 7);
    return SYN_OK;
}

/* Held until the descriptor is closed, or the process ends in whatever way. */
static syn_status lock(database *d)
{
    char name[PATH_BYTES + 8];
    snprintf(name, sizeof name, "%s.lock", d->path);
    d->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0) return syn_fail(SYN_ERR_IO, "%s: %s", name, strerror(errno));
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return syn_fail(SYN_ERR_IO,
                        errno == EWOULDBLOCK
                            ? "the database %s is in use by another process (%s is locked)"
                            : "the database %s: %s cannot be locked",
                        d->path, name);
    return SYN_OK;
}

/* SQLite gives the files beside it the rights of this one. */
static syn_status make(const database *d)
{
    const int fd = open(d->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return syn_fail(SYN_ERR_IO, "the database %s: %s", d->path, strerror(errno));
    close(fd);
    return SYN_OK;
}

static syn_status sqlite_script(void *handle, const char *sql, int64_t *number)
{
    database *d = handle;
    while (*sql) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(d->db, sql, -1, &s, &sql);
        if (rc != SQLITE_OK) return fault(d, rc);
        if (!s) break; /* blanks */
        while ((rc = sqlite3_step(s)) == SQLITE_ROW)
            if (number) *number = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        if (rc != SQLITE_DONE) return fault(d, rc);
    }
    return SYN_OK;
}

static void sqlite_close(void *handle)
{
    database *d = handle;
    if (!d) return;
    for (int k = 0; k < SYN_DB_STATEMENTS; k++) sqlite3_finalize(d->statements[k]);
    sqlite3_close(d->db);
    if (d->lock_fd >= 0) close(d->lock_fd);
    free(d);
}

static int too_long(void *handle)
{
    const database *d = handle;
    return d->until_s > 0 && syn_clock_s() > d->until_s;
}

static syn_status sqlite_open(const char *url, double until_s, void **handle)
{
    syn_status st = SYN_OK;
    (void)until_s;
    database *d = calloc(1, sizeof *d);
    *handle = NULL;
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    d->lock_fd = -1;
    SYN_TRY(path_of(d, url));
    SYN_TRY(lock(d));
    SYN_TRY(make(d));
    const int rc = sqlite3_open_v2(
        d->path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
        NULL);
    if (rc != SQLITE_OK) {
        st = fault(d, rc);
        goto done;
    }
    sqlite3_extended_result_codes(d->db, 1);
    sqlite3_progress_handler(d->db, STEPS_BETWEEN_LOOKS, too_long, d);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    SYN_TRY(sqlite_script(d,
                          "PRAGMA busy_timeout=5000; PRAGMA mmap_size=0; PRAGMA journal_mode=WAL;"
                          "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                          "PRAGMA trusted_schema=OFF",
                          NULL));
done:
    if (st == SYN_OK)
        *handle = d;
    else
        sqlite_close(d);
    return st;
}

static syn_status sqlite_prepare(void *handle, double until_s)
{
    database *d = handle;
    (void)until_s;
    for (int k = 0; k < SYN_DB_STATEMENTS; k++) {
        const int rc = sqlite3_prepare_v3(d->db, syn_db_sqls[k].text, -1, SQLITE_PREPARE_PERSISTENT,
                                          &d->statements[k], NULL);
        if (rc != SQLITE_OK) return fault(d, rc);
    }
    return SYN_OK;
}

/* ---- calls ---- */

static int bind(sqlite3_stmt *s, const syn_db_call *call)
{
    int rc = SQLITE_OK;
    const int count = sqlite3_bind_parameter_count(s);
    for (int k = 0; k < count && rc == SQLITE_OK; k++) {
        const syn_db_value *v = &call->values[k];
        if (v->type == SYN_DB_INT)
            rc = sqlite3_bind_int64(s, k + 1, v->integer);
        else if (v->type == SYN_DB_REAL)
            rc = sqlite3_bind_double(s, k + 1, v->real);
        else
            rc = sqlite3_bind_text(s, k + 1, v->text, -1, SQLITE_STATIC);
    }
    return rc;
}

static int write_all(database *d, syn_db_call *calls, int count)
{
    int rc = SQLITE_OK;
    for (int k = 0; k < count; k++) {
        sqlite3_stmt *s = d->statements[calls[k].statement];
        rc = bind(s, &calls[k]);
        if (rc == SQLITE_OK) rc = sqlite3_step(s);
        calls[k].changed = sqlite3_changes64(d->db);
        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
        if (rc != SQLITE_DONE) return rc;
    }
    return SQLITE_OK;
}

static syn_status sqlite_write(void *handle, syn_db_call *calls, int count, double until_s)
{
    database *d = handle;
    (void)until_s;
    if (d->unsynced)
        return syn_fail(SYN_ERR_IO,
                        "the database %s: the disk has failed to keep a write; check it, then "
                        "start again",
                        d->path);
    int rc = sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = write_all(d, calls, count);
    if (rc == SQLITE_OK) rc = sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK) return SYN_OK;
    d->unsynced = rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
    const syn_status st = fault(d, rc);
    if (!sqlite3_get_autocommit(d->db)) sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static syn_status sqlite_read(void *handle, const syn_db_call *call, double until_s, syn_db_row row,
                              void *context)
{
    database *d = handle;
    sqlite3_stmt *s = d->statements[call->statement];
    const char *columns = syn_db_sqls[call->statement].columns;
    syn_status st = SYN_OK;
    int rc = bind(s, call);
    (void)until_s;
    d->until_s = syn_clock_s() + READ_S;
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        syn_db_value v[SYN_DB_VALUES_MAX];
        rc = SQLITE_OK;
        for (int k = 0; columns[k]; k++) {
            if (columns[k] == 'i') {
                v[k] = (syn_db_value){SYN_DB_INT, .integer = sqlite3_column_int64(s, k)};
            } else if (columns[k] == 'r') {
                v[k] = (syn_db_value){SYN_DB_REAL, .real = sqlite3_column_double(s, k)};
            } else {
                v[k] = (syn_db_value){SYN_DB_TEXT, .text = (const char *)sqlite3_column_text(s, k)};
                if (!v[k].text) rc = SQLITE_NOMEM; /* the columns are NOT NULL */
            }
        }
        if (rc == SQLITE_OK) st = row(context, v);
        if (st != SYN_OK) break;
    }
    d->until_s = 0;
    if (st == SYN_OK && rc != SQLITE_DONE) st = fault(d, rc);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return st;
}

const syn_db_driver syn_db_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .script = sqlite_script,
    .prepare = sqlite_prepare,
    .write = sqlite_write,
    .read = sqlite_read,
    .begin = "BEGIN IMMEDIATE",
    .index = "CREATE INDEX ",
    .drop = "DROP INDEX IF EXISTS ",
};
