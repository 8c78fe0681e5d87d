/* costs.c - cost at the SLA, and savings, at other prices and rates. */
#include "report/costs.h"
#include "report_internal.h"

#include <math.h>
#include <string.h>

enum { C_OF, C_NAME, C_SET, C_MACHINE, C_PRICE, C_IPS, C_MILLION, COST_COLUMNS };

static const struct ps_report_column cost_columns[COST_COLUMNS] = {
	[C_OF] = {"of", "of", PS_REPORT_TEXT, false},
	[C_NAME] = {"name", "name", PS_REPORT_TEXT, false},
	[C_SET] = {"set", "set", PS_REPORT_TEXT, false},
	[C_MACHINE] = {"instance_type", "machine", PS_REPORT_TEXT, false},
	[C_PRICE] = {"usd_per_hour", "$/h", PS_REPORT_NUMBER, false},
	[C_IPS] = {"inferences_per_s", "inferences/s", PS_REPORT_NUMBER, true},
	[C_MILLION] = {"usd_per_million", "$ per million", PS_REPORT_NUMBER, true},
};

enum { S_SET, S_RATES, S_HOW, S_APART, S_TOGETHER, S_MACHINE, S_FLUID, S_FULL, SAVING_COLUMNS };

static const struct ps_report_column saving_columns[SAVING_COLUMNS] = {
	[S_SET] = {"set", "set", PS_REPORT_TEXT, false},
	[S_RATES] = {"rates", "requests/s", PS_REPORT_TEXT, false},
	[S_HOW] = {"evidence", "evidence", PS_REPORT_TEXT, false},
	[S_APART] = {"machines_apart", "apart", PS_REPORT_NUMBER, true},
	[S_TOGETHER] = {"machines_together", "together", PS_REPORT_NUMBER, true},
	[S_MACHINE] = {"machine_saving", "machine saving", PS_REPORT_SHARE, true},
	[S_FLUID] = {"fluid_saving", "fluid saving", PS_REPORT_SHARE, true},
	[S_FULL] = {"full_load_saving", "at full load", PS_REPORT_SHARE, true},
};

enum { M_SET, M_MACHINE, M_PRICE, M_APART, M_TOGETHER, M_F_APART, M_F_TOGETHER, MONTH_COLUMNS };

static const struct ps_report_column month_columns[MONTH_COLUMNS] = {
	[M_SET] = {"set", "set", PS_REPORT_TEXT, false},
	[M_MACHINE] = {"instance_type", "machine", PS_REPORT_TEXT, false},
	[M_PRICE] = {"usd_per_hour", "$/h", PS_REPORT_NUMBER, false},
	[M_APART] = {"apart_usd_per_month", "apart", PS_REPORT_NUMBER, true},
	[M_TOGETHER] = {"together_usd_per_month", "together", PS_REPORT_NUMBER, true},
	[M_F_APART] = {"fluid_apart_usd_per_month", "parts apart", PS_REPORT_NUMBER, true},
	[M_F_TOGETHER] = {"fluid_together_usd_per_month", "parts together", PS_REPORT_NUMBER, true},
};

static const struct ps_report_table shapes[PS_REPORT_COSTS_TABLES] = {
	[PS_REPORT_COSTS_COSTS] = {"costs", "Cost at the SLA [95 %]",
				   "A tenant together pays by its share of the compute time; a "
				   "model for all its tenants; a set for all of its tenants.",
				   cost_columns, COST_COLUMNS, NULL, 0},
	[PS_REPORT_COSTS_SAVINGS] =
		{"savings", "Machines at these rates, and what sharing saves [95 %]",
		 "apart: machines of its own for every tenant. held: a trial at these rates (or "
		 "higher ones) kept every SLA on one machine.",
		 saving_columns, SAVING_COLUMNS, NULL, 0},
	[PS_REPORT_COSTS_MONTHS] = {"months", "Dollars a month (730 h) at these rates [95 %]",
				    "parts: as if parts of machines could be rented.",
				    month_columns, MONTH_COLUMNS, NULL, 0},
};

struct build {
	struct ps_report_answer *a;
	const struct ps_report_costs_question *q;
	struct ps_report_costs *out;
	const double *rates; /* by tenant */
	bool failed;	     /* no memory */
};

