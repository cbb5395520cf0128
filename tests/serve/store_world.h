/* A fresh database of either kind for each test, and calls that wait for their answer. */
#ifndef SYN_TESTS_SERVE_STORE_WORLD_H
#define SYN_TESTS_SERVE_STORE_WORLD_H

#include <libpq-fe.h>

#include "serve/store.h"
#include "tests/serve/servers.h"

typedef struct world {
    bool postgres;
    char folder[64]; /* of the SQLite file */
    char url[256];
    syn_db *db;
} world;

static server postgres;

static inline void world_close(world *w)
{
    syn_db_close(w->db);
    w->db = NULL;
}

static inline void world_open(world *w)
{
    const syn_db_options o = {.url = w->url};
    assert_ok(syn_db_open(&w->db, &o));
}

/* Somebody else on a PostgreSQL; PQfinish() ends what he does. */
static inline PGconn *query(const char *url, const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *result = PQexec(c, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    return c;
}

/* The database is empty and not opened yet. */
static inline void world_begin(world *w, bool on_postgres)
{
    *w = (world){.postgres = on_postgres};
    if (on_postgres) {
        if (!postgres.url[0]) skip();
        snprintf(w->url, sizeof w->url, "%s", postgres.url);
        PGconn *c = PQconnectdb(w->url);
        PQsetNoticeProcessor(c, NULL, NULL);
        PGresult *r = PQexec(
            c, "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
        PQclear(r);
        PQfinish(c);
    } else {
        snprintf(w->folder, sizeof w->folder, "/tmp/syncog-store-XXXXXX");
        assert_non_null(mkdtemp(w->folder));
        snprintf(w->url, sizeof w->url, "sqlite:///%s/a.db", w->folder);
    }
}

static inline void world_end(world *w)
{
    world_close(w);
    if (!w->postgres) remove_folder(w->folder);
}

/* What a call answered, kept after it. */
typedef struct reply {
    syn_status status;
    int calls, count;
    int64_t total, changed;
    char sentence[512];
    syn_db_totals totals;
    struct {
        char id[300], owner[300], prefix[64], tier[64], org[64], detail[256];
        char session[64];
        char *query, *text; /* of a record: query, reply */
        double confidence;
        int64_t created_ms, revoked_ms, rounds;
    } row[SYN_DB_ROWS_MAX];
} reply;

static inline void keep(void *context, const syn_db_result *r)
{
    reply *out = context;
    out->calls++;
    out->status = r->status;
    out->count = r->count;
    out->total = r->total;
    out->changed = r->changed;
    snprintf(out->sentence, sizeof out->sentence, "%s", r->sentence);
    if (r->totals) out->totals = *r->totals;
    for (int k = 0; k < r->count && !r->totals; k++) {
        const syn_db_key *key = r->keys ? &r->keys[k] : NULL;
        const syn_db_record *record = r->records ? &r->records[k] : NULL;
        const syn_db_event *event = r->events ? &r->events[k] : NULL;
#define KEEP(field, text) snprintf(out->row[k].field, sizeof out->row[k].field, "%s", text)
        if (key) {
            KEEP(id, key->id);
            KEEP(org, key->org);
            KEEP(prefix, key->prefix);
            KEEP(tier, key->tier);
            out->row[k].created_ms = key->created_ms;
            out->row[k].revoked_ms = key->revoked_ms;
        } else if (record) {
            KEEP(id, record->id);
            KEEP(org, record->org);
            KEEP(owner, record->owner);
            KEEP(session, record->session);
            out->row[k].query = strdup(record->query);
            out->row[k].text = strdup(record->reply);
            out->row[k].confidence = record->confidence;
            out->row[k].rounds = record->num_rounds;
            out->row[k].created_ms = record->created_ms;
        } else {
            KEEP(id, event->id);
            KEEP(org, event->org);
            KEEP(detail, event->detail);
        }
#undef KEEP
    }
}

static inline void forget(reply *r)
{
    for (int k = 0; k < r->count; k++) {
        free(r->row[k].query);
        free(r->row[k].text);
    }
    memset(r, 0, sizeof *r);
}

static reply r; /* large */

/* Waits for the one answer of `call`, whose last arguments are `keep, reply`. */
#define ANSWERED(db, r, call)                                                                      \
    do {                                                                                           \
        forget(r);                                                                                 \
        assert_ok(call);                                                                           \
        syn_db_flush(db);                                                                          \
        assert_int_equal((r)->calls, 1);                                                           \
        if ((r)->status != SYN_OK) fail_msg("%s: %s", #call, (r)->sentence);                       \
    } while (0)

static inline syn_db_record record_of(const char *id, const char *query)
{
    return (syn_db_record){.id = id,
                           .org = "default",
                           .owner = "key-1",
                           .query = query,
                           .final_answer = "Tallvik",
                           .task_type = "qa",
                           .reply = "{\"final_answer\":\"Tallvik\"}",
                           .confidence = .5,
                           .execution_time_s = 1.25,
                           .num_agents = 3,
                           .num_rounds = 2};
}

/* ---- A test on both kinds: BOTH(X) is the list of the file's tests, each X(name) ---- */

static inline void on_both(void (*test)(world *), bool on_postgres)
{
    world w;
    world_begin(&w, on_postgres);
    world_open(&w);
    test(&w);
    world_end(&w);
    forget(&r);
}

#define DEFINE(name)                                                                               \
    static void sqlite_##name(void **state)                                                        \
    {                                                                                              \
        on_both(name, false);                                                                      \
    }                                                                                              \
    static void postgres_##name(void **state)                                                      \
    {                                                                                              \
        on_both(name, true);                                                                       \
    }
#define LIST(name) cmocka_unit_test(sqlite_##name), cmocka_unit_test(postgres_##name),

static inline int postgres_start(void **state)
{
    (void)state;
    server_start(&postgres, "postgres");
    return 0;
}

static inline int postgres_stop(void **state)
{
    (void)state;
    server_stop(&postgres);
    forget(&r);
    return 0;
}

#endif
