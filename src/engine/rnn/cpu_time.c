/* cpu_time.c - the engine's own time, beside the model's. */
#include "engine/rnn_cpu.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "engine/rnn/cpu.h"
#include "engine/rnn/layer_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LEAST_RUNS 5
#define MOST_RUNS  100000

const char *ps_rnn_cpu_folder(char *buf)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (xdg && xdg[0] == '/')
		n = snprintf(buf, PS_FILE_PATH, "%s/perseus", xdg);
	else if (home && home[0] == '/')
		n = snprintf(buf, PS_FILE_PATH, "%s/.cache/perseus", home);
	return n > 0 && n < PS_FILE_PATH ? buf : NULL;
}

/* The calling thread on the first CPU, the team's on the others. */
struct pinned {
	cpu_set_t before;
	bool moved;
	struct ps_rnn_team *team;
};

static enum ps_status pin(const struct ps_cpus *cpus, struct pinned *p, struct ps_error *err)
{
	int n = ps_rnn_team_size(ps_cpus_count(cpus));
	cpu_set_t first;

	*p = (struct pinned){};
	if (n == 0)
		return ps_error_set(err, PS_EINVAL, "no CPUs to run on");
	enum ps_status st = ps_rnn_team_new(n, cpus, &p->team, err);
	if (st != PS_OK)
		return st;
	CPU_ZERO(&first);
	CPU_SET((size_t)ps_cpus_nth(cpus, 0), &first);
	p->moved = pthread_getaffinity_np(pthread_self(), sizeof p->before, &p->before) == 0 &&
		   pthread_setaffinity_np(pthread_self(), sizeof first, &first) == 0;
	return PS_OK;
}

static void unpin(struct pinned *p)
{
	if (p->moved)
		pthread_setaffinity_np(pthread_self(), sizeof p->before, &p->before);
	ps_rnn_team_free(p->team);
}

enum ps_status ps_rnn_cpu_machine(const char *dir, const struct ps_cpus *cpus, bool again,
				  struct ps_spatial_machine *ret_machine, struct ps_error *err)
{
	struct pinned p;
	enum ps_status st = pin(cpus, &p, err);

	if (st != PS_OK)
		return st;
	st = ps_rnn_cpu_get(dir, p.team, NULL, again ? PS_RNN_CPU_AGAIN : PS_RNN_CPU_KNOWN,
			    ret_machine, err);
	unpin(&p);
	return st;
}

/* ---- timing ---- */

static float *drawn(int64_t n, double width, uint64_t stream)
{
	float *v = malloc((size_t)n * sizeof *v);
	struct ps_rng rng;

	ps_rng_init(&rng, 1, stream);
	for (int64_t i = 0; v && i < n; i++)
		v[i] = (float)((2 * ps_rng_uniform(&rng) - 1) * width);
	return v;
}

static struct ps_rnn_spec spec_of(const struct ps_spatial_layer *l)
{
	static const enum ps_rnn_cell cells[] = {[PS_SPATIAL_PLAIN] = PS_RNN_PLAIN,
						 [PS_SPATIAL_GRU] = PS_RNN_GRU,
						 [PS_SPATIAL_LSTM] = PS_RNN_LSTM};
	struct ps_rnn_spec s = ps_rnn_spec_default(cells[l->cell], l->inputs, l->hidden);

	s.linear_before_reset = l->cell == PS_SPATIAL_GRU && !l->classic;
	return s;
}

/* The layer with weights of the usual width, so that states neither vanish nor saturate. */
static enum ps_status make(const struct ps_spatial_layer *l, const struct ps_spatial_map *map,
			   struct ps_rnn_team *team, struct ps_rnn **ret_rnn, struct ps_error *err)
{
	int64_t rows = ps_spatial_gates(l->cell) * l->hidden;
	double width = sqrt(1 / (double)l->hidden);
	const struct ps_rnn_spec spec = spec_of(l);
	struct ps_rnn_weights w = {.w = drawn(rows * l->inputs, width, 1),
				   .r = drawn(rows * l->hidden, width, 2)};
	enum ps_status st = PS_ENOMEM;

	if (w.w && w.r)
		st = ps_rnn_new(&spec, (enum ps_rnn_precision)map->precision, &w, team, ret_rnn,
				err);
	else
		ps_error_set(err, st, "no memory for the weights of a recurrent layer");
	free((void *)w.w);
	free((void *)w.r);
	return st;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Median of the runs that fit into the time. */
static enum ps_status repeat(struct ps_rnn *r, struct ps_rnn_team *team,
			     const struct ps_rnn_run *run, double seconds, double *ret_s,
			     int64_t *ret_runs, struct ps_error *err)
{
	double *took = malloc(MOST_RUNS * sizeof *took);
	int64_t n = 0, begin = ps_clock_now_ns(), now = begin,
		end = begin + (int64_t)(seconds * 1e9);

	if (!took)
		return ps_error_set(err, PS_ENOMEM, "no memory for times");
	enum ps_status st = ps_rnn_run(r, team, run, err);
	for (begin = ps_clock_now_ns();
	     st == PS_OK && n < MOST_RUNS && (n < LEAST_RUNS || now < end); n++) {
		st = ps_rnn_run(r, team, run, err);
		now = ps_clock_now_ns();
		took[n] = (double)(now - begin) * 1e-9;
		begin = now;
	}
	if (st == PS_OK) {
		qsort(took, (size_t)n, sizeof *took, by_value);
		*ret_s = took[n / 2];
		*ret_runs = n;
	}
	free(took);
	return st;
}

static enum ps_status time_layer(struct ps_rnn *r, struct ps_rnn_team *team,
				 const struct ps_spatial_layer *l, double seconds,
				 struct ps_rnn_cpu_timed *ret, struct ps_error *err)
{
	int64_t rows = l->steps * l->batch;
	float *x = drawn(rows * l->inputs, 1, 3);
	float *y = calloc((size_t)(rows * l->hidden), sizeof *y);
	struct ps_rnn_run run = {.steps = l->steps, .batch = l->batch, .x = x, .y = y};
	struct ps_rnn_cpu_timed t = {};
	enum ps_status st = PS_ENOMEM;

	if (x && y)
		st = repeat(r, team, &run, seconds, &t.run_s, &t.runs, err);
	else
		ps_error_set(err, st, "no memory for the input of a recurrent layer");
	free(x);
	free(y);
	if (st == PS_OK)
		*ret = t;
	return st;
}

enum ps_status ps_rnn_cpu_time(const struct ps_cpus *cpus, const struct ps_spatial_layer *l,
			       const struct ps_spatial_map *map, double seconds,
			       struct ps_rnn_cpu_timed *ret_timed, struct ps_error *err)
{
	struct ps_rnn *r = NULL;
	struct pinned p;
	enum ps_status st = ps_spatial_layer_check(l, err);

	if (st == PS_OK)
		st = pin(cpus, &p, err);
	if (st != PS_OK)
		return st;
	st = make(l, map, p.team, &r, err);
	if (st == PS_OK) {
		r->tuning = (struct ps_rnn_tuning){.threads = (int)map->owners,
						   .alternate = map->alternate,
						   .rows = map->rows};
		st = time_layer(r, p.team, l, seconds, ret_timed, err);
	}
	ps_rnn_free(r);
	unpin(&p);
	return st;
}
