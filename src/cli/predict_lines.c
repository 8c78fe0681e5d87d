/* predict_lines.c - capacities and pairs out of a campaign, as its report has them. */
#include "cli/predict_read_internal.h"

#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for capacities and pairs");
}

static const struct ps_measure_tenant *tenant_at(const struct ps_cli_predict_reading *r, int tenant)
{
	const struct ps_measure_tenant *t = r->file.tenants.items;

	for (size_t i = 0; i < r->file.tenants.len; i++)
		if (strcmp(t[i].name, r->c->tenants[tenant].name) == 0)
			return &t[i];
	return NULL;
}

static int64_t batch_of(const struct ps_cli_predict_reading *r, int tenant)
{
	const struct ps_measure_tenant *t = tenant_at(r, tenant);

	return t ? t->batch : 1;
}

/* No column of a table says how requests arrive, and the first guess is a queue of Poisson ones. */
static bool arrives_at_random(const struct ps_cli_predict_reading *r, int tenant)
{
	const struct ps_measure_tenant *t = tenant_at(r, tenant);

	if (!t)
		return true;
	const struct ps_load_arrival_options *o = &t->arrival;
	bool other = strcmp(ps_load_arrival_choice(o), "poisson") != 0 || o->cv > 0 ||
		     o->burst_ratio > 0 || o->burst_share > 0 || o->burst_length > 0 ||
		     o->ramp_to > 0 || o->steps.len > 0 || o->swing > 0 || o->trace || o->even ||
		     o->concurrency > 0;
	if (other)
		ps_cli_predict_note(r->d,
				    "campaign %.80s: capacities and pairs of %.80s are not learned "
				    "from: its requests do not arrive as a Poisson process",
				    r->c->name, t->name);
	return !other;
}

static double noise_of(const struct ps_stats_interval *v)
{
	return v->has_interval && v->lo > 0 && isfinite(v->hi) ? (v->hi - v->lo) / 2 / v->value
							       : NAN;
}

static const struct ps_store_cell *cell_of(const struct ps_store_campaign *c, int set,
					   enum ps_store_cell_kind kind)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].set == set && c->cells[i].kind == kind &&
		    c->cells[i].state == PS_STORE_DONE)
			return &c->cells[i];
	return NULL;
}

static enum ps_status add_capacity(struct ps_cli_predict_reading *r, const struct ps_report_line *l,
				   struct ps_error *err)
{
	const struct ps_store_cell *x = cell_of(r->c, l->set, PS_STORE_SEARCH);
	int model = ps_cli_predict_model_of(r, l->tenant);
	double rps = l->capacity_rps.value;

	if (!l->alone || !l->capacity_known || !x || model < 0)
		return PS_OK;
	if (!isfinite(rps) || rps < 0)
		return ps_cli_predict_corrupt(x, "a capacity", rps, err);
	/* when no rate kept the agreement, there is nothing to learn a size from */
	if (rps == 0 || !arrives_at_random(r, l->tenant))
		return PS_OK;
	struct ps_cli_predict_capacity *c = &r->d->capacities[r->d->capacity_len++];
	*c = (struct ps_cli_predict_capacity){.model = model,
					      .batch = batch_of(r, l->tenant),
					      .slice = ps_cli_predict_slice_of(r, x),
					      .sla = r->c->tenants[l->tenant].sla,
					      .rps = rps,
					      .noise = noise_of(&l->capacity_rps)};
	return PS_OK;
}

static double time_noise(const struct ps_stats_time_quantile *q)
{
	if (!q->has_interval || q->hi_ns == PS_HIST_INFINITE)
		return NAN;
	return (double)(q->hi_ns - q->lo_ns) / 2 / (double)q->value_ns;
}

/* What half of a trial's requests never got is no number to learn; but it was the worst of all. */
static void say_unanswered(struct ps_cli_predict_reading *r, const struct ps_report_line *l,
			   int other)
{
	const struct ps_store_tenant *t = r->c->tenants;

	if (isinf(l->slowdown.value) || l->p99.value_ns == PS_HIST_INFINITE)
		ps_cli_predict_note(
			r->d,
			"campaign %.80s: %s of %.80s beside %.80s %s not learned from: "
			"too many requests were never answered",
			r->c->name, isinf(l->slowdown.value) ? "slowdown and p99" : "the p99",
			t[l->tenant].name, t[other].name, isinf(l->slowdown.value) ? "are" : "is");
}

static enum ps_status add_pair(struct ps_cli_predict_reading *r, const struct ps_report_line *l,
			       struct ps_error *err)
{
	const struct ps_store_set *set = &r->c->sets[l->set];
	const struct ps_store_cell *x = cell_of(r->c, l->set, PS_STORE_CONFIRM);

