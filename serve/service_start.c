/* The life of a service: opens what the settings name, runs the workers, drains and frees. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/calibration.h"
#include "serve/decider.h"
#include "serve/inference.h"
#include "serve/llm.h"
#include "serve/openai.h"
#include "serve/provider.h"
#include "serve/service_internal.h"

enum { BUCKETS_MAX = 1 << 20, POLL_MS = 50 };

/* ---- routes ---- */

static syn_status routes_gather(syn_service_private *own)
{
    const struct {
        const syn_http_route *routes;
        int count;
    } tables[] = {{syn_operations_routes, syn_operations_route_count},
                  {syn_inference_routes, syn_inference_route_count},
                  {syn_openai_routes, syn_openai_route_count},
                  {syn_api_routes, syn_api_route_count},
                  {syn_auth_routes, syn_auth_route_count},
                  {syn_page_routes, syn_page_route_count}};
    enum { TABLES = sizeof tables / sizeof *tables };
    int count = 0;
    for (int k = 0; k < TABLES; k++) count += tables[k].count;
    own->routes = calloc((size_t)count, sizeof *own->routes);
    if (!own->routes) return syn_fail(SYN_ERR_MEMORY, "out of memory for routes");
    for (int k = 0; k < TABLES; k++) {
        for (int i = 0; i < tables[k].count; i++) {
            const syn_http_route *route = &tables[k].routes[i];
            const syn_rule *rule = route->data;
            SYN_REQUIRE(rule && rule->handle && route->handle == syn_service_enter,
                        "route %s has no rule of who may use it", route->pattern);
            own->routes[own->route_count++] = *route;
        }
    }
    return SYN_OK;
}

/* ---- parts ---- */

static syn_status providers_open(syn_service *s)
{
    const syn_settings *o = &s->settings;
    const syn_providers_options options = {.file = o->providers_file,
                                           .primary_model = o->primary_model,
                                           .base_url = o->base_url,
                                           .model = o->model,
                                           .api_key =
                                               o->api_key_env ? getenv(o->api_key_env) : NULL,
                                           .insecure = o->insecure};
    SYN_RETURN_IF(syn_providers_open(&options, &s->providers));
    SYN_RETURN_IF(syn_calibrations_open(o->calibration, &s->calibrations));
    return syn_providers_choose(s->providers, o->provider, &s->provider);
}

const char *syn_service_provider(const syn_service *s)
{
    return s->provider->name;
}

static syn_status deciders_open(syn_service *s)
{
    const syn_settings *o = &s->settings;
    char path[4096];
    const char *checkpoint = o->checkpoint ? o->checkpoint : syn_decider_default(path, sizeof path);
    syn_scorer_queue_options queue = SYN_SCORER_QUEUE_DEFAULT;
    bool cuda = strncmp(o->device, "cuda", 4) == 0; /* or "cuda:1" */
    if (cuda && o->device[4]) queue.device_index = atoi(o->device + 5);
    if (cuda || (strcmp(o->device, "auto") == 0 && syn_device_count() > 0))
        queue.device = SYN_DEVICE_CUDA;
    queue.threads = (int)o->scorer_threads;
    queue.scorer.slots = SYN_DECIDERS_SLOTS;
    SYN_RETURN_IF(syn_deciders_open(checkpoint, &queue, &s->deciders));
    bool used = syn_deciders_queue(s->deciders) && queue.device == SYN_DEVICE_CUDA;
    s->own->device = used ? "cuda" : "cpu";
    return SYN_OK;
}

static syn_status parts_open(syn_service *s)
{
    const syn_settings *o = &s->settings;
    const syn_db_options db = {.url = o->database_url, .retention_days = o->retention_days};
    const syn_tracer_options tracer = {
        .endpoint = o->otlp_endpoint, .headers = o->otlp_headers, .service = o->otlp_service};
    SYN_RETURN_IF(routes_gather(s->own));
    SYN_RETURN_IF(syn_metrics_create(&s->metrics));
    SYN_RETURN_IF(syn_auth_open(o, &s->own->auth));
    SYN_RETURN_IF(syn_buckets_create(&s->own->buckets, BUCKETS_MAX));
    SYN_RETURN_IF(providers_open(s));
    SYN_RETURN_IF(syn_openai_open(s, &s->openai));
    if (o->otlp_endpoint) SYN_RETURN_IF(syn_tracer_open(&tracer, &s->tracer));
    SYN_RETURN_IF(deciders_open(s));
    SYN_RETURN_IF(syn_inference_open(s, &s->inference));
    return syn_db_open(&s->db, &db);
}

