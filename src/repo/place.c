/* What is wanted of a model in a domain, and what serves it.
 *
 *	current  next   what clients see
 *	  -       -     UNLOADED, FAILED (the last try did), UNLOADING (the last one still runs)
 *	  -       n     LOADING
 *	  c       -     READY
 *	  c       n     READY, and the new content loads beside it
 *
 * A place that is not wanted has neither. Every change of a place goes through settle(), which
 * keeps the counters behind ps_repo_ready.
 */
#include "repo/repo_internal.h"

#include <stdlib.h>
#include <string.h>

void ps_repo_place_init(struct ps_repo_place *p, int domain)
{
	*p = (struct ps_repo_place){.domain = domain, .current = -1, .next = -1, .leaving = -1};
}

void ps_repo_place_fini(struct ps_repo_place *p)
{
	ps_repo_config_drop(p->config);
	free(p->error);
}

struct ps_repo_place *ps_repo_place_of(const struct ps_repo *r, int model, int domain)
{
	struct ps_repo_slot *s = r->slots[model];

	if (domain == PS_REPO_SHARED)
		return &s->shared;
	for (int i = 0; i < s->n_others; i++)
		if (s->others[i].domain == domain)
			return &s->others[i];
	return NULL;
}

static enum ps_status need_place(struct ps_repo *r, int model, int domain,
				 struct ps_repo_place **ret_place)
{
	struct ps_repo_slot *s = r->slots[model];
	struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	if (!p) {
		p = realloc(s->others, (size_t)(s->n_others + 1) * sizeof(*p));
		if (!p)
			return PS_ENOMEM;
		s->others = p;
		p = &s->others[s->n_others++];
		ps_repo_place_init(p, domain);
	}
	*ret_place = p;
	return PS_OK;
}

static void settle(struct ps_repo *r, struct ps_repo_place *p)
{
	bool ready = p->wanted && p->current >= 0;

	r->n_wanted_ready += ready - p->ready_counted;
	p->ready_counted = ready;
}

/* The one place where `wanted` changes. */
static void set_wanted(struct ps_repo *r, struct ps_repo_place *p, bool wanted)
{
	r->n_wanted += wanted - p->wanted;
	p->wanted = wanted;
	settle(r, p);
}

static void drop_current(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	int was = p->current;

	if (was < 0)
		return;
	p->current = -1;
	p->leaving = was;
	p->leaving_id = r->loads[was]->pub.id;
	ps_repo_config_retire(r, was, p->config);
	p->config = NULL;
	ps_repo_user_drop(r, was, model);
}

static void drop_next(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	int was = p->next;

	if (was < 0)
		return;
	p->next = -1;
	ps_repo_user_drop(r, was, model);
}

static void fail(struct ps_repo_place *p, const struct ps_error *why)
{
	p->failed = true;
	ps_repo_why_set(&p->error, why);
}

/* Asks for an instance beside what serves now. */
static enum ps_status begin(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	struct ps_repo_slot *s = r->slots[model];
	struct ps_error err;
	enum ps_status st;

	drop_next(r, model, p);
	if (s->family->unusable) {
		fail(p, s->family->error);
		return PS_OK;
	}
	st = ps_repo_instance_new(r, model, p->domain, &p->next);
	if (st == PS_OK) {
		p->failed = false;
		return PS_OK;
	}
	ps_error_set(&err, st,
		     st == PS_ENOMEM ? "no memory to load it"
				     : "too many models are "
				       "loaded");
	fail(p, &err);
	return st;
}

static enum ps_status start(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	set_wanted(r, p, true);
	if (p->next >= 0 || (p->current >= 0 && !p->failed))
		return PS_OK;
	return begin(r, model, p);
}

static void stop(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	drop_next(r, model, p);
	drop_current(r, model, p);
	p->pinned = p->failed = false;
	ps_repo_why_set(&p->error, NULL);
	set_wanted(r, p, false);
}

static int n_places(const struct ps_repo_slot *s)
{
	return 1 + s->n_others;
}

