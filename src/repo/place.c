/* What is wanted of a model in a domain, and what serves it.
 *
 *	current  next   what clients see
 *	  -       -     UNLOADED, FAILED (the last try did), UNLOADING (the last one still runs),
 *	                ON_DISK (wanted, and loaded when it is fetched)
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

enum ps_status ps_repo_place_need(struct ps_repo *r, int model, int domain,
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
	bool ready = p->wanted && (p->current >= 0 || p->away);

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

static void set_away(struct ps_repo *r, struct ps_repo_place *p, bool away)
{
	p->away = away;
	settle(r, p);
}

/* Asks for an instance beside what serves now. */
static enum ps_status begin(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	struct ps_repo_slot *s = r->slots[model];
	struct ps_error err;
	enum ps_status st;

	drop_next(r, model, p);
	set_away(r, p, false);
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

/* Another version of the name serves in the domain: this one takes over from it. */
static bool replaces(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_family *f = r->slots[model]->family;

	for (int i = 0; i < f->n; i++)
		if (f->models[i] != model && ps_repo_serving(r, f->models[i], domain) >= 0)
			return true;
	return false;
}

enum ps_status ps_repo_place_start(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	bool pinned = r->slots[model]->model.config->pinned;

	set_wanted(r, p, true);
	if ((p->away && !pinned) || p->next >= 0 || (p->current >= 0 && !p->failed))
		return PS_OK;
	if (!r->on_demand || pinned || p->current >= 0 || replaces(r, model, p->domain))
		return begin(r, model, p);
	p->failed = false;
	set_away(r, p, true);
	return PS_OK;
}

void ps_repo_place_stop(struct ps_repo *r, int model, struct ps_repo_place *p)
{
	drop_next(r, model, p);
	drop_current(r, model, p);
	p->pinned = p->failed = p->away = false;
	ps_repo_why_set(&p->error, NULL);
	set_wanted(r, p, false);
}

int ps_repo_places(const struct ps_repo_slot *s)
{
	return 1 + s->n_others;
}

struct ps_repo_place *ps_repo_place_nth(struct ps_repo_slot *s, int i)
{
	return i == 0 ? &s->shared : &s->others[i - 1];
}

void ps_repo_model_gone(struct ps_repo *r, int model)
{
	struct ps_repo_slot *s = r->slots[model];

	for (int i = 0; i < ps_repo_places(s); i++)
		ps_repo_place_stop(r, model, ps_repo_place_nth(s, i));
}

enum ps_status ps_repo_model_changed(struct ps_repo *r, int model)
{
	struct ps_repo_slot *s = r->slots[model];
	enum ps_status first = PS_OK;

	for (int i = 0; i < ps_repo_places(s); i++) {
		struct ps_repo_place *p = ps_repo_place_nth(s, i);
		enum ps_status st;

		p->failed = false;
		if (!p->wanted || p->away)
			continue;
		if (r->on_demand && p->current < 0 && p->next < 0) {
			ps_repo_why_set(&p->error, NULL);
			set_away(r, p, true);
			continue;
		}
		st = begin(r, model, p);
		if (first == PS_OK)
			first = st;
	}
	return first;
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
	const struct ps_repo_config *now = &f->config->config;
	bool moved = strcmp(old->device, now->device) != 0 || old->unshared != now->unshared ||
		     !ps_repo_rnn_same(&old->rnn, &now->rnn);
	enum ps_status first = PS_OK, st;

	for (int i = 0; i < f->n; i++) {
		struct ps_repo_slot *s = r->slots[f->models[i]];

		for (int k = 0; k < ps_repo_places(s); k++)
			configure(r, f, ps_repo_place_nth(s, k));
		st = moved ? ps_repo_model_changed(r, f->models[i]) : PS_OK;
		if (first == PS_OK)
			first = st;
	}
	st = ps_repo_family_retry(r, f);
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
	ps_repo_family_follow(r, model, domain);
}

void ps_repo_place_failed(struct ps_repo *r, int model, int instance, const struct ps_error *why)
{
	struct ps_repo_place *p = ps_repo_place_of(r, model, r->loads[instance]->pub.domain);
	int domain = p->domain;

	p->next = -1;
	ps_repo_user_drop(r, instance, model);
	fail(p, why);
	ps_repo_family_follow(r, model, domain);
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
		ps_repo_family_follow(r, model, domain);
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
		if (!p && !ps_repo_family_serves(r->slots[model]->family, domain))
			return PS_OK;
		st = ps_repo_place_need(r, model, domain, &p);
		if (st != PS_OK)
			return st;
		ps_repo_place_stop(r, model, p);
		p->stopped = true;
		ps_repo_family_follow(r, model, domain);
		return PS_OK;
	}
	if (r->slots[model]->model.gone)
		return PS_ENOTFOUND;
	st = ps_repo_place_need(r, model, domain, &p);
	if (st != PS_OK)
		return st;
	p->stopped = false;
	p->pinned = true;
	return ps_repo_place_start(r, model, p);
}

enum ps_status ps_repo_reload(struct ps_repo *r, int model)
{
	return ps_repo_model_changed(r, model);
}

/* ---- on demand ---- */

void ps_repo_on_demand(struct ps_repo *r, bool on)
{
	r->on_demand = on;
}

enum ps_status ps_repo_fetch(struct ps_repo *r, int model, int domain)
{
	struct ps_repo_place *p = ps_repo_place_of(r, model, domain);

	if (!p || !p->wanted)
		return PS_ENOTFOUND;
	if (p->current >= 0 || p->next >= 0)
		return PS_OK;
	return begin(r, model, p);
}

void ps_repo_evict(struct ps_repo *r, int instance)
{
	struct ps_repo_load *l = r->loads[instance];

	for (int i = l->pub.n_users - 1; i >= 0; i--) {
		int model = l->users[i];
		struct ps_repo_place *p = ps_repo_place_of(r, model, l->pub.domain);

		if (p->current != instance)
			continue;
		drop_current(r, model, p);
		p->failed = false;
		set_away(r, p, p->next < 0);
	}
}
