#include "base/log.h"
#include "serve/serve_internal.h"

#include <stdlib.h>
#include <string.h>

static struct ps_serve_engine *find_engine(struct ps_serve *s, const struct ps_engine_ops *ops)
{
	for (int i = 0; i < PS_SERVE_MAX_ENGINES; i++)
		if (s->engines[i].ops == ops || !s->engines[i].ops)
			return &s->engines[i];
	return NULL;
}

static enum ps_status start_engine(struct ps_serve *s, const struct ps_engine_ops *ops,
				   struct ps_error *err)
{
	struct ps_serve_engine *e = find_engine(s, ops);
	if (!e)
		return ps_error_set(err, PS_EINTERNAL, "more engines than places for them");
	if (e->ops)
		return PS_OK;
	const struct ps_engine_options o = {
		.library = s->config->library,
		.cache_dir = s->config->cache,
		.cpus = *ps_exec_cpus(s->exec),
		.wide_threads = s->width > 1 ? s->width : 0,
		.seed = s->config->seed,
	};
	enum ps_status status = ops->start(&o, &e->engine, err);
	if (status == PS_OK)
		e->ops = ops;
	return status;
}

enum ps_status ps_serve_start_engines(struct ps_serve *s, struct ps_error *err)
{
	for (int m = 0; m < ps_repo_count(s->repo); m++) {
		const char *path = ps_repo_get(s->repo, m)->path;
		const struct ps_engine_ops *ops = ps_engine_for_path(path);
		if (!ops)
			return ps_error_set(err, PS_EUNSUPPORTED, "no engine opens %s", path);
		enum ps_status status = start_engine(s, ops, err);
		if (status != PS_OK)
			return status;
	}
	return PS_OK;
}

/* --- warm-up: one run on zeros, unknown dimensions being 1 --- */

static void *arena_alloc(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

static enum ps_status zero_input(struct ps_arena *arena, const struct ps_tensor_spec *spec,
				 struct ps_tensor *ret, struct ps_error *err)
{
	int64_t count;
	*ret = (struct ps_tensor){.name = spec->name, .dtype = spec->dtype, .rank = spec->rank};
	for (int i = 0; i < spec->rank; i++)
		ret->dims[i] = spec->dims[i] < 0 ? 1 : spec->dims[i];
	enum ps_status status = ps_tensor_count(ret->dims, ret->rank, &count, err);
	if (status != PS_OK)
		return status;
	size_t size = ps_dtype_size(spec->dtype);
	ret->bytes = (size_t)count * (size ? size : sizeof(uint32_t)); /* BYTES: empty elements */
	ret->data = ps_arena_alloc_tensor(arena, ret->bytes);
	if (!ret->data)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	memset(ret->data, 0, ret->bytes);
	return PS_OK;
}

static enum ps_status warm_up(const struct ps_serve *s, const struct ps_serve_instance *in,
			      struct ps_error *err)
{
	struct ps_tensor inputs[PS_MODEL_MAX_TENSORS], outputs[PS_MODEL_MAX_TENSORS] = {0};
	struct ps_arena arena;
	enum ps_status status = PS_OK;
	ps_arena_init(&arena, 0);
	for (int i = 0; status == PS_OK && i < in->describe.n_inputs; i++)
		status = zero_input(&arena, &in->describe.inputs[i], &inputs[i], err);
	struct ps_engine_run run = {
		.inputs = inputs,
		.outputs = outputs,
		.n_inputs = in->describe.n_inputs,
		.n_outputs = in->describe.n_outputs,
		.wide = s->width > 1,
		.alloc = arena_alloc,
		.alloc_ctx = &arena,
	};
	if (status == PS_OK)
		status = in->ops->run(in->instance, &run, err);
	ps_arena_fini(&arena);
	return status;
}

/* --- loading --- */

static enum ps_status open_model(struct ps_serve *s, int model, struct ps_error *err)
{
	const struct ps_repo_model *m = ps_repo_get(s->repo, model);
	struct ps_serve_instance *in = &s->instances[model];
	struct ps_engine_open open = {.path = m->path, .wide = s->width > 1};
	in->ops = ps_engine_for_path(m->path);
	enum ps_status status =
		in->ops->open(find_engine(s, in->ops)->engine, &open, &in->instance, err);
	if (status != PS_OK) {
		in->instance = NULL;
		return status;
	}
	in->ops->describe(in->instance, &in->describe);
	in->ops->memory(in->instance, &in->memory);
	if (in->describe.n_inputs > PS_MODEL_MAX_TENSORS ||
	    in->describe.n_outputs > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d inputs or outputs",
				    PS_MODEL_MAX_TENSORS);
	return PS_OK;
}

/* A model that refuses zeros may still serve: the run is for its caches, not a test of it. */
static void try_warm_up(struct ps_serve *s, int model)
{
	struct ps_error err;
	/* A synthetic model has no caches, and its scripted times begin with its first run. */
	if (!s->config->warmup || strcmp(s->instances[model].ops->name, "synthetic") == 0 ||
	    warm_up(s, &s->instances[model], &err) == PS_OK)
		return;
	ps_log(PS_LOG_WARN, "serve", "model %s: warm-up failed: %s",
	       ps_repo_get(s->repo, model)->name, err.what);
}

static void *load_thread(void *ctx)
{
	struct ps_serve *s = ctx;
	struct ps_serve_load *l = &s->load;
	l->status = open_model(s, l->model, &l->err);
	if (l->status == PS_OK)
		try_warm_up(s, l->model);
	ps_evloop_post(s->loop, &l->done);
	return NULL;
}

static void on_loaded(struct ps_evloop_task *task)
{
	struct ps_serve *s = task->ctx;
	struct ps_serve_load *l = &s->load;
	const struct ps_repo_model *m = ps_repo_get(s->repo, l->model);
	pthread_join(l->thread, NULL);
	l->running = false;
	pthread_mutex_lock(&s->lock);
	struct ps_dispatch_action next =
		ps_dispatch_load_done(s->dispatch, l->model, l->status, &l->err);
	pthread_mutex_unlock(&s->lock);
	if (l->status != PS_OK) {
		if (!l->err.where[0])
			ps_error_where(&l->err, "%s", m->path);
		ps_serve_fail(s, &l->err);
		return;
	}
	if (next.kind == PS_DISPATCH_LOAD)
		ps_serve_load(s, next);
	else
		ps_serve_loaded(s);
}

void ps_serve_load(struct ps_serve *s, struct ps_dispatch_action action)
{
	struct ps_serve_load *l = &s->load;
	if (action.kind != PS_DISPATCH_LOAD)
		return;
	l->model = action.model;
	l->done = (struct ps_evloop_task){.run = on_loaded, .ctx = s};
	if (pthread_create(&l->thread, NULL, load_thread, s) == 0) {
		l->running = true;
		return;
	}
	ps_error_set(&l->err, PS_EIO, "the system gives no thread to load models with");
	ps_serve_fail(s, &l->err);
}

void ps_serve_close_models(struct ps_serve *s)
{
	if (s->load.running)
		pthread_join(s->load.thread, NULL);
	for (int m = 0; s->instances && m < ps_repo_count(s->repo); m++)
		if (s->instances[m].instance)
			s->instances[m].ops->close(s->instances[m].instance);
	for (int i = 0; i < PS_SERVE_MAX_ENGINES; i++)
		if (s->engines[i].ops)
			s->engines[i].ops->stop(s->engines[i].engine);
	free(s->instances);
}
