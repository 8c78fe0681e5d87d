/* config.pbtxt into struct ps_repo_config. One table per message says which fields there are and
 * what becomes of each: read, passed over with a warning, or refused. A field that is in no table
 * is an error, because a misspelt limit must not be no limit. */
#include "repo/config.h"
#include "repo/text_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
	const char *file;
	struct ps_repo_config *c;
	struct ps_error *err;
	bool scheduled;	  /* a scheduling_choice was seen */
	int64_t gpus[64]; /* of the first instance group */
	int n_gpus, n_groups;
	char group_kind[16];
};

struct field {
	const char *name;
	/* NULL: a field without effect here, named in a warning */
	enum ps_status (*read)(struct decoder *d, const struct ps_repo_node *n, void *into);
	bool repeated;
};

static enum ps_status fail(const struct decoder *d, const struct ps_repo_node *n, enum ps_status st,
			   const char *what, const char *detail)
{
	ps_error_set(d->err, st, "%s%s%s%.100s", n->name ? n->name : "", n->name ? ": " : "", what,
		     detail ? detail : "");
	ps_error_where(d->err, "%s:%d:%d", d->file, n->line, n->column);
	return st;
}

static enum ps_status text_of(const struct decoder *d, const struct ps_repo_node *n, char *to,
			      size_t size)
{
	if (n->kind != PS_REPO_TEXT_STRING)
		return fail(d, n, PS_EPARSE, "a string in quotes is expected", NULL);
	if (n->len >= size)
		return fail(d, n, PS_ETOOBIG, "the text is too long", NULL);
	if (memchr(n->text, '\0', n->len))
		return fail(d, n, PS_EPARSE, "the text holds a NUL byte", NULL);
	memcpy(to, n->text, n->len + 1);
	return PS_OK;
}

static enum ps_status dup_of(const struct decoder *d, const struct ps_repo_node *n, char **to)
{
	if (n->kind != PS_REPO_TEXT_STRING || memchr(n->text, '\0', n->len))
		return fail(d, n, PS_EPARSE, "a string in quotes is expected", NULL);
	free(*to);
	*to = strdup(n->text);
	return *to ? PS_OK : fail(d, n, PS_ENOMEM, "out of memory", NULL);
}

/* Decimal, 0x.. and 0.. as protobuf writes integers. */
static enum ps_status int_of(const struct decoder *d, const struct ps_repo_node *n, int64_t min,
			     int64_t max, int64_t *to)
{
	char range[80], *end;
	long long v;

	if (n->kind != PS_REPO_TEXT_WORD || !strchr("-0123456789", n->text[0]))
		return fail(d, n, PS_EPARSE, "a whole number is expected", NULL);
	v = strtoll(n->text, &end, 0);
	if (*end != '\0' || n->text[0] == '\0')
		return fail(d, n, PS_EPARSE, "a whole number is expected, not ", n->text);
	if (v < min || v > max) {
		snprintf(range, sizeof(range), "%lld..%lld", (long long)min, (long long)max);
		return fail(d, n, PS_EPARSE, "the number is not in ", range);
	}
	*to = v;
	return PS_OK;
}

static enum ps_status bool_of(const struct decoder *d, const struct ps_repo_node *n, bool *to)
{
	static const char *const yes[] = {"true", "True", "t", "1"}, *const no[] = {"false",
										    "False", "f",
										    "0"};

	for (int i = 0; n->kind == PS_REPO_TEXT_WORD && i < 4; i++) {
		bool is_yes = strcmp(n->text, yes[i]) == 0;

		if (is_yes || strcmp(n->text, no[i]) == 0) {
			*to = is_yes;
			return PS_OK;
		}
	}
	return fail(d, n, PS_EPARSE, "true or false is expected", NULL);
}

