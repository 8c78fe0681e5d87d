/* anchor.c - the first guess by physics: as it is, or times what it is usually off by. */
#include "predict/fit.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

enum { AS_IT_IS, SCALED, VARIANTS };

static double usual_ratio(const struct ps_predict_rows *rows, double *room)
{
	for (size_t i = 0; i < rows->len; i++) {
		const struct ps_predict_row *r = &rows->table->rows[rows->at[i]];
		room[i] = log(r->y / r->anchor);
		if (!isfinite(room[i]))
			return NAN;
	}
	ps_stats_sort(room, rows->len);
	return rows->len ? exp(ps_stats_quantile(room, rows->len, 0.5)) : NAN;
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	double *ratio = malloc(sizeof(*ratio));
	double *room = calloc(rows->len + 1, sizeof(*room));

	if (!ratio || !room) {
		free(ratio);
		free(room);
		return ps_error_set(err, PS_ENOMEM, "no memory for a first guess");
	}
	*ratio = usual_ratio(rows, room);
	free(room);
	if (!isfinite(*ratio)) {
		free(ratio);
		return ps_error_set(err, PS_EUNAVAIL, "no first guess for every row");
	}
	if (variant == AS_IT_IS)
		*ratio = 1;
	*ret_fit = ratio;
	return PS_OK;
}

static double at(const void *fit, const struct ps_predict_row *row)
{
	double v = *(const double *)fit * row->anchor;

	return isfinite(v) && v > 0 ? v : NAN;
}

const struct ps_predict_candidate ps_predict_anchor = {
	.name = "queueing", .variants = VARIANTS, .fit = fit, .at = at, .free = free};
