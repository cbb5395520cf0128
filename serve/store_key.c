#include "serve/store_key.h"

#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

static const char mark[] = "sync_";
enum { MARK_BYTES = sizeof mark - 1, RANDOM_BYTES = 32, CHECK_DIGITS = 8 };

static void to_hex(const unsigned char *bytes, int count, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (int k = 0; k < count; k++) {
        *out++ = hex[bytes[k] >> 4];
        *out++ = hex[bytes[k] & 15];
    }
    *out = 0;
}

static syn_status digest(const char *text, size_t bytes, char out[SYN_API_KEY_SHA256_BYTES])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    /* Without its context, which it makes at first use, the library would follow a NULL. */
    if (!OSSL_LIB_CTX_get0_global_default() ||
        !EVP_Digest(text, bytes, sum, NULL, EVP_sha256(), NULL))
        return syn_fail(SYN_ERR_MEMORY, "SHA-256 failed");
    to_hex(sum, 32, out);
    return SYN_OK;
}

syn_status syn_api_key_sha256(const char *text, char out[SYN_API_KEY_SHA256_BYTES])
{
    return digest(text, strlen(text), out);
}

syn_status syn_api_key_make(syn_api_key *key)
{
    unsigned char random[RANDOM_BYTES];
    char check[SYN_API_KEY_SHA256_BYTES];
    memset(key, 0, sizeof *key);
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return syn_fail(SYN_ERR_IO, "the system gives no random bytes");
    memcpy(key->text, mark, MARK_BYTES);
    to_hex(random, RANDOM_BYTES, key->text + MARK_BYTES);
    explicit_bzero(random, sizeof random);
    SYN_RETURN_IF(syn_api_key_sha256(key->text, check));
    memcpy(key->text + MARK_BYTES + 2 * RANDOM_BYTES, check, CHECK_DIGITS);
    memcpy(key->prefix, key->text, SYN_API_KEY_PREFIX_BYTES - 1);
    return syn_api_key_sha256(key->text, key->sha256);
}

bool syn_api_key_fits(const char *text)
{
    char check[SYN_API_KEY_SHA256_BYTES];
    const size_t body = MARK_BYTES + 2 * RANDOM_BYTES;
    return strnlen(text, SYN_API_KEY_BYTES) == SYN_API_KEY_BYTES - 1 &&
           memcmp(text, mark, MARK_BYTES) == 0 && digest(text, body, check) == SYN_OK &&
           memcmp(text + body, check, CHECK_DIGITS) == 0;
}
