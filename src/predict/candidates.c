#include "predict/fit.h"

const struct ps_predict_candidate *const ps_predict_candidates[] = {
	&ps_predict_linear,   &ps_predict_robust, &ps_predict_svr,    &ps_predict_operators,
	&ps_predict_roofline, &ps_predict_median, &ps_predict_anchor, NULL};