/* An enumeration's name or number; *to is the number. */
static enum ps_status enum_of(const struct decoder *d, const struct ps_repo_node *n,
			      const char *const *names, int count, int *to)
{
	int64_t v;

	if (n->kind != PS_REPO_TEXT_WORD)
		return fail(d, n, PS_EPARSE, "a name without quotes is expected", NULL);
	for (int i = 0; i < count; i++)
		if (strcmp(n->text, names[i]) == 0) {
			*to = i;
			return PS_OK;
		}
	if (strchr("-0123456789", n->text[0]) && int_of(d, n, 0, count - 1, &v) == PS_OK) {
		*to = (int)v;
		return PS_OK;
	}
	return fail(d, n, PS_EPARSE, "there is no value ", n->text);
}

static enum ps_status read_message(struct decoder *d, const struct ps_repo_node *n,
				   const struct field *fields, void *into);

static bool seen_before(const struct ps_repo_node *parent, const struct ps_repo_node *n)
{
	for (const struct ps_repo_node *o = parent->first; o != n; o = o->next)
		if (strcmp(o->name, n->name) == 0)
			return true;
	return false;
}

static const struct field *find_field(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static enum ps_status read_message(struct decoder *d, const struct ps_repo_node *n,
				   const struct field *fields, void *into)
{
	if (n->kind != PS_REPO_TEXT_MESSAGE)
		return fail(d, n, PS_EPARSE, "a message in braces is expected", NULL);
	for (const struct ps_repo_node *f = n->first; f; f = f->next) {
		const struct field *row = find_field(fields, f->name);
		enum ps_status st;

		if (!row)
			return fail(d, f, PS_EPARSE, "there is no such field here", NULL);
		if (!row->repeated && row->read && seen_before(n, f))
			return fail(d, f, PS_EPARSE, "this field is given twice", NULL);
		if (!row->read) {
			if (!seen_before(n, f))
				ps_repo_config_warn(d->c, "%s:%d: %s has no effect here", d->file,
						    f->line, f->name);
			continue;
		}
		st = row->read(d, f, into);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

/* ---- tensors ---- */

static const enum ps_dtype dtypes[] = {
	PS_DTYPE_NONE,	 PS_DTYPE_BOOL, PS_DTYPE_UINT8, PS_DTYPE_UINT16, PS_DTYPE_UINT32,
	PS_DTYPE_UINT64, PS_DTYPE_INT8, PS_DTYPE_INT16, PS_DTYPE_INT32,	 PS_DTYPE_INT64,
	PS_DTYPE_FP16,	 PS_DTYPE_FP32, PS_DTYPE_FP64,	PS_DTYPE_BYTES,	 PS_DTYPE_BF16,
};
static const char *const dtype_names[] = {
	"TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32",
	"TYPE_UINT64",	"TYPE_INT8", "TYPE_INT16", "TYPE_INT32",  "TYPE_INT64",
	"TYPE_FP16",	"TYPE_FP32", "TYPE_FP64",  "TYPE_STRING", "TYPE_BF16",
};
#define N_DTYPES ((int)(sizeof(dtypes) / sizeof(dtypes[0])))

static enum ps_status dtype_of(const struct decoder *d, const struct ps_repo_node *n,
			       enum ps_dtype *to)
{
	int i = 0;
	enum ps_status st = enum_of(d, n, dtype_names, N_DTYPES, &i);

	if (st == PS_OK && i == 0)
		return fail(d, n, PS_EPARSE, "TYPE_INVALID is no type", NULL);
	*to = dtypes[i];
	return st;
}

static enum ps_status dim_of(const struct decoder *d, const struct ps_repo_node *n, int64_t *dims,
			     int *rank)
{
	if (*rank >= PS_TENSOR_MAX_RANK)
		return fail(d, n, PS_ETOOBIG, "a tensor has at most 8 dimensions", NULL);
	return int_of(d, n, -1, INT32_MAX, &dims[(*rank)++]);
}

static enum ps_status tensor_name(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return text_of(d, n, t->name, sizeof(t->name));
}

static enum ps_status tensor_dtype(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return dtype_of(d, n, &((struct ps_repo_tensor *)into)->dtype);
}

static enum ps_status tensor_dim(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return dim_of(d, n, t->dims, &t->rank);
}

static enum ps_status reshape_dim(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return dim_of(d, n, t->reshape, &t->reshape_rank);
}

static enum ps_status tensor_reshape(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"shape", reshape_dim, true}, {0}};

	((struct ps_repo_tensor *)into)->reshaped = true;
	return read_message(d, n, fields, into);
}

static enum ps_status tensor_optional(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return bool_of(d, n, &((struct ps_repo_tensor *)into)->optional);
}

/* False is what it is anyway; true would change what the request means. */
static enum ps_status refused_when_true(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	bool on = false;
	enum ps_status st = bool_of(d, n, &on);

	(void)into;
	if (st == PS_OK && on)
		return fail(d, n, PS_EUNSUPPORTED, "this is not served", NULL);
	return st;
}

static enum ps_status add_tensor(struct decoder *d, const struct ps_repo_node *n,
				 const struct field *fields, struct ps_repo_tensor **list,
				 int *count)
{
	struct ps_repo_tensor *more;

	if (*count >= PS_MODEL_MAX_TENSORS)
		return fail(d, n, PS_ETOOBIG, "a model has at most 64 of them", NULL);
	more = realloc(*list, (size_t)(*count + 1) * sizeof(*more));
	if (!more)
		return fail(d, n, PS_ENOMEM, "out of memory", NULL);
	*list = more;
	more[*count] = (struct ps_repo_tensor){0};
	return read_message(d, n, fields, &more[(*count)++]);
}

static enum ps_status config_input(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"name", tensor_name, false},
					      {"data_type", tensor_dtype, false},
					      {"dims", tensor_dim, true},
					      {"reshape", tensor_reshape, false},
					      {"optional", tensor_optional, false},
					      {"is_shape_tensor", refused_when_true, false},
					      {"allow_ragged_batch", refused_when_true, false},
					      {"is_non_linear_format_io", refused_when_true, false},
					      {"format", NULL, false},
					      {0}};
	struct ps_repo_config *c = into;

	return add_tensor(d, n, fields, &c->inputs, &c->n_inputs);
}

