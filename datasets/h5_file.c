#include "datasets/h5_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USER_BLOCK_BYTES = 512 };

/* What HDF5 hands back to the driver; `base` comes first, as the library demands. */
typedef struct driver {
    H5FD_t base;
    syn_h5_file *file;
    haddr_t eoa, eof; /* end of the addresses in use, end of the file */
} driver;

/* What the access list carries. */
typedef struct driver_info {
    syn_h5_file *file;
} driver_info;

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t max)
{
    (void)name, (void)flags, (void)max;
    const driver_info *info = H5Pget_driver_info(access);
    struct stat status;
    if (!info || fstat(info->file->fd, &status) != 0) return NULL;
    driver *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->file = info->file;
    d->eof = (haddr_t)status.st_size;
    return &d->base;
}

static herr_t driver_close(H5FD_t *base)
{
    free((driver *)base);
    return 0;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver *)base)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((driver *)base)->eoa = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver *)base)->eof;
}

static herr_t driver_fail(driver *d, int error)
{
    if (!d->file->failure) d->file->failure = error;
    return -1;
}

static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t bytes, void *to)
{
    (void)type, (void)transfer;
    driver *d = (driver *)base;
    unsigned char *at = to;
    while (bytes > 0) {
        ssize_t n = pread(d->file->fd, at, bytes, (off_t)address);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return driver_fail(d, errno);
        /* Bytes behind the end read as zero: allocated, never written. */
        if (n == 0) {
            while (bytes > 0) at[--bytes] = 0;
            break;
        }
        at += n;
        address += (haddr_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t bytes, const void *from)
{
    (void)type, (void)transfer;
    driver *d = (driver *)base;
    const unsigned char *at = from;
    if (d->file->failure) return 0;
    while (bytes > 0) {
        ssize_t n = pwrite(d->file->fd, at, bytes, (off_t)address);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return driver_fail(d, n < 0 ? errno : ENOSPC);
        at += n;
        address += (haddr_t)n;
        bytes -= (size_t)n;
    }
    if (address > d->eof) d->eof = address;
    return 0;
}

static herr_t driver_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    (void)transfer, (void)closing;
    driver *d = (driver *)base;
    if (d->file->failure || d->eoa == d->eof) return 0;
    if (ftruncate(d->file->fd, (off_t)d->eoa) != 0) return driver_fail(d, errno);
    d->eof = d->eoa;
    return 0;
}

static const H5FD_class_t driver_class = {
    .name = "syncog_descriptor",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(driver_info),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* An access list with the driver; closing the file closes all that was opened in it. */
static hid_t access_list(syn_h5_file *f)
{
    static hid_t registered = -1;
    /* Our sentences replace the library's own report on stderr. */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (registered < 0) registered = H5FDregister(&driver_class);
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    driver_info info = {f};
    if (registered < 0 || list < 0 || H5Pset_driver(list, registered, &info) < 0 ||
        H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0) {
        if (list >= 0) H5Pclose(list);
        return -1;
    }
    return list;
}

syn_status syn_h5_create(syn_h5_file *f, int fd)
{
    *f = (syn_h5_file){fd, -1, 0};
    hid_t access = access_list(f), create = H5Pcreate(H5P_FILE_CREATE);
    if (access >= 0 && create >= 0 && H5Pset_userblock(create, USER_BLOCK_BYTES) >= 0)
        f->id = H5Fcreate("descriptor", H5F_ACC_TRUNC, create, access);
    if (access >= 0) H5Pclose(access);
    if (create >= 0) H5Pclose(create);
    return f->id < 0 ? syn_fail(SYN_ERR_IO, "HDF5 cannot create a file") : SYN_OK;
}

syn_status syn_h5_open(syn_h5_file *f, int fd)
{
    *f = (syn_h5_file){fd, -1, 0};
    hid_t access = access_list(f);
    if (access >= 0) {
        f->id = H5Fopen("descriptor", H5F_ACC_RDONLY, access);
        H5Pclose(access);
    }
    return f->id < 0 ? syn_fail(SYN_ERR_FORMAT, "not an HDF5 file") : SYN_OK;
}

bool syn_h5_close(syn_h5_file *f)
{
    bool good = f->id < 0 || H5Fclose(f->id) >= 0;
    f->id = -1;
    return good && f->failure == 0;
}
