/* pair_internal.h - the first guess by queueing theory, for one tenant alone or several together.
 */
#ifndef PS_PREDICT_PAIR_INTERNAL_H
#define PS_PREDICT_PAIR_INTERNAL_H

#include "predict/predict.h"

/* ps_predict_pair_quantile is the p-quantile of own's latency in ns, beside `other` or alone
 * (NULL); NAN when the lanes cannot keep up. */
double ps_predict_pair_quantile(const struct ps_predict_tenant *own,
				const struct ps_predict_tenant *other, double p,
				const struct ps_predict_slice *slice);
/* ps_predict_set_quantile is the same beside n others. */
double ps_predict_set_quantile(const struct ps_predict_tenant *own,
			       const struct ps_predict_tenant *others, int n, double p,
			       const struct ps_predict_slice *slice);
/* ps_predict_alone_capacity is the largest rate that keeps the quantile under limit_ns; NAN: none
 * does. */
double ps_predict_alone_capacity(const struct ps_predict_tenant *t, double p, double limit_ns,
				 const struct ps_predict_slice *slice);

#endif
