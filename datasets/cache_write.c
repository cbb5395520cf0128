#include "datasets/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "datasets/cache_private.h"
#include "datasets/h5_file.h"
#include "datasets/new_file.h"

struct syn_cache_writer {
    syn_new_file file;
    syn_h5_file h5;
    hid_t sets[SYN_CACHE_COLUMNS];
    hsize_t rows[SYN_CACHE_COLUMNS];
    unsigned char *values; /* a column of a batch, gathered */
    size_t values_max;
};

static syn_status fail_write(const syn_cache_writer *w)
{
    return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", w->file.path,
                    w->h5.failure ? strerror(w->h5.failure) : "HDF5 failed");
}

/* An empty data set that grows. Times of creation are left out: equal input gives equal bytes. */
static hid_t column_create(hid_t file, const syn_cache_column *c)
{
    hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk = (hsize_t)c->chunk;
    hid_t set = -1, space = H5Screate_simple(1, &none, &unlimited);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), link = H5Pcreate(H5P_LINK_CREATE);
    if (space >= 0 && create >= 0 && link >= 0 && H5Pset_chunk(create, 1, &chunk) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0 && H5Pset_create_intermediate_group(link, 1) >= 0)
        set = H5Dcreate2(file, c->path, syn_cache_type(c, true), space, link, create, H5P_DEFAULT);
    if (link >= 0) H5Pclose(link);
    if (create >= 0) H5Pclose(create);
    if (space >= 0) H5Sclose(space);
    return set;
}

syn_status syn_cache_create(syn_cache_writer **out, const char *path)
{
    syn_status st;
    syn_cache_writer *w = calloc(1, sizeof *w);
    if (!w) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a writer", path);
    w->file.fd = -1;
    w->h5.id = -1;
    memset(w->sets, -1, sizeof w->sets);
    SYN_TRY(syn_new_file_open(&w->file, path));
    st = syn_h5_create(&w->h5, w->file.fd);
    if (st != SYN_OK) {
        st = fail_write(w);
        goto done;
    }
    for (int i = 0; i < SYN_CACHE_COLUMNS; i++) {
        w->sets[i] = column_create(w->h5.id, &syn_cache_columns[i]);
        if (w->sets[i] < 0) {
            st = fail_write(w);
            goto done;
        }
    }
    *out = w;
    return SYN_OK;
done:
    syn_cache_discard(w);
    return st;
}

static bool h5_shut(syn_cache_writer *w)
{
    bool good = true;
    for (int i = 0; i < SYN_CACHE_COLUMNS; i++) {
        if (w->sets[i] >= 0 && H5Dclose(w->sets[i]) < 0) good = false;
        w->sets[i] = -1;
    }
    return syn_h5_close(&w->h5) && good;
}

void syn_cache_discard(syn_cache_writer *w)
{
    if (!w) return;
    h5_shut(w);
    syn_new_file_discard(&w->file);
    free(w->values);
    free(w);
}

/* The layout has no offsets, so everything must stand in order and without gaps. */
static bool batch_is_dense(const syn_dataset *b)
{
    int64_t token = 0, piece = 0, string = 0;
    for (int64_t i = 0; i < b->record_count; i++) {
        const syn_record *r = &b->records[i];
        if (r->id_at != string || r->question_at != token || r->piece_first != piece) return false;
        string += (int64_t)strlen(b->strings + r->id_at) + 1;
        token += r->question_count;
        for (int k = 0; k < r->piece_count; k++) {
            const syn_piece *p = &b->pieces[piece++];
            if (p->title_at != token || p->body_at != token + p->title_count) return false;
            token += p->title_count + p->body_count;
        }
    }
    return token == b->token_count && piece == b->piece_count && string == b->string_bytes;
}

static syn_status rows_append(syn_cache_writer *w, int i, const void *values, int64_t count)
{
    hsize_t more = (hsize_t)count, start = w->rows[i], total = start + more;
    hid_t space = -1, memory = -1;
    bool good = false;
    if (count == 0) return SYN_OK;
    if (H5Dset_extent(w->sets[i], &total) >= 0) {
        space = H5Dget_space(w->sets[i]);
        memory = H5Screate_simple(1, &more, NULL);
        good = space >= 0 && memory >= 0 &&
               H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &more, NULL) >= 0 &&
               H5Dwrite(w->sets[i], syn_cache_type(&syn_cache_columns[i], false), memory, space,
                        H5P_DEFAULT, values) >= 0;
    }
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    w->rows[i] = total;
    return good && !w->h5.failure ? SYN_OK : fail_write(w);
}

