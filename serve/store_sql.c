/* Tables and statements, in the part of SQL that SQLite and PostgreSQL share. Parameters appear in
 * the order of their numbers, as SQLite numbers "$1" by appearance. */
#include "serve/store.h"
#include "serve/store_driver.h"

#include <stdio.h>

/* What was released stays as it is; a change is a further step. */
const char *const syn_db_steps[] = {
    "CREATE TABLE api_keys ("
    " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,"
    " prefix TEXT NOT NULL, name TEXT NOT NULL, tier TEXT NOT NULL,"
    " created_ms BIGINT NOT NULL, revoked_ms BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX api_keys_org ON api_keys (org_id, created_ms, id);"
    "CREATE TABLE history ("
    " id TEXT PRIMARY KEY, org_id TEXT NOT NULL, owner TEXT NOT NULL, query TEXT NOT NULL,"
    " final_answer TEXT NOT NULL, task_type TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL,"
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
    "CREATE INDEX audit_time ON audit (created_ms);",
    /* history_totals answers SYN_DB_TOTALS_SLICE by itself: the columns lie behind large replies.
     */
    "ALTER TABLE history ADD COLUMN session TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE history ADD COLUMN gaps_detected BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE history ADD COLUMN information_gain DOUBLE PRECISION NOT NULL DEFAULT 0;"
    "ALTER TABLE history ADD COLUMN converged BIGINT NOT NULL DEFAULT 0;"
    "CREATE INDEX history_session ON history (org_id, owner, session, created_ms, id)"
    " WHERE session <> '';"
    "CREATE INDEX history_totals ON history (org_id, execution_time_s, confidence, num_agents,"
    " num_rounds, gaps_detected, information_gain, converged) WHERE num_rounds > 0;"
    "CREATE INDEX audit_outcome ON audit (org_id, action, outcome);",
    /* Lists are filtered, counted and passed over in an index alone. */
    "CREATE INDEX history_list ON history (org_id, created_ms, id, task_type, confidence);"
    "CREATE INDEX history_list_own ON history (org_id, owner, created_ms, id, task_type,"
    " confidence);"
    "DROP INDEX history_org;"
    "DROP INDEX history_owner;",
};
const int syn_db_step_count = sizeof syn_db_steps / sizeof *syn_db_steps;

#define KEY "SELECT id, org_id, sha256, prefix, name, tier, created_ms, revoked_ms FROM api_keys "
#define RECORD(reply, session)                                                                     \
    "SELECT id, org_id, owner, query, final_answer, task_type, confidence, execution_time_s, "     \
    "num_agents, num_rounds, created_ms, " reply ", " session " FROM history "
#define EVENT                                                                                      \
    "SELECT id, org_id, actor, action, outcome, request_id, created_ms, detail FROM audit "
#define NEWEST      "ORDER BY created_ms DESC, id DESC "
#define COUNT(rows) "SELECT COUNT(*) FROM (SELECT 1 FROM " rows " LIMIT 10000) AS counted"
_Static_assert(SYN_DB_TOTAL_MAX == 10000, "COUNT stops there");
#define MATCHES(org_and_owner, task, any_task, confidence)                                         \
    org_and_owner " AND (task_type = CAST(" task " AS TEXT) OR CAST(" any_task                     \
                  " AS BIGINT) = 1) AND confidence >= CAST(" confidence " AS DOUBLE PRECISION) "
#define OF_ALL MATCHES("WHERE org_id = $1", "$2", "$3", "$4")
#define OF_OWN MATCHES("WHERE org_id = $1 AND owner = $2", "$3", "$4", "$5")
/* The smallest time that at least this share of all are not above; 0 where there are none. */
#define TIMED                                                                                      \
    "FROM history WHERE org_id = $1 AND num_rounds > 0 AND execution_time_s > "                    \
    "CAST($2 AS DOUBLE PRECISION) "
/* A slice, so that other calls wait for no more than that. */
#define EXPIRE(table)                                                                              \
    "DELETE FROM " table " WHERE id IN (SELECT id FROM " table                                     \
    " WHERE created_ms < $1 ORDER BY created_ms LIMIT 500)"

