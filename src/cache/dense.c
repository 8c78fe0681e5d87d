#include "cache/dense_internal.h"

#include <math.h>

/* The upper half keeps H, transposed, for another try. */
static void copy_lower(double *h, int n, double *diagonal)
{
	for (int i = 0; i < n; i++) {
		diagonal[i] = h[(size_t)i * (size_t)n + (size_t)i];
		for (int j = 0; j < i; j++)
			h[(size_t)j * (size_t)n + (size_t)i] = h[(size_t)i * (size_t)n + (size_t)j];
	}
}

static bool factor(double *h, int n, double add, const double *diagonal)
{
	for (int i = 0; i < n; i++) {
		double *row = h + (size_t)i * (size_t)n;
		for (int j = 0; j < i; j++) {
			const double *other = h + (size_t)j * (size_t)n;
			/* other[i] is H's own entry, from the upper half. */
			row[j] = (other[i] - ps_cache_dot(row, other, j)) / other[j];
		}
		double pivot = diagonal[i] + add - ps_cache_dot(row, row, i);
		if (!(pivot > 0))
			return false;
		row[i] = sqrt(pivot);
	}
	return true;
}

static void substitute(const double *h, int n, double *x)
{
	for (int i = 0; i < n; i++) {
		const double *row = h + (size_t)i * (size_t)n;
		x[i] = (x[i] - ps_cache_dot(row, x, i)) / row[i];
	}
	for (int i = n - 1; i >= 0; i--) {
		const double *row = h + (size_t)i * (size_t)n;
		x[i] /= row[i];
		for (int j = 0; j < i; j++)
			x[j] -= x[i] * row[j];
	}
}

bool ps_cache_cholesky(double *h, int n, double ridge, double *diagonal, double *x)
{
	double mean = 0;

	copy_lower(h, n, diagonal);
	for (int i = 0; i < n; i++)
		mean += diagonal[i] / n;
	for (int tries = 0; tries < 12; tries++, ridge *= 100) {
		if (!factor(h, n, ridge * mean, diagonal))
			continue;
		substitute(h, n, x);
		return true;
	}
	return false;
}
