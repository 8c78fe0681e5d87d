/* epoch.c - forget, plan, draw. Planning works on a copy, so that nobody has to wait for it. */
#include "cache/cache_internal.h"
#include "cache/columns_internal.h"
#include "cache/pf_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The mean by the half-life: sums of requests weighted by age, over the weight of all epochs. What
 * is left of a request never ends by halving: under PS_CACHE_FORGOTTEN of one it is nothing, so
 * that who has finished takes no part any more. */
static double forget(struct ps_cache *c)
{
	double all = 0, dust = PS_CACHE_FORGOTTEN * (1 - c->keep);

	c->mass = c->keep * c->mass + (1 - c->keep);
	for (int i = 0; i < c->tenants; i++)
		for (int j = 0; j < c->items; j++) {
			size_t at = ps_cache_cell_of(c, i, j);
			c->past[at] = c->keep * c->past[at] + (1 - c->keep) * c->fresh[at];
			if (c->past[at] < dust)
				c->past[at] = 0;
			c->fresh[at] = 0;
			c->mean[at] = c->past[at] / c->mass;
			all += c->mean[at];
		}
	return all;
}

/* The mean seconds of loads between two draws, and what the plan spares per epoch. */
static double renewal(const struct ps_cache *c, const struct ps_cache_plan *p)
{
	double cost = 0, spares = 0;

	for (int i = 0; i < p->tenants; i++)
		spares += p->utility[i];
	/* An item is loaded when it is in the second and not in the first. */
	for (int j = 0; j < p->items; j++) {
		double in = 0;
		for (int s = 0; s < p->n; s++)
			in += ps_cache_has(p->config[s].has, j) ? p->config[s].share : 0;
		cost += in * fmax(0, 1 - in) * c->item[j].load_s;
	}
	return cost > 0 ? fmin(1, c->o.load_share * spares / cost) : 1;
}

/* ---- a job ---- */

struct ps_cache_job {
	struct ps_cache_options o;
	struct ps_cache_problem p; /* of what follows */
	struct ps_cache_tenant *tenant;
	struct ps_cache_item *item;
	double *demand;
	struct ps_cache_scores scores;
	struct ps_cache_plan before; /* n 0: none */
	uint64_t number;	     /* of the epoch before */
	struct ps_cache_plan next;   /* n 0: not run */
	bool kept;
};

void ps_cache_job_free(struct ps_cache_job *job)
{
	if (!job)
		return;
	free(job->tenant);
	free(job->item);
	free(job->demand);
	free(job->scores.score);
	free(job->scores.count);
	free(job->scores.order);
	ps_cache_plan_free(&job->before);
	ps_cache_plan_free(&job->next);
	free(job);
}

static void *copy_of(const void *from, size_t n, size_t size)
{
	void *to = malloc((n + 1) * size);

	if (to && n > 0)
		memcpy(to, from, n * size);
	return to;
}

static bool copy_arrays(const struct ps_cache *c, struct ps_cache_job *job)
{
	size_t items = (size_t)c->item_cap;

	job->tenant = copy_of(c->tenant, (size_t)c->tenants, sizeof(*job->tenant));
	job->item = copy_of(c->item, items, sizeof(*job->item));
	job->demand = copy_of(c->mean, (size_t)c->tenants * items, sizeof(*job->demand));
	job->scores = c->scores;
	job->scores.score = copy_of(c->scores.score, items, sizeof(double));
	job->scores.count = copy_of(c->scores.count, items, sizeof(double));
	job->scores.order = copy_of(c->scores.order, items, sizeof(double));
	job->p.tenant = job->tenant;
	job->p.item = job->item;
	job->p.demand = job->demand;
	return job->tenant && job->item && job->demand && job->scores.score && job->scores.count &&
	       job->scores.order;
}

enum ps_status ps_cache_epoch_begin(struct ps_cache *c, struct ps_cache_job **ret_job,
				    struct ps_error *err)
{
	enum ps_status st = PS_OK;

	*ret_job = NULL;
	/* Of nothing nothing is decided: what is in force stays. */
	if (!(forget(c) > 0))
		return PS_OK;
	struct ps_cache_job *job = calloc(1, sizeof(*job));
	if (!job)
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	job->o = c->o;
	job->number = c->last.number;
	ps_cache_problem_of(c, &job->p);
	if (!copy_arrays(c, job))
		st = ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	else if (c->plan.n > 0)
		st = ps_cache_plan_copy(&c->plan, &job->before, err);
	if (st != PS_OK) {
		ps_cache_job_free(job);
		return st;
	}
	c->n_gone = 0;
	c->forgot = false;
	*ret_job = job;
	return PS_OK;
}

