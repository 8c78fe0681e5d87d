/* Certificates: reading them, swapping them whole, and saying what is wrong with them. */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ps_net_tls {
	pthread_mutex_t lock; /* of ctx and users */
	SSL_CTX *ctx;
	int users;
	char *certificate_path, *key_path, *client_ca_path;
	bool client_required, only_tls13;
};

/* --- errors --- */

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
	if (e == EACCES)
		ps_error_hint(err, "let the user that runs this program read it");
	return ps_status_from_errno(e);
}

/* --- reading the files --- */

/* In the form of ALPN. */
static const struct protocols {
	unsigned char list[13];
	unsigned bytes;
} protocols[] = {
	[PS_NET_KIND_HTTP] = {"\x02h2\x08http/1.1", 12},
	[PS_NET_KIND_HTTP2] = {"\x02h2", 3},
	[PS_NET_KIND_HTTP1] = {"\x08http/1.1", 9},
};

/* ALPN: HTTP/2 when the client knows it. A client that offers only what we do not speak is refused,
 * as RFC 7301 wants. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
			   const unsigned char *offered, unsigned offered_len, void *ctx)
{
	const struct protocols *known = SSL_get_app_data(ssl);
	unsigned char *chosen;
	(void)ctx;
	if (SSL_select_next_proto(&chosen, ret_len, known->list, known->bytes, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void set_behaviour(SSL_CTX *ctx, bool only_tls13)
{
	SSL_CTX_set_min_proto_version(ctx, only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Partial writes from wherever the bytes lie then; idle connections without buffers. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need none */
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
}

static enum ps_status load_certificate(const struct ps_net_tls *t, SSL_CTX *ctx,
				       struct ps_error *err)
{
	char why[160];
	enum ps_status s = readable("certificate", t->certificate_path, err);
	if (s != PS_OK)
		return s;
	if (SSL_CTX_use_certificate_chain_file(ctx, t->certificate_path) == 1)
		return PS_OK;
	ps_error_set(err, PS_EPARSE, "'%s' is no certificate in PEM: %s", t->certificate_path,
		     reason(why, sizeof why));
	ps_error_hint(err, "the file begins with -----BEGIN CERTIFICATE-----, the server's own "
			   "certificate first, then those that signed it");
	return PS_EPARSE;
}

/* A key with a passphrase would make OpenSSL ask at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)ctx = true;
	return -1;
}

static enum ps_status load_key(const struct ps_net_tls *t, SSL_CTX *ctx, struct ps_error *err)
{
	char why[160];
	bool encrypted = false;
	enum ps_status s = readable("key", t->key_path, err);
	if (s != PS_OK)
		return s;
	FILE *f = fopen(t->key_path, "re");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, no_passphrase, &encrypted) : NULL;
	if (f)
		(void)fclose(f);
	if (!key && encrypted) {
		ERR_clear_error();
		ps_error_set(err, PS_EPARSE, "the key '%s' is encrypted", t->key_path);
		ps_error_hint(err, "decrypt it: openssl pkey -in KEY -out PLAIN-KEY");
		return PS_EPARSE;
	}
	if (!key)
		return ps_error_set(err, PS_EPARSE, "'%s' is no private key in PEM: %s",
				    t->key_path, reason(why, sizeof why));
	bool fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	if (fits)
		return PS_OK;
	ps_error_set(err, PS_EINVAL, "the key '%s' is not the key of the certificate '%s': %s",
		     t->key_path, t->certificate_path, reason(why, sizeof why));
	ps_error_hint(err, "the certificate of the server must come first in its file");
	return PS_EINVAL;
}

static enum ps_status load_client_ca(const struct ps_net_tls *t, SSL_CTX *ctx, struct ps_error *err)
{
	static const unsigned char context[] = "perseus";
	char why[160];
	if (!t->client_ca_path)
		return PS_OK;
	enum ps_status s = readable("certificates of clients' authorities", t->client_ca_path, err);
	if (s != PS_OK)
		return s;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->client_ca_path);
	if (!names || SSL_CTX_load_verify_file(ctx, t->client_ca_path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return ps_error_set(err, PS_EPARSE, "'%s' holds no certificates in PEM: %s",
				    t->client_ca_path, reason(why, sizeof why));
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	/* A session that is taken up again must come from this very server's settings. */
	SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
	SSL_CTX_set_verify(
		ctx, SSL_VERIFY_PEER | (t->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		NULL);
	return PS_OK;
}

static enum ps_status load(const struct ps_net_tls *t, SSL_CTX **ret_ctx, struct ps_error *err)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx)
		return ps_error_set(err, PS_ENOMEM, "no memory for TLS");
	set_behaviour(ctx, t->only_tls13);
	enum ps_status s = load_certificate(t, ctx, err);
	if (s == PS_OK)
		s = load_key(t, ctx, err);
	if (s == PS_OK)
		s = load_client_ca(t, ctx, err);
	if (s == PS_OK)
		*ret_ctx = ctx;
	else
		SSL_CTX_free(ctx);
	return s;
}

