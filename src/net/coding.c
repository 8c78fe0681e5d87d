/* Content codings: what a header means, inflating within limits, deflating answers. */
#include "net/coding_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum {
	INFLATE_CALL = 256 * 1024,	    /* at most that much comes out of one call */
	RATIO_FREE_BYTES = 8 * 1024 * 1024, /* the ratio is judged from here on */
	SAMPLE_BYTES = 64 * 1024,	    /* of an answer, that tell whether it shrinks */
	WINDOW_GZIP = 15 + 16,
	WINDOW_ZLIB = 15,
	WINDOW_RAW = -15,
};

/* --- headers --- */

static const struct {
	const char *name;
	enum ps_net_coding coding;
} names[] = {
	{"identity", PS_NET_CODING_IDENTITY}, {"gzip", PS_NET_CODING_GZIP},
	{"x-gzip", PS_NET_CODING_GZIP},	      {"deflate", PS_NET_CODING_DEFLATE},
	{"*", PS_NET_CODING_UNKNOWN},
};

static enum ps_net_coding by_name(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i].name) == n && strncasecmp(names[i].name, s, n) == 0)
			return names[i].coding;
	return PS_NET_CODING_UNKNOWN;
}

enum ps_net_coding ps_net_coding_parse(const char *value)
{
	return !value || !*value ? PS_NET_CODING_IDENTITY : by_name(value, strlen(value));
}

const char *ps_net_coding_name(enum ps_net_coding coding)
{
	switch (coding) {
	case PS_NET_CODING_GZIP:
		return "gzip";
	case PS_NET_CODING_DEFLATE:
		return "deflate";
	case PS_NET_CODING_IDENTITY:
	case PS_NET_CODING_UNKNOWN:
		break;
	}
	return "identity";
}

/* "0.8" as 800; a q that is no number is as if the coding were not there. */
static int parse_q(const char *s, size_t n)
{
	int q, unit = 100;
	if (n == 0 || n > 5 || (s[0] != '0' && s[0] != '1') || (n > 1 && s[1] != '.'))
		return 0;
	q = (s[0] - '0') * 1000;
	for (size_t i = 2; i < n; i++, unit /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		q += (s[i] - '0') * unit;
	}
	return q > 1000 ? 0 : q;
}

static size_t skip_blanks(const char *s)
{
	return strspn(s, " \t");
}

/* The q of one member "gzip ; q=0.5" whose parameters begin at `s`. */
static int member_q(const char *s, const char *end)
{
	const char *q = memchr(s, ';', (size_t)(end - s));
	if (!q)
		return 1000;
	q += 1 + skip_blanks(q + 1);
	if (end - q < 2 || (q[0] != 'q' && q[0] != 'Q') || q[1] != '=')
		return 0;
	q += 2;
	return parse_q(q, strcspn(q, " \t;,"));
}

enum ps_net_coding ps_net_coding_accepted(const char *value)
{
	enum { UNSAID = -1 };
	int q[PS_NET_CODING_UNKNOWN + 1] = {UNSAID, UNSAID, UNSAID, UNSAID};
	for (const char *s = value ? value : ""; *s;) {
		s += strspn(s, " \t,");
		const char *end = s + strcspn(s, ",");
		size_t n = strcspn(s, " \t;,");
		enum ps_net_coding c = by_name(s, n);
		if (n > 0 && (c != PS_NET_CODING_UNKNOWN || *s == '*'))
			q[c] = member_q(s, end);
		s = end;
	}
	for (int c = PS_NET_CODING_GZIP; c <= PS_NET_CODING_DEFLATE; c++)
		if (q[c] == UNSAID)
			q[c] = q[PS_NET_CODING_UNKNOWN] == UNSAID ? 0 : q[PS_NET_CODING_UNKNOWN];
	enum ps_net_coding best = q[PS_NET_CODING_DEFLATE] > q[PS_NET_CODING_GZIP]
					  ? PS_NET_CODING_DEFLATE
					  : PS_NET_CODING_GZIP;
	return q[best] > 0 && q[best] >= q[PS_NET_CODING_IDENTITY] ? best : PS_NET_CODING_IDENTITY;
}

