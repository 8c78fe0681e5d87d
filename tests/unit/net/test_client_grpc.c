/* gRPC of the client with our own server: unary calls, streams, statuses, texts. */
#include "unit/net/client_rig.h"
#include "net/client_h2_internal.h"

static int setup(void **state)
{
	int r = rig_setup(state);
	R.o.protocol = PS_NET_HTTP2;
	R.o.max_body_bytes = 1 << 20;
	rig_serve((struct ps_net_server_options){.max_body_bytes = 8 << 20});
	rig_client();
	return r;
}

static struct ps_net_call *unary(int i, const char *path, struct iovec *piece)
{
	struct ps_net_call *c = rig_call(i, PS_NET_CALL_GRPC, path);
	c->body = piece;
	c->n_body = 1;
	return c;
}

static void unary_calls(void **state)
{
	(void)state;
	static char large[300000];
	memset(large, 'z', sizeof large);
	struct iovec pieces[] = {{"hello", 5}, {"", 0}, {large, sizeof large}};
	struct ps_net_header meta = {"X-Meta", "data"};
	for (int i = 0; i < 3; i++) {
		struct ps_net_call *c = unary(i, "/s/Echo", &pieces[i]);
		c->headers = &meta;
		c->n_headers = 1;
		rig_send(c);
		rig_until(&R.done, i + 1);
		assert_int_equal(c->outcome, PS_NET_OK);
		assert_int_equal(c->http, 200);
		assert_int_equal(c->grpc_status, 0);
		assert_string_equal(c->grpc_message, "");
		assert_int_equal(c->answer_bytes, pieces[i].iov_len);
		assert_memory_equal(R.calls[i].body, pieces[i].iov_base, pieces[i].iov_len);
		assert_string_equal(R.metadata, "data");
		assert_int_equal(R.grpc_deadline_ns, 0);
		assert_string_equal(
			ps_net_header_get(c->answer_trailers, c->n_answer_trailers, "x-after"),
			"all");
		rig_check_instants(c);
	}
}

static void many_at_once(void **state)
{
	(void)state;
	char text[100][8];
	struct iovec pieces[100];
	for (int i = 0; i < 100; i++) {
		pieces[i] = (struct iovec){text[i],
					   (size_t)snprintf(text[i], sizeof text[i], "no. %d", i)};
		rig_send(unary(i, "/s/Echo", &pieces[i]));
	}
	rig_until(&R.done, 100);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(R.calls[i].call.outcome, PS_NET_OK);
		assert_string_equal(R.calls[i].body, text[i]);
	}
}

/* Refused at once: a head that is trailers as well. */
static void trailers_only(void **state)
{
	(void)state;
	struct iovec piece = {"x", 1};
	struct ps_net_call *c = unary(0, "/s/Refused", &piece);
	rig_send(c);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->grpc_status, PS_NET_GRPC_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(c->grpc_message, "100% full\nquota"));
	assert_int_equal(c->answer_bytes, 0);
}

static void no_answer_and_two(void **state)
{
	(void)state;
	struct iovec piece = {"x", 1};
	rig_send(unary(0, "/s/Mute", &piece));
	rig_send(unary(1, "/s/Twice", &piece));
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_MALFORMED);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_MALFORMED);
}

static void messages_have_a_limit(void **state)
{
	(void)state;
	static char large[(1 << 20) + 1];
	struct iovec piece = {large, sizeof large};
	struct ps_net_call *c = unary(0, "/s/Echo", &piece);
	rig_send(c);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_TOO_BIG);
	assert_true(ps_net_client_is_connected(R.client));
	piece.iov_len = 1 << 20;
	c = unary(0, "/s/Echo", &piece);
	rig_send(c);
	rig_until(&R.done, 2);
	assert_int_equal(c->outcome, PS_NET_OK);
}

/* The server hears how long the client waits; the client waits no longer. */
static void time_outs(void **state)
{
	(void)state;
	struct iovec piece = {"x", 1};
	struct ps_net_call *c = unary(0, "/s/Never", &piece);
	int64_t before_ns = ps_clock_now_ns();
	c->grpc_timeout_ns = 3 * PS_NS_PER_SEC;
	c->deadline_ns = before_ns + 30 * PS_NS_PER_MS;
	rig_send(c);
	rig_until(&R.grpc_calls, 1);
	int64_t heard_ns = R.grpc_deadline_ns - before_ns;
	assert_true(heard_ns >= 3 * PS_NS_PER_SEC && heard_ns < 4 * PS_NS_PER_SEC);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_TIMEOUT);
	rig_until(&R.grpc_gone, 1); /* the stream was reset */
	assert_true(ps_net_client_is_connected(R.client));
}

