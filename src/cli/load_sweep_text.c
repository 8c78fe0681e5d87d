/* load_sweep_text.c - see load_sweep_internal.h. */
#include "cli/load_sweep_internal.h"

#include "base/json.h"
#include "base/units.h"
#include "conf/conf.h"

#include <math.h>
#include <string.h>

#define WIDE	   84 /* columns of the whole table */
#define LESS	   47 /* under these a column less */
#define INDENT	   9  /* of a reason */
#define LABEL_SIZE 24

/* ---- rows ---- */

static void worse(struct ps_stats_time_quantile *q, const struct ps_stats_time_quantile *than)
{
	if (q->p == 0 || than->value_ns > q->value_ns) {
		*q = *than;
	}
}

static void take_verdict(struct ps_cli_load_swept_row *row, enum ps_load_sla_verdict v)
{
	if (v == PS_LOAD_SLA_VIOLATED || row->verdict == PS_LOAD_SLA_NONE ||
	    (v == PS_LOAD_SLA_UNDECIDED && row->verdict == PS_LOAD_SLA_MET)) {
		row->verdict = v == PS_LOAD_SLA_NONE ? row->verdict : v;
	}
}

static void take_tenant(struct ps_cli_load_swept_row *row, size_t i,
			const struct ps_load_tenant_result *t)
{
	row->offered_rps += t->offered_rps;
	row->throughput_rps += t->throughput_rps;
	row->goodput_rps += t->goodput_rps;
	worse(&row->p50, &t->p50);
	worse(&row->p99, &t->p99);
	row->tenants[i] = (struct ps_cli_load_swept_tenant){
		.quantile = ps_sla_is_set(&t->sla) ? t->sla_quantile : t->p99,
		.verdict = t->sla_verdict};
	take_verdict(row, t->sla_verdict);
	if (t->reason_len > 0 && !row->reason[0]) {
		memcpy(row->reason, t->reasons[0], sizeof(row->reason));
	}
}

void ps_cli_load_swept_take(struct ps_cli_load_swept_row *row, const struct ps_load_result *r)
{
	row->valid = r->valid;
	for (size_t i = 0; i < r->tenant_len; i++) {
		take_tenant(row, i, &r->tenants[i]);
	}
}

/* ---- which tenant a line shows ---- */

static bool any_sla(const struct ps_cli_load_swept *s)
{
	for (size_t i = 0; i < s->tenant_len; i++) {
		if (ps_sla_is_set(&s->tenants[i].sla)) {
			return true;
		}
	}
	return false;
}

static double percentile_of(const struct ps_load_tenant *t)
{
	return ps_sla_is_set(&t->sla) ? t->sla.percentile : PS_CLI_LOAD_SWEEP_PERCENTILE;
}

/* The percentile of all tenants that a line may show; 0: they have several. */
static double shared_percentile(const struct ps_cli_load_swept *s)
{
	bool slas = any_sla(s);
	double p = 0;

	for (size_t i = 0; i < s->tenant_len; i++) {
		if (slas && !ps_sla_is_set(&s->tenants[i].sla)) {
			continue;
		}
		if (p != 0 && p != percentile_of(&s->tenants[i])) {
			return 0;
		}
		p = percentile_of(&s->tenants[i]);
	}
	return p;
}

/* In limits, where there is one. */
static double how_late(const struct ps_load_tenant *t, const struct ps_stats_time_quantile *q)
{
	double limit = ps_sla_is_set(&t->sla) ? (double)t->sla.limit_ns : 1;

	return q->value_ns == PS_HIST_INFINITE ? INFINITY : (double)q->value_ns / limit;
}

static size_t shown_tenant(const struct ps_cli_load_swept *s,
			   const struct ps_cli_load_swept_row *row)
{
	bool slas = any_sla(s);
	double most = -1;
	size_t found = 0;

	for (size_t i = 0; i < s->tenant_len; i++) {
		double late = how_late(&s->tenants[i], &row->tenants[i].quantile);

		if ((!slas || ps_sla_is_set(&s->tenants[i].sla)) && late > most) {
			most = late;
			found = i;
		}
	}
	return found;
}

