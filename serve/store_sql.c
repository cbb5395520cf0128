/* Statements, in the part of SQL that SQLite and PostgreSQL share. Parameters appear in
 * the order of their numbers, as SQLite numbers "$1" by appearance. */
#include "serve/store.h"
#include "serve/store_driver.h"

#define KEY "SELECT id, org_id, sha256, prefix, name, tier, created_ms, revoked_ms FROM api_keys "
#define RECORD(reply, session)                                                                     \
    "SELECT id, org_id, owner, query, final_answer, task_type, confidence, execution_time_s, "     \
    "num_agents, num_rounds, created_ms, " reply ", " session " FROM history "
#define EVENT                                                                                      \
    "SELECT id, org_id, actor, action, outcome, request_id, created_ms, detail FROM audit "
#define NEWEST "ORDER BY created_ms DESC, id DESC "
/* A slice of a list: so many entries of an index, which take milliseconds. Records of the same time
 * are never parted. */
#define BORDER(table, whose, before)                                                               \
    "SELECT created_ms FROM " table " WHERE " whose " AND created_ms < " before " " NEWEST         \
    "LIMIT 1 OFFSET 4999"
#define WITHIN(before, from) "AND created_ms < " before " AND created_ms >= " from " "
#define MATCHES(org_and_owner, task, any_task, confidence)                                         \
    org_and_owner " AND (task_type = CAST(" task " AS TEXT) OR CAST(" any_task                     \
                  " AS BIGINT) = 1) AND confidence >= CAST(" confidence " AS DOUBLE PRECISION) "
#define OF_ALL MATCHES("WHERE org_id = $1", "$2", "$3", "$4") WITHIN("$5", "$6")
#define OF_OWN MATCHES("WHERE org_id = $1 AND owner = $2", "$3", "$4", "$5") WITHIN("$6", "$7")
#define OF_ORG "WHERE org_id = $1 " WITHIN("$2", "$3")
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
                        "", true},
    [SYN_DB_KEY_FIND] = {KEY "WHERE sha256 = $1", "t", "ttttttii", false},
    [SYN_DB_KEY_LIST] = {KEY OF_ORG NEWEST "LIMIT $4 OFFSET $5", "tiiii", "ttttttii", false,
                         SYN_DB_KEY_BORDER, SYN_DB_KEY_COUNT},
    [SYN_DB_KEY_BORDER] = {BORDER("api_keys", "org_id = $1", "$2"), "ti", "i", false},
    [SYN_DB_KEY_COUNT] = {"SELECT COUNT(*) FROM api_keys " OF_ORG, "tii", "i", false},
    [SYN_DB_KEY_REVOKE] = {"UPDATE api_keys SET revoked_ms = CASE WHEN revoked_ms = 0 THEN "
                           "CAST($1 AS BIGINT) ELSE revoked_ms END WHERE org_id = $2 AND id = $3",
                           "itt", "", true},
    [SYN_DB_HISTORY_ADD] =
        {"INSERT INTO history (id, org_id, owner, query, final_answer, task_type, confidence, "
         "execution_time_s, num_agents, num_rounds, created_ms, reply, session, gaps_detected, "
         "information_gain, converged) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
         "$13, $14, $15, $16) ON CONFLICT DO NOTHING",
         "ttttttrriiittiri", "", true},
    [SYN_DB_HISTORY_LIST] = {RECORD("''", "''") OF_ALL NEWEST "LIMIT $7 OFFSET $8", "ttiriiii",
                             "ttttttrriiitt", false, SYN_DB_HISTORY_BORDER, SYN_DB_HISTORY_COUNT},
    [SYN_DB_HISTORY_BORDER] = {BORDER("history", "org_id = $1", "$2"), "ti", "i", false},
    [SYN_DB_HISTORY_COUNT] = {"SELECT COUNT(*) FROM history " OF_ALL, "ttirii", "i", false},
    [SYN_DB_HISTORY_LIST_OWN] = {RECORD("''", "''") OF_OWN NEWEST "LIMIT $8 OFFSET $9", "tttiriiii",
                                 "ttttttrriiitt", false, SYN_DB_HISTORY_BORDER_OWN,
                                 SYN_DB_HISTORY_COUNT_OWN},
    [SYN_DB_HISTORY_BORDER_OWN] = {BORDER("history", "org_id = $1 AND owner = $2", "$3"), "tti",
                                   "i", false},
    [SYN_DB_HISTORY_COUNT_OWN] = {"SELECT COUNT(*) FROM history " OF_OWN, "tttirii", "i", false},
    [SYN_DB_HISTORY_GET] = {RECORD("reply", "session") "WHERE org_id = $1 AND id = $2", "tt",
                            "ttttttrriiitt", false},
    [SYN_DB_HISTORY_GET_OWN] = {RECORD("reply",
                                       "session") "WHERE org_id = $1 AND id = $2 AND owner = $3",
                                "ttt", "ttttttrriiitt", false},
    [SYN_DB_SESSION] = {RECORD("''", "''") "WHERE org_id = $1 AND owner = $2 AND session = $3 "
                                           "AND session <> '' " NEWEST "LIMIT $4",
                        "ttti", "ttttttrriiitt", false},
    /* In the order of the index; records of the same time are never parted. */
    [SYN_DB_TOTALS_SLICE] =
        {"SELECT COUNT(*), COALESCE(SUM(num_agents), 0), COALESCE(SUM(num_rounds), 0),"
         " COALESCE(SUM(confidence), 0), COALESCE(SUM(execution_time_s), 0),"
         " COALESCE(SUM(gaps_detected), 0), COALESCE(SUM(information_gain), 0),"
         " COALESCE(SUM(converged), 0), COALESCE(MAX(execution_time_s), 0) " TIMED
         "AND execution_time_s <= (SELECT MAX(execution_time_s) FROM (SELECT "
         "execution_time_s " TIMED "ORDER BY execution_time_s LIMIT 10000) AS slice)",
         "tr", "iiirrrrrr", false},
    [SYN_DB_TOTALS_QUANTILE] = {"SELECT execution_time_s " TIMED
                                "ORDER BY execution_time_s LIMIT 1 OFFSET $3",
                                "tri", "r", false},
    [SYN_DB_TOTALS_FAILED] = {"SELECT COUNT(*) FROM audit WHERE org_id = $1 AND action = "
                              "'collaborate' AND outcome IN ('failed', '" SYN_DB_UNRECORDED "')",
                              "t", "i", false},
    [SYN_DB_AUDIT_ADD] = {"INSERT INTO audit (id, org_id, actor, action, outcome, request_id, "
                          "created_ms, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                          "ON CONFLICT DO NOTHING",
                          "ttttttit", "", true},
    [SYN_DB_AUDIT_LIST] = {EVENT OF_ORG NEWEST "LIMIT $4 OFFSET $5", "tiiii", "ttttttit", false,
                           SYN_DB_AUDIT_BORDER, SYN_DB_AUDIT_COUNT},
    [SYN_DB_AUDIT_BORDER] = {BORDER("audit", "org_id = $1", "$2"), "ti", "i", false},
    [SYN_DB_AUDIT_COUNT] = {"SELECT COUNT(*) FROM audit " OF_ORG, "tii", "i", false},
    [SYN_DB_HISTORY_EXPIRE] = {EXPIRE("history"), "i", "", true},
    [SYN_DB_AUDIT_EXPIRE] = {EXPIRE("audit"), "i", "", true},
};
