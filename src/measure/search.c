/* search.c - capacities: of a set along its ray, of a point of a frontier, of copies of a tenant.
 */
#include "measure/cell_internal.h"

#include "base/clock.h"
#include "load/reason.h"
#include "measure/observe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_STEPS 2	/* of a search that runs out of time */
#define LOWER_FIRST 0.1 /* a first further check is so far below, each next one twice as far */

/* The direction that is searched. */
struct ray {
	double rps[PS_MEASURE_MAX_MEMBERS];    /* at scale 1 */
	double weight[PS_MEASURE_MAX_MEMBERS]; /* rps in units of what the member can do alone */
	int most_copies; /* of PACK: the scale is a number of copies; else 0 */
};

/* "12.1 + 8.4 requests/s", "7 copies" */
static void scale_text(const struct ps_measure_cell *c, double factor, char *buf, size_t size)
{
	if (c->plan->kind == PS_STORE_PACK) {
		(void)snprintf(buf, size, "%.0f copies", floor(factor + 1e-9));
		return;
	}
	double at[PS_MEASURE_MAX_MEMBERS];
	for (int i = 0; i < c->set->member_len; i++) {
		at[i] = c->out.capacity.ray_rps[i] * factor;
	}
	ps_measure_rates_text(at, c->set->member_len, buf, size);
}

/* The most that the closed loop showed, in units of the ray: scale x takes the share
 * x * sum(ray_i / C_i) of the machine, and the loop took sum(T_i / C_i) (machine time adds up).
 * With the weights w_i = ray_i / C_i that is x = sum(w_i T_i / ray_i) / sum(w_i). */
static double scale_seen(const struct ps_load_result *r, const struct ray *ray)
{
	double sum = 0, weights = 0;
	for (size_t i = 0; i < r->tenant_len; i++) {
		sum += ray->weight[i] * r->tenants[i].throughput_rps / ray->rps[i];
		weights += ray->weight[i];
	}
	return sum / weights;
}

static enum ps_status run_scale(struct ps_measure_cell *c, const struct ray *ray, double *ret_scale,
				struct ps_error *err)
{
	const struct ps_measure_search *s = &c->m->c->search;
	struct ps_load_result r;
	int cpus = ps_cpus_count(&c->m->c->slice.cpus);
	struct ps_cpus allowed = ps_host_cpus_allowed();
	int users = s->users > 0 ? (int)s->users : 2 * (cpus > 0 ? cpus : ps_cpus_count(&allowed));
	struct ps_measure_load_plan plan = {.role = PS_STORE_SCALE,
					    .factor = NAN,
					    .users = users,
					    .warmup_ns = PS_MEASURE_SCALE_WARMUP_NS,
					    .duration_ns = s->scale_ns};
	(void)snprintf(c->m->what, sizeof(c->m->what), "closed loop of %d users to find the scale",
		       users * c->set->member_len);
	enum ps_status st = ps_measure_cell_trial(c, &plan, &r, err);
	if (st != PS_OK) {
		return st;
	}
	double scale = scale_seen(&r, ray);
	for (size_t i = 0; i < r.tenant_len; i++) {
		if (!(r.tenants[i].throughput_rps > 0)) {
			st = ps_error_set(err, PS_EUNAVAIL,
					  "no request of tenant %s succeeded in the closed loop: "
					  "%.200s",
					  ps_measure_cell_member(c, (int)i)->name,
					  r.tenants[i].first_failure);
		}
	}
	ps_load_result_fini(&r);
	*ret_scale = scale;
	return st;
}

/* Copies come whole: the nearest number for a step, the one below for a check. */
static int copies_of(double scale, bool check, int most)
{
	double n = check ? floor(scale + 1e-9) : round(scale);
	return n < 1 ? 1 : n > most ? most : (int)n;
}

enum ps_measure_use ps_measure_search_use(const struct ps_store_trial *t, bool check, int repeats)
{
	bool trusted = true;
	for (size_t i = 0; i < t->result_len; i++) {
		const struct ps_store_result *r = &t->results[i];
		trusted = trusted && ps_load_reason_is_trusted(r->valid, r->reasons);
	}
	return trusted				     ? PS_MEASURE_USE_IT
	       : repeats < PS_MEASURE_SEARCH_REPEATS ? PS_MEASURE_USE_AGAIN
	       : check				     ? PS_MEASURE_USE_NOT
						     : PS_MEASURE_USE_COUNTED;
}

