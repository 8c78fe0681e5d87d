/* Content codings: headers as tables, bodies inflated in pieces and within limits, answers. */
#include "unit/net/echo.h"

#include "net/coding_internal.h"

#include <zlib.h>

/* --- headers --- */

static void codings_are_known_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		enum ps_net_coding want;
	} rows[] = {
		{NULL, PS_NET_CODING_IDENTITY},	       {"", PS_NET_CODING_IDENTITY},
		{"identity", PS_NET_CODING_IDENTITY},  {"gzip", PS_NET_CODING_GZIP},
		{"GZip", PS_NET_CODING_GZIP},	       {"x-gzip", PS_NET_CODING_GZIP},
		{"deflate", PS_NET_CODING_DEFLATE},    {"br", PS_NET_CODING_UNKNOWN},
		{"gzip, gzip", PS_NET_CODING_UNKNOWN}, {"*", PS_NET_CODING_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(ps_net_coding_parse(rows[i].value), rows[i].want);
}

static void the_best_accepted_coding_is_chosen(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		enum ps_net_coding want;
	} rows[] = {
		{NULL, PS_NET_CODING_IDENTITY},
		{"", PS_NET_CODING_IDENTITY},
		{"gzip", PS_NET_CODING_GZIP},
		{"deflate", PS_NET_CODING_DEFLATE},
		{"gzip, deflate", PS_NET_CODING_GZIP},
		{"deflate, gzip", PS_NET_CODING_GZIP},
		{"gzip, deflate, br, zstd", PS_NET_CODING_GZIP},
		{"gzip;q=0.5, deflate;q=0.8", PS_NET_CODING_DEFLATE},
		{"gzip;q=0", PS_NET_CODING_IDENTITY},
		{"gzip;q=0.000, deflate", PS_NET_CODING_DEFLATE},
		{"*", PS_NET_CODING_GZIP},
		{"*;q=0", PS_NET_CODING_IDENTITY},
		{"gzip;q=0, *", PS_NET_CODING_DEFLATE},
		{"identity, gzip;q=0.5", PS_NET_CODING_IDENTITY},
		{"identity;q=0.5, gzip", PS_NET_CODING_GZIP},
		{"identity", PS_NET_CODING_IDENTITY},
		{"br", PS_NET_CODING_IDENTITY},
		{"GZIP ; Q=1.0", PS_NET_CODING_GZIP},
		{"gzip;q=2", PS_NET_CODING_IDENTITY},
		{"gzip;q=x", PS_NET_CODING_IDENTITY},
		{"gzip;level=9", PS_NET_CODING_IDENTITY},
		{",,gzip,,", PS_NET_CODING_GZIP},
		{"gzipx", PS_NET_CODING_IDENTITY},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (ps_net_coding_accepted(rows[i].value) != rows[i].want)
			fail_msg("'%s' gave %s", rows[i].value,
				 ps_net_coding_name(ps_net_coding_accepted(rows[i].value)));
}

/* --- inflating --- */

enum { RAW = -15, ZLIB = 15, GZIP = 31 };

static size_t deflated(int window, const void *bytes, size_t n, void *out, size_t cap)
{
	z_stream z = {0};
	assert_int_equal(
		deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY),
		Z_OK);
	z.next_in = (void *)(uintptr_t)bytes;
	z.avail_in = (unsigned)n;
	z.next_out = out;
	z.avail_out = (unsigned)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t made = cap - z.avail_out;
	deflateEnd(&z);
	return made;
}

struct inflated {
	enum ps_status status;
	bool ended;
	struct ps_net_body body;
	struct ps_arena arena;
};

static struct inflated inflate_steps(enum ps_net_coding coding, const void *bytes, size_t n,
				     size_t step, size_t max, int64_t json)
{
	struct inflated r = {0};
	const char *at = bytes;
	struct ps_net_inflate *f = ps_net_inflate_new(coding, 256);
	ps_arena_init(&r.arena, 0);
	ps_net_body_begin(&r.body, &r.arena, -1, json, max);
	for (size_t done = 0; done < n && r.status == PS_OK; done += step)
		r.status = ps_net_inflate_feed(f, at + done, n - done < step ? n - done : step,
					       &r.body, NULL, NULL);
	r.ended = ps_net_inflate_ended(f);
	ps_net_inflate_free(f);
	return r;
}

