/* load_log.c - perseus load log: what stands in a request log. */
#include "cli/load_log_internal.h"

#include "base/clock.h"
#include "base/units.h"
#include "load/request_log.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CHUNK = 1 << 16 }; /* bytes of CSV printed at once */

struct options {
	char *file;
	bool csv;
};

/* What one tenant's requests came to. */
struct count {
	uint64_t measured, warmup, outcomes[PS_LOAD_OUTCOME_COUNT];
};

struct reading {
	bool csv;
	struct ps_strbuf out;
	struct count *counts;
};

static enum ps_status print_out(struct reading *x, struct ps_error *err)
{
	enum ps_status st = ps_strbuf_status(&x->out);

	if (st != PS_OK) {
		return ps_error_set(err, st, "no memory to print");
	}
	st = ps_cli_print(x->out.data, x->out.len, err);
	ps_strbuf_clear(&x->out);
	return st;
}

static enum ps_status on_head(void *ctx, const struct ps_load_log_head *h, struct ps_error *err)
{
	struct reading *x = ctx;

	x->counts = calloc(h->tenant_len + 1, sizeof(*x->counts));
	if (!x->counts) {
		return ps_error_set(err, PS_ENOMEM, "no memory to count requests");
	}
	if (x->csv) {
		ps_load_csv_head(&x->out);
	}
	return PS_OK;
}

static enum ps_status on_record(void *ctx, const struct ps_load_log_head *h, size_t tenant,
				const struct ps_load_record *q, struct ps_error *err)
{
	struct reading *x = ctx;

	if (x->csv) {
		ps_load_csv_row(&x->out, h->tenants[tenant].name, q);
		return x->out.len >= CHUNK ? print_out(x, err) : PS_OK;
	}
	if (q->warmup) {
		x->counts[tenant].warmup++;
	} else {
		x->counts[tenant].measured++;
		x->counts[tenant].outcomes[q->outcome]++;
	}
	return PS_OK;
}

static void put_tenant(struct ps_strbuf *out, const struct ps_load_log_tenant *t,
		       const struct count *c)
{
	ps_strbuf_printf(out, "%s: %" PRIu64 " requests", t->name, c->measured);
	for (int k = 0; k < PS_LOAD_OUTCOME_COUNT; k++) {
		if (c->outcomes[k]) {
			ps_strbuf_printf(out, ", %s %" PRIu64,
					 ps_load_outcome_name((enum ps_load_outcome)k),
					 c->outcomes[k]);
		}
	}
	ps_strbuf_printf(out, "; %" PRIu64 " in the warm-up", c->warmup);
	if (t->dropped) {
		ps_strbuf_printf(out, "; %" PRIu64 " more were only counted", t->dropped);
	}
	ps_strbuf_putc(out, '\n');
}

static enum ps_status on_end(void *ctx, const struct ps_load_log_head *h, struct ps_error *err)
{
	struct reading *x = ctx;
	char iso[PS_CLOCK_ISO_SIZE], a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	(void)err;
	if (x->csv) {
		return PS_OK;
	}
	ps_clock_wall_iso(h->wall_ns, iso);
	ps_strbuf_printf(&x->out, "started %s, %s measured after %s of warm-up, seed %" PRIu64 "\n",
			 iso, ps_units_format_duration(h->duration_ns, a),
			 ps_units_format_duration(h->warmup_ns, b), h->seed);
	for (size_t i = 0; i < h->tenant_len; i++) {
		put_tenant(&x->out, &h->tenants[i], &x->counts[i]);
	}
	return PS_OK;
}

/* Of a damaged log what came before the damage is printed, too. */
static enum ps_status show(const struct options *o, struct reading *x, struct ps_error *err)
{
	struct ps_load_log_visitor visitor = {on_head, on_record, on_end, x};
	enum ps_status st = ps_load_log_read(o->file, &visitor, err);

	if (st == PS_OK) {
		return print_out(x, err);
	}
	(void)print_out(x, NULL);
	return st;
}

static int run(void *options)
{
	const struct options *o = options;
	struct reading x = {.csv = o->csv};
	struct ps_error err = {0};
	enum ps_status st;

	ps_strbuf_init(&x.out);
	st = show(o, &x, &err);
	ps_strbuf_fini(&x.out);
	free(x.counts);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_conf_option rows[] = {
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct options, file),
	 .metavar = "FILE",
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	 .help = "Written by perseus load --log."},
	{.name = "csv",
	 .type = PS_CONF_BOOL,
	 .offset = offsetof(struct options, csv),
	 .help = "Print every request as a line of CSV: the same as perseus load --records."},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus load log",
	.summary = "Say what stands in a request log, or print it as CSV.",
	.details =
		"The instants are nanoseconds after the start of the run; a field is empty where "
		"a request never came to that. A damaged file is refused at the place of the "
		"damage, after what came before it.",
	.example = "perseus load log requests.log --csv > requests.csv",
	.options = rows,
	.size = sizeof(struct options),
	.where_offset = SIZE_MAX,
};

const struct ps_cli_command ps_cli_load_log = {
	.name = "log",
	.path = "load log",
	.schema = &schema,
	.run = run,
};
