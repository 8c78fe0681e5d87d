#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_STEPS 2 /* of a search that runs out of time */

/* One cell while it runs. */
struct cell {
	struct ps_measure_context *m;
	const struct ps_store_cell *plan;
	const struct ps_store_set *set;
	struct ps_measure_live live;
	struct ps_arena arena; /* of everything that is written in the end */
	struct ps_store_trial trials[PS_TRIAL_MAX_STEPS + 2];
	int trial_len;
	struct ps_store_cell out;
	double confirmed_scale; /* where a fresh trial held; 0: nowhere */
	bool cut_by_time;	/* the search ended for want of time */
};

static const struct ps_measure_tenant *member(const struct cell *c, int i)
{
	return &((const struct ps_measure_tenant *)c->m->c->tenants.items)[c->set->members[i]];
}

/* The seed of trial `number`: the same in every run of the campaign. Trials of one block share the
 * name, so that a tenant meets the same arrivals alone and together. */
static uint64_t seed_of(const struct cell *c, int number)
{
	char name[128];
	struct ps_rng r;
	if (c->plan->kind == PS_STORE_SEARCH) {
		(void)snprintf(name, sizeof(name), "%s/%d", c->plan->key, number);
	} else {
		(void)snprintf(name, sizeof(name), "%s/%d", ps_store_kind_name(c->plan->kind),
			       c->plan->block);
	}
	ps_rng_init(&r, (uint64_t)c->m->c->seed, ps_rng_stream(name));
	return ps_rng_next(&r) >> 1;
}

/* "12.1 + 8.4 requests/s" */
static void rates_text(const double *rates, int n, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (int i = 0; i < n && at < size; i++) {
		int k = snprintf(buf + at, size - at, "%s%.3g", i ? " + " : "", rates[i]);
		at += k > 0 ? (size_t)k : 0;
	}
	if (at < size) {
		(void)snprintf(buf + at, size - at, " requests/s");
	}
}

static void ray_text(const struct cell *c, double factor, char *buf, size_t size)
{
	double at[PS_MEASURE_MAX_MEMBERS];
	for (int i = 0; i < c->set->member_len; i++) {
		at[i] = c->out.capacity.ray_rps[i] * factor;
	}
	rates_text(at, c->set->member_len, buf, size);
}

static enum ps_status run_trial(struct cell *c, struct ps_measure_load_plan *plan,
				struct ps_load_result *ret_result, struct ps_error *err)
{
	plan->number = c->trial_len;
	plan->seed = seed_of(c, c->trial_len);
	enum ps_status st = ps_measure_drive(c->m, c->set, &c->live, plan, &c->arena,
					     &c->trials[c->trial_len], ret_result, err);
	if (st == PS_OK) {
		c->trial_len++;
	}
	return st;
}

/* ---- search ---- */

/* The most that the closed loop showed, in units of the ray: scale x takes the share
 * x * sum(ray_i / C_i) of the machine, and the loop took sum(T_i / C_i), with C_i in the
 * proportions of the ray (machine time adds up). */
static double scale_seen(const struct ps_load_result *r, const double *ray)
{
	double sum = 0;
	for (size_t i = 0; i < r->tenant_len; i++) {
		sum += r->tenants[i].throughput_rps / ray[i];
	}
	return sum / (double)r->tenant_len;
}

static enum ps_status run_scale(struct cell *c, const double *ray, double *ret_scale,
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
	enum ps_status st = run_trial(c, &plan, &r, err);
	if (st != PS_OK) {
		return st;
	}
	double scale = scale_seen(&r, ray);
	for (size_t i = 0; i < r.tenant_len; i++) {
		if (!(r.tenants[i].throughput_rps > 0)) {
			st = ps_error_set(err, PS_EUNAVAIL,
					  "no request of tenant %s succeeded in the closed loop: "
					  "%.200s",
					  member(c, (int)i)->name, r.tenants[i].first_failure);
		}
	}
	ps_load_result_fini(&r);
	*ret_scale = scale;
	return st;
}

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
	enum ps_status st = ps_trial_observe(q, t->record_len, warmup_ns, sla, ret_seen, err);
	free(q);
	return st;
}

