#include "checkpoints/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the folder ---- */

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
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
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

/* n for "weights-<n>.h5" and "weights-<n>.h5.tmp", else 0. */
static int64_t generation_of(const char *name)
{
    char *end = NULL;
    if (strncmp(name, "weights-", 8) || name[8] < '1' || name[8] > '9') return 0;
    errno = 0;
    long long n = strtoll(name + 8, &end, 10);
    if (errno || n >= SYN_GENERATION_MAX || (strcmp(end, ".h5") && strcmp(end, ".h5.tmp")))
        return 0;
    return n;
}

static DIR *folder_list(const syn_folder *folder)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return NULL;
    DIR *d = fdopendir(fd);
    if (!d) close(fd);
    return d;
}

int64_t syn_folder_generation_max(const syn_folder *folder)
{
    int64_t best = 0;
    DIR *d = folder_list(folder);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        int64_t n = generation_of(e->d_name);
        if (n > best) best = n;
    }
    closedir(d);
    return best;
}

void syn_folder_sweep(const syn_folder *folder, int64_t keep_a, int64_t keep_b)
{
    DIR *d = folder_list(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *name = e->d_name, *dot = strrchr(name, '.');
        int64_t n = generation_of(name);
        bool half = dot && !strcmp(dot, ".tmp") && (n > 0 || !strncmp(name, "manifest.", 9));
        if (half || (n > 0 && n != keep_a && n != keep_b)) unlinkat(folder->fd, name, 0);
    }
    closedir(d);
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

/* Data and metadata on disk, or an errno. */
static int write_durably(int fd, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes < (1u << 30) ? bytes : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        data += n;
        bytes -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

syn_status syn_file_replace(const syn_folder *folder, const char *name, const void *data,
                            size_t bytes)
{
    char temporary[SYN_WEIGHTS_NAME_BYTES + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    unlinkat(folder->fd, temporary, 0);
    int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return syn_fail(SYN_ERR_IO, "%s/%s: %s", folder->path, temporary, strerror(errno));
    int fault = write_durably(fd, data, bytes);
    if (close(fd) != 0 && !fault) fault = errno;
    if (!fault && renameat(folder->fd, temporary, folder->fd, name) != 0) fault = errno;
    if (fault) {
        unlinkat(folder->fd, temporary, 0);
        return syn_fail(SYN_ERR_IO, "%s/%s: not saved: %s", folder->path, name, strerror(fault));
    }
    /* EINVAL: a file system whose folders need no fsync. */
    if (fsync(folder->fd) != 0 && errno != EINVAL) {
        return syn_fail(SYN_ERR_IO, "%s: %s", folder->path, strerror(errno));
    }
    return SYN_OK;
}

/* ---- SHA-256 ---- */

syn_status syn_sha256_begin(syn_sha256 *s)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
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
