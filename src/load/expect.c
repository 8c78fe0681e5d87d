/* expect.c - see expect.h. */
#include "load/expect.h"

#include <math.h>
#include <string.h>

static double half(uint16_t h)
{
	double sign = h & 0x8000 ? -1 : 1;
	int exponent = h >> 10 & 31, mantissa = h & 1023;

	if (exponent == 31) {
		return mantissa ? NAN : sign * INFINITY;
	}
	return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static double value(enum ps_dtype type, const void *data, size_t i)
{
	const char *at = (const char *)data + i * ps_dtype_size(type);
	uint16_t h;
	uint32_t w;
	float f;
	double d;

	switch (type) {
	case PS_DTYPE_FP64:
		memcpy(&d, at, sizeof(d));
		return d;
	case PS_DTYPE_FP32:
		memcpy(&f, at, sizeof(f));
		return (double)f;
	case PS_DTYPE_FP16:
		memcpy(&h, at, sizeof(h));
		return half(h);
	default:
		memcpy(&h, at, sizeof(h));
		w = (uint32_t)h << 16;
		memcpy(&f, &w, sizeof(f));
		return (double)f;
	}
}

static bool is_float(enum ps_dtype t)
{
	return t == PS_DTYPE_FP32 || t == PS_DTYPE_FP64 || t == PS_DTYPE_FP16 || t == PS_DTYPE_BF16;
}

static bool near(double want, double got, double tolerance)
{
	if (isnan(want) || isnan(got)) {
		return isnan(want) && isnan(got);
	}
	if (isinf(want) || isinf(got)) {
		return want == got;
	}
	return fabs(want - got) <= tolerance * fmax(1, fabs(want));
}

static enum ps_status compare_floats(const struct ps_tensor *want, const struct ps_tensor *got,
				     double tolerance, struct ps_error *err)
{
	size_t n = want->bytes / ps_dtype_size(want->dtype);

	for (size_t i = 0; i < n; i++) {
		double a = value(want->dtype, want->data, i), b = value(got->dtype, got->data, i);

		if (!near(a, b, tolerance)) {
			return ps_error_set(err, PS_EINVAL,
					    "output '%s': element %zu is %.9g, expected %.9g",
					    got->name, i, b, a);
		}
	}
	return PS_OK;
}

static enum ps_status differ(const struct ps_tensor *want, const struct ps_tensor *got,
			     struct ps_error *err)
{
	const unsigned char *a = want->data, *b = got->data;
	size_t at = 0, size = ps_dtype_size(want->dtype);

	while (a[at] == b[at]) {
		at++;
	}
	return ps_error_set(err, PS_EINVAL, "output '%s': %s %zu is not the expected one",
			    got->name, size ? "element" : "byte", size ? at / size : at);
}

enum ps_status ps_load_expect(const struct ps_tensor *want, const struct ps_tensor *got,
			      double tolerance, struct ps_error *err)
{
	char a[PS_TENSOR_SHAPE_SIZE], b[PS_TENSOR_SHAPE_SIZE];

	if (want->dtype != got->dtype) {
		return ps_error_set(err, PS_EINVAL, "output '%s' is of type %s, expected %s",
				    got->name, ps_dtype_name(got->dtype),
				    ps_dtype_name(want->dtype));
	}
	if (want->rank >= 0 &&
	    (want->rank != got->rank ||
	     memcmp(want->dims, got->dims, (size_t)want->rank * sizeof(want->dims[0])) != 0)) {
		return ps_error_set(err, PS_EINVAL, "output '%s' has shape %s, expected %s",
				    got->name, ps_tensor_shape_text(got->dims, got->rank, a),
				    ps_tensor_shape_text(want->dims, want->rank, b));
	}
	if (want->bytes != got->bytes) {
		return ps_error_set(err, PS_EINVAL, "output '%s' has %zu bytes, expected %zu",
				    got->name, got->bytes, want->bytes);
	}
	if (want->bytes == 0 || memcmp(want->data, got->data, want->bytes) == 0) {
		return PS_OK;
	}
	return is_float(want->dtype) ? compare_floats(want, got, tolerance, err)
				     : differ(want, got, err);
}
