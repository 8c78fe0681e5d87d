#include "stats/hist.h"
#include "stats/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below 512 a bucket is one nanosecond. From there on octave e (2^e <= v < 2^(e+1), e >= 9) has 512
 * buckets of 2^(e-9): the middle is at most 2^-10 of the value away. 2^40 ns is above 1000 s. */
#define SUB_BITS  9
#define SUB_COUNT (1 << SUB_BITS)
#define OCTAVES	  (40 - SUB_BITS)
#define BUCKETS	  ((OCTAVES + 1) * SUB_COUNT)

static_assert(SUB_COUNT == PS_HIST_SUB_BUCKETS && OCTAVES + 1 == PS_HIST_BUCKETS,
	      "hist.h says how it is cut");

static size_t bucket_of(int64_t v)
{
	if (v < SUB_COUNT)
		return (size_t)v;
	int e = 63 - __builtin_clzll((unsigned long long)v);
	size_t sub = (size_t)(v >> (e - SUB_BITS)) & (SUB_COUNT - 1);
	return (size_t)(e - SUB_BITS + 1) * SUB_COUNT + sub;
}

static int64_t bucket_low(size_t i)
{
	if (i < SUB_COUNT)
		return (int64_t)i;
	int shift = (int)(i / SUB_COUNT) - 1;
	return (int64_t)(SUB_COUNT + i % SUB_COUNT) << shift;
}

static int64_t bucket_middle(size_t i)
{
	if (i < 2 * SUB_COUNT)
		return bucket_low(i);
	return bucket_low(i) + ((int64_t)1 << (i / SUB_COUNT - 1)) / 2;
}

enum ps_status ps_hist_init(struct ps_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->counts = calloc(BUCKETS, sizeof(*h->counts));
	return h->counts ? PS_OK : PS_ENOMEM;
}

void ps_hist_fini(struct ps_hist *h)
{
	free(h->counts);
	memset(h, 0, sizeof(*h));
}

void ps_hist_reset(struct ps_hist *h)
{
	uint64_t *counts = h->counts;
	memset(counts, 0, BUCKETS * sizeof(*counts));
	memset(h, 0, sizeof(*h));
	h->counts = counts;
}

void ps_hist_record(struct ps_hist *h, int64_t value_ns)
{
	ps_hist_record_n(h, value_ns, 1);
}

void ps_hist_record_n(struct ps_hist *h, int64_t value_ns, uint64_t n)
{
	if (n == 0)
		return;
	if (h->count == 0 || value_ns < h->min_ns)
		h->min_ns = value_ns;
	if (h->count == 0 || value_ns > h->max_ns)
		h->max_ns = value_ns;
	h->count += n;
	h->sum_ns += (__int128)value_ns * n;
	if (value_ns > PS_HIST_MAX_NS) {
		h->overflow += n;
		return;
	}
	if (value_ns < 0) {
		h->underflow += n;
		value_ns = 0;
	}
	h->counts[bucket_of(value_ns)] += n;
}

void ps_hist_record_lost(struct ps_hist *h, uint64_t n)
{
	h->lost += n;
}

void ps_hist_merge(struct ps_hist *to, const struct ps_hist *from)
{
	to->lost += from->lost;
	if (from->count == 0)
		return;
	if (to->count == 0 || from->min_ns < to->min_ns)
		to->min_ns = from->min_ns;
	if (to->count == 0 || from->max_ns > to->max_ns)
		to->max_ns = from->max_ns;
	to->count += from->count;
	to->underflow += from->underflow;
	to->overflow += from->overflow;
	to->sum_ns += from->sum_ns;
	for (size_t i = 0; i < BUCKETS; i++)
		to->counts[i] += from->counts[i];
}

uint64_t ps_hist_count(const struct ps_hist *h)
{
	return h->count;
}

uint64_t ps_hist_total(const struct ps_hist *h)
{
	return h->count + h->lost;
}

double ps_hist_mean_ns(const struct ps_hist *h)
{
	return h->count ? (double)h->sum_ns / (double)h->count : 0;
}

double ps_hist_deviation_ns(const struct ps_hist *h)
{
	double mean = ps_hist_mean_ns(h), sum = 0;

	for (size_t i = 0; h->count && i < BUCKETS; i++) {
		double apart = (double)bucket_middle(i) - mean;
		sum += (double)h->counts[i] * apart * apart;
	}
	/* What no bucket holds is at most as far away as the largest. */
	sum += (double)h->overflow * ((double)h->max_ns - mean) * ((double)h->max_ns - mean);
	return h->count ? sqrt(sum / (double)h->count) : 0;
}

static int64_t clamp(const struct ps_hist *h, int64_t v)
{
	if (v < h->min_ns)
		return h->min_ns;
	return v > h->max_ns ? h->max_ns : v;
}

int64_t ps_hist_rank_ns(const struct ps_hist *h, uint64_t rank)
{
	if (ps_hist_total(h) == 0)
		return 0;
	if (rank > h->count)
		return PS_HIST_INFINITE;
	if (rank <= 1)
		return h->min_ns;
	if (rank == h->count)
		return h->max_ns;
	uint64_t seen = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= rank)
			return clamp(h, bucket_middle(i));
	}
	return h->max_ns; /* among those over the range, whose values are not kept */
}

int64_t ps_hist_quantile_ns(const struct ps_hist *h, double p)
{
	return ps_hist_rank_ns(h, ps_stats_rank(p, ps_hist_total(h)));
}

