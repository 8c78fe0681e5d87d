#include "repo/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ps_repo_name_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";
	size_t n = strnlen(name, PS_REPO_MAX_NAME + 1);

	return n > 0 && n <= PS_REPO_MAX_NAME && name[0] != '.' && strspn(name, good) == n;
}

enum ps_status ps_repo_device_parse(const char *text, char ret_device[PS_REPO_DEVICE_SIZE],
				    struct ps_error *err)
{
	unsigned n = 0;
	int used = 0;

	if (strcmp(text, "cpu") == 0) {
		strcpy(ret_device, "cpu");
		return PS_OK;
	}
	if (strcmp(text, "cuda") == 0)
		text = "cuda:0";
	if (strncmp(text, "cuda:", 5) == 0 && text[5] >= '0' && text[5] <= '9' &&
	    sscanf(text + 5, "%2u%n", &n, &used) == 1 && text[5 + used] == '\0' && n < 64) {
		snprintf(ret_device, PS_REPO_DEVICE_SIZE, "cuda:%u", n);
		return PS_OK;
	}
	return ps_error_set(err, PS_EINVAL, "\"%.32s\" is no device: cpu, or cuda:0 to cuda:63",
			    text);
}

bool ps_repo_rnn_same(const struct ps_repo_rnn *a, const struct ps_repo_rnn *b)
{
	return strcmp(a->precision, b->precision) == 0 &&
	       strcmp(a->calibration, b->calibration) == 0 && !(a->max_error < b->max_error) &&
	       !(a->max_error > b->max_error);
}

enum ps_status ps_repo_rnn_calibrate(const char *path, const char *from, struct ps_repo_rnn *rnn,
				     struct ps_error *err)
{
	const char *slash = from && path[0] != '/' ? strrchr(from, '/') : NULL;
	char whole[PS_REPO_CALIBRATION_SIZE];
	int n = snprintf(whole, sizeof whole, "%.*s%s", slash ? (int)(slash - from) + 1 : 0,
			 slash ? from : "", path);

	if (n < 0 || n >= (int)sizeof whole)
		return ps_error_set(err, PS_ETOOBIG,
				    "the path of calibration input has over %d bytes",
				    PS_REPO_CALIBRATION_SIZE - 1);
	memcpy(rnn->calibration, whole, sizeof whole);
	return PS_OK;
}

enum ps_status ps_repo_rnn_parse(const char *text, struct ps_repo_rnn *ret_rnn,
				 struct ps_error *err)
{
	static const char *const names[] = {"float32", "bf16", "int8"};

	if (strcmp(text, "off") == 0) {
		ret_rnn->precision[0] = '\0';
		return PS_OK;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			strcpy(ret_rnn->precision, names[i]);
			return PS_OK;
		}
	}
	return ps_error_set(err, PS_EINVAL,
			    "\"%.32s\" is no precision of recurrent layers: off, float32, bf16, "
			    "int8",
			    text);
}

void ps_repo_config_init(struct ps_repo_config *c)
{
	*c = (struct ps_repo_config){.device = "cpu"};
	c->policy.kind = PS_REPO_LATEST;
	c->policy.latest = 1;
}

static void free_warmup(struct ps_repo_warmup *w)
{
	for (int i = 0; i < w->n_inputs; i++)
		free(w->inputs[i].file);
	free(w->inputs);
}

void ps_repo_config_fini(struct ps_repo_config *c)
{
	for (int i = 0; i < c->n_warmups; i++)
		free_warmup(&c->warmups[i]);
	for (int i = 0; i < c->n_parameters; i++) {
		free(c->parameters[i].key);
		free(c->parameters[i].value);
	}
	for (int i = 0; i < c->n_warnings; i++)
		free(c->warnings[i]);
	free(c->warmups);
	free(c->parameters);
	free(c->inputs);
	free(c->outputs);
	*c = (struct ps_repo_config){0};
}

static void *copy_of(const void *from, int n, size_t size, bool *ok)
{
	void *to = n > 0 ? malloc((size_t)n * size) : NULL;

	if (to)
		memcpy(to, from, (size_t)n * size);
	else if (n > 0)
		*ok = false;
	return to;
}

