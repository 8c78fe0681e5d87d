/* What the policy itself costs per request (arrive, lane_free, finish), with ten tenants and with
 * ten thousand and a thousand models: the figure is printed; the test fails where the number of
 * tenants that are merely registered makes itself felt, or where one request costs more than any
 * sane machine needs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "dispatch/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 10000, MODELS = 1000, ACTIVE = 10, ROUNDS = 20000, BLOCKS = 9, DEPTH = 4 };

struct machine {
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *d;
	int n_tenants, models[MODELS];
	struct ps_dispatch_request *r;
	int64_t now;
	struct ps_rng rng;
};

static void make_tenants(struct machine *m)
{
	struct ps_tenancy_tenant *t = calloc((size_t)m->n_tenants, sizeof *t);
	char(*names)[16] = calloc((size_t)m->n_tenants, sizeof *names);
	char(*digests)[PS_TENANCY_DIGEST_SIZE] = calloc((size_t)m->n_tenants, sizeof *digests);
	const char **keys = calloc((size_t)m->n_tenants, sizeof *keys);
	struct ps_error err;
	for (int k = 0; k < m->n_tenants; k++) {
		int len = snprintf(names[k], sizeof names[k], "t%d", k);
		ps_tenancy_digest(names[k], (size_t)len, digests[k]);
		keys[k] = digests[k];
		t[k] = (struct ps_tenancy_tenant){
			.name = names[k],
			.keys = &keys[k],
			.n_keys = 1,
			.all_models = true,
			.weight = 1 + k % 5,
			.queue_limit = 100,
			.sla = {.percentile = 0.99, .limit_ns = 1000000000, .min_success = 0.99}};
	}
	const struct ps_tenancy_config c = {.tenants = t, .n_tenants = (size_t)m->n_tenants};
	assert_int_equal(ps_tenancy_new(&c, NULL, &m->tenancy, NULL, &err), PS_OK);
	free(t);
	free(names);
	free(digests);
	free(keys);
}

static void make_machine(struct machine *m, int n_tenants, int n_models)
{
	const struct ps_repo_facts facts = {.batch_axis = true};
	struct ps_dispatch_action a;
	struct ps_error err;
	*m = (struct machine){.n_tenants = n_tenants, .now = 1};
	ps_rng_init(&m->rng, 1, 1);
	make_tenants(m);
	assert_int_equal(ps_repo_new(&m->repo), PS_OK);
	for (int k = 0; k < n_models; k++) {
		char name[16];
		snprintf(name, sizeof name, "m%d", k);
		assert_int_equal(ps_repo_put(m->repo, name, 1, NULL, NULL, 0, &m->models[k], &err),
				 PS_OK);
		ps_repo_want(m->repo, m->models[k], PS_REPO_SHARED, true);
	}
	const struct ps_dispatch_config c = {
		.tenancy = m->tenancy, .repo = m->repo, .n_lanes = 2, .cpus = 2};
	assert_int_equal(ps_dispatch_new(&c, &m->d, &err), PS_OK);
	while ((a = ps_dispatch_load_next(m->d, 1)).kind == PS_DISPATCH_LOAD)
		ps_dispatch_load_done(m->d, a.instance, PS_OK, NULL, &facts, NULL);
	m->r = calloc(DEPTH, sizeof *m->r);
}

static void free_machine(struct machine *m)
{
	ps_dispatch_free(m->d);
	ps_repo_free(m->repo);
	ps_tenancy_unref(m->tenancy);
	free(m->r);
}

/* DEPTH requests of ACTIVE tenants (spread over all numbers) arrive, then run one by one. */
static void round_of(struct machine *m)
{
	for (int k = 0; k < DEPTH; k++) {
		int tenant = (int)ps_rng_below(&m->rng, ACTIVE) * (m->n_tenants / ACTIVE);
		struct ps_dispatch_action a;
		ps_dispatch_request_init(&m->r[k], tenant, m->models[tenant % 10]);
		m->r[k].account.received_ns = m->now;
		assert_int_equal(ps_dispatch_arrive(m->d, &m->r[k], m->now, &a, NULL), PS_OK);
	}
	for (int k = 0; k < DEPTH; k++) {
		struct ps_dispatch_action a = ps_dispatch_lane_free(m->d, 0, m->now);
		m->now += 50000;
		ps_dispatch_finish(m->d, a.batch, PS_OK, m->now - 50000, m->now);
	}
}

static double block_ns(struct machine *m)
{
	int64_t from = ps_clock_now_ns();
	for (int n = 0; n < ROUNDS / DEPTH; n++)
		round_of(m);
	return (double)(ps_clock_now_ns() - from) / ROUNDS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void registered_tenants_cost_nothing(void **state)
{
	(void)state;
	struct machine *few = malloc(sizeof *few), *many = malloc(sizeof *many);
	double ratios[BLOCKS], ns[BLOCKS];
	make_machine(few, ACTIVE, 10);
	make_machine(many, MANY, MODELS);
	block_ns(few);
	block_ns(many);
	for (int k = 0; k < BLOCKS; k++) { /* A B, then B A */
		double a = k % 2 ? 0 : block_ns(few), b = block_ns(many);
		if (k % 2)
			a = block_ns(few);
		ratios[k] = b / a;
		ns[k] = a;
	}
	qsort(ratios, BLOCKS, sizeof *ratios, by_value);
	qsort(ns, BLOCKS, sizeof *ns, by_value);
	print_message("%.0f ns a request with %d tenants; x %.3f with %d and %d models\n",
		      ns[BLOCKS / 2], ACTIVE, ratios[BLOCKS / 2], MANY, MODELS);
	assert_true(ratios[BLOCKS / 2] < 1.5); /* room for a noisy machine and for sanitizers */
	assert_true(ns[0] < 20000);
	free_machine(few);
	free_machine(many);
	free(few);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registered_tenants_cost_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
