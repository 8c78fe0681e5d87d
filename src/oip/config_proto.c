/* Model configuration as protobuf. Everything small stands in one struct per message; the rest is
 * in an arena that lives until the message is packed. */
#include "oip/config_internal.h"

static bool fill_inputs(struct ps_arena *a, const struct ps_oip_model_config *c,
			Inference__ModelConfig *p)
{
	p->input = ps_oip_pb_items(a, c->n_inputs, sizeof **p->input);
	Inference__ModelTensorReshape **r = ps_oip_pb_items(a, c->n_inputs, sizeof **r);
	for (int i = 0; p->input && r && i < c->n_inputs; i++) {
		const struct ps_oip_config_tensor *t = &c->inputs[i];
		Inference__ModelInput *in = p->input[i];
		inference__model_input__init(in);
		inference__model_tensor_reshape__init(r[i]);
		in->name = (char *)t->name;
		in->data_type = ps_oip_data_type(t->dtype);
		in->dims = (int64_t *)t->dims;
		in->n_dims = (size_t)t->rank;
		in->optional = t->optional;
		r[i]->shape = (int64_t *)t->reshape;
		r[i]->n_shape = (size_t)t->reshape_rank;
		in->reshape = t->has_reshape ? r[i] : NULL;
	}
	p->n_input = (size_t)c->n_inputs;
	return p->input && r;
}

static bool fill_outputs(struct ps_arena *a, const struct ps_oip_model_config *c,
			 Inference__ModelConfig *p)
{
	p->output = ps_oip_pb_items(a, c->n_outputs, sizeof **p->output);
	Inference__ModelTensorReshape **r = ps_oip_pb_items(a, c->n_outputs, sizeof **r);
	for (int i = 0; p->output && r && i < c->n_outputs; i++) {
		const struct ps_oip_config_tensor *t = &c->outputs[i];
		Inference__ModelOutput *out = p->output[i];
		inference__model_output__init(out);
		inference__model_tensor_reshape__init(r[i]);
		out->name = (char *)t->name;
		out->data_type = ps_oip_data_type(t->dtype);
		out->dims = (int64_t *)t->dims;
		out->n_dims = (size_t)t->rank;
		r[i]->shape = (int64_t *)t->reshape;
		r[i]->n_shape = (size_t)t->reshape_rank;
		out->reshape = t->has_reshape ? r[i] : NULL;
	}
	p->n_output = (size_t)c->n_outputs;
	return p->output && r;
}

static bool fill_groups(struct ps_arena *a, const struct ps_oip_model_config *c,
			Inference__ModelConfig *p)
{
	p->instance_group = ps_oip_pb_items(a, c->n_groups, sizeof **p->instance_group);
	for (int i = 0; p->instance_group && i < c->n_groups; i++) {
		Inference__ModelInstanceGroup *g = p->instance_group[i];
		inference__model_instance_group__init(g);
		g->name = (char *)c->groups[i].name;
		g->count = c->groups[i].count;
		g->kind = (Inference__ModelInstanceGroup__Kind)c->groups[i].kind;
		g->gpus = (int32_t *)c->groups[i].gpus;
		g->n_gpus = (size_t)c->groups[i].n_gpus;
	}
	p->n_instance_group = (size_t)c->n_groups;
	return p->instance_group != NULL;
}

static bool fill_parameters(struct ps_arena *a, const struct ps_oip_model_config *c,
			    Inference__ModelConfig *p)
{
	p->parameters = ps_oip_pb_items(a, c->n_parameters, sizeof **p->parameters);
	Inference__ModelParameter **v = ps_oip_pb_items(a, c->n_parameters, sizeof **v);
	for (int i = 0; p->parameters && v && i < c->n_parameters; i++) {
		inference__model_config__parameters_entry__init(p->parameters[i]);
		inference__model_parameter__init(v[i]);
		v[i]->string_value = (char *)c->parameters[i].value;
		p->parameters[i]->key = (char *)c->parameters[i].name;
		p->parameters[i]->value = v[i];
	}
	p->n_parameters = (size_t)c->n_parameters;
	return p->parameters && v;
}

