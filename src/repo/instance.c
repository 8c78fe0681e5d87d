/* What is loaded. Numbers are reused, ids are not; a number lives in at most one of two lists:
 * `waiting` (WAITING, first wanted first) and `idle` (READY, no users, no holds). */
#include "repo/repo_internal.h"

#include <stdlib.h>
#include <string.h>

bool ps_repo_instance_may_change(enum ps_repo_instance_state from, enum ps_repo_instance_state to)
{
	static const bool allowed[PS_REPO_INSTANCE_STATE_COUNT][PS_REPO_INSTANCE_STATE_COUNT] = {
		[PS_REPO_INSTANCE_FREE] = {[PS_REPO_INSTANCE_WAITING] = true},
		[PS_REPO_INSTANCE_WAITING] =
			{[PS_REPO_INSTANCE_LOADING] = true, [PS_REPO_INSTANCE_FREE] = true},
		[PS_REPO_INSTANCE_LOADING] =
			{[PS_REPO_INSTANCE_READY] = true, [PS_REPO_INSTANCE_FREE] = true},
		[PS_REPO_INSTANCE_READY] = {[PS_REPO_INSTANCE_UNLOADING] = true},
		[PS_REPO_INSTANCE_UNLOADING] = {[PS_REPO_INSTANCE_FREE] = true},
	};

	return (unsigned)from < PS_REPO_INSTANCE_STATE_COUNT &&
	       (unsigned)to < PS_REPO_INSTANCE_STATE_COUNT && allowed[from][to];
}

/* The one function that changes a state. A caller that breaks the table is a bug of ours that must
 * not become a model served from memory that is gone. */
static void set_state(struct ps_repo *r, struct ps_repo_load *l, enum ps_repo_instance_state to)
{
	if (!ps_repo_instance_may_change(l->pub.state, to))
		abort();
	r->in_state[l->pub.state]--;
	r->in_state[to]++;
	l->pub.state = to;
}

static void list_push(struct ps_repo *r, struct ps_repo_list *list, int n)
{
	struct ps_repo_load *l = r->loads[n];

	l->list_prev = list->last;
	l->list_next = -1;
	if (list->last >= 0)
		r->loads[list->last]->list_next = n;
	else
		list->first = n;
	list->last = n;
	list->n++;
}

static void list_remove(struct ps_repo *r, struct ps_repo_list *list, int n)
{
	struct ps_repo_load *l = r->loads[n];

	if (l->list_prev >= 0)
		r->loads[l->list_prev]->list_next = l->list_next;
	else
		list->first = l->list_next;
	if (l->list_next >= 0)
		r->loads[l->list_next]->list_prev = l->list_prev;
	else
		list->last = l->list_prev;
	list->n--;
}

/* READY and nobody's: on the list of those to unload; else off it. */
static void check_idle(struct ps_repo *r, int n)
{
	struct ps_repo_load *l = r->loads[n];
	bool idle =
		l->pub.state == PS_REPO_INSTANCE_READY && l->pub.n_users == 0 && l->pub.holds == 0;

	if (idle == l->idle)
		return;
	l->idle = idle;
	if (!idle) {
		list_remove(r, &r->idle, n);
		return;
	}
	list_push(r, &r->idle, n);
	if (r->on_idle)
		r->on_idle(r->idle_ctx);
}

void ps_repo_watch_idle(struct ps_repo *r, void (*on_idle)(void *ctx), void *ctx)
{
	r->on_idle = on_idle;
	r->idle_ctx = ctx;
}

static void free_retired(struct ps_repo_load *l)
{
	while (l->retired) {
		struct ps_repo_held_config *h = l->retired;

		l->retired = h->next;
		ps_repo_config_drop(h->config);
		free(h);
	}
}

static void free_contents(struct ps_repo_load *l)
{
	free_retired(l);
	free(l->pub.path);
	free(l->users);
	*l = (struct ps_repo_load){.list_prev = -1, .list_next = -1};
}

static void release_number(struct ps_repo *r, int n)
{
	struct ps_repo_load *l = r->loads[n];

	set_state(r, l, PS_REPO_INSTANCE_FREE);
	free_contents(l);
}

void ps_repo_instances_fini(struct ps_repo *r)
{
	for (int i = 0; i < r->n_loads; i++) {
		free_contents(r->loads[i]);
		free(r->loads[i]);
	}
	free(r->loads);
}

static enum ps_status add_number(struct ps_repo *r, int *ret_number)
{
	if (r->n_loads >= PS_REPO_MAX_INSTANCES)
		return PS_ETOOBIG;
	if (r->n_loads == r->cap_loads) {
		int cap = r->cap_loads ? 2 * r->cap_loads : 16;
		void *p = realloc(r->loads, (size_t)cap * sizeof(struct ps_repo_load *));

		if (!p)
			return PS_ENOMEM;
		r->loads = p;
		r->cap_loads = cap;
	}
	r->loads[r->n_loads] = calloc(1, sizeof(*r->loads[0]));
	if (!r->loads[r->n_loads])
		return PS_ENOMEM;
	r->in_state[PS_REPO_INSTANCE_FREE]++;
	*ret_number = r->n_loads++;
	return PS_OK;
}

