/* A whole file of somebody's, up to a cap. */
#ifndef SYN_SERVE_TEXT_FILE_H
#define SYN_SERVE_TEXT_FILE_H

#include <stddef.h>

#include "kernels/base/status.h"

/* mib_max: its cap, in MiB. *text (free() it) is NULL on failure and not NUL-terminated. Errors:
 * SYN_ERR_IO (also for a folder), SYN_ERR_LIMIT, SYN_ERR_MEMORY; each sentence begins with the
 * path. */
SYN_WARN_UNUSED syn_status syn_text_file_read(const char *path, int mib_max, char **text,
                                              size_t *bytes);

#endif