/* ---- workers ---- */

/* Several servers share the port (SO_REUSEPORT), so another process that has it would go unnoticed.
 */
static syn_status port_is_free(const syn_settings *o)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)o->port)};
    bool is_six = inet_pton(AF_INET6, o->host, &six.sin6_addr) == 1;
    int one = 1;
    SYN_REQUIRE(is_six || inet_pton(AF_INET, o->host, &four.sin_addr) == 1,
                "API_HOST: '%s' is not an IPv4 or IPv6 address", o->host);
    int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return syn_fail(SYN_ERR_NETWORK, "a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int failed = is_six ? bind(fd, (struct sockaddr *)&six, sizeof six)
                        : bind(fd, (struct sockaddr *)&four, sizeof four);
    int error = errno;
    close(fd);
    if (!failed) return SYN_OK;
    return syn_fail(SYN_ERR_NETWORK, "API_HOST %s, API_PORT %d: %s", o->host, (int)o->port,
                    strerror(error));
}

static syn_status worker_open(syn_service *s, int index, int port)
{
    const syn_settings *o = &s->settings;
    worker *w = &s->own->workers[index];
    w->base.service = s;
    w->base.index = index;
    const syn_http_options http = {.host = o->host,
                                   .port = port,
                                   .routes = s->own->routes,
                                   .route_count = s->own->route_count,
                                   .limits = {.connections_max = (int)o->connections_max},
                                   .arg = &w->base,
                                   .before = syn_service_before,
                                   .origin_allowed = o->allowed_origins ? syn_service_origin : NULL,
                                   .access = syn_service_access,
                                   .headers = syn_service_headers,
                                   .error_body = syn_service_error_body};
    SYN_RETURN_IF(syn_http_create(&w->base.server, &http));
    struct uv_loop_s *loop = syn_http_loop(w->base.server);
    const syn_limits_options limits = {.redis_url = o->redis_url,
                                       .replicas = o->replicas,
                                       .buckets = s->own->buckets,
                                       .loop = loop};
    SYN_RETURN_IF(syn_limits_create(&w->base.limits, &limits));
    const syn_llm_options llm = {.seed = (uint64_t)index + 1};
    return syn_llm_create(s->providers, loop, &llm, &w->base.llm);
}

static void *worker_run(void *arg)
{
    worker *w = arg;
    if (syn_http_run(w->base.server) != SYN_OK)
        syn_log(SYN_LOG_ERROR, "worker %d: %s", w->base.index, syn_error_text());
    atomic_fetch_sub(&w->base.service->own->running, 1);
    return NULL;
}

/* Threads that come to be in between take no signals: they are for whoever waits. */
static void signals_block(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static syn_status workers_start(syn_service *s)
{
    syn_service_private *own = s->own;
    int64_t count = s->settings.workers;
    if (count == 0) count = uv_available_parallelism();
    if (count > WORKERS_MAX) count = WORKERS_MAX;
    own->workers = calloc((size_t)count, sizeof *own->workers);
    if (!own->workers) return syn_fail(SYN_ERR_MEMORY, "out of memory for workers");
    if (s->settings.port) SYN_RETURN_IF(port_is_free(&s->settings));
    for (int k = 0; k < count; k++) {
        own->worker_count = k + 1;
        int port = k ? syn_http_port(own->workers[0].base.server) : (int)s->settings.port;
        SYN_RETURN_IF(worker_open(s, k, port));
    }
    for (int k = 0; k < count; k++) {
        worker *w = &own->workers[k];
        atomic_fetch_add(&own->running, 1);
        if (pthread_create(&w->thread, NULL, worker_run, w) != 0) {
            atomic_fetch_sub(&own->running, 1);
            return syn_fail(SYN_ERR_MEMORY, "a worker's thread could not be started");
        }
        w->started = true;
    }
    return SYN_OK;
}

/* ---- the whole ---- */

syn_status syn_service_start(const syn_settings *settings, syn_service **out)
{
    sigset_t before;
    syn_status st = SYN_OK;
    *out = NULL;
    syn_service *s = calloc(1, sizeof *s);
    if (s) s->own = calloc(1, sizeof *s->own);
    if (!s || !s->own) {
        free(s);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a service");
    }
    s->settings = *settings;
    s->started_s = syn_clock_s();
    signals_block(&before);
    SYN_TRY(parts_open(s));
    SYN_TRY(workers_start(s));
    *out = s;
    s = NULL;
done:
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s) syn_service_stop(s);
    return st;
}

