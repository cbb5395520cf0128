#include "datasets/array_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/h5_file.h"
#include "datasets/new_file.h"

enum { CHUNK_BYTES = 1 << 18 };

struct syn_array_file {
    syn_new_file file;
    syn_h5_file h5;
    const syn_array *array;
    int count;
    hid_t set[SYN_ARRAYS_MAX];
    hsize_t rows[SYN_ARRAYS_MAX];
};

static hid_t memory_type(syn_array_type type)
{
    return type == SYN_ARRAY_U8    ? H5T_NATIVE_UINT8
           : type == SYN_ARRAY_I32 ? H5T_NATIVE_INT32
           : type == SYN_ARRAY_I64 ? H5T_NATIVE_INT64
                                   : H5T_NATIVE_FLOAT;
}

static hid_t file_type(syn_array_type type)
{
    return type == SYN_ARRAY_U8    ? H5T_STD_U8LE
           : type == SYN_ARRAY_I32 ? H5T_STD_I32LE
           : type == SYN_ARRAY_I64 ? H5T_STD_I64LE
                                   : H5T_IEEE_F32LE;
}

static syn_status fail_write(const syn_array_file *f)
{
    return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", f->file.path,
                    f->h5.failure ? strerror(f->h5.failure) : "HDF5 failed");
}

/* Without times of creation: equal input gives equal bytes. */
static hid_t set_create(hid_t file, const syn_array *a)
{
    const hsize_t width = (hsize_t)a->width, none[2] = {0, width}, most[2] = {H5S_UNLIMITED, width};
    const size_t row_bytes = H5Tget_size(file_type(a->type)) * (size_t)a->width;
    const hsize_t chunk[2] = {row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1, width};
    const int rank = a->width > 1 ? 2 : 1;
    hid_t set = -1, space = H5Screate_simple(rank, none, most);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), link = H5Pcreate(H5P_LINK_CREATE);
    if (space >= 0 && create >= 0 && link >= 0 && H5Pset_chunk(create, rank, chunk) >= 0 &&
        H5Pset_obj_track_times(create, 0) >= 0 && H5Pset_create_intermediate_group(link, 1) >= 0) {
        set = H5Dcreate2(file, a->path, file_type(a->type), space, link, create, H5P_DEFAULT);
    }
    if (link >= 0) H5Pclose(link);
    if (create >= 0) H5Pclose(create);
    if (space >= 0) H5Sclose(space);
    return set;
}

static bool about_write(hid_t file, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    if (type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0) {
        attribute = H5Acreate2(file, "about", type, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    bool good = attribute >= 0 && H5Awrite(attribute, type, &text) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

static bool shut(syn_array_file *f)
{
    bool good = true;
    for (int i = 0; i < f->count; i++) {
        if (f->set[i] >= 0 && H5Dclose(f->set[i]) < 0) good = false;
        f->set[i] = -1;
    }
    return syn_h5_close(&f->h5) && good;
}

syn_status syn_array_file_create(syn_array_file **out, const char *path, const syn_array *array,
                                 int count, const char *about)
{
    syn_status st;
    *out = NULL;
    SYN_REQUIRE(count > 0 && count <= SYN_ARRAYS_MAX, "%s: %d arrays, 1 to %d fit in a file", path,
                count, SYN_ARRAYS_MAX);
    syn_array_file *f = calloc(1, sizeof *f);
    if (!f) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a writer", path);
    f->file.fd = -1;
    f->h5.id = -1;
    f->array = array;
    f->count = count;
    memset(f->set, -1, sizeof f->set);
    SYN_TRY(syn_new_file_open(&f->file, path));
    st = syn_h5_create(&f->h5, f->file.fd);
    bool good = st == SYN_OK && about_write(f->h5.id, about);
    for (int i = 0; i < count && good; i++) {
        f->set[i] = set_create(f->h5.id, &array[i]);
        good = f->set[i] >= 0;
    }
    st = good ? SYN_OK : fail_write(f);
done:
    if (st == SYN_OK)
        *out = f;
    else
        syn_array_file_discard(f);
    return st;
}

syn_status syn_array_file_append(syn_array_file *f, int which, const void *values, int64_t rows)
{
    const syn_array *a = &f->array[which];
    const int rank = a->width > 1 ? 2 : 1;
    const hsize_t more[2] = {(hsize_t)rows, (hsize_t)a->width}, start[2] = {f->rows[which], 0};
    const hsize_t total[2] = {start[0] + more[0], more[1]};
    hid_t space = -1, memory = -1;
    bool good = false;
    if (rows == 0) return SYN_OK;
    if (H5Dset_extent(f->set[which], total) >= 0) {
        space = H5Dget_space(f->set[which]);
        memory = H5Screate_simple(rank, more, NULL);
        good =
            space >= 0 && memory >= 0 &&
            H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, more, NULL) >= 0 &&
            H5Dwrite(f->set[which], memory_type(a->type), memory, space, H5P_DEFAULT, values) >= 0;
    }
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    f->rows[which] = total[0];
    return good && !f->h5.failure ? SYN_OK : fail_write(f);
}

syn_status syn_array_file_commit(syn_array_file *f)
{
    syn_status st = shut(f) ? syn_new_file_commit(&f->file) : fail_write(f);
    syn_array_file_discard(f);
    return st;
}

void syn_array_file_discard(syn_array_file *f)
{
    if (!f) return;
    shut(f);
    syn_new_file_discard(&f->file);
    free(f);
}