static struct ps_repo_place *nth_place(struct ps_repo_slot *s, int i)
{
	return i == 0 ? &s->shared : &s->others[i - 1];
}

void ps_repo_model_gone(struct ps_repo *r, int model)
{
	struct ps_repo_slot *s = r->slots[model];

	for (int i = 0; i < n_places(s); i++)
		stop(r, model, nth_place(s, i));
}

enum ps_status ps_repo_model_changed(struct ps_repo *r, int model)
{
	struct ps_repo_slot *s = r->slots[model];
	enum ps_status first = PS_OK;

	for (int i = 0; i < n_places(s); i++) {
		struct ps_repo_place *p = nth_place(s, i);
		enum ps_status st;

		p->failed = false;
		if (!p->wanted)
			continue;
		st = begin(r, model, p);
		if (first == PS_OK)
			first = st;
	}
	return first;
}

/* ---- versions ---- */

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
			st = need_place(r, f->models[i], domain, &p);
			if (st != PS_OK)
				return st;
			if (!p->stopped && !p->failed)
				st = start(r, f->models[i], p);
			if (first == PS_OK)
				first = st;
			(*ret_chosen)++;
			*ret_all_ready = *ret_all_ready && (p->current >= 0 || p->stopped);
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
			stop(r, f->models[i], p);
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

static bool is_served(const struct ps_repo_family *f, int domain)
{
	for (int i = 0; i < f->n_domains; i++)
		if (f->domains[i] == domain)
			return true;
	return false;
}

/* After a version came up or failed, others may retire. */
static void follow_policy(struct ps_repo *r, int model, int domain)
{
	struct ps_repo_family *f = r->slots[model]->family;

	if (is_served(f, domain))
		(void)apply_policy(r, f, domain);
}

/* ---- configuration ---- */

static enum ps_status agrees(const struct ps_repo_config *c, const struct ps_repo_facts *facts,
			     struct ps_error *err)
{
	if (facts->n_inputs == 0 && facts->n_outputs == 0)
		return PS_OK; /* sim declares nothing */
	return ps_repo_config_check(c, facts->inputs, facts->n_inputs, facts->outputs,
				    facts->n_outputs, err);
}

static void set_config(struct ps_repo *r, struct ps_repo_place *p, struct ps_repo_shared_config *c)
{
	if (p->config == c)
		return;
	ps_repo_config_take(c);
	ps_repo_config_retire(r, p->current, p->config);
	p->config = c;
}

/* What serves goes on under its old configuration when the new one does not fit it: perhaps the new
 * one is for the content that comes next. */
static void configure(struct ps_repo *r, struct ps_repo_family *f, struct ps_repo_place *p)
{
	struct ps_error err;

	if (p->current < 0)
		return;
	if (agrees(&f->config->config, &r->loads[p->current]->pub.facts, &err) == PS_OK)
		set_config(r, p, f->config);
	else
		ps_repo_why_set(&p->error, &err);
}

enum ps_status ps_repo_family_configured(struct ps_repo *r, struct ps_repo_family *f,
					 const struct ps_repo_config *old)
{
	bool moved = strcmp(old->device, f->config->config.device) != 0;
	enum ps_status first = PS_OK, st;

	for (int i = 0; i < f->n; i++) {
		struct ps_repo_slot *s = r->slots[f->models[i]];

		for (int k = 0; k < n_places(s); k++)
			configure(r, f, nth_place(s, k));
		st = moved ? ps_repo_model_changed(r, f->models[i]) : PS_OK;
		if (first == PS_OK)
			first = st;
	}
	st = ps_repo_family_retry(r, f);
	return first != PS_OK ? first : st;
}

enum ps_status ps_repo_family_retry(struct ps_repo *r, struct ps_repo_family *f)
{
	enum ps_status first = PS_OK, st;

	for (int i = 0; i < f->n; i++) {
		struct ps_repo_slot *s = r->slots[f->models[i]];

		for (int k = 0; k < n_places(s); k++) {
			struct ps_repo_place *p = nth_place(s, k);
			bool again = p->failed && p->wanted;

			p->failed = false;
			st = again ? start(r, f->models[i], p) : PS_OK;
			if (first == PS_OK)
				first = st;
		}
	}
	st = ps_repo_family_apply(r, f);
	return first != PS_OK ? first : st;
}

