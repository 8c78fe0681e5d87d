/* The knapsack: by hand, against every set, and cut searches against their stated error. */
#include "cache/knapsack_internal.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MOST = 16 };

static void test_by_hand(void **state)
{
	static const struct {
		int n;
		double value[5];
		int64_t bytes[5], room;
		double best;
		unsigned set;
	} rows[] = {
		{0, {0}, {0}, 10, 0, 0},
		{1, {3}, {4}, 3, 0, 0},
		{1, {3}, {4}, 4, 3, 1},
		/* The densest item is not in the best set. */
		{3, {60, 100, 120}, {10, 20, 30}, 50, 220, 6},
		{3, {6, 5, 5}, {6, 5, 5}, 10, 10, 6},
		/* What is worth nothing stays out, what takes nothing is in. */
		{4, {0, 1, 7, -2}, {1, 0, 5, 1}, 5, 8, 6},
		{5, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, 0, 0, 0},
		{3, {1e-9, 1e9, 1}, {1, 1, 1}, 2, 1e9 + 1, 6},
	};
	struct ps_cache_sack k;
	bool take[5];

	(void)state;
	assert_true(ps_cache_sack_init(&k, 5));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct ps_cache_sack_problem p = {.n = rows[i].n,
							.value = rows[i].value,
							.bytes = rows[i].bytes,
							.room = rows[i].room};
		unsigned set = 0;
		double bound, found = ps_cache_sack_solve(&k, &p, take, &bound);
		for (int j = 0; j < rows[i].n; j++)
			set |= take[j] ? 1U << j : 0;
		if (fabs(found - rows[i].best) > 1e-9 || set != rows[i].set ||
		    bound < rows[i].best || bound > rows[i].best * (1 + 1e-12) + 1e-12)
			fail_msg("row %zu: %g of %g, set %x, bound %g", i, found, rows[i].best, set,
				 bound);
	}
	ps_cache_sack_fini(&k);
}

/* kind 0: anything; 1: value as bytes, the hard ones; 2: few values and sizes, many ties. */
static void draw(struct ps_rng *r, int kind, int n, double *value, int64_t *bytes,
		 int64_t *ret_room)
{
	int64_t all = 0;

	for (int i = 0; i < n; i++) {
		bytes[i] = kind == 2 ? 1 + (int64_t)ps_rng_below(r, 3)
				     : (int64_t)ps_rng_below(r, 1000);
		value[i] = kind == 1   ? (double)bytes[i]
			   : kind == 2 ? (double)ps_rng_below(r, 3)
				       : ps_rng_uniform(r);
		all += bytes[i];
	}
	*ret_room = (int64_t)ps_rng_below(r, (uint64_t)all + 1);
}

static double every_set(int n, const double *value, const int64_t *bytes, int64_t room)
{
	double best = 0;

	for (unsigned s = 0; s < 1U << n; s++) {
		double sum = 0;
		int64_t used = 0;
		for (int i = 0; i < n; i++)
			if (s >> i & 1) {
				sum += value[i];
				used += bytes[i];
			}
		if (used <= room)
			best = fmax(best, sum);
	}
	return best;
}

static void check(const struct ps_cache_sack_problem *p, const bool *take, double value)
{
	double sum = 0;
	int64_t used = 0;

	for (int i = 0; i < p->n; i++)
		if (take[i]) {
			sum += p->value[i];
			used += p->bytes[i];
		}
	assert_true(used <= p->room);
	assert_true(fabs(sum - value) <= 1e-9 * (1 + sum));
}

