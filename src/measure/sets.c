/* sets.c - the sets of tenants that a campaign measures together. */
#include "measure/plan_internal.h"

#include <stdio.h>
#include <string.h>

static bool same_members(const struct ps_store_set *x, const int *members, int n)
{
	return x->member_len == n && memcmp(x->members, members, sizeof(int) * (size_t)n) == 0;
}

static int find_set(const struct ps_measure_planner *p, const int *members, int n)
{
	for (int i = 0; i < p->set_len; i++) {
		if (same_members(&p->sets[i], members, n)) {
			return i;
		}
	}
	return -1;
}

static void add_set(struct ps_measure_planner *p, const char *name, const int *members, int n,
		    bool in_matrix)
{
	if (p->set_len == PS_MEASURE_MAX_SETS) {
		p->too_many_sets = true;
		return;
	}
	int *copy = ps_arena_alloc(p->a, sizeof(*copy) * (size_t)n);
	char *text = ps_arena_strndup(p->a, name, strlen(name));
	if (!copy || !text) {
		p->no_memory = true;
		return;
	}
	memcpy(copy, members, sizeof(*copy) * (size_t)n);
	p->in_matrix[p->set_len] = in_matrix;
	p->sets[p->set_len++] = (struct ps_store_set){text, copy, n};
}

/* "a+b+c", cut where it gets too long. */
static void joined_name(const struct ps_measure_planner *p, const int *members, int n, char *buf,
			size_t size)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	size_t at = 0;
	buf[0] = '\0';
	for (int i = 0; i < n && at < size; i++) {
		int k = snprintf(buf + at, size - at, "%s%s", i ? "+" : "", t[members[i]].name);
		at += k > 0 ? (size_t)k : 0;
	}
}

/* Every set of k tenants, in the order of their places; those that are there already are not added
 * again. */
static void add_subsets(struct ps_measure_planner *p, int k)
{
	int n = (int)p->c->tenants.len, members[PS_MEASURE_MAX_SUBSET];
	if (k > n || k > PS_MEASURE_MAX_SUBSET) {
		return;
	}
	for (int i = 0; i < k; i++) {
		members[i] = i;
	}
	for (;;) {
		char name[PS_MEASURE_MAX_SUBSET * 50];
		joined_name(p, members, k, name, sizeof(name));
		if (find_set(p, members, k) < 0) {
			add_set(p, name, members, k, true);
		}
		int at = k - 1;
		while (at >= 0 && members[at] == n - k + at) {
			at--;
		}
		if (at < 0 || p->no_memory || p->too_many_sets) {
			return;
		}
		members[at]++;
		for (int i = at + 1; i < k; i++) {
			members[i] = members[i - 1] + 1;
		}
	}
}

/* The places of named tenants, rising, as the store wants them. */
static int places(const struct ps_measure_planner *p, const struct ps_conf_texts *names,
		  int members[PS_MEASURE_MAX_MEMBERS])
{
	int n = 0;
	for (int t = 0; t < (int)p->c->tenants.len; t++) {
		for (size_t k = 0; k < names->len; k++) {
			if (ps_measure_find_tenant(p->c, names->items[k]) == t) {
				members[n++] = t;
			}
		}
	}
	return n;
}

/* A set that a grid or a frontier needs: one that is there, or one of its own, outside the matrix.
 */
static int needed_set(struct ps_measure_planner *p, const char *prefix, const char *name,
		      const int *members, int n)
{
	char text[80];
	int have = find_set(p, members, n);
	if (have >= 0) {
		return have;
	}
	(void)snprintf(text, sizeof(text), "%s:%s", prefix, name);
	add_set(p, text, members, n, false);
	return p->set_len - 1;
}

static void add_parts(struct ps_measure_planner *p)
{
	const struct ps_measure_grid *g = p->c->grids.items;
	const struct ps_measure_frontier *f = p->c->frontiers.items;
	const struct ps_measure_packing *k = p->c->packings.items;
	int members[PS_MEASURE_MAX_MEMBERS];
	for (size_t i = 0; i < p->c->grids.len; i++) {
		const struct ps_measure_axis *axes = g[i].axes.items;
		int n = 0;
		for (int t = 0; t < (int)p->c->tenants.len; t++) {
			for (size_t x = 0; x < g[i].axes.len; x++) {
				if (ps_measure_find_tenant(p->c, axes[x].tenant) == t) {
					members[n++] = t;
				}
			}
		}
		p->grid_sets[i] = needed_set(p, "grid", g[i].name, members, n);
	}
	for (size_t i = 0; i < p->c->frontiers.len; i++) {
		int n = places(p, &f[i].tenants, members);
		p->frontier_sets[i] = needed_set(p, "frontier", f[i].name, members, n);
	}
	for (size_t i = 0; i < p->c->packings.len; i++) {
		/* sets of one come first, in the order of the tenants */
		p->packing_sets[i] = ps_measure_find_tenant(p->c, k[i].tenant);
	}
}

/* A set is of `sets`, or else together or a subset made it. */
static void put_where(const struct ps_measure_planner *p, const char *name, struct ps_error *err)
{
	const struct ps_measure_set *s = p->c->sets.items;
	for (size_t i = 0; i < p->c->sets.len; i++) {
		if (strcmp(s[i].name, name) == 0) {
			ps_error_where(err, "%.100s:%d:sets", p->c->path, s[i].where.line);
			return;
		}
	}
	ps_measure_at(p->c, p->c->subsets > 1 ? "subsets" : "together", err);
}

static enum ps_status check_sets(const struct ps_measure_planner *p, struct ps_error *err)
{
	for (int i = 0; i < p->set_len; i++) {
		const struct ps_store_set *x = &p->sets[i];
		for (int j = 0; j < i; j++) {
			const struct ps_store_set *y = &p->sets[j];
			bool same = same_members(x, y->members, y->member_len);
			if (same || strcmp(x->name, y->name) == 0) {
				ps_error_set(err, PS_EPARSE,
					     same ? "sets \"%s\" and \"%s\" have the same tenants"
						  : "two sets have one name: \"%s\", \"%s\"",
					     y->name, x->name);
				put_where(p, x->name, err);
				ps_error_hint(err, "together and every tenant alone are sets too");
				return PS_EPARSE;
			}
		}
	}
	return PS_OK;
}

enum ps_status ps_measure_plan_sets(struct ps_measure_planner *p, struct ps_error *err)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	const struct ps_measure_set *s = p->c->sets.items;
	int n = (int)p->c->tenants.len, members[PS_MEASURE_MAX_TENANTS];
	for (int i = 0; i < n; i++) {
		members[i] = i;
		add_set(p, t[i].name, &i, 1, true);
	}
	if (p->c->together == PS_MEASURE_TOGETHER_ALL && n > 1) {
		add_set(p, "together", members, n, true);
	} else if (p->c->together == PS_MEASURE_TOGETHER_PAIRS) {
		add_subsets(p, 2);
	}
	if (p->c->subsets > 1) {
		add_subsets(p, (int)p->c->subsets);
	}
	for (size_t i = 0; i < p->c->sets.len; i++) {
		int named = places(p, &s[i].tenants, members);
		add_set(p, s[i].name, members, named, true);
	}
	add_parts(p);
	if (p->too_many_sets) {
		ps_error_set(err, PS_EPARSE, "the campaign has over %d sets of tenants",
			     PS_MEASURE_MAX_SETS);
		ps_measure_at(p->c, p->c->subsets > 1 ? "subsets" : "sets", err);
		return PS_EPARSE;
	}
	return check_sets(p, err);
}
