/* Is a configuration sensible in itself, and does it fit the model? */
#include "repo/config.h"

#include <stdio.h>
#include <string.h>

static bool dims_are_good(const int64_t *dims, int rank)
{
	if (rank < 0 || rank > PS_TENSOR_MAX_RANK)
		return false;
	for (int d = 0; d < rank; d++)
		if (dims[d] < -1 || dims[d] == 0 || dims[d] > INT32_MAX)
			return false;
	return true;
}

/* Product of the fixed dimensions, and how many are open. */
static double volume(const int64_t *dims, int rank, int *ret_open)
{
	double v = 1;

	*ret_open = 0;
	for (int d = 0; d < rank; d++) {
		if (dims[d] < 0)
			(*ret_open)++;
		else
			v *= (double)dims[d];
	}
	return v;
}

static enum ps_status check_reshape(const struct ps_repo_tensor *t, struct ps_error *err)
{
	char a[PS_TENSOR_SHAPE_SIZE], b[PS_TENSOR_SHAPE_SIZE];
	int open_a, open_b;
	double va, vb;

	if (!t->reshaped)
		return PS_OK;
	va = volume(t->dims, t->rank, &open_a);
	vb = volume(t->reshape, t->reshape_rank, &open_b);
	if (!(va < vb) && !(va > vb) && open_a == open_b)
		return PS_OK;
	return ps_error_set(err, PS_EINVAL,
			    "tensor \"%s\": dims %s and reshape %s have not the same elements",
			    t->name, ps_tensor_shape_text(t->dims, t->rank, a),
			    ps_tensor_shape_text(t->reshape, t->reshape_rank, b));
}

static enum ps_status check_tensor(const struct ps_repo_tensor *t, const char *kind,
				   struct ps_error *err)
{
	if (t->name[0] == '\0')
		return ps_error_set(err, PS_EINVAL, "an %s has no name", kind);
	if (!ps_dtype_name(t->dtype))
		return ps_error_set(err, PS_EINVAL, "%s \"%s\" has no data_type", kind, t->name);
	if (!dims_are_good(t->dims, t->rank) || !dims_are_good(t->reshape, t->reshape_rank))
		return ps_error_set(err, PS_EINVAL,
				    "%s \"%s\": a dimension is -1 (any size) or 1 to %d, and there "
				    "are at most %d of them",
				    kind, t->name, INT32_MAX, PS_TENSOR_MAX_RANK);
	return check_reshape(t, err);
}

static enum ps_status check_tensors(const struct ps_repo_tensor *t, int n, const char *kind,
				    struct ps_error *err)
{
	if (n < 0 || n > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_EINVAL, "over %d %ss", PS_MODEL_MAX_TENSORS, kind);
	for (int i = 0; i < n; i++) {
		enum ps_status st = check_tensor(&t[i], kind, err);

		if (st != PS_OK)
			return st;
		for (int k = 0; k < i; k++)
			if (strcmp(t[k].name, t[i].name) == 0)
				return ps_error_set(err, PS_EINVAL, "two %ss are called \"%s\"",
						    kind, t[i].name);
	}
	return PS_OK;
}

static bool version_is_good(int64_t version)
{
	return version >= 1 && version <= PS_REPO_MAX_VERSION;
}

static enum ps_status check_policy(const struct ps_repo_config *c, struct ps_error *err)
{
	const struct ps_repo_policy *p = &c->policy;

