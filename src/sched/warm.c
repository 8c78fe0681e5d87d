/* Which lanes' caches hold what: the instances that ran on a lane last, as far as their footprints
 * fit together. An instance that fits in no cache is read from beyond it wherever it runs, and
 * should do so where it drives out least; one without a footprint is not known to read anything
 * again.
 */
#include "sched/sched_internal.h"

/* So long a run is left to the lane that it was left for. */
enum { LEFT_NS = 1000000, LOOK_AT = 4 };

/* Of the cache: below, reading it again costs less than waiting for the right lane does. */
static const double worth_keeping = 1.0 / 16;

static int64_t footprint(const struct ps_sched *s, int instance)
{
	return s->instances[instance].config.footprint_bytes;
}

bool warm_matters(const struct ps_sched *s, int instance)
{
	int64_t cache = s->options.cache_bytes, bytes = footprint(s, instance);

	return s->keeps && cache > 0 && (double)bytes >= worth_keeping * (double)cache;
}

static bool is_warm(const struct ps_sched *s, int lane, int instance)
{
	const struct warm *w = &s->warm[lane];

	for (int i = 0; i < w->n; i++)
		if (w->instance[i] == instance)
			return true;
	return false;
}

static bool is_idle(const struct ps_sched *s, int lane)
{
	return !s->runs[lane].n;
}

static int idle_warm_lane(const struct ps_sched *s, int instance)
{
	for (int lane = 0; lane < s->options.n_lanes; lane++)
		if (is_idle(s, lane) && is_warm(s, lane, instance))
			return lane;
	return -1;
}

static int64_t held(const struct ps_sched *s, int lane)
{
	int64_t sum = 0;

	for (int i = 0; i < s->warm[lane].n; i++)
		sum += footprint(s, s->warm[lane].instance[i]);
	return sum;
}

static int roomiest_lane(const struct ps_sched *s)
{
	int best = -1;

	for (int lane = 0; lane < s->options.n_lanes; lane++)
		if (is_idle(s, lane) && (best < 0 || held(s, lane) < held(s, best)))
			best = lane;
	return best;
}

int warm_lane(const struct ps_sched *s, int instance)
{
	if (!warm_matters(s, instance))
		return -1;
	int lane = idle_warm_lane(s, instance);
	return lane >= 0 ? lane : roomiest_lane(s);
}

static void come_first(struct warm *w, int instance)
{
	int at = 0;

	while (at < w->n && w->instance[at] != instance)
		at++;
	if (at == w->n && w->n < MOST_WARM)
		w->n++;
	if (at == MOST_WARM)
		at--;
	for (; at > 0; at--)
		w->instance[at] = w->instance[at - 1];
	w->instance[0] = instance;
}

static void ran_on(struct ps_sched *s, int lane, int instance, int64_t bytes)
{
	struct warm *w = &s->warm[lane];
	int64_t sum = 0;
	int n = 0;

	if (bytes > s->options.cache_bytes)
		w->n = 0;
	else if (bytes > 0)
		come_first(w, instance);
	while (n < w->n && (sum += footprint(s, w->instance[n])) <= s->options.cache_bytes)
		n++;
	w->n = n;
}

void warm_ran(struct ps_sched *s, const struct ps_sched_run *run)
{
	int64_t bytes = footprint(s, run->instance);

	if (s->options.cache_bytes <= 0)
		return;
	if (run->width == 1) {
		if (!run->here)
			ran_on(s, run->lane, run->instance, bytes);
		return;
	}
	for (int lane = 0; lane < s->options.n_lanes; lane++) /* each CPU reads a part of it */
		if (bytes / run->width > s->options.cache_bytes / 2)
			s->warm[lane].n = 0;
}

void warm_forget(struct ps_sched *s, int instance)
{
	for (int lane = 0; lane < s->options.n_lanes; lane++) {
		struct warm *w = &s->warm[lane];
		for (int i = 0; i < w->n; i++)
			if (w->instance[i] == instance)
				w->n = i; /* what ran before it is likely gone as well */
	}
}

bool warm_leave(struct ps_sched *s, int lane, struct ps_sched_item *it, int64_t now_ns)
{
	if (!warm_matters(s, it->instance) || is_warm(s, lane, it->instance))
		return false;
	int other = idle_warm_lane(s, it->instance);
	if (other < 0)
		return false;
	if (it->left_ns == 0)
		it->left_ns = now_ns;
	if (now_ns - it->left_ns >= LEFT_NS)
		return false;
	s->left_for = other;
	return true;
}

struct flow *warm_pick(struct ps_sched *s, int lane, struct flow *f)
{
	const struct ps_sched_item *it = queue_first(f);
	const struct instance *i = &s->instances[it->instance];
	double slack = learn_mean_ns(i, it->rows, false) / (double)f->weight;

	if (!warm_matters(s, it->instance) || is_warm(s, lane, it->instance))
		return f;
	struct ps_sched_node *n = f->active.next;
	for (int k = 0; n && k < LOOK_AT; n = n->next, k++) {
		struct flow *o = FLOW_ACTIVE(n);
		if (o->tag - f->tag > slack)
			break;
		if (is_warm(s, lane, queue_first(o)->instance))
			return o;
	}
	return f;
}
