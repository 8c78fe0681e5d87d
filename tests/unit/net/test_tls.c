/* TLS: certificates good and bad, handshakes, large bodies, clients' certificates, reloading. */
#include "unit/net/echo.h"
#include "unit/net/certs.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* --- files --- */

static struct {
	char dir[64], cert[96], key[96], ca[96], other_cert[96], other_key[96], locked_key[96],
		old_cert[96], early_cert[96], text[96];
	struct cert authority, server, other, old, early;
} P;

static void path_in(char *path, const char *name)
{
	snprintf(path, 96, "%s/%s", P.dir, name);
}

static int make_files(void **state)
{
	(void)state;
	strcpy(P.dir, "/tmp/perseus-tls-XXXXXX");
	if (!mkdtemp(P.dir))
		return -1;
	path_in(P.cert, "cert.pem");
	path_in(P.key, "key.pem");
	path_in(P.ca, "ca.pem");
	path_in(P.other_cert, "other.pem");
	path_in(P.other_key, "other-key.pem");
	path_in(P.locked_key, "locked-key.pem");
	path_in(P.old_cert, "old.pem");
	path_in(P.early_cert, "early.pem");
	path_in(P.text, "text.pem");
	P.authority = make_cert("authority", NULL, 0, 3600, NULL);
	P.server = make_cert("server", "DNS:localhost", 0, 3600, &P.authority);
	P.other = make_cert("other", NULL, 0, 3600, &P.authority);
	P.old = make_cert("old", NULL, -7200, -3600, &P.authority);
	P.early = make_cert("early", NULL, 3600, 7200, &P.authority);
	write_cert(P.ca, &P.authority);
	write_cert(P.cert, &P.server);
	write_key(P.key, &P.server, NULL);
	write_cert(P.other_cert, &P.other);
	write_key(P.other_key, &P.other, NULL);
	write_key(P.locked_key, &P.server, "secret");
	FILE *f = fopen(P.text, "w");
	fputs("this is no PEM\n", f);
	fclose(f);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	const char *paths[] = {P.cert,	     P.key,	 P.ca,	       P.other_cert, P.other_key,
			       P.locked_key, P.old_cert, P.early_cert, P.text};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		unlink(paths[i]);
	rmdir(P.dir);
	free_cert(&P.authority);
	free_cert(&P.server);
	free_cert(&P.other);
	free_cert(&P.old);
	free_cert(&P.early);
	return 0;
}

static struct ps_net_tls *new_tls(const struct ps_net_tls_options *o)
{
	struct ps_net_tls *tls = NULL;
	struct ps_error err;
	if (ps_net_tls_new(o, &tls, &err) != PS_OK)
		fail_msg("%s (%s)", err.what, err.hint);
	return tls;
}

