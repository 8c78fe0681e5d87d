/* mix.h - which request an arrival asks, and whether its answer is looked into.   Layer 3, pure.
 *
 * Both follow from a seed and the number of the arrival alone (a hash of the two), so that they do
 * not depend on threads, replicas or answers. Inputs go in turn: arrival n uses input n modulo
 * their number.
 */
#ifndef PS_LOAD_MIX_H
#define PS_LOAD_MIX_H

#include "base/error.h"
#include "load/target_spec.h"

#include <stdint.h>

struct ps_load_mix {
	uint64_t seed;
	size_t len;
	double upto[PS_LOAD_MAX_MIX]; /* cumulative shares; the last one is 1 */
};

/* ps_load_mix_init takes the weights of items[0..len). PS_EINVAL when there are none or over
 * PS_LOAD_MAX_MIX, or a weight is not a positive number. */
enum ps_status ps_load_mix_init(struct ps_load_mix *m, const struct ps_load_mix_item *items,
				size_t len, uint64_t seed, struct ps_error *err);

/* ps_load_mix_pick returns the item of arrival `sequence`. */
size_t ps_load_mix_pick(const struct ps_load_mix *m, uint64_t sequence);

/* ps_load_mix_sampled says whether arrival `sequence` is among the share of those looked into. */
bool ps_load_mix_sampled(const struct ps_load_mix *m, uint64_t sequence, double share);

#endif
