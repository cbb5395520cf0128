/* Status codes, the error sentence, and the two macros that pass them on.
 *
 * A fallible function returns syn_status. The sentence that says what is wrong is kept per thread,
 * like errno: syn_fail() stores it and returns the code, syn_error_text() reads it. Libraries never
 * print it and never exit; the program's main does. */
#ifndef SYN_BASE_STATUS_H
#define SYN_BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define SYN_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(ERR_INVALID, "invalid argument")                                                             \
    X(ERR_USAGE, "wrong usage")                                                                    \
    X(ERR_MEMORY, "out of memory")                                                                 \
    X(ERR_IO, "input or output failed")                                                            \
    X(ERR_FORMAT, "the data is not of the expected format")                                        \
    X(ERR_UNSUPPORTED, "not supported by this build or device")                                    \
    X(ERR_DEVICE, "the device reported an error")                                                  \
    X(ERR_NETWORK, "the network or a remote server failed")                                        \
    X(ERR_LIMIT, "a limit was reached")                                                            \
    X(ERR_NUMERIC, "a number is not finite")                                                       \
    X(ERR_INTERRUPTED, "interrupted")                                                              \
    X(ERR_DIST, "another rank failed")

typedef enum syn_status {
#define SYN_STATUS_ENUM(name, text) SYN_##name,
    SYN_STATUS_MAP(SYN_STATUS_ENUM)
#undef SYN_STATUS_ENUM
} syn_status;

#define SYN_WARN_UNUSED  __attribute__((warn_unused_result))
#define SYN_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Stores the sentence (cut at 1023 bytes) for this thread and returns `code`. */
syn_status syn_fail(syn_status code, const char *fmt, ...) SYN_PRINTF(2, 3);

/* Puts "prefix: " in front of the sentence already stored; returns `code` unchanged. */
syn_status syn_fail_within(syn_status code, const char *fmt, ...) SYN_PRINTF(2, 3);

/* The sentence of this thread's last failure; never NULL. Valid until the next failure. */
const char *syn_error_text(void);

/* The fixed text of a code. */
const char *syn_status_text(syn_status code);

/* In functions that clean up: needs `syn_status st` and a label `done`. */
#define SYN_TRY(call)                                                                              \
    do {                                                                                           \
        st = (call);                                                                               \
        if (st != SYN_OK) goto done;                                                               \
    } while (0)

/* In functions that own nothing. */
#define SYN_RETURN_IF(call)                                                                        \
    do {                                                                                           \
        syn_status st_ = (call);                                                                   \
        if (st_ != SYN_OK) return st_;                                                             \
    } while (0)

#define SYN_REQUIRE(cond, ...)                                                                     \
    do {                                                                                           \
        if (!(cond)) return syn_fail(SYN_ERR_INVALID, __VA_ARGS__);                                \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
