#include "oip/proto_internal.h"

#include <string.h>

void ps_oip_pack(const ProtobufCMessage *m, struct ps_strbuf *out)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	if (ps_strbuf_reserve(out, n) != PS_OK)
		return;
	protobuf_c_message_pack(m, (uint8_t *)out->data + out->len);
	out->len += n;
	out->data[out->len] = '\0';
}

void *ps_oip_pb_items(struct ps_arena *a, int n, size_t size)
{
	size_t count = n > 0 ? (size_t)n : 1;
	void **items = ps_arena_alloc(a, count * sizeof *items);
	char *structs = ps_arena_zalloc(a, count * size);
	if (!items || !structs)
		return NULL;
	for (size_t i = 0; i < count; i++)
		items[i] = structs + i * size;
	return items;
}

static void *arena_alloc(void *ctx, size_t size)
{
	return ps_arena_alloc(ctx, size);
}

/* All of an arena goes at once. */
static void arena_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

enum ps_status ps_oip_unpack(const ProtobufCMessageDescriptor *type, const void *message, size_t n,
			     struct ps_arena *a, void *ret_message, struct ps_error *err)
{
	ProtobufCAllocator allocator = {arena_alloc, arena_free, a};
	if (n > PS_OIP_MAX_SMALL_MESSAGE)
		return ps_error_set(err, PS_ETOOBIG, "a %s of over %d bytes", type->short_name,
				    PS_OIP_MAX_SMALL_MESSAGE);
	ProtobufCMessage *m =
		protobuf_c_message_unpack(type, &allocator, n, n ? message : (const void *)"");
	if (!m)
		return ps_error_set(err, PS_EPARSE, "the message is no %s", type->short_name);
	memcpy(ret_message, &m, sizeof m);
	return PS_OK;
}

Inference__DataType ps_oip_data_type(enum ps_dtype t)
{
	switch (t) {
	case PS_DTYPE_BOOL:
		return INFERENCE__DATA_TYPE__TYPE_BOOL;
	case PS_DTYPE_UINT8:
		return INFERENCE__DATA_TYPE__TYPE_UINT8;
	case PS_DTYPE_UINT16:
		return INFERENCE__DATA_TYPE__TYPE_UINT16;
	case PS_DTYPE_UINT32:
		return INFERENCE__DATA_TYPE__TYPE_UINT32;
	case PS_DTYPE_UINT64:
		return INFERENCE__DATA_TYPE__TYPE_UINT64;
	case PS_DTYPE_INT8:
		return INFERENCE__DATA_TYPE__TYPE_INT8;
	case PS_DTYPE_INT16:
		return INFERENCE__DATA_TYPE__TYPE_INT16;
	case PS_DTYPE_INT32:
		return INFERENCE__DATA_TYPE__TYPE_INT32;
	case PS_DTYPE_INT64:
		return INFERENCE__DATA_TYPE__TYPE_INT64;
	case PS_DTYPE_FP16:
		return INFERENCE__DATA_TYPE__TYPE_FP16;
	case PS_DTYPE_FP32:
		return INFERENCE__DATA_TYPE__TYPE_FP32;
	case PS_DTYPE_FP64:
		return INFERENCE__DATA_TYPE__TYPE_FP64;
	case PS_DTYPE_BYTES:
		return INFERENCE__DATA_TYPE__TYPE_STRING;
	case PS_DTYPE_BF16:
		return INFERENCE__DATA_TYPE__TYPE_BF16;
	default:
		return INFERENCE__DATA_TYPE__TYPE_INVALID;
	}
}