static char *copy_text(const char *from, bool *ok)
{
	char *to = from ? strdup(from) : NULL;

	if (from && !to)
		*ok = false;
	return to;
}

static void copy_warmups(const struct ps_repo_config *from, struct ps_repo_config *to, bool *ok)
{
	to->warmups = calloc((size_t)from->n_warmups + 1, sizeof(*to->warmups));
	if (!to->warmups) {
		*ok = false;
		return;
	}
	to->n_warmups = from->n_warmups;
	for (int i = 0; i < from->n_warmups; i++) {
		const struct ps_repo_warmup *w = &from->warmups[i];
		struct ps_repo_warmup *mine = &to->warmups[i];

		*mine = *w;
		mine->inputs = copy_of(w->inputs, w->n_inputs, sizeof(*w->inputs), ok);
		mine->n_inputs = mine->inputs ? w->n_inputs : 0;
		for (int k = 0; k < mine->n_inputs; k++)
			mine->inputs[k].file = copy_text(w->inputs[k].file, ok);
	}
}

static void copy_parameters(const struct ps_repo_config *from, struct ps_repo_config *to, bool *ok)
{
	to->parameters = calloc((size_t)from->n_parameters + 1, sizeof(*to->parameters));
	if (!to->parameters) {
		*ok = false;
		return;
	}
	to->n_parameters = from->n_parameters;
	for (int i = 0; i < from->n_parameters; i++) {
		to->parameters[i].key = copy_text(from->parameters[i].key, ok);
		to->parameters[i].value = copy_text(from->parameters[i].value, ok);
	}
}

enum ps_status ps_repo_config_copy(const struct ps_repo_config *from,
				   struct ps_repo_config *ret_config)
{
	struct ps_repo_config c = *from;
	bool ok = true;

