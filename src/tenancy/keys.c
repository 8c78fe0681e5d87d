/* Keys: made, hashed, found. */
#include "tenancy/tenancy_internal.h"

#include "base/rng.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

enum { KEY_RANDOM_BYTES = 32 }; /* 256 bits */
static const char key_prefix[] = "psk_";
static const char digest_prefix[] = "sha256:";

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool ps_tenancy_key_parse(const char *text, unsigned char ret[PS_TENANCY_DIGEST_BYTES])
{
	size_t skip = sizeof digest_prefix - 1;
	if (!text || strlen(text) != skip + 2 * PS_TENANCY_DIGEST_BYTES ||
	    memcmp(text, digest_prefix, skip) != 0)
		return false;
	for (size_t i = 0; i < PS_TENANCY_DIGEST_BYTES; i++) {
		int hi = hex_value(text[skip + 2 * i]), lo = hex_value(text[skip + 2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		ret[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

/* Where it looks depends on the digest alone: whoever presents a key knows its digest anyway, and
 * how it relates to the stored ones says nothing about a key that has one of them. */
struct tenancy_key *ps_tenancy_key_slot(const struct ps_tenancy *t,
					const unsigned char digest[PS_TENANCY_DIGEST_BYTES])
{
	uint64_t h;
	memcpy(&h, digest, sizeof h);
	for (size_t at = (size_t)h & t->key_mask;; at = (at + 1) & t->key_mask) {
		struct tenancy_key *k = &t->keys[at];
		if (k->who == PS_TENANCY_NONE ||
		    CRYPTO_memcmp(k->digest, digest, sizeof k->digest) == 0)
			return k;
	}
}

bool ps_tenancy_bearer(const char *value, size_t len, const char **ret_key, size_t *ret_len)
{
	static const char scheme[] = "Bearer ";
	size_t skip = sizeof scheme - 1;
	if (len <= skip || strncasecmp(value, scheme, skip) != 0)
		return false;
	while (skip < len && value[skip] == ' ')
		skip++;
	while (len > skip && value[len - 1] == ' ')
		len--;
	*ret_key = value + skip;
	*ret_len = len - skip;
	return len > skip;
}

enum ps_status ps_tenancy_authenticate(const struct ps_tenancy *t, const char *authorization,
				       size_t len, int *ret_tenant, struct ps_error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	const char *key;
	size_t key_len;
	if (!authorization) {
		if (t->open_tenant == PS_TENANCY_NONE) {
			ps_error_set(err, PS_EUNAUTH, "a key is needed");
			ps_error_hint(err, "send the header Authorization: Bearer KEY");
			return PS_EUNAUTH;
		}
		*ret_tenant = t->open_tenant;
		return PS_OK;
	}
	if (!ps_tenancy_bearer(authorization, len, &key, &key_len)) {
		ps_error_set(err, PS_EUNAUTH, "the Authorization header does not hold a key");
		ps_error_hint(err, "its form is Authorization: Bearer KEY");
		return PS_EUNAUTH;
	}
	if (EVP_Digest(key, key_len, digest, NULL, t->sha256, NULL) != 1)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	int who = ps_tenancy_key_slot(t, digest)->who;
	if (who == PS_TENANCY_NONE)
		return ps_error_set(err, PS_EUNAUTH, "unknown key");
	*ret_tenant = who;
	return PS_OK;
}

void ps_tenancy_digest(const char *key, size_t len, char ret_digest[PS_TENANCY_DIGEST_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *p = ret_digest + sizeof digest_prefix - 1;
	SHA256((const unsigned char *)key, len, digest);
	memcpy(ret_digest, digest_prefix, sizeof digest_prefix - 1);
	for (size_t i = 0; i < sizeof digest; i++) {
		*p++ = hex[digest[i] >> 4];
		*p++ = hex[digest[i] & 15];
	}
	*p = '\0';
}

enum ps_status ps_tenancy_make_key(char ret_key[PS_TENANCY_KEY_SIZE],
				   char ret_digest[PS_TENANCY_DIGEST_SIZE], struct ps_error *err)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";
	unsigned char raw[KEY_RANDOM_BYTES];
	char *p = ret_key + sizeof key_prefix - 1;
	unsigned bits = 0, have = 0;
	if (ps_rng_kernel(raw, sizeof raw) != PS_OK)
		return ps_error_set(err, PS_EIO, "the kernel gives no random bytes");
	memcpy(ret_key, key_prefix, sizeof key_prefix - 1);
	for (size_t i = 0; i < sizeof raw; i++) {
		bits = bits << 8 | raw[i];
		for (have += 8; have >= 6; have -= 6)
			*p++ = alphabet[bits >> (have - 6) & 63];
	}
	*p++ = alphabet[bits << (6 - have) & 63]; /* 256 = 42 * 6 + 4 */
	*p = '\0';
	ps_tenancy_digest(ret_key, strlen(ret_key), ret_digest);
	OPENSSL_cleanse(raw, sizeof raw);
	return PS_OK;
}