static struct ps_stats_interval times(struct ps_stats_interval x, double factor)
{
	x.value *= factor;
	x.lo *= factor;
	x.hi *= factor;
	return x;
}

/* ---- the stored price ---- */

static int unit_of(const char *billed_per)
{
	int unit = PS_COST_PER_HOUR;

	for (int i = 0; billed_per && ps_cost_unit_names[i]; i++)
		if (strcmp(ps_cost_unit_names[i], billed_per) == 0)
			unit = i;
	return unit;
}

bool ps_report_price_row_of(const struct ps_store_price *p, struct ps_report_price_row *ret_row)
{
	const struct ps_store_terms *t = &p->terms;

	ret_row->exchange = (struct ps_cost_exchange){
		.currency = (char *)t->currency,
		.usd = t->exchange_usd,
		.source = (char *)t->exchange_source,
		.source_date = (char *)t->exchange_date,
	};
	ret_row->price = (struct ps_cost_price){
		.provider = (char *)p->provider,
		.region = (char *)p->region,
		.instance_type = (char *)p->instance_type,
		.vcpu = p->vcpu,
		.memory_gib = p->memory_gib,
		.gpu_kind = (char *)t->gpu_kind,
		.gpu_count = t->gpu_count,
		.on_demand_usd_per_hour = p->usd_per_hour,
		.spot_usd_per_hour = t->spot_usd_per_hour,
		.reserved_1y_usd_per_hour = t->reserved_1y_usd_per_hour,
		.source = (char *)p->source,
		.source_date = (char *)p->source_date,
		.currency = (char *)t->currency,
		.exchange = t->currency ? &ret_row->exchange : NULL,
		.billed_per = unit_of(t->billed_per),
		.minimum_ns = t->minimum_ns,
	};
	return t->billed_per != NULL;
}

/* ---- cost at the SLA ---- */

/* What a group of a set's tenants does together, and what part of the machine it is. All
 * capacities of a set are one measured factor along one ray: they sum end by end. */
struct group {
	struct ps_stats_interval ips;
	double share;
	bool known, shared; /* the capacity; and what part of the compute time is theirs */
	bool open_below, open_above;
};

static void add_line(struct group *g, const struct ps_report_line *l)
{
	struct ps_stats_interval ips = times(l->capacity_rps, l->batch);

	g->known = g->known && l->capacity_known;
	g->shared = g->shared && l->compute_share > 0;
	g->share += l->compute_share;
	g->open_below = g->open_below || l->open_below;
	g->open_above = g->open_above || l->open_above;
	g->ips.value += ips.value;
	g->ips.lo += ips.lo;
	g->ips.hi += ips.hi;
	g->ips.confidence = PS_REPORT_CONFIDENCE;
	g->ips.has_interval = g->ips.has_interval && ips.has_interval;
}

static void put_cost(struct build *b, const char *of, const char *name, int set,
		     const struct ps_report_machine *m, const struct group *g)
{
	struct ps_report_value *v =
		ps_report_table_row(b->a, &b->out->tables[PS_REPORT_COSTS_COSTS]);

	if (!v) {
		b->failed = true;
		return;
	}
	v[C_OF].text = of;
	v[C_NAME].text = name;
	v[C_SET].text = b->a->campaign->sets[set].name;
	v[C_MACHINE].text = m->name;
	v[C_PRICE].v = ps_stats_exactly(m->usd_per_hour);
	v[C_PRICE].v.has_interval = false;
	if (!g->known)
		return;
	v[C_IPS].v = g->ips;
	v[C_IPS].open_below = v[C_MILLION].open_above = g->open_below;
	v[C_IPS].open_above = v[C_MILLION].open_below = g->open_above;
	if (g->shared)
		v[C_MILLION].v = ps_cost_usd_per_million(m->usd_per_hour * g->share, g->ips);
}

static void put_tenants(struct build *b, int set, const struct ps_report_machine *m)
{
	const struct ps_report_answer *a = b->a;

	for (size_t i = 0; i < a->line_len; i++) {
		struct group g = {.known = true, .shared = true, .ips.has_interval = true};
		if (a->lines[i].set != set)
			continue;
		add_line(&g, &a->lines[i]);
		put_cost(b, "tenant", a->campaign->tenants[a->lines[i].tenant].name, set, m, &g);
	}
}