static void set_warmup_data(Inference__ModelWarmup__Input *p, const struct ps_oip_warmup_input *in)
{
	switch (in->data) {
	case PS_OIP_WARMUP_ZERO:
		p->input_data_type_case = INFERENCE__MODEL_WARMUP__INPUT__INPUT_DATA_TYPE_ZERO_DATA;
		p->zero_data = true;
		break;
	case PS_OIP_WARMUP_RANDOM:
		p->input_data_type_case =
			INFERENCE__MODEL_WARMUP__INPUT__INPUT_DATA_TYPE_RANDOM_DATA;
		p->random_data = true;
		break;
	case PS_OIP_WARMUP_FILE:
		p->input_data_type_case =
			INFERENCE__MODEL_WARMUP__INPUT__INPUT_DATA_TYPE_INPUT_DATA_FILE;
		p->input_data_file = (char *)in->file;
		break;
	}
}

static bool fill_warmup(struct ps_arena *a, const struct ps_oip_warmup *w,
			Inference__ModelWarmup *p)
{
	inference__model_warmup__init(p);
	p->name = (char *)w->name;
	p->batch_size = w->batch_size;
	p->count = w->count;
	p->inputs = ps_oip_pb_items(a, w->n_inputs, sizeof **p->inputs);
	Inference__ModelWarmup__Input **v = ps_oip_pb_items(a, w->n_inputs, sizeof **v);
	for (int i = 0; p->inputs && v && i < w->n_inputs; i++) {
		inference__model_warmup__inputs_entry__init(p->inputs[i]);
		inference__model_warmup__input__init(v[i]);
		v[i]->data_type = ps_oip_data_type(w->inputs[i].dtype);
		v[i]->dims = (int64_t *)w->inputs[i].dims;
		v[i]->n_dims = (size_t)w->inputs[i].rank;
		set_warmup_data(v[i], &w->inputs[i]);
		p->inputs[i]->key = (char *)w->inputs[i].name;
		p->inputs[i]->value = v[i];
	}
	p->n_inputs = (size_t)w->n_inputs;
	return p->inputs && v;
}

static bool fill_warmups(struct ps_arena *a, const struct ps_oip_model_config *c,
			 Inference__ModelConfig *p)
{
	p->model_warmup = ps_oip_pb_items(a, c->n_warmups, sizeof **p->model_warmup);
	bool ok = p->model_warmup != NULL;
	for (int i = 0; ok && i < c->n_warmups; i++)
		ok = fill_warmup(a, &c->warmups[i], p->model_warmup[i]);
	p->n_model_warmup = (size_t)c->n_warmups;
	return ok;
}

/* What a configuration has at most one of. */
struct single {
	Inference__ModelVersionPolicy policy;
	Inference__ModelVersionPolicy__Latest latest;
	Inference__ModelVersionPolicy__All all;
	Inference__ModelVersionPolicy__Specific specific;
	Inference__ModelDynamicBatching batching;
	Inference__ModelQueuePolicy queue;
};

static void fill_policy(const struct ps_oip_model_config *c, struct single *s)
{
	inference__model_version_policy__init(&s->policy);
	inference__model_version_policy__latest__init(&s->latest);
	inference__model_version_policy__all__init(&s->all);
	inference__model_version_policy__specific__init(&s->specific);
	switch (c->version_policy) {
	case PS_OIP_LATEST:
		s->policy.policy_choice_case =
			INFERENCE__MODEL_VERSION_POLICY__POLICY_CHOICE_LATEST;
		s->policy.latest = &s->latest;
		s->latest.num_versions = c->n_latest;
		break;
	case PS_OIP_ALL:
		s->policy.policy_choice_case = INFERENCE__MODEL_VERSION_POLICY__POLICY_CHOICE_ALL;
		s->policy.all = &s->all;
		break;
	case PS_OIP_SPECIFIC:
		s->policy.policy_choice_case =
			INFERENCE__MODEL_VERSION_POLICY__POLICY_CHOICE_SPECIFIC;
		s->policy.specific = &s->specific;
		s->specific.versions = (int64_t *)c->specific;
		s->specific.n_versions = (size_t)c->n_specific;
		break;
	}
}

