/* What the tests of the data sets share: a folder of their own, files in it, and the real files. */
#ifndef SYN_TESTS_DATASETS_HELPERS_H
#define SYN_TESTS_DATASETS_HELPERS_H

#include "tests/test.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/cache.h"
#include "datasets/prepare.h"

static char test_folder[64];

static inline int folder_setup(void **state)
{
    (void)state;
    snprintf(test_folder, sizeof test_folder, "/tmp/syncog-test-XXXXXX");
    setenv("SYNCOG_QUIET", "1", 1);
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int folder_remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s, (void)type, (void)f;
    return remove(path);
}

static inline int folder_teardown(void **state)
{
    (void)state;
    return nftw(test_folder, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's folder, valid for the next three calls. */
static inline const char *path_of(const char *name)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 160, "%s/%s", test_folder, name);
    return path;
}

static inline const char *file_write(const char *name, const void *bytes, size_t count)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *text_write(const char *name, const char *text)
{
    return file_write(name, text, strlen(text));
}

static inline void *file_read(const char *path, size_t *count)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *count = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*count + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *count, f), *count);
    fclose(f);
    bytes[*count] = '\0';
    return bytes;
}

/* How many entries the folder has, besides "." and "..". */
static inline int folder_count(const char *path)
{
    DIR *d = opendir(path);
    int count = -2;
    assert_non_null(d);
    while (readdir(d)) count++;
    closedir(d);
    return count;
}

/* The call fails with this code, and its sentence holds this text. */
#define assert_fails(call, code, text)                                                             \
    do {                                                                                           \
        syn_status fails_st_ = (call);                                                             \
        if (fails_st_ != (code))                                                                   \
            fail_msg("%s: status %d: %s", #call, fails_st_, syn_error_text());                     \
        if (!strstr(syn_error_text(), text))                                                       \
            fail_msg("\"%s\" does not hold \"%s\"", syn_error_text(), text);                       \
    } while (0)

static inline syn_status prepare_one(const char *format, const char *input, const char *out,
                                     syn_prepare_report *report)
{
    syn_prepare_options o = {.format = format, .inputs = &input, .input_count = 1, .out = out};
    return syn_prepare(&o, report);
}

/* A HotpotQA record of `pieces` pieces with titles T0, T1, ...; the facts name the first two. */
static inline size_t record_text(char *to, size_t max, const char *id, int pieces)
{
    size_t n = (size_t)snprintf(
        to, max,
        "{\"_id\":\"%s\",\"question\":\"Which river flows through T1?\",\"answer\":\"x\","
        "\"supporting_facts\":[[\"T0\",0],[\"T1\",1]],\"type\":\"bridge\",\"level\":\"hard\","
        "\"context\":[",
        id);
    for (int k = 0; k < pieces; k++)
        n += (size_t)snprintf(to + n, max - n, "%s[\"T%d\",[\"Piece %d of %s.\",\" It has two.\"]]",
                              k ? "," : "", k, k, id);
    return n + (size_t)snprintf(to + n, max - n, "]}");
}

/* A file with `count` such records, named prefix0, prefix1, ... */
static inline const char *records_write(const char *name, const char *prefix, int count)
{
    char record[4096], id[64];
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputc('[', f);
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%s%d", prefix, i);
        record_text(record, sizeof record, id, 10);
        fprintf(f, "%s%s", i ? ",\n" : "", record);
    }
    fputc(']', f);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* A file of the shared folder of real data; NULL where there is none. */
static inline const char *real_file(const char *name)
{
    static char path[4096];
    const char *folder = getenv("SYNCOG_SHARED_DATA");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : SYN_SOURCE_DIR "/../shared/data", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

#endif
