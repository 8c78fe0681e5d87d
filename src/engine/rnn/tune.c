/* tune.c - ranks by the model, times the best, keeps the choice. */
#include "engine/rnn/tune.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/rnn/cpu.h"
#include "engine/rnn/layer_internal.h"
#include "engine/rnn_cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME	"rnn-tuning.json"
#define MAX_FILE_BYTES	(1 << 20)
#define NOMINAL_STEPS	100
#define NEAR		1.25 /* of the best by the model: worth timing */
#define MOST_CANDIDATES 4
#define ROUNDS		5
#define ROUND_NS	1500000.0 /* of one candidate in one round, about */
#define BUDGET_NS	100000000 /* of all of them; the first two rounds come in any case */
#define WIN		0.98	  /* of the model's own choice, or that one stays */
#define AHEAD		1024	  /* bytes of prefetch */
#define MOST_ROWS	512
#define MOST_ALONE	1024 /* rows; a longer run is worth waking threads for in any case */

struct ps_rnn_tuner {
	struct ps_rnn_team *team;
	const struct ps_engine_lender *lender; /* NULL: nobody else uses the CPUs */
	char *path;			       /* NULL: nothing is kept */
	char *dir;
	char identity[PS_SPATIAL_NAME];
	pthread_mutex_t lock; /* of what follows */
	bool has_machine;
	struct ps_spatial_machine machine;
	json_t *layers;
};

struct candidate {
	struct ps_rnn_tuning tuning;
	double slice_bytes, step_s; /* by the model */
	double best_s;		    /* as timed, the least of all rounds; 0: not yet */
};

struct ps_spatial_layer ps_rnn_spatial_layer(const struct ps_rnn_spec *s, int64_t steps,
					     int64_t batch)
{
	static const enum ps_spatial_cell cells[] = {[PS_RNN_PLAIN] = PS_SPATIAL_PLAIN,
						     [PS_RNN_GRU] = PS_SPATIAL_GRU,
						     [PS_RNN_LSTM] = PS_SPATIAL_LSTM};

	return (struct ps_spatial_layer){.cell = cells[s->cell],
					 .classic =
						 s->cell == PS_RNN_GRU && !s->linear_before_reset,
					 .hidden = s->hidden,
					 .inputs = s->inputs,
					 .steps = steps,
					 .batch = batch};
}

/* ---- what is kept ---- */

static void key_of(const struct ps_rnn *r, char *buf, size_t size)
{
	const struct ps_rnn_spec *s = &r->spec;

	snprintf(buf, size, "%s%s %lldx%lld %s%s",
		 ps_spatial_cell_name(ps_rnn_spatial_layer(s, 1, 1).cell),
		 s->cell == PS_RNN_GRU && !s->linear_before_reset ? " classic" : "",
		 (long long)s->hidden, (long long)s->inputs,
		 ps_spatial_precision_name((enum ps_spatial_precision)r->precision),
		 s->direction == PS_RNN_BOTH ? " both" : "");
}

static void read_kept(struct ps_rnn_tuner *t)
{
	char *text;
	size_t len;
	json_t *all = NULL;

	if (!t->path || !ps_file_exists(t->path) ||
	    ps_file_read(t->path, MAX_FILE_BYTES, &text, &len, NULL) != PS_OK)
		return;
	if (ps_json_parse(text, len, &all, NULL) == PS_OK &&
	    strcmp(ps_json_get_string(all, "measured_on", ""), t->identity) == 0 &&
	    json_is_object(json_object_get(all, "layers"))) {
		json_decref(t->layers);
		t->layers = json_incref(json_object_get(all, "layers"));
	}
	json_decref(all);
	free(text);
}

static void write_kept(const struct ps_rnn_tuner *t)
{
	json_t *all = json_pack("{s:s, s:O}", "measured_on", t->identity, "layers", t->layers);
	char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
	struct ps_error err;
	char why[512];

	if (text && (ps_file_mkdirs(t->dir, &err) != PS_OK ||
		     ps_file_write(t->path, text, strlen(text), &err) != PS_OK))
		ps_log(PS_LOG_WARN, "engine", "how recurrent layers are run is not kept: %s",
		       ps_error_format(&err, why, sizeof why));
	free(text);
	json_decref(all);
}

