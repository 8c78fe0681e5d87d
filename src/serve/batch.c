/* Several requests in one run. The run's "engine" is the one below: it gathers the rows of all
 * inputs, lets the true engine run once, and splits the outputs; what that costs is lane time of
 * the batch. A batch of one goes to the true engine without any of this.
 *
 *	inputs: copied together (rows of different requests lie in different bodies)
 *	outputs: one piece of memory for the batch, which each request's outputs refer into; it goes
 *	when the last of their answers has been sent (struct ps_serve_shared)
 *
 * When a batch fails for a reason that one of its requests may have brought (a wrong value, an
 * error of the engine), its requests are run again one by one, so that a bad one harms no other
 * tenant's; their lane time counts for all, as it was taken. Any other failure is that of all.
 */
#include "base/clock.h"
#include "serve/serve_internal.h"

#include <stdlib.h>
#include <string.h>

struct ps_serve_shared {
	_Atomic int refs;
	struct ps_arena arena;
};

static struct ps_serve_shared *shared_new(int refs)
{
	struct ps_serve_shared *shared = malloc(sizeof *shared);
	if (!shared)
		return NULL;
	atomic_init(&shared->refs, refs);
	ps_arena_init(&shared->arena, 0);
	return shared;
}

void ps_serve_shared_unref(struct ps_serve_shared *shared)
{
	if (!shared || atomic_fetch_sub(&shared->refs, 1) > 1)
		return;
	ps_arena_fini(&shared->arena);
	free(shared);
}

static void *alloc_from(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

static struct ps_serve_call *next_of(const struct ps_serve_call *c)
{
	return c->d.batch_next ? ps_serve_call_of(c->d.batch_next) : NULL;
}

/* --- one request --- */

/* `run` keeps its flag of cancellation: it may have been set already. */
static void point_run(struct ps_serve_call *c, struct ps_arena *arena, struct ps_tensor *inputs,
		      struct ps_tensor *outputs)
{
	c->run.inputs = inputs;
	c->run.outputs = outputs;
	c->run.n_inputs = c->view->n_inputs;
	c->run.n_outputs = c->view->n_outputs;
	c->run.alloc = alloc_from;
	c->run.alloc_ctx = arena;
}

static void reshape_outputs(struct ps_serve_call *c)
{
	const struct ps_serve_view *v = c->view;
	for (int i = 0; v->reshapes && i < v->n_outputs; i++)
		ps_serve_reshape(&v->outputs[i], c->d.rows, v->max_batch > 0, &c->outputs[i]);
}

static enum ps_status run_one(struct ps_serve_call *c, bool wide)
{
	const struct ps_serve_instance *in = c->instance;
	point_run(c, c->arena, c->inputs, c->outputs);
	memset(c->outputs, 0, (size_t)c->n_outputs * sizeof *c->outputs);
	c->run.wide = wide;
	c->d.account.input_ns = ps_clock_now_ns();
	c->ran = in->ops->run(in->engine, &c->run, &c->err);
	c->d.account.computed_ns = ps_clock_now_ns();
	if (c->ran == PS_OK)
		reshape_outputs(c);
	return c->ran;
}

/* --- gathering --- */

static bool same_row(const struct ps_tensor *a, const struct ps_tensor *b)
{
	return a->dtype == b->dtype && a->rank == b->rank && a->rank > 0 &&
	       memcmp(a->dims + 1, b->dims + 1, (size_t)(a->rank - 1) * sizeof *a->dims) == 0;
}

/* Puts input `i` of all requests together. False: no memory, or shapes that differ (two shape keys
 * that agree by accident): one by one then. */
static bool gather(struct ps_serve_call *first, int i, struct ps_arena *arena, struct ps_tensor *to)
{
	size_t bytes = 0;
	*to = first->inputs[i];
	to->dims[0] = 0;
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		if (!same_row(&first->inputs[i], &c->inputs[i]))
			return false;
		to->dims[0] += c->inputs[i].dims[0];
		bytes += c->inputs[i].bytes;
	}
	char *at = ps_arena_alloc_tensor(arena, bytes);
	to->data = at;
	to->bytes = bytes;
	if (!at)
		return false;
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		if (c->inputs[i].bytes > 0)
			memcpy(at, c->inputs[i].data, c->inputs[i].bytes);
		at += c->inputs[i].bytes;
	}
	return true;
}

static struct ps_tensor *gather_all(struct ps_serve_call *first, struct ps_arena *arena)
{
	int n = first->view->n_inputs;
	struct ps_tensor *inputs = ps_arena_alloc(arena, (size_t)n * sizeof *inputs);
	for (int i = 0; inputs && i < n; i++)
		if (!gather(first, i, arena, &inputs[i]))
			return NULL;
	return inputs;
}

/* --- splitting --- */

/* Bytes of `elements` BYTES elements at `at`; SIZE_MAX when they do not end in time. */
static size_t bytes_elements(const char *at, size_t left, int64_t elements)
{
	size_t used = 0;
	for (int64_t k = 0; k < elements; k++) {
		uint32_t n;
		if (left - used < sizeof n)
			return SIZE_MAX;
		memcpy(&n, at + used, sizeof n);
		used += sizeof n;
		if (left - used < n)
			return SIZE_MAX;
		used += n;
	}
	return used;
}

