#include "predict/queue.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As the server's own: a larger batch must save this share of the time per request. */
static const double worth_it = 0.98;
static const int64_t usual_requests = 200000;
enum { WARMUP = 10 }; /* one part in so many */

struct request {
	double arrived_ns, factor;
	bool counted;
};

struct tenant {
	const struct ps_predict_load *load;
	struct ps_rng gaps, needs;
	double next_ns; /* its next arrival; INFINITY: none */
	size_t given;	/* how many of the given ones have come */
	double sigma;	/* of the logarithm of what a request needs */
	struct request *ring;
	size_t first, len, cap; /* cap is a power of two */
	double tag, idle_to;
	int64_t order; /* of equal tags the one that got it first is next */
	struct ps_hist latency;
	double wait_ns, busy_ns;
};

struct lane {
	double free_ns;
	int tenant;	/* whose run is under way; -1: none */
	double more_ns; /* what it takes beyond what was charged at its start */
};

struct queue {
	const struct ps_predict_queue *plan;
	struct tenant *tenants;
	struct lane *lanes;
	double virtual_time, now_ns;
	int64_t drawn, requests, order;
};

/* ---- what a run takes ---- */

static double time_of(const struct ps_predict_load *l, size_t n)
{
	return l->table_len ? l->table_ns[n - 1] : l->service_ns * (double)n;
}

/* How many of those that wait run together: sizes double, as the server tries them. */
static size_t batch_of(const struct ps_predict_load *l, size_t waiting)
{
	size_t most = waiting < l->table_len ? waiting : l->table_len, best = 1;
	double best_ns = time_of(l, 1);
	for (size_t n = 1; n < most;) {
		n = 2 * n < most ? 2 * n : most;
		double each_ns = time_of(l, n) / (double)n;
		if (each_ns <= worth_it * best_ns) {
			best = n;
			best_ns = each_ns;
		}
	}
	return best;
}

double ps_predict_queue_busy(const struct ps_predict_queue *q)
{
	double busy = 0;
	for (int i = 0; i < q->n_loads; i++) {
		const struct ps_predict_load *l = &q->loads[i];
		size_t n = l->table_len ? batch_of(l, l->table_len) : 1;
		busy += l->rate_rps * time_of(l, n) / (double)n * 1e-9;
	}
	return busy / q->n_lanes;
}

double ps_predict_queue_mean_wait(double rate_rps, double service_ns, double variation)
{
	double busy = rate_rps * service_ns * 1e-9;
	if (busy >= 1)
		return INFINITY;
	return busy * service_ns * (1 + variation * variation) / (2 * (1 - busy));
}

/* ---- arrivals ---- */

static bool grow(struct tenant *t)
{
	if (t->len < t->cap)
		return true;
	size_t cap = t->cap ? 2 * t->cap : 64;
	struct request *ring = malloc(cap * sizeof *ring);
	if (!ring)
		return false;
	for (size_t i = 0; i < t->len; i++)
		ring[i] = t->ring[(t->first + i) & (t->cap - 1)];
	free(t->ring);
	t->ring = ring;
	t->first = 0;
	t->cap = cap;
	return true;
}

static void draw_next(struct tenant *t)
{
	const struct ps_predict_load *l = t->load;
	if (l->arrivals)
		t->next_ns = t->given < l->arrival_len ? l->arrivals[t->given].at_ns : INFINITY;
	else
		t->next_ns += ps_rng_exponential(&t->gaps, 1e9 / l->rate_rps);
}

static double draw_factor(struct tenant *t)
{
	if (t->sigma == 0)
		return 1;
	return exp(t->sigma * ps_rng_normal(&t->needs) - t->sigma * t->sigma / 2);
}

static bool is_counted(const struct queue *q, const struct tenant *t)
{
	if (t->load->arrivals)
		return t->load->arrivals[t->given].counted;
	return q->drawn >= q->requests / WARMUP;
}

static bool arrive(struct queue *q, struct tenant *t)
{
	if (!grow(t))
		return false;
	if (t->len == 0) { /* nobody saves up by being idle */
		t->tag = fmax(t->tag, q->virtual_time);
		t->idle_to = q->virtual_time;
		t->order = ++q->order;
	}
	t->ring[(t->first + t->len++) & (t->cap - 1)] = (struct request){
		.arrived_ns = q->now_ns, .factor = draw_factor(t), .counted = is_counted(q, t)};
	q->drawn++;
	t->given++;
	draw_next(t);
	return true;
}

/* ---- runs ---- */

/* What a tenant is given back never takes it below where it began: that would be credit for having
 * been idle. */
static void charge(struct queue *q, struct tenant *t, double ns)
{
	double tag = t->tag + ns / t->load->weight;
	tag = ns < 0 && tag < t->idle_to ? fmin(t->tag, t->idle_to) : tag;
	t->order = tag != t->tag ? ++q->order : t->order;
	t->tag = tag;
}

