#include "serve/json_text.h"

#include <stdlib.h>

#include "serve/buffer.h"

typedef struct text {
    syn_buffer buffer;
    bool failed; /* jansson goes on after some failures */
} text;

static int add(const char *data, size_t bytes, void *user)
{
    text *t = user;
    if (!t->failed) t->failed = !syn_buffer_add(&t->buffer, data, bytes);
    return t->failed ? -1 : 0;
}

char *syn_json_text(const json_t *value, size_t flags)
{
    text t = {0};
    if (json_dump_callback(value, add, &t, flags) == 0 && !t.failed) return t.buffer.text;
    free(t.buffer.text);
    return NULL;
}
