#include "checkpoints/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- folders ---- */

/* The entry of a folder made just now is durable once the folder above it is synced. */
static void sync_parent(const char *path)
{
    char part[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    memcpy(part, path, length);
    part[length] = 0;
    int fd = open(length ? part : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static syn_status make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return syn_fail(SYN_ERR_INVALID, "the folder's name has %zu bytes, allowed are 1 to %zu",
                        length, sizeof part - 1);
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        char end = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) == 0) {
            sync_parent(part);
        } else if (errno != EEXIST) {
            return syn_fail(SYN_ERR_IO, "%s: the folder cannot be made: %s", part, strerror(errno));
        }
        part[i] = end;
    }
    return SYN_OK;
}

syn_status syn_folder_open(syn_folder *folder, const char *path, bool make)
{
    folder->path = path;
    folder->fd = -1;
    if (make) SYN_RETURN_IF(make_folders(path));
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
    return SYN_OK;
}

syn_status syn_folder_open_above(syn_folder *folder, char *path, const char **name)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') path[--length] = 0;
    char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!**name || !strcmp(*name, ".") || !strcmp(*name, "..")) {
        return syn_fail(SYN_ERR_INVALID, "'%s' does not end in a name", path);
    }
    if (!slash) return syn_folder_open(folder, ".", false);
    *slash = 0;
    return syn_folder_open(folder, slash == path ? "/" : path, true);
}

void syn_folder_close(syn_folder *folder)
{
    if (folder->fd >= 0) close(folder->fd);
    folder->fd = -1;
}

syn_status syn_folder_lock(const syn_folder *folder)
{
    if (flock(folder->fd, LOCK_EX | LOCK_NB) == 0) return SYN_OK;
    if (errno == EWOULDBLOCK) {
        return syn_fail(SYN_ERR_IO, "%s: another process is saving into this folder", folder->path);
    }
    return SYN_OK; /* a file system without locks */
}

syn_status syn_folder_sync(const syn_folder *folder)
{
    /* EINVAL: a file system whose folders need no fsync. */
    if (fsync(folder->fd) == 0 || errno == EINVAL) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: %s", folder->path, strerror(errno));
}

DIR *syn_folder_list(const syn_folder *folder, const char *name)
{
    int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return NULL;
    DIR *d = fdopendir(fd);
    if (!d) close(fd);
    return d;
}

