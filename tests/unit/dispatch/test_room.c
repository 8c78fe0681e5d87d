/* Who goes: sets of victims, guarantees on them, and what choosing them costs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define WORLD_MODELS 2001
#include "unit/dispatch/memory_world.h"

/* Tenant a has the first two models and `guarantee`, b the third; then b asks for a fourth one. */
struct set_case {
	const char *what;
	int64_t budget, guarantee, sizes[4];
	const char *stay; /* of the first three; "": b's request waits, and all of them stay */
};

static const struct set_case set_cases[] = {
	{"no guarantee: all go", 30, 0, {10, 10, 10, 25}, "---"},
	{"each of a's may go, both may not", 30, 10, {10, 10, 10, 25}, ""},
	{"b's own, and one of a's", 30, 10, {10, 10, 10, 20}, "-1-"},
	{"what b has suffices", 30, 20, {10, 10, 10, 10}, "01-"},
	{"the small one that is longest unused would keep the large one",
	 20,
	 5,
	 {5, 10, 5, 15},
	 "0--"},
	{"all of a's are guaranteed", 30, 20, {10, 10, 10, 11}, ""},
	{"more than a has", 30, 25, {10, 10, 10, 11}, ""},
};

static void guarantees_hold_for_the_set_of_victims(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof set_cases / sizeof *set_cases; i++) {
		const struct set_case *c = &set_cases[i];
		struct ps_dispatch_memory memory = budget(c->budget);
		struct ps_dispatch_request r;
		struct machine *m = calloc(1, sizeof *m);
		start_machine(m, &memory, c->guarantee, 0, 0);
		m->many = true;
		for (int k = 0; k < 4; k++)
			m->bytes[k] = c->sizes[k];
		have(m, A, 0);
		have(m, A, 1);
		have(m, B, 2);
		assert_int_equal(await(m, &r, B, 3, 0), PS_OK);
		for (int k = 0; k < 3; k++)
			if (is_there(m, k) != (!*c->stay || c->stay[k] != '-'))
				fail_msg("%s: m%d", c->what, k);
		while (m->n_closing > 0)
			end_unload(m);
		assert_int_equal(m->n_opening, *c->stay ? 1 : 0);
		ps_dispatch_cancel(m->d, &r, m->now);
		stop_machine(m);
		free(m);
	}
}

/* More came in than was forecast, and only what is guaranteed could go for it: it does not stay. */
static void who_needs_more_than_it_said_breaks_no_guarantee(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	struct ps_dispatch_request r;
	struct machine *m = calloc(1, sizeof *m);
	start_machine(m, &memory, 20, 0, 0);
	m->many = true;
	have(m, A, 0);
	have(m, A, 1);
	m->says[2] = 10;
	m->bytes[2] = 11;
	assert_int_equal(await(m, &r, B, 2, 0), PS_OK);
	end_load(m, PS_OK);
	assert_true(is_there(m, 0) && is_there(m, 1) && !is_there(m, 2));
	assert_int_equal(m->n_refused, 1);
	assert_string_equal(
		m->why.what,
		"model 'm2' failed to load: it holds 11 B where 10 B were expected, "
		"and what else is loaded is pinned, guaranteed to others or being used");
	assert_int_equal(used(m), 20);
	stop_machine(m);
	free(m);
}

/* A request that was told, and is there, lets its model go for who waits, without another event. */
static void who_has_come_lets_others_in(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(10);
	struct ps_dispatch_request a, b;
	struct machine *m = calloc(1, sizeof *m);
	start_machine(m, &memory, 0, 0, 0);
	m->many = true;
	assert_int_equal(await(m, &a, A, 0, 0), PS_OK);
	end_load(m, PS_OK);
	assert_int_equal(await(m, &b, B, 1, 0), PS_OK);
	assert_true(is_there(m, 0));
	assert_true(ps_dispatch_next_tick_ns(m->d) > m->now);
	ps_dispatch_resumed(m->d, A, m->models[0]);
	assert_int_equal(ps_dispatch_next_tick_ns(m->d), 0);
	assert_int_equal(ps_dispatch_tick(m->d, m->now).kind, PS_DISPATCH_LOADS);
	ps_dispatch_cancel(m->d, &b, m->now);
	stop_machine(m);
	free(m);
}

/* An idle tenant's demand is forgotten, its guarantee is not. */
static void a_guarantee_outlasts_a_long_silence(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(20);
	struct ps_dispatch_request r;
	struct machine *m = calloc(1, sizeof *m);
	start_machine(m, &memory, 10, 0, 0);
	m->many = true;
	have(m, A, 0);
	for (int epoch = 0; epoch < 40; epoch++) {
		m->now += 10 * SEC;
		take_ticks(m);
		is_there(m, 1) ? use(m, B, 1) : have(m, B, 1);
	}
	assert_int_equal(await(m, &r, B, 2, 0), PS_OK);
	assert_true(is_there(m, 0) && !is_there(m, 1));
	ps_dispatch_cancel(m->d, &r, m->now);
	m->bytes[3] = 20;
	assert_int_equal(await(m, &r, B, 3, 0), PS_OK);
	assert_true(is_there(m, 0));
	ps_dispatch_cancel(m->d, &r, m->now);
	stop_machine(m);
	free(m);
}

static int64_t steps(const struct machine *m)
{
	struct ps_dispatch_memory_view v;
	ps_dispatch_memory_view_get(m->d, &v);
	return v.steps;
}

/* Choosing among n models is n log n, however many of them go. */
static void choosing_among_many_models(void **state)
{
	(void)state;
	enum { N = MODELS - 1 };
	const int64_t n_log_n = (int64_t)N * 11;
	for (int guaranteed = 0; guaranteed < 2; guaranteed++) {
		struct ps_dispatch_memory memory = budget(N);
		struct ps_dispatch_request r;
		struct machine *m = calloc(1, sizeof *m);
		start_machine(m, &memory, guaranteed ? N / 4 : 0, 0, 0);
		m->many = true;
		for (int i = 0; i < N; i++) {
			m->bytes[i] = 1;
			have(m, i % 2, i);
		}
		m->bytes[N] = N / 2;
		int64_t before = steps(m);
		assert_int_equal(await(m, &r, B, N, 0), PS_OK);
		assert_int_equal(m->n_closing, N / 2);
		assert_in_range(steps(m) - before, N, 3 * n_log_n);
		while (m->n_closing > 0)
			ps_dispatch_unload_done(m->d, m->closing[--m->n_closing]);
		ps_dispatch_cancel(m->d, &r, m->now);
		stop_machine(m);
		free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guarantees_hold_for_the_set_of_victims),
		cmocka_unit_test(who_needs_more_than_it_said_breaks_no_guarantee),
		cmocka_unit_test(who_has_come_lets_others_in),
		cmocka_unit_test(a_guarantee_outlasts_a_long_silence),
		cmocka_unit_test(choosing_among_many_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
