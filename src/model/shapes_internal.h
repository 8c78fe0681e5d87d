/* shapes_internal.h - between the reader of a graph and its inference; for model/ only. */
#ifndef PS_MODEL_SHAPES_INTERNAL_H
#define PS_MODEL_SHAPES_INTERNAL_H

#include "model/shapes.h"

/* ps_shapes_infer gives the outputs of node `n` their types and shapes, or marks it as not known.
 * PS_EINVAL when what it reads does not fit it. */
enum ps_status ps_shapes_infer(struct ps_shapes *s, struct ps_shapes_node *n, struct ps_error *err);

#endif
