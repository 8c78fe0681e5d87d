/* Runs before an instance is READY. Loaders' threads. */
#include "base/log.h"
#include "base/rng.h"
#include "serve/serve_internal.h"

#include <stdio.h>
#include <string.h>

static void *arena_alloc(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

/* A model from DIR/NAME/VERSION/FILE has its warm-up data in DIR/NAME/warmup/. */
static enum ps_status read_warmup_file(const char *model_path, const char *file,
				       struct ps_tensor *t, struct ps_error *err)
{
	char path[PS_NET_PATH_SIZE];
	size_t len = strlen(model_path);
	for (int up = 0; up < 2; up++)
		while (len > 0 && model_path[--len] != '/')
			;
	if (strchr(file, '/') || (size_t)snprintf(path, sizeof path, "%.*s/warmup/%s", (int)len,
						  model_path, file) >= sizeof path)
		return ps_error_set(err, PS_EINVAL, "'%s' is no name of a warm-up file", file);
	FILE *f = fopen(path, "rb");
	if (!f)
		return ps_error_set(err, PS_ENOTFOUND, "there is no warm-up file %s", path);
	size_t got = fread(t->data, 1, t->bytes, f);
	bool more = fgetc(f) != EOF;
	fclose(f);
	if (got == t->bytes && !more)
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "%s does not have the %zu bytes of input %s", path,
			    t->bytes, t->name);
}

static void fill_random(struct ps_tensor *t)
{
	struct ps_rng rng;
	float *f = t->data;
	ps_rng_init(&rng, 1, 0);
	if (t->dtype == PS_DTYPE_FP32)
		for (size_t i = 0; i < t->bytes / sizeof *f; i++)
			f[i] = (float)ps_rng_uniform(&rng);
	else /* small numbers are valid in every type, and as indices */
		for (size_t i = 0; i < t->bytes; i += ps_dtype_size(t->dtype))
			((unsigned char *)t->data)[i] = ps_rng_uniform(&rng) < 0.5;
}

/* Unknown dimensions are 1, the batch axis `rows`. */
static enum ps_status make_input(struct ps_arena *arena, const struct ps_tensor_spec *spec,
				 const struct ps_repo_warmup_input *said, int64_t rows,
				 struct ps_tensor *ret, struct ps_error *err)
{
	int64_t count;
	*ret = (struct ps_tensor){.name = spec->name, .dtype = spec->dtype, .rank = spec->rank};
	int shift = said ? spec->rank - said->rank : 0;
	for (int i = 0; i < spec->rank; i++) {
		int64_t d = spec->dims[i];
		if (d < 0 && said && i >= shift && i - shift < said->rank)
			d = said->dims[i - shift];
		ret->dims[i] = d >= 0 ? d : i == 0 ? rows : 1;
	}
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

static const struct ps_repo_warmup_input *find_warmup(const struct ps_repo_warmup *w,
						      const char *name)
{
	for (int i = 0; w && i < w->n_inputs; i++)
		if (strcmp(w->inputs[i].name, name) == 0)
			return &w->inputs[i];
	return NULL;
}

static enum ps_status make_inputs(const struct ps_serve_opening *o,
				  const struct ps_serve_instance *in,
				  const struct ps_repo_warmup *w, struct ps_arena *arena,
				  struct ps_tensor *inputs, struct ps_error *err)
{
	enum ps_status status = PS_OK;
	for (int i = 0; status == PS_OK && i < in->describe.n_inputs; i++) {
		const struct ps_tensor_spec *spec = &in->describe.inputs[i];
		const struct ps_repo_warmup_input *said = find_warmup(w, spec->name);
		status = make_input(arena, spec, said, w ? w->batch_size : 1, &inputs[i], err);
		if (status != PS_OK || !said || spec->dtype == PS_DTYPE_BYTES)
			continue;
		if (said->data == PS_REPO_WARMUP_RANDOM)
			fill_random(&inputs[i]);
		else if (said->data == PS_REPO_WARMUP_FILE)
			status = read_warmup_file(o->path, said->file, &inputs[i], err);
	}
	return status;
}

static enum ps_status run_warmup(const struct ps_serve_opening *o,
				 const struct ps_serve_instance *in, const struct ps_repo_warmup *w,
				 bool wide, struct ps_error *err)
{
	struct ps_tensor inputs[PS_MODEL_MAX_TENSORS], outputs[PS_MODEL_MAX_TENSORS] = {0};
	struct ps_arena arena;
	ps_arena_init(&arena, 0);
	struct ps_engine_run run = {
		.inputs = inputs,
		.outputs = outputs,
		.n_inputs = in->describe.n_inputs,
		.n_outputs = in->describe.n_outputs,
		.wide = wide,
		.alloc = arena_alloc,
		.alloc_ctx = &arena,
	};
	enum ps_status status = make_inputs(o, in, w, &arena, inputs, err);
	if (status == PS_OK)
		status = in->ops->run(in->engine, &run, err);
	ps_arena_fini(&arena);
	return status;
}

/* Wide only while nothing is served yet: the pool's CPUs are the lanes' afterwards. */
static enum ps_status warm_up(const struct ps_serve_opening *o, const struct ps_serve_instance *in,
			      const struct ps_repo_warmup *w, struct ps_error *err)
{
	enum ps_status status = run_warmup(o, in, w, false, err);
	if (status == PS_OK && o->wide_warmup)
		status = run_warmup(o, in, w, true, err);
	return status;
}

static enum ps_status warm_up_as_said(const struct ps_serve_opening *o,
				      const struct ps_serve_instance *in, struct ps_error *err)
{
	enum ps_status status = PS_OK;
	for (int i = 0; i < o->config.n_warmups; i++)
		for (int64_t k = 0; status == PS_OK && k < o->config.warmups[i].count; k++)
			status = warm_up(o, in, &o->config.warmups[i], err);
	for (int64_t k = 0; status == PS_OK && k < o->config.warmup_runs; k++)
		status = warm_up(o, in, NULL, err);
	return status;
}

/* What the configuration asks for must succeed. Without a word of it one run on zeros is made for
 * the caches: a model that refuses zeros may still serve. */
enum ps_status ps_serve_warm_up(const struct ps_serve_opening *o,
				const struct ps_serve_instance *in, struct ps_error *err)
{
	enum ps_status status = warm_up_as_said(o, in, err);
	bool said = o->config.n_warmups > 0 || o->config.warms_up;
	if (status != PS_OK)
		ps_error_where(err, "%s: warm-up", o->name);
	/* A synthetic model has no caches, and its scripted times begin with its first run. */
	if (said || !o->warmup || strcmp(in->ops->name, "synthetic") == 0)
		return status;
	if (warm_up(o, in, NULL, err) != PS_OK)
		ps_log(PS_LOG_WARN, "serve", "model %s: warm-up failed: %s", o->name, err->what);
	return PS_OK;
}
