/* live.c - see live.h. */
#include "load/live.h"

#include <stdlib.h>
#include <string.h>

#define LOWEST_EXP 10 /* 2^10 ns: what is less counts as that */

enum { SUB_BITS = 3, SUBS = 1 << SUB_BITS };

/* ---- histograms ---- */

static int bucket_of(int64_t ns)
{
	int e, i;

	if (ns < (INT64_C(1) << LOWEST_EXP)) {
		return 0;
	}
	e = 63 - __builtin_clzll((unsigned long long)ns);
	i = (e - LOWEST_EXP) * SUBS + (int)((ns >> (e - SUB_BITS)) & (SUBS - 1));
	return i < PS_LOAD_LIVE_BUCKETS ? i : PS_LOAD_LIVE_BUCKETS - 1;
}

static int64_t bucket_middle(int i)
{
	int shift = i / SUBS + LOWEST_EXP - SUB_BITS;

	return ((int64_t)(SUBS + i % SUBS) << shift) + (INT64_C(1) << shift) / 2;
}

static void count(struct ps_load_live_hist *h, int64_t ns)
{
	int i = bucket_of(ns);

	h->counts[i]++;
	h->total++;
	if (h->high == 0 || i < h->low) {
		h->low = i;
	}
	if (i >= h->high) {
		h->high = i + 1;
	}
}

static void add_hist(struct ps_load_live_hist *to, const struct ps_load_live_hist *from)
{
	to->total += from->total;
	if (from->high == 0) {
		return;
	}
	for (int i = from->low; i < from->high; i++) {
		to->counts[i] += from->counts[i];
	}
	to->low = to->high == 0 || from->low < to->low ? from->low : to->low;
	to->high = from->high > to->high ? from->high : to->high;
}

/* Nearest rank, as everywhere. */
static int64_t quantile(const struct ps_load_live_hist *h, double p)
{
	uint64_t rank, seen = 0;

	if (h->total == 0) {
		return -1;
	}
	rank = ps_stats_rank(p, h->total);
	for (int i = h->low; i < h->high; i++) {
		seen += h->counts[i];
		if (seen >= rank) {
			return bucket_middle(i);
		}
	}
	return PS_HIST_INFINITE;
}

static void empty_hist(struct ps_load_live_hist *h)
{
	if (h->high > 0) {
		memset(&h->counts[h->low], 0, (size_t)(h->high - h->low) * sizeof(h->counts[0]));
	}
	h->total = 0;
	h->low = h->high = 0;
}

/* ---- tallies ---- */

void ps_load_live_sent(struct ps_load_live_tally *t, int64_t lag_ns)
{
	t->sent++;
	count(&t->lag, lag_ns);
}

void ps_load_live_ended(struct ps_load_live_tally *t, bool ok, bool good, int64_t latency_ns)
{
	t->done++;
	t->failed += !ok;
	t->good += good;
	if (ok) {
		count(&t->latency, latency_ns);
	} else {
		t->latency.total++;
	}
}

static bool is_empty(const struct ps_load_live_tally *t)
{
	return t->sent == 0 && t->latency.total == 0 && t->lag.total == 0;
}

static void empty(struct ps_load_live_tally *t)
{
	empty_hist(&t->latency);
	empty_hist(&t->lag);
	t->sent = t->good = 0;
	t->scheduled = t->done = t->failed = t->in_flight = t->waiting = 0;
}

static void add_now(struct ps_load_live_tally *to, const struct ps_load_live_tally *from)
{
	to->sent += from->sent;
	to->good += from->good;
	add_hist(&to->latency, &from->latency);
	add_hist(&to->lag, &from->lag);
}

static void add_totals(struct ps_load_live_totals *to, const struct ps_load_live_tally *from)
{
	to->scheduled += from->scheduled;
	to->done += from->done;
	to->failed += from->failed;
	to->in_flight += from->in_flight;
	to->waiting += from->waiting;
}

/* ---- the board ---- */

enum ps_status ps_load_live_init(struct ps_load_live *live, const struct ps_load_plan *plan)
{
	size_t n = plan->tenant_len;

