/* config.pbtxt: where a model runs, how it is warmed up, what else is said about it. */
#include "repo/pbtxt_internal.h"

#include "base/clock.h"
#include "base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- instances ---- */

static enum ps_status group_count(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_int_of(d, n, 1, 4096, into);
}

static enum ps_status group_kind(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const char *const names[] = {"KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"};
	int i = 0;
	enum ps_status st = ps_repo_pb_enum_of(d, n, names, 4, &i);

	(void)into;
	strcpy(d->group_kind, names[i]);
	if (st == PS_OK && i == 3)
		return ps_repo_pb_fail(d, n, PS_EUNSUPPORTED,
				       "a model does not choose its devices here", NULL);
	return st;
}

static enum ps_status group_gpu(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	(void)into;
	if (d->n_gpus >= 64)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 64 devices", NULL);
	return ps_repo_pb_int_of(d, n, 0, 63, &d->gpus[d->n_gpus++]);
}

/* One device per model: a GPU named by the group, or the CPUs. */
static enum ps_status take_device(struct ps_repo_pb *d, const struct ps_repo_node *n,
				  struct ps_repo_config *c)
{
	bool gpu = strcmp(d->group_kind, "KIND_GPU") == 0 ||
		   (strcmp(d->group_kind, "KIND_CPU") != 0 && d->n_gpus > 0);

	if (d->n_gpus > 0 && strcmp(d->group_kind, "KIND_CPU") == 0)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "gpus and KIND_CPU exclude each other",
				       NULL);
	if (!gpu)
		return PS_OK;
	snprintf(c->device, sizeof(c->device), "cuda:%d", d->n_gpus ? (int)d->gpus[0] : 0);
	if (d->n_gpus > 1)
		ps_repo_config_warn(c,
				    "%s:%d: instance_group: only GPU %d is used, a model runs on "
				    "one device",
				    d->file, n->line, (int)d->gpus[0]);
	return PS_OK;
}

enum ps_status ps_repo_pb_config_group(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"count", group_count, false},
		{"kind", group_kind, false},
		{"gpus", group_gpu, true},
		{"name", NULL, false},
		{"profile", NULL, true},
		{"rate_limiter", NULL, false},
		{"passive", ps_repo_pb_refused_when_true, false},
		{"secondary_devices", NULL, true},
		{"host_policy", NULL, false},
		{0}};
	struct ps_repo_config *c = into;
	int64_t count = 1;
	enum ps_status st;

	if (d->n_groups++ > 0) {
		ps_repo_config_warn(c, "%s:%d: only the first instance_group counts", d->file,
				    n->line);
		return PS_OK;
	}
	st = ps_repo_pb_read_message(d, n, fields, &count);
	c->instance_count = (int)count;
	return st == PS_OK ? take_device(d, n, c) : st;
}

/* ---- warm-up ---- */

static enum ps_status warm_name(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;

	return ps_repo_pb_text_of(d, n, w->name, sizeof(w->name));
}

static enum ps_status warm_batch(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;
	enum ps_status st = ps_repo_pb_int_of(d, n, 0, PS_REPO_MAX_BATCH, &w->batch_size);

	if (w->batch_size == 0)
		w->batch_size = 1;
	return st;
}

static enum ps_status warm_count(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;
	enum ps_status st = ps_repo_pb_int_of(d, n, 0, 10000, &w->count);

	if (w->count == 0)
		w->count = 1;
	return st;
}

static enum ps_status warm_dtype(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_dtype_of(d, n, &((struct ps_repo_warmup_input *)into)->dtype);
}

static enum ps_status warm_dim(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	return ps_repo_pb_dim_of(d, n, in->dims, &in->rank);
}

static enum ps_status warm_zero(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	bool on = false;
	enum ps_status st = ps_repo_pb_bool_of(d, n, &on);

	((struct ps_repo_warmup_input *)into)->data = PS_REPO_WARMUP_ZERO;
	return st;
}

static enum ps_status warm_random(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	bool on = false;
	enum ps_status st = ps_repo_pb_bool_of(d, n, &on);

	if (on)
		((struct ps_repo_warmup_input *)into)->data = PS_REPO_WARMUP_RANDOM;
	return st;
}

static enum ps_status warm_file(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	in->data = PS_REPO_WARMUP_FILE;
	return ps_repo_pb_dup_of(d, n, &in->file);
}

static enum ps_status warm_key(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	return ps_repo_pb_text_of(d, n, in->name, sizeof(in->name));
}

static enum ps_status warm_value(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"data_type", warm_dtype, false},      {"dims", warm_dim, true},
		{"zero_data", warm_zero, false},       {"random_data", warm_random, false},
		{"input_data_file", warm_file, false}, {0}};

	return ps_repo_pb_read_message(d, n, fields, into);
}

