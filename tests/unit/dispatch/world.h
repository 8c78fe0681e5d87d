/* world.h - a machine with two tenants and three models, for the tests of dispatch. */
#ifndef PS_TESTS_UNIT_DISPATCH_WORLD_H
#define PS_TESTS_UNIT_DISPATCH_WORLD_H

#include "base/rng.h"
#include "dispatch/dispatch.h"

#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

enum { A, B }; /* tenants: a sees left, b sees right */

struct world {
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *d;
	int left1, left2, right; /* models: left has two versions */
	struct ps_error err;
};

#define KEY_A "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"

static inline struct ps_tenancy *make_tenancy(const struct ps_tenancy_tenant *a,
					      const struct ps_tenancy_tenant *b,
					      const struct ps_tenancy *previous)
{
	static const char *const keys[] = {KEY_A}, *const left[] = {"left"},
				 *const right[] = {"right"};
	struct ps_tenancy_tenant t[] = {*a, *b};
	t[A].name = "a";
	t[A].keys = keys;
	t[A].n_keys = 1;
	t[A].models = left;
	t[B].name = "b";
	t[B].models = right;
	for (int k = 0; k < 2; k++) {
		t[k].n_models = 1;
		t[k].weight = t[k].weight ? t[k].weight : 1;
		t[k].queue_limit = t[k].queue_limit ? t[k].queue_limit : 100;
	}
	const struct ps_tenancy_config c = {.tenants = t, .n_tenants = 2};
	struct ps_tenancy *tenancy = NULL;
	struct ps_error err;
	assert_int_equal(ps_tenancy_new(&c, previous, &tenancy, NULL, &err), PS_OK);
	return tenancy;
}

static inline int put_model(struct world *w, const char *name, int64_t version)
{
	int model = -1;
	assert_int_equal(ps_repo_put(w->repo, name, version, NULL, NULL, 0, &model, &w->err),
			 PS_OK);
	return model;
}

/* The tenants and the machine as given; nothing is loaded. */
static inline struct world make_world(const struct ps_dispatch_config *config,
				      const struct ps_tenancy_tenant *a,
				      const struct ps_tenancy_tenant *b)
{
	struct world w = {0};
	struct ps_dispatch_config c = *config;
	w.tenancy = make_tenancy(a, b, NULL);
	assert_int_equal(ps_repo_new(&w.repo), PS_OK);
	w.left1 = put_model(&w, "left", 1);
	w.left2 = put_model(&w, "left", 2);
	w.right = put_model(&w, "right", 1);
	c.tenancy = w.tenancy;
	c.repo = w.repo;
	assert_int_equal(ps_dispatch_new(&c, &w.d, &w.err), PS_OK);
	return w;
}

static inline void want(struct world *w, int model)
{
	assert_int_equal(ps_repo_want(w->repo, model, PS_REPO_SHARED, true), PS_OK);
}

static inline void load_all(struct world *w)
{
	const struct ps_repo_facts facts = {.batch_axis = true};
	struct ps_dispatch_action a;
	while ((a = ps_dispatch_load_next(w->d, 1)).kind == PS_DISPATCH_LOAD)
		ps_dispatch_load_done(w->d, a.instance, PS_OK, NULL, &facts, NULL);
}

static inline void batches(struct world *w, const char *name, int64_t max_batch, int64_t delay_ns)
{
	struct ps_repo_config c;
	ps_repo_config_init(&c);
	c.has_max_batch_size = true;
	c.max_batch_size = max_batch;
	c.batching.on = true;
	c.batching.max_delay_ns = delay_ns;
	assert_int_equal(ps_repo_set_config(w->repo, name, &c, &w->err), PS_OK);
	ps_repo_config_fini(&c);
	ps_dispatch_repo_changed(w->d);
}

static inline struct world plain_world(int n_lanes, int64_t queue_limit)
{
	const struct ps_dispatch_config c = {.n_lanes = n_lanes};
	const struct ps_tenancy_tenant t = {.queue_limit = queue_limit};
	struct world w = make_world(&c, &t, &t);
	want(&w, w.left1);
	want(&w, w.left2);
	want(&w, w.right);
	load_all(&w);
	return w;
}

static inline void end_world(struct world *w)
{
	ps_dispatch_free(w->d);
	ps_repo_free(w->repo);
	ps_tenancy_unref(w->tenancy);
}

static inline enum ps_status arrive(struct world *w, struct ps_dispatch_request *r, int tenant,
				    int64_t deadline_ns, int64_t now_ns,
				    enum ps_dispatch_action_kind *ret_kind)
{
	struct ps_dispatch_action a;
	ps_dispatch_request_init(r, tenant, tenant == A ? w->left2 : w->right);
	r->deadline_ns = deadline_ns;
	r->account.received_ns = now_ns;
	enum ps_status s = ps_dispatch_arrive(w->d, r, now_ns, &a, &w->err);
	if (ret_kind)
		*ret_kind = a.kind;
	return s;
}

#endif
