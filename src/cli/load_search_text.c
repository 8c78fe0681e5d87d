/* load_search_text.c - see load_search_internal.h. */
#include "cli/load_search_internal.h"

#include "base/units.h"

#include <math.h>

#define WIDE 76 /* columns of the whole table */
#define LESS 52 /* under these a column less */

static const char *confirmed_name(enum ps_trial_confirmed c)
{
	static const char *const names[] = {"not tried", "confirmed", "refuted"};

	return names[c];
}

bool ps_cli_load_search_known(const struct ps_cli_load_searched *s)
{
	const struct ps_trial_answer *a = &s->s.answer;

	return !s->stopped && s->late == 0 && a->confirmed == PS_TRIAL_CONFIRMED &&
	       a->scale.value > 0;
}

const char *ps_cli_load_search_unit(const struct ps_cli_load_searched *s)
{
	return s->s.plan.n_tenants == 1 ? "requests/s" : "times the rates";
}

static void put_capacity(struct ps_strbuf *out, const struct ps_cli_load_searched *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	const char *unit = ps_cli_load_search_unit(s);

	if (a->steps_used == 0) {
		ps_strbuf_puts(out, "capacity: unknown, stopped before the first trial ended\n");
	} else if (a->cut && !(a->scale.value > 0)) {
		ps_strbuf_puts(out, "capacity: not shown; no rate was shown to keep the SLA\n");
	} else if (!ps_cli_load_search_known(s)) {
		ps_strbuf_printf(out, "capacity: not shown; %s. %s: %.4g [%.4g, %s%.4g] %s\n",
				 s->stopped    ? "stopped early"
				 : s->late > 0 ? "INVALID"
				 : a->confirmed == PS_TRIAL_REFUTED
					 ? "every fresh trial violated an SLA"
					 : "no rate was worth a fresh trial",
				 a->cut ? "The fit over all trials, lowered to one that passed"
					: "The fit over all trials",
				 a->scale.value, a->scale.lo, a->open_above ? "over " : "",
				 a->scale.hi, unit);
	} else {
		ps_strbuf_printf(out, "capacity: %.4g %s, 95 %%: %.4g to %s%.4g\n", a->scale.value,
				 unit, a->scale.lo, a->open_above ? "over " : "", a->scale.hi);
		ps_strbuf_printf(out, "  a fresh trial at %.4g kept every SLA\n",
				 a->confirmed_scale);
	}
	if (a->cut && a->scale.value > 0) {
		ps_strbuf_printf(out,
				 "  lowered to %.4g, which passed: a fresh trial at or below the "
				 "estimate violated an SLA\n",
				 a->scale.value);
	} else if (a->cut) {
		ps_strbuf_puts(out, "  a fresh trial violated an SLA, and none below it passed\n");
	}
	if (s->late > 0) {
		ps_strbuf_printf(out,
				 "  invalid: %d of the trials measured not the server alone: %s\n",
				 s->late, s->reason);
	}
	ps_strbuf_printf(out, "  ended as %s; ", ps_trial_stop_name(s->s.stop));
	if (s->s.plan.n_tenants == 1) {
		ps_strbuf_printf(out, "a closed loop of %d users had %.4g\n", s->alone[0].users,
				 s->closed_scale);
	} else {
		ps_strbuf_printf(out, "closed loops promise %.4g at most\n", s->closed_scale);
	}
}

static void put_tenants(struct ps_strbuf *out, const struct ps_cli_load_searched *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	char sla[PS_SLA_SIZE];

	for (int i = 0; i < s->s.plan.n_tenants; i++) {
		ps_strbuf_printf(out, "  %s under %s", s->t.tenants[i].name,
				 ps_sla_format(&s->s.plan.sla[i], sla));
		if (s->s.plan.n_tenants > 1) {
			ps_strbuf_printf(out, ": %.4g requests/s%s; %.4g with %d users alone",
					 a->scale.value * s->s.plan.rate_rps[i],
					 a->binding_tenant == i ? " (binds)" : "", s->alone[i].rps,
					 s->alone[i].users);
		}
		ps_strbuf_putc(out, '\n');
	}
}

