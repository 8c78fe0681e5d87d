/* Answers over HTTP/2 as a client reads them: the bytes of a connection behind the server's first
 * SETTINGS. The first byte says what the client does meanwhile, the second in which pieces the rest
 * comes. */
#include "fuzz/fuzz.h"
#include "net/client_h2_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FUZZ_AGAIN = 1,	 /* each call is sent again when it ends, a few times */
	FUZZ_CANCEL = 2, /* some calls are cancelled on the way, by others' ends */
	FUZZ_STOP = 4,	 /* the whole client is, in the middle */
	FUZZ_HEAD = 8,	 /* the requests are HEADs */
	FUZZ_LARGE = 16, /* requests have bodies that do not leave at once */
	FUZZ_LATE = 32,	 /* deadlines pass */
	FUZZ_END = 64,	 /* the server ends the connection */
	FUZZ_DEAF = 128, /* the server reads nothing */
	FUZZ_CALLS = 6,
	FUZZ_MAX_BODY = 4096,
	FUZZ_MAX_SENDS = 40,
};

static struct {
	struct ps_evloop *loop;
	struct ps_net_client *client;
	struct ps_clock_fake clock;
	struct ps_net_call calls[FUZZ_CALLS];
	struct ps_net_message messages[FUZZ_CALLS];
	bool under_way[FUZZ_CALLS];
	unsigned does;
	int sends, peer;
} F;

static char body[100000];
static const struct iovec small = {body, 10}, large = {body, sizeof body};

static void fuzz_send(int i);

static void fuzz_read(const void *at, size_t n)
{
	static volatile unsigned char sum;
	for (size_t i = 0; i < n; i++)
		sum = (unsigned char)(sum + ((const unsigned char *)at)[i]);
}

static void fuzz_headers(const struct ps_net_header *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fuzz_read(h[i].name, strlen(h[i].name));
		MUST(!strpbrk(h[i].value, "\r\n"));
	}
}

static void fuzz_done(struct ps_net_call *c)
{
	int i = (int)(c - F.calls);
	MUST(F.under_way[i]);
	F.under_way[i] = false;
	MUST(c->answer_bytes <= FUZZ_MAX_BODY);
	MUST(c->outcome == PS_NET_OK || c->answer_bytes == 0);
	MUST(c->outcome != PS_NET_OK || c->http >= 200);
	MUST(c->answer_json_bytes <= (int64_t)c->answer_bytes || c->outcome != PS_NET_OK ||
	     F.does & FUZZ_HEAD);
	fuzz_read(c->answer_body, c->answer_bytes);
	fuzz_read(c->grpc_message, strlen(c->grpc_message));
	fuzz_headers(c->answer_headers, c->n_answer_headers);
	fuzz_headers(c->answer_trailers, c->n_answer_trailers);
	if (F.does & FUZZ_CANCEL && F.under_way[(i + 1) % FUZZ_CALLS])
		ps_net_call_cancel(&F.calls[(i + 1) % FUZZ_CALLS]);
	if (F.does & FUZZ_AGAIN && !F.under_way[i])
		fuzz_send(i);
}

static void fuzz_message(struct ps_net_call *c, const struct ps_net_arrived *m)
{
	int i = (int)(c - F.calls);
	MUST(F.under_way[i] && m->bytes <= FUZZ_MAX_BODY);
	fuzz_read(m->data, m->bytes);
	if (F.does & FUZZ_CANCEL)
		ps_net_call_cancel(c);
	else if (m->bytes % 3 == 0)
		ps_net_call_end(c);
}