static const char *model_of(const struct ps_report_answer *a, size_t line)
{
	return a->campaign->tenants[a->lines[line].tenant].model;
}

static bool is_first_of_model(const struct ps_report_answer *a, size_t line)
{
	for (size_t i = 0; i < line; i++)
		if (a->lines[i].set == a->lines[line].set &&
		    strcmp(model_of(a, i), model_of(a, line)) == 0)
			return false;
	return true;
}

static void put_models(struct build *b, int set, const struct ps_report_machine *m)
{
	const struct ps_report_answer *a = b->a;

	for (size_t i = 0; i < a->line_len; i++) {
		struct group g = {.known = true, .shared = true, .ips.has_interval = true};
		if (a->lines[i].set != set || !is_first_of_model(a, i))
			continue;
		for (size_t k = i; k < a->line_len; k++)
			if (a->lines[k].set == set && strcmp(model_of(a, k), model_of(a, i)) == 0)
				add_line(&g, &a->lines[k]);
		put_cost(b, "model", model_of(a, i), set, m, &g);
	}
}

static void put_set(struct build *b, int set, const struct ps_report_machine *m)
{
	struct group g = {.known = true, .shared = true, .ips.has_interval = true};

	for (size_t i = 0; i < b->a->line_len; i++)
		if (b->a->lines[i].set == set)
			add_line(&g, &b->a->lines[i]);
	/* all of it pays the whole machine, whoever computed for how long */
	g.shared = true;
	g.share = 1;
	put_cost(b, "set", b->a->campaign->sets[set].name, set, m, &g);
}

static void put_costs(struct build *b)
{
	const struct ps_store_campaign *c = b->a->campaign;

	for (size_t i = 0; i < b->q->machine_len; i++)
		for (size_t s = 0; s < c->set_len; s++) {
			if (!ps_report_in_matrix(c, (int)s))
				continue;
			put_tenants(b, (int)s, &b->q->machines[i]);
			put_models(b, (int)s, &b->q->machines[i]);
			if (c->sets[s].member_len > 1)
				put_set(b, (int)s, &b->q->machines[i]);
		}
}

/* ---- savings ---- */

/* The numbers of one set, in the order of its members. */
struct set_case {
	struct ps_report_case measured;
	double rate[PS_STORE_MAX_TENANTS];
	struct ps_cost_case c;
};

/* False when a capacity alone is not known. */
static bool fill_case(const struct build *b, int set, double usd_per_hour, struct set_case *x)
{
	struct ps_report_case *m = &x->measured;

	ps_report_case_of(b->a, set, m);
	for (int i = 0; i < m->n; i++)
		x->rate[i] = b->rates[b->a->campaign->sets[set].members[i]];
	x->c = (struct ps_cost_case){
		.n = m->n,
		.rate_rps = x->rate,
		.alone_rps = m->alone_rps,
		.ray_rps = m->has_scale ? m->ray_rps : NULL,
		.scale = m->scale,
		.held_rps = b->a->sets[set].verdict == PS_REPORT_MET ? m->demand_rps : NULL,
		.usd_per_hour = usd_per_hour,
	};
	return m->has_alone;
}

static const char *rates_text(struct build *b, int set)
{
	const struct ps_store_set *s = &b->a->campaign->sets[set];
	char number[PS_REPORT_CELL_SIZE];
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	for (int i = 0; i < s->member_len; i++)
		ps_strbuf_printf(&out, "%s%s", i ? " + " : "",
				 ps_report_number(b->rates[s->members[i]], number));
	const char *kept = ps_report_keep(b->a, out.data);
	b->failed = b->failed || ps_strbuf_status(&out) != PS_OK;
	ps_strbuf_fini(&out);
	return kept;
}

static const char *evidence(bool possible, const struct ps_cost_outcome *o)
{
	if (!possible)
		return "capacities alone were not measured";
	if (o->held)
		return "held";
	if (!o->has_set)
		return "together was not measured";
	return o->on_ray ? "capacity on this ray" : "capacity on another ray";
}