static enum ps_status run_step(struct cell *c, struct ps_trial_search *s,
			       const struct ps_trial_next *next, struct ps_error *err)
{
	bool check = next->action == PS_TRIAL_RUN_CONFIRM;
	double rates[PS_MEASURE_MAX_MEMBERS];
	char text[96];
	struct ps_load_result r;
	struct ps_trial_step step = {.scale = next->scale,
				     .kind = check ? PS_TRIAL_CONFIRM : PS_TRIAL_SEARCH};
	for (int i = 0; i < c->set->member_len; i++) {
		rates[i] = next->scale * s->plan.rate_rps[i];
	}
	struct ps_measure_load_plan plan = {.role = check ? PS_STORE_CHECK : PS_STORE_STEP,
					    .factor = next->scale,
					    .rates = rates,
					    .warmup_ns = c->m->c->search.warmup_ns,
					    .duration_ns = s->plan.step_ns};
	rates_text(rates, c->set->member_len, text, sizeof(text));
	(void)snprintf(c->m->what, sizeof(c->m->what), "%s %d of %d: %s",
		       check ? "check after step" : "step", next->steps_done + (check ? 0 : 1),
		       next->steps_most, text);
	enum ps_status st = run_trial(c, &plan, &r, err);
	if (st != PS_OK) {
		return st;
	}
	for (int i = 0; i < c->set->member_len && st == PS_OK; i++) {
		st = observe(&r.tenants[i], &s->plan.sla[i], plan.warmup_ns, &step.seen[i], err);
	}
	ps_load_result_fini(&r);
	if (st == PS_OK) {
		st = ps_trial_search_add(s, &step, err);
	}
	if (st == PS_OK) {
		struct ps_store_trial *t = &c->trials[c->trial_len - 1];
		t->verdict = ps_trial_verdict_name(s->steps[s->n_steps - 1].verdict);
		t->met = s->steps[s->n_steps - 1].verdict == PS_TRIAL_PASS;
	}
	return st;
}

