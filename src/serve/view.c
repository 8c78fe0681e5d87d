/* An instance as the configuration of a model shows it. */
#include "serve/serve_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct ps_repo_tensor *find_tensor(const struct ps_repo_tensor *list, int n,
						const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* The engine's tensor in the words of the configuration, which may narrow or reshape it. */
static void outer_spec(const struct ps_tensor_spec *inner, const struct ps_repo_tensor *said,
		       bool batched, struct ps_tensor_spec *ret)
{
	*ret = *inner;
	if (!said || said->rank + batched > PS_TENSOR_MAX_RANK)
		return;
	ret->rank = said->rank + batched;
	if (batched)
		ret->dims[0] = -1;
	memcpy(ret->dims + batched, said->dims, (size_t)said->rank * sizeof *said->dims);
}

static struct ps_tensor_spec *outer_specs(struct ps_serve_view *v,
					  const struct ps_tensor_spec *inner, int n,
					  const struct ps_repo_tensor *said, int n_said)
{
	struct ps_tensor_spec *specs = calloc((size_t)n + 1, sizeof *specs);
	for (int i = 0; specs && i < n; i++) {
		const struct ps_repo_tensor *t = find_tensor(said, n_said, inner[i].name);
		outer_spec(&inner[i], t, v->max_batch > 0, &specs[i]);
		v->reshapes |= t && t->reshaped;
	}
	return specs;
}

static bool has_fixed_rows(const struct ps_tensor_spec *specs, int n)
{
	for (int i = 0; i < n; i++)
		for (int k = 1; k < specs[i].rank; k++)
			if (specs[i].dims[k] < 0)
				return false;
	return true;
}

static void free_view(struct ps_serve_view *v)
{
	if (!v)
		return;
	free(v->inputs);
	free(v->outputs);
	free(v);
}

static enum ps_status make_view(const struct ps_engine_describe *d, const struct ps_repo_config *c,
				struct ps_serve_view **ret_view, struct ps_error *err)
{
	enum ps_status status =
		ps_repo_config_check(c, d->inputs, d->n_inputs, d->outputs, d->n_outputs, err);
	if (status != PS_OK)
		return status;
	struct ps_serve_view *v = calloc(1, sizeof *v);
	if (!v)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	v->max_batch = d->batch_axis ? c->max_batch_size : 0;
	v->counts_rows =
		d->n_inputs > 0 && d->batch_axis && (v->max_batch > 0 || !c->has_max_batch_size);
	v->n_inputs = d->n_inputs;
	v->n_outputs = d->n_outputs;
	v->inputs = outer_specs(v, d->inputs, d->n_inputs, c->inputs, c->n_inputs);
	v->outputs = outer_specs(v, d->outputs, d->n_outputs, c->outputs, c->n_outputs);
	if (!v->inputs || !v->outputs) {
		free_view(v);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	v->fixed_shapes = has_fixed_rows(v->inputs, v->n_inputs);
	*ret_view = v;
	return PS_OK;
}

static bool same_specs(const struct ps_tensor_spec *a, const struct ps_tensor_spec *b, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].dtype != b[i].dtype || a[i].rank != b[i].rank ||
		    memcmp(a[i].dims, b[i].dims, (size_t)a[i].rank * sizeof *a[i].dims) != 0)
			return false;
	return true;
}

static bool same_view(const struct ps_serve_view *a, const struct ps_serve_view *b)
{
	return a->max_batch == b->max_batch && a->counts_rows == b->counts_rows &&
	       a->reshapes == b->reshapes && same_specs(a->inputs, b->inputs, a->n_inputs) &&
	       same_specs(a->outputs, b->outputs, a->n_outputs);
}

/* Most changes of the repository are not of this model: then the view stays. One that was replaced
 * stays as well, for the requests that were decoded by it. */
static struct ps_serve_view *renew(struct ps_serve_instance *in, struct ps_serve_view *fresh)
{
	struct ps_serve_view *v = in->views;
	while (v && (v->model != fresh->model || !same_view(v, fresh)))
		v = v->next;
	if (v) {
		v->generation = fresh->generation;
		free_view(fresh);
		return v;
	}
	fresh->next = in->views;
	in->views = fresh;
	return fresh;
}

enum ps_status ps_serve_view_of(struct ps_serve *s, struct ps_serve_instance *in, int model,
				int domain, const struct ps_serve_view **ret_view,
				struct ps_error *err)
{
	uint64_t generation = atomic_load_explicit(&s->models_generation, memory_order_relaxed);
	struct ps_serve_view *fresh = NULL;
	for (struct ps_serve_view *v = in->views; v; v = v->next)
		if (v->model == model && v->generation == generation) {
			*ret_view = v;
			return PS_OK;
		}
	/* Not the model's newest: while that and a new file load, the old ones go on serving. */
	const struct ps_repo_config *config = ps_repo_serving_config(s->repo, model, domain);
	enum ps_status status = make_view(&in->describe, config, &fresh, err);
	if (status != PS_OK || !fresh)
		return status;
	fresh->model = model;
	fresh->generation = generation;
	*ret_view = renew(in, fresh);
	return PS_OK;
}

void ps_serve_reshape(const struct ps_tensor_spec *to, int64_t rows, bool batched,
		      struct ps_tensor *t)
{
	int64_t all = 1, known = 1;
	int open = -1;
	for (int k = 0; k < t->rank; k++)
		all *= t->dims[k];
	for (int k = 0; k < to->rank; k++) {
		int64_t d = k == 0 && batched ? rows : to->dims[k];
		t->dims[k] = d;
		if (d < 0)
			open = k;
		else
			known *= d;
	}
	if (open >= 0)
		t->dims[open] = known > 0 ? all / known : 0;
	t->rank = to->rank;
}

void ps_serve_views_free(struct ps_serve_instance *in)
{
	for (struct ps_serve_view *v = in->views, *next; v; v = next) {
		next = v->next;
		free_view(v);
	}
	in->views = NULL;
}
