/* Between tenants: the fairness bound in virtual time, over random weights, costs, lanes and mixed
 * batches whose predicted costs are wrong; classes, their floor and their reserve. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/sched/world.h"

#include <math.h>
#include <stdio.h>

enum { TENANTS = 6, INSTANCES = 4, DEPTH = 24, SNAPSHOTS = 12, RUNS = 600 };

/* A world in which some tenants are always backlogged. */
struct backlog {
	struct world w;
	int n_tenants, n_instances;
	int64_t weights[TENANTS];
	enum ps_sched_class classes[TENANTS];
	bool mixed[TENANTS]; /* asks several instances */
	int64_t run_ns;	     /* of the run that begins */
	int pushed;
	double base_ns[INSTANCES], per_row_ns[INSTANCES];
	double noise;
	double served[TENANTS], largest[TENANTS];
	double then[SNAPSHOTS][TENANTS];
	int n_then;
	int64_t ended;
	double lane_ns[PS_SCHED_CLASSES];
};

static int64_t random_service(struct world *w, const struct ps_sched_run *run)
{
	struct backlog *b = w->ctx;
	double ns = b->base_ns[run->instance] + b->per_row_ns[run->instance] * (double)run->rows;
	double factor = exp((2 * ps_rng_uniform(&w->rng) - 1) * b->noise);
	return b->run_ns = (int64_t)(ns * factor) + 1;
}

static void top_up(struct backlog *b, int tenant)
{
	while (ps_sched_len(b->w.s, tenant) < DEPTH) {
		struct job *j = calloc(1, sizeof *j);
		ps_sched_item_init(&j->item);
		j->item.tenant = tenant;
		j->item.instance = tenant % b->n_instances;
		if (b->mixed[tenant])
			j->item.instance = (int)ps_rng_below(&b->w.rng, (uint64_t)b->n_instances);
		j->item.rows = 1 + (int64_t)ps_rng_below(&b->w.rng, 2);
		assert_int_equal(ps_sched_push(b->w.s, &j->item, b->w.now_ns), PS_OK);
		if (b->pushed++ % 5 == 0) /* what goes on inside a tenant is no other's business */
			ps_sched_put_off(b->w.s, &j->item);
	}
}

static void note_run(struct world *w, const struct ps_sched_run *run)
{
	struct backlog *b = w->ctx;
	double costs[TENANTS] = {0};
	for (const struct ps_sched_item *it = run->first; it; it = it->next) {
		costs[it->tenant] += (double)(b->run_ns * it->rows) / (double)run->rows;
		top_up(b, it->tenant);
	}
	for (int t = 0; t < b->n_tenants; t++)
		b->largest[t] = fmax(b->largest[t], costs[t]);
}

static void note_end(struct world *w, struct ps_sched_item *first, int64_t started_ns)
{
	struct backlog *b = w->ctx;
	double costs[TENANTS] = {0};
	(void)started_ns;
	for (struct ps_sched_item *it = first, *next; it; it = next) {
		next = it->next;
		costs[it->tenant] += it->charged_ns;
		b->lane_ns[b->classes[it->tenant]] += it->charged_ns;
		free(it); /* the first member of its job */
	}
	for (int t = 0; t < b->n_tenants; t++)
		b->served[t] += costs[t];
	b->ended++;
}

static void empty(struct backlog *b)
{
	/* Tenants that are not topped up any more. */
	b->w.began = NULL;
	while (world_next_ns(&b->w) != INT64_MAX)
		world_step(&b->w);
	assert_int_equal(ps_sched_len(b->w.s, -1), 0);
	assert_int_equal(ps_sched_running(b->w.s), 0);
	world_fini(&b->w);
}

/* The lane time that each tenant has received until now, of runs under way too. */
static void received(const struct backlog *b, double ret_ns[TENANTS])
{
	memcpy(ret_ns, b->served, sizeof b->served);
	for (int k = 0; k < b->w.n_lanes; k++) {
		const struct ps_sched_run *run = b->w.lanes[k].run;
		if (!run)
			continue;
		double per_row = (double)(b->w.now_ns - run->started_ns) / (double)run->rows;
		for (const struct ps_sched_item *it = run->first; it; it = it->next)
			ret_ns[it->tenant] += per_row * (double)it->rows;
	}
}

