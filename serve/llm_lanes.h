/* The connections of one event loop, in lanes: each is one of libcurl's multi handles, and carries
 * at most SYN_LANE_FETCHES fetches at a time. libcurl walks through all connections of a multi
 * handle at the begin of a fetch and again at its end (ConnectionExists and close_connect_only of
 * 7.88): three thousand fetches at once in a single one spend a sixth of their time there. And a
 * fetch that finds the multi handle's HTTP/2 connection full opens one for itself, without waiting
 * for another's: so a lane takes as many as one connection carries with libcurl's own limit, which
 * is most servers' too. A fetch goes to the first lane that has room, so that few lanes hold the
 * connections that are used again; a lane that had nothing to do for a while goes, with its
 * connections. All share resolved names and TLS sessions. Loop's thread only. */
#ifndef SYN_SERVE_LLM_LANES_H
#define SYN_SERVE_LLM_LANES_H

#include <curl/curl.h>

#include "kernels/base/status.h"

enum { SYN_LANE_FETCHES = 100 /* CURLMOPT_MAX_CONCURRENT_STREAMS, as it is by itself */ };

struct uv_loop_s;
typedef struct syn_lanes syn_lanes;
typedef struct syn_lane syn_lane;

typedef struct syn_lanes_events {
    /* A handle has come to its end; syn_lane_remove is still to be called. */
    void (*done)(void *user, CURL *easy, CURLcode code);
    /* libcurl has worked and is left: what its callbacks wrote down can be looked at. Before the
     * calls of `done`. */
    void (*left)(void *user);
} syn_lanes_events;

/* idle_ms: a lane without work for at least so long, and at most twice, goes. Errors:
 * SYN_ERR_NETWORK, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_lanes_create(struct uv_loop_s *loop, const syn_lanes_events *events,
                                            void *user, int idle_ms, syn_lanes **out);
/* No handle is in a lane, and none that was made with syn_lanes_easy is left. `closed` is called
 * once the loop has closed what there was of it. */
void syn_lanes_destroy(syn_lanes *l, void (*closed)(void *user), void *user);

/* A handle whose sockets are these lanes'; the caller's, to be ended by curl_easy_cleanup. NULL
 * when out of memory. */
CURL *syn_lanes_easy(syn_lanes *l);

/* Sets the handle on its way. NULL when out of memory. */
syn_lane *syn_lanes_add(syn_lanes *l, CURL *easy);
void syn_lane_remove(syn_lane *lane, CURL *easy);

/* A socket that these lanes close; CURL_SOCKET_BAD: none. For CURLOPT_OPENSOCKETFUNCTION. */
curl_socket_t syn_lanes_open(syn_lanes *l, const struct curl_sockaddr *a);

#endif
