#include "metrics/metrics.h"

#include "base/clock.h"

const int64_t ps_metrics_bounds_ns[PS_METRICS_BOUNDS] = {
	100 * PS_NS_PER_US,  250 * PS_NS_PER_US,  500 * PS_NS_PER_US, 1 * PS_NS_PER_MS,
	2500 * PS_NS_PER_US, 5 * PS_NS_PER_MS,	  10 * PS_NS_PER_MS,  25 * PS_NS_PER_MS,
	50 * PS_NS_PER_MS,   100 * PS_NS_PER_MS,  250 * PS_NS_PER_MS, 500 * PS_NS_PER_MS,
	1 * PS_NS_PER_SEC,   2500 * PS_NS_PER_MS, 5 * PS_NS_PER_SEC,  10 * PS_NS_PER_SEC,
	30 * PS_NS_PER_SEC,  60 * PS_NS_PER_SEC,
};

/* The first bound that is not below the value: "le" includes its bound. */
static int bucket_of(int64_t value_ns)
{
	int low = 0, high = PS_METRICS_BOUNDS;
	while (low < high) {
		int middle = (low + high) / 2;
		if (value_ns <= ps_metrics_bounds_ns[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void ps_metrics_hist_record(struct ps_metrics_hist *h, int64_t value_ns)
{
	value_ns = value_ns < 0 ? 0 : value_ns;
	h->counts[bucket_of(value_ns)]++;
	h->count++;
	h->sum_ns += value_ns;
}

void ps_metrics_hist_merge(struct ps_metrics_hist *to, const struct ps_metrics_hist *from)
{
	for (int i = 0; i <= PS_METRICS_BOUNDS; i++)
		to->counts[i] += from->counts[i];
	to->count += from->count;
	to->sum_ns += from->sum_ns;
}