	*live = (struct ps_load_live){.tenant_len = n, .last_latency_ns = -1};
	(void)pthread_mutex_init(&live->mutex, NULL);
	live->slots = calloc(n * PS_LOAD_LIVE_SLOTS, sizeof(*live->slots));
	live->totals = calloc(n, sizeof(*live->totals));
	live->published = calloc(n, sizeof(*live->published));
	if (!live->slots || !live->totals || !live->published) {
		ps_load_live_fini(live);
		return PS_ENOMEM;
	}
	for (int i = 0; i < PS_LOAD_LIVE_SLOTS; i++) {
		live->slot_tick[i] = -1;
	}
	for (size_t i = 0; i < n; i++) {
		live->published[i].name = plan->tenants[i].name;
	}
	return PS_OK;
}

void ps_load_live_fini(struct ps_load_live *live)
{
	if (live->tenant_len) {
		(void)pthread_mutex_destroy(&live->mutex);
	}
	free(live->slots);
	free(live->totals);
	free(live->published);
	*live = (struct ps_load_live){0};
}

/* The slot of a tick, emptied when it still holds an older one; NULL when it is too old itself. */
static struct ps_load_live_tally *slot_of(struct ps_load_live *live, int64_t tick)
{
	size_t i = (size_t)(tick % PS_LOAD_LIVE_SLOTS);
	struct ps_load_live_tally *slot = &live->slots[i * live->tenant_len];

	if (live->slot_tick[i] > tick) {
		return NULL;
	}
	if (live->slot_tick[i] < tick) {
		for (size_t k = 0; k < live->tenant_len; k++) {
			empty(&slot[k]);
		}
		live->slot_tick[i] = tick;
	}
	return slot;
}

void ps_load_live_publish(struct ps_load_live *live, struct ps_load_live_tally *tallies,
			  int64_t tick, int64_t last_latency_ns)
{
	struct ps_load_live_tally *slot;

	pthread_mutex_lock(&live->mutex);
	slot = slot_of(live, tick);
	for (size_t i = 0; i < live->tenant_len; i++) {
		add_totals(&live->totals[i], &tallies[i]);
		if (slot && !is_empty(&tallies[i])) {
			add_now(&slot[i], &tallies[i]);
		}
		empty(&tallies[i]);
	}
	if (last_latency_ns >= 0) {
		live->last_latency_ns = last_latency_ns;
	}
	pthread_mutex_unlock(&live->mutex);
}

/* What tenant i did in the whole ticks before the last one; returns how many there were. */
static int sum_now(const struct ps_load_live *live, int64_t tick, size_t i,
		   struct ps_load_live_tally *sum)
{
	int n = 0;

	for (int64_t at = tick - 1; at-- > 0 && n < PS_LOAD_LIVE_TICKS; n++) {
		size_t k = (size_t)(at % PS_LOAD_LIVE_SLOTS);

		if (live->slot_tick[k] == at) {
			add_now(sum, &live->slots[k * live->tenant_len + i]);
		}
	}
	return n;
}

static void read_tenant(struct ps_load_live *live, int64_t tick, size_t i)
{
	const struct ps_load_live_totals *all = &live->totals[i];
	struct ps_load_progress_tenant *t = &live->published[i];
	struct ps_load_live_tally sum = {0};
	double seconds = sum_now(live, tick, i, &sum) * (double)PS_LOAD_LIVE_TICK_NS / 1e9;

	t->rate_rps = seconds > 0 ? sum.sent / seconds : 0;
	t->goodput_rps = seconds > 0 ? sum.good / seconds : 0;
	t->p50_ns = quantile(&sum.latency, 0.5);
	t->p99_ns = quantile(&sum.latency, 0.99);
	t->lag_p99_ns = quantile(&sum.lag, 0.99);
	t->scheduled = (uint64_t)all->scheduled;
	t->done = (uint64_t)all->done;
	t->failed = (uint64_t)all->failed;
	t->in_flight = (uint64_t)all->in_flight;
	t->waiting = (uint64_t)all->waiting;
}

void ps_load_live_read(struct ps_load_live *live, int64_t tick, struct ps_load_progress *p)
{
	pthread_mutex_lock(&live->mutex);
	p->last_latency_ns = live->last_latency_ns;
	p->scheduled = p->done = p->failed = p->in_flight = p->waiting = 0;
	for (size_t i = 0; i < live->tenant_len; i++) {
		const struct ps_load_progress_tenant *t = &live->published[i];

		read_tenant(live, tick, i);
		p->scheduled += t->scheduled;
		p->done += t->done;
		p->failed += t->failed;
		p->in_flight += t->in_flight;
		p->waiting += t->waiting;
	}
	p->tenants = live->published;
	p->tenant_len = live->tenant_len;
	pthread_mutex_unlock(&live->mutex);
}
