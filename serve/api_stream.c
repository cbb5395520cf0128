/* A collaboration told as it happens. Lines go into the connection's bounded queue; what has no
 * room there waits as notices, whose texts the collaboration keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "serve/api.h"
#include "serve/collaboration.h"
#include "serve/round_json.h"

enum { PING_MS = 15000, WAITING_MAX = 4096 };

typedef struct stream {
    uv_timer_t ping; /* first; of server-sent events */
    syn_visit *visit;
    syn_collaboration *collaboration;
    bool events;   /* server-sent, else JSON lines */
    bool open;     /* its head has gone */
    bool over;     /* `done` was called */
    bool lost;     /* nobody reads any more, or not fast enough; or there is no memory */
    bool free_now; /* no timer runs */
    syn_notice *waiting;
    int first, count, room;
    char *last; /* the line that ends it, once over */
    size_t last_bytes;
} stream;

/* ---- lines ---- */

/* What frames `json` as one line of the stream; `more` stands behind its members: ",...}" in place
 * of its last brace, or "". NULL when out of memory. Takes the reference. */
static char *line_of(const stream *s, json_t *json, const char *more, size_t *bytes)
{
    static const char prefix[] = "data: ";
    const size_t before = s->events ? sizeof prefix - 1 : 0, after = s->events ? 2 : 1;
    const size_t length = json ? json_dumpb(json, NULL, 0, SYN_API_JSON) : 0;
    char *line = length ? malloc(before + length + strlen(more) + after) : NULL;
    if (line) {
        char *p = mempcpy(line, prefix, before);
        json_dumpb(json, p, length, SYN_API_JSON);
        p = mempcpy(p + length - (*more != 0), more, strlen(more));
        p = mempcpy(p, "\n\n", after);
        *bytes = (size_t)(p - line);
    }
    json_decref(json);
    return line;
}

/* False: there is no room now. */
static bool write_line(stream *s, const char *line, size_t bytes)
{
    const syn_status st =
        line ? syn_http_stream_write(s->visit->request, line, bytes) : SYN_ERR_INTERRUPTED;
    if (st == SYN_ERR_LIMIT) return false;
    if (st != SYN_OK) s->lost = true;
    return true;
}

static bool write_notice(stream *s, const syn_notice *n)
{
    size_t bytes = 0;
    char *line = line_of(s, syn_notice_json(n, NULL), "", &bytes);
    const bool written = write_line(s, line, bytes);
    free(line);
    return written;
}

/* ---- the end ---- */

static void free_stream(uv_handle_t *handle)
{
    free(handle);
}

static void end(stream *s)
{
    syn_http_request *request = s->visit->request;
    syn_collaboration *c = s->collaboration;
    free(s->waiting);
    free(s->last);
    const bool whole = !s->lost;
    if (s->free_now)
        free(s);
    else
        uv_close((uv_handle_t *)&s->ping, free_stream);
    if (whole)
        syn_http_stream_end(request);
    else
        syn_http_stream_abort(request);
    syn_collaboration_free(c);
}

/* A team that nobody listens to is let go. The stream may be gone afterwards. */
static void leave_if_lost(stream *s)
{
    if (s->lost && !s->over) syn_collaboration_cancel(s->collaboration);
}

/* Writes what waits; ends the stream, which is then gone, after its last line. */
static void flush(stream *s)
{
    while (!s->lost && s->first < s->count && write_notice(s, &s->waiting[s->first])) s->first++;
    if (s->first == s->count) s->first = s->count = 0;
    if (!s->over) {
        leave_if_lost(s);
        return;
    }
    if (!s->lost && (s->count || !write_line(s, s->last, s->last_bytes))) return;
    end(s);
}

static void on_room(syn_http_request *request)
{
    flush(syn_visit_of(request)->data);
}

static void keep(stream *s, const syn_notice *n)
{
    if (s->count == s->room && s->first > 0) {
        s->count -= s->first;
        memmove(s->waiting, s->waiting + s->first, sizeof *s->waiting * (size_t)s->count);
        s->first = 0;
    }
    if (s->count == s->room) {
        const int room = s->room ? 2 * s->room : 4;
        syn_notice *more =
            room <= WAITING_MAX ? realloc(s->waiting, sizeof *more * (size_t)room) : NULL;
        if (!more) {
            s->lost = true;
            return;
        }
        s->waiting = more;
        s->room = room;
    }
    s->waiting[s->count++] = *n;
}

