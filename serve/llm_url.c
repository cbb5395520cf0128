#include "serve/llm_url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

static bool loopback_name(const char *host)
{
    struct in_addr v4;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static syn_status check_parts(const char *scheme, const char *name, bool insecure, bool key)
{
    bool plain = strcmp(scheme, "http") == 0;
    SYN_REQUIRE(plain || strcmp(scheme, "https") == 0,
                "--base-url: only http and https are spoken");
    SYN_REQUIRE(!plain || loopback_name(name) || insecure,
                "--base-url: plain http is for this machine only; use https");
    SYN_REQUIRE(!plain || loopback_name(name) || !key,
                "--base-url: a key is not sent over plain http; use https");
    return SYN_OK;
}

syn_status syn_llm_url_check(const char *text, bool insecure, bool key, char **host, bool *plain)
{
    syn_status st = SYN_OK;
    char *scheme = NULL, *name = NULL;
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        scheme = url_part(url, CURLUPART_SCHEME);
        name = url_part(url, CURLUPART_HOST);
    }
    if (!scheme || !name || strpbrk(text, "@?#\r\n \\")) {
        st = syn_fail(SYN_ERR_INVALID, "--base-url: not an address of the form https://host/path");
        goto done;
    }
    SYN_TRY(check_parts(scheme, name, insecure, key));
    *plain = strcmp(scheme, "http") == 0;
    *host = strdup(name);
    if (!*host) st = syn_fail(SYN_ERR_MEMORY, "out of memory for an address");
done:
    curl_free(scheme);
    curl_free(name);
    curl_url_cleanup(url);
    return st;
}
