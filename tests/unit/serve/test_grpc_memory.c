/* gRPC calls when there is no memory: each is ended or answered, none is left waiting. What is
 * around src/serve/grpc.c (net, the path of an inference) is played here. */
// link: -Wl,--wrap=ps_arena_alloc,--wrap=ps_arena_strndup
// link: -Wl,--wrap=ps_net_grpc_send,--wrap=ps_net_grpc_finish,--wrap=ps_net_grpc_finish_error
// link: -Wl,--wrap=ps_net_grpc_message_free,--wrap=ps_serve_authenticate,--wrap=ps_serve_infer
// link: -Wl,--wrap=ps_serve_sent,--wrap=ps_tenancy_max_body_bytes
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "serve/serve_internal.h"

#include <string.h>

enum { MESSAGES = 4 };

static struct {
	struct ps_net_grpc_handler handler;
	struct ps_serve_io io;
	struct ps_serve_snapshot snapshot;
	struct ps_serve_config config;
	struct ps_net_grpc_call net;
	struct ps_arena arena; /* of the call */
	struct ps_net_grpc_message messages[MESSAGES];
	struct ps_arena arenas[MESSAGES];
	struct ps_serve_call *inferring[MESSAGES];
	int n_inferring;
	int fail_in; /* the n-th allocation from an arena of a message fails; 0: none does */
	int sent, freed, observed, finished;
	enum ps_status code;
} G;

static bool fails(const struct ps_arena *a)
{
	return a != &G.arena && G.fail_in > 0 && --G.fail_in == 0;
}

void *__real_ps_arena_alloc(struct ps_arena *a, size_t size);
void *__wrap_ps_arena_alloc(struct ps_arena *a, size_t size);
char *__real_ps_arena_strndup(struct ps_arena *a, const char *s, size_t n);
char *__wrap_ps_arena_strndup(struct ps_arena *a, const char *s, size_t n);
void __wrap_ps_net_grpc_send(struct ps_net_grpc_call *call, const struct iovec *pieces, size_t n,
			     void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns),
			     void *ctx);
void __wrap_ps_net_grpc_finish(struct ps_net_grpc_call *call, enum ps_net_grpc_code code,
			       const char *text, const struct ps_net_header *trailers, size_t n);
void __wrap_ps_net_grpc_finish_error(struct ps_net_grpc_call *call, const struct ps_error *e,
				     const struct ps_net_header *trailers, size_t n);
void __wrap_ps_net_grpc_message_free(struct ps_net_grpc_message *m);
enum ps_status __wrap_ps_serve_authenticate(struct ps_serve_call *c,
					    const struct ps_serve_claim *claim);
void __wrap_ps_serve_infer(struct ps_serve_call *c);
void __wrap_ps_serve_sent(struct ps_serve_call *c, enum ps_status status, int64_t done_ns);
int64_t __wrap_ps_tenancy_max_body_bytes(const struct ps_tenancy *t, int tenant, int64_t bytes);

void *__wrap_ps_arena_alloc(struct ps_arena *a, size_t size)
{
	return fails(a) ? NULL : __real_ps_arena_alloc(a, size);
}

char *__wrap_ps_arena_strndup(struct ps_arena *a, const char *s, size_t n)
{
	return fails(a) ? NULL : __real_ps_arena_strndup(a, s, n);
}

void __wrap_ps_net_grpc_send(struct ps_net_grpc_call *call, const struct iovec *pieces, size_t n,
			     void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns),
			     void *ctx)
{
	(void)call;
	assert_false(G.finished);
	assert_true(n == 1 && pieces[0].iov_len > 0); /* an empty one would say nothing */
	G.sent++;
	on_sent(ctx, PS_OK, 1);
}

void __wrap_ps_net_grpc_finish(struct ps_net_grpc_call *call, enum ps_net_grpc_code code,
			       const char *text, const struct ps_net_header *trailers, size_t n)
{
	(void)call, (void)text, (void)trailers, (void)n;
	assert_int_equal(code, PS_NET_GRPC_OK);
	G.finished++;
	G.code = PS_OK;
	G.handler.on_end(G.handler.ctx, &G.net, PS_OK, 1);
}

void __wrap_ps_net_grpc_finish_error(struct ps_net_grpc_call *call, const struct ps_error *e,
				     const struct ps_net_header *trailers, size_t n)
{
	(void)call, (void)trailers, (void)n;
	G.finished++;
	G.code = e->status;
	G.handler.on_end(G.handler.ctx, &G.net, PS_OK, 1);
}

