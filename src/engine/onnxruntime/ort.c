#include "engine/onnxruntime/ort_internal.h"
#include "engine/onnxruntime/recurrent_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/rnn/facts.h"
#include "engine/rnn/tune.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONVERT_TIMEOUT_NS (600 * PS_NS_PER_SEC)

/* NULL: the default place; "": no cache. */
static char *choose_cache_dir(const char *option)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *dir = NULL;

	if (option)
		return *option ? strdup(option) : NULL;
	if (xdg && xdg[0] == '/') {
		if (asprintf(&dir, "%s/perseus", xdg) < 0)
			return NULL;
	} else if (home && home[0] == '/') {
		if (asprintf(&dir, "%s/.cache/perseus", home) < 0)
			return NULL;
	} else {
		ps_log(PS_LOG_WARN, "engine",
		       "neither XDG_CACHE_HOME nor HOME is set: converted models are not kept");
	}
	if (dir && strlen(dir) > 4000) {
		free(dir);
		dir = NULL;
	}
	return dir;
}

static void ort_stop(struct ps_engine *e)
{
	ps_ort_env_stop(e);
	ps_rnn_tuner_close(e->rnn_tuner);
	ps_rnn_team_free(e->rnn_team);
	ps_ort_cache_fini(e);
	pthread_mutex_destroy(&e->lock);
	pthread_mutex_destroy(&e->maps_lock);
	pthread_mutex_destroy(&e->convert_lock);
	pthread_mutex_destroy(&e->converter.lock);
	free(e->cache_dir);
	free(e);
}

static enum ps_status ort_start(const struct ps_engine_options *options,
				struct ps_engine **ret_engine, struct ps_error *err)
{
	struct ps_engine *e = calloc(1, sizeof(*e));
	enum ps_status st;

	if (!e)
		return ps_error_set(err, PS_ENOMEM, "no memory for the engine");
	e->wide_threads = options->wide_threads;
	e->cpus = options->cpus;
	e->lender = options->lender;
	e->cache_max_bytes = options->cache_max_bytes;
	e->converter.timeout_ns =
		options->convert_timeout_ns > 0 ? options->convert_timeout_ns : CONVERT_TIMEOUT_NS;
	pthread_mutex_init(&e->lock, NULL);
	pthread_mutex_init(&e->convert_lock, NULL);
	pthread_mutex_init(&e->maps_lock, NULL);
	pthread_mutex_init(&e->converter.lock, NULL);
	st = ps_ort_load(options->library, &e->api, err);
	if (st == PS_OK)
		st = ps_ort_env_start(e, err);
	if (st != PS_OK) {
		ort_stop(e);
		return st;
	}
	e->cache_dir = choose_cache_dir(options->cache_dir);
	*ret_engine = e;
	return PS_OK;
}

static const char *ort_version(const struct ps_engine *e)
{
	return e->api.version;
}

/* Anonymous memory of this process, exact (status' RssAnon is batched per thread). What the C
 * library has given out would not do: sessions ask for twice their weights and touch none of it. */
