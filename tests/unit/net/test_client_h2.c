/* HTTP/2 of the client with our own server: many calls at once, what bounds them, their instants.
 */
#include "unit/net/client_rig.h"

static int setup(void **state)
{
	int r = rig_setup(state);
	R.o.protocol = PS_NET_HTTP2;
	return r;
}

static void one_call(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/a");
	rig_send(c);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->http, 200);
	assert_string_equal(R.calls[0].body, "GET /a 0:");
	assert_string_equal(ps_net_header_get(c->answer_headers, c->n_answer_headers, "x-echo"),
			    "yes");
	assert_true(R.http2 && !R.secure);
	assert_true(c->connected_ns > 0 && !c->reused);
	assert_int_equal(c->grpc_status, -1);
	rig_check_instants(c);
	rig_send(c);
	rig_until(&R.done, 2);
	assert_true(c->reused && c->connected_ns == 0);
	rig_check_instants(c);
}

static void redirects_are_reported(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	for (int h2 = 0; h2 < 2; h2++) {
		R.o.protocol = h2 ? PS_NET_HTTP2 : PS_NET_HTTP1;
		ps_net_client_free(R.client);
		rig_client();
		struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/moved");
		rig_send(c);
		rig_until(&R.done, h2 + 1);
		assert_int_equal(c->outcome, PS_NET_OK);
		assert_int_equal(c->http, 302);
		assert_string_equal(
			ps_net_header_get(c->answer_headers, c->n_answer_headers, "location"),
			"/elsewhere");
		assert_int_equal(R.requests, h2 + 1);
	}
}

/* All that is said in one round of the loop leaves in one write. */
static void many_calls_share_a_write(void **state)
{
	(void)state;
	enum { N = 100 };
	struct ps_net_client_stats before, after;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/first"));
	rig_until(&R.done, 1);
	ps_net_client_get_stats(R.client, &before);
	assert_int_equal(ps_net_client_room(R.client), N);
	R.hold = true;
	for (int i = 0; i < N; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/many"));
	assert_int_equal(ps_net_client_calls(R.client), N);
	assert_int_equal(ps_net_client_room(R.client), 0);
	assert_int_equal(ps_net_client_send(R.client, rig_call(N, PS_NET_CALL_HTTP, "/"), NULL),
			 PS_EUNAVAIL);
	rig_turn();
	ps_net_client_get_stats(R.client, &after);
	assert_int_equal(after.writes - before.writes, 1);
	for (int i = 0; i < N; i++) {
		assert_true(R.calls[i].call.sent_ns > 0);
		assert_int_equal(R.calls[i].call.sent_ns, R.calls[0].call.sent_ns);
		assert_int_equal(R.calls[i].call.sent_all_ns, R.calls[0].call.sent_all_ns);
	}
	rig_until(&R.requests, N + 1);
	rig_release();
	rig_until(&R.done, N + 1);
	for (int i = 0; i < N; i++) {
		assert_int_equal(R.calls[i].call.outcome, PS_NET_OK);
		assert_string_equal(R.calls[i].body, "GET /many 0:");
		rig_check_instants(&R.calls[i].call);
	}
	assert_int_equal(ps_net_client_calls(R.client), 0);
}

static void the_servers_bound_is_kept(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){.max_streams = 3});
	rig_client();
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 1);
	R.hold = true;
	assert_int_equal(ps_net_client_room(R.client), 3);
	for (int i = 0; i < 3; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	assert_int_equal(ps_net_client_room(R.client), 0);
	rig_until(&R.requests, 4);
	rig_release();
	rig_until(&R.done, 4);
	assert_int_equal(ps_net_client_room(R.client), 3);
}

/* Sent before the server's SETTINGS are known: those over its bound wait, and say so. */
static void early_calls_wait_for_the_bound(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){.max_streams = 2});
	rig_client();
	for (int i = 0; i < 6; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 6);
	int refused = 0;
	for (int i = 0; i < 6; i++) {
		const struct ps_net_call *c = &R.calls[i].call;
		/* The server may have refused those that it had not allowed yet. */
		if (c->outcome == PS_NET_GOAWAY)
			refused++;
		else
			assert_int_equal(c->outcome, PS_NET_OK);
	}
	assert_int_equal(refused + R.requests, 6);
}

static void large_bodies_go_both_ways(void **state)
{
	(void)state;
	static char body[3 << 20];
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (char)('a' + i % 23);
	struct iovec pieces[] = {{body, 10}, {body + 10, 0}, {body + 10, sizeof body - 10}};
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	for (int i = 0; i < 3; i++) {
		struct ps_net_call *c = rig_call(i, PS_NET_CALL_HTTP, "/large");
		c->method = "POST";
		c->body = pieces;
		c->n_body = 3;
		rig_send(c);
	}
	rig_until(&R.done, 3);
	for (int i = 0; i < 3; i++) {
		const struct ps_net_call *c = &R.calls[i].call;
		static const char head[] = "POST /large 3145728:";
		size_t n = sizeof head - 1;
		assert_int_equal(c->outcome, PS_NET_OK);
		assert_int_equal(c->answer_bytes, n + sizeof body);
		assert_memory_equal(R.calls[i].body, head, n);
		assert_memory_equal(R.calls[i].body + n, body, sizeof body);
		assert_true(c->sent_all_ns > c->sent_ns);
		assert_true(c->done_ns > c->first_byte_ns);
	}
}

