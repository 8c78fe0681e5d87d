/* ks.h - the Kolmogorov-Smirnov test of one sample, for tests of what is drawn at random. */
#ifndef PS_TESTS_KS_H
#define PS_TESTS_KS_H

#include <math.h>
#include <stdlib.h>

static int ks_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The p-value of "u is a sample of the uniform distribution on [0, 1]"; sorts u. The asymptotic
 * law with Stephens's correction (1970), good from n = 5 on. */
static inline double ks_uniform(double *u, size_t n)
{
	double most = 0, p = 0, root = sqrt((double)n);

	qsort(u, n, sizeof(*u), ks_compare);
	for (size_t i = 0; i < n; i++) {
		most = fmax(most, u[i] - (double)i / (double)n);
		most = fmax(most, (double)(i + 1) / (double)n - u[i]);
	}
	double lambda = (root + 0.12 + 0.11 / root) * most;
	if (lambda < 0.3)
		return 1; /* where the series below converges slowly, it is above 0.99999 */
	for (int k = 1; k <= 100; k++)
		p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * lambda * lambda);
	return p;
}

#endif
