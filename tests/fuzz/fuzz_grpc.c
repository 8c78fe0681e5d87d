/* Messages of one gRPC call: the first bytes say what the handlers do, in which pieces the rest
 * comes and how messages are encoded; the rest is the payload of DATA frames. */
#include "fuzz/h2_common.h"

static size_t put_field(unsigned char *to, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);
	to[0] = 0;
	to[1] = (unsigned char)n;
	memcpy(to + 2, name, n);
	to[2 + n] = (unsigned char)v;
	memcpy(to + 3 + n, value, v);
	return 3 + n + v;
}

static size_t put_head(unsigned char *to, int type, int flags, size_t n)
{
	const unsigned char head[9] = {0,
				       (unsigned char)(n >> 8),
				       (unsigned char)n,
				       (unsigned char)type,
				       (unsigned char)flags,
				       0,
				       0,
				       0,
				       1};
	memcpy(to, head, sizeof head);
	return sizeof head;
}

static void begin_call(const char *encoding)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	unsigned char b[512];
	size_t n = 9;
	n += put_field(b + n, ":method", "POST");
	n += put_field(b + n, ":scheme", "http");
	n += put_field(b + n, ":path", "/a.B/C");
	n += put_field(b + n, ":authority", "h");
	n += put_field(b + n, "content-type", "application/grpc");
	n += put_field(b + n, "te", "trailers");
	n += put_field(b + n, "grpc-encoding", encoding);
	(void)put_head(b, 1, 4, n - 9);
	h2_fuzz_feed(preface, sizeof preface); /* with the NUL: nine bytes of SETTINGS */
	h2_fuzz_feed(b, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const encodings[] = {"identity", "gzip", "deflate"};
	unsigned char b[9 + 512];
	if (size < 3)
		return 0;
	h2_fuzz_begin(data[0]);
	begin_call(encodings[data[2] % 3]);
	size_t step = data[1] ? data[1] : 512;
	for (size_t at = 3; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		put_head(b, 0, at + n == size, n);
		memcpy(b + 9, data + at, n);
		h2_fuzz_feed(b, 9 + n);
	}
	h2_fuzz_finish_all();
	return 0;
}
