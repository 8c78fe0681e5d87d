/* predict_profiles.c - what was measured of a model alone, and how sure that is. */
#include "cli/predict_data_internal.h"

#include "report/report.h"
#include "stats/stats.h"

#include <math.h>

#define POOLED_FREEDOM 8 /* of the scatter of trials, to say anything of profiles of one or two */

bool ps_cli_predict_same_slice(const struct ps_predict_slice *a, const struct ps_predict_slice *b)
{
	return a->cpus == b->cpus && a->threads == b->threads;
}

/* Few trials of one profile say little about their scatter; all profiles together do, as it is a
 * share of the value that is much the same for all. */
static double pooled_deviation(const struct ps_cli_predict_data *d, double *ret_freedom)
{
	double sum = 0, freedom = 0;

	for (size_t i = 0; i < d->profile_len; i++) {
		const struct ps_cli_predict_profile *p = &d->profiles[i];
		int n = p->trials < PS_CLI_PREDICT_KEPT_TRIALS ? p->trials
							       : PS_CLI_PREDICT_KEPT_TRIALS;
		if (n < 2)
			continue;
		sum += (n - 1) * ps_stats_variance(p->log_ns, (size_t)n);
		freedom += n - 1;
	}
	*ret_freedom = freedom;
	return freedom > 0 ? sqrt(sum / freedom) : NAN;
}

static double noise_of_trials(const struct ps_cli_predict_data *d, const double *log_ns, int n)
{
	struct ps_stats_interval v =
		ps_stats_mean_interval(log_ns, (size_t)n, PS_REPORT_CONFIDENCE);
	double freedom = 0, deviation = pooled_deviation(d, &freedom);

	if (v.has_interval)
		return (v.hi - v.lo) / 2;
	if (freedom < POOLED_FREEDOM)
		return NAN;
	return ps_stats_t_quantile((1 + PS_REPORT_CONFIDENCE) / 2, freedom) * deviation / sqrt(n);
}

bool ps_cli_predict_service(const struct ps_cli_predict_data *d, int model, int64_t batch,
			    const struct ps_predict_slice *slice, double *ret_ns, double *ret_noise,
			    double *ret_variation)
{
	for (size_t i = 0; i < d->profile_len; i++) {
		const struct ps_cli_predict_profile *p = &d->profiles[i];
		if (p->model != model || p->batch != batch ||
		    !ps_cli_predict_same_slice(&p->slice, slice))
			continue;
		int n = p->trials < PS_CLI_PREDICT_KEPT_TRIALS ? p->trials
							       : PS_CLI_PREDICT_KEPT_TRIALS;
		*ret_ns = exp(ps_stats_mean(p->log_ns, (size_t)n));
		*ret_noise = noise_of_trials(d, p->log_ns, n);
		*ret_variation = p->deviation / p->trials;
		return true;
	}
	return false;
}
