/* From a plan to the policy's own structures. */
#include "sim/sim_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool positive(double v)
{
	return v > 0 && v < 1e18;
}

static bool not_negative(double v)
{
	return v >= 0 && v < 1e18;
}

static enum ps_status check_model(const struct ps_sim_model *m, struct ps_error *err)
{
	bool recorded = m->service == PS_SIM_RECORDED;
	if (recorded ? m->n_recorded == 0 : m->n_table == 0 && !positive(m->service_ns))
		return ps_error_set(err, PS_EINVAL, "a service time is missing");
	for (size_t i = 0; i < m->n_table; i++)
		if (!positive(m->table_ns[i]))
			return ps_error_set(err, PS_EINVAL, "a service time is wrong");
	if (m->service == PS_SIM_GAMMA && !(m->cv > 0 && m->cv <= 100))
		return ps_error_set(err, PS_EINVAL,
				    "a coefficient of variation is not in (0, 100]");
	if (m->service == PS_SIM_TWO_POINT &&
	    !(m->slow_share >= 0 && m->slow_share <= 1 && positive(m->slow_factor)))
		return ps_error_set(err, PS_EINVAL, "a slow share or factor is wrong");
	if (!not_negative(m->row_ns) || !not_negative(m->wide_speedup) || m->max_batch < 0 ||
	    m->max_delay_ns < 0 || m->max_run_ns < 0 || m->bytes < 0 || m->first_load_bytes < 0 ||
	    m->first_load_ns < 0 || m->load_ns < 0 || m->unload_ns < 0)
		return ps_error_set(err, PS_EINVAL, "a model's value is negative");
	return PS_OK;
}

static enum ps_status check_phases(const struct ps_sim_tenant *t, bool ends, struct ps_error *err)
{
	for (int i = 0; i < t->n_phases; i++)
		if (!not_negative(t->phases[i].factor) ||
		    (i > 0 && t->phases[i].from_ns < t->phases[i - 1].from_ns))
			return ps_error_set(err, PS_EINVAL, "a phase is wrong");
	if (t->n_phases > 0 && !ends && !(t->phases[t->n_phases - 1].factor > 0))
		return ps_error_set(err, PS_EINVAL, "nothing arrives in the last phase");
	return PS_OK;
}

static enum ps_status check_arrivals(const struct ps_sim_tenant *t, bool ends, struct ps_error *err)
{
	if (t->arrival == PS_SIM_CLOSED) {
		if (t->outstanding < 1 || t->think_ns < 0 || t->retry_ns < 0)
			return ps_error_set(err, PS_EINVAL, "a closed loop is wrong");
	} else if (t->arrival == PS_SIM_STREAM) {
		if (!t->next_ns)
			return ps_error_set(err, PS_EINVAL, "a stream is missing");
	} else if (!(t->rate_rps > 0) || !(t->rate_rps <= 1e9)) {
		return ps_error_set(err, PS_EINVAL, "a rate is not in (0, 1e9]");
	}
	if (t->arrival == PS_SIM_BURSTS && !(positive(t->on_ns) && positive(t->off_ns)))
		return ps_error_set(err, PS_EINVAL, "bursts have no length");
	if (!not_negative(t->leave_share) || (t->leave_share > 0 && !positive(t->patience_ns)))
		return ps_error_set(err, PS_EINVAL, "a patience is missing");
	return check_phases(t, ends, err);
}

static enum ps_status check_tenant(const struct ps_sim_plan *p, const struct ps_sim_tenant *t,
				   struct ps_error *err)
{
	if (t->n_mix == 0 && (t->model < 0 || t->model >= p->n_models))
		return ps_error_set(err, PS_EINVAL, "a tenant has no model");
	for (int k = 0; k < t->n_mix; k++)
		if (t->mix[k] < 0 || t->mix[k] >= p->n_models || !not_negative(t->mix_shares[k]))
			return ps_error_set(err, PS_EINVAL, "a tenant's mix is wrong");
	if (t->queue_limit < 1 || t->weight < 1 || t->deadline_ns < 0 || t->sla_ns < 0 ||
	    t->rows < 0)
		return ps_error_set(err, PS_EINVAL, "a queue limit, weight or deadline is wrong");
	return check_arrivals(t, p->until_ns > 0 || t->until_ns > 0, err);
}

enum ps_status sim_check(const struct ps_sim_plan *p, struct ps_error *err)
{
	enum ps_status s = PS_OK;
	if (p->n_tenants < 1 || p->n_tenants > PS_SIM_MAX_TENANTS)
		return ps_error_set(err, PS_EINVAL, "the number of tenants is not in 1..%d",
				    PS_SIM_MAX_TENANTS);
	if (p->n_models < 1 || p->n_models > PS_SIM_MAX_MODELS)
		return ps_error_set(err, PS_EINVAL, "the number of models is not in 1..%d",
				    PS_SIM_MAX_MODELS);
	if (p->arrivals < 0 || p->until_ns < 0 || (p->arrivals == 0 && p->until_ns == 0))
		return ps_error_set(err, PS_EINVAL, "arrivals have no end");
	if (p->warmup < 0 || (p->arrivals > 0 && p->warmup >= p->arrivals) || p->warmup_ns < 0 ||
	    (p->until_ns > 0 && p->warmup_ns >= p->until_ns))
		return ps_error_set(err, PS_EINVAL, "no arrivals are left after the warm-up");
	if (p->stop_ns < 0 || p->cpus < 0)
		return ps_error_set(err, PS_EINVAL, "a value is negative");
	for (int i = 0; s == PS_OK && i < p->n_models; i++)
		s = check_model(&p->models[i], err);
	for (int i = 0; s == PS_OK && i < p->n_tenants; i++)
		s = check_tenant(p, &p->tenants[i], err);
	return s;
}

