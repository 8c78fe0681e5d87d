/* Model configuration as Triton's JSON: all keys that its clients look for, names of enumerators
 * instead of numbers. */
#include "oip/config_internal.h"

static void put_key(struct ps_strbuf *out, const char *key)
{
	char last = out->len > 0 ? out->data[out->len - 1] : '{';
	ps_strbuf_printf(out, "%s\"%s\":", last == '{' ? "" : ",", key);
}

static void put_member(struct ps_strbuf *out, const char *key, const char *value)
{
	put_key(out, key);
	ps_oip_build_string(value ? value : "", out);
}

static void put_int(struct ps_strbuf *out, const char *key, long long value)
{
	put_key(out, key);
	ps_strbuf_printf(out, "%lld", value);
}

static void put_bool(struct ps_strbuf *out, const char *key, bool value)
{
	put_key(out, key);
	ps_strbuf_puts(out, value ? "true" : "false");
}

static void put_enum(struct ps_strbuf *out, const char *key,
		     const ProtobufCEnumDescriptor *descriptor, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(descriptor, value);
	put_member(out, key, v ? v->name : "");
}

static void put_int32s(struct ps_strbuf *out, const char *key, const int32_t *values, int n)
{
	put_key(out, key);
	ps_strbuf_putc(out, '[');
	for (int i = 0; i < n; i++)
		ps_strbuf_printf(out, "%s%d", i ? "," : "", (int)values[i]);
	ps_strbuf_putc(out, ']');
}

static void put_int64s(struct ps_strbuf *out, const char *key, const int64_t *values, int n)
{
	put_key(out, key);
	ps_oip_put_dims(out, values, n);
}

static void open_list(struct ps_strbuf *out, const char *key)
{
	put_key(out, key);
	ps_strbuf_putc(out, '[');
}

static void next_object(struct ps_strbuf *out, int i)
{
	ps_strbuf_puts(out, i > 0 ? ",{" : "{");
}

/* --- parts --- */

static void put_policy(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	put_key(out, "version_policy");
	ps_strbuf_putc(out, '{');
	switch (c->version_policy) {
	case PS_OIP_LATEST:
		ps_strbuf_printf(out, "\"latest\":{\"num_versions\":%u}", c->n_latest);
		break;
	case PS_OIP_ALL:
		ps_strbuf_puts(out, "\"all\":{}");
		break;
	case PS_OIP_SPECIFIC:
		ps_strbuf_puts(out, "\"specific\":{");
		put_int64s(out, "versions", c->specific, c->n_specific);
		ps_strbuf_putc(out, '}');
		break;
	}
	ps_strbuf_putc(out, '}');
}

static void put_tensors(const struct ps_oip_config_tensor *t, int n, bool inputs,
			struct ps_strbuf *out)
{
	open_list(out, inputs ? "input" : "output");
	for (int i = 0; i < n; i++) {
		next_object(out, i);
		put_member(out, "name", t[i].name);
		put_enum(out, "data_type", &inference__data_type__descriptor,
			 (int)ps_oip_data_type(t[i].dtype));
		if (inputs)
			put_member(out, "format", "FORMAT_NONE");
		put_int64s(out, "dims", t[i].dims, t[i].rank);
		if (t[i].has_reshape) {
			put_key(out, "reshape");
			ps_strbuf_putc(out, '{');
			put_int64s(out, "shape", t[i].reshape, t[i].reshape_rank);
			ps_strbuf_putc(out, '}');
		}
		if (!inputs)
			put_member(out, "label_filename", "");
		put_bool(out, "is_shape_tensor", false);
		if (inputs) {
			put_bool(out, "allow_ragged_batch", false);
			put_bool(out, "optional", t[i].optional);
		}
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, ']');
}

static void put_groups(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	open_list(out, "instance_group");
	for (int i = 0; i < c->n_groups; i++) {
		const struct ps_oip_instance_group *g = &c->groups[i];
		next_object(out, i);
		put_member(out, "name", g->name);
		put_enum(out, "kind", &inference__model_instance_group__kind__descriptor,
			 (int)g->kind);
		put_int(out, "count", g->count);
		put_int32s(out, "gpus", g->gpus, g->n_gpus);
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, ']');
}