static enum ps_status config_output(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"name", tensor_name, false},
					      {"data_type", tensor_dtype, false},
					      {"dims", tensor_dim, true},
					      {"reshape", tensor_reshape, false},
					      {"is_shape_tensor", refused_when_true, false},
					      {"is_non_linear_format_io", refused_when_true, false},
					      {"label_filename", NULL, false},
					      {0}};
	struct ps_repo_config *c = into;

	return add_tensor(d, n, fields, &c->outputs, &c->n_outputs);
}

/* ---- versions ---- */

static enum ps_status latest_versions(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	int64_t v = 0;
	enum ps_status st = int_of(d, n, 1, PS_REPO_MAX_VERSION, &v);

	((struct ps_repo_policy *)into)->latest = (int)v;
	return st;
}

static enum ps_status specific_version(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_policy *p = into;

	if (p->n >= PS_REPO_MAX_POLICY)
		return fail(d, n, PS_ETOOBIG, "at most 64 versions can be named", NULL);
	return int_of(d, n, 1, PS_REPO_MAX_VERSION, &p->versions[p->n++]);
}

static enum ps_status policy_latest(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"num_versions", latest_versions, false}, {0}};
	struct ps_repo_policy *p = into;

	p->kind = PS_REPO_LATEST;
	p->latest = 1;
	return read_message(d, n, fields, p);
}

static enum ps_status policy_all(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{0}};

	((struct ps_repo_policy *)into)->kind = PS_REPO_ALL;
	return read_message(d, n, fields, into);
}

static enum ps_status policy_specific(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"versions", specific_version, true}, {0}};
	struct ps_repo_policy *p = into;

	p->kind = PS_REPO_SPECIFIC;
	return read_message(d, n, fields, p);
}