/* ---- what loading found ---- */

/* `instance`, which the place uses already, takes over if the configuration agrees. */
static void take_over(struct ps_repo *r, int model, struct ps_repo_place *p, int instance)
{
	struct ps_repo_family *f = r->slots[model]->family;
	struct ps_error err;

	p->next = -1;
	if (agrees(&f->config->config, &r->loads[instance]->pub.facts, &err) != PS_OK) {
		fail(p, &err);
		ps_repo_user_drop(r, instance, model);
		settle(r, p);
		return;
	}
	drop_current(r, model, p);
	p->current = instance;
	p->config = ps_repo_config_take(f->config);
	p->failed = false;
	ps_repo_why_set(&p->error, NULL);
	settle(r, p);
}

void ps_repo_place_arrived(struct ps_repo *r, int model, int instance)
{
	struct ps_repo_place *p = ps_repo_place_of(r, model, r->loads[instance]->pub.domain);
	int domain = p->domain;

	if (p->next != instance)
		return; /* it serves already: the list was reordered under the caller */
	take_over(r, model, p, instance);
	follow_policy(r, model, domain);
}

void ps_repo_place_failed(struct ps_repo *r, int model, int instance, const struct ps_error *why)
{
	struct ps_repo_place *p = ps_repo_place_of(r, model, r->loads[instance]->pub.domain);
	int domain = p->domain;

	p->next = -1;
	ps_repo_user_drop(r, instance, model);
	fail(p, why);
	follow_policy(r, model, domain);
}

enum ps_status ps_repo_place_moved(struct ps_repo *r, int model, int from, int to)
{
	struct ps_repo_place *p = ps_repo_place_of(r, model, r->loads[from]->pub.domain);
	int domain = p->domain;
	enum ps_status st = PS_OK;

	if (p->current == to) { /* it looked new and is what serves already */
		drop_next(r, model, p);
		p->failed = false;
		ps_repo_why_set(&p->error, NULL);
		configure(r, r->slots[model]->family, p);
		return PS_OK;
	}
	st = ps_repo_user_add(r, to, model);
	if (st != PS_OK)
		return st;
	drop_next(r, model, p);
	p->next = to;
	if (r->loads[to]->pub.state == PS_REPO_INSTANCE_READY) {
		take_over(r, model, p, to);
		follow_policy(r, model, domain);
	}
	return PS_OK;
}

/* ---- wishes ---- */

enum ps_status ps_repo_want(struct ps_repo *r, int model, int domain, bool wanted)
{
	struct ps_repo_place *p;
	enum ps_status st;

	if (!wanted) {
		p = ps_repo_place_of(r, model, domain);
		if (!p && !is_served(r->slots[model]->family, domain))
			return PS_OK;
		st = need_place(r, model, domain, &p);
		if (st != PS_OK)
			return st;
		stop(r, model, p);
		p->stopped = true;
		follow_policy(r, model, domain);
		return PS_OK;
	}
	if (r->slots[model]->model.gone)
		return PS_ENOTFOUND;
	st = need_place(r, model, domain, &p);
	if (st != PS_OK)
		return st;
	p->stopped = false;
	p->pinned = true;
	return start(r, model, p);
}

static enum ps_status serve_name(struct ps_repo *r, struct ps_repo_family *f, int domain)
{
	int *more;

	if (!is_served(f, domain)) {
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
			(void)start(r, f->models[i], p); /* a second failure is kept too */
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
			stop(r, f->models[i], p);
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

enum ps_status ps_repo_reload(struct ps_repo *r, int model)
{
	return ps_repo_model_changed(r, model);
}

void ps_repo_drop_domain(struct ps_repo *r, int domain)
{
	for (int i = 0; i < r->n_families; i++)
		leave_name(r, r->families[i], domain);
}

/* ---- views ---- */

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
