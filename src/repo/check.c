/* Do the books agree? For tests: a property run calls it after every step. */
#include "repo/repo_internal.h"

static enum ps_status broken(struct ps_error *err, const char *what, int number)
{
	return ps_error_set(err, PS_EINTERNAL, "%s (%d)", what, number);
}

static bool uses(const struct ps_repo_load *l, int model)
{
	int n = 0;

	for (int i = 0; i < l->pub.n_users; i++)
		n += l->users[i] == model;
	return n == 1;
}

static enum ps_status check_place(const struct ps_repo *r, int model, const struct ps_repo_place *p,
				  int *wanted, int *ready, int *uses_found, struct ps_error *err)
{
	const int both[2] = {p->current, p->next};

	*wanted += p->wanted;
	*ready += p->wanted && (p->current >= 0 || p->away);
	if (!p->wanted && (p->current >= 0 || p->next >= 0))
		return broken(err, "an unwanted model has an instance", model);
	if (p->away && (!p->wanted || p->current >= 0 || p->next >= 0 || p->failed))
		return broken(err, "a model on disk is not", model);
	if (p->wanted && p->current < 0 && p->next < 0 && !p->failed && !p->away)
		return broken(err, "a wanted model is forgotten", model);
	if ((p->current >= 0) != (p->config != NULL))
		return broken(err, "a serving model has no configuration", model);
	if (r->slots[model]->model.gone && p->wanted)
		return broken(err, "a removed model is wanted", model);
	for (int i = 0; i < 2; i++) {
		const struct ps_repo_load *l = both[i] >= 0 ? r->loads[both[i]] : NULL;

		if (!l)
			continue;
		(*uses_found)++;
		if (!uses(l, model) || l->pub.domain != p->domain)
			return broken(err, "an instance does not know its model", model);
		if ((i == 0) != (l->pub.state == PS_REPO_INSTANCE_READY))
			return broken(err, "an instance is in the wrong state", both[i]);
		if (i == 1 && l->pub.state != PS_REPO_INSTANCE_WAITING &&
		    l->pub.state != PS_REPO_INSTANCE_LOADING)
			return broken(err, "a next instance is not on its way", both[i]);
	}
	return p->current >= 0 && p->current == p->next
		       ? broken(err, "an instance follows itself", model)
		       : PS_OK;
}

static enum ps_status check_load(const struct ps_repo *r, int n, struct ps_error *err)
{
	const struct ps_repo_load *l = r->loads[n];
	bool idle =
		l->pub.state == PS_REPO_INSTANCE_READY && l->pub.n_users == 0 && l->pub.holds == 0;

	if (idle != l->idle)
		return broken(err, "an idle instance is not on its list", n);
	if (l->pub.state == PS_REPO_INSTANCE_FREE && (l->pub.n_users || l->pub.holds))
		return broken(err, "an instance that is gone has users", n);
	if (l->pub.state == PS_REPO_INSTANCE_UNLOADING && (l->pub.n_users || l->pub.holds))
		return broken(err, "an instance is unloaded under its users", n);
	if (l->pub.state == PS_REPO_INSTANCE_WAITING && l->pub.n_users == 0)
		return broken(err, "an instance waits for nobody", n);
	for (int i = 0; i < n && l->pub.state == PS_REPO_INSTANCE_READY && l->pub.hashed; i++) {
		const struct ps_repo_instance *o = &r->loads[i]->pub;
		bool same = o->state == PS_REPO_INSTANCE_READY && o->hashed &&
			    o->domain == l->pub.domain && !l->apart && !r->loads[i]->apart;

		for (int k = 0; same && k < PS_REPO_HASH_SIZE; k++)
			same = o->hash[k] == l->pub.hash[k];
		for (int k = 0; same && k < PS_REPO_DEVICE_SIZE; k++)
			same = o->device[k] == l->pub.device[k];
		same = same && ps_repo_rnn_same(&o->rnn, &l->pub.rnn);
		if (same)
			return broken(err, "one content is loaded twice in a domain", n);
	}
	return PS_OK;
}

enum ps_status ps_repo_check(const struct ps_repo *r, struct ps_error *err)
{
	int wanted = 0, ready = 0, found = 0, users = 0;
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < r->n; i++) {
		const struct ps_repo_slot *s = r->slots[i];

		st = check_place(r, i, &s->shared, &wanted, &ready, &found, err);
		for (int k = 0; st == PS_OK && k < s->n_others; k++)
			st = check_place(r, i, &s->others[k], &wanted, &ready, &found, err);
	}
	for (int i = 0; st == PS_OK && i < r->n_loads; i++) {
		users += r->loads[i]->pub.n_users;
		st = check_load(r, i, err);
	}
	if (st != PS_OK)
		return st;
	if (wanted != r->n_wanted || ready != r->n_wanted_ready)
		return broken(err, "the count of wanted models is wrong", wanted);
	return users == found ? PS_OK : broken(err, "users were lost", users);
}