static void bodies_come_out_whole(void **state)
{
	(void)state;
	enum { BYTES = 100000 };
	static char plain[BYTES], packed[BYTES * 2];
	static const size_t steps[] = {1, 3, 1000, BYTES * 2};
	static const int windows[] = {RAW, ZLIB, GZIP};
	unsigned seed = 1;
	for (size_t i = 0; i < BYTES; i++) {
		seed = seed * 1103515245 + 12345;
		plain[i] = (char)('a' + (seed >> 16) % 7);
	}
	for (size_t w = 0; w < 3; w++)
		for (size_t s = 0; s < 4; s++) {
			size_t n = deflated(windows[w], plain, BYTES, packed, sizeof packed);
			struct inflated r = inflate_steps(
				windows[w] == GZIP ? PS_NET_CODING_GZIP : PS_NET_CODING_DEFLATE,
				packed, n, steps[s], BYTES, 37);
			assert_int_equal(r.status, PS_OK);
			assert_true(r.ended);
			assert_int_equal(r.body.bytes, BYTES);
			assert_memory_equal(r.body.data, plain, BYTES);
			assert_int_equal(((uintptr_t)r.body.data + 37) % 64, 0);
			ps_arena_fini(&r.arena);
		}
}

/* RFC 1952: gzip is a series of members, and they mean what they hold, one after another. */
static void members_of_gzip_are_joined(void **state)
{
	(void)state;
	static const char plain[] = "first, nothing, and third";
	char packed[300];
	size_t n = deflated(GZIP, plain, 5, packed, sizeof packed);
	n += deflated(GZIP, plain, 0, packed + n, sizeof packed - n);
	size_t two = n;
	n += deflated(GZIP, plain + 5, sizeof plain - 5, packed + n, sizeof packed - n);
	static const size_t steps[] = {1, 2, 7, sizeof packed};
	for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
		struct inflated r =
			inflate_steps(PS_NET_CODING_GZIP, packed, n, steps[s], sizeof plain, -1);
		assert_int_equal(r.status, PS_OK);
		assert_true(r.ended);
		assert_int_equal(r.body.bytes, sizeof plain);
		assert_memory_equal(r.body.data, plain, sizeof plain);
		ps_arena_fini(&r.arena);
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n, steps[s], sizeof plain - 1, -1);
		assert_int_equal(r.status, PS_ETOOBIG); /* together */
		ps_arena_fini(&r.arena);
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n - 1, steps[s], 1000, -1);
		assert_int_equal(r.status, PS_OK);
		assert_false(r.ended); /* the last one is cut */
		ps_arena_fini(&r.arena);
		r = inflate_steps(PS_NET_CODING_GZIP, packed, two + 1, steps[s], 1000, -1);
		assert_int_equal(r.status, PS_OK);
		assert_false(r.ended); /* hardly begun */
		ps_arena_fini(&r.arena);
	}
	n = deflated(ZLIB, plain, 5, packed, sizeof packed);
	n += deflated(ZLIB, plain, 5, packed + n, sizeof packed - n);
	struct inflated r = inflate_steps(PS_NET_CODING_DEFLATE, packed, n, n, 1000, -1);
	assert_int_equal(r.status, PS_EPARSE); /* zlib's format has but one */
	ps_arena_fini(&r.arena);
}

static void broken_codings_are_refused(void **state)
{
	(void)state;
	char packed[200], plain[100];
	memset(plain, 'x', sizeof plain);
	size_t n = deflated(GZIP, plain, sizeof plain, packed, sizeof packed);
	for (size_t step = 1; step < 200; step += 198) {
		struct inflated r =
			inflate_steps(PS_NET_CODING_GZIP, packed, n - 1, step, 1000, -1);
		assert_int_equal(r.status, PS_OK);
		assert_false(r.ended); /* cut */
		ps_arena_fini(&r.arena);
		packed[n] = 'x';
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n + 1, step, 1000, -1);
		assert_int_equal(r.status, PS_EPARSE); /* more behind the end */
		ps_arena_fini(&r.arena);
		packed[n - 8] ^= 1;
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n, step, 1000, -1);
		assert_int_equal(r.status, PS_EPARSE); /* wrong checksum */
		ps_arena_fini(&r.arena);
		packed[n - 8] ^= 1;
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n, step, sizeof plain - 1, -1);
		assert_int_equal(r.status, PS_ETOOBIG); /* one byte over the limit */
		ps_arena_fini(&r.arena);
		r = inflate_steps(PS_NET_CODING_GZIP, packed, n, step, sizeof plain, -1);
		assert_int_equal(r.status, PS_OK);
		ps_arena_fini(&r.arena);
		r = inflate_steps(PS_NET_CODING_DEFLATE, packed, n, step, 1000, -1);
		assert_int_equal(r.status, PS_EPARSE); /* gzip said to be deflate */
		ps_arena_fini(&r.arena);
	}
}

