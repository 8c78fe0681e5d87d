/* median.c - three ways that err for different reasons, and what two of them agree on: a sum over
 * kinds of work (which knows no shapes), the sum of predicted operators (which knows what it has
 * seen), and the physical model (which knows the machine). Its variants are those of the operators.
 */
#include "predict/fit.h"

#include "predict/linear_internal.h"

#include <math.h>
#include <stdlib.h>

#define MEMBERS	      3
#define LEAST_MEMBERS 2

struct median {
	const struct ps_predict_candidate *member[MEMBERS];
	void *fit[MEMBERS];
	int n;
};

static void release(void *fit)
{
	struct median *m = fit;

	for (int i = 0; m && i < m->n; i++)
		m->member[i]->free(m->fit[i]);
	free(m);
}

static enum ps_status add(struct median *m, const struct ps_predict_candidate *c, int variant,
			  const struct ps_predict_rows *rows, struct ps_error *err)
{
	enum ps_status st = c->fit(rows, variant, &m->fit[m->n], err);

	if (st == PS_OK)
		m->member[m->n++] = c;
	return st == PS_EUNAVAIL ? PS_OK : st;
}

static enum ps_status learn(struct median *m, const struct ps_predict_rows *rows,
			    struct ps_error *err)
{
	int fullest = ps_predict_operators.variants - 1;
	enum ps_status st = add(m, &ps_predict_robust, PS_PREDICT_FORM_SUM, rows, err);

	if (st == PS_OK)
		st = add(m, &ps_predict_operators, fullest, rows, err);
	if (st == PS_OK)
		st = add(m, &ps_predict_roofline, 0, rows, err);
	if (st == PS_OK && (m->n < LEAST_MEMBERS || m->member[1] != &ps_predict_operators))
		st = ps_error_set(err, PS_EUNAVAIL, "too little to compare");
	return st;
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	(void)variant;
	struct median *m = calloc(1, sizeof(*m));

	if (!m)
		return ps_error_set(err, PS_ENOMEM, "no memory for candidates");
	enum ps_status st = learn(m, rows, err);
	if (st != PS_OK) {
		release(m);
		return st;
	}
	*ret_fit = m;
	return PS_OK;
}

/* The one in the middle; of two their geometric mean. NAN when a member says nothing. */
static double at(const void *fit, const struct ps_predict_row *row)
{
	const struct median *m = fit;
	double v[MEMBERS] = {NAN, NAN, NAN};

	for (int i = 0; i < m->n; i++) {
		v[i] = m->member[i]->at(m->fit[i], row);
		if (!isfinite(v[i]))
			return NAN;
	}
	if (m->n == LEAST_MEMBERS)
		return sqrt(v[0] * v[1]);
	return fmax(fmin(v[0], v[1]), fmin(fmax(v[0], v[1]), v[2]));
}

const struct ps_predict_candidate ps_predict_median = {
	.name = "median of three", .variants = 1, .fit = fit, .at = at, .free = release};
