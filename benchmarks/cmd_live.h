/* `syncog eval --benchmarks`: of one word with `eval --data`, but with options of its own. */
#ifndef SYN_BENCHMARKS_CMD_LIVE_H
#define SYN_BENCHMARKS_CMD_LIVE_H

#include <stdbool.h>

#include "kernels/base/status.h"

/* --benchmarks is among the words. */
bool syn_live_is_asked_for(int argc, char *const *argv);
SYN_WARN_UNUSED syn_status syn_cmd_eval_live(int argc, char **argv);

#endif
