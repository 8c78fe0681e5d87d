/* load.c - a node's layer, packed and measured. */
#include "engine/rnn/kernel_internal.h"
#include "engine/rnn/node.h"
#include "engine/rnn/tune.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CALIBRATION_SEED 1

static const char *const precisions[PS_RNN_PRECISIONS] = {
	[PS_RNN_FLOAT32] = "float32", [PS_RNN_BFLOAT16] = "bf16", [PS_RNN_INT8] = "int8"};

bool ps_rnn_precision_named(const char *name, enum ps_rnn_precision *ret_precision)
{
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		if (strcmp(name, precisions[p]) == 0) {
			*ret_precision = (enum ps_rnn_precision)p;
			return true;
		}
	}
	return false;
}

const char *ps_rnn_precision_name(enum ps_rnn_precision precision)
{
	return precisions[precision];
}

enum ps_status ps_rnn_wish_read(const char *precision, double max_error,
				struct ps_rnn_wish *ret_wish, struct ps_error *err)
{
	struct ps_rnn_wish w = {.max_error = max_error > 0 ? max_error : PS_RNN_MAX_ERROR};

	if (!ps_rnn_precision_named(precision, &w.precision))
		return ps_error_set(err, PS_EINVAL,
				    "\"%.32s\" is no precision: float32, bf16, int8", precision);
	if (max_error < 0 || !isfinite(max_error))
		return ps_error_set(err, PS_EINVAL, "an error of %g cannot be a limit", max_error);
	*ret_wish = w;
	return PS_OK;
}

void ps_rnn_log_taken(const char *path, const char *where, int layers,
		      const struct ps_rnn_wish *wish, double error)
{
	char off[96] = "";

	if (wish->precision != PS_RNN_FLOAT32)
		snprintf(off, sizeof off, ", at most %.2g off float32 where %.2g is allowed", error,
			 wish->max_error);
	ps_log(PS_LOG_INFO, "engine", "%s: recurrent layers of our own %s: %d, in %s (%s)%s", path,
	       where, layers, precisions[wish->precision], ps_rnn_kernel_best()->name, off);
}

static enum ps_status judge(const struct ps_rnn_wish *wish, double error, struct ps_error *err)
{
	if (error <= wish->max_error)
		return PS_OK;
	ps_error_set(err, PS_EINVAL,
		     "%s is up to %.3g off float32 on calibration input, and %.3g is allowed",
		     precisions[wish->precision], error, wish->max_error);
	ps_error_hint(err, "allow more by the limit of the error, or choose another precision");
	return PS_EINVAL;
}

static enum ps_status pack(const struct ps_rnn_node *node, const struct ps_rnn_wish *wish,
			   struct ps_rnn **ret_rnn, double *ret_error, struct ps_error *err)
{
	const struct ps_rnn_calibration c = {.steps = PS_RNN_CALIBRATION_STEPS,
					     .batch = PS_RNN_CALIBRATION_BATCH,
					     .seed = CALIBRATION_SEED};
	struct ps_rnn *rnn;
	double error = 0;
	enum ps_status st =
		ps_rnn_new(&node->spec, wish->precision, &node->weights, NULL, &rnn, err);

	if (st != PS_OK)
		return st;
	if (wish->precision != PS_RNN_FLOAT32) {
		st = ps_rnn_measure(rnn, NULL, &node->weights, &c, &error, err);
		if (st == PS_OK)
			st = judge(wish, error, err);
	}
	if (st == PS_OK && wish->tuner)
		st = ps_rnn_tuner_apply(wish->tuner, rnn, NULL, err);
	if (st != PS_OK) {
		ps_rnn_free(rnn);
		return st;
	}
	*ret_rnn = rnn;
	*ret_error = error;
	return PS_OK;
}

enum ps_status ps_rnn_node_load(const struct ps_edit *e, const struct ps_edit_node *n,
				const struct ps_rnn_wish *wish, struct ps_rnn **ret_rnn,
				double *ret_error, struct ps_error *err)
{
	struct ps_rnn_node node;
	enum ps_status st = ps_rnn_node_read(e, n, &node, err);

	if (st != PS_OK)
		return st;
	st = pack(&node, wish, ret_rnn, ret_error, err);
	ps_rnn_node_fini(&node);
	if (st != PS_OK)
		ps_error_where(err, "node '%.80s' (%s)", ps_rnn_node_name(n), n->op);
	return st;
}
