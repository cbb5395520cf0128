/* Preloaded into a program by the tests that include tests/torture_world.h: fails the calls that
 * its page names. */
#include "tests/torture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The C library's own, of the same names but for the prefix. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void __libc_free(void *p);

enum { RANGES_MAX = 64 };

static torture_page *page;
static struct {
    uintptr_t from, to;
    bool is_store;    /* SQLite's, whose cache grows up to its limit: its blocks are not counted */
} ranges[RANGES_MAX]; /* of code whose memory may fail */
static int range_count;

static int keep_ranges(struct dl_phdr_info *info, size_t bytes, void *unused)
{
    static const char *const named[] = {"libjansson", "libsqlite3", "libcurl", "libcrypto"};
    bool counts = !info->dlpi_name || !*info->dlpi_name; /* the program itself */
    for (size_t k = 0; k < sizeof named / sizeof *named; k++)
        counts |= info->dlpi_name && strstr(info->dlpi_name, named[k]);
    for (int k = 0; counts && k < info->dlpi_phnum && range_count < RANGES_MAX; k++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[k];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
        ranges[range_count].is_store = strstr(info->dlpi_name, "libsqlite3") != NULL;
        ranges[range_count].from = info->dlpi_addr + p->p_vaddr;
        ranges[range_count++].to = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    (void)bytes, (void)unused;
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SYN_TORTURE_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    dl_iterate_phdr(keep_ranges, NULL);
    void *p = mmap(NULL, sizeof(torture_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED) page = p;
}

enum { NOTHING, FAILS, IS_SHORT }; /* what happens to a call */

#define BIT(kind) (1u << (kind))

/* What happens to a call of these kinds, which moves bytes of a file or does not. A kill does not
 * come back, but for a write, which the caller halves first. */
static int fate(unsigned kinds, bool moves_bytes, bool writes)
{
    if (!page || page->kind < 0 || !(kinds >> page->kind & 1)) return NOTHING;
    if (page->fault == TORTURE_SHORT && !moves_bytes) return NOTHING;
    page->calls++;
    long left = page->until;
    if (left < 0) return NOTHING;
    if (left > 0) {
        page->until--;
        return NOTHING;
    }
    if (!page->forever) page->until = -1;
    page->failed++;
    if (page->fault == TORTURE_KILL && !(writes && moves_bytes)) kill(getpid(), SIGKILL);
    return page->fault == TORTURE_ERROR ? FAILS : IS_SHORT;
}

/* Calls that move no bytes. `error`: errno, where the page names none. */
static bool fails(unsigned kinds, int error)
{
    if (fate(kinds, false, false) == NOTHING) return false;
    errno = page->error ? page->error : error;
    return true;
}

/* ---- memory ---- */

/* -1: of other code. */
static int range_of(const void *caller)
{
    for (int k = 0; k < range_count; k++)
        if ((uintptr_t)caller >= ranges[k].from && (uintptr_t)caller < ranges[k].to) return k;
    return -1;
}

static bool memory_fails(int range)
{
    return range >= 0 && fails(BIT(TORTURE_MEMORY), ENOMEM);
}

static void *count(int range, void *p, long blocks)
{
    if (page && p && (range < 0 || !ranges[range].is_store)) page->blocks += blocks;
    return p;
}

void *malloc(size_t bytes)
{
    int range = range_of(__builtin_return_address(0));
    return memory_fails(range) ? NULL : count(range, __libc_malloc(bytes), 1);
}

void *calloc(size_t n, size_t bytes)
{
    int range = range_of(__builtin_return_address(0));
    return memory_fails(range) ? NULL : count(range, __libc_calloc(n, bytes), 1);
}

void *realloc(void *p, size_t bytes)
{
    int range = range_of(__builtin_return_address(0));
    return memory_fails(range) ? NULL : count(range, __libc_realloc(p, bytes), p == NULL);
}

void free(void *p)
{
    __libc_free(count(range_of(__builtin_return_address(0)), p, -1));
}

/* ---- files and sockets ---- */

/* NEXT(name): the function that this one stands before. */
#define NEXT(name)                                                                                 \
    static __typeof__(&name) own;                                                                  \
    if (!own) *(void **)&own = dlsym(RTLD_NEXT, #name)

/* What happens to a call that reads from the file or socket, or writes to it. */
static int io_fate(int fd, bool writes)
{
    struct stat info;
    if (!page || page->kind < 0 || fd <= STDERR_FILENO || fstat(fd, &info) != 0) return NOTHING;
    if (S_ISSOCK(info.st_mode)) {
        if (!fails(BIT(TORTURE_NETWORK), ECONNRESET)) return NOTHING;
        return FAILS;
    }
    if (!S_ISREG(info.st_mode)) return NOTHING;
    const unsigned kinds = writes ? BIT(TORTURE_WRITE) | BIT(TORTURE_DISK) : BIT(TORTURE_READ);
    const int is = fate(kinds, true, writes);
    if (is == FAILS) errno = page->error ? page->error : writes ? ENOSPC : EIO;
    return is;
}

static ssize_t killed_after(ssize_t moved)
{
    if (page->fault == TORTURE_KILL) kill(getpid(), SIGKILL);
    return moved;
}

/* n: the parameter that says how many bytes. */
#define MOVES(name, writes, parameters, arguments)                                                 \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        NEXT(name);                                                                                \
        const int is = io_fate(fd, writes);                                                        \
        if (is == FAILS) return -1;                                                                \
        if (is == NOTHING) return own arguments;                                                   \
        n = n > 1 ? n / 2 : n;                                                                     \
        return killed_after(own arguments);                                                        \
    }

/* Whole or not at all. */
#define BEFORE(result, name, kinds, error, parameters, arguments)                                  \
    result name parameters                                                                         \
    {                                                                                              \
        NEXT(name);                                                                                \
        return fails(kinds, error) ? -1 : own arguments;                                           \
    }

#define WRITES (BIT(TORTURE_WRITE) | BIT(TORTURE_DISK))
#define SYNCS  (BIT(TORTURE_SYNC) | BIT(TORTURE_DISK))

MOVES(write, true, (int fd, const void *p, size_t n), (fd, p, n))
MOVES(pwrite, true, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
MOVES(pwrite64, true, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
MOVES(writev, true, (int fd, const struct iovec *v, int n), (fd, v, n))
MOVES(read, false, (int fd, void *p, size_t n), (fd, p, n))
MOVES(pread, false, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
MOVES(pread64, false, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
MOVES(send, true, (int fd, const void *p, size_t n, int f), (fd, p, n, f))
MOVES(recv, false, (int fd, void *p, size_t n, int f), (fd, p, n, f))

#define SOCKET(result, name, parameters, arguments)                                                \
    BEFORE(result, name, BIT(TORTURE_NETWORK), ECONNRESET, parameters, arguments)

SOCKET(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))
SOCKET(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f))
SOCKET(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))

BEFORE(int, fsync, SYNCS, EIO, (int fd), (fd))
BEFORE(int, fdatasync, SYNCS, EIO, (int fd), (fd))
BEFORE(int, ftruncate, WRITES, ENOSPC, (int fd, off_t n), (fd, n))
BEFORE(int, ftruncate64, WRITES, ENOSPC, (int fd, off64_t n), (fd, n))
BEFORE(int, rename, WRITES, EIO, (const char *from, const char *to), (from, to))
BEFORE(int, renameat, WRITES, EIO, (int a, const char *from, int b, const char *to),
       (a, from, b, to))

#define FOLDER(name, parameters, arguments)                                                        \
    BEFORE(int, name, BIT(TORTURE_DISK), ENOSPC, parameters, arguments)

FOLDER(mkdir, (const char *path, mode_t mode), (path, mode))
FOLDER(symlinkat, (const char *target, int folder, const char *path), (target, folder, path))
FOLDER(link, (const char *from, const char *to), (from, to))
FOLDER(unlink, (const char *path), (path))
FOLDER(unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
FOLDER(rmdir, (const char *path), (path))

int accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    NEXT(accept4);
    return fails(BIT(TORTURE_NETWORK), ECONNABORTED) ? -1 : own(fd, a, n, flags);
}

int socket(int domain, int type, int protocol)
{
    NEXT(socket);
    return fails(BIT(TORTURE_NETWORK), EMFILE) ? -1 : own(domain, type, protocol);
}

/* To make a file changes its folder, too. */
static bool open_fails(int flags)
{
    return fails(BIT(TORTURE_READ) | (flags & O_CREAT ? BIT(TORTURE_DISK) : 0),
                 page && page->kind == TORTURE_DISK ? ENOSPC : EMFILE);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                  \
        va_end(rest);                                                                              \
        NEXT(name);                                                                                \
        return open_fails(flags) ? -1 : own(path, flags, mode);                                    \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                  \
        va_end(rest);                                                                              \
        NEXT(name);                                                                                \
        return open_fails(flags) ? -1 : own(folder, path, flags, mode);                            \
    }
OPENAT(openat)
OPENAT(openat64)
