/* load_sweep.c - one trial per rate or per number of users: a table, or JSON. */
#include "cli/load_modes_internal.h"

#include "base/units.h"
#include "load/fault.h"
#include "trial/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_USERS 4096
#define WIDE	  84 /* columns of the whole table */
#define LESS	  47 /* under these a column less */

struct row {
	double asked; /* rate or users */
	struct ps_trial_sweep_row decides;
	double offered_rps, throughput_rps, goodput_rps;
	struct ps_stats_time_quantile p50, p99;
	enum ps_load_sla_verdict verdict; /* the worst of the tenants */
	bool valid;
	char reason[PS_LOAD_REASON_SIZE];
};

struct sweep {
	const struct ps_cli_load_modes *m;
	struct ps_cli_load_trials t;
	struct ps_trial_sweep points;
	bool users;
	double base_rps; /* of all tenants together */
	struct row rows[PS_TRIAL_MAX_SWEEP];
	struct ps_trial_sweep_row decides[PS_TRIAL_MAX_SWEEP];
	int len, decide_len;
	bool saturated, stopped;
};

/* ---- the trials ---- */

static enum ps_status check_tenants(struct sweep *s, struct ps_error *err)
{
	for (size_t i = 0; i < s->t.base->tenant_len; i++) {
		s->base_rps += ps_cli_load_trials_base_rate(&s->t, i);
	}
	if (s->t.base->tenant_len == 1) {
		return PS_OK;
	}
	if (s->users) {
		return ps_error_set(err, PS_EUSAGE,
				    "--sweep-concurrency is for one tenant; a file may give each "
				    "its own concurrency");
	}
	if (!(s->base_rps > 0)) {
		return ps_error_set(err, PS_EUSAGE,
				    "no tenant of the file has a rate that could be swept");
	}
	return PS_OK;
}

/* Several tenants keep their proportions; the asked rate is that of all together. */
static enum ps_status set_load(struct sweep *s, double asked, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (s->users) {
		ps_cli_load_trials_users(&s->t, 0, (int)asked);
		return PS_OK;
	}
	for (size_t i = 0; st == PS_OK && i < s->t.base->tenant_len; i++) {
		double base = ps_cli_load_trials_base_rate(&s->t, i);

		if (s->t.base->tenant_len == 1) {
			st = ps_cli_load_trials_rate(&s->t, i, asked, err);
		} else if (base > 0) {
			st = ps_cli_load_trials_rate(&s->t, i, asked * base / s->base_rps, err);
		}
	}
	return st;
}

/* Of several tenants the worst latencies, and the sums of the rates. */
static void take_tenant(struct row *r, const struct ps_load_tenant_result *t, double seconds,
			bool closed)
{
	bool first = r->p50.p == 0;

	r->offered_rps += t->offered_rps;
	r->throughput_rps += t->throughput_rps;
	r->goodput_rps += t->goodput_rps;
	if (first || t->p50.value_ns > r->p50.value_ns) {
		r->p50 = t->p50;
	}
	if (first || t->p99.value_ns > r->p99.value_ns) {
		r->p99 = t->p99;
	}
	if (first || t->trend.p_rising < r->decides.p_rising) {
		r->decides.p_rising = closed ? 1 : t->trend.p_rising;
		r->decides.p50_ns = (double)t->p50.value_ns;
		r->decides.rise_ns = t->trend.slope * seconds;
	}
	if (t->sla_verdict == PS_LOAD_SLA_VIOLATED || r->verdict == PS_LOAD_SLA_NONE ||
	    (t->sla_verdict == PS_LOAD_SLA_UNDECIDED && r->verdict == PS_LOAD_SLA_MET)) {
		r->verdict = t->sla_verdict == PS_LOAD_SLA_NONE ? r->verdict : t->sla_verdict;
	}
	if (t->reason_len > 0 && !r->reason[0]) {
		memcpy(r->reason, t->reasons[0], sizeof(r->reason));
	}
}

