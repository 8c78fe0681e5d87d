/* gRPC calls through a session and a client in memory: messages, endings, limits. */
#include "unit/net/h2_peer.h"

#include <zlib.h>

enum { KEEP = 64, CALLS = 256 };

enum mode {
	ECHO,	    /* each message comes back; OK at the end */
	UNARY,	    /* the message comes back when the client has said all */
	HOLD,	    /* messages and calls are kept */
	REFUSE,	    /* by on_call */
	FINISH_NOW, /* by the first message */
};

static struct {
	enum mode mode;
	struct ps_net_grpc_call *calls[CALLS];
	struct ps_net_grpc_message *messages[KEEP];
	int n_calls, n_messages, half_closed, gone, ended, ended_ok, sent, not_sent, refused;
	enum ps_status why;
	char path[128];
	int64_t deadline_ns;
	int64_t max_quiet_ns;
	size_t max_message_bytes, tensor;
	int owner;
	bool misaligned;
	char *all; /* every message's bytes, one after another */
	size_t all_n;
} H;

static void on_sent(void *ctx, enum ps_status status, int64_t done_ns)
{
	(void)done_ns;
	H.sent += status == PS_OK;
	H.not_sent += status != PS_OK;
	ps_net_grpc_message_free(ctx);
}

static void echo(struct ps_net_grpc_call *call, struct ps_net_grpc_message *m)
{
	struct iovec pieces[2] = {{m->data, m->bytes / 2},
				  {(char *)m->data + m->bytes / 2, m->bytes - m->bytes / 2}};
	ps_net_grpc_send(call, pieces, m->bytes ? 2 : 0, on_sent, m);
}

static enum ps_status on_call(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err)
{
	(void)ctx;
	snprintf(H.path, sizeof H.path, "%s", call->path);
	H.deadline_ns = call->deadline_ns;
	call->max_quiet_ns = H.max_quiet_ns;
	call->owner = H.owner;
	if (H.max_message_bytes)
		call->max_message_bytes = H.max_message_bytes;
	static const struct ps_net_header later = {"retry-pushback-ms", "500"};
	if (H.mode == REFUSE) {
		call->refusal_trailers = &later;
		call->n_refusal_trailers = 1;
		H.refused++;
		return ps_error_set(err, PS_EQUOTA, "50%% of it");
	}
	H.calls[H.n_calls++ % CALLS] = call;
	return PS_OK;
}

static size_t tensor_at(void *ctx, struct ps_net_grpc_call *call, const void *data, size_t n,
			size_t bytes)
{
	(void)ctx, (void)call, (void)data;
	assert_true(n > 0 && n <= bytes);
	return H.tensor;
}

static void on_message(void *ctx, struct ps_net_grpc_call *call, struct ps_net_grpc_message *m)
{
	(void)ctx;
	H.misaligned |= m->bytes > 0 && ((uintptr_t)m->data + H.tensor) % 64 != 0;
	assert_true(m->received_ns >= m->first_byte_ns && m->first_byte_ns > 0);
	if (H.all && m->bytes > 0) {
		memcpy(H.all + H.all_n, m->data, m->bytes);
		H.all_n += m->bytes;
	}
	if (H.mode == ECHO) {
		echo(call, m);
	} else if (H.mode == FINISH_NOW) {
		ps_net_grpc_message_free(m);
		ps_net_grpc_finish(call, PS_NET_GRPC_FAILED_PRECONDITION, "enough", NULL, 0);
	} else {
		assert_true(H.n_messages < KEEP);
		H.messages[H.n_messages++] = m;
	}
}

static void on_half_close(void *ctx, struct ps_net_grpc_call *call)
{
	(void)ctx;
	assert_true(call->half_closed);
	H.half_closed++;
	if (H.mode == UNARY)
		echo(call, H.messages[--H.n_messages]);
	if (H.mode == ECHO || H.mode == UNARY)
		ps_net_grpc_finish(call, PS_NET_GRPC_OK, NULL, NULL, 0);
}

static void on_gone(void *ctx, struct ps_net_grpc_call *call, enum ps_status why)
{
	(void)ctx;
	assert_true(call->gone);
	H.gone++;
	H.why = why;
	if (H.mode == ECHO || H.mode == UNARY)
		ps_net_grpc_finish(call, PS_NET_GRPC_CANCELLED, NULL, NULL, 0);
}

static void on_end(void *ctx, struct ps_net_grpc_call *call, enum ps_status status, int64_t done_ns)
{
	(void)ctx, (void)call, (void)done_ns;
	H.ended++;
	H.ended_ok += status == PS_OK;
}

