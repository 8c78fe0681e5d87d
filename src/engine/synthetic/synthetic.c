/* The standard weight: an engine whose service times are declared.
 *
 * A run ends at started + service, where the time of a scripted stall does not count: a run that
 * meets the stall [S, E) stops at S and goes on at E. Everything is decided from instants, so the
 * stall needs no timer and hits every run of the instance alike.
 */
#include "engine/engine_internal.h"
#include "engine/synthetic/synthetic_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct ps_engine {
	uint64_t seed;
	pthread_mutex_t lock; /* guards `interrupted` */
	pthread_cond_t woken;
	bool interrupted;
};

struct ps_engine_instance {
	struct ps_synthetic_spec spec;
	struct ps_engine_memory memory;
	char *ballast;	      /* the declared memory; NULL: none */
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t woken; /* a cancel came: sleepers look again */
	struct ps_rng rng;
	size_t next_duration;
	int64_t first_run_ns; /* 0: none yet */
};

static void init_sync(pthread_mutex_t *lock, pthread_cond_t *woken)
{
	pthread_condattr_t attr;

	pthread_mutex_init(lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(woken, &attr);
	pthread_condattr_destroy(&attr);
}

static enum ps_status synthetic_start(const struct ps_engine_options *options,
				      struct ps_engine **ret_engine, struct ps_error *err)
{
	struct ps_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return ps_error_set(err, PS_ENOMEM, "no memory for the synthetic engine");
	e->seed = (uint64_t)options->seed;
	init_sync(&e->lock, &e->woken);
	*ret_engine = e;
	return PS_OK;
}

static void synthetic_stop(struct ps_engine *e)
{
	pthread_cond_destroy(&e->woken);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static const char *synthetic_version(const struct ps_engine *e)
{
	(void)e;
	return "synthetic 1";
}

/* Takes the declared time, unless it is interrupted. */
static enum ps_status take_time(struct ps_engine *e, int64_t end_ns, struct ps_error *err)
{
	const struct timespec ts = {end_ns / PS_NS_PER_SEC, end_ns % PS_NS_PER_SEC};
	bool interrupted;

	pthread_mutex_lock(&e->lock);
	while (!e->interrupted && ps_clock_now_ns() < end_ns)
		pthread_cond_timedwait(&e->woken, &e->lock, &ts);
	interrupted = e->interrupted;
	pthread_mutex_unlock(&e->lock);
	return interrupted ? ps_error_set(err, PS_ECANCELLED, "loading was interrupted") : PS_OK;
}

/* Its own mapping, so that closing gives it back to the system at once. */
static enum ps_status take_memory(struct ps_engine_instance *i, struct ps_error *err)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	size_t n = (size_t)i->spec.memory_bytes;
	void *p;

	if (n == 0)
		return PS_OK;
	/* cppcheck-suppress invalidFunctionArg ; -1 is what an anonymous mapping wants */
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		return ps_error_set(err, PS_ENOMEM, "no memory for a synthetic model of %zu bytes",
				    n);
	i->ballast = p;
	return PS_OK;
}

static enum ps_status prepare(struct ps_engine *e, struct ps_engine_instance *i, const char *path,
			      int64_t began_ns, struct ps_error *err)
{
	enum ps_status st = ps_synthetic_load(path, &i->spec, err);

	if (st == PS_OK)
		st = take_time(e, began_ns + i->spec.load_ns, err);
	if (st == PS_OK && i->spec.broken[0]) {
		st = ps_error_set(err, PS_EPARSE, "%s", i->spec.broken);
		ps_error_where(err, "%s", path);
	}
	return st == PS_OK ? take_memory(i, err) : st;
}

static enum ps_status synthetic_open(struct ps_engine *e, const struct ps_engine_open *open,
				     struct ps_engine_instance **ret_instance, struct ps_error *err)
{
	int64_t began_ns = ps_clock_now_ns();
	struct ps_engine_instance *i;
	int gpu;
	enum ps_status st = ps_engine_device(open->device, &gpu, err);

	if (st == PS_OK && gpu >= 0)
		st = ps_error_set(err, PS_EUNSUPPORTED,
				  "device %s: a synthetic model runs on the CPU", open->device);
	if (st != PS_OK)
		return st;
	i = calloc(1, sizeof(*i));
	if (!i)
		return ps_error_set(err, PS_ENOMEM, "no memory for a synthetic model");
	st = prepare(e, i, open->path, began_ns, err);
	if (st != PS_OK) {
		ps_synthetic_fini(&i->spec);
		free(i);
		return st;
	}
	init_sync(&i->lock, &i->woken);
	ps_rng_init(&i->rng, i->spec.seed ^ e->seed, ps_rng_stream("synthetic/service"));
	i->memory.private_bytes =
		(int64_t)(sizeof(*i) + i->spec.n_durations * sizeof(*i->spec.durations_ns)) +
		i->spec.memory_bytes;
	i->memory.load_ns = ps_clock_now_ns() - began_ns;
	*ret_instance = i;
	return PS_OK;
}

enum { LITTLE = 64 << 10 };

static enum ps_status synthetic_need(struct ps_engine *e, const struct ps_engine_open *open,
				     struct ps_engine_need *ret_need, struct ps_error *err)
{
	struct ps_synthetic_spec spec;
	enum ps_status st = ps_synthetic_load(open->path, &spec, err);

	(void)e;
	if (st != PS_OK)
		return st;
	ret_need->resident_bytes =
		(spec.claims_bytes > 0 ? spec.claims_bytes : spec.memory_bytes) + LITTLE;
	ret_need->load_bytes = ret_need->resident_bytes;
	ret_need->again = false;
	ps_synthetic_fini(&spec);
	return PS_OK;
}

static void synthetic_close(struct ps_engine_instance *i)
{
	if (i->ballast)
		munmap(i->ballast, (size_t)i->spec.memory_bytes);
	ps_synthetic_fini(&i->spec);
	pthread_cond_destroy(&i->woken);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

static void synthetic_describe(const struct ps_engine_instance *i, struct ps_engine_describe *ret)
{
	*ret = (struct ps_engine_describe){
		.inputs = i->spec.inputs,
		.outputs = i->spec.outputs,
		.n_inputs = i->spec.n_inputs,
		.n_outputs = i->spec.n_outputs,
		.platform = "perseus_synthetic",
		.device = "cpu",
	};
	ret->batch_axis = ps_engine_has_batch_axis(ret);
}

static void synthetic_memory(const struct ps_engine_instance *i, struct ps_engine_memory *ret)
{
	*ret = i->memory;
}

static int64_t draw_one(struct ps_engine_instance *i)
{
	const struct ps_synthetic_spec *s = &i->spec;

	switch (s->service) {
	case PS_SYNTHETIC_EXPONENTIAL:
		return (int64_t)ps_rng_exponential(&i->rng, (double)s->mean_ns);
	case PS_SYNTHETIC_RECORDED:
		return s->durations_ns[i->next_duration++ % s->n_durations];
	default:
		return s->mean_ns;
	}
}

/* Draws the service time and notes the first run; both are the instance's, so under its lock. */
static int64_t draw(struct ps_engine_instance *i, int64_t rows, int64_t now_ns,
		    int64_t *ret_first_ns)
{
	const struct ps_synthetic_spec *s = &i->spec;
	int64_t sum = 0, n = s->per == PS_SYNTHETIC_ROW ? rows : 1;

	*ret_first_ns = now_ns;
	if (s->service == PS_SYNTHETIC_FIXED && s->stall_for_ns == 0)
		return n * s->mean_ns; /* nothing of the instance changes */
	pthread_mutex_lock(&i->lock);
	if (i->first_run_ns == 0)
		i->first_run_ns = now_ns;
	*ret_first_ns = i->first_run_ns;
	for (int64_t k = 0; k < n; k++)
		sum += draw_one(i);
	pthread_mutex_unlock(&i->lock);
	return sum;
}

static int64_t service_time(struct ps_engine_instance *i, const struct ps_engine_run *run,
			    int64_t now_ns, int64_t *ret_first_ns)
{
	int64_t rows = ps_synthetic_rows(&i->spec, run->inputs);
	int64_t ns = draw(i, rows, now_ns, ret_first_ns) + rows * i->spec.each_row_ns;

	return run->wide ? (int64_t)((double)ns / i->spec.wide_speedup) : ns;
}

static bool is_cancelled(struct ps_engine_run *run)
{
	return atomic_load_explicit(&run->cancelled, memory_order_acquire);
}

static void spin_until(struct ps_engine_run *run, int64_t end_ns)
{
	while (!is_cancelled(run) && ps_clock_now_ns() < end_ns)
		;
}

static void sleep_until(struct ps_engine_instance *i, struct ps_engine_run *run, int64_t end_ns)
{
	const struct timespec ts = {end_ns / PS_NS_PER_SEC, end_ns % PS_NS_PER_SEC};

	pthread_mutex_lock(&i->lock);
	while (!is_cancelled(run) && ps_clock_now_ns() < end_ns)
		pthread_cond_timedwait(&i->woken, &i->lock, &ts);
	pthread_mutex_unlock(&i->lock);
}

static void work_until(struct ps_engine_instance *i, struct ps_engine_run *run, int64_t end_ns)
{
	if (i->spec.mode == PS_SYNTHETIC_SPIN)
		spin_until(run, end_ns);
	else
		sleep_until(i, run, end_ns);
}

static void serve(struct ps_engine_instance *i, struct ps_engine_run *run, int64_t started_ns,
		  int64_t service_ns, int64_t first_ns)
{
	int64_t stall_ns = first_ns + i->spec.stall_at_ns;
	int64_t resume_ns = stall_ns + i->spec.stall_for_ns;
	int64_t left_ns = service_ns;

	if (service_ns == 0 && resume_ns == stall_ns)
		return;
	if (resume_ns > stall_ns && started_ns < resume_ns && started_ns + service_ns > stall_ns) {
		if (started_ns < stall_ns) {
			work_until(i, run, stall_ns);
			left_ns -= stall_ns - started_ns;
		}
		sleep_until(i, run, resume_ns); /* a stalled process burns no CPU */
		started_ns = resume_ns;
	}
	work_until(i, run, started_ns + left_ns);
}

/* Inputs with an open batch dimension must agree on it. */
static enum ps_status check_rows(const struct ps_engine_instance *i,
				 const struct ps_engine_run *run, struct ps_error *err)
{
	int64_t rows = ps_synthetic_rows(&i->spec, run->inputs);

	for (int k = 0; k < i->spec.n_inputs; k++) {
		const struct ps_tensor_spec *s = &i->spec.inputs[k];

		if (s->rank > 0 && s->dims[0] < 0 && run->inputs[k].dims[0] != rows)
			return ps_error_set(err, PS_EINVAL,
					    "input '%s' has %lld rows, another input %lld", s->name,
					    (long long)run->inputs[k].dims[0], (long long)rows);
	}
	return PS_OK;
}

static enum ps_status synthetic_run(struct ps_engine_instance *i, struct ps_engine_run *run,
				    struct ps_error *err)
{
	int64_t started_ns = ps_clock_now_ns(), first_ns, service_ns;
	struct ps_engine_describe d;
	enum ps_status st;

	if (is_cancelled(run))
		return ps_error_set(err, PS_ECANCELLED, "the run was cancelled before it began");
	synthetic_describe(i, &d);
	st = ps_engine_check_run(&d, run, err);
	if (st == PS_OK)
		st = check_rows(i, run, err);
	if (st != PS_OK)
		return st;
	service_ns = service_time(i, run, started_ns, &first_ns);
	st = ps_synthetic_fill(&i->spec, run, err); /* inside the service time, not on top */
	if (st != PS_OK)
		return st;
	serve(i, run, started_ns, service_ns, first_ns);
	if (is_cancelled(run))
		return ps_error_set(err, PS_ECANCELLED, "the run was cancelled");
	return PS_OK;
}

static void synthetic_interrupt(struct ps_engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->interrupted = true;
	pthread_cond_broadcast(&e->woken);
	pthread_mutex_unlock(&e->lock);
}

static void synthetic_cancel(struct ps_engine_instance *i, struct ps_engine_run *run)
{
	atomic_store_explicit(&run->cancelled, true, memory_order_release);
	pthread_mutex_lock(&i->lock); /* or a sleeper between its look and its wait misses it */
	pthread_cond_broadcast(&i->woken);
	pthread_mutex_unlock(&i->lock);
}

const struct ps_engine_ops ps_engine_synthetic = {
	.name = "synthetic",
	.start = synthetic_start,
	.version = synthetic_version,
	.open = synthetic_open,
	.need = synthetic_need,
	.describe = synthetic_describe,
	.memory = synthetic_memory,
	.run = synthetic_run,
	.cancel = synthetic_cancel,
	.close = synthetic_close,
	.interrupt = synthetic_interrupt,
	.stop = synthetic_stop,
};