void __wrap_ps_net_grpc_message_free(struct ps_net_grpc_message *m)
{
	(void)m;
	G.freed++;
}

enum ps_status __wrap_ps_serve_authenticate(struct ps_serve_call *c,
					    const struct ps_serve_claim *claim)
{
	(void)claim;
	c->tenant = 0;
	return PS_OK;
}

void __wrap_ps_serve_infer(struct ps_serve_call *c)
{
	G.inferring[G.n_inferring++] = c;
}

void __wrap_ps_serve_sent(struct ps_serve_call *c, enum ps_status status, int64_t done_ns)
{
	(void)c, (void)status, (void)done_ns;
	G.observed++;
}

int64_t __wrap_ps_tenancy_max_body_bytes(const struct ps_tenancy *t, int tenant, int64_t bytes)
{
	(void)t, (void)tenant;
	return bytes;
}

static void call(const char *path)
{
	struct ps_error err;
	memset(&G, 0, sizeof G);
	assert_int_equal(ps_evloop_new(NULL, &G.io.loop, NULL), PS_OK);
	G.snapshot.config = &G.config;
	G.io.snapshot = &G.snapshot;
	ps_arena_init(&G.arena, 0);
	ps_serve_grpc_handler(&G.io, &G.handler);
	G.net = (struct ps_net_grpc_call){.path = path, .peer = "p", .arena = &G.arena};
	assert_int_equal(G.handler.on_call(&G.io, &G.net, &err), PS_OK);
	for (int i = 0; i < MESSAGES; i++) {
		ps_arena_init(&G.arenas[i], 0);
		G.messages[i].arena = &G.arenas[i];
	}
}

static void message(int i)
{
	G.handler.on_message(&G.io, &G.net, &G.messages[i]);
}

static void refuse(int i)
{
	struct ps_serve_call *c = G.inferring[i];
	ps_error_set(&c->err, PS_ENOTFOUND, "no such model");
	ps_serve_grpc_refuse(c);
}

static void over(enum ps_status code, int freed)
{
	assert_int_equal(G.finished, 1);
	assert_int_equal(G.code, code);
	assert_int_equal(G.freed, freed);
	for (int i = 0; i < MESSAGES; i++)
		ps_arena_fini(&G.arenas[i]);
	ps_arena_fini(&G.arena);
	ps_evloop_free(G.io.loop);
}

#define SERVICE "/inference.GRPCInferenceService/"

static void unary_request(void **state)
{
	(void)state;
	call(SERVICE "ModelInfer");
	G.fail_in = 1;
	message(0);
	assert_int_equal(G.n_inferring, 0);
	over(PS_ENOMEM, 1);
}

/* The others of the stream get their answers; then it ends, for one is missing. */
static void request_of_a_stream(void **state)
{
	(void)state;
	call(SERVICE "ModelStreamInfer");
	message(0);
	message(1);
	G.fail_in = 1;
	message(2);
	assert_int_equal(G.freed, 1);
	message(3); /* would be answered before that: not taken */
	assert_int_equal(G.n_inferring, 2);
	assert_int_equal(G.freed, 2);
	refuse(1);
	assert_false(G.finished);
	refuse(0);
	assert_int_equal(G.sent, 2);
	assert_int_equal(G.observed, 2);
	over(PS_ENOMEM, 4);
}

static void answer_of_a_stream(void **state)
{
	(void)state;
	call(SERVICE "ModelStreamInfer");
	message(0);
	message(1);
	G.fail_in = 1;
	refuse(0);
	assert_int_equal(G.observed, 1);
	assert_false(G.finished);
	refuse(1);
	assert_int_equal(G.sent, 1);
	over(PS_ENOMEM, 2);
}

static void nothing_fails(void **state)
{
	(void)state;
	call(SERVICE "ModelStreamInfer");
	message(0);
	refuse(0);
	assert_int_equal(G.sent, 1);
	assert_false(G.finished);
	G.net.half_closed = true;
	G.handler.on_half_close(&G.io, &G.net);
	over(PS_OK, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_request),
		cmocka_unit_test(request_of_a_stream),
		cmocka_unit_test(answer_of_a_stream),
		cmocka_unit_test(nothing_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