/* ---- hooks ---- */

static void on_notice(void *context, const syn_notice *n)
{
    stream *s = context;
    if (s->lost) return;
    if (s->count || !write_notice(s, n)) keep(s, n);
    leave_if_lost(s);
}

/* The whole reply is spliced in as the text that it is already. */
static char *answer_line(const stream *s, const syn_collaboration_end *e, size_t *bytes)
{
    char timestamp[32], *more = NULL;
    syn_timestamp(e->reply->unix_s, timestamp);
    json_t *head = json_pack("{s:s, s:s, s:f, s:i, s:s}", "type", "final_answer", "answer",
                             e->reply->final_answer, "confidence", e->reply->confidence, "round",
                             e->reply->rounds, "timestamp", timestamp);
    if (!head || asprintf(&more, ",\"reply\":%s}", e->text) < 0) {
        json_decref(head);
        return NULL;
    }
    char *line = line_of(s, head, more, bytes);
    free(more);
    return line;
}

static char *error_line(const stream *s, const syn_collaboration_end *e, size_t *bytes)
{
    json_t *error = syn_error_json(SYN_PROTOCOL_API, e->http_status, e->field, NULL, e->sentence);
    if (!error) return NULL;
    json_object_set_new(error, "type", json_string("error"));
    json_object_set_new(error, "agent_id", json_null());
    return line_of(s, error, "", bytes);
}

static void refuse(stream *s, const syn_collaboration_end *e)
{
    syn_collaboration *c = s->collaboration;
    syn_collaboration_refuse(s->visit, e);
    syn_collaboration_free(c);
    free(s);
}

static void on_done(void *context, const syn_collaboration_end *e)
{
    stream *s = context;
    s->over = true;
    if (!s->open) {
        refuse(s, e);
        return;
    }
    if (!s->lost && e->status == SYN_OK)
        s->last = answer_line(s, e, &s->last_bytes);
    else if (!s->lost)
        s->last = error_line(s, e, &s->last_bytes);
    flush(s);
}

static void on_cancel(syn_http_request *request)
{
    stream *s = syn_visit_of(request)->data;
    s->lost = true;
    if (s->over)
        end(s);
    else
        leave_if_lost(s);
}

static void on_ping(uv_timer_t *timer)
{
    stream *s = (stream *)timer;
    static const char comment[] = ": ping\n\n";
    if (!s->count && !s->lost) (void)write_line(s, comment, sizeof comment - 1);
    leave_if_lost(s);
}

/* ---- the beginning ---- */

static void on_begun(void *context)
{
    stream *s = context;
    syn_http_request *request = s->visit->request;
    const syn_http_header headers[] = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
    const char *type = s->events ? "text/event-stream" : "application/x-ndjson";
    if (s->events) {
        uv_timer_init(syn_http_loop(s->visit->worker->server), &s->ping);
        uv_timer_start(&s->ping, on_ping, PING_MS, PING_MS);
        s->free_now = false;
    }
    syn_http_on_room(request, on_room);
    syn_http_stream_begin(
        request, &(syn_http_reply){
                     .status = 200, .content_type = type, .headers = headers, .header_count = 2});
    s->open = true;
}

static bool wants_events(const syn_http_request *request)
{
    const char *accept = syn_http_header_value(request, "Accept");
    return accept && strcasestr(accept, "text/event-stream");
}

void syn_api_stream(syn_visit *v)
{
    json_t *body;
    if (!syn_visit_object(v, &body)) return;
    stream *s = calloc(1, sizeof *s);
    if (!s) {
        json_decref(body);
        syn_visit_fail(v, SYN_ERR_MEMORY, "out of memory for a stream");
        return;
    }
    s->visit = v;
    s->free_now = true;
    s->events = wants_events(v->request);
    const syn_collaboration_hooks hooks = {
        .begun = on_begun, .notice = on_notice, .done = on_done, .context = s};
    const bool begun = syn_collaboration_start(v, body, &hooks, &s->collaboration);
    json_decref(body);
    if (!begun) {
        free(s);
        return;
    }
    v->data = s;
    syn_http_drop_body(v->request);
    syn_http_on_cancel(v->request, on_cancel);
    if (syn_http_cancelled(v->request)) on_cancel(v->request);
}