/* Every request of a step is judged: one that was not kept cannot be. */
static enum ps_status all_kept(const struct ps_load_result *r, struct ps_error *err)
{
	for (size_t i = 0; i < r->tenant_len; i++) {
		if (r->tenants[i].records_dropped > 0) {
			return ps_error_set(err, PS_ETOOBIG,
					    "%llu requests of tenant %s found no room in a step",
					    (unsigned long long)r->tenants[i].records_dropped,
					    r->tenants[i].name);
		}
	}
	return PS_OK;
}

/* Hands a trial over to the search, or not: what the instrument did wrong says nothing of the
 * server, so that such a check neither confirms nor refutes. */
static enum ps_status take_step(struct ps_measure_cell *c, struct ps_trial_search *s,
				const struct ps_trial_step *step, struct ps_error *err)
{
	struct ps_store_trial *t = &c->trials[c->trial_len - 1];
	bool check = step->kind == PS_TRIAL_CONFIRM;
	enum ps_measure_use use = ps_measure_search_use(t, check, c->repeats);
	if (use == PS_MEASURE_USE_AGAIN) {
		c->repeats++;
		t->verdict = "repeated";
		return PS_OK;
	}
	if (use == PS_MEASURE_USE_NOT) {
		c->invalid_checks++;
		s->plan.max_confirms--; /* it was one of them, and is not asked for again */
		t->verdict = "not used";
		return PS_OK;
	}
	c->invalid_steps += use == PS_MEASURE_USE_COUNTED;
	enum ps_status st = ps_trial_search_add(s, step, err);
	if (st == PS_OK) {
		t->verdict = ps_trial_verdict_name(s->steps[s->n_steps - 1].verdict);
		t->met = s->steps[s->n_steps - 1].verdict == PS_TRIAL_PASS;
	}
	return st;
}

static enum ps_status run_step(struct ps_measure_cell *c, struct ps_trial_search *s,
			       const struct ray *ray, const struct ps_trial_next *next,
			       struct ps_error *err)
{
	bool check = next->action == PS_TRIAL_RUN_CONFIRM;
	int copies = ray->most_copies ? copies_of(next->scale, check, ray->most_copies) : 0;
	double scale = copies ? copies : next->scale, rates[PS_MEASURE_MAX_MEMBERS];
	char text[96];
	struct ps_load_result r;
	struct ps_trial_step step = {.scale = scale,
				     .kind = check ? PS_TRIAL_CONFIRM : PS_TRIAL_SEARCH};
	for (int i = 0; i < c->set->member_len; i++) {
		rates[i] = (copies ? 1 : scale) * s->plan.rate_rps[i];
	}
	struct ps_measure_load_plan plan = {.role = check ? PS_STORE_CHECK : PS_STORE_STEP,
					    .factor = scale,
					    .rates = rates,
					    .copies = copies,
					    .warmup_ns = c->m->c->search.warmup_ns,
					    .duration_ns = s->plan.step_ns};
	if (copies) {
		(void)snprintf(text, sizeof(text), "%d copies", copies);
	} else {
		ps_measure_rates_text(rates, c->set->member_len, text, sizeof(text));
	}
	(void)snprintf(c->m->what, sizeof(c->m->what), "%s %d of %d: %s",
		       check ? "check after step" : "step", next->steps_done + (check ? 0 : 1),
		       next->steps_most, text);
	enum ps_status st = ps_measure_cell_trial(c, &plan, &r, err);
	if (st != PS_OK) {
		return st;
	}
	st = all_kept(&r, err);
	for (int i = 0; i < c->set->member_len && st == PS_OK; i++) {
		st = ps_measure_observe(&r.tenants[i], &s->plan.sla[i], plan.warmup_ns,
					&step.seen[i], err);
	}
	ps_load_result_fini(&r);
	return st == PS_OK ? take_step(c, s, &step, err) : st;
}

