#include "load/request_log.h"
#include "load/request_log_internal.h"

#include "load/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The payload of one block. A read past its end, or a number too large, makes it bad for good. */
struct cursor {
	const unsigned char *p, *end;
	bool bad;
};

struct reader {
	FILE *file;
	unsigned char *block; /* PS_LOAD_LOG_MAX_BLOCK bytes */
	uint64_t at;	      /* of the block in the file */
	struct ps_load_log_head head;
	uint64_t records;
	bool has_head, ended;
	const struct ps_load_log_visitor *visitor;
};

/* ---- numbers ---- */

static uint64_t get_uint(struct cursor *c)
{
	uint64_t v = 0;

	for (int shift = 0; c->p < c->end && shift < 64; shift += 7) {
		unsigned char byte = *c->p++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (shift == 63 && byte > 1) {
			break;
		}
		if (!(byte & 0x80)) {
			return v;
		}
	}
	c->bad = true;
	return 0;
}

static int64_t get_int(struct cursor *c)
{
	uint64_t v = get_uint(c);

	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

static uint64_t get_below(struct cursor *c, uint64_t limit)
{
	uint64_t v = get_uint(c);

	c->bad = c->bad || v >= limit;
	return c->bad ? 0 : v;
}

static unsigned get_byte(struct cursor *c)
{
	if (c->p == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

static uint32_t fixed(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Sums of hostile numbers must not overflow: what is no instant of a run is bad. */
static int64_t plus(struct cursor *c, int64_t a, int64_t b)
{
	int64_t sum = 0;

	c->bad = __builtin_add_overflow(a, b, &sum) || sum < 0 || c->bad;
	return c->bad ? 0 : sum;
}

/* ---- blocks ---- */

static enum ps_status corrupt(const struct reader *r, struct ps_error *err, const char *what)
{
	return ps_error_set(err, PS_ECORRUPT, "the request log's block at byte %" PRIu64 " %s",
			    r->at, what);
}

static enum ps_status read_head(struct reader *r, struct cursor *c, struct ps_error *err)
{
	struct ps_load_log_head *h = &r->head;

	if (r->has_head) {
		return corrupt(r, err, "is a second head");
	}
	h->wall_ns = get_int(c);
	h->warmup_ns = get_int(c);
	h->duration_ns = get_int(c);
	h->seed = get_uint(c);
	h->tenant_len = get_below(c, PS_LOAD_MAX_TENANTS + 1);
	h->tenants = calloc(h->tenant_len + 1, sizeof(*h->tenants));
	if (!h->tenants) {
		return ps_error_set(err, PS_ENOMEM, "no memory to read a request log");
	}
	for (size_t i = 0; i < h->tenant_len && !c->bad; i++) {
		size_t len = get_below(c, sizeof(h->tenants[i].name));

		if (len > (size_t)(c->end - c->p)) {
			c->bad = true;
			break;
		}
		memcpy(h->tenants[i].name, c->p, len);
		c->p += len;
		h->tenants[i].dropped = get_uint(c);
	}
	if (c->bad || c->p != c->end) {
		return corrupt(r, err, "is no head of a log");
	}
	r->has_head = true;
	return r->visitor->head ? r->visitor->head(r->visitor->ctx, h, err) : PS_OK;
}

static int64_t get_optional(struct cursor *c, unsigned flags, unsigned bit, int64_t from)
{
	return flags & bit ? plus(c, from, get_int(c)) : -1;
}

static struct ps_load_record get_record(struct cursor *c, const struct ps_load_record *before)
{
	struct ps_load_record q = {0};
	unsigned flags = get_byte(c);

	q.warmup = (flags & PS_LOAD_LOG_WARMUP) != 0;
	q.sampled = (flags & PS_LOAD_LOG_SAMPLED) != 0;
	q.scheduled_ns = plus(c, before->scheduled_ns, get_int(c));
	q.sequence = before->sequence + (uint64_t)get_int(c);
	q.sent_ns = get_optional(c, flags, PS_LOAD_LOG_SENT, q.scheduled_ns);
	q.first_byte_ns = get_optional(c, flags, PS_LOAD_LOG_FIRST, q.scheduled_ns);
	q.done_ns = get_optional(c, flags, PS_LOAD_LOG_DONE, q.scheduled_ns);
	q.server_queue_ns = get_optional(c, flags, PS_LOAD_LOG_QUEUE, 0);
	q.server_compute_ns = get_optional(c, flags, PS_LOAD_LOG_COMPUTE, 0);
	q.connection = (uint32_t)get_below(c, UINT64_C(1) << 32);
	q.http_status = (uint16_t)get_below(c, 1 << 16);
	q.outcome = (uint8_t)get_below(c, PS_LOAD_OUTCOME_COUNT);
	return q;
}

static enum ps_status read_records(struct reader *r, struct cursor *c, struct ps_error *err)
{
	struct ps_load_record q = {0};
	size_t tenant = get_below(c, r->head.tenant_len);
	uint64_t n = get_uint(c);
	enum ps_status st = PS_OK;

	for (uint64_t i = 0; i < n && !c->bad && st == PS_OK; i++) {
		q = get_record(c, &q);
		r->records++;
		if (!c->bad && r->visitor->record) {
			st = r->visitor->record(r->visitor->ctx, &r->head, tenant, &q, err);
		}
	}
	if (st == PS_OK && (c->bad || c->p != c->end)) {
		return corrupt(r, err, "holds no requests");
	}
	return st;
}

static enum ps_status read_payload(struct reader *r, struct cursor *c, struct ps_error *err)
{
	unsigned kind = get_byte(c);

	if (r->ended || (kind != PS_LOAD_LOG_HEAD && !r->has_head)) {
		return corrupt(r, err, "is out of place");
	}
	switch (kind) {
	case PS_LOAD_LOG_HEAD:
		return read_head(r, c, err);
	case PS_LOAD_LOG_RECORDS:
		return read_records(r, c, err);
	case PS_LOAD_LOG_END:
		r->ended = true;
		if (get_uint(c) == r->records && !c->bad && c->p == c->end) {
			return PS_OK;
		}
		return corrupt(r, err, "says another number of requests than the file holds");
	default:
		return corrupt(r, err, "is of an unknown kind");
	}
}

/* PS_OK with *ret_more false at the end of the file. */
static enum ps_status read_block(struct reader *r, bool *ret_more, struct ps_error *err)
{
	unsigned char lead[8];
	size_t n = fread(lead, 1, sizeof(lead), r->file);
	uint32_t len = n == sizeof(lead) ? fixed(lead) : 0;
	struct cursor c = {r->block, r->block + len, false};
	enum ps_status st;

	*ret_more = n > 0;
	if (n == 0) {
		return r->ended ? PS_OK : corrupt(r, err, "is missing: the file was cut off");
	}
	if (n == sizeof(lead) && (len == 0 || len > PS_LOAD_LOG_MAX_BLOCK)) {
		return corrupt(r, err, "has no possible length");
	}
	if (n != sizeof(lead) || fread(r->block, 1, len, r->file) != len) {
		return corrupt(r, err, "was cut off");
	}
	if (crc32(0, r->block, len) != fixed(lead + 4)) {
		return corrupt(r, err, "is damaged: its checksum does not agree");
	}
	st = read_payload(r, &c, err);
	r->at += sizeof(lead) + len;
	return st;
}

static enum ps_status read_magic(struct reader *r, struct ps_error *err)
{
	char magic[8];
	size_t n = fread(magic, 1, sizeof(magic), r->file);

	if (n != sizeof(magic) || memcmp(magic, PS_LOAD_LOG_MAGIC, 6) != 0) {
		return ps_error_set(err, PS_ECORRUPT, "this is no request log of perseus load");
	}
	if (memcmp(magic, PS_LOAD_LOG_MAGIC, 8) != 0) {
		return ps_error_set(err, PS_ECORRUPT,
				    "this request log is of another version than 1");
	}
	r->at = sizeof(magic);
	return PS_OK;
}

static enum ps_status read_all(struct reader *r, struct ps_error *err)
{
	bool more = true;
	enum ps_status st = read_magic(r, err);

	while (st == PS_OK && more) {
		st = read_block(r, &more, err);
	}
	if (st == PS_OK && r->visitor->end) {
		st = r->visitor->end(r->visitor->ctx, &r->head, err);
	}
	if (st != PS_OK && ferror(r->file)) {
		return ps_error_errno(err, errno, "cannot read the request log");
	}
	return st;
}

enum ps_status ps_load_log_read(const char *path, const struct ps_load_log_visitor *visitor,
				struct ps_error *err)
{
	struct reader r = {.visitor = visitor, .file = fopen(path, "re")};
	enum ps_status st;

	if (!r.file) {
		st = ps_error_errno(err, errno, "cannot open the request log");
		ps_error_where(err, "%s", path);
		return st;
	}
	r.block = malloc(PS_LOAD_LOG_MAX_BLOCK);
	st = r.block ? read_all(&r, err) : ps_error_set(err, PS_ENOMEM, "no memory for a block");
	if (st != PS_OK && err && !err->where[0]) {
		ps_error_where(err, "%s", path);
	}
	free(r.block);
	free(r.head.tenants);
	fclose(r.file);
	return st;
}
