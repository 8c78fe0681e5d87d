/* admin_model.c - GET .../config: a model's configuration in Triton's terms, completed by what the
 * opened model declares. */
#include "serve/admin_routes_internal.h"

#include <string.h>

struct shown {
	struct ps_oip_model_config config;
	struct ps_oip_config_tensor *inputs, *outputs;
	struct ps_oip_instance_group group;
	int32_t gpu;
	struct ps_oip_dynamic_batching batching;
	int32_t preferred[PS_REPO_MAX_PREFERRED];
	struct ps_oip_level_policy levels[PS_REPO_MAX_LEVEL_POLICIES];
	struct ps_oip_config_parameter *parameters;
	struct ps_oip_warmup *warmups;
};

static const struct ps_repo_tensor *find_tensor(const struct ps_repo_tensor *list, int n,
						const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* As clients see it, without the batch axis. */
static struct ps_oip_config_tensor *tensors_of(struct ps_arena *arena,
					       const struct ps_tensor_spec *specs, int n,
					       const struct ps_repo_tensor *said, int n_said,
					       bool batched)
{
	struct ps_oip_config_tensor *list = ps_arena_zalloc(arena, ((size_t)n + 1) * sizeof *list);
	for (int i = 0; list && i < n; i++) {
		const struct ps_repo_tensor *t = find_tensor(said, n_said, specs[i].name);
		int skip = batched && specs[i].rank > 0;
		list[i].name = ps_arena_strndup(arena, specs[i].name, strlen(specs[i].name));
		list[i].dtype = specs[i].dtype;
		list[i].rank = specs[i].rank - skip;
		memcpy(list[i].dims, specs[i].dims + skip,
		       (size_t)list[i].rank * sizeof *list[i].dims);
		if (!list[i].name)
			return NULL;
		if (!t)
			continue;
		list[i].optional = t->optional;
		list[i].has_reshape = t->reshaped;
		list[i].reshape_rank = t->reshape_rank;
		memcpy(list[i].reshape, t->reshape, sizeof list[i].reshape);
	}
	return list;
}

static void show_group(struct shown *s, const struct ps_repo_config *c, const char *device)
{
	bool gpu = strncmp(device, "cuda:", 5) == 0;
	int64_t n = 0;
	if (gpu)
		(void)ps_units_parse_int(device + 5, &n, NULL);
	s->gpu = (int32_t)n;
	s->group = (struct ps_oip_instance_group){
		.kind = gpu ? PS_OIP_KIND_GPU : PS_OIP_KIND_CPU,
		.count = c->instance_count > 0 ? c->instance_count : 1,
		.gpus = &s->gpu,
		.n_gpus = gpu,
	};
	s->config.groups = &s->group;
	s->config.n_groups = 1;
}

static struct ps_oip_queue_policy shown_queue(const struct ps_repo_queue_policy *q)
{
	return (struct ps_oip_queue_policy){.delay = q->delay,
					    .default_timeout_us =
						    (uint64_t)(q->default_timeout_ns / 1000),
					    .allow_timeout_override = q->allow_timeout_override,
					    .max_queue_size = (uint32_t)q->max_queue_size};
}

static void show_batching(struct shown *s, const struct ps_repo_config *c)
{
	const struct ps_repo_batching *b = &c->batching;
	if (!b->on)
		return;
	for (int i = 0; i < b->n_preferred; i++)
		s->preferred[i] = (int32_t)b->preferred[i];
	for (int i = 0; i < b->n_level_policies; i++)
		s->levels[i] = (struct ps_oip_level_policy){
			.level = (uint64_t)b->level_policies[i].level,
			.queue = shown_queue(&b->level_policies[i].queue)};
	s->batching = (struct ps_oip_dynamic_batching){
		.preferred = s->preferred,
		.n_preferred = b->n_preferred,
		.max_queue_delay_us = (uint64_t)(b->max_delay_ns / 1000),
		.preserve_ordering = b->preserve_ordering,
		.queue = shown_queue(&b->queue),
		.priority_levels = (uint64_t)b->priority_levels,
		.default_priority_level = (uint64_t)b->default_priority_level,
		.levels = s->levels,
		.n_levels = b->n_level_policies,
	};
	s->config.batching = &s->batching;
}

static void show_policy(struct shown *s, const struct ps_repo_policy *p)
{
	s->config.version_policy = p->kind == PS_REPO_ALL	 ? PS_OIP_ALL
				   : p->kind == PS_REPO_SPECIFIC ? PS_OIP_SPECIFIC
								 : PS_OIP_LATEST;
	s->config.n_latest = (uint32_t)p->latest;
	s->config.specific = p->versions;
	s->config.n_specific = p->n;
}

static bool show_parameters(struct shown *s, const struct ps_repo_config *c, struct ps_arena *arena)
{
	s->parameters =
		ps_arena_zalloc(arena, ((size_t)c->n_parameters + 1) * sizeof *s->parameters);
	for (int i = 0; s->parameters && i < c->n_parameters; i++)
		s->parameters[i] = (struct ps_oip_config_parameter){c->parameters[i].key,
								    c->parameters[i].value};
	s->config.parameters = s->parameters;
	s->config.n_parameters = c->n_parameters;
	return s->parameters != NULL;
}

static bool show_warmups(struct shown *s, const struct ps_repo_config *c, struct ps_arena *arena)
{
	s->warmups = ps_arena_zalloc(arena, ((size_t)c->n_warmups + 1) * sizeof *s->warmups);
	for (int i = 0; s->warmups && i < c->n_warmups; i++) {
		const struct ps_repo_warmup *w = &c->warmups[i];
		struct ps_oip_warmup_input *inputs =
			ps_arena_zalloc(arena, ((size_t)w->n_inputs + 1) * sizeof *inputs);
		for (int k = 0; inputs && k < w->n_inputs; k++) {
			const struct ps_repo_warmup_input *in = &w->inputs[k];
			inputs[k] = (struct ps_oip_warmup_input){
				.name = in->name,
				.dtype = in->dtype,
				.rank = in->rank,
				.data = (enum ps_oip_warmup_data)in->data,
				.file = in->file};
			memcpy(inputs[k].dims, in->dims, sizeof inputs[k].dims);
		}
		if (!inputs)
			return false;
		s->warmups[i] = (struct ps_oip_warmup){.name = w->name,
						       .batch_size = (uint32_t)w->batch_size,
						       .count = (uint32_t)w->count,
						       .inputs = inputs,
						       .n_inputs = w->n_inputs};
	}
	s->config.warmups = s->warmups;
	s->config.n_warmups = c->n_warmups;
	return s->warmups != NULL;
}

static bool show_tensors(struct shown *s, const struct ps_repo_config *c,
			 const struct ps_serve_call *call)
{
	const struct ps_serve_view *v = call->view;
	bool batched = v->max_batch > 0;
	s->inputs =
		tensors_of(call->arena, v->inputs, v->n_inputs, c->inputs, c->n_inputs, batched);
	s->outputs = tensors_of(call->arena, v->outputs, v->n_outputs, c->outputs, c->n_outputs,
				batched);
	s->config.inputs = s->inputs;
	s->config.outputs = s->outputs;
	s->config.n_inputs = v->n_inputs;
	s->config.n_outputs = v->n_outputs;
	s->config.max_batch_size = (int32_t)v->max_batch;
	return s->inputs && s->outputs;
}

/* The configuration is borrowed from the repository: under the server's lock. */
static enum ps_status show(struct ps_serve_call *c, const struct ps_repo_config *config,
			   struct ps_strbuf *text)
{
	struct shown *s = ps_arena_zalloc(c->arena, sizeof *s);
	if (!s)
		return PS_ENOMEM;
	bool onnx = strncmp(c->instance->describe.platform, "onnx", 4) == 0;
	s->config.name = c->model_name;
	s->config.platform = onnx ? "onnxruntime_onnx" : c->instance->describe.platform;
	s->config.backend = config->backend[0] ? config->backend
			    : onnx	       ? "onnxruntime"
					       : "synthetic";
	s->config.default_model_filename = config->filename[0] ? config->filename : "model.onnx";
	show_group(s, config, c->instance->describe.device);
	show_batching(s, config);
	show_policy(s, &config->policy);
	if (!show_tensors(s, config, c) || !show_parameters(s, config, c->arena) ||
	    !show_warmups(s, config, c->arena))
		return PS_ENOMEM;
	ps_oip_build_model_config(&s->config, ps_serve_form(c), text);
	return ps_strbuf_status(text);
}

void ps_serve_admin_model_config(struct ps_serve_call *c)
{
	struct ps_serve *s = c->io->server;
	struct ps_strbuf text;
	if (ps_serve_find_model(c, true) != PS_OK) {
		if (!ps_serve_wait_for_model(c, ps_serve_admin_model_config))
			ps_serve_refuse(c);
		return;
	}
	ps_strbuf_init(&text);
	pthread_mutex_lock(&s->lock);
	int domain = ps_repo_instance_get(s->repo, c->instance_number)->domain;
	const struct ps_repo_config *config = ps_repo_serving_config(s->repo, c->model, domain);
	if (!config)
		config = ps_repo_get(s->repo, c->model)->config;
	enum ps_status status = show(c, config, &text);
	ps_repo_release(s->repo, c->instance_number);
	c->instance = NULL;
	pthread_mutex_unlock(&s->lock);
	if (status == PS_OK) {
		ps_serve_admin_answer(c, &text);
		return;
	}
	ps_strbuf_fini(&text);
	ps_serve_admin_refuse(c, status, "out of memory");
}
