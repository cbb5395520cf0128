#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trainer/dist_private.h"

enum {
    HOST_MAX = 256,
    PORT_MAX = 8,
    ADDRESSES_MAX = 8, /* of a machine, besides its name */
    CONNECT_MS = 700,
    BACKLOG = 256
};

static const char file_head[] = "syncog ranks meet at ";

static const char *after(const char *text, const char *prefix)
{
    const size_t n = strlen(prefix);
    return text && strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* HOST:PORT or [HOST]:PORT */
static bool split(const char *text, char host[HOST_MAX], char port[PORT_MAX])
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1] || strspn(colon + 1, "0123456789") > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] || atoi(colon + 1) > 65535 ||
        atoi(colon + 1) == 0) {
        return false;
    }
    size_t n = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= HOST_MAX || memchr(text, ' ', n)) return false;
    memcpy(host, text, n);
    host[n] = 0;
    snprintf(port, PORT_MAX, "%s", colon + 1);
    return true;
}

syn_status syn_dist_meet_check(const char *rendezvous)
{
    char host[HOST_MAX], port[PORT_MAX];
    const char *tcp = after(rendezvous, "tcp://"), *file = after(rendezvous, "file:");
    if ((tcp && split(tcp, host, port)) || (file && *file)) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE, "\"%s\" is no meeting place: it is tcp://HOST:PORT or file:PATH",
                    rendezvous);
}

static void set_up(int fd)
{
    int on = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int listen_at(int family, const struct sockaddr *address, socklen_t bytes)
{
    const int fd = socket(family, SOCK_STREAM, 0);
    int on = 1, off = 0;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, address, bytes) != 0 || listen(fd, BACKLOG) != 0) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    set_up(fd);
    return fd;
}

static int listen_anywhere(int port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int fd = listen_at(AF_INET6, (struct sockaddr *)&six, sizeof six);
    if (fd >= 0 || errno == EADDRINUSE) return fd;
    return listen_at(AF_INET, (struct sockaddr *)&four, sizeof four);
}

/* On the address that HOST names, else, when that is not this machine's own (a forwarded port), on
 * all of them. */
static syn_status listen_tcp(const char *place, syn_dist_meeting *m)
{
    char host[HOST_MAX], port[PORT_MAX];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (!split(place, host, port)) return syn_dist_meet_check(place);
    m->listener = -1;
    int error = EADDRNOTAVAIL;
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        for (struct addrinfo *a = found; a && m->listener < 0 && error == EADDRNOTAVAIL;
             a = a->ai_next) {
            m->listener = listen_at(a->ai_family, a->ai_addr, a->ai_addrlen);
            if (m->listener < 0) error = errno;
        }
        freeaddrinfo(found);
    }
    if (m->listener < 0 && error == EADDRNOTAVAIL) {
        m->listener = listen_anywhere(atoi(port));
        error = errno;
    }
    if (m->listener >= 0) return SYN_OK;
    return syn_fail(SYN_ERR_DIST, "rank 0 cannot listen at tcp://%s: %s", place, strerror(error));
}

/* The machine's name and addresses, with a leading space each. */
static void add_addresses(char *text, size_t bytes)
{
    struct ifaddrs *all = NULL;
    char host[NI_MAXHOST];
    size_t used = strlen(text);
    int count = 0;
    if (getifaddrs(&all) != 0) return;
    for (struct ifaddrs *a = all; a && count < ADDRESSES_MAX; a = a->ifa_next) {
        const int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;
        if (!(a->ifa_flags & IFF_UP) || (a->ifa_flags & IFF_LOOPBACK)) continue;
        if (family != AF_INET && family != AF_INET6) continue;
        if (family == AF_INET6 &&
            IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr)) {
            continue;
        }
        const socklen_t n =
            family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (getnameinfo(a->ifa_addr, n, host, sizeof host, NULL, 0, NI_NUMERICHOST)) continue;
        if (used + strlen(host) + 2 > bytes) break;
        used += (size_t)snprintf(text + used, bytes - used, " %s", host);
        count++;
    }
    freeifaddrs(all);
}

/* "PORT TOKEN HOSTNAME ADDRESS..."; ranks on the same machine know it by its name. */
static syn_status write_address(bool one_machine, syn_dist_meeting *m)
{
    struct sockaddr_storage self;
    socklen_t bytes = sizeof self;
    char name[HOST_MAX] = "localhost";
    if (getsockname(m->listener, (struct sockaddr *)&self, &bytes) != 0 ||
        getrandom(m->token, sizeof m->token, 0) != sizeof m->token) {
        return syn_fail(SYN_ERR_DIST, "rank 0 has no address: %s", strerror(errno));
    }
    const int port = ntohs(self.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&self)->sin6_port
                                                      : ((struct sockaddr_in *)&self)->sin_port);
    int n = snprintf(m->address, sizeof m->address, "%d ", port);
    for (size_t i = 0; i < sizeof m->token; i++) {
        n += snprintf(m->address + n, sizeof m->address - (size_t)n, "%02x", m->token[i]);
    }
    gethostname(name, sizeof name - 1);
    snprintf(m->address + n, sizeof m->address - (size_t)n, " %s", name);
    if (!one_machine) add_addresses(m->address, sizeof m->address);
    return SYN_OK;
}

