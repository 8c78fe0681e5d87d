/* What several threads may share: one prepared request and one context of TLS, each thread with a
 * loop and clients of its own. */
#include "unit/net/client_rig.h"
#include "unit/net/certs.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, CALLS = 60, CLIENTS = 2 };

static struct {
	struct ps_net_client_options o;
	const struct ps_net_prepared *prepared[2]; /* by protocol */
	atomic_int finished, good;
} S;

/* A thread's own. */
struct worker {
	struct ps_evloop *loop;
	struct ps_net_client *clients[CLIENTS];
	struct ps_net_call calls[CLIENTS];
	int left;
};

static void on_done(struct ps_net_call *c)
{
	struct worker *w = c->ctx;
	if (c->outcome == PS_NET_OK && c->http == 200 && c->answer_bytes == 10 + 5)
		atomic_fetch_add(&S.good, 1);
	if (--w->left < CLIENTS) {
		if (w->left == 0)
			ps_evloop_stop(w->loop);
		return;
	}
	if (ps_net_client_send(w->clients[c - w->calls], c, NULL) != PS_OK)
		abort();
}

static void *work(void *arg)
{
	struct worker w = {.left = CALLS};
	(void)arg;
	if (ps_evloop_new(NULL, &w.loop, NULL) != PS_OK)
		abort();
	for (int i = 0; i < CLIENTS; i++) {
		struct ps_net_client_options o = S.o;
		o.protocol = i ? PS_NET_HTTP2 : PS_NET_HTTP1;
		w.calls[i] = (struct ps_net_call){
			.prepared = S.prepared[i], .on_done = on_done, .ctx = &w};
		if (ps_net_client_new(w.loop, &o, &w.clients[i], NULL) != PS_OK ||
		    ps_net_client_send(w.clients[i], &w.calls[i], NULL) != PS_OK)
			abort();
	}
	if (ps_evloop_run(w.loop, NULL) != PS_OK)
		abort();
	for (int i = 0; i < CLIENTS; i++)
		ps_net_client_free(w.clients[i]);
	ps_evloop_free(w.loop);
	atomic_fetch_add(&S.finished, 1);
	return NULL;
}

static void prepare(void)
{
	static const struct iovec body = {"hello", 5};
	for (int i = 0; i < 2; i++) {
		struct ps_net_client_options o = S.o;
		struct ps_net_call like = {
			.method = "POST", .path = "/t", .body = &body, .n_body = 1};
		struct ps_net_prepared *p;
		o.protocol = i ? PS_NET_HTTP2 : PS_NET_HTTP1;
		assert_int_equal(ps_net_prepare(&o, &like, &p, NULL), PS_OK);
		S.prepared[i] = p;
	}
}

static void run_threads(void)
{
	pthread_t threads[THREADS];
	atomic_store(&S.finished, 0);
	atomic_store(&S.good, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
	while (atomic_load(&S.finished) < THREADS)
		rig_turn();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&S.good), THREADS * CALLS);
}

static void threads_share(void **state)
{
	(void)state;
	char dir[] = "/tmp/perseus-client-threads-XXXXXX", cert[64], key[64];
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	struct cert self = make_cert("server", "DNS:localhost", 0, 3600, NULL);
	write_cert(cert, &self);
	write_key(key, &self, NULL);
	free_cert(&self);
	struct ps_net_tls_options so = {.certificate_path = cert, .key_path = key};
	struct ps_net_client_tls_options co = {.ca_path = cert};
	struct ps_net_tls *tls;
	assert_int_equal(ps_net_tls_new(&so, &tls, NULL), PS_OK);
	rig_serve((struct ps_net_server_options){.tls = tls});
	S.o = (struct ps_net_client_options){.address = R.o.address, .host = "localhost"};
	assert_int_equal(ps_net_client_tls_new(&co, &S.o.tls, NULL), PS_OK);
	prepare();
	run_threads();
	for (int i = 0; i < 2; i++)
		ps_net_prepared_free((struct ps_net_prepared *)(uintptr_t)S.prepared[i]);
	ps_net_client_tls_free(S.o.tls);
	ps_net_server_close(R.server);
	R.server = NULL;
	ps_net_tls_free(tls);
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(threads_share, rig_setup, rig_teardown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
