/* Where a request comes from: the connection's own address, or, where that is a trusted proxy's,
 * the last address of X-Forwarded-For that is no trusted proxy's. Thread-safe once opened. */
#ifndef SYN_SERVE_AUTH_PEER_H
#define SYN_SERVE_AUTH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"
#include "serve/http.h"

enum { SYN_NETWORKS_MAX = 16, SYN_CLIENT_BYTES = 46 };

typedef struct syn_network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    int bits;            /* of 128 */
} syn_network;

typedef struct syn_networks {
    syn_network list[SYN_NETWORKS_MAX];
    int count;
} syn_networks;

/* "10.0.0.0/8,::1": networks or addresses; NULL or "": none. A network of more than a /8
 * of IPv4 or a /32 of IPv6 is refused, but for fc00::/7 and fe80::/10. Errors: SYN_ERR_INVALID. */
SYN_WARN_UNUSED syn_status syn_networks_parse(const char *text, syn_networks *out);
bool syn_networks_have(const syn_networks *n, const char *address);

/* An address in numbers, "" where the connection has none. */
void syn_client_of(const syn_networks *trusted, const syn_http_request *request,
                   char out[SYN_CLIENT_BYTES]);
/* What failures of it are counted under: IPv6 by its network of 64 bits. */
void syn_client_place(const char *client, char out[SYN_CLIENT_BYTES]);

#endif
