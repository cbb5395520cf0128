#include "checkpoints/weights.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/manifest.h"

struct syn_weights {
    hid_t file;
    const char *where;
};

/* HDF5 prints its error stack unless told otherwise; our sentences stand for it. */
static void be_silent(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0); /* weights are never compressed: no filter plugin is ever loaded */
}

static hid_t stored_type(syn_tensor_type type)
{
    switch (type) {
    case SYN_TENSOR_F32:
        return H5T_IEEE_F32LE;
    case SYN_TENSOR_I32:
        return H5T_STD_I32LE;
    case SYN_TENSOR_U8:
        return H5T_STD_U8LE;
    case SYN_TENSOR_F64:
        return H5T_IEEE_F64LE;
    case SYN_TENSOR_I64:
        return H5T_STD_I64LE;
    case SYN_TENSOR_U64:
        return H5T_STD_U64LE;
    }
    return -1;
}

static hid_t native_type(syn_tensor_type type)
{
    switch (type) {
    case SYN_TENSOR_F32:
        return H5T_NATIVE_FLOAT;
    case SYN_TENSOR_I32:
        return H5T_NATIVE_INT32;
    case SYN_TENSOR_U8:
        return H5T_NATIVE_UINT8;
    case SYN_TENSOR_F64:
        return H5T_NATIVE_DOUBLE;
    case SYN_TENSOR_I64:
        return H5T_NATIVE_INT64;
    case SYN_TENSOR_U64:
        return H5T_NATIVE_UINT64;
    }
    return -1;
}

/* Files in memory are told apart by name alone: two of one name would be one file to HDF5. */
static const char *fresh_name(char out[32])
{
    static int64_t opened; /* one thread at a time, like HDF5 */
    snprintf(out, 32, "weights-%lld", (long long)++opened);
    return out;
}

static hid_t memory_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 20, 0) < 0) {
        H5Pclose(access);
        access = -1;
    }
    return access;
}

/* ---- writing ---- */

