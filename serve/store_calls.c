/* Calls into statements with values. */
#include "serve/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "kernels/base/progress.h"
#include "serve/store_internal.h"
#include "serve/words.h"

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

syn_status syn_db_id(char out[SYN_DB_ID_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != sizeof b)
        return syn_fail(SYN_ERR_IO, "the system gives no random bytes");
    const uint64_t ms = (uint64_t)now_ms();
    for (int k = 0; k < 6; k++) b[k] = (unsigned char)(ms >> (40 - 8 * k));
    b[6] = (b[6] & 0x0f) | 0x70; /* version 7 */
    b[8] = (b[8] & 0x3f) | 0x80; /* RFC 9562's variant */
    char *p = out;
    for (int k = 0; k < 16; k++) {
        if (k == 4 || k == 6 || k == 8 || k == 10) *p++ = '-';
        *p++ = hex[b[k] >> 4];
        *p++ = hex[b[k] & 15];
    }
    *p = 0;
    return SYN_OK;
}

/* ---- building a call ---- */

/* The values point at what the caller gave until they are copied into the job. The first fault is
 * kept. */
typedef struct building {
    syn_db_call call;
    int count;
    size_t bytes;
    syn_status st;
    char id[SYN_DB_ID_BYTES];
} building;

static void add_text(building *b, const char *name, const char *text, size_t bytes_max)
{
    if (!text) text = "";
    const size_t bytes = strnlen(text, bytes_max + 1);
    b->call.values[b->count++] = (syn_db_value){SYN_DB_TEXT, .text = text};
    b->bytes += bytes + 1;
    if (b->st != SYN_OK) return;
    if (bytes > bytes_max)
        b->st = syn_fail(SYN_ERR_INVALID, "%s is longer than %zu bytes", name, bytes_max);
    else if (syn_utf8_fault(text, bytes) >= 0)
        b->st = syn_fail(SYN_ERR_INVALID, "%s is not UTF-8", name);
}

static void add_name(building *b, const char *name, const char *text)
{
    if (b->st == SYN_OK && (!text || !*text))
        b->st = syn_fail(SYN_ERR_INVALID, "%s is missing", name);
    add_text(b, name, text, SYN_DB_NAME_BYTES_MAX);
}

/* For people to read, in a terminal too. */
static void add_line(building *b, const char *name, const char *text)
{
    add_text(b, name, text, SYN_DB_NAME_BYTES_MAX);
    for (; b->st == SYN_OK && text && *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            b->st = syn_fail(SYN_ERR_INVALID, "%s has a control character", name);
    }
}

static void add_id(building *b, const char *id)
{
    if ((!id || !*id) && b->st == SYN_OK) {
        b->st = syn_db_id(b->id);
        id = b->id;
    }
    add_name(b, "id", id);
}

static void add_int(building *b, const char *name, int64_t value, int64_t min, int64_t max)
{
    b->call.values[b->count++] = (syn_db_value){SYN_DB_INT, .integer = value};
    if (b->st == SYN_OK && (value < min || value > max))
        b->st = syn_fail(SYN_ERR_INVALID, "%s is %lld, which is not within [%lld, %lld]", name,
                         (long long)value, (long long)min, (long long)max);
}

static void add_real(building *b, const char *name, double value)
{
    b->call.values[b->count++] = (syn_db_value){SYN_DB_REAL, .real = value};
    if (b->st == SYN_OK && !(value >= -1e300 && value <= 1e300))
        b->st = syn_fail(SYN_ERR_INVALID, "%s is not finite", name);
}

static void add_time(building *b, int64_t ms)
{
    add_int(b, "created_ms", ms ? ms : now_ms(), 1, INT64_C(253402300799999));
}

static void add_sha256(building *b, const char *sha256)
{
    if (b->st == SYN_OK && (!sha256 || strspn(sha256, "0123456789abcdef") != 64 || sha256[64]))
        b->st = syn_fail(SYN_ERR_INVALID, "sha256 is not 64 lower-case hex digits");
    add_text(b, "sha256", sha256, 64);
}