static int begin(void **state)
{
	(void)state;
	static const struct ps_net_grpc_handler grpc = {.on_call = on_call,
							.tensor_at = tensor_at,
							.on_message = on_message,
							.on_half_close = on_half_close,
							.on_gone = on_gone,
							.on_end = on_end};
	memset(&H, 0, sizeof H);
	peer_service(NULL, &grpc);
	peer_session();
	peer_client(0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ps_net_h2_close(P.h);
	P.h = NULL;
	if (H.mode == HOLD)
		for (int i = 0; i < H.n_calls && i < CALLS; i++)
			if (H.calls[i])
				ps_net_grpc_finish(H.calls[i], PS_NET_GRPC_OK, NULL, NULL, 0);
	for (int i = 0; i < H.n_messages; i++)
		ps_net_grpc_message_free(H.messages[i]);
	assert_int_equal(H.ended, H.n_calls);
	peer_end();
	free(H.all);
	return 0;
}

static const char *const fields[] = {"te", "trailers", "content-type", "application/grpc", NULL};

static int32_t call_with(struct saying *body, const char *const *all_fields)
{
	return peer_request("POST", "/a.B/C", all_fields, body);
}

/* A framed message of `n` bytes at `to`; returns its length. */
static size_t framed(char *to, int flag, const void *bytes, size_t n)
{
	to[0] = (char)flag;
	for (int i = 0; i < 4; i++)
		to[1 + i] = (char)(n >> (24 - 8 * i));
	if (n > 0)
		memmove(to + 5, bytes, n);
	return n + 5;
}

static void fill(char *to, size_t n)
{
	uint32_t x = 99;
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		to[i] = (char)(x >> 24);
	}
}

/* --- messages --- */

/* Borders of frames mean nothing: every step gives the same. */
static void unary_calls(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 5, 63, 1024, 20000, 300000};
	static const size_t steps[] = {0, 1, 3, 5, 6, 1000};
	static char plain[300000], sent[300010];
	H.mode = UNARY;
	fill(plain, sizeof plain);
	int n_calls = 0;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
			if (steps[k] && sizes[i] / steps[k] > 1500)
				continue;
			struct saying body = {.bytes = sent,
					      .n = framed(sent, 0, plain, sizes[i]),
					      .step = steps[k]};
			H.tensor = k * 13;
			int32_t id = call_with(&body, fields);
			peer_run();
			n_calls++;
			struct heard *r = &P.heard[id];
			assert_string_equal(r->head, ":status: 200\n"
						     "content-type: application/grpc\n");
			assert_string_equal(r->trailers, "grpc-status: 0\n");
			assert_int_equal(r->n, body.n);
			assert_memory_equal(r->body, sent, body.n);
			assert_true(r->ended && r->closed && r->code == 0);
		}
	}
	assert_int_equal(H.ended_ok, n_calls);
	assert_int_equal(H.sent, n_calls);
	assert_int_equal(P.server.stats.answered, n_calls);
	assert_string_equal(H.path, "/a.B/C");
	assert_false(H.misaligned);
}

/* Many small messages, far more than a call may hold at once. */
static void streams_of_messages(void **state)
{
	(void)state;
	enum { N = 3000 };
	static char sent[N * 40];
	size_t n = 0;
	char word[16];
	for (int i = 0; i < N; i++) {
		int len = snprintf(word, sizeof word, "%d", i);
		n += framed(sent + n, 0, word, (size_t)len);
	}
	for (size_t step = 0; step < 80; step += 7) {
		struct saying body = {.bytes = sent, .n = n, .step = step};
		int32_t id = call_with(&body, fields);
		P.write_max = step;
		peer_run();
		assert_int_equal(P.heard[id].n, n);
		assert_memory_equal(P.heard[id].body, sent, n);
		assert_string_equal(P.heard[id].trailers, "grpc-status: 0\n");
	}
	assert_int_equal(H.not_sent, 0);
}