	if (p->kind == PS_REPO_LATEST && p->latest < 1)
		return ps_error_set(err, PS_EINVAL,
				    "version_policy latest: num_versions is not "
				    "positive");
	if (p->kind == PS_REPO_SPECIFIC && (p->n < 1 || p->n > PS_REPO_MAX_POLICY))
		return ps_error_set(err, PS_EINVAL,
				    "version_policy specific names 1 to %d versions",
				    PS_REPO_MAX_POLICY);
	for (int i = 0; p->kind == PS_REPO_SPECIFIC && i < p->n; i++)
		if (!version_is_good(p->versions[i]))
			return ps_error_set(err, PS_EINVAL, "version_policy: %lld is no version",
					    (long long)p->versions[i]);
	if (c->n_splits < 0 || c->n_splits > PS_REPO_MAX_POLICY)
		return ps_error_set(err, PS_EINVAL, "a traffic split has at most %d versions",
				    PS_REPO_MAX_POLICY);
	for (int i = 0; i < c->n_splits; i++) {
		if (!version_is_good(c->splits[i].version))
			return ps_error_set(err, PS_EINVAL, "traffic split: %lld is no version",
					    (long long)c->splits[i].version);
		if (!(c->splits[i].weight > 0 && c->splits[i].weight <= 1e9))
			return ps_error_set(err, PS_EINVAL,
					    "traffic split: the weight of version %lld is not "
					    "positive",
					    (long long)c->splits[i].version);
		for (int k = 0; k < i; k++)
			if (c->splits[k].version == c->splits[i].version)
				return ps_error_set(err, PS_EINVAL,
						    "traffic split: version %lld twice",
						    (long long)c->splits[i].version);
	}
	return PS_OK;
}

static bool queue_is_good(const struct ps_repo_queue_policy *q)
{
	return q->default_timeout_ns >= 0 && q->max_queue_size >= 0;
}

static enum ps_status check_levels(const struct ps_repo_batching *b, struct ps_error *err)
{
	int64_t most = b->priority_levels, standard = b->default_priority_level;

	if (most < 0 || most > PS_REPO_MAX_LEVELS || standard < 0 || standard > most ||
	    (most > 0 && standard == 0))
		return ps_error_set(err, PS_EINVAL,
				    "dynamic_batching: default_priority_level %lld is not in "
				    "1..%lld (priority_levels)",
				    (long long)standard, (long long)most);
	for (int i = 0; i < b->n_level_policies; i++) {
		int64_t level = b->level_policies[i].level;

		if (level < 1 || level > most)
			return ps_error_set(err, PS_EINVAL,
					    "dynamic_batching: the level %lld of a queue policy "
					    "is not in 1..%lld (priority_levels)",
					    (long long)level, (long long)most);
		if (ps_repo_queue_policy_get(b, level) != &b->level_policies[i].queue)
			return ps_error_set(err, PS_EINVAL,
					    "dynamic_batching: level %lld has two queue policies",
					    (long long)level);
		if (!queue_is_good(&b->level_policies[i].queue))
			return ps_error_set(err, PS_EINVAL,
					    "dynamic_batching: a time or size of level %lld is "
					    "negative",
					    (long long)level);
	}
	return PS_OK;
}

static enum ps_status check_batching(const struct ps_repo_config *c, struct ps_error *err)
{
	const struct ps_repo_batching *b = &c->batching;

	if (c->max_batch_size < 0 || c->max_batch_size > PS_REPO_MAX_BATCH)
		return ps_error_set(err, PS_EINVAL, "max_batch_size is not in 0..%d",
				    PS_REPO_MAX_BATCH);
	if (b->on && c->has_max_batch_size && c->max_batch_size == 0)
		return ps_error_set(err, PS_EINVAL,
				    "dynamic_batching needs a max_batch_size over 0");
	for (int i = 0; i < b->n_preferred; i++)
		if (b->preferred[i] < 1 ||
		    (c->max_batch_size > 0 && b->preferred[i] > c->max_batch_size))
			return ps_error_set(err, PS_EINVAL,
					    "preferred_batch_size %lld is not in 1..%lld "
					    "(max_batch_size)",
					    (long long)b->preferred[i],
					    (long long)c->max_batch_size);
	if (b->max_delay_ns < 0 || !queue_is_good(&b->queue))
		return ps_error_set(err, PS_EINVAL, "dynamic_batching: a time or size is negative");
	return check_levels(b, err);
}