/* False when it is not there, or was not written by this code. */
static bool find_kept(const struct ps_rnn_tuner *t, const char *key, struct ps_rnn_tuning *ret)
{
	const json_t *o = json_object_get(t->layers, key);
	int64_t threads = ps_json_get_int(o, "threads", -1), rows = ps_json_get_int(o, "rows", -1);
	int64_t prefetch = ps_json_get_int(o, "prefetch", -1);
	int64_t alone = ps_json_get_int(o, "alone_rows", -1);

	if (threads < 0 || threads > ps_rnn_team_threads(t->team) || rows < 0 || rows > MOST_ROWS ||
	    (prefetch != 0 && prefetch != AHEAD) || alone < 0 || alone > MOST_ALONE ||
	    !json_is_boolean(json_object_get(o, "alternate")))
		return false;
	*ret = (struct ps_rnn_tuning){.threads = (int)threads,
				      .alternate = json_is_true(json_object_get(o, "alternate")),
				      .prefetch = (int)prefetch,
				      .rows = rows,
				      .alone_rows = alone};
	return true;
}

static void remember(struct ps_rnn_tuner *t, const char *key, const struct candidate *c)
{
	json_t *o = json_pack("{s:i, s:b, s:i, s:I, s:I}", "threads", c->tuning.threads,
			      "alternate", (int)c->tuning.alternate, "prefetch", c->tuning.prefetch,
			      "rows", (json_int_t)c->tuning.rows, "alone_rows",
			      (json_int_t)c->tuning.alone_rows);

	if (json_object_size(t->layers) >= PS_RNN_TUNER_MOST_KEPT)
		json_object_clear(t->layers);
	ps_json_set_real(o, "model_us_per_step", c->step_s * 1e6);
	json_object_set_new(t->layers, key, o);
	if (t->path)
		write_kept(t);
}

/* ---- candidates ---- */

/* Rows of x * W at once: by the model alone, since what is timed is mostly steps. */
static int64_t best_rows(const struct ps_rnn_tuner *t, const struct ps_spatial_layer *l,
			 struct ps_spatial_map map)
{
	struct ps_spatial_cost c;
	int64_t best = 0;
	double least = 0;

	for (map.rows = 32; map.rows <= MOST_ROWS; map.rows *= 2) {
		if (ps_spatial_cost(&t->machine, l, &map, &c) != PS_SPATIAL_FITS)
			return 0;
		if (best == 0 || c.inputs_s < least * 0.99) {
			best = map.rows;
			least = c.inputs_s;
		}
	}
	return best;
}

static void add(struct candidate *list, int *n, const struct candidate *c)
{
	int at = *n;

	while (at > 0 && list[at - 1].step_s > c->step_s)
		at--;
	if (at == MOST_CANDIDATES)
		return;
	*n += *n < MOST_CANDIDATES;
	memmove(list + at + 1, list + at, (size_t)(*n - at - 1) * sizeof *list);
	list[at] = *c;
}

/* Weights that come from beyond the second cache: where reading is at under half its best rate. */
static bool is_far(const struct ps_spatial_machine *m, double slice_bytes)
{
	return ps_spatial_read_s(m, slice_bytes, true) * m->levels[0].alternating_bps >
	       2 * slice_bytes;
}

/* Up to how many steps of one row a single thread is done before several, which have to be woken
 * first, would be. By the model, the number that it found worth timing being wide. */
static int64_t alone_rows(const struct ps_rnn_tuner *t, const struct ps_rnn *r,
			  const struct ps_spatial_map *wide)
{
	struct ps_spatial_map alone = *wide;
	int64_t least = 0, most = MOST_ALONE + 1;

	alone.owners = 1;
	if (wide->owners * r->directions < 2)
		return 0;
	while (most - least > 1) {
		int64_t steps = (least + most) / 2;
		const struct ps_spatial_layer l = ps_rnn_spatial_layer(&r->spec, steps, 1);
		struct ps_spatial_cost a, b;
		if (ps_spatial_cost(&t->machine, &l, &alone, &a) != PS_SPATIAL_FITS ||
		    ps_spatial_cost(&t->machine, &l, wide, &b) != PS_SPATIAL_FITS)
			return 0;
		double together = b.latency_s + (wide->owners == 1 ? t->machine.start_s : 0);
		if (a.latency_s * r->directions <= together)
			least = steps;
		else
			most = steps;
	}
	return least;
}

static bool candidate_of(const struct ps_rnn_tuner *t, const struct ps_rnn *r, int threads,
			 bool alternate, struct candidate *ret)
{
	int all = ps_rnn_team_threads(t->team);
	const struct ps_spatial_layer l = ps_rnn_spatial_layer(&r->spec, NOMINAL_STEPS, 1);
	const struct ps_spatial_map map = {.precision = (enum ps_spatial_precision)r->precision,
					   .owners = r->directions == 2 && threads > 1 ? threads / 2
										       : threads,
					   .alternate = alternate,
					   .rows = NOMINAL_STEPS};
	struct ps_spatial_cost c;

	if (ps_spatial_cost(&t->machine, &l, &map, &c) != PS_SPATIAL_FITS)
		return false;
	*ret = (struct candidate){
		.tuning = {.threads = threads == all ? 0 : threads,
			   .alternate = alternate,
			   .rows = best_rows(t, &l, map),
			   .alone_rows = threads > 1 ? alone_rows(t, r, &map) : 0},
		.step_s = (c.latency_s - c.inputs_s) / NOMINAL_STEPS,
		.slice_bytes = (double)c.slice_bytes};
	return true;
}