static enum ps_status free_number(struct ps_repo *r, int *ret_number)
{
	if (r->in_state[PS_REPO_INSTANCE_FREE] > 0)
		for (int i = 0; i < r->n_loads; i++)
			if (r->loads[i]->pub.state == PS_REPO_INSTANCE_FREE) {
				*ret_number = i;
				return PS_OK;
			}
	return add_number(r, ret_number);
}

enum ps_status ps_repo_instance_new(struct ps_repo *r, int model, int domain, int *ret_instance)
{
	const struct ps_repo_model *m = &r->slots[model]->model;
	struct ps_repo_load *l;
	char *path;
	int n;
	enum ps_status st = free_number(r, &n);

	if (st != PS_OK)
		return st;
	path = strdup(m->path ? m->path : "");
	if (!path)
		return PS_ENOMEM;
	l = r->loads[n];
	l->pub.path = path;
	l->pub.model = model;
	l->pub.domain = domain;
	l->pub.id = r->next_id++;
	memcpy(l->pub.device, m->config->device, sizeof(l->pub.device));
	l->pub.rnn = m->config->rnn;
	set_state(r, l, PS_REPO_INSTANCE_WAITING);
	list_push(r, &r->waiting, n);
	st = ps_repo_user_add(r, n, model);
	if (st != PS_OK) {
		list_remove(r, &r->waiting, n);
		release_number(r, n);
		return st;
	}
	*ret_instance = n;
	return PS_OK;
}

enum ps_status ps_repo_user_add(struct ps_repo *r, int instance, int model)
{
	struct ps_repo_load *l = r->loads[instance];
	int *more;

	if (l->pub.n_users == l->cap_users) {
		int cap = l->cap_users ? 2 * l->cap_users : 2;

		more = realloc(l->users, (size_t)cap * sizeof(*more));
		if (!more)
			return PS_ENOMEM;
		l->users = more;
		l->pub.users = more;
		l->cap_users = cap;
	}
	l->users[l->pub.n_users++] = model;
	check_idle(r, instance);
	return PS_OK;
}

void ps_repo_user_drop(struct ps_repo *r, int instance, int model)
{
	struct ps_repo_load *l = r->loads[instance];

	for (int i = 0; i < l->pub.n_users; i++) {
		if (l->users[i] != model)
			continue;
		l->users[i] = l->users[--l->pub.n_users];
		break;
	}
	if (l->pub.n_users == 0 && l->pub.state == PS_REPO_INSTANCE_WAITING) {
		list_remove(r, &r->waiting, instance);
		release_number(r, instance);
		return;
	}
	check_idle(r, instance);
}

void ps_repo_config_retire(struct ps_repo *r, int instance, struct ps_repo_shared_config *c)
{
	struct ps_repo_load *l = r->loads[instance];
	struct ps_repo_held_config *h;

	if (!c)
		return;
	if (l->pub.holds == 0) {
		ps_repo_config_drop(c);
		return;
	}
	h = malloc(sizeof(*h));
	if (!h)
		return; /* kept for ever rather than freed under a reader */
	*h = (struct ps_repo_held_config){l->retired, c};
	l->retired = h;
}

int ps_repo_waiting(const struct ps_repo *r, int after)
{
	return after < 0 ? r->waiting.first : r->loads[after]->list_next;
}

void ps_repo_begin_load(struct ps_repo *r, int instance)
{
	list_remove(r, &r->waiting, instance);
	set_state(r, r->loads[instance], PS_REPO_INSTANCE_LOADING);
}

int ps_repo_next_load(struct ps_repo *r)
{
	int n = r->waiting.first;

	if (n >= 0)
		ps_repo_begin_load(r, n);
	return n;
}

static bool may_meet(const struct ps_repo *r, int a, int b)
{
	const struct ps_repo_family *x = r->slots[a]->family, *y = r->slots[b]->family;

	return x == y || !(x->config->config.unshared || y->config->config.unshared);
}

/* Nobody's name is there, or may come, that does not share with this model's. */
static bool may_join(const struct ps_repo *r, int model, const struct ps_repo_instance *o)
{
	bool ok = may_meet(r, model, o->model);

	for (int i = 0; ok && i < o->n_users; i++)
		ok = may_meet(r, model, o->users[i]);
	return ok;
}

/* Another instance with this content that serves or will; -1: none. Rather one that others use too
 * than one from the time when the name shared with nobody. */
static int find_same(const struct ps_repo *r, int instance)
{
	const struct ps_repo_instance *me = &r->loads[instance]->pub;
	int apart = -1;

	for (int i = 0; i < r->n_loads; i++) {
		const struct ps_repo_instance *o = &r->loads[i]->pub;

		if (i != instance && o->hashed && o->domain == me->domain &&
		    (o->state == PS_REPO_INSTANCE_LOADING || o->state == PS_REPO_INSTANCE_READY) &&
		    memcmp(o->hash, me->hash, sizeof(o->hash)) == 0 &&
		    strcmp(o->device, me->device) == 0 && ps_repo_rnn_same(&o->rnn, &me->rnn) &&
		    may_join(r, me->model, o)) {
			if (!r->loads[i]->apart)
				return i;
			apart = i;
		}
	}
	return apart;
}