static const char *method_text(struct ps_measure_cell *c, const struct ps_trial_search *s)
{
	const struct ps_trial_answer *a = &s->answer;
	json_t *o = json_object(), *tenants = json_array();
	ps_json_set_string(o, "method", "fit of the share of violations over all steps");
	ps_json_set_int(o, "steps", s->n_steps);
	ps_json_set_int(o, "repeats", c->repeats);
	ps_json_set_int(o, "invalid_steps", c->invalid_steps);
	ps_json_set_int(o, "invalid_checks", c->invalid_checks);
	ps_json_set_int(o, "further_checks", c->further_checks);
	if (c->cut_by_time) {
		ps_json_set_int(o, "max_time_ns", c->m->c->stop.max_time_ns);
	}
	ps_json_set_string(o, "stop", c->cut_by_time ? "time" : ps_trial_stop_name(s->stop));
	ps_json_set_real(o, "scale_max", s->plan.scale_max);
	ps_json_set_real(o, "confidence", a->scale.confidence);
	ps_json_set_real(o, "half_width", a->half_width);
	ps_json_set_bool(o, "open_below", a->open_below);
	ps_json_set_bool(o, "open_above", a->open_above);
	ps_json_set_string(o, "binding_tenant", ps_measure_cell_member(c, a->binding_tenant)->name);
	ps_json_set_string(o, "confirmed",
			   a->confirmed == PS_TRIAL_CONFIRMED ? "confirmed"
			   : a->confirmed == PS_TRIAL_REFUTED ? "refuted"
							      : "not tried");
	ps_json_set_real(o, "confirmed_scale", a->confirmed_scale);
	ps_json_set_bool(o, "cut", a->cut);
	for (int i = 0; i < c->set->member_len; i++) {
		json_t *t = json_object();
		ps_json_set_string(t, "tenant", ps_measure_cell_member(c, i)->name);
		ps_json_set_real(t, "scale", a->tenant_scale[i].value);
		ps_json_set_real(t, "low", a->tenant_scale[i].lo);
		ps_json_set_real(t, "high", a->tenant_scale[i].hi);
		(void)json_array_append_new(tenants, t);
	}
	(void)json_object_set_new(o, "tenants", tenants);
	char *text = json_dumps(o, JSON_COMPACT);
	const char *copy = text ? ps_arena_strndup(&c->arena, text, strlen(text)) : NULL;
	free(text);
	json_decref(o);
	return copy;
}

/* A fresh trial that violates an SLA lowers the capacity to the highest rate below that passed.
 * When none passed, nothing was shown: neither 0, which a trial of some seconds cannot show, nor
 * what the steps alone would say. */
bool ps_measure_search_knows(const struct ps_trial_answer *a)
{
	return !a->cut || a->scale.value > 0;
}

bool ps_measure_search_lower(const struct ps_trial_search *s, int further, bool copies,
			     double *ret_scale)
{
	double refuted = INFINITY, below = LOWER_FIRST;
	if (s->plan.max_confirms == 0 || s->stop == PS_TRIAL_STOP_HOPELESS ||
	    further >= PS_MEASURE_FURTHER_CHECKS || ps_measure_search_knows(&s->answer)) {
		return false;
	}
	for (int i = 0; i < s->n_steps; i++) {
		bool failed = s->steps[i].verdict != PS_TRIAL_PASS &&
			      s->steps[i].verdict != PS_TRIAL_FAIL_EMPTY;
		if (s->steps[i].kind == PS_TRIAL_CONFIRM && failed) {
			refuted = fmin(refuted, s->steps[i].scale);
		}
	}
	for (int i = 0; i < further; i++) {
		below *= 2;
	}
	*ret_scale = copies ? fmin(refuted - 1, floor(refuted * (1 - below) + 1e-9))
			    : refuted * (1 - below);
	return isfinite(refuted) && (copies ? *ret_scale >= 1 : *ret_scale > 0);
}

