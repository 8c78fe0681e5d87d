/* h2_frames.h - frames of HTTP/2 made by hand into B, for the peer of client_rig.h to say. */
#ifndef PS_TESTS_NET_H2_FRAMES_H
#define PS_TESTS_NET_H2_FRAMES_H

#include "unit/net/client_rig.h"

#include <nghttp2/nghttp2.h>

static struct {
	unsigned char bytes[1 << 18];
	size_t n;
} B;

static RIG_UNUSED void put(const void *bytes, size_t n)
{
	assert_true(B.n + n <= sizeof B.bytes);
	if (n > 0)
		memcpy(B.bytes + B.n, bytes, n);
	B.n += n;
}

static RIG_UNUSED void frame(int type, int flags, uint32_t id, const void *payload, size_t n)
{
	unsigned char head[9] = {
		(unsigned char)(n >> 16),  (unsigned char)(n >> 8),  (unsigned char)n,
		(unsigned char)type,	   (unsigned char)flags,     (unsigned char)(id >> 24),
		(unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};
	put(head, sizeof head);
	put(payload, n);
}

static RIG_UNUSED void settings(void)
{
	frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

/* A block of fields {name, value, ..., NULL} as literals that enter no table. */
static RIG_UNUSED void fields(int type, int flags, uint32_t id, const char *const *list)
{
	static unsigned char block[1 << 16];
	size_t at = 0;
	for (; list[0]; list += 2) {
		size_t n = strlen(list[0]), v = strlen(list[1]);
		assert_true(n < 127 && v < 127 && at + n + v + 3 < sizeof block);
		block[at++] = 0;
		block[at++] = (unsigned char)n;
		memcpy(block + at, list[0], n);
		at += n;
		block[at++] = (unsigned char)v;
		memcpy(block + at, list[1], v);
		at += v;
	}
	frame(type, flags | NGHTTP2_FLAG_END_HEADERS, id, block, at);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define HEAD(...)   fields(NGHTTP2_HEADERS, 0, 1, FIELDS(":status", "200", ##__VA_ARGS__))
#define LAST(...)   fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, FIELDS(__VA_ARGS__))

static RIG_UNUSED void data(const void *bytes, size_t n)
{
	frame(NGHTTP2_DATA, 0, 1, bytes, n);
}

static RIG_UNUSED void last_data(const char *text)
{
	frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, text, strlen(text));
}

static RIG_UNUSED void number_frame(int type, uint32_t id, uint32_t a, uint32_t b, size_t n)
{
	unsigned char p[8];
	for (int i = 0; i < 4; i++) {
		p[i] = (unsigned char)(a >> (24 - 8 * i));
		p[4 + i] = (unsigned char)(b >> (24 - 8 * i));
	}
	frame(type, 0, id, p, n);
}

static RIG_UNUSED void reset(uint32_t code)
{
	number_frame(NGHTTP2_RST_STREAM, 1, code, 0, 4);
}

static RIG_UNUSED void goaway(uint32_t last, uint32_t code)
{
	number_frame(NGHTTP2_GOAWAY, 0, last, code, 8);
}

/* Until the client has said its preface and a request. */
static RIG_UNUSED void until_heard(void)
{
	for (int i = 0; i < 5000 && R.n_got < 70; i++)
		rig_turn();
	assert_memory_equal(R.got, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
}

/* A client of HTTP/2 whose server is the peer. */
static RIG_UNUSED int h2_setup(void **state)
{
	rig_setup(state);
	R.o.protocol = PS_NET_HTTP2;
	rig_listen();
	rig_client();
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, h2_setup, rig_teardown)

#endif
