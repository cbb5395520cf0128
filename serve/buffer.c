#include "serve/buffer.h"

#include <stdlib.h>
#include <string.h>

bool syn_buffer_add(syn_buffer *b, const char *text, size_t bytes)
{
    if (b->bytes + bytes + 1 > b->room) {
        size_t room = 2 * (b->bytes + bytes) + 256;
        char *grown = realloc(b->text, room);
        if (!grown) return false;
        b->text = grown;
        b->room = room;
    }
    if (bytes) memcpy(b->text + b->bytes, text, bytes);
    b->bytes += bytes;
    b->text[b->bytes] = 0;
    return true;
}
