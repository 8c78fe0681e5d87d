/* load_search.c - the highest rate that keeps the SLA: trials, as trial/ asks for them.
 *
 *	closed loops of 2, 4, 8 ... users, until more of them bring no more: what the server can do
 *	-> trials that trial/ chooses -> fresh trials that confirm -> table or JSON
 */
#include "cli/load_modes_internal.h"

#include "base/units.h"
#include "load/reason.h"
#include "trial/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_USERS   2
#define MOST_USERS    256
#define LEAST_GAIN    1.1 /* of twice the users, else the last closed loop was enough */
#define SCALE_NS      (INT64_C(3) * 1000000000)
#define SCALE_WARM_NS (INT64_C(1) * 1000000000)
#define CONFIRMS      3
#define REPEATS	      2	    /* of a trial in which the generator was late */
#define CONFIRM_STEPS 2	    /* a confirming trial is so many steps long */
#define MOST_REQUESTS 900e3 /* of one trial: all are kept, one by one */
#define MOST_STEP_NS  (INT64_C(900) * 1000000000)
#define WIDE	      76 /* columns of the whole table */

/* What the table shows of a step beside what trial/ keeps of it. */
struct shown {
	int64_t duration_ns;
	int64_t quantile_ns[PS_TRIAL_MAX_TENANTS]; /* the SLA's own */
};

struct search {
	const struct ps_cli_load_modes *m;
	struct ps_cli_load_trials t;
	struct ps_trial_search s;
	struct shown shown[PS_TRIAL_MAX_STEPS];
	double closed_rps; /* in units of the ray */
	int closed_users;
	int repeats;			  /* trials done again */
	int late;			  /* trials that count though the generator was late */
	char reason[PS_LOAD_REASON_SIZE]; /* of the first of them */
	bool stopped;
};

/* ---- what the server can do ---- */

static enum ps_status closed_loop(struct search *s, int users, double *ret_scale,
				  struct ps_error *err)
{
	struct ps_load_result r;
	enum ps_status st;
	double sum = 0;

	for (size_t i = 0; i < s->t.base->tenant_len; i++) {
		ps_cli_load_trials_users(&s->t, i, users);
	}
	s->t.plan.warmup_auto = false;
	s->t.plan.warmup_ns = SCALE_WARM_NS;
	s->t.plan.duration_ns = SCALE_NS;
	(void)snprintf(s->t.what, sizeof(s->t.what), "closed loop of %d users", users);
	st = ps_cli_load_trials_run(&s->t, &r, err);
	if (st != PS_OK) {
		return st;
	}
	s->stopped = r.cancelled;
	for (size_t i = 0; i < r.tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r.tenants[i];

		/* Machine time adds up: see scale_max in trial.h. */
		sum += t->throughput_rps / s->s.plan.rate_rps[i] / (double)r.tenant_len;
		if (st == PS_OK && !s->stopped && !(t->throughput_rps > 0)) {
			st = ps_error_set(err, PS_EUNAVAIL,
					  "no request of tenant %s succeeded in a closed loop: "
					  "%.200s",
					  t->name, t->first_failure);
		}
	}
	ps_load_result_fini(&r);
	*ret_scale = sum;
	return st;
}

static enum ps_status find_scale(struct search *s, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	double before, scale = 0;
	int users = FIRST_USERS / 2;

	do {
		users *= 2;
		before = s->closed_rps;
		st = closed_loop(s, users, &scale, err);
		if (st == PS_OK && scale > s->closed_rps) {
			s->closed_rps = scale;
			s->closed_users = users;
		}
	} while (st == PS_OK && !s->stopped && users < MOST_USERS && scale >= LEAST_GAIN * before);
	return st;
}

/* ---- steps ---- */

static int by_schedule(const void *x, const void *y)
{
	const struct ps_trial_request *a = x, *b = y;

	return (a->scheduled_ns > b->scheduled_ns) - (a->scheduled_ns < b->scheduled_ns);
}

static enum ps_status observe(const struct ps_load_tenant_result *t, const struct ps_sla *sla,
			      int64_t warmup_ns, struct ps_trial_seen *ret_seen,
			      struct ps_error *err)
{
	struct ps_trial_request *q = calloc(t->record_len + 1, sizeof(*q));
	enum ps_status st;

	if (!q) {
		return ps_error_set(err, PS_ENOMEM, "no memory to judge a step");
	}
	for (size_t i = 0; i < t->record_len; i++) {
		const struct ps_load_record *x = &t->records[i];

		q[i].scheduled_ns = x->scheduled_ns;
		q[i].latency_ns =
			x->outcome == PS_LOAD_OK ? x->done_ns - x->scheduled_ns : PS_HIST_INFINITE;
	}
	qsort(q, t->record_len, sizeof(*q), by_schedule);
	st = ps_trial_observe(q, t->record_len, warmup_ns, sla, ret_seen, err);
	free(q);
	return st;
}

