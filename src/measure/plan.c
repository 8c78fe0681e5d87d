#include "measure/measure_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* The time of the short example, which must stay under five minutes (two tenants: three sets):
 *
 *	search, per set		server 1 + closed loop 0.5 + 4 + 4 steps of 0.5 + 8 + 1 check of
 *				0.5 + 8, each with 0.3 s for the last answers	= 49.8 s
 *	confirm, per block	3 sets of server 1 + 0.5 + 8 + 0.3		= 29.4 s
 *	in all			3 x 49.8 + 4 x 29.4				= 267 s
 */

struct planner {
	const struct ps_measure_campaign *c;
	struct ps_arena *a;
	struct ps_store_set *sets;
	struct ps_store_cell *cells;
	int set_len, cell_len, cell_cap;
	bool no_memory;
};

int64_t ps_measure_timeout_ns(const struct ps_measure_campaign *c)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	int64_t ns = 2 * PS_NS_PER_SEC;
	if (c->timeout_ns > 0) {
		return c->timeout_ns;
	}
	for (size_t i = 0; i < c->tenants.len; i++) {
		ns = t[i].sla.limit_ns * 10 > ns ? t[i].sla.limit_ns * 10 : ns;
	}
	return ns;
}

int64_t ps_measure_cell_ns(const struct ps_measure_campaign *c, enum ps_store_cell_kind kind)
{
	const struct ps_measure_search *s = &c->search;
	if (kind != PS_STORE_SEARCH) {
		return PS_MEASURE_SERVER_NS + c->confirm.warmup_ns + c->confirm.duration_ns +
		       PS_MEASURE_DRAIN_NS;
	}
	int64_t step = s->warmup_ns + s->step_ns + PS_MEASURE_DRAIN_NS;
	return PS_MEASURE_SERVER_NS + PS_MEASURE_SCALE_WARMUP_NS + s->scale_ns +
	       PS_MEASURE_DRAIN_NS + step * (s->steps + s->checks);
}

static char *name_of(struct planner *p, const char *fmt, int block, const char *name)
{
	char buf[256];
	int n = block < 0 ? snprintf(buf, sizeof(buf), fmt, name)
			  : snprintf(buf, sizeof(buf), fmt, block, name);
	char *copy = ps_arena_strndup(p->a, buf, n > 0 ? (size_t)n : 0);
	p->no_memory = p->no_memory || !copy;
	return copy;
}

static void add_set(struct planner *p, const char *name, const int *members, int n)
{
	int *copy = ps_arena_alloc(p->a, sizeof(*copy) * (size_t)n);
	char *text = ps_arena_strndup(p->a, name, strlen(name));
	if (!copy || !text || p->set_len == PS_MEASURE_MAX_SETS) {
		p->no_memory = true;
		return;
	}
	memcpy(copy, members, sizeof(*copy) * (size_t)n);
	p->sets[p->set_len++] = (struct ps_store_set){text, copy, n};
}

static void add_pairs(struct planner *p)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	int n = (int)p->c->tenants.len;
	for (int i = 0; i < n; i++) {
		for (int j = i + 1; j < n && !p->no_memory; j++) {
			char name[128];
			int members[] = {i, j};
			(void)snprintf(name, sizeof(name), "%s+%s", t[i].name, t[j].name);
			add_set(p, name, members, 2);
		}
	}
}

static void add_named(struct planner *p, const struct ps_measure_set *s)
{
	int members[PS_MEASURE_MAX_MEMBERS], n = 0;
	/* rising, as the store wants them */
	for (int t = 0; t < (int)p->c->tenants.len; t++) {
		for (size_t k = 0; k < s->tenants.len; k++) {
			if (ps_measure_find_tenant(p->c, s->tenants.items[k]) == t) {
				members[n++] = t;
			}
		}
	}
	add_set(p, s->name, members, n);
}

static void add_sets(struct planner *p)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	const struct ps_measure_set *s = p->c->sets.items;
	int n = (int)p->c->tenants.len, all[PS_MEASURE_MAX_TENANTS];
	for (int i = 0; i < n; i++) {
		all[i] = i;
		add_set(p, t[i].name, &i, 1);
	}
	if (p->c->together == PS_MEASURE_TOGETHER_ALL && n > 1) {
		add_set(p, "together", all, n);
	} else if (p->c->together == PS_MEASURE_TOGETHER_PAIRS) {
		add_pairs(p);
	}
	for (size_t i = 0; i < p->c->sets.len; i++) {
		add_named(p, &s[i]);
	}
}

