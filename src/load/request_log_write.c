#include "load/request_log.h"
#include "load/request_log_internal.h"

#include "base/file.h"

#include <zlib.h>

enum { RECORDS_PER_BLOCK = 4096 };

static void put_uint(struct ps_strbuf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7) {
		ps_strbuf_putc(b, (char)(0x80 | (v & 0x7f)));
	}
	ps_strbuf_putc(b, (char)v);
}

static void put_int(struct ps_strbuf *b, int64_t v)
{
	put_uint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_fixed(struct ps_strbuf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++) {
		ps_strbuf_putc(b, (char)(v >> (8 * i)));
	}
}

/* Closes the block in `body` and empties it. */
static void put_block(struct ps_strbuf *out, struct ps_strbuf *body)
{
	out->failed = out->failed || body->failed;
	if (!out->failed) {
		put_fixed(out, (uint32_t)body->len);
		put_fixed(out, (uint32_t)crc32(0, (const Bytef *)body->data, (uInt)body->len));
		ps_strbuf_append(out, body->data, body->len);
	}
	ps_strbuf_clear(body);
}

static void put_head(struct ps_strbuf *body, const struct ps_load_result *r)
{
	ps_strbuf_putc(body, PS_LOAD_LOG_HEAD);
	put_int(body, r->wall_ns);
	put_int(body, r->warmup_ns);
	put_int(body, r->duration_ns);
	put_uint(body, r->seed);
	put_uint(body, r->tenant_len);
	for (size_t i = 0; i < r->tenant_len; i++) {
		size_t len = strlen(r->tenants[i].name);

		put_uint(body, len);
		ps_strbuf_append(body, r->tenants[i].name, len);
		put_uint(body, r->tenants[i].records_dropped);
	}
}

static void put_optional(struct ps_strbuf *b, int64_t v, int64_t from)
{
	if (v >= 0) {
		put_int(b, v - from);
	}
}

static int flags_of(const struct ps_load_record *q)
{
	return (q->sent_ns >= 0 ? PS_LOAD_LOG_SENT : 0) |
	       (q->first_byte_ns >= 0 ? PS_LOAD_LOG_FIRST : 0) |
	       (q->done_ns >= 0 ? PS_LOAD_LOG_DONE : 0) |
	       (q->server_queue_ns >= 0 ? PS_LOAD_LOG_QUEUE : 0) |
	       (q->server_compute_ns >= 0 ? PS_LOAD_LOG_COMPUTE : 0) |
	       (q->warmup ? PS_LOAD_LOG_WARMUP : 0) | (q->sampled ? PS_LOAD_LOG_SAMPLED : 0);
}

static void put_record(struct ps_strbuf *b, const struct ps_load_record *q,
		       const struct ps_load_record *before)
{
	ps_strbuf_putc(b, (char)flags_of(q));
	put_int(b, q->scheduled_ns - before->scheduled_ns);
	put_int(b, (int64_t)(q->sequence - before->sequence));
	put_optional(b, q->sent_ns, q->scheduled_ns);
	put_optional(b, q->first_byte_ns, q->scheduled_ns);
	put_optional(b, q->done_ns, q->scheduled_ns);
	put_optional(b, q->server_queue_ns, 0);
	put_optional(b, q->server_compute_ns, 0);
	put_uint(b, q->connection);
	put_uint(b, q->http_status);
	put_uint(b, q->outcome);
}

static void put_tenant(struct ps_strbuf *out, struct ps_strbuf *body, size_t tenant,
		       const struct ps_load_tenant_result *t)
{
	for (size_t i = 0; i < t->record_len; i += RECORDS_PER_BLOCK) {
		size_t left = t->record_len - i;
		size_t n = left < RECORDS_PER_BLOCK ? left : RECORDS_PER_BLOCK;
		struct ps_load_record before = {0};

		ps_strbuf_putc(body, PS_LOAD_LOG_RECORDS);
		put_uint(body, tenant);
		put_uint(body, n);
		for (size_t k = i; k < i + n; k++) {
			put_record(body, &t->records[k], &before);
			before = t->records[k];
		}
		put_block(out, body);
	}
}

enum ps_status ps_load_log_write(const struct ps_load_result *r, const char *path,
				 struct ps_error *err)
{
	struct ps_strbuf out, body;
	uint64_t records = 0;
	enum ps_status st;

	ps_strbuf_init(&out);
	ps_strbuf_init(&body);
	ps_strbuf_puts(&out, PS_LOAD_LOG_MAGIC);
	put_head(&body, r);
	put_block(&out, &body);
	for (size_t i = 0; i < r->tenant_len; i++) {
		put_tenant(&out, &body, i, &r->tenants[i]);
		records += r->tenants[i].record_len;
	}
	ps_strbuf_putc(&body, PS_LOAD_LOG_END);
	put_uint(&body, records);
	put_block(&out, &body);
	st = ps_strbuf_status(&out);
	if (st != PS_OK) {
		ps_error_set(err, st, "no memory for the request log");
	} else {
		st = ps_file_write(path, out.data, out.len, err);
	}
	ps_strbuf_fini(&body);
	ps_strbuf_fini(&out);
	return st;
}