/* Threads by powers of two and all of them; a layer of two directions has its threads by halves,
 * all of them. Both ways through the blocks. */
static int rank(const struct ps_rnn_tuner *t, const struct ps_rnn *r, struct candidate *list)
{
	int all = ps_rnn_team_threads(t->team), n = 0;
	struct candidate c;

	for (int threads = r->directions == 2 ? all : 1; threads <= all;
	     threads = threads < all && 2 * threads > all ? all : 2 * threads) {
		for (int way = 0; way < 2; way++) {
			if (candidate_of(t, r, threads, way == 1, &c))
				add(list, &n, &c);
		}
	}
	while (n > 1 && list[n - 1].step_s > NEAR * list[0].step_s)
		n--;
	if (n > 0 && is_far(&t->machine, list[0].slice_bytes)) {
		list[n] = list[0];
		list[n++].tuning.prefetch = AHEAD;
	}
	return n;
}

/* A step, and a row of x * W when `rows` are made at once. */
static void estimate_one(const struct ps_rnn_tuner *t, const struct ps_rnn *r, int threads,
			 int64_t rows, double *ret_step_s, double *ret_row_s)
{
	const struct ps_spatial_layer l = ps_rnn_spatial_layer(&r->spec, NOMINAL_STEPS, 1);
	const struct ps_spatial_map map = {.precision = (enum ps_spatial_precision)r->precision,
					   .owners = threads,
					   .alternate = r->tuning.alternate,
					   .rows = rows};
	struct ps_spatial_cost c;

	if (ps_spatial_cost(&t->machine, &l, &map, &c) != PS_SPATIAL_FITS)
		return;
	*ret_step_s = c.step_s;
	*ret_row_s = c.inputs_s / NOMINAL_STEPS;
}

/* For stacks: a layer of two directions is not in one. */
static void estimate(const struct ps_rnn_tuner *t, struct ps_rnn *r)
{
	static const int64_t lags[PS_RNN_LAGS] = {8, 32};
	int all = ps_rnn_team_threads(t->team);
	struct ps_rnn_estimate e = {.start_s = t->machine.start_s};

	for (int log = 0; log < PS_RNN_LOGS && 1 << log <= all; log++) {
		for (int lag = 0; lag < PS_RNN_LAGS; lag++)
			estimate_one(t, r, 1 << log, lags[lag], &e.step_s[log], &e.row_s[lag][log]);
	}
	estimate_one(t, r, r->tuning.threads > 0 ? r->tuning.threads : all,
		     r->tuning.rows > 0 ? r->tuning.rows : 32, &e.wide_step_s, &e.wide_row_s);
	r->estimate = r->directions == 1 ? e : (struct ps_rnn_estimate){};
}

/* ---- timing ---- */

static enum ps_status time_once(struct ps_rnn_tuner *t, struct ps_rnn *r, struct candidate *c,
				const struct ps_rnn_run *run, struct ps_error *err)
{
	r->tuning = c->tuning;
	r->tuning.alone_rows = 0; /* it is this many threads that are timed */
	ps_engine_borrow(t->lender);
	int64_t begin = ps_clock_now_ns();
	enum ps_status st = ps_rnn_run(r, t->team, run, err);
	double took = (double)(ps_clock_now_ns() - begin) * 1e-9;
	ps_engine_give_back(t->lender);

	if (st == PS_OK && (c->best_s == 0 || took < c->best_s))
		c->best_s = took;
	return st;
}

/* The rounds go through the candidates there and back, so that drift falls on all alike. The least
 * counts: what disturbs only adds. */
