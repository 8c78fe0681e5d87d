/* zoo.h - reference networks with random weights: true architectures, honest arithmetic.   Layer 1.
 *
 * CNNs take "input" [batch, 3, size, size] (mean 0, variance 1; 0 to 1 works as well) and give
 * "output" [batch, 1000], logits without softmax. The recurrent cells of the DeepBench inference
 * set are single layers: "input" [steps, batch, hidden] -> "output" [steps, batch, hidden].
 */
#ifndef PS_MODEL_ZOO_H
#define PS_MODEL_ZOO_H

#include "model/graph.h"

struct ps_zoo_entry {
	const char *name;	 /* file name without .onnx */
	const char *kind;	 /* "cnn", "lstm", "gru" */
	const char *description; /* the architecture and its source */
	void (*build)(struct ps_graph *g, int size);
	int size; /* pixels of the input's side, or hidden units */
};

/* ps_zoo_entries returns the table; *ret_n is its length. */
const struct ps_zoo_entry *ps_zoo_entries(int *ret_n);
/* ps_zoo_find returns the entry called `name`, or NULL. */
const struct ps_zoo_entry *ps_zoo_find(const char *name);
/* ps_zoo_build makes the graph of `e`. PS_ENOMEM, or PS_EINTERNAL when the architecture's own
 * description is wrong. The caller frees *ret_graph. Takes well under a millisecond. */
enum ps_status ps_zoo_build(const struct ps_zoo_entry *e, uint64_t seed,
			    struct ps_graph **ret_graph, struct ps_error *err);
/* ps_zoo_write builds `e` and writes it to `path` (see ps_onnx_write). */
enum ps_status ps_zoo_write(const struct ps_zoo_entry *e, uint64_t seed, const char *path,
			    struct ps_error *err);

#endif