static void fuzz_send(int i)
{
	static const enum ps_net_call_kind kinds[] = {PS_NET_CALL_HTTP, PS_NET_CALL_GRPC,
						      PS_NET_CALL_GRPC_STREAM};
	struct ps_net_call *c = &F.calls[i];
	struct ps_net_message *m = &F.messages[i];
	if (F.sends++ >= FUZZ_MAX_SENDS || F.client->state != PS_NET_OPEN)
		return;
	*c = (struct ps_net_call){
		.kind = kinds[i % 3],
		.method = F.does & FUZZ_HEAD ? "HEAD" : "POST",
		.path = "/p",
		.body = F.does & FUZZ_LARGE ? &large : &small,
		.n_body = i % 3 == 2 ? 0 : 1,
		.deadline_ns = F.does & FUZZ_LATE ? F.clock.now_ns + (i + 1) * PS_NS_PER_MS : 0,
		.on_message = fuzz_message,
		.on_done = fuzz_done};
	if (ps_net_client_send(F.client, c, NULL) != PS_OK)
		return;
	F.under_way[i] = true;
	*m = (struct ps_net_message){.body = c->body, .n_body = 1};
	if (i % 3 == 2)
		MUST(ps_net_call_message(c, m, NULL) == PS_OK);
}

static void fuzz_ready(struct ps_evloop_fd *w, unsigned events)
{
	(void)w, (void)events; /* bytes come from the input, not from the socket */
}

/* A client whose connection is there: nothing is dialled. */
static void fuzz_open(void)
{
	struct ps_evloop_options lo = {.clock = &F.clock.clock};
	struct ps_net_client_options o = {.host = "h",
					  .protocol = PS_NET_HTTP2,
					  .address = {.len = 2, .bytes = {AF_UNIX}},
					  .max_header_bytes = 512,
					  .max_body_bytes = FUZZ_MAX_BODY};
	int pair[2];
	ps_clock_fake_init(&F.clock, PS_NS_PER_SEC);
	MUST(ps_evloop_new(&lo, &F.loop, NULL) == PS_OK);
	MUST(ps_net_client_new(F.loop, &o, &F.client, NULL) == PS_OK);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	F.peer = pair[1];
	MUST(ps_net_wire_open(&F.client->wire, pair[0], &F.client->o, "h") == PS_OK);
	F.client->watch = (struct ps_evloop_fd){.fd = pair[0], .on_ready = fuzz_ready};
	MUST(ps_evloop_fd_add(F.loop, &F.client->watch, NULL) == PS_OK);
	F.client->wire.read_ns = F.clock.now_ns;
	F.client->state = PS_NET_OPEN;
	F.client->speech->opened(F.client, F.clock.now_ns);
}

static void fuzz_turn(void)
{
	static char sink[1 << 16];
	MUST(ps_evloop_run_once(F.loop, 0, NULL) == PS_OK);
	while (!(F.does & FUZZ_DEAF) && recv(F.peer, sink, sizeof sink, 0) > 0)
		;
	if (F.client->state == PS_NET_OPEN)
		F.client->speech->write(F.client);
	if (F.does & FUZZ_LATE)
		F.clock.now_ns += PS_NS_PER_MS / 3;
}

static void fuzz_feed(const void *bytes, size_t n)
{
	F.client->depth++; /* as on_ready does */
	if (F.client->state == PS_NET_OPEN)
		F.client->speech->feed(F.client, bytes, n);
	F.client->depth--;
	fuzz_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	if (size < 2)
		return 0;
	memset(&F, 0, sizeof F);
	F.does = data[0];
	fuzz_open();
	for (int i = 0; i < FUZZ_CALLS; i++)
		fuzz_send(i);
	fuzz_turn();
	fuzz_feed(settings, sizeof settings);
	size_t step = data[1] ? data[1] : size;
	for (size_t at = 2; at < size; at += step) {
		if (F.does & FUZZ_STOP && at > size / 2)
			ps_net_client_cancel(F.client);
		fuzz_feed(data + at, size - at < step ? size - at : step);
	}
	if (F.does & FUZZ_END && F.client->state == PS_NET_OPEN)
		F.client->speech->eof(F.client, 0);
	F.does &= ~(unsigned)(FUZZ_AGAIN | FUZZ_CANCEL);
	ps_net_client_free(F.client);
	for (int i = 0; i < FUZZ_CALLS; i++)
		MUST(!F.under_way[i]);
	close(F.peer);
	ps_evloop_free(F.loop);
	return 0;
}