/* The tenant that a row shows: the one that failed, else the one that binds. */
static int row_tenant(const struct ps_cli_load_searched *s, const struct ps_trial_step *step)
{
	return step->verdict_tenant >= 0 ? step->verdict_tenant : s->s.answer.binding_tenant;
}

static void put_head(struct ps_strbuf *out, const struct ps_cli_load_searched *s, int columns)
{
	ps_strbuf_printf(out, "%9s", s->s.plan.n_tenants == 1 ? "rate/s" : "times");
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9s %9s", "length", "requests");
	}
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %9s", "over");
	}
	ps_strbuf_printf(out, " %9s verdict", "quantile");
}

static void put_step(struct ps_strbuf *out, const struct ps_cli_load_searched *s, int k,
		     int columns)
{
	const struct ps_trial_step *step = &s->s.steps[k];
	int tenant = row_tenant(s, step);
	const struct ps_trial_seen *seen = &step->seen[tenant];
	int64_t q = s->shown[k].quantile_ns[tenant];
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];
	double over = seen->requests ? 100 * (double)seen->violations / (double)seen->requests : 0;

	ps_strbuf_printf(out, "%9.4g", step->scale);
	if (columns >= WIDE) {
		ps_strbuf_printf(out, " %9s %9lld",
				 ps_units_format_duration(s->shown[k].duration_ns, a),
				 (long long)seen->requests);
	}
	if (columns >= LESS) {
		ps_strbuf_printf(out, " %7.3f %%", over);
	}
	ps_strbuf_printf(out, " %9s %s%s",
			 q == PS_HIST_INFINITE ? "never" : ps_units_format_duration(q, b),
			 ps_trial_verdict_name(step->verdict),
			 step->kind == PS_TRIAL_CONFIRM ? ", confirming" : "");
	if (columns >= WIDE && s->s.plan.n_tenants > 1) {
		ps_strbuf_printf(out, " (%s)", s->t.tenants[tenant].name);
	}
}

static void put_text(struct ps_strbuf *out, const struct ps_cli_load_searched *s, int columns)
{
	put_capacity(out, s);
	put_tenants(out, s);
	if (s->s.n_steps > 0) {
		ps_strbuf_putc(out, '\n');
		put_head(out, s, columns);
		ps_strbuf_putc(out, '\n');
	}
	for (int k = 0; k < s->s.n_steps; k++) {
		put_step(out, s, k, columns);
		ps_strbuf_putc(out, '\n');
	}
}

static int tried_count(const void *ctx)
{
	const struct ps_cli_load_searched *s = ctx;

	return s->s.n_steps;
}

static void tried_put(const void *ctx, int k, int columns, struct ps_strbuf *out)
{
	if (k == PS_CLI_LOAD_TRIED_HEAD) {
		put_head(out, ctx, columns);
	} else {
		put_step(out, ctx, k, columns);
	}
}

struct ps_cli_load_tried ps_cli_load_search_tried(const struct ps_cli_load_searched *s)
{
	return (struct ps_cli_load_tried){.ctx = s, .count = tried_count, .put = tried_put};
}

static json_t *interval_json(const struct ps_stats_interval *i, double unit)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", i->value * unit);
	ps_json_set_real(o, "low", i->lo * unit);
	ps_json_set_real(o, "high", i->hi * unit);
	return o;
}

static json_t *tenant_json(const struct ps_cli_load_searched *s, int i)
{
	const struct ps_trial_answer *a = &s->s.answer;
	json_t *o = json_object();
	char sla[PS_SLA_SIZE];

	ps_json_set_string(o, "tenant", s->t.tenants[i].name);
	ps_json_set_string(o, "sla", ps_sla_format(&s->s.plan.sla[i], sla));
	(void)json_object_set_new(o, "rate_rps", interval_json(&a->scale, s->s.plan.rate_rps[i]));
	(void)json_object_set_new(o, "own_scale", interval_json(&a->tenant_scale[i], 1));
	ps_json_set_real(o, "closed_loop_rps", s->alone[i].rps);
	ps_json_set_int(o, "closed_loop_users", s->alone[i].users);
	return o;
}

