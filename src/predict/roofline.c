/* roofline.c - the physical model as a candidate: the laws of each kind of operator are fitted from
 * the models that are learned from, and so is what a run takes beside its operators. */
#include "predict/fit.h"
#include "predict/physical.h"
#include "predict/scales_internal.h"

#include <math.h>
#include <stdlib.h>

struct roofline {
	struct ps_predict_physical laws;
	struct ps_predict_machine machine;
	struct ps_predict_scales scales;
};

/* An operator that nobody knows counts nothing: its model's runs say how much that is. */
static double time_of(const void *fit, const struct ps_predict_op *op, int64_t batch, int except)
{
	const struct roofline *r = fit;
	(void)batch;
	(void)except; /* a law of three numbers per kind hardly knows one model from another */
	double ns = ps_predict_physical_op(&r->laws, &r->machine, op);

	return isfinite(ns) ? ns : 0;
}

static size_t gather(const struct ps_predict_rows *rows, struct ps_predict_timed *ret_timed)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->len; i++) {
		const struct ps_predict_model *w = rows->table->rows[rows->at[i]].work;
		if (w && ps_predict_first_work(rows, i))
			ret_timed[n++] = (struct ps_predict_timed){w, NAN};
	}
	return n;
}

static enum ps_status learn(struct roofline *r, const struct ps_predict_rows *rows,
			    struct ps_error *err)
{
	struct ps_predict_timed *timed = calloc(rows->len + 1, sizeof(*timed));

	if (!timed)
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	r->machine = *rows->table->machine;
	size_t n = gather(rows, timed);
	enum ps_status st = ps_predict_physical_fit(timed, n, &r->machine, &r->laws, err);
	free(timed);
	return st == PS_OK ? ps_predict_scales_learn(&r->scales, rows, time_of, r, false, err) : st;
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	(void)variant;
	if (!rows->table->machine)
		return ps_error_set(err, PS_EUNAVAIL, "what the machine can do is not known");
	struct roofline *r = calloc(1, sizeof(*r));
	if (!r)
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	enum ps_status st = learn(r, rows, err);
	if (st != PS_OK) {
		free(r);
		return st;
	}
	*ret_fit = r;
	return PS_OK;
}

static double at(const void *fit, const struct ps_predict_row *row)
{
	const struct roofline *r = fit;

	if (!row->work)
		return NAN;
	double v = ps_predict_sum_ops(time_of, r, row->work, -1) *
		   ps_predict_scales_at(&r->scales, row);
	return isfinite(v) && v > 0 ? v : NAN;
}

const struct ps_predict_candidate ps_predict_roofline = {
	.name = "physical", .variants = 1, .fit = fit, .at = at, .free = free};