/* S_i/w_i - S_j/w_j since every snapshot, against lanes x (c_i/w_i + c_j/w_j); returns the largest
 * share of the bound that was used. */
static double worst(const struct backlog *b)
{
	double worst = 0, now[TENANTS];
	received(b, now);
	for (int k = 0; k < b->n_then; k++)
		for (int i = 0; i < b->n_tenants; i++)
			for (int j = 0; j < i; j++) {
				double wi = (double)b->weights[i], wj = (double)b->weights[j];
				double apart = fabs((now[i] - b->then[k][i]) / wi -
						    (now[j] - b->then[k][j]) / wj);
				double bound =
					b->w.n_lanes * (b->largest[i] / wi + b->largest[j] / wj);
				if (b->classes[i] == b->classes[j] && bound > 0)
					worst = fmax(worst, apart / bound);
			}
	return worst;
}

static void make_backlog(struct backlog *b, uint64_t seed)
{
	struct ps_rng r;
	ps_rng_init(&r, seed, 1);
	*b = (struct backlog){.n_tenants = 2 + (int)ps_rng_below(&r, TENANTS - 1),
			      .n_instances = 1 + (int)ps_rng_below(&r, INSTANCES)};
	struct ps_sched_options o = {.n_lanes = 1 + (int)ps_rng_below(&r, 8), .cpus = 1};
	world_init(&b->w, &o, seed);
	b->w.ctx = b;
	b->w.service = random_service;
	b->w.began = note_run;
	b->w.ended = note_end;
	b->noise = ps_rng_uniform(&r) * 1.5; /* up to 4.5 x either way */
	for (int i = 0; i < b->n_instances; i++) {
		b->base_ns[i] = exp(ps_rng_uniform(&r) * 5) * 1e6;
		b->per_row_ns[i] = ps_rng_uniform(&r) * b->base_ns[i];
		world_instance(&b->w, i, INT64_C(1) << ps_rng_below(&r, 5));
	}
	for (int t = 0; t < b->n_tenants; t++) {
		b->weights[t] = 1 + (int64_t)ps_rng_below(&r, 10);
		b->mixed[t] = ps_rng_below(&r, 2);
		world_tenant(&b->w, t, b->weights[t], PS_SCHED_GUARANTEED, 1000);
		top_up(b, t);
	}
}

static void bound_holds(void **state)
{
	(void)state;
	double most = 0;
	for (uint64_t seed = 1; seed <= 240; seed++) {
		struct backlog b;
		make_backlog(&b, seed);
		b.w.check = seed <= 8; /* it looks at everything */
		world_offer(&b.w);
		for (int n = 0; n < RUNS; n++) {
			if (n % (RUNS / SNAPSHOTS) == 0)
				received(&b, b.then[b.n_then++]);
			world_step(&b.w);
			double used = worst(&b);
			most = fmax(most, used);
			if (used > 1)
				fail_msg("seed %d, run %d: %.3f of the bound", (int)seed, n, used);
		}
		empty(&b);
	}
	print_message("at most %.2f of the bound\n", most);
	assert_true(most > 0.2); /* else nothing was tried */
}

/* ---- an idle tenant banks nothing ---------------------------------------------------------- */

static int64_t ten_ms(struct world *w, const struct ps_sched_run *run)
{
	(void)w;
	(void)run;
	return 10 * MS;
}

static struct backlog *plain(int n_lanes, int reserve, double floor)
{
	struct backlog *b = calloc(1, sizeof *b);
	struct ps_sched_options o = {.n_lanes = n_lanes,
				     .reserve_lanes = reserve,
				     .cpus = 1,
				     .best_effort_floor = floor};
	world_init(&b->w, &o, 1);
	b->w.ctx = b;
	b->w.service = ten_ms;
	b->w.began = note_run;
	b->w.ended = note_end;
	b->n_instances = 1;
	world_instance(&b->w, 0, 1);
	return b;
}

static void add_tenant(struct backlog *b, int64_t weight, enum ps_sched_class class)
{
	int t = b->n_tenants++;
	b->weights[t] = weight;
	b->classes[t] = class;
	world_tenant(&b->w, t, weight, class, 1000);
}

static void steps(struct backlog *b, int n)
{
	world_offer(&b->w);
	while (n-- > 0)
		world_step(&b->w);
}

