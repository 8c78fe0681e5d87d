/* Which versions of a name are wanted: what its policy chooses, plus what was asked for by hand. */
#include "repo/repo_internal.h"

#include <stdlib.h>
#include <string.h>

static bool policy_names(const struct ps_repo_policy *policy, int64_t version)
{
	for (int i = 0; i < policy->n; i++)
		if (policy->versions[i] == version)
			return true;
	return false;
}

/* `newer`: how many versions above this one are there. */
static bool is_chosen(const struct ps_repo_family *f, const struct ps_repo_model *m, int newer)
{
	const struct ps_repo_policy *policy = &f->config->config.policy;

	if (m->gone)
		return false;
	switch (policy->kind) {
	case PS_REPO_ALL:
		return true;
	case PS_REPO_SPECIFIC:
		return policy_names(policy, m->version);
	default:
		return newer < policy->latest;
	}
}

/* Wants what the policy chooses; says how many it chooses, and whether all of them serve. */
static enum ps_status want_chosen(struct ps_repo *r, struct ps_repo_family *f, int domain,
				  int *ret_chosen, bool *ret_all_ready)
{
	enum ps_status first = PS_OK;
	int newer = 0;

	*ret_chosen = 0;
	*ret_all_ready = true;
	for (int i = f->n - 1; i >= 0; i--) {
		const struct ps_repo_model *m = &r->slots[f->models[i]]->model;
		struct ps_repo_place *p;
		enum ps_status st;

		if (is_chosen(f, m, newer)) {
			st = ps_repo_place_need(r, f->models[i], domain, &p);
			if (st != PS_OK)
				return st;
			if (!p->stopped && !p->failed)
				st = ps_repo_place_start(r, f->models[i], p);
			if (first == PS_OK)
				first = st;
			(*ret_chosen)++;
			*ret_all_ready =
				*ret_all_ready && (p->current >= 0 || p->stopped || p->away);
		}
		newer += !m->gone;
	}
	return first;
}

/* A version that the policy no longer chooses goes at once when it does not serve, else when all
 * that are chosen do. */
static void retire_others(struct ps_repo *r, struct ps_repo_family *f, int domain, bool all_ready)
{
	int newer = 0;

	for (int i = f->n - 1; i >= 0; i--) {
		const struct ps_repo_model *m = &r->slots[f->models[i]]->model;
		struct ps_repo_place *p = ps_repo_place_of(r, f->models[i], domain);

		if (p && p->wanted && !p->pinned && !is_chosen(f, m, newer) &&
		    (all_ready || p->current < 0))
			ps_repo_place_stop(r, f->models[i], p);
		newer += !m->gone;
	}
}

static enum ps_status apply_policy(struct ps_repo *r, struct ps_repo_family *f, int domain)
{
	int chosen;
	bool all_ready;
	enum ps_status st = want_chosen(r, f, domain, &chosen, &all_ready);

	retire_others(r, f, domain, chosen > 0 && all_ready);
	return st;
}

enum ps_status ps_repo_family_apply(struct ps_repo *r, struct ps_repo_family *f)
{
	enum ps_status first = PS_OK;

	for (int i = 0; i < f->n_domains; i++) {
		enum ps_status st = apply_policy(r, f, f->domains[i]);

		if (first == PS_OK)
			first = st;
	}
	return first;
}

bool ps_repo_family_serves(const struct ps_repo_family *f, int domain)
{
	for (int i = 0; i < f->n_domains; i++)
		if (f->domains[i] == domain)
			return true;
	return false;
}

/* After a version came up or failed, others may retire. */
void ps_repo_family_follow(struct ps_repo *r, int model, int domain)
{
	struct ps_repo_family *f = r->slots[model]->family;

	if (ps_repo_family_serves(f, domain))
		(void)apply_policy(r, f, domain);
}

enum ps_status ps_repo_family_retry(struct ps_repo *r, struct ps_repo_family *f)
{
	enum ps_status first = PS_OK, st;

	for (int i = 0; i < f->n; i++) {
		struct ps_repo_slot *s = r->slots[f->models[i]];

		for (int k = 0; k < ps_repo_places(s); k++) {
			struct ps_repo_place *p = ps_repo_place_nth(s, k);
			bool again = p->failed && p->wanted;

			p->failed = false;
			st = again ? ps_repo_place_start(r, f->models[i], p) : PS_OK;
			if (first == PS_OK)
				first = st;
		}
	}
	st = ps_repo_family_apply(r, f);
	return first != PS_OK ? first : st;
}

static enum ps_status serve_name(struct ps_repo *r, struct ps_repo_family *f, int domain)
{
	int *more;

	if (!ps_repo_family_serves(f, domain)) {
		more = realloc(f->domains, (size_t)(f->n_domains + 1) * sizeof(*more));
		if (!more)
			return PS_ENOMEM;
		f->domains = more;
		f->domains[f->n_domains++] = domain;
	}
	for (int i = 0; i < f->n; i++) {
		struct ps_repo_place *p = ps_repo_place_of(r, f->models[i], domain);

		if (!p)
			continue;
		p->stopped = false;
		if (p->failed && p->wanted)
			(void)ps_repo_place_start(r, f->models[i],
						  p); /* a second failure is kept too */
		else
			p->failed = false;
	}
	return apply_policy(r, f, domain);
}

static void leave_name(struct ps_repo *r, struct ps_repo_family *f, int domain)
{
	for (int i = 0; i < f->n_domains; i++)
		if (f->domains[i] == domain)
			f->domains[i--] = f->domains[--f->n_domains];
	for (int i = 0; i < f->n; i++) {
		struct ps_repo_place *p = ps_repo_place_of(r, f->models[i], domain);

		if (p)
			ps_repo_place_stop(r, f->models[i], p);
	}
}

enum ps_status ps_repo_serve(struct ps_repo *r, const char *name, int domain, bool wanted)
{
	struct ps_repo_family *f = ps_repo_family_find(r, name, strlen(name));

	if (!f)
		return PS_ENOTFOUND;
	if (wanted)
		return serve_name(r, f, domain);
	leave_name(r, f, domain);
	return PS_OK;
}

void ps_repo_drop_domain(struct ps_repo *r, int domain)
{
	for (int i = 0; i < r->n_families; i++)
		leave_name(r, r->families[i], domain);
}
