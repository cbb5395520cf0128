#include "trainer/tensorboard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernels/base/log.h"

enum {
    FRAME_HEAD = 12,   /* length (8), its checksum (4) */
    FRAME_TAIL = 4,    /* checksum of the data */
    FIELD_MAX = 11,    /* a key of one byte and the longest varint */
    EVENT_FIXED = 256, /* what an event takes besides tag, text and buckets */
    LIMITS_HALF = 800, /* more than the buckets on one side of 0 */
    LIMITS_MAX = 2 * LIMITS_HALF + 2,
    OPEN_TRIES = 100
};

/* ---- CRC-32C ---- */

uint32_t syn_crc32c(const void *bytes, size_t n)
{
    /* The remainders of the reflected polynomial 0x82F63B78, four bits at a time. */
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *p = bytes;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

/* A checksum over data that holds its own checksum is weak: TFRecord stores a turned one. */
static uint32_t masked(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* ---- Protocol buffers, into a span that never overflows ---- */

typedef struct span {
    unsigned char *at, *end;
} span;

static void put_byte(span *s, unsigned char b)
{
    if (s->at < s->end) *s->at++ = b;
}

static void put_bytes(span *s, const void *bytes, size_t n)
{
    if (n > (size_t)(s->end - s->at)) n = (size_t)(s->end - s->at);
    if (n) memcpy(s->at, bytes, n);
    s->at += n;
}

static void put_varint(span *s, uint64_t x)
{
    for (; x >= 128; x >>= 7) put_byte(s, (unsigned char)(x | 128));
    put_byte(s, (unsigned char)x);
}

static size_t varint_bytes(uint64_t x)
{
    size_t n = 1;
    for (; x >= 128; x >>= 7) n++;
    return n;
}

static void put_fixed(span *s, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++) put_byte(s, (unsigned char)(x >> (8 * i)));
}

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_key(span *s, int field, enum wire type)
{
    put_varint(s, (uint64_t)field << 3 | type);
}

static void put_double_bits(span *s, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_fixed(s, bits, 8);
}

/* As in proto3, what is 0 is left out. */
static void put_double(span *s, int field, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (!bits) return;
    put_key(s, field, WIRE_64);
    put_fixed(s, bits, 8);
}

static void put_int(span *s, int field, int64_t x)
{
    if (!x) return;
    put_key(s, field, WIRE_VARINT);
    put_varint(s, (uint64_t)x);
}

static void put_text(span *s, int field, const void *bytes, size_t n)
{
    put_key(s, field, WIRE_BYTES);
    put_varint(s, n);
    put_bytes(s, bytes, n);
}

/* A message within a message: its bytes are written first, then moved behind their length. */
static unsigned char *message_begin(span *s, int field)
{
    put_key(s, field, WIRE_BYTES);
    return s->at;
}

static void message_end(span *s, unsigned char *begin)
{
    const size_t n = (size_t)(s->at - begin), head = varint_bytes(n);
    if (head > (size_t)(s->end - s->at)) return;
    memmove(begin + head, begin, n);
    span length = {begin, begin + head};
    put_varint(&length, n);
    s->at += head;
}

/* ---- The file ---- */

static void give_up(syn_tb *w, const char *what)
{
    syn_log(SYN_LOG_WARN, "%s: %s; training goes on without TensorBoard's file", w->path, what);
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    w->used = 0;
}

/* Room for one more event of `bytes`, behind the frame's head; at is NULL where there is none. */
static span event_begin(syn_tb *w, size_t bytes, int64_t step)
{
    span s = {0};
    if (w->fd < 0) return s;
    if (w->used > SYN_TB_BUFFER_MAX) syn_tb_flush(w);
    if (w->fd < 0) return s;
    bytes += EVENT_FIXED;
    if (w->room - w->used < bytes) {
        const size_t room = w->used + bytes;
        unsigned char *grown = realloc(w->buffer, room);
        if (!grown) {
            give_up(w, "out of memory");
            return s;
        }
        w->buffer = grown;
        w->room = room;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    s.at = w->buffer + w->used + FRAME_HEAD;
    s.end = w->buffer + w->used + bytes - FRAME_TAIL;
    put_double(&s, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    put_int(&s, 2, step);
    return s;
}

static void event_end(syn_tb *w, const span *s)
{
    unsigned char *record = w->buffer + w->used;
    const size_t n = (size_t)(s->at - record) - FRAME_HEAD;
    span head = {record, record + FRAME_HEAD}, tail = {s->at, s->at + FRAME_TAIL};
    put_fixed(&head, n, 8);
    put_fixed(&head, masked(syn_crc32c(record, 8)), 4);
    put_fixed(&tail, masked(syn_crc32c(record + FRAME_HEAD, n)), 4);
    w->used += FRAME_HEAD + n + FRAME_TAIL;
}

void syn_tb_flush(syn_tb *w)
{
    size_t done = 0;
    while (w->fd >= 0 && done < w->used) {
        const ssize_t n = write(w->fd, w->buffer + done, w->used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            char what[128];
            snprintf(what, sizeof what, "cannot be written: %s", strerror(n ? errno : ENOSPC));
            if (ftruncate(w->fd, w->written) != 0)
                syn_log(SYN_LOG_WARN, "%s: ends within a record", w->path);
            give_up(w, what);
            return;
        }
        done += (size_t)n;
    }
    w->written += (int64_t)done;
    w->used = 0;
}

bool syn_tb_is_file(const char *name)
{
    int end = 0;
    return sscanf(name, "events.out.tfevents.%*10[0-9].syncog%n", &end) == 0 && end && !name[end];
}

/* One above the largest stamp in the folder, but at least this second. */
static int64_t next_stamp(const char *dir)
{
    int64_t stamp = (int64_t)time(NULL);
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        long long other;
        if (sscanf(e->d_name, "events.out.tfevents.%10lld", &other) == 1 && other >= stamp &&
            other < 9999999999)
            stamp = other + 1;
    }
    if (d) closedir(d);
    return stamp;
}

static void open_file(syn_tb *w, const char *dir)
{
    const size_t bytes = strlen(dir) + 64;
    w->path = malloc(bytes);
    if (!w->path) {
        syn_log(SYN_LOG_WARN, "out of memory; training goes on without TensorBoard's file");
        return;
    }
    snprintf(w->path, bytes, "%s", dir);
    char what[128];
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        snprintf(what, sizeof what, "cannot be made: %s", strerror(errno));
        give_up(w, what);
        return;
    }
    int64_t stamp = next_stamp(dir);
    for (int i = 0; i < OPEN_TRIES && w->fd < 0; i++, stamp++) {
        snprintf(w->path, bytes, "%s/events.out.tfevents.%010lld.syncog", dir, (long long)stamp);
        w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST) break;
    }
    if (w->fd >= 0) return;
    snprintf(what, sizeof what, "cannot be made: %s", strerror(errno));
    give_up(w, what);
}