/* 64 MiB of zeros in 64 KiB: given up long before they are all there. */
static void bombs_are_given_up_early(void **state)
{
	(void)state;
	enum { BYTES = 64 << 20 };
	char *zeros = calloc(1, BYTES), *packed = malloc(BYTES / 512);
	size_t n = deflated(GZIP, zeros, BYTES, packed, BYTES / 512);
	assert_true(n < 70000);
	struct inflated r = inflate_steps(PS_NET_CODING_GZIP, packed, n, 16384, BYTES, -1);
	assert_int_equal(r.status, PS_ETOOBIG);
	assert_false(r.body.too_big);
	assert_true(r.body.bytes < 9 << 20);
	ps_arena_fini(&r.arena);
	/* Zeros that are no bomb: an empty picture. */
	n = deflated(GZIP, zeros, 4 << 20, packed, BYTES / 512);
	r = inflate_steps(PS_NET_CODING_GZIP, packed, n, 16384, BYTES, -1);
	assert_int_equal(r.status, PS_OK);
	assert_true(r.ended);
	ps_arena_fini(&r.arena);
	free(zeros);
	free(packed);
}

/* --- over the wire --- */

static size_t request_with(const char *coding, const char *more, const void *body, size_t n,
			   char *out, size_t cap)
{
	int head = snprintf(out, cap,
			    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Encoding: %s\r\n%s"
			    "Content-Length: %zu\r\n\r\n",
			    coding, more, n);
	memcpy(out + head, body, n);
	return (size_t)head + n;
}

static void compressed_requests_arrive_inflated(void **state)
{
	(void)state;
	static const char plain[] = "{\"inputs\":[]}hello hello hello hello hello hello hello";
	char packed[200], bytes[1000], want[200];
	size_t n = deflated(GZIP, plain, sizeof plain - 1, packed, sizeof packed);
	snprintf(want, sizeof want, "%zu:%s", sizeof plain - 1, plain);
	for (size_t step = 1; step < 2000; step += 1999) {
		size_t m = request_with("gzip", "Inference-Header-Content-Length: 13\r\n", packed,
					n, bytes, sizeof bytes);
		exchange("gzip", bytes, m, step, want, false);
		/* It counts uncompressed bytes, so that it may be larger than Content-Length. */
		m = request_with("gzip", "Inference-Header-Content-Length: 54\r\n", packed, n,
				 bytes, sizeof bytes);
		exchange("whole JSON", bytes, m, step, want, false);
		m = request_with("gzip", "Inference-Header-Content-Length: 55\r\n", packed, n,
				 bytes, sizeof bytes);
		exchange("JSON beyond", bytes, m, step, want, false);
		m = request_with("gzip", "X-Small: 1\r\n", packed, n, bytes, sizeof bytes);
		exchange("tenant's limit", bytes, m, step, "413 Content Too Large", false);
	}
	assert_int_equal(F.aligned, F.requests);
	struct ps_net_server_stats stats;
	ps_net_server_get_stats(F.server, &stats);
	for (int i = 0; i < 100 && stats.open > 0; i++) {
		turn();
		ps_net_server_get_stats(F.server, &stats);
	}
	assert_int_equal(stats.buffered_bytes, 0);
}

static void large_bombs_cost_413(void **state)
{
	(void)state;
	enum { BYTES = 2 << 20 };
	char *zeros = calloc(1, BYTES), *bytes = malloc(BYTES);
	char packed[8192];
	size_t n = deflated(GZIP, zeros, BYTES, packed, sizeof packed);
	size_t m = request_with("gzip", "", packed, n, bytes, BYTES);
	exchange("bomb", bytes, m, m, "413 Content Too Large", true);
	free(zeros);
	free(bytes);
}

/* Tensors hardly get smaller. What is long is found out by its beginning, in a millisecond or two
 * and not in thirty, which all other clients of the loop would wait. */
