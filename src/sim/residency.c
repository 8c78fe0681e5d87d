/* Loads and unloads in virtual time: what dispatch wants takes as long as the plan says. */
#include "sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

static int plan_model(const struct sim *s, int instance)
{
	int number = ps_repo_instance_get(s->repo, instance)->model;
	int i = 0;
	while (s->models[i] != number)
		i++;
	return i;
}

/* Each model is a content of its own. */
static void begin(struct sim *s, int instance)
{
	int i = plan_model(s, instance);
	const struct ps_sim_model *m = &s->plan->models[i];
	unsigned char hash[PS_REPO_HASH_SIZE] = {0};
	const struct ps_dispatch_need need = {.resident_bytes = m->bytes,
					      .load_bytes =
						      s->was_loaded[i] ? 0 : m->first_load_bytes,
					      .file_bytes = m->bytes,
					      .converts = !s->was_loaded[i]};
	struct ps_error err;
	memcpy(hash, &i, sizeof i);
	if (!ps_dispatch_hashed(s->dispatch, instance, hash))
		return;
	enum ps_status status = ps_dispatch_reserve(s->dispatch, instance, &need, &err);
	if (status != PS_OK)
		ps_dispatch_load_done(s->dispatch, instance, status, &err, NULL, NULL);
}

static struct sim_load *load_new(struct sim *s)
{
	struct sim_load *l = s->free_loads;
	if (l) {
		s->free_loads = l->next_free;
		return l;
	}
	l = malloc(sizeof *l);
	if (l) {
		l->next_all = s->all_loads;
		s->all_loads = l;
	}
	return l;
}

static enum ps_status take(struct sim *s, int instance, bool unload)
{
	int i = plan_model(s, instance);
	const struct ps_sim_model *m = &s->plan->models[i];
	struct sim_load *l = load_new(s);
	if (!l)
		return PS_ENOMEM;
	int64_t ns = unload ? m->unload_ns : s->was_loaded[i] ? m->load_ns : m->first_load_ns;
	ps_heap_node_init(&l->done);
	l->instance = instance;
	l->unload = unload;
	s->summary.loads += !unload;
	return ps_heap_push(&s->loads, &l->done, s->now_ns + ns);
}

static void note_memory(struct sim *s)
{
	struct ps_dispatch_memory_view v;
	ps_dispatch_memory_view_get(s->dispatch, &v);
	if (v.used_bytes > s->summary.memory_max_bytes)
		s->summary.memory_max_bytes = v.used_bytes;
}

/* One round: what begins at once may make room for more. */
static enum ps_status perform(struct sim *s, bool *ret_more)
{
	enum ps_status status = PS_OK;
	struct ps_dispatch_action a;
	int max = s->plan->max_loading > 0 ? s->plan->max_loading : 1;
	*ret_more = false;
	ps_dispatch_make_room(s->dispatch, s->now_ns);
	while (status == PS_OK &&
	       (a = ps_dispatch_load_next(s->dispatch, max)).kind != PS_DISPATCH_NOTHING) {
		*ret_more = true;
		if (a.kind == PS_DISPATCH_LOAD)
			begin(s, a.instance);
		else if (a.kind == PS_DISPATCH_NO_ROOM)
			ps_dispatch_load_done(s->dispatch, a.instance, PS_EUNAVAIL, NULL, NULL,
					      NULL);
		else
			status = take(s, a.instance, a.kind == PS_DISPATCH_UNLOAD);
	}
	note_memory(s);
	return status;
}

enum ps_status sim_loads(struct sim *s)
{
	enum ps_status status = PS_OK;
	bool more = true;
	while (status == PS_OK && more)
		status = perform(s, &more);
	return status;
}

enum ps_status sim_load_done(struct sim *s, struct sim_load *l)
{
	int i = plan_model(s, l->instance);
	const struct ps_sim_model *m = &s->plan->models[i];
	const struct ps_repo_facts facts = {.batch_axis = true,
					    .private_bytes = m->bytes,
					    .load_ns = s->was_loaded[i] ? m->load_ns
									: m->first_load_ns};
	if (l->unload) {
		ps_dispatch_unload_done(s->dispatch, l->instance);
	} else {
		s->was_loaded[i] = true;
		ps_dispatch_load_done(s->dispatch, l->instance, PS_OK, NULL, &facts, NULL);
	}
	l->next_free = s->free_loads;
	s->free_loads = l;
	return sim_loads(s);
}

void sim_plan(struct sim *s, const struct ps_dispatch_action *a)
{
	struct ps_error err;
	enum ps_status status = ps_cache_job_run(a->plan, &err);
	ps_dispatch_planned(s->dispatch, a->plan_number, status, &err, s->now_ns);
}

void sim_loads_fini(struct sim *s)
{
	for (struct sim_load *l = s->all_loads, *next; l; l = next) {
		next = l->next_all;
		free(l);
	}
	free(s->was_loaded);
	ps_heap_fini(&s->loads);
}
