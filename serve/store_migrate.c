/* The tables, and how those of an earlier version are brought up to date while other processes use
 * them. */
#include "serve/store.h"
#include "serve/store_driver.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What was released stays as it is; a change is a further step. A program of the version before
 * works on with the tables of this one. */
const syn_db_step syn_db_steps[] = {
    {.script =
         "CREATE TABLE api_keys ("
         " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,"
         " prefix TEXT NOT NULL, name TEXT NOT NULL, tier TEXT NOT NULL,"
         " created_ms BIGINT NOT NULL, revoked_ms BIGINT NOT NULL DEFAULT 0);"
         "CREATE INDEX api_keys_org ON api_keys (org_id, created_ms, id);"
         "CREATE TABLE history ("
         " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, owner TEXT NOT NULL, query TEXT NOT NULL,"
         " final_answer TEXT NOT NULL, task_type TEXT NOT NULL, confidence DOUBLE PRECISION NOT "
         "NULL,"
         " execution_time_s DOUBLE PRECISION NOT NULL, num_agents BIGINT NOT NULL,"
         " num_rounds BIGINT NOT NULL, created_ms BIGINT NOT NULL, reply TEXT NOT NULL);"
         "CREATE INDEX history_org ON history (org_id, created_ms, id);"
         "CREATE INDEX history_owner ON history (org_id, owner, created_ms, id);"
         "CREATE INDEX history_time ON history (created_ms);"
         "CREATE TABLE audit ("
         " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
         " outcome TEXT NOT NULL, request_id TEXT NOT NULL, created_ms BIGINT NOT NULL,"
         " detail TEXT NOT NULL);"
         "CREATE INDEX audit_org ON audit (org_id, created_ms, id);"
         "CREATE INDEX audit_time ON audit (created_ms)"},
    /* Columns with constant defaults: no row is written. history_totals answers
     * SYN_DB_TOTALS_SLICE by itself, since the columns lie behind large replies. */
    {.script = "ALTER TABLE history ADD COLUMN session TEXT NOT NULL DEFAULT '';"
               "ALTER TABLE history ADD COLUMN gaps_detected BIGINT NOT NULL DEFAULT 0;"
               "ALTER TABLE history ADD COLUMN information_gain DOUBLE PRECISION NOT NULL DEFAULT "
               "0;"
               "ALTER TABLE history ADD COLUMN converged BIGINT NOT NULL DEFAULT 0",
     .indexes = {"history_session ON history (org_id, owner, session, created_ms, id)"
                 " WHERE session <> ''",
                 "history_totals ON history (org_id, execution_time_s, confidence, num_agents,"
                 " num_rounds, gaps_detected, information_gain, converged) WHERE num_rounds > 0",
                 "audit_outcome ON audit (org_id, action, outcome)"}},
    /* Lists are filtered, counted and passed over in an index alone. */
    {.indexes = {"history_list ON history (org_id, created_ms, id, task_type, confidence)",
                 "history_list_own ON history (org_id, owner, created_ms, id, task_type,"
                 " confidence)"},
     .drop = {"history_org", "history_owner"}},
};
const int syn_db_step_count = sizeof syn_db_steps / sizeof *syn_db_steps;

enum { SQL_BYTES = 512, TURN_MS = 100 };

/* Asked for again and again: who waits within a statement would be waited for by those that build
 * an index. */
static syn_status take_turn(const syn_db_driver *driver, void *handle)
{
    int64_t taken = driver->alone ? 0 : 1;
    while (!taken) {
        SYN_RETURN_IF(driver->script(handle, driver->alone, &taken));
        const struct timespec pause = {0, TURN_MS * 1000000};
        if (!taken) nanosleep(&pause, NULL);
    }
    return SYN_OK;
}

static syn_status run_number(const syn_db_driver *driver, void *handle, const char *format,
                             int64_t number)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof sql, format, (long long)number);
    return driver->script(handle, sql, NULL);
}

/* In one transaction with a row that says so: -k for the script that leads to version k. */
static syn_status run_script(const syn_db_driver *driver, void *handle, const char *script,
                             int64_t to)
{
    int64_t run = 0;
    SYN_RETURN_IF(driver->script(handle, "SELECT MIN(version) FROM syncog_version", &run));
    if (run == -to || !script) return SYN_OK;
    SYN_RETURN_IF(driver->script(handle, driver->begin, NULL));
    SYN_RETURN_IF(driver->script(handle, script, NULL));
    SYN_RETURN_IF(run_number(driver, handle, "INSERT INTO syncog_version VALUES (%lld)", -to));
    return driver->script(handle, "COMMIT", NULL);
}

/* One that is there was left half-made. */
static syn_status build(const syn_db_driver *driver, void *handle, const char *index)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof sql, "%s%.*s", driver->drop, (int)strcspn(index, " "), index);
    SYN_RETURN_IF(driver->script(handle, sql, NULL));
    snprintf(sql, sizeof sql, "%s%s", driver->index, index);
    return driver->script(handle, sql, NULL);
}

static syn_status one_step(const syn_db_driver *driver, void *handle, const syn_db_step *step,
                           int64_t to)
{
    char sql[SQL_BYTES];
    SYN_RETURN_IF(run_script(driver, handle, step->script, to));
    for (int k = 0; k < SYN_DB_STEP_INDEXES_MAX && step->indexes[k]; k++)
        SYN_RETURN_IF(build(driver, handle, step->indexes[k]));
    for (int k = 0; k < SYN_DB_STEP_INDEXES_MAX && step->drop[k]; k++) {
        snprintf(sql, sizeof sql, "%s%s", driver->drop, step->drop[k]);
        SYN_RETURN_IF(driver->script(handle, sql, NULL));
    }
    SYN_RETURN_IF(driver->script(handle, driver->begin, NULL));
    SYN_RETURN_IF(driver->script(handle, "DELETE FROM syncog_version", NULL));
    SYN_RETURN_IF(run_number(driver, handle, "INSERT INTO syncog_version VALUES (%lld)", to));
    return driver->script(handle, "COMMIT", NULL);
}

/* A failure leaves a transaction open, which closing the connection rolls back. */
syn_status syn_db_migrate(const syn_db_driver *driver, void *handle)
{
    int64_t version = 0;
    SYN_RETURN_IF(take_turn(driver, handle));
    SYN_RETURN_IF(
        driver->script(handle,
                       "CREATE TABLE IF NOT EXISTS syncog_version (version BIGINT NOT NULL);"
                       "SELECT COALESCE(MAX(version), 0) FROM syncog_version WHERE version >= 0",
                       &version));
    if (version < 0 || version > syn_db_step_count)
        return syn_fail(SYN_ERR_FORMAT,
                        "the database has tables of version %lld, and this program knows them up "
                        "to version %d: use the program that wrote it, or a later one",
                        (long long)version, syn_db_step_count);
    for (int64_t k = version; k < syn_db_step_count; k++)
        SYN_RETURN_IF(one_step(driver, handle, &syn_db_steps[k], k + 1));
    return SYN_OK;
}