static void test_against_every_set(void **state)
{
	struct ps_cache_sack k;
	struct ps_rng r;

	(void)state;
	assert_true(ps_cache_sack_init(&k, MOST));
	ps_rng_init(&r, 1, 1);
	for (int c = 0; c < 1500; c++) {
		double value[MOST], bound;
		int64_t bytes[MOST];
		bool take[MOST];
		struct ps_cache_sack_problem p = {
			.n = 1 + (int)ps_rng_below(&r, 10), .value = value, .bytes = bytes};
		draw(&r, c % 3, p.n, value, bytes, &p.room);
		double best = every_set(p.n, value, bytes, p.room);
		double found = ps_cache_sack_solve(&k, &p, take, &bound);
		check(&p, take, found);
		if (fabs(found - best) > 1e-9 || bound < best * (1 - 1e-12))
			fail_msg("case %d: %g, bound %g, but %g is the best", c, found, bound,
				 best);
		/* Cut at once: the lists answer, whole ones exactly. */
		p.nodes = 1;
		found = ps_cache_sack_solve(&k, &p, take, &bound);
		check(&p, take, found);
		if (fabs(found - best) > 1e-9 || bound < best * (1 - 1e-12))
			fail_msg("case %d: lists give %g, bound %g, but %g is the best", c, found,
				 bound, best);
		/* Thinned: within their own error, and the bound says the truth. */
		p.states = 2 + c % 7;
		found = ps_cache_sack_solve(&k, &p, take, &bound);
		check(&p, take, found);
		if (found > best + 1e-9 || bound < best - 1e-9)
			fail_msg("case %d: thinned lists give %g, bound %g, but %g is the best", c,
				 found, bound, best);
	}
	ps_cache_sack_fini(&k);
}

/* A search that is cut says how far it may be off, and the lists take it nearer. */
static void test_a_cut_search_is_honest(void **state)
{
	enum { N = 60 };
	struct ps_cache_sack k;
	struct ps_rng r;
	double value[N], bound, quick_bound;
	int64_t bytes[N];
	bool take[N];
	struct ps_cache_sack_problem p = {.n = N, .value = value, .bytes = bytes};

	(void)state;
	assert_true(ps_cache_sack_init(&k, N));
	ps_rng_init(&r, 7, 1);
	for (int i = 0; i < N; i++) {
		bytes[i] = 2 * (5000 + (int64_t)ps_rng_below(&r, 5000)) + (i == 0);
		value[i] = (double)bytes[i] + 1e-3 * ps_rng_uniform(&r);
	}
	p.room = 99999;
	p.nodes = 30;
	p.quick = true;
	double quick = ps_cache_sack_solve(&k, &p, take, &quick_bound);
	check(&p, take, quick);
	assert_true(quick_bound >= quick);
	p.quick = false;
	double found = ps_cache_sack_solve(&k, &p, take, &bound);
	check(&p, take, found);
	assert_true(found > quick);
	assert_true(bound >= found && bound < quick_bound * (1 + 1e-12));
	assert_true(bound / found - 1 < 1e-7);
	ps_cache_sack_fini(&k);
}

/* What fills nothing over the multiples of a divisor is not looked for. */
static void test_sizes_in_megabytes(void **state)
{
	enum { N = 200 };
	struct ps_cache_sack k;
	struct ps_rng r;
	double value[N], bound;
	int64_t bytes[N];
	bool take[N];
	struct ps_cache_sack_problem p = {.n = N, .value = value, .bytes = bytes};

	(void)state;
	assert_true(ps_cache_sack_init(&k, N));
	ps_rng_init(&r, 3, 1);
	for (int i = 0; i < N; i++) {
		bytes[i] = 1000000 * (1 + (int64_t)ps_rng_below(&r, 900));
		value[i] = (double)bytes[i];
	}
	p.room = 7000999999;
	assert_true(ps_cache_sack_solve(&k, &p, take, &bound) == 7e9);
	assert_true(bound <= 7e9 * (1 + 1e-12));
	ps_cache_sack_fini(&k);
}

/* Value by bytes alone: the fractional bound is the room, and tells nothing apart. Sizes are of
 * nine digits, and the room is filled by a set that is there; few are solved exactly, many to a
 * stated error, and none searches more nodes than its limit. */
