/* What can be seen of a model in a domain. */
#include "repo/repo_internal.h"

int ps_repo_serving(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	return p ? p->current : -1;
}

const struct ps_repo_config *ps_repo_serving_config(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	return p && p->config ? &p->config->config : NULL;
}

static bool is_leaving(const struct ps_repo *r, const struct ps_repo_place *p)
{
	const struct ps_repo_instance *i;

	if (p->leaving < 0)
		return false;
	i = &r->loads[p->leaving]->pub;
	/* One that others still use does not go. */
	return i->state != PS_REPO_INSTANCE_FREE && i->id == p->leaving_id && i->n_users == 0;
}

enum ps_repo_state ps_repo_state_of(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	if (!p)
		return PS_REPO_UNLOADED;
	if (p->current >= 0)
		return PS_REPO_READY;
	if (p->next >= 0)
		return PS_REPO_LOADING;
	if (p->failed)
		return PS_REPO_FAILED;
	if (p->away)
		return PS_REPO_ON_DISK;
	return is_leaving(r, p) ? PS_REPO_UNLOADING : PS_REPO_UNLOADED;
}

const struct ps_error *ps_repo_reason(const struct ps_repo *r, int model, int domain)
{
	static const struct ps_error none;
	const struct ps_repo_place *p = ps_repo_place_of(r, model, domain);
	const struct ps_repo_family *f = r->slots[model]->family;

	if (p && p->error)
		return p->error;
	return f->error ? f->error : &none;
}

bool ps_repo_wanted(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	return p && p->wanted;
}

bool ps_repo_ready(const struct ps_repo *r)
{
	return r->n_wanted == r->n_wanted_ready;
}