static enum ps_status config_policy(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"latest", policy_latest, false},
					      {"all", policy_all, false},
					      {"specific", policy_specific, false},
					      {0}};

	if (n->kind == PS_REPO_TEXT_MESSAGE && n->first && n->first->next)
		return fail(d, n, PS_EPARSE, "only one of latest, all and specific", NULL);
	return read_message(d, n, fields, &((struct ps_repo_config *)into)->policy);
}

/* ---- batching ---- */

static enum ps_status preferred(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_batching *b = into;
	int64_t v = 0;
	enum ps_status st = int_of(d, n, 1, PS_REPO_MAX_BATCH, &v);
	int at = b->n_preferred;

	if (st != PS_OK)
		return st;
	if (at >= PS_REPO_MAX_PREFERRED)
		return fail(d, n, PS_ETOOBIG, "at most 32 preferred sizes", NULL);
	for (; at > 0 && b->preferred[at - 1] > v; at--)
		b->preferred[at] = b->preferred[at - 1];
	b->preferred[at] = v;
	b->n_preferred++;
	return PS_OK;
}

static enum ps_status microseconds(struct decoder *d, const struct ps_repo_node *n, int64_t *to)
{
	enum ps_status st = int_of(d, n, 0, INT64_C(86400) * 1000000, to);

	*to *= PS_NS_PER_US;
	return st;
}

static enum ps_status queue_delay(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return microseconds(d, n, &((struct ps_repo_batching *)into)->max_delay_ns);
}

static enum ps_status ordering(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return bool_of(d, n, &((struct ps_repo_batching *)into)->preserve_ordering);
}

static enum ps_status levels(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return int_of(d, n, 0, 1000000, &((struct ps_repo_batching *)into)->priority_levels);
}

static enum ps_status default_level(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return int_of(d, n, 0, 1000000, &((struct ps_repo_batching *)into)->default_priority_level);
}

static enum ps_status queue_action(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const char *const names[] = {"REJECT", "DELAY"};
	int i = 0;
	enum ps_status st = enum_of(d, n, names, 2, &i);

	((struct ps_repo_queue_policy *)into)->delay = i == 1;
	return st;
}

static enum ps_status queue_timeout(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return microseconds(d, n, &((struct ps_repo_queue_policy *)into)->default_timeout_ns);
}

static enum ps_status queue_override(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return bool_of(d, n, &((struct ps_repo_queue_policy *)into)->allow_timeout_override);
}

static enum ps_status queue_size(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return int_of(d, n, 0, UINT32_MAX, &((struct ps_repo_queue_policy *)into)->max_queue_size);
}

static enum ps_status queue_policy(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {
		{"timeout_action", queue_action, false},
		{"default_timeout_microseconds", queue_timeout, false},
		{"allow_timeout_override", queue_override, false},
		{"max_queue_size", queue_size, false},
		{0}};

	return read_message(d, n, fields, &((struct ps_repo_batching *)into)->queue);
}

static enum ps_status one_schedule(struct decoder *d, const struct ps_repo_node *n)
{
	if (d->scheduled)
		return fail(d, n, PS_EPARSE,
			    "only one of dynamic_batching, sequence_batching and "
			    "ensemble_scheduling",
			    NULL);
	d->scheduled = true;
	return PS_OK;
}

static enum ps_status config_batching(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"preferred_batch_size", preferred, true},
					      {"max_queue_delay_microseconds", queue_delay, false},
					      {"preserve_ordering", ordering, false},
					      {"priority_levels", levels, false},
					      {"default_priority_level", default_level, false},
					      {"default_queue_policy", queue_policy, false},
					      {"priority_queue_policy", NULL, true},
					      {0}};
	struct ps_repo_config *c = into;
	enum ps_status st = one_schedule(d, n);

	c->batching.on = true;
	return st == PS_OK ? read_message(d, n, fields, &c->batching) : st;
}

static enum ps_status no_sequences(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	(void)into;
	fail(d, n, PS_EUNSUPPORTED,
	     "stateful sequences are not served: every request stands for itself", NULL);
	ps_error_hint(d->err, "keep the state in the client, or serve this model with Triton");
	return PS_EUNSUPPORTED;
}