static enum ps_status warm_input(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"key", warm_key, false}, {"value", warm_value, false}, {0}};
	struct ps_repo_warmup *w = into;
	struct ps_repo_warmup_input *more;

	if (w->n_inputs >= PS_MODEL_MAX_TENSORS)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "a model has at most 64 inputs", NULL);
	more = realloc(w->inputs, (size_t)(w->n_inputs + 1) * sizeof(*more));
	if (!more)
		return ps_repo_pb_fail(d, n, PS_ENOMEM, "out of memory", NULL);
	w->inputs = more;
	more[w->n_inputs] = (struct ps_repo_warmup_input){0};
	return ps_repo_pb_read_message(d, n, fields, &more[w->n_inputs++]);
}

enum ps_status ps_repo_pb_config_warmup(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"name", warm_name, false},
							 {"batch_size", warm_batch, false},
							 {"count", warm_count, false},
							 {"inputs", warm_input, true},
							 {0}};
	struct ps_repo_config *c = into;
	struct ps_repo_warmup *more;

	if (c->n_warmups >= PS_REPO_MAX_WARMUPS)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 64 warm-ups", NULL);
	more = realloc(c->warmups, (size_t)(c->n_warmups + 1) * sizeof(*more));
	if (!more)
		return ps_repo_pb_fail(d, n, PS_ENOMEM, "out of memory", NULL);
	c->warmups = more;
	more[c->n_warmups] = (struct ps_repo_warmup){.batch_size = 1, .count = 1};
	return ps_repo_pb_read_message(d, n, fields, &more[c->n_warmups++]);
}

/* ---- parameters ---- */

static enum ps_status parameter_key(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_dup_of(d, n, &((struct ps_repo_parameter *)into)->key);
}

static enum ps_status parameter_text(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_dup_of(d, n, &((struct ps_repo_parameter *)into)->value);
}

static enum ps_status parameter_value(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"string_value", parameter_text, false},
							 {0}};

	return ps_repo_pb_read_message(d, n, fields, into);
}

static enum ps_status take_max_run(struct ps_repo_pb *d, const struct ps_repo_node *n,
				   struct ps_repo_config *c, const char *text)
{
	int64_t ms = 0;

	if (ps_units_parse_int(text, &ms, NULL) != PS_OK || ms < 0 || ms > 3600000)
		return ps_repo_pb_fail(d, n, PS_EPARSE,
				       "max_run_ms is a whole number of milliseconds", NULL);
	c->max_run_ns = ms * PS_NS_PER_MS;
	return PS_OK;
}

static enum ps_status take_rnn(struct ps_repo_pb *d, const struct ps_repo_node *n,
			       struct ps_repo_config *c, const char *text)
{
	return ps_repo_rnn_parse(text, &c->rnn, NULL) == PS_OK
		       ? PS_OK
		       : ps_repo_pb_fail(d, n, PS_EPARSE, "rnn is off, float32, bf16 or int8",
					 NULL);
}

static enum ps_status take_rnn_max_error(struct ps_repo_pb *d, const struct ps_repo_node *n,
					 struct ps_repo_config *c, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0) || v > 1e6)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "rnn_max_error is a number from 0 on",
				       NULL);
	c->rnn.max_error = v;
	return PS_OK;
}

static enum ps_status take_rnn_calibration(struct ps_repo_pb *d, const struct ps_repo_node *n,
					   struct ps_repo_config *c, const char *text)
{
	return text[0] && ps_repo_rnn_calibrate(text, NULL, &c->rnn, NULL) == PS_OK
		       ? PS_OK
		       : ps_repo_pb_fail(d, n, PS_EPARSE, "rnn_calibration is a path", NULL);
}

/* Parameters that mean something to this server. */
static enum ps_status take_parameter(struct ps_repo_pb *d, const struct ps_repo_node *n,
				     struct ps_repo_config *c, const struct ps_repo_parameter *p)
{
	static const struct {
		const char *key;
		enum ps_status (*take)(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       struct ps_repo_config *c, const char *text);
	} known[] = {{"max_run_ms", take_max_run},
		     {"rnn", take_rnn},
		     {"rnn_max_error", take_rnn_max_error},
		     {"rnn_calibration", take_rnn_calibration}};

	for (size_t i = 0; p->key && p->value && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(p->key, known[i].key) == 0)
			return known[i].take(d, n, c, p->value);
	}
	return PS_OK;
}

enum ps_status ps_repo_pb_config_parameter(struct ps_repo_pb *d, const struct ps_repo_node *n,
					   void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"key", parameter_key, false}, {"value", parameter_value, false}, {0}};
	struct ps_repo_config *c = into;
	struct ps_repo_parameter *p, *more;
	enum ps_status st;

	if (c->n_parameters >= PS_REPO_MAX_PARAMETERS)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 256 parameters", NULL);
	more = realloc(c->parameters, (size_t)(c->n_parameters + 1) * sizeof(*more));
	if (!more)
		return ps_repo_pb_fail(d, n, PS_ENOMEM, "out of memory", NULL);
	c->parameters = more;
	p = &more[c->n_parameters++];
	*p = (struct ps_repo_parameter){0};
	st = ps_repo_pb_read_message(d, n, fields, p);
	return st == PS_OK ? take_parameter(d, n, c, p) : st;
}
