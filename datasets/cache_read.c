#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/cache.h"
#include "datasets/cache_private.h"
#include "datasets/h5_file.h"

enum { BLOCK_ROWS = 1 << 16 };

/* The seal says what kind of file this is, and that HDF5 may parse it. */
static syn_status seal_check(int fd, const char *path, int64_t *file_bytes)
{
    static const char begin[] = SYN_CACHE_FORMAT " ";
    char stored[SYN_CACHE_SEAL_BYTES] = "", computed[SYN_CACHE_SEAL_BYTES];
    struct stat info;
    if (fstat(fd, &info) != 0)
        return syn_fail(SYN_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return syn_fail(SYN_ERR_FORMAT, "%s: is a folder, not a file", path);
    *file_bytes = info.st_size;
    ssize_t n = pread(fd, stored, sizeof stored, 0);
    if (n < 0) return syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (n < (ssize_t)sizeof stored || memcmp(stored, begin, sizeof begin - 1) != 0)
        return syn_fail(SYN_ERR_FORMAT, "%s: is not a data set made by `syncog data prepare`",
                        path);
    const int version = atoi(stored + sizeof begin - 1);
    if (version != SYN_CACHE_VERSION)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: has version %d, this program reads version %d: prepare it again", path,
                        version, SYN_CACHE_VERSION);
    SYN_RETURN_IF(syn_cache_seal_compute(fd, path, computed));
    if (memcmp(stored, computed, sizeof stored) != 0)
        return syn_fail(SYN_ERR_FORMAT, "%s: is damaged or cut off: its checksum does not match",
                        path);
    return SYN_OK;
}

/* Reads a text attribute of the root, of at most SYN_CACHE_CONFIG_MAX bytes; to be freed. */
static char *attribute_text(hid_t file, const char *name)
{
    char *text = NULL, *copy = NULL;
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    if (attribute < 0) return NULL;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute),
          memory = H5Tcopy(H5T_C_S1);
    if (type >= 0 && space >= 0 && memory >= 0 && H5Tis_variable_str(type) > 0 &&
        H5Sget_simple_extent_npoints(space) == 1 && H5Tset_size(memory, H5T_VARIABLE) >= 0 &&
        H5Tset_cset(memory, H5Tget_cset(type)) >= 0 && H5Aread(attribute, memory, &text) >= 0) {
        if (text && strnlen(text, SYN_CACHE_CONFIG_MAX) < SYN_CACHE_CONFIG_MAX) copy = strdup(text);
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, &text);
    }
    if (memory >= 0) H5Tclose(memory);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Aclose(attribute);
    return copy;
}

static syn_status description_read(hid_t file, syn_dataset *ds)
{
    char *format = attribute_text(file, "format"), *config = attribute_text(file, "config_json");
    syn_status st = SYN_OK;
    if (!format || strcmp(format, SYN_CACHE_FORMAT) != 0)
        st = syn_fail(SYN_ERR_FORMAT, "the attribute format is not \"%s\"", SYN_CACHE_FORMAT);
    else if (!config)
        st = syn_fail(SYN_ERR_FORMAT, "the attribute config_json is missing or too long");
    else
        st = syn_cache_config_read(config, ds);
    free(format);
    free(config);
    return st;
}

/* True for what the writer makes: plain integers in uncompressed chunks inside this very file. */
static bool set_is_plain(hid_t set, const syn_cache_column *c)
{
    hid_t type = H5Dget_type(set), create = H5Dget_create_plist(set);
    bool plain = type >= 0 && create >= 0 && H5Tget_class(type) == H5T_INTEGER &&
                 H5Tget_size(type) == (size_t)c->bytes && H5Pget_layout(create) == H5D_CHUNKED &&
                 H5Pget_nfilters(create) == 0;
    if (type >= 0) H5Tclose(type);
    if (create >= 0) H5Pclose(create);
    return plain;
}

static syn_status column_open(hid_t file, const syn_cache_column *c, int64_t file_bytes, hid_t *set,
                              int64_t *rows)
{
    hsize_t extent = 0;
    *set = H5Dopen2(file, c->path, H5P_DEFAULT);
    if (*set < 0) return syn_fail(SYN_ERR_FORMAT, "%s is missing", c->path);
    hid_t space = H5Dget_space(*set);
    bool flat = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
                H5Sget_simple_extent_dims(space, &extent, NULL) == 1;
    if (space >= 0) H5Sclose(space);
    if (!flat || !set_is_plain(*set, c))
        return syn_fail(SYN_ERR_FORMAT, "%s is not a plain column of integers of %d bytes", c->path,
                        c->bytes);
    if (extent > (hsize_t)file_bytes / (hsize_t)c->bytes ||
        H5Dget_storage_size(*set) < extent * (hsize_t)c->bytes)
        return syn_fail(SYN_ERR_FORMAT, "%s claims %llu values, more than the file holds", c->path,
                        (unsigned long long)extent);
    *rows = (int64_t)extent;
    return SYN_OK;
}