static enum ps_status no_ensembles(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	(void)into;
	fail(d, n, PS_EUNSUPPORTED, "ensembles are not served: a model is one ONNX file", NULL);
	ps_error_hint(d->err, "merge the steps into one ONNX graph, or call them one by one");
	return PS_EUNSUPPORTED;
}

/* ---- instances ---- */

static enum ps_status group_count(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return int_of(d, n, 1, 4096, into);
}

static enum ps_status group_kind(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const char *const names[] = {"KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"};
	int i = 0;
	enum ps_status st = enum_of(d, n, names, 4, &i);

	(void)into;
	strcpy(d->group_kind, names[i]);
	if (st == PS_OK && i == 3)
		return fail(d, n, PS_EUNSUPPORTED, "a model does not choose its devices here",
			    NULL);
	return st;
}

static enum ps_status group_gpu(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	(void)into;
	if (d->n_gpus >= 64)
		return fail(d, n, PS_ETOOBIG, "at most 64 devices", NULL);
	return int_of(d, n, 0, 63, &d->gpus[d->n_gpus++]);
}

/* One device per model: a GPU named by the group, or the CPUs. */
static enum ps_status take_device(struct decoder *d, const struct ps_repo_node *n,
				  struct ps_repo_config *c)
{
	bool gpu = strcmp(d->group_kind, "KIND_GPU") == 0 ||
		   (strcmp(d->group_kind, "KIND_CPU") != 0 && d->n_gpus > 0);

	if (d->n_gpus > 0 && strcmp(d->group_kind, "KIND_CPU") == 0)
		return fail(d, n, PS_EPARSE, "gpus and KIND_CPU exclude each other", NULL);
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

static enum ps_status config_group(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"count", group_count, false},
					      {"kind", group_kind, false},
					      {"gpus", group_gpu, true},
					      {"name", NULL, false},
					      {"profile", NULL, true},
					      {"rate_limiter", NULL, false},
					      {"passive", refused_when_true, false},
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
	st = read_message(d, n, fields, &count);
	c->instance_count = (int)count;
	return st == PS_OK ? take_device(d, n, c) : st;
}

/* ---- warm-up ---- */

static enum ps_status warm_name(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;

	return text_of(d, n, w->name, sizeof(w->name));
}

static enum ps_status warm_batch(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;
	enum ps_status st = int_of(d, n, 0, PS_REPO_MAX_BATCH, &w->batch_size);

	if (w->batch_size == 0)
		w->batch_size = 1;
	return st;
}

static enum ps_status warm_count(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup *w = into;
	enum ps_status st = int_of(d, n, 0, 10000, &w->count);

	if (w->count == 0)
		w->count = 1;
	return st;
}

static enum ps_status warm_dtype(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return dtype_of(d, n, &((struct ps_repo_warmup_input *)into)->dtype);
}

static enum ps_status warm_dim(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	return dim_of(d, n, in->dims, &in->rank);
}

static enum ps_status warm_zero(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	bool on = false;
	enum ps_status st = bool_of(d, n, &on);

	((struct ps_repo_warmup_input *)into)->data = PS_REPO_WARMUP_ZERO;
	return st;
}

static enum ps_status warm_random(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	bool on = false;
	enum ps_status st = bool_of(d, n, &on);

	if (on)
		((struct ps_repo_warmup_input *)into)->data = PS_REPO_WARMUP_RANDOM;
	return st;
}

static enum ps_status warm_file(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	in->data = PS_REPO_WARMUP_FILE;
	return dup_of(d, n, &in->file);
}

static enum ps_status warm_key(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_warmup_input *in = into;

	return text_of(d, n, in->name, sizeof(in->name));
}

static enum ps_status warm_value(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {
		{"data_type", warm_dtype, false},      {"dims", warm_dim, true},
		{"zero_data", warm_zero, false},       {"random_data", warm_random, false},
		{"input_data_file", warm_file, false}, {0}};

	return read_message(d, n, fields, into);
}