static void deadlines_end_calls_alone(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	R.hold = true;
	for (int i = 0; i < 3; i++) {
		struct ps_net_call *c = rig_call(i, PS_NET_CALL_HTTP, "/");
		c->deadline_ns = i == 1 ? ps_clock_now_ns() + 30 * PS_NS_PER_MS : 0;
		rig_send(c);
	}
	rig_until(&R.done, 1);
	const struct ps_net_call *late = &R.calls[1].call;
	assert_int_equal(late->outcome, PS_NET_TIMEOUT);
	assert_true(late->done_ns >= late->deadline_ns && late->sent_ns > 0);
	assert_true(ps_net_client_is_connected(R.client));
	rig_until(&R.requests, 3);
	rig_release();
	rig_until(&R.done, 3);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_int_equal(R.calls[2].call.outcome, PS_NET_OK);
}

static void one_call_is_cancelled(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	R.hold = true;
	for (int i = 0; i < 2; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.requests, 2);
	ps_net_call_cancel(&R.calls[0].call);
	assert_int_equal(R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_CANCELLED);
	ps_net_call_cancel(&R.calls[0].call); /* not under way: nothing */
	rig_release();
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_true(ps_net_client_is_connected(R.client));
}

/* The bytes that are on their way when a call ends must not be read from its memory. */
static void cancelled_while_being_sent(void **state)
{
	(void)state;
	char *body = malloc(8 << 20);
	memset(body, 'x', 8 << 20);
	struct iovec piece = {body, 8 << 20};
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->method = "POST";
	c->body = &piece;
	c->n_body = 1;
	rig_send(c);
	for (int i = 0; i < 1000 && !c->sent_ns; i++)
		rig_turn();
	assert_true(c->sent_ns > 0 && c->sent_all_ns == 0);
	ps_net_call_cancel(c);
	free(body);
	assert_int_equal(c->outcome, PS_NET_CANCELLED);
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/next"));
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_true(R.calls[1].call.reused);
}

static void all_are_cancelled(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	R.hold = true;
	for (int i = 0; i < 5; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.requests, 5);
	ps_net_client_cancel(R.client);
	assert_int_equal(R.done, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(R.calls[i].call.outcome, PS_NET_CANCELLED);
	assert_int_equal(ps_net_client_calls(R.client), 0);
	assert_false(ps_net_client_is_connected(R.client));
}

static void drained(void *ctx)
{
	*(int *)ctx += 1;
}

/* GOAWAY: what is under way is finished, the next call opens another connection. */
static void a_server_that_drains(void **state)
{
	(void)state;
	int over = 0;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	R.hold = true;
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.requests, 1);
	ps_net_server_drain(R.server, drained, &over);
	for (int i = 0; i < 10; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 99); /* on the next connection */
	rig_release();
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	rig_until(&over, 1);
	for (int i = 0; i < 1000 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_false(ps_net_client_is_connected(R.client));
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_REFUSED);
}

static void nobody_listens(void **state)
{
	(void)state;
	rig_listen();
	close(R.listener);
	R.listener = -1;
	rig_client();
	for (int i = 0; i < 3; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_until(&R.done, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(R.calls[i].call.outcome, PS_NET_REFUSED);
		assert_int_equal(R.calls[i].call.sent_ns, 0);
	}
}

static void again(struct ps_net_call *c)
{
	rig_on_done(c);
	if (R.done < 50)
		rig_send(c);
}

static void sent_again_inside_on_done(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	for (int i = 0; i < 4; i++) {
		struct ps_net_call *c = rig_call(i, PS_NET_CALL_HTTP, "/");
		c->on_done = again;
		rig_send(c);
	}
	rig_until(&R.done, 53);
	for (int i = 0; i < 4; i++)
		assert_int_equal(R.calls[i].call.outcome, PS_NET_OK);
}

static void free_it(struct ps_net_call *c)
{
	rig_on_done(c);
	ps_net_client_free(R.client);
	R.client = NULL;
}

static void freed_inside_on_done(void **state)
{
	(void)state;
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	for (int i = 0; i < 4; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	R.calls[1].call.on_done = free_it;
	rig_until(&R.done, 4);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_int_equal(R.calls[3].call.outcome, PS_NET_CANCELLED);
}

static void bad_calls_are_refused(void **state)
{
	(void)state;
	static const struct ps_net_header bad[] = {
		{"Connection", "close"}, {"te", "trailers"}, {"a b", "c"}, {"", "c"},
		{"a", "b\r\nc"},	 {":path", "/"},     {"Host", "h"}};
	rig_serve((struct ps_net_server_options){0});
	rig_client();
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->n_headers = 1;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		c->headers = &bad[i];
		assert_int_equal(ps_net_client_send(R.client, c, NULL), PS_EINVAL);
	}
	assert_int_equal(ps_net_client_calls(R.client), 0);
}

static void unix_sockets_serve(void **state)
{
	(void)state;
	char path[] = "/tmp/perseus-client-XXXXXX";
	assert_non_null(mkdtemp(path));
	char sock[64];
	snprintf(sock, sizeof sock, "%s/s", path);
	rig_serve((struct ps_net_server_options){.unix_path = sock});
	assert_int_equal(ps_net_address_unix(sock, &R.o.address, NULL), PS_OK);
	R.o.kernel_timestamps = true;
	for (int h2 = 0; h2 < 2; h2++) {
		R.o.protocol = h2 ? PS_NET_HTTP2 : PS_NET_HTTP1;
		ps_net_client_free(R.client);
		rig_client();
		struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/u");
		rig_send(c);
		rig_until(&R.done, h2 + 1);
		assert_int_equal(c->outcome, PS_NET_OK);
		assert_int_equal(c->first_byte_kernel_ns, -1);
		assert_int_equal(R.http2, h2);
	}
	ps_net_server_close(R.server);
	R.server = NULL;
	ps_net_client_free(R.client);
	rig_client();
	rig_send(rig_call(0, PS_NET_CALL_HTTP, "/u"));
	rig_until(&R.done, 3);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_REFUSED);
	unlink(sock);
	rmdir(path);
}

