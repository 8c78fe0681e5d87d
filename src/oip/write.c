#include "oip/oip_internal.h"

#include <string.h>

/* Bytes that stand for themselves in a JSON string. */
static bool is_plain(unsigned char c)
{
	static const bool plain[256] = {
		[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};
	return plain[c];
}

bool ps_oip_put_text(struct ps_strbuf *out, const char *s, size_t n)
{
	bool valid = true;
	const char *end = s + n;
	ps_strbuf_putc(out, '"');
	while (s < end) {
		const char *plain = s;
		while (s < end && is_plain((unsigned char)*s))
			s++;
		ps_strbuf_append(out, plain, (size_t)(s - plain));
		if (s == end)
			break;
		size_t len = ps_oip_valid_utf8(s, end);
		unsigned char c = (unsigned char)*s;
		if (len == 0) {
			valid = false;
			ps_strbuf_putc(out, '?');
			len = 1;
		} else if (c == '"' || c == '\\') {
			ps_strbuf_putc(out, '\\');
			ps_strbuf_putc(out, (char)c);
		} else if (c < 0x20 || c == 0x7f) {
			ps_strbuf_printf(out, "\\u%04x", c);
		} else {
			ps_strbuf_append(out, s, len);
		}
		s += len;
	}
	ps_strbuf_putc(out, '"');
	return valid;
}

void ps_oip_put_uint(struct ps_strbuf *out, uint64_t v)
{
	char digits[24], *d = digits + sizeof digits;
	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	ps_strbuf_append(out, d, (size_t)(digits + sizeof digits - d));
}

/* --- elements --- */

static void put_int(struct ps_strbuf *out, enum ps_dtype dtype, const char *p)
{
	size_t size = ps_dtype_size(dtype);
	uint64_t v = 0;
	memcpy(&v, p, size);
	bool is_signed = dtype == PS_DTYPE_INT8 || dtype == PS_DTYPE_INT16 ||
			 dtype == PS_DTYPE_INT32 || dtype == PS_DTYPE_INT64;
	unsigned shift = 64 - 8 * (unsigned)size;
	bool negative = is_signed && (int64_t)(v << shift) < 0;
	if (negative) {
		v = UINT64_C(0) - (uint64_t)((int64_t)(v << shift) >> shift);
		ps_strbuf_putc(out, '-');
	}
	ps_oip_put_uint(out, v);
}

static void put_element(struct ps_strbuf *out, enum ps_dtype dtype, const char *p)
{
	float f;
	double d;
	switch (dtype) {
	case PS_DTYPE_FP32:
		memcpy(&f, p, sizeof f);
		ps_oip_put_real(out, (double)f, true);
		break;
	case PS_DTYPE_FP64:
		memcpy(&d, p, sizeof d);
		ps_oip_put_real(out, d, false);
		break;
	case PS_DTYPE_BOOL:
		ps_strbuf_puts(out, *p ? "true" : "false");
		break;
	default:
		put_int(out, dtype, p);
	}
}

static enum ps_status put_strings(struct ps_strbuf *out, const char *kind,
				  const struct ps_tensor *t, int64_t count, struct ps_error *err)
{
	const char *p = t->data;
	for (int64_t i = 0; i < count; i++) {
		uint32_t len;
		memcpy(&len, p, sizeof len);
		p += sizeof len;
		if (i > 0)
			ps_strbuf_putc(out, ',');
		if (!ps_oip_put_text(out, p, len))
			return ps_error_set(err, PS_EINVAL,
					    "element %lld of %s '%s' is not UTF-8: ask for it in "
					    "the binary data format",
					    (long long)i, kind, t->name);
		p += len;
	}
	return PS_OK;
}

/* Flat, row-major. */
static enum ps_status put_data(struct ps_strbuf *out, const char *kind, const struct ps_tensor *t,
			       int64_t count, struct ps_error *err)
{
	enum ps_status s = PS_OK;
	size_t size = ps_dtype_size(t->dtype);
	if (t->dtype == PS_DTYPE_FP16 || t->dtype == PS_DTYPE_BF16)
		return ps_error_set(err, PS_EINVAL,
				    "sending %s data via JSON is not supported. Please use the "
				    "binary data format for %s '%s'",
				    ps_dtype_name(t->dtype), kind, t->name);
	ps_strbuf_putc(out, '[');
	if (t->dtype == PS_DTYPE_BYTES)
		s = put_strings(out, kind, t, count, err);
	for (int64_t i = 0; size && i < count; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		put_element(out, t->dtype, (const char *)t->data + (size_t)i * size);
	}
	ps_strbuf_putc(out, ']');
	return s;
}

/* --- tensors --- */

enum ps_status ps_oip_check_tensor(const char *kind, const struct ps_tensor *t, int64_t *ret_count,
				   struct ps_error *err)
{
	const char *type = ps_dtype_name(t->dtype);
	char shape[PS_TENSOR_SHAPE_SIZE];
	if (!type)
		return ps_error_set(err, PS_EINVAL, "%s '%s' has no datatype", kind, t->name);
	enum ps_status s = ps_tensor_count(t->dims, t->rank, ret_count, err);
	if (s != PS_OK)
		return s;
	size_t size = ps_dtype_size(t->dtype);
	bool fits = size ? (uint64_t)*ret_count * size == t->bytes
			 : ps_oip_check_bytes(t->data, t->bytes, *ret_count);
	if (!fits)
		return ps_error_set(err, PS_EINVAL, "%s '%s' of %s%s does not have %zu bytes", kind,
				    t->name, type, ps_tensor_shape_text(t->dims, t->rank, shape),
				    t->bytes);
	return PS_OK;
}

void ps_oip_put_dims(struct ps_strbuf *out, const int64_t *dims, int n)
{
	ps_strbuf_putc(out, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		if (dims[i] < 0)
			ps_strbuf_putc(out, '-');
		ps_oip_put_uint(out, dims[i] < 0 ? -(uint64_t)dims[i] : (uint64_t)dims[i]);
	}
	ps_strbuf_putc(out, ']');
}

enum ps_status ps_oip_put_tensor(struct ps_strbuf *out, const char *kind, const struct ps_tensor *t,
				 bool binary, struct ps_error *err)
{
	int64_t count = 0;
	enum ps_status s = ps_oip_check_tensor(kind, t, &count, err);
	if (s != PS_OK)
		return s;
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_put_text(out, t->name, strlen(t->name));
	ps_strbuf_puts(out, ",\"datatype\":\"");
	ps_strbuf_puts(out, ps_dtype_name(t->dtype));
	ps_strbuf_puts(out, "\",\"shape\":");
	ps_oip_put_dims(out, t->dims, t->rank);
	if (binary) {
		ps_strbuf_puts(out, ",\"parameters\":{\"binary_data_size\":");
		ps_oip_put_uint(out, t->bytes);
		ps_strbuf_putc(out, '}');
	} else {
		ps_strbuf_puts(out, ",\"data\":");
		s = put_data(out, kind, t, count, err);
	}
	ps_strbuf_putc(out, '}');
	return s;
}

/* printf of a number costs more than the rest of a small answer. */
static const char *number_text(size_t v, struct ps_arena *arena)
{
	char digits[24], *d = digits + sizeof digits;
	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	return ps_arena_strndup(arena, d, (size_t)(digits + sizeof digits - d));
}

enum ps_status ps_oip_finish(const struct ps_strbuf *json, const struct ps_tensor *tensors,
			     const bool *binary, bool all_binary, int n, struct ps_arena *arena,
			     struct ps_oip_message *ret_message, struct ps_error *err)
{
	struct ps_oip_message m = {
		.n_pieces = 1, .bytes = json->len, .json_bytes = -1, .json_bytes_text = ""};
	char *head = NULL;
	if (ps_strbuf_status(json) == PS_OK)
		head = ps_arena_strndup(arena, json->data, json->len);
	m.pieces = ps_arena_alloc(arena, (size_t)(n + 1) * sizeof *m.pieces);
	if (!head || !m.pieces)
		return ps_error_set(err, PS_ENOMEM, "no memory for a message");
	m.pieces[0] = (struct iovec){head, json->len};
	for (int i = 0; i < n; i++) {
		if (!(binary ? binary[i] : all_binary) || tensors[i].bytes == 0)
			continue;
		m.pieces[m.n_pieces++] = (struct iovec){tensors[i].data, tensors[i].bytes};
		m.bytes += tensors[i].bytes;
	}
	m.content_type = "application/json";
	if (m.n_pieces > 1) {
		m.content_type = "application/octet-stream";
		m.json_bytes = (int64_t)json->len;
		m.json_bytes_text = number_text(json->len, arena);
		if (!m.json_bytes_text)
			return ps_error_set(err, PS_ENOMEM, "no memory for a message");
	}
	*ret_message = m;
	return PS_OK;
}
