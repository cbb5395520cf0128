/* HDF5 on an open descriptor: a small file driver. The library's own drivers open by path, which a
 * file without a name has not, and hide why a write failed.
 *
 * After the first failed write the driver drops all later ones and reports success, so that the
 * library, which flushes when it closes, can always close. Whoever writes asks for the error at the
 * end. HDF5 is not thread-safe here: one thread calls it. */
#ifndef SYN_DATASETS_H5_FILE_H
#define SYN_DATASETS_H5_FILE_H

#include <hdf5.h>
#include <stdbool.h>

#include "kernels/base/status.h"

typedef struct syn_h5_file {
    int fd;      /* the caller's; stays open */
    hid_t id;    /* the HDF5 file; negative: not open */
    int failure; /* errno of the first failed read or write, or 0 */
} syn_h5_file;

/* A new HDF5 file behind a user block of 512 bytes. */
SYN_WARN_UNUSED syn_status syn_h5_create(syn_h5_file *f, int fd);

/* Read-only. */
SYN_WARN_UNUSED syn_status syn_h5_open(syn_h5_file *f, int fd);

/* Closes the HDF5 file; false when that or anything before failed. Safe when not open. */
bool syn_h5_close(syn_h5_file *f);

#endif