void syn_tb_open(syn_tb *w, const char *dir, int64_t first_step)
{
    *w = (syn_tb){.fd = -1};
    open_file(w, dir);
    span s = event_begin(w, 0, 0);
    if (s.at) {
        put_text(&s, 3, "brain.Event:2", 13);
        event_end(w, &s);
    }
    s = event_begin(w, 0, first_step);
    if (s.at) { /* session_log { status: START } */
        unsigned char *log = message_begin(&s, 7);
        put_int(&s, 1, 1);
        message_end(&s, log);
        event_end(w, &s);
    }
    syn_tb_flush(w);
}

void syn_tb_close(syn_tb *w)
{
    syn_tb_flush(w);
    if (w->fd >= 0 && close(w->fd) != 0)
        syn_log(SYN_LOG_WARN, "%s: cannot be written: %s", w->path, strerror(errno));
    free(w->path);
    free(w->buffer);
    *w = (syn_tb){.fd = -1};
}

/* ---- Summaries ---- */

typedef struct value {
    span s;
    unsigned char *summary, *body;
} value;

/* An event with a summary of one value, up to and with its tag; false where nothing is written. */
static bool value_begin(syn_tb *w, value *v, const char *tag, int64_t step, size_t bytes)
{
    const size_t n = strnlen(tag, SYN_TB_TAG_MAX);
    v->s = event_begin(w, bytes + n, step);
    if (!v->s.at) return false;
    v->summary = message_begin(&v->s, 5);
    v->body = message_begin(&v->s, 1);
    put_text(&v->s, 1, tag, n);
    return true;
}

