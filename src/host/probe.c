#include "host/probe.h"

#include "base/clock.h"
#include "host/probe_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const int64_t each_ns = 4 * INT64_C(1000000);
static const int64_t largest = 64 << 20; /* bytes per thread */

/* Products as convolutions become them: large maps, small maps, one image of a fully connected
 * layer. */
static const struct ps_host_probe plan[] = {
	{.kind = PS_HOST_PROBE_MACS},
	{.kind = PS_HOST_PROBE_PRODUCT, .size = 784, .n = 128},
	{.kind = PS_HOST_PROBE_PRODUCT, .size = 49, .n = 512},
	{.kind = PS_HOST_PROBE_PRODUCT, .size = 1, .n = 2048},
	{.kind = PS_HOST_PROBE_BANDWIDTH, .size = 16 << 10},
	{.kind = PS_HOST_PROBE_BANDWIDTH, .size = 256 << 10},
	{.kind = PS_HOST_PROBE_BANDWIDTH, .size = 4 << 20},
	{.kind = PS_HOST_PROBE_BANDWIDTH, .size = 64 << 20},
};
enum { PROBES = sizeof plan / sizeof plan[0] };

struct worker {
	pthread_t thread;
	struct team *team;
	int cpu;       /* -1: not bound */
	float *memory; /* `largest` bytes */
	bool failed;   /* to bind itself */
	double per_s[PROBES][PS_HOST_PROBE_TIMES];
	volatile float sink;
};

struct team {
	const struct ps_host_kernels *kernels;
	pthread_barrier_t together;
	pthread_mutex_t gate; /* shut until all threads are there, or it is known that not */
	bool abandoned;
	struct worker *workers;
	int n;
};

const char *ps_host_probe_name(enum ps_host_probe_kind k)
{
	static const char *const names[] = {"macs", "product", "bandwidth"};
	return names[k];
}

/* ---- one thread ---- */

/* One turn of a probe: how much it did. */
static double turn(struct worker *w, const struct ps_host_probe *p)
{
	const struct ps_host_kernels *k = w->team->kernels;
	int64_t macs = 0;
	switch (p->kind) {
	case PS_HOST_PROBE_MACS:
		w->sink = k->macs(100000, &macs);
		return (double)macs;
	case PS_HOST_PROBE_PRODUCT: {
		float *b = w->memory, *a = b + p->n * p->n, *c = a + p->size * p->n;
		w->sink = k->product(a, b, c, p->size, p->n);
		return (double)(p->size * p->n) * (double)p->n;
	}
	default:
		w->sink = k->read(w->memory, p->size / 4);
		return (double)p->size;
	}
}

static double timed(struct worker *w, const struct ps_host_probe *p)
{
	double done = 0;
	int64_t begin_ns = ps_clock_now_ns(), end_ns;
	do {
		done += turn(w, p);
		end_ns = ps_clock_now_ns();
	} while (end_ns - begin_ns < each_ns);
	return done / (double)(end_ns - begin_ns) * 1e9;
}

static void bind_to(struct worker *w)
{
	cpu_set_t set;
	if (w->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)w->cpu, &set);
	w->failed = sched_setaffinity(0, sizeof set, &set) != 0;
}

/* Threads begin each timing together, so that what they share is shared. The first timing of each
 * probe is not kept: caches and the clock frequency settle. */
static void *work(void *arg)
{
	struct worker *w = arg;
	pthread_mutex_lock(&w->team->gate);
	bool abandoned = w->team->abandoned;
	pthread_mutex_unlock(&w->team->gate);
	if (abandoned)
		return NULL;
	bind_to(w);
	memset(w->memory, 0, (size_t)largest);
	for (int i = 0; i < PROBES; i++)
		for (int k = -1; k < PS_HOST_PROBE_TIMES; k++) {
			pthread_barrier_wait(&w->team->together);
			double per_s = timed(w, &plan[i]);
			if (k >= 0)
				w->per_s[i][k] = per_s;
		}
	return NULL;
}