static void test_worth_by_bytes_ends(void **state)
{
	static const int sizes[] = {12, 20, 26, 30, 31, 60, 200, 1000};
	enum { N = 1000 };
	static double value[N];
	static int64_t bytes[N];
	static bool take[N];
	struct ps_cache_sack k;
	struct ps_rng r;

	(void)state;
	assert_true(ps_cache_sack_init(&k, N));
	ps_rng_init(&r, 11, 1);
	for (size_t s = 0; s < 5 * sizeof(sizes) / sizeof(*sizes); s++) {
		struct ps_cache_sack_problem p = {
			.n = sizes[s / 5], .value = value, .bytes = bytes};
		double bound, slope = 1e-9 * (1 + ps_rng_uniform(&r));
		for (int i = 0; i < p.n; i++) {
			bytes[i] = 100000000 + (int64_t)ps_rng_below(&r, 900000000);
			value[i] = (double)bytes[i] * slope;
			p.room += ps_rng_below(&r, 2) ? bytes[i] : 0;
		}
		double best = (double)p.room * slope;
		double found = ps_cache_sack_solve(&k, &p, take, &bound);
		check(&p, take, found);
		double error = p.n <= 30 ? 1e-13 : 1e-6;
		if (found < best * (1 - error) || bound < best * (1 - 1e-13) ||
		    bound > found * (1 + error) || k.nodes > 50 * (p.n + 30) + p.n)
			fail_msg("%d items: %.15g to %.15g of %.15g, %lld nodes", p.n, found, bound,
				 best, (long long)k.nodes);
	}
	ps_cache_sack_fini(&k);
}

/* Few room, many models whose worth is nearly their bytes: the search alone ends at about 1e-5. */
static void test_a_narrow_choice(void **state)
{
	enum { N = 600 };
	static double value[N];
	static int64_t bytes[N];
	static bool take[N];
	struct ps_cache_sack k;
	struct ps_rng r;

	(void)state;
	assert_true(ps_cache_sack_init(&k, N));
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct ps_cache_sack_problem p = {.n = N, .value = value, .bytes = bytes};
		double bound;
		int64_t all = 0;
		ps_rng_init(&r, seed, 1);
		for (int i = 0; i < N; i++) {
			bytes[i] = (int64_t)(1e7 * pow(100, ps_rng_uniform(&r)));
			value[i] = 1e-9 * (double)bytes[i] * (1 + ps_rng_exponential(&r, 0.1));
			all += bytes[i];
		}
		p.room = all / 30;
		double found = ps_cache_sack_solve(&k, &p, take, &bound);
		check(&p, take, found);
		if (bound > found * (1 + 2e-9))
			fail_msg("seed %d: %.12g to %.12g", (int)seed, found, bound);
	}
	ps_cache_sack_fini(&k);
}

/* By value per byte, ties by number, whatever the sizes of the numbers. */
static void test_the_order(void **state)
{
	enum { N = 700 };
	static double value[N];
	static int64_t bytes[N];
	static bool take[N];
	struct ps_cache_sack k;
	struct ps_rng r;
	double bound;

	(void)state;
	assert_true(ps_cache_sack_init(&k, N));
	for (int scale = 0; scale < 4; scale++) {
		ps_rng_init(&r, 2, 1);
		for (int i = 0; i < N; i++) {
			static const double most[] = {1, 1e-9, 300, 40};
			bytes[i] = (int64_t)ps_rng_below(&r, scale == 0 ? 3 : 1000);
			value[i] = scale == 0 ? 1 + (double)ps_rng_below(&r, 3)
					      : pow(10, most[scale] * (2 * ps_rng_uniform(&r) - 1));
		}
		const struct ps_cache_sack_problem p = {.n = N,
							.value = value,
							.bytes = bytes,
							.room = 5000,
							.nodes = 1,
							.quick = true};
		(void)ps_cache_sack_solve(&k, &p, take, &bound);
		assert_int_equal(k.n, N);
		for (int i = 1; i < k.n; i++) {
			const struct ps_cache_sack_entry *a = &k.e[i - 1], *b = &k.e[i];
			if (a->density < b->density || (a->density == b->density && a->id >= b->id))
				fail_msg("scale %d, place %d: %g before %g", scale, i, a->density,
					 b->density);
			assert_true(b->value == value[b->id] && b->bytes == bytes[b->id]);
		}
	}
	ps_cache_sack_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_against_every_set),
		cmocka_unit_test(test_a_cut_search_is_honest),
		cmocka_unit_test(test_sizes_in_megabytes),
		cmocka_unit_test(test_worth_by_bytes_ends),
		cmocka_unit_test(test_a_narrow_choice),
		cmocka_unit_test(test_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
