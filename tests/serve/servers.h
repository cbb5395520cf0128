/* Real servers for a test program, started and stopped by tests/serve/servers.sh. */
#ifndef SYN_TESTS_SERVE_SERVERS_H
#define SYN_TESTS_SERVE_SERVERS_H

#include <unistd.h>

#include "tests/test.h"

typedef struct server {
    const char *kind; /* postgres or redis */
    char folder[64];  /* its data; "" before server_start */
    char url[160];    /* "" where it cannot be had here */
} server;

static inline int server_do(const server *s, const char *verb)
{
    char command[512];
    snprintf(command, sizeof command, "bash %s/tests/serve/servers.sh %s %s %s %d", SYN_SOURCE_DIR,
             verb, s->kind, s->folder, (int)getpid());
    return system(command);
}

static inline void server_start(server *s, const char *kind)
{
    char command[512];
    s->kind = kind;
    snprintf(s->folder, sizeof s->folder, "/tmp/syncog-%s-XXXXXX", kind);
    assert_non_null(mkdtemp(s->folder));
    snprintf(command, sizeof command, "bash %s/tests/serve/servers.sh start %s %s %d",
             SYN_SOURCE_DIR, kind, s->folder, (int)getpid());
    FILE *f = popen(command, "r");
    assert_non_null(f);
    if (!fgets(s->url, sizeof s->url, f)) s->url[0] = 0;
    s->url[strcspn(s->url, "\n")] = 0;
    if (pclose(f) != 0) s->url[0] = 0;
}

static inline void remove_folder(const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static inline void server_stop(server *s)
{
    if (!s->folder[0]) return;
    (void)server_do(s, "stop");
    remove_folder(s->folder);
}

#endif
