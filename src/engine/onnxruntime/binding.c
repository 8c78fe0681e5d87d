/* A run on a GPU. Inputs and outputs are bound, so that results are copied from the device straight
 * into the caller's memory where their shape is known, and to memory of the library elsewhere. */
#include "engine/onnxruntime/ort_internal.h"
#include "engine/onnxruntime/run_internal.h"

static struct ps_ort_status *bind(const struct ps_ort_call *c, void *binding)
{
	const struct ps_engine_instance *i = c->i;
	const struct ps_ort_api *a = &i->engine->api;
	struct ps_ort_status *s = NULL;

	for (int k = 0; !s && k < i->n_inputs; k++)
		s = a->bind_input(binding, i->in_names[k], c->in[k]);
	for (int k = 0; !s && k < i->n_outputs; k++)
		s = c->placed[k] ? a->bind_output(binding, i->out_names[k], c->out[k])
				 : a->bind_output_device(binding, i->out_names[k],
							 i->engine->memory_info);
	return s;
}

/* The values come in the order in which they were bound; those that are ours already are given
 * back. */
static struct ps_ort_status *collect(struct ps_ort_call *c, void *binding, void *allocator)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	void **values = NULL;
	size_t n = 0;
	struct ps_ort_status *s = a->bound_outputs(binding, allocator, &values, &n);

	for (size_t k = 0; !s && k < n; k++) {
		if (k < (size_t)c->i->n_outputs && !c->placed[k])
			c->out[k] = values[k];
		else
			a->release_value(values[k]);
	}
	if (!s && values)
		s = a->allocator_free(allocator, values);
	/* cppcheck-suppress returnDanglingLifetime ; a status is memory of the library */
	return s;
}

struct ps_ort_status *ps_ort_run_bound(struct ps_ort_call *c, void *options)
{
	const struct ps_ort_api *a = &c->i->engine->api;
	void *binding = NULL, *allocator = NULL;
	struct ps_ort_status *s = a->default_allocator(&allocator);

	if (!s)
		s = a->create_binding(c->i->narrow, &binding);
	if (!s)
		s = bind(c, binding);
	if (!s)
		s = a->run_with_binding(c->i->narrow, options, binding);
	if (!s)
		s = collect(c, binding, allocator);
	if (binding)
		a->release_binding(binding);
	return s;
}