/* A handler that keeps messages is not given more: the client's window closes. */
static void messages_held_hold_the_client(void **state)
{
	(void)state;
	enum { N = 12000, BYTES = 1000 };
	char *sent = malloc(N * (BYTES + 5)), *plain = calloc(1, BYTES);
	size_t n = 0;
	H.mode = HOLD;
	H.all = malloc((size_t)N * BYTES);
	for (int i = 0; i < N; i++) {
		memset(plain, 'a' + i % 26, BYTES);
		n += framed(sent + n, 0, plain, BYTES);
	}
	struct saying body = {.bytes = sent, .n = n};
	call_with(&body, fields);
	peer_run();
	assert_int_equal(H.n_messages, PS_NET_GRPC_MESSAGES_HELD);
	assert_true(body.at <= PS_NET_H2_STREAM_WINDOW + PS_NET_GRPC_MESSAGES_HELD * 2 * BYTES);
	assert_true(P.server.stats.buffered_bytes < 2 * PS_NET_H2_STREAM_WINDOW);
	assert_int_equal(H.half_closed, 0);
	int freed = 0;
	while (H.n_messages > 0) {
		struct ps_net_grpc_message *m = H.messages[--H.n_messages];
		ps_net_grpc_message_free(m);
		freed++;
		peer_run();
		/* However long the stream: what is stashed stays within the window. */
		assert_true(P.server.stats.buffered_bytes < 3 * PS_NET_H2_STREAM_WINDOW);
	}
	assert_int_equal(freed, N);
	assert_int_equal(H.half_closed, 1);
	for (int i = 0; i < N; i++)
		assert_int_equal(H.all[(size_t)i * BYTES + 7], 'a' + i % 26);
	free(sent);
	free(plain);
}

static size_t packed(char *to, size_t cap, const char *plain, size_t n, bool gzip)
{
	z_stream z = {.next_in = (unsigned char *)plain,
		      .avail_in = (unsigned)n,
		      .next_out = (unsigned char *)to,
		      .avail_out = (unsigned)cap};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, gzip ? 31 : 15, 9, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void compressed_messages(void **state)
{
	(void)state;
	static char plain[100000], small[110000], sent[220000], want[200010];
	for (int gzip = 0; gzip < 2; gzip++) {
		const char *const with[] = {"te",
					    "trailers",
					    "content-type",
					    "application/grpc+proto",
					    "grpc-encoding",
					    gzip ? "gzip" : "deflate",
					    NULL};
		fill(plain, sizeof plain / 3);
		/* Compressed and plain ones may follow each other. */
		size_t k = packed(small, sizeof small, plain, sizeof plain, gzip);
		size_t n = framed(sent, 1, small, k);
		n += framed(sent + n, 0, plain, 1000);
		n += framed(sent + n, 1, small, k);
		struct saying body = {.bytes = sent, .n = n, .step = 900};
		int32_t id = call_with(&body, with);
		peer_run();
		size_t w = framed(want, 0, plain, sizeof plain);
		assert_int_equal(P.heard[id].n, 2 * w + 1005);
		assert_memory_equal(P.heard[id].body, want, w);
		assert_memory_equal(P.heard[id].body + w + 1005, want, w);
		assert_string_equal(P.heard[id].trailers, "grpc-status: 0\n");
	}
}

/* --- the end, and what it says --- */

static void ends(int32_t id, const char *trailers)
{
	struct heard *r = &P.heard[id];
	/* Trailers alone come as the one head. */
	const char *said = r->trailers[0] ? r->trailers : strstr(r->head, "grpc-status");
	assert_non_null(said);
	assert_string_equal(said, trailers);
	assert_true(r->ended && r->closed && r->code == 0);
}

static void endings(void **state)
{
	(void)state;
	H.mode = HOLD;
	static char sent[16];
	struct iovec piece = {(char *)"reply", 5};
	const struct ps_net_header headers[] = {{"x-head", "1"}, {"x-bin", "Zg"}};
	const struct ps_net_header trailers[] = {{"x-tail", "2"}, {"grpc-bad", "3"}, {"Bad", "4"}};
	struct saying body[3];
	int32_t id[3];
	for (int i = 0; i < 3; i++) {
		body[i] = (struct saying){.bytes = sent, .n = framed(sent, 0, "hi", 2)};
		id[i] = call_with(&body[i], fields);
	}
	peer_run();
	assert_int_equal(H.n_calls, 3);
	assert_int_equal(H.half_closed, 3);
	/* Trailers alone. */
	ps_net_grpc_finish(H.calls[0], PS_NET_GRPC_NOT_FOUND, "no \"\xc3\xa9\"", trailers, 3);
	/* Headers, a message, trailers. */
	assert_int_equal(ps_net_grpc_headers(H.calls[1], trailers, 2), PS_EINVAL);
	assert_int_equal(ps_net_grpc_headers(H.calls[1], headers, 2), PS_OK);
	assert_int_equal(ps_net_grpc_headers(H.calls[1], headers, 2), PS_EEXIST);
	ps_net_grpc_send(H.calls[1], &piece, 1, NULL, NULL);
	assert_int_equal(ps_net_grpc_unsent_bytes(H.calls[1]), 10);
	peer_run();
	assert_int_equal(ps_net_grpc_unsent_bytes(H.calls[1]), 0);
	assert_false(P.heard[id[1]].ended);
	assert_int_equal(P.heard[id[1]].n, 10);
	assert_int_equal(ps_net_grpc_headers(H.calls[1], headers, 2), PS_EEXIST);
	ps_net_grpc_finish(H.calls[1], PS_NET_GRPC_OK, "", trailers, 1);
	/* An error as a status has it. */
	struct ps_error err;
	ps_error_set(&err, PS_EUNAVAIL, "later");
	ps_error_hint(&err, "wait");
	ps_net_grpc_finish_error(H.calls[2], &err, NULL, 0);
	H.n_calls = 0;
	peer_run();
	ends(id[0], "grpc-status: 5\ngrpc-message: no \"%C3%A9\"\nx-tail: 2\n");
	assert_int_equal(P.heard[id[0]].n, 0);
	ends(id[1], "grpc-status: 0\nx-tail: 2\n");
	assert_non_null(strstr(P.heard[id[1]].head, "x-head: 1\nx-bin: Zg\n"));
	ends(id[2], "grpc-status: 14\ngrpc-message: later (wait)\n");
	assert_int_equal(H.ended_ok, 3);
	H.n_calls = 3;
	H.calls[0] = H.calls[1] = H.calls[2] = NULL;
}

static void handlers_may_refuse_calls(void **state)
{
	(void)state;
	static char sent[70000];
	H.mode = REFUSE;
	struct saying body = {.bytes = sent, .n = framed(sent, 0, sent + 100, 60000)};
	int32_t id = call_with(&body, fields);
	peer_run();
	ends(id, "grpc-status: 8\ngrpc-message: 50%25 of it\nretry-pushback-ms: 500\n");
	assert_int_equal(H.refused, 1);
	assert_int_equal(H.gone + H.ended + H.half_closed, 0);
}

/* A status before the client has said all: its stream is reset, without an error. */
static void early_ends(void **state)
{
	(void)state;
	static char sent[100];
	H.mode = FINISH_NOW;
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2), .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	ends(id, "grpc-status: 9\ngrpc-message: enough\n");
	assert_int_equal(H.ended_ok, 1);
	assert_int_equal(H.gone, 0);
}

