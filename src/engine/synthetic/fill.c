#include "engine/engine_internal.h"
#include "engine/synthetic/synthetic_internal.h"

#include <stdio.h>
#include <string.h>

#define HEX_ELEMENT 12 /* 4 bytes of length, 8 digits */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Four lanes, so that the multiplications overlap: a 600 KB image must not cost a noticeable part
 * of a declared service time. */
static uint64_t hash_bytes(uint64_t seed, const void *data, size_t n)
{
	const unsigned char *p = data;
	const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h[4] = {seed, seed + 1, seed + 2, seed + 3}, w[4];

	for (; n >= 32; n -= 32, p += 32) {
		memcpy(w, p, 32);
		for (int i = 0; i < 4; i++)
			h[i] = ((h[i] ^ w[i]) * k) ^ (h[i] >> 29);
	}
	for (; n > 0; n--, p++)
		h[0] = (h[0] ^ *p) * k;
	return mix(mix(mix(mix(h[0]) + h[1]) + h[2]) + h[3]);
}

/* The bytes of row `row`; a BYTES tensor is walked, its elements differ in length. */
static void row_bytes(const struct ps_tensor *t, int64_t row, int64_t rows, const char **ret_data,
		      size_t *ret_len)
{
	const char *p = t->data;
	int64_t per_row = 1;

	if (t->dtype != PS_DTYPE_BYTES) {
		*ret_len = rows ? t->bytes / (size_t)rows : 0;
		*ret_data = p + (size_t)row * *ret_len;
		return;
	}
	for (int i = 1; i < t->rank; i++)
		per_row *= t->dims[i];
	*ret_data = p;
	for (int64_t k = 0; k < (row + 1) * per_row; k++) {
		uint32_t n;

		if (k == row * per_row)
			*ret_data = p;
		memcpy(&n, p, 4);
		p += 4 + (size_t)n;
	}
	*ret_len = (size_t)(p - *ret_data);
}

static bool has_open_batch(const struct ps_tensor_spec *s)
{
	return s->rank > 0 && s->dims[0] < 0;
}

/* row < 0: whole inputs, for outputs without rows. */
static uint64_t hash_inputs(const struct ps_synthetic_spec *spec, const struct ps_tensor *inputs,
			    int64_t row, int64_t rows)
{
	uint64_t h = spec->seed;

	for (int i = 0; i < spec->n_inputs; i++) {
		const char *data = inputs[i].data;
		size_t len = inputs[i].bytes;

		if (row >= 0 && has_open_batch(&spec->inputs[i]))
			row_bytes(&inputs[i], row, rows, &data, &len);
		h = hash_bytes(h, data, len);
	}
	return h;
}

static void put_element(enum ps_dtype t, char *out, uint64_t r)
{
	const unsigned small = (unsigned)(r >> 56), seven = small >> 1;
	char hex[9];
	uint32_t n = 8;

	switch (t) {
	case PS_DTYPE_FP32:
		memcpy(out, &(float){(float)small / 256.0f}, 4);
		break;
	case PS_DTYPE_FP64:
		memcpy(out, &(double){small / 256.0}, 8);
		break;
	case PS_DTYPE_FP16: /* 1 + k/256 - 1 is k/256: keep it exact by table-free arithmetic */
	case PS_DTYPE_BF16: {
		float f = (float)small / 256.0f;
		uint32_t bits;
		uint16_t half;

		memcpy(&bits, &f, 4);
		if (t == PS_DTYPE_BF16)
			half = (uint16_t)(bits >> 16);
		else /* rebias the exponent by 127 - 15; 8 significant bits fit in 10 */
			half = (uint16_t)(f > 0 ? (bits >> 13) - ((127u - 15u) << 10) : 0);
		memcpy(out, &half, 2);
		break;
	}
	case PS_DTYPE_BYTES:
		snprintf(hex, sizeof(hex), "%08x", (unsigned)(r >> 32));
		memcpy(out, &n, 4);
		memcpy(out + 4, hex, 8);
		break;
	default: /* integers, little-endian */
		memset(out, 0, ps_dtype_size(t));
		out[0] = (char)(t == PS_DTYPE_BOOL ? seven & 1 : seven);
	}
}

