/* dense_internal.h - the small dense systems of Newton's method. */
#ifndef PS_CACHE_DENSE_INTERNAL_H
#define PS_CACHE_DENSE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* ps_cache_dot adds up in four lanes, whatever the optimiser may reorder: the same everywhere. */
static inline double ps_cache_dot(const double *a, const double *b, int n)
{
	double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
	int i = 0;

	for (; i + 4 <= n; i += 4) {
		s0 += a[i] * b[i];
		s1 += a[i + 1] * b[i + 1];
		s2 += a[i + 2] * b[i + 2];
		s3 += a[i + 3] * b[i + 3];
	}
	for (; i < n; i++)
		s0 += a[i] * b[i];
	return (s0 + s1) + (s2 + s3);
}

/* ps_cache_cholesky solves (H + ridge I) x = b for a symmetric H [n * n], of which only the lower
 * half is read; H is overwritten by the factor, x by the solution over b. The ridge, relative to
 * the mean of the diagonal, is raised until the factor exists; false when it never does. `diagonal`
 * [n] is scratch. O(n^3). */
bool ps_cache_cholesky(double *h, int n, double ridge, double *diagonal, double *x);

#endif
