#include "cache/columns_internal.h"

#include <stdlib.h>
#include <string.h>

void ps_cache_columns_init(struct ps_cache_columns *c, const struct ps_cache_game *g)
{
	*c = (struct ps_cache_columns){.g = g};
}

void ps_cache_columns_fini(struct ps_cache_columns *c)
{
	free(c->has);
	free(c->a);
	free(c->x);
	*c = (struct ps_cache_columns){0};
}

static bool grow(struct ps_cache_columns *c)
{
	int cap = c->cap ? 2 * c->cap : 32;
	size_t n = (size_t)cap, words = (size_t)c->g->words, rows = (size_t)c->g->n + 1;
	uint64_t *has = realloc(c->has, n * words * sizeof(*has));

	if (has)
		c->has = has;
	double *a = realloc(c->a, n * rows * sizeof(*a));
	if (a)
		c->a = a;
	double *x = realloc(c->x, n * sizeof(*x));
	if (x)
		c->x = x;
	if (!has || !a || !x)
		return false;
	c->cap = cap;
	return true;
}

static int find(const struct ps_cache_columns *c, const uint64_t *has)
{
	size_t bytes = (size_t)c->g->words * sizeof(*has);

	for (int i = 0; i < c->n; i++)
		if (memcmp(ps_cache_columns_has(c, i), has, bytes) == 0)
			return i;
	return -1;
}

int ps_cache_columns_add(struct ps_cache_columns *c, const uint64_t *has)
{
	size_t words = (size_t)c->g->words;
	int i = find(c, has);

	if (i >= 0)
		return i;
	if (c->n == c->cap && !grow(c))
		return -1;
	i = c->n++;
	memcpy(c->has + (size_t)i * words, has, words * sizeof(*has));
	ps_cache_scaled(c->g, has, c->a + (size_t)i * (size_t)c->g->n);
	c->x[i] = 0;
	return i;
}

/* The items of another problem's configuration, as this one numbers its words. */
static bool allowed(const struct ps_cache_game *g, const struct ps_cache_plan *plan, int i,
		    uint64_t *ret_has)
{
	int words = ps_cache_words(plan->items);

	memset(ret_has, 0, (size_t)g->words * sizeof(*ret_has));
	for (int w = 0; w < words; w++) {
		uint64_t bits = plan->config[i].has[w];
		if (w < g->words)
			ret_has[w] = bits;
		else if (bits)
			return false;
	}
	for (int j = g->p->items; j < 64 * g->words; j++)
		if (ps_cache_has(ret_has, j))
			return false;
	for (int w = 0; w < g->words; w++)
		if (g->forced[w] & ~ret_has[w])
			return false;
	return ps_cache_bytes(g->p, ret_has) <= g->p->capacity_bytes;
}

double ps_cache_columns_add_plan(struct ps_cache_columns *c, const struct ps_cache_plan *plan,
				 double part)
{
	uint64_t *has = malloc((size_t)c->g->words * sizeof(*has));
	double sum = 0;

	if (!has)
		return -1;
	for (int i = 0; i < plan->n; i++) {
		if (!allowed(c->g, plan, i, has))
			continue;
		int at = ps_cache_columns_add(c, has);
		if (at < 0) {
			free(has);
			return -1;
		}
		c->x[at] += part * plan->config[i].share;
		sum += plan->config[i].share;
	}
	free(has);
	return sum;
}

void ps_cache_columns_prune(struct ps_cache_columns *c)
{
	size_t words = (size_t)c->g->words, rows = (size_t)c->g->n;
	int n = 0;

	for (int i = 0; i < c->n; i++) {
		if (!(c->x[i] > 0))
			continue;
		if (n < i) {
			memcpy(c->has + (size_t)n * words, c->has + (size_t)i * words,
			       words * sizeof(*c->has));
			memcpy(c->a + (size_t)n * rows, c->a + (size_t)i * rows,
			       rows * sizeof(*c->a));
			c->x[n] = c->x[i];
		}
		n++;
	}
	c->n = n;
}

void ps_cache_columns_values(const struct ps_cache_columns *c, double *ret_v)
{
	int rows = c->g->n;

	memset(ret_v, 0, (size_t)rows * sizeof(*ret_v));
	for (int s = 0; s < c->n; s++) {
		const double *a = ps_cache_columns_a(c, s);
		double x = c->x[s];
		for (int i = 0; x > 0 && i < rows; i++)
			ret_v[i] += x * a[i];
	}
}

