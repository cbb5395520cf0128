/* A whole service in the test's process, on a free port, with SQLite in a folder of its own and
 * extractive agents, and a client that waits for each answer. Include it in one test.
 *
 *     svc w;
 *     svc_begin(&w);                                  // settings may be changed now
 *     const char *key = svc_key(&w, "default", "pro"); // any number of keys, before the run
 *     svc_run(&w);
 *     svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", key, "{...}");
 *     assert_int_equal(r.status, 200);
 *     ... json_object_get(r.json, "final_answer") ...
 *     svc_forget(&r);
 *     svc_end(&w);
 *
 * ENVIRONMENT is "testing": requests need a key. */
#ifndef SYN_TESTS_SERVE_SERVICE_WORLD_H
#define SYN_TESTS_SERVE_SERVICE_WORLD_H

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "serve/service.h"
#include "serve/store_key.h"
#include "tests/test.h"

enum { SVC_KEYS_MAX = 32, SVC_REPLY_BYTES = 8 << 20 };

typedef struct svc {
    char folder[64], url[128];
    syn_settings settings;
    syn_service *service;
    int port;
    struct {
        syn_api_key key;
        char id[SYN_DB_ID_BYTES], org[64], tier[16];
    } keys[SVC_KEYS_MAX];
    int key_count;
} svc;

static const char svc_secret[] = "a secret of the tests, of 32 bytes and more";

static inline void svc_begin(svc *w)
{
    memset(w, 0, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "/tmp/syncog-service-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->url, sizeof w->url, "sqlite:///%s/a.db", w->folder);
    assert_ok(syn_settings_defaults(&w->settings));
    w->settings.port = 0;
    w->settings.workers = 1;
    w->settings.environment = "testing";
    w->settings.state_folder = w->folder;
    w->settings.database_url = w->url;
    w->settings.jwt_secret = svc_secret;
    w->settings.provider = "extractive";
    w->settings.device = "cpu";
    w->settings.access_log = false;
    w->settings.rate_burst = 1000;
    w->settings.drain_s = 2;
    w->settings.drain_delay_s = 0;
}

/* A key of the store; the text lives as long as the world. */
static inline const char *svc_key(svc *w, const char *org, const char *tier)
{
    int k = w->key_count++;
    assert_true(k < SVC_KEYS_MAX);
    assert_ok(syn_api_key_make(&w->keys[k].key));
    assert_ok(syn_db_id(w->keys[k].id));
    snprintf(w->keys[k].org, sizeof w->keys[k].org, "%s", org);
    snprintf(w->keys[k].tier, sizeof w->keys[k].tier, "%s", tier);
    return w->keys[k].key.text;
}

static inline void svc_store_keys(svc *w)
{
    syn_db *db = NULL;
    const syn_db_options options = {.url = w->settings.database_url};
    assert_ok(syn_db_open(&db, &options));
    for (int k = 0; k < w->key_count; k++) {
        const syn_db_key row = {.id = w->keys[k].id,
                                .org = w->keys[k].org,
                                .sha256 = w->keys[k].key.sha256,
                                .prefix = w->keys[k].key.prefix,
                                .name = "of a test",
                                .tier = w->keys[k].tier};
        assert_ok(syn_db_key_add(db, &row, NULL, NULL));
    }
    syn_db_close(db);
}

static inline void svc_run(svc *w)
{
    assert_ok(syn_settings_complete(&w->settings));
    svc_store_keys(w);
    assert_ok(syn_service_start(&w->settings, &w->service));
    w->port = syn_service_port(w->service);
}

static inline void svc_end(svc *w)
{
    char command[128];
    syn_service_stop(w->service);
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
}

/* ---- the client ---- */

typedef struct svc_reply {
    int status;   /* 0: no answer */
    char *head;   /* status line and headers */
    char *body;   /* chunks put together, with a 0 byte */
    size_t bytes; /* of the body */
    json_t *json; /* of the body, NULL where it is none */
} svc_reply;

static inline double svc_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline int svc_dial(const svc *w)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) fail_msg("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* The peer may close meanwhile. */
static inline void svc_say(int fd, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += sent;
        bytes -= (size_t)sent;
    }
}