static void record(struct queue *q, struct tenant *t, int64_t latency_ns)
{
	ps_hist_record(&t->latency, latency_ns);
	if (q->plan->first_latency && t == q->tenants)
		ps_hist_record(q->plan->first_latency, latency_ns);
}

static void start(struct queue *q, struct lane *lane, int who)
{
	struct tenant *t = &q->tenants[who];
	size_t n = batch_of(t->load, t->len);
	double mean_ns = time_of(t->load, n), factor = 0;
	for (size_t i = 0; i < n; i++)
		factor += t->ring[(t->first + i) & (t->cap - 1)].factor;
	double ns = mean_ns * factor / (double)n;
	for (size_t i = 0; i < n; i++) {
		const struct request *r = &t->ring[(t->first + i) & (t->cap - 1)];
		if (!r->counted)
			continue;
		record(q, t, (int64_t)(q->now_ns + ns - r->arrived_ns + 0.5));
		t->wait_ns += q->now_ns - r->arrived_ns;
	}
	t->first += n;
	t->len -= n;
	t->busy_ns += ns;
	q->virtual_time = fmax(q->virtual_time, t->tag);
	charge(q, t, mean_ns);
	*lane = (struct lane){q->now_ns + ns, who, ns - mean_ns};
}

static int whose_turn(const struct queue *q)
{
	int who = -1;
	for (int i = 0; i < q->plan->n_loads; i++) {
		const struct tenant *t = &q->tenants[i], *best = who < 0 ? NULL : &q->tenants[who];
		if (t->len > 0 && (!best || t->tag < best->tag ||
				   (t->tag == best->tag && t->order < best->order)))
			who = i;
	}
	return who;
}

static void start_all(struct queue *q)
{
	for (int k = 0; k < q->plan->n_lanes; k++) {
		if (q->lanes[k].tenant >= 0)
			continue;
		int who = whose_turn(q);
		if (who < 0)
			return;
		start(q, &q->lanes[k], who);
	}
}

/* ---- time ---- */

static struct tenant *next_arrival(struct queue *q)
{
	struct tenant *first = NULL;
	for (int i = 0; i < q->plan->n_loads && q->drawn < q->requests; i++)
		if (!first || q->tenants[i].next_ns < first->next_ns)
			first = &q->tenants[i];
	return first; /* of given ones some is left while fewer were drawn than there are */
}

static struct lane *next_end(struct queue *q)
{
	struct lane *first = NULL;
	for (int k = 0; k < q->plan->n_lanes; k++)
		if (q->lanes[k].tenant >= 0 && (!first || q->lanes[k].free_ns < first->free_ns))
			first = &q->lanes[k];
	return first;
}

static enum ps_status run(struct queue *q)
{
	for (;;) {
		struct tenant *t = next_arrival(q);
		struct lane *lane = next_end(q);
		if (!t && !lane)
			return PS_OK;
		if (lane && (!t || lane->free_ns <= t->next_ns)) {
			q->now_ns = lane->free_ns;
			charge(q, &q->tenants[lane->tenant], lane->more_ns);
			lane->tenant = -1;
		} else if (t) {
			q->now_ns = t->next_ns;
			if (!arrive(q, t))
				return PS_ENOMEM;
		}
		start_all(q);
	}
}

/* ---- the plan ---- */

static bool positive(double x)
{
	return x > 0 && isfinite(x);
}

static enum ps_status check_load(const struct ps_predict_load *l, int place, struct ps_error *err)
{
	bool ok = positive(l->rate_rps) && positive(l->weight) && l->variation >= 0 &&
		  isfinite(l->variation) && l->table_len <= PS_PREDICT_MAX_TABLE &&
		  (l->table_len || positive(l->service_ns));
	for (size_t n = 0; n < l->table_len && ok; n++)
		ok = positive(l->table_ns[n]);
	return ok ? PS_OK
		  : ps_error_set(err, PS_EINVAL,
				 "tenant %d: a rate of %g/s, %g ns of service, variation %g, "
				 "weight %g, batches up to %zu",
				 place, l->rate_rps, l->service_ns, l->variation, l->weight,
				 l->table_len);
}

/* Rising instants, of all or of none. */
static enum ps_status check_arrivals(const struct ps_predict_queue *q, struct ps_error *err)
{
	for (int i = 0; i < q->n_loads; i++) {
		const struct ps_predict_load *l = &q->loads[i];
		double last_ns = 0;
		if (!l->arrivals != !q->loads[0].arrivals)
			return ps_error_set(err, PS_EINVAL,
					    "tenant %d: arrivals are given of all or of none", i);
		for (size_t k = 0; l->arrivals && k < l->arrival_len; k++) {
			double at_ns = l->arrivals[k].at_ns;
			if (!(at_ns >= last_ns) || !isfinite(at_ns))
				return ps_error_set(err, PS_EINVAL,
						    "tenant %d: arrival %zu at %g ns, after %g", i,
						    k, at_ns, last_ns);
			last_ns = at_ns;
		}
	}
	return PS_OK;
}

