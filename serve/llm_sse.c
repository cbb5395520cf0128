#include "serve/llm_sse.h"

#include <stdlib.h>
#include <string.h>

static syn_sse_status append(syn_sse *s, const char *bytes, size_t count)
{
    if (s->data.bytes + count > SYN_SSE_EVENT_BYTES_MAX) return SYN_SSE_TOO_LARGE;
    return syn_buffer_add(&s->data, bytes, count) ? SYN_SSE_OK : SYN_SSE_MEMORY;
}

/* The line at line_at becomes data of the event, or goes. */
static void take_line(syn_sse *s)
{
    char *line = s->data.text + s->line_at;
    size_t bytes = s->data.bytes - s->line_at, skip = 5;
    if (!s->passed_mark && bytes >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        bytes -= 3;
        memmove(line, line + 3, bytes);
    }
    s->passed_mark = true;
    s->data.bytes = s->line_at;
    bool data = bytes >= 4 && memcmp(line, "data", 4) == 0 && (bytes == 4 || line[4] == ':');
    if (!data) return;
    if (bytes == 4) skip = 4;
    if (bytes > skip && line[skip] == ' ') skip++;
    /* A line feed joins it to the line before: there is room where "data" stood. */
    char *to = line;
    if (s->has_data) *to++ = '\n';
    memmove(to, line + skip, bytes - skip);
    s->data.bytes = (size_t)(to - s->data.text) + bytes - skip;
    s->line_at = s->data.bytes;
    s->has_data = true;
}

static syn_sse_status end_line(syn_sse *s, bool (*event)(void *, const char *, size_t), void *user)
{
    if (s->data.bytes > s->line_at) {
        take_line(s);
        return SYN_SSE_OK;
    }
    s->passed_mark = true;
    bool go_on = true;
    if (s->has_data) {
        s->data.text[s->data.bytes] = 0;
        go_on = event(user, s->data.text, s->data.bytes);
    }
    s->data.bytes = s->line_at = 0;
    s->has_data = false;
    return go_on ? SYN_SSE_OK : SYN_SSE_STOPPED;
}

syn_sse_status syn_sse_feed(syn_sse *s, const char *bytes, size_t count,
                            bool (*event)(void *user, const char *data, size_t bytes), void *user)
{
    syn_sse_status st;
    for (size_t at = 0; at < count;) {
        if (s->after_cr && bytes[at] == '\n') at++;
        s->after_cr = false;
        size_t end = at;
        while (end < count && bytes[end] != '\n' && bytes[end] != '\r') end++;
        if (end > at && (st = append(s, bytes + at, end - at)) != SYN_SSE_OK) return st;
        if (end == count) return SYN_SSE_OK;
        s->after_cr = bytes[end] == '\r';
        if ((st = end_line(s, event, user)) != SYN_SSE_OK) return st;
        at = end + 1;
    }
    return SYN_SSE_OK;
}

void syn_sse_free(syn_sse *s)
{
    free(s->data.text);
    *s = (syn_sse){0};
}