/* The slice's times are filled in when it is read. */
static void add_page(building *b, int64_t limit, int64_t offset)
{
    add_int(b, "before", 0, 0, 0);
    add_int(b, "from", 0, 0, 0);
    add_int(b, "limit", limit, 1, SYN_DB_ROWS_MAX);
    add_int(b, "offset", offset, 0, SYN_DB_OFFSET_MAX);
}

/* Copies the texts of the call to `p`, which moves behind them. */
static void copy_call(syn_db_call *to, const building *b, char **p)
{
    *to = b->call;
    for (int k = 0; k < b->count; k++) {
        syn_db_value *v = &to->values[k];
        if (v->type != SYN_DB_TEXT) continue;
        const size_t length = strlen(v->text) + 1;
        v->text = memcpy(*p, v->text, length);
        *p += length;
    }
}

/* with: in the same transaction; NULL: nothing. */
static syn_status submit_both(syn_db *db, const building *b, const building *with, syn_db_done done,
                              void *context)
{
    if (b->st != SYN_OK) return b->st;
    if (with && with->st != SYN_OK) return with->st;
    const size_t bytes = sizeof(syn_db_job) + b->bytes + (with ? with->bytes : 0);
    if (syn_db_is_full(db, bytes))
        return syn_fail(SYN_ERR_LIMIT, "too many calls wait for the database");
    syn_db_job *job = malloc(bytes);
    if (!job) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    *job = (syn_db_job){.count = with ? 2 : 1,
                        .done = done,
                        .context = context,
                        .page = SYN_DB_PAGE,
                        .bytes = bytes,
                        .submitted_s = syn_clock_s()};
    char *p = (char *)(job + 1);
    copy_call(&job->calls[0], b, &p);
    if (with) copy_call(&job->calls[1], with, &p);
    return syn_db_submit(db, job);
}

static syn_status submit(syn_db *db, const building *b, syn_db_done done, void *context)
{
    return submit_both(db, b, NULL, done, context);
}

/* ---- the calls ---- */

syn_status syn_db_key_add(syn_db *db, const syn_db_key *key, syn_db_done done, void *context)
{
    building b = {.call.statement = SYN_DB_KEY_ADD};
    if (!key->org || !*key->org) b.st = syn_fail(SYN_ERR_INVALID, "org is missing");
    add_id(&b, key->id);
    add_line(&b, "org", key->org);
    add_sha256(&b, key->sha256);
    add_text(&b, "prefix", key->prefix, SYN_DB_NAME_BYTES_MAX);
    add_line(&b, "name", key->name);
    add_name(&b, "tier", key->tier);
    add_time(&b, key->created_ms);
    return submit(db, &b, done, context);
}

syn_status syn_db_key_find(syn_db *db, const char *sha256, syn_db_done done, void *context)
{
    building b = {.call.statement = SYN_DB_KEY_FIND};
    add_sha256(&b, sha256);
    return submit(db, &b, done, context);
}

static syn_status list(syn_db *db, syn_db_statement statement, const char *org, int64_t limit,
                       int64_t offset, syn_db_done done, void *context)
{
    building b = {.call.statement = statement};
    add_name(&b, "org", org);
    add_page(&b, limit, offset);
    return submit(db, &b, done, context);
}

syn_status syn_db_key_list(syn_db *db, const char *org, int64_t limit, int64_t offset,
                           syn_db_done done, void *context)
{
    return list(db, SYN_DB_KEY_LIST, org, limit, offset, done, context);
}

syn_status syn_db_key_revoke(syn_db *db, const char *org, const char *id, syn_db_done done,
                             void *context)
{
    building b = {.call.statement = SYN_DB_KEY_REVOKE};
    add_time(&b, 0);
    add_name(&b, "org", org);
    add_name(&b, "id", id);
    return submit(db, &b, done, context);
}

