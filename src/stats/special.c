#include "stats/special.h"

#include <float.h>
#include <math.h>

#define MAX_TERMS 20000
#define TINY	  1e-300

/* glibc's lgamma writes the global signgam; all arguments here are positive. */
static double log_gamma(double x)
{
	int sign;
	return lgamma_r(x, &sign);
}

/* Lentz's method keeps both parts of the fraction away from 0. */
static double away_from_zero(double v)
{
	return fabs(v) < TINY ? TINY : v;
}

static double beta_fraction(double a, double b, double x)
{
	double c = 1;
	double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
	double h = d;
	for (int m = 1; m <= MAX_TERMS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		d = 1 / away_from_zero(1 + even * d);
		c = away_from_zero(1 + even / c);
		h *= d * c;
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 / away_from_zero(1 + odd * d);
		c = away_from_zero(1 + odd / c);
		h *= d * c;
		if (fabs(d * c - 1) < 4 * DBL_EPSILON)
			break;
	}
	return h;
}

double ps_stats_betainc(double a, double b, double x)
{
	if (!(a > 0 && b > 0 && x >= 0 && x <= 1))
		return NAN;
	if (x == 0 || x == 1)
		return x;
	double front =
		exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
	/* The fraction converges fast below the mean; above it use I_x(a,b) = 1 - I_{1-x}(b,a). */
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double ps_stats_betainc_inv(double a, double b, double p)
{
	if (!(a > 0 && b > 0 && p >= 0 && p <= 1))
		return NAN;
	double lo = 0, hi = 1;
	/* Halving cannot fail, and 1100 halvings reach the smallest numbers there are. */
	for (int i = 0; i < 1100 && hi - lo > DBL_EPSILON * hi; i++) {
		double mid = (lo + hi) / 2;
		if (ps_stats_betainc(a, b, mid) < p)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

static double gamma_series(double a, double x)
{
	double term = 1 / a, sum = term;
	for (int n = 1; n <= MAX_TERMS; n++) {
		term *= x / (a + n);
		sum += term;
		if (term < sum * DBL_EPSILON)
			break;
	}
	return sum * exp(a * log(x) - x - log_gamma(a));
}

static double gamma_fraction(double a, double x)
{
	double b = x + 1 - a, c = 1 / TINY, d = 1 / away_from_zero(b), h = d;
	for (int n = 1; n <= MAX_TERMS; n++) {
		double an = -n * (n - a);
		b += 2;
		d = 1 / away_from_zero(an * d + b);
		c = away_from_zero(b + an / c);
		h *= d * c;
		if (fabs(d * c - 1) < 4 * DBL_EPSILON)
			break;
	}
	return h * exp(a * log(x) - x - log_gamma(a));
}

double ps_stats_gammainc(double a, double x)
{
	if (!(a > 0 && x >= 0))
		return NAN;
	if (x == 0)
		return 0;
	if (isinf(x))
		return 1;
	return x < a + 1 ? gamma_series(a, x) : 1 - gamma_fraction(a, x);
}

double ps_stats_normal_cdf(double z)
{
	return erfc(-z * M_SQRT1_2) / 2;
}

double ps_stats_normal_quantile(double p)
{
	if (!(p > 0 && p < 1))
		return NAN;
	if (p > 0.5)
		return -ps_stats_normal_quantile(1 - p);
	double lo = -40, hi = 0;
	for (int i = 0; i < 80; i++) {
		double mid = (lo + hi) / 2;
		if (ps_stats_normal_cdf(mid) < p)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

/* P(T > t), t >= 0, without cancellation in the tail. */
static double t_upper(double t, double df)
{
	/* Beyond this the difference to the normal law (t^3/(4 df)) is less than the error of the
	 * logarithms of two huge gamma functions. */
	if (df > 1e7)
		return ps_stats_normal_cdf(-t);
	return ps_stats_betainc(df / 2, 0.5, df / (df + t * t)) / 2;
}

double ps_stats_t_cdf(double t, double df)
{
	if (!(df > 0) || isnan(t))
		return NAN;
	return t < 0 ? t_upper(-t, df) : 1 - t_upper(t, df);
}

double ps_stats_t_quantile(double p, double df)
{
	if (!(p > 0 && p < 1 && df > 0))
		return NAN;
	if (p < 0.5)
		return -ps_stats_t_quantile(1 - p, df);
	/* 1 - p is exact for p >= 0.5. */
	double hi = 1;
	while (t_upper(hi, df) > 1 - p && hi < 1e150)
		hi *= 2;
	double lo = 0;
	for (int i = 0; i < 200 && hi - lo > DBL_EPSILON * hi; i++) {
		double mid = (lo + hi) / 2;
		if (t_upper(mid, df) > 1 - p)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

double ps_stats_binomial_cdf(double k, double n, double p)
{
	if (!(n >= 0 && p >= 0 && p <= 1))
		return NAN;
	if (k < 0)
		return 0;
	if (k >= n)
		return 1;
	return ps_stats_betainc(n - k, k + 1, 1 - p);
}