/* --- inflating --- */

struct ps_net_inflate {
	z_stream z;
	enum ps_net_coding coding;
	int max_ratio;
	bool begun, ended;
	unsigned char first; /* of deflate: its first byte waits for the second */
	bool has_first;
	uint64_t in_bytes, out_bytes;
};

struct ps_net_inflate *ps_net_inflate_new(enum ps_net_coding coding, int max_ratio)
{
	struct ps_net_inflate *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->coding = coding;
	f->max_ratio = max_ratio;
	return f;
}

void ps_net_inflate_free(struct ps_net_inflate *f)
{
	if (!f)
		return;
	if (f->begun)
		(void)inflateEnd(&f->z);
	free(f);
}

bool ps_net_inflate_ended(const struct ps_net_inflate *f)
{
	return f->ended;
}

/* zlib's two-byte header: method 8, and a multiple of 31. No deflate stream of a sane encoder
 * without the header looks so. */
static bool is_zlib_header(unsigned a, unsigned b)
{
	return (a & 0x0f) == 8 && (a >> 4) <= 7 && (a * 256 + b) % 31 == 0;
}

static enum ps_status begin(struct ps_net_inflate *f, int window)
{
	int r = inflateInit2(&f->z, window);
	if (r != Z_OK)
		return PS_ENOMEM;
	f->begun = true;
	return PS_OK;
}

/* Room for at least one more byte; at the limit that byte will say that there is too much. */
static enum ps_status make_room(struct ps_net_body *body, enum ps_status (*grown)(void *ctx),
				void *ctx)
{
	if (body->cap > body->bytes)
		return PS_OK;
	enum ps_status s = ps_net_body_reserve(body, 1);
	if (s != PS_OK)
		return s;
	return grown ? grown(ctx) : PS_OK;
}

static bool is_bomb(const struct ps_net_inflate *f)
{
	return f->out_bytes > RATIO_FREE_BYTES &&
	       f->out_bytes / (uint64_t)f->max_ratio > f->in_bytes;
}

/* One call of zlib. With the body full a spare byte tells "all came out already" from "too much".
 */
static enum ps_status step(struct ps_net_inflate *f, struct ps_net_body *body)
{
	unsigned char spare = 0;
	size_t room = body->cap - body->bytes, before = f->z.avail_in;
	bool full = room == 0;
	unsigned limit = room > INFLATE_CALL ? INFLATE_CALL : (unsigned)room;
	f->z.next_out = full ? &spare : (unsigned char *)body->data + body->bytes;
	f->z.avail_out = full ? 1 : limit;
	unsigned offered = f->z.avail_out;
	int r = inflate(&f->z, Z_NO_FLUSH);
	size_t out = offered - f->z.avail_out;
	f->in_bytes += before - f->z.avail_in;
	f->out_bytes += out;
	if (full && out > 0)
		return PS_ETOOBIG;
	body->bytes += out;
	if (r == Z_STREAM_END)
		f->ended = true;
	else if (r == Z_MEM_ERROR)
		return PS_ENOMEM;
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return PS_EPARSE;
	return is_bomb(f) ? PS_ETOOBIG : PS_OK;
}

/* Bytes behind the end: gzip may have another member there (RFC 1952), nothing else has. */
static enum ps_status begin_member(struct ps_net_inflate *f, unsigned char first)
{
	enum { MAGIC = 0x1f };
	if (f->coding != PS_NET_CODING_GZIP || first != MAGIC || inflateReset(&f->z) != Z_OK)
		return PS_EPARSE;
	f->ended = false;
	return PS_OK;
}

/* Up to the end of the bytes or of the coding. */
static enum ps_status run_member(struct ps_net_inflate *f, struct ps_net_body *body,
				 enum ps_status (*grown)(void *ctx), void *ctx)
{
	enum ps_status s = PS_OK;
	bool more = true; /* zlib may hold output back when it had no room */
	while (s == PS_OK && !f->ended && (f->z.avail_in > 0 || more)) {
		s = make_room(body, grown, ctx);
		if (s == PS_ETOOBIG)
			s = PS_OK; /* at the limit: step tells whether anything is left */
		if (s != PS_OK)
			return s;
		s = step(f, body);
		more = f->z.avail_out == 0;
	}
	return s;
}

