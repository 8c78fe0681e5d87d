/* npy.c - see npy.h. */
#include "model/npy.h"

#include <string.h>

enum { MAGIC = 6, MAX_HEADER = 64 * 1024 };

/* The header is a Python dictionary of three keys, written by repr: nothing else is understood. */
struct text {
	const char *pos, *end;
};

static enum ps_status fail(struct ps_error *err, const char *what)
{
	return ps_error_set(err, PS_EPARSE, "no file of NumPy: %s", what);
}

static void skip_blanks(struct text *t)
{
	while (t->pos < t->end && (*t->pos == ' ' || *t->pos == '\t' || *t->pos == '\n')) {
		t->pos++;
	}
}

static bool take(struct text *t, char c)
{
	skip_blanks(t);
	if (t->pos == t->end || *t->pos != c) {
		return false;
	}
	t->pos++;
	return true;
}

static bool take_word(struct text *t, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(t);
	if ((size_t)(t->end - t->pos) < n || memcmp(t->pos, word, n) != 0) {
		return false;
	}
	t->pos += n;
	return true;
}

/* 'text' or "text", without escapes. */
static bool take_quoted(struct text *t, char *buf, size_t size)
{
	char quote = take(t, '\'') ? '\'' : '"';
	const char *close;

	if (quote == '"' && !take(t, '"')) {
		return false;
	}
	close = memchr(t->pos, quote, (size_t)(t->end - t->pos));
	if (!close || (size_t)(close - t->pos) >= size) {
		return false;
	}
	memcpy(buf, t->pos, (size_t)(close - t->pos));
	buf[close - t->pos] = '\0';
	t->pos = close + 1;
	return true;
}

static bool take_number(struct text *t, int64_t *ret)
{
	const char *start;
	int64_t v = 0;

	skip_blanks(t);
	start = t->pos;
	for (; t->pos < t->end && *t->pos >= '0' && *t->pos <= '9'; t->pos++) {
		if (v > (INT64_MAX - 9) / 10) {
			return false;
		}
		v = 10 * v + (*t->pos - '0');
	}
	*ret = v;
	return t->pos > start;
}

/* "()", "(3,)", "(3, 4)" */
static enum ps_status take_shape(struct text *t, struct ps_npy *a, struct ps_error *err)
{
	if (!take(t, '(')) {
		return fail(err, "its shape is no tuple");
	}
	while (!take(t, ')')) {
		if (a->rank == PS_TENSOR_MAX_RANK) {
			return ps_error_set(err, PS_ETOOBIG, "an array of over %d dimensions",
					    PS_TENSOR_MAX_RANK);
		}
		if (!take_number(t, &a->dims[a->rank++])) {
			return fail(err, "its shape holds no number");
		}
		if (!take(t, ',')) {
			return take(t, ')') ? PS_OK : fail(err, "its shape has no end");
		}
	}
	return PS_OK;
}

static enum ps_dtype type_of(const char *descr)
{
	static const struct {
		const char *name;
		enum ps_dtype type;
	} types[] = {
		{"b1", PS_DTYPE_BOOL},	 {"i1", PS_DTYPE_INT8},	  {"i2", PS_DTYPE_INT16},
		{"i4", PS_DTYPE_INT32},	 {"i8", PS_DTYPE_INT64},  {"u1", PS_DTYPE_UINT8},
		{"u2", PS_DTYPE_UINT16}, {"u4", PS_DTYPE_UINT32}, {"u8", PS_DTYPE_UINT64},
		{"f2", PS_DTYPE_FP16},	 {"f4", PS_DTYPE_FP32},	  {"f8", PS_DTYPE_FP64},
	};
	bool one = descr[0] && descr[1] && descr[2] == '1';

	if (descr[0] != '<' && !(one && descr[0] == '|')) {
		return PS_DTYPE_NONE;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(descr + 1, types[i].name) == 0) {
			return types[i].type;
		}
	}
	return PS_DTYPE_NONE;
}

static enum ps_status take_type(struct text *t, struct ps_npy *a, struct ps_error *err)
{
	char descr[32];

	if (!take_quoted(t, descr, sizeof(descr))) {
		return ps_error_set(err, PS_EUNSUPPORTED, "an array of structures");
	}
	a->dtype = type_of(descr);
	if (a->dtype == PS_DTYPE_NONE) {
		ps_error_set(err, PS_EUNSUPPORTED, "an array of type '%s'", descr);
		ps_error_hint(err, "little-endian numbers and booleans are read");
		return PS_EUNSUPPORTED;
	}
	return PS_OK;
}

static enum ps_status take_order(struct text *t, struct ps_error *err)
{
	if (take_word(t, "False")) {
		return PS_OK;
	}
	if (!take_word(t, "True")) {
		return fail(err, "its 'fortran_order' is neither True nor False");
	}
	ps_error_set(err, PS_EUNSUPPORTED, "a column-major array");
	ps_error_hint(err, "write it with numpy.ascontiguousarray");
	return PS_EUNSUPPORTED;
}

