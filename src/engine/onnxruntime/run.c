#include "engine/onnxruntime/ort_internal.h"
#include "engine/onnxruntime/run_internal.h"

#include "base/log.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MIN_ALIGN 16 /* what every allocator gives; kernels may count on it */

/* run->handle while a canceller is inside the library with it. */
static char busy_mark;
#define HANDLE_BUSY ((void *)&busy_mark)

static enum ps_status wrap(struct ps_ort_call *c, const struct ps_tensor *t, void *data,
			   void **ret_value, struct ps_error *err)
{
	const struct ps_engine *e = c->i->engine;
	static char nothing[MIN_ALIGN]; /* an empty tensor still wants an address */

	return ps_ort_check(
		&e->api,
		e->api.create_tensor_with_data(e->memory_info, t->bytes ? data : nothing, t->bytes,
					       t->dims, (size_t)t->rank, (int)t->dtype, ret_value),
		err, "cannot pass a tensor");
}

static enum ps_status put_strings(struct ps_ort_call *c, const struct ps_tensor *t,
				  void **ret_value, struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	const char *p = t->data, *end = p + t->bytes;
	void *allocator = NULL;
	char *to = NULL;
	struct ps_ort_status *s = a->default_allocator(&allocator);

	if (!s)
		s = a->create_tensor(allocator, t->dims, (size_t)t->rank, PS_DTYPE_BYTES,
				     ret_value);
	for (size_t k = 0; !s && p < end; k++) { /* the lengths were checked */
		uint32_t n;

		memcpy(&n, p, 4);
		s = a->string_element(*ret_value, k, n, &to);
		if (!s && n)
			memcpy(to, p + 4, n);
		p += 4 + (size_t)n;
	}
	return ps_ort_check(a, s, err, "cannot pass a tensor of strings");
}

static enum ps_status put_input(struct ps_ort_call *c, int k, struct ps_error *err)
{
	const struct ps_tensor *t = &c->run->inputs[k];
	void *data = t->data;

	if (t->dtype == PS_DTYPE_BYTES)
		return put_strings(c, t, &c->in[k], err);
	if ((uintptr_t)data % MIN_ALIGN != 0 && t->bytes) {
		/* It came behind another tensor on the wire. */
		data = c->run->alloc(c->run->alloc_ctx, t->bytes);
		if (!data)
			return ps_error_set(err, PS_ENOMEM, "no memory to align input '%s'",
					    c->i->in_names[k]);
		memcpy(data, t->data, t->bytes);
	}
	return wrap(c, t, data, &c->in[k], err);
}

/* True when the output's whole shape follows from the declaration and the inputs. */
static bool known_shape(const struct ps_ort_call *c, int k, int64_t dims[PS_TENSOR_MAX_RANK])
{
	const struct ps_tensor_spec *spec = &c->i->outputs[k];

	if (spec->dtype == PS_DTYPE_BYTES ||
	    atomic_load_explicit(&c->i->shapes_lie, memory_order_relaxed))
		return false;
	for (int d = 0; d < spec->rank; d++) {
		const struct ps_ort_origin o = c->i->origins[k][d];

		if (spec->dims[d] >= 0)
			dims[d] = spec->dims[d];
		else if (o.input >= 0)
			dims[d] = c->run->inputs[o.input].dims[o.dim];
		else
			return false;
	}
	return true;
}

static enum ps_status put_output(struct ps_ort_call *c, int k, struct ps_error *err)
{
	const struct ps_tensor_spec *spec = &c->i->outputs[k];
	struct ps_tensor *t = &c->run->outputs[k];
	int64_t count;
	enum ps_status st;

	t->name = spec->name;
	t->dtype = spec->dtype;
	t->rank = spec->rank;
	if (!known_shape(c, k, t->dims))
		return PS_OK;
	st = ps_tensor_count(t->dims, t->rank, &count, err);
	if (st == PS_OK)
		st = ps_engine_place_output(c->run, t, (size_t)count * ps_dtype_size(t->dtype),
					    err);
	if (st != PS_OK || (uintptr_t)t->data % MIN_ALIGN != 0)
		return st; /* a caller's odd address is filled by copying */
	c->placed[k] = true;
	return wrap(c, t, t->data, &c->out[k], err);
}

