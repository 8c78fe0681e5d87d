/* oip_common.h - inputs of the protocol's targets: two bytes of JSON length (little-endian; ffff:
 * no header, 0: raw), then the body. */
#ifndef PS_TESTS_OIP_COMMON_H
#define PS_TESTS_OIP_COMMON_H

#include "fuzz/fuzz.h"
#include "oip/oip.h"

#include <string.h>

/* An exact, writable copy of the body; NULL when the input is too short. */
static inline char *oip_fuzz_body(const uint8_t *data, size_t size, size_t *ret_n,
				  int64_t *ret_json)
{
	if (size < 2)
		return NULL;
	unsigned json = data[0] | (unsigned)data[1] << 8;
	*ret_json = json == 0xffff ? -1 : (int64_t)json;
	*ret_n = size - 2;
	char *body = malloc(*ret_n ? *ret_n : 1);
	MUST(body);
	memcpy(body, data + 2, *ret_n);
	return body;
}

static inline void oip_fuzz_check(const struct ps_tensor *t, int n)
{
	for (int i = 0; i < n; i++) {
		int64_t count;
		size_t size = ps_dtype_size(t[i].dtype);
		MUST(ps_tensor_count(t[i].dims, t[i].rank, &count, NULL) == PS_OK);
		MUST(!size || (uint64_t)count * size == t[i].bytes);
		MUST(!size || (uintptr_t)t[i].data % size == 0);
		/* Every byte may be read. */
		unsigned sum = 0;
		for (size_t k = 0; k < t[i].bytes; k++)
			sum += ((const unsigned char *)t[i].data)[k];
		MUST(sum <= 255 * t[i].bytes);
	}
}

static inline char *oip_fuzz_join(const struct ps_oip_message *m)
{
	char *body = malloc(m->bytes ? m->bytes : 1), *at = body;
	MUST(body);
	for (size_t i = 0; i < m->n_pieces; i++) {
		memcpy(at, m->pieces[i].iov_base, m->pieces[i].iov_len);
		at += m->pieces[i].iov_len;
	}
	MUST((size_t)(at - body) == m->bytes);
	return body;
}

static inline void oip_fuzz_same(const struct ps_tensor *a, const struct ps_tensor *b, int n)
{
	for (int i = 0; i < n; i++) {
		MUST(strcmp(a[i].name, b[i].name) == 0);
		MUST(a[i].dtype == b[i].dtype && a[i].rank == b[i].rank);
		MUST(a[i].bytes == b[i].bytes);
		MUST(a[i].bytes == 0 || memcmp(a[i].data, b[i].data, a[i].bytes) == 0);
	}
}

#endif
