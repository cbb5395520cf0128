/* The limits' Redis, the only place that knows hiredis. On one loop's thread. */
#ifndef SYN_SERVE_LIMITS_REDIS_H
#define SYN_SERVE_LIMITS_REDIS_H

#include "serve/limits.h"

typedef struct syn_limits_redis syn_limits_redis;

/* `verdict` is NULL where Redis did not decide. */
typedef void (*syn_redis_done)(void *context, const syn_verdict *verdict);

/* Begins to connect. `prefix` is copied. Errors: SYN_ERR_INVALID (URL), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_limits_redis_create(syn_limits_redis **redis, const char *url,
                                                   const char *prefix, void *loop);
/* Open questions are answered with NULL before it returns; freed when the loop has closed it. */
void syn_limits_redis_destroy(syn_limits_redis *redis);
/* False, and no call of `done`, where there is no connection. The limit is within its ranges. */
bool syn_limits_redis_ask(syn_limits_redis *redis, const syn_limit *limit, syn_redis_done done,
                          void *context);
bool syn_limits_redis_ready(const syn_limits_redis *redis);

#endif