/* A server that is too slow makes requests wait for a connection: that is its doing, and counts. A
 * generator that is late has measured itself. NULL: it was not. */
static const char *why_late(const struct ps_load_result *r)
{
	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];

		for (int k = 0; k < t->reason_len; k++) {
			enum ps_load_reason code = ps_load_reason_of(t->reasons[k]);

			if (t->late_limit == 0 &&
			    (code == PS_LOAD_REASON_LAG || code == PS_LOAD_REASON_UNSENT)) {
				return t->reasons[k];
			}
		}
	}
	return NULL;
}

static enum ps_status set_load(struct search *s, const struct ps_trial_next *next,
			       struct ps_error *err)
{
	const struct ps_trial_plan *plan = &s->s.plan;
	bool confirm = next->action == PS_TRIAL_RUN_CONFIRM;
	int64_t step_ns = ps_trial_step_length_ns(plan, next->scale);
	enum ps_status st = PS_OK;
	double most_rps = 0;

	for (int i = 0; i < plan->n_tenants; i++) {
		most_rps = fmax(most_rps, next->scale * plan->rate_rps[i]);
	}
	step_ns = step_ns < MOST_STEP_NS ? step_ns : MOST_STEP_NS;
	step_ns *= confirm ? CONFIRM_STEPS : 1;
	s->t.plan.duration_ns = (int64_t)fmin((double)step_ns, MOST_REQUESTS / most_rps * 1e9);
	s->t.plan.warmup_ns = s->t.base->warmup_ns;
	if (s->t.plan.warmup_ns < ps_trial_step_warmup_ns(plan)) {
		s->t.plan.warmup_ns = ps_trial_step_warmup_ns(plan);
	}
	for (int i = 0; st == PS_OK && i < plan->n_tenants; i++) {
		st = ps_cli_load_trials_rate(&s->t, (size_t)i, next->scale * plan->rate_rps[i],
					     err);
	}
	(void)snprintf(s->t.what, sizeof(s->t.what), "%s %d of at most %d, %.4g%s",
		       confirm ? "confirming trial" : "step", next->steps_done + 1,
		       next->steps_most, next->scale,
		       plan->n_tenants == 1 ? " requests/s" : " times the rates");
	return st;
}

static enum ps_status take_step(struct search *s, const struct ps_trial_next *next,
				const struct ps_load_result *r, struct ps_error *err)
{
	struct shown *shown = &s->shown[s->s.n_steps];
	struct ps_trial_step step = {.scale = next->scale,
				     .kind = next->action == PS_TRIAL_RUN ? PS_TRIAL_SEARCH
									  : PS_TRIAL_CONFIRM};
	enum ps_status st = PS_OK;

	shown->duration_ns = r->duration_ns;
	for (int i = 0; st == PS_OK && i < s->s.plan.n_tenants; i++) {
		shown->quantile_ns[i] = r->tenants[i].sla_quantile.value_ns;
		st = observe(&r->tenants[i], &s->s.plan.sla[i], r->warmup_ns, &step.seen[i], err);
	}
	return st == PS_OK ? ps_trial_search_add(&s->s, &step, err) : st;
}

/* A trial in which the generator was late is tried again, some times in all; when it cannot do
 * better its trial counts all the same, and the search is INVALID. */
static enum ps_status run_step(struct search *s, const struct ps_trial_next *next,
			       struct ps_error *err)
{
	struct ps_load_result r;
	enum ps_status st = set_load(s, next, err);
	const char *late = NULL;
	bool again = true;

	while (st == PS_OK && again) {
		st = ps_cli_load_trials_run(&s->t, &r, err);
		if (st != PS_OK) {
			return st;
		}
		s->stopped = r.cancelled;
		late = why_late(&r);
		again = late && s->repeats < REPEATS && !s->stopped;
		s->repeats += again;
		if (!again && late && !s->late++) {
			(void)snprintf(s->reason, sizeof(s->reason), "%s", late);
		}
		if (!again && !s->stopped) {
			st = take_step(s, next, &r, err);
		}
		ps_load_result_fini(&r);
	}
	return st;
}

/* ---- from the options ---- */

static enum ps_status make_plan(struct search *s, struct ps_trial_plan *plan, struct ps_error *err)
{
	const struct ps_load_plan *base = s->t.base;

