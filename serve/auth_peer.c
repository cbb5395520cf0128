#include "serve/auth_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool address_parse(const char *text, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, out) == 1) return true;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, out + 12) == 1;
}

static bool within(const syn_network *n, const uint8_t address[16])
{
    int whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->address, address, (size_t)whole) != 0) return false;
    return rest == 0 || (n->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static bool network_parse(const char *text, syn_network *out)
{
    char address[64];
    size_t n = strcspn(text, "/");
    if (n >= sizeof address) return false;
    memcpy(address, text, n);
    address[n] = 0;
    if (!address_parse(address, out->address)) return false;
    out->bits = 128;
    if (text[n] == 0) return true;
    bool four = !strchr(address, ':');
    char *end = NULL;
    long bits = strtol(text + n + 1, &end, 10);
    if (!text[n + 1] || *end || bits < 0 || bits > (four ? 32 : 128)) return false;
    out->bits = (int)bits + (four ? 96 : 0);
    return true;
}

/* So much of the Internet that it names no proxy: more than a /8 of IPv4 or a /32 of IPv6, private
 * networks of IPv6 aside. */
static bool too_wide(const syn_network *n)
{
    syn_network four = {.bits = n->bits < 96 ? n->bits : 96};
    memset(four.address + 10, 0xff, 2);
    if (within(&four, n->address)) return n->bits < 96 + 8; /* it has IPv4's addresses */
    if ((n->address[0] & 0xfe) == 0xfc) return n->bits < 7;
    if (n->address[0] == 0xfe && n->address[1] >> 6 == 2) return n->bits < 10;
    return n->bits < 32;
}

syn_status syn_networks_parse(const char *text, syn_networks *out)
{
    *out = (syn_networks){.count = 0};
    while (text && *text) {
        char one[80];
        text += strspn(text, ", ");
        size_t n = strcspn(text, ", ");
        if (n == 0) break;
        SYN_REQUIRE(n < sizeof one, "TRUSTED_PROXY has a network that is too long");
        SYN_REQUIRE(out->count < SYN_NETWORKS_MAX, "TRUSTED_PROXY has more than %d networks",
                    SYN_NETWORKS_MAX);
        memcpy(one, text, n);
        one[n] = 0;
        SYN_REQUIRE(network_parse(one, &out->list[out->count]),
                    "TRUSTED_PROXY: '%s' is not a network like 10.0.0.0/8", one);
        SYN_REQUIRE(!too_wide(&out->list[out->count]),
                    "TRUSTED_PROXY: with '%s' nearly anybody could say where a request comes from; "
                    "name the proxy's own address or network",
                    one);
        out->count++;
        text += n;
    }
    return SYN_OK;
}

bool syn_networks_have(const syn_networks *n, const char *address)
{
    uint8_t bytes[16];
    if (n->count == 0 || !address_parse(address, bytes)) return false;
    for (int i = 0; i < n->count; i++) {
        if (within(&n->list[i], bytes)) return true;
    }
    return false;
}

/* The last element of a comma-separated list before `end`, which is moved in front of it. */
static bool last_element(const char *text, size_t *end, char out[SYN_CLIENT_BYTES])
{
    size_t stop = *end, at = stop;
    if (stop == 0) return false;
    while (at > 0 && text[at - 1] != ',') at--;
    *end = at > 0 ? at - 1 : 0;
    while (at < stop && strchr(" \t", text[at])) at++;
    while (stop > at && strchr(" \t", text[stop - 1])) stop--;
    if (stop - at >= SYN_CLIENT_BYTES) return false;
    memcpy(out, text + at, stop - at);
    out[stop - at] = 0;
    return true;
}

void syn_client_of(const syn_networks *trusted, const syn_http_request *r,
                   char out[SYN_CLIENT_BYTES])
{
    uint8_t bytes[16];
    snprintf(out, SYN_CLIENT_BYTES, "%s", r->peer);
    if (!syn_networks_have(trusted, out)) return;
    for (int i = r->header_count - 1; i >= 0; i--) {
        if (strcasecmp(r->headers[i].name, "X-Forwarded-For") != 0) continue;
        char element[SYN_CLIENT_BYTES];
        size_t end = strlen(r->headers[i].value);
        while (last_element(r->headers[i].value, &end, element)) {
            if (!address_parse(element, bytes)) return; /* what a proxy wrote is an address */
            snprintf(out, SYN_CLIENT_BYTES, "%s", element);
            if (!syn_networks_have(trusted, out)) return;
        }
    }
}

void syn_client_place(const char *client, char out[SYN_CLIENT_BYTES])
{
    struct in6_addr address;
    snprintf(out, SYN_CLIENT_BYTES, "%s", client);
    if (inet_pton(AF_INET6, client, &address) != 1 || IN6_IS_ADDR_V4MAPPED(&address)) return;
    memset(address.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &address, out, SYN_CLIENT_BYTES);
}
