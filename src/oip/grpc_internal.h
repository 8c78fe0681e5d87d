/* grpc_internal.h - walking the infer messages of gRPC in place. */
#ifndef PS_OIP_GRPC_INTERNAL_H
#define PS_OIP_GRPC_INTERNAL_H

#include "model/wire.h"
#include "oip/grpc.h"
#include "oip/oip_internal.h"

/* Bytes of a message, and how many before them are the field's own head, free to be written on. */
struct ps_oip_slice {
	uint8_t *data;
	size_t n, room;
};

/* A walk over one message: what every reader of its fields gets. */
struct ps_oip_walk {
	struct ps_arena *arena;
	struct ps_error *err;
	const char *kind;    /* of tensors: "input" or "output" */
	const char *message; /* name of the outermost message, for errors */
};

/* Reads one field; unknown ones return PS_OK. */
typedef enum ps_status ps_oip_field_reader(struct ps_oip_walk *w, const struct ps_wire_field *f,
					   const struct ps_oip_slice *bytes, void *out);

/* ps_oip_walk calls `field` for each field of `in`; `bytes` are those of a length-delimited one. */
enum ps_status ps_oip_walk(struct ps_oip_walk *w, const struct ps_oip_slice *in,
			   ps_oip_field_reader *field, void *out);
/* ps_oip_walk_fail says that the message is malformed, PS_EPARSE. */
enum ps_status ps_oip_walk_fail(struct ps_oip_walk *w, const char *what);
/* ps_oip_take_text makes the bytes of a field a C string where they lie, moved down by one byte. */
enum ps_status ps_oip_take_text(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				const char *what, size_t max, const char **ret_text);

/* --- grpc_parameter.c --- */

/* ps_oip_walk_parameter reads an entry of map<string, InferParameter>. */
enum ps_status ps_oip_walk_parameter(struct ps_oip_walk *w, const struct ps_oip_slice *entry,
				     struct ps_oip_parameter *ret_parameter);

/* --- grpc_tensor.c --- */

/* A tensor of a message while its fields are read. */
struct ps_oip_walked {
	struct ps_tensor t;
	struct ps_oip_slice contents; /* InferTensorContents; data NULL when there are none */
};

/* ps_oip_walk_tensor reads an InferInputTensor or InferOutputTensor, all but its contents. */
enum ps_status ps_oip_walk_tensor(struct ps_oip_walk *w, const struct ps_oip_slice *in,
				  struct ps_oip_walked *ret_tensor);
/* ps_oip_place_walked gives `n` tensors their contents, from raw[0..n_raw) or their own, and copies
 * them into the arena. */
enum ps_status ps_oip_place_walked(struct ps_oip_walk *w, struct ps_oip_walked *tensors, int n,
				   const struct ps_oip_slice *raw, int n_raw,
				   struct ps_tensor **ret_tensors);

/* --- grpc_typed.c --- */

/* ps_oip_read_typed converts InferTensorContents into the arena. */
enum ps_status ps_oip_read_typed(struct ps_oip_walk *w, const struct ps_oip_slice *contents,
				 struct ps_tensor *t);

#endif