static enum ps_status check_sets(const struct planner *p, struct ps_error *err)
{
	for (int i = 0; i < p->set_len; i++) {
		const struct ps_store_set *x = &p->sets[i];
		for (int j = 0; j < i; j++) {
			const struct ps_store_set *y = &p->sets[j];
			bool same = x->member_len == y->member_len &&
				    memcmp(x->members, y->members,
					   sizeof(int) * (size_t)x->member_len) == 0;
			if (same || strcmp(x->name, y->name) == 0) {
				ps_error_set(err, PS_EPARSE,
					     same ? "sets \"%s\" and \"%s\" have the same tenants"
						  : "two sets have one name: \"%s\", \"%s\"",
					     y->name, x->name);
				ps_error_where(err, "%.100s:sets", p->c->path);
				ps_error_hint(err, "together and every tenant alone are sets too");
				return PS_EPARSE;
			}
		}
	}
	return PS_OK;
}

static void add_cell(struct planner *p, enum ps_store_cell_kind kind, const char *key, int set,
		     int block, int position)
{
	p->cells[p->cell_len++] = (struct ps_store_cell){
		.key = key, .kind = kind, .set = set, .block = block, .position = position};
}

static void add_blocks(struct planner *p, enum ps_store_cell_kind kind, const char *fmt, int blocks)
{
	int order[PS_MEASURE_MAX_SETS];
	for (int b = 0; b < blocks; b++) {
		ps_trial_block_order((uint64_t)p->c->seed, b, p->set_len, order);
		for (int i = 0; i < p->set_len; i++) {
			add_cell(p, kind, name_of(p, fmt, b, p->sets[order[i]].name), order[i], b,
				 i);
		}
	}
}

static enum ps_status out_of_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM,
			    "the campaign has too many sets, or there is no memory");
}

static void fill_tenants(const struct ps_measure_campaign *c, struct ps_store_tenant *tenants)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		tenants[i] =
			(struct ps_store_tenant){t[i].name, t[i].model, t[i].demand_rps, t[i].sla};
	}
}

enum ps_status ps_measure_plan(const struct ps_measure_campaign *c, struct ps_arena *a,
			       struct ps_store_campaign *ret_plan, struct ps_error *err)
{
	struct planner p = {.c = c, .a = a};
	int blocks = (int)(c->confirm.trials + c->confirm.at_capacity);
	struct ps_store_tenant *tenants = ps_arena_zalloc(a, sizeof(*tenants) * c->tenants.len);
	p.sets = ps_arena_zalloc(a, sizeof(*p.sets) * PS_MEASURE_MAX_SETS);
	if (!p.sets || !tenants) {
		return out_of_memory(err);
	}
	add_sets(&p);
	enum ps_status st = p.no_memory ? out_of_memory(err) : check_sets(&p, err);
	if (st != PS_OK) {
		return st;
	}
	p.cells = ps_arena_zalloc(a, sizeof(*p.cells) * (size_t)p.set_len * (size_t)(1 + blocks));
	if (!p.cells) {
		return out_of_memory(err);
	}
	/* sets of one come first, so the rays of the others are known in time */
	for (int i = 0; i < p.set_len; i++) {
		add_cell(&p, PS_STORE_SEARCH, name_of(&p, "search/%s", -1, p.sets[i].name), i, -1,
			 i);
	}
	add_blocks(&p, PS_STORE_CONFIRM, "confirm/%d/%s", (int)c->confirm.trials);
	add_blocks(&p, PS_STORE_CAPACITY, "capacity/%d/%s", (int)c->confirm.at_capacity);
	if (p.no_memory) {
		return out_of_memory(err);
	}
	fill_tenants(c, tenants);
	*ret_plan = (struct ps_store_campaign){
		.name = c->name,
		.file_path = c->path,
		.file_text = c->text,
		.seed = (uint64_t)c->seed,
		.tenants = tenants,
		.tenant_len = c->tenants.len,
		.sets = p.sets,
		.set_len = (size_t)p.set_len,
		.cells = p.cells,
		.cell_len = (size_t)p.cell_len,
	};
	return PS_OK;
}

int64_t ps_measure_duration_ns(const struct ps_measure_campaign *c)
{
	struct ps_arena a;
	struct ps_store_campaign plan = {0};
	int64_t sum = 0;
	ps_arena_init(&a, 0);
	if (ps_measure_plan(c, &a, &plan, NULL) == PS_OK) {
		for (size_t i = 0; i < plan.cell_len; i++) {
			sum += ps_measure_cell_ns(c, plan.cells[i].kind);
		}
	}
	ps_arena_fini(&a);
	return c->stop.max_time_ns > 0 && sum > c->stop.max_time_ns ? c->stop.max_time_ns : sum;
}