static void value_end(syn_tb *w, value *v)
{
    message_end(&v->s, v->body);
    message_end(&v->s, v->summary);
    event_end(w, &v->s);
}

void syn_tb_scalar(syn_tb *w, const char *tag, int64_t step, double x)
{
    value v;
    const float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (!value_begin(w, &v, tag, step, 0)) return;
    put_key(&v.s, 2, WIRE_32);
    put_fixed(&v.s, bits, 4);
    value_end(w, &v);
}

void syn_tb_text(syn_tb *w, const char *tag, int64_t step, const char *text)
{
    size_t n = strnlen(text, SYN_TB_TEXT_MAX);
    while (n == SYN_TB_TEXT_MAX && ((unsigned char)text[n] & 0xC0) == 0x80) n--; /* whole UTF-8 */
    value v;
    if (!value_begin(w, &v, tag, step, n)) return;
    unsigned char *tensor = message_begin(&v.s, 8);
    put_int(&v.s, 1, 7); /* DT_STRING */
    unsigned char *shape = message_begin(&v.s, 2), *dim = message_begin(&v.s, 2);
    put_int(&v.s, 1, 1);
    message_end(&v.s, dim);
    message_end(&v.s, shape);
    put_text(&v.s, 8, text, n);
    message_end(&v.s, tensor);
    unsigned char *metadata = message_begin(&v.s, 9), *plugin = message_begin(&v.s, 1);
    put_text(&v.s, 1, "text", 4);
    message_end(&v.s, plugin);
    message_end(&v.s, metadata);
    value_end(w, &v);
}

/* ---- Histograms ---- */

typedef struct histogram {
    double min, max, num, sum, sum_squares;
    const double *limit; /* (buckets) right edges, ascending */
    const double *count; /* (buckets) */
    int buckets;
} histogram;

/* A run of empty buckets is one bucket, as TensorFlow writes it. Returns how many there are. */
static int merge_empty(const histogram *h, double *limit, double *count)
{
    int n = 0;
    for (int i = 0; i < h->buckets;) {
        limit[n] = h->limit[i];
        count[n] = h->count[i++];
        while (!(count[n] > 0) && i < h->buckets && !(h->count[i] > 0)) limit[n] = h->limit[i++];
        n++;
    }
    return n;
}

static void put_doubles(span *s, int field, const double *x, int n)
{
    put_key(s, field, WIRE_BYTES);
    put_varint(s, (uint64_t)n * 8);
    for (int i = 0; i < n; i++) put_double_bits(s, x[i]);
}

static void write_histogram(syn_tb *w, const char *tag, int64_t step, const histogram *h)
{
    value v;
    double limit[LIMITS_MAX], count[LIMITS_MAX];
    const int n = merge_empty(h, limit, count);
    if (!value_begin(w, &v, tag, step, (size_t)n * 16 + 2 * FIELD_MAX)) return;
    unsigned char *histo = message_begin(&v.s, 5);
    const double facts[] = {h->min, h->max, h->num, h->sum, h->sum_squares};
    for (int i = 0; i < 5; i++) put_double(&v.s, i + 1, facts[i]);
    put_doubles(&v.s, 6, limit, n);
    put_doubles(&v.s, 7, count, n);
    message_end(&v.s, histo);
    value_end(w, &v);
}

/* TensorFlow's limits: -1e20 ... -1e-12, 0, 1e-12 ... 1e20, the largest double. */
static int default_limits(double *limit)
{
    double positive[LIMITS_HALF];
    int half = 0, n = 0;
    for (double x = 1e-12; x < 1e20 && half < LIMITS_HALF; x *= 1.1) positive[half++] = x;
    for (int i = half - 1; i >= 0; i--) limit[n++] = -positive[i];
    limit[n++] = 0;
    for (int i = 0; i < half; i++) limit[n++] = positive[i];
    limit[n++] = DBL_MAX;
    return n;
}

