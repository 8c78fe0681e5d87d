/* JSON data -> tensor memory, one pass, no node per number. */
#include "oip/oip_internal.h"

#include <math.h>
#include <string.h>

struct filler {
	const char *kind;
	struct ps_tensor *t;
	size_t size;	     /* of an element; 0 for BYTES */
	int64_t count, done; /* elements */
	char *out;	     /* the next element; BYTES: lengths and bytes */
};

static enum ps_status wrong_count(struct ps_oip_reader *r, const struct filler *f)
{
	char shape[PS_TENSOR_SHAPE_SIZE];
	return ps_error_set(r->err, PS_EINVAL,
			    "unable to parse 'data' of %s '%s': shape %s does not match true shape "
			    "of 'data' field, which holds %s %lld elements",
			    f->kind, f->t->name,
			    ps_tensor_shape_text(f->t->dims, f->t->rank, shape),
			    f->done < f->count ? "only" : "more than",
			    (long long)(f->done < f->count ? f->done : f->count));
}

static enum ps_status wrong_element(struct ps_oip_reader *r, const struct filler *f)
{
	ps_error_set(r->err, PS_EINVAL, "element %lld of %s '%s' is no %s", (long long)f->done,
		     f->kind, f->t->name, ps_dtype_name(f->t->dtype));
	ps_error_where(r->err, "byte %zu", (size_t)(r->at - r->start));
	return PS_EINVAL;
}

static void put(struct filler *f, const void *value)
{
	memcpy(f->out, value, f->size);
	f->out += f->size;
}

static bool read_special(struct ps_oip_reader *r, double *ret_value)
{
	if (ps_oip_read_word(r, "NaN"))
		*ret_value = NAN;
	else if (ps_oip_read_word(r, "Infinity"))
		*ret_value = INFINITY;
	else if (ps_oip_read_word(r, "-Infinity"))
		*ret_value = -INFINITY;
	else
		return false;
	return true;
}

static enum ps_status read_real(struct ps_oip_reader *r, struct filler *f)
{
	bool fp32 = f->t->dtype == PS_DTYPE_FP32;
	double v;
	size_t n = ps_oip_scan_real(r->at, r->end, fp32, f->out);
	if (n == 0 && !read_special(r, &v))
		return wrong_element(r, f);
	if (n == 0) {
		float v32 = (float)v;
		put(f, fp32 ? (const void *)&v32 : (const void *)&v);
		return PS_OK;
	}
	r->at += n;
	f->out += f->size;
	return PS_OK;
}

static enum ps_status read_integer(struct ps_oip_reader *r, struct filler *f)
{
	unsigned bits = (unsigned)f->size * 8;
	enum ps_dtype t = f->t->dtype;
	bool is_signed = t == PS_DTYPE_INT8 || t == PS_DTYPE_INT16 || t == PS_DTYPE_INT32 ||
			 t == PS_DTYPE_INT64;
	uint64_t max = UINT64_MAX >> (64 - bits + is_signed);
	int64_t min = is_signed ? -(int64_t)max - 1 : 0;
	struct ps_oip_number n;
	uint64_t v;
	if (!ps_oip_scan_number(r->at, r->end, &n) || !ps_oip_number_int(&n, min, max, &v))
		return wrong_element(r, f);
	r->at += n.n;
	put(f, &v); /* little-endian: the low bytes come first */
	return PS_OK;
}

static enum ps_status read_boolean(struct ps_oip_reader *r, struct filler *f)
{
	unsigned char v;
	if (ps_oip_read_word(r, "true") || ps_oip_read_word(r, "1"))
		v = 1;
	else if (ps_oip_read_word(r, "false") || ps_oip_read_word(r, "0"))
		v = 0;
	else
		return wrong_element(r, f);
	put(f, &v);
	return PS_OK;
}

static enum ps_status read_string(struct ps_oip_reader *r, struct filler *f)
{
	char *text;
	size_t n;
	if (ps_oip_peek(r) != '"')
		return wrong_element(r, f);
	enum ps_status s = ps_oip_read_bytes(r, &text, &n);
	if (s != PS_OK)
		return s;
	if (n > UINT32_MAX)
		return wrong_element(r, f);
	uint32_t len = (uint32_t)n;
	memcpy(f->out, &len, sizeof len);
	memcpy(f->out + sizeof len, text, n);
	f->out += sizeof len + n;
	return PS_OK;
}