/* ---- text ---- */

static const char *percentile_text(double p, char buf[LABEL_SIZE])
{
	(void)snprintf(buf, LABEL_SIZE, "p%.6g", 100 * p);
	return buf;
}

static const char *verdict_text(const struct ps_cli_load_swept_row *r)
{
	return r->verdict == PS_LOAD_SLA_NONE ? "-" : ps_load_sla_verdict_name(r->verdict);
}

static const char *time_text(int64_t ns, char buf[PS_UNITS_SIZE])
{
	return ns == PS_HIST_INFINITE ? "never" : ps_units_format_duration(ns, buf);
}

static void put_interval(struct ps_strbuf *out, const struct ps_stats_time_quantile *q)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], text[2 * PS_UNITS_SIZE + 8] = "too few";

	if (q->has_interval) {
		(void)snprintf(text, sizeof(text), "%s-%s", time_text(q->lo_ns, a),
			       time_text(q->hi_ns, b));
	}
	ps_strbuf_printf(out, " %-20s", text);
}

void ps_cli_load_swept_head(const struct ps_cli_load_swept *s, int columns, struct ps_strbuf *out)
{
	char label[LABEL_SIZE] = "quantile", interval[LABEL_SIZE + 16] = "its 95 % interval";
	double p = shared_percentile(s);

	if (p != 0) {
		percentile_text(p, label);
		(void)snprintf(interval, sizeof(interval), "95 %% of %s", label);
	}
	ps_strbuf_printf(out, "%8s", s->users ? "users" : "rate/s");
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %9s", "through/s");
	}
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9s %9s %9s %-20s SLA", "good/s", "p50", label, interval);
	} else {
		ps_strbuf_printf(out, " %9s SLA", label);
	}
}

/* "(shop)", where tenants have several percentiles "(shop p99.9)" */
static void put_tenant(struct ps_strbuf *out, const struct ps_cli_load_swept *s, size_t tenant)
{
	char label[LABEL_SIZE];

	ps_strbuf_printf(out, " (%s", s->tenants[tenant].name);
	if (shared_percentile(s) == 0) {
		ps_strbuf_printf(out, " %s",
				 percentile_text(percentile_of(&s->tenants[tenant]), label));
	}
	ps_strbuf_putc(out, ')');
}

void ps_cli_load_swept_line(const struct ps_cli_load_swept *s, int k, int columns,
			    struct ps_strbuf *out)
{
	const struct ps_cli_load_swept_row *r = &s->rows[k];
	size_t tenant = shown_tenant(s, r);
	const struct ps_stats_time_quantile *q = &r->tenants[tenant].quantile;
	char a[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "%8g", r->asked);
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %9.1f", r->throughput_rps);
	}
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9.1f %9s", r->goodput_rps, time_text(r->p50.value_ns, a));
	}
	ps_strbuf_printf(out, " %9s", time_text(q->value_ns, a));
	if (columns >= WIDE) {
		put_interval(out, q);
	}
	ps_strbuf_printf(out, " %s%s", verdict_text(r), r->valid ? "" : " INVALID");
	/* Where the head names no percentile, the line must. */
	if (s->tenant_len > 1 && (columns >= WIDE || shared_percentile(s) == 0)) {
		put_tenant(out, s, tenant);
	}
}

static void put_reason(struct ps_strbuf *out, const char *reason, int columns)
{
	ps_strbuf_printf(out, "%*s", INDENT, "");
	ps_conf_wrap(out, reason, strlen(reason), INDENT, INDENT, (size_t)columns);
}