static void put_saving(struct build *b, int set)
{
	struct set_case x;
	struct ps_cost_outcome o = {0};
	struct ps_report_value *v =
		ps_report_table_row(b->a, &b->out->tables[PS_REPORT_COSTS_SAVINGS]);
	bool possible = fill_case(b, set, 1, &x);

	if (!v) {
		b->failed = true;
		return;
	}
	v[S_SET].text = b->a->campaign->sets[set].name;
	v[S_RATES].text = rates_text(b, set);
	if (possible)
		ps_cost_what_if(&x.c, &o);
	v[S_HOW].text = evidence(possible, &o);
	if (!possible)
		return;
	v[S_APART].v = o.machines.apart;
	v[S_TOGETHER].v = o.machines.together;
	v[S_MACHINE].v = o.machines.saving;
	v[S_FLUID].v = o.fluid_saving;
	v[S_FULL].v = o.full_load_saving;
}

static void put_month(struct build *b, int set, const struct ps_report_machine *m)
{
	struct set_case x;
	struct ps_cost_outcome o;
	struct ps_report_value *v =
		ps_report_table_row(b->a, &b->out->tables[PS_REPORT_COSTS_MONTHS]);

	if (!v) {
		b->failed = true;
		return;
	}
	v[M_SET].text = b->a->campaign->sets[set].name;
	v[M_MACHINE].text = m->name;
	v[M_PRICE].v = (struct ps_stats_interval){.value = m->usd_per_hour};
	if (!fill_case(b, set, m->usd_per_hour, &x))
		return;
	ps_cost_what_if(&x.c, &o);
	v[M_APART].v = times(o.machines.apart, m->usd_per_hour * PS_COST_HOURS_PER_MONTH);
	v[M_TOGETHER].v = times(o.machines.together, m->usd_per_hour * PS_COST_HOURS_PER_MONTH);
	v[M_F_APART].v = times(o.fluid_apart_usd_per_hour, PS_COST_HOURS_PER_MONTH);
	v[M_F_TOGETHER].v = times(o.fluid_together_usd_per_hour, PS_COST_HOURS_PER_MONTH);
	/* rates above 0 cost nothing only on machines that nobody bounded */
	for (int i = M_F_APART; i <= M_F_TOGETHER; i++)
		v[i].open_below = v[i].v.has_interval && v[i].v.lo <= 0;
}

static void put_savings(struct build *b)
{
	const struct ps_report_answer *a = b->a;

	for (size_t i = 0; i < a->comparison_len; i++)
		put_saving(b, a->comparisons[i].set);
	for (size_t k = 0; k < b->q->machine_len; k++)
		for (size_t i = 0; i < a->comparison_len; i++)
			put_month(b, a->comparisons[i].set, &b->q->machines[k]);
}

/* ---- all ---- */

static enum ps_status check_rates(const struct build *b, struct ps_error *err)
{
	double sum = 0;

	for (size_t i = 0; i < b->a->campaign->tenant_len; i++) {
		double r = b->rates[i];
		if (!(r >= 0 && isfinite(r)))
			return ps_error_set(err, PS_EINVAL, "the rate of %s is %g requests/s",
					    b->a->campaign->tenants[i].name, r);
		sum += r;
	}
	if (!(sum > 0))
		return ps_error_set(err, PS_EINVAL, "all rates are 0: nothing to be served");
	return PS_OK;
}

enum ps_status ps_report_costs_build(struct ps_report_answer *a,
				     const struct ps_report_costs_question *q,
				     struct ps_report_costs *ret_costs, struct ps_error *err)
{
	double demand[PS_STORE_MAX_TENANTS];
	struct ps_report_costs costs;
	struct build b = {a, q, &costs, q->rate_rps ? q->rate_rps : demand, false};

	for (size_t i = 0; i < a->campaign->tenant_len; i++)
		demand[i] = a->campaign->tenants[i].demand_rps;
	memcpy(costs.tables, shapes, sizeof shapes);
	enum ps_status st = check_rates(&b, err);
	if (st != PS_OK)
		return st;
	put_costs(&b);
	put_savings(&b);
	if (b.failed)
		return ps_error_set(err, PS_ENOMEM, "no memory for the costs");
	*ret_costs = costs;
	return PS_OK;
}
