/* A recording of what providers answered. The first byte chooses: a whole file, or a record's text
 * that is put into a line whose check agrees. What is read as a call can be written and read again,
 * and is the same. */
#include "serve/llm_tape_line.h"
#include "tests/fuzz/fuzz.h"

static void same_attempt(const syn_exchange_attempt *a, const syn_exchange_attempt *b)
{
    if (a->status != b->status || a->end != b->end || a->body.bytes != b->body.bytes ||
        strcmp(a->content_type, b->content_type) != 0 || a->retry_after_s != b->retry_after_s)
        abort();
    if (a->body.bytes > 0 && memcmp(a->body.text, b->body.text, a->body.bytes) != 0) abort();
}

static void read_record(const char *text, size_t bytes)
{
    syn_exchange *x, *again;
    if (syn_exchange_read(text, bytes, &x) != SYN_OK) return;
    char *written = syn_exchange_text(x, "{\"a\":1}", NULL);
    if (!written || syn_exchange_read(written, strlen(written), &again) != SYN_OK) abort();
    if (x->key.high != again->key.high || x->key.low != again->key.low ||
        x->number != again->number || x->attempt_count != again->attempt_count ||
        strcmp(x->error, again->error) != 0 || x->time_s != again->time_s || x->attempt_count < 0 ||
        x->attempt_count > SYN_EXCHANGE_ATTEMPTS_MAX)
        abort();
    for (int k = 0; k < x->attempt_count; k++) same_attempt(&x->attempt[k], &again->attempt[k]);
    syn_exchange_free(x);
    syn_exchange_free(again);
    free(written);
}

static void read_file(const char *text, size_t bytes)
{
    syn_tape *tape;
    syn_exchange *x;
    if (syn_tape_open(fuzz_file((const uint8_t *)text, bytes), SYN_TAPE_REPLAY, &tape) != SYN_OK)
        return;
    if (syn_tape_begin(tape, "t", "http://h/v1", "m", "{}", &x) == SYN_OK) syn_exchange_free(x);
    (void)syn_tape_measured(tape, "t", 1);
    (void)!syn_tape_close(tape);
}

static void read_line(const char *text, size_t bytes)
{
    static const char header[] = "{\"format\":\"syncog-tape/1\"}\n";
    size_t line_bytes;
    if (bytes < 2 || text[0] != '{' || strlen(text) != bytes || strchr(text, '\n')) return;
    char *line = syn_tape_line_make(text, &line_bytes), *file = NULL;
    if (!line || asprintf(&file, "%s%s", header, line) < 0) abort();
    if (!syn_tape_line_intact(line, line_bytes)) abort();
    read_file(file, strlen(file));
    free(file);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    setenv("LOG_LEVEL", "error", 1);
    if (bytes < 1) return 0;
    char *text = fuzz_text(data + 1, bytes - 1);
    if (data[0] & 1) {
        read_record(text, bytes - 1);
        read_line(text, bytes - 1);
    } else
        read_file(text, bytes - 1);
    free(text);
    return 0;
}