bool syn_folder_has(const syn_folder *folder, const char *name)
{
    struct stat info;
    return fstatat(folder->fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

void syn_folder_remove(const syn_folder *folder, const char *name)
{
    DIR *d = syn_folder_list(folder, name);
    if (!d) {
        unlinkat(folder->fd, name, 0);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    unlinkat(folder->fd, name, AT_REMOVEDIR);
}

void syn_folder_remove_empty(const syn_folder *folder, const char *name)
{
    unlinkat(folder->fd, name, AT_REMOVEDIR);
}

syn_status syn_link_prepare(const syn_folder *folder, const char *name, const char *target)
{
    unlinkat(folder->fd, name, 0);
    if (symlinkat(target, folder->fd, name) == 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", folder->path, name, strerror(errno));
}

syn_status syn_folder_rename(const syn_folder *folder, const char *from, const char *to)
{
    if (renameat(folder->fd, from, folder->fd, to) == 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", folder->path, to, strerror(errno));
}

/* ---- files ---- */

syn_status syn_file_read(const syn_folder *folder, const char *name, int64_t bytes_max,
                         unsigned char **data, int64_t *bytes, bool *missing)
{
    syn_status st = SYN_OK;
    struct stat info;
    unsigned char *buffer = NULL;
    int64_t have = 0;
    /* O_NONBLOCK: a pipe of that name must not make us wait. */
    int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (missing) *missing = fd < 0 && errno == ENOENT;
    if (fd < 0) return syn_fail(SYN_ERR_IO, "%s/%s: %s", folder->path, name, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: not a regular file", folder->path, name);
        goto done;
    }
    if (info.st_size > bytes_max) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: %lld bytes, at most %lld are allowed", folder->path,
                      name, (long long)info.st_size, (long long)bytes_max);
        goto done;
    }
    buffer = malloc((size_t)info.st_size + 1);
    if (!buffer) {
        st = syn_fail(SYN_ERR_MEMORY, "%s/%s: out of memory", folder->path, name);
        goto done;
    }
    while (have < info.st_size) {
        ssize_t n = read(fd, buffer + have, (size_t)(info.st_size - have));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            st = syn_fail(SYN_ERR_IO, "%s/%s: %s", folder->path, name,
                          n < 0 ? strerror(errno) : "shorter than it was when opened");
            goto done;
        }
        have += n;
    }
    buffer[have] = 0;
    *data = buffer;
    *bytes = have;
    buffer = NULL;
done:
    free(buffer);
    close(fd);
    return st;
}

/* 0, or an errno. */
static int write_all(int fd, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    while (bytes > 0) {
        ssize_t n = write(fd, at, bytes < (1u << 30) ? bytes : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

syn_status syn_file_begin(syn_file_writer *w, const syn_folder *folder, const char *name)
{
    *w = (syn_file_writer){.folder = folder, .name = name, .fd = -1};
    if (snprintf(w->temporary, sizeof w->temporary, "%s.tmp", name) >= (int)sizeof w->temporary) {
        return syn_fail(SYN_ERR_INVALID, "%s/%s: the file's name is too long", folder->path, name);
    }
    unlinkat(folder->fd, w->temporary, 0);
    w->fd = openat(folder->fd, w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd >= 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", folder->path, name, strerror(errno));
}

void syn_file_add(syn_file_writer *w, const void *data, size_t bytes)
{
    if (!w->fault) w->fault = write_all(w->fd, data, bytes);
}

void syn_file_abandon(syn_file_writer *w)
{
    if (w->fd < 0) return;
    close(w->fd);
    w->fd = -1;
    unlinkat(w->folder->fd, w->temporary, 0);
}

syn_status syn_file_commit(syn_file_writer *w)
{
    int dir = w->folder->fd;
    if (!w->fault && fsync(w->fd) != 0) w->fault = errno;
    if (close(w->fd) != 0 && !w->fault) w->fault = errno;
    w->fd = -1;
    if (!w->fault && renameat(dir, w->temporary, dir, w->name) != 0) w->fault = errno;
    if (!w->fault) return syn_folder_sync(w->folder);
    unlinkat(dir, w->temporary, 0);
    return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", w->folder->path, w->name,
                    strerror(w->fault));
}

syn_status syn_file_create(const syn_folder *folder, const char *name, const void *data,
                           size_t bytes)
{
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int fault = fd < 0 ? errno : write_all(fd, data, bytes);
    if (!fault && fsync(fd) != 0) fault = errno;
    if (fd >= 0 && close(fd) != 0 && !fault) fault = errno;
    if (!fault) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", folder->path, name, strerror(fault));
}

/* ---- SHA-256 ---- */

syn_status syn_sha256_begin(syn_sha256 *s)
{
    /* Without its context, which it makes at first use, the library would follow a NULL. */
    EVP_MD_CTX *ctx = OSSL_LIB_CTX_get0_global_default() ? EVP_MD_CTX_new() : NULL;
    s->state = ctx;
    if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1) return SYN_OK;
    EVP_MD_CTX_free(ctx);
    s->state = NULL;
    return syn_fail(SYN_ERR_MEMORY, "SHA-256 could not be started");
}

void syn_sha256_add(syn_sha256 *s, const void *data, size_t bytes)
{
    EVP_DigestUpdate(s->state, data, bytes);
}

void syn_sha256_end(syn_sha256 *s, char out[SYN_SHA256_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned int length = 0;
    EVP_DigestFinal_ex(s->state, digest, &length);
    EVP_MD_CTX_free(s->state);
    s->state = NULL;
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

syn_status syn_sha256_of(const void *data, size_t bytes, char out[SYN_SHA256_TEXT])
{
    syn_sha256 s;
    SYN_RETURN_IF(syn_sha256_begin(&s));
    syn_sha256_add(&s, data, bytes);
    syn_sha256_end(&s, out);
    return SYN_OK;
}
