#include "datasets/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static syn_status fail_io(const syn_new_file *f)
{
    return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", f->path, strerror(errno));
}

/* The target may be a new name or a regular file, nothing else: a rename would replace a device. */
static syn_status target_check(const syn_new_file *f)
{
    struct stat info;
    if (stat(f->path, &info) != 0) return SYN_OK;
    if (S_ISDIR(info.st_mode)) return syn_fail(SYN_ERR_IO, "%s: is a folder, not a file", f->path);
    if (!S_ISREG(info.st_mode)) return syn_fail(SYN_ERR_IO, "%s: is not a regular file", f->path);
    return SYN_OK;
}

static syn_status open_named(syn_new_file *f)
{
    snprintf(f->temporary, sizeof f->temporary, "%s.tmp-XXXXXX", f->path);
    f->fd = mkostemp(f->temporary, O_CLOEXEC);
    if (f->fd < 0) {
        f->temporary[0] = '\0';
        return fail_io(f);
    }
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(f->fd, 0666 & ~mask) == 0) return SYN_OK;
    syn_status st = fail_io(f);
    syn_new_file_discard(f);
    return st;
}

syn_status syn_new_file_open(syn_new_file *f, const char *path)
{
    *f = (syn_new_file){.fd = -1};
    /* The temporary name is longer than the path by up to 16 bytes. */
    if (strlen(path) + 16 >= sizeof f->path)
        return syn_fail(SYN_ERR_LIMIT, "%.64s...: the path is too long", path);
    strcpy(f->path, path);
    SYN_RETURN_IF(target_check(f));
    const char *slash = strrchr(path, '/');
    if (!slash)
        strcpy(f->folder, ".");
    else
        snprintf(f->folder, sizeof f->folder, "%.*s", slash == path ? 1 : (int)(slash - path),
                 path);
    f->fd = open(f->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (f->fd >= 0) return SYN_OK;
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) return open_named(f);
    return fail_io(f);
}

/* Gives the nameless file its name: at once where nothing stands there, else by way of a name
 * beside it, since a link never replaces. */
static int link_named(syn_new_file *f)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) == 0) return 0;
    if (errno != EEXIST) return -1;
    snprintf(f->temporary, sizeof f->temporary, "%s.tmp-%ld", f->path, (long)getpid());
    unlink(f->temporary);
    if (linkat(AT_FDCWD, self, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) == 0)
        return rename(f->temporary, f->path);
    f->temporary[0] = '\0';
    return -1;
}

syn_status syn_new_file_commit(syn_new_file *f)
{
    syn_status st = SYN_OK;
    if (fsync(f->fd) != 0 ||
        (f->temporary[0] ? rename(f->temporary, f->path) : link_named(f)) != 0) {
        st = fail_io(f);
        syn_new_file_discard(f);
        return st;
    }
    f->temporary[0] = '\0';
    int folder = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some file systems cannot sync a folder and say EINVAL. */
    if (folder < 0 || (fsync(folder) != 0 && errno != EINVAL)) st = fail_io(f);
    if (folder >= 0) close(folder);
    if (close(f->fd) != 0 && st == SYN_OK) st = fail_io(f);
    f->fd = -1;
    return st;
}

void syn_new_file_discard(syn_new_file *f)
{
    if (f->temporary[0]) unlink(f->temporary);
    f->temporary[0] = '\0';
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}