static bool read_file(const char *path, syn_dist_meeting *m, char *reason, size_t reason_bytes)
{
    char line[sizeof file_head + SYN_DIST_ADDRESS_MAX] = "";
    FILE *f = fopen(path, "r");
    if (!f) {
        snprintf(reason, reason_bytes, "%s", strerror(errno));
        return false;
    }
    const bool whole = fgets(line, sizeof line, f) && strchr(line, '\n');
    fclose(f);
    const char *address = whole ? after(line, file_head) : NULL;
    if (address && strlen(address) < sizeof m->address) {
        memcpy(m->address, address, strlen(address) + 1);
        return true;
    }
    snprintf(reason, reason_bytes, "the file is none of syncog's");
    return false;
}

/* Under another name first: a reader never sees half of it. Of what lies there already only an
 * earlier run's address is replaced. Its token is for the ranks' own user. */
static syn_status leave_file(const char *path, const syn_dist_meeting *m)
{
    char temporary[4096], reason[128];
    syn_dist_meeting earlier;
    if (access(path, F_OK) == 0 && !read_file(path, &earlier, reason, sizeof reason)) {
        return syn_fail(SYN_ERR_DIST, "rank 0 cannot leave its address in %s: %s", path, reason);
    }
    if (snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid()) >=
        (int)sizeof temporary) {
        return syn_fail(SYN_ERR_USAGE, "the meeting file's name is too long");
    }
    unlink(temporary);
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool written = f && fprintf(f, "%s%s\n", file_head, m->address) > 0;
    if (f ? fclose(f) != 0 : fd >= 0 && close(fd) != 0) written = false;
    if (written && rename(temporary, path) == 0) return SYN_OK;
    const int error = errno;
    unlink(temporary);
    return syn_fail(SYN_ERR_DIST, "rank 0 cannot leave its address in %s: %s", path,
                    strerror(error));
}

/* Over tcp:// nothing secret can be agreed on; the job's name keeps neighbours apart. */
static void job_token(unsigned char token[SYN_DIST_TOKEN_BYTES])
{
    const char *job = getenv("SLURM_JOB_ID");
    memset(token, 0, SYN_DIST_TOKEN_BYTES);
    for (int i = 0; job && job[i] && i < SYN_DIST_TOKEN_BYTES; i++) {
        token[i] = (unsigned char)job[i];
    }
}

syn_status syn_dist_meet_listen(const char *rendezvous, bool one_machine, syn_dist_meeting *m)
{
    const char *tcp = after(rendezvous, "tcp://"), *file = after(rendezvous, "file:");
    if (tcp) {
        job_token(m->token);
        return listen_tcp(tcp, m);
    }
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    m->listener = one_machine ? listen_at(AF_INET, (struct sockaddr *)&self, sizeof self)
                              : listen_anywhere(0);
    if (m->listener < 0) {
        return syn_fail(SYN_ERR_DIST, "rank 0 cannot listen: %s", strerror(errno));
    }
    SYN_RETURN_IF(write_address(one_machine, m));
    if (file) SYN_RETURN_IF(leave_file(file, m));
    m->left = file != NULL;
    return SYN_OK;
}

static int connect_to(const char *host, const char *port, char *reason, size_t reason_bytes)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    const int unknown = getaddrinfo(host, port, &hints, &found);
    int fd = -1;
    if (unknown) snprintf(reason, reason_bytes, "%s: %s", host, gai_strerror(unknown));
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        int error = 0;
        socklen_t bytes = sizeof error;
        fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (fd < 0) continue;
        set_up(fd);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
            error = errno;
        } else if (poll(&p, 1, CONNECT_MS) != 1) {
            error = ETIMEDOUT;
        } else {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
        }
        if (!error) break;
        snprintf(reason, reason_bytes, "%s:%s: %s", host, port, strerror(error));
        close(fd);
        fd = -1;
    }
    if (found) freeaddrinfo(found);
    return fd;
}

/* The words of "PORT TOKEN HOSTNAME ADDRESS...", one after the other. */
static int connect_any(syn_dist_meeting *m, char *reason, size_t reason_bytes)
{
    char words[SYN_DIST_ADDRESS_MAX], own[HOST_MAX] = "", *rest = NULL;
    snprintf(words, sizeof words, "%s", m->address);
    const char *port = strtok_r(words, " \n", &rest);
    const char *token = strtok_r(NULL, " \n", &rest);
    if (!port || !token || strlen(token) != 2 * sizeof m->token) {
        snprintf(reason, reason_bytes, "its address cannot be read");
        return -1;
    }
    for (size_t i = 0; i < sizeof m->token; i++) {
        const char digits[3] = {token[2 * i], token[2 * i + 1], 0};
        m->token[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    gethostname(own, sizeof own - 1);
    const char *host = strtok_r(NULL, " \n", &rest);
    int fd = -1;
    if (host && !strcmp(host, own)) fd = connect_to("127.0.0.1", port, reason, reason_bytes);
    for (; host && fd < 0; host = strtok_r(NULL, " \n", &rest)) {
        fd = connect_to(host, port, reason, reason_bytes);
    }
    return fd;
}

int syn_dist_meet_connect(const char *rendezvous, syn_dist_meeting *m, char *reason,
                          size_t reason_bytes)
{
    const char *tcp = after(rendezvous, "tcp://"), *file = after(rendezvous, "file:");
    char host[HOST_MAX], port[PORT_MAX];
    m->listener = -1;
    if (tcp) {
        job_token(m->token);
        return split(tcp, host, port) ? connect_to(host, port, reason, reason_bytes) : -1;
    }
    if (file && !read_file(file, m, reason, reason_bytes)) return -1;
    return connect_any(m, reason, reason_bytes);
}

void syn_dist_meet_close(const char *rendezvous, syn_dist_meeting *m)
{
    const char *file = after(rendezvous, "file:");
    if (m->listener < 0) return;
    close(m->listener);
    m->listener = -1;
    if (m->left) unlink(file);
}