static json_t *seen_json(const struct ps_cli_load_searched *s, int step, int tenant)
{
	const struct ps_trial_seen *seen = &s->s.steps[step].seen[tenant];
	int64_t q = s->shown[step].quantile_ns[tenant];
	json_t *o = json_object();

	ps_json_set_int(o, "requests", seen->requests);
	ps_json_set_int(o, "over", seen->violations);
	ps_json_set_int(o, "failures", seen->failures);
	ps_json_set_real(o, "effective_ratio", seen->effective_ratio);
	ps_json_set_real(o, "p_backlog", seen->p_backlog);
	ps_json_set_real(o, "quantile_ms", q == PS_HIST_INFINITE ? NAN : (double)q / 1e6);
	return o;
}

static json_t *step_json(const struct ps_cli_load_searched *s, int k)
{
	const struct ps_trial_step *step = &s->s.steps[k];
	json_t *o = json_object(), *tenants = json_array();

	ps_json_set_real(o, "scale", step->scale);
	ps_json_set_bool(o, "confirming", step->kind == PS_TRIAL_CONFIRM);
	ps_json_set_real(o, "duration_s", (double)s->shown[k].duration_ns / 1e9);
	ps_json_set_string(o, "verdict", ps_trial_verdict_name(step->verdict));
	ps_json_set_string(o, "verdict_tenant",
			   step->verdict_tenant >= 0 ? s->t.tenants[step->verdict_tenant].name
						     : NULL);
	for (int i = 0; i < s->s.plan.n_tenants; i++) {
		(void)json_array_append_new(tenants, seen_json(s, k, i));
	}
	(void)json_object_set_new(o, "tenants", tenants);
	return o;
}

static json_t *search_json(const struct ps_cli_load_searched *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	json_t *o = json_object(), *tenants = json_array(), *steps = json_array();

	ps_json_set_string(o, "mode", "find-capacity");
	ps_json_set_int(o, "version", 1);
	ps_json_set_bool(o, "known", ps_cli_load_search_known(s));
	ps_json_set_bool(o, "cancelled", s->stopped);
	ps_json_set_bool(o, "valid", s->late == 0);
	ps_json_set_string(o, "reason", s->late > 0 ? s->reason : NULL);
	(void)json_object_set_new(o, "scale", interval_json(&a->scale, 1));
	ps_json_set_real(o, "confidence", a->scale.confidence);
	ps_json_set_real(o, "half_width", a->half_width);
	ps_json_set_bool(o, "open_below", a->open_below);
	ps_json_set_bool(o, "open_above", a->open_above);
	ps_json_set_string(o, "confirmed", confirmed_name(a->confirmed));
	ps_json_set_real(o, "confirmed_scale", a->confirmed_scale);
	ps_json_set_bool(o, "cut", a->cut);
	ps_json_set_string(o, "stop", ps_trial_stop_name(s->s.stop));
	ps_json_set_string(o, "binding_tenant", s->t.tenants[a->binding_tenant].name);
	ps_json_set_real(o, "closed_loop_scale", s->closed_scale);
	for (int i = 0; i < s->s.plan.n_tenants; i++) {
		(void)json_array_append_new(tenants, tenant_json(s, i));
	}
	for (int k = 0; k < s->s.n_steps; k++) {
		(void)json_array_append_new(steps, step_json(s, k));
	}
	(void)json_object_set_new(o, "tenants", tenants);
	(void)json_object_set_new(o, "steps", steps);
	return o;
}

enum ps_status ps_cli_load_search_print(const struct ps_cli_load_searched *s, bool json,
					struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (json) {
		return ps_cli_print_json(search_json(s), err);
	}
	ps_strbuf_init(&out);
	put_text(&out, s, ps_cli_width(1));
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}
