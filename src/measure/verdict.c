#include "measure/verdict.h"

#include "load/reason.h"

const char *ps_measure_verdict_name(enum ps_measure_verdict v)
{
	static const char *const names[] = {
		[PS_MEASURE_MET] = "met",
		[PS_MEASURE_VIOLATED] = "violated",
		[PS_MEASURE_UNDECIDED] = "undecided",
		[PS_MEASURE_INVALID] = "INVALID",
		[PS_MEASURE_SILENT] = "silent",
	};
	return names[v];
}

bool ps_measure_is_usable(const struct ps_store_trial *t)
{
	bool usable = t->result_len > 0;
	/* One tenant that was not offered what it should is load that the others did not meet. */
	for (size_t i = 0; i < t->result_len; i++) {
		usable = usable &&
			 ps_load_reason_is_trusted(t->results[i].valid, t->results[i].reasons);
	}
	return usable;
}

static const struct ps_store_result *result_of(const struct ps_store_trial *t, int tenant)
{
	for (size_t i = 0; i < t->result_len; i++) {
		if (t->results[i].tenant == tenant) {
			return &t->results[i];
		}
	}
	return NULL;
}

/* What one trial says. Nobody keeps an agreement while a backlog grows: it would be broken later.
 */
static enum ps_measure_verdict look_at(const struct ps_store_trial *t,
				       const struct ps_store_result *r)
{
	if (!ps_measure_is_usable(t)) {
		return PS_MEASURE_INVALID;
	}
	if (!r->sla_decided || (r->sla_met && !r->valid)) {
		return PS_MEASURE_UNDECIDED;
	}
	return r->sla_met ? PS_MEASURE_MET : PS_MEASURE_VIOLATED;
}

/* The trial to go by, see struct ps_measure_judged. */
static enum ps_measure_verdict verdict_of(const struct ps_store_trial *trials, size_t n, int tenant,
					  int *ret_trial)
{
	enum ps_measure_verdict best = PS_MEASURE_SILENT;
	*ret_trial = -1;
	for (size_t i = 0; i < n; i++) {
		const struct ps_store_result *r = result_of(&trials[i], tenant);
		enum ps_measure_verdict v = r ? look_at(&trials[i], r) : PS_MEASURE_SILENT;
		if (!r || (v == PS_MEASURE_INVALID && best == PS_MEASURE_UNDECIDED)) {
			continue;
		}
		best = v;
		*ret_trial = (int)i;
		if (v == PS_MEASURE_MET || v == PS_MEASURE_VIOLATED) {
			break;
		}
	}
	return best;
}

bool ps_measure_decided(const struct ps_store_trial *trials, size_t n)
{
	bool decided = n > 0;
	int trial;
	for (size_t i = 0; decided && i < trials[0].result_len; i++) {
		enum ps_measure_verdict v =
			verdict_of(trials, n, trials[0].results[i].tenant, &trial);
		decided = v == PS_MEASURE_MET || v == PS_MEASURE_VIOLATED;
	}
	return decided;
}

static enum ps_status read_latency(const struct ps_store_result *r, double p,
				   struct ps_stats_time_quantile *ret, struct ps_error *err)
{
	struct ps_hist h = {0};
	enum ps_status st = ps_hist_init(&h);
	if (st != PS_OK) {
		return ps_error_set(err, st, "no memory for a histogram");
	}
	if (r->latency.len > 0) {
		st = ps_hist_read(&h, r->latency.data, r->latency.len, err);
	}
	if (st == PS_OK) {
		*ret = ps_stats_hist_quantile(&h, p, r->effective_ratio, 0.95);
	}
	ps_hist_fini(&h);
	return st;
}

static enum ps_status read_service(const struct ps_store_result *r, double *ret_s,
				   struct ps_error *err)
{
	struct ps_hist h = {0};
	enum ps_status st = ps_hist_init(&h);
	if (st != PS_OK) {
		return ps_error_set(err, st, "no memory for a histogram");
	}
	if (r->server_compute.len > 0) {
		st = ps_hist_read(&h, r->server_compute.data, r->server_compute.len, err);
	}
	*ret_s = ps_hist_mean_ns(&h) * 1e-9;
	ps_hist_fini(&h);
	return st;
}

enum ps_status ps_measure_judge(const struct ps_store_trial *trials, size_t n, int tenant,
				const struct ps_sla *sla, struct ps_measure_judged *ret_judged,
				struct ps_error *err)
{
	struct ps_measure_judged j = {0};
	j.verdict = verdict_of(trials, n, tenant, &j.trial);
	*ret_judged = j;
	if (j.trial < 0) {
		return PS_OK;
	}
	const struct ps_store_result *r = result_of(&trials[j.trial], tenant);
	j.requests = r->scheduled;
	j.over = r->scheduled - r->good;
	j.needs_more = j.verdict == PS_MEASURE_UNDECIDED ? r->sla_needs_more : 0;
	j.success = r->scheduled > 0 ? (double)r->ok / (double)r->scheduled : 0;
	j.goodput_rps = r->goodput_rps;
	j.reasons = j.verdict == PS_MEASURE_INVALID ? trials[j.trial].reasons : NULL;
	enum ps_status st = read_latency(r, sla->percentile, &j.latency, err);
	if (st == PS_OK) {
		st = read_service(r, &j.service_s, err);
	}
	*ret_judged = j;
	return st;
}
