/* Token buckets. What is kept is the number of tokens that are missing, so that zeroed memory is a
 * full bucket of any rate. */
#include "tenancy/tenancy.h"

/* Adding 0.1 ten times gives a little less than 1: so much may be missing. */
static const double slack = 1e-9;

static double used_at(const struct ps_tenancy_bucket *b, const struct ps_tenancy_rate *rate,
		      int64_t now_ns)
{
	double used = b->used < rate->burst ? b->used : rate->burst;
	if (now_ns > b->at_ns)
		used -= (double)(now_ns - b->at_ns) * 1e-9 * rate->per_s;
	return used > 0 ? used : 0;
}

bool ps_tenancy_bucket_take(struct ps_tenancy_bucket *b, const struct ps_tenancy_rate *rate,
			    double n, int64_t now_ns)
{
	if (!(rate->per_s > 0))
		return true;
	double used = used_at(b, rate, now_ns);
	b->used = used;
	if (now_ns > b->at_ns)
		b->at_ns = now_ns;
	if (used + n > rate->burst * (1 + slack))
		return false;
	b->used = used + n;
	return true;
}

int64_t ps_tenancy_bucket_wait_ns(const struct ps_tenancy_bucket *b,
				  const struct ps_tenancy_rate *rate, double n, int64_t now_ns)
{
	if (!(rate->per_s > 0))
		return 0;
	if (n > rate->burst)
		return INT64_MAX;
	double missing = used_at(b, rate, now_ns) + n - rate->burst;
	double ns = missing / rate->per_s * 1e9;
	if (missing <= rate->burst * slack)
		return 0;
	return ns < 9e18 ? (int64_t)ns + 1 : INT64_MAX;
}
