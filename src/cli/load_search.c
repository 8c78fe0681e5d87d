/* load_search.c - the highest rate that keeps the SLA: trials, as trial/ asks for them.
 *
 *	closed loops of 2, 4, 8 ... users, until more of them bring no more, of each tenant alone,
 *	then one of all: what the server can do
 *	-> trials that trial/ chooses -> fresh trials that confirm -> table or JSON
 */
#include "cli/load_search_internal.h"

#include "base/units.h"
#include "load/fault.h"
#include "measure/observe.h"

#include <math.h>
#include <stdlib.h>

#define FIRST_USERS   2
#define MOST_USERS    256
#define LEAST_GAIN    1.1 /* of twice the users, else the last closed loop was enough */
#define LOOP_LEAST_NS (INT64_C(1) * 1000000000) /* of a closed loop, its warm-up not counted */
#define LOOP_MOST_NS  (INT64_C(3) * 1000000000)
#define SCALE_WARMUPS 3 /* it is so many times as long as its warm-up */
#define CONFIRMS      3
#define REPEATS	      2	    /* of trials that say nothing of the server */
#define CONFIRM_STEPS 2	    /* a confirming trial is so many steps long */
#define MOST_REQUESTS 900e3 /* of one trial and tenant, warm-up included: all are kept */
#define MOST_SCALE    1.1   /* of what closed loops had: see scale_max in trial.h */
#define MOST_STEP_NS  (INT64_C(900) * 1000000000)

/* Why a trial says nothing of the server; NULL: it does. One whose requests were not all kept would
 * be judged on its beginning. */
static const char *fault_of(const struct ps_load_result *r)
{
	for (size_t i = 0; i < r->tenant_len; i++) {
		if (r->tenants[i].records_dropped > 0) {
			return "records: more requests than are kept, one by one";
		}
	}
	return ps_load_fault(r);
}

/* A trial that says nothing of the server is done again, some times in all; when that does not help
 * it counts all the same, and the search is INVALID. */
static enum ps_status run_trial(struct ps_cli_load_searched *s, struct ps_load_result *ret,
				struct ps_error *err)
{
	enum ps_status st = ps_cli_load_trials_run(&s->t, ret, err);

	while (st == PS_OK && !ret->cancelled && s->repeats < REPEATS && fault_of(ret)) {
		ps_load_result_fini(ret);
		s->repeats++;
		st = ps_cli_load_trials_run(&s->t, ret, err);
	}
	if (st != PS_OK) {
		return st;
	}
	s->stopped = ret->cancelled;
	if (fault_of(ret) && !s->stopped && !s->late++) {
		(void)snprintf(s->reason, sizeof(s->reason), "%s", fault_of(ret));
	}
	return PS_OK;
}

/* ---- what the server can do ---- */

/* A closed loop is as long as a step, or as what warms one up (20 limits) if that is more. */
static int64_t loop_ns(const struct ps_cli_load_searched *s)
{
	int64_t warmup = ps_trial_step_warmup_ns(&s->s.plan), step = s->s.plan.step_ns;
	int64_t length = step > warmup ? step : warmup;

	return length < LOOP_LEAST_NS  ? LOOP_LEAST_NS
	       : length > LOOP_MOST_NS ? LOOP_MOST_NS
				       : length;
}

/* `len` tenants from `first` on, each with its own users and nobody beside them. */
static enum ps_status closed_loop(struct ps_cli_load_searched *s, size_t first, size_t len,
				  const int *users, double *ret_rps, struct ps_error *err)
{
	int64_t length = loop_ns(s);
	struct ps_load_result r;
	enum ps_status st;
	int sum = 0;

	for (size_t i = 0; i < len; i++) {
		struct ps_load_target_spec *target = &s->t.tenants[first + i].target;

		ps_cli_load_trials_users(&s->t, first + i, users[i]);
		if (target->in_process && target->streams == 0) {
			target->streams = ps_load_open_workers(); /* as the open loops have */
		}
		sum += users[i];
	}
	s->t.plan.warmup_auto = false;
	s->t.plan.warmup_ns = length / SCALE_WARMUPS;
	s->t.plan.duration_ns = length;
	(void)snprintf(s->t.what, sizeof(s->t.what), "closed loop of %d users of %s", sum,
		       len == 1 ? s->t.tenants[first].name : "all tenants");
	ps_cli_load_trials_some(&s->t, first, len);
	st = run_trial(s, &r, err);
	ps_cli_load_trials_some(&s->t, 0, s->t.base->tenant_len);
	if (st != PS_OK) {
		return st;
	}
	for (size_t i = 0; i < len; i++) {
		ret_rps[i] = r.tenants[i].throughput_rps;
		if (st == PS_OK && !s->stopped && !(ret_rps[i] > 0)) {
			st = ps_error_set(err, PS_EUNAVAIL,
					  "no request of tenant %s succeeded in a closed loop: "
					  "%.200s",
					  r.tenants[i].name,
					  r.tenants[i].first_failure[0] ? r.tenants[i].first_failure
									: "none ended in time");
		}
	}
	ps_load_result_fini(&r);
	return st;
}

