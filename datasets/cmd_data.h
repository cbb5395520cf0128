/* The words of `syncog data` that live here (kernels/base/subcommands.h). argv[0] is the word. */
#ifndef SYN_DATASETS_CMD_DATA_H
#define SYN_DATASETS_CMD_DATA_H

#include "kernels/base/status.h"

SYN_WARN_UNUSED syn_status syn_cmd_data_synth(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_data_prepare(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_data_info(int argc, char **argv);

#endif
