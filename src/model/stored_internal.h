/* stored_internal.h - what a stored tensor says about itself, its values apart; for model/ only. */
#ifndef PS_MODEL_STORED_INTERNAL_H
#define PS_MODEL_STORED_INTERNAL_H

#include "model/model.h"
#include "model/wire.h"

/* Texts and bytes are borrowed from the file's bytes; the name is not terminated. */
struct ps_stored {
	const uint8_t *name;
	size_t name_len;
	int64_t type, elements;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK]; /* the first ones */
	const uint8_t *raw;		  /* NULL: its values are not there as raw bytes */
	int64_t raw_bytes;
	const uint8_t *int64s; /* packed, when they are there in that form */
	size_t int64s_len;
	const uint8_t *floats; /* packed, when they are there in that form */
	size_t floats_len;
	bool external;
};

/* ps_stored_read reads a TensorProto of `len` bytes. False when it is broken or of impossible
 * shape: *ret_pos is where, *ret_what in what. */
bool ps_stored_read(const uint8_t *data, size_t len, struct ps_stored *ret_stored,
		    const uint8_t **ret_pos, const char **ret_what);
/* ps_stored_int64s copies the values of an int64 tensor to `ret`, which has room for `elements`.
 * False when there are fewer, as of one whose values lie in another file. */
bool ps_stored_int64s(const struct ps_stored *t, int64_t *ret);

#endif