	if (set->member_len != 2 || !x || l->trials == 0)
		return PS_OK;
	int other = set->members[0] == l->tenant ? set->members[1] : set->members[0];
	struct ps_cli_predict_pair p = {
		.model = {ps_cli_predict_model_of(r, l->tenant), ps_cli_predict_model_of(r, other)},
		.batch = {batch_of(r, l->tenant), batch_of(r, other)},
		.rate_rps = {r->c->tenants[l->tenant].demand_rps, r->c->tenants[other].demand_rps},
		.slice = ps_cli_predict_slice_of(r, x),
		.slowdown = l->slowdown.value,
		.slowdown_noise = noise_of(&l->slowdown),
		.p99_ns = l->p99.value_ns == PS_HIST_INFINITE ? NAN : (double)l->p99.value_ns,
		.p99_noise = time_noise(&l->p99)};
	if (p.model[0] < 0 || p.model[1] < 0 || p.model[0] == p.model[1])
		return PS_OK;
	for (int i = 0; i < 2; i++)
		if (!isfinite(p.rate_rps[i]) || p.rate_rps[i] <= 0)
			return ps_cli_predict_corrupt(x, "a demand rate", p.rate_rps[i], err);
	if (!arrives_at_random(r, l->tenant) || !arrives_at_random(r, other))
		return PS_OK;
	say_unanswered(r, l, other);
	enum ps_status st = ps_cli_predict_sent_of(r, l->set, l->tenant, &p.sent, err);
	if (st == PS_OK)
		r->d->pairs[r->d->pair_len++] = p;
	return st;
}

/* A set of three and more: nothing is learned from it, but predictions are judged by it. */
static enum ps_status add_group(struct ps_cli_predict_reading *r, const struct ps_report_line *l,
				struct ps_error *err)
{
	const struct ps_store_set *set = &r->c->sets[l->set];
	const struct ps_store_cell *x = cell_of(r->c, l->set, PS_STORE_CONFIRM);
	struct ps_cli_predict_group g = {.n = 1};

	if (set->member_len < 3 || set->member_len > PS_CLI_PREDICT_MAX_GROUP || !x ||
	    l->trials == 0)
		return PS_OK;
	for (int i = 0; i < set->member_len; i++) {
		int tenant = set->members[i], at = tenant == l->tenant ? 0 : g.n++;
		g.model[at] = ps_cli_predict_model_of(r, tenant);
		g.batch[at] = batch_of(r, tenant);
		g.rate_rps[at] = r->c->tenants[tenant].demand_rps;
		if (g.model[at] < 0 || !arrives_at_random(r, tenant))
			return PS_OK;
		if (!isfinite(g.rate_rps[at]) || g.rate_rps[at] <= 0)
			return ps_cli_predict_corrupt(x, "a demand rate", g.rate_rps[at], err);
	}
	g.slice = ps_cli_predict_slice_of(r, x);
	g.slowdown = l->slowdown.value;
	g.slowdown_noise = noise_of(&l->slowdown);
	g.p99_ns = l->p99.value_ns == PS_HIST_INFINITE ? NAN : (double)l->p99.value_ns;
	g.p99_noise = time_noise(&l->p99);
	for (int i = 1; i < g.n; i++)
		if (g.model[i] == g.model[0])
			return PS_OK;
	enum ps_status st = ps_cli_predict_sent_of(r, l->set, l->tenant, &g.sent, err);
	if (st == PS_OK)
		r->d->groups[r->d->group_len++] = g;
	return st;
}

/* Room for what all lines may add. */
static enum ps_status make_room(struct ps_cli_predict_data *d, size_t lines, struct ps_error *err)
{
	void *more = realloc(d->capacities, (d->capacity_len + lines + 1) * sizeof(*d->capacities));

	if (!more)
		return no_memory(err);
	d->capacities = more;
	more = realloc(d->pairs, (d->pair_len + lines + 1) * sizeof(*d->pairs));
	if (!more)
		return no_memory(err);
	d->pairs = more;
	more = realloc(d->groups, (d->group_len + lines + 1) * sizeof(*d->groups));
	if (!more)
		return no_memory(err);
	d->groups = more;
	return PS_OK;
}

enum ps_status ps_cli_predict_add_lines(struct ps_cli_predict_reading *r, struct ps_error *err)
{
	struct ps_report_answer a = {0};
	enum ps_status st = PS_OK;

	/* campaigns of profiles alone have tenants all the same: no lines worth reading */
	if (r->c->set_len == 0 || r->c->tenant_len == 0)
		return PS_OK;
	st = ps_report_build(r->c, &a, err);
	if (st != PS_OK)
		return st;
	st = make_room(r->d, a.line_len, err);
	for (size_t i = 0; i < a.line_len && st == PS_OK; i++) {
		st = add_capacity(r, &a.lines[i], err);
		if (st == PS_OK)
			st = add_pair(r, &a.lines[i], err);
		if (st == PS_OK)
			st = add_group(r, &a.lines[i], err);
	}
	ps_report_fini(&a);
	return st;
}
