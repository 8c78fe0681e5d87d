/* mix.c - see mix.h. */
#include "load/mix.h"

#include <math.h>

/* splitmix64's finaliser: enough to turn consecutive numbers into independent bits. */
static uint64_t mixed(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static double uniform(uint64_t seed, uint64_t sequence)
{
	uint64_t v = mixed(mixed(seed) + (sequence + 1) * UINT64_C(0x9e3779b97f4a7c15));

	return (double)(v >> 11) * 0x1p-53;
}

enum ps_status ps_load_mix_init(struct ps_load_mix *m, const struct ps_load_mix_item *items,
				size_t len, uint64_t seed, struct ps_error *err)
{
	double sum = 0, part = 0;

	if (len == 0 || len > PS_LOAD_MAX_MIX) {
		return ps_error_set(err, PS_EINVAL, "a mix has 1 to %d entries", PS_LOAD_MAX_MIX);
	}
	for (size_t i = 0; i < len; i++) {
		if (!(items[i].weight > 0) || !isfinite(items[i].weight)) {
			return ps_error_set(err, PS_EINVAL, "a weight of a mix is above 0");
		}
		sum += items[i].weight;
	}
	m->seed = seed;
	m->len = len;
	for (size_t i = 0; i < len; i++) {
		part += items[i].weight;
		m->upto[i] = part / sum;
	}
	m->upto[len - 1] = 1;
	return PS_OK;
}

size_t ps_load_mix_pick(const struct ps_load_mix *m, uint64_t sequence)
{
	size_t i = 0;
	double u;

	if (m->len == 1) {
		return 0;
	}
	u = uniform(m->seed, sequence);
	while (u >= m->upto[i]) {
		i++;
	}
	return i;
}

bool ps_load_mix_sampled(const struct ps_load_mix *m, uint64_t sequence, double share)
{
	/* Another stream than the pick's, else a sample would hold some items only. */
	return share <= 0 || share >= 1 || uniform(~m->seed, sequence) < share;
}
