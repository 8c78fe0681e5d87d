/* HTTP/2 of the client: connections that are left, because the server says so (GOAWAY) or says
 * nothing at all. */
#include "unit/net/h2_frames.h"

/* Of several calls GOAWAY ends those above its number; the others go on. */
static void goaway_ends_the_later_ones(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	until_heard();
	B.n = 0;
	settings();
	goaway(3, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(ps_net_client_room(R.client), 98); /* on the next connection */
	assert_int_equal(R.calls[2].call.outcome, PS_NET_GOAWAY);
	assert_int_equal(R.calls[3].call.outcome, PS_NET_GOAWAY);
	B.n = 0;
	HEAD("a", "b");
	last_data("ok");
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, FIELDS(":status", "500"));
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 4);
	assert_int_equal(R.calls[0].call.http, 200);
	assert_int_equal(R.calls[1].call.http, 500);
	for (int i = 0; i < 100 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_false(ps_net_client_is_connected(R.client));
	assert_int_equal(ps_net_client_room(R.client), 100);
}

static void next_call(struct ps_net_call *c)
{
	rig_on_done(c);
	assert_int_equal(ps_net_client_room(R.client), 100);
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/next"));
}

/* Who is told of the last call of a connection that is going away may send the next one at once. */
static void goaway_and_the_next_call(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->on_done = next_call;
	rig_send(c);
	until_heard();
	B.n = 0;
	settings();
	goaway(1, NGHTTP2_NO_ERROR);
	HEAD("a", "b");
	last_data("ok");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	rig_hang_up(false);
	R.n_got = 0;
	until_heard();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_false(R.calls[1].call.reused);
}

