/* explore.c - tries every map, and finds those that no other beats. */
#include "spatial/spatial.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_ROWS 8 /* of x * W: fewer share too little */

struct search {
	const struct ps_spatial_machine *m;
	const struct ps_spatial_layer *l;
	struct ps_spatial_points *points;
	size_t room;
	bool no_memory;
};

static void keep(struct search *s, const struct ps_spatial_point *point)
{
	struct ps_spatial_points *p = s->points;

	if (p->len == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		void *more = realloc(p->items, room * sizeof *p->items);
		if (!more) {
			s->no_memory = true;
			return;
		}
		p->items = more;
		s->room = room;
	}
	p->items[p->len++] = *point;
}

static enum ps_spatial_limit try(struct search *s, const struct ps_spatial_map *map)
{
	struct ps_spatial_point point = {.map = *map};
	enum ps_spatial_limit limit = ps_spatial_cost(s->m, s->l, map, &point.cost);

	s->points->tried++;
	s->points->without_units += limit == PS_SPATIAL_UNITS;
	s->points->without_memory += limit == PS_SPATIAL_MEMORIES;
	if (limit == PS_SPATIAL_FITS && !s->no_memory)
		keep(s, &point);
	return limit;
}

/* More units per sum never need fewer units, so that the first that is too many ends a row. */
static void array_sums(struct search *s, struct ps_spatial_map map)
{
	int64_t k = s->l->inputs + s->l->hidden;

	for (map.reduce = 1; (map.reduce - 1) * map.width < k; map.reduce++) {
		if (try(s, &map) == PS_SPATIAL_UNITS)
			return;
	}
}

static void array_maps(struct search *s, enum ps_spatial_precision precision)
{
	int64_t widest = s->m->lanes * s->m->rates[precision].pack;
	struct ps_spatial_map map = {.precision = precision};

	for (map.owners = 1; map.owners <= s->l->hidden && map.owners <= s->m->units;
	     map.owners++) {
		for (map.width = 1; map.width < widest; map.width *= 2)
			array_sums(s, map);
		map.width = widest;
		array_sums(s, map);
	}
}

static void core_maps(struct search *s, enum ps_spatial_precision precision)
{
	int64_t blocks = (s->l->hidden + s->m->block - 1) / s->m->block;
	int64_t all = s->l->steps * s->l->batch;
	struct ps_spatial_map map = {.precision = precision, .reduce = 1};

	map.width = s->m->rates[precision].pack;
	for (map.owners = 1; map.owners <= blocks && map.owners <= s->m->units; map.owners++) {
		for (int way = 0; way < 2; way++) {
			map.alternate = way == 1;
			for (map.rows = LEAST_ROWS; map.rows < all; map.rows *= 2)
				try(s, &map);
			map.rows = all;
			try(s, &map);
		}
	}
}

static int order(double a, double b)
{
	return a < b ? -1 : a > b;
}

static int by_goodness(const void *a, const void *b)
{
	const struct ps_spatial_point *x = a, *y = b;
	int first[] = {order(x->map.precision, y->map.precision),
		       order(x->cost.latency_s, y->cost.latency_s),
		       order((double)x->cost.units, (double)y->cost.units),
		       order((double)x->cost.memories, (double)y->cost.memories),
		       order((double)x->cost.weight_bytes, (double)y->cost.weight_bytes),
		       order((double)x->map.owners, (double)y->map.owners),
		       order((double)x->map.reduce, (double)y->map.reduce),
		       order((double)x->map.rows, (double)y->map.rows),
		       order(x->map.alternate, y->map.alternate)};

	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		if (first[i])
			return first[i];
	}
	return 0;
}

/* Memory that counts: units of it on an array, bytes elsewhere. */
static int64_t memory_of(const struct ps_spatial_cost *c)
{
	return c->memories > 0 ? c->memories : c->weight_bytes;
}

/* In the order of by_goodness a point can be beaten only by one before it; and of points that are
 * equal in all three the first one stands for all. */
static bool is_beaten(const struct ps_spatial_points *p, const size_t *front, size_t n, size_t i)
{
	const struct ps_spatial_cost *c = &p->items[i].cost;

	for (size_t j = 0; j < n; j++) {
		const struct ps_spatial_point *other = &p->items[front[j]];
		if (other->map.precision == p->items[i].map.precision &&
		    other->cost.units <= c->units && memory_of(&other->cost) <= memory_of(c))
			return true;
	}
	return false;
}

static bool mark_front(struct ps_spatial_points *p)
{
	size_t *front = malloc(p->len * sizeof *front), n = 0;

	if (!front)
		return false;
	qsort(p->items, p->len, sizeof *p->items, by_goodness);
	for (size_t i = 0; i < p->len; i++) {
		p->items[i].front = !is_beaten(p, front, n, i);
		if (p->items[i].front)
			front[n++] = i;
	}
	free(front);
	return true;
}

static enum ps_status nothing(const struct search *s, struct ps_error *err)
{
	const struct ps_spatial_points *p = s->points;

	if (p->tried == 0)
		ps_error_set(err, PS_EUNAVAIL, "%s has none of the precisions", s->m->name);
	else if (p->without_memory > 0)
		ps_error_set(err, PS_EUNAVAIL, "the weights do not fit into the memory of %s",
			     s->m->name);
	else
		ps_error_set(err, PS_EUNAVAIL, "%s has too few compute units", s->m->name);
	if (p->tried > 0)
		ps_error_hint(err, "a smaller layer, fewer bytes per weight, or a larger machine");
	return PS_EUNAVAIL;
}

enum ps_status ps_spatial_explore(const struct ps_spatial_machine *m,
				  const struct ps_spatial_layer *l, unsigned precisions,
				  struct ps_spatial_points *ret_points, struct ps_error *err)
{
	struct ps_spatial_points points = {};
	struct search s = {.m = m, .l = l, .points = &points};
	enum ps_status st = ps_spatial_layer_check(l, err);

	if (st != PS_OK)
		return st;
	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++) {
		if (!(precisions >> p & 1) || !m->rates[p].has)
			continue;
		if (m->kind == PS_SPATIAL_ARRAY)
			array_maps(&s, (enum ps_spatial_precision)p);
		else
			core_maps(&s, (enum ps_spatial_precision)p);
	}
	if (points.len == 0 && !s.no_memory)
		st = nothing(&s, err);
	else if (s.no_memory || !mark_front(&points))
		st = ps_error_set(err, PS_ENOMEM, "no memory for the points of an exploration");
	if (st != PS_OK) {
		free(points.items);
		return st;
	}
	*ret_points = points;
	return PS_OK;
}

void ps_spatial_points_fini(struct ps_spatial_points *p)
{
	free(p->items);
	*p = (struct ps_spatial_points){};
}

const struct ps_spatial_point *ps_spatial_best(const struct ps_spatial_points *p,
					       enum ps_spatial_precision precision)
{
	for (size_t i = 0; i < p->len; i++) {
		if (p->items[i].map.precision == precision)
			return &p->items[i];
	}
	return NULL;
}
