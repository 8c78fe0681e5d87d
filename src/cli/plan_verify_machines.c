/* plan_verify_machines.c - the machines of a plan as things to measure. */
#include "cli/plan_out_internal.h"
#include "cli/plan_verify_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which of them ---- */

static bool is_alike(const struct ps_plan_answer *a, int i, int j)
{
	const struct ps_plan_machine *x = &a->result.plan.machines[i];
	const struct ps_plan_machine *y = &a->result.plan.machines[j];

	/* On demand and spot are the same machine at two prices. */
	return a->c->types[x->type].price == a->c->types[y->type].price && x->n == y->n &&
	       memcmp(x->set, y->set, (size_t)x->n * sizeof(*x->set)) == 0;
}

static bool is_first(const struct ps_plan_answer *a, int i)
{
	for (int j = 0; j < i; j++)
		if (is_alike(a, i, j))
			return false;
	return true;
}

/* ---- when ---- */

static double rate_of(const struct ps_plan_answer *a, const struct ps_plan_place *p, int stretch)
{
	return a->split.demands[a->split.kind_of[p->tenant]].rate_rps[stretch];
}

/* The stretch with most compute time, of those in which somebody sends whom `seen` has not. -1:
 * everybody was seen. */
static int busiest(const struct ps_plan_answer *a, const struct ps_plan_rented *m, const bool *seen)
{
	double most = 0;
	int best = -1;

	for (int h = 0; h < a->c->hours; h++) {
		double load = 0;
		bool news = false;
		for (int j = 0; j < m->n; j++) {
			const struct ps_plan_place *p = &m->places[j];
			int model = a->c->tenants[p->tenant].model;
			double rate = rate_of(a, p, h);
			load += rate * a->c->services[m->type * a->c->n_models + model].mean_s;
			news |= rate > 0 && !seen[j];
		}
		if (news && load > most) {
			most = load;
			best = h;
		}
	}
	return best;
}

/* ---- the list ---- */

static bool fill_alike(const struct ps_plan_answer *a, int i, struct ps_cli_proof_machine *m)
{
	int n = a->result.plan.n;

	m->alike = calloc((size_t)n, sizeof(*m->alike));
	for (int j = i; m->alike && j < n; j++)
		if (is_alike(a, i, j))
			m->alike[m->alike_len++] = j;
	return m->alike;
}

static bool fill_tenants(const struct ps_plan_answer *a, int i, struct ps_cli_proof_machine *m)
{
	const struct ps_plan_rented *from = &a->machines[i];
	double used = 0;

	m->tenants = calloc((size_t)from->n, sizeof(*m->tenants));
	m->tenant_len = m->tenants ? from->n : 0;
	for (int j = 0; j < m->tenant_len; j++)
		used += from->places[j].forecast.share;
	for (int j = 0; j < m->tenant_len; j++) {
		const struct ps_plan_place *p = &from->places[j];
		m->tenants[j] = (struct ps_cli_proof_tenant){
			.tenant = p->tenant,
			.rate_rps = rate_of(a, p, m->stretch),
			.usd_per_hour = used > 0 ? m->usd_per_hour * p->forecast.share / used : 0,
			.forecast = p->forecast,
			.seen.verdict = PS_MEASURE_SILENT,
			.seen.trial = -1,
		};
	}
	return m->tenants;
}

static bool add(const struct ps_plan_answer *a, int i, int stretch, struct ps_cli_proof_round *r)
{
	struct ps_cli_proof_machine *all =
		realloc(r->machines, ((size_t)r->machine_len + 1) * sizeof(*all));

	if (!all)
		return false;
	r->machines = all;
	struct ps_cli_proof_machine *m = &all[r->machine_len++];
	*m = (struct ps_cli_proof_machine){
		.type = a->machines[i].type,
		.stretch = stretch,
		.usd_per_hour = a->c->types[a->machines[i].type].usd_per_hour,
	};
	return fill_alike(a, i, m) && fill_tenants(a, i, m);
}