struct texts {
	char name[16], digest[PS_TENANCY_DIGEST_SIZE];
	const char *key;
};

static struct ps_sla sla_of(const struct ps_sim_tenant *t)
{
	if (!t->sla_ns)
		return (struct ps_sla){0};
	return (struct ps_sla){t->percentile > 0 ? t->percentile : 0.99, t->sla_ns, 0.99};
}

static struct ps_tenancy_tenant row_of(const struct ps_sim_tenant *t, struct texts *text, int i)
{
	snprintf(text->name, sizeof text->name, "%d", i);
	ps_tenancy_digest(text->name, strlen(text->name), text->digest);
	text->key = text->digest;
	return (struct ps_tenancy_tenant){
		.name = text->name,
		.keys = &text->key,
		.n_keys = 1,
		.all_models = true,
		.sla = sla_of(t),
		.class = t->class,
		.weight = t->weight,
		.queue_limit = t->queue_limit,
		.concurrency = t->concurrency,
		.memory_bytes = t->memory_bytes,
		.rate = t->rate,
	};
}

static enum ps_status make_tenancy(struct sim *s, struct ps_error *err)
{
	size_t n = (size_t)s->plan->n_tenants;
	struct ps_tenancy_tenant *rows = calloc(n, sizeof *rows);
	struct texts *texts = calloc(n, sizeof *texts);
	enum ps_status status = PS_ENOMEM;
	if (rows && texts) {
		for (size_t i = 0; i < n; i++)
			rows[i] = row_of(&s->plan->tenants[i], &texts[i], (int)i);
		const struct ps_tenancy_config c = {.tenants = rows, .n_tenants = n};
		status = ps_tenancy_new(&c, NULL, &s->tenancy, NULL, err);
	}
	free(rows);
	free(texts);
	return status;
}

static enum ps_status add_model(struct sim *s, int i, struct ps_error *err)
{
	const struct ps_sim_model *m = &s->plan->models[i];
	struct ps_repo_config c;
	char name[16];
	snprintf(name, sizeof name, "m%d", i);
	ps_repo_config_init(&c);
	c.has_max_batch_size = true;
	c.max_batch_size = m->max_batch;
	c.batching.on = m->max_batch > 1;
	c.batching.max_delay_ns = m->max_delay_ns;
	c.max_run_ns = m->max_run_ns;
	enum ps_status status = ps_repo_set_config(s->repo, name, &c, err);
	ps_repo_config_fini(&c);
	if (status == PS_OK)
		status = ps_repo_put(s->repo, name, 1, NULL, NULL, 0, &s->models[i], err);
	return status;
}

static enum ps_status make_repo(struct sim *s, struct ps_error *err)
{
	enum ps_status status = ps_repo_new(&s->repo);
	s->models = calloc((size_t)s->plan->n_models, sizeof *s->models);
	if (!s->models)
		status = PS_ENOMEM;
	for (int i = 0; status == PS_OK && i < s->plan->n_models; i++)
		status = add_model(s, i, err);
	return status;
}

enum ps_status sim_make_dispatch(struct sim *s, struct ps_error *err)
{
	const struct ps_sim_plan *p = s->plan;
	enum ps_status status = make_tenancy(s, err);
	if (status == PS_OK)
		status = make_repo(s, err);
	const struct ps_dispatch_config c = {
		.tenancy = s->tenancy,
		.repo = s->repo,
		.n_lanes = p->n_lanes,
		.reserve_lanes = p->reserve_lanes,
		.cpus = p->cpus ? p->cpus : p->n_lanes,
		.wide = p->wide,
		.auto_width = p->auto_width,
		.best_effort_floor = p->best_effort_floor,
		.max_waiting = p->max_waiting,
		.here_max_ns = p->here_max_ns,
		.memory = p->memory,
	};
	if (status == PS_OK)
		status = ps_dispatch_new(&c, &s->dispatch, err);
	s->was_loaded = calloc((size_t)p->n_models, sizeof *s->was_loaded);
	if (status == PS_OK && !s->was_loaded)
		status = ps_error_set(err, PS_ENOMEM, "out of memory");
	for (int i = 0; status == PS_OK && i < p->n_models; i++)
		status = ps_repo_want(s->repo, s->models[i], PS_REPO_SHARED, true);
	if (p->memory.budget_bytes > 0)
		return status;
	struct ps_dispatch_action a;
	const struct ps_repo_facts facts = {.batch_axis = true};
	while (status == PS_OK &&
	       (a = ps_dispatch_load_next(s->dispatch, p->n_models)).kind == PS_DISPATCH_LOAD) {
		ps_dispatch_load_done(s->dispatch, a.instance, PS_OK, NULL, &facts, NULL);
	}
	return status;
}
