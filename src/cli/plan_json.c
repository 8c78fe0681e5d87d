#include "cli/plan_from_internal.h"
#include "cli/plan_out_internal.h"

#include <math.h>
#include <stdio.h>

/* The keys that perseus report --plan reads, and more. Latencies are at the tenant's own
 * percentile. */
static json_t *place_json(const struct ps_plan_answer *a, int type, const struct ps_plan_place *p)
{
	const struct ps_plan_tenant *t = &a->c->tenants[p->tenant];
	const struct ps_plan_forecast *f = &p->forecast;
	json_t *o = json_object();

	ps_json_set_string(o, "tenant", t->name);
	ps_json_set_real(o, "rps", t->peak_rps * p->traffic);
	ps_json_set_real(o, "share", p->traffic);
	ps_json_set_real(o, "load", f->share);
	ps_json_set_real(o, "percentile", t->sla.percentile);
	ps_json_set_real(o, "p99_ms", f->latency_s * 1e3);
	ps_json_set_real(o, "p99_high_ms", f->high_s * 1e3);
	ps_json_set_real(o, "limit_ms", f->limit_s * 1e3);
	ps_json_set_real(o, "headroom", 1 - f->high_s / f->limit_s);
	ps_json_set_bool(o, "extrapolated", f->extrapolated);
	if (a->c->figures)
		json_object_set_new(o, "figures", ps_cli_plan_from_json(a, p->tenant, type));
	return o;
}

static json_t *machine_json(const struct ps_plan_answer *a, int number,
			    const struct ps_plan_rented *m)
{
	const struct ps_plan_case_type *t = &a->c->types[m->type];
	json_t *o = json_object(), *tenants = json_array();
	char name[32];

	snprintf(name, sizeof(name), "machine-%03d", number);
	ps_json_set_string(o, "name", name);
	ps_json_set_string(o, "provider", t->price->provider);
	ps_json_set_string(o, "region", t->price->region);
	ps_json_set_string(o, "instance_type", t->price->instance_type);
	ps_json_set_string(o, "market", t->spot ? "spot" : "on_demand");
	ps_json_set_real(o, "usd_per_hour", t->usd_per_hour);
	ps_json_set_real(o, "listed_usd_per_hour", t->listed_usd_per_hour);
	ps_json_set_real(o, "vcpu", t->price->vcpu);
	ps_json_set_real(o, "memory_bytes", a->c->hosts[m->type].memory_bytes);
	ps_json_set_real(o, "memory_used_bytes", m->state.memory_bytes);
	ps_json_set_real(o, "load", m->state.share);
	ps_json_set_real(o, "rates_may_grow_by", m->state.growth);
	for (int i = 0; i < m->n; i++)
		json_array_append_new(tenants, place_json(a, m->type, &m->places[i]));
	json_object_set_new(o, "tenants", tenants);
	return o;
}

static json_t *placement_json(const struct ps_plan_answer *a, const struct ps_plan_rented *rented,
			      int n, double usd)
{
	json_t *o = json_object(), *machines = json_array();

	ps_json_set_real(o, "usd_per_hour", usd);
	for (int i = 0; i < n; i++)
		json_array_append_new(machines, machine_json(a, i + 1, &rented[i]));
	json_object_set_new(o, "machines", machines);
	return o;
}

static json_t *placements_json(const struct ps_plan_answer *a)
{
	const struct ps_plan_solution *plan = &a->result.plan;
	const struct ps_plan_other *others[] = {&a->dedicated, &a->homogeneous};
	static const char *const names[] = {"dedicated", "homogeneous"};
	json_t *o = json_object();

	json_object_set_new(o, "plan", placement_json(a, a->machines, plan->n, plan->usd_per_hour));
	for (int i = 0; i < 2; i++) {
		const struct ps_plan_other *x = others[i];
		if (x->rented)
			json_object_set_new(
				o, names[i],
				placement_json(a, x->rented, x->machines, x->usd_per_hour));
	}
	return o;
}

static json_t *tenants_json(const struct ps_plan_answer *a)
{
	json_t *all = json_array();

	for (int i = 0; i < a->c->n_tenants; i++) {
		const struct ps_plan_tenant *t = &a->c->tenants[i];
		char sla[PS_SLA_SIZE];
		json_t *o = json_object();
		ps_json_set_string(o, "name", t->name);
		ps_json_set_string(o, "model", a->c->models[t->model].name);
		ps_json_set_real(o, "rps", t->peak_rps);
		ps_json_set_string(o, "sla", ps_sla_format(&t->sla, sla));
		ps_json_set_int(o, "parts", a->split.parts[i]);
		json_array_append_new(all, o);
	}
	return all;
}

static void set_usd(json_t *o, double usd)
{
	ps_json_set_real(o, "usd_per_hour", usd);
	ps_json_set_real(o, "usd_per_month", ps_cost_usd_per_month(usd));
}

static json_t *other_json(const struct ps_plan_answer *a, const struct ps_plan_other *x)
{
	json_t *o = json_object();

	if (x->machines == 0)
		return json_decref(o), json_null();
	ps_json_set_int(o, "machines", x->machines);
	set_usd(o, x->usd_per_hour);
	/* against what keeps no agreements nothing is saved or lost */
	if (x->broken > 0)
		json_object_set_new(o, "saving", json_null());
	else
		ps_json_set_real(o, "saving", 1 - a->result.plan.usd_per_hour / x->usd_per_hour);
	ps_json_set_string(o, "instance_type", x->type >= 0 ? a->c->types[x->type].name : NULL);
	ps_json_set_int(o, "broken_parts", x->broken);
	return o;
}