/* Every tenant in a stretch in which it sends, as few stretches as that takes. */
static bool add_stretches(const struct ps_plan_answer *a, int i, struct ps_cli_proof_round *r)
{
	const struct ps_plan_rented *m = &a->machines[i];
	bool *seen = calloc((size_t)m->n, sizeof(*seen)), fine = seen;

	for (int h = seen ? busiest(a, m, seen) : -1; fine && h >= 0; h = busiest(a, m, seen)) {
		fine = add(a, i, h, r);
		for (int j = 0; j < m->n; j++)
			seen[j] |= rate_of(a, &m->places[j], h) > 0;
	}
	free(seen);
	return fine;
}

enum ps_status ps_cli_proof_machines(const struct ps_plan_answer *a,
				     struct ps_cli_proof_round *ret_round, struct ps_error *err)
{
	*ret_round = (struct ps_cli_proof_round){
		.planned = a->result.plan.n,
		.usd_per_hour = a->result.plan.usd_per_hour,
	};
	for (int i = 0; i < a->result.plan.n; i++)
		if (is_first(a, i) && !add_stretches(a, i, ret_round)) {
			ps_cli_proof_round_fini(ret_round);
			return ps_error_set(err, PS_ENOMEM, "no memory to verify the plan");
		}
	return PS_OK;
}

void ps_cli_proof_round_fini(struct ps_cli_proof_round *r)
{
	for (int i = 0; i < r->machine_len; i++) {
		free(r->machines[i].alike);
		free(r->machines[i].tenants);
	}
	free(r->machines);
	free(r->corrections);
	memset(r, 0, sizeof(*r));
}

/* ---- one of them, measured ---- */

/* What measure/ is told, and what that borrows from. */
struct wish {
	struct ps_measure_machine machine;
	struct ps_measure_machine_model *models;
	struct ps_measure_machine_tenant *tenants;
	struct ps_strbuf config, priced_as;
	char **paths, *prices;
	int n;
};

static void wish_fini(struct wish *w)
{
	for (int i = 0; w->paths && i < w->n; i++)
		free(w->paths[i]);
	free(w->paths);
	free(w->prices);
	free(w->models);
	free(w->tenants);
	ps_strbuf_fini(&w->config);
	ps_strbuf_fini(&w->priced_as);
}

/* Places are sorted by kind, and kinds by model: each model is met once. */
static bool put_models(struct wish *w, const struct ps_plan_answer *a,
		       const struct ps_plan_rented *m)
{
	int last = -1;

	for (int j = 0; j < m->n; j++) {
		int model = a->c->tenants[m->places[j].tenant].model, k = w->machine.model_len;
		if (model == last)
			continue;
		last = model;
		w->paths[k] = ps_cli_plan_model_path(a->c, a->c->models[model].path);
		if (!w->paths[k])
			return false;
		w->models[k] =
			(struct ps_measure_machine_model){a->c->models[model].name, w->paths[k]};
		w->machine.model_len++;
	}
	return true;
}

static void put_tenants(struct wish *w, const struct ps_plan_case *c,
			const struct ps_cli_proof_machine *m)
{
	for (int j = 0; j < m->tenant_len; j++) {
		const struct ps_plan_tenant *t = &c->tenants[m->tenants[j].tenant];
		w->tenants[j] = (struct ps_measure_machine_tenant){
			.name = t->name,
			.model = c->models[t->model].name,
			.rate_rps = m->tenants[j].rate_rps,
			.sla = t->sla,
		};
	}
	w->machine.tenant_len = m->tenant_len;
}

