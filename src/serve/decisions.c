/* decisions.c - what the API asked for last, of each name: it goes before the configuration. */
#include "serve/admin_state_internal.h"

#include <stdlib.h>
#include <string.h>

struct ps_serve_admin *ps_serve_admin_get(struct ps_serve *s)
{
	if (s->admin)
		return s->admin;
	s->admin = calloc(1, sizeof *s->admin);
	if (!s->admin)
		return NULL;
	pthread_condattr_t attr;
	s->admin->server = s;
	pthread_mutex_init(&s->admin->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->admin->changed, &attr);
	pthread_condattr_destroy(&attr);
	return s->admin;
}

static bool same_tenant(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct ps_serve_decision *find_decision(const struct ps_serve_admin *a, const char *model,
					       const char *tenant)
{
	for (size_t i = 0; i < a->n_decisions; i++)
		if (strcmp(a->decisions[i].model, model) == 0 &&
		    same_tenant(a->decisions[i].tenant, tenant))
			return &a->decisions[i];
	return NULL;
}

static struct ps_serve_decision *add_decision(struct ps_serve_admin *a, const char *model,
					      const char *tenant)
{
	if (a->n_decisions == PS_STATE_MAX_LOADS)
		return NULL;
	if (a->n_decisions == a->cap_decisions) {
		size_t cap = a->cap_decisions ? 2 * a->cap_decisions : 16;
		struct ps_serve_decision *more = realloc(a->decisions, cap * sizeof *more);
		if (!more)
			return NULL;
		a->decisions = more;
		a->cap_decisions = cap;
	}
	struct ps_serve_decision d = {.model = strdup(model),
				      .tenant = tenant ? strdup(tenant) : NULL};
	if (!d.model || (tenant && !d.tenant)) {
		free(d.model);
		free(d.tenant);
		return NULL;
	}
	a->decisions[a->n_decisions] = d;
	return &a->decisions[a->n_decisions++];
}

enum ps_status ps_serve_decide(struct ps_serve_admin *a, const char *model, const char *tenant,
			       bool loaded, const char *config)
{
	char *copy = config ? strdup(config) : NULL;
	if (config && !copy)
		return PS_ENOMEM;
	pthread_mutex_lock(&a->lock);
	struct ps_serve_decision *d = find_decision(a, model, tenant);
	if (!d)
		d = add_decision(a, model, tenant);
	if (d) {
		d->loaded = loaded;
		free(d->config);
		d->config = copy;
	}
	pthread_mutex_unlock(&a->lock);
	if (!d)
		free(copy);
	return d ? PS_OK : PS_ENOMEM;
}

bool ps_serve_decided(struct ps_serve_admin *a, const char *model, const char *tenant,
		      struct ps_serve_decision *ret)
{
	pthread_mutex_lock(&a->lock);
	const struct ps_serve_decision *d = find_decision(a, model, tenant);
	if (d) {
		*ret = *d;
		ret->config = d->config ? strdup(d->config) : NULL;
	}
	pthread_mutex_unlock(&a->lock);
	return d != NULL;
}

bool ps_serve_was_unloaded(struct ps_serve_admin *a, const char *model, const char *tenant)
{
	pthread_mutex_lock(&a->lock);
	const struct ps_serve_decision *d = find_decision(a, model, tenant);
	bool unloaded = d && !d->loaded;
	pthread_mutex_unlock(&a->lock);
	return unloaded;
}

static bool take_up(void *ctx, const struct ps_state_load *l)
{
	return ps_serve_decide(ctx, l->model, l->tenant, l->loaded, l->config) == PS_OK;
}

enum ps_status ps_serve_restore(struct ps_serve *s, struct ps_state *state, struct ps_error *err)
{
	struct ps_serve_admin *a = ps_serve_admin_get(s);
	if (!a)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	return ps_state_loads(state, take_up, a, err);
}