static enum ps_status take_shape(struct ps_ort_call *c, int k, struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	struct ps_tensor *t = &c->run->outputs[k];
	void *info = NULL;
	size_t rank = 0;
	int dtype = 0;
	struct ps_ort_status *s = a->value_shape(c->out[k], &info);

	if (!s)
		s = a->element_type(info, &dtype);
	if (!s)
		s = a->dims_count(info, &rank);
	if (!s && rank <= PS_TENSOR_MAX_RANK)
		s = a->dims(info, t->dims, rank);
	if (info)
		a->release_shape(info);
	t->dtype = (enum ps_dtype)dtype;
	t->rank = (int)rank;
	if (!s && rank > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EUNSUPPORTED, "output '%s' has over %d dimensions",
				    t->name, PS_TENSOR_MAX_RANK);
	return ps_ort_check(a, s, err, "cannot read an output's shape");
}

/* Writes the library's joined strings as elements with their lengths. */
static enum ps_status pack_strings(struct ps_ort_call *c, int k, const char *bytes, size_t total,
				   const size_t *offsets, size_t n, struct ps_error *err)
{
	struct ps_tensor *t = &c->run->outputs[k];
	enum ps_status st = ps_engine_place_output(c->run, t, total + 4 * n, err);
	char *to = t->data;

	for (size_t e = 0; st == PS_OK && e < n; e++) {
		uint32_t len = (uint32_t)((e + 1 < n ? offsets[e + 1] : total) - offsets[e]);

		memcpy(to, &len, 4);
		memcpy(to + 4, bytes + offsets[e], len);
		to += 4 + (size_t)len;
	}
	return st;
}

static enum ps_status take_strings(struct ps_ort_call *c, int k, int64_t count,
				   struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	size_t total = 0, n = (size_t)count, *offsets;
	char *bytes;
	enum ps_status st =
		ps_ort_check(a, a->string_bytes(c->out[k], &total), err, "cannot read strings");

	if (st != PS_OK)
		return st;
	offsets = calloc(n + 1, sizeof(*offsets));
	bytes = malloc(total + 1);
	if (offsets && bytes)
		st = ps_ort_check(a, a->string_content(c->out[k], bytes, total, offsets, n), err,
				  "cannot read strings");
	else
		st = ps_error_set(err, PS_ENOMEM, "no memory for output '%s'", c->i->out_names[k]);
	if (st == PS_OK && offsets && bytes)
		st = pack_strings(c, k, bytes, total, offsets, n, err);
	free(bytes);
	free(offsets);
	return st;
}

/* An output that the library allocated: one copy into the caller's memory. */
static enum ps_status take_output(struct ps_ort_call *c, int k, struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	struct ps_tensor *t = &c->run->outputs[k];
	int is_tensor = 0;
	int64_t count = 0;
	void *data = NULL;
	enum ps_status st;

	if (c->placed[k])
		return PS_OK;
	st = ps_ort_check(a, a->is_tensor(c->out[k], &is_tensor), err, "cannot read an output");
	if (st == PS_OK && !is_tensor)
		st = ps_error_set(err, PS_EUNSUPPORTED, "output '%s' is no tensor", t->name);
	if (st == PS_OK)
		st = take_shape(c, k, err);
	if (st == PS_OK)
		st = ps_tensor_count(t->dims, t->rank, &count, err);
	if (st == PS_OK && t->dtype == PS_DTYPE_BYTES)
		return take_strings(c, k, count, err);
	if (st == PS_OK)
		st = ps_ort_check(a, a->tensor_data(c->out[k], &data), err,
				  "cannot read an output");
	if (st == PS_OK)
		st = ps_engine_place_output(c->run, t, (size_t)count * ps_dtype_size(t->dtype),
					    err);
	if (st == PS_OK && t->bytes)
		memcpy(t->data, data, t->bytes);
	return st;
}

static void release_values(struct ps_ort_call *c)
{
	const struct ps_ort_api *a = &c->i->engine->api;

	for (int k = 0; k < c->i->n_inputs; k++)
		if (c->in[k])
			a->release_value(c->in[k]);
	for (int k = 0; k < c->i->n_outputs; k++)
		if (c->out[k])
			a->release_value(c->out[k]);
}

/* Takes the handle back from under a canceller: after this nobody else holds the options. */
static void retract(struct ps_engine_run *run, void *options)
{
	void *expected = options;

	while (!atomic_compare_exchange_weak(&run->handle, &expected, NULL)) {
		expected = options;
		sched_yield(); /* a canceller is inside; it leaves within a microsecond */
	}
}

/* The library refuses a prepared output of another shape than it computed: the model's declared
 * shapes are wrong (or give one name to two sizes). The text has changed between releases. */