/* The row of the sheet that the plan was priced with, when its name alone leads there. */
static bool put_price(struct wish *w, const struct ps_plan_case *c, int type)
{
	const struct ps_cost_price *p = c->types[type].price, *found = NULL;

	ps_strbuf_printf(&w->priced_as, "%s/%s", p->provider, p->instance_type);
	w->prices = realpath(c->prices_path, NULL);
	if (ps_strbuf_status(&w->priced_as) != PS_OK)
		return false;
	if (w->prices && ps_cost_sheet_find(&c->sheet, w->priced_as.data, &found, NULL) == PS_OK &&
	    found == p) {
		w->machine.priced_as = w->priced_as.data;
		w->machine.prices = w->prices;
	}
	return true;
}

/* What decides whether it fits. */
static enum ps_status wish_init(struct wish *w, const struct ps_plan_answer *a,
				const struct ps_cli_proof_machine *m, struct ps_error *err)
{
	const struct ps_plan_rented *r = &a->machines[m->alike[0]];
	const struct ps_plan_case_type *t = &a->c->types[m->type];
	size_t n = (size_t)r->n;

	*w = (struct wish){.n = r->n};
	ps_strbuf_init(&w->config);
	ps_strbuf_init(&w->priced_as);
	w->paths = calloc(n, sizeof(*w->paths));
	w->models = calloc(n, sizeof(*w->models));
	w->tenants = calloc(n, sizeof(*w->tenants));
	if (!w->paths || !w->models || !w->tenants)
		return ps_error_set(err, PS_ENOMEM, "no memory to verify a machine");
	put_tenants(w, a->c, m);
	w->machine.instance_type = t->name;
	w->machine.lanes = (int)a->c->hosts[m->type].lanes;
	w->machine.gpus = (int)t->price->gpu_count;
	w->machine.memory_bytes = (int64_t)a->c->hosts[m->type].memory_bytes;
	w->machine.needed_bytes = (int64_t)r->state.memory_bytes;
	w->machine.tenants = w->tenants;
	return PS_OK;
}

/* And what it is measured with: models whose files must be known. */
static enum ps_status wish_more(struct wish *w, const struct ps_plan_answer *a,
				const struct ps_cli_proof_machine *m, struct ps_error *err)
{
	enum ps_status st = ps_cli_plan_machine_config(a, m->alike[0], &w->config, err);

	if (st != PS_OK)
		return st;
	if (!put_models(w, a, &a->machines[m->alike[0]]) || !put_price(w, a->c, m->type))
		return ps_error_set(err, PS_ENOMEM, "no memory to verify a machine");
	w->machine.config = w->config.data;
	w->machine.models = w->models;
	return PS_OK;
}

static void take(const struct ps_measure_verified *v, struct ps_cli_proof_machine *m)
{
	m->measured = v->why[0] == '\0';
	memcpy(m->why, v->why, sizeof(m->why));
	m->trials = v->trials;
	m->measured_ns = v->measured_ns;
	m->earlier = v->earlier;
	memcpy(m->passed_over, v->passed_over, sizeof(m->passed_over));
	for (int j = 0; m->measured && j < m->tenant_len; j++) {
		m->tenants[j].seen = v->tenants[j];
		m->tenants[j].seen.reasons = NULL;
		memcpy(m->tenants[j].reason, v->reasons[j], sizeof(m->tenants[j].reason));
	}
}

enum ps_status ps_cli_proof_measure(const struct ps_measure_verify_run *run,
				    const struct ps_measure_here *here,
				    const struct ps_plan_answer *a, struct ps_cli_proof_machine *m,
				    struct ps_error *err)
{
	struct ps_measure_verified v = {0};
	struct wish w;
	enum ps_status st = wish_init(&w, a, m, err);

	if (st == PS_OK && ps_measure_fit(here, &w.machine, &m->slot, m->why, sizeof(m->why))) {
		st = wish_more(&w, a, m, err);
		if (st == PS_OK)
			st = ps_measure_verify(run, &w.machine, &m->slot, &v, err);
		if (st == PS_OK)
			take(&v, m);
		ps_measure_verified_free(&v);
	}
	wish_fini(&w);
	return st;
}