	if (base->tenant_len > PS_TRIAL_MAX_TENANTS) {
		return ps_error_set(err, PS_EUSAGE, "--find-capacity takes at most %d tenants",
				    PS_TRIAL_MAX_TENANTS);
	}
	*plan = (struct ps_trial_plan){
		.n_tenants = (int)base->tenant_len,
		.scale_max = 1, /* until the closed loop has shown it */
		.step_ns = base->duration_ns,
		.max_steps = (int)s->m->steps,
		.max_confirms = CONFIRMS,
		.stop_half_width = s->m->half_width,
	};
	for (size_t i = 0; i < base->tenant_len; i++) {
		plan->sla[i] = base->tenants[i].sla;
		plan->rate_rps[i] =
			base->tenant_len == 1 ? 1 : ps_cli_load_trials_base_rate(&s->t, i);
		if (!ps_sla_is_set(&plan->sla[i])) {
			ps_error_set(err, PS_EUSAGE,
				     "tenant '%s' has no SLA, so it has no capacity",
				     base->tenants[i].name);
			ps_error_hint(err, "say --sla 'p99<=150ms'");
			return PS_EUSAGE;
		}
		if (!(plan->rate_rps[i] > 0)) {
			return ps_error_set(err, PS_EUSAGE,
					    "tenant '%s' is a closed loop: a capacity is a rate",
					    base->tenants[i].name);
		}
	}
	return PS_OK;
}

static enum ps_status perform(struct search *s, struct ps_error *err)
{
	struct ps_trial_plan plan;
	struct ps_trial_next next;
	enum ps_status st = make_plan(s, &plan, err);

	if (st == PS_OK) {
		s->s.plan = plan; /* the ray, for the closed loop */
		st = find_scale(s, err);
	}
	if (st != PS_OK || s->stopped) {
		return st;
	}
	plan.scale_max = s->closed_rps;
	st = ps_trial_search_init(&s->s, &plan, err);
	while (st == PS_OK && !s->stopped &&
	       (next = ps_trial_search_next(&s->s)).action != PS_TRIAL_DONE) {
		st = run_step(s, &next, err);
	}
	if (st == PS_OK && !s->stopped && s->s.answer.steps_used == 0) {
		st = ps_error_set(err, PS_EUNAVAIL, "no trial saw a request of every tenant");
		ps_error_hint(err, "a longer --duration");
	}
	return st;
}

/* ---- what it found ---- */

static const char *confirmed_name(enum ps_trial_confirmed c)
{
	static const char *const names[] = {"not tried", "confirmed", "refuted"};

	return names[c];
}

/* No capacity is claimed that a fresh trial did not keep. */
static bool is_known(const struct search *s)
{
	const struct ps_trial_answer *a = &s->s.answer;

	return !s->stopped && s->late == 0 && a->confirmed == PS_TRIAL_CONFIRMED &&
	       a->scale.value > 0;
}

static void put_capacity(struct ps_strbuf *out, const struct search *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	const char *unit = s->s.plan.n_tenants == 1 ? "requests/s" : "times the rates";

	if (a->steps_used == 0) {
		ps_strbuf_puts(out, "capacity: unknown, stopped before the first trial ended\n");
	} else if (!is_known(s)) {
		ps_strbuf_printf(out,
				 "capacity: not shown; %s. The fit over all trials: %.4g [%.4g, "
				 "%s%.4g] %s\n",
				 s->stopped    ? "stopped early"
				 : s->late > 0 ? "INVALID"
				 : a->confirmed == PS_TRIAL_REFUTED
					 ? "every fresh trial violated an SLA"
					 : "no rate was worth a fresh trial",
				 a->scale.value, a->scale.lo, a->open_above ? "over " : "",
				 a->scale.hi, unit);
	} else {
		ps_strbuf_printf(out, "capacity: %.4g %s, 95 %%: %.4g to %s%.4g\n", a->scale.value,
				 unit, a->scale.lo, a->open_above ? "over " : "", a->scale.hi);
		ps_strbuf_printf(out, "  a fresh trial at %.4g kept every SLA\n",
				 a->confirmed_scale);
	}
	if (a->cut) {
		ps_strbuf_puts(out, "  lowered: a fresh trial at a higher rate violated an SLA\n");
	}
	if (s->late > 0) {
		ps_strbuf_printf(out, "  invalid: the generator was late in %d of %d trials: %s\n",
				 s->late, s->s.n_steps, s->reason);
	}
	ps_strbuf_printf(out, "  ended as %s; a closed loop of %d users had %.4g\n",
			 ps_trial_stop_name(s->s.stop), s->closed_users, s->closed_rps);
}

static void put_tenants(struct ps_strbuf *out, const struct search *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	char sla[PS_SLA_SIZE];

	for (int i = 0; i < s->s.plan.n_tenants; i++) {
		ps_strbuf_printf(out, "  %s under %s", s->t.tenants[i].name,
				 ps_sla_format(&s->s.plan.sla[i], sla));
		if (s->s.plan.n_tenants > 1) {
			ps_strbuf_printf(out, ": %.4g requests/s%s",
					 a->scale.value * s->s.plan.rate_rps[i],
					 a->binding_tenant == i ? " (binds)" : "");
		}
		ps_strbuf_putc(out, '\n');
	}
}