/* ---- the plan ---- */

/* Returns the words of the first configuration, which those of the others follow; NULL: no memory.
 */
static uint64_t *plan_allocate(struct ps_cache_plan *p, int words)
{
	size_t tenants = (size_t)p->tenants + 1, n = (size_t)p->n;
	size_t reals = 3 * tenants * sizeof(double), configs = n * sizeof(*p->config);
	char *block = calloc(1, configs + reals + n * (size_t)words * sizeof(uint64_t));

	if (!block)
		return NULL;
	p->block = block;
	p->config = (void *)block;
	p->utility = (void *)(block + configs);
	p->best = p->utility + tenants;
	p->entitled = p->best + tenants;
	uint64_t *has = (void *)(block + configs + reals);
	for (size_t i = 0; i < n; i++)
		p->config[i].has = has + i * (size_t)words;
	return has;
}

static void plan_values(const struct ps_cache_columns *c, double sum, struct ps_cache_plan *p)
{
	const struct ps_cache_game *g = c->g;

	for (int i = 0; i < p->tenants; i++)
		p->best[i] = g->best[i];
	for (int r = 0; r < g->n; r++) {
		double v = sum > 0 ? 0 : g->base[r];
		for (int s = 0; s < c->n; s++)
			if (c->x[s] > 0)
				v += c->x[s] / sum * ps_cache_columns_a(c, s)[r];
		p->utility[g->who[r]] = v * g->best[g->who[r]];
		p->entitled[g->who[r]] = g->w[r] / g->sum * g->best[g->who[r]];
	}
}

/* The largest share first; equal ones in the order of their items. */
static int by_share(const void *a, const void *b)
{
	const struct ps_cache_config *x = a, *y = b;

	if (x->share != y->share)
		return x->share > y->share ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->has[0] < y->has[0] ? -1 : x->has[0] > y->has[0];
}

enum ps_status ps_cache_columns_plan(const struct ps_cache_columns *c,
				     struct ps_cache_plan *ret_plan, struct ps_error *err)
{
	const struct ps_cache_game *g = c->g;
	size_t bytes = (size_t)g->words * sizeof(uint64_t);
	struct ps_cache_plan p = {.tenants = g->p->tenants, .items = g->p->items};
	double sum = 0;
	int n = 0;

	for (int s = 0; s < c->n; s++) {
		p.n += c->x[s] > 0;
		sum += c->x[s] > 0 ? c->x[s] : 0;
	}
	p.n = p.n > 0 ? p.n : 1;
	if (!plan_allocate(&p, g->words))
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan of models");
	plan_values(c, sum, &p);
	for (int s = 0; s < c->n; s++) {
		if (!(c->x[s] > 0))
			continue;
		p.config[n].share = c->x[s] / sum;
		memcpy(p.config[n++].has, ps_cache_columns_has(c, s), bytes);
	}
	if (n == 0) {
		p.config[0].share = 1;
		memcpy(p.config[0].has, g->forced, bytes);
	}
	for (int i = 0; i < p.n; i++)
		p.config[i].bytes = ps_cache_bytes(g->p, p.config[i].has);
	qsort(p.config, (size_t)p.n, sizeof(*p.config), by_share);
	p.priced = g->priced;
	p.best_error = g->best_error;
	*ret_plan = p;
	return PS_OK;
}

enum ps_status ps_cache_plan_copy(const struct ps_cache_plan *p, struct ps_cache_plan *ret_plan,
				  struct ps_error *err)
{
	struct ps_cache_plan copy = *p;
	size_t words = (size_t)ps_cache_words(p->items), tenants = (size_t)p->tenants;

	uint64_t *has = plan_allocate(&copy, (int)words);
	if (!has)
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan of models");
	for (int i = 0; i < p->n; i++) {
		copy.config[i].share = p->config[i].share;
		copy.config[i].bytes = p->config[i].bytes;
		memcpy(has + (size_t)i * words, p->config[i].has, words * sizeof(*has));
	}
	memcpy(copy.utility, p->utility, tenants * sizeof(double));
	memcpy(copy.best, p->best, tenants * sizeof(double));
	memcpy(copy.entitled, p->entitled, tenants * sizeof(double));
	*ret_plan = copy;
	return PS_OK;
}

void ps_cache_plan_free(struct ps_cache_plan *p)
{
	free(p->block);
	*p = (struct ps_cache_plan){0};
}
