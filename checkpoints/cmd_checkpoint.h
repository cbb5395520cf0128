/* The words of 'syncog checkpoint'. Private to this folder. */
#ifndef SYN_CHECKPOINTS_CMD_CHECKPOINT_H
#define SYN_CHECKPOINTS_CMD_CHECKPOINT_H

#include "kernels/base/options.h"

/* argv[0] is the word. */
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_list(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_verify(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_find_best(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_deploy(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_export(int argc, char **argv);
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_prune(int argc, char **argv);

/* Options and DIR [VERSION]; which NULL: the word takes no version. *which is NULL when none is
 * given. */
SYN_WARN_UNUSED syn_status syn_cmd_checkpoint_parse(const syn_command *command, void *config,
                                                    int argc, char **argv, const char **dir,
                                                    const char **which, bool *done);

#endif