static void record_call(building *b, const syn_db_record *r)
{
    *b = (building){.call.statement = SYN_DB_HISTORY_ADD};
    add_id(b, r->id);
    add_name(b, "org", r->org);
    add_name(b, "owner", r->owner);
    add_text(b, "query", r->query, SYN_DB_TEXT_BYTES_MAX);
    add_text(b, "final_answer", r->final_answer, SYN_DB_TEXT_BYTES_MAX);
    add_text(b, "task_type", r->task_type, SYN_DB_NAME_BYTES_MAX);
    add_real(b, "confidence", r->confidence);
    add_real(b, "execution_time_s", r->execution_time_s);
    add_int(b, "num_agents", r->num_agents, 0, INT32_MAX);
    add_int(b, "num_rounds", r->num_rounds, 0, INT32_MAX);
    add_time(b, r->created_ms);
    add_text(b, "reply", r->reply, SYN_DB_REPLY_BYTES_MAX);
    add_text(b, "session", r->session, SYN_DB_NAME_BYTES_MAX);
    add_int(b, "gaps_detected", r->gaps_detected, 0, INT32_MAX);
    add_real(b, "information_gain", r->information_gain);
    add_int(b, "converged", r->converged, 0, 1);
}

static void event_call(building *b, const syn_db_event *e)
{
    *b = (building){.call.statement = SYN_DB_AUDIT_ADD};
    add_id(b, e->id);
    add_name(b, "org", e->org);
    add_text(b, "actor", e->actor, SYN_DB_NAME_BYTES_MAX);
    add_name(b, "action", e->action);
    add_text(b, "outcome", e->outcome, SYN_DB_NAME_BYTES_MAX);
    add_text(b, "request_id", e->request_id, SYN_DB_NAME_BYTES_MAX);
    add_time(b, e->created_ms);
    add_text(b, "detail", e->detail, SYN_DB_TEXT_BYTES_MAX);
}

syn_status syn_db_history_add(syn_db *db, const syn_db_record *r, syn_db_done done, void *context)
{
    building b;
    record_call(&b, r);
    return submit(db, &b, done, context);
}

syn_status syn_db_history_add_audited(syn_db *db, const syn_db_record *r, const syn_db_event *e,
                                      syn_db_done done, void *context)
{
    building record, event;
    record_call(&record, r);
    if (record.st != SYN_OK) return record.st;
    if (e) event_call(&event, e);
    return submit_both(db, &record, e ? &event : NULL, done, context);
}

syn_status syn_db_audit_add(syn_db *db, const syn_db_event *e, syn_db_done done, void *context)
{
    building b;
    event_call(&b, e);
    return submit(db, &b, done, context);
}

syn_status syn_db_history_list(syn_db *db, const syn_db_filter *f, syn_db_done done, void *context)
{
    building b = {.call.statement = f->owner ? SYN_DB_HISTORY_LIST_OWN : SYN_DB_HISTORY_LIST};
    add_name(&b, "org", f->org);
    if (f->owner) add_name(&b, "owner", f->owner);
    add_text(&b, "task_type", f->task_type, SYN_DB_NAME_BYTES_MAX);
    add_int(&b, "any task_type", !f->task_type || !*f->task_type, 0, 1);
    add_real(&b, "min_confidence", f->min_confidence);
    add_page(&b, f->limit, f->offset);
    return submit(db, &b, done, context);
}

syn_status syn_db_history_get(syn_db *db, const char *org, const char *owner, const char *id,
                              syn_db_done done, void *context)
{
    building b = {.call.statement = owner ? SYN_DB_HISTORY_GET_OWN : SYN_DB_HISTORY_GET};
    add_name(&b, "org", org);
    add_name(&b, "id", id);
    if (owner) add_name(&b, "owner", owner);
    return submit(db, &b, done, context);
}

syn_status syn_db_session_read(syn_db *db, const char *org, const char *owner, const char *session,
                               int64_t limit, syn_db_done done, void *context)
{
    building b = {.call.statement = SYN_DB_SESSION};
    add_name(&b, "org", org);
    add_name(&b, "owner", owner);
    add_name(&b, "session", session);
    add_int(&b, "limit", limit, 1, SYN_DB_ROWS_MAX);
    return submit(db, &b, done, context);
}

syn_status syn_db_totals_read(syn_db *db, const char *org, syn_db_done done, void *context)
{
    building b = {.call.statement = SYN_DB_TOTALS_SLICE};
    add_name(&b, "org", org);
    return submit(db, &b, done, context);
}

syn_status syn_db_audit_list(syn_db *db, const char *org, int64_t limit, int64_t offset,
                             syn_db_done done, void *context)
{
    return list(db, SYN_DB_AUDIT_LIST, org, limit, offset, done, context);
}
