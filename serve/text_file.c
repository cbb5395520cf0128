#include "serve/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static syn_status read_all(FILE *f, const char *path, int mib_max, char *text, size_t *bytes)
{
    const size_t max = (size_t)mib_max << 20;
    *bytes = fread(text, 1, max + 1, f);
    if (ferror(f)) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
    if (*bytes > max) return syn_fail(SYN_ERR_LIMIT, "%s: larger than %d MiB", path, mib_max);
    return SYN_OK;
}

syn_status syn_text_file_read(const char *path, int mib_max, char **text, size_t *bytes)
{
    struct stat about;
    *text = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
    syn_status st;
    if (fstat(fileno(f), &about) != 0 || S_ISDIR(about.st_mode))
        st = syn_fail(SYN_ERR_IO, "%s: is a folder, not a file", path);
    else if (!(*text = malloc(((size_t)mib_max << 20) + 1)))
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", path);
    else
        st = read_all(f, path, mib_max, *text, bytes);
    fclose(f);
    if (st == SYN_OK) return SYN_OK;
    free(*text);
    *text = NULL;
    return st;
}