static int64_t anonymous_bytes(void)
{
	char line[256];
	long long kib = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %lld kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

/* The threads of wide runs' recurrent layers, made once. Under the engine's lock. */
static enum ps_status find_team(struct ps_engine *e, bool wide, struct ps_error *err)
{
	if (!wide || e->rnn_team)
		return PS_OK;
	enum ps_status st =
		ps_rnn_team_new(ps_rnn_team_size(e->wide_threads), &e->cpus, &e->rnn_team, err);
	return st == PS_OK
		       ? ps_rnn_tuner_open(e->cache_dir, e->rnn_team, e->lender, &e->rnn_tuner, err)
		       : st;
}

/* Loading has threads of its own, as many as wide runs: it may be at a low priority, and who waits
 * for the team of the runs must not wait for that. Under the engine's lock. */
static enum ps_status take_with_teams(struct ps_engine_instance *i,
				      const struct ps_engine_open *open, bool wide,
				      struct ps_error *err)
{
	struct ps_engine *e = i->engine;
	struct ps_ort_rnn_teams teams = {.lender = e->lender};
	enum ps_status st = find_team(e, wide, err);

	if (st == PS_OK && wide) {
		teams.wide = e->rnn_team;
		teams.tuner = e->rnn_tuner;
		st = ps_rnn_team_new(ps_rnn_team_threads(e->rnn_team), &e->cpus, &teams.loading,
				     err);
	}
	if (st == PS_OK)
		st = ps_ort_rnn_open(&e->api, open, &teams, &i->rnn, err);
	ps_rnn_team_free(teams.loading);
	return st;
}

/* What other loads wait for begins here: a model without such layers never comes so far. */
static enum ps_status take_recurrent(struct ps_engine_instance *i,
				     const struct ps_engine_open *open, bool wide,
				     struct ps_error *err)
{
	enum ps_status st;

	if (!open->rnn || !open->rnn[0])
		return PS_OK;
	if (i->gpu >= 0) {
		ps_log(PS_LOG_WARN, "engine",
		       "%s: its recurrent layers stay with ONNX Runtime: it runs on a GPU",
		       open->path);
		return PS_OK;
	}
	pthread_mutex_lock(&i->engine->lock);
	st = take_with_teams(i, open, wide, err);
	pthread_mutex_unlock(&i->engine->lock);
	if (st != PS_OK && err && !err->where[0])
		ps_error_where(err, "%s", open->path);
	return st;
}

/* Under the engine's lock. */
static enum ps_status open_sessions(struct ps_engine_instance *i, const char *path, bool wide,
				    struct ps_error *err)
{
	int64_t before;
	enum ps_status st;

	malloc_trim(0); /* what others freed is none of this model's */
	before = anonymous_bytes();
	st = ps_ort_sessions_open(i, path, wide, err);
	if (st == PS_OK)
		st = ps_ort_read_specs(i, err);
	if (st != PS_OK)
		return st;
	malloc_trim(0);
	i->memory.private_bytes = anonymous_bytes() - before;
	if (i->memory.private_bytes < 0)
		i->memory.private_bytes = 0; /* others gave memory back meanwhile */
	i->memory.footprint_bytes = ps_ort_rnn_bytes(i->rnn);
	i->memory.private_bytes += i->memory.footprint_bytes;
	i->memory.mapped_bytes = i->map ? (int64_t)i->map->map_bytes : 0;
	if (i->gpu >= 0)
		ps_ort_cuda_watch(i);
	return PS_OK;
}

static enum ps_status attempt(struct ps_engine_instance *i, const char *path, bool wide,
			      struct ps_error *err)
{
	enum ps_status st = PS_OK;

	/* What the CPU's optimiser chose is not for another device. */
	if (i->gpu < 0 && i->rnn)
		st = ps_ort_rnn_cache_get(i->engine, path, i->rnn, &i->map, err);
	else if (i->gpu < 0)
		st = ps_ort_cache_get(i->engine, path, &i->map, err);
	if (st == PS_OK && ps_ort_is_interrupted(&i->engine->converter))
		st = ps_error_set(err, PS_ECANCELLED, "loading was interrupted");
	if (st != PS_OK)
		return st;
	pthread_mutex_lock(&i->engine->lock);
	st = open_sessions(i, path, wide, err);
	if (st != PS_OK)
		ps_ort_sessions_close(i);
	pthread_mutex_unlock(&i->engine->lock);
	return st;
}

static enum ps_status load(struct ps_engine_instance *i, const struct ps_engine_open *open,
			   struct ps_error *err)
{
	bool wide = open->wide && i->engine->wide_threads > 1 && i->gpu < 0;
	enum ps_status st;

	st = take_recurrent(i, open, wide, err);
	if (st != PS_OK)
		return st;
	st = attempt(i, open->path, wide, err);

	if (st != PS_OK && st != PS_ECANCELLED && st != PS_EUNSUPPORTED && i->map) {
		/* Sealed, and yet refused: made by something else than we think. Once more. */
		ps_ort_cache_discard(i->map);
		ps_ort_map_unref(i->engine, i->map);
		i->map = NULL;
		st = attempt(i, open->path, wide, err);
	}
	if (i->rnn) { /* the sessions have copied what they keep of it */
		free(i->rnn->model);
		i->rnn->model = NULL;
		if (st == PS_OK)
			st = ps_ort_rnn_settle(i, open, err);
	}
	return st;
}

static void free_instance(struct ps_engine_instance *i)
{
	struct ps_engine *e = i->engine;

	pthread_mutex_lock(&e->lock);
	ps_ort_cuda_unwatch(i);
	ps_ort_sessions_close(i);
	ps_ort_rnn_free(i->rnn);
	free(i->inputs);
	free(i->outputs);
	malloc_trim(0); /* else the C library keeps what the sessions gave back */
	pthread_mutex_unlock(&e->lock);
	if (i->map)
		ps_ort_map_unref(e, i->map);
	free(i);
}

static enum ps_status ort_open(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_instance **ret_instance, struct ps_error *err)
{
	int64_t began_ns = ps_clock_now_ns();
	struct ps_engine_instance *i = calloc(1, sizeof(*i));
	enum ps_status st;

	if (!i)
		return ps_error_set(err, PS_ENOMEM, "no memory for a model");
	i->engine = e;
	i->profile = open->profile;
	st = ps_engine_device(open->device, &i->gpu, err);
	if (st == PS_OK) {
		snprintf(i->device, sizeof(i->device), i->gpu < 0 ? "cpu" : "cuda:%d", i->gpu);
		st = load(i, open, err);
	}
	if (st != PS_OK) {
		free_instance(i);
		return st;
	}
	i->profile = NULL; /* the caller's */
	i->memory.load_ns = ps_clock_now_ns() - began_ns;
	*ret_instance = i;
	return PS_OK;
}

static void ort_close(struct ps_engine_instance *i)
{
	free_instance(i);
}

/* Measured: open, a model takes its file and a little; its first conversion 2.6 times the file, in
 * a process of its own; once converted, what is mapped and 2 MiB. */
enum { LITTLE = 2 << 20 };
static const double CONVERSION = 2.6, MARGIN = 1.06;

/* A model whose recurrent layers are ours: they are packed first, then what is left of the file is
 * converted. Whether that was done before, nobody knows until it is written. */
static void need_of_recurrent(struct ps_engine *e, const struct ps_engine_open *open,
			      const struct ps_rnn_facts *f, struct ps_engine_need *ret)
{
	int threads = e && open->wide && e->wide_threads > 1 ? e->wide_threads : 1;
	int64_t rest = f->file_bytes - f->weight_bytes, layers = f->packed_bytes;
	int64_t packing = f->file_bytes + rest + f->most_bytes;
	int64_t converting = rest + (int64_t)(CONVERSION * (double)rest);
	int64_t twins = open->rnn_calibration && open->rnn_calibration[0] ? f->exact_bytes : 0;

	layers += threads * f->run_bytes;
	ret->resident_bytes = layers + (int64_t)(MARGIN * (double)rest) + LITTLE;
	ret->load_bytes = layers + twins + (packing > converting ? packing : converting) + LITTLE;
	ret->file_bytes = f->file_bytes;
	ret->converts = !e || e->cache_dir;
	ret->again = false;
}

/* False: none of its nodes will be ours. */
static bool find_recurrent(const struct ps_engine_open *open, struct ps_rnn_facts *ret_facts)
{
	enum ps_rnn_precision precision;
	struct ps_error err;

	return open->rnn && ps_rnn_precision_named(open->rnn, &precision) &&
	       (!open->device || strcmp(open->device, "cpu") == 0) &&
	       ps_ort_rnn_is_onnx(open->path) &&
	       ps_rnn_facts_get(open->path, precision, ret_facts, &err) == PS_OK &&
	       ret_facts->layers > 0;
}

static enum ps_status ort_need(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_need *ret_need, struct ps_error *err)
{
	struct ps_engine_identity id;
	struct ps_rnn_facts facts;
	int64_t mapped_bytes = 0;

	if (!ps_engine_identify(open->path, &id))
		return ps_error_set(err, PS_ENOTFOUND, "there is no file %s", open->path);
	if (find_recurrent(open, &facts)) {
		need_of_recurrent(e, open, &facts, ret_need);
		return PS_OK;
	}
	ret_need->resident_bytes = (int64_t)(MARGIN * (double)id.bytes) + LITTLE;
	ret_need->load_bytes = (int64_t)(CONVERSION * (double)id.bytes) + LITTLE;
	ret_need->file_bytes = id.bytes;
	ret_need->again = false;
	ret_need->converts = !e || e->cache_dir;
	if (!e || !ps_ort_cache_size(e, open->path, &mapped_bytes))
		return PS_OK;
	ret_need->resident_bytes = ret_need->load_bytes =
		(int64_t)(MARGIN * (double)mapped_bytes) + LITTLE;
	if (mapped_bytes > ret_need->file_bytes) /* weights lie outside the file */
		ret_need->file_bytes = mapped_bytes;
	ret_need->again = true;
	ret_need->converts = false;
	return PS_OK;
}

static void ort_interrupt(struct ps_engine *e)
{
	ps_ort_interrupt(&e->converter);
}

static void ort_describe(const struct ps_engine_instance *i, struct ps_engine_describe *ret)
{
	*ret = (struct ps_engine_describe){
		.inputs = i->inputs,
		.outputs = i->outputs,
		.n_inputs = i->n_inputs,
		.n_outputs = i->n_outputs,
		.platform = "onnx_onnxv1",
		.device = i->device,
	};
	ret->batch_axis = ps_engine_has_batch_axis(ret);
}

static void ort_memory(const struct ps_engine_instance *i, struct ps_engine_memory *ret)
{
	*ret = i->memory;
	ret->device_bytes = ps_ort_cuda_bytes(i);
}

const struct ps_engine_ops ps_engine_onnxruntime = {
	.name = "onnxruntime",
	.start = ort_start,
	.version = ort_version,
	.open = ort_open,
	.need = ort_need,
	.describe = ort_describe,
	.memory = ort_memory,
	.run = ps_ort_run,
	.cancel = ps_ort_cancel,
	.profile = ps_ort_profile,
	.close = ort_close,
	.interrupt = ort_interrupt,
	.stop = ort_stop,
};