static void bad_files_are_named(void **state)
{
	(void)state;
	const struct {
		struct ps_net_tls_options o;
		enum ps_status status;
		const char *what; /* in the message */
	} rows[] = {
		{{.certificate_path = "/nonexistent.pem", .key_path = P.key},
		 PS_ENOTFOUND,
		 "cannot read the certificate '/nonexistent.pem'"},
		{{.certificate_path = P.cert, .key_path = "/nonexistent.pem"},
		 PS_ENOTFOUND,
		 "cannot read the key '/nonexistent.pem'"},
		{{.certificate_path = P.text, .key_path = P.key}, PS_EPARSE, "is no certificate"},
		{{.certificate_path = P.key, .key_path = P.key}, PS_EPARSE, "is no certificate"},
		{{.certificate_path = P.cert, .key_path = P.text}, PS_EPARSE, "is no private key"},
		{{.certificate_path = P.cert, .key_path = P.cert}, PS_EPARSE, "is no private key"},
		{{.certificate_path = P.cert, .key_path = P.locked_key}, PS_EPARSE, "is encrypted"},
		{{.certificate_path = P.cert, .key_path = P.other_key},
		 PS_EINVAL,
		 "is not the key of the certificate"},
		{{.certificate_path = P.cert, .key_path = P.key, .client_ca_path = P.text},
		 PS_EPARSE,
		 "holds no certificates"},
		{{.certificate_path = P.cert, .key_path = P.key, .client_ca_path = "/nonexistent"},
		 PS_ENOTFOUND,
		 "authorities"},
		{{.certificate_path = P.cert, .key_path = P.key, .client_required = true},
		 PS_EINVAL,
		 "nothing says whose"},
		{{.certificate_path = P.cert}, PS_EINVAL, "and its key"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_net_tls *tls;
		struct ps_error err;
		enum ps_status s = ps_net_tls_new(&rows[i].o, &tls, &err);
		if (s != rows[i].status || !strstr(err.what, rows[i].what))
			fail_msg("row %zu: %s, '%s'", i, ps_status_name(s), err.what);
	}
}

static void validity_is_told(void **state)
{
	(void)state;
	char text[300];
	write_cert(P.old_cert, &P.old);
	write_key(P.other_key, &P.old, NULL);
	struct ps_net_tls_options o = {.certificate_path = P.old_cert, .key_path = P.other_key};
	struct ps_net_tls *tls = new_tls(&o);
	assert_non_null(strstr(ps_net_tls_warning(tls, text, sizeof text), "expired at 20"));
	ps_net_tls_free(tls);
	write_cert(P.early_cert, &P.early);
	write_key(P.other_key, &P.early, NULL);
	o.certificate_path = P.early_cert;
	tls = new_tls(&o);
	assert_non_null(strstr(ps_net_tls_warning(tls, text, sizeof text), "valid only from 20"));
	ps_net_tls_free(tls);
	write_key(P.other_key, &P.other, NULL);
	o = (struct ps_net_tls_options){.certificate_path = P.cert, .key_path = P.key};
	tls = new_tls(&o);
	assert_string_equal(ps_net_tls_warning(tls, text, sizeof text), "");
	time_t until;
	struct tm tm;
	ASN1_TIME_to_tm(X509_get0_notAfter(P.server.x), &tm);
	until = timegm(&tm);
	assert_int_equal(ps_net_tls_expires_s(tls), until);
	ps_net_tls_free(tls);
}

/* --- a client --- */

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
};