/* --- life --- */

static bool copy(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return !s || *ret;
}

static void free_tls(struct ps_net_tls *t)
{
	SSL_CTX_free(t->ctx);
	free(t->certificate_path);
	free(t->key_path);
	free(t->client_ca_path);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

enum ps_status ps_net_tls_new(const struct ps_net_tls_options *o, struct ps_net_tls **ret_tls,
			      struct ps_error *err)
{
	if (!o->certificate_path || !o->key_path)
		return ps_error_set(err, PS_EINVAL, "TLS needs a certificate and its key");
	if (o->client_required && !o->client_ca_path)
		return ps_error_set(err, PS_EINVAL,
				    "clients' certificates are required, but nothing says whose "
				    "are trusted");
	struct ps_net_tls *t = calloc(1, sizeof *t);
	if (!t)
		return ps_error_set(err, PS_ENOMEM, "no memory for TLS");
	pthread_mutex_init(&t->lock, NULL);
	t->users = 1;
	t->client_required = o->client_required;
	t->only_tls13 = o->only_tls13;
	bool copied = copy(o->certificate_path, &t->certificate_path) &&
		      copy(o->key_path, &t->key_path) &&
		      copy(o->client_ca_path, &t->client_ca_path);
	enum ps_status s =
		copied ? load(t, &t->ctx, err) : ps_error_set(err, PS_ENOMEM, "no memory for TLS");
	if (s == PS_OK)
		*ret_tls = t;
	else
		free_tls(t);
	return s;
}

struct ps_net_tls *ps_net_tls_ref(struct ps_net_tls *t)
{
	pthread_mutex_lock(&t->lock);
	t->users++;
	pthread_mutex_unlock(&t->lock);
	return t;
}

void ps_net_tls_free(struct ps_net_tls *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	int left = --t->users;
	pthread_mutex_unlock(&t->lock);
	if (left == 0)
		free_tls(t);
}

enum ps_status ps_net_tls_reload(struct ps_net_tls *t, struct ps_error *err)
{
	SSL_CTX *fresh = NULL;
	enum ps_status s = load(t, &fresh, err);
	if (s != PS_OK)
		return s;
	pthread_mutex_lock(&t->lock);
	SSL_CTX *old = t->ctx;
	t->ctx = fresh;
	pthread_mutex_unlock(&t->lock);
	SSL_CTX_free(old); /* sessions hold it as long as they need it */
	return PS_OK;
}

static SSL_CTX *context(struct ps_net_tls *t)
{
	pthread_mutex_lock(&t->lock);
	SSL_CTX *ctx = t->ctx;
	SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&t->lock);
	return ctx;
}

SSL *ps_net_tls_session(struct ps_net_tls *t, int fd, enum ps_net_kind kind)
{
	SSL_CTX *ctx = context(t);
	SSL *ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (ssl && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}
	if (ssl) {
		SSL_set_accept_state(ssl);
		SSL_set_app_data(ssl, (void *)(uintptr_t)&protocols[kind]);
	}
	ERR_clear_error();
	return ssl;
}

/* --- what the certificate says --- */

/* Seconds from 1970 to an ASN.1 time, by its distance from the epoch. */
static int64_t epoch_seconds(const ASN1_TIME *at)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool known = epoch && ASN1_TIME_diff(&days, &seconds, epoch, at) == 1;
	ASN1_TIME_free(epoch);
	return known ? (int64_t)days * 86400 + seconds : 0;
}

int64_t ps_net_tls_expires_s(struct ps_net_tls *t)
{
	SSL_CTX *ctx = context(t);
	int64_t at_s = epoch_seconds(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)));
	SSL_CTX_free(ctx);
	return at_s;
}

static void time_text(const ASN1_TIME *at, char *buf, size_t size)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(at, &tm) != 1 || strftime(buf, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		snprintf(buf, size, "an unknown time");
}

const char *ps_net_tls_warning(struct ps_net_tls *t, char *buf, size_t size)
{
	char when[64];
	SSL_CTX *ctx = context(t);
	const X509 *x = SSL_CTX_get0_certificate(ctx);
	buf[0] = '\0';
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
		time_text(X509_get0_notAfter(x), when, sizeof when);
		snprintf(buf, size, "the certificate '%s' expired at %s", t->certificate_path,
			 when);
	} else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0) {
		time_text(X509_get0_notBefore(x), when, sizeof when);
		snprintf(buf, size, "the certificate '%s' is valid only from %s",
			 t->certificate_path, when);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return buf;
}