/* The first bucket whose limit is above x. */
static int bucket_of(const double *limit, int n, double x)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (limit[middle] > x) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void syn_tb_histogram(syn_tb *w, const char *tag, int64_t step, const real *x, int64_t n)
{
    double limit[LIMITS_MAX], count[LIMITS_MAX] = {0};
    if (w->fd < 0) return;
    histogram h = {.min = DBL_MAX, .max = -DBL_MAX, .limit = limit, .count = count};
    h.buckets = default_limits(limit);
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        if (!isfinite(v)) continue;
        h.min = fmin(h.min, v);
        h.max = fmax(h.max, v);
        h.num++;
        h.sum += v;
        h.sum_squares += v * v;
        count[bucket_of(limit, h.buckets, v)]++;
    }
    if (h.num > 0) write_histogram(w, tag, step, &h);
}

void syn_tb_counts(syn_tb *w, const char *tag, int64_t step, const double *count, int n)
{
    double limit[SYN_TB_COUNTS_MAX];
    if (n < 1 || n > SYN_TB_COUNTS_MAX) return;
    histogram h = {.min = -0.5, .max = n - 0.5, .limit = limit, .count = count, .buckets = n};
    for (int i = 0; i < n; i++) {
        limit[i] = i + 0.5;
        h.num += count[i];
        h.sum += count[i] * i;
        h.sum_squares += count[i] * i * i;
    }
    write_histogram(w, tag, step, &h);
}

/* ---- Metrics ---- */

/* The panel of a key: the first row whose word the key begins with. */
static const char *group_of(const char *key)
{
    static const char *const groups[][2] = {
        {"held_out", "held_out"},   {"return", "train"},        {"success", "train"},
        {"messages", "train"},      {"abstained", "train"},     {"actions", "train"},
        {"entropy", "policy"},      {"kl", "policy"},           {"clip_fraction", "policy"},
        {"policy_loss", "loss"},    {"value_", "loss"},         {"explained", "loss"},
        {"grad_norm", "optimiser"}, {"lr", "optimiser"},        {"spikes", "optimiser"},
        {"seconds", "speed"},       {"env_steps_per", "speed"}, {"time", "speed"},
        {"share", "speed"},         {"memory", "speed"}};
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++)
        if (strncmp(key, groups[k][0], strlen(groups[k][0])) == 0) return groups[k][1];
    return "more";
}

static void metrics_counts(syn_tb *w, const char *tag, int64_t step, const json_t *list)
{
    double count[SYN_TB_COUNTS_MAX];
    const size_t n = json_array_size(list);
    if (n > SYN_TB_COUNTS_MAX) return;
    for (size_t i = 0; i < n; i++) {
        count[i] = json_number_value(json_array_get(list, i));
        if (!(count[i] >= 0)) return;
    }
    syn_tb_counts(w, tag, step, count, (int)n);
}

void syn_tb_metrics(syn_tb *w, const json_t *line)
{
    const int64_t step = json_integer_value(json_object_get(line, "env_steps"));
    const char *key, *member;
    json_t *x, *y;
    json_object_foreach((json_t *)line, key, x)
    {
        char tag[SYN_TB_TAG_MAX + 1];
        if (!strcmp(key, "env_steps")) continue;
        const int n = snprintf(tag, sizeof tag, "%s/%s", group_of(key), key);
        if (json_is_number(x)) syn_tb_scalar(w, tag, step, json_number_value(x));
        if (json_is_boolean(x)) syn_tb_scalar(w, tag, step, json_is_true(x));
        if (json_is_array(x)) metrics_counts(w, tag, step, x);
        if (n >= (int)sizeof tag) continue;
        json_object_foreach(x, member, y)
        {
            snprintf(tag + n, sizeof tag - (size_t)n, ".%s", member);
            if (json_is_number(y)) syn_tb_scalar(w, tag, step, json_number_value(y));
        }
    }
}