/* Prepared once, sent on any connection; the same bytes as made anew. */
static void prepared_requests(void **state)
{
	(void)state;
	static char large[100000];
	memset(large, 'y', sizeof large);
	rig_serve((struct ps_net_server_options){0});
	for (int i = 0; i < 4; i++) {
		struct iovec piece = {large, i / 2 ? sizeof large : 5};
		struct ps_net_header header = {"X-A", "b"};
		struct ps_net_prepared *p;
		R.o.protocol = i % 2 ? PS_NET_HTTP2 : PS_NET_HTTP1;
		R.o.host = "h:1";
		ps_net_client_free(R.client);
		rig_client();
		struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/p");
		c->method = "POST";
		c->headers = &header;
		c->n_headers = 1;
		c->body = &piece;
		c->n_body = 1;
		assert_int_equal(ps_net_prepare(&R.o, c, &p, NULL), PS_OK);
		assert_int_equal(ps_net_prepared_bytes(p), piece.iov_len);
		for (int k = 0; k < 3; k++) {
			struct ps_net_call *again_c = rig_call(k, PS_NET_CALL_HTTP, NULL);
			again_c->prepared = p;
			rig_send(again_c);
			rig_until(&R.done, 3 * i + k + 1);
			assert_int_equal(again_c->outcome, PS_NET_OK);
			assert_int_equal(again_c->answer_bytes, piece.iov_len + (i / 2 ? 15 : 10));
		}
		/* For another protocol it is refused. */
		struct ps_net_client *other;
		R.o.protocol = i % 2 ? PS_NET_HTTP1 : PS_NET_HTTP2;
		assert_int_equal(ps_net_client_new(R.loop, &R.o, &other, NULL), PS_OK);
		c = rig_call(5, PS_NET_CALL_HTTP, NULL);
		c->prepared = p;
		assert_int_equal(ps_net_client_send(other, c, NULL), PS_EINVAL);
		ps_net_client_free(other);
		ps_net_prepared_free(p);
	}
}

/* Bytes that lie in the socket while the thread is elsewhere: the kernel knows when they came. */
static void the_kernel_tells_when_bytes_came(void **state)
{
	(void)state;
	rig_listen();
	R.o.protocol = PS_NET_HTTP1;
	R.o.kernel_timestamps = true;
	rig_client();
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	rig_send(c);
	for (int i = 0; i < 1000 && R.n_got == 0; i++)
		rig_turn();
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	assert_int_equal(send(R.peer, answer, sizeof answer - 1, 0), sizeof answer - 1);
	int64_t sent_ns = ps_clock_now_ns();
	usleep(20000); /* what is measured, not waited for */
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_true(c->first_byte_ns - sent_ns >= 20 * PS_NS_PER_MS);
	if (c->first_byte_kernel_ns < 0)
		skip(); /* this kernel gives no stamps */
	assert_true(c->first_byte_kernel_ns > c->sent_ns);
	assert_true(c->first_byte_ns - c->first_byte_kernel_ns > 19 * PS_NS_PER_MS);
	assert_int_equal(c->done_kernel_ns, c->first_byte_kernel_ns);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_call),
		T(redirects_are_reported),
		T(many_calls_share_a_write),
		T(the_servers_bound_is_kept),
		T(early_calls_wait_for_the_bound),
		T(large_bodies_go_both_ways),
		T(deadlines_end_calls_alone),
		T(one_call_is_cancelled),
		T(cancelled_while_being_sent),
		T(all_are_cancelled),
		T(a_server_that_drains),
		T(nobody_listens),
		T(sent_again_inside_on_done),
		T(freed_inside_on_done),
		T(bad_calls_are_refused),
		T(the_kernel_tells_when_bytes_came),
		T(unix_sockets_serve),
		T(prepared_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
