/* The documents file of `syncog ask`.
 *
 * JSON: a list of {"id", "title", "text", "agents": [1, 3]} (all but text optional; a bare string
 * is a text), or a list of such lists, one for each agent, or {"documents": either}. Anything else
 * is plain text: documents stand between empty lines, and a first line "Title: ..." is the title.
 */
#ifndef SYN_SERVE_DOCUMENTS_H
#define SYN_SERVE_DOCUMENTS_H

#include "kernels/base/arena.h"
#include "serve/round.h"

enum { SYN_DOCUMENTS_FILE_BYTES_MAX = 16 << 20 };

typedef struct syn_documents {
    syn_arena arena;
    syn_round_document *list;
    int count;
} syn_documents;

/* Errors name the file, the place and the fault: SYN_ERR_IO, SYN_ERR_FORMAT (JSON at its line and
 * column, a wrong type at its document, text that is not UTF-8), SYN_ERR_LIMIT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_documents_load(const char *path, int agents, syn_documents *out);
/* The same from memory; `name` stands for the file in errors. */
SYN_WARN_UNUSED syn_status syn_documents_parse(const char *name, const char *text, size_t bytes,
                                               int agents, syn_documents *out);
void syn_documents_free(syn_documents *d);

#endif
