/* replay.h - what the queue makes of the very requests that were sent.   Layer 3, pure.
 *   Uses base and stats.
 *
 * A trial of half a minute holds a few hundred requests, and how they happened to come moves its
 * p99 by tens of per cent: that says nothing about the machine. Where the instants are known, the
 * first guess of what was measured is the queue (queue.h) of these instants, and what is learned
 * from it is what the guess is off by, not what chance made of the arrivals. Of what was not sent
 * yet nobody knows the instants: there the first guess is that of a long run.
 */
#ifndef PS_PREDICT_REPLAY_H
#define PS_PREDICT_REPLAY_H

#include "predict/predict.h"
#include "predict/queue.h"

/* What a tenant was sent in one trial, rising. */
struct ps_predict_sent {
	const struct ps_predict_arrival *arrivals;
	size_t len;
};

/* One trial of a set: its own tenant's requests and those of its n neighbours. */
struct ps_predict_block {
	struct ps_predict_sent own;
	const struct ps_predict_sent *others;
};

struct ps_predict_replay {
	struct ps_predict_tenant own;
	const struct ps_predict_tenant *others;
	int n; /* 0 to PS_PREDICT_MAX_NEIGHBOURS */
	struct ps_predict_slice slice;
	const struct ps_predict_block *blocks;
	size_t block_len;
};

/* ps_predict_replay_slowdown is the median of own's latency together over alone, both with the same
 * arrivals, of each block, and of the blocks the geometric mean, as it is measured.
 * ps_predict_replay_p99 is the p99 in ns over all blocks together. NAN: no request of its own is
 * counted, or a number cannot be. */
double ps_predict_replay_slowdown(const struct ps_predict_replay *r);
double ps_predict_replay_p99(const struct ps_predict_replay *r);

#endif