static bool is_shape_lie(const struct ps_ort_api *a, const struct ps_ort_status *s)
{
	const char *message = s ? a->get_error_message(s) : "";

	return strstr(message, "but the computed output shape") ||
	       strstr(message, "shape verification failed");
}

static enum ps_status call_session(struct ps_ort_call *c, void *options, struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	struct ps_ort_status *s;

	if (c->i->gpu >= 0)
		s = ps_ort_run_bound(c, options);
	else
		s = a->run(c->run->wide && c->i->wide ? c->i->wide : c->i->narrow, options,
			   c->i->in_names, c->in, (size_t)c->i->n_inputs, c->i->out_names,
			   (size_t)c->i->n_outputs, c->out);
	c->shape_lie = is_shape_lie(a, s);
	return ps_ort_check(a, s, err, "the model failed");
}

static enum ps_status call_library(struct ps_ort_call *c, struct ps_error *err)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	void *options = NULL;
	enum ps_status st =
		ps_ort_check(a, a->create_run_options(&options), err, "cannot set up a run");

	if (st != PS_OK)
		return st;
	atomic_store(&c->run->handle, options);
	/* Looked at after the handle is out: a cancel sees the handle, or is seen here. */
	if (atomic_load(&c->run->cancelled))
		st = PS_ECANCELLED;
	else
		st = call_session(c, options, err);
	retract(c->run, options);
	a->release_run_options(options);
	if (st != PS_OK && atomic_load(&c->run->cancelled))
		st = ps_error_set(err, PS_ECANCELLED, "the run was cancelled");
	return st;
}

static enum ps_status attempt(struct ps_ort_call *c, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int k = 0; st == PS_OK && k < c->i->n_inputs; k++)
		st = put_input(c, k, err);
	for (int k = 0; st == PS_OK && k < c->i->n_outputs; k++)
		st = put_output(c, k, err);
	if (st == PS_OK)
		st = call_library(c, err);
	for (int k = 0; st == PS_OK && k < c->i->n_outputs; k++)
		st = take_output(c, k, err);
	release_values(c);
	return st;
}

static void begin(struct ps_ort_call *c, struct ps_engine_instance *i, struct ps_engine_run *run)
{
	memset(c, 0, sizeof(*c));
	c->i = i;
	c->run = run;
	for (int k = 0; k < i->n_outputs; k++) {
		c->given[k].data = run->outputs[k].data;
		c->given[k].bytes = run->outputs[k].bytes;
	}
}

static void begin_again(struct ps_ort_call *c)
{
	for (int k = 0; k < c->i->n_outputs; k++) {
		c->run->outputs[k].data = c->given[k].data;
		c->run->outputs[k].bytes = c->given[k].bytes;
	}
	begin(c, c->i, c->run);
}

enum ps_status ps_ort_run(struct ps_engine_instance *i, struct ps_engine_run *run,
			  struct ps_error *err)
{
	const struct ps_engine_describe d = {.inputs = i->inputs,
					     .outputs = i->outputs,
					     .n_inputs = i->n_inputs,
					     .n_outputs = i->n_outputs};
	struct ps_error own;
	struct ps_ort_call c;
	enum ps_status st;

	if (!err)
		err = &own;
	if (atomic_load(&run->cancelled))
		return ps_error_set(err, PS_ECANCELLED, "the run was cancelled before it began");
	st = ps_engine_check_run(&d, run, err);
	if (st != PS_OK)
		return st;
	begin(&c, i, run);
	st = attempt(&c, err);
	if (!c.shape_lie || st == PS_ECANCELLED)
		return st;
	ps_log(PS_LOG_WARN, "engine",
	       "a model computes other shapes than it declares; its outputs are copied now");
	atomic_store_explicit(&i->shapes_lie, true, memory_order_relaxed);
	begin_again(&c);
	return attempt(&c, err);
}

void ps_ort_cancel(struct ps_engine_instance *i, struct ps_engine_run *run)
{
	const struct ps_ort_api *a = &i->engine->api;
	void *options;

	atomic_store(&run->cancelled, true);
	/* Borrow the handle: while it is marked busy, the run cannot release it. */
	do {
		options = atomic_load(&run->handle);
		if (!options)
			return;
	} while (options == HANDLE_BUSY ||
		 !atomic_compare_exchange_weak(&run->handle, &options, HANDLE_BUSY));
	struct ps_ort_status *s = a->set_terminate(options);

	if (s)
		a->release_status(s);
	atomic_store(&run->handle, options);
}
