/* Engines, opening an instance, warm-up. Loaders' threads; nothing here takes the server's lock. */
#include "serve/serve_internal.h"

#include <stdlib.h>

/* --- engines: started when the first model needs one --- */

static void borrow(void *ctx)
{
	ps_exec_borrow(((struct ps_serve *)ctx)->exec);
}

static void give_back(void *ctx)
{
	ps_exec_give_back(((struct ps_serve *)ctx)->exec);
}

static enum ps_status start_engine(struct ps_serve *s, const struct ps_engine_ops *ops,
				   struct ps_serve_engine *e, struct ps_error *err)
{
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	const struct ps_serve_config *c = p->config;
	s->lender = (struct ps_engine_lender){borrow, give_back, s};
	const struct ps_engine_options o = {
		.library = c->library,
		.cache_dir = c->cache,
		.cache_max_bytes = c->cache_max_bytes,
		.convert_timeout_ns = c->convert_timeout,
		.cpus = *ps_exec_cpus(s->exec),
		.wide_threads = s->width > 1 ? s->width : 0,
		.seed = c->seed,
		.lender = &s->lender,
	};
	enum ps_status status = ops->start(&o, &e->engine, err);
	if (status == PS_OK)
		e->ops = ops;
	ps_serve_snapshot_unref(p);
	return status;
}

static enum ps_status find_engine(struct ps_serve *s, const struct ps_engine_ops *ops,
				  struct ps_serve_engine *ret_engine, struct ps_error *err)
{
	for (int i = 0; i < PS_SERVE_MAX_ENGINES; i++) {
		struct ps_serve_engine *e = &s->engines[i];
		enum ps_status status = PS_OK;
		if (e->ops && e->ops != ops)
			continue;
		if (!e->ops)
			status = start_engine(s, ops, e, err);
		if (status == PS_OK)
			*ret_engine = *e;
		return status;
	}
	return ps_error_set(err, PS_EINTERNAL, "more engines than places for them");
}

enum ps_status ps_serve_engine_for(struct ps_serve *s, const char *path,
				   const struct ps_repo_rnn *rnn,
				   struct ps_serve_engine *ret_engine, struct ps_error *err)
{
	const struct ps_engine_ops *ops = ps_engine_for_model(path, rnn->precision);
	if (!ops)
		return ps_error_set(err, PS_EUNSUPPORTED, "no engine opens %s", path);
	pthread_mutex_lock(&s->engines_lock);
	enum ps_status status = s->engines_stopped
					? ps_error_set(err, PS_ECANCELLED, "the server shuts down")
					: find_engine(s, ops, ret_engine, err);
	pthread_mutex_unlock(&s->engines_lock);
	return status;
}

/* --- opening and closing --- */

/* What does not agree with its configuration is not warmed up. */
static enum ps_status describe(struct ps_serve_instance *in, const struct ps_repo_config *c,
			       struct ps_error *err)
{
	const struct ps_engine_describe *d = &in->describe;
	in->ops->describe(in->engine, &in->describe);
	in->ops->memory(in->engine, &in->memory);
	if (d->n_inputs > PS_MODEL_MAX_TENSORS || d->n_outputs > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d inputs or outputs",
				    PS_MODEL_MAX_TENSORS);
	return ps_repo_config_check(c, d->inputs, d->n_inputs, d->outputs, d->n_outputs, err);
}

void ps_serve_close_instance(struct ps_serve_instance *in)
{
	if (!in)
		return;
	if (in->engine)
		in->ops->close(in->engine);
	ps_serve_views_free(in);
	free(in);
}

static enum ps_status open_with(const struct ps_serve_engine *e, const struct ps_serve_opening *o,
				bool wide, struct ps_serve_instance *in, struct ps_error *err)
{
	const struct ps_engine_open open = {.path = o->path,
					    .wide = wide,
					    .device = o->device,
					    .rnn = o->config.rnn.precision,
					    .rnn_max_error = o->config.rnn.max_error,
					    .rnn_calibration = o->config.rnn.calibration};
	in->ops = e->ops;
	enum ps_status status = in->ops->open(e->engine, &open, &in->engine, err);
	if (status != PS_OK) {
		in->engine = NULL;
		return status;
	}
	status = describe(in, &o->config, err);
	return status == PS_OK ? ps_serve_warm_up(o, in, err) : status;
}

enum ps_status ps_serve_open(struct ps_serve *s, const struct ps_serve_opening *o,
			     struct ps_serve_instance **ret_instance, struct ps_error *err)
{
	struct ps_serve_engine engine = {0};
	struct ps_serve_instance *in = calloc(1, sizeof *in);
	if (!in)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	enum ps_status status = ps_serve_engine_for(s, o->path, &o->config.rnn, &engine, err);
	if (status == PS_OK && engine.ops)
		status = open_with(&engine, o, s->width > 1, in, err);
	if (status == PS_OK) {
		*ret_instance = in;
		return PS_OK;
	}
	ps_serve_close_instance(in);
	if (!err->where[0])
		ps_error_where(err, "%s", o->path);
	return status;
}