static enum ps_status run(struct ps_net_inflate *f, const void *at, size_t n,
			  struct ps_net_body *body, enum ps_status (*grown)(void *ctx), void *ctx)
{
	enum ps_status s = PS_OK;
	f->z.next_in = (unsigned char *)(uintptr_t)at;
	f->z.avail_in = (unsigned)n;
	while (s == PS_OK && f->z.avail_in > 0) {
		if (f->ended)
			s = begin_member(f, *f->z.next_in);
		if (s == PS_OK)
			s = run_member(f, body, grown, ctx);
	}
	return s;
}

enum ps_status ps_net_inflate_feed(struct ps_net_inflate *f, const void *at, size_t n,
				   struct ps_net_body *body, enum ps_status (*grown)(void *ctx),
				   void *ctx)
{
	const unsigned char *bytes = at;
	enum ps_status s = PS_OK;
	if (n == 0)
		return PS_OK;
	if (!f->begun && f->coding == PS_NET_CODING_GZIP)
		s = begin(f, WINDOW_GZIP);
	if (s == PS_OK && !f->begun) {
		if (!f->has_first) {
			f->first = *bytes++;
			f->has_first = true;
			n--;
		}
		if (n == 0)
			return PS_OK;
		s = begin(f, is_zlib_header(f->first, *bytes) ? WINDOW_ZLIB : WINDOW_RAW);
		if (s == PS_OK)
			s = run(f, &f->first, 1, body, grown, ctx);
	}
	/* zlib counts in unsigned int. */
	while (s == PS_OK && n > 0) {
		size_t part = n < 1u << 30 ? n : 1u << 30;
		s = run(f, bytes, part, body, grown, ctx);
		bytes += part;
		n -= part;
	}
	return s;
}

/* --- deflating --- */

/* Feeds all pieces, but ends with Z_BUF_ERROR where the first SAMPLE_BYTES do not shrink by an
 * eighth: the rest, tensors as a rule, is not worth the time. */
static int deflate_pieces(z_stream *z, const struct iovec *pieces, size_t n)
{
	int r = Z_OK;
	for (size_t i = 0; i < n; i++) {
		size_t left = pieces[i].iov_len;
		for (unsigned char *at = pieces[i].iov_base; r == Z_OK && left > 0;) {
			bool sample = z->total_in < SAMPLE_BYTES;
			size_t max = sample ? SAMPLE_BYTES - z->total_in : UINT32_MAX;
			z->next_in = at;
			z->avail_in = (unsigned)(left < max ? left : max);
			at += z->avail_in;
			left -= z->avail_in;
			sample = sample && z->avail_in == max;
			r = deflate(z, sample ? Z_BLOCK : Z_NO_FLUSH);
			if (z->avail_in > 0 ||
			    (sample && z->total_out > z->total_in - z->total_in / 8))
				return Z_BUF_ERROR;
		}
	}
	return r;
}

enum ps_status ps_net_deflate(enum ps_net_coding coding, const struct iovec *pieces, size_t n,
			      struct ps_arena *arena, struct iovec *ret_piece)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += pieces[i].iov_len;
	char *out = bytes > 0 ? ps_arena_alloc(arena, bytes) : NULL;
	if (!out)
		return bytes > 0 ? PS_ENOMEM : PS_ETOOBIG;
	z_stream z = {0};
	int window = coding == PS_NET_CODING_GZIP ? WINDOW_GZIP : WINDOW_ZLIB;
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return PS_ENOMEM;
	z.next_out = (unsigned char *)out;
	z.avail_out = (unsigned)bytes - 1; /* smaller, or not at all */
	int r = deflate_pieces(&z, pieces, n);
	if (r == Z_OK)
		r = deflate(&z, Z_FINISH);
	size_t made = bytes - 1 - z.avail_out;
	(void)deflateEnd(&z);
	if (r != Z_STREAM_END)
		return PS_ETOOBIG;
	*ret_piece = (struct iovec){out, made};
	return PS_OK;
}