/* Moves all users of a LOADING instance to one with the same content. A user that cannot move for
 * want of memory stays, and then so does the instance. */
static void merge(struct ps_repo *r, int from, int to)
{
	struct ps_repo_load *l = r->loads[from];

	for (int i = l->pub.n_users - 1; i >= 0; i--) {
		if (i >= l->pub.n_users) /* following a policy may have dropped others */
			continue;
		(void)ps_repo_place_moved(r, l->users[i], from, to);
	}
}

bool ps_repo_hashed(struct ps_repo *r, int instance, const unsigned char hash[PS_REPO_HASH_SIZE])
{
	struct ps_repo_load *l = r->loads[instance];
	int same;

	memcpy(l->pub.hash, hash, PS_REPO_HASH_SIZE);
	same = find_same(r, instance);
	if (same >= 0)
		merge(r, instance, same);
	if (l->pub.n_users == 0) {
		release_number(r, instance);
		return false;
	}
	l->pub.hashed = true;
	l->apart = r->slots[l->pub.model]->family->config->config.unshared;
	return true;
}

static void serve_users(struct ps_repo *r, int instance)
{
	struct ps_repo_load *l = r->loads[instance];

	/* Backwards, because a user whose configuration disagrees leaves. */
	for (int i = l->pub.n_users - 1; i >= 0; i--)
		if (i < l->pub.n_users)
			ps_repo_place_arrived(r, l->users[i], instance);
}

void ps_repo_loaded(struct ps_repo *r, int instance, enum ps_status status,
		    const struct ps_error *why, const struct ps_repo_facts *facts, void *user)
{
	struct ps_repo_load *l = r->loads[instance];
	struct ps_error own;

	if (status != PS_OK) {
		if (!why || why->status == PS_OK) {
			ps_error_set(&own, status, "%s", ps_status_get(status)->meaning);
			why = &own;
		}
		while (l->pub.n_users > 0)
			ps_repo_place_failed(r, l->users[l->pub.n_users - 1], instance, why);
		release_number(r, instance);
		return;
	}
	if (facts)
		l->pub.facts = *facts;
	l->pub.user = user;
	set_state(r, l, PS_REPO_INSTANCE_READY);
	serve_users(r, instance);
	check_idle(r, instance);
}

int ps_repo_next_unload(struct ps_repo *r)
{
	int n = r->idle.first;

	if (n < 0)
		return -1;
	list_remove(r, &r->idle, n);
	r->loads[n]->idle = false;
	set_state(r, r->loads[n], PS_REPO_INSTANCE_UNLOADING);
	return n;
}

void ps_repo_unloaded(struct ps_repo *r, int instance)
{
	release_number(r, instance);
}

void ps_repo_hold(struct ps_repo *r, int instance)
{
	r->loads[instance]->pub.holds++;
	check_idle(r, instance);
}

void ps_repo_release(struct ps_repo *r, int instance)
{
	struct ps_repo_load *l = r->loads[instance];

	if (--l->pub.holds > 0)
		return;
	free_retired(l);
	check_idle(r, instance);
}

const struct ps_repo_instance *ps_repo_instance_get(const struct ps_repo *r, int instance)
{
	return &r->loads[instance]->pub;
}

int ps_repo_instances(const struct ps_repo *r)
{
	return r->n_loads;
}

bool ps_repo_settled(const struct ps_repo *r)
{
	return r->in_state[PS_REPO_INSTANCE_WAITING] == 0 &&
	       r->in_state[PS_REPO_INSTANCE_LOADING] == 0 &&
	       r->in_state[PS_REPO_INSTANCE_UNLOADING] == 0 && r->idle.n == 0;
}

/* Whether an instance before this one maps the same content on the same device. */
static bool is_mapped_before(const struct ps_repo *r, int n)
{
	const struct ps_repo_instance *me = &r->loads[n]->pub;

	for (int i = 0; i < n && me->hashed; i++) {
		const struct ps_repo_instance *o = &r->loads[i]->pub;

		if (o->state == PS_REPO_INSTANCE_READY && o->hashed &&
		    memcmp(o->hash, me->hash, sizeof(o->hash)) == 0)
			return true;
	}
	return false;
}

int64_t ps_repo_resident_bytes(const struct ps_repo *r)
{
	int64_t sum = 0;

	for (int i = 0; i < r->n_loads; i++) {
		const struct ps_repo_instance *o = &r->loads[i]->pub;

		if (o->state != PS_REPO_INSTANCE_READY)
			continue;
		sum += o->facts.private_bytes;
		if (!is_mapped_before(r, i))
			sum += o->facts.mapped_bytes;
	}
	return sum;
}
