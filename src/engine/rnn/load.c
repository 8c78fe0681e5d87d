/* load.c - the layers of a model, packed and measured. */
#include "engine/rnn/kernel_internal.h"
#include "engine/rnn/layers.h"
#include "engine/rnn/tune.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool ps_rnn_wish_measures(struct ps_rnn_wish *wish, const char *calibration)
{
	wish->input_comes = calibration && calibration[0] && wish->precision != PS_RNN_FLOAT32;
	return wish->input_comes;
}

void ps_rnn_layers_log(const struct ps_rnn_layers *l, const struct ps_rnn_wish *wish,
		       const char *path, const char *where, int sets)
{
	char off[96] = "", on[96];
	double error = 0;

	for (int i = 0; i < l->n; i++)
		error = fmax(error, l->rows[i].error);
	snprintf(on, sizeof on, "drawn input (%d rows of %d steps, seed %d)",
		 PS_RNN_CALIBRATION_BATCH, PS_RNN_CALIBRATION_STEPS, PS_RNN_SEED);
	if (sets > 0)
		snprintf(on, sizeof on, "%d of your inputs", sets);
	if (wish->precision != PS_RNN_FLOAT32)
		snprintf(off, sizeof off, ", at most %.2g off float32 where %.2g is allowed, on ",
			 error, wish->max_error);
	ps_log(PS_LOG_INFO, "engine", "%s: recurrent layers of our own %s: %d, in %s (%s)%s%s",
	       path, where, l->n, precisions[wish->precision], ps_rnn_kernel_best()->name, off,
	       off[0] ? on : "");
}

/* ---- one layer ---- */

static enum ps_status at_row(const struct ps_rnn_layers_row *row, enum ps_status st,
			     struct ps_error *err)
{
	if (st != PS_OK)
		ps_error_where(err, "node '%.80s' (%s)", row->name, row->op);
	return st;
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

static enum ps_status measure(struct ps_rnn_layers_row *row, const struct ps_rnn_node *node,
			      const struct ps_rnn_wish *wish, struct ps_error *err)
{
	const struct ps_engine_lender *l = wish->lender;
	const struct ps_rnn_calibration c = {.steps = PS_RNN_CALIBRATION_STEPS,
					     .batch = PS_RNN_CALIBRATION_BATCH,
					     .seed = PS_RNN_SEED,
					     .borrow = l ? l->borrow : NULL,
					     .give_back = l ? l->give_back : NULL,
					     .ctx = l ? l->ctx : NULL};
	enum ps_status st;

	if (wish->precision == PS_RNN_FLOAT32)
		return PS_OK;
	if (wish->input_comes) {
		st = ps_rnn_new(&node->spec, PS_RNN_FLOAT32, &node->weights, wish->team,
				&row->exact, err);
		return st == PS_OK ? ps_rnn_watch(row->layer, row->exact, err) : st;
	}
	st = ps_rnn_measure(row->layer, wish->team, &node->weights, &c, &row->error, err);
	return st == PS_OK ? judge(wish, row->error, err) : st;
}

static enum ps_status load(struct ps_rnn_layers_row *row, const struct ps_rnn_node *node,
			   const struct ps_rnn_wish *wish, struct ps_error *err)
{
	enum ps_status st = ps_rnn_new(&node->spec, wish->precision, &node->weights, wish->team,
				       &row->layer, err);

	if (st == PS_OK && wish->tuner) /* it runs the layer, and must not be watched */
		st = ps_rnn_tuner_apply(wish->tuner, row->layer, NULL, err);
	return st == PS_OK ? measure(row, node, wish, err) : st;
}

static void drop(struct ps_rnn_layers_row *row)
{
	double error;
	int64_t values;

	if (row->layer)
		ps_rnn_watched(row->layer, &error, &values);
	ps_rnn_free(row->layer);
	ps_rnn_free(row->exact);
}

/* ---- the set ---- */

static int find(const struct ps_rnn_layers *l, const struct ps_edit *e,
		const struct ps_edit_node *n)
{
	for (int i = 0; i < l->n; i++) {
		if (ps_rnn_node_same(e, l->rows[i].node, n))
			return i;
	}
	return -1;
}

static enum ps_status make_room(struct ps_rnn_layers *l, struct ps_error *err)
{
	int cap = l->cap ? 2 * l->cap : 8;
	void *rows;

	if (l->n < l->cap)
		return PS_OK;
	rows = realloc(l->rows, (size_t)cap * sizeof *l->rows);
	if (!rows)
		return ps_error_set(err, PS_ENOMEM, "no memory for recurrent layers");
	l->rows = rows;
	l->cap = cap;
	return PS_OK;
}

enum ps_status ps_rnn_layers_add(struct ps_rnn_layers *l, const struct ps_edit *e,
				 const struct ps_edit_node *n, const struct ps_rnn_wish *wish,
				 int *ret_place, struct ps_error *err)
{
	struct ps_rnn_layers_row row = {.node = n};
	struct ps_rnn_node node;
	enum ps_status st = make_room(l, err);

	*ret_place = find(l, e, n);
	if (st != PS_OK || *ret_place >= 0)
		return st;
	snprintf(row.name, sizeof row.name, "%s", ps_rnn_node_name(n));
	snprintf(row.op, sizeof row.op, "%s", n->op);
	st = ps_rnn_node_read(e, n, &node, err);
	if (st != PS_OK)
		return st;
	st = at_row(&row, load(&row, &node, wish, err), err);
	ps_rnn_node_fini(&node);
	if (st != PS_OK) {
		drop(&row);
		return st;
	}
	*ret_place = l->n;
	l->rows[l->n++] = row;
	return PS_OK;
}

static enum ps_status judge_row(struct ps_rnn_layers_row *row, const struct ps_rnn_wish *wish,
				struct ps_error *err)
{
	int64_t values;

	ps_rnn_watched(row->layer, &row->error, &values);
	ps_rnn_free(row->exact);
	row->exact = NULL;
	if (values == 0)
		return ps_error_set(err, PS_EINVAL, "no step of the calibration input reaches it");
	return judge(wish, row->error, err);
}

enum ps_status ps_rnn_layers_judge(struct ps_rnn_layers *l, const struct ps_rnn_wish *wish,
				   struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < l->n; i++) {
		if (l->rows[i].exact)
			st = at_row(&l->rows[i], judge_row(&l->rows[i], wish, err), err);
	}
	return st;
}

int64_t ps_rnn_layers_bytes(const struct ps_rnn_layers *l)
{
	int64_t n = 0;

	for (int i = 0; i < l->n; i++) {
		n += (int64_t)ps_rnn_bytes(l->rows[i].layer);
		n += l->rows[i].exact ? (int64_t)ps_rnn_bytes(l->rows[i].exact) : 0;
	}
	return n;
}

void ps_rnn_layers_fini(struct ps_rnn_layers *l)
{
	for (int i = 0; i < l->n; i++)
		drop(&l->rows[i]);
	free(l->rows);
	*l = (struct ps_rnn_layers){0};
}