/* The tenant that a row shows: the one that failed, else the one that binds. */
static int row_tenant(const struct search *s, const struct ps_trial_step *step)
{
	return step->verdict_tenant >= 0 ? step->verdict_tenant : s->s.answer.binding_tenant;
}

static void put_step(struct ps_strbuf *out, const struct search *s, int k, bool wide)
{
	const struct ps_trial_step *step = &s->s.steps[k];
	int tenant = row_tenant(s, step);
	const struct ps_trial_seen *seen = &step->seen[tenant];
	int64_t q = s->shown[k].quantile_ns[tenant];
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];
	double over = seen->requests ? 100 * (double)seen->violations / (double)seen->requests : 0;

	ps_strbuf_printf(out, "%10.4g", step->scale);
	if (wide) {
		ps_strbuf_printf(out, " %9s %9lld",
				 ps_units_format_duration(s->shown[k].duration_ns, a),
				 (long long)seen->requests);
	}
	ps_strbuf_printf(out, " %7.3f %% %9s %s%s", over,
			 q == PS_HIST_INFINITE ? "never" : ps_units_format_duration(q, b),
			 ps_trial_verdict_name(step->verdict),
			 step->kind == PS_TRIAL_CONFIRM ? ", confirming" : "");
	if (wide && s->s.plan.n_tenants > 1) {
		ps_strbuf_printf(out, " (%s)", s->t.tenants[tenant].name);
	}
	ps_strbuf_putc(out, '\n');
}

static void put_text(struct ps_strbuf *out, const struct search *s, int columns)
{
	bool wide = columns >= WIDE;

	put_capacity(out, s);
	put_tenants(out, s);
	if (s->s.n_steps > 0) {
		ps_strbuf_printf(out, "\n%10s", s->s.plan.n_tenants == 1 ? "rate/s" : "times");
		if (wide) {
			ps_strbuf_printf(out, " %9s %9s", "length", "requests");
		}
		ps_strbuf_printf(out, " %9s %9s verdict\n", "over", "quantile");
	}
	for (int k = 0; k < s->s.n_steps; k++) {
		put_step(out, s, k, wide);
	}
}

static json_t *interval_json(const struct ps_stats_interval *i, double unit)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", i->value * unit);
	ps_json_set_real(o, "low", i->lo * unit);
	ps_json_set_real(o, "high", i->hi * unit);
	return o;
}

static json_t *tenant_json(const struct search *s, int i)
{
	const struct ps_trial_answer *a = &s->s.answer;
	json_t *o = json_object();
	char sla[PS_SLA_SIZE];

	ps_json_set_string(o, "tenant", s->t.tenants[i].name);
	ps_json_set_string(o, "sla", ps_sla_format(&s->s.plan.sla[i], sla));
	(void)json_object_set_new(o, "rate_rps", interval_json(&a->scale, s->s.plan.rate_rps[i]));
	(void)json_object_set_new(o, "own_scale", interval_json(&a->tenant_scale[i], 1));
	return o;
}

static json_t *seen_json(const struct search *s, int step, int tenant)
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

static json_t *step_json(const struct search *s, int k)
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

static json_t *search_json(const struct search *s)
{
	const struct ps_trial_answer *a = &s->s.answer;
	json_t *o = json_object(), *tenants = json_array(), *steps = json_array();

	ps_json_set_string(o, "mode", "find-capacity");
	ps_json_set_int(o, "version", 1);
	ps_json_set_bool(o, "known", is_known(s));
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
	ps_json_set_real(o, "closed_loop_scale", s->closed_rps);
	ps_json_set_int(o, "closed_loop_users", s->closed_users);
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

static enum ps_status print(const struct search *s, bool json, struct ps_error *err)
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

int ps_cli_load_search(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
		       bool json)
{
	struct search *s = calloc(1, sizeof(*s));
	struct ps_error err = {0};
	enum ps_status st;
	int code;

	if (!s) {
		ps_error_set(&err, PS_ENOMEM, "no memory for a search");
		return ps_cli_fail(&err);
	}
	s->m = m;
	st = ps_cli_load_trials_init(&s->t, plan, &err);
	if (st == PS_OK) {
		st = perform(s, &err);
	}
	ps_cli_progress_done(&s->t.line);
	if (st == PS_OK) {
		st = print(s, json, &err);
	}
	code = st != PS_OK ? ps_cli_fail(&err) : is_known(s) ? PS_CLI_OK : PS_CLI_NEGATIVE;
	ps_cli_load_trials_fini(&s->t);
	free(s);
	return code;
}
