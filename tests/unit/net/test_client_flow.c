/* HTTP/2 of the client: how much the server takes at once, in streams and in bytes, and answers
 * that come before that. */
#include "unit/net/h2_frames.h"

#include <limits.h>

static void say_settings(const void *entries, size_t n)
{
	B.n = 0;
	frame(NGHTTP2_SETTINGS, 0, 0, entries, n);
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
}

/* How many calls the server allows is known when it has said so, and as long as it is there. */
static void streams_are_what_the_server_says(void **state)
{
	(void)state;
	static const unsigned char three[] = {0, 3, 0, 0, 0, 3},
				   most[] = {0, 3, 255, 255, 255, 255};
	assert_int_equal(ps_net_client_streams(R.client), -1);
	ps_net_client_connect(R.client);
	until_heard();
	assert_true(ps_net_client_is_connected(R.client));
	assert_int_equal(ps_net_client_streams(R.client), -1);
	say_settings(NULL, 0);
	assert_int_equal(ps_net_client_streams(R.client), INT_MAX);
	say_settings(three, sizeof three);
	assert_int_equal(ps_net_client_streams(R.client), 3);
	say_settings(most, sizeof most);
	assert_int_equal(ps_net_client_streams(R.client), INT_MAX);
	rig_hang_up(false);
	for (int i = 0; i < 1000 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_int_equal(ps_net_client_streams(R.client), -1);
}

/* A bound that is lowered later: calls above it wait, and their instants say so. */
static void a_bound_that_is_lowered(void **state)
{
	(void)state;
	static const unsigned char one[] = {0, 3, 0, 0, 0, 1};
	B.n = 0;
	frame(NGHTTP2_SETTINGS, 0, 0, one, sizeof one);
	ps_net_client_connect(R.client);
	until_heard();
	for (int i = 0; i < 3; i++) /* not known yet */
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 0);
	assert_true(R.calls[0].call.sent_ns > 0);
	B.n = 0;
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_int_equal(ps_net_client_calls(R.client), 2);
}

/* Windows: what the server does not take is not sent, and the call says when all had left. */
static void windows_are_kept(void **state)
{
	(void)state;
	static char body[100000];
	struct iovec piece = {body, sizeof body};
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->method = "POST";
	c->body = &piece;
	c->n_body = 1;
	B.n = 0;
	settings();
	rig_send(c);
	until_heard();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_true(R.n_got > 65535 && R.n_got < 66500);
	assert_true(c->sent_ns > 0 && c->sent_all_ns == 0);
	B.n = 0;
	number_frame(NGHTTP2_WINDOW_UPDATE, 0, 100000, 0, 4);
	number_frame(NGHTTP2_WINDOW_UPDATE, 1, 100000, 0, 4);
	int64_t before_ns = ps_clock_now_ns();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 1000 && !c->sent_all_ns; i++)
		rig_turn();
	assert_true(c->sent_all_ns > before_ns);
	/* An answer before the request has wholly left is an answer, too. */
	B.n = 0;
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
}

static void an_early_answer(void **state)
{
	(void)state;
	static char body[100000];
	struct iovec piece = {body, sizeof body};
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->method = "POST";
	c->body = &piece;
	c->n_body = 1;
	B.n = 0;
	settings();
	LAST(":status", "413");
	rig_send(c);
	until_heard();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->http, 413);
	assert_int_equal(c->sent_all_ns, 0);
	assert_true(ps_net_client_is_connected(R.client));
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/next"));
	B.n = 0;
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, FIELDS(":status", "200"));
	size_t n = R.n_got;
	for (int i = 0; i < 1000 && R.n_got == n; i++)
		rig_turn();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
}

/* Bytes that nobody asked for, while nothing is under way. */
static void noise_on_an_idle_connection(void **state)
{
	(void)state;
	ps_net_client_connect(R.client);
	until_heard();
	B.n = 0;
	settings();
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 7, FIELDS(":status", "200"));
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 1000 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_false(ps_net_client_is_connected(R.client));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(streams_are_what_the_server_says),
		T(a_bound_that_is_lowered),
		T(windows_are_kept),
		T(an_early_answer),
		T(noise_on_an_idle_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