static int64_t count_given(const struct ps_predict_queue *q)
{
	int64_t n = 0;
	for (int i = 0; i < q->n_loads; i++)
		n += (int64_t)q->loads[i].arrival_len;
	return n;
}

static enum ps_status check(const struct ps_predict_queue *q, struct ps_error *err)
{
	if (q->n_loads < 1 || q->n_loads > PS_PREDICT_MAX_LOADS || q->n_lanes < 1 ||
	    q->n_lanes > PS_PREDICT_MAX_LANES || q->requests < 0 ||
	    q->requests > PS_PREDICT_MAX_DRAWN)
		return ps_error_set(err, PS_EINVAL, "%d tenants on %d lanes, %lld requests",
				    q->n_loads, q->n_lanes, (long long)q->requests);
	for (int i = 0; i < q->n_loads; i++) {
		enum ps_status st = check_load(&q->loads[i], i, err);
		if (st != PS_OK)
			return st;
	}
	enum ps_status st = check_arrivals(q, err);
	if (st != PS_OK)
		return st;
	if (q->loads[0].arrivals && count_given(q) > PS_PREDICT_MAX_DRAWN)
		return ps_error_set(err, PS_EINVAL, "%lld arrivals", (long long)count_given(q));
	double busy = ps_predict_queue_busy(q);
	if (busy >= 1 && !q->loads[0].arrivals)
		return ps_error_set(err, PS_EUNAVAIL,
				    "the loads need %.3g times the lanes' time: no queue ends",
				    busy);
	return PS_OK;
}

static enum ps_status set_up(struct queue *q)
{
	q->tenants = calloc((size_t)q->plan->n_loads, sizeof *q->tenants);
	q->lanes = calloc((size_t)q->plan->n_lanes, sizeof *q->lanes);
	if (!q->tenants || !q->lanes)
		return PS_ENOMEM;
	for (int k = 0; k < q->plan->n_lanes; k++)
		q->lanes[k].tenant = -1;
	for (int i = 0; i < q->plan->n_loads; i++) {
		struct tenant *t = &q->tenants[i];
		t->load = &q->plan->loads[i];
		t->sigma = sqrt(log1p(t->load->variation * t->load->variation));
		ps_rng_init(&t->gaps, q->plan->seed, 2 * (uint64_t)i);
		ps_rng_init(&t->needs, q->plan->seed, 2 * (uint64_t)i + 1);
		draw_next(t);
		if (ps_hist_init(&t->latency) != PS_OK)
			return PS_ENOMEM;
	}
	return PS_OK;
}

static void tear_down(struct queue *q)
{
	for (int i = 0; q->tenants && i < q->plan->n_loads; i++) {
		free(q->tenants[i].ring);
		ps_hist_fini(&q->tenants[i].latency);
	}
	free(q->tenants);
	free(q->lanes);
}

static void report(const struct queue *q, struct ps_predict_waited *ret)
{
	for (int i = 0; i < q->plan->n_loads; i++) {
		const struct tenant *t = &q->tenants[i];
		const struct ps_hist *h = &t->latency;
		int64_t n = (int64_t)ps_hist_count(h);
		ret[i] = (struct ps_predict_waited){
			.mean_ns = ps_hist_mean_ns(h),
			.p50_ns = (double)ps_hist_quantile_ns(h, 0.5),
			.p95_ns = (double)ps_hist_quantile_ns(h, 0.95),
			.p99_ns = (double)ps_hist_quantile_ns(h, 0.99),
			.wait_ns = n ? t->wait_ns / (double)n : 0,
			.share = t->busy_ns / (q->now_ns * q->plan->n_lanes),
			.counted = n,
		};
	}
}

enum ps_status ps_predict_queue_run(const struct ps_predict_queue *plan,
				    struct ps_predict_waited *ret_waited, struct ps_error *err)
{
	struct queue q = {.plan = plan,
			  .requests = plan->requests ? plan->requests : usual_requests};
	enum ps_status st = check(plan, err);
	if (st != PS_OK)
		return st;
	if (plan->loads[0].arrivals)
		q.requests = count_given(plan);
	st = set_up(&q);
	st = st == PS_OK && q.tenants ? run(&q) : st;
	if (st == PS_OK)
		report(&q, ret_waited);
	else
		st = ps_error_set(err, st, "no memory for a queue of %lld requests",
				  (long long)q.requests);
	tear_down(&q);
	return st;
}
