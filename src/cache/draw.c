#include "cache/game_internal.h"
#include "cache/policy.h"

#include <math.h>
#include <stdlib.h>

int ps_cache_draw(const struct ps_cache_plan *p, double u)
{
	double sum = 0;

	for (int i = 0; i < p->n - 1; i++) {
		sum += p->config[i].share;
		if (u < sum)
			return i;
	}
	/* Shares that add up to a little less than 1 leave no gap at the end. */
	return p->n - 1;
}

/* A way from a configuration to another. */
struct way {
	double loads_s;
	int from, to;
};

static int by_loads(const void *a, const void *b)
{
	const struct way *x = a, *y = b;

	if (x->loads_s != y->loads_s)
		return x->loads_s < y->loads_s ? -1 : 1;
	return x->from != y->from ? x->from - y->from : x->to - y->to;
}

static double loads(const struct ps_cache_problem *p, const struct ps_cache_plan *before,
		    const uint64_t *from, const uint64_t *to)
{
	int words = ps_cache_words(p->items), known = ps_cache_words(before->items);
	double sum = 0;

	for (int w = 0; w < words; w++) {
		uint64_t bits = to[w] & ~(w < known ? from[w] : 0);
		for (; bits; bits &= bits - 1)
			sum += p->item[64 * w + __builtin_ctzll(bits)].load_s;
	}
	return sum;
}

static struct way *all_ways(const struct ps_cache_problem *p, const struct ps_cache_plan *before,
			    const struct ps_cache_plan *next)
{
	struct way *ways = malloc((size_t)before->n * (size_t)next->n * sizeof(*ways));
	size_t n = 0;

	for (int i = 0; ways && i < before->n; i++)
		for (int j = 0; j < next->n; j++)
			ways[n++] = (struct way){
				loads(p, before, before->config[i].has, next->config[j].has), i, j};
	if (ways)
		qsort(ways, n, sizeof(*ways), by_loads);
	return ways;
}

/* The chances of next's configurations, given the current one: the cheapest ways first, each as
 * wide as what is left at both ends. Row sums are before's shares, column sums next's. */
static void match(const struct way *ways, const struct ps_cache_plan *before,
		  const struct ps_cache_plan *next, int current, double *from, double *to,
		  double *ret_chance)
{
	for (int i = 0; i < before->n; i++)
		from[i] = before->config[i].share;
	for (int j = 0; j < next->n; j++) {
		to[j] = next->config[j].share;
		ret_chance[j] = 0;
	}
	for (size_t k = 0; k < (size_t)before->n * (size_t)next->n; k++) {
		double width = fmin(from[ways[k].from], to[ways[k].to]);
		from[ways[k].from] -= width;
		to[ways[k].to] -= width;
		if (ways[k].from == current)
			ret_chance[ways[k].to] += width;
	}
}

static int pick(const double *chance, int n, double u)
{
	double sum = 0;
	int last = 0;

	for (int j = 0; j < n; j++)
		sum += chance[j];
	u *= sum;
	for (int j = 0; j < n; j++) {
		if (!(chance[j] > 0))
			continue;
		last = j;
		u -= chance[j];
		if (u < 0)
			break;
	}
	return last;
}

enum ps_status ps_cache_draw_near(const struct ps_cache_problem *p,
				  const struct ps_cache_plan *before, int current,
				  const struct ps_cache_plan *next, double renew, const double u[2],
				  int *ret_index)
{
	if (!before || u[0] < renew) {
		*ret_index = ps_cache_draw(next, u[1]);
		return PS_OK;
	}
	size_t n = (size_t)before->n + 2 * (size_t)next->n;
	struct way *ways = all_ways(p, before, next);
	double *block = malloc(n * sizeof(*block));
	if (ways && block) {
		double *to = block + before->n, *chance = to + next->n;
		match(ways, before, next, current, block, to, chance);
		*ret_index = pick(chance, next->n, u[1]);
	}
	bool ok = ways && block;
	free(ways);
	free(block);
	return ok ? PS_OK : PS_ENOMEM;
}
