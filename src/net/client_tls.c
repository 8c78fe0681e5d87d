/* TLS of clients: whom to trust, who we are, and OpenSSL between two buffers. */
#include "net/client_wire_internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ps_net_client_tls {
	SSL_CTX *ctx; /* counts its users itself */
	bool insecure;
};

/* --- files --- */

/* The first error of OpenSSL's queue is nearest to the cause. */
static const char *reason(char *buf, size_t size)
{
	unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	snprintf(buf, size, "%s", text ? text : "unknown reason");
	ERR_clear_error();
	return buf;
}

static enum ps_status readable(const char *what, const char *path, struct ps_error *err)
{
	if (access(path, R_OK) == 0)
		return PS_OK;
	int e = errno;
	ps_error_errno(err, e, "cannot read the %s '%s'", what, path);
	return ps_status_from_errno(e);
}

static enum ps_status load_trust(SSL_CTX *ctx, const struct ps_net_client_tls_options *o,
				 struct ps_error *err)
{
	char why[160];
	if (o->insecure) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return PS_OK;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!o->ca_path) {
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return PS_OK;
		return ps_error_set(err, PS_EIO, "cannot read the system's certificates: %s",
				    reason(why, sizeof why));
	}
	enum ps_status s = readable("certificates to trust", o->ca_path, err);
	if (s != PS_OK)
		return s;
	if (SSL_CTX_load_verify_file(ctx, o->ca_path) == 1)
		return PS_OK;
	return ps_error_set(err, PS_EPARSE, "'%s' holds no certificates in PEM: %s", o->ca_path,
			    reason(why, sizeof why));
}

/* A key with a passphrase would make OpenSSL ask at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

static enum ps_status load_own(SSL_CTX *ctx, const struct ps_net_client_tls_options *o,
			       struct ps_error *err)
{
	char why[160];
	if (!o->certificate_path && !o->key_path)
		return PS_OK;
	if (!o->certificate_path || !o->key_path)
		return ps_error_set(err, PS_EINVAL,
				    "a client's certificate and its key are given together");
	enum ps_status s = readable("client's certificate", o->certificate_path, err);
	if (s == PS_OK)
		s = readable("client's key", o->key_path, err);
	if (s != PS_OK)
		return s;
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, o->certificate_path) != 1)
		return ps_error_set(err, PS_EPARSE, "'%s' is no certificate in PEM: %s",
				    o->certificate_path, reason(why, sizeof why));
	/* The certificate is there: reading the key compares the two. */
	if (SSL_CTX_use_PrivateKey_file(ctx, o->key_path, SSL_FILETYPE_PEM) != 1)
		return ps_error_set(err, PS_EPARSE, "the key '%s' cannot be used: %s", o->key_path,
				    reason(why, sizeof why));
	return PS_OK;
}

/* --- life --- */

static enum ps_status load(SSL_CTX *ctx, const struct ps_net_client_tls_options *o,
			   struct ps_error *err)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	enum ps_status s = load_trust(ctx, o, err);
	return s == PS_OK ? load_own(ctx, o, err) : s;
}

enum ps_status ps_net_client_tls_new(const struct ps_net_client_tls_options *o,
				     struct ps_net_client_tls **ret_tls, struct ps_error *err)
{
	ERR_clear_error();
	struct ps_net_client_tls *t = calloc(1, sizeof *t);
	SSL_CTX *ctx = t ? SSL_CTX_new(TLS_client_method()) : NULL;
	if (!ctx) {
		free(t);
		return ps_error_set(err, PS_ENOMEM, "no memory for TLS");
	}
	t->ctx = ctx;
	t->insecure = o->insecure;
	enum ps_status s = load(ctx, o, err);
	if (s == PS_OK)
		*ret_tls = t;
	else
		ps_net_client_tls_free(t);
	return s;
}

void ps_net_client_tls_free(struct ps_net_client_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* A copy of its own: the context inside counts its users. */
struct ps_net_client_tls *ps_net_client_tls_ref(struct ps_net_client_tls *t)
{
	struct ps_net_client_tls *copy = malloc(sizeof *copy);
	if (!copy)
		return NULL;
	*copy = *t;
	SSL_CTX_up_ref(copy->ctx);
	return copy;
}

/* --- OpenSSL between two buffers --- */

bool ps_net_cipher_put(struct ps_net_cipher *c, const void *bytes, size_t n)
{
	if (c->out_cap - c->out_n < n) {
		size_t cap = c->out_cap ? 2 * c->out_cap : 4096;
		while (cap < c->out_n + n)
			cap *= 2;
		char *grown = realloc(c->out, cap);
		if (!grown)
			return false;
		c->out = grown;
		c->out_cap = cap;
	}
	memcpy(c->out + c->out_n, bytes, n);
	c->out_n += n;
	return true;
}

static int bio_write(BIO *b, const char *bytes, size_t n, size_t *ret_put)
{
	if (!ps_net_cipher_put(BIO_get_data(b), bytes, n))
		return 0;
	*ret_put = n;
	return 1;
}

static int bio_read(BIO *b, char *to, size_t n, size_t *ret_got)
{
	struct ps_net_cipher *c = BIO_get_data(b);
	size_t left = c->in_n - c->in_at;
	BIO_clear_retry_flags(b);
	if (left == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	n = n < left ? n : left;
	memcpy(to, c->in + c->in_at, n);
	c->in_at += n;
	*ret_got = n;
	return 1;
}

static long bio_ctrl(BIO *b, int command, long number, void *at)
{
	(void)b, (void)number, (void)at;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "perseus");
	if (m && BIO_meth_set_write_ex(m, bio_write) == 1 &&
	    BIO_meth_set_read_ex(m, bio_read) == 1 && BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		bio_method = m;
}

static bool attach(SSL *ssl, struct ps_net_cipher *cipher)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_method);
	BIO *b = bio_method ? BIO_new(bio_method) : NULL;
	if (!b)
		return false;
	BIO_set_data(b, cipher);
	BIO_set_init(b, 1);
	SSL_set_bio(ssl, b, b); /* takes the one reference for both */
	return true;
}

/* --- sessions --- */

static bool is_ip(const char *name)
{
	unsigned char to[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, name, to) == 1 || inet_pton(AF_INET6, name, to) == 1;
}

/* SNI is for names only (RFC 6066); certificates name IP addresses in another field. */
static bool ask_for(SSL *ssl, const char *name, bool insecure)
{
	if (is_ip(name))
		return insecure || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	if (SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return insecure || SSL_set1_host(ssl, name) == 1;
}

static bool offer(SSL *ssl, enum ps_net_protocol protocol)
{
	static const unsigned char h1[] = "\x08http/1.1", h2[] = "\x02h2";
	return protocol == PS_NET_HTTP2 ? SSL_set_alpn_protos(ssl, h2, sizeof h2 - 1) == 0
					: SSL_set_alpn_protos(ssl, h1, sizeof h1 - 1) == 0;
}

SSL *ps_net_client_tls_session(struct ps_net_client_tls *t, const char *name,
			       enum ps_net_protocol protocol, struct ps_net_cipher *cipher)
{
	SSL *ssl = SSL_new(t->ctx);
	if (!ssl || !attach(ssl, cipher) || !ask_for(ssl, name, t->insecure) ||
	    !offer(ssl, protocol)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}
