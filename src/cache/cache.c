/* cache.c - who there is, what there is, what is asked for. */
#include "cache/cache.h"
#include "cache/cache_internal.h"
#include "cache/game_internal.h"

#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status check_options(const struct ps_cache_options *o, struct ps_error *err)
{
	if (o->policy < 0 || o->policy >= PS_CACHE_KINDS || o->capacity_bytes < 0 ||
	    !(o->half_life_epochs >= 0) || !(o->reuse_gap >= 0) || !(o->load_share >= 0) ||
	    o->load_share > 1 ||
	    (o->warm_factor != 0 && !(o->warm_factor >= 1 && o->warm_factor <= 1e6)))
		return ps_error_set(err, PS_EINVAL, "an option of the cache is out of its range");
	return PS_OK;
}

enum ps_status ps_cache_new(const struct ps_cache_options *o, struct ps_cache **ret_cache,
			    struct ps_error *err)
{
	enum ps_status st = check_options(o, err);

	if (st != PS_OK)
		return st;
	struct ps_cache *c = calloc(1, sizeof(*c));
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "no memory for a cache");
	c->o = *o;
	c->o.half_life_epochs = o->half_life_epochs > 0 ? o->half_life_epochs : 3;
	c->o.reuse_gap = o->reuse_gap > 0 ? o->reuse_gap : PS_CACHE_GAP;
	c->o.load_share = o->load_share > 0 ? o->load_share : 0.1;
	c->policy = ps_cache_policy_get(o->policy);
	c->keep = pow(0.5, 1 / c->o.half_life_epochs);
	ps_rng_init(&c->rng, o->seed, ps_rng_stream("cache/draw"));
	*ret_cache = c;
	return PS_OK;
}

