/* plan.c - refuses what is no plan. */
#include "load/driver_internal.h"

#include <string.h>

static enum ps_status check_name(const struct ps_load_plan *plan, size_t i, struct ps_error *err)
{
	const char *name = plan->tenants[i].name;

	if (!name || !name[0] ||
	    strlen(name) >= sizeof(((struct ps_load_tenant_result *)0)->name)) {
		return ps_error_set(err, PS_EINVAL, "tenant %zu needs a name of at most 63 bytes",
				    i + 1);
	}
	for (size_t k = 0; k < i; k++) {
		if (strcmp(plan->tenants[k].name, name) == 0) {
			return ps_error_set(err, PS_EINVAL, "two tenants are called '%s'", name);
		}
	}
	return PS_OK;
}

static enum ps_status check_tenant(const struct ps_load_plan *plan, const struct ps_load_tenant *t,
				   struct ps_error *err)
{
	if (!t->target.in_process && (!t->url || ((!t->model || !t->model[0]) && !t->target.mix))) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s' needs a URL and a model", t->name);
	}
	if (t->batch < 0 || t->distinct_inputs < 0) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s': negative batch or inputs",
				    t->name);
	}
	if (t->think.mean_ns < 0) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s': negative think time", t->name);
	}
	if (!ps_load_arrival_is_closed(&t->arrival)) {
		return ps_load_arrival_check(&t->arrival, plan->warmup_ns + plan->duration_ns, err);
	}
	if (t->concurrency < 1 || t->concurrency > PS_LOAD_MAX_CONNECTIONS) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s': 1 to %d users", t->name,
				    PS_LOAD_MAX_CONNECTIONS);
	}
	return PS_OK;
}

static enum ps_status check_numbers(const struct ps_load_plan *plan, struct ps_error *err)
{
	if (plan->tenant_len == 0 || plan->tenant_len > PS_LOAD_MAX_TENANTS) {
		return ps_error_set(err, PS_EINVAL, "a plan has 1 to %d tenants",
				    PS_LOAD_MAX_TENANTS);
	}
	if (plan->duration_ns <= 0 || plan->warmup_ns < 0 || plan->timeout_ns < 0 ||
	    plan->spin_ns < 0 || plan->probe_ns < 0 ||
	    plan->duration_ns > PS_LOAD_MAX_SECONDS * PS_NS_PER_SEC ||
	    plan->warmup_ns > PS_LOAD_MAX_SECONDS * PS_NS_PER_SEC) {
		return ps_error_set(err, PS_EINVAL,
				    "a plan lasts more than 0 and at most %d s, its warm-up too",
				    PS_LOAD_MAX_SECONDS);
	}
	if (plan->max_connections < 0 || plan->max_connections > PS_LOAD_MAX_CONNECTIONS ||
	    plan->open_connections < 0) {
		return ps_error_set(err, PS_EINVAL, "0 to %d connections", PS_LOAD_MAX_CONNECTIONS);
	}
	if (plan->threads < 0 || plan->threads > PS_LOAD_MAX_THREADS) {
		return ps_error_set(err, PS_EINVAL, "1 to %d threads", PS_LOAD_MAX_THREADS);
	}
	return PS_OK;
}

/* Where it was written, else its name. */
static enum ps_status placed(const struct ps_load_tenant *t, enum ps_status st,
			     struct ps_error *err)
{
	if (st != PS_OK && ps_load_tenant_place(t)) {
		ps_error_where(err, "%s", ps_load_tenant_place(t));
	}
	return st;
}

enum ps_status ps_load_plan_check_names(const struct ps_load_plan *plan, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < plan->tenant_len; i++) {
		st = placed(&plan->tenants[i], check_name(plan, i, err), err);
	}
	return st;
}

enum ps_status ps_load_plan_check(const struct ps_load_plan *plan, struct ps_error *err)
{
	enum ps_status st = check_numbers(plan, err);

	if (st == PS_OK) {
		st = ps_load_plan_check_names(plan, err);
	}
	for (size_t i = 0; st == PS_OK && i < plan->tenant_len; i++) {
		st = placed(&plan->tenants[i], check_tenant(plan, &plan->tenants[i], err), err);
	}
	return st;
}
