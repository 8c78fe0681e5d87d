/* Loading and unloading: what the repository says, and what sched is told of it. */
#include "dispatch/dispatch_internal.h"

#include <stdlib.h>

static const struct ps_dispatch_action nothing = {.kind = PS_DISPATCH_NOTHING};

static struct ps_sched_instance values_of(const struct ps_repo_config *c)
{
	struct ps_sched_instance v = {
		.max_batch = 1, .max_runs = c->instance_count, .max_run_ns = c->max_run_ns};
	const struct ps_repo_batching *b = &c->batching;
	if (!b->on || c->max_batch_size < 2)
		return v;
	v.max_batch = c->max_batch_size;
	v.max_delay_ns = b->max_delay_ns;
	for (int k = 0; k < b->n_preferred && v.n_preferred < PS_SCHED_MAX_PREFERRED; k++)
		v.preferred[v.n_preferred++] = b->preferred[k];
	return v;
}

static enum ps_status grow(struct ps_dispatch *d, int n)
{
	int cap = d->n_instances ? d->n_instances : 16;
	while (cap < n)
		cap *= 2;
	if (cap == d->n_instances)
		return PS_OK;
	uint64_t *ids = realloc(d->instance_ids, (size_t)cap * sizeof *ids);
	if (!ids)
		return PS_ENOMEM;
	d->instance_ids = ids;
	while (d->n_instances < cap)
		d->instance_ids[d->n_instances++] = UINT64_MAX;
	return PS_OK;
}

enum ps_status instance_configure(struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *i = ps_repo_instance_get(d->config.repo, instance);
	struct ps_sched_instance v = values_of(ps_repo_get(d->config.repo, i->model)->config);
	v.footprint_bytes = i->facts.footprint_bytes;
	if (grow(d, instance + 1) != PS_OK)
		return PS_ENOMEM;
	bool fresh = d->instance_ids[instance] != i->id;
	enum ps_status s = ps_sched_set_instance(d->sched, instance, &v, fresh);
	if (s == PS_OK)
		d->instance_ids[instance] = i->id;
	return s;
}

enum ps_status instance_is_known(struct ps_dispatch *d, int instance)
{
	if (instance < d->n_instances &&
	    d->instance_ids[instance] == ps_repo_instance_get(d->config.repo, instance)->id)
		return PS_OK;
	return instance_configure(d, instance);
}

void ps_dispatch_repo_changed(struct ps_dispatch *d)
{
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++)
		if (ps_repo_instance_get(d->config.repo, i)->state == PS_REPO_INSTANCE_READY)
			instance_configure(d, i); /* no memory: it keeps what it had */
}

struct ps_dispatch_action ps_dispatch_load_next(struct ps_dispatch *d, int max_loading)
{
	int instance = ps_repo_next_unload(d->config.repo);
	if (instance >= 0)
		return (struct ps_dispatch_action){.kind = PS_DISPATCH_UNLOAD,
						   .instance = instance};
	if (d->residency)
		return loads_next(d, max_loading);
	if ((d->draining && d->parked == 0) || d->loading >= max_loading)
		return nothing;
	instance = ps_repo_next_load(d->config.repo);
	if (instance < 0)
		return nothing;
	d->loading++;
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_LOAD, .instance = instance};
}

bool ps_dispatch_hashed(struct ps_dispatch *d, int instance,
			const unsigned char hash[PS_REPO_HASH_SIZE])
{
	bool go_on = ps_repo_hashed(d->config.repo, instance, hash);
	if (!d->residency)
		d->loading -= !go_on;
	return go_on;
}

void ps_dispatch_load_done(struct ps_dispatch *d, int instance, enum ps_status status,
			   const struct ps_error *why, const struct ps_repo_facts *facts,
			   void *user)
{
	if (!d->residency)
		d->loading--;
	else
		residency_loaded(d, instance, status, facts);
	ps_repo_loaded(d->config.repo, instance, status, why, facts, user);
	const struct ps_repo_instance *i = ps_repo_instance_get(d->config.repo, instance);
	if (i && i->state == PS_REPO_INSTANCE_READY)
		instance_configure(d, instance); /* no memory: arrive asks again */
}

void ps_dispatch_unload_done(struct ps_dispatch *d, int instance)
{
	ps_repo_unloaded(d->config.repo, instance);
}