static void free_names(char **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void ps_cache_free(struct ps_cache *c)
{
	if (!c)
		return;
	free_names(c->tenant_name, c->tenants);
	free_names(c->item_key, c->items);
	free(c->tenant);
	free(c->item);
	free(c->fresh);
	free(c->past);
	free(c->mean);
	free(c->scores.score);
	free(c->scores.count);
	free(c->scores.order);
	ps_cache_plan_free(&c->plan);
	free(c->wants);
	free(c->gone);
	free(c);
}

/* ---- room ---- */

/* A table [tenants * items] in a larger one. */
static double *wider(const double *old, const struct ps_cache *c, int tenants, int items)
{
	double *table = calloc((size_t)tenants * (size_t)items + 1, sizeof(*table));

	for (int i = 0; table && i < c->tenants; i++)
		memcpy(table + (size_t)i * (size_t)items, old + (size_t)i * (size_t)c->item_cap,
		       (size_t)c->items * sizeof(*table));
	return table;
}

static void *longer(const void *old, int n, int cap, size_t size)
{
	char *p = calloc((size_t)cap + 1, size);

	if (p && n > 0)
		memcpy(p, old, (size_t)n * size);
	return p;
}

struct room {
	char **tenant_name, **item_key;
	struct ps_cache_tenant *tenant;
	struct ps_cache_item *item;
	double *fresh, *past, *mean, *score, *count, *order;
	uint64_t *wants;
};

static void room_free(struct room *r)
{
	free(r->tenant_name);
	free(r->item_key);
	free(r->tenant);
	free(r->item);
	free(r->fresh);
	free(r->past);
	free(r->mean);
	free(r->score);
	free(r->count);
	free(r->order);
	free(r->wants);
}

static bool room_make(const struct ps_cache *c, int tenants, int items, struct room *r)
{
	*r = (struct room){
		.tenant_name = longer(c->tenant_name, c->tenants, tenants, sizeof(char *)),
		.item_key = longer(c->item_key, c->items, items, sizeof(char *)),
		.tenant = longer(c->tenant, c->tenants, tenants, sizeof(*c->tenant)),
		.item = longer(c->item, c->items, items, sizeof(*c->item)),
		.fresh = wider(c->fresh, c, tenants, items),
		.past = wider(c->past, c, tenants, items),
		.mean = wider(c->mean, c, tenants, items),
		.score = longer(c->scores.score, c->items, items, sizeof(double)),
		.count = longer(c->scores.count, c->items, items, sizeof(double)),
		.order = longer(c->scores.order, c->items, items, sizeof(double)),
		.wants = longer(c->wants, c->wants ? ps_cache_words(c->item_cap) : 0,
				ps_cache_words(items), sizeof(uint64_t)),
	};
	if (r->tenant_name && r->item_key && r->tenant && r->item && r->fresh && r->past &&
	    r->mean && r->score && r->count && r->order && r->wants)
		return true;
	room_free(r);
	return false;
}

static int wider_cap(int cap, int n, int most)
{
	while (cap < n)
		cap = cap ? 2 * cap : 8;
	return cap < most ? cap : most;
}

enum ps_status ps_cache_grow(struct ps_cache *c, int tenants, int items, struct ps_error *err)
{
	struct room r, old = {c->tenant_name,  c->item_key,	c->tenant, c->item,
			      c->fresh,	       c->past,		c->mean,   c->scores.score,
			      c->scores.count, c->scores.order, c->wants};

	if (tenants <= c->tenant_cap && items <= c->item_cap)
		return PS_OK;
	if (tenants > PS_CACHE_MAX_TENANTS || items > PS_CACHE_MAX_ITEMS ||
	    (int64_t)tenants * items > PS_CACHE_MAX_CELLS)
		return ps_error_set(err, PS_ETOOBIG,
				    "%d tenants and %d models: at most %d, %d, and a product of %d",
				    tenants, items, PS_CACHE_MAX_TENANTS, PS_CACHE_MAX_ITEMS,
				    PS_CACHE_MAX_CELLS);
	int tenant_cap = wider_cap(c->tenant_cap, tenants, PS_CACHE_MAX_TENANTS);
	int item_cap = wider_cap(c->item_cap, items, PS_CACHE_MAX_ITEMS);
	if ((int64_t)tenant_cap * item_cap > PS_CACHE_MAX_CELLS) {
		tenant_cap = tenants;
		item_cap = items;
	}
	if (!room_make(c, tenant_cap, item_cap, &r))
		return ps_error_set(err, PS_ENOMEM, "no memory for a cache");
	room_free(&old);
	c->tenant_name = r.tenant_name;
	c->item_key = r.item_key;
	c->tenant = r.tenant;
	c->item = r.item;
	c->fresh = r.fresh;
	c->past = r.past;
	c->mean = r.mean;
	c->scores.score = r.score;
	c->scores.count = r.count;
	c->scores.order = r.order;
	c->scores.items = item_cap;
	c->wants = r.wants;
	c->last.wants = c->last.number ? c->wants : NULL;
	c->tenant_cap = tenant_cap;
	c->item_cap = item_cap;
	return PS_OK;
}

/* ---- tenants and items ---- */

static int find(char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (names[i] && strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int free_place(char *const *names, int n)
{
	int i = 0;

	while (i < n && names[i])
		i++;
	return i;
}

/* Guarantees and pins must fit together, whatever changed. */
static enum ps_status check_fit(const struct ps_cache *c, int64_t capacity, struct ps_error *err)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], d[PS_UNITS_SIZE];
	int64_t pinned = 0, guaranteed = 0;

	for (int j = 0; j < c->items; j++)
		if (c->item_key[j] && c->item[j].pinned)
			pinned += c->item[j].bytes;
	for (int i = 0; i < c->tenants; i++)
		if (c->tenant_name[i])
			guaranteed += c->tenant[i].guaranteed_bytes;
	if (pinned <= capacity && guaranteed <= capacity - pinned)
		return PS_OK;
	return ps_error_set(err, PS_ETOOBIG,
			    "pinned models need %s and guarantees %s, of a capacity of %s",
			    ps_units_format_bytes(pinned, a), ps_units_format_bytes(guaranteed, b),
			    ps_units_format_bytes(capacity, d));
}

enum ps_status ps_cache_set_tenant(struct ps_cache *c, const char *name,
				   const struct ps_cache_tenant *t, int *ret_tenant,
				   struct ps_error *err)
{
	int at = find(c->tenant_name, c->tenants, name);
	bool known = at >= 0;

	if (!(t->weight > 0) || !isfinite(t->weight) || t->guaranteed_bytes < 0 ||
	    t->guaranteed_bytes > INT64_MAX / PS_CACHE_MAX_TENANTS)
		return ps_error_set(err, PS_EINVAL, "tenant '%s': a weight of %g, %lld bytes", name,
				    t->weight, (long long)t->guaranteed_bytes);
	if (!known)
		at = free_place(c->tenant_name, c->tenants);
	enum ps_status st = ps_cache_grow(c, at + 1, c->items, err);
	char *copy = NULL;
	if (st != PS_OK)
		return st;
	if (!known) {
		copy = strdup(name);
		if (!copy)
			return ps_error_set(err, PS_ENOMEM, "no memory for a tenant");
	}
	struct ps_cache_tenant old = c->tenant[at];
	int tenants = c->tenants;
	c->tenant[at] = *t;
	if (!known)
		c->tenant_name[at] = copy;
	c->tenants = at < tenants ? tenants : at + 1;
	st = check_fit(c, c->o.capacity_bytes, err);
	if (st == PS_OK) {
		*ret_tenant = at;
		return PS_OK;
	}
	c->tenant[at] = old;
	c->tenants = tenants;
	if (!known) {
		c->tenant_name[at] = NULL;
		free(copy);
	}
	return st;
}

static enum ps_status check_item(const struct ps_cache *c, const char *key,
				 const struct ps_cache_item *t, struct ps_error *err)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	if (t->bytes < 0 || !(t->load_s >= 0) || !isfinite(t->load_s))
		return ps_error_set(err, PS_EINVAL, "model '%s' has %lld bytes and loads in %g s",
				    key, (long long)t->bytes, t->load_s);
	if (t->bytes > c->o.capacity_bytes)
		return ps_error_set(err, PS_ETOOBIG, "model '%s' needs %s, of a capacity of %s",
				    key, ps_units_format_bytes(t->bytes, a),
				    ps_units_format_bytes(c->o.capacity_bytes, b));
	return PS_OK;
}