/* All that comes until the peer closes; free() it. */
static inline char *svc_hear(int fd, size_t *bytes, double seconds)
{
    char *text = malloc(SVC_REPLY_BYTES + 1);
    double end = svc_now_s() + seconds;
    *bytes = 0;
    while (*bytes < SVC_REPLY_BYTES) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left = (int)((end - svc_now_s()) * 1e3);
        if (left <= 0 || poll(&p, 1, left) <= 0) break;
        ssize_t got = recv(fd, text + *bytes, SVC_REPLY_BYTES - *bytes, 0);
        if (got <= 0) break;
        *bytes += (size_t)got;
    }
    text[*bytes] = 0;
    return text;
}

/* Puts chunks together in place. */
static inline size_t svc_unchunk(char *body, size_t bytes)
{
    size_t at = 0, out = 0;
    for (;;) {
        char *end = NULL;
        size_t n = strtoul(body + at, &end, 16);
        if (end == body + at || n == 0) break;
        at = (size_t)(end - body) + 2;
        if (at + n > bytes) break;
        memmove(body + out, body + at, n);
        out += n;
        at += n + 2;
    }
    body[out] = 0;
    return out;
}

static inline svc_reply svc_parse(char *text, size_t bytes)
{
    svc_reply r = {.head = text};
    char *end = strstr(text, "\r\n\r\n");
    if (!end) return r;
    r.status = atoi(text + strlen("HTTP/1.1 "));
    end[2] = 0;
    r.body = end + 4;
    r.bytes = bytes - (size_t)(r.body - text);
    if (strstr(r.head, "Transfer-Encoding: chunked")) r.bytes = svc_unchunk(r.body, r.bytes);
    r.json = json_loadb(r.body, r.bytes, 0, NULL);
    return r;
}

/* The reply that ends with its connection. */
static inline svc_reply svc_finish(int fd, double seconds)
{
    size_t bytes;
    char *text = svc_hear(fd, &bytes, seconds);
    close(fd);
    return svc_parse(text, bytes);
}

/* `key` as Bearer, NULL: none; `more`: further header lines, each with \r\n; body NULL: none. */
static inline svc_reply svc_ask_with(const svc *w, const char *method, const char *path,
                                     const char *key, const char *more, const char *type,
                                     const void *body, size_t body_bytes)
{
    char head[16384];
    int fd = svc_dial(w);
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%s%s", method,
                     path, key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "",
                     more ? more : "");
    if (body) {
        n += snprintf(head + n, sizeof head - (size_t)n,
                      "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body_bytes);
    }
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    assert_true(n < (int)sizeof head);
    svc_say(fd, head, (size_t)n);
    if (body) svc_say(fd, body, body_bytes);
    return svc_finish(fd, 30);
}

static inline svc_reply svc_ask(const svc *w, const char *method, const char *path, const char *key,
                                const char *body)
{
    return svc_ask_with(w, method, path, key, NULL, "application/json", body,
                        body ? strlen(body) : 0);
}

static inline void svc_forget(svc_reply *r)
{
    json_decref(r->json);
    free(r->head);
    memset(r, 0, sizeof *r);
}

/* "" where the answer has no such header; valid until the next call. */
static inline const char *svc_header(const svc_reply *r, const char *name)
{
    static char value[1024];
    value[0] = 0;
    for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, strlen(name)) || line[2 + strlen(name)] != ':') continue;
        const char *at = line + 2 + strlen(name) + 1;
        at += strspn(at, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    }
    return value;
}

/* A text of the JSON by path: "errors.0.field"; "" where there is none. */
static inline const char *svc_text(const svc_reply *r, const char *path)
{
    const json_t *at = r->json;
    while (*path && at) {
        char name[64];
        size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(name)) : json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    const char *text = json_string_value(at);
    return text ? text : "";
}

#endif