static void fill_queue(const struct ps_oip_queue_policy *q, Inference__ModelQueuePolicy *p)
{
	inference__model_queue_policy__init(p);
	p->timeout_action = q->delay ? INFERENCE__MODEL_QUEUE_POLICY__TIMEOUT_ACTION__DELAY
				     : INFERENCE__MODEL_QUEUE_POLICY__TIMEOUT_ACTION__REJECT;
	p->default_timeout_microseconds = q->default_timeout_us;
	p->allow_timeout_override = q->allow_timeout_override;
	p->max_queue_size = q->max_queue_size;
}

static bool fill_levels(struct ps_arena *a, const struct ps_oip_dynamic_batching *b,
			Inference__ModelDynamicBatching *p)
{
	p->priority_queue_policy =
		ps_oip_pb_items(a, b->n_levels, sizeof **p->priority_queue_policy);
	Inference__ModelQueuePolicy **v = ps_oip_pb_items(a, b->n_levels, sizeof **v);
	for (int i = 0; p->priority_queue_policy && v && i < b->n_levels; i++) {
		inference__model_dynamic_batching__priority_queue_policy_entry__init(
			p->priority_queue_policy[i]);
		fill_queue(&b->levels[i].queue, v[i]);
		p->priority_queue_policy[i]->key = b->levels[i].level;
		p->priority_queue_policy[i]->value = v[i];
	}
	p->n_priority_queue_policy = (size_t)b->n_levels;
	return p->priority_queue_policy && v;
}

static bool fill_batching(struct ps_arena *a, const struct ps_oip_dynamic_batching *b,
			  struct single *s)
{
	inference__model_dynamic_batching__init(&s->batching);
	s->batching.preferred_batch_size = (int32_t *)b->preferred;
	s->batching.n_preferred_batch_size = (size_t)b->n_preferred;
	s->batching.max_queue_delay_microseconds = b->max_queue_delay_us;
	s->batching.preserve_ordering = b->preserve_ordering;
	s->batching.priority_levels = b->priority_levels;
	s->batching.default_priority_level = b->default_priority_level;
	s->batching.default_queue_policy = &s->queue;
	fill_queue(&b->queue, &s->queue);
	return fill_levels(a, b, &s->batching);
}

static bool fill_scalars(struct ps_arena *a, const struct ps_oip_model_config *c, struct single *s,
			 Inference__ModelConfig *p)
{
	p->name = (char *)c->name;
	p->platform = (char *)c->platform;
	p->backend = (char *)c->backend;
	p->default_model_filename = (char *)c->default_model_filename;
	p->max_batch_size = c->max_batch_size;
	fill_policy(c, s);
	p->version_policy = &s->policy;
	if (!c->batching)
		return true;
	p->scheduling_choice_case = INFERENCE__MODEL_CONFIG__SCHEDULING_CHOICE_DYNAMIC_BATCHING;
	p->dynamic_batching = &s->batching;
	return fill_batching(a, c->batching, s);
}

void ps_oip_pack_config(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	struct ps_arena a;
	struct single single;
	Inference__ModelConfig config = INFERENCE__MODEL_CONFIG__INIT;
	Inference__ModelConfigResponse p = INFERENCE__MODEL_CONFIG_RESPONSE__INIT;
	ps_arena_init(&a, 0);
	p.config = &config;
	if (fill_scalars(&a, c, &single, &config) && fill_inputs(&a, c, &config) &&
	    fill_outputs(&a, c, &config) && fill_groups(&a, c, &config) &&
	    fill_parameters(&a, c, &config) && fill_warmups(&a, c, &config))
		ps_oip_pack(&p.base, out);
	else
		out->failed = true;
	ps_arena_fini(&a);
}
