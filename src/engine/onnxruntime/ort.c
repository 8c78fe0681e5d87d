#include "engine/onnxruntime/ort_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	pthread_mutex_destroy(&e->lock);
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
	pthread_mutex_init(&e->lock, NULL);
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

/* Anonymous memory of this process, exact (status' RssAnon is batched per thread). */
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

static bool is_ort_format(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && strcmp(path + n - 4, ".ort") == 0;
}

static enum ps_status get_map(struct ps_engine_instance *i, const char *path, struct ps_error *err)
{
	if (is_ort_format(path))
		return ps_ort_map_file(i->engine, path, &i->map, err);
	return ps_ort_cache_get(i->engine, path, &i->map, err);
}

static enum ps_status load(struct ps_engine_instance *i, const struct ps_engine_open *open,
			   struct ps_error *err)
{
	bool wide = open->wide && i->engine->wide_threads > 1;
	enum ps_status st = get_map(i, open->path, err);

	if (st == PS_OK)
		st = ps_ort_sessions_open(i, open->path, wide, err);
	if (st != PS_OK && i->map && !is_ort_format(open->path)) {
		/* Sealed, and yet refused: made by something else than we think. Once more. */
		ps_ort_cache_discard(i->map);
		ps_ort_map_unref(i->engine, i->map);
		i->map = NULL;
		st = get_map(i, open->path, err);
		if (st == PS_OK)
			st = ps_ort_sessions_open(i, open->path, wide, err);
	}
	return st == PS_OK ? ps_ort_read_specs(i, err) : st;
}

/* Under the engine's lock. */
static void free_instance(struct ps_engine_instance *i)
{
	ps_ort_sessions_close(i);
	if (i->map)
		ps_ort_map_unref(i->engine, i->map);
	free(i->inputs);
	free(i->outputs);
	free(i);
	malloc_trim(0); /* else the C library keeps what the sessions gave back */
}

static enum ps_status ort_open(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_instance **ret_instance, struct ps_error *err)
{
	int64_t began_ns = ps_clock_now_ns(), before;
	struct ps_engine_instance *i = calloc(1, sizeof(*i));
	enum ps_status st;

	if (!i)
		return ps_error_set(err, PS_ENOMEM, "no memory for a model");
	i->engine = e;
	pthread_mutex_lock(&e->lock);
	malloc_trim(0);
	before = anonymous_bytes();
	st = load(i, open, err);
	if (st == PS_OK) {
		malloc_trim(0);
		i->memory.private_bytes = anonymous_bytes() - before;
		if (i->memory.private_bytes < 0)
			i->memory.private_bytes = 0; /* others gave memory back meanwhile */
		i->memory.mapped_bytes = i->map ? (int64_t)i->map->map_bytes : 0;
		i->memory.load_ns = ps_clock_now_ns() - began_ns;
		*ret_instance = i;
	} else {
		free_instance(i);
	}
	pthread_mutex_unlock(&e->lock);
	return st;
}

static void ort_close(struct ps_engine_instance *i)
{
	struct ps_engine *e = i->engine;

	pthread_mutex_lock(&e->lock);
	free_instance(i);
	pthread_mutex_unlock(&e->lock);
}

static void ort_describe(const struct ps_engine_instance *i, struct ps_engine_describe *ret)
{
	*ret = (struct ps_engine_describe){
		.inputs = i->inputs,
		.outputs = i->outputs,
		.n_inputs = i->n_inputs,
		.n_outputs = i->n_outputs,
		.platform = "onnx_onnxv1",
	};
}

static void ort_memory(const struct ps_engine_instance *i, struct ps_engine_memory *ret)
{
	*ret = i->memory;
}

const struct ps_engine_ops ps_engine_onnxruntime = {
	.name = "onnxruntime",
	.start = ort_start,
	.version = ort_version,
	.open = ort_open,
	.describe = ort_describe,
	.memory = ort_memory,
	.run = ps_ort_run,
	.cancel = ps_ort_cancel,
	.close = ort_close,
	.stop = ort_stop,
};
