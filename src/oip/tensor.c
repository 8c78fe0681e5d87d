/* The tensor objects that requests and responses share. */
#include "oip/oip_internal.h"

#include <stdio.h>
#include <string.h>

/* --- the fields of one object --- */

struct reading {
	struct ps_oip_tensor *t;
	const char *kind;
};

static enum ps_status read_name(struct ps_oip_reader *r, void *out)
{
	struct reading *g = out;
	return ps_oip_read_text(r, "the name of a tensor", PS_TENSOR_MAX_NAME - 1, &g->t->t.name);
}

static enum ps_status read_datatype(struct ps_oip_reader *r, void *out)
{
	struct reading *g = out;
	const char *name;
	enum ps_status s = ps_oip_read_text(r, "a datatype", PS_TENSOR_MAX_NAME, &name);
	if (s != PS_OK)
		return s;
	g->t->t.dtype = ps_dtype_from_name(name, strlen(name));
	if (g->t->t.dtype == PS_DTYPE_NONE)
		return ps_error_set(r->err, PS_EINVAL, "'%.60s' is no datatype", name);
	return PS_OK;
}

static enum ps_status read_dim(struct ps_oip_reader *r, void *out)
{
	struct reading *g = out;
	struct ps_tensor *t = &g->t->t;
	int64_t v;
	if (t->rank == PS_TENSOR_MAX_RANK)
		return ps_error_set(r->err, PS_ETOOBIG, "a shape has over %d dimensions",
				    PS_TENSOR_MAX_RANK);
	enum ps_status s = ps_oip_read_int(r, &v);
	if (s != PS_OK)
		return s;
	if (v < 0)
		return ps_error_set(r->err, PS_EINVAL, "a shape has the negative dimension %lld",
				    (long long)v);
	t->dims[t->rank++] = v;
	return PS_OK;
}

static enum ps_status read_shape(struct ps_oip_reader *r, void *out)
{
	struct reading *g = out;
	g->t->has_shape = true;
	return ps_oip_read_array(r, read_dim, out);
}

static enum ps_status read_parameter(struct ps_oip_reader *r, const char *name, void *out)
{
	struct reading *g = out;
	if (strcmp(name, "binary_data_size") == 0) {
		enum ps_status s = ps_oip_read_int(r, &g->t->binary_size);
		if (s == PS_OK && g->t->binary_size < 0)
			return ps_error_set(r->err, PS_EINVAL, "a binary_data_size is negative");
		return s;
	}
	enum ps_status s = ps_oip_refuse_shared_memory(name, r->err);
	return s == PS_OK ? ps_oip_skip(r) : s;
}

static enum ps_status read_parameters(struct ps_oip_reader *r, void *out)
{
	return ps_oip_read_members(r, read_parameter, out);
}

/* Data that comes behind its type and shape is read at once; else it is passed over and read when
 * the object is complete. */
static enum ps_status read_data(struct ps_oip_reader *r, void *out)
{
	struct reading *g = out;
	g->t->has_data = true;
	if (g->t->has_shape && g->t->t.dtype != PS_DTYPE_NONE && g->t->t.name)
		return ps_oip_read_data(r, g->kind, &g->t->t);
	ps_oip_peek(r);
	g->t->data_at = r->at;
	return ps_oip_skip(r);
}