/* Says GOAWAY to two calls that are under way, and sends a third: its connection is R.peer then. */
static int leave_two_and_send(void)
{
	for (int i = 0; i < 2; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	until_heard();
	B.n = 0;
	settings();
	goaway(3, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	int old = R.peer;
	R.peer = -1;
	R.n_got = 0;
	rig_send(rig_call(2, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	return old;
}

static void answer_first(int fd, uint32_t id)
{
	B.n = 0;
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id, FIELDS(":status", "200"));
	assert_int_equal(send(fd, B.bytes, B.n, MSG_NOSIGNAL), B.n);
}

/* Two connections for a while: nobody waits for the calls of the one that is left. */
static void goaway_beside_the_next_connection(void **state)
{
	(void)state;
	struct ps_net_client_stats stats;
	int old = leave_two_and_send();
	assert_int_equal(ps_net_client_calls(R.client), 3);
	assert_int_equal(ps_net_client_room(R.client), 97);
	B.n = 0;
	settings();
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[2].call.outcome, PS_NET_OK);
	answer_first(old, 1);
	rig_until(&R.done, 2);
	ps_net_call_cancel(&R.calls[1].call);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_CANCELLED);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_true(ps_net_client_is_connected(R.client));
	assert_int_equal(ps_net_client_room(R.client), 100);
	ps_net_client_get_stats(R.client, &stats);
	assert_int_equal(stats.connects, 2);
	close(old);
}

static void goaway_twice(void **state)
{
	(void)state;
	int old = leave_two_and_send();
	B.n = 0;
	settings();
	goaway(1, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 0);
	answer_first(old, 1);
	answer_first(old, 3);
	rig_until(&R.done, 2);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 99);
	int second = R.peer;
	R.peer = -1;
	R.n_got = 0;
	rig_send(rig_call(3, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	answer_first(second, 1);
	rig_until(&R.done, 3);
	close(old);
	close(second);
}

static void free_it(struct ps_net_call *c)
{
	rig_on_done(c);
	ps_net_client_free(R.client);
	R.client = NULL;
}

/* However it ends: cancel, free, the end of the connection, free from inside. */
static void ends_beside_the_next_connection(void **state)
{
	for (int how = 0; how < 5; how++) {
		h2_setup(state);
		int old = leave_two_and_send();
		enum ps_net_outcome want[3] = {PS_NET_CANCELLED, PS_NET_CANCELLED,
					       PS_NET_CANCELLED};
		if (how == 0) {
			ps_net_client_cancel(R.client);
		} else if (how == 1) {
			ps_net_client_free(R.client);
			R.client = NULL;
		} else if (how == 2) {
			close(old);
			rig_until(&R.done, 2);
			want[0] = want[1] = PS_NET_RESET;
			ps_net_client_cancel(R.client);
		} else {
			R.calls[how - 3].call.on_done = free_it;
			want[how - 3] = PS_NET_OK;
			answer_first(old, how == 3 ? 1 : 3);
		}
		rig_until(&R.done, 3);
		for (int i = 0; i < 3; i++)
			assert_int_equal(R.calls[i].call.outcome, want[i]);
		if (how != 2)
			close(old);
		rig_teardown(state);
	}
}

static void a_stall(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->deadline_ns = ps_clock_now_ns() + 20 * PS_NS_PER_MS;
	rig_send(c); /* the peer accepts, and says nothing for ever */
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_TIMEOUT);
	assert_true(c->sent_ns > 0 && c->first_byte_ns == 0);
}

/* The other end may be gone without a word: no further call is given to such a connection. One on
 * which anything came meanwhile is kept. */
static void a_silent_connection_is_left(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	ps_net_client_connect(R.client);
	until_heard();
	B.n = 0;
	settings();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	for (int i = 0; i < 2; i++) {
		c = rig_call(i, PS_NET_CALL_HTTP, "/");
		c->deadline_ns = ps_clock_now_ns() + 150 * PS_NS_PER_MS;
		rig_send(c);
		for (int k = 0; k < 1000 && !c->sent_ns; k++)
			rig_turn();
		B.n = 0;
		if (i == 0)
			frame(NGHTTP2_PING, 0, 0, "12345678", 8);
		rig_say(B.bytes, B.n);
		rig_until(&R.done, i + 1);
		assert_int_equal(c->outcome, PS_NET_TIMEOUT);
		for (int k = 0; k < 5; k++)
			rig_turn();
		assert_int_equal(ps_net_client_is_connected(R.client), i == 0);
	}
	rig_hang_up(false);
	R.n_got = 0;
	rig_send(rig_call(2, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	B.n = 0;
	settings();
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 3);
	assert_int_equal(R.calls[2].call.outcome, PS_NET_OK);
	assert_false(R.calls[2].call.reused);
}

static struct ps_net_call *open_stream(int i)
{
	struct ps_net_call *c = rig_call(i, PS_NET_CALL_GRPC_STREAM, "/s/Stream");
	rig_send(c);
	return c;
}

/* A stream has no deadline: who waits for an answer on it gives it up. Its connection is left when
 * nothing came since the question, and its other streams are told so. */
static void a_stream_that_is_given_up(void **state)
{
	for (int heard = 0; heard < 2; heard++) {
		h2_setup(state);
		struct iovec piece = {"ask", 3};
		struct ps_net_message m = {.body = &piece, .n_body = 1};
		ps_net_client_connect(R.client);
		until_heard();
		struct ps_net_call *asked = open_stream(0), *idle = open_stream(1);
		B.n = 0;
		settings();
		rig_say(B.bytes, B.n);
		for (int i = 0; i < 20; i++)
			rig_turn();
		assert_int_equal(ps_net_call_message(asked, &m, NULL), PS_OK);
		for (int i = 0; i < 1000 && !m.sent_all_ns; i++)
			rig_turn();
		B.n = 0;
		if (heard)
			frame(NGHTTP2_PING, 0, 0, "12345678", 8);
		rig_say(B.bytes, B.n);
		for (int i = 0; i < 20; i++)
			rig_turn();
		assert_false(ps_net_call_is_left(asked));
		ps_net_call_give_up(asked, m.sent_ns);
		assert_int_equal(R.done, 1);
		assert_int_equal(asked->outcome, PS_NET_TIMEOUT);
		assert_int_equal(ps_net_call_is_left(idle), !heard);
		assert_false(ps_net_call_is_left(asked)); /* over */
		ps_net_call_give_up(asked, m.sent_ns);	  /* twice is once */
		assert_int_equal(R.done, 1);
		rig_teardown(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(goaway_ends_the_later_ones),
		T(goaway_and_the_next_call),
		T(goaway_beside_the_next_connection),
		T(goaway_twice),
		cmocka_unit_test(ends_beside_the_next_connection),
		T(a_stall),
		T(a_silent_connection_is_left),
		cmocka_unit_test(a_stream_that_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
