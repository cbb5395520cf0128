/* serve/llm_lanes.h on libcurl's multi_socket, uv_poll and uv_timer. */
#include "serve/llm_lanes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

/* Watches one socket. Those that libcurl has from us stay until they are closed; others (of its
 * resolver) may be closed at any time after it let go of them. Ours that are not connected yet it
 * closes without a word: they are not watched once it let go of them, and the next socket with
 * their number finds their watcher. Between two fetches a connection is watched on, as libuv takes
 * three calls of the kernel to leave it and come back. */
typedef struct watcher {
    uv_poll_t poll;
    syn_lanes *lanes;
    syn_lane *lane;
    curl_socket_t socket;
    int wanted; /* events that libcurl asked for last */
    int events; /* that libuv watches for, 0: none */
    bool rests; /* libcurl has let go of it */
} watcher;

struct syn_lane {
    syn_lane *next;
    syn_lanes *lanes;
    CURLM *multi;
    uv_timer_t timer;
    int fetches; /* under way */
    bool used;   /* since lanes without work were last looked for: a fetch began or ended */
};

struct syn_lanes {
    uv_loop_t *loop;
    const syn_lanes_events *events;
    void *user;
    syn_lane *first;
    CURLSH *share;
    uv_timer_t idle;
    watcher **watchers; /* by socket */
    bool *ours;         /* by socket: opened by syn_lanes_open */
    int watcher_room;   /* of both */
    int handles;        /* of the loop, not closed yet */
    void (*closed)(void *user);
    void *closed_user;
};

static void handle_closed(syn_lanes *l)
{
    if (--l->handles > 0) return;
    void (*closed)(void *) = l->closed;
    void *user = l->closed_user;
    free(l);
    closed(user);
}

/* libcurl's own work is over. Callbacks may begin and cancel fetches, of this lane too. */
static void leave(syn_lane *lane)
{
    syn_lanes *l = lane->lanes;
    int waiting;
    l->events->left(l->user);
    for (CURLMsg *m; (m = curl_multi_info_read(lane->multi, &waiting));)
        if (m->msg == CURLMSG_DONE) l->events->done(l->user, m->easy_handle, m->data.result);
}

/* ---- sockets ---- */

static void on_watcher_closed(uv_handle_t *handle)
{
    watcher *w = handle->data;
    syn_lanes *l = w->lanes;
    free(w);
    handle_closed(l);
}

static void drop_watcher(syn_lanes *l, curl_socket_t s)
{
    if (s < 0 || s >= l->watcher_room || !l->watchers[s]) return;
    uv_close((uv_handle_t *)&l->watchers[s]->poll, on_watcher_closed);
    l->watchers[s] = NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(watcher *w, int events)
{
    if (w->events == events) return;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
    w->events = events;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    watcher *w = poll->data;
    syn_lane *lane = w->lane;
    int running, what = status < 0 ? CURL_CSELECT_ERR : 0;
    if (status < 0) w->events = 0; /* libuv has stopped */
    if (w->rests) {                /* the peer has closed it, most likely: libcurl will see */
        watch(w, 0);
        return;
    }
    if (events & UV_READABLE) what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
    curl_multi_socket_action(lane->multi, w->socket, what, &running);
    leave(lane);
}

static bool make_room(syn_lanes *l, curl_socket_t s)
{
    if (s < l->watcher_room) return true;
    int room = 2 * s + 64;
    watcher **watchers = realloc(l->watchers, (size_t)room * sizeof *watchers);
    if (watchers) l->watchers = watchers;
    bool *ours = watchers ? realloc(l->ours, (size_t)room * sizeof *ours) : NULL;
    if (!ours) return false;
    l->ours = ours;
    memset(watchers + l->watcher_room, 0, (size_t)(room - l->watcher_room) * sizeof *watchers);
    memset(ours + l->watcher_room, 0, (size_t)(room - l->watcher_room) * sizeof *ours);
    l->watcher_room = room;
    return true;
}

static watcher *watcher_of(syn_lane *lane, curl_socket_t s)
{
    syn_lanes *l = lane->lanes;
    if (!make_room(l, s)) return NULL;
    if (l->watchers[s]) return l->watchers[s];
    watcher *w = calloc(1, sizeof *w);
    if (!w || uv_poll_init_socket(l->loop, &w->poll, s) != 0) {
        free(w);
        return NULL;
    }
    *w = (watcher){.poll = w->poll, .lanes = l, .lane = lane, .socket = s};
    w->poll.data = w;
    l->handles++;
    return l->watchers[s] = w;
}

/* Whoever has a reply has a connection. */
static bool connected(CURL *easy)
{
    long status = 0;
    return curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0;
}

static int on_socket(CURL *easy, curl_socket_t s, int what, void *user, void *unused)
{
    syn_lane *lane = user;
    syn_lanes *l = lane->lanes;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (s >= l->watcher_room || !l->watchers[s]) return 0;
        l->watchers[s]->rests = true;
        if (!l->ours[s])
            drop_watcher(l, s);
        else if (!connected(easy))
            watch(l->watchers[s], 0);
        return 0;
    }
    /* Without memory for it the fetch is left to its limits of time: an error from here would end
     * all others too. */
    watcher *w = watcher_of(lane, s);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!w) return 0;
    w->lane = lane;
    w->wanted = events;
    w->rests = false;
    watch(w, events);
    return 0;
}