static void finish_plain(struct backlog *b)
{
	empty(b);
	free(b);
}

static void idle_banks_nothing(void **state)
{
	(void)state;
	struct backlog *b = plain(2, 0, 0);
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	top_up(b, 0);
	steps(b, 500); /* alone: it has both lanes */
	assert_true(b->served[0] >= 490 * 10.0 * MS);
	double before = b->served[0];
	top_up(b, 1);
	steps(b, 200);
	assert_true(fabs(b->served[0] - before - b->served[1]) <= 2 * 20.0 * MS);
	finish_plain(b);
}

/* ---- weights and classes ------------------------------------------------------------------- */

static void weights_count(void **state)
{
	(void)state;
	struct backlog *b = plain(3, 0, 0);
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	add_tenant(b, 5, PS_SCHED_GUARANTEED);
	top_up(b, 0);
	top_up(b, 1);
	steps(b, 600);
	assert_true(fabs(b->served[1] / b->served[0] - 5) < 0.3);
	finish_plain(b);
}

static void guaranteed_goes_first(void **state)
{
	(void)state;
	struct backlog *b = plain(2, 0, 0);
	add_tenant(b, 1, PS_SCHED_BEST_EFFORT);
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	top_up(b, 0);
	top_up(b, 1);
	steps(b, 100);
	assert_true(b->served[0] == 0);
	finish_plain(b);
}

static void floor_is_kept(void **state)
{
	(void)state;
	static const double floors[] = {0.05, 0.2, 0.5};
	for (int k = 0; k < 3; k++) {
		struct backlog *b = plain(2, 0, floors[k]);
		add_tenant(b, 1, PS_SCHED_BEST_EFFORT);
		add_tenant(b, 3, PS_SCHED_GUARANTEED);
		top_up(b, 0);
		top_up(b, 1);
		steps(b, 1000);
		double share = b->served[0] / (b->served[0] + b->served[1]);
		assert_true(fabs(share - floors[k]) < 0.01);
		finish_plain(b);
	}
}

static void reserve_is_kept(void **state)
{
	(void)state;
	struct backlog *b = plain(3, 1, 0);
	add_tenant(b, 1, PS_SCHED_BEST_EFFORT);
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	top_up(b, 0);
	steps(b, 100);
	assert_int_equal(ps_sched_running(b->w.s), 2); /* one lane is never theirs */
	top_up(b, 1);
	world_offer(&b->w);
	assert_int_equal(ps_sched_running(b->w.s), 3);
	finish_plain(b);
}

/* ---- within a tenant ----------------------------------------------------------------------- */

static void level_deadline_arrival(void **state)
{
	(void)state;
	/* level, deadline in ms (0: none), in order of arrival; and the order in which they run. */
	static const struct {
		int level;
		int64_t deadline_ms;
		int place;
	} rows[] = {{0, 0, 5},	  {2, 5000, 7}, {1, 9000, 3}, {0, 8000, 2},
		    {1, 9000, 4}, {1, 7000, 1}, {0, 0, 6},    {2, 6000, 8}};
	enum { N = sizeof rows / sizeof *rows };
	struct backlog *b = plain(1, 0, 0);
	struct job jobs[N];
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	for (int k = 0; k < N; k++) {
		struct ps_sched_item *it = &jobs[k].item;
		ps_sched_item_init(it);
		it->tenant = it->instance = 0;
		it->level = rows[k].level;
		it->deadline_ns = rows[k].deadline_ms * MS;
		assert_int_equal(ps_sched_push(b->w.s, it, 0), PS_OK);
	}
	for (int place = 1; place <= N; place++) {
		const struct ps_sched_run *run = ps_sched_start(b->w.s, 0, b->w.now_ns);
		assert_non_null(run);
		int k = (int)((struct job *)run->first - jobs);
		assert_int_equal(rows[k].place, place);
		ps_sched_finish(b->w.s, 0, 0, MS, true);
	}
	world_fini(&b->w);
	free(b);
}

/* ---- what ends badly, limits, changes ------------------------------------------------------ */

