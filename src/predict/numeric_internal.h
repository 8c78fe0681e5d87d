/* numeric_internal.h - least squares and support vectors, from libraries that are opened when they
 * are first needed.   Pure but for that.
 *
 * LAPACKE and libsvm are not linked: the same program is the server, which has no use for them, and
 * whichever BLAS an administrator has chosen (some start a thread per CPU when they are loaded)
 * must not come into it.
 *
 * Matrices are row-major, one row behind the other. Any thread.
 */
#ifndef PS_PREDICT_NUMERIC_INTERNAL_H
#define PS_PREDICT_NUMERIC_INTERNAL_H

#include "base/error.h"

#include <libsvm/svm.h>
#include <stddef.h>

/* Of libsvm, what we use. */
struct ps_predict_svm {
	struct svm_model *(*train)(const struct svm_problem *, const struct svm_parameter *);
	double (*predict)(const struct svm_model *, const struct svm_node *);
	void (*free_model)(struct svm_model **);
	const char *(*check)(const struct svm_problem *, const struct svm_parameter *);
};

/* ps_predict_svm_get opens libsvm, once. PS_ENOTFOUND with the package to install. */
enum ps_status ps_predict_svm_get(const struct ps_predict_svm **ret_svm, struct ps_error *err);

/* ps_predict_least_squares finds the x of least norm among those that minimise |a x - b|, where a
 * has m rows and n columns; a and b are overwritten. m, n >= 1. PS_ENOTFOUND (the library),
 * PS_EINVAL (a value that is not finite), PS_ENOMEM. */
enum ps_status ps_predict_least_squares(double *a, double *b, size_t m, size_t n, double *ret_x,
					struct ps_error *err);

/* ps_predict_nonnegative finds x >= 0 that minimises |a x - b| (Lawson and Hanson, 1974, chapter
 * 23); a and b stay. The same errors. */
enum ps_status ps_predict_nonnegative(const double *a, const double *b, size_t m, size_t n,
				      double *ret_x, struct ps_error *err);

#endif