static syn_status rows_read(hid_t set, const syn_cache_column *c, int64_t first, int64_t count,
                            void *to)
{
    hsize_t start = (hsize_t)first, n = (hsize_t)count;
    hid_t space = H5Dget_space(set), memory = H5Screate_simple(1, &n, NULL);
    bool good = space >= 0 && memory >= 0 &&
                H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &n, NULL) >= 0 &&
                H5Dread(set, syn_cache_type(c, false), memory, space, H5P_DEFAULT, to) >= 0;
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    return good ? SYN_OK : syn_fail(SYN_ERR_FORMAT, "%s cannot be read", c->path);
}

/* Reads a column into a field of an array of structs. */
static syn_status column_scatter(hid_t set, const syn_cache_column *c, int64_t rows,
                                 unsigned char *to, size_t stride)
{
    static const size_t value_max = 8;
    syn_status st = SYN_OK;
    unsigned char *block = malloc(BLOCK_ROWS * value_max);
    if (!block) return syn_fail(SYN_ERR_MEMORY, "no memory for a block of %s", c->path);
    for (int64_t first = 0; first < rows; first += BLOCK_ROWS) {
        int64_t n = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        SYN_TRY(rows_read(set, c, first, n, block));
        for (int64_t i = 0; i < n; i++)
            memcpy(to + (size_t)(first + i) * stride + c->offset, block + i * c->bytes,
                   (size_t)c->bytes);
    }
done:
    free(block);
    return st;
}

/* Reads a whole column; the first of its kind sets how many rows there are. */
static syn_status column_read(hid_t set, const syn_cache_column *c, int64_t rows, syn_dataset *ds)
{
    int64_t *count = c->row == SYN_CACHE_RECORD  ? &ds->record_count
                     : c->row == SYN_CACHE_PIECE ? &ds->piece_count
                     : c->row == SYN_CACHE_TOKEN ? &ds->token_count
                                                 : &ds->string_bytes;
    if (*count == 0) {
        if (c->row == SYN_CACHE_RECORD && rows > SYN_CACHE_RECORDS_MAX)
            return syn_fail(SYN_ERR_LIMIT, "more than %d records", SYN_CACHE_RECORDS_MAX);
        SYN_RETURN_IF(syn_dataset_reserve(
            ds, c->row == SYN_CACHE_RECORD ? rows : 0, c->row == SYN_CACHE_PIECE ? rows : 0,
            c->row == SYN_CACHE_TOKEN ? rows : 0, c->row == SYN_CACHE_ID ? rows : 0));
        if (c->row == SYN_CACHE_RECORD && rows > 0)
            memset(ds->records, 0, (size_t)rows * sizeof *ds->records);
        if (c->row == SYN_CACHE_PIECE && rows > 0)
            memset(ds->pieces, 0, (size_t)rows * sizeof *ds->pieces);
        *count = rows;
    }
    if (rows == 0 || rows != *count)
        return syn_fail(SYN_ERR_FORMAT, "%s has %lld values where %lld are expected", c->path,
                        (long long)rows, (long long)*count);
    switch (c->row) {
    case SYN_CACHE_RECORD:
        return column_scatter(set, c, rows, (unsigned char *)ds->records, sizeof *ds->records);
    case SYN_CACHE_PIECE:
        return column_scatter(set, c, rows, (unsigned char *)ds->pieces, sizeof *ds->pieces);
    case SYN_CACHE_TOKEN:
        return rows_read(set, c, 0, rows, ds->tokens);
    default:
        return rows_read(set, c, 0, rows, ds->strings);
    }
}

/* Where the next token, piece and id begin, while the counts are added up. */
typedef struct cursor {
    int64_t token, piece, string;
} cursor;

