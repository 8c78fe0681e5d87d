#include "net/net_internal.h"

#include <string.h>
#include <strings.h>

const char *ps_net_header_get(const struct ps_net_header *headers, size_t n, const char *name)
{
	/* Names begin with a letter as a rule: one look keeps most from the slow comparison. */
	for (size_t i = 0; i < n; i++)
		if ((headers[i].name[0] | 0x20) == (name[0] | 0x20) &&
		    strcasecmp(headers[i].name, name) == 0)
			return headers[i].value;
	return NULL;
}

enum ps_status ps_net_json_bytes(const struct ps_net_header *headers, size_t n, int64_t *ret_bytes)
{
	const char *text = ps_net_header_get(headers, n, "Inference-Header-Content-Length");
	int64_t v = 0;
	if (!text) {
		*ret_bytes = -1;
		return PS_OK;
	}
	if (!*text)
		return PS_EPARSE;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (INT64_MAX - 9) / 10)
			return PS_EPARSE;
		v = 10 * v + (*text - '0');
	}
	*ret_bytes = v;
	return PS_OK;
}

/* Memory whose byte behind the JSON is aligned. */
static char *allocate(struct ps_net_body *b, size_t cap)
{
	size_t json = b->json_bytes > 0 ? (size_t)b->json_bytes : 0;
	size_t shift = (PS_NET_ALIGN - json % PS_NET_ALIGN) % PS_NET_ALIGN;
	char *p = ps_arena_alloc_tensor(b->arena, cap + shift);
	return p ? p + shift : NULL;
}

enum ps_status ps_net_body_begin(struct ps_net_body *b, struct ps_arena *arena,
				 int64_t content_length, int64_t json_bytes, size_t max_bytes)
{
	*b = (struct ps_net_body){.arena = arena, .json_bytes = json_bytes, .max_bytes = max_bytes};
	if (content_length > 0 && (uint64_t)content_length > max_bytes) {
		b->too_big = true;
		return PS_ETOOBIG;
	}
	if (content_length <= 0)
		return PS_OK;
	b->data = allocate(b, (size_t)content_length);
	if (!b->data)
		return PS_ENOMEM;
	b->cap = (size_t)content_length;
	return PS_OK;
}

/* Doubling: what the arena cannot give back before the end is at most as much as the body. */
enum ps_status ps_net_body_reserve(struct ps_net_body *b, size_t n)
{
	if (b->data && n <= b->cap - b->bytes)
		return PS_OK;
	if (n > b->max_bytes - b->bytes) {
		b->too_big = true;
		return PS_ETOOBIG;
	}
	size_t cap = b->cap ? b->cap : PS_NET_FIRST_BODY;
	while (cap < b->bytes + n)
		cap *= 2;
	if (cap > b->max_bytes)
		cap = b->max_bytes;
	char *p = allocate(b, cap);
	if (!p)
		return PS_ENOMEM;
	if (b->data && b->bytes > 0)
		memcpy(p, b->data, b->bytes);
	b->data = p;
	b->cap = cap;
	return PS_OK;
}

enum ps_status ps_net_body_append(struct ps_net_body *b, const char *at, size_t n)
{
	if (n == 0)
		return PS_OK;
	bool in_place = b->data && at == b->data + b->bytes;
	if (!in_place) {
		enum ps_status s = ps_net_body_reserve(b, n);
		if (s != PS_OK)
			return s;
		memcpy(b->data + b->bytes, at, n);
	}
	b->bytes += n;
	return PS_OK;
}
