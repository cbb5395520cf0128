/* What the two halves of the cache share: the table of columns, the user block, the sources as
 * JSON. */
#ifndef SYN_DATASETS_CACHE_PRIVATE_H
#define SYN_DATASETS_CACHE_PRIVATE_H

#include <hdf5.h>
#include <stddef.h>

#include "datasets/dataset.h"

#define SYN_CACHE_FORMAT "syncog-dataset"

enum {
    SYN_CACHE_VERSION = 2, /* files of version 1 hold words that are not stemmed */
    SYN_CACHE_SEAL_BYTES = 512,
    SYN_CACHE_CONFIG_MAX = 1 << 20,
    SYN_CACHE_RECORDS_MAX = 100000000
};

typedef enum syn_cache_row {
    SYN_CACHE_RECORD,
    SYN_CACHE_PIECE,
    SYN_CACHE_TOKEN,
    SYN_CACHE_ID
} syn_cache_row;

/* A data set of the file and the field it fills; RECORD and PIECE are gathered from structs. */
typedef struct syn_cache_column {
    const char *path;
    syn_cache_row row;
    int bytes; /* of a value: 1, 4 or 8 */
    bool is_signed;
    size_t offset; /* of the field in syn_record or syn_piece */
    int chunk;     /* values */
} syn_cache_column;

enum { SYN_CACHE_COLUMNS = 17 };
extern const syn_cache_column syn_cache_columns[SYN_CACHE_COLUMNS];

/* The type of a column: in memory (native) or in the file (little-endian). */
hid_t syn_cache_type(const syn_cache_column *c, bool in_file);

/* The 512 bytes that belong in front of the file. */
SYN_WARN_UNUSED syn_status syn_cache_seal_compute(int fd, const char *path,
                                                  char seal[SYN_CACHE_SEAL_BYTES]);

/* The value of config_json, to be freed; NULL when out of memory. */
char *syn_cache_config_write(const syn_source *sources, int count);
/* Fills ds->sources. Errors: SYN_ERR_FORMAT, without the file's name. */
SYN_WARN_UNUSED syn_status syn_cache_config_read(const char *json, syn_dataset *ds);

#endif