const syn_db_sql syn_db_sqls[SYN_DB_STATEMENTS] = {
    [SYN_DB_KEY_ADD] = {"INSERT INTO api_keys (id, org_id, sha256, prefix, name, tier, created_ms) "
                        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                        "ttttt"
                        "ti",
                        "", true, SYN_DB_STATEMENTS},
    [SYN_DB_KEY_FIND] = {KEY "WHERE sha256 = $1", "t", "ttttttii", false, SYN_DB_STATEMENTS},
    [SYN_DB_KEY_LIST] = {KEY "WHERE org_id = $1 " NEWEST "LIMIT $2 OFFSET $3", "tii", "ttttttii",
                         false, SYN_DB_KEY_COUNT},
    [SYN_DB_KEY_COUNT] = {COUNT("api_keys WHERE org_id = $1"), "t", "i", false, SYN_DB_STATEMENTS},
    [SYN_DB_KEY_REVOKE] = {"UPDATE api_keys SET revoked_ms = CASE WHEN revoked_ms = 0 THEN "
                           "CAST($1 AS BIGINT) ELSE revoked_ms END WHERE org_id = $2 AND id = $3",
                           "itt", "", true, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_ADD] =
        {"INSERT INTO history (id, org_id, owner, query, final_answer, task_type, confidence, "
         "execution_time_s, num_agents, num_rounds, created_ms, reply, session, gaps_detected, "
         "information_gain, converged) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
         "$13, $14, $15, $16) ON CONFLICT DO NOTHING",
         "ttttttrriiittiri", "", true, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_LIST] = {RECORD("''", "''") OF_ALL NEWEST "LIMIT $5 OFFSET $6", "ttirii",
                             "ttttttrriiitt", false, SYN_DB_HISTORY_COUNT},
    [SYN_DB_HISTORY_COUNT] = {COUNT("history " OF_ALL), "ttir", "i", false, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_LIST_OWN] = {RECORD("''", "''") OF_OWN NEWEST "LIMIT $6 OFFSET $7", "tttirii",
                                 "ttttttrriiitt", false, SYN_DB_HISTORY_COUNT_OWN},
    [SYN_DB_HISTORY_COUNT_OWN] = {COUNT("history " OF_OWN), "tttir", "i", false, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_GET] = {RECORD("reply", "session") "WHERE org_id = $1 AND id = $2", "tt",
                            "ttttttrriiitt", false, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_GET_OWN] = {RECORD("reply",
                                       "session") "WHERE org_id = $1 AND id = $2 AND owner = $3",
                                "ttt", "ttttttrriiitt", false, SYN_DB_STATEMENTS},
    [SYN_DB_SESSION] = {RECORD("''", "''") "WHERE org_id = $1 AND owner = $2 AND session = $3 "
                                           "AND session <> '' " NEWEST "LIMIT $4",
                        "ttti", "ttttttrriiitt", false, SYN_DB_STATEMENTS},
    /* In the order of the index; records of the same time are never parted. */
    [SYN_DB_TOTALS_SLICE] =
        {"SELECT COUNT(*), COALESCE(SUM(num_agents), 0), COALESCE(SUM(num_rounds), 0),"
         " COALESCE(SUM(confidence), 0), COALESCE(SUM(execution_time_s), 0),"
         " COALESCE(SUM(gaps_detected), 0), COALESCE(SUM(information_gain), 0),"
         " COALESCE(SUM(converged), 0), COALESCE(MAX(execution_time_s), 0) " TIMED
         "AND execution_time_s <= (SELECT MAX(execution_time_s) FROM (SELECT "
         "execution_time_s " TIMED "ORDER BY execution_time_s LIMIT 10000) AS slice)",
         "tr", "iiirrrrrr", false, SYN_DB_STATEMENTS},
    [SYN_DB_TOTALS_QUANTILE] = {"SELECT execution_time_s " TIMED
                                "ORDER BY execution_time_s LIMIT 1 OFFSET $3",
                                "tri", "r", false, SYN_DB_STATEMENTS},
    [SYN_DB_TOTALS_FAILED] = {"SELECT COUNT(*) FROM audit WHERE org_id = $1 AND action = "
                              "'collaborate' AND outcome IN ('failed', '" SYN_DB_UNRECORDED "')",
                              "t", "i", false, SYN_DB_STATEMENTS},
    [SYN_DB_AUDIT_ADD] = {"INSERT INTO audit (id, org_id, actor, action, outcome, request_id, "
                          "created_ms, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                          "ON CONFLICT DO NOTHING",
                          "ttttttit", "", true, SYN_DB_STATEMENTS},
    [SYN_DB_AUDIT_LIST] = {EVENT "WHERE org_id = $1 " NEWEST "LIMIT $2 OFFSET $3", "tii",
                           "ttttttit", false, SYN_DB_AUDIT_COUNT},
    [SYN_DB_AUDIT_COUNT] = {COUNT("audit WHERE org_id = $1"), "t", "i", false, SYN_DB_STATEMENTS},
    [SYN_DB_HISTORY_EXPIRE] = {EXPIRE("history"), "i", "", true, SYN_DB_STATEMENTS},
    [SYN_DB_AUDIT_EXPIRE] = {EXPIRE("audit"), "i", "", true, SYN_DB_STATEMENTS},
};

static syn_status one_step(const syn_db_driver *driver, void *handle, bool *more)
{
    int64_t version = 0;
    syn_status st = SYN_OK;
    SYN_TRY(driver->script(handle,
                           "CREATE TABLE IF NOT EXISTS syncog_version (version BIGINT NOT NULL);"
                           "SELECT COALESCE(MAX(version), 0) FROM syncog_version",
                           &version));
    *more = version < syn_db_step_count;
    if (version < 0 || version > syn_db_step_count)
        return syn_fail(SYN_ERR_FORMAT,
                        "the database has tables of version %lld, and this program knows them up "
                        "to version %d: use the program that wrote it, or a later one",
                        (long long)version, syn_db_step_count);
    if (!*more) return SYN_OK;
    SYN_TRY(driver->script(handle, syn_db_steps[version], NULL));
    SYN_TRY(driver->script(handle, "DELETE FROM syncog_version", NULL));
    char sql[96];
    snprintf(sql, sizeof sql, "INSERT INTO syncog_version VALUES (%lld)", (long long)version + 1);
    st = driver->script(handle, sql, NULL);
done:
    return st;
}

syn_status syn_db_migrate(const syn_db_driver *driver, void *handle)
{
    for (bool more = true; more;) {
        SYN_RETURN_IF(driver->script(handle, driver->begin_alone, NULL));
        syn_status st = one_step(driver, handle, &more);
        if (st == SYN_OK) st = driver->script(handle, "COMMIT", NULL);
        if (st != SYN_OK) return st; /* closing the connection rolls back */
    }
    return SYN_OK;
}
