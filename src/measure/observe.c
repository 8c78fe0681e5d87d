/* observe.c - see observe.h. */
#include "measure/observe.h"

#include <stdlib.h>

static int by_schedule(const void *x, const void *y)
{
	const struct ps_trial_request *a = x, *b = y;
	return (a->scheduled_ns > b->scheduled_ns) - (a->scheduled_ns < b->scheduled_ns);
}

enum ps_status ps_measure_observe(const struct ps_load_tenant_result *t, const struct ps_sla *sla,
				  int64_t warmup_ns, struct ps_trial_seen *ret_seen,
				  struct ps_error *err)
{
	struct ps_trial_request *q = calloc(t->record_len + 1, sizeof(*q));
	if (!q) {
		return ps_error_set(err, PS_ENOMEM, "no memory to judge a step");
	}
	for (size_t i = 0; i < t->record_len; i++) {
		const struct ps_load_record *x = &t->records[i];
		q[i].scheduled_ns = x->scheduled_ns;
		q[i].latency_ns =
			x->outcome == PS_LOAD_OK ? x->done_ns - x->scheduled_ns : PS_HIST_INFINITE;
	}
	/* Records lie in order of their end. */
	qsort(q, t->record_len, sizeof(*q), by_schedule);
	enum ps_status st = ps_trial_observe(q, t->record_len, warmup_ns, sla, ret_seen, err);
	free(q);
	return st;
}