/* --- the rules of the wire --- */

static void heads_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *method;
		const char *fields[9];
		const char *said; /* HTTP status, or what the trailers begin with */
	} rows[] = {
		{"POST", {"te", "trailers", "content-type", "text/plain", NULL}, ":status: 415"},
		{"POST", {"te", "trailers", NULL}, ":status: 415"},
		{"POST",
		 {"te", "trailers", "content-type", "application/grpc-web", NULL},
		 ":status: 415"},
		{"GET",
		 {"te", "trailers", "content-type", "application/grpc", NULL},
		 ":status: 415"},
		{"POST", {"content-type", "application/grpc", NULL}, "grpc-status: 13"},
		{"POST",
		 {"te", "trailers", "content-type", "application/grpc;v=1", NULL},
		 "grpc-status: 0"},
		{"POST",
		 {"te", "trailers", "content-type", "application/grpc", "grpc-timeout", "1x", NULL},
		 "grpc-status: 13"},
		{"POST",
		 {"te", "trailers", "content-type", "application/grpc", "grpc-encoding", "snappy",
		  NULL},
		 "grpc-status: 12"},
		{"POST",
		 {"te", "trailers", "content-type", "application/grpc", "grpc-encoding", "identity",
		  NULL},
		 "grpc-status: 0"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static char sent[16];
		struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2)};
		int32_t id = peer_request(rows[i].method, "/a/b", rows[i].fields, &body);
		peer_run();
		struct heard *r = &P.heard[id];
		if (!strstr(r->head, rows[i].said) && !strstr(r->trailers, rows[i].said))
			fail_msg("row %zu: %s%s", i, r->head, r->trailers);
		assert_true(r->ended);
	}
	assert_int_equal(H.ended, 2);
}