static void take_result(struct row *r, const struct ps_load_result *result, bool users)
{
	r->valid = result->valid;
	for (size_t i = 0; i < result->tenant_len; i++) {
		take_tenant(r, &result->tenants[i], (double)result->duration_ns / 1e9, users);
	}
	r->decides.offered_rps = users ? 0 : r->offered_rps;
	r->decides.throughput_rps = r->throughput_rps;
}

static enum ps_status run_row(struct sweep *s, struct ps_error *err)
{
	struct row *r = &s->rows[s->len];
	struct ps_load_result result;
	enum ps_status st;

	*r = (struct row){.asked = s->points.points[s->len]};
	st = set_load(s, r->asked, err);
	if (st != PS_OK) {
		return st;
	}
	(void)snprintf(s->t.what, sizeof(s->t.what), "%d of %d, %g %s", s->len + 1, s->points.len,
		       r->asked, s->users ? "users" : "requests/s");
	st = ps_cli_load_trials_run(&s->t, &result, err);
	if (st != PS_OK) {
		return st;
	}
	s->stopped = result.cancelled;
	if (!s->stopped) {
		take_result(r, &result, s->users);
		s->len++;
	}
	/* What was not the server's doing does not show that it is saturated. */
	if (!s->stopped && !ps_load_fault(&result)) {
		s->decides[s->decide_len++] = r->decides;
		s->saturated = ps_trial_sweep_saturated(s->decides, s->decide_len);
	}
	ps_load_result_fini(&result);
	return PS_OK;
}

/* ---- what it found ---- */

static const char *verdict_text(const struct row *r)
{
	return r->verdict == PS_LOAD_SLA_NONE ? "-" : ps_load_sla_verdict_name(r->verdict);
}

static void put_time(struct ps_strbuf *out, const struct ps_stats_time_quantile *q)
{
	char a[PS_UNITS_SIZE];

	ps_strbuf_printf(out, " %9s",
			 q->value_ns == PS_HIST_INFINITE
				 ? "never"
				 : ps_units_format_duration(q->value_ns, a));
}

static void put_interval(struct ps_strbuf *out, const struct ps_stats_time_quantile *q)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], text[2 * PS_UNITS_SIZE + 8];

	if (!q->has_interval) {
		(void)snprintf(text, sizeof(text), "too few");
	} else {
		(void)snprintf(text, sizeof(text), "%s-%s", ps_units_format_duration(q->lo_ns, a),
			       q->hi_ns == PS_HIST_INFINITE
				       ? "never"
				       : ps_units_format_duration(q->hi_ns, b));
	}
	ps_strbuf_printf(out, " %-20s", text);
}

static void put_head(struct ps_strbuf *out, const struct sweep *s, int columns)
{
	ps_strbuf_printf(out, "%8s", s->users ? "users" : "rate/s");
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %9s", "through/s");
	}
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9s %9s %9s %-20s SLA", "good/s", "p50", "p99",
				 "95 % of p99");
	} else {
		ps_strbuf_printf(out, " %9s SLA", "p99");
	}
}

static void put_row(struct ps_strbuf *out, const struct row *r, int columns)
{
	ps_strbuf_printf(out, "%8g", r->asked);
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %9.1f", r->throughput_rps);
	}
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9.1f", r->goodput_rps);
		put_time(out, &r->p50);
	}
	put_time(out, &r->p99);
	if (columns >= WIDE) {
		put_interval(out, &r->p99);
	}
	ps_strbuf_printf(out, " %s%s", verdict_text(r), r->valid ? "" : " INVALID");
}

static void put_end(struct ps_strbuf *out, const struct sweep *s)
{
	if (s->stopped) {
		ps_strbuf_puts(out, "stopped early\n");
	} else if (s->saturated && s->len < s->points.len) {
		ps_strbuf_printf(out, "saturated at %g: %d not tried (--keep-going tries them)\n",
				 s->rows[s->len - 1].asked, s->points.len - s->len);
	}
}