static void put_elements(const struct ps_tensor *t, char *out, int64_t n, uint64_t hash)
{
	size_t size = t->dtype == PS_DTYPE_BYTES ? HEX_ELEMENT : ps_dtype_size(t->dtype);

	for (int64_t k = 0; k < n; k++)
		put_element(t->dtype, out + (size_t)k * size, mix(hash + (uint64_t)k));
}

/* An open dimension of an output takes the size of the same dimension of the first input that
 * leaves it open; load() has checked that there is one. */
static int64_t open_dim(const struct ps_synthetic_spec *spec, const struct ps_tensor *inputs, int d)
{
	for (int i = 0; i < spec->n_inputs; i++)
		if (d < spec->inputs[i].rank && spec->inputs[i].dims[d] < 0)
			return inputs[i].dims[d];
	return 1;
}

int64_t ps_synthetic_rows(const struct ps_synthetic_spec *spec, const struct ps_tensor *inputs)
{
	return open_dim(spec, inputs, 0);
}

static enum ps_status place(const struct ps_synthetic_spec *spec, int i, struct ps_engine_run *run,
			    int64_t *ret_count, struct ps_error *err)
{
	const struct ps_tensor_spec *s = &spec->outputs[i];
	struct ps_tensor *out = &run->outputs[i];
	size_t size = s->dtype == PS_DTYPE_BYTES ? HEX_ELEMENT : ps_dtype_size(s->dtype);
	enum ps_status st;

	out->name = s->name;
	out->dtype = s->dtype;
	out->rank = s->rank;
	for (int d = 0; d < s->rank; d++)
		out->dims[d] = s->dims[d] < 0 ? open_dim(spec, run->inputs, d) : s->dims[d];
	st = ps_tensor_count(out->dims, out->rank, ret_count, err);
	if (st == PS_OK && *ret_count > PS_SYNTHETIC_MAX_OUT_BYTES / (int64_t)size)
		st = ps_error_set(err, PS_ETOOBIG, "output \"%s\" would pass %lld bytes", s->name,
				  (long long)PS_SYNTHETIC_MAX_OUT_BYTES);
	if (st != PS_OK)
		return st;
	return ps_engine_place_output(run, out, (size_t)*ret_count * size, err);
}

static enum ps_status echo(const struct ps_synthetic_spec *spec, struct ps_engine_run *run,
			   struct ps_error *err)
{
	for (int i = 0; i < spec->n_outputs; i++) {
		const struct ps_tensor *in = &run->inputs[i];
		struct ps_tensor *out = &run->outputs[i];
		enum ps_status st;

		out->name = spec->outputs[i].name;
		out->dtype = in->dtype;
		out->rank = in->rank;
		memcpy(out->dims, in->dims, sizeof(out->dims));
		st = ps_engine_place_output(run, out, in->bytes, err);
		if (st != PS_OK)
			return st;
		if (in->bytes)
			memcpy(out->data, in->data, in->bytes);
	}
	return PS_OK;
}

enum ps_status ps_synthetic_fill(const struct ps_synthetic_spec *spec, struct ps_engine_run *run,
				 struct ps_error *err)
{
	if (spec->echo)
		return echo(spec, run, err);
	for (int i = 0; i < spec->n_outputs; i++) {
		int64_t count, rows = 1;
		enum ps_status st = place(spec, i, run, &count, err);
		struct ps_tensor *out = &run->outputs[i];
		bool by_row = has_open_batch(&spec->outputs[i]);

		if (st != PS_OK)
			return st;
		if (by_row)
			rows = out->dims[0];
		for (int64_t r = 0; r < rows; r++) {
			uint64_t h = hash_inputs(spec, run->inputs, by_row ? r : -1, rows);
			size_t step = out->bytes / (size_t)rows;

			put_elements(out, (char *)out->data + (size_t)r * step, count / rows,
				     mix(h + (uint64_t)i));
		}
	}
	return PS_OK;
}