static void keep_capacity(struct ps_measure_cell *c, struct ps_trial_search *s,
			  const struct ray *ray)
{
	const struct ps_trial_answer *a = &s->answer;
	if (!ps_measure_search_knows(a)) {
		return;
	}
	double *copy = ps_arena_alloc(&c->arena, sizeof(ray->rps));
	if (!copy) {
		return;
	}
	memcpy(copy, ray->rps, sizeof(ray->rps));
	c->confirmed_scale = a->confirmed_scale;
	c->out.capacity = (struct ps_store_capacity){
		.known = true,
		.ray_rps = copy,
		.factor = a->scale.value,
		.factor_low = a->scale.has_interval ? a->scale.lo : NAN,
		.factor_high = a->scale.has_interval ? a->scale.hi : NAN,
		.checked = a->confirmed != PS_TRIAL_NOT_TRIED,
		.check_met = a->confirmed == PS_TRIAL_CONFIRMED,
		.method_json = method_text(c, s),
	};
	if (c->plan->kind != PS_STORE_SEARCH) {
		return;
	}
	/* what later cells go by */
	int set = c->plan->set;
	memcpy(c->m->rays[set], ray->rps, sizeof(c->m->rays[set]));
	c->m->capacities[set] = c->out.capacity;
	c->m->capacities[set].ray_rps = c->m->rays[set];
	c->m->capacities[set].method_json = NULL; /* lives in the cell's arena */
}

/* Without a capacity there is no method that could say it. */
static enum ps_status keep_cut(struct ps_measure_cell *c, struct ps_error *err)
{
	const struct ps_store_figure f = {.name = PS_MEASURE_CUT_BY_TIME,
					  .subject = c->set->name,
					  .unit = "ns",
					  .x = NAN,
					  .value = (double)c->m->c->stop.max_time_ns,
					  .low = NAN,
					  .high = NAN};
	return c->cut_by_time && !c->out.capacity.known ? ps_measure_cell_figure(c, &f, err)
							: PS_OK;
}

/* What a tenant can do alone; 0: not known. */
static double capacity_alone(const struct ps_measure_cell *c, int tenant)
{
	const struct ps_store_campaign *p = c->m->plan;
	for (size_t k = 0; k < p->set_len; k++) {
		const struct ps_store_capacity *alone = &c->m->capacities[k];
		if (p->sets[k].member_len == 1 && p->sets[k].members[0] == tenant && alone->known) {
			return alone->factor;
		}
	}
	return 0;
}

/* The ray of a set of several: what each member can do alone, of a frontier a share of it. */
static enum ps_status find_ray(const struct ps_measure_cell *c, struct ray *ray,
			       struct ps_error *err)
{
	const struct ps_measure_campaign *m = c->m->c;
	double shares[2] = {1, 1};
	if (c->plan->kind == PS_STORE_PACK) {
		const struct ps_measure_packing *k = m->packings.items;
		ray->most_copies = (int)k[c->plan->part].most;
		ray->rps[0] = ps_measure_cell_member(c, 0)->demand_rps;
		ray->weight[0] = 1;
		return PS_OK;
	}
	if (c->plan->kind == PS_STORE_FRONTIER) {
		const struct ps_measure_frontier *f = m->frontiers.items;
		ps_measure_frontier_shares(m, &f[c->plan->part], c->plan->point, c->set, shares);
	}
	for (int i = 0; i < c->set->member_len; i++) {
		double share = c->plan->kind == PS_STORE_FRONTIER ? shares[i] : 1;
		double alone = c->set->member_len == 1 ? 1 : capacity_alone(c, c->set->members[i]);
		if (!(alone > 0)) {
			return ps_error_set(err, PS_EUNAVAIL,
					    "the capacity of tenant %s alone is not known, or 0",
					    ps_measure_cell_member(c, i)->name);
		}
		ray->rps[i] = alone * share;
		ray->weight[i] = share;
	}
	return PS_OK;
}

static bool out_of_time(const struct ps_measure_context *m)
{
	int64_t max = m->c->stop.max_time_ns;
	return max > 0 && ps_clock_now_ns() - m->begun_ns >= max;
}