static enum ps_status confirm(struct ps_rnn_tuner *t, struct ps_rnn *r, struct candidate *list,
			      int n, struct ps_error *err)
{
	int64_t steps = (int64_t)(ROUND_NS * 1e-9 / list[0].step_s), begin = ps_clock_now_ns();
	enum ps_status st = PS_OK;

	steps = steps < 4 ? 4 : steps > NOMINAL_STEPS ? NOMINAL_STEPS : steps;
	float *x = calloc((size_t)(steps * r->spec.inputs), sizeof *x);
	if (!x)
		return ps_error_set(err, PS_ENOMEM, "no memory to tune a recurrent layer");
	const struct ps_rnn_run run = {.steps = steps, .batch = 1, .x = x};
	for (int round = 0; st == PS_OK && round < ROUNDS; round++) {
		for (int i = 0; st == PS_OK && i < n; i++)
			st = time_once(t, r, &list[round % 2 ? n - 1 - i : i], &run, err);
		if (round > 0 && ps_clock_now_ns() - begin > BUDGET_NS)
			break;
	}
	free(x);
	return st;
}

static const struct candidate *fastest(const struct candidate *list, int n)
{
	const struct candidate *best = &list[0];

	for (int i = 1; i < n; i++) {
		if (list[i].best_s < WIN * list[0].best_s && list[i].best_s < best->best_s)
			best = &list[i];
	}
	return best;
}

static enum ps_status choose(struct ps_rnn_tuner *t, struct ps_rnn *r, const char *key,
			     struct ps_error *err)
{
	struct candidate list[MOST_CANDIDATES + 1];
	const struct ps_rnn_tuning untuned = r->tuning;
	enum ps_status st = PS_OK;

	int n = rank(t, r, list);
	if (n == 0)
		return PS_OK;
	if (n > 1)
		st = confirm(t, r, list, n, err);
	r->tuning = untuned;
	if (st != PS_OK)
		return st;
	const struct candidate *best = n > 1 ? fastest(list, n) : &list[0];
	r->tuning = best->tuning;
	ps_log(PS_LOG_DEBUG, "engine", "%s: %d threads%s%s, %lld rows of x * W at once, of %d ways",
	       key, best->tuning.threads ? best->tuning.threads : ps_rnn_team_threads(t->team),
	       best->tuning.alternate ? ", there and back" : "",
	       best->tuning.prefetch ? ", prefetching" : "", (long long)best->tuning.rows, n);
	remember(t, key, best);
	return PS_OK;
}

enum ps_status ps_rnn_tuner_apply(struct ps_rnn_tuner *t, struct ps_rnn *r, bool *ret_known,
				  struct ps_error *err)
{
	struct ps_rnn_tuning tuning;
	char key[128];
	enum ps_status st = PS_OK;

	key_of(r, key, sizeof key);
	pthread_mutex_lock(&t->lock);
	bool known = find_kept(t, key, &tuning);
	if (!t->has_machine)
		st = ps_rnn_cpu_get(t->dir, t->team, t->lender, PS_RNN_CPU_QUICK, &t->machine, err);
	t->has_machine = st == PS_OK;
	if (st == PS_OK && known)
		r->tuning = tuning;
	else if (st == PS_OK)
		st = choose(t, r, key, err);
	if (st == PS_OK)
		estimate(t, r);
	pthread_mutex_unlock(&t->lock);
	if (ret_known)
		*ret_known = known;
	return st;
}

enum ps_status ps_rnn_tuner_open_in(const char *option, struct ps_rnn_team *team,
				    const struct ps_engine_lender *lender,
				    struct ps_rnn_tuner **ret_tuner, struct ps_error *err)
{
	char usual[PS_FILE_PATH];
	const char *dir = option ? option : ps_rnn_cpu_folder(usual);

	return ps_rnn_tuner_open(dir && *dir ? dir : NULL, team, lender, ret_tuner, err);
}

enum ps_status ps_rnn_tuner_open(const char *dir, struct ps_rnn_team *team,
				 const struct ps_engine_lender *lender,
				 struct ps_rnn_tuner **ret_tuner, struct ps_error *err)
{
	struct ps_rnn_tuner *t = calloc(1, sizeof *t);

	if (!t)
		return ps_error_set(err, PS_ENOMEM, "no memory for a tuner");
	t->team = team;
	t->lender = lender;
	pthread_mutex_init(&t->lock, NULL);
	t->layers = json_object();
	ps_rnn_cpu_identity(team, t->identity);
	if (dir) {
		t->dir = strdup(dir);
		if (asprintf(&t->path, "%s/" FILE_NAME, dir) < 0)
			t->path = NULL;
	}
	if (!t->layers || (dir && (!t->dir || !t->path))) {
		ps_rnn_tuner_close(t);
		return ps_error_set(err, PS_ENOMEM, "no memory for a tuner");
	}
	read_kept(t);
	*ret_tuner = t;
	return PS_OK;
}

void ps_rnn_tuner_close(struct ps_rnn_tuner *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	json_decref(t->layers);
	free(t->dir);
	free(t->path);
	free(t);
}
