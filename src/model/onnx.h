/* onnx.h - ONNX files: what a model asks for and gives; writing a graph.   Layer 1.
 *
 * Reading trusts nothing: sizes, counts and nesting are bounded (below), truncated or hostile
 * bytes give PS_EPARSE, what we do not grasp gives PS_EUNSUPPORTED, and no weights are copied.
 * Writing makes opset 17, IR version 8 (any ONNX Runtime from 1.12 on reads it), field by field
 * into a temporary file that is renamed when it is whole; weights pass through a small buffer.
 *
 * A struct ps_onnx_model does not change after reading: any thread may look at it.
 */
#ifndef PS_MODEL_ONNX_H
#define PS_MODEL_ONNX_H

#include "model/graph.h"
#include "model/model.h"

#define PS_ONNX_OPSET	   17
#define PS_ONNX_IR_VERSION 8

#define PS_ONNX_MAX_BYTES	 ((INT64_C(1) << 31) - 1) /* protobuf's own limit for a message */
#define PS_ONNX_MAX_NODES	 100000
#define PS_ONNX_MAX_INITIALIZERS 100000
#define PS_ONNX_MAX_DECODED	 (INT64_C(256) << 20) /* memory for everything but weights */

#define PS_ONNX_SHOWN 80 /* bytes of a foreign text that are kept or shown */

/* What a file says about itself. Texts and arrays belong to the struct. */
struct ps_onnx_model {
	struct ps_tensor_spec *inputs, *outputs; /* in the file's order; inputs that have an
						  * initialiser are not asked for and not listed;
						  * an output without a shape has rank -1 */
	int n_inputs, n_outputs;
	int64_t ir_version;
	int64_t opset;		      /* of the default domain; 0 when not named */
	char producer[PS_ONNX_SHOWN]; /* printable, cut when too long */
	int n_nodes, n_initializers;
	int64_t parameters;   /* elements of floating-point initialisers of rank 1 and more, without
			       * the mean and variance of BatchNormalization */
	int64_t weight_bytes; /* of all initialisers */
	bool external_data;   /* some initialisers live in other files */
};

/* ps_onnx_read reads the file at `path`. PS_ENOTFOUND, PS_EIO, PS_ETOOBIG, PS_EPARSE,
 * PS_EUNSUPPORTED (such as an input that is no tensor), PS_ENOMEM; `where` names the file.
 * Blocks; needs the file's size in memory while it works. Free with ps_onnx_free. */
enum ps_status ps_onnx_read(const char *path, struct ps_onnx_model *ret_model,
			    struct ps_error *err);
/* ps_onnx_parse is the same for bytes in memory, which are only borrowed during the call. */
enum ps_status ps_onnx_parse(const void *data, size_t len, struct ps_onnx_model *ret_model,
			     struct ps_error *err);
/* ps_onnx_free releases what a read model owns; the struct itself is the caller's. */
void ps_onnx_free(struct ps_onnx_model *m);

/* ps_onnx_size says how many bytes ps_onnx_write would write. PS_ETOOBIG over PS_ONNX_MAX_BYTES;
 * PS_EINVAL when the graph has an error or no output. */
enum ps_status ps_onnx_size(const struct ps_graph *g, int64_t *ret_bytes, struct ps_error *err);
/* ps_onnx_write writes the graph to `path`, whole or not at all: same graph and seed, same bytes.
 * Blocks (about 1 s per 500 MB, the disk apart); memory under 1 MiB. Errors of ps_onnx_size,
 * PS_EIO, PS_ENOSPC, ...; after an error an old file at `path` stands. */
enum ps_status ps_onnx_write(const struct ps_graph *g, const char *path, struct ps_error *err);

#endif