/* An HTTP error that is not of gRPC: the status says what HTTP's means. */
static void not_grpc(void **state)
{
	(void)state;
	ps_net_server_close(R.server);
	struct ps_net_handler h = {.on_request = rig_on_request};
	struct ps_net_server_options o = {0};
	assert_int_equal(ps_net_server_open(R.loop, &o, &h, &R.server, NULL), PS_OK);
	ps_net_server_address(R.server, &R.o.address);
	ps_net_client_free(R.client);
	rig_client();
	struct iovec piece = {"x", 1};
	struct ps_net_call *c = unary(0, "/s/Echo", &piece);
	rig_send(c);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->grpc_status, PS_NET_GRPC_UNIMPLEMENTED);
}

/* --- streams --- */

static int n_sent;

static void on_sent(struct ps_net_message *m)
{
	assert_true(m->sent_ns > 0 && m->sent_all_ns >= m->sent_ns);
	n_sent++;
}

static struct ps_net_call *stream(int i, const char *path)
{
	struct ps_net_call *c = rig_call(i, PS_NET_CALL_GRPC_STREAM, path);
	n_sent = 0;
	rig_send(c);
	return c;
}

static void messages_both_ways(void **state)
{
	(void)state;
	struct iovec pieces[] = {{"one", 3}, {"", 0}, {"three", 5}};
	struct ps_net_message m[3];
	struct ps_net_call *c = stream(0, "/s/Echo");
	for (int i = 0; i < 3; i++) {
		m[i] = (struct ps_net_message){.body = &pieces[i], .n_body = 1, .on_sent = on_sent};
		assert_int_equal(ps_net_call_message(c, &m[i], NULL), PS_OK);
		if (i != 1)
			rig_until(&R.calls[0].messages, i + 1);
	}
	assert_int_equal(n_sent, 3);
	assert_string_equal(R.calls[0].text, "one||three|");
	const struct ps_net_arrived *last = &R.calls[0].last;
	assert_true(last->first_byte_ns >= m[2].sent_ns && last->done_ns >= last->first_byte_ns);
	assert_int_equal(R.done, 0);
	ps_net_call_end(c);
	assert_int_equal(ps_net_call_message(c, &m[0], NULL), PS_EUNAVAIL);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->grpc_status, 0);
	assert_int_equal(ps_net_call_message(c, &m[0], NULL), PS_EUNAVAIL);
}

/* The end is said together with the last message, also before the connection is there. */
static void ended_at_once(void **state)
{
	(void)state;
	struct iovec pieces[] = {{"one", 3}, {"two", 3}};
	struct ps_net_message m[2];
	struct ps_net_call *c = stream(0, "/s/Echo");
	for (int i = 0; i < 2; i++) {
		m[i] = (struct ps_net_message){.body = &pieces[i], .n_body = 1, .on_sent = on_sent};
		assert_int_equal(ps_net_call_message(c, &m[i], NULL), PS_OK);
	}
	ps_net_call_end(c);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_string_equal(R.calls[0].text, "one|two|");
	assert_int_equal(n_sent, 2);
	c = stream(1, "/s/Echo");
	ps_net_call_end(c);
	rig_until(&R.done, 2);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_string_equal(R.calls[1].text, "");
}

static void large_messages_on_several_streams(void **state)
{
	(void)state;
	enum { BYTES = 700000, N = 4 };
	char *text[N];
	struct iovec pieces[N][2];
	struct ps_net_message m[N];
	for (int i = 0; i < N; i++) {
		text[i] = malloc(BYTES);
		memset(text[i], 'a' + i, BYTES);
		pieces[i][0] = (struct iovec){text[i], 3};
		pieces[i][1] = (struct iovec){text[i] + 3, BYTES - 3};
		stream(i, "/s/Echo");
	}
	n_sent = 0;
	for (int i = 0; i < N; i++) {
		m[i] = (struct ps_net_message){.body = pieces[i], .n_body = 2, .on_sent = on_sent};
		assert_int_equal(ps_net_call_message(&R.calls[i].call, &m[i], NULL), PS_OK);
	}
	rig_until(&n_sent, N);
	for (int i = 0; i < N; i++) {
		rig_until(&R.calls[i].messages, 1);
		assert_int_equal(R.calls[i].last.bytes, BYTES);
		ps_net_call_end(&R.calls[i].call);
		free(text[i]);
	}
	rig_until(&R.done, N);
}

