#include "kernels/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES_MAX = 4096, LINE_BYTES_MAX = 6 * MESSAGE_BYTES_MAX + 128 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static syn_log_level level_min = SYN_LOG_INFO;
static bool as_json;
static atomic_bool over_bar;

static void settings_read(void)
{
    const char *format = getenv("LOG_FORMAT"), *level = getenv("LOG_LEVEL");
    as_json = format && !strcasecmp(format, "json");
    for (int i = 0; level && i < 4; i++) {
        if (!strcasecmp(level, level_names[i])) level_min = (syn_log_level)i;
    }
}

void syn_log_over_bar(bool on)
{
    atomic_store(&over_bar, on);
}

/* Length of the UTF-8 character at s, or 0 when it is not one. */
static int utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80                    ? 1
            : s[0] >= 0xC2 && s[0] <= 0xDF ? 2
            : s[0] >= 0xE0 && s[0] <= 0xEF ? 3
            : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                           : 0;
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
    }
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) return 0;
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) return 0;
    return n;
}

/* A message is one line whatever it holds: control characters and broken UTF-8 are escaped. */
static size_t escape(char *out, const char *text, bool json)
{
    size_t n = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int length = utf8_length(s);
        if (length == 0) {
            n += (size_t)sprintf(out + n, json ? "\\ufffd" : "?");
            s++;
        } else if (*s < 0x20 || *s == 0x7F) {
            n += (size_t)sprintf(out + n, json ? "\\u%04x" : "\\x%02x", *s);
            s++;
        } else {
            if (json && (*s == '"' || *s == '\\')) out[n++] = '\\';
            for (; length; length--) out[n++] = (char)*s++;
        }
    }
    out[n] = 0;
    return n;
}

void syn_log(syn_log_level level, const char *fmt, ...)
{
    char message[MESSAGE_BYTES_MAX], line[LINE_BYTES_MAX], stamp[40];
    pthread_once(&once, settings_read);
    if (level < level_min) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);

    struct timespec t;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &t);
    size_t n;
    if (as_json) {
        gmtime_r(&t.tv_sec, &parts);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
        n = (size_t)sprintf(line, "{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":\"", stamp,
                            t.tv_nsec / 1000000, level_names[level]);
        n += escape(line + n, message, true);
        n += (size_t)sprintf(line + n, "\"}\n");
    } else {
        localtime_r(&t.tv_sec, &parts);
        strftime(stamp, sizeof stamp, "%H:%M:%S", &parts);
        n = (size_t)sprintf(line, "%s%s %-5s ", atomic_load(&over_bar) ? "\r\033[K" : "", stamp,
                            level_names[level]);
        n += escape(line + n, message, false);
        line[n++] = '\n';
    }
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, n);
    } while (written < 0 && errno == EINTR);
}
