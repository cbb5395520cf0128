#include "serve/llm_exchange.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "serve/json_text.h"

enum { SECRET_BYTES_MIN = 8 }; /* what is shorter is no secret, and stands in any text */

static const char *const end_name[SYN_EXCHANGE_ENDS] = {
    [SYN_FETCH_OK] = "ok",
    [SYN_FETCH_CONNECT] = "connect",
    [SYN_FETCH_REFUSED] = "refused",
    [SYN_FETCH_TLS] = "tls",
    [SYN_FETCH_CUT] = "cut",
    [SYN_FETCH_STOPPED] = "stopped",
    [SYN_EXCHANGE_STALLED] = "stalled",
    [SYN_EXCHANGE_CANCELLED] = "cancelled",
    [SYN_EXCHANGE_OPEN] = "open",
};

void syn_exchange_free(syn_exchange *x)
{
    if (!x) return;
    for (int k = 0; k < SYN_EXCHANGE_ATTEMPTS_MAX; k++) free(x->attempt[k].body.text);
    free(x->tag);
    free(x->path);
    free(x->model);
    free(x);
}

/* ---- bytes ---- */

static void blot_out(char *text, size_t bytes, const char *secret)
{
    const size_t n = secret ? strlen(secret) : 0;
    if (n < SECRET_BYTES_MIN) return;
    for (char *at; (at = memmem(text, bytes, secret, n));) {
        memset(at, '*', n);
        bytes -= (size_t)(at + n - text);
        text = at + n;
    }
}

/* A text that is short as JSON; NULL: it is none. */
static json_t *as_text(const syn_buffer *body)
{
    size_t controls = 0;
    for (size_t k = 0; k < body->bytes; k++) {
        const unsigned char byte = (unsigned char)body->text[k];
        controls += byte < ' ' && byte != '\n' && byte != '\r' && byte != '\t';
    }
    return controls > body->bytes / 16 ? NULL : json_stringn(body->text, body->bytes);
}

static json_t *as_base64(const syn_buffer *body)
{
    char *text = malloc(4 * (body->bytes / 3 + 1) + 1);
    if (!text) return NULL;
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)body->text, (int)body->bytes);
    json_t *out = json_string(text);
    free(text);
    return out;
}

static bool from_base64(const char *text, size_t bytes, syn_buffer *out)
{
    if (bytes % 4 != 0) return false;
    char *raw = malloc(bytes + 1);
    int n =
        raw ? EVP_DecodeBlock((unsigned char *)raw, (const unsigned char *)text, (int)bytes) : -1;
    for (size_t k = bytes; n > 0 && k > 0 && k + 2 > bytes && text[k - 1] == '='; k--) n--;
    const bool ok = n >= 0 && syn_buffer_add(out, raw, (size_t)n);
    free(raw);
    return ok;
}

/* ---- writing ---- */

static bool set(json_t *object, const char *name, json_t *value)
{
    return value && json_object_set_new(object, name, value) == 0;
}

