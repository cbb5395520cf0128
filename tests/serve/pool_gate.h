/* A gate in the way of work that belongs on the pool, which waits there while it is closed, and a
 * note of the threads that came by: none may be the loop's. */
#ifndef SYN_TESTS_SERVE_POOL_GATE_H
#define SYN_TESTS_SERVE_POOL_GATE_H

#include <dlfcn.h>
#include <pthread.h>

#include <jansson.h>

#include "tests/serve/service_world.h"

enum { GATE_THREADS_MAX = 4096 };

/* Threads in the order they came; what is above the maximum is counted alone. */
typedef struct gate_threads {
    pthread_t threads[GATE_THREADS_MAX];
    int count;
} gate_threads;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool closed;
    int waiting;
    pthread_t loop; /* of the only worker */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* The thread that calls is the loop's. */
static inline void gate_is_loop(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.loop = pthread_self();
    pthread_mutex_unlock(&gate.lock);
}

/* Notes who calls, and holds it while the gate is closed if it `waits`. */
static inline void gate_pass(gate_threads *came, bool waits)
{
    pthread_mutex_lock(&gate.lock);
    if (came->count < GATE_THREADS_MAX) came->threads[came->count] = pthread_self();
    came->count++;
    if (waits) {
        gate.waiting++;
        pthread_cond_broadcast(&gate.change);
        while (gate.closed) pthread_cond_wait(&gate.change, &gate.lock);
        gate.waiting--;
    }
    pthread_mutex_unlock(&gate.lock);
}

static inline void gate_set(bool closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.closed = closed;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
}

/* Forgets who came. */
static inline void gate_forget(gate_threads *came)
{
    pthread_mutex_lock(&gate.lock);
    came->count = 0;
    pthread_mutex_unlock(&gate.lock);
}

/* For pthread_create: opens the gate after a service that stops has cut its connections. */
static inline void *gate_open_later(void *arg)
{
    usleep(2500000);
    gate_set(false);
    return arg;
}

/* True once so many wait. */
static inline bool gate_wait_for(int wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < wanted && pthread_cond_timedwait(&gate.change, &gate.lock, &until) == 0) {
    }
    const bool all = gate.waiting >= wanted;
    pthread_mutex_unlock(&gate.lock);
    return all;
}

static inline void assert_not_on_the_loop(const gate_threads *came)
{
    int on_loop = 0;
    pthread_mutex_lock(&gate.lock);
    for (int k = 0; k < came->count && k < GATE_THREADS_MAX; k++)
        on_loop += pthread_equal(came->threads[k], gate.loop) != 0;
    pthread_mutex_unlock(&gate.lock);
    assert_int_equal(on_loop, 0);
}

/* What a test's own json_loadb calls in the end. */
static inline json_t *gate_own_parser(const char *text, size_t bytes, size_t flags,
                                      json_error_t *error)
{
    json_t *(*own)(const char *, size_t, size_t, json_error_t *);
    *(void **)&own = dlsym(RTLD_NEXT, "json_loadb");
    return own(text, bytes, flags, error);
}

/* True once all others have hung up. */
static inline bool gate_is_alone(const svc *world)
{
    bool alone = false;
    for (double until_s = svc_now_s() + 20; !alone && svc_now_s() < until_s; usleep(20000)) {
        svc_reply r = svc_ask(world, "GET", "/metrics", NULL, NULL);
        alone = strstr(r.body, "syncog_connections 1\n") != NULL;
        svc_forget(&r);
    }
    return alone;
}

#endif