static struct ps_trial_plan trial_plan(const struct ps_measure_cell *c, const struct ray *ray,
				       double scale)
{
	const struct ps_measure_search *s = &c->m->c->search;
	struct ps_trial_plan plan = {
		.n_tenants = c->set->member_len,
		.scale_max = scale,
		.step_ns = s->step_ns,
		.min_steps = (int)(s->min_steps < s->steps ? s->min_steps : s->steps),
		.max_steps = (int)s->steps,
		.max_confirms = (int)s->checks,
		.stop_half_width = c->m->c->stop.half_width,
	};
	if (ray->most_copies && plan.scale_max > ray->most_copies) {
		plan.scale_max = ray->most_copies;
	}
	for (int i = 0; i < c->set->member_len; i++) {
		plan.rate_rps[i] = ray->rps[i];
		plan.sla[i] = ps_measure_cell_member(c, i)->sla;
	}
	return plan;
}

/* What to run next; false: nothing. Where every check failed, and nothing below them is known to
 * hold, further ones go down: a capacity that is lower than thought is an answer, an unknown one is
 * not. */
static bool next_step(struct ps_measure_cell *c, struct ps_trial_search *s, const struct ray *ray,
		      struct ps_trial_next *ret_next)
{
	*ret_next = ps_trial_search_next(s);
	if (ret_next->action == PS_TRIAL_DONE &&
	    ps_measure_search_lower(s, c->further_checks, ray->most_copies > 0, &ret_next->scale)) {
		ret_next->action = PS_TRIAL_RUN_CONFIRM;
		ret_next->steps_most++;
		s->plan.max_confirms++;
		c->further_checks++;
	}
	return ret_next->action != PS_TRIAL_DONE;
}

static enum ps_status run_steps(struct ps_measure_cell *c, struct ps_trial_search *s,
				const struct ray *ray, struct ps_error *err)
{
	struct ps_trial_next next;
	enum ps_status st = PS_OK;
	while (st == PS_OK && !c->cut_by_time && next_step(c, s, ray, &next)) {
		c->cut_by_time = s->n_steps >= LEAST_STEPS && out_of_time(c->m);
		if (!c->cut_by_time) {
			st = run_step(c, s, ray, &next, err);
		}
	}
	if (st == PS_OK && s->answer.steps_used == 0) {
		st = ps_error_set(err, PS_EUNAVAIL,
				  "no step saw a request of every tenant: make search.step longer");
	}
	return st;
}

enum ps_status ps_measure_cell_search(struct ps_measure_cell *c, struct ps_error *err)
{
	struct ray ray = {.most_copies = 0};
	double scale = 0;
	enum ps_status st = find_ray(c, &ray, err);
	if (st == PS_OK) {
		st = run_scale(c, &ray, &scale, err);
	}
	if (st != PS_OK) {
		return st;
	}
	struct ps_trial_plan plan = trial_plan(c, &ray, scale);
	struct ps_trial_search *search = calloc(1, sizeof(*search));
	if (!search) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a search");
	}
	st = ps_trial_search_init(search, &plan, err);
	if (st == PS_OK) {
		st = run_steps(c, search, &ray, err);
	}
	if (st == PS_OK) {
		keep_capacity(c, search, &ray);
		st = keep_cut(c, err);
	}
	free(search);
	return st;
}

/* "capacity of a alone: 7.7 requests/s (-53 % to +49 %); a fresh trial held at 3.6 requests/s" */
void ps_measure_search_note(const struct ps_measure_cell *c, char *text, size_t size)
{
	const struct ps_store_capacity *k = &c->out.capacity;
	char rates[96], held[96];
	if (!k->known) {
		(void)snprintf(text, size, "%s: not known: no rate was shown to keep the SLA",
			       c->m->cell);
		return;
	}
	scale_text(c, k->factor, rates, sizeof(rates));
	scale_text(c, c->confirmed_scale, held, sizeof(held));
	double low = k->factor > 0 ? k->factor_low / k->factor : NAN;
	double high = k->factor > 0 ? k->factor_high / k->factor : NAN;
	(void)snprintf(text, size, "%s: %s (%+.0f %% to %+.0f %%)%s%s%s", c->m->cell, rates,
		       (low - 1) * 100, (high - 1) * 100,
		       !k->checked    ? ""
		       : k->check_met ? "; a fresh trial held at "
				      : "; NO fresh trial held",
		       k->checked && k->check_met ? held : "",
		       c->cut_by_time ? "; cut short by stop.max-time" : "");
}