static json_t *attempt_json(const syn_exchange_attempt *a)
{
    json_t *out = json_pack("{s:i, s:s}", "status", a->status, "end", end_name[a->end]);
    bool ok = out != NULL;
    if (ok && *a->content_type) ok = set(out, "content_type", json_string(a->content_type));
    if (ok && a->retry_after_s >= 0) ok = set(out, "retry_after_s", json_real(a->retry_after_s));
    if (ok && a->body.bytes > 0) {
        json_t *text = as_text(&a->body);
        ok = text ? set(out, "body", text) : set(out, "base64", as_base64(&a->body));
    }
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static json_t *attempts_json(const syn_exchange *x)
{
    json_t *out = json_array();
    for (int k = 0; out && k < x->attempt_count; k++)
        if (json_array_append_new(out, attempt_json(&x->attempt[k])) != 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

static json_t *request_json(const char *body, const char *secret)
{
    char *copy = strdup(body);
    if (!copy) return NULL;
    blot_out(copy, strlen(copy), secret);
    json_t *out = json_loads(copy, JSON_ALLOW_NUL, NULL);
    free(copy);
    return out;
}

char *syn_exchange_text(syn_exchange *x, const char *body, const char *secret)
{
    char key[33];
    snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, x->key.high, x->key.low);
    for (int k = 0; k < x->attempt_count; k++)
        blot_out(x->attempt[k].body.text, x->attempt[k].body.bytes, secret);
    json_t *out =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "key", key, "number", (json_int_t)x->number,
                  "tag", x->tag, "method", "POST", "path", x->path, "model", x->model);
    bool ok = out && set(out, "request", request_json(body, secret)) &&
              set(out, "attempts", attempts_json(x)) &&
              (!*x->error || set(out, "error", json_string(x->error))) &&
              set(out, "first_byte_s", json_real(x->first_byte_s)) &&
              set(out, "time_s", json_real(x->time_s));
    char *text = ok ? syn_json_text(out, JSON_COMPACT) : NULL;
    json_decref(out);
    return text;
}

/* ---- reading ---- */

static bool read_text(const json_t *from, const char *name, char *to, size_t room)
{
    const json_t *value = json_object_get(from, name);
    if (!value) return true;
    const size_t bytes = json_string_length(value);
    if (!json_is_string(value) || bytes >= room || strlen(json_string_value(value)) != bytes)
        return false;
    memcpy(to, json_string_value(value), bytes + 1);
    return true;
}

static bool read_copy(const json_t *from, const char *name, char **to)
{
    const char *value = json_string_value(json_object_get(from, name));
    *to = value ? strdup(value) : NULL;
    return *to != NULL;
}

/* A time in seconds, of a day at most. */
static bool read_seconds(const json_t *from, const char *name, double *to)
{
    const json_t *value = json_object_get(from, name);
    if (!value) return true;
    *to = json_number_value(value);
    return json_is_number(value) && *to >= 0 && *to <= 1e9;
}

static bool read_body(const json_t *from, syn_buffer *to)
{
    const json_t *text = json_object_get(from, "body"), *base64 = json_object_get(from, "base64");
    if (text)
        return json_is_string(text) &&
               syn_buffer_add(to, json_string_value(text), json_string_length(text));
    return !base64 || (json_is_string(base64) &&
                       from_base64(json_string_value(base64), json_string_length(base64), to));
}

static bool read_attempt(const json_t *from, syn_exchange_attempt *a)
{
    const json_t *status = json_object_get(from, "status");
    const char *end = json_string_value(json_object_get(from, "end"));
    if (!json_is_integer(status) || !end) return false;
    a->status = json_integer_value(status) >= 0 && json_integer_value(status) < 1000
                    ? (int)json_integer_value(status)
                    : -1;
    a->end = 0;
    while (a->end < SYN_EXCHANGE_ENDS && strcmp(end, end_name[a->end]) != 0) a->end++;
    a->retry_after_s = -1;
    return a->status >= 0 && a->end < SYN_EXCHANGE_ENDS &&
           read_text(from, "content_type", a->content_type, sizeof a->content_type) &&
           read_seconds(from, "retry_after_s", &a->retry_after_s) && read_body(from, &a->body);
}

static bool read_key(const json_t *from, syn_exchange *x)
{
    const char *key = json_string_value(json_object_get(from, "key"));
    const json_t *number = json_object_get(from, "number");
    if (!key || strlen(key) != 32 || strspn(key, "0123456789abcdef") != 32 ||
        !json_is_integer(number) || json_integer_value(number) < 0)
        return false;
    char high[17] = "";
    memcpy(high, key, 16);
    x->key.high = strtoull(high, NULL, 16);
    x->key.low = strtoull(key + 16, NULL, 16);
    x->number = json_integer_value(number);
    return true;
}

static bool read_all(const json_t *from, syn_exchange *x)
{
    const json_t *attempts = json_object_get(from, "attempts");
    const size_t count = json_array_size(attempts);
    if (!read_key(from, x) || !json_is_array(attempts) || count > SYN_EXCHANGE_ATTEMPTS_MAX ||
        !read_copy(from, "tag", &x->tag) || !read_copy(from, "path", &x->path) ||
        !read_copy(from, "model", &x->model) ||
        !read_text(from, "error", x->error, sizeof x->error) ||
        !read_seconds(from, "first_byte_s", &x->first_byte_s) ||
        !read_seconds(from, "time_s", &x->time_s))
        return false;
    for (size_t k = 0; k < count; k++) {
        x->attempt_count++;
        if (!read_attempt(json_array_get(attempts, k), &x->attempt[k])) return false;
    }
    return count > 0 || *x->error;
}

syn_status syn_exchange_read(const char *text, size_t bytes, syn_exchange **out)
{
    *out = NULL;
    syn_exchange *x = calloc(1, sizeof *x);
    if (!x) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    json_t *root = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
    const bool ok = json_is_object(root) && read_all(root, x);
    json_decref(root);
    if (ok) {
        *out = x;
        return SYN_OK;
    }
    syn_exchange_free(x);
    return syn_fail(SYN_ERR_FORMAT, "it is not the record of a call");
}