static enum ps_status warm_input(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {
		{"key", warm_key, false}, {"value", warm_value, false}, {0}};
	struct ps_repo_warmup *w = into;
	struct ps_repo_warmup_input *more;

	if (w->n_inputs >= PS_MODEL_MAX_TENSORS)
		return fail(d, n, PS_ETOOBIG, "a model has at most 64 inputs", NULL);
	more = realloc(w->inputs, (size_t)(w->n_inputs + 1) * sizeof(*more));
	if (!more)
		return fail(d, n, PS_ENOMEM, "out of memory", NULL);
	w->inputs = more;
	more[w->n_inputs] = (struct ps_repo_warmup_input){0};
	return read_message(d, n, fields, &more[w->n_inputs++]);
}

static enum ps_status config_warmup(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"name", warm_name, false},
					      {"batch_size", warm_batch, false},
					      {"count", warm_count, false},
					      {"inputs", warm_input, true},
					      {0}};
	struct ps_repo_config *c = into;
	struct ps_repo_warmup *more;

	if (c->n_warmups >= PS_REPO_MAX_WARMUPS)
		return fail(d, n, PS_ETOOBIG, "at most 64 warm-ups", NULL);
	more = realloc(c->warmups, (size_t)(c->n_warmups + 1) * sizeof(*more));
	if (!more)
		return fail(d, n, PS_ENOMEM, "out of memory", NULL);
	c->warmups = more;
	more[c->n_warmups] = (struct ps_repo_warmup){.batch_size = 1, .count = 1};
	return read_message(d, n, fields, &more[c->n_warmups++]);
}

/* ---- parameters ---- */

static enum ps_status parameter_key(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return dup_of(d, n, &((struct ps_repo_parameter *)into)->key);
}

static enum ps_status parameter_text(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	return dup_of(d, n, &((struct ps_repo_parameter *)into)->value);
}

static enum ps_status parameter_value(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {{"string_value", parameter_text, false}, {0}};

	return read_message(d, n, fields, into);
}

static enum ps_status take_max_run(struct decoder *d, const struct ps_repo_node *n,
				   struct ps_repo_config *c, const char *text)
{
	int64_t ms = 0;

	if (ps_units_parse_int(text, &ms, NULL) != PS_OK || ms < 0 || ms > 3600000)
		return fail(d, n, PS_EPARSE, "max_run_ms is a whole number of milliseconds", NULL);
	c->max_run_ns = ms * PS_NS_PER_MS;
	return PS_OK;
}

static enum ps_status config_parameter(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	static const struct field fields[] = {
		{"key", parameter_key, false}, {"value", parameter_value, false}, {0}};
	struct ps_repo_config *c = into;
	struct ps_repo_parameter *p, *more;
	enum ps_status st;

	if (c->n_parameters >= PS_REPO_MAX_PARAMETERS)
		return fail(d, n, PS_ETOOBIG, "at most 256 parameters", NULL);
	more = realloc(c->parameters, (size_t)(c->n_parameters + 1) * sizeof(*more));
	if (!more)
		return fail(d, n, PS_ENOMEM, "out of memory", NULL);
	c->parameters = more;
	p = &more[c->n_parameters++];
	*p = (struct ps_repo_parameter){0};
	st = read_message(d, n, fields, p);
	if (st == PS_OK && p->key && p->value && strcmp(p->key, "max_run_ms") == 0)
		st = take_max_run(d, n, c, p->value);
	return st;
}

/* ---- the whole ---- */

static enum ps_status config_name(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;

	return text_of(d, n, c->name, sizeof(c->name));
}

static enum ps_status config_backend(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;
	enum ps_status st = text_of(d, n, c->backend, sizeof(c->backend));

	if (st == PS_OK && c->backend[0] != '\0' && strcmp(c->backend, "onnxruntime") != 0 &&
	    strcmp(c->backend, "synthetic") != 0)
		return fail(d, n, PS_EUNSUPPORTED, "only \"onnxruntime\" is served, not ",
			    c->backend);
	return st;
}