	c.n_warmups = c.n_parameters = c.n_warnings = 0;
	c.warmups = NULL;
	c.parameters = NULL;
	c.inputs = copy_of(from->inputs, from->n_inputs, sizeof(*from->inputs), &ok);
	c.outputs = copy_of(from->outputs, from->n_outputs, sizeof(*from->outputs), &ok);
	copy_warmups(from, &c, &ok);
	copy_parameters(from, &c, &ok);
	for (int i = 0; i < from->n_warnings; i++)
		c.warnings[c.n_warnings++] = copy_text(from->warnings[i], &ok);
	if (!ok) {
		ps_repo_config_fini(&c);
		return PS_ENOMEM;
	}
	*ret_config = c;
	return PS_OK;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_dims(int rank_a, const int64_t *a, int rank_b, const int64_t *b)
{
	return rank_a == rank_b && memcmp(a, b, (size_t)rank_a * sizeof(*a)) == 0;
}

static bool same_tensors(const struct ps_repo_tensor *a, int n_a, const struct ps_repo_tensor *b,
			 int n_b)
{
	if (n_a != n_b)
		return false;
	for (int i = 0; i < n_a; i++)
		if (strcmp(a[i].name, b[i].name) != 0 || a[i].dtype != b[i].dtype ||
		    a[i].reshaped != b[i].reshaped || a[i].optional != b[i].optional ||
		    !same_dims(a[i].rank, a[i].dims, b[i].rank, b[i].dims) ||
		    !same_dims(a[i].reshape_rank, a[i].reshape, b[i].reshape_rank, b[i].reshape))
			return false;
	return true;
}

static bool same_queue(const struct ps_repo_queue_policy *a, const struct ps_repo_queue_policy *b)
{
	return a->delay == b->delay && a->default_timeout_ns == b->default_timeout_ns &&
	       a->allow_timeout_override == b->allow_timeout_override &&
	       a->max_queue_size == b->max_queue_size;
}

static bool same_level_policies(const struct ps_repo_batching *a, const struct ps_repo_batching *b)
{
	if (a->n_level_policies != b->n_level_policies)
		return false;
	for (int i = 0; i < a->n_level_policies; i++)
		if (a->level_policies[i].level != b->level_policies[i].level ||
		    !same_queue(&a->level_policies[i].queue, &b->level_policies[i].queue))
			return false;
	return true;
}

static bool same_batching(const struct ps_repo_batching *a, const struct ps_repo_batching *b)
{
	return a->on == b->on &&
	       same_dims(a->n_preferred, a->preferred, b->n_preferred, b->preferred) &&
	       a->max_delay_ns == b->max_delay_ns && a->preserve_ordering == b->preserve_ordering &&
	       a->priority_levels == b->priority_levels &&
	       a->default_priority_level == b->default_priority_level &&
	       same_queue(&a->queue, &b->queue) && same_level_policies(a, b);
}

static bool same_policy(const struct ps_repo_config *a, const struct ps_repo_config *b)
{
	if (a->policy.kind != b->policy.kind || a->n_splits != b->n_splits)
		return false;
	if (a->policy.kind == PS_REPO_LATEST && a->policy.latest != b->policy.latest)
		return false;
	if (a->policy.kind == PS_REPO_SPECIFIC &&
	    !same_dims(a->policy.n, a->policy.versions, b->policy.n, b->policy.versions))
		return false;
	for (int i = 0; i < a->n_splits; i++)
		if (a->splits[i].version != b->splits[i].version ||
		    a->splits[i].weight < b->splits[i].weight ||
		    a->splits[i].weight > b->splits[i].weight)
			return false;
	return true;
}

static bool same_warmup(const struct ps_repo_warmup *a, const struct ps_repo_warmup *b)
{
	if (strcmp(a->name, b->name) != 0 || a->batch_size != b->batch_size ||
	    a->count != b->count || a->n_inputs != b->n_inputs)
		return false;
	for (int i = 0; i < a->n_inputs; i++) {
		const struct ps_repo_warmup_input *x = &a->inputs[i], *y = &b->inputs[i];

		if (strcmp(x->name, y->name) != 0 || x->dtype != y->dtype || x->data != y->data ||
		    !same_dims(x->rank, x->dims, y->rank, y->dims) || !same_text(x->file, y->file))
			return false;
	}
	return true;
}

static bool same_lists(const struct ps_repo_config *a, const struct ps_repo_config *b)
{
	if (a->n_warmups != b->n_warmups || a->n_parameters != b->n_parameters)
		return false;
	for (int i = 0; i < a->n_warmups; i++)
		if (!same_warmup(&a->warmups[i], &b->warmups[i]))
			return false;
	for (int i = 0; i < a->n_parameters; i++)
		if (!same_text(a->parameters[i].key, b->parameters[i].key) ||
		    !same_text(a->parameters[i].value, b->parameters[i].value))
			return false;
	return true;
}

bool ps_repo_config_equal(const struct ps_repo_config *a, const struct ps_repo_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->backend, b->backend) == 0 &&
	       strcmp(a->platform, b->platform) == 0 && strcmp(a->filename, b->filename) == 0 &&
	       strcmp(a->device, b->device) == 0 && ps_repo_rnn_same(&a->rnn, &b->rnn) &&
	       a->has_max_batch_size == b->has_max_batch_size &&
	       a->max_batch_size == b->max_batch_size && a->instance_count == b->instance_count &&
	       a->max_run_ns == b->max_run_ns && a->unshared == b->unshared &&
	       a->pinned == b->pinned && a->warms_up == b->warms_up &&
	       a->warmup_runs == b->warmup_runs &&
	       same_tensors(a->inputs, a->n_inputs, b->inputs, b->n_inputs) &&
	       same_tensors(a->outputs, a->n_outputs, b->outputs, b->n_outputs) &&
	       same_policy(a, b) && same_batching(&a->batching, &b->batching) && same_lists(a, b);
}

const struct ps_repo_queue_policy *ps_repo_queue_policy_get(const struct ps_repo_batching *b,
							    int64_t level)
{
	for (int i = 0; i < b->n_level_policies; i++)
		if (b->level_policies[i].level == level)
			return &b->level_policies[i].queue;
	return &b->queue;
}

void ps_repo_config_warn(struct ps_repo_config *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (c->n_warnings >= PS_REPO_MAX_WARNINGS)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		c->warnings[c->n_warnings++] = text;
}