/* The part of output `i` that belongs to each request, from byte 0 on. */
static bool split(struct ps_serve_call *first, int i, const struct ps_tensor *whole)
{
	int64_t row_elements = 1;
	size_t at = 0;
	for (int k = 1; k < whole->rank; k++)
		row_elements *= whole->dims[k];
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		int64_t elements = c->d.rows * row_elements;
		size_t bytes = whole->dtype == PS_DTYPE_BYTES
				       ? bytes_elements((const char *)whole->data + at,
							whole->bytes - at, elements)
				       : (size_t)elements * ps_dtype_size(whole->dtype);
		if (bytes > whole->bytes - at)
			return false;
		c->outputs[i] = *whole;
		c->outputs[i].dims[0] = c->d.rows;
		c->outputs[i].data = (char *)whole->data + at;
		c->outputs[i].bytes = bytes;
		at += bytes;
	}
	return at == whole->bytes;
}

static bool split_all(struct ps_serve_call *first, int64_t rows, const struct ps_tensor *outputs)
{
	for (int i = 0; i < first->n_outputs; i++)
		if (outputs[i].rank < 1 || outputs[i].dims[0] != rows ||
		    !split(first, i, &outputs[i]))
			return false;
	return true;
}

/* --- the batch --- */

static void stamp(struct ps_serve_call *first, int64_t input_ns, int64_t computed_ns)
{
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		c->d.account.input_ns = input_ns;
		c->d.account.computed_ns = computed_ns;
	}
}

static void share(struct ps_serve_call *first, struct ps_serve_shared *shared)
{
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		c->shared = shared;
		c->ran = PS_OK;
		reshape_outputs(c);
	}
}

/* Runs all as one. PS_EINTERNAL: they could not be put together or taken apart. */
static enum ps_status run_together(struct ps_serve_call *first, struct ps_serve_shared *shared,
				   struct ps_arena *scratch, struct ps_error *err)
{
	const struct ps_serve_instance *in = first->instance;
	size_t n_outputs = (size_t)first->n_outputs;
	struct ps_tensor *outputs = ps_arena_zalloc(scratch, n_outputs * sizeof *outputs);
	struct ps_tensor *inputs = outputs ? gather_all(first, scratch) : NULL;
	if (!inputs)
		return ps_error_set(err, PS_EINTERNAL, "the batch cannot be gathered");
	point_run(first, &shared->arena, inputs, outputs);
	int64_t input_ns = ps_clock_now_ns();
	enum ps_status status = in->ops->run(in->engine, &first->run, err);
	stamp(first, input_ns, ps_clock_now_ns());
	if (status == PS_OK && !split_all(first, first->d.batch.rows, outputs))
		return ps_error_set(err, PS_EINTERNAL,
				    "the model's outputs have other rows than "
				    "its inputs");
	return status;
}

static bool worth_one_by_one(enum ps_status status)
{
	return status == PS_EINVAL || status == PS_EENGINE || status == PS_ETOOBIG ||
	       status == PS_EINTERNAL;
}

static void fail_all(struct ps_serve_call *first, enum ps_status status, const struct ps_error *err)
{
	for (struct ps_serve_call *c = first; c; c = next_of(c)) {
		c->ran = status;
		c->err = *err;
	}
}

/* PS_OK when any went well: each request has its own status. */
static enum ps_status run_one_by_one(struct ps_serve_call *first, struct ps_error *err)
{
	bool wide = first->run.wide, any = false;
	for (struct ps_serve_call *c = first; c; c = next_of(c))
		any |= run_one(c, wide) == PS_OK;
	if (any)
		return PS_OK;
	*err = first->err;
	return first->ran;
}

static enum ps_status run_batch(struct ps_serve_call *first, struct ps_error *err)
{
	struct ps_serve_shared *shared = shared_new(first->d.batch.n);
	struct ps_arena scratch;
	if (!shared)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	ps_arena_init(&scratch, 0);
	enum ps_status status = run_together(first, shared, &scratch, err);
	ps_arena_fini(&scratch);
	if (status == PS_OK) {
		share(first, shared);
		return PS_OK;
	}
	ps_arena_fini(&shared->arena);
	free(shared);
	if (worth_one_by_one(status))
		return run_one_by_one(first, err);
	fail_all(first, status, err);
	return status;
}

/* --- as an engine: `i` is the first request of the batch --- */

static enum ps_status batch_run(struct ps_engine_instance *i, struct ps_engine_run *run,
				struct ps_error *err)
{
	struct ps_serve_call *first = (struct ps_serve_call *)(void *)i;
	(void)run; /* the first request's */
	if (first->d.batch.n > 1)
		return run_batch(first, err);
	enum ps_status status = run_one(first, first->run.wide);
	if (status != PS_OK)
		*err = first->err;
	return status;
}

/* Each request's run: they may be under way one by one. */
static void batch_cancel(struct ps_engine_instance *i, struct ps_engine_run *run)
{
	struct ps_serve_call *first = (struct ps_serve_call *)(void *)i;
	(void)run;
	for (struct ps_serve_call *c = first; c; c = next_of(c))
		c->instance->ops->cancel(c->instance->engine, &c->run);
}

static const struct ps_engine_ops batch_ops = {
	.name = "batch",
	.run = batch_run,
	.cancel = batch_cancel,
};

struct ps_exec_task *ps_serve_batch_task(struct ps_serve *s, struct ps_dispatch_batch *b)
{
	struct ps_serve_call *first = ps_serve_call_of(b->first);
	struct ps_serve_instance *in = ps_repo_instance_get(s->repo, b->instance)->user;
	struct ps_dispatch_request *r = b->first;
	do {
		ps_serve_call_of(r)->instance = in;
		r = r->batch_next;
	} while (r);
	first->task = (struct ps_exec_task){
		.ops = &batch_ops,
		.instance = (struct ps_engine_instance *)(void *)first,
		.run = &first->run,
		.width = b->width,
	};
	return &first->task;
}

void ps_serve_batch_cancel(struct ps_dispatch_batch *b)
{
	struct ps_serve_call *first = ps_serve_call_of(b->first);
	first->task.ops->cancel(first->task.instance, first->task.run);
}
