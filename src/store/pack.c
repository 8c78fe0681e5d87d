#include "store/pack_internal.h"

#include <stdlib.h>
#include <string.h>

/* Requests lie close together in time, so differences are small: each is written as a variable
 * length number (7 bits per byte, sign folded into the lowest bit). */

#define PACK_VERSION  1
#define PACK_MIN_SIZE 9 /* bytes of the shortest request: bounds what a count may claim */

static void put_unsigned(struct ps_strbuf *out, uint64_t v)
{
	while (v >= 0x80) {
		ps_strbuf_putc(out, (char)(v | 0x80));
		v >>= 7;
	}
	ps_strbuf_putc(out, (char)v);
}

static void put_signed(struct ps_strbuf *out, int64_t v)
{
	put_unsigned(out, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* An instant that never came is 0, others are their distance to `base` with a mark. */
static void put_instant(struct ps_strbuf *out, int64_t t, int64_t base)
{
	if (t < 0) {
		put_unsigned(out, 0);
		return;
	}
	int64_t d = t - base;
	put_unsigned(out, ((((uint64_t)d << 1) ^ (uint64_t)(d >> 63)) << 1) | 1);
}

enum ps_status ps_store_pack_requests(const struct ps_store_request *r, size_t n,
				      struct ps_strbuf *out)
{
	int64_t last = 0;
	ps_strbuf_putc(out, PACK_VERSION);
	put_unsigned(out, n);
	for (size_t i = 0; i < n; i++) {
		put_signed(out, r[i].scheduled_ns - last);
		last = r[i].scheduled_ns;
		put_instant(out, r[i].sent_ns, last);
		put_instant(out, r[i].first_byte_ns, last);
		put_instant(out, r[i].done_ns, last);
		put_signed(out, r[i].server_queue_ns);
		put_signed(out, r[i].server_compute_ns);
		put_unsigned(out, r[i].http_status);
		put_unsigned(out, r[i].outcome);
		put_unsigned(out, r[i].warmup);
	}
	return ps_strbuf_status(out);
}

struct cursor {
	const unsigned char *p, *end;
	bool broken;
};

static uint64_t get_unsigned(struct cursor *c)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (c->p == c->end) {
			break;
		}
		unsigned char b = *c->p++;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			return v;
		}
	}
	c->broken = true;
	return 0;
}

static int64_t get_signed(struct cursor *c)
{
	uint64_t v = get_unsigned(c);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static int64_t get_instant(struct cursor *c, int64_t base)
{
	uint64_t v = get_unsigned(c);
	if (v == 0) {
		return -1;
	}
	v >>= 1;
	/* unsigned: hostile bytes must not overflow */
	return (int64_t)((uint64_t)base + (uint64_t)((int64_t)(v >> 1) ^ -(int64_t)(v & 1)));
}

static void get_request(struct cursor *c, int64_t *last, struct ps_store_request *r)
{
	*last = (int64_t)((uint64_t)*last + (uint64_t)get_signed(c));
	r->scheduled_ns = *last;
	r->sent_ns = get_instant(c, *last);
	r->first_byte_ns = get_instant(c, *last);
	r->done_ns = get_instant(c, *last);
	r->server_queue_ns = get_signed(c);
	r->server_compute_ns = get_signed(c);
	r->http_status = (uint16_t)get_unsigned(c);
	r->outcome = (uint8_t)get_unsigned(c);
	r->warmup = (uint8_t)get_unsigned(c);
}

enum ps_status ps_store_unpack_requests(const void *data, size_t len, struct ps_store_request **ret,
					size_t *ret_len, struct ps_error *err)
{
	struct cursor c = {.p = data, .end = (const unsigned char *)data + len};
	if (len < 2 || *c.p++ != PACK_VERSION) {
		return ps_error_set(err, PS_ECORRUPT, "stored requests of an unknown form");
	}
	uint64_t n = get_unsigned(&c);
	if (c.broken || n > (size_t)(c.end - c.p) / PACK_MIN_SIZE) {
		return ps_error_set(err, PS_ECORRUPT, "stored requests are cut short");
	}
	struct ps_store_request *r = calloc(n ? n : 1, sizeof(*r));
	if (!r) {
		return ps_error_set(err, PS_ENOMEM, "no memory for %llu requests",
				    (unsigned long long)n);
	}
	int64_t last = 0;
	for (uint64_t i = 0; i < n && !c.broken; i++) {
		get_request(&c, &last, &r[i]);
	}
	if (c.broken || c.p != c.end) {
		free(r);
		return ps_error_set(err, PS_ECORRUPT, "stored requests are broken");
	}
	*ret = r;
	*ret_len = n;
	return PS_OK;
}