enum ps_status ps_cache_set_item(struct ps_cache *c, const char *key,
				 const struct ps_cache_item *item, int *ret_item,
				 struct ps_error *err)
{
	int at = find(c->item_key, c->items, key);
	bool known = at >= 0;
	enum ps_status st = check_item(c, key, item, err);
	char *copy = NULL;

	if (!known)
		at = free_place(c->item_key, c->items);
	if (st == PS_OK)
		st = ps_cache_grow(c, c->tenants, at + 1, err);
	if (st != PS_OK)
		return st;
	if (!known) {
		copy = strdup(key);
		if (!copy)
			return ps_error_set(err, PS_ENOMEM, "no memory for a model");
	}
	struct ps_cache_item old = c->item[at];
	int items = c->items;
	c->item[at] = *item;
	if (!known)
		c->item_key[at] = copy;
	c->items = at < items ? items : at + 1;
	st = check_fit(c, c->o.capacity_bytes, err);
	if (st == PS_OK) {
		*ret_item = at;
		return PS_OK;
	}
	c->item[at] = old;
	c->items = items;
	if (!known) {
		c->item_key[at] = NULL;
		free(copy);
	}
	return st;
}

static void forget_cell(struct ps_cache *c, int tenant, int item)
{
	size_t at = ps_cache_cell_of(c, tenant, item);

	c->fresh[at] = c->past[at] = c->mean[at] = 0;
}