static syn_status piece_place(const syn_dataset *ds, syn_piece *p, cursor *at)
{
    int64_t left = ds->token_count - at->token;
    if (p->title_count < 0 || p->title_count > left || p->body_count < 0 ||
        p->body_count > left - p->title_count)
        return syn_fail(SYN_ERR_FORMAT, "piece %lld has more tokens than there are",
                        (long long)at->piece);
    if (p->gold > 1 || p->claim > 1 || p->claim_correct > p->claim || (p->gold && p->claim))
        return syn_fail(SYN_ERR_FORMAT, "the marks of piece %lld contradict each other",
                        (long long)at->piece);
    if (p->group > SYN_PIECE_GROUPS_MAX)
        return syn_fail(SYN_ERR_FORMAT, "piece %lld is of group %d, there are at most %d",
                        (long long)at->piece, p->group, SYN_PIECE_GROUPS_MAX);
    p->title_at = at->token;
    p->body_at = at->token + p->title_count;
    at->token += p->title_count + p->body_count;
    at->piece++;
    return SYN_OK;
}

/* Sets all offsets of record i from the counts, each checked against what is there. */
static syn_status record_place(syn_dataset *ds, int64_t i, cursor *at)
{
    syn_record *r = &ds->records[i];
    long long number = (long long)i;
    const char *id = ds->strings + at->string;
    const char *end = memchr(id, 0, (size_t)(ds->string_bytes - at->string));
    if (!end || end == id) return syn_fail(SYN_ERR_FORMAT, "record %lld has no id", number);
    if (r->question_count < 1 || r->question_count > ds->token_count - at->token)
        return syn_fail(SYN_ERR_FORMAT, "record %lld has a question of %d tokens", number,
                        r->question_count);
    if (r->piece_count < 1 || r->piece_count > SYN_PIECES_OWN_MAX ||
        r->piece_count > ds->piece_count - at->piece)
        return syn_fail(SYN_ERR_FORMAT, "record %lld has %d pieces", number, r->piece_count);
    if (r->answerable > 1 || r->type >= SYN_TYPE_COUNT || r->source >= ds->source_count)
        return syn_fail(SYN_ERR_FORMAT, "record %lld has an unknown type or source", number);
    r->id_at = at->string;
    r->id_key = syn_dataset_key(id, (size_t)(end - id));
    r->question_at = at->token;
    r->piece_first = at->piece;
    r->gold_count = 0;
    at->string += end - id + 1;
    at->token += r->question_count;
    for (int k = 0; k < r->piece_count; k++) {
        syn_piece *p = &ds->pieces[at->piece];
        SYN_RETURN_IF(piece_place(ds, p, at));
        r->gold_count += p->gold;
    }
    if (r->gold_count < 1 || r->gold_count >= r->piece_count)
        return syn_fail(SYN_ERR_FORMAT, "record %lld has %d pieces, %d of them supporting", number,
                        r->piece_count, r->gold_count);
    return SYN_OK;
}

static syn_status records_place(syn_dataset *ds)
{
    cursor at = {0};
    for (int64_t i = 0; i < ds->record_count; i++) SYN_RETURN_IF(record_place(ds, i, &at));
    if (at.token != ds->token_count || at.piece != ds->piece_count || at.string != ds->string_bytes)
        return syn_fail(SYN_ERR_FORMAT, "the counts of the records do not add up to what is there");
    return SYN_OK;
}

static syn_status content_read(hid_t file, int64_t file_bytes, syn_dataset *ds)
{
    SYN_RETURN_IF(description_read(file, ds));
    for (int i = 0; i < SYN_CACHE_COLUMNS; i++) {
        const syn_cache_column *c = &syn_cache_columns[i];
        int64_t rows = 0;
        hid_t set;
        syn_status st = column_open(file, c, file_bytes, &set, &rows);
        if (st == SYN_OK) st = column_read(set, c, rows, ds);
        if (set >= 0) H5Dclose(set);
        if (st != SYN_OK) return st;
    }
    return records_place(ds);
}

syn_status syn_dataset_load(syn_dataset *ds, const char *path)
{
    syn_status st = SYN_OK;
    int64_t file_bytes = 0;
    syn_dataset fresh = {0};
    syn_h5_file h5 = {.fd = -1, .id = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return syn_fail(SYN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    SYN_TRY(seal_check(fd, path, &file_bytes));
    st = syn_h5_open(&h5, fd);
    if (st == SYN_OK) st = content_read(h5.id, file_bytes, &fresh);
    if (st == SYN_OK) st = syn_dataset_take(ds, &fresh);
    if (st != SYN_OK) st = syn_fail_within(st, "%s", path);
done:
    syn_h5_close(&h5);
    close(fd);
    syn_dataset_free(&fresh);
    return st;
}