static struct client client_of(const char *alpn, const struct cert *own)
{
	struct client c = {.fd = dial(), .ctx = SSL_CTX_new(TLS_client_method())};
	X509_STORE_add_cert(SSL_CTX_get_cert_store(c.ctx), P.authority.x);
	SSL_CTX_set_verify(c.ctx, SSL_VERIFY_PEER, NULL);
	if (own) {
		assert_int_equal(SSL_CTX_use_certificate(c.ctx, own->x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c.ctx, own->key), 1);
	}
	c.ssl = SSL_new(c.ctx);
	if (alpn)
		SSL_set_alpn_protos(c.ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	SSL_set_fd(c.ssl, c.fd);
	SSL_set_connect_state(c.ssl);
	return c;
}

static void hang_up(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	ERR_clear_error();
}

/* What OpenSSL says of one step, after the server had its turns. */
static int step_error(struct client *c, int r)
{
	int e = SSL_get_error(c->ssl, r);
	ERR_clear_error();
	turn();
	return e;
}

static bool again(int e)
{
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static bool shake(struct client *c)
{
	for (int i = 0; i < 5000; i++) {
		int r = SSL_do_handshake(c->ssl);
		if (r == 1)
			return true;
		if (!again(step_error(c, r)))
			return false;
	}
	fail_msg("the handshake does not end");
	return false;
}

static void put(struct client *c, const char *bytes, size_t n)
{
	while (n > 0) {
		int r = SSL_write(c->ssl, bytes, (int)n);
		if (r > 0) {
			bytes += r;
			n -= (size_t)r;
		} else {
			assert_true(again(step_error(c, r)));
		}
	}
}

/* Reads until `want` bytes came or the server ended; returns the count. *ret_end is what ended. */
static size_t take(struct client *c, char *buf, size_t want, int *ret_end)
{
	size_t have = 0;
	*ret_end = SSL_ERROR_NONE;
	for (int i = 0; have < want && i < 200000; i++) {
		int r = SSL_read(c->ssl, buf + have, (int)(want - have));
		if (r > 0) {
			have += (size_t)r;
			continue;
		}
		int e = step_error(c, r);
		if (!again(e)) {
			*ret_end = e;
			break;
		}
	}
	return have;
}

static void want_answer(struct client *c, const char *request, const char *want)
{
	char buf[4096];
	size_t have = 0;
	put(c, request, strlen(request));
	for (int i = 0; i < 5000; i++) {
		int r = SSL_read(c->ssl, buf + have, (int)(sizeof buf - 1 - have));
		have += r > 0 ? (size_t)r : 0;
		buf[have] = '\0';
		if (strstr(buf, want))
			return;
		if (r <= 0 && !again(step_error(c, r)))
			break;
	}
	fail_msg("wanted '%s', got '%.*s'", want, (int)have, buf);
}

static void serve_tls(struct ps_net_tls *tls)
{
	struct ps_net_server_options o = {.tls = tls};
	open_server(&o);
}

static struct ps_net_server_stats stats_now(void)
{
	struct ps_net_server_stats s;
	ps_net_server_get_stats(F.server, &s);
	return s;
}

static const struct ps_net_tls_options *plain_options(void)
{
	static struct ps_net_tls_options o;
	o = (struct ps_net_tls_options){.certificate_path = P.cert, .key_path = P.key};
	return &o;
}

static const char get[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/* --- handshakes --- */

static void protocols_are_negotiated(void **state)
{
	(void)state;
	static const struct {
		enum ps_net_kind kind;
		const char *offer, *want; /* want NULL: refused; "": nothing chosen */
	} rows[] = {
		{PS_NET_KIND_HTTP, "\x08http/1.1", "http/1.1"},
		{PS_NET_KIND_HTTP, "\x02h2\x08http/1.1", "h2"},
		{PS_NET_KIND_HTTP, "\x08http/1.1\x02h2", "h2"},
		{PS_NET_KIND_HTTP, NULL, ""},
		{PS_NET_KIND_HTTP, "\x06spdy/3", NULL},
		{PS_NET_KIND_HTTP1, "\x02h2\x08http/1.1", "http/1.1"},
		{PS_NET_KIND_HTTP2, "\x02h2\x08http/1.1", "h2"},
		{PS_NET_KIND_HTTP2, "\x08http/1.1", NULL},
	};
	struct ps_net_tls *tls = new_tls(plain_options());
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_net_server_options o = {.tls = tls, .kind = rows[i].kind};
		const unsigned char *name;
		unsigned n;
		open_server(&o);
		struct client c = client_of(rows[i].offer, NULL);
		bool done = shake(&c);
		SSL_get0_alpn_selected(c.ssl, &name, &n);
		if (done != (rows[i].want != NULL) ||
		    (done &&
		     (n != strlen(rows[i].want) || (n > 0 && memcmp(name, rows[i].want, n) != 0))))
			fail_msg("row %zu: %d '%.*s'", i, done, (int)n, name);
		if (done && rows[i].kind != PS_NET_KIND_HTTP2 && (n == 0 || n == 8))
			want_answer(&c, get, "GET /a? 0:");
		hang_up(&c);
	}
	ps_net_tls_free(tls);
}

static void old_protocols_are_refused(void **state)
{
	(void)state;
	struct ps_net_tls *tls = new_tls(plain_options());
	serve_tls(tls);
	for (int version = TLS1_1_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = client_of(NULL, NULL);
		SSL_set_security_level(c.ssl, 0);
		SSL_set_min_proto_version(c.ssl, version);
		SSL_set_max_proto_version(c.ssl, version);
		assert_int_equal(shake(&c), version >= TLS1_2_VERSION);
		hang_up(&c);
	}
	ps_net_tls_free(tls);
	struct ps_net_tls_options o = *plain_options();
	o.only_tls13 = true;
	tls = new_tls(&o);
	serve_tls(tls);
	struct client c = client_of(NULL, NULL);
	SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
	assert_false(shake(&c));
	hang_up(&c);
	ps_net_tls_free(tls);
}

/* A client of TLS 1.2 may ask to negotiate anew, as often as it likes: it is not heard. */
static void renegotiation_is_refused(void **state)
{
	(void)state;
	struct ps_net_tls *tls = new_tls(plain_options());
	serve_tls(tls);
	struct client c = client_of(NULL, NULL);
	SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
	assert_true(shake(&c));
	want_answer(&c, get, "GET /a? 0:");
	assert_int_equal(SSL_renegotiate(c.ssl), 1);
	bool done = true;
	for (int i = 0; i < 100 && done; i++) {
		int r = SSL_do_handshake(c.ssl);
		done = r == 1 || again(step_error(&c, r));
	}
	assert_false(done && !SSL_renegotiate_pending(c.ssl));
	hang_up(&c);
	ps_net_tls_free(tls);
}

static void silent_and_clear_clients_are_closed(void **state)
{
	(void)state;
	char buf[1000];
	struct ps_net_tls *tls = new_tls(plain_options());
	serve_tls(tls);
	int fd = dial();
	for (int i = 0; i < 50; i++)
		turn();
	F.clock.now_ns += 10 * PS_NS_PER_SEC - 1;
	turn();
	assert_int_equal(stats_now().open, 1);
	F.clock.now_ns += 2;
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	close(fd);
	fd = dial();
	send_all(fd, get, sizeof get - 1);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_int_equal(stats_now().handshakes_failed, 1);
	assert_int_equal(stats_now().handshakes, 0);
	close(fd);
	ps_net_tls_free(tls);
}

/* --- bytes --- */

static void large_bodies_pass_both_ways(void **state)
{
	(void)state;
	enum { BYTES = 5000000 };
	char *body = malloc(BYTES), *got = malloc(BYTES + 4096), head[200];
	struct ps_net_tls *tls = new_tls(plain_options());
	int end;
	for (size_t i = 0; i < BYTES; i++)
		body[i] = (char)(i * 31 + i / 4099);
	serve_tls(tls);
	for (int round = 0; round < 2; round++) {
		struct client c = client_of(NULL, NULL);
		assert_true(shake(&c));
		int n = snprintf(head, sizeof head,
				 "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
				 "Inference-Header-Content-Length: 7\r\nContent-Length: %d\r\n\r\n",
				 BYTES);
		put(&c, head, (size_t)n);
		/* Once as fast as it goes, once in small records. */
		for (size_t at = 0; at < BYTES;) {
			size_t part = round == 0 ? BYTES : 777 + at % 3000;
			part = part < BYTES - at ? part : BYTES - at;
			put(&c, body + at, part);
			at += part;
		}
		size_t have = take(&c, got, BYTES + 4096, &end);
		assert_int_equal(end, SSL_ERROR_ZERO_RETURN); /* close_notify came */
		assert_true(have > BYTES);
		assert_memory_equal(got + have - BYTES, body, BYTES);
		hang_up(&c);
	}
	assert_int_equal(F.aligned, 2);
	ps_net_tls_free(tls);
	free(body);
	free(got);
}

/* Many requests in one record: TLS holds bytes that no descriptor tells of. */
static void pipelined_requests_in_one_record(void **state)
{
	(void)state;
	enum { REQUESTS = 500 };
	static char all[REQUESTS * (sizeof get - 1)];
	static char got[REQUESTS * 200];
	int end;
	struct ps_net_tls *tls = new_tls(plain_options());
	for (size_t i = 0; i < REQUESTS; i++)
		memcpy(all + i * (sizeof get - 1), get, sizeof get - 1);
	serve_tls(tls);
	struct client c = client_of(NULL, NULL);
	assert_true(shake(&c));
	put(&c, all, sizeof all);
	SSL_shutdown(c.ssl);
	size_t have = take(&c, got, sizeof got - 1, &end);
	got[have] = '\0';
	int answers = 0;
	for (const char *s = got; (s = strstr(s, "GET /a? 0:")) != NULL; s++)
		answers++;
	assert_int_equal(answers, REQUESTS);
	hang_up(&c);
	ps_net_tls_free(tls);
}

/* --- clients' certificates --- */

static void clients_are_known_by_certificate(void **state)
{
	(void)state;
	struct cert alice = make_cert("alice",
				      "DNS:alice.example,URI:spiffe://example/alice,email:a@b.c,"
				      "IP:127.0.0.1",
				      0, 3600, &P.authority);
	struct cert stranger = make_cert("alice", NULL, 0, 3600, NULL);
	struct cert late = make_cert("alice", NULL, -7200, -3600, &P.authority);
	for (int required = 0; required < 2; required++) {
		struct ps_net_tls_options o = *plain_options();
		o.client_ca_path = P.ca;
		o.client_required = required;
		struct ps_net_tls *tls = new_tls(&o);
		serve_tls(tls);
		F.hold = true;
		F.requests = 0;
		struct client c = client_of(NULL, &alice);
		assert_true(shake(&c));
		put(&c, get, sizeof get - 1);
		for (int i = 0; i < 1000 && F.requests == 0; i++)
			turn();
		const struct ps_net_identity *id = F.held->identity;
		assert_true(F.held->secure);
		assert_non_null(id);
		assert_string_equal(id->subject, "CN=alice,O=Perseus");
		assert_string_equal(id->common_name, "alice");
		assert_int_equal(id->n_names, 3);
		assert_string_equal(id->names[0], "alice.example");
		assert_string_equal(id->names[1], "spiffe://example/alice");
		assert_string_equal(id->names[2], "a@b.c");
		echo(F.held);
		hang_up(&c);
		F.hold = false;
		const struct cert *bad[] = {&stranger, &late, NULL};
		for (size_t i = 0; i < 3; i++) {
			uint64_t before = stats_now().handshakes;
			c = client_of(NULL, bad[i]);
			(void)shake(&c); /* TLS 1.3 tells of the refusal only afterwards */
			for (int k = 0; k < 50; k++)
				turn();
			bool expected = !bad[i] && !required;
			assert_int_equal(stats_now().handshakes - before, expected);
			if (expected)
				want_answer(&c, get, "GET /a? 0:");
			hang_up(&c);
		}
		ps_net_tls_free(tls);
	}
	free_cert(&alice);
	free_cert(&stranger);
	free_cert(&late);
}

/* --- reloading --- */

static void want_subject(struct client *c, const char *cn)
{
	char text[100];
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, text, sizeof text);
	assert_string_equal(text, cn);
	X509_free(x);
}

static void certificates_are_swapped_whole(void **state)
{
	(void)state;
	struct ps_error err;
	struct ps_net_tls *tls = new_tls(plain_options());
	serve_tls(tls);
	struct client before = client_of(NULL, NULL);
	assert_true(shake(&before));
	want_subject(&before, "server");
	/* Half of a change: refused, and the old pair stays. */
	write_cert(P.cert, &P.other);
	assert_int_equal(ps_net_tls_reload(tls, &err), PS_EINVAL);
	struct client between = client_of(NULL, NULL);
	assert_true(shake(&between));
	want_subject(&between, "server");
	write_key(P.key, &P.other, NULL);
	assert_int_equal(ps_net_tls_reload(tls, &err), PS_OK);
	struct client after = client_of(NULL, NULL);
	assert_true(shake(&after));
	want_subject(&after, "other");
	want_answer(&before, get, "GET /a? 0:");
	want_answer(&between, get, "GET /a? 0:");
	want_answer(&after, get, "GET /a? 0:");
	hang_up(&before);
	hang_up(&between);
	hang_up(&after);
	ps_net_tls_free(tls);
	write_cert(P.cert, &P.server);
	write_key(P.key, &P.server, NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_named), cmocka_unit_test(validity_is_told),
		T(protocols_are_negotiated),	       T(old_protocols_are_refused),
		T(renegotiation_is_refused),	       T(silent_and_clear_clients_are_closed),
		T(large_bodies_pass_both_ways),	       T(pipelined_requests_in_one_record),
		T(clients_are_known_by_certificate),   T(certificates_are_swapped_whole),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