/* Gathers one field of all records or pieces into w->values. */
static syn_status column_gather(syn_cache_writer *w, const syn_cache_column *c,
                                const unsigned char *from, size_t stride, int64_t count)
{
    size_t bytes = (size_t)count * (size_t)c->bytes;
    if (w->values_max < bytes) {
        unsigned char *values = realloc(w->values, bytes);
        if (!values)
            return syn_fail(SYN_ERR_MEMORY, "%s: no memory for %zu bytes", w->file.path, bytes);
        w->values = values;
        w->values_max = bytes;
    }
    for (int64_t i = 0; i < count; i++)
        memcpy(w->values + (size_t)i * (size_t)c->bytes, from + (size_t)i * stride + c->offset,
               (size_t)c->bytes);
    return SYN_OK;
}

syn_status syn_cache_append(syn_cache_writer *w, const syn_dataset *b)
{
    SYN_REQUIRE(batch_is_dense(b), "%s: the records to be written have gaps", w->file.path);
    for (int i = 0; i < SYN_CACHE_COLUMNS; i++) {
        const syn_cache_column *c = &syn_cache_columns[i];
        switch (c->row) {
        case SYN_CACHE_RECORD:
            SYN_RETURN_IF(column_gather(w, c, (const unsigned char *)b->records, sizeof(syn_record),
                                        b->record_count));
            SYN_RETURN_IF(rows_append(w, i, w->values, b->record_count));
            break;
        case SYN_CACHE_PIECE:
            SYN_RETURN_IF(column_gather(w, c, (const unsigned char *)b->pieces, sizeof(syn_piece),
                                        b->piece_count));
            SYN_RETURN_IF(rows_append(w, i, w->values, b->piece_count));
            break;
        case SYN_CACHE_TOKEN:
            SYN_RETURN_IF(rows_append(w, i, b->tokens, b->token_count));
            break;
        case SYN_CACHE_ID:
            SYN_RETURN_IF(rows_append(w, i, b->strings, b->string_bytes));
            break;
        }
    }
    return SYN_OK;
}

/* A text attribute of the root: variable length, UTF-8, as h5py reads it. */
static bool attribute_text(hid_t file, const char *name, const char *text)
{
    bool good = false;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    if (type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        good = H5Awrite(attribute, type, &text) >= 0;
        H5Aclose(attribute);
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

static bool attribute_int(hid_t file, const char *name, int value)
{
    bool good = false;
    hid_t space = H5Screate(H5S_SCALAR), attribute = -1;
    if (space >= 0)
        attribute = H5Acreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        good = H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0;
        H5Aclose(attribute);
    }
    if (space >= 0) H5Sclose(space);
    return good;
}

static syn_status seal_write(int fd, const char *path)
{
    char seal[SYN_CACHE_SEAL_BYTES];
    SYN_RETURN_IF(syn_cache_seal_compute(fd, path, seal));
    if (pwrite(fd, seal, sizeof seal, 0) != (ssize_t)sizeof seal)
        return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return SYN_OK;
}

syn_status syn_cache_seal(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return syn_fail(SYN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    syn_status st = seal_write(fd, path);
    if (close(fd) != 0 && st == SYN_OK)
        st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return st;
}

syn_status syn_cache_commit(syn_cache_writer *w, const syn_source *sources, int count)
{
    syn_status st = SYN_OK;
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    char *config = syn_cache_config_write(sources, count);
    if (!config) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: no memory for its description", w->file.path);
        goto done;
    }
    bool good = attribute_text(w->h5.id, "format", SYN_CACHE_FORMAT) &&
                attribute_int(w->h5.id, "format_version", SYN_CACHE_VERSION) &&
                attribute_text(w->h5.id, "created", created) &&
                attribute_text(w->h5.id, "config_json", config);
    if (!h5_shut(w) || !good) {
        st = fail_write(w);
        goto done;
    }
    SYN_TRY(seal_write(w->file.fd, w->file.path));
    SYN_TRY(syn_new_file_commit(&w->file));
done:
    free(config);
    syn_cache_discard(w);
    return st;
}