/* ---- all of them ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void sum_up(const struct team *t, int probe, struct ps_host_probe *ret)
{
	double sums[PS_HOST_PROBE_TIMES] = {0};
	for (int w = 0; w < t->n; w++)
		for (int k = 0; k < PS_HOST_PROBE_TIMES; k++)
			sums[k] += t->workers[w].per_s[probe][k];
	qsort(sums, PS_HOST_PROBE_TIMES, sizeof *sums, by_value);
	*ret = plan[probe];
	ret->per_s = sums[PS_HOST_PROBE_TIMES - 1];
	ret->median = sums[PS_HOST_PROBE_TIMES / 2];
	ret->low = sums[0];
}

static enum ps_status check(const struct ps_cpus *cpus, int threads, struct ps_error *err)
{
	if (threads < 1 || threads > PS_HOST_PROBE_THREADS)
		return ps_error_set(err, PS_EINVAL, "probes of %d threads, 1 to %d", threads,
				    PS_HOST_PROBE_THREADS);
	if (cpus && ps_cpus_count(cpus) > 0 && ps_cpus_count(cpus) < threads)
		return ps_error_set(err, PS_EINVAL, "probes of %d threads on %d CPUs", threads,
				    ps_cpus_count(cpus));
	return PS_OK;
}

static const struct ps_host_kernels *best_kernels(void)
{
	static const struct ps_host_kernels *const all[] = {
		&ps_host_kernels_avx512, &ps_host_kernels_avx2, &ps_host_kernels_plain};
	for (int i = 0; i < 2; i++)
		if (all[i]->there())
			return all[i];
	return all[2];
}

static enum ps_status prepare(struct team *t, const struct ps_cpus *cpus, struct ps_error *err)
{
	bool bound = cpus && ps_cpus_count(cpus) > 0;
	t->workers = calloc((size_t)t->n, sizeof *t->workers);
	for (int i = 0; t->workers && i < t->n; i++) {
		struct worker *w = &t->workers[i];
		w->team = t;
		w->cpu = bound ? ps_cpus_nth(cpus, i) : -1;
		w->memory = aligned_alloc(64, (size_t)largest);
		if (!w->memory)
			return ps_error_set(err, PS_ENOMEM, "no memory for probes");
	}
	return t->workers ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for probes");
}

static int start_all(struct team *t)
{
	int started = 0;
	pthread_mutex_lock(&t->gate);
	while (started < t->n &&
	       pthread_create(&t->workers[started].thread, NULL, work, &t->workers[started]) == 0)
		started++;
	t->abandoned = started < t->n;
	pthread_mutex_unlock(&t->gate);
	return started;
}

static enum ps_status run(struct team *t, struct ps_error *err)
{
	pthread_mutex_init(&t->gate, NULL);
	pthread_barrier_init(&t->together, NULL, (unsigned)t->n);
	int started = start_all(t);
	for (int i = 0; i < started; i++)
		pthread_join(t->workers[i].thread, NULL);
	pthread_barrier_destroy(&t->together);
	pthread_mutex_destroy(&t->gate);
	if (started < t->n)
		return ps_error_set(err, PS_ENOMEM, "no thread for probes");
	for (int i = 0; i < t->n; i++)
		if (t->workers[i].failed)
			return ps_error_set(err, PS_EINVAL, "CPU %d is not ours",
					    t->workers[i].cpu);
	return PS_OK;
}

static void clean_up(struct team *t)
{
	for (int i = 0; t->workers && i < t->n; i++)
		free(t->workers[i].memory);
	free(t->workers);
}

enum ps_status ps_host_probe_machine(const struct ps_cpus *cpus, int threads,
				     struct ps_host_probes *ret_probes, struct ps_error *err)
{
	struct team t = {.kernels = best_kernels(), .n = threads};
	int64_t begin_ns = ps_clock_now_ns();
	enum ps_status st = check(cpus, threads, err);
	if (st != PS_OK)
		return st;
	st = prepare(&t, cpus, err);
	st = st == PS_OK ? run(&t, err) : st;
	if (st == PS_OK) {
		struct ps_host_probes p = {.vectors = t.kernels->vectors,
					   .vector_bytes = t.kernels->vector_bytes,
					   .threads = threads,
					   .len = PROBES};
		for (int i = 0; i < PROBES; i++)
			sum_up(&t, i, &p.probes[i]);
		if (cpus)
			(void)ps_cpus_format(cpus, p.cpus);
		p.took_ns = ps_clock_now_ns() - begin_ns;
		*ret_probes = p;
	}
	clean_up(&t);
	return st;
}
