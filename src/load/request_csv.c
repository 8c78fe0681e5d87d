#include "load/request_log.h"

#include <inttypes.h>
#include <string.h>

void ps_load_csv_head(struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "tenant,sequence,warmup,scheduled_ns,sent_ns,first_byte_ns,done_ns,"
			    "server_queue_ns,server_compute_ns,connection,http,outcome\n");
}

static void put_name(struct ps_strbuf *out, const char *name)
{
	if (!strpbrk(name, ",\"\r\n")) {
		ps_strbuf_puts(out, name);
		return;
	}
	ps_strbuf_putc(out, '"');
	for (; *name; name++) {
		if (*name == '"') {
			ps_strbuf_putc(out, '"');
		}
		ps_strbuf_putc(out, *name);
	}
	ps_strbuf_putc(out, '"');
}

static void put_instant(struct ps_strbuf *out, int64_t ns)
{
	if (ns >= 0) {
		ps_strbuf_printf(out, "%" PRId64, ns);
	}
	ps_strbuf_putc(out, ',');
}

void ps_load_csv_row(struct ps_strbuf *out, const char *tenant, const struct ps_load_record *q)
{
	put_name(out, tenant);
	ps_strbuf_printf(out, ",%" PRIu64 ",%d,", q->sequence, q->warmup);
	put_instant(out, q->scheduled_ns);
	put_instant(out, q->sent_ns);
	put_instant(out, q->first_byte_ns);
	put_instant(out, q->done_ns);
	put_instant(out, q->server_queue_ns);
	put_instant(out, q->server_compute_ns);
	ps_strbuf_printf(out, "%" PRIu32 ",%d,%s\n", q->connection, q->http_status,
			 ps_load_outcome_name((enum ps_load_outcome)q->outcome));
}