static void cancelled_with_messages_on_their_way(void **state)
{
	(void)state;
	char *text = malloc(8 << 20);
	memset(text, 'x', 8 << 20);
	struct iovec piece = {text, 8 << 20}, small = {"x", 1};
	struct ps_net_message m[2] = {{.body = &piece, .n_body = 1, .on_sent = on_sent},
				      {.body = &small, .n_body = 1, .on_sent = on_sent}};
	struct ps_net_call *c = stream(0, "/s/Echo");
	assert_int_equal(ps_net_call_message(c, &m[0], NULL), PS_OK);
	assert_int_equal(ps_net_call_message(c, &m[1], NULL), PS_OK);
	for (int i = 0; i < 1000 && !m[0].sent_ns; i++)
		rig_turn();
	assert_true(m[0].sent_ns > 0);
	ps_net_call_cancel(c);
	free(text);
	assert_int_equal(c->outcome, PS_NET_CANCELLED);
	memset(m, 0xff, sizeof m);
	rig_send(unary(1, "/s/Echo", &small));
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_int_equal(n_sent, 0);
}

static void cancel_in_message(struct ps_net_call *c, const struct ps_net_arrived *m)
{
	rig_on_arrived(c, m);
	ps_net_call_cancel(c);
	rig_send(unary(1, "/s/Echo", &(struct iovec){"y", 1}));
}

static void cancelled_inside_on_message(void **state)
{
	(void)state;
	struct iovec piece = {"x", 1};
	struct ps_net_message m[3];
	struct ps_net_call *c = stream(0, "/s/Twice");
	c->on_message = cancel_in_message;
	for (int i = 0; i < 3; i++) {
		m[i] = (struct ps_net_message){.body = &piece, .n_body = 1};
		assert_int_equal(ps_net_call_message(c, &m[i], NULL), PS_OK);
	}
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[0].messages, 1);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
}

/* --- what is refused --- */

static void bad_calls_are_refused(void **state)
{
	(void)state;
	static const struct ps_net_header bad[] = {
		{"grpc-timeout", "1S"}, {"content-type", "x"}, {"te", "trailers"}};
	struct iovec piece = {"x", 1};
	struct ps_net_call *c = unary(0, "/s/Echo", &piece);
	struct ps_net_client *h1;
	c->n_headers = 1;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		c->headers = &bad[i];
		assert_int_equal(ps_net_client_send(R.client, c, NULL), PS_EINVAL);
	}
	c->n_headers = 0;
	R.o.protocol = PS_NET_HTTP1;
	assert_int_equal(ps_net_client_new(R.loop, &R.o, &h1, NULL), PS_OK);
	assert_int_equal(ps_net_client_send(h1, c, NULL), PS_EINVAL);
	ps_net_client_free(h1);
}

/* --- texts --- */

static void texts_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},	  {"plain", "plain"},
		{"a%20b", "a b"}, {"%e2%82%AC", "\xe2\x82\xac"},
		{"100%", "100%"}, {"%", "%"},
		{"%4", "%4"},	  {"%zz", "%zz"},
		{"%4g", "%4g"},	  {"%00a", "%00a"},
		{"%25%32", "%2"},
	};
	struct ps_arena a;
	ps_arena_init(&a, 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(ps_net_grpc_unpercent(&a, rows[i].text), rows[i].want);
	ps_arena_fini(&a);
}

static void timeouts_are_written(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *want;
	} rows[] = {
		{1, "1n"},
		{99999999, "99999999n"},
		{100000000, "100000u"},
		{100000001, "100001u"},
		{150 * PS_NS_PER_MS, "150000u"},
		{99 * PS_NS_PER_SEC, "99000000u"},
		{3600 * PS_NS_PER_SEC, "3600000m"},
		{INT64_MAX, "2562048H"},
	};
	struct ps_net_maker m = {PS_NET_HTTP2, "h", false};
	struct ps_net_prepared p;
	ps_net_prepared_init(&p);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_net_call c = {
			.kind = PS_NET_CALL_GRPC, .path = "/s/M", .grpc_timeout_ns = rows[i].ns};
		char want[64];
		snprintf(want, sizeof want, "grpc-timeout%s", rows[i].want);
		assert_int_equal(ps_net_prepared_make(&p, &m, &c, NULL), PS_OK);
		if (!strstr(p.text.data, want))
			fail_msg("%s: %s", want, p.text.data);
	}
	ps_net_prepared_fini(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unary_calls),
		T(many_at_once),
		T(trailers_only),
		T(no_answer_and_two),
		T(messages_have_a_limit),
		T(time_outs),
		T(not_grpc),
		T(messages_both_ways),
		T(ended_at_once),
		T(large_messages_on_several_streams),
		T(cancelled_with_messages_on_their_way),
		T(cancelled_inside_on_message),
		T(bad_calls_are_refused),
		cmocka_unit_test(texts_are_decoded),
		cmocka_unit_test(timeouts_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
