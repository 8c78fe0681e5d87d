/* moments_internal.h - how mean and variance pass through a layer; for model/ only.
 *
 * Pre-activations are taken as Gaussian and neighbours as partly alike: an estimate that is good to
 * a factor of two or so per layer, which is all that keeping a random network alive takes.
 */
#ifndef PS_MODEL_MOMENTS_INTERNAL_H
#define PS_MODEL_MOMENTS_INTERNAL_H

struct ps_moments {
	double mean, var;
};

/* ps_moments_square is the mean of the squares. */
static inline double ps_moments_square(struct ps_moments m)
{
	return m.mean * m.mean + m.var;
}

/* ps_moments_map gives the moments of f(x) for Gaussian x, by quadrature over +-8 sigma. */
struct ps_moments ps_moments_map(struct ps_moments m, double (*f)(double));
/* ps_moments_max: the largest of n neighbours. */
struct ps_moments ps_moments_max(struct ps_moments m, int n);
/* ps_moments_average: the average of n neighbours. */
struct ps_moments ps_moments_average(struct ps_moments m, int n);
/* ps_moments_product of independent values. */
struct ps_moments ps_moments_product(struct ps_moments a, struct ps_moments b);

double ps_moments_relu(double x);
double ps_moments_relu6(double x);
double ps_moments_sigmoid(double x);
double ps_moments_swish(double x);

#endif
