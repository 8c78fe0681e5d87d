/* certs.h - keys and certificates made on the spot, as PEM files in a temporary folder. */
#ifndef PS_TESTS_NET_CERTS_H
#define PS_TESTS_NET_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct cert {
	EVP_PKEY *key;
	X509 *x;
};

static inline void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* A certificate for `cn`, with subjectAltName `names` (may be NULL), valid from `from_s` to `to_s`
 * seconds from now, signed by `ca` (NULL: by itself, and an authority). */
static inline struct cert make_cert(const char *cn, const char *names, long from_s, long to_s,
				    const struct cert *ca)
{
	static long serial;
	struct cert c = {.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), .x = X509_new()};
	assert_non_null(c.key);
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(c.x), from_s);
	X509_gmtime_adj(X509_getm_notAfter(c.x), to_s);
	X509_set_pubkey(c.x, c.key);
	X509_NAME *name = X509_get_subject_name(c.x);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Perseus", -1,
				   -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(c.x, ca ? X509_get_subject_name(ca->x) : name);
	if (!ca)
		add_extension(c.x, c.x, NID_basic_constraints, "critical,CA:TRUE");
	if (names)
		add_extension(c.x, ca ? ca->x : c.x, NID_subject_alt_name, names);
	assert_true(X509_sign(c.x, ca ? ca->key : c.key, EVP_sha256()) > 0);
	return c;
}

static inline void free_cert(struct cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->x);
}

static inline void write_cert(const char *path, const struct cert *c)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, c->x), 1);
	fclose(f);
}

/* `password`: encrypts the key; NULL: plain. */
static inline void write_key(const char *path, const struct cert *c, const char *password)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, c->key, password ? EVP_aes_128_cbc() : NULL, NULL,
					      0, NULL, (void *)(uintptr_t)password),
			 1);
	fclose(f);
}

#endif