static enum ps_status take_entry(struct text *t, struct ps_npy *a, unsigned *seen,
				 struct ps_error *err)
{
	char key[32];
	unsigned bit;
	enum ps_status st;

	if (!take_quoted(t, key, sizeof(key)) || !take(t, ':')) {
		return fail(err, "its header is no dictionary");
	}
	bit = strcmp(key, "descr") == 0		  ? 1
	      : strcmp(key, "fortran_order") == 0 ? 2
	      : strcmp(key, "shape") == 0	  ? 4
						  : 0;
	if (bit == 0 || (*seen & bit)) {
		return fail(err, "its header has an unknown or doubled key");
	}
	*seen |= bit;
	st = bit == 1 ? take_type(t, a, err) : bit == 2 ? take_order(t, err) : PS_OK;
	return bit == 4 ? take_shape(t, a, err) : st;
}

static enum ps_status take_header(struct text *t, struct ps_npy *a, struct ps_error *err)
{
	unsigned seen = 0;

	if (!take(t, '{')) {
		return fail(err, "its header is no dictionary");
	}
	while (!take(t, '}')) {
		enum ps_status st = take_entry(t, a, &seen, err);

		if (st != PS_OK) {
			return st;
		}
		if (!take(t, ',') && !(t->pos < t->end && *t->pos == '}')) {
			return fail(err, "its header has no end");
		}
	}
	skip_blanks(t);
	if (t->pos != t->end) {
		return fail(err, "bytes follow its header");
	}
	return seen == 7 ? PS_OK : fail(err, "its header lacks a key");
}

enum ps_status ps_npy_parse(const void *file, size_t n, struct ps_npy *ret_array,
			    struct ps_error *err)
{
	const unsigned char *b = file;
	struct ps_npy a = {0};
	size_t start, header;
	int64_t count;
	struct text t;
	enum ps_status st;

	if (n < MAGIC + 4 || memcmp(b, "\x93NUMPY", MAGIC) != 0) {
		return fail(err, "it begins otherwise");
	}
	start = b[6] == 1 ? 10 : 12;
	if (b[6] < 1 || b[6] > 3 || n < start) {
		return fail(err, "a version that is not known");
	}
	header = b[8] | (size_t)b[9] << 8;
	if (start == 12) {
		header |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
	}
	if (header > MAX_HEADER || header > n - start) {
		return fail(err, "its header is cut off or too long");
	}
	t = (struct text){(const char *)b + start, (const char *)b + start + header};
	st = take_header(&t, &a, err);
	if (st == PS_OK) {
		st = ps_tensor_count(a.dims, a.rank, &count, err);
	}
	if (st != PS_OK) {
		return st;
	}
	a.data = b + start + header;
	a.bytes = n - start - header;
	if (a.bytes != (uint64_t)count * ps_dtype_size(a.dtype)) {
		return ps_error_set(err, PS_EPARSE,
				    "its shape asks for %llu bytes of data, there are %zu",
				    (unsigned long long)count * ps_dtype_size(a.dtype), a.bytes);
	}
	*ret_array = a;
	return PS_OK;
}

static bool fits(const struct ps_tensor_spec *spec, const struct ps_npy *a)
{
	if (a->rank != spec->rank) {
		return false;
	}
	for (int i = 0; i < a->rank; i++) {
		if (spec->dims[i] >= 0 && spec->dims[i] != a->dims[i]) {
			return false;
		}
	}
	return true;
}

enum ps_status ps_npy_take(const struct ps_tensor_spec *spec, char *file, size_t n,
			   struct ps_tensor *t, struct ps_error *err)
{
	char want[PS_TENSOR_SHAPE_SIZE], got[PS_TENSOR_SHAPE_SIZE];
	struct ps_npy a = {0};
	enum ps_status st = ps_npy_parse(file, n, &a, err);

	if (st != PS_OK) {
		return st;
	}
	if (a.dtype != spec->dtype &&
	    !(spec->dtype == PS_DTYPE_BF16 && a.dtype == PS_DTYPE_UINT16)) {
		return ps_error_set(err, PS_EINVAL, "'%s' is of type %s, the file holds %s",
				    spec->name, ps_dtype_name(spec->dtype), ps_dtype_name(a.dtype));
	}
	if (!fits(spec, &a)) {
		return ps_error_set(err, PS_EINVAL, "'%s' has shape %s, the file %s", spec->name,
				    ps_tensor_shape_text(spec->dims, spec->rank, want),
				    ps_tensor_shape_text(a.dims, a.rank, got));
	}
	t->rank = a.rank;
	memcpy(t->dims, a.dims, sizeof(t->dims));
	t->bytes = a.bytes;
	if (a.bytes > 0)
		memmove(file, a.data, a.bytes);
	return PS_OK;
}