uint64_t ps_hist_count_over(const struct ps_hist *h, int64_t limit_ns)
{
	uint64_t over = h->lost;
	if (h->count == 0 || limit_ns >= h->max_ns)
		return over;
	if (limit_ns < h->min_ns)
		return over + h->count;
	over += h->overflow;
	if (limit_ns > PS_HIST_MAX_NS)
		return over;
	/* A limit below 0 lies inside the underflow, which is kept with the zeros. */
	size_t i = limit_ns < 0 ? 0 : bucket_of(limit_ns) + 1;
	for (; i < BUCKETS; i++)
		over += h->counts[i];
	return over;
}

/* The portable form, little-endian:
 *	"PSH1", crc32 of what follows, then as LEB128: count underflow overflow lost, min max
 *(zigzag), sum (16 bytes plain), number of pairs, pairs of (gap to the previous bucket, count). */
#define MAGIC "PSH1"

static uint32_t crc32_of(const unsigned char *p, size_t n)
{
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

static void put_uint(struct ps_strbuf *out, uint64_t v)
{
	while (v >= 0x80) {
		ps_strbuf_putc(out, (char)(v | 0x80));
		v >>= 7;
	}
	ps_strbuf_putc(out, (char)v);
}

static void put_int(struct ps_strbuf *out, int64_t v)
{
	put_uint(out, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static void put_fixed(struct ps_strbuf *out, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		ps_strbuf_putc(out, (char)(v >> (8 * i)));
}

static void put_body(const struct ps_hist *h, struct ps_strbuf *out)
{
	uint64_t pairs = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		pairs += h->counts[i] != 0;
	put_uint(out, h->count);
	put_uint(out, h->underflow);
	put_uint(out, h->overflow);
	put_uint(out, h->lost);
	put_int(out, h->min_ns);
	put_int(out, h->max_ns);
	put_fixed(out, (uint64_t)h->sum_ns, 8);
	put_fixed(out, (uint64_t)((unsigned __int128)h->sum_ns >> 64), 8);
	put_uint(out, pairs);
	size_t last = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		if (h->counts[i] == 0)
			continue;
		put_uint(out, i - last);
		put_uint(out, h->counts[i]);
		last = i;
	}
}

void ps_hist_write(const struct ps_hist *h, struct ps_strbuf *out)
{
	struct ps_strbuf body;
	ps_strbuf_init(&body);
	put_body(h, &body);
	if (ps_strbuf_status(&body) != PS_OK) {
		out->failed = true;
	} else {
		ps_strbuf_append(out, MAGIC, 4);
		put_fixed(out, crc32_of((const unsigned char *)body.data, body.len), 4);
		ps_strbuf_append(out, body.data, body.len);
	}
	ps_strbuf_fini(&body);
}

struct reader {
	const unsigned char *p, *end;
	bool bad;
};

static uint64_t get_uint(struct reader *r)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (r->p == r->end)
			break;
		unsigned char c = *r->p++;
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static int64_t get_int(struct reader *r)
{
	uint64_t v = get_uint(r);
	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

static uint64_t get_fixed(struct reader *r, int bytes)
{
	if (r->end - r->p < bytes) {
		r->bad = true;
		return 0;
	}
	uint64_t v = 0;
	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)*r->p++ << (8 * i);
	return v;
}

static void get_head(struct reader *r, struct ps_hist *h)
{
	h->count = get_uint(r);
	h->underflow = get_uint(r);
	h->overflow = get_uint(r);
	h->lost = get_uint(r);
	h->min_ns = get_int(r);
	h->max_ns = get_int(r);
	uint64_t low = get_fixed(r, 8);
	uint64_t high = get_fixed(r, 8);
	h->sum_ns = (__int128)(((unsigned __int128)high << 64) | low);
}

/* The pairs must rise, stay inside, and add up to the counts of the head. */
static void get_pairs(struct reader *r, struct ps_hist *h)
{
	uint64_t pairs = get_uint(r), at = 0;
	unsigned __int128 sum = h->overflow;
	if (pairs > BUCKETS)
		r->bad = true;
	for (uint64_t k = 0; k < pairs && !r->bad; k++) {
		uint64_t gap = get_uint(r), n = get_uint(r);
		if (r->bad || n == 0 || (k > 0 && gap == 0) || gap >= BUCKETS - at) {
			r->bad = true;
			return;
		}
		at += gap;
		h->counts[at] = n;
		sum += n;
	}
	if (sum != h->count || r->p != r->end)
		r->bad = true;
}

static bool head_agrees(const struct ps_hist *h)
{
	if (h->count == 0)
		return h->min_ns == 0 && h->max_ns == 0 && h->sum_ns == 0 && h->underflow == 0;
	return h->min_ns <= h->max_ns && h->underflow <= h->count &&
	       (h->underflow > 0) == (h->min_ns < 0) &&
	       (h->overflow > 0) == (h->max_ns > PS_HIST_MAX_NS) &&
	       h->sum_ns >= (__int128)h->min_ns * h->count &&
	       h->sum_ns <= (__int128)h->max_ns * h->count;
}

enum ps_status ps_hist_read(struct ps_hist *h, const void *bytes, size_t len, struct ps_error *err)
{
	struct reader r = {bytes, (const unsigned char *)bytes + len, false};
	ps_hist_reset(h);
	if (len < 8 || memcmp(bytes, MAGIC, 4) != 0)
		return ps_error_set(err, PS_ECORRUPT, "these bytes are not a histogram");
	r.p += 4;
	uint32_t crc = (uint32_t)get_fixed(&r, 4);
	if (crc != crc32_of(r.p, (size_t)(r.end - r.p)))
		return ps_error_set(err, PS_ECORRUPT, "the histogram's checksum does not agree");
	get_head(&r, h);
	if (!r.bad)
		get_pairs(&r, h);
	if (r.bad || !head_agrees(h)) {
		ps_hist_reset(h);
		return ps_error_set(err, PS_ECORRUPT, "the histogram contradicts itself");
	}
	return PS_OK;
}
