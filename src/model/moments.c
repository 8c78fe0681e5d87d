#include "model/moments_internal.h"

#include <math.h>

struct ps_moments ps_moments_map(struct ps_moments m, double (*f)(double))
{
	enum { STEPS = 400 };
	double sd = sqrt(m.var), weight = 0, sum = 0, square = 0;
	for (int i = 0; i <= STEPS; i++) {
		double z = 16.0 * i / STEPS - 8.0;
		double w = exp(-0.5 * z * z), y = f(m.mean + sd * z);
		weight += w;
		sum += w * y;
		square += w * y * y;
	}
	double mean = sum / weight;
	return (struct ps_moments){mean, square / weight - mean * mean};
}

struct ps_moments ps_moments_max(struct ps_moments m, int n)
{
	/* Between equal neighbours (no shift) and independent ones (about sqrt(2 log n)). */
	return (struct ps_moments){m.mean + 0.6 * sqrt(log(n) * m.var), 0.85 * m.var};
}

struct ps_moments ps_moments_average(struct ps_moments m, int n)
{
	/* Deep in a random network a good part of the variance is between channels, and that part
	 * an average over positions leaves alone. */
	const double between = 0.4;
	return (struct ps_moments){m.mean, m.var * (between + (1 - between) / n)};
}

struct ps_moments ps_moments_product(struct ps_moments a, struct ps_moments b)
{
	double mean = a.mean * b.mean;
	return (struct ps_moments){mean, ps_moments_square(a) * ps_moments_square(b) - mean * mean};
}

double ps_moments_relu(double x)
{
	return x > 0 ? x : 0;
}

double ps_moments_relu6(double x)
{
	return x > 6 ? 6 : ps_moments_relu(x);
}

double ps_moments_sigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

double ps_moments_swish(double x)
{
	return x * ps_moments_sigmoid(x);
}
