/* rng.h - the only place that makes randomness.   Layer 0.
 *
 * Reproducible streams come from xoshiro256++ (Blackman and Vigna, 2019) seeded through splitmix64
 * from (seed, stream): same pair, same sequence, on every machine; different streams of one seed
 * are independent for our purposes. Keys come from the kernel (ps_rng_kernel). Not thread-safe:
 * one generator per thread and purpose.
 */
#ifndef PS_BASE_RNG_H
#define PS_BASE_RNG_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ps_rng {
	uint64_t s[4];
};

/* ps_rng_init seeds stream number `stream` of `seed`. */
void ps_rng_init(struct ps_rng *r, uint64_t seed, uint64_t stream);

/* ps_rng_next returns 64 uniform bits. */
uint64_t ps_rng_next(struct ps_rng *r);

/* ps_rng_uniform returns a double in [0, 1) with 53 random bits. */
double ps_rng_uniform(struct ps_rng *r);

/* ps_rng_below returns a uniform integer in [0, n), n >= 1, without modulo bias. */
uint64_t ps_rng_below(struct ps_rng *r, uint64_t n);

/* ps_rng_exponential returns an exponential variate of the given mean (inverse transform; never
 * infinite). */
double ps_rng_exponential(struct ps_rng *r, double mean);

/* ps_rng_normal returns a standard normal variate (polar method, no state kept between calls). */
double ps_rng_normal(struct ps_rng *r);

/* ps_rng_gamma returns a gamma variate of the given shape > 0 and scale 1 (Marsaglia and Tsang,
 * 2000; below shape 1 by one more uniform variate). */
double ps_rng_gamma(struct ps_rng *r, double shape);

/* ps_rng_stream turns a name ("tenant/arrivals") into a stream number (FNV-1a, 64 bits). */
uint64_t ps_rng_stream(const char *name);

/* ps_rng_kernel fills `buf` from the kernel's generator (getrandom). PS_EIO if it refuses. */
enum ps_status ps_rng_kernel(void *buf, size_t size);

#endif
