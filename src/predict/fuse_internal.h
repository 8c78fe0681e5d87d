/* fuse_internal.h - the operators that the engine makes of a file's nodes; for predict/ only. */
#ifndef PS_PREDICT_FUSE_INTERNAL_H
#define PS_PREDICT_FUSE_INTERNAL_H

#include "model/shapes.h"
#include "predict/work.h"

enum ps_predict_role {
	PS_PREDICT_RUNS,   /* the nodes of the file that it stands for */
	PS_PREDICT_BLOCKS, /* changes a value into the blocked layout */
	PS_PREDICT_UNBLOCKS,
};

/* One operator as the engine runs it. */
struct ps_predict_group {
	enum ps_predict_role role;
	int node;	/* of the file: the one that gives it its kind; -1 for changes of layout */
	int name_node;	/* the one whose name it has; -1 likewise */
	int nodes;	/* how many it stands for */
	int value;	/* that it reads, of changes of layout */
	int out;	/* the value that it makes */
	int named;	/* the value whose name the engine gave it; -1: it has the node's own */
	int sum;	/* a value that is added inside; -1: none */
	bool blocked;	/* it works in the blocked layout */
	bool bias;	/* a folded normalisation gives it a bias that the file does not have */
	bool swish;	/* x * sigmoid(x) in one */
	int activation; /* the node of the activation inside; -1: none */
	bool gone;	/* another one does its work */
};

struct ps_predict_graph {
	const struct ps_shapes *shapes;
	struct ps_predict_group *groups; /* in an order in which they can be run */
	size_t n;
	int *same_as; /* per value: the one that it is another name of */
};

/* ps_predict_fuse makes them. PS_ENOMEM. Free with ps_predict_graph_fini. */
enum ps_status ps_predict_fuse(const struct ps_shapes *s, const struct ps_predict_target *t,
			       struct ps_predict_graph *ret_graph, struct ps_error *err);
void ps_predict_graph_fini(struct ps_predict_graph *g);

/* ps_predict_value follows a value to the one that it is another name of. */
int ps_predict_value(const struct ps_predict_graph *g, int value);
/* ps_predict_is says whether the node of a group is an operator `op` of ONNX's own. */
bool ps_predict_is(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		   const char *op);

/* ps_predict_count_op fills in what a group does: ret_op's name is the caller's to free. PS_ENOMEM.
 */
enum ps_status ps_predict_count_op(const struct ps_predict_graph *g,
				   const struct ps_predict_group *p, struct ps_predict_op *ret_op,
				   struct ps_error *err);

#endif
