/* One log: to stderr, readable text by default, JSON lines with LOG_FORMAT=json; LOG_LEVEL
 * debug|info|warn|error (default info). Never log keys or prompts. Thread-safe: one write per line.
 */
#ifndef SYN_BASE_LOG_H
#define SYN_BASE_LOG_H

#include <stdbool.h>

#include "kernels/base/status.h"

typedef enum syn_log_level {
    SYN_LOG_DEBUG,
    SYN_LOG_INFO,
    SYN_LOG_WARN,
    SYN_LOG_ERROR
} syn_log_level;

void syn_log(syn_log_level level, const char *fmt, ...) SYN_PRINTF(2, 3);

/* While on, the terminal's last line holds a progress bar: every line of the log erases it first.
 */
void syn_log_over_bar(bool on);

#endif