static enum ps_status check_warmups(const struct ps_repo_config *c, struct ps_error *err)
{
	if (c->warmup_runs < 0 || c->warmup_runs > PS_REPO_MAX_WARMUP_RUNS)
		return ps_error_set(err, PS_EINVAL, "the warm-up's runs are not in 0..%d",
				    PS_REPO_MAX_WARMUP_RUNS);
	for (int i = 0; i < c->n_warmups; i++) {
		const struct ps_repo_warmup *w = &c->warmups[i];

		if (w->batch_size < 1 || w->batch_size > PS_REPO_MAX_BATCH || w->count < 1 ||
		    w->count > 10000)
			return ps_error_set(err, PS_EINVAL,
					    "model_warmup \"%s\": batch_size is 1 to %d, count 1 "
					    "to 10000",
					    w->name, PS_REPO_MAX_BATCH);
		for (int k = 0; k < w->n_inputs; k++) {
			const struct ps_repo_warmup_input *in = &w->inputs[k];
			bool fixed = dims_are_good(in->dims, in->rank);

			for (int d = 0; fixed && d < in->rank; d++)
				fixed = in->dims[d] > 0;
			if (!fixed || !ps_dtype_name(in->dtype))
				return ps_error_set(err, PS_EINVAL,
						    "model_warmup \"%s\": input \"%s\" needs a "
						    "data_type and fixed dims",
						    w->name, in->name);
			if (in->data == PS_REPO_WARMUP_FILE &&
			    (!in->file || strchr(in->file, '/') || in->file[0] == '.'))
				return ps_error_set(err, PS_EINVAL,
						    "model_warmup \"%s\": input_data_file is a "
						    "plain name in the folder \"warmup\"",
						    w->name);
		}
	}
	return PS_OK;
}

enum ps_status ps_repo_config_validate(const struct ps_repo_config *c, struct ps_error *err)
{
	char device[PS_REPO_DEVICE_SIZE];
	enum ps_status st;

	if (c->name[0] != '\0' && !ps_repo_name_is_good(c->name))
		return ps_error_set(err, PS_EINVAL, "\"%s\" cannot be a model's name", c->name);
	if (strchr(c->filename, '/') || c->filename[0] == '.')
		return ps_error_set(err, PS_EINVAL,
				    "default_model_filename \"%s\" is no plain file name",
				    c->filename);
	if (c->instance_count < 0 || c->instance_count > 4096)
		return ps_error_set(err, PS_EINVAL, "instance count %d is not in 0..4096",
				    c->instance_count);
	if (c->max_run_ns < 0)
		return ps_error_set(err, PS_EINVAL, "max_run_ms is negative");
	if (!(c->rnn.max_error >= 0) || c->rnn.max_error > 1e6)
		return ps_error_set(err, PS_EINVAL, "rnn_max_error is not in 0..1000000");
	st = ps_repo_device_parse(c->device, device, err);
	if (st == PS_OK)
		st = check_tensors(c->inputs, c->n_inputs, "input", err);
	if (st == PS_OK)
		st = check_tensors(c->outputs, c->n_outputs, "output", err);
	if (st == PS_OK)
		st = check_policy(c, err);
	if (st == PS_OK)
		st = check_batching(c, err);
	return st == PS_OK ? check_warmups(c, err) : st;
}

/* ---- against the model ---- */

static const struct ps_tensor_spec *find_spec(const struct ps_tensor_spec *specs, int n,
					      const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	return NULL;
}

static const struct ps_repo_tensor *find_tensor(const struct ps_repo_tensor *t, int n,
						const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(t[i].name, name) == 0)
			return &t[i];
	return NULL;
}

static void list_names(const struct ps_tensor_spec *specs, int n, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "", specs[i].name);
}

/* What the model itself sees of a configured tensor, with the batch axis in front. */
static int model_dims(const struct ps_repo_tensor *t, bool batched,
		      int64_t ret_dims[PS_TENSOR_MAX_RANK + 1])
{
	const int64_t *dims = t->reshaped ? t->reshape : t->dims;
	int rank = t->reshaped ? t->reshape_rank : t->rank, n = 0;

	if (batched)
		ret_dims[n++] = -1;
	for (int d = 0; d < rank; d++)
		ret_dims[n++] = dims[d];
	return n;
}

/* An open dimension on either side agrees with any size on the other, but the batch axis must be
 * open in the model too. */
static bool dims_agree(const int64_t *mine, int rank, const struct ps_tensor_spec *s, bool batched)
{
	if (rank != s->rank)
		return false;
	if (batched && s->dims[0] >= 0)
		return false;
	for (int d = 0; d < rank; d++)
		if (mine[d] >= 0 && s->dims[d] >= 0 && mine[d] != s->dims[d])
			return false;
	return true;
}