static void messages_are_judged(void **state)
{
	(void)state;
	static char zeros[2000], small[100];
	static char sent[4000];
	size_t k = packed(small, sizeof small, zeros, sizeof zeros, true);
	H.max_message_bytes = 1500;
	static const struct {
		int flag;
		size_t claim; /* length in the prefix, and ... */
		size_t come;  /* ... bytes that come; 0: those of `small` */
		bool gzip;
		const char *said;
		enum ps_status why;
	} rows[] = {
		{0, 1501, 10, false, "grpc-status: 8\n", PS_ETOOBIG},
		{0, 0xffffffff, 10, false, "grpc-status: 8\n", PS_ETOOBIG},
		{0, 1500, 1499, false, "grpc-status: 13\n", PS_EPARSE}, /* ends inside */
		{2, 10, 10, false, "grpc-status: 13\n", PS_EPARSE},
		{1, 10, 10, false, "grpc-status: 13\n", PS_EPARSE}, /* no grpc-encoding */
		{1, 10, 10, true, "grpc-status: 13\n", PS_EPARSE},  /* no gzip */
		{1, 0, 0, true, "grpc-status: 8\n", PS_ETOOBIG},    /* too large when inflated */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *const with[] = {"te",
					    "trailers",
					    "content-type",
					    "application/grpc",
					    rows[i].gzip ? "grpc-encoding" : NULL,
					    "gzip",
					    NULL};
		size_t n = rows[i].come ? rows[i].come : k;
		size_t claim = rows[i].come ? rows[i].claim : k;
		framed(sent, rows[i].flag, rows[i].come ? zeros : small, n);
		for (int b = 0; b < 4; b++)
			sent[1 + b] = (char)(claim >> (24 - 8 * b));
		struct saying body = {.bytes = sent, .n = n + 5};
		int before = H.gone;
		H.mode = HOLD;
		int32_t id = call_with(&body, with);
		peer_run();
		struct heard *r = &P.heard[id];
		if (!strstr(r->head, rows[i].said) || !r->ended)
			fail_msg("row %zu: %s%s", i, r->head, r->trailers);
		assert_int_equal(H.gone, before + 1);
		assert_int_equal(H.why, rows[i].why);
		assert_int_equal(H.n_messages, 0);
		assert_int_equal(H.ended, i); /* finish is still owed */
		ps_net_grpc_finish(H.calls[i], PS_NET_GRPC_OK, NULL, NULL, 0);
		assert_int_equal(H.ended, i + 1);
		assert_int_equal(H.ended_ok, 0);
		H.calls[i] = NULL;
	}
	assert_int_equal(P.server.stats.refused, sizeof rows / sizeof rows[0]);
}

/* --- deadlines, cancels, and connections that break --- */

static void deadlines(void **state)
{
	(void)state;
	const char *const with[] = {
		"te", "trailers", "content-type", "application/grpc", "grpc-timeout", "200m", NULL};
	static char sent[16];
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2)};
	H.mode = HOLD;
	int32_t id = call_with(&body, with);
	peer_run();
	assert_int_equal(H.deadline_ns, P.now_ns + 200 * PS_NS_PER_MS);
	peer_wait(249 * PS_NS_PER_MS); /* the handler comes first */
	assert_int_equal(H.gone, 0);
	peer_wait(2 * PS_NS_PER_MS);
	assert_int_equal(H.gone, 1);
	assert_int_equal(H.why, PS_EDEADLINE);
	assert_non_null(strstr(P.heard[id].head, "grpc-status: 4\n"));
	ps_net_grpc_send(H.calls[0], NULL, 0, on_sent, H.messages[0]);
	H.n_messages = 0;
	assert_int_equal(H.not_sent, 1);
	ps_net_grpc_finish(H.calls[0], PS_NET_GRPC_OK, NULL, NULL, 0);
	H.calls[0] = NULL;
	assert_int_equal(H.ended, 1);
	assert_int_equal(H.ended_ok, 0);
}