int syn_service_port(const syn_service *s)
{
    return syn_http_port(s->own->workers[0].base.server);
}

static void drain(syn_service *s, double seconds)
{
    atomic_store(&s->own->draining, true);
    for (int k = 0; k < s->own->worker_count; k++) {
        worker *w = &s->own->workers[k];
        if (w->started) syn_http_drain(w->base.server, (int)(seconds * 1e3));
    }
}

static void worker_close(worker *w)
{
    syn_llm_destroy(w->base.llm);
    syn_limits_destroy(w->base.limits);
    syn_http_destroy(w->base.server); /* runs the loop until both have closed their handles */
}

void syn_service_stop(syn_service *s)
{
    if (!s) return;
    syn_service_private *own = s->own;
    drain(s, s->settings.drain_s);
    /* One that still answers looks at the others: /metrics counts the connections of all. */
    for (int k = 0; k < own->worker_count; k++) {
        if (own->workers[k].started) pthread_join(own->workers[k].thread, NULL);
    }
    for (int k = 0; k < own->worker_count; k++) worker_close(&own->workers[k]);
    syn_inference_close(s->inference);
    syn_deciders_close(s->deciders);
    syn_openai_close(s->openai);
    syn_db_close(s->db);
    syn_tracer_close(s->tracer);
    syn_calibrations_close(s->calibrations);
    syn_providers_close(s->providers);
    syn_auth_close(own->auth);
    syn_buckets_destroy(own->buckets);
    syn_metrics_destroy(s->metrics);
    free(own->workers);
    free(own->routes);
    free(own);
    free(s);
}

/* ---- signals ---- */

static void reload(syn_service *s)
{
    char level[16];
    const char *before = getenv("LOG_LEVEL");
    /* A flag stands above the file. */
    bool given = strcmp(s->settings.log_level, before && *before ? before : "info") == 0 &&
                 syn_env_file_again("LOG_LEVEL", level, sizeof level);
    syn_auth_forget(s->own->auth, NULL);
    if (syn_log_setup(given ? level : NULL, NULL, s->settings.log_file) != SYN_OK)
        syn_log(SYN_LOG_ERROR, "%s", syn_error_text());
    syn_log(SYN_LOG_INFO, "keys and the log's settings are read anew");
}

/* The next signal of the set within `ms`; 0: none. */
static int next_signal(const sigset_t *set, int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int got = sigtimedwait(set, NULL, &t);
    return got > 0 ? got : 0;
}

syn_status syn_service_wait(syn_service *s)
{
    sigset_t set, before;
    int got = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    while (got != SIGTERM && got != SIGINT) {
        sigwait(&set, &got);
        if (got == SIGHUP) reload(s);
    }
    syn_log(SYN_LOG_INFO, "stopping: requests under way have %g s", s->settings.drain_s);
    sigdelset(&set, SIGHUP);
    atomic_store(&s->own->draining, true);
    syn_service_notify("STOPPING=1"); /* whoever hears it finds /readyz saying so */
    bool again = got == SIGTERM && next_signal(&set, (int)(s->settings.drain_delay_s * 1e3));
    drain(s, again ? 0 : s->settings.drain_s);
    while (atomic_load(&s->own->running) > 0) {
        if (!next_signal(&set, POLL_MS)) continue;
        if (again) _exit(1); /* a third signal */
        again = true;
        drain(s, 0);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return SYN_OK;
}