static void put_queue(const struct ps_oip_queue_policy *q, struct ps_strbuf *out)
{
	ps_strbuf_putc(out, '{');
	put_member(out, "timeout_action", q->delay ? "DELAY" : "REJECT");
	put_int(out, "default_timeout_microseconds", (long long)q->default_timeout_us);
	put_bool(out, "allow_timeout_override", q->allow_timeout_override);
	put_int(out, "max_queue_size", q->max_queue_size);
	ps_strbuf_putc(out, '}');
}

static void put_batching(const struct ps_oip_dynamic_batching *b, struct ps_strbuf *out)
{
	put_key(out, "dynamic_batching");
	ps_strbuf_putc(out, '{');
	put_int32s(out, "preferred_batch_size", b->preferred, b->n_preferred);
	put_int(out, "max_queue_delay_microseconds", (long long)b->max_queue_delay_us);
	put_bool(out, "preserve_ordering", b->preserve_ordering);
	put_int(out, "priority_levels", (long long)b->priority_levels);
	put_int(out, "default_priority_level", (long long)b->default_priority_level);
	put_key(out, "default_queue_policy");
	put_queue(&b->queue, out);
	put_key(out, "priority_queue_policy");
	ps_strbuf_putc(out, '{');
	for (int i = 0; i < b->n_levels; i++) {
		ps_strbuf_printf(out, "%s\"%llu\":", i > 0 ? "," : "",
				 (unsigned long long)b->levels[i].level);
		put_queue(&b->levels[i].queue, out);
	}
	ps_strbuf_puts(out, "}}");
}

static void put_parameters(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	put_key(out, "parameters");
	ps_strbuf_putc(out, '{');
	for (int i = 0; i < c->n_parameters; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		ps_oip_build_string(c->parameters[i].name, out);
		ps_strbuf_puts(out, ":{\"string_value\":");
		ps_oip_build_string(c->parameters[i].value, out);
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, '}');
}

static void put_warmup_input(const struct ps_oip_warmup_input *in, struct ps_strbuf *out)
{
	ps_oip_build_string(in->name, out);
	ps_strbuf_puts(out, ":{");
	put_enum(out, "data_type", &inference__data_type__descriptor,
		 (int)ps_oip_data_type(in->dtype));
	put_int64s(out, "dims", in->dims, in->rank);
	if (in->data == PS_OIP_WARMUP_FILE)
		put_member(out, "input_data_file", in->file);
	else
		put_bool(out, in->data == PS_OIP_WARMUP_ZERO ? "zero_data" : "random_data", true);
	ps_strbuf_putc(out, '}');
}

static void put_warmups(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	open_list(out, "model_warmup");
	for (int i = 0; i < c->n_warmups; i++) {
		const struct ps_oip_warmup *w = &c->warmups[i];
		next_object(out, i);
		put_member(out, "name", w->name);
		put_int(out, "batch_size", w->batch_size);
		put_key(out, "inputs");
		ps_strbuf_putc(out, '{');
		for (int k = 0; k < w->n_inputs; k++) {
			if (k > 0)
				ps_strbuf_putc(out, ',');
			put_warmup_input(&w->inputs[k], out);
		}
		ps_strbuf_putc(out, '}');
		put_int(out, "count", w->count);
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, ']');
}

void ps_oip_put_config(const struct ps_oip_model_config *c, struct ps_strbuf *out)
{
	ps_strbuf_putc(out, '{');
	put_member(out, "name", c->name);
	put_member(out, "platform", c->platform);
	put_member(out, "backend", c->backend);
	put_policy(c, out);
	put_int(out, "max_batch_size", c->max_batch_size);
	put_tensors(c->inputs, c->n_inputs, true, out);
	put_tensors(c->outputs, c->n_outputs, false, out);
	ps_strbuf_puts(out, ",\"batch_input\":[],\"batch_output\":[]");
	put_groups(c, out);
	put_member(out, "default_model_filename", c->default_model_filename);
	ps_strbuf_puts(out, ",\"cc_model_filenames\":{},\"metric_tags\":{}");
	if (c->batching)
		put_batching(c->batching, out);
	put_parameters(c, out);
	put_warmups(c, out);
	ps_strbuf_putc(out, '}');
}

void ps_oip_build_model_config(const struct ps_oip_model_config *c, enum ps_oip_form form,
			       struct ps_strbuf *out)
{
	if (form == PS_OIP_PROTOBUF)
		ps_oip_pack_config(c, out);
	else
		ps_oip_put_config(c, out);
}