static enum ps_status check_one(const struct ps_repo_tensor *t, const struct ps_tensor_spec *s,
				bool batched, const char *kind, struct ps_error *err)
{
	char a[PS_TENSOR_SHAPE_SIZE], b[PS_TENSOR_SHAPE_SIZE];
	int64_t dims[PS_TENSOR_MAX_RANK + 1];
	int rank = model_dims(t, batched, dims);

	if (t->dtype != s->dtype)
		return ps_error_set(
			err, PS_EINVAL, "%s \"%s\" is %s in the configuration, but %s in the model",
			kind, t->name, ps_dtype_name(t->dtype), ps_dtype_name(s->dtype));
	if (!dims_agree(dims, rank, s, batched))
		return ps_error_set(
			err, PS_EINVAL,
			"%s \"%s\" has the shape %s in the configuration%s, but %s in the model",
			kind, t->name, ps_tensor_shape_text(dims, rank, a),
			batched ? " (with the batch axis of max_batch_size)" : "",
			ps_tensor_shape_text(s->dims, s->rank, b));
	return PS_OK;
}

static enum ps_status check_side(const struct ps_repo_tensor *t, int n,
				 const struct ps_tensor_spec *specs, int n_specs, bool batched,
				 const char *kind, struct ps_error *err)
{
	char names[160];

	for (int i = 0; i < n; i++) {
		const struct ps_tensor_spec *s = find_spec(specs, n_specs, t[i].name);
		enum ps_status st;

		list_names(specs, n_specs, names, sizeof(names));
		if (!s)
			return ps_error_set(err, PS_EINVAL,
					    "the configuration names %s \"%s\", the model has: %s",
					    kind, t[i].name, names);
		st = check_one(&t[i], s, batched, kind, err);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

/* All inputs must be configured or none: a request could not give what the server hides. */
static enum ps_status check_missing(const struct ps_repo_config *c,
				    const struct ps_tensor_spec *inputs, int n,
				    struct ps_error *err)
{
	for (int i = 0; c->n_inputs > 0 && i < n; i++)
		if (!find_tensor(c->inputs, c->n_inputs, inputs[i].name))
			return ps_error_set(err, PS_EINVAL,
					    "the model has input \"%s\", the configuration names "
					    "only %d other%s",
					    inputs[i].name, c->n_inputs,
					    c->n_inputs > 1 ? "s" : "");
	return PS_OK;
}

static enum ps_status check_batch_axis(const struct ps_tensor_spec *specs, int n, int64_t max,
				       const char *kind, struct ps_error *err)
{
	char shape[PS_TENSOR_SHAPE_SIZE];

	for (int i = 0; i < n; i++)
		if (specs[i].rank < 1 || specs[i].dims[0] >= 0)
			return ps_error_set(
				err, PS_EINVAL,
				"max_batch_size is %lld in the configuration, but the "
				"model's %s \"%s\" has the shape %s, without an open "
				"first dimension",
				(long long)max, kind, specs[i].name,
				ps_tensor_shape_text(specs[i].dims, specs[i].rank, shape));
	return PS_OK;
}

enum ps_status ps_repo_config_check(const struct ps_repo_config *c,
				    const struct ps_tensor_spec *inputs, int n_inputs,
				    const struct ps_tensor_spec *outputs, int n_outputs,
				    struct ps_error *err)
{
	bool batched = c->max_batch_size > 0;
	enum ps_status st = PS_OK;

	if (batched)
		st = check_batch_axis(inputs, n_inputs, c->max_batch_size, "input", err);
	if (st == PS_OK && batched)
		st = check_batch_axis(outputs, n_outputs, c->max_batch_size, "output", err);
	if (st == PS_OK)
		st = check_side(c->inputs, c->n_inputs, inputs, n_inputs, batched, "input", err);
	if (st == PS_OK)
		st = check_side(c->outputs, c->n_outputs, outputs, n_outputs, batched, "output",
				err);
	return st == PS_OK ? check_missing(c, inputs, n_inputs, err) : st;
}