static void put_end(struct ps_strbuf *out, const struct ps_cli_load_swept *s)
{
	if (s->stopped) {
		ps_strbuf_puts(out, "stopped early\n");
	} else if (s->saturated && s->len < s->asked) {
		ps_strbuf_printf(out, "saturated at %g: %d not tried (--keep-going tries them)\n",
				 s->rows[s->len - 1].asked, s->asked - s->len);
	}
}

void ps_cli_load_swept_text(const struct ps_cli_load_swept *s, int columns, struct ps_strbuf *out)
{
	ps_cli_load_swept_head(s, columns, out);
	ps_strbuf_putc(out, '\n');
	for (int i = 0; i < s->len; i++) {
		ps_cli_load_swept_line(s, i, columns, out);
		ps_strbuf_putc(out, '\n');
		if (!s->rows[i].valid) {
			put_reason(out, s->rows[i].reason, columns);
		}
	}
	put_end(out, s);
}

/* ---- JSON ---- */

static void set_ms(json_t *o, const char *key, int64_t ns, bool there)
{
	ps_json_set_real(o, key, there && ns != PS_HIST_INFINITE ? (double)ns / 1e6 : NAN);
}

static json_t *tenant_json(const struct ps_load_tenant *t, const struct ps_cli_load_swept_tenant *r)
{
	json_t *o = json_object();

	ps_json_set_string(o, "tenant", t->name);
	ps_json_set_string(o, "sla", ps_load_sla_verdict_name(r->verdict));
	set_ms(o, "limit_ms", t->sla.limit_ns, ps_sla_is_set(&t->sla));
	ps_json_set_real(o, "percentile", percentile_of(t));
	set_ms(o, "quantile_ms", r->quantile.value_ns, true);
	set_ms(o, "low_ms", r->quantile.lo_ns, r->quantile.has_interval);
	set_ms(o, "high_ms", r->quantile.hi_ns, r->quantile.has_interval);
	return o;
}

static json_t *row_json(const struct ps_cli_load_swept *s, const struct ps_cli_load_swept_row *r)
{
	json_t *o = json_object(), *tenants = json_array();

	ps_json_set_real(o, s->users ? "users" : "rate_rps", r->asked);
	ps_json_set_real(o, "offered_rps", r->offered_rps);
	ps_json_set_real(o, "throughput_rps", r->throughput_rps);
	ps_json_set_real(o, "goodput_rps", r->goodput_rps);
	set_ms(o, "p50_ms", r->p50.value_ns, true);
	set_ms(o, "p99_ms", r->p99.value_ns, true);
	set_ms(o, "p99_low_ms", r->p99.lo_ns, r->p99.has_interval);
	set_ms(o, "p99_high_ms", r->p99.hi_ns, r->p99.has_interval);
	ps_json_set_string(o, "sla", ps_load_sla_verdict_name(r->verdict));
	ps_json_set_bool(o, "valid", r->valid);
	ps_json_set_string(o, "reason", r->reason[0] ? r->reason : NULL);
	for (size_t i = 0; i < s->tenant_len; i++) {
		(void)json_array_append_new(tenants, tenant_json(&s->tenants[i], &r->tenants[i]));
	}
	(void)json_object_set_new(o, "tenants", tenants);
	return o;
}

json_t *ps_cli_load_swept_json(const struct ps_cli_load_swept *s)
{
	json_t *o = json_object(), *rows = json_array();

	ps_json_set_string(o, "mode", s->users ? "sweep-concurrency" : "sweep-rate");
	ps_json_set_int(o, "version", 1);
	ps_json_set_bool(o, "saturated", s->saturated);
	ps_json_set_bool(o, "cancelled", s->stopped);
	ps_json_set_int(o, "not_tried", s->asked - s->len);
	for (int i = 0; i < s->len; i++) {
		(void)json_array_append_new(rows, row_json(s, &s->rows[i]));
	}
	(void)json_object_set_new(o, "rows", rows);
	return o;
}