static enum ps_status read_scalar(struct ps_oip_reader *r, struct filler *f)
{
	switch (f->t->dtype) {
	case PS_DTYPE_FP32:
	case PS_DTYPE_FP64:
		return read_real(r, f);
	case PS_DTYPE_BOOL:
		return read_boolean(r, f);
	case PS_DTYPE_BYTES:
		return read_string(r, f);
	default:
		return read_integer(r, f);
	}
}

/* Passes over a comma when a scalar follows it. */
static bool next_scalar(struct ps_oip_reader *r)
{
	if (ps_oip_peek(r) != ',')
		return false;
	char *comma = r->at++;
	if (ps_oip_peek(r) != '[')
		return true;
	r->at = comma;
	return false;
}

/* An array, or a run of scalars: what follows a run is the enclosing array's. */
static enum ps_status read_element(struct ps_oip_reader *r, void *out)
{
	struct filler *f = out;
	if (ps_oip_peek(r) == '[')
		return ps_oip_read_array(r, read_element, f);
	do {
		if (f->done >= f->count)
			return wrong_count(r, f);
		enum ps_status s = read_scalar(r, f);
		if (s != PS_OK)
			return s;
		f->done++;
	} while (next_scalar(r));
	return PS_OK;
}

/* An upper bound of the memory that `count` elements need, known from the text that is left: an
 * element takes at least one byte and its comma; a string two quotes more, and is never longer
 * decoded than written. */
static bool bound_bytes(const struct ps_oip_reader *r, const struct filler *f, size_t *ret_bytes)
{
	size_t left = (size_t)(r->end - r->at);
	if ((uint64_t)f->count > left / 2 + 1)
		return false;
	*ret_bytes = f->size ? (size_t)f->count * f->size : (size_t)f->count * 4 + left;
	return true;
}

enum ps_status ps_oip_read_data(struct ps_oip_reader *r, const char *kind, struct ps_tensor *t)
{
	struct filler f = {.kind = kind, .t = t, .size = ps_dtype_size(t->dtype)};
	size_t bytes;
	if (t->dtype == PS_DTYPE_FP16 || t->dtype == PS_DTYPE_BF16)
		return ps_error_set(r->err, PS_EINVAL,
				    "receiving %s data via JSON is not supported. Please use the "
				    "binary data format for %s '%s'",
				    ps_dtype_name(t->dtype), kind, t->name);
	enum ps_status s = ps_tensor_count(t->dims, t->rank, &f.count, r->err);
	if (s != PS_OK)
		return s;
	if (ps_oip_peek(r) != '[')
		return ps_error_set(r->err, PS_EINVAL, "'data' of %s '%s' is no array", kind,
				    t->name);
	if (!bound_bytes(r, &f, &bytes)) {
		char shape[PS_TENSOR_SHAPE_SIZE];
		return ps_error_set(r->err, PS_EINVAL,
				    "unable to parse 'data' of %s '%s': shape %s does not match "
				    "true shape of 'data' field, whose text is too short for it",
				    kind, t->name, ps_tensor_shape_text(t->dims, t->rank, shape));
	}
	t->data = f.out = ps_arena_alloc_tensor(r->arena, bytes ? bytes : 1);
	if (!f.out)
		return ps_error_set(r->err, PS_ENOMEM, "no memory for %s '%s'", kind, t->name);
	s = ps_oip_read_array(r, read_element, &f);
	if (s == PS_OK && f.done != f.count)
		return wrong_count(r, &f);
	t->bytes = (size_t)(f.out - (char *)t->data);
	return s;
}

bool ps_oip_check_bytes(const void *data, size_t n, int64_t count)
{
	const char *p = data, *end = p + n;
	for (int64_t i = 0; i < count; i++) {
		uint32_t len;
		if ((size_t)(end - p) < sizeof len)
			return false;
		memcpy(&len, p, sizeof len);
		p += sizeof len;
		if ((size_t)(end - p) < len)
			return false;
		p += len;
	}
	return p == end;
}
