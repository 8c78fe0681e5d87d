/* Learned service times against the plain computation over the last 64. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "sched/sched_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMES = 3000 };

struct row {
	const char *name;
	double ns, spread, outliers; /* uniform in ns +- spread; a share takes 100 times as long */
	int64_t rows;
};

static const struct row rows[] = {
	{"all the same", 5000, 0, 0, 1},
	{"few different ones", 5000, 3, 0, 1},
	{"even", 10e6, 5e6, 0, 8},
	{"outliers", 10e6, 1e6, 0.05, 1},
	{"many outliers", 10e6, 1e6, 0.4, 16},
	{"very long", 1e18, 1e17, 0, 1}, /* counts as 2^56 */
	{"nothing", 0, 0, 0, 2},
};

static int64_t draw(const struct row *r, struct ps_rng *rng)
{
	double ns = r->ns + r->spread * (2 * ps_rng_uniform(rng) - 1);
	return (int64_t)(ps_rng_uniform(rng) < r->outliers ? 100 * ns : ns);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void assert_near(double is, double expected, double unit)
{
	if (fabs(is - expected) > 1e-9 * unit)
		fail_msg("%.9g, expected %.9g", is, expected);
}

static double mean_above(const int64_t *sorted, int n, int64_t elapsed_ns)
{
	double sum = 0;
	int m = 0;
	for (int k = 0; k < n; k++)
		if (sorted[k] > elapsed_ns) {
			sum += (double)sorted[k];
			m++;
		}
	return m ? sum / m - (double)elapsed_ns : -1;
}

/* All that is read off the window of `n` times that came last. */
static void check(const struct instance *i, const struct row *r, const int64_t *last, int n)
{
	static const double quantiles[] = {0.01, 0.1, 0.5, 0.6, 0.9, 0.99, 1};
	const struct window *w = i->learned[0].slots[r->rows - 1];
	int64_t sorted[WINDOW], sum = 0;
	for (int k = 0; k < n; k++) {
		sorted[k] = last[k];
		sum += last[k];
	}
	qsort(sorted, (size_t)n, sizeof *sorted, by_value);
	assert_int_equal(w->n, n);
	assert_true(w->sum == sum);
	assert_memory_equal(w->sorted, sorted, (size_t)n * sizeof *sorted);
	for (size_t k = 0; k < sizeof quantiles / sizeof *quantiles; k++) {
		int at = (int)ceil(quantiles[k] * n) - 1;
		assert_true(learn_ns(i, r->rows, false, quantiles[k]) == (double)sorted[at]);
	}
	for (int k = 0; k < n; k += 7) {
		int64_t elapsed_ns = sorted[k] - sorted[k] / 1000000 - 1;
		double rest = mean_above(sorted, n, elapsed_ns);
		assert_near(learn_rest_ns(i, r->rows, false, elapsed_ns), rest,
			    (double)sorted[n - 1]);
	}
	assert_near(learn_rest_ns(i, r->rows, false, sorted[n - 1]),
		    learn_mean_ns(i, r->rows, false) / 4, (double)sorted[n - 1]);
}

/* Until the window is full, mean and spread are its own; what is beyond ten medians counts as ten.
 */
static void check_moments(const struct instance *i, const struct row *r, const int64_t *last, int n)
{
	int64_t sorted[WINDOW];
	double sum = 0, squares = 0;
	for (int k = 0; k < n; k++)
		sorted[k] = last[k];
	qsort(sorted, (size_t)n, sizeof *sorted, by_value);
	double most = n < 8 ? INFINITY : 10.0 * (double)sorted[n / 2];
	for (int k = 0; k < n; k++)
		sum += fmin((double)sorted[k], most);
	for (int k = 0; k < n; k++)
		squares += pow(fmin((double)sorted[k], most) - sum / n, 2);
	double unit = (double)sorted[n - 1];
	assert_near(learn_mean_ns(i, r->rows, false), sum / n, unit);
	assert_near(learn_spread_ns(i, r->rows, false), sqrt(squares / n), unit);
}

static void what_is_learned_is_what_was_seen(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		struct instance i = {0};
		struct ps_rng rng;
		int64_t ring[WINDOW];
		ps_rng_init(&rng, 5, k);
		for (int t = 0; t < TIMES; t++) {
			int64_t ns = draw(&rows[k], &rng);
			int n = t + 1 < WINDOW ? t + 1 : WINDOW;
			learn_add(&i, rows[k].rows, false, ns);
			ring[t % WINDOW] = ns < INT64_C(1) << 56 ? ns : INT64_C(1) << 56;
			check(&i, &rows[k], ring, n);
			if (n < WINDOW)
				check_moments(&i, &rows[k], ring, n);
		}
		learn_forget(&i);
		assert_false(learn_known(&i, false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_learned_is_what_was_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
