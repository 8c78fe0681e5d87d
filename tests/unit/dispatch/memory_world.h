/* memory_world.h - a machine with a budget of memory, in virtual time: loads and unloads go on
 * until the test ends them. Two tenants that see everything; models m0, m1, ... of given sizes. */
#ifndef PS_TESTS_UNIT_DISPATCH_MEMORY_WORLD_H
#define PS_TESTS_UNIT_DISPATCH_MEMORY_WORLD_H

#include "dispatch/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS  INT64_C(1000000)
#define SEC INT64_C(1000000000)

#ifndef WORLD_MODELS
#define WORLD_MODELS 6
#endif

enum { A, B, TENANTS, MODELS = WORLD_MODELS, LANES = 2, MANY = 64 };

struct machine {
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *d;
	int models[MODELS];
	int64_t bytes[MODELS];	    /* that it will hold, privately */
	int64_t says[MODELS];	    /* that it is forecast to hold; 0: the truth */
	int64_t load_takes[MODELS]; /* at most while it loads; 0: no more than that */
	int64_t file_bytes[MODELS]; /* that are read; 0: unknown */
	int64_t takes_ns[MODELS];   /* to open; 0: 100 ms */
	bool converts[MODELS];
	int max_loading; /* 0: 1 */
	int content[MODELS];
	int opening[MANY], n_opening; /* instances */
	int closing[MODELS + MANY], n_closing;
	bool holds_plans; /* the test ends them: */
	struct ps_dispatch_action plan;
	int64_t told[MANY]; /* by instance: what was said before its load */
	bool many;	    /* models: the repository is not checked at each step */
	struct ps_dispatch_request *resumed[MANY], *refused[MANY];
	int n_resumed, n_refused, n_opened;
	struct ps_error err, why;
	int64_t now, wait_ns;
};

static inline struct ps_tenancy *two_tenants(int64_t memory_a, int64_t memory_b)
{
	static const char *const keys[] = {
		"sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"};
	const struct ps_tenancy_tenant t[] = {{.name = "a",
					       .keys = keys,
					       .n_keys = 1,
					       .all_models = true,
					       .weight = 1,
					       .queue_limit = 3,
					       .memory_bytes = memory_a},
					      {.name = "b",
					       .all_models = true,
					       .weight = 1,
					       .queue_limit = 100,
					       .memory_bytes = memory_b}};
	const struct ps_tenancy_config c = {.tenants = t, .n_tenants = 2};
	struct ps_tenancy *tenancy = NULL;
	struct ps_error err;
	assert_int_equal(ps_tenancy_new(&c, NULL, &tenancy, NULL, &err), PS_OK);
	return tenancy;
}

static inline void set_pinned(struct machine *m, int model)
{
	struct ps_repo_config c;
	ps_repo_config_init(&c);
	c.pinned = true;
	assert_int_equal(ps_repo_set_config(m->repo, ps_repo_get(m->repo, m->models[model])->name,
					    &c, &m->err),
			 PS_OK);
	ps_repo_config_fini(&c);
}

static inline struct ps_dispatch_memory budget(int64_t bytes)
{
	return (struct ps_dispatch_memory){.budget_bytes = bytes,
					   .policy = PS_CACHE_LRU,
					   .epoch_ns = 10 * SEC,
					   .load_timeout_ns = 60 * SEC,
					   .load_pause_ns = 300 * SEC};
}

/* All models hold 10 bytes, and are wanted. `pinned`: the first ones. */
static inline void start_machine(struct machine *m, const struct ps_dispatch_memory *memory,
				 int64_t memory_a, int64_t memory_b, int pinned)
{
	*m = (struct machine){.tenancy = two_tenants(memory_a, memory_b), .now = SEC};
	assert_int_equal(ps_repo_new(&m->repo), PS_OK);
	const struct ps_dispatch_config c = {
		.tenancy = m->tenancy, .repo = m->repo, .n_lanes = LANES, .memory = *memory};
	assert_int_equal(ps_dispatch_new(&c, &m->d, &m->err), PS_OK);
	for (int i = 0; i < MODELS; i++) {
		char name[16];
		snprintf(name, sizeof name, "m%d", i);
		assert_int_equal(
			ps_repo_put(m->repo, name, 1, NULL, NULL, 0, &m->models[i], &m->err),
			PS_OK);
		m->bytes[i] = 10;
		m->content[i] = i + 1;
		if (i < pinned)
			set_pinned(m, i);
		assert_int_equal(ps_repo_want(m->repo, m->models[i], PS_REPO_SHARED, true), PS_OK);
	}
}

static inline void stop_machine(struct machine *m)
{
	ps_dispatch_free(m->d);
	ps_repo_free(m->repo);
	ps_tenancy_unref(m->tenancy);
}

static inline int model_of(const struct machine *m, int instance)
{
	int number = ps_repo_instance_get(m->repo, instance)->model;
	for (int i = 0; i < MODELS; i++)
		if (m->models[i] == number)
			return i;
	abort();
}

static inline void begin_load(struct machine *m, int instance)
{
	int k = model_of(m, instance);
	unsigned char hash[PS_REPO_HASH_SIZE] = {0};
	memcpy(hash, &m->content[k], sizeof m->content[k]);
	const struct ps_dispatch_need need = {.resident_bytes =
						      m->says[k] ? m->says[k] : m->bytes[k],
					      .load_bytes = m->load_takes[k],
					      .file_bytes = m->file_bytes[k],
					      .converts = m->converts[k]};
	struct ps_error err;
	if (!ps_dispatch_hashed(m->d, instance, hash))
		return;
	m->told[instance % MANY] = need.resident_bytes;
	enum ps_status s = ps_dispatch_reserve(m->d, instance, &need, &err);
	if (s != PS_OK)
		ps_dispatch_load_done(m->d, instance, s, &err, NULL, NULL);
}