static void messages_that_stall(void **state)
{
	(void)state;
	static char sent[1000];
	framed(sent, 0, sent + 100, 900);
	struct saying body = {.bytes = sent, .n = 100, .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	peer_wait(29 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 0);
	peer_wait(2 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.why, PS_ETIMEOUT);
	assert_non_null(strstr(P.heard[id].head, "grpc-status: 4\n"));
	/* Between messages a stream may be quiet for as long as it likes. */
	struct saying quiet = {.bytes = sent, .n = 905, .open = true};
	id = call_with(&quiet, fields);
	peer_run();
	peer_wait(1000 * PS_NS_PER_SEC);
	assert_false(P.heard[id].ended);
	assert_int_equal(P.heard[id].n, 905);
}

/* A partial prefix is a message that has begun, whenever it comes. */
static void prefixes_that_stall(void **state)
{
	(void)state;
	static char sent[5];
	struct saying body = {.bytes = sent, .n = 0, .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	peer_wait(100 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 0);
	body.n = 3;
	nghttp2_session_resume_data(P.client, id);
	peer_run();
	peer_wait(31 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.why, PS_ETIMEOUT);
	assert_non_null(strstr(P.heard[id].head, "grpc-status: 4\n"));
}

/* A handler may bound how long it waits for a client that has its turn. */
static void clients_that_stay_quiet(void **state)
{
	(void)state;
	static char sent[32];
	framed(sent, 0, "hi", 2);
	framed(sent + 7, 0, "hi", 2);
	H.max_quiet_ns = 60 * PS_NS_PER_SEC;
	/* none at all */
	struct saying body = {.bytes = sent, .n = 0, .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	peer_wait(59 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 0);
	peer_wait(2 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.gone, 1);
	assert_int_equal(H.why, PS_ETIMEOUT);
	assert_non_null(strstr(P.heard[id].head, "grpc-status: 4\n"));
	/* none behind the first; the time in which the handler has it does not count */
	H.mode = HOLD;
	H.n_calls = H.ended = 0;
	body = (struct saying){.bytes = sent, .n = 7, .open = true};
	id = call_with(&body, fields);
	peer_run();
	peer_wait(500 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 1);
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	peer_wait(59 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 1);
	body.n = 14;
	nghttp2_session_resume_data(P.client, id);
	peer_run();
	assert_int_equal(H.n_messages, 1);
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	peer_wait(61 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.gone, 2);
	assert_true(P.heard[id].ended);
	/* who has said all waits for the answer */
	struct saying whole = {.bytes = sent, .n = 7};
	id = call_with(&whole, fields);
	peer_run();
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	peer_wait(500 * PS_NS_PER_SEC);
	assert_int_equal(H.gone, 2);
}

/* A stream that is kept open for later must not keep the server from its end. */
static void draining_ends_quiet_streams(void **state)
{
	(void)state;
	static char sent[16];
	framed(sent, 0, "hi", 2);
	struct saying none = {.bytes = sent, .n = 0, .open = true};
	struct saying one = {.bytes = sent, .n = 7, .open = true};
	int32_t ids[] = {call_with(&none, fields), call_with(&one, fields)};
	peer_run();
	peer_wait(100 * PS_NS_PER_SEC);
	ps_net_h2_drain(P.h);
	peer_run();
	assert_int_equal(H.gone, 0);
	peer_wait(2 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.gone, 2);
	assert_int_equal(H.why, PS_EUNAVAIL);
	for (int i = 0; i < 2; i++) {
		const struct heard *r = &P.heard[ids[i]];
		assert_non_null(strstr(i ? r->trailers : r->head, "grpc-status: 14\n"));
	}
	assert_true(ps_net_h2_is_over(P.h));
}

/* Who sends on and on but reads nothing is given up all the same. */
static void senders_that_do_not_read(void **state)
{
	(void)state;
	static char sent[20 * 15];
	size_t n = 0;
	for (int i = 0; i < 20; i++)
		n += framed(sent + n, 0, "0123456789", 10);
	nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
	assert_int_equal(nghttp2_submit_settings(P.client, 0, &none, 1), 0);
	struct saying body = {.bytes = sent, .n = 15, .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	for (int i = 0; i < 6 && !P.heard[id].closed; i++) {
		peer_wait(10 * PS_NS_PER_SEC);
		body.n += 15;
		(void)nghttp2_session_resume_data(P.client, id);
		peer_run();
	}
	assert_true(P.heard[id].closed);
	assert_int_equal(P.heard[id].code, NGHTTP2_CANCEL);
	assert_int_equal(H.gone, 1);
	assert_true(H.not_sent > 0 && H.sent == 0);
}

/* A client that ends its connection waits for no call, one that said all included. */
static void clients_that_hang_up(void **state)
{
	(void)state;
	static char sent[16];
	H.mode = HOLD;
	struct saying whole = {.bytes = sent, .n = framed(sent, 0, "hi", 2)};
	struct saying open = {.bytes = sent, .n = whole.n, .open = true};
	call_with(&whole, fields);
	call_with(&open, fields);
	peer_run();
	assert_int_equal(H.half_closed, 1);
	ps_net_h2_eof(P.h, P.now_ns);
	peer_flush();
	assert_int_equal(H.gone, 2);
	assert_int_equal(H.why, PS_ECANCELLED);
	assert_true(ps_net_h2_is_over(P.h));
}

static void cancels(void **state)
{
	(void)state;
	static char sent[16];
	H.mode = HOLD;
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2), .open = true};
	int32_t id = call_with(&body, fields);
	peer_run();
	struct iovec piece = {(char *)"reply", 5};
	ps_net_grpc_send(H.calls[0], &piece, 1, on_sent, NULL); /* not written yet */
	nghttp2_submit_rst_stream(P.client, 0, id, NGHTTP2_CANCEL);
	P.stuck = true;
	peer_run();
	P.stuck = false;
	peer_run();
	assert_int_equal(H.gone, 1);
	assert_int_equal(H.why, PS_ECANCELLED);
	assert_int_equal(H.sent + H.not_sent, 1);
	assert_int_equal(H.ended, 0);
	/* Messages may outlive their call. */
	ps_net_grpc_finish(H.calls[0], PS_NET_GRPC_OK, NULL, NULL, 0);
	H.calls[0] = NULL;
	assert_int_equal(H.ended, 1);
	assert_int_equal(((char *)H.messages[0]->data)[0], 'h');
}

static void connections_that_break(void **state)
{
	(void)state;
	static char sent[100000];
	H.mode = HOLD;
	struct saying whole = {.bytes = sent, .n = framed(sent, 0, sent + 5, 90000)};
	struct saying again = whole;
	struct saying half = {.bytes = sent, .n = 50000, .open = true};
	call_with(&whole, fields);
	call_with(&half, fields);
	call_with(&again, fields);
	peer_run();
	assert_int_equal(H.n_calls, 3);
	struct iovec piece = {sent, sizeof sent};
	P.stuck = true;
	ps_net_grpc_send(H.calls[0], &piece, 1, on_sent, NULL);
	ps_net_grpc_finish(H.calls[0], PS_NET_GRPC_OK, NULL, NULL, 0);
	H.calls[0] = NULL;
	ps_net_h2_close(P.h);
	P.h = NULL;
	assert_int_equal(H.not_sent, 1);
	assert_int_equal(H.gone, 2);
	assert_int_equal(H.ended, 1);
	assert_int_equal(P.server.h2.sessions, 1);
}

/* What is framed but was never written has not been sent. */
static void connections_that_break_behind_an_answer(void **state)
{
	(void)state;
	static char sent[16];
	struct iovec iov[8];
	H.mode = HOLD;
	struct saying whole = {.bytes = sent, .n = framed(sent, 0, "hi", 2)};
	call_with(&whole, fields);
	peer_run();
	struct iovec piece = {sent, 4};
	ps_net_grpc_send(H.calls[0], &piece, 1, on_sent, NULL);
	ps_net_grpc_finish(H.calls[0], PS_NET_GRPC_OK, NULL, NULL, 0);
	H.calls[0] = NULL;
	assert_true(ps_net_h2_output(P.h, iov, 8) > 0);
	ps_net_h2_close(P.h);
	P.h = NULL;
	assert_int_equal(H.sent, 0);
	assert_int_equal(H.not_sent, 1);
	assert_int_equal(H.ended_ok, 0);
	assert_int_equal(P.server.stats.answered, 0);
}

/* Messages of all calls together. */
static void too_many_bytes(void **state)
{
	(void)state;
	enum { N = 8, BYTES = 3 << 20 };
	char *sent = calloc(1, BYTES + 5);
	struct saying body[N];
	int32_t id[N];
	int busy = 0;
	H.mode = HOLD;
	framed(sent, 0, sent + 5, BYTES);
	for (int i = 0; i < N; i++) {
		body[i] = (struct saying){.bytes = sent, .n = BYTES + 5};
		id[i] = call_with(&body[i], fields);
	}
	peer_run();
	for (int i = 0; i < N; i++)
		busy += strstr(P.heard[id[i]].head, "grpc-status: 14\n") != NULL;
	assert_true(busy >= 3 && busy + H.n_messages == N);
	assert_true(P.server.stats.buffered_bytes <= P.server.o.max_buffered_bytes);
	free(sent);
}

/* A message that is freed outside of the connection's events: its timer must hear of the time that
 * begins then. */
static void freed_messages_wake_the_connection(void **state)
{
	(void)state;
	static char sent[16];
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2), .open = true};
	H.mode = HOLD;
	H.max_quiet_ns = PS_NS_PER_SEC;
	call_with(&body, fields);
	peer_run();
	assert_int_equal(H.n_messages, 1);
	peer_wait(5 * PS_NS_PER_SEC);
	int wakes = P.wakes;
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	assert_int_equal(ps_net_h2_deadline_ns(P.h), P.now_ns + PS_NS_PER_SEC);
	assert_int_equal(P.wakes, wakes + 1);
	peer_run();
	peer_wait(PS_NS_PER_SEC);
	assert_int_equal(H.why, PS_ETIMEOUT);
}