static const char *method_text(struct cell *c, const struct ps_trial_search *s)
{
	const struct ps_trial_answer *a = &s->answer;
	json_t *o = json_object(), *tenants = json_array();
	ps_json_set_string(o, "method", "fit of the share of violations over all steps");
	ps_json_set_int(o, "steps", s->n_steps);
	ps_json_set_string(o, "stop", c->cut_by_time ? "time" : ps_trial_stop_name(s->stop));
	ps_json_set_real(o, "scale_max", s->plan.scale_max);
	ps_json_set_real(o, "confidence", a->scale.confidence);
	ps_json_set_real(o, "half_width", a->half_width);
	ps_json_set_bool(o, "open_below", a->open_below);
	ps_json_set_bool(o, "open_above", a->open_above);
	ps_json_set_string(o, "binding_tenant", member(c, a->binding_tenant)->name);
	ps_json_set_string(o, "confirmed",
			   a->confirmed == PS_TRIAL_CONFIRMED ? "confirmed"
			   : a->confirmed == PS_TRIAL_REFUTED ? "refuted"
							      : "not tried");
	ps_json_set_real(o, "confirmed_scale", a->confirmed_scale);
	ps_json_set_bool(o, "cut", a->cut);
	for (int i = 0; i < c->set->member_len; i++) {
		json_t *t = json_object();
		ps_json_set_string(t, "tenant", member(c, i)->name);
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
 * When none passed, that would be 0, which a trial of some seconds cannot show: then the fit over
 * all steps, the fresh trial among them, stands, and is marked as not confirmed. */
static void mend_answer(struct ps_trial_search *s)
{
	struct ps_trial_answer all;
	enum ps_trial_confirmed confirmed = s->answer.confirmed;
	if (!s->answer.cut || s->answer.scale.value > 0) {
		return;
	}
	for (int i = 0; i < s->n_steps; i++) {
		s->steps[i].kind = PS_TRIAL_SEARCH;
	}
	if (ps_trial_fit(&s->plan, s->steps, s->n_steps, &all, NULL) == PS_OK) {
		s->answer = all;
		s->answer.confirmed = confirmed;
	}
}

static void keep_capacity(struct cell *c, struct ps_trial_search *s, const double *ray)
{
	mend_answer(s);
	const struct ps_trial_answer *a = &s->answer;
	int set = c->plan->set;
	bool tried = a->confirmed != PS_TRIAL_NOT_TRIED;
	c->confirmed_scale = a->confirmed_scale;
	memcpy(c->m->rays[set], ray, sizeof(c->m->rays[set]));
	c->out.capacity = (struct ps_store_capacity){
		.known = true,
		.ray_rps = c->m->rays[set],
		.factor = a->scale.value,
		.factor_low = a->scale.has_interval ? a->scale.lo : NAN,
		.factor_high = a->scale.has_interval ? a->scale.hi : NAN,
		.checked = tried,
		.check_met = a->confirmed == PS_TRIAL_CONFIRMED,
		.method_json = method_text(c, s),
	};
	c->m->capacities[set] = c->out.capacity;
	c->m->capacities[set].method_json = NULL; /* lives in the cell's arena */
}

/* The ray of a set of several: what each member can do alone. */
static enum ps_status find_ray(const struct cell *c, double *ray, struct ps_error *err)
{
	const struct ps_store_campaign *p = c->m->plan;
	for (int i = 0; i < c->set->member_len; i++) {
		ray[i] = c->set->member_len == 1 ? 1 : 0;
		for (size_t k = 0; k < p->set_len; k++) {
			const struct ps_store_capacity *alone = &c->m->capacities[k];
			if (p->sets[k].member_len == 1 &&
			    p->sets[k].members[0] == c->set->members[i] && alone->known &&
			    c->set->member_len > 1) {
				ray[i] = alone->factor;
			}
		}
		if (!(ray[i] > 0)) {
			return ps_error_set(err, PS_EUNAVAIL,
					    "the capacity of tenant %s alone is not known, or 0",
					    member(c, i)->name);
		}
	}
	return PS_OK;
}

static bool out_of_time(const struct ps_measure_context *m)
{
	int64_t max = m->c->stop.max_time_ns;
	return max > 0 && ps_clock_now_ns() - m->begun_ns >= max;
}

static enum ps_status search(struct cell *c, struct ps_error *err)
{
	const struct ps_measure_search *s = &c->m->c->search;
	double ray[PS_MEASURE_MAX_MEMBERS] = {0}, scale = 0;
	struct ps_trial_plan plan = {
		.n_tenants = c->set->member_len,
		.step_ns = s->step_ns,
		.min_steps = (int)(s->min_steps < s->steps ? s->min_steps : s->steps),
		.max_steps = (int)s->steps,
		.max_confirms = (int)s->checks,
		.stop_half_width = c->m->c->stop.half_width,
	};
	enum ps_status st = find_ray(c, ray, err);
	if (st == PS_OK) {
		st = run_scale(c, ray, &scale, err);
	}
	if (st != PS_OK) {
		return st;
	}
	plan.scale_max = scale;
	for (int i = 0; i < c->set->member_len; i++) {
		plan.rate_rps[i] = ray[i];
		plan.sla[i] = member(c, i)->sla;
	}
	struct ps_trial_search *search = calloc(1, sizeof(*search));
	if (!search) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a search");
	}
	st = ps_trial_search_init(search, &plan, err);
	struct ps_trial_next next = {.action = PS_TRIAL_DONE};
	while (st == PS_OK && !c->cut_by_time &&
	       (next = ps_trial_search_next(search)).action != PS_TRIAL_DONE) {
		c->cut_by_time = search->n_steps >= LEAST_STEPS && out_of_time(c->m);
		if (!c->cut_by_time) {
			st = run_step(c, search, &next, err);
		}
	}
	if (st == PS_OK && search->answer.steps_used == 0) {
		st = ps_error_set(err, PS_EUNAVAIL,
				  "no step saw a request of every tenant: make search.step longer");
	}
	if (st == PS_OK) {
		keep_capacity(c, search, ray);
	}
	free(search);
	return st;
}

/* ---- confirm ---- */

static enum ps_status confirm(struct cell *c, struct ps_error *err)
{
	const struct ps_measure_confirm *k = &c->m->c->confirm;
	const struct ps_store_capacity *cap = &c->m->capacities[c->plan->set];
	bool demand = c->plan->kind == PS_STORE_CONFIRM;
	double rates[PS_MEASURE_MAX_MEMBERS];
	struct ps_load_result r;
	if (!demand && !(cap->known && cap->factor > 0)) {
		return ps_error_set(err, PS_EUNAVAIL,
				    "the capacity of this set is not known, or 0");
	}
	for (int i = 0; i < c->set->member_len; i++) {
		rates[i] = demand ? member(c, i)->demand_rps : cap->ray_rps[i] * cap->factor;
	}
	struct ps_measure_load_plan plan = {
		.role = demand ? PS_STORE_DEMAND : PS_STORE_AT_CAPACITY,
		.factor = demand ? NAN : cap->factor,
		.rates = rates,
		.warmup_ns = k->warmup_ns,
		.duration_ns = k->duration_ns,
	};
	rates_text(rates, c->set->member_len, c->m->what, sizeof(c->m->what));
	enum ps_status st = run_trial(c, &plan, &r, err);
	if (st == PS_OK) {
		ps_load_result_fini(&r);
	}
	return st;
}

/* ---- the cell ---- */

static const char *keep_json(struct cell *c, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *copy = text ? ps_arena_strndup(&c->arena, text, strlen(text)) : NULL;
	free(text);
	json_decref(o);
	return copy;
}

static enum ps_status run(struct cell *c, struct ps_error *err)
{
	(void)snprintf(c->m->what, sizeof(c->m->what), "starting the server");
	if (!ps_measure_say(c->m, NULL)) {
		return ps_error_set(err, PS_ECANCELLED, "stopped");
	}
	enum ps_status st = ps_measure_server_start(c->m, c->set, &c->live, err);
	if (st != PS_OK) {
		return st;
	}
	c->out.slice_json = keep_json(c, ps_host_slice_json(c->live.process));
	c->out.server_json =
		ps_arena_strndup(&c->arena, c->live.ready_line, strlen(c->live.ready_line));
	st = c->plan->kind == PS_STORE_SEARCH ? search(c, err) : confirm(c, err);
	/* A server that does not end in order has something to hide: then the cell fails too. */
	enum ps_status end = ps_measure_server_stop(&c->live, st == PS_OK ? err : NULL);
	return st == PS_OK ? end : st;
}

/* "capacity of a alone: 7.7 requests/s (-53 % to +49 %); a fresh trial held at 3.6 requests/s" */
static void search_note(const struct cell *c, char *text, size_t size)
{
	const struct ps_store_capacity *k = &c->out.capacity;
	char rates[96], held[96];
	ray_text(c, k->factor, rates, sizeof(rates));
	ray_text(c, c->confirmed_scale, held, sizeof(held));
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

static void note(struct cell *c, enum ps_status st, const struct ps_error *err)
{
	char text[512];
	if (st != PS_OK) {
		(void)snprintf(text, sizeof(text), "%s: FAILED: %.300s", c->m->cell, err->what);
	} else if (c->plan->kind == PS_STORE_SEARCH) {
		search_note(c, text, sizeof(text));
	} else {
		const struct ps_store_trial *t = &c->trials[0];
		(void)snprintf(text, sizeof(text), "%s: %s%s", c->m->cell,
			       t->met ? "inside every SLA" : "SLA missed",
			       t->valid ? "" : " (INVALID)");
	}
	(void)ps_measure_say(c->m, text);
}

static enum ps_status write(struct cell *c, enum ps_status st, struct ps_error *err)
{
	char reason[sizeof(err->what) + sizeof(err->where) + 4];
	c->out.key = c->plan->key;
	c->out.finished_wall_ns = ps_clock_wall_ns();
	if (st == PS_OK) {
		c->out.state = PS_STORE_DONE;
		c->out.trials = c->trials;
		c->out.trial_len = (size_t)c->trial_len;
	} else {
		(void)snprintf(reason, sizeof(reason), "%s%s%s", err->where,
			       err->where[0] ? ": " : "", err->what);
		c->out.state = PS_STORE_FAILED;
		c->out.reason = reason;
		c->out.capacity.known = false;
		c->m->capacities[c->plan->set].known =
			c->plan->kind != PS_STORE_SEARCH && c->m->capacities[c->plan->set].known;
	}
	return ps_store_cell_write(c->m->store, c->m->campaign_id, &c->out, err);
}

enum ps_status ps_measure_cell(struct ps_measure_context *m, const struct ps_store_cell *cell,
			       bool *ret_failed, struct ps_error *err)
{
	struct ps_error why, *e = err;
	struct cell *c = calloc(1, sizeof(*c));
	if (!c) {
		return ps_error_set(e, PS_ENOMEM, "no memory for a cell");
	}
	c->m = m;
	c->plan = cell;
	c->set = &m->plan->sets[cell->set];
	ps_arena_init(&c->arena, 0);
	ps_error_clear(&why);
	enum ps_status st =
		ps_store_cell_start(m->store, m->campaign_id, cell->key, ps_clock_wall_ns(), e);
	if (st == PS_OK) {
		enum ps_status ran = run(c, &why);
		*ret_failed = ran != PS_OK;
		if (ran == PS_ECANCELLED) {
			st = ps_error_set(e, PS_ECANCELLED, "stopped in cell %s", cell->key);
			ps_error_hint(e, "run again with --resume to go on");
		} else {
			struct ps_error shown = why;
			st = write(c, ran, &why);
			if (st != PS_OK && e) {
				*e = why;
			} else {
				note(c, ran, &shown);
			}
		}
	}
	ps_arena_fini(&c->arena);
	free(c);
	return st;
}
