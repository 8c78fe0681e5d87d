#include "plan/analytic.h"
#include "plan/source.h"

#include <math.h>

enum { HALVINGS = 200 };
#define NEAR 1e-15 /* of an x: closer is rounding */

double ps_plan_log_mgf(double x, double mean_s, double cv)
{
	double shape = cv * cv; /* of gamma: 1 / shape parameter */

	if (shape < 1e-9)
		return x * mean_s;
	double a = x * mean_s * shape;
	return a < 1 ? -log1p(-a) / shape : INFINITY;
}

double ps_plan_load_at(double x, double mean_s, double cv)
{
	if (x * mean_s < 1e-9)
		return mean_s;
	return expm1(ps_plan_log_mgf(x, mean_s, cv)) / x;
}

/* Where x L - ln E exp(x S), concave, is greatest. */
static double steepest(double mean_s, double cv, double limit_s)
{
	double shape = cv * cv;

	if (limit_s <= mean_s)
		return 0;
	return shape < 1e-9 ? INFINITY : (1 - mean_s / limit_s) / (mean_s * shape);
}

/* The least x up to `high` where x L - ln E exp(x S) is at least `want`, as at `high` it is. The
 * tangent of what is concave lies above it: from below, each step ends below the root or on it. */
static double first_over(double mean_s, double cv, double limit_s, double want, double high)
{
	double x = 0, step = 0;

	for (int i = 0; i < HALVINGS; i++) {
		double lacks = want - (x * limit_s - ps_plan_log_mgf(x, mean_s, cv));
		double slope = limit_s - mean_s / (1 - x * mean_s * cv * cv);
		step = lacks / slope;
		if (!(slope > 0) || !(step > NEAR * x))
			break;
		x += step;
	}
	/* rounding may have left it just short of the root, or gone over it */
	step = NEAR * x;
	while (x < high && x * limit_s - ps_plan_log_mgf(x, mean_s, cv) < want) {
		x += step;
		step *= 2;
	}
	return fmin(x, high);
}

double ps_plan_strictness(double mean_s, double cv, double percentile, double limit_s)
{
	double want = -log1p(-percentile), high = steepest(mean_s, cv, limit_s);

	if (high <= 0)
		return INFINITY;
	if (isinf(high))
		return want / (limit_s - mean_s);
	if (high * limit_s - ps_plan_log_mgf(high, mean_s, cv) < want)
		return INFINITY;
	return first_over(mean_s, cv, limit_s, want, high);
}

static double carried(double lanes, double mean_s, double cv, double percentile, double limit_s)
{
	double x = ps_plan_strictness(mean_s, cv, percentile, limit_s);

	return isinf(x) ? 0 : lanes / ps_plan_load_at(x, mean_s, cv);
}

double ps_plan_slowed(double lanes, double mean_s, double cv, double percentile, double limit_s,
		      double rps)
{
	double low = 1, high = limit_s / mean_s;

	if (carried(lanes, mean_s, cv, percentile, limit_s) <= rps)
		return 1;
	/* it falls to nothing where the mean alone takes the limit */
	for (int i = 0; i < HALVINGS && high - low > 1e-12 * high; i++) {
		double mid = (low + high) / 2;
		if (carried(lanes, mid * mean_s, cv, percentile, limit_s) <= rps)
			high = mid;
		else
			low = mid;
	}
	return high;
}

double ps_plan_decay_at(double rate_rps, double lanes, double mean_s, double cv)
{
	double low = 0, high = 1 / mean_s;

	if (rate_rps * mean_s > lanes)
		return 0;
	while (rate_rps * ps_plan_load_at(high, mean_s, cv) <= lanes)
		high *= 2;
	for (int i = 0; i < HALVINGS && high - low > 1e-15 * high; i++) {
		double mid = (low + high) / 2;
		if (rate_rps * ps_plan_load_at(mid, mean_s, cv) <= lanes)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* (want + ln E exp(x S)) / x falls, then rises. */
double ps_plan_latency(double most_x, double mean_s, double cv, double percentile)
{
	double want = -log1p(-percentile), shape = cv * cv, low = 0, high = most_x;

	if (most_x <= 0)
		return INFINITY;
	if (shape < 1e-9)
		return isinf(most_x) ? mean_s : mean_s + want / most_x;
	if (high > (1 - 1e-12) / (mean_s * shape))
		high = (1 - 1e-12) / (mean_s * shape);
	for (int i = 0; i < HALVINGS; i++) {
		double a = low + (high - low) / 3, b = high - (high - low) / 3;
		double at_a = (want + ps_plan_log_mgf(a, mean_s, cv)) / a;
		double at_b = (want + ps_plan_log_mgf(b, mean_s, cv)) / b;
		if (at_a > at_b)
			low = a;
		else
			high = b;
	}
	return (want + ps_plan_log_mgf(high, mean_s, cv)) / high;
}