/* The most that a tenant gets when it is alone, and with how many users. */
static enum ps_status find_alone(struct ps_cli_load_searched *s, size_t i, struct ps_error *err)
{
	struct ps_cli_load_alone *most = &s->alone[i];
	enum ps_status st = PS_OK;
	double before, rps = 0;
	int users = FIRST_USERS / 2;

	do {
		users *= 2;
		before = most->rps;
		st = closed_loop(s, i, 1, &users, &rps, err);
		if (st == PS_OK && rps > most->rps) {
			*most = (struct ps_cli_load_alone){.rps = rps, .users = users};
		}
	} while (st == PS_OK && !s->stopped && users < MOST_USERS && rps >= LEAST_GAIN * before);
	return st;
}

static enum ps_status find_scale(struct ps_cli_load_searched *s, struct ps_error *err)
{
	double alone[PS_TRIAL_MAX_TENANTS], together[PS_TRIAL_MAX_TENANTS];
	int users[PS_TRIAL_MAX_TENANTS];
	size_t n = s->t.base->tenant_len;
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && !s->stopped && i < n; i++) {
		st = find_alone(s, i, err);
		alone[i] = s->alone[i].rps;
		users[i] = s->alone[i].users;
	}
	if (st == PS_OK && !s->stopped && n > 1) {
		st = closed_loop(s, 0, n, users, together, err);
	}
	if (st == PS_OK && !s->stopped) {
		s->closed_scale = ps_trial_scale_max(&s->s.plan, alone, n > 1 ? together : NULL);
	}
	return st;
}

/* ---- steps ---- */

static int64_t warmup_ns(const struct ps_cli_load_searched *s)
{
	int64_t least = ps_trial_step_warmup_ns(&s->s.plan), given = s->t.base->warmup_ns;

	return given > least ? given : least;
}

/* How long a step at `scale` may be beside its warm-up, so that every request can be kept. */
static double room_ns(const struct ps_cli_load_searched *s, double scale)
{
	double most_rps = 0;

	for (int i = 0; i < s->s.plan.n_tenants; i++) {
		most_rps = fmax(most_rps, scale * s->s.plan.rate_rps[i]);
	}
	return MOST_REQUESTS / most_rps * 1e9 - (double)warmup_ns(s);
}

static int64_t step_ns(const struct ps_cli_load_searched *s, double scale, bool confirm)
{
	int64_t length = ps_trial_step_length_ns(&s->s.plan, scale);

	length = length < MOST_STEP_NS ? length : MOST_STEP_NS;
	return (int64_t)fmin((double)length * (confirm ? CONFIRM_STEPS : 1), room_ns(s, scale));
}

static enum ps_status set_load(struct ps_cli_load_searched *s, const struct ps_trial_next *next,
			       struct ps_error *err)
{
	const struct ps_trial_plan *plan = &s->s.plan;
	bool confirm = next->action == PS_TRIAL_RUN_CONFIRM;
	enum ps_status st = PS_OK;

	s->t.plan.warmup_ns = warmup_ns(s);
	s->t.plan.duration_ns = step_ns(s, next->scale, confirm);
	for (int i = 0; st == PS_OK && i < plan->n_tenants; i++) {
		st = ps_cli_load_trials_rate(&s->t, (size_t)i, next->scale * plan->rate_rps[i],
					     err);
	}
	(void)snprintf(s->t.what, sizeof(s->t.what), "%s %d of at most %d, %.4g %s",
		       confirm ? "confirming trial" : "step", next->steps_done + 1,
		       next->steps_most, next->scale, ps_cli_load_search_unit(s));
	return st;
}

static enum ps_status take_step(struct ps_cli_load_searched *s, const struct ps_trial_next *next,
				const struct ps_load_result *r, struct ps_error *err)
{
	struct ps_cli_load_shown *shown = &s->shown[s->s.n_steps];
	struct ps_trial_step step = {.scale = next->scale,
				     .kind = next->action == PS_TRIAL_RUN ? PS_TRIAL_SEARCH
									  : PS_TRIAL_CONFIRM};
	enum ps_status st = PS_OK;

	shown->duration_ns = r->duration_ns;
	for (int i = 0; st == PS_OK && i < s->s.plan.n_tenants; i++) {
		shown->quantile_ns[i] = r->tenants[i].sla_quantile.value_ns;
		st = ps_measure_observe(&r->tenants[i], &s->s.plan.sla[i], r->warmup_ns,
					&step.seen[i], err);
	}
	return st == PS_OK ? ps_trial_search_add(&s->s, &step, err) : st;
}

static enum ps_status run_step(struct ps_cli_load_searched *s, const struct ps_trial_next *next,
			       struct ps_error *err)
{
	struct ps_load_result r;
	enum ps_status st = set_load(s, next, err);