static enum ps_status config_platform(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;
	enum ps_status st = text_of(d, n, c->platform, sizeof(c->platform));

	if (st != PS_OK || c->platform[0] == '\0')
		return st;
	if (strcmp(c->platform, "ensemble") == 0)
		return no_ensembles(d, n, into);
	if (strcmp(c->platform, "onnxruntime_onnx") != 0 && strcmp(c->platform, "onnx_onnxv1") != 0)
		return fail(d, n, PS_EUNSUPPORTED, "only \"onnxruntime_onnx\" is served, not ",
			    c->platform);
	return PS_OK;
}

static enum ps_status config_filename(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;

	return text_of(d, n, c->filename, sizeof(c->filename));
}

static enum ps_status config_max_batch(struct decoder *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;

	c->has_max_batch_size = true;
	return int_of(d, n, 0, PS_REPO_MAX_BATCH, &c->max_batch_size);
}

static const struct field config_fields[] = {
	{"name", config_name, false},
	{"backend", config_backend, false},
	{"platform", config_platform, false},
	{"default_model_filename", config_filename, false},
	{"max_batch_size", config_max_batch, false},
	{"input", config_input, true},
	{"output", config_output, true},
	{"version_policy", config_policy, false},
	{"dynamic_batching", config_batching, false},
	{"sequence_batching", no_sequences, false},
	{"ensemble_scheduling", no_ensembles, false},
	{"instance_group", config_group, true},
	{"model_warmup", config_warmup, true},
	{"parameters", config_parameter, true},
	{"optimization", NULL, false},
	{"cc_model_filenames", NULL, true},
	{"metric_tags", NULL, true},
	{"model_operations", NULL, false},
	{"model_transaction_policy", NULL, false},
	{"batch_input", NULL, true},
	{"batch_output", NULL, true},
	{"model_repository_agents", NULL, false},
	{"response_cache", NULL, false},
	{"runtime", NULL, false},
	{"model_metrics", NULL, false},
	{0},
};

static enum ps_status check_parameters(const struct decoder *d, const struct ps_repo_node *root)
{
	for (int i = 0; i < d->c->n_parameters; i++)
		if (!d->c->parameters[i].key || !d->c->parameters[i].value)
			return fail(d, root, PS_EPARSE,
				    "a parameter needs key and value { string_value }", NULL);
	return PS_OK;
}

enum ps_status ps_repo_config_parse(const char *text, size_t len, const char *name,
				    struct ps_repo_config *ret_config, struct ps_error *err)
{
	struct ps_repo_config c;
	struct ps_error own;
	struct decoder d = {.file = name, .c = &c, .err = err ? err : &own};
	struct ps_repo_node *root;
	enum ps_status st;

	if (len > PS_REPO_CONFIG_MAX_BYTES) {
		ps_error_set(d.err, PS_ETOOBIG, "the file has over %d bytes",
			     PS_REPO_CONFIG_MAX_BYTES);
		ps_error_where(d.err, "%s", name);
		return PS_ETOOBIG;
	}
	st = ps_repo_text_parse(text, len, name, &root, d.err);
	if (st != PS_OK)
		return st;
	ps_repo_config_init(&c);
	st = read_message(&d, root, config_fields, &c);
	if (st == PS_OK)
		st = check_parameters(&d, root);
	if (st == PS_OK) {
		st = ps_repo_config_validate(&c, d.err);
		if (st != PS_OK)
			ps_error_where(d.err, "%s", name);
	}
	ps_repo_text_free(root);
	if (st == PS_OK)
		*ret_config = c;
	else
		ps_repo_config_fini(&c);
	return st;
}

enum ps_status ps_repo_config_load(const char *path, struct ps_repo_config *ret_config,
				   struct ps_error *err)
{
	char *text;
	size_t len;
	enum ps_status st = ps_file_read(path, PS_REPO_CONFIG_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_repo_config_parse(text, len, path, ret_config, err);
	free(text);
	return st;
}