static void failures_are_charged(void **state)
{
	(void)state;
	struct backlog *b = plain(1, 0, 0);
	struct job j;
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	ps_sched_item_init(&j.item);
	j.item.tenant = j.item.instance = 0;
	assert_int_equal(ps_sched_push(b->w.s, &j.item, 0), PS_OK);
	assert_non_null(ps_sched_start(b->w.s, 0, 0));
	ps_sched_finish(b->w.s, 0, 0, 7 * MS, false);
	assert_int_equal(ps_sched_cost_ns(b->w.s, 0), 7 * MS);
	assert_int_equal(ps_sched_service_ns(b->w.s, 0, 1, 1, 0.5), 0); /* nothing was learned */
	world_fini(&b->w);
	free(b);
}

static void limits_and_removal(void **state)
{
	(void)state;
	struct backlog *b = plain(1, 0, 0);
	struct job jobs[5];
	add_tenant(b, 1, PS_SCHED_GUARANTEED);
	world_tenant(&b->w, 0, 1, PS_SCHED_GUARANTEED, 4);
	for (int k = 0; k < 5; k++) {
		ps_sched_item_init(&jobs[k].item);
		jobs[k].item.tenant = jobs[k].item.instance = 0;
		assert_int_equal(ps_sched_push(b->w.s, &jobs[k].item, k),
				 k < 4 ? PS_OK : PS_EQUOTA);
	}
	assert_false(ps_sched_queued(&jobs[4].item));
	for (int k = 0; k < 4; k += 2)
		ps_sched_remove(b->w.s, &jobs[k].item, 5);
	assert_true(ps_sched_check(b->w.s));
	assert_int_equal(ps_sched_len(b->w.s, 0), 2);
	assert_ptr_equal(ps_sched_start(b->w.s, 0, 9)->first, &jobs[1].item);
	ps_sched_finish(b->w.s, 0, 9, 10, true);
	ps_sched_remove(b->w.s, &jobs[3].item, 10);
	assert_null(ps_sched_start(b->w.s, 0, 11));
	assert_true(ps_sched_check(b->w.s));
	world_fini(&b->w);
	free(b);
}

static void class_changes_while_waiting(void **state)
{
	(void)state;
	struct backlog *b = plain(2, 1, 0);
	add_tenant(b, 1, PS_SCHED_BEST_EFFORT);
	top_up(b, 0);
	steps(b, 20);
	assert_int_equal(ps_sched_running(b->w.s), 1);
	world_tenant(&b->w, 0, 2, PS_SCHED_GUARANTEED, 1000);
	b->classes[0] = PS_SCHED_GUARANTEED;
	assert_true(ps_sched_check(b->w.s));
	world_offer(&b->w);
	assert_int_equal(ps_sched_running(b->w.s), 2);
	steps(b, 20);
	finish_plain(b);
}

static void bad_values(void **state)
{
	(void)state;
	static const struct ps_sched_options bad[] = {
		{.n_lanes = 0, .cpus = 1},
		{.n_lanes = PS_SCHED_MAX_LANES + 1, .cpus = 1},
		{.n_lanes = 2, .cpus = 1, .reserve_lanes = 2},
		{.n_lanes = 2, .cpus = 0},
		{.n_lanes = 2, .cpus = 1, .best_effort_floor = 0.6},
	};
	struct ps_sched *s = NULL;
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		assert_int_equal(ps_sched_new(&bad[k], &s), PS_EINVAL);
	struct ps_sched_options good = {.n_lanes = 1, .cpus = 1};
	assert_int_equal(ps_sched_new(&good, &s), PS_OK);
	struct ps_sched_tenant t = {.weight = 0, .queue_limit = 1};
	assert_int_equal(ps_sched_set_tenant(s, 0, &t), PS_EINVAL);
	t.weight = 1;
	assert_int_equal(ps_sched_set_tenant(s, PS_SCHED_MAX_TENANTS, &t), PS_EINVAL);
	ps_sched_free(s);
	ps_sched_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_holds),
		cmocka_unit_test(idle_banks_nothing),
		cmocka_unit_test(weights_count),
		cmocka_unit_test(guaranteed_goes_first),
		cmocka_unit_test(floor_is_kept),
		cmocka_unit_test(reserve_is_kept),
		cmocka_unit_test(level_deadline_arrival),
		cmocka_unit_test(failures_are_charged),
		cmocka_unit_test(limits_and_removal),
		cmocka_unit_test(class_changes_while_waiting),
		cmocka_unit_test(bad_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