/* For a job that may be under way. */
static void note_gone(struct ps_cache *c, int item)
{
	if (c->n_gone == c->gone_cap) {
		int cap = c->gone_cap ? 2 * c->gone_cap : 16;
		int *gone = realloc(c->gone, (size_t)cap * sizeof(*gone));
		if (!gone) {
			c->forgot = true;
			return;
		}
		c->gone = gone;
		c->gone_cap = cap;
	}
	c->gone[c->n_gone++] = item;
}

void ps_cache_drop_item(struct ps_cache *c, int item)
{
	note_gone(c, item);
	for (int i = 0; i < c->tenants; i++)
		forget_cell(c, i, item);
	free(c->item_key[item]);
	c->item_key[item] = NULL;
	c->item[item] = (struct ps_cache_item){0};
	c->scores.score[item] = c->scores.count[item] = c->scores.order[item] = 0;
	/* Its number may come to mean another item: no decision may speak of it any more. */
	c->wants[item / 64] &= ~(UINT64_C(1) << (item % 64));
	for (int i = 0; i < c->plan.n && item < c->plan.items; i++)
		c->plan.config[i].has[item / 64] &= ~(UINT64_C(1) << (item % 64));
}

void ps_cache_drop_tenant(struct ps_cache *c, int tenant)
{
	for (int j = 0; j < c->items; j++)
		forget_cell(c, tenant, j);
	free(c->tenant_name[tenant]);
	c->tenant_name[tenant] = NULL;
	c->tenant[tenant] = (struct ps_cache_tenant){0};
}

enum ps_status ps_cache_set_capacity(struct ps_cache *c, int64_t bytes, struct ps_error *err)
{
	enum ps_status st = bytes < 0 ? ps_error_set(err, PS_EINVAL, "a capacity below nothing")
				      : check_fit(c, bytes, err);

	if (st == PS_OK)
		c->o.capacity_bytes = bytes;
	return st;
}

void ps_cache_set_resident(struct ps_cache *c, int item, bool resident)
{
	if (c->item[item].resident && !resident)
		c->policy->left(&c->scores, item);
	c->item[item].resident = resident;
}

void ps_cache_ask(struct ps_cache *c, int tenant, int item)
{
	c->fresh[ps_cache_cell_of(c, tenant, item)]++;
	c->policy->touch(&c->scores, &c->tenant[tenant], &c->item[item], item);
}

/* ---- looking ---- */

double ps_cache_demand(const struct ps_cache *c, int tenant, int item)
{
	return c->mass > 0 ? c->past[ps_cache_cell_of(c, tenant, item)] / c->mass : 0;
}

void ps_cache_set_demand(struct ps_cache *c, int tenant, int item, double requests)
{
	if (!(c->mass > 0))
		c->mass = 1;
	c->past[ps_cache_cell_of(c, tenant, item)] = fmax(0, requests) * c->mass;
}

int ps_cache_find_tenant(const struct ps_cache *c, const char *name)
{
	return find(c->tenant_name, c->tenants, name);
}

int ps_cache_find_item(const struct ps_cache *c, const char *key)
{
	return find(c->item_key, c->items, key);
}

const char *ps_cache_tenant_name(const struct ps_cache *c, int tenant)
{
	return tenant >= 0 && tenant < c->tenants ? c->tenant_name[tenant] : NULL;
}

const char *ps_cache_item_key(const struct ps_cache *c, int item)
{
	return item >= 0 && item < c->items ? c->item_key[item] : NULL;
}

int ps_cache_tenants(const struct ps_cache *c)
{
	return c->tenants;
}

int ps_cache_items(const struct ps_cache *c)
{
	return c->items;
}

void ps_cache_problem_of(const struct ps_cache *c, struct ps_cache_problem *ret_problem)
{
	*ret_problem = (struct ps_cache_problem){
		.tenants = c->tenants,
		.items = c->item_cap,
		.capacity_bytes = c->o.capacity_bytes,
		.tenant = c->tenant,
		.item = c->item,
		.demand = c->mean,
		.warm_factor = c->o.warm_factor,
		.seed = c->o.seed,
	};
}