static inline int64_t used(const struct machine *m)
{
	struct ps_dispatch_memory_view v;
	ps_dispatch_memory_view_get(m->d, &v);
	return v.used_bytes;
}

static inline void take_ticks(struct machine *m)
{
	struct ps_dispatch_action a;
	while ((a = ps_dispatch_tick(m->d, m->now)).kind != PS_DISPATCH_NOTHING) {
		if (a.kind == PS_DISPATCH_PLAN && m->holds_plans)
			m->plan = a;
		else if (a.kind == PS_DISPATCH_PLAN) {
			enum ps_status s = ps_cache_job_run(a.plan, &m->err);
			ps_dispatch_planned(m->d, a.plan_number, s, &m->err, m->now);
		}
		if (a.kind == PS_DISPATCH_RESUME)
			m->resumed[m->n_resumed++ % MANY] = a.request;
		if (a.kind != PS_DISPATCH_REFUSE)
			continue;
		m->refused[m->n_refused++ % MANY] = a.request;
		m->why = *a.why;
		m->wait_ns = a.wait_ns;
	}
}

/* What loaders would do, but for what takes time. */
static inline void kick(struct machine *m)
{
	struct ps_dispatch_action a;
	bool more = true;
	int max_loading = m->max_loading ? m->max_loading : 1;
	while (more) {
		more = false;
		ps_dispatch_make_room(m->d, m->now);
		while ((a = ps_dispatch_load_next(m->d, max_loading)).kind != PS_DISPATCH_NOTHING) {
			more = true;
			if (a.kind == PS_DISPATCH_LOAD)
				begin_load(m, a.instance);
			else if (a.kind == PS_DISPATCH_NO_ROOM)
				ps_dispatch_load_done(m->d, a.instance, PS_EUNAVAIL, NULL, NULL,
						      NULL);
			else if (a.kind == PS_DISPATCH_OPEN)
				m->opening[m->n_opening++] = a.instance;
			else
				m->closing[m->n_closing++] = a.instance;
		}
	}
	take_ticks(m);
	if (!m->many)
		assert_int_equal(ps_repo_check(m->repo, &m->err), PS_OK);
}

static inline void end_load_at(struct machine *m, int place, enum ps_status status)
{
	assert_true(place >= 0 && place < m->n_opening);
	int instance = m->opening[place], k = model_of(m, instance);
	memmove(m->opening + place, m->opening + place + 1,
		sizeof *m->opening * (size_t)(--m->n_opening - place));
	const struct ps_repo_facts facts = {.batch_axis = true,
					    .private_bytes = m->bytes[k],
					    .load_ns = m->takes_ns[k] ? m->takes_ns[k] : 100 * MS};
	struct ps_error err;
	if (status == PS_OK)
		status = ps_dispatch_measured(m->d, instance, &facts, &err);
	else
		ps_error_set(&err, status, "broken");
	m->n_opened += status == PS_OK;
	ps_dispatch_load_done(m->d, instance, status, &err, status == PS_OK ? &facts : NULL, NULL);
	kick(m);
}

/* The load that has gone on for longest ends. */
static inline void end_load(struct machine *m, enum ps_status status)
{
	end_load_at(m, 0, status);
}

static inline void end_unload(struct machine *m)
{
	assert_true(m->n_closing > 0);
	ps_dispatch_unload_done(m->d, m->closing[--m->n_closing]);
	kick(m);
}

static inline bool is_there(const struct machine *m, int model)
{
	return ps_repo_serving(m->repo, m->models[model], PS_REPO_SHARED) >= 0;
}

static inline enum ps_repo_state state_of(const struct machine *m, int model)
{
	return ps_repo_state_of(m->repo, m->models[model], PS_REPO_SHARED);
}

/* A request for a model that is not there. */
static inline enum ps_status await(struct machine *m, struct ps_dispatch_request *r, int tenant,
				   int model, int64_t deadline_ns)
{
	ps_dispatch_request_init(r, tenant, m->models[model]);
	r->deadline_ns = deadline_ns;
	r->account.received_ns = m->now;
	enum ps_status s = ps_dispatch_await(m->d, r, m->now, &m->wait_ns, &m->err);
	kick(m);
	return s;
}

/* A request for one that is: it runs to its end at once. */
static inline void use(struct machine *m, int tenant, int model)
{
	struct ps_dispatch_request r;
	struct ps_dispatch_action a;
	ps_dispatch_request_init(&r, tenant, m->models[model]);
	assert_int_equal(ps_dispatch_arrive(m->d, &r, m->now, &a, &m->err), PS_OK);
	a = ps_dispatch_lane_free(m->d, 0, m->now);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	ps_dispatch_finish(m->d, a.batch, PS_OK, m->now, m->now);
	kick(m);
}

/* Has it loaded by a request, which is let go. */
static inline void have(struct machine *m, int tenant, int model)
{
	struct ps_dispatch_request r;
	assert_int_equal(await(m, &r, tenant, model, 0), PS_OK);
	while (m->n_closing > 0)
		end_unload(m);
	end_load(m, PS_OK);
	assert_ptr_equal(m->resumed[(m->n_resumed - 1) % MANY], &r);
	ps_dispatch_resumed(m->d, tenant, m->models[model]);
	assert_true(is_there(m, model));
	m->now += MS;
}

#endif
