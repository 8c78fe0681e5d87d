/* TLS of the client: whom it trusts, who it is, what it speaks, and that instants stay what they
 * are. */
#include "unit/net/client_rig.h"
#include "unit/net/certs.h"

#include <openssl/ssl.h>

static struct {
	char dir[64], ca[96], cert[96], key[96], client_cert[96], client_key[96], locked[96],
		text[96], old_cert[96], old_key[96];
	struct cert authority, server, client, old;
} P;

static void path_in(char *path, const char *name)
{
	snprintf(path, 96, "%s/%s", P.dir, name);
}

static int make_files(void **state)
{
	(void)state;
	strcpy(P.dir, "/tmp/perseus-client-tls-XXXXXX");
	if (!mkdtemp(P.dir))
		return -1;
	path_in(P.ca, "ca.pem");
	path_in(P.cert, "cert.pem");
	path_in(P.key, "key.pem");
	path_in(P.client_cert, "client.pem");
	path_in(P.client_key, "client-key.pem");
	path_in(P.locked, "locked.pem");
	path_in(P.text, "text.pem");
	path_in(P.old_cert, "old.pem");
	path_in(P.old_key, "old-key.pem");
	P.authority = make_cert("authority", NULL, 0, 3600, NULL);
	P.server = make_cert("server", "DNS:localhost,IP:127.0.0.1", 0, 3600, &P.authority);
	P.client = make_cert("alice", NULL, 0, 3600, &P.authority);
	P.old = make_cert("old", "DNS:localhost", -7200, -3600, &P.authority);
	write_cert(P.ca, &P.authority);
	write_cert(P.cert, &P.server);
	write_key(P.key, &P.server, NULL);
	write_cert(P.client_cert, &P.client);
	write_key(P.client_key, &P.client, NULL);
	write_key(P.locked, &P.client, "secret");
	write_cert(P.old_cert, &P.old);
	write_key(P.old_key, &P.old, NULL);
	FILE *f = fopen(P.text, "w");
	fputs("this is no PEM\n", f);
	fclose(f);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	const char *paths[] = {P.ca,	 P.cert, P.key,	     P.client_cert, P.client_key,
			       P.locked, P.text, P.old_cert, P.old_key};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		unlink(paths[i]);
	rmdir(P.dir);
	free_cert(&P.authority);
	free_cert(&P.server);
	free_cert(&P.client);
	free_cert(&P.old);
	return 0;
}

/* --- files --- */