static void what_does_not_shrink_is_left(void **state)
{
	(void)state;
	enum { BYTES = 200000, SHOWN = 70000 };
	static char bytes[BYTES];
	struct ps_arena arena;
	struct iovec out;
	uint32_t x = 1;
	ps_arena_init(&arena, 0);
	for (size_t i = 0; i < BYTES; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = i < SHOWN ? (char)(x >> 24) : 'a';
	}
	struct iovec noise[] = {{bytes, 1000}, {bytes + 1000, BYTES - 1000}};
	for (int c = PS_NET_CODING_GZIP; c <= PS_NET_CODING_DEFLATE; c++) {
		assert_int_equal(ps_net_deflate((enum ps_net_coding)c, noise, 2, &arena, &out),
				 PS_ETOOBIG);
		/* The same bytes behind a beginning that shrinks. */
		struct iovec text[] = {{bytes + SHOWN, BYTES - SHOWN}, {bytes, SHOWN}};
		assert_int_equal(ps_net_deflate((enum ps_net_coding)c, text, 2, &arena, &out),
				 PS_OK);
		struct inflated r = inflate_steps((enum ps_net_coding)c, out.iov_base, out.iov_len,
						  out.iov_len, BYTES, -1);
		assert_int_equal(r.status, PS_OK);
		assert_true(r.ended && r.body.bytes == BYTES);
		assert_memory_equal(r.body.data + (BYTES - SHOWN), bytes, SHOWN);
		ps_arena_fini(&r.arena);
	}
	ps_arena_fini(&arena);
}

/* Sends a request for an echo of 1,000 bytes and returns the answer's body behind its head. */
static size_t answer_to(const char *accept, char *buf, size_t cap, char **ret_body)
{
	char head[400], body[1000];
	memset(body, 'z', sizeof body);
	int n = snprintf(head, sizeof head,
			 "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s%s%s"
			 "Content-Length: 1000\r\n\r\n",
			 accept ? "Accept-Encoding: " : "", accept ? accept : "",
			 accept ? "\r\n" : "");
	int fd = dial();
	size_t have = 0;
	send_all(fd, head, (size_t)n);
	send_all(fd, body, sizeof body);
	for (ssize_t r = -1; r != 0;) {
		turn();
		r = recv(fd, buf + have, cap - 1 - have, 0);
		have += r > 0 ? (size_t)r : 0;
	}
	close(fd);
	buf[have] = '\0';
	*ret_body = strstr(buf, "\r\n\r\n") + 4;
	return have - (size_t)(*ret_body - buf);
}

static void answers_are_compressed_when_both_want_it(void **state)
{
	(void)state;
	char buf[4096], *body;
	unsigned char plain[2000];
	F.compress = true;
	for (int gzip = 0; gzip < 2; gzip++) {
		size_t n = answer_to(gzip ? "deflate, gzip" : "deflate", buf, sizeof buf, &body);
		assert_true(n < 200);
		assert_non_null(strstr(buf, gzip ? "\r\nContent-Encoding: gzip\r\n"
						 : "\r\nContent-Encoding: deflate\r\n"));
		assert_non_null(strstr(buf, "\r\nVary: Accept-Encoding\r\n"));
		z_stream z = {.next_in = (unsigned char *)body,
			      .avail_in = (unsigned)n,
			      .next_out = plain,
			      .avail_out = sizeof plain};
		assert_int_equal(inflateInit2(&z, gzip ? GZIP : ZLIB), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		inflateEnd(&z);
		assert_memory_equal(plain, "POST /a? 1000:zzzz", 18);
	}
	size_t n = answer_to(NULL, buf, sizeof buf, &body);
	assert_int_equal(n, 1014);
	assert_null(strstr(buf, "Content-Encoding"));
	assert_non_null(strstr(buf, "Vary"));
	F.compress = false;
	n = answer_to("gzip", buf, sizeof buf, &body);
	assert_int_equal(n, 1014);
	assert_null(strstr(buf, "Content-Encoding"));
	assert_null(strstr(buf, "Vary"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codings_are_known_by_name),
		cmocka_unit_test(the_best_accepted_coding_is_chosen),
		cmocka_unit_test(bodies_come_out_whole),
		cmocka_unit_test(members_of_gzip_are_joined),
		cmocka_unit_test(broken_codings_are_refused),
		cmocka_unit_test(what_does_not_shrink_is_left),
		cmocka_unit_test(bombs_are_given_up_early),
		T(compressed_requests_arrive_inflated),
		T(large_bombs_cost_413),
		T(answers_are_compressed_when_both_want_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