/* Calls that nobody took have no deadline to be told of. */
static void refused_calls_have_no_deadline(void **state)
{
	(void)state;
	const char *const with[] = {
		"te", "trailers", "content-type", "application/grpc", "grpc-timeout", "1S", NULL};
	static char sent[16];
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2), .open = true};
	H.mode = REFUSE;
	P.stuck = true;
	call_with(&body, with);
	peer_run();
	peer_wait(2 * PS_NS_PER_SEC);
	assert_true(ps_net_h2_deadline_ns(P.h) > P.now_ns);
}

/* A stream that has nothing to say waits for no window, however long; what it says then has its
 * time from then on. */
static void silent_streams_wait_for_no_window(void **state)
{
	(void)state;
	static char sent[16], said[100];
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2), .open = true};
	struct iovec piece = {said, sizeof said};
	H.mode = HOLD;
	nghttp2_session_del(P.client);
	peer_client(-1);
	int32_t id = call_with(&body, fields);
	peer_run();
	nghttp2_submit_window_update(P.client, 0, id, sizeof said + 5);
	peer_run();
	ps_net_grpc_send(H.calls[0], &piece, 1, NULL, NULL);
	peer_run();
	assert_int_equal(P.heard[id].n, sizeof said + 5);
	for (int i = 0; i < 100; i++) /* the window is shut, and nobody is at fault */
		peer_wait(PS_NS_PER_SEC);
	assert_false(P.heard[id].closed);
	ps_net_grpc_send(H.calls[0], &piece, 1, NULL, NULL);
	peer_run();
	peer_wait(29 * PS_NS_PER_SEC);
	peer_run();
	assert_false(P.heard[id].closed);
	nghttp2_submit_window_update(P.client, 0, id, 1000);
	peer_run();
	assert_int_equal(P.heard[id].n, 2 * (sizeof said + 5));
}

