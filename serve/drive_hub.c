#include <pthread.h>
#include <stdlib.h>

#include "serve/drive_internal.h"

/* Woken between two looks at the sockets: so many, and that part of those that wait, so that they
 * come forward on a loop whose sockets never rest. Of a thousand drives that begin at once the
 * first have made their calls before the last are begun, so the models' time is not lost. */
enum { WOKEN_AT_ONCE = 8, WOKEN_PART = 16 };

struct syn_drive_hub {
    syn_drive_hub *next;
    uv_loop_t *loop;
    uv_async_t async;
    pthread_mutex_t lock; /* of the list, its count and every member's `rung` */
    syn_drive_member *first, *last;
    int rung; /* members in the list */
    int members;
};

/* Of the loops that this thread runs: one, nearly always. */
static _Thread_local syn_drive_hub *hubs;

static syn_drive_member *take(syn_drive_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    syn_drive_member *m = hub->first;
    if (m) {
        hub->first = m->next;
        if (m->next)
            m->next->previous = NULL;
        else
            hub->last = NULL;
        hub->rung--;
        m->rung = false;
    }
    pthread_mutex_unlock(&hub->lock);
    return m;
}

static int waiting(syn_drive_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    const int count = hub->rung;
    pthread_mutex_unlock(&hub->lock);
    return count;
}

static void on_async(uv_async_t *async)
{
    syn_drive_hub *hub = async->data;
    int left = WOKEN_AT_ONCE + waiting(hub) / WOKEN_PART;
    /* The hub outlives the last member that leaves in here: it is freed by the loop, later. */
    for (syn_drive_member *m; left > 0 && (m = take(hub)); left--) m->woken(m->user);
    if (left == 0 && waiting(hub) > 0) uv_async_send(&hub->async);
}

syn_status syn_drive_join(uv_loop_t *loop, syn_drive_member *member)
{
    syn_drive_hub *hub = hubs;
    while (hub && hub->loop != loop) hub = hub->next;
    if (!hub) {
        hub = calloc(1, sizeof *hub);
        if (!hub || uv_async_init(loop, &hub->async, on_async) != 0) {
            free(hub);
            return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
        }
        hub->async.data = hub;
        hub->loop = loop;
        pthread_mutex_init(&hub->lock, NULL);
        hub->next = hubs;
        hubs = hub;
    }
    hub->members++;
    member->hub = hub;
    return SYN_OK;
}

static void on_closed(uv_handle_t *handle)
{
    syn_drive_hub *hub = handle->data;
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

void syn_drive_leave(syn_drive_member *m)
{
    syn_drive_hub *hub = m->hub;
    pthread_mutex_lock(&hub->lock);
    if (m->rung) {
        if (m->previous)
            m->previous->next = m->next;
        else
            hub->first = m->next;
        if (m->next)
            m->next->previous = m->previous;
        else
            hub->last = m->previous;
        hub->rung--;
    }
    pthread_mutex_unlock(&hub->lock);
    m->hub = NULL;
    if (--hub->members > 0) return;
    syn_drive_hub **at = &hubs;
    while (*at != hub) at = &(*at)->next;
    *at = hub->next;
    uv_close((uv_handle_t *)&hub->async, on_closed);
}

void syn_drive_ring(void *member)
{
    syn_drive_member *m = member;
    syn_drive_hub *hub = m->hub;
    pthread_mutex_lock(&hub->lock);
    if (!m->rung) {
        bool first = !hub->first;
        m->rung = true;
        hub->rung++;
        m->next = NULL;
        m->previous = hub->last;
        if (hub->last)
            hub->last->next = m;
        else
            hub->first = m;
        hub->last = m;
        if (first) uv_async_send(&hub->async);
    }
    pthread_mutex_unlock(&hub->lock);
}
