/* Shared by the two sources of the options table: options.c (parsing) and options_help.c (answers).
 */
#ifndef SYN_BASE_OPTIONS_PRIVATE_H
#define SYN_BASE_OPTIONS_PRIVATE_H

#include "kernels/base/options.h"

enum { OPTION_NAME_BYTES_MAX = 64, OPTION_WORDS_MAX = 128 };

/* "env-steps" -> "SYNCOG_ENV_STEPS" */
void syn_option_env_name(const char *name, char out[OPTION_NAME_BYTES_MAX + 8]);
/* "env-steps" -> "env_steps" */
void syn_option_key(const char *name, char out[OPTION_NAME_BYTES_MAX]);
bool syn_option_is_secret(const char *name);

void *syn_option_field(const syn_option *o, void *config);
/* Sets one field from text, which it may point to; a LIST gains one item. `where` begins the
 * sentence of a failure. */
syn_status syn_option_set(const syn_option *o, void *config, const char *text, const char *where);
syn_status syn_option_list_add(syn_text_list *list, const char *text, const char *where);
/* Replaces the list by the parts of `text` between commas. */
syn_status syn_option_list_split(syn_text_list *list, const char *text, const char *where);
/* A copy that lives as long as the program; NULL when out of memory. */
const char *syn_option_keep_text(const char *text, size_t length);

void syn_options_print_help(const syn_command *command);
void syn_options_print_config(const syn_command *command, const void *config);

#endif
