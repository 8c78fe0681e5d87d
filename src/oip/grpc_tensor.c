/* Tensors of gRPC's infer messages. */
#include "oip/grpc_internal.h"

#include <string.h>

enum { NAME = 1, DATATYPE = 2, SHAPE = 3, PARAMETERS = 4, CONTENTS = 5 };

/* --- fields --- */

static enum ps_status add_dim(struct ps_oip_walk *w, struct ps_tensor *t, uint64_t v)
{
	if (t->rank == PS_TENSOR_MAX_RANK)
		return ps_error_set(w->err, PS_ETOOBIG, "a shape has over %d dimensions",
				    PS_TENSOR_MAX_RANK);
	if ((int64_t)v < 0)
		return ps_error_set(w->err, PS_EINVAL, "a shape has the negative dimension %lld",
				    (long long)(int64_t)v);
	t->dims[t->rank++] = (int64_t)v;
	return PS_OK;
}

/* Packed, as proto3 sends it, or one by one. */
static enum ps_status read_shape(struct ps_oip_walk *w, const struct ps_wire_field *f,
				 struct ps_tensor *t)
{
	enum ps_status s = PS_OK;
	uint64_t v = 0;
	if (f->type == PS_WIRE_VARINT)
		return add_dim(w, t, f->value);
	struct ps_wire packed = {.pos = f->data, .end = f->data + f->len};
	while (s == PS_OK && packed.pos < packed.end && ps_wire_varint(&packed, &v))
		s = add_dim(w, t, v);
	if (s == PS_OK && packed.broken)
		return ps_oip_walk_fail(w, "a shape that is cut off");
	return s;
}

static enum ps_status read_datatype(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				    struct ps_tensor *t)
{
	const char *name = (const char *)bytes->data;
	t->dtype = ps_dtype_from_name(name, bytes->n);
	if (t->dtype != PS_DTYPE_NONE)
		return PS_OK;
	enum ps_status s = ps_oip_take_text(w, bytes, "a datatype", PS_TENSOR_MAX_NAME, &name);
	if (s != PS_OK)
		return s;
	return ps_error_set(w->err, PS_EINVAL, "'%.60s' is no datatype", name);
}

static enum ps_status read_parameter(struct ps_oip_walk *w, const struct ps_oip_slice *bytes)
{
	struct ps_oip_parameter p;
	enum ps_status s = ps_oip_walk_parameter(w, bytes, &p);
	return s == PS_OK ? ps_oip_refuse_shared_memory(p.name, w->err) : s;
}

static enum ps_status read_contents(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				    struct ps_oip_walked *out)
{
	if (out->contents.data)
		return ps_error_set(w->err, PS_EINVAL, "the contents of %s '%s' come twice",
				    w->kind, out->t.name ? out->t.name : "");
	if (bytes->n > 0)
		out->contents = *bytes;
	return PS_OK;
}

static enum ps_status read_field(struct ps_oip_walk *w, const struct ps_wire_field *f,
				 const struct ps_oip_slice *bytes, void *out)
{
	struct ps_oip_walked *g = out;
	bool has_bytes = f->type == PS_WIRE_BYTES;
	if (f->number == NAME && has_bytes)
		return ps_oip_take_text(w, bytes, "the name of a tensor", PS_TENSOR_MAX_NAME - 1,
					&g->t.name);
	if (f->number == DATATYPE && has_bytes)
		return read_datatype(w, bytes, &g->t);
	if (f->number == SHAPE && (has_bytes || f->type == PS_WIRE_VARINT))
		return read_shape(w, f, &g->t);
	if (f->number == PARAMETERS && has_bytes)
		return read_parameter(w, bytes);
	if (f->number == CONTENTS && has_bytes)
		return read_contents(w, bytes, g);
	return PS_OK;
}

enum ps_status ps_oip_walk_tensor(struct ps_oip_walk *w, const struct ps_oip_slice *in,
				  struct ps_oip_walked *ret_tensor)
{
	memset(ret_tensor, 0, sizeof *ret_tensor);
	enum ps_status s = ps_oip_walk(w, in, read_field, ret_tensor);
	if (s != PS_OK)
		return s;
	const struct ps_tensor *t = &ret_tensor->t;
	if (!t->name || !*t->name)
		return ps_error_set(w->err, PS_EINVAL, "an %s has no 'name'", w->kind);
	if (t->dtype == PS_DTYPE_NONE)
		return ps_error_set(w->err, PS_EINVAL, "%s '%s' has no 'datatype'", w->kind,
				    t->name);
	return PS_OK;
}

/* --- contents --- */

static enum ps_status no_data(struct ps_oip_walk *w, const struct ps_tensor *t)
{
	return ps_error_set(w->err, PS_EINVAL, "unable to find data for %s tensor '%s'", w->kind,
			    t->name);
}

static enum ps_status place_raw(struct ps_oip_walk *w, struct ps_oip_walked *g,
				const struct ps_oip_slice *raw)
{
	if (g->contents.data)
		return ps_error_set(w->err, PS_EINVAL,
				    "contents field must not be specified when using "
				    "raw_%s_contents for '%s'",
				    w->kind, g->t.name);
	return ps_oip_place_raw(w->kind, &g->t, raw->data, raw->n, raw->room, w->arena, w->err);
}

static enum ps_status place_typed(struct ps_oip_walk *w, struct ps_oip_walked *g)
{
	static _Alignas(PS_ARENA_ALIGN) char nothing[1];
	int64_t count = 0;
	enum ps_status s = ps_tensor_count(g->t.dims, g->t.rank, &count, w->err);
	if (s != PS_OK)
		return s;
	if (!g->contents.data && count > 0)
		return no_data(w, &g->t);
	if (!g->contents.data)
		return ps_oip_place_raw(w->kind, &g->t, nothing, 0, 0, w->arena, w->err);
	return ps_oip_read_typed(w, &g->contents, &g->t);
}

enum ps_status ps_oip_place_walked(struct ps_oip_walk *w, struct ps_oip_walked *tensors, int n,
				   const struct ps_oip_slice *raw, int n_raw,
				   struct ps_tensor **ret_tensors)
{
	struct ps_tensor *out = ps_arena_alloc(w->arena, (size_t)(n > 0 ? n : 1) * sizeof *out);
	if (!out)
		return ps_error_set(w->err, PS_ENOMEM, "no memory for %ss", w->kind);
	for (int i = 0; i < n; i++) {
		enum ps_status s = n_raw == 0  ? place_typed(w, &tensors[i])
				   : i < n_raw ? place_raw(w, &tensors[i], &raw[i])
					       : no_data(w, &tensors[i].t);
		if (s != PS_OK)
			return s;
		out[i] = tensors[i].t;
	}
	if (n_raw > n)
		return ps_error_set(w->err, PS_EINVAL, "%d raw_%s_contents for %d %ss", n_raw,
				    w->kind, n, w->kind);
	*ret_tensors = out;
	return PS_OK;
}