static void bad_files_are_named(void **state)
{
	(void)state;
	const struct {
		struct ps_net_client_tls_options o;
		enum ps_status status;
		const char *what;
	} rows[] = {
		{{.ca_path = "/nonexistent.pem"}, PS_ENOTFOUND, "/nonexistent.pem"},
		{{.ca_path = P.text}, PS_EPARSE, "holds no certificates"},
		{{.certificate_path = P.client_cert}, PS_EINVAL, "together"},
		{{.key_path = P.client_key}, PS_EINVAL, "together"},
		{{.certificate_path = P.text, .key_path = P.client_key},
		 PS_EPARSE,
		 "is no certificate"},
		{{.certificate_path = P.client_cert, .key_path = P.text},
		 PS_EPARSE,
		 "cannot be used"},
		{{.certificate_path = P.client_cert, .key_path = P.locked},
		 PS_EPARSE,
		 "cannot be used"},
		{{.certificate_path = P.client_cert, .key_path = P.key},
		 PS_EPARSE,
		 "cannot be used"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_net_client_tls *tls;
		struct ps_error err;
		enum ps_status s = ps_net_client_tls_new(&rows[i].o, &tls, &err);
		if (s != rows[i].status || !strstr(err.what, rows[i].what))
			fail_msg("row %zu: %s, '%s'", i, ps_status_name(s), err.what);
	}
}

/* --- calls --- */

static struct ps_net_tls *server_tls;

static void serve(const char *cert, const char *key, bool clients, enum ps_net_kind kind)
{
	struct ps_net_tls_options to = {.certificate_path = cert,
					.key_path = key,
					.client_ca_path = clients ? P.ca : NULL,
					.client_required = clients};
	assert_int_equal(ps_net_tls_new(&to, &server_tls, NULL), PS_OK);
	rig_serve((struct ps_net_server_options){.tls = server_tls, .kind = kind});
}

static void connect_with(struct ps_net_client_tls_options o)
{
	struct ps_net_client_tls *tls;
	struct ps_error err;
	if (ps_net_client_tls_new(&o, &tls, &err) != PS_OK)
		fail_msg("%s", err.what);
	R.o.tls = tls;
	ps_net_client_free(R.client);
	rig_client();
	ps_net_client_tls_free(tls); /* the client keeps it */
	R.o.tls = NULL;
}

static int teardown(void **state)
{
	int r = rig_teardown(state);
	ps_net_tls_free(server_tls);
	server_tls = NULL;
	return r;
}

static void both_protocols(void **state)
{
	(void)state;
	static char large[2 << 20];
	memset(large, 'q', sizeof large);
	struct iovec piece = {large, sizeof large};
	serve(P.cert, P.key, false, PS_NET_KIND_HTTP);
	R.o.host = "localhost:8443";
	R.o.kernel_timestamps = true;
	for (int h2 = 0; h2 < 2; h2++) {
		R.o.protocol = h2 ? PS_NET_HTTP2 : PS_NET_HTTP1;
		connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
		for (int i = 0; i < 3; i++) {
			struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/a");
			c->method = "POST";
			c->body = &piece;
			c->n_body = i == 1;
			int done = R.done;
			rig_send(c);
			rig_until(&R.done, done + 1);
			if (c->outcome != PS_NET_OK)
				fail_msg("%s: %s", ps_net_outcome_name(c->outcome),
					 ps_net_client_why(R.client));
			size_t want = i == 1 ? 16 + sizeof large : 10;
			assert_int_equal(c->answer_bytes, want);
			assert_memory_equal(R.calls[0].body + want - (i == 1 ? 100 : 0), large,
					    i == 1 ? 100 : 0);
			assert_true(R.secure);
			assert_int_equal(R.http2, h2);
			assert_int_equal(c->reused, i > 0);
			rig_check_instants(c);
		}
	}
}

static void grpc_over_tls(void **state)
{
	(void)state;
	struct iovec piece = {"hello", 5};
	serve(P.cert, P.key, false, PS_NET_KIND_HTTP2);
	R.o.protocol = PS_NET_HTTP2;
	R.o.host = "localhost:1";
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	for (int i = 0; i < 20; i++) {
		struct ps_net_call *c = rig_call(i, PS_NET_CALL_GRPC, "/s/Echo");
		c->body = &piece;
		c->n_body = 1;
		rig_send(c);
	}
	rig_until(&R.done, 20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(R.calls[i].call.outcome, PS_NET_OK);
		assert_int_equal(R.calls[i].call.grpc_status, 0);
		assert_string_equal(R.calls[i].body, "hello");
	}
}

/* Whom the client trusts: the chain, the name, the validity; or nobody needs to be trusted. */
static void trust(void **state)
{
	(void)state;
	const struct {
		const char *host, *server_name, *cert, *key;
		bool ca, insecure;
		enum ps_net_outcome outcome;
		const char *why;
	} rows[] = {
		{"localhost:1", NULL, P.cert, P.key, true, false, PS_NET_OK, ""},
		{"127.0.0.1:1", NULL, P.cert, P.key, true, false, PS_NET_OK, ""},
		{"other:1", "localhost", P.cert, P.key, true, false, PS_NET_OK, ""},
		{"other:1", NULL, P.cert, P.key, true, false, PS_NET_TLS, "mismatch"},
		{"127.0.0.2:1", NULL, P.cert, P.key, true, false, PS_NET_TLS, "mismatch"},
		{"other:1", NULL, P.cert, P.key, true, true, PS_NET_OK, ""},
		{"localhost:1", NULL, P.cert, P.key, false, false, PS_NET_TLS, "not trusted"},
		{"localhost:1", NULL, P.cert, P.key, false, true, PS_NET_OK, ""},
		{"localhost:1", NULL, P.old_cert, P.old_key, true, false, PS_NET_TLS, "expired"},
		{"localhost:1", NULL, P.old_cert, P.old_key, true, true, PS_NET_OK, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		rig_setup(state);
		serve(rows[i].cert, rows[i].key, false, PS_NET_KIND_HTTP);
		R.o.host = rows[i].host;
		R.o.server_name = rows[i].server_name;
		connect_with((struct ps_net_client_tls_options){.ca_path = rows[i].ca ? P.ca : NULL,
								.insecure = rows[i].insecure});
		struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
		rig_send(c);
		rig_until(&R.done, 1);
		const char *why = ps_net_client_why(R.client);
		if (c->outcome != rows[i].outcome || !strstr(why, rows[i].why))
			fail_msg("row %zu: %s, '%s'", i, ps_net_outcome_name(c->outcome), why);
		if (c->outcome == PS_NET_TLS)
			assert_int_equal(c->sent_ns, 0);
		assert_int_equal(R.requests, c->outcome == PS_NET_OK);
		teardown(state);
	}
}

static void clients_are_known(void **state)
{
	(void)state;
	serve(P.cert, P.key, true, PS_NET_KIND_HTTP);
	R.o.host = "localhost:1";
	connect_with((struct ps_net_client_tls_options){
		.ca_path = P.ca, .certificate_path = P.client_cert, .key_path = P.client_key});
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_string_equal(R.identity, "alice");
	/* Without one: TLS 1.3 tells after the client has begun to speak. */
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_TLS);
	assert_non_null(strstr(ps_net_client_why(R.client), "certificate required"));
	assert_int_equal(R.requests, 1);
}

/* What ALPN does not choose is not spoken. */
static void protocols_are_agreed_on(void **state)
{
	(void)state;
	serve(P.cert, P.key, false, PS_NET_KIND_HTTP1);
	R.o.host = "localhost:1";
	R.o.protocol = PS_NET_HTTP2;
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_TLS); /* the server's own refusal */
	assert_non_null(strstr(ps_net_client_why(R.client), "no application protocol"));
}

