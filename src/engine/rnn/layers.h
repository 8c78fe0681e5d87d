/* layers.h - the recurrent layers of one model: packed, measured, and held once each.   Layer 2,
 * part of engine/rnn. Uses base, model.
 *
 * A reduced precision is measured against float32 before it serves. Without input of the user's a
 * layer is measured while it is loaded, on drawn input. With it, float32 twins of the layers stay
 * until the model has run that input (ps_rnn_layers_judge): each run gives the twins' results on,
 * so that every layer is measured on what it would see in float32.
 *
 * Threads: a set belongs to the thread that loads it; the layers themselves, see rnn.h.
 */
#ifndef PS_ENGINE_RNN_LAYERS_H
#define PS_ENGINE_RNN_LAYERS_H

#include "engine/engine.h"
#include "engine/rnn/node.h"
#include "engine/rnn/team.h"

#define PS_RNN_MAX_ERROR 0.05 /* where nobody said another limit */
#define PS_RNN_SEED	 1    /* of drawn calibration input */

/* How layers are wanted. */
struct ps_rnn_wish {
	enum ps_rnn_precision precision;
	double max_error;	    /* of a reduced precision, as ps_rnn_measure gives it */
	struct ps_rnn_tuner *tuner; /* tune.h; NULL: layers run as they are */
	struct ps_rnn_team *team;   /* that packs and measures; NULL: the calling thread alone */
	bool input_comes;	    /* the model will run calibration input of the user's */
	const struct ps_engine_lender *lender; /* of the CPUs to measure on; NULL: nobody else's */
};

struct ps_rnn_layers {
	struct ps_rnn_layers_row {
		const struct ps_edit_node *node; /* the first that has it; while loading only */
		char name[96], op[8];
		struct ps_rnn *layer;
		struct ps_rnn *exact; /* watched beside it (rnn.h); NULL: not */
		double error;	      /* once measured */
	} * rows;
	int n, cap;
};

/* ps_rnn_layers_add gives the place of a node's layer in the set, which is zero at first: of one
 * that is there already when the nodes are the same layer, else of one that is packed now. Errors
 * of ps_rnn_node_read; PS_EUNSUPPORTED where the layer cannot be had in this precision; PS_EINVAL
 * with error and limit when it is too far from float32. `e` outlives the loading. */
enum ps_status ps_rnn_layers_add(struct ps_rnn_layers *l, const struct ps_edit *e,
				 const struct ps_edit_node *n, const struct ps_rnn_wish *wish,
				 int *ret_place, struct ps_error *err);
/* ps_rnn_layers_judge ends the measuring on input of the user's, frees the twins, and holds each
 * layer against the limit. PS_EINVAL: over it, or no value of the input came as far as a layer. */
enum ps_status ps_rnn_layers_judge(struct ps_rnn_layers *l, const struct ps_rnn_wish *wish,
				   struct ps_error *err);
/* ps_rnn_layers_bytes: of packed weights, twins and room for runs. */
int64_t ps_rnn_layers_bytes(const struct ps_rnn_layers *l);
void ps_rnn_layers_fini(struct ps_rnn_layers *l);

/* ps_rnn_wish_read reads a precision by its name; a max_error of 0 is PS_RNN_MAX_ERROR. PS_EINVAL.
 */
enum ps_status ps_rnn_wish_read(const char *precision, double max_error,
				struct ps_rnn_wish *ret_wish, struct ps_error *err);
/* ps_rnn_wish_measures notes whether input of the user's will be run, at `calibration` (NULL or "":
 * none): with a reduced precision. */
bool ps_rnn_wish_measures(struct ps_rnn_wish *wish, const char *calibration);
/* ps_rnn_layers_log writes the line that says what is computed here, and how far off it is on which
 * input; `sets` of the user's. */
void ps_rnn_layers_log(const struct ps_rnn_layers *l, const struct ps_rnn_wish *wish,
		       const char *path, const char *where, int sets);

#endif