curl_socket_t syn_lanes_open(syn_lanes *l, const struct curl_sockaddr *a)
{
    int s = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
    if (s < 0) return CURL_SOCKET_BAD;
    if (!make_room(l, s)) {
        close(s);
        return CURL_SOCKET_BAD;
    }
    l->ours[s] = true;
    watcher *w = l->watchers[s];
    if (w) { /* of one that was closed without a word */
        watch(w, 0);
        if (!w->rests) watch(w, w->wanted); /* libcurl does not ask again for the same */
    }
    return s;
}

static int close_socket(void *user, curl_socket_t s)
{
    syn_lanes *l = user;
    drop_watcher(l, s);
    l->ours[s] = false;
    return close(s);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    syn_lane *lane = timer->data;
    int running;
    curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    leave(lane);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *user)
{
    syn_lane *lane = user;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&lane->timer);
    else
        uv_timer_start(&lane->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- lanes ---- */

static void on_lane_closed(uv_handle_t *handle)
{
    syn_lane *lane = handle->data;
    syn_lanes *l = lane->lanes;
    free(lane);
    handle_closed(l);
}

static void lane_destroy(syn_lane *lane)
{
    curl_multi_cleanup(lane->multi);
    uv_close((uv_handle_t *)&lane->timer, on_lane_closed);
}

static syn_lane *lane_create(syn_lanes *l)
{
    syn_lane *lane = calloc(1, sizeof *lane);
    CURLM *m = lane ? curl_multi_init() : NULL;
    if (!m || curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_SOCKETDATA, lane) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timeout) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERDATA, lane) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)SYN_LANE_FETCHES) != CURLM_OK ||
        uv_timer_init(l->loop, &lane->timer) != 0) {
        if (m) curl_multi_cleanup(m);
        free(lane);
        return NULL;
    }
    lane->lanes = l;
    lane->multi = m;
    lane->timer.data = lane;
    l->handles++;
    return lane;
}

static void on_idle(uv_timer_t *timer)
{
    syn_lanes *l = timer->data;
    for (syn_lane **at = &l->first, *lane; (lane = *at);) {
        if (lane->used || lane->fetches > 0) {
            lane->used = false;
            at = &lane->next;
            continue;
        }
        *at = lane->next;
        lane_destroy(lane);
    }
}

syn_lane *syn_lanes_add(syn_lanes *l, CURL *easy)
{
    syn_lane **at = &l->first;
    while (*at && (*at)->fetches >= SYN_LANE_FETCHES) at = &(*at)->next;
    if (!*at && !(*at = lane_create(l))) return NULL;
    syn_lane *lane = *at;
    if (curl_multi_add_handle(lane->multi, easy) != CURLM_OK) return NULL;
    lane->fetches++;
    lane->used = true;
    return lane;
}

void syn_lane_remove(syn_lane *lane, CURL *easy)
{
    curl_multi_remove_handle(lane->multi, easy);
    lane->fetches--;
    lane->used = true;
}

CURL *syn_lanes_easy(syn_lanes *l)
{
    CURL *e = curl_easy_init();
    if (e && curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_SHARE, l->share) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, close_socket) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, l) == CURLE_OK)
        return e;
    curl_easy_cleanup(e);
    return NULL;
}

/* ---- the whole ---- */

syn_status syn_lanes_create(uv_loop_t *loop, const syn_lanes_events *events, void *user,
                            int idle_ms, syn_lanes **out)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return syn_fail(SYN_ERR_NETWORK, "libcurl cannot be initialised");
    syn_lanes *l = calloc(1, sizeof *l);
    CURLSH *share = l ? curl_share_init() : NULL;
    if (!share || curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK ||
        uv_timer_init(loop, &l->idle) != 0) {
        if (share) curl_share_cleanup(share);
        free(l);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the connections");
    }
    l->loop = loop;
    l->events = events;
    l->user = user;
    l->share = share;
    l->idle.data = l;
    l->handles = 1;
    uv_timer_start(&l->idle, on_idle, (uint64_t)idle_ms, (uint64_t)idle_ms);
    uv_unref((uv_handle_t *)&l->idle);
    *out = l;
    return SYN_OK;
}

static void on_idle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void syn_lanes_destroy(syn_lanes *l, void (*closed)(void *user), void *user)
{
    l->closed = closed;
    l->closed_user = user;
    for (syn_lane *lane; (lane = l->first);) {
        l->first = lane->next;
        lane_destroy(lane);
    }
    curl_share_cleanup(l->share);
    for (int s = 0; s < l->watcher_room; s++) drop_watcher(l, s);
    free(l->watchers);
    free(l->ours);
    l->watchers = NULL;
    l->ours = NULL;
    l->watcher_room = 0;
    uv_close((uv_handle_t *)&l->idle, on_idle_closed);
}
