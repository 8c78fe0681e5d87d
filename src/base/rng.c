#include "base/rng.h"

#include <errno.h>
#include <math.h>
#include <sys/random.h>

static uint64_t splitmix64(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void ps_rng_init(struct ps_rng *r, uint64_t seed, uint64_t stream)
{
	/* Hash the stream before mixing it in, so that seed+1/stream and seed/stream+1 differ. */
	uint64_t a = stream;
	uint64_t x = seed ^ splitmix64(&a);
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix64(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t ps_rng_next(struct ps_rng *r)
{
	uint64_t *s = r->s;
	uint64_t result = rotl(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

double ps_rng_uniform(struct ps_rng *r)
{
	return (double)(ps_rng_next(r) >> 11) * 0x1.0p-53;
}

uint64_t ps_rng_below(struct ps_rng *r, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n;
	uint64_t x;
	do {
		x = ps_rng_next(r);
	} while (x >= limit);
	return x % n;
}

double ps_rng_exponential(struct ps_rng *r, double mean)
{
	return -mean * log1p(-ps_rng_uniform(r));
}

double ps_rng_normal(struct ps_rng *r)
{
	double u, v, q;
	do {
		u = 2.0 * ps_rng_uniform(r) - 1.0;
		v = 2.0 * ps_rng_uniform(r) - 1.0;
		q = u * u + v * v;
	} while (q >= 1.0 || q == 0.0);
	return u * sqrt(-2.0 * log(q) / q);
}

/* Squeezed rejection from a cubed normal; over 95 % of the proposals are taken at once. */
static double gamma_from_1(struct ps_rng *r, double shape)
{
	double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d), x, v, u;
	do {
		do {
			x = ps_rng_normal(r);
			v = 1 + c * x;
		} while (v <= 0);
		v = v * v * v;
		u = 1 - ps_rng_uniform(r); /* in (0, 1] */
	} while (u >= 1 - 0.0331 * x * x * x * x && log(u) >= 0.5 * x * x + d * (1 - v + log(v)));
	return d * v;
}

double ps_rng_gamma(struct ps_rng *r, double shape)
{
	if (shape >= 1)
		return gamma_from_1(r, shape);
	/* Gamma(k) is Gamma(k + 1) times U^(1/k). */
	double whole = gamma_from_1(r, shape + 1);
	return whole * pow(1 - ps_rng_uniform(r), 1 / shape);
}

uint64_t ps_rng_stream(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return h;
}

enum ps_status ps_rng_kernel(void *buf, size_t size)
{
	unsigned char *p = buf;
	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return PS_EIO;
		}
		p += n;
		size -= (size_t)n;
	}
	return PS_OK;
}
