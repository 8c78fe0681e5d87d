/* match.h - gives the operators of a model the times that the engine's profile has for them.
 *   Layer 3, pure.
 *
 * Nodes are matched by type and name. Changes of layout have other names in every session: the time
 * of all of one type is split over the operators of that type by the bytes that they move.
 */
#ifndef PS_PREDICT_MATCH_H
#define PS_PREDICT_MATCH_H

#include "predict/work.h"

/* A row of the engine's profile. */
struct ps_predict_node_time {
	const char *type, *node;
	double ns; /* per run; >= 0 */
};

/* What a profile and a file have in common. */
struct ps_predict_matched {
	size_t ops, nodes;	/* that have a partner */
	double share;		/* of the profile's time that found one */
	const char *lost_node;	/* the longest without one, borrowed from the rows; NULL: none */
	const char *untimed_op; /* the first operator without a time, of the model; NULL: none */
};

/* ps_predict_match sets time_ns of every operator, NAN where the profile has none. A profile of
 * another model or another engine shows in a small share. PS_ECORRUPT for a time that is negative
 * or not a number, PS_ENOMEM. */
enum ps_status ps_predict_match(struct ps_predict_model *m, const struct ps_predict_node_time *rows,
				size_t n, struct ps_predict_matched *ret_matched,
				struct ps_error *err);

#endif