/* A call's owner who has no room left ends it; another one's goes on. */
static void owners_have_shares(void **state)
{
	(void)state;
	enum { N = 4, BYTES = 1 << 20 };
	static const int owners[N] = {7, 7, 8, 0};
	char *sent = calloc(1, BYTES + 5);
	struct saying body[N];
	int32_t id[N];
	P.server.o.max_owner_bytes = BYTES + 50000; /* a message, and what two calls count */
	P.server.o.max_address_bytes = 10000;
	H.mode = HOLD;
	framed(sent, 0, sent + 5, BYTES);
	for (int i = 0; i < N; i++) {
		body[i] = (struct saying){.bytes = sent, .n = BYTES + 5};
		H.owner = owners[i];
		id[i] = call_with(&body[i], fields);
		peer_run();
	}
	assert_int_equal(H.n_messages, 2);
	assert_int_equal(H.gone, 2);
	assert_int_equal(H.why, PS_EQUOTA);
	for (int i = 1; i < N; i += 2) /* the first for its message, the other for the call */
		assert_non_null(strstr(P.heard[id[i]].head,
				       "grpc-status: 8\n"
				       "grpc-message: too many bodies of yours are under way\n"
				       "retry-after: 1\n"
				       "retry-pushback-ms: 1000\n"));
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	ps_net_grpc_message_free(H.messages[--H.n_messages]);
	H.owner = 7;
	body[0] = (struct saying){.bytes = sent, .n = BYTES + 5};
	call_with(&body[0], fields);
	peer_run();
	assert_int_equal(H.n_messages, 1);
	free(sent);
}

static void calls_are_reused(void **state)
{
	(void)state;
	static char sent[16];
	const char *const with[] = {
		"te", "trailers", "content-type", "application/grpc", "grpc-timeout", "1S", NULL};
	for (int i = 0; i < 200; i++) {
		struct saying body = {.bytes = sent, .n = framed(sent, 0, "hello", (size_t)i % 6)};
		int32_t id = call_with(&body, i % 3 ? fields : with);
		peer_run();
		assert_string_equal(P.heard[id].trailers, "grpc-status: 0\n");
		assert_int_equal(P.heard[id].n, 5 + i % 6);
		assert_int_equal(H.deadline_ns, i % 3 ? 0 : P.now_ns + PS_NS_PER_SEC);
	}
	assert_int_equal(H.ended_ok, 200);
}

static void grpc_that_is_not_served(void **state)
{
	(void)state;
	peer_service(NULL, NULL);
	peer_session();
	peer_client(0);
	static char sent[16];
	struct saying body = {.bytes = sent, .n = framed(sent, 0, "hi", 2)};
	int32_t id = call_with(&body, fields);
	peer_run();
	ends(id, "grpc-status: 12\ngrpc-message: gRPC is not served here\n");
	peer_end();
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unary_calls),
		T(streams_of_messages),
		T(messages_held_hold_the_client),
		T(compressed_messages),
		T(endings),
		T(handlers_may_refuse_calls),
		T(early_ends),
		T(heads_are_judged),
		T(messages_are_judged),
		T(deadlines),
		T(messages_that_stall),
		T(prefixes_that_stall),
		T(clients_that_stay_quiet),
		T(draining_ends_quiet_streams),
		T(senders_that_do_not_read),
		T(clients_that_hang_up),
		T(cancels),
		T(connections_that_break),
		T(connections_that_break_behind_an_answer),
		T(too_many_bytes),
		T(owners_have_shares),
		T(freed_messages_wake_the_connection),
		T(refused_calls_have_no_deadline),
		T(silent_streams_wait_for_no_window),
		T(calls_are_reused),
		cmocka_unit_test(grpc_that_is_not_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