static const struct ps_oip_field fields[] = {
	{"name", read_name},	     {"shape", read_shape},
	{"datatype", read_datatype}, {"parameters", read_parameters},
	{"data", read_data},
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static enum ps_status check_complete(struct ps_oip_reader *r, const struct reading *g)
{
	const struct ps_oip_tensor *t = g->t;
	const char *missing = !t->t.name		    ? "name"
			      : !t->has_shape		    ? "shape"
			      : t->t.dtype == PS_DTYPE_NONE ? "datatype"
							    : NULL;
	if (missing)
		return ps_error_set(r->err, PS_EINVAL, "%s '%s' has no '%s'", g->kind,
				    t->t.name ? t->t.name : "", missing);
	if (t->has_data && t->binary_size > 0)
		return ps_error_set(r->err, PS_EINVAL,
				    "%s '%s' has both 'data' and 'binary_data_size'", g->kind,
				    t->t.name);
	return PS_OK;
}

static enum ps_status read_tensor(struct ps_oip_reader *r, void *out)
{
	struct ps_oip_tensors *all = out;
	if (all->n == PS_MODEL_MAX_TENSORS)
		return ps_error_set(r->err, PS_ETOOBIG, "there are over %d %ss",
				    PS_MODEL_MAX_TENSORS, all->kind);
	struct ps_oip_tensor *t = &all->items[all->n];
	*t = (struct ps_oip_tensor){.binary_size = -1};
	struct reading g = {t, all->kind};
	enum ps_status s = ps_oip_read_object(r, fields, N_FIELDS, &g);
	if (s == PS_OK)
		s = check_complete(r, &g);
	if (s == PS_OK && t->data_at) {
		struct ps_oip_reader again = *r;
		again.at = t->data_at;
		s = ps_oip_read_data(&again, all->kind, &t->t);
	}
	all->n += s == PS_OK;
	return s;
}

enum ps_status ps_oip_read_tensors(struct ps_oip_reader *r, struct ps_oip_tensors *out)
{
	out->n = 0;
	return ps_oip_read_array(r, read_tensor, out);
}

/* --- binary data --- */

enum ps_status ps_oip_split(char *body, size_t n, int64_t json_bytes, size_t *ret_json_bytes,
			    struct ps_error *err)
{
	(void)body;
	if (json_bytes < 0) {
		*ret_json_bytes = n;
		return PS_OK;
	}
	if ((uint64_t)json_bytes > n)
		return ps_error_set(err, PS_EINVAL,
				    PS_OIP_JSON_BYTES_HEADER " is %lld, but the body has %zu bytes",
				    (long long)json_bytes, n);
	*ret_json_bytes = (size_t)json_bytes;
	return PS_OK;
}

/* How many bytes of the binary part are this tensor's. */
static enum ps_status binary_size(const struct ps_oip_tensors *in, const struct ps_oip_tensor *t,
				  int64_t count, size_t left, size_t *ret_bytes,
				  struct ps_error *err)
{
	size_t size = ps_dtype_size(t->t.dtype);
	uint64_t need = (uint64_t)count * size;
	if (t->binary_size >= 0) {
		*ret_bytes = (size_t)t->binary_size;
		return PS_OK;
	}
	/* Some clients leave the size out where it follows. */
	if (left == 0 && need > 0)
		return ps_error_set(err, PS_EINVAL,
				    "%s '%s' has neither 'data' nor 'binary_data_size'", in->kind,
				    t->t.name);
	if (!size && in->n != 1)
		return ps_error_set(err, PS_EINVAL,
				    "%s '%s' of datatype BYTES needs 'binary_data_size'", in->kind,
				    t->t.name);
	*ret_bytes = size ? (size_t)need : left;
	return PS_OK;
}

static bool check_bools(const unsigned char *p, size_t n)
{
	unsigned char all = 0;
	for (size_t i = 0; i < n; i++)
		all |= p[i];
	return all <= 1;
}

static enum ps_status check_content(const char *kind, const struct ps_tensor *t, int64_t count,
				    struct ps_error *err)
{
	if (t->dtype == PS_DTYPE_BYTES && !ps_oip_check_bytes(t->data, t->bytes, count))
		return ps_error_set(err, PS_EINVAL,
				    "%s '%s': the bytes do not hold %lld elements, each a 32-bit "
				    "length and as many bytes",
				    kind, t->name, (long long)count);
	if (t->dtype == PS_DTYPE_BOOL && !check_bools(t->data, t->bytes))
		return ps_error_set(err, PS_EINVAL, "%s '%s': a BOOL is neither 0 nor 1", kind,
				    t->name);
	return PS_OK;
}

/* Engines read elements with the alignment of their type. */
static enum ps_status align(struct ps_tensor *t, size_t room, struct ps_arena *arena,
			    struct ps_error *err)
{
	size_t size = ps_dtype_size(t->dtype);
	size_t off = size ? (uintptr_t)t->data % size : 0;
	if (off == 0)
		return PS_OK;
	char *to = (char *)t->data - off;
	if (off > room)
		to = ps_arena_alloc_tensor(arena, t->bytes ? t->bytes : 1);
	if (!to)
		return ps_error_set(err, PS_ENOMEM, "no memory for tensor '%s'", t->name);
	if (t->bytes > 0)
		memmove(to, t->data, t->bytes);
	t->data = to;
	return PS_OK;
}

enum ps_status ps_oip_place_raw(const char *kind, struct ps_tensor *t, void *data, size_t bytes,
				size_t room, struct ps_arena *arena, struct ps_error *err)
{
	int64_t count = 0;
	size_t size = ps_dtype_size(t->dtype);
	enum ps_status s = ps_tensor_count(t->dims, t->rank, &count, err);
	if (s == PS_OK && size && (uint64_t)count * size != bytes)
		s = ps_error_set(err, PS_EINVAL,
				 "%s '%s' got unexpected byte size %zu, expecting %llu", kind,
				 t->name, bytes, (unsigned long long)count * size);
	if (s != PS_OK)
		return s;
	t->data = data;
	t->bytes = bytes;
	s = check_content(kind, t, count, err);
	return s == PS_OK ? align(t, room, arena, err) : s;
}

static enum ps_status place_binary(const struct ps_oip_tensors *in, struct ps_oip_tensor *t,
				   char **binary, size_t *left, struct ps_arena *arena,
				   struct ps_error *err)
{
	int64_t count = 0;
	size_t bytes = 0;
	enum ps_status s = ps_tensor_count(t->t.dims, t->t.rank, &count, err);
	if (s == PS_OK)
		s = binary_size(in, t, count, *left, &bytes, err);
	if (s != PS_OK)
		return s;
	if (bytes > *left)
		return ps_error_set(err, PS_EINVAL,
				    "unexpected size for %s '%s', expecting %zu additional bytes",
				    in->kind, t->t.name, bytes - *left);
	char *at = *binary;
	*binary += bytes;
	*left -= bytes;
	return ps_oip_place_raw(in->kind, &t->t, at, bytes, 0, arena, err);
}

enum ps_status ps_oip_place_tensors(struct ps_oip_tensors *in, char *binary, size_t n,
				    struct ps_arena *arena, struct ps_tensor **ret_tensors,
				    struct ps_error *err)
{
	struct ps_tensor *out =
		ps_arena_alloc(arena, (size_t)(in->n > 0 ? in->n : 1) * sizeof *out);
	if (!out)
		return ps_error_set(err, PS_ENOMEM, "no memory for %ss", in->kind);
	for (int i = 0; i < in->n; i++) {
		struct ps_oip_tensor *t = &in->items[i];
		enum ps_status s = PS_OK;
		if (!t->has_data)
			s = place_binary(in, t, &binary, &n, arena, err);
		if (s != PS_OK)
			return s;
		out[i] = t->t;
	}
	if (n > 0)
		return ps_error_set(err, PS_EINVAL,
				    "unexpected additional %s data for model: %zu bytes too many",
				    in->kind, n);
	*ret_tensors = out;
	return PS_OK;
}