static void in_the_clear_where_tls_was_meant(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_TLS);
	assert_true(*ps_net_client_why(R.client) != '\0');
}

/* A call's own deadline ends it, not the attempt: the next one may still go. */
static void calls_end_before_the_handshake(void **state)
{
	(void)state;
	rig_listen();
	R.o.protocol = PS_NET_HTTP2;
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	for (int i = 0; i < 2; i++) {
		struct ps_net_call *c = rig_call(i, PS_NET_CALL_HTTP, "/");
		c->deadline_ns = i ? 0 : ps_clock_now_ns() + 20 * PS_NS_PER_MS;
		rig_send(c);
	}
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_CONNECT_TIMEOUT);
	assert_int_equal(ps_net_client_calls(R.client), 1);
	rig_hang_up(true);
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_TLS);
	assert_int_equal(R.calls[1].call.system_errno, ECONNRESET);
}

static void handshakes_end_in_time(void **state)
{
	(void)state;
	rig_listen(); /* and say nothing */
	R.o.connect_timeout_ns = 30 * PS_NS_PER_MS;
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_CONNECT_TIMEOUT);
}

/* The end of the socket without TLS's own end may be anybody's: no answer may be made of it. */
static void cut_connections_are_no_ends(void **state)
{
	(void)state;
	serve(P.cert, P.key, false, PS_NET_KIND_HTTP);
	R.o.host = "localhost:1";
	connect_with((struct ps_net_client_tls_options){.ca_path = P.ca});
	R.hold = true;
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.requests, 1);
	ps_net_server_close(R.server);
	R.server = NULL;
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_RESET);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_named),
		T(both_protocols),
		T(grpc_over_tls),
		cmocka_unit_test(trust),
		T(clients_are_known),
		T(protocols_are_agreed_on),
		T(in_the_clear_where_tls_was_meant),
		T(calls_end_before_the_handshake),
		T(handshakes_end_in_time),
		T(cut_connections_are_no_ends),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
