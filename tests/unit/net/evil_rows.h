/* evil_rows.h - a table of ways for an answer to go wrong: what the peer says, and what comes of
 * it, in one piece or byte by byte. */
#ifndef PS_TESTS_NET_EVIL_ROWS_H
#define PS_TESTS_NET_EVIL_ROWS_H

#include "unit/net/h2_frames.h"

enum after { STAY, CLOSE, RESET };

struct evil_row {
	const char *name;
	void (*say)(void);
	enum after after;
	enum ps_net_outcome outcome;
	int status; /* HTTP's; of calls of gRPC theirs */
	uint32_t code;
	bool kept;	  /* the connection serves on */
	const char *text; /* body, or grpc-message */
	bool grpc;
};

static void check_end(const struct evil_row *row, size_t pieces)
{
	const struct ps_net_call *c = &R.calls[0].call;
	int status = row->grpc ? c->grpc_status : c->http;
	if (c->outcome != row->outcome || c->h2_code != row->code)
		fail_msg("%s (pieces of %zu): %s, code %u (%s)", row->name, pieces,
			 ps_net_outcome_name(c->outcome), c->h2_code, ps_net_client_why(R.client));
	if (status != row->status && (pieces > 1 || c->outcome == PS_NET_OK))
		fail_msg("%s (pieces of %zu): status %d", row->name, pieces, status);
	if (row->text && row->grpc && status != 0)
		assert_string_equal(c->grpc_message, row->text);
	else if (row->text)
		assert_string_equal(R.calls[0].body, row->text);
}

static RIG_UNUSED void check_row(const struct evil_row *row, size_t pieces)
{
	void *state = NULL;
	rig_setup(&state);
	R.o = (struct ps_net_client_options){
		.protocol = PS_NET_HTTP2, .max_header_bytes = 1000, .max_body_bytes = 100000};
	rig_listen();
	rig_client();
	struct iovec piece = {"request", 7};
	struct ps_net_call *c =
		rig_call(0, row->grpc ? PS_NET_CALL_GRPC : PS_NET_CALL_HTTP, "/s/M");
	c->body = &piece;
	c->n_body = row->grpc;
	rig_send(c);
	until_heard();
	B.n = 0;
	row->say();
	for (size_t at = 0; at < B.n && R.peer >= 0; at += pieces) {
		rig_say(B.bytes + at, B.n - at < pieces ? B.n - at : pieces);
		if (pieces < B.n && (B.n < 1000 || at % 1000 == 0))
			rig_turn();
	}
	if (row->after != STAY) {
		for (int k = 0; k < 3; k++)
			rig_turn();
		rig_hang_up(row->after == RESET);
	}
	for (int k = 0; k < 2000 && !R.done; k++)
		rig_turn();
	if (!R.done)
		fail_msg("%s (pieces of %zu): no end", row->name, pieces);
	for (int k = 0; k < 5; k++)
		rig_turn();
	check_end(row, pieces);
	if (ps_net_client_is_connected(R.client) != row->kept)
		fail_msg("%s: connection %s", row->name, row->kept ? "lost" : "kept");
	rig_teardown(&state);
}

static RIG_UNUSED void check_rows(const struct evil_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check_row(&rows[i], sizeof B.bytes);
		check_row(&rows[i], 1);
	}
}

#endif
