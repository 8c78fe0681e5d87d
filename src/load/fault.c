#include "load/fault.h"

#include "load/reason.h"

#define BUSY 0.9 /* of a sending thread's time: then it was late on its own account, too */

static bool generator_busy(const struct ps_load_result *r)
{
	double threads = r->threads > 0 ? r->threads : 1;

	return (double)r->cpu_ns > BUSY * threads * (double)(r->end_ns - r->start_ns);
}

static bool is_fault(const struct ps_load_tenant_result *t, const char *reason, bool busy)
{
	switch (ps_load_reason_of(reason)) {
	case PS_LOAD_REASON_MACHINE:
	case PS_LOAD_REASON_LITTLE:
	case PS_LOAD_REASON_CHANGED:
		return true;
	case PS_LOAD_REASON_RATE:
		return busy || t->sent_after > t->late_limit;
	case PS_LOAD_REASON_LAG:
	case PS_LOAD_REASON_UNSENT:
		return busy || t->late_limit == 0;
	default:
		return false;
	}
}

const char *ps_load_fault(const struct ps_load_result *r)
{
	bool busy = generator_busy(r);

	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];

		for (int k = 0; k < t->reason_len; k++) {
			if (is_fault(t, t->reasons[k], busy)) {
				return t->reasons[k];
			}
		}
	}
	return NULL;
}
