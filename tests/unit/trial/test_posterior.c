/* The posterior of a capacity: quick, and still what its formula says. */
#include "trial/trial_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define SCALE_MAX 20.0
#define TARGET	  -2.9444389791664403 /* logit of 5 % */

static const struct {
	struct ps_trial_data data;
	struct {
		double lo, value, hi;
	} want; /* log1p and exp for every cell of the same grids */
} rows[] = {
	{{{{14, 80, 0, 0}, {18, 60, 12, 0}, {12, 75, 1, 0}, {10, 70, 0, 0}}, 4, TARGET},
	 {14.4581797142, 15.9697911969, 17.0984801777}},
	{{{{10, 1990, 10, 0}, {11, 1950, 50, 0}, {12, 1890, 110, 0}, {13, 1700, 300, 0}},
	  4,
	  TARGET},
	 {11.7172112278, 11.8399083089, 11.954937721}},
	{{{{10, 20, 0, 0}, {12, 20, 0, 0}}, 2, TARGET},
	 {11.978174008, 17.3969185622, 21.7758235012}},
	{{{{15, 97, 3, -6.9}, {12, 60.5, 0.25, 0}, {17, 30, 1.5, -2}}, 3, TARGET},
	 {11.2112652339, 14.4896916096, 14.9974095868}},
	{{{{9.9, 97000, 3000, 0}, {10, 95000, 5000, 0}, {10.1, 92000, 8000, 0}}, 3, TARGET},
	 {9.99828488222, 10.0016425945, 10.004936311}},
	{{{{5, 10, 90, 0}, {0.2, 5, 40, 0}}, 2, TARGET},
	 {2.45693463707e-05, 0.000300267160095, 0.00199753032875}},
	{{{{18, 400, 0.1, 0}, {20, 3, 2.5, -6.9}, {19.5, 4, 1.5, -6.9}, {18.5, 90, 0.4, 0}},
	  4,
	  TARGET},
	 {18.8421185188, 19.1726115735, 19.4620536119}},
};

static void check(size_t row, const char *what, double is, double want, double tolerance)
{
	if (!(fabs(is - want) <= tolerance))
		fail_msg("row %zu: %s is %.12g, not %.12g", row, what, is, want);
}

/* Tables and cells that are left early move no end by more than a fifty-thousandth of the interval.
 */
static void test_short_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_stats_interval c = ps_trial_posterior(&rows[i].data, SCALE_MAX, 0.95);
		double tolerance = 2e-5 * (rows[i].want.hi - rows[i].want.lo);
		check(i, "lo", c.lo, rows[i].want.lo, tolerance);
		check(i, "value", c.value, rows[i].want.value, tolerance);
		check(i, "hi", c.hi, rows[i].want.hi, tolerance);
	}
}

#define FINE_C	   2200
#define FINE_SLOPE 60

static double log_of(const struct ps_trial_data *data, double c, double slope, int shape)
{
	double sum = 0;
	for (int i = 0; i < data->n; i++) {
		const struct ps_trial_datum *d = &data->d[i];
		double far = shape == 0 ? log(d->scale / c) : d->scale / c - 1;
		double v = 1 / (1 + exp(-data->logit_target - slope * far));
		sum += d->bad * log(fmax(v, 1e-300)) + d->good * log1p(-fmin(v, 1 - 1e-16));
		sum += c >= d->scale ? d->log_rise : 0;
	}
	return sum;
}

/* trial.h's model by rectangles, without grids that adapt. `near` is where the posterior is high:
 * it would underflow without. */
static void integrate(const struct ps_trial_data *data, double near, double *ret_share)
{
	double total = 0, top = log_of(data, near, 10, 0);
	for (int i = 0; i < FINE_C; i++) {
		ret_share[i] = 0;
		for (int k = 0; k < FINE_SLOPE; k++) {
			double sigmas = 2.4 * ((2 * k + 1.0) / FINE_SLOPE - 1);
			double c = 1.1 * SCALE_MAX * (i + 0.5) / FINE_C;
			double slope = 10 * exp(1.3 * sigmas);
			double prior = exp(-sigmas * sigmas / 2);
			ret_share[i] += prior * exp(log_of(data, c, slope, 0) - top);
			ret_share[i] += prior * exp(log_of(data, c, slope, 1) - top);
		}
		total += ret_share[i];
	}
	for (int i = 0; i < FINE_C; i++)
		ret_share[i] /= total;
}

static double below(const double *share, double c)
{
	double sum = 0, cells = c / (1.1 * SCALE_MAX) * FINE_C;
	for (int i = 0; i < FINE_C; i++)
		sum += share[i] * fmin(fmax(cells - i, 0), 1);
	return sum;
}

/* The ends have the mass below them that they say, up to what a cell of the grid holds. */
static void test_model(void **state)
{
	(void)state;
	static const size_t smooth[] = {0, 1, 2};
	static double share[FINE_C];
	for (size_t j = 0; j < COUNT(smooth); j++) {
		size_t i = smooth[j];
		struct ps_stats_interval c = ps_trial_posterior(&rows[i].data, SCALE_MAX, 0.95);
		integrate(&rows[i].data, c.value, share);
		check(i, "mass below lo", below(share, c.lo), 0.025, 0.002);
		check(i, "mass below the value", below(share, c.value), 0.5, 0.01);
		check(i, "mass below hi", below(share, c.hi), 0.975, 0.002);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_cuts),
		cmocka_unit_test(test_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