enum ps_status ps_cache_job_run(struct ps_cache_job *job, struct ps_error *err)
{
	const struct ps_cache_plan *before = job->before.n ? &job->before : NULL;
	const struct ps_cache_policy *policy = ps_cache_policy_get(job->o.policy);

	ps_cache_plan_free(&job->next);
	if (job->o.policy == PS_CACHE_PF)
		return ps_cache_pf(&job->p, before, job->o.reuse_gap, &job->next, &job->kept, err);
	return policy->plan(&job->p, &job->scores, before, &job->next, err);
}

/* ---- the decision ---- */

static double switch_cost(const struct ps_cache *c, const uint64_t *has)
{
	double sum = 0;

	for (int j = 0; j < c->items; j++)
		if (ps_cache_has(has, j) && !c->item[j].resident)
			sum += c->item[j].load_s;
	return sum;
}

/* What went away while it was planned is in no configuration. */
static void clear_gone(const struct ps_cache *c, struct ps_cache_plan *p)
{
	for (int k = 0; k < c->n_gone; k++)
		for (int i = 0; i < p->n && c->gone[k] < p->items; i++)
			p->config[i].has[c->gone[k] / 64] &= ~(UINT64_C(1) << (c->gone[k] % 64));
}

/* As things are now: it fits, and holds what is pinned. */
static bool still_fits(const struct ps_cache *c, const struct ps_cache_plan *p, int drawn)
{
	const uint64_t *has = p->config[drawn].has;
	int64_t bytes = 0;

	for (int j = 0; j < c->items; j++) {
		bool in = j < p->items && ps_cache_has(has, j);
		bytes += in ? c->item[j].bytes : 0;
		if (c->item[j].pinned && !in)
			return false;
	}
	return bytes <= c->o.capacity_bytes;
}

static void want(struct ps_cache *c, const struct ps_cache_plan *p, int drawn)
{
	int words = ps_cache_words(c->item_cap), known = ps_cache_words(p->items);
	bool same = c->last.number > 0;

	for (int w = 0; w < words; w++) {
		uint64_t bits = w < known ? p->config[drawn].has[w] : 0;
		same = same && bits == c->wants[w];
		c->wants[w] = bits;
	}
	c->last.switched = !same;
	c->last.loads_s = switch_cost(c, c->wants);
}

static void decide(struct ps_cache *c, struct ps_cache_job *job, int drawn)
{
	want(c, &job->next, drawn);
	ps_cache_plan_free(&c->plan);
	c->plan = job->next;
	job->next = (struct ps_cache_plan){0};
	c->last.number++;
	c->last.plan = &c->plan;
	c->last.drawn = drawn;
	c->last.wants = c->wants;
	c->last.reused = job->kept;
}

static enum ps_status commit(struct ps_cache *c, struct ps_cache_job *job, struct ps_error *err)
{
	const struct ps_cache_plan *before = c->plan.n ? &c->plan : NULL;
	const double u[2] = {ps_rng_uniform(&c->rng), ps_rng_uniform(&c->rng)};
	int drawn;

	if (job->next.n == 0 || job->number != c->last.number || c->forgot)
		return PS_OK;
	clear_gone(c, &job->next);
	double renew = renewal(c, &job->next);
	enum ps_status st =
		ps_cache_draw_near(&job->p, before, c->last.drawn, &job->next, renew, u, &drawn);
	if (st != PS_OK)
		return ps_error_set(err, st, "no memory for a draw");
	if (!still_fits(c, &job->next, drawn))
		return PS_OK;
	c->last.renewed = !before || u[0] < renew;
	c->last.renew = renew;
	memcpy(c->last.u, u, sizeof(u));
	decide(c, job, drawn);
	return PS_OK;
}

enum ps_status ps_cache_epoch_commit(struct ps_cache *c, struct ps_cache_job *job,
				     struct ps_cache_epoch *ret_epoch, struct ps_error *err)
{
	enum ps_status st = job ? commit(c, job, err) : PS_OK;

	ps_cache_job_free(job);
	if (st == PS_OK)
		*ret_epoch = c->last;
	return st;
}

enum ps_status ps_cache_epoch_end(struct ps_cache *c, struct ps_cache_epoch *ret_epoch,
				  struct ps_error *err)
{
	struct ps_cache_job *job;
	enum ps_status st = ps_cache_epoch_begin(c, &job, err);

	if (st == PS_OK && job)
		st = ps_cache_job_run(job, err);
	if (st == PS_OK)
		return ps_cache_epoch_commit(c, job, ret_epoch, err);
	ps_cache_job_free(job);
	return st;
}