	if (st == PS_OK) {
		st = run_trial(s, &r, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (!s->stopped) {
		st = take_step(s, next, &r, err);
	}
	ps_load_result_fini(&r);
	return st;
}

/* ---- from the options ---- */

/* A warm-up is 20 limits: refused where it would take the time, or the room for requests, of what
 * it prepares. */
static enum ps_status check_warmup(const struct ps_trial_plan *plan, struct ps_error *err)
{
	int64_t warmup = ps_trial_step_warmup_ns(plan), longest = 0;
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], c[PS_UNITS_SIZE];

	if (warmup <= MOST_STEP_NS / 4) {
		return PS_OK;
	}
	for (int i = 0; i < plan->n_tenants; i++) {
		longest = plan->sla[i].limit_ns > longest ? plan->sla[i].limit_ns : longest;
	}
	ps_error_set(err, PS_EUSAGE,
		     "--find-capacity warms each step up for 20 limits: with the limit %s for %s, "
		     "over a quarter of the longest step (%s)",
		     ps_units_format_duration(longest, a), ps_units_format_duration(warmup, b),
		     ps_units_format_duration(MOST_STEP_NS, c));
	ps_error_hint(err, "try single rates: --sweep-rate");
	return PS_EUSAGE;
}

static enum ps_status refuse_tenant(const struct ps_load_tenant *t, struct ps_error *err)
{
	if (t->origin) {
		ps_error_where(err, "%s", t->origin);
	}
	return PS_EUSAGE;
}

static enum ps_status make_plan(struct ps_cli_load_searched *s, struct ps_trial_plan *plan,
				struct ps_error *err)
{
	const struct ps_load_plan *base = s->t.base;

	if (base->tenant_len > PS_TRIAL_MAX_TENANTS) {
		return ps_error_set(err, PS_EUSAGE, "--find-capacity takes at most %d tenants",
				    PS_TRIAL_MAX_TENANTS);
	}
	*plan = (struct ps_trial_plan){
		.n_tenants = (int)base->tenant_len,
		.scale_max = 1, /* until closed loops have shown it */
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
			return refuse_tenant(&base->tenants[i], err);
		}
		if (!(plan->rate_rps[i] > 0)) {
			ps_error_set(err, PS_EUSAGE,
				     "tenant '%s' is a closed loop: a capacity is a rate",
				     base->tenants[i].name);
			return refuse_tenant(&base->tenants[i], err);
		}
	}
	return check_warmup(plan, err);
}

static enum ps_status check_room(const struct ps_cli_load_searched *s, double scale_max,
				 struct ps_error *err)
{
	char a[PS_UNITS_SIZE];

	if (room_ns(s, scale_max) >= (double)warmup_ns(s)) {
		return PS_OK;
	}
	ps_error_set(err, PS_EUNAVAIL,
		     "a warm-up of %s leaves no room for a step: a trial keeps %g requests at "
		     "most, and closed loops promise %.4g %s",
		     ps_units_format_duration(warmup_ns(s), a), MOST_REQUESTS, s->closed_scale,
		     ps_cli_load_search_unit(s));
	ps_error_hint(err, "a shorter --warmup, or a lower limit of the SLA");
	return PS_EUNAVAIL;
}

/* A search may end earlier; its steps at lower rates are longer. */
static void say_how_long(struct ps_cli_load_searched *s)
{
	double warmup = (double)warmup_ns(s), scale = s->s.plan.scale_max;
	double ns = s->s.plan.max_steps * (warmup + (double)step_ns(s, scale, false)) +
		    s->s.plan.max_confirms * (warmup + (double)step_ns(s, scale, true));
	char a[PS_UNITS_SIZE];

	if (ns > 60e9) {
		ps_cli_load_live_done(&s->t.live);
		fprintf(stderr, "perseus: at most %d steps and %d confirming trials: about %s\n",
			s->s.plan.max_steps, s->s.plan.max_confirms,
			ps_units_format_eta((int64_t)ns, a));
	}
}

static enum ps_status perform(struct ps_cli_load_searched *s, struct ps_error *err)
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
	plan.scale_max = s->closed_scale;
	st = ps_trial_search_init(&s->s, &plan, err);
	if (st == PS_OK) {
		st = check_room(s, MOST_SCALE * plan.scale_max, err);
	}
	if (st == PS_OK) {
		say_how_long(s);
	}
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

int ps_cli_load_search(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
		       bool json)
{
	struct ps_cli_load_searched *s = calloc(1, sizeof(*s));
	struct ps_cli_load_tried tried = ps_cli_load_search_tried(s);
	struct ps_error err = {0};
	enum ps_status st;
	int code;

	if (!s) {
		ps_error_set(&err, PS_ENOMEM, "no memory for a search");
		return ps_cli_fail(&err);
	}
	s->m = m;
	st = ps_cli_load_trials_init(&s->t, plan, &tried, &err);
	if (st == PS_OK) {
		st = perform(s, &err);
	}
	ps_cli_load_live_done(&s->t.live);
	if (st == PS_OK) {
		st = ps_cli_load_search_print(s, json, &err);
	}
	code = st != PS_OK		     ? ps_cli_fail(&err)
	       : ps_cli_load_search_known(s) ? PS_CLI_OK
					     : PS_CLI_NEGATIVE;
	ps_cli_load_trials_fini(&s->t);
	free(s);
	return code;
}