static json_t *search_json(const struct ps_plan_answer *a)
{
	const struct ps_plan_result *r = &a->result;
	json_t *o = json_object();

	ps_json_set_bool(o, "cut_by_time", r->cut_by_time);
	ps_json_set_int(o, "kinds", a->split.n_kinds);
	ps_json_set_int(o, "instance_types", a->c->n_types);
	ps_json_set_real(o, "fineness", a->fineness);
	ps_json_set_int(o, "splits_tried", a->splits_tried);
	ps_json_set_int(o, "steps", r->steps);
	ps_json_set_real(o, "start_usd_per_hour", r->start_usd_per_hour);
	ps_json_set_real(o, "first_fit_decreasing_usd_per_hour", r->decreasing_usd_per_hour);
	ps_json_set_real(o, "local_search_usd_per_hour", r->heuristic_usd_per_hour);
	ps_json_set_int(o, "columns", r->columns);
	ps_json_set_int(o, "nodes", r->nodes);
	ps_json_set_int(o, "pricings", r->pricings);
	ps_json_set_int(o, "pricings_cut", r->pricings_cut);
	return o;
}

static void set_bounds(json_t *o, const struct ps_plan_answer *a)
{
	static const char *const names[] = {
		[PS_PLAN_FRACTIONAL] = "fractional",
		[PS_PLAN_COMPANY] = "company",
		[PS_PLAN_PATTERNS] = "patterns",
		[PS_PLAN_COMPLETE] = "complete",
	};

	const struct ps_plan_result *r = &a->result;

	ps_json_set_string(o, "proof", r->optimal ? "optimal" : "bound");
	ps_json_set_real(o, "bound_usd_per_hour", r->bound_usd_per_hour);
	ps_json_set_string(o, "bound_by", names[r->bound_by]);
	ps_json_set_real(o, "gap", 1 - r->bound_usd_per_hour / r->plan.usd_per_hour);
	ps_json_set_real(o, "any_split_bound_usd_per_hour",
			 fmin(a->any_split_usd_per_hour, r->plan.usd_per_hour));
}

static void set_verdict(json_t *o, const struct ps_plan_answer *a)
{
	const struct ps_plan_result *r = &a->result;
	const struct ps_plan_other *d = &a->dedicated;
	char text[300];
	int n = snprintf(text, sizeof(text), "%d tenants fit on %d machines for %.4g $/h",
			 a->c->n_tenants, r->plan.n, r->plan.usd_per_hour);

	if (d->machines > 0 && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n,
			 ", %.0f %% less than on %d machines of their own",
			 100 * (1 - r->plan.usd_per_hour / d->usd_per_hour), d->machines);
	ps_json_set_string(o, "verdict", text);
}

/* Of all types, also of those that this plan does not rent for that very reason. */
static json_t *corrections_json(const struct ps_plan_case *c)
{
	json_t *all = json_array();

	for (int t = 0; c->corrected && t < c->n_types; t++) {
		for (int m = 0; m < c->n_models; m++) {
			double factor = ps_plan_case_corrected(c, t, m);
			if (!(factor > 1))
				continue;
			json_t *o = json_object();
			ps_json_set_string(o, "model", c->models[m].name);
			ps_json_set_string(o, "instance_type", c->types[t].name);
			ps_json_set_real(o, "service_time_factor", factor);
			json_array_append_new(all, o);
		}
	}
	return all;
}

static json_t *compared_json(const struct ps_plan_answer *a)
{
	json_t *o = json_object();

	json_object_set_new(o, "dedicated", other_json(a, &a->dedicated));
	json_object_set_new(o, "homogeneous", other_json(a, &a->homogeneous));
	json_object_set_new(o, "first_fit_cpu", other_json(a, &a->first_fit));
	return o;
}

json_t *ps_cli_plan_json(const struct ps_plan_answer *a)
{
	json_t *o = json_object();

	ps_json_set_string(o, "format", "perseus-plan/1");
	ps_json_set_string(o, "name", a->c->path);
	set_verdict(o, a);
	ps_json_set_real(o, "confidence", a->c->file.confidence);
	ps_json_set_int(o, "machines", a->result.plan.n);
	set_usd(o, a->result.plan.usd_per_hour);
	set_bounds(o, a);
	json_object_set_new(o, "tenants", tenants_json(a));
	json_object_set_new(o, "placements", placements_json(a));
	if (a->c->figures)
		json_object_set_new(o, "beside", ps_cli_plan_beside_json(a));
	ps_cli_plan_notes_json(a, o);
	if (a->c->corrected)
		json_object_set_new(o, "corrections", corrections_json(a->c));
	if (a->dedicated.machines > 0)
		json_object_set_new(o, "compared", compared_json(a));
	if (a->without_spot_usd_per_hour > 0) {
		ps_json_set_real(o, "without_spot_usd_per_hour", a->without_spot_usd_per_hour);
		ps_json_set_string(o, "revocations_outlived_by",
				   a->split.with_spot == PS_PLAN_SPOT_REPLACED ? "notice"
				   : a->split.with_spot			       ? "replica"
									       : NULL);
		if (a->without_notice_usd_per_hour > 0)
			ps_json_set_real(o, "without_notice_usd_per_hour",
					 a->without_notice_usd_per_hour);
		ps_json_set_real(o, "spot_two_away", a->two_away);
		ps_json_set_real(o, "revocations_per_month", a->revocations_per_month);
	}
	json_object_set_new(o, "search", search_json(a));
	return o;
}
