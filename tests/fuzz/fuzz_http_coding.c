/* Content codings: a body that is inflated in pieces stays inside its limits and its memory. The
 * first byte chooses coding, pieces and alignment, the second the limit; the text up to the first
 * NUL is an Accept-Encoding as well. */
#include "fuzz/fuzz.h"
#include "net/coding_internal.h"

#include <string.h>

static enum ps_status grown(void *ctx)
{
	size_t *cap = ctx;
	++*cap;
	return *cap > 64 ? PS_EUNAVAIL : PS_OK;
}

static void check_header(const uint8_t *data, size_t size)
{
	char text[128];
	size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
	memcpy(text, data, n);
	text[n] = '\0';
	enum ps_net_coding c = ps_net_coding_accepted(text);
	MUST(c == PS_NET_CODING_IDENTITY || c == PS_NET_CODING_GZIP || c == PS_NET_CODING_DEFLATE);
	(void)ps_net_coding_parse(text);
}

/* What deflates comes back as it was. */
static void check_round(const uint8_t *data, size_t size, struct ps_arena *arena)
{
	struct iovec pieces[] = {{(void *)(uintptr_t)data, size / 2},
				 {(void *)(uintptr_t)(data + size / 2), size - size / 2}};
	struct iovec packed;
	struct ps_net_body body;
	if (ps_net_deflate(PS_NET_CODING_GZIP, pieces, 2, arena, &packed) != PS_OK)
		return;
	MUST(packed.iov_len < size);
	struct ps_net_inflate *f = ps_net_inflate_new(PS_NET_CODING_GZIP, 256);
	MUST(f && ps_net_body_begin(&body, arena, -1, -1, size) == PS_OK);
	MUST(ps_net_inflate_feed(f, packed.iov_base, packed.iov_len, &body, NULL, NULL) == PS_OK);
	MUST(ps_net_inflate_ended(f) && body.bytes == size && memcmp(body.data, data, size) == 0);
	ps_net_inflate_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	enum ps_net_coding coding = data[0] & 1 ? PS_NET_CODING_GZIP : PS_NET_CODING_DEFLATE;
	size_t step = data[0] >> 1 & 31 ? data[0] >> 1 & 31 : SIZE_MAX, caps = 0;
	size_t max = (size_t)data[1] * 1024 + 1;
	int64_t json = data[0] & 0x80 ? 13 : -1;
	const uint8_t *at = data + 2, *end = data + size;
	struct ps_arena arena;
	struct ps_net_body body;
	ps_arena_init(&arena, 0);
	check_header(at, size - 2);
	check_round(at, size - 2, &arena);
	MUST(ps_net_body_begin(&body, &arena, -1, json, max) == PS_OK);
	struct ps_net_inflate *f = ps_net_inflate_new(coding, 4);
	MUST(f);
	for (enum ps_status s = PS_OK; s == PS_OK && at < end;) {
		size_t n = (size_t)(end - at) < step ? (size_t)(end - at) : step;
		s = ps_net_inflate_feed(f, at, n, &body, grown, &caps);
		MUST(s == PS_OK || s == PS_EPARSE || s == PS_ETOOBIG || s == PS_EUNAVAIL);
		MUST(body.bytes <= max && body.bytes <= body.cap);
		MUST(body.bytes == 0 || json < 0 || ((uintptr_t)body.data + 13) % 64 == 0);
		at += n;
	}
	ps_net_inflate_free(f);
	ps_arena_fini(&arena);
	return 0;
}
