/* The client's certificate as texts. */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { MAX_NAMES = 32 };

/* A text of a certificate, NULL when it holds a NUL: what follows one is a way to seem somebody
 * else. */
static const char *text_of(const ASN1_STRING *s, struct ps_arena *arena)
{
	const char *data = (const char *)ASN1_STRING_get0_data(s);
	size_t n = (size_t)ASN1_STRING_length(s);
	return memchr(data, '\0', n) ? NULL : ps_arena_strndup(arena, data, n);
}

static const char *subject_of(const X509 *x, struct ps_arena *arena)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data = NULL;
	const char *text = NULL;
	if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
		long n = BIO_get_mem_data(b, &data);
		text = ps_arena_strndup(arena, n > 0 ? data : "", n > 0 ? (size_t)n : 0);
	}
	BIO_free(b);
	return text;
}

static const char *common_name_of(const X509 *x, struct ps_arena *arena)
{
	const X509_NAME *name = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const char *text = NULL;
	if (at >= 0)
		text = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)), arena);
	return text ? text : "";
}

static bool add_names(const X509 *x, struct ps_net_identity *id, struct ps_arena *arena)
{
	const char **names = ps_arena_alloc(arena, MAX_NAMES * sizeof *names);
	if (!names)
		return false;
	GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(list) && id->n_names < MAX_NAMES; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
		if (g->type != GEN_DNS && g->type != GEN_URI && g->type != GEN_EMAIL)
			continue;
		const char *text = text_of(g->d.ia5, arena);
		if (text)
			names[id->n_names++] = text;
	}
	GENERAL_NAMES_free(list);
	id->names = names;
	return true;
}

const struct ps_net_identity *ps_net_tls_identity(SSL *ssl, struct ps_arena *arena,
						  bool *ret_failed)
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	*ret_failed = false;
	if (!x || SSL_get_verify_result(ssl) != X509_V_OK)
		return NULL;
	struct ps_net_identity *id = ps_arena_zalloc(arena, sizeof *id);
	if (id) {
		id->subject = subject_of(x, arena);
		id->common_name = common_name_of(x, arena);
	}
	if (!id || !id->subject || !add_names(x, id, arena)) {
		*ret_failed = true;
		id = NULL;
	}
	ERR_clear_error();
	return id;
}
