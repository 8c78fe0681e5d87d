/* Credits against floods: a bucket that time and useful work fill. */
#include "net/h2_parts_internal.h"

enum { MILLI = 1000 };

void ps_net_h2_credits_init(struct ps_net_h2_credits *c, int64_t burst, int64_t per_s,
			    int64_t now_ns)
{
	*c = (struct ps_net_h2_credits){
		.level_milli = burst * MILLI,
		.earned_ns = now_ns,
		.burst = burst,
		.per_s = per_s,
	};
}

void ps_net_h2_credits_earn(struct ps_net_h2_credits *c, int64_t milli)
{
	c->level_milli += milli;
	if (c->level_milli > c->burst * MILLI)
		c->level_milli = c->burst * MILLI;
}

/* Time is looked at only when the bucket is empty: most sessions never come to that. */
static void earn_by_time(struct ps_net_h2_credits *c, int64_t now_ns)
{
	int64_t full_ns = c->burst * PS_NS_PER_SEC / c->per_s;
	int64_t past_ns = now_ns - c->earned_ns;
	if (past_ns <= 0)
		return;
	if (past_ns > full_ns)
		past_ns = full_ns;
	int64_t milli = past_ns / PS_NS_PER_MS * c->per_s * MILLI / 1000;
	if (milli == 0)
		return;
	ps_net_h2_credits_earn(c, milli);
	c->earned_ns = now_ns;
}

bool ps_net_h2_credits_take(struct ps_net_h2_credits *c, int64_t now_ns)
{
	if (c->level_milli < MILLI)
		earn_by_time(c, now_ns);
	if (c->level_milli < MILLI)
		return false;
	c->level_milli -= MILLI;
	return true;
}
