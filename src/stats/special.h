/* special.h - the special functions that the statistics need.   Layer 1, pure.
 *
 * Relative error below 1e-10 for parameters up to 1,000 and 1e-7 up to a million (tested against
 * published tables); arguments out of range give NaN.
 */
#ifndef PS_STATS_SPECIAL_H
#define PS_STATS_SPECIAL_H

/* ps_stats_betainc is the regularised incomplete beta function I_x(a, b); a, b > 0, 0 <= x <= 1.
 * Continued fraction by Lentz's method (Abramowitz and Stegun 26.5.8). */
double ps_stats_betainc(double a, double b, double x);
/* ps_stats_betainc_inv returns x with I_x(a, b) = p. */
double ps_stats_betainc_inv(double a, double b, double p);
/* ps_stats_gammainc is the regularised lower incomplete gamma function P(a, x); a > 0, x >= 0.
 * Series and continued fraction (Abramowitz and Stegun 6.5.29, 6.5.31). */
double ps_stats_gammainc(double a, double x);
/* ps_stats_normal_cdf and _quantile: of the standard normal distribution; 0 < p < 1. */
double ps_stats_normal_cdf(double z);
double ps_stats_normal_quantile(double p);
/* ps_stats_t_cdf and _quantile: of Student's t with df > 0 degrees of freedom; 0 < p < 1. */
double ps_stats_t_cdf(double t, double df);
double ps_stats_t_quantile(double p, double df);
/* ps_stats_binomial_cdf is P(B <= k) for n trials of probability p; n may be fractional (an
 * effective count), k >= -1. */
double ps_stats_binomial_cdf(double k, double n, double p);

#endif
