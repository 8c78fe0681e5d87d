/* proto_internal.h - small messages by protobuf-c, for the files of oip/ that read or write them.
 */
#ifndef PS_OIP_PROTO_INTERNAL_H
#define PS_OIP_PROTO_INTERNAL_H

#include "oip/grpc.h"
#include "oip/oip_internal.h"

#include "health.pb-c.h"
#include "inference.pb-c.h"
#include "model_config.pb-c.h"
#include "reflection.pb-c.h"

/* ps_oip_pack appends a message. */
void ps_oip_pack(const ProtobufCMessage *m, struct ps_strbuf *out);
/* ps_oip_pb_items makes `n` zeroed structs of `size` bytes and the pointers to them that repeated
 * fields want; each struct still needs its __init. NULL without memory. */
void *ps_oip_pb_items(struct ps_arena *a, int n, size_t size);
/* ps_oip_unpack reads a small message into the arena. PS_EPARSE, PS_ETOOBIG; memory that runs out
 * is told as PS_EPARSE, which protobuf-c does not tell apart. */
enum ps_status ps_oip_unpack(const ProtobufCMessageDescriptor *type, const void *message, size_t n,
			     struct ps_arena *a, void *ret_message, struct ps_error *err);
/* ps_oip_data_type returns Triton's number of a datatype. */
Inference__DataType ps_oip_data_type(enum ps_dtype t);

/* ps_oip_take_repository_parameter takes a parameter of a load or unload, or refuses it; a type
 * that no parameter has comes as PS_OIP_INT. */
enum ps_status ps_oip_take_repository_parameter(enum ps_oip_route route,
						const struct ps_oip_parameter *p,
						struct ps_oip_repository_request *r,
						struct ps_error *err);

#endif