static void put_table(struct ps_strbuf *out, const struct sweep *s, int columns)
{
	put_head(out, s, columns);
	ps_strbuf_putc(out, '\n');
	for (int i = 0; i < s->len; i++) {
		put_row(out, &s->rows[i], columns);
		ps_strbuf_putc(out, '\n');
		if (!s->rows[i].valid && columns >= WIDE) {
			ps_strbuf_printf(out, "         %s\n", s->rows[i].reason);
		}
	}
	put_end(out, s);
}

static int tried_count(const void *ctx)
{
	const struct sweep *s = ctx;

	return s->len;
}

static void tried_put(const void *ctx, int k, int columns, struct ps_strbuf *out)
{
	const struct sweep *s = ctx;

	if (k == PS_CLI_LOAD_TRIED_HEAD) {
		put_head(out, s, columns);
	} else {
		put_row(out, &s->rows[k], columns);
	}
}

static void set_ms(json_t *o, const char *key, int64_t ns, bool there)
{
	ps_json_set_real(o, key, there && ns != PS_HIST_INFINITE ? (double)ns / 1e6 : NAN);
}

static json_t *row_json(const struct sweep *s, const struct row *r)
{
	json_t *o = json_object();

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
	return o;
}

static json_t *sweep_json(const struct sweep *s)
{
	json_t *o = json_object(), *rows = json_array();

	ps_json_set_string(o, "mode", s->users ? "sweep-concurrency" : "sweep-rate");
	ps_json_set_int(o, "version", 1);
	ps_json_set_bool(o, "saturated", s->saturated);
	ps_json_set_bool(o, "cancelled", s->stopped);
	ps_json_set_int(o, "not_tried", s->points.len - s->len);
	for (int i = 0; i < s->len; i++) {
		(void)json_array_append_new(rows, row_json(s, &s->rows[i]));
	}
	(void)json_object_set_new(o, "rows", rows);
	return o;
}

static enum ps_status print(const struct sweep *s, bool json, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (json) {
		return ps_cli_print_json(sweep_json(s), err);
	}
	ps_strbuf_init(&out);
	put_table(&out, s, ps_cli_width(1));
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}

/* A sweep asks; which rows are bad is the answer. Only one that showed nothing is a failure. */
static int code_of(const struct sweep *s)
{
	for (int i = 0; i < s->len; i++) {
		if (s->rows[i].valid) {
			return s->stopped ? PS_CLI_NEGATIVE : PS_CLI_OK;
		}
	}
	return PS_CLI_NEGATIVE;
}

static enum ps_status perform(struct sweep *s, bool json, struct ps_error *err)
{
	enum ps_status st = check_tenants(s, err);

	while (st == PS_OK && s->len < s->points.len && !s->stopped &&
	       (s->m->keep_going || !s->saturated)) {
		st = run_row(s, err);
	}
	ps_cli_load_live_done(&s->t.live);
	return st == PS_OK ? print(s, json, err) : st;
}

int ps_cli_load_sweep(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan, bool json)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct ps_cli_load_tried tried = {.ctx = s, .count = tried_count, .put = tried_put};
	struct ps_error err = {0};
	enum ps_status st;
	int code;

	if (!s) {
		ps_error_set(&err, PS_ENOMEM, "no memory for a sweep");
		return ps_cli_fail(&err);
	}
	s->m = m;
	s->users = m->sweep_concurrency != NULL;
	st = ps_trial_sweep_parse(s->users ? m->sweep_concurrency : m->sweep_rate,
				  s->users ? MAX_USERS : 1e7, s->users, &s->points, &err);
	if (st != PS_OK) {
		ps_error_where(&err, s->users ? "--sweep-concurrency" : "--sweep-rate");
		err.status = PS_EUSAGE;
	} else {
		st = ps_cli_load_trials_init(&s->t, plan, &tried, &err);
	}
	if (st == PS_OK) {
		st = perform(s, json, &err);
	}
	code = st == PS_OK ? code_of(s) : ps_cli_fail(&err);
	ps_cli_load_trials_fini(&s->t);
	free(s);
	return code;
}