/* Variable-length UTF-8, which h5py reads as str. */
static bool attribute_text(hid_t file, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    bool good = type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
                H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    if (good) attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = attribute >= 0 && H5Awrite(attribute, type, &text) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

static bool attribute_int(hid_t file, const char *name, int value)
{
    hid_t space = H5Screate(H5S_SCALAR), attribute = -1;
    if (space >= 0) {
        attribute = H5Acreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    bool good = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    if (space >= 0) H5Sclose(space);
    return good;
}

static bool dataset_write(hid_t file, hid_t creation, const syn_tensor *t)
{
    hsize_t dims[SYN_TENSOR_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dims[i] = (hsize_t)t->shape[i];
    hid_t space = H5Screate_simple(t->rank, dims, NULL), set = -1;
    if (space >= 0) {
        set = H5Dcreate2(file, t->name, stored_type(t->type), space, H5P_DEFAULT, creation,
                         H5P_DEFAULT);
    }
    bool good = set >= 0 &&
                H5Dwrite(set, native_type(t->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, t->data) >= 0;
    if (set >= 0) H5Dclose(set);
    if (space >= 0) H5Sclose(space);
    return good;
}

static bool image_take(hid_t file, unsigned char **image, size_t *bytes)
{
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return false;
    ssize_t size = H5Fget_file_image(file, NULL, 0);
    if (size <= 0) return false;
    *image = malloc((size_t)size);
    if (!*image) return false;
    *bytes = (size_t)size;
    return H5Fget_file_image(file, *image, *bytes) == size;
}

syn_status syn_weights_encode(const syn_tensor *tensors, int count, const char *created,
                              const char *config_json, unsigned char **image, size_t *bytes)
{
    hid_t access = -1, creation = -1, file = -1;
    bool good = false;
    char name[32];
    *image = NULL;
    be_silent();
    access = memory_access();
    creation = H5Pcreate(H5P_DATASET_CREATE);
    /* Without times the same tensors give the same bytes. */
    if (access < 0 || creation < 0 || H5Pset_obj_track_times(creation, 0) < 0) goto done;
    file = H5Fcreate(fresh_name(name), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file < 0) goto done;
    if (!attribute_text(file, "format", SYN_MANIFEST_FORMAT) ||
        !attribute_int(file, "format_version", SYN_MANIFEST_VERSION) ||
        !attribute_text(file, "created", created) ||
        !attribute_text(file, "config_json", config_json)) {
        goto done;
    }
    for (int i = 0; i < count; i++) {
        if (!dataset_write(file, creation, &tensors[i])) goto done;
    }
    good = image_take(file, image, bytes);
done:
    if (file >= 0) H5Fclose(file);
    if (creation >= 0) H5Pclose(creation);
    if (access >= 0) H5Pclose(access);
    if (good) return SYN_OK;
    free(*image);
    *image = NULL;
    return syn_fail(SYN_ERR_MEMORY, "the weights could not be put into HDF5 form: out of memory");
}

/* ---- reading ---- */

syn_status syn_weights_open(const char *where, const unsigned char *image, size_t bytes,
                            syn_weights **out)
{
    char name[32];
    *out = NULL;
    be_silent();
    hid_t access = memory_access(), file = -1;
    if (access >= 0 && H5Pset_file_image(access, (void *)image, bytes) >= 0) {
        file = H5Fopen(fresh_name(name), H5F_ACC_RDONLY, access);
    }
    if (access >= 0) H5Pclose(access);
    if (file < 0) return syn_fail(SYN_ERR_FORMAT, "%s: not an HDF5 file", where);
    syn_weights *w = malloc(sizeof *w);
    if (!w) {
        H5Fclose(file);
        return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
    }
    w->file = file;
    w->where = where;
    *out = w;
    return SYN_OK;
}

int syn_weights_count(const syn_weights *w)
{
    H5G_info_t info;
    if (H5Gget_info(w->file, &info) < 0 || info.nlinks > SYN_CHECKPOINT_TENSORS_MAX) return -1;
    return (int)info.nlinks;
}

/* Plain data inside this file: no soft or external link, no external storage, no filter. */
static bool dataset_plain(const syn_weights *w, const char *name, hid_t set)
{
    H5L_info_t link;
    if (H5Lget_info(w->file, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
        return false;
    }
    hid_t creation = H5Dget_create_plist(set);
    bool plain = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS &&
                 H5Pget_external_count(creation) == 0 && H5Pget_nfilters(creation) == 0;
    if (creation >= 0) H5Pclose(creation);
    return plain;
}

static bool dataset_matches(hid_t set, const syn_tensor *t)
{
    hsize_t dims[SYN_TENSOR_RANK_MAX];
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    bool same = space >= 0 && type >= 0 && H5Tequal(type, stored_type(t->type)) > 0 &&
                H5Sget_simple_extent_ndims(space) == t->rank &&
                H5Sget_simple_extent_dims(space, dims, NULL) == t->rank;
    for (int i = 0; same && i < t->rank; i++) same = dims[i] == (hsize_t)t->shape[i];
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return same;
}

syn_status syn_weights_read(const syn_weights *w, const syn_tensor *t)
{
    hid_t set = -1;
    if (H5Lexists(w->file, t->name, H5P_DEFAULT) > 0) set = H5Dopen2(w->file, t->name, H5P_DEFAULT);
    if (set < 0) {
        return syn_fail(SYN_ERR_FORMAT, "%s: tensor %s is in the manifest, but not in the file",
                        w->where, t->name);
    }
    char shape[128];
    syn_status st = SYN_OK;
    if (!dataset_plain(w, t->name, set)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: tensor %s is not stored as plain data", w->where,
                      t->name);
    } else if (!dataset_matches(set, t)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: tensor %s is not %s %s, as the manifest says", w->where,
                      t->name, syn_tensor_type_name(t->type), syn_tensor_shape_text(t, shape));
    } else if (t->data &&
               H5Dread(set, native_type(t->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, t->data) < 0) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: tensor %s cannot be read", w->where, t->name);
    }
    H5Dclose(set);
    return st;
}

void syn_weights_close(syn_weights *w)
{
    if (!w) return;
    H5Fclose(w->file);
    free(w);
}
